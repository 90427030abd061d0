"""Explore shows the tables, columns and rows of the user's own files (§4.4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowledger.emulator.caller import FLOW

TABLE = "PayPal.Catalog_Products"


def explored(ingestion: Any, *query: tuple[str, str]) -> Any:
    return ingestion.caller.send("GET", f"{FLOW}/connections/{ingestion.base}/explore", query=query)


def test_the_root_shows_the_files_of_the_folder(ingestion: Any) -> None:
    ingestion.provision()
    (ingestion.folder / "Mine.jsonl").write_text('{"a": 1}\n')
    (ingestion.folder / "notes.txt").write_text("no table\n")
    found = explored(ingestion, ("objectType", "root")).json
    assert [entry["path"] for entry in found] == ["Mine"]


def test_columns_have_the_types_of_their_values(ingestion: Any) -> None:
    ingestion.provision()
    (ingestion.folder / "Mine.csv").write_text("name,price,count,made\nx,1.5,2,2024-01-02T03:04:05Z\n")
    found = explored(ingestion, ("objectType", "table"), ("object", "Mine"), ("preview", "true")).json
    assert [(column["name"], column["meta:xdmType"]) for column in found["schema"]["columns"]] == [
        ("name", "string"),
        ("price", "number"),
        ("count", "integer"),
        ("made", "date-time"),
    ]
    assert [row["name"] for row in found["data"]] == ["x"]


def test_a_preview_shows_values_as_the_file_has_them(ingestion: Any) -> None:
    ingestion.provision()
    (ingestion.folder / "Mine.csv").write_text("sku,n,ok\n7.10,5,TRUE\n12E4,007,true\n3,6,false\n")
    found = explored(ingestion, ("objectType", "table"), ("object", "Mine"), ("preview", "true")).json
    assert found["data"] == [
        {"sku": "7.10", "n": "5", "ok": "TRUE"},
        {"sku": "12E4", "n": "007", "ok": True},
        {"sku": 3, "n": "6", "ok": False},
    ]


def test_a_preview_of_a_damaged_file_is_refused(ingestion: Any) -> None:
    ingestion.provision()
    path = ingestion.folder / "Cut.csv"
    path.write_bytes(b'id,at\n1,2024-01-01\n"never closed,' + b"x" * (40 * 2**20))
    for preview, status in (("false", 200), ("true", 400)):
        reply = explored(ingestion, ("objectType", "table"), ("object", "Cut"), ("preview", preview))
        assert reply.status == status, preview
    assert reply.code == "CONNECTOR-1330-400"
    assert "a quote is never closed" in str(reply.json)


def test_what_lies_in_the_folder_and_is_no_table_is_named_at_the_start(ingestion_with: Any, folder: Path) -> None:
    for name in ("t.csv", "gz.csv.gz", ".hidden.csv"):
        (folder / name).write_text("a\n1\n")
    (folder / "spark.parquet").mkdir()
    (folder / "gone.csv").symlink_to("../moved/gone.csv")

    [notice] = ingestion_with().emulator.warnings

    for named in ("gz.csv.gz", "spark.parquet (a folder)", "gone.csv (a link to what is not there)"):
        assert named in notice
    assert "t.csv" not in notice
    assert ".hidden" not in notice


def test_a_run_over_a_link_whose_target_is_gone_says_so(ingestion: Any) -> None:
    ingestion.provision()
    ingestion.flow()
    (ingestion.folder / f"{TABLE}.csv").symlink_to("../moved/it.csv")
    ingestion.at(15 * 60)
    assert ingestion.statuses() == ["failed"]
    assert "is a link to ../moved/it.csv, which is not there" in ingestion.messages(ingestion.runs()[0])[0]


def test_a_table_that_is_not_there_or_cannot_be_read_is_refused(ingestion: Any) -> None:
    ingestion.provision()
    (ingestion.folder / "Cut.parquet").write_bytes(b"PAR1 and no more")
    for name in ("None", "Cut"):
        reply = explored(ingestion, ("objectType", "table"), ("object", name))
        assert (reply.status, reply.code) == (400, "CONNECTOR-1330-400")
