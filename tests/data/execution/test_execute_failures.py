"""Bad input ends in a run that says which row and why; what landed before stays, and the next run is right."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, FLOW

MINUTE = 60
BROKEN = {"partialIngestionPercent": 40, "errorDiagnosticsEnabled": True}


def spoil(ingestion: Any, old: str, new: str) -> None:
    path = ingestion.folder / "PayPal.Catalog_Products.csv"
    path.write_text(path.read_text().replace(old, new))


def retrigger(ingestion: Any, run: str) -> int:
    reply = ingestion.caller.send("POST", f"{FLOW}/runs/{run}/action", query=[("op", "re_trigger")])
    ingestion.emulator.count("runs")
    return int(reply.status)


def test_a_broken_line_fails_a_run_without_partial_ingestion_and_no_later_one(ingestion: Any) -> None:
    ingestion.write(("a", "Ann", 1), ("b", "Bob", 2), ("c", "Cy", 20 * MINUTE))
    spoil(ingestion, "b,Bob,", "b,Bob,surplus,")
    ingestion.provision()
    ingestion.flow()
    ingestion.at(45 * MINUTE)
    assert ingestion.statuses() == ["failed", "success", "success"]
    first = ingestion.runs()[0]
    told = ingestion.messages(first)
    assert told[0] == "1 of 2 rows failed, and the flow has no partialIngestionPercent"
    assert told[1].startswith("PayPal.Catalog_Products, row 2: ")
    assert first["metrics"]["recordSummary"] == {"inputRecordCount": 2, "outputRecordCount": 0, "failedRecordCount": 1}
    assert first["metrics"]["sizeSummary"] == {"inputBytes": -1, "outputBytes": -1}
    assert ingestion.landed() == [["c"]]


def test_a_mended_file_is_collected_by_a_re_trigger(ingestion: Any) -> None:
    ingestion.write(("a", "Ann", 1), ("b", "Bob", 2), ("c", "Cy", 20 * MINUTE))
    spoil(ingestion, "b,Bob,", "b,Bob,surplus,")
    ingestion.provision()
    ingestion.flow()
    ingestion.at(30 * MINUTE)
    failed = ingestion.runs()[0]["id"]
    assert retrigger(ingestion, failed) == 200
    assert ingestion.statuses() == ["failed", "success", "failed"]
    spoil(ingestion, "b,Bob,surplus,", "b,Bob,")
    assert retrigger(ingestion, failed) == 200
    assert ingestion.landed() == [["c"], ["a", "b"]]
    assert retrigger(ingestion, failed) == 200  # once more: what has landed does not land twice
    assert ingestion.statuses()[-1] == "success"
    assert ingestion.landed() == [["c"], ["a", "b"]]


@pytest.mark.parametrize(("percent", "status"), [(50, "success"), (49.9, "failed")])
def test_as_many_rows_may_fail_as_the_flow_allows(ingestion: Any, percent: float, status: str) -> None:
    ingestion.write(("a", "Ann", 1), ("b", "Bob", 2))
    spoil(ingestion, "b,Bob,", "b,Bob,surplus,")
    ingestion.provision()
    ingestion.flow(options={"partialIngestionPercent": percent})
    ingestion.at(15 * MINUTE)
    [run] = ingestion.runs()
    assert ingestion.statuses() == [status]
    assert run["metrics"]["recordSummary"]["failedRecordCount"] == 1
    assert any("row 2" in text for text in ingestion.messages(run))
    assert ingestion.landed() == ([["a"]] if status == "success" else [])


def test_a_failed_batch_is_in_catalog_without_rows(ingestion: Any) -> None:
    ingestion.write(("a", "Ann", 1), ("b", "Bob", 2))
    spoil(ingestion, "b,Bob,", "b,Bob,surplus,")
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    [(batch, told)] = ingestion.batches().items()
    assert told["status"] == "failed"
    assert told["errors"][1]["description"].startswith("PayPal.Catalog_Products, row 2: ")
    assert not ingestion.part(batch).exists()
    data_set = ingestion.caller.send("GET", f"{CATALOG}/dataSets/{ingestion.data_set}").json[ingestion.data_set]
    assert (data_set["lastBatchId"], data_set["lastBatchStatus"]) == (batch, "failed")
    assert "lastSuccessfulBatch" not in data_set


def test_a_delta_column_that_is_empty_or_no_date_fails_its_row_once(ingestion: Any) -> None:
    ingestion.write(("a", "Ann", 1), ("b", "Bob", 2), ("c", "Cy", 3), ("d", "Di", 4), ("e", "Ed", 5), ("f", "F", 6))
    path = ingestion.folder / "PayPal.Catalog_Products.csv"
    lines = path.read_text().splitlines()
    lines[2], lines[4] = "b,Bob,", "d,Di,yesterday"
    path.write_text("\n".join(lines) + "\n")
    ingestion.provision()
    ingestion.flow(options=BROKEN)
    ingestion.at(30 * MINUTE)
    first, second = ingestion.runs()
    assert [text for text in ingestion.messages(first) if "row 2" in text]
    assert [text for text in ingestion.messages(first) if "row 4" in text and "yesterday" in text]
    assert second["metrics"]["recordSummary"]["failedRecordCount"] == 0
    assert ingestion.landed() == [["a", "c", "e", "f"]]


def test_a_table_that_goes_away_fails_the_run_and_comes_back(ingestion: Any) -> None:
    ingestion.write(("a", "Ann", 1), ("b", "Bob", 16 * MINUTE), ("c", "Cy", 31 * MINUTE))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    path = ingestion.folder / "PayPal.Catalog_Products.csv"
    path.rename(ingestion.folder / "elsewhere")
    ingestion.at(30 * MINUTE)
    (ingestion.folder / "elsewhere").rename(path)
    ingestion.at(45 * MINUTE)
    assert ingestion.statuses() == ["success", "failed", "success"]
    assert "there is no table PayPal.Catalog_Products" in ingestion.messages(ingestion.runs()[1])[0]
    assert ingestion.landed() == [["a"], ["c"]]
    assert retrigger(ingestion, ingestion.runs()[1]["id"]) == 200
    assert ingestion.landed() == [["a"], ["c"], ["b"]]


@pytest.mark.parametrize("gone", ["Product_Name", "Create_Time"])
def test_a_column_that_goes_away_fails_the_run_that_needs_it(ingestion: Any, gone: str) -> None:
    ingestion.write(("a", "Ann", 1))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    spoil(ingestion, gone, "Renamed")
    ingestion.write(("b", "Bob", 20 * MINUTE))
    ingestion.at(30 * MINUTE)
    spoil(ingestion, "Renamed", gone)
    ingestion.write(("c", "Cy", 31 * MINUTE))
    ingestion.at(45 * MINUTE)
    assert ingestion.statuses() == ["success", "failed", "success"]
    assert any(gone in text for text in ingestion.messages(ingestion.runs()[1]))
    assert ingestion.landed() == [["a"], ["c"]]


def test_a_parquet_file_cut_short_fails_the_run(ingestion: Any) -> None:
    (ingestion.folder / "PayPal.Catalog_Products.parquet").write_bytes(b"PAR1 and no more")
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    assert ingestion.statuses() == ["failed"]
    assert "PayPal.Catalog_Products" in ingestion.messages(ingestion.runs()[0])[0]
    assert list(ingestion.lake.batches()) == []


def test_a_flow_whose_data_set_was_deleted_fails_and_says_so(ingestion: Any) -> None:
    ingestion.write(("a", "Ann", 1))
    ingestion.provision()
    ingestion.flow()
    assert ingestion.caller.send("DELETE", f"{CATALOG}/dataSets/{ingestion.data_set}").status == 200
    ingestion.at(15 * MINUTE)
    assert ingestion.messages(ingestion.runs()[0]) == ["the data set of the flow is not there any more"]


def test_a_mapping_that_fails_names_row_column_and_expression(ingestion: Any) -> None:
    ingestion.write(("1", "Ann", 1), ("0", "Bob", 2), ("2", "Cy", 3))
    ingestion.provision(("Product_Id", "_id"), ("10 / Product_Id", "person.name.firstName"))
    ingestion.flow(options=BROKEN)
    ingestion.at(15 * MINUTE)
    [run] = ingestion.runs()
    assert ingestion.statuses() == ["success"]
    told = "; ".join(ingestion.messages(run))
    assert "row 2" in told
    assert "10 / Product_Id" in told
