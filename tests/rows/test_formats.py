"""Rows as a table, as JSON and as CSV: what is left out, and what stands for what JSON has not."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from flowledger.cli.rowformats import flattened, headed, plain, print_csv, print_table


async def rows(*given: Any) -> AsyncIterator[Any]:
    for row in given:
        yield row


def test_what_json_has_not_is_text_and_what_is_null_is_left_out() -> None:
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    row = {
        "a": None,
        "b": {"c": moment, "d": None},
        "e": Decimal("1.50"),
        "f": float("nan"),
        "g": b"\x00",
        "h": [None, 1],
    }
    assert plain(row) == {
        "b": {"c": "2026-01-02T03:04:05+00:00"},
        "e": "1.50",
        "f": "nan",
        "g": "AA==",
        "h": [None, 1],
    }


def test_a_nested_row_is_flat_by_dotted_paths() -> None:
    assert flattened({"a": {"b": {"c": 1}, "d": [2]}, "e": {}}) == {"a.b.c": 1, "a.d": [2]}


def test_a_column_is_headed_by_as_much_of_its_path_as_tells_it_from_the_others() -> None:
    columns = ["_id", "t.home.city", "t.work.city", "t.name", "name"]
    assert headed(columns) == {
        "_id": "_id",
        "t.home.city": "home.city",
        "t.work.city": "work.city",
        "t.name": "t.name",
        "name": "name",
    }


async def test_csv_has_every_column_that_any_row_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert await print_csv(rows({"a": 1}, {"a": True, "b": {"c": [1, "x"]}})) == 2
    assert capsys.readouterr().out == 'a,b.c\n1,\ntrue,"[1,""x""]"\n'


async def test_a_table_shows_the_columns_that_fit_and_says_how_many_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    wide = {f"column{number}": "x" * 60 for number in range(9)}
    assert await print_table(rows(wide), room=80) == 1
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["column0", "column1", "column2"]
    assert lines[-1] == "(6 more columns: --format jsonl)"
