"""Generated tables: the same from the same seed, believable, and awkward in every way that they promise."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flowledger.cli.app import app
from flowledger.emulator.data.generate import TABLES, TableInvalid, generate, rows_of
from flowledger.emulator.data.tables import Batch, SourceFolder
from flowledger.emulator.source_kinds import known_kinds


def moments(rows: list[dict[str, Any]], name: str) -> list[datetime]:
    return [datetime.fromisoformat(row[name]) for row in rows]


@pytest.mark.parametrize("table", sorted(TABLES))
def test_the_same_seed_makes_the_same_rows_and_another_seed_others(table: str) -> None:
    rows = list(rows_of(table, count=50, seed=7))

    assert rows == list(rows_of(table, count=50, seed=7))
    assert rows != list(rows_of(table, count=50, seed=8))


def test_a_row_does_not_depend_on_how_many_there_are() -> None:
    longer = list(rows_of("PayPal.Transactions", count=2500))

    assert list(rows_of("PayPal.Transactions", count=10, first=1995)) == longer[1994:2004]


@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_table_has_the_columns_of_its_kind_of_source(table: str) -> None:
    kind = next(kind for kind in known_kinds() if table in kind.tables)
    row = next(rows_of(table, count=1))

    assert {column.name for column in kind.tables[table]} <= set(row)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_file_is_read_back_row_by_row(folder: Path, sources: SourceFolder, table: str, suffix: str) -> None:
    generate(table, folder / f"{table}{suffix}", rows=300, seed=3)

    (batch,) = sources.batches(table, delta=None, start_ms=None, end_ms=None)
    assert isinstance(batch, Batch)
    expected = list(rows_of(table, count=300, seed=3))
    for got, wanted in zip(batch.table.to_pylist(), expected, strict=True):
        for name, value in wanted.items():
            if isinstance(value, str) and suffix == ".parquet" and got[name] != value:
                assert datetime.fromisoformat(got[name]) == datetime.fromisoformat(value)
            elif name == "Fee" and suffix == ".csv":
                assert float(got[name]) == float(value)
            else:
                assert got[name] == value, (name, got[name], value)
    types = {column.name: column.type for column in sources.columns(table)}
    assert "date-time" in types.values()
    assert not list(folder.glob(".*"))


def test_the_data_is_awkward_in_every_way_that_is_promised() -> None:
    products = list(rows_of("PayPal.Catalog_Products", count=3000))
    payments = list(rows_of("PayPal.Transactions", count=3000))
    times = moments(payments, "Create_Time")

    assert any(row["Description"] is None for row in products)
    assert any(not row["Product_Name"].isascii() for row in products)
    assert any("\n" in (row["Description"] or "") for row in products)
    assert any('"' in row["Product_Name"] for row in products)
    assert all(row["Amount"] == int(row["Amount"]) for row in payments if row["Currency"] in ("JPY", "KRW"))
    assert any(round(row["Amount"], 2) != row["Amount"] for row in payments if row["Currency"] == "KWD")
    assert any((row["Invoice_Number"] or "").startswith("00") for row in payments)
    assert all(isinstance(row["Fee"], str) for row in payments)
    assert len({time.utcoffset() for time in times}) > 3
    assert len(set(times)) < len(times) * 0.97
    late = sum(time < earlier for earlier, time in pairwise(times))
    assert 30 < late < 300
    assert all(row["Transaction_Id"] for row in payments)
    assert len({row["Transaction_Id"] for row in payments}) == len(payments)


def test_times_begin_where_asked_and_go_on_as_asked() -> None:
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    times = moments(list(rows_of("public.orders", count=1000, begin=begin, every_s=1.0)), "updated_at")

    assert max(times) < begin + timedelta(seconds=1000)
    assert min(times) > begin - timedelta(hours=2)
    assert sum(time >= begin for time in times) > 950


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_file_that_was_appended_to_equals_one_made_at_once(tmp_path: Path, suffix: str) -> None:
    grown, whole = tmp_path / f"grown{suffix}", tmp_path / f"whole{suffix}"
    generate("PayPal.Catalog_Products", grown, rows=1200)
    made = generate("PayPal.Catalog_Products", grown, rows=900, append=True)
    generate("PayPal.Catalog_Products", whole, rows=2100)

    assert (made.rows, made.total) == (900, 2100)
    assert grown.read_bytes() == whole.read_bytes()


def test_an_earlier_file_stays_when_a_new_one_cannot_be_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    generate("public.orders", path, rows=10)
    before = path.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flowledger.emulator.data.generate._write", full)
    with pytest.raises(OSError, match="No space left"):
        generate("public.orders", path, rows=20)

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_generated_is_told(tmp_path: Path) -> None:
    with pytest.raises(TableInvalid, match=r"no table 'PayPal\.Nothing' to generate; there are PayPal\.C"):
        generate("PayPal.Nothing", tmp_path / "t.csv", rows=1)
    with pytest.raises(TableInvalid, match=r"ends in \.csv, \.jsonl or \.parquet"):
        generate("public.orders", tmp_path / "t.xlsx", rows=1)
    with pytest.raises(TableInvalid, match="Parquet files do not grow"):
        generate("public.orders", tmp_path / "t.parquet", rows=1, append=True)
    (tmp_path / "cut.csv").write_text("order_id\n1\n2")
    with pytest.raises(TableInvalid, match="ends in the middle of a line"):
        generate("public.orders", tmp_path / "cut.csv", rows=1, append=True)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.csv"]


def test_the_verb_writes_a_file_and_says_how_many_rows_it_has(tmp_path: Path) -> None:
    call = ["emulator", "generate", "Square.Payments", "--rows", "25", "--to", str(tmp_path), "--json"]
    first = CliRunner().invoke(app, call)
    second = CliRunner().invoke(app, [*call, "--append"])

    assert (first.exit_code, second.exit_code) == (0, 0)
    path = tmp_path / "Square.Payments.csv"
    assert json.loads(second.stdout) == {
        "schema_version": 1,
        "table": "Square.Payments",
        "file": str(path),
        "rows": 25,
        "total": 50,
    }
    assert len(path.read_text().splitlines()) == 51


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["PayPal.Nothing", "--to", "t.csv"], "no table 'PayPal.Nothing'"),
        (["public.orders", "--to", "t.csv", "--begin", "today"], "'today' is no time"),
        (["public.orders", "--to", "t.csv", "--every", "often"], "'often' is not a duration"),
        (["public.orders", "--to", "nowhere/t.csv"], "No such file or directory"),
        (["public.orders", "--to", "t.csv", "--begin", "9999-12-31", "--every", "7d"], "leave the calendar"),
    ],
)
def test_the_verb_refuses_with_2_what_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)

    found = CliRunner().invoke(app, ["emulator", "generate", *arguments])

    assert found.exit_code == 2
    assert said in found.stderr
    assert list(tmp_path.iterdir()) == []
