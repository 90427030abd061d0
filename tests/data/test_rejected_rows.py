"""Rows that the schema does not take are noted with their values, their fields and why, however many there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowledger.emulator.data.collect import CONVERSION, FAILED_ROWS, FAULTY, SAMPLES, TOLD, Collected, Work, collect
from flowledger.emulator.data.columns import Mapper
from flowledger.emulator.data.json_texts import numbers_as_json, values_as_json
from flowledger.emulator.data.landing import DIAGNOSTICS, Lake
from flowledger.emulator.data.tables import SourceFolder
from flowledger.emulator.values import shown_number

TARGET: dict[str, Any] = {
    "properties": {
        "id": {"type": "string", "maxLength": 3},
        "n": {"type": "number", "maximum": -1},
        "list": {"type": "array", "maxItems": 1, "items": {"type": "string", "enum": ["a"]}},
    },
    "required": ["id"],
}
ODD = [
    'say "x"',
    "back\\slash",
    "tab\there",
    "line\r\nend",
    "Ünïcode 茶",
    "'quoted'",
    "\x7f",
    "",
    "12",
    "7.10",
    "12E4",
    "TRUE",
]


def collected(folder: Path, tmp_path: Path, *mappings: tuple[str, str], percent: int = 100) -> tuple[Collected, Any]:
    """Run over table t; what came of it, and a reader of its notes."""
    written = tuple({"sourceType": "ATTRIBUTE", "source": source, "destination": to} for source, to in mappings)
    work = Work(
        run="run", flow="flow", sandbox="prod", moment_ms=0, table="t", delta=None, start_ms=None, end_ms=None,
        reach_ms=None, passes=None, mappings=written, target=TARGET, data_set="set", batch="batch", percent=percent,
        diagnostics=True,
    )  # fmt: skip
    done = collect(work, SourceFolder(folder), Mapper, Lake(tmp_path))

    def notes(name: str) -> list[dict[str, Any]]:
        path = tmp_path / "lake" / "set" / "batch" / DIAGNOSTICS / name
        return [json.loads(line) for line in path.read_bytes().splitlines()]

    return done, notes


def test_every_rejected_row_is_noted_with_its_values_as_the_file_has_them(folder: Path, tmp_path: Path) -> None:
    cells = ['"' + text.replace('"', '""') + '"' for text in ODD]
    (folder / "t.csv").write_bytes(
        b"id,n,text\n" + "".join(f"r{n},5,{cell}\n" for n, cell in enumerate(cells)).encode()
    )

    done, notes = collected(folder, tmp_path, ("id", "id"), ("n", "n"))

    assert (done.failed_records, done.output_records) == (len(ODD), 0)
    found = notes(FAILED_ROWS)
    assert [row["text"] for row in found] == ODD
    assert [(row["id"], row["n"], row["_filename"]) for row in found] == [(f"r{n}", 5, "t") for n in range(len(ODD))]
    reason = "INGEST-1212-400: n: '5.0' is more than -1"
    assert [row["_errors"] for row in found] == [
        [
            {
                "code": FAULTY,
                "message": f"row {n}, column n, expression n: {reason}",
                "row": n,
                "column": "n",
                "expression": "n",
                "reason": reason,
            }
        ]
        for n in range(1, len(ODD) + 1)
    ]
    assert notes(CONVERSION) == found
    assert done.told == [f"t, {row['_errors'][0]['message']}" for row in found]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | st.from_regex(r"-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,4})?", fullmatch=True), min_size=1))
def test_numbers_are_noted_at_once_as_they_are_one_by_one(texts: list[str | None]) -> None:
    column = pa.array(texts, pa.string())
    found = numbers_as_json(column)
    if found is not None:
        values = [None if text is None else shown_number(float(text), text) for text in texts]
        assert found.to_pylist() == values_as_json(values).to_pylist()


@pytest.mark.parametrize("text", ODD)
def test_a_value_in_a_reason_is_written_as_python_writes_texts(folder: Path, tmp_path: Path, text: str) -> None:
    value = f"longer {text}"
    pq.write_table(pa.table({"id": [value, "ok"], "n": [-5, -5]}), folder / "t.parquet")

    _, notes = collected(folder, tmp_path, ("id", "id"), ("n", "n"))

    [row] = notes(FAILED_ROWS)
    assert row["id"] == value
    assert row["_errors"][0]["reason"] == f"INGEST-1212-400: id: {value!r} is longer than 3 characters"


def test_a_number_of_any_length_is_noted_and_shown_with_its_digits(folder: Path, tmp_path: Path) -> None:
    digits = "123456789012345678901234567890"
    (folder / "t.jsonl").write_text(f'{{"id": "long", "n": {digits}, "o": {{"n": [{digits}]}}}}\n')

    done, notes = collected(folder, tmp_path, ("id", "id"))
    assert done.failure == ""

    assert [(row["n"], row["o"]) for row in notes(FAILED_ROWS)] == [(digits, {"n": [digits]})]
    assert orjson.dumps(SourceFolder(folder).preview("t", 1)) == orjson.dumps(
        [{"id": "long", "n": digits, "o": {"n": [digits]}}]
    )


def test_all_faults_of_a_row_are_one_note_and_only_the_first_rows_are_samples(folder: Path, tmp_path: Path) -> None:
    (folder / "t.jsonl").write_text('{"id": "long", "n": 7.10, "l": ["b", "c"]}\n' * 50 + '{"n": null, "l": []}\n')

    done, notes = collected(folder, tmp_path, ("id", "id"), ("n", "n"), ("l", "list"))

    assert done.failed_records == 51
    first, last = notes(FAILED_ROWS)[0], notes(FAILED_ROWS)[-1]
    assert (first["n"], first["l"]) == ("7.10", ["b", "c"])
    assert first["_errors"][0]["reason"].split("; ") == [
        "INGEST-1212-400: id: 'long' is longer than 3 characters",
        "INGEST-1212-400: n: '7.1' is more than -1",
        "INGEST-1212-400: list has 2 entries, at most 1 are allowed",
        "INGEST-1212-400: list[]: 'b' is none of a",
        "INGEST-1212-400: list[]: 'c' is none of a",
    ]
    assert last["_errors"][0]["reason"] == "INGEST-1212-400: the required field id is missing"
    assert len(notes(SAMPLES)) == len(done.told) == TOLD
