"""Data Access: files of batches, their bytes and ranges, what failed, and the first rows of a data set (§6)."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from flowledger.emulator.caller import CATALOG, Caller
from flowledger.emulator.core import Emulator

EXPORT = "/data/foundation/export"
MINUTE = 60


@pytest.fixture
def landed(ingestion: Any) -> Any:
    """An ingestion with two batches."""
    ingestion.write(("a", "Ann", 1), ("b", "Bob", 2), ("c", "Cy", 20 * MINUTE))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(30 * MINUTE)
    return ingestion


def file_of(landed: Any, number: int = 0) -> str:
    batch = list(landed.batches())[number]
    [entry] = landed.caller.send("GET", f"{EXPORT}/batches/{batch}/files").json["data"]
    return str(entry["dataSetFileId"])


def test_from_a_batch_to_its_rows(landed: Any) -> None:
    batch = next(iter(landed.batches()))
    listed = landed.caller.send("GET", f"{EXPORT}/batches/{batch}/files").json
    assert listed["_page"] == {"limit": 100, "count": 1}
    [entry] = listed["data"]
    assert entry["isValid"] is True
    assert entry["_links"]["self"]["href"].endswith(f"{EXPORT}/files/{entry['dataSetFileId']}")
    parts = landed.caller.send("GET", f"{EXPORT}/files/{entry['dataSetFileId']}").json["data"]
    assert [(part["name"], int(part["length"])) for part in parts] == [
        ("part-0.parquet", landed.part(batch).stat().st_size)
    ]
    path = f"{EXPORT}/files/{entry['dataSetFileId']}"
    whole = landed.caller.send("GET", path, query=[("path", "part-0.parquet")])
    rows = pq.read_table(io.BytesIO(whole.response.body)).to_pylist()
    assert [row["_id"] for row in rows] == ["a", "b"]
    assert rows[0]["person"]["name"]["firstName"] == "Ann"


@pytest.mark.parametrize(("limit", "status"), [("0", 400), ("1", 200), ("100", 200), ("101", 400), ("-1", 400)])
def test_a_page_has_at_most_a_hundred_entries(landed: Any, limit: str, status: int) -> None:
    path = f"{EXPORT}/batches/{next(iter(landed.batches()))}/files"
    assert landed.caller.send("GET", path, query=[("limit", limit)]).status == status


@pytest.mark.parametrize("template", ["batches/{batch}/files", "batches/{batch}/failed", "files/{file}"])
def test_a_query_parameter_that_a_call_does_not_have_is_refused(landed: Any, template: str) -> None:
    path = template.format(batch=next(iter(landed.batches())), file=file_of(landed))

    reply = landed.caller.send("GET", f"{EXPORT}/{path}", query=[("offset", "1")])

    assert (reply.status, reply.code) == (400, "EXPORT-400")
    landed.emulator.options.unknown_queries_ignored = True
    assert landed.caller.send("GET", f"{EXPORT}/{path}", query=[("offset", "1")]).status in (200, 404)


def test_catalog_lists_the_files_of_a_data_set(landed: Any) -> None:
    found = landed.caller.send("GET", f"{CATALOG}/dataSetFiles", query=[("dataSetId", landed.data_set)]).json
    assert [entry["records"] for entry in found.values()] == [2, 1]


def test_ranges_join_to_the_whole_file(landed: Any) -> None:
    path, query = f"{EXPORT}/files/{file_of(landed)}", [("path", "part-0.parquet")]
    whole = landed.caller.send("GET", path, query=query).response.body
    size, pieces = len(whole), []
    for first in range(0, size, 1000):
        reply = landed.caller.send("GET", path, query=query, headers={"range": f"bytes={first}-{first + 999}"})
        last = min(first + 999, size - 1)
        assert reply.status == 206
        assert reply.headers["content-range"] == f"bytes {first}-{last}/{size}"
        pieces.append(reply.response.body)
    assert b"".join(pieces) == whole


@pytest.mark.parametrize(
    ("asked", "status", "wanted"),
    [
        ("bytes=0-3", 206, slice(0, 4)),
        ("bytes=-4", 206, slice(-4, None)),
        ("bytes=5-", 206, slice(5, None)),
        ("bytes=5-4", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
        ("bytes=99999999-", 416, None),
        ("bytes=-0", 416, None),
    ],
)
def test_odd_ranges_are_answered_as_http_has_it(landed: Any, asked: str, status: int, wanted: slice | None) -> None:
    path, query = f"{EXPORT}/files/{file_of(landed)}", [("path", "part-0.parquet")]
    whole = landed.caller.send("GET", path, query=query).response.body
    reply = landed.caller.send("GET", path, query=query, headers={"range": asked})
    assert reply.status == status
    assert reply.response.body == (whole[wanted] if wanted is not None else b"")
    if status == 416:
        assert reply.headers["content-range"] == f"bytes */{len(whole)}"


def test_head_tells_the_length_and_sends_nothing(landed: Any) -> None:
    path, query = f"{EXPORT}/files/{file_of(landed)}", [("path", "part-0.parquet")]
    whole = landed.caller.send("GET", path, query=query)
    head = landed.caller.send("HEAD", path, query=query)
    assert (head.status, head.response.body) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.response.body))
    assert head.headers["accept-ranges"] == "bytes"


def test_a_preview_shows_the_rows_of_the_latest_batch(landed: Any) -> None:
    shown = landed.caller.send("GET", f"{EXPORT}/datasets/{landed.data_set}/preview").json["data"]
    assert [(row["_id"], row["person"]["name"]["firstName"]) for row in shown] == [("c", "Cy")]


def test_an_empty_data_set_has_an_empty_preview(ingestion: Any) -> None:
    ingestion.provision()
    reply = ingestion.caller.send("GET", f"{EXPORT}/datasets/{ingestion.data_set}/preview")
    assert (reply.status, reply.json) == (200, {"data": []})


@pytest.mark.parametrize(
    "path",
    [
        f"{EXPORT}/batches/01NONE/files",
        f"{EXPORT}/batches/01NONE/failed",
        f"{EXPORT}/files/01NONE-1",
        f"{EXPORT}/datasets/none/preview",
    ],
)
def test_what_is_not_there_is_404(ingestion: Any, path: str) -> None:
    reply = ingestion.caller.send("GET", path)
    assert (reply.status, reply.code) == (404, "EXPORT-404")


def test_a_batch_without_failed_rows_has_no_diagnostics(landed: Any) -> None:
    batch = next(iter(landed.batches()))
    assert landed.caller.send("GET", f"{EXPORT}/batches/{batch}/failed").status == 404
    for path in ("row_errors", "row_error_samples.json", "input_files", "../part-0.parquet", "row_errors/../../x"):
        assert landed.caller.send("GET", f"{EXPORT}/batches/{batch}/meta", query=[("path", path)]).status == 404
    assert landed.caller.send("GET", f"{EXPORT}/batches/{batch}/meta").json["data"] == []


def test_no_path_leads_out_of_the_batch(landed: Any) -> None:
    file = file_of(landed)
    for path in ("../x", "../../../emulator.sqlite", "/etc/passwd", "", "_diagnostics"):
        assert landed.caller.send("GET", f"{EXPORT}/files/{file}", query=[("path", path)]).status == 404


def test_the_data_of_a_deleted_data_set_is_gone(landed: Any) -> None:
    file, batch = file_of(landed), next(iter(landed.batches()))
    assert landed.caller.send("DELETE", f"{CATALOG}/dataSets/{landed.data_set}").status == 200
    assert landed.caller.send("GET", f"{EXPORT}/files/{file}").status == 404
    assert landed.caller.send("GET", f"{EXPORT}/batches/{batch}/files").status == 404


def test_another_sandbox_sees_none_of_it(landed: Any) -> None:
    batch = next(iter(landed.batches()))
    other = Caller(landed.emulator, sandbox="dev")
    assert other.send("GET", f"{EXPORT}/batches/{batch}/files").status == 404


def test_an_emulator_without_sources_has_no_batches() -> None:
    emulator = Emulator()
    reply = Caller(emulator).send("GET", f"{EXPORT}/batches/01NONE/files")
    assert (reply.status, reply.code) == (404, "EXPORT-404")
    emulator.close()


def test_a_batch_tells_what_failed(ingestion_with: Callable[..., Any]) -> None:
    ingestion = ingestion_with()
    ingestion.write(("a", "Ann", 1), ("b", "Bob", 2), ("c", "Cy", 3))
    path = ingestion.folder / "PayPal.Catalog_Products.csv"
    path.write_text(path.read_text().replace("b,Bob,", "b,Bob,surplus,"))
    ingestion.provision()
    ingestion.flow(options={"partialIngestionPercent": 50, "errorDiagnosticsEnabled": True})
    ingestion.at(15 * MINUTE)
    [batch] = ingestion.batches()
    assert ingestion.landed() == [["a", "c"]]
    errors = ingestion.caller.send("GET", f"{EXPORT}/batches/{batch}/meta", query=[("path", "row_errors")]).json["data"]
    assert [entry["name"] for entry in errors] == ["parsing_errors_0.json"]
    wanted = [("path", "row_errors/parsing_errors_0.json")]
    lines = ingestion.caller.send("GET", f"{EXPORT}/batches/{batch}/meta", query=wanted).response.body.splitlines()
    [told] = [json.loads(line)["_errors"][0] for line in lines]
    assert told["row"] == 2
    [failed] = ingestion.caller.send("GET", f"{EXPORT}/batches/{batch}/failed").json["data"]
    assert failed["name"] == "part-0.json"
    samples = ingestion.caller.send("GET", f"{EXPORT}/batches/{batch}/meta", query=[("path", "row_error_samples.json")])
    other = ingestion.caller.send("GET", f"{EXPORT}/batches/{batch}/meta", query=[("path", "row_errors_sample.json")])
    assert other.response.body == samples.response.body  # the reference spells it both ways
    assert json.loads(samples.response.body.splitlines()[0])["_errors"][0]["row"] == 2
    inputs = ingestion.caller.send("GET", f"{EXPORT}/batches/{batch}/meta", query=[("path", "input_files")])
    assert [entry["name"] for entry in inputs.json["data"]] == ["fileMetaData1.json"]
    every = ingestion.caller.send("GET", f"{EXPORT}/batches/{batch}/meta").json["data"]
    assert [entry["name"] for entry in every] == ["row_errors", "input_files", "row_error_samples.json"]
    assert int(every[2]["length"]) == len(samples.response.body)


def test_what_landed_can_be_read_without_sources_and_without_pyarrow(
    landed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, query = f"{EXPORT}/files/{file_of(landed)}", [("path", "part-0.parquet")]
    before = landed.caller.send("GET", path, query=query).response.body
    landed.emulator.close()
    for name in ("pyarrow", "pyarrow.parquet", "flowledger.emulator.data.preview"):
        monkeypatch.setitem(sys.modules, name, None)
    emulator = Emulator(clock=landed.clock, state=landed.state)
    caller = Caller(emulator)
    assert caller.send("GET", path, query=query).response.body == before
    preview = caller.send("GET", f"{EXPORT}/datasets/{landed.data_set}/preview")
    assert (preview.status, preview.code) == (500, "EXPORT-500")
    assert "pyarrow>=18" in preview.json["detail"]
    emulator.close()
