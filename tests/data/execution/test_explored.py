"""Explore shows the tables, columns and rows of the user's own files (§4.4)."""

from __future__ import annotations

from typing import Any

from flowledger.emulator.caller import FLOW


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


def test_a_table_that_is_not_there_or_cannot_be_read_is_refused(ingestion: Any) -> None:
    ingestion.provision()
    (ingestion.folder / "Cut.parquet").write_bytes(b"PAR1 and no more")
    for name in ("None", "Cut"):
        reply = explored(ingestion, ("objectType", "table"), ("object", name))
        assert (reply.status, reply.code) == (400, "CONNECTOR-1330-400")
