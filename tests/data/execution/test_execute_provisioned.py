"""What flowledger itself provisions collects: the tutorial's flow and today's, over a file of one's own."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import flowledger
from flowledger.emulator.options import Options
from flowledger.emulator.pytest_plugin import ServedEmulator
from tests.bench import EXAMPLE

ROWS = """Product_Id,Product_Name,Description,Type,Create_Time
P-1,Green tea,"Sencha, 100 g",PHYSICAL,2024-01-01 08:00:00
P-2,Gift card,,DIGITAL,2024-01-02T09:30:00Z
"""


@pytest.mark.parametrize("style", ["tutorial", "current"])
def test_a_provisioned_dataflow_collects_the_rows_of_a_file(
    style: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "PayPal.Catalog_Products.csv").write_text(ROWS)
    text = EXAMPLE.read_text().replace("style: tutorial", f"style: {style}")
    spec = tmp_path / "spec.yaml"
    spec.write_text(text.replace("{file: secrets/paypal-client-secret}", "{env: SECRET}"))
    monkeypatch.setenv("SECRET", "made-up")
    served = ServedEmulator(Options(), sources=folder)
    try:
        for name, value in served.env.items():
            monkeypatch.setenv(name, value)
        report = flowledger.apply_sync(spec, journal=tmp_path / "journal")
        assert report.state == "provisioned"
        assert served.objects("runs") == []
        served.advance(11 * 60)
        [run] = served.objects("runs")
        [data_set] = served.objects("dataSets")
        rows = preview(served, data_set["id"])
    finally:
        served.close()
    assert run["metrics"]["statusSummary"]["status"] == "success"
    assert run["metrics"]["recordSummary"]["outputRecordCount"] == 2
    assert rows == [
        {
            "_id": "P-1",
            "_localtenant": {"product": {"name": "Green tea", "description": "Sencha, 100 g", "type": "PHYSICAL"}},
        },
        {"_id": "P-2", "_localtenant": {"product": {"name": "Gift card", "type": "DIGITAL"}}},
    ]


def preview(served: ServedEmulator, data_set: str) -> Any:
    """The first rows of a data set, read by plain calls."""
    form = {
        "grant_type": "client_credentials",
        "client_id": served.options.client_id,
        "client_secret": served.options.client_secret,
        "scope": "openid",
    }
    with urllib.request.urlopen(f"{served.url}/ims/token/v3", data=urllib.parse.urlencode(form).encode()) as answer:
        token = json.load(answer)["access_token"]
    headers = {
        "Authorization": f"Bearer {token}",
        "x-api-key": served.options.client_id,
        "x-gw-ims-org-id": served.options.org,
        "x-sandbox-name": "prod",
    }
    url = f"{served.url}/data/foundation/export/datasets/{data_set}/preview"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return json.load(answer)["data"]
