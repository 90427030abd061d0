"""Flows, mapping sets, data sets and files change while runs go on."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flowledger.emulator.caller import CATALOG, CONVERSION, FLOW
from tests.data.execution.conftest import at

MINUTE = 60
START = 1_700_000_000
TABLE = "PayPal.Catalog_Products"


def test_a_changed_interval_holds_from_the_next_run(ingestion: Any) -> None:
    ingestion.write(("a", "A", 1), ("b", "B", 16 * MINUTE), ("c", "C", 46 * MINUTE))
    ingestion.provision()
    flow = ingestion.flow()
    ingestion.at(20 * MINUTE)
    etag = ingestion.caller.send("GET", f"{FLOW}/flows/{flow}").items[0]["etag"]
    change = [{"op": "replace", "path": "/scheduleParams/interval", "value": 60}]
    reply = ingestion.caller.send("PATCH", f"{FLOW}/flows/{flow}", change, headers={"if-match": etag})
    assert reply.status == 200, reply.response
    ingestion.at(140 * MINUTE)
    assert [run["createdAt"] // 1000 - START for run in ingestion.runs()] == [15 * MINUTE, 75 * MINUTE, 135 * MINUTE]
    assert ingestion.landed() == [["a"], ["b", "c"]]


def patched(ingestion: Any, path: str, pointer: str, value: Any) -> None:
    etag = ingestion.caller.send("GET", path).items[0]["etag"]
    change = [{"op": "replace", "path": pointer, "value": value}]
    reply = ingestion.caller.send("PATCH", path, change, headers={"if-match": etag})
    assert reply.status == 200, reply.response


def test_a_flow_keeps_the_source_and_the_target_that_it_was_made_with(ingestion: Any) -> None:
    """What is changed in its connections later, a new flow picks up, and this one does not (§4.2)."""
    ingestion.write(("a", "A", 1), ("b", "B", 16 * MINUTE), ("c", "C", 31 * MINUTE))
    (ingestion.folder / "other.csv").write_text(
        f"Product_Id,Product_Name,Create_Time\nz,Z,{at(17 * MINUTE)}\n", encoding="utf-8"
    )
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    patched(ingestion, f"{FLOW}/sourceConnections/{ingestion.source}", "/params/tableName", "other")
    ingestion.at(30 * MINUTE)
    assert ingestion.landed() == [["a"], ["b"]]
    ingestion.emulator.close()
    ingestion.open()
    ingestion.at(45 * MINUTE)
    assert ingestion.landed() == [["a"], ["b"], ["c"]]

    ingestion.flow(start=START + 60 * MINUTE)
    ingestion.at(60 * MINUTE)
    assert ingestion.landed() == [["a"], ["b"], ["c"], ["z"]]


def test_a_flow_runs_until_the_end_of_its_schedule(ingestion: Any) -> None:
    ingestion.write(("a", "A", 1), ("b", "B", 16 * MINUTE), ("c", "C", 31 * MINUTE))
    ingestion.provision()
    ingestion.flow(endTime=START + 30 * MINUTE)

    ingestion.at(300 * MINUTE)

    assert [run["createdAt"] // 1000 - START for run in ingestion.runs()] == [15 * MINUTE, 30 * MINUTE]
    assert ingestion.landed() == [["a"], ["b"]]


def test_a_flow_maps_by_the_version_of_its_mapping_set(ingestion: Any) -> None:
    ingestion.write(("a", "Ann", 1))
    ingestion.provision()
    ingestion.flow()
    path = f"{CONVERSION}/mappingSets/{ingestion.mapping_set}"
    now = ingestion.caller.send("GET", path).json
    newer = {"outputSchema": now["outputSchema"], "mappings": now["mappings"][:1]}
    assert ingestion.caller.send("PUT", path, newer).status == 200
    ingestion.at(15 * MINUTE)
    [batch] = ingestion.batches()
    [row] = pq.read_table(ingestion.part(batch)).to_pylist()
    assert row == {"_id": "a", "person": {"name": {"firstName": "Ann"}}}


def test_two_flows_into_one_data_set_collect_each_for_itself(ingestion: Any) -> None:
    ingestion.write(("a", "A", 1), ("b", "B", 16 * MINUTE))
    ingestion.provision()
    ingestion.flow()
    ingestion.flow(frequency="hour")
    ingestion.at(75 * MINUTE)
    assert ingestion.landed() == [["a"], ["a"], ["b"], ["b"]]
    data_set = ingestion.caller.send("GET", f"{CATALOG}/dataSets/{ingestion.data_set}").json[ingestion.data_set]
    assert data_set["statsCache"]["recordCount"] == 4
    assert data_set["statsCache"]["batchCount"] == 4


def test_files_of_a_deleted_data_set_are_removed_at_the_next_start(ingestion: Any) -> None:
    ingestion.write(("a", "A", 1))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    assert ingestion.caller.send("DELETE", f"{CATALOG}/dataSets/{ingestion.data_set}").status == 200
    ingestion.emulator.close()
    ingestion.open()
    assert list(ingestion.lake.batches()) == []


def test_a_thousand_columns_and_a_cell_of_ten_megabytes_land(ingestion: Any) -> None:
    names = ["Product_Id", "Product_Name", "Create_Time", *(f"c{number}" for number in range(997))]
    big = "x" * 10_000_000
    row = ["a", big, "2023-11-14 00:00:00", *(["1"] * 997)]
    (ingestion.folder / "PayPal.Catalog_Products.csv").write_text(f"{','.join(names)}\n{','.join(row)}\n")
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    assert ingestion.statuses() == ["success"]
    [batch] = ingestion.batches()
    assert pq.read_table(ingestion.part(batch)).to_pylist()[0]["person"]["name"]["firstName"] == big


def test_json_lines_and_parquet_are_collected_like_csv(ingestion: Any) -> None:
    path = ingestion.folder / "PayPal.Catalog_Products.jsonl"
    path.write_text('{"Product_Id": "a", "Product_Name": "Ann", "Create_Time": "2023-11-14T00:00:00Z"}\n')
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    path.unlink()
    later = {"Product_Id": ["b"], "Product_Name": ["Bob"], "Create_Time": ["2023-11-14T22:30:00Z"]}
    pq.write_table(pa.table(later), ingestion.folder / "PayPal.Catalog_Products.parquet")
    ingestion.at(30 * MINUTE)
    assert ingestion.statuses() == ["success", "success"]
    assert ingestion.landed() == [["a"], ["b"]]


def test_other_sandboxes_collect_into_their_own(ingestion: Any) -> None:
    ingestion.write(("a", "A", 1))
    ingestion.caller.sandbox = "dev"
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    assert ingestion.runs() == []
    [run] = ingestion.emulator.objects("runs", "dev")
    assert run["metrics"]["statusSummary"]["status"] == "success"
    [batch] = ingestion.emulator.objects("batches", "dev")
    assert pq.read_table(ingestion.part(batch["id"])).num_rows == 1


def replaced(ingestion: Any, *rows: str) -> None:
    """Rename another file over the table."""
    new = ingestion.folder / "new"
    new.write_text("Product_Id,Product_Name,Create_Time\n" + "".join(f"{row}\n" for row in rows))
    new.replace(ingestion.folder / f"{TABLE}.csv")


def test_a_broken_row_of_a_shorter_file_in_the_tables_place_is_reported(ingestion: Any) -> None:
    ingestion.write(*((f"r{n}", "N", 1) for n in range(5)), ("bad", "N,surplus", 1))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    assert ingestion.statuses() == ["failed"]

    replaced(ingestion, "worse,N,surplus,more", f"good,N,{at(16 * MINUTE)}")
    ingestion.at(30 * MINUTE)

    assert ingestion.statuses() == ["failed", "failed"]
    assert any("row 1" in message and "worse" in message for message in ingestion.messages(ingestion.runs()[1]))
    ingestion.at(45 * MINUTE)
    assert ingestion.statuses()[2] == "success"  # once reported, it is passed over


def test_a_broken_row_is_reported_once_also_after_a_restart_and_in_a_whole_new_export(ingestion: Any) -> None:
    ingestion.write(("a", "A", 1), ("bad", "N,surplus", 1))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    ingestion.emulator.close()
    ingestion.open()
    ingestion.at(30 * MINUTE)
    table = (ingestion.folder / f"{TABLE}.csv").read_text().splitlines()[1:]
    replaced(ingestion, *table, f"b,B,{at(31 * MINUTE)}")
    ingestion.at(45 * MINUTE)

    assert ingestion.statuses() == ["failed", "success", "success"]
    assert ingestion.landed() == [["b"]]


def test_a_table_of_other_types_lands_alike_before_and_after_a_restart(ingestion: Any) -> None:
    for restart in (False, True):
        begin = (15 + 60 * restart) * MINUTE
        replaced(ingestion, f"1,7,{at(begin - 1)}")
        if not restart:
            ingestion.provision()
            ingestion.flow()
        ingestion.at(begin)
        replaced(ingestion, f"007,1.50,{at(begin + 1)}", f"x,n/a,{at(begin + 2)}")
        if restart:
            ingestion.emulator.close()
            ingestion.open()
        ingestion.at(begin + 15 * MINUTE)
        [first, second] = ingestion.rows_of_batches()[-1]
        assert (first["_id"], first["person"]["name"]["firstName"]) == ("007", "1.50")
        assert (second["_id"], second["person"]["name"]["firstName"]) == ("x", "n/a")
    assert set(ingestion.statuses()) == {"success"}


def test_a_column_that_nobody_maps_fails_no_row(ingestion: Any) -> None:
    ingestion.provision()
    (ingestion.folder / f"{TABLE}.csv").write_bytes(
        b"Product_Id,Product_Name,Create_Time,photo\n" + f"a,A,{at(1)},".encode() + b"\xff\xd8\n"
    )
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    assert ingestion.statuses() == ["success"]
    assert ingestion.landed() == [["a"]]
