"""Payments as events: `target.class: experienceevent` in a spec, provisioned, collected, and read back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import flowledger
from flowledger.emulator.options import Options
from flowledger.emulator.pytest_plugin import ServedEmulator

TABLE = "PayPal.Transactions"
SPEC = """
name: payments
style: {style}
source:
  kind: paypal
  connection: {{params: {{clientId: abc, clientSecret: {{env: SECRET}}}}}}
  table: PayPal.Transactions
  delta: Updated
target:
  class: experienceevent
  field_groups: [profile-personal-details]
  fields: {{payment: {{amount: number, currency: string}}}}
mappings:
  Id: _id
  Updated: timestamp
  Kind: eventType
  Email: personalEmail.address
  Amount: payment.amount
  Currency: payment.currency
schedule: {{frequency: minute, interval: 15, start: +10m}}
settle: 1s
"""
HEAD = "Id,Kind,Email,Amount,Currency,Updated"
ROWS = [
    "T-1,commerce.purchases,a@example.org,12.5,EUR,2024-01-01T08:00:00Z",
    "T-2,commerce.purchases,b@example.org,7,USD,2024-01-02 09:30:00",
]


@pytest.fixture
def served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (folder / f"{TABLE}.csv").write_text("\n".join([HEAD, *ROWS, ""]))
    served = ServedEmulator(Options(), sources=folder)
    for name, value in {**served.env, "SECRET": "made-up"}.items():
        monkeypatch.setenv(name, value)
    yield served
    served.close()


def applied(served: ServedEmulator, style: str, tmp_path: Path) -> Any:
    (tmp_path / "spec.yaml").write_text(SPEC.format(style=style))
    report = flowledger.apply_sync(tmp_path / "spec.yaml", journal=tmp_path / "journal")
    assert report.state == "provisioned"
    served.advance(11 * 60)
    return served.objects("runs")[0]


@pytest.mark.parametrize("style", ["tutorial", "current"])
def test_payments_land_as_events_and_are_read_back(style: str, served: ServedEmulator, tmp_path: Path) -> None:
    run = applied(served, style, tmp_path)

    assert run["metrics"]["statusSummary"]["status"] == "success", json.dumps(run)
    [data_set] = served.objects("dataSets")
    [schema] = [found for found in served.objects("schemas") if found["$id"] == data_set["schemaRef"]["id"]]
    assert schema["meta:class"] == "https://ns.adobe.com/xdm/context/experienceevent"
    table = asyncio.run(flowledger.dataset("payments", journal=tmp_path / "journal").to_arrow())
    rows = table.sort_by("_id").to_pylist()
    assert [row["_id"] for row in rows] == ["T-1", "T-2"]
    assert [row["timestamp"].isoformat() for row in rows] == ["2024-01-01T08:00:00+00:00", "2024-01-02T09:30:00+00:00"]
    assert rows[0]["eventType"] == "commerce.purchases"
    assert rows[0]["_localtenant"]["payment"] == {"amount": 12.5, "currency": "EUR"}
    assert rows[1]["personalEmail"]["address"] == "b@example.org"


def test_an_event_without_its_time_or_its_id_is_rejected(served: ServedEmulator, folder: Path, tmp_path: Path) -> None:
    untimely = "T-3,commerce.purchases,c@example.org,1,EUR,"
    nameless = ",commerce.purchases,d@example.org,1,EUR,2024-01-03T08:00:00Z"
    (folder / f"{TABLE}.csv").write_text("\n".join([HEAD, *ROWS, untimely, nameless, ""]))
    text = SPEC.format(style="current").replace("  delta: Updated\n", "")
    text = text.replace("frequency: minute, interval: 15", "frequency: once")
    (tmp_path / "spec.yaml").write_text(text)
    assert flowledger.apply_sync(tmp_path / "spec.yaml", journal=tmp_path / "journal").state == "provisioned"
    served.advance(11 * 60)

    [run] = served.objects("runs")

    assert run["metrics"]["statusSummary"]["status"] == "failed"  # the flow has no partial ingestion
    records = run["metrics"]["recordSummary"]
    assert (records["inputRecordCount"], records["failedRecordCount"], records["outputRecordCount"]) == (4, 2, 0)
    said = json.dumps(run)
    assert "the required field timestamp is missing" in said
    assert "the required field _id is missing" in said
