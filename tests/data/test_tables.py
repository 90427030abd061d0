"""Source files as tables: columns, previews, windows, and what is broken in a file."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowledger.emulator.data.tables import Batch, Broken, SourceFolder, SourceUnreadable, TableUnknown


def everything(
    sources: SourceFolder, name: str, delta: str | None = None, start_ms: int | None = None, end_ms: int | None = None
) -> tuple[list[dict[str, Any]], list[Broken]]:
    """All rows of a table in the window, and all that is broken."""
    return parted(sources.batches(name, delta=delta, start_ms=start_ms, end_ms=end_ms))


def parted(found: Iterable[Batch | Broken]) -> tuple[list[dict[str, Any]], list[Broken]]:
    rows: list[dict[str, Any]] = []
    broken: list[Broken] = []
    for part in found:
        if isinstance(part, Broken):
            broken.append(part)
        else:
            rows += part.table.to_pylist()
    return rows, broken


def types(sources: SourceFolder, name: str) -> dict[str, str]:
    return {column.name: column.type for column in sources.columns(name)}


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_a_file_is_a_table_of_its_name_without_the_ending(folder: Path, sources: SourceFolder) -> None:
    (folder / "PayPal.Catalog_Products.csv").write_text("a\n1\n")
    (folder / "orders.jsonl").write_text('{"a": 1}\n')
    (folder / "notes.txt").write_text("no table")
    pq.write_table(pa.table({"a": [1]}), folder / "payouts.parquet")

    assert sources.names() == ["PayPal.Catalog_Products", "orders", "payouts"]


def test_two_files_of_one_name_are_refused_and_named(folder: Path, sources: SourceFolder) -> None:
    (folder / "orders.csv").write_text("a\n1\n")
    (folder / "orders.jsonl").write_text('{"a": 1}\n')

    with pytest.raises(SourceUnreadable, match="orders\\.csv and orders\\.jsonl"):
        sources.columns("orders")


def test_a_table_that_is_not_there_is_told_with_those_that_are(folder: Path, sources: SourceFolder) -> None:
    (folder / "orders.csv").write_text("a\n1\n")

    with pytest.raises(TableUnknown, match=r"'order'.*orders"):
        sources.preview("order", 5)


def test_types_come_from_the_values_and_numbers_as_text_stay_text(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.csv").write_text(
        "id,price,zip,card,at,day,ok,name,empty,plus,odd\n"
        "1,2.50,00501,12345678901234567890,2024-05-01 10:00:00,2024-05-01,true,Ünïcode 茶,,+1,2024-02-30\n"
        "2,,75001,2,2024-05-01T10:00:00+02:00,2024-05-02,FALSE,,,2,2024-02-28\n"
    )

    assert types(sources, "t") == {
        "id": "integer",
        "price": "number",
        "zip": "string",
        "card": "string",
        "at": "date-time",
        "day": "date",
        "ok": "boolean",
        "name": "string",
        "empty": "string",
        "plus": "string",
        "odd": "string",
    }
    first, second = sources.preview("t", 5)
    assert first["zip"] == "00501"
    assert first["card"] == "12345678901234567890"
    assert first["name"] == "Ünïcode 茶"
    assert first["at"] == "2024-05-01 10:00:00"
    assert second["price"] is None
    assert (first["ok"], second["ok"]) == (True, "FALSE")


def test_quotes_hold_line_ends_and_an_empty_quoted_value_is_no_null(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.csv").write_bytes(b'\xef\xbb\xbfa,"odd, name"\r\n1,"x\r\ny"\r\n2,""\r\n3,\r\n')

    rows, broken = everything(sources, "t")

    assert [row["odd, name"] for row in rows] == ["x\r\ny", "", None]
    assert broken == []


def test_a_broken_line_is_reported_with_its_row_and_the_others_are_read(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.csv").write_bytes(b"a,b\n1,x\n2\n3,y,z\n4,\xff\n5,w\n")

    rows, broken = everything(sources, "t")

    assert [row["a"] for row in rows] == [1, 5]
    assert [one.row for one in broken] == [2, 3, 4]
    assert "1 values in a table of 2 columns: '2'" in broken[0].reason
    assert "column b: no UTF-8" in broken[2].reason


def test_rows_keep_their_numbers_behind_broken_lines(folder: Path, sources: SourceFolder) -> None:
    lines = [f"{n},v{n}" if n % 7 else f"{n}" for n in range(1, 101)]
    (folder / "t.csv").write_text("a,b\n" + "\n".join(lines) + "\n")

    found = list(sources.batches("t", delta=None, start_ms=None, end_ms=None, rows=10))

    for batch in found:
        if isinstance(batch, Batch):
            assert batch.table.column("a").to_pylist() == batch.numbers.to_pylist()
            assert batch.first_row == batch.numbers[0].as_py()
    assert [one.row for one in found if isinstance(one, Broken)] == list(range(7, 101, 7))


def test_a_value_that_does_not_fit_its_columns_type_is_its_text_and_rejects_no_row(
    folder: Path, sources: SourceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The type is that of the first rows; what comes behind them may be anything."""
    monkeypatch.setattr("flowledger.emulator.data.csv_tables.BLOCK", 64)
    path = folder / "t.csv"
    path.write_text("a,b,c\n" + "1,1.5,true\n" * 20 + "two,inf,1\n4,4,FALSE\n")
    assert types(sources, "t") == {"a": "integer", "b": "number", "c": "boolean"}

    rows, broken = everything(sources, "t")

    assert broken == []
    assert rows[-2:] == [{"a": None, "b": None, "c": None}, {"a": 4, "b": 4.0, "c": False}]
    last = list(sources.batches("t", delta=None, start_ms=None, end_ms=None))[-1]
    assert isinstance(last, Batch)
    assert last.rows(["a", "b", "c"])[-2:] == [{"a": "two", "b": "inf", "c": "1"}, {"a": 4, "b": 4.0, "c": "FALSE"}]


def test_types_are_told_anew_from_a_file_that_has_changed(folder: Path, sources: SourceFolder) -> None:
    path = folder / "t.csv"
    path.write_text("a,b\n1,x\n")
    assert types(sources, "t") == {"a": "integer", "b": "string"}

    path.write_text("a,c\n1.5,7\n2,8\n")

    assert types(sources, "t") == {"a": "number", "c": "integer"}
    assert everything(sources, "t") == ([{"a": 1.5, "c": 7}, {"a": 2.0, "c": 8}], [])


def test_what_is_appended_during_a_reading_is_for_the_next_one(folder: Path, sources: SourceFolder) -> None:
    path = folder / "t.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n')
    found = sources.batches("t", delta=None, start_ms=None, end_ms=None, rows=1)
    first = next(found)
    with path.open("a") as file:
        file.write('{"a": 3}\n')

    rows, _ = parted([first, *found])

    assert [row["a"] for row in rows] == [1, 2]
    assert [row["a"] for row in everything(sources, "t")[0]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("cut", "rest"),
    [(b"2,20", b"0\n3,300\n"), (b"2", b"0,200\n")],
    ids=["which looks whole", "which lacks a column"],
)
def test_a_line_that_is_being_written_is_no_row(
    folder: Path, sources: SourceFolder, monkeypatch: pytest.MonkeyPatch, cut: bytes, rest: bytes
) -> None:
    """Half a number is a number too: where the file has grown by the end of the reading, the last line was half."""
    monkeypatch.setattr("flowledger.emulator.data.csv_tables.BLOCK", 2**12)
    path = folder / "t.csv"
    whole = "a,b\n" + "".join(f"{n},100\n" for n in range(1000))
    path.write_bytes(whole.encode() + cut)
    found = sources.batches("t", delta=None, start_ms=None, end_ms=None)
    first = next(found)
    with path.open("ab") as file:
        file.write(rest)

    rows, broken = parted([first, *found])

    assert ([row["a"] for row in rows], [one.row for one in broken]) == (list(range(1000)), [1001])
    assert len(everything(sources, "t")[0]) == 1000 + len((cut + rest).splitlines())


def test_a_last_line_without_an_end_is_a_row_of_a_file_at_rest(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.csv").write_bytes(b"a,b\n1,100\n2,20")

    assert everything(sources, "t") == ([{"a": 1, "b": 100}, {"a": 2, "b": 20}], [])


def test_a_table_that_is_replaced_while_it_is_read_is_read_as_it_was(
    folder: Path, sources: SourceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names, rows and the second reading for long rows are all of one file."""
    monkeypatch.setattr("flowledger.emulator.data.csv_tables.BLOCK", 2**12)
    path, new = folder / "t.csv", folder / "new"
    path.write_text("a,b\n" + "".join(f"{n},old\n" for n in range(2000)) + f"2000,{'y' * 10_000}\n")
    new.write_text("b,a\n" + "new,1\n" * 3000)
    found = sources.batches("t", delta=None, start_ms=None, end_ms=None)
    first = next(found)
    new.replace(path)

    rows, broken = parted([first, *found])

    assert ([row["a"] for row in rows], broken) == (list(range(2001)), [])
    assert everything(sources, "t")[0][0] == {"b": "new", "a": 1}


def test_a_table_that_becomes_shorter_while_it_is_read_says_so(
    folder: Path, sources: SourceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowledger.emulator.data.csv_tables.BLOCK", 2**12)
    path = folder / "t.csv"
    path.write_text("a,b\n" + "".join(f"{n},x\n" for n in range(5000)))
    found = sources.batches("t", delta=None, start_ms=None, end_ms=None)
    first = next(found)
    path.write_text("a,b\n1,y\n")

    with pytest.raises(SourceUnreadable, match="became shorter while it was read"):
        parted([first, *found])


def test_json_lines_nest_and_name_each_broken_line(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.jsonl").write_text(
        '{"n": 1, "text": "12", "who": {"name": "Ann", "tags": ["a"]}, "at": "2024-05-01T10:00:00Z"}\n'
        '[1]\n{"n": 2, "who": null}\n\n{bad\n{"n": "x", "who": {"name": "Bo"}}\n{"n": 4, "who": {"name": "Cy"}}\n'
    )

    assert types(sources, "t") == {"n": "string", "text": "string", "who": "object", "at": "date-time"}
    rows, broken = everything(sources, "t")
    assert [row["n"] for row in rows] == ["1", "2", "x", "4"]
    assert rows[0]["who"] == {"name": "Ann", "tags": ["a"]}
    assert [one.row for one in broken] == [2, 4]
    assert "no JSON object" in broken[0].reason


def test_parquet_shows_moments_as_texts_and_decimals_as_numbers(folder: Path, sources: SourceFolder) -> None:
    moment = datetime(2024, 5, 1, 10, 0, 0, 250000, tzinfo=UTC)
    table = pa.table(
        {
            "at": pa.array([moment, moment.replace(microsecond=0), None], pa.timestamp("ms", tz="UTC")),
            "day": pa.array([moment.date(), None, None]),
            "n": pa.array([1, 2, 3], pa.int16()),
            "name": pa.array(["a", "b", "a"]).dictionary_encode(),
        }
    )
    pq.write_table(table, folder / "t.parquet")

    assert types(sources, "t") == {"at": "date-time", "day": "date", "n": "integer", "name": "string"}
    assert sources.preview("t", 2) == [
        {"at": "2024-05-01T10:00:00.250Z", "day": "2024-05-01", "n": 1, "name": "a"},
        {"at": "2024-05-01T10:00:00Z", "day": None, "n": 2, "name": "b"},
    ]


def test_a_parquet_file_cut_short_says_so(folder: Path, sources: SourceFolder) -> None:
    path = folder / "t.parquet"
    pq.write_table(pa.table({"a": list(range(1000))}), path)
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(SourceUnreadable, match=r"t\.parquet is no whole Parquet file: cut short"):
        everything(sources, "t")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "is empty"),
        ("a,a\n1,2\n", "two columns are called 'a'"),
        (" , \n1,2\n", "no column has a name"),
        ("a,b\x00\n1,2\n", "column 2 has no printable name"),
        ("sep=;\na;b\n1;2\n", "line 1 says sep=, as Excel writes it"),
        ("\ufeffsep=,\na,b\n", "line 1 says sep=, as Excel writes it"),
        ("a;b\n1;2\n", "line 1 parts the columns with ';'"),
        ("a\tb\n1\t2\n", "line 1 parts the columns with a tab"),
        ('a,"b\n1,2\n', "a quote is never closed"),
    ],
)
def test_a_csv_without_usable_names_is_refused(folder: Path, sources: SourceFolder, written: str, said: str) -> None:
    (folder / "t.csv").write_text(written)

    with pytest.raises(SourceUnreadable, match=said):
        sources.columns("t")


def test_a_csv_in_utf_16_is_told_how_to_be_saved(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.csv").write_text("a,b\n1,2\n", encoding="utf-16")

    with pytest.raises(SourceUnreadable, match="save it as UTF-8"):
        sources.columns("t")


def test_a_csv_of_names_only_is_a_table_without_rows(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.csv").write_text("a,b\n")

    assert types(sources, "t") == {"a": "string", "b": "string"}
    assert everything(sources, "t") == ([], [])


def test_a_window_holds_its_start_and_not_its_end(folder: Path, sources: SourceFolder) -> None:
    moments = ["2024-05-01 09:59:59", "2024-05-01 10:00:00", "2024-05-01 10:00:00", "2024-05-01 11:00:00"]
    (folder / "t.csv").write_text("n,at\n" + "".join(f"{n},{at}\n" for n, at in enumerate(moments)))

    rows, broken = everything(sources, "t", "at", ms("2024-05-01T10:00:00"), ms("2024-05-01T11:00:00"))

    assert [row["n"] for row in rows] == [1, 2]
    assert broken == []


def test_windows_side_by_side_take_every_row_once(folder: Path, sources: SourceFolder) -> None:
    start = ms("2024-05-01T00:00:00")
    texts = [
        "2024-05-01 00:00:00",
        "2024-05-01T00:00:00.999Z",
        "2024-05-01T00:00:01+00:00",
        "2024-05-01T02:00:01+02:00",
        "2024-05-01",
        "2024-05-01 00:00:02.5",
    ]
    (folder / "t.csv").write_text("n,at\n" + "".join(f"{n},{at}\n" for n, at in enumerate(texts)))

    taken: list[int] = []
    for second in range(4):
        rows, broken = everything(sources, "t", "at", start + second * 1000, start + (second + 1) * 1000)
        taken += [row["n"] for row in rows]
        assert broken == []

    assert sorted(taken) == list(range(len(texts)))
    assert taken[:3] == [0, 1, 4]


def test_rows_without_a_date_in_the_delta_column_are_reported(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.csv").write_text("n,at\n1,2024-05-01 00:00:00\n2,\n3,yesterday\n4,2024-05-02 00:00:00\n")

    rows, broken = everything(sources, "t", "at", ms("2024-05-01T00:00:00"), ms("2024-05-02T00:00:00"))

    assert [row["n"] for row in rows] == [1]
    assert broken == [
        Broken(2, "the delta column at is empty"),
        Broken(3, "the delta column at is no date: 'yesterday'"),
    ]


def test_milliseconds_are_a_delta_column_too(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.csv").write_text("n,at\n1,1700000000999\n2,1700000001000\n3,1700000002000\n")

    assert [row["n"] for row in everything(sources, "t", "at", 1_700_000_001_000, 1_700_000_002_000)[0]] == [2]


def test_a_delta_column_that_is_gone_is_named(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.csv").write_text("n\n1\n")

    with pytest.raises(SourceUnreadable, match=r"t\.csv has no column 'at'"):
        sources.batches("t", delta="at", start_ms=None, end_ms=None)


def test_batches_are_no_larger_than_asked_for(folder: Path, sources: SourceFolder) -> None:
    for name, lines in (("c.csv", "a\n" + "1\n" * 1000), ("j.jsonl", '{"a": 1}\n' * 1000)):
        (folder / name).write_text(lines)
    pq.write_table(pa.table({"a": [1] * 1000}), folder / "p.parquet")

    for name in ("c", "j", "p"):
        sizes = [
            len(batch.table)
            for batch in sources.batches(name, delta=None, start_ms=None, end_ms=None, rows=300)
            if isinstance(batch, Batch)
        ]
        assert sizes == [300, 300, 300, 100], name


def test_a_thousand_columns_and_a_long_cell_are_read(folder: Path, sources: SourceFolder) -> None:
    names = [f"c{n}" for n in range(1000)]
    (folder / "t.csv").write_text(",".join(names) + "\n" + ",".join(["x" * 10 * 2**20, *names[1:]]) + "\n")

    rows, broken = everything(sources, "t")

    assert len(rows[0]["c0"]) == 10 * 2**20
    assert rows[0]["c999"] == "c999"
    assert broken == []


def test_a_quote_that_is_never_closed_is_told_with_its_row(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.csv").write_text('a,b\n1,x\n2,"open\n3,y\n4,z\n')

    rows, broken = everything(sources, "t")

    assert rows == [{"a": 1, "b": "x"}]
    assert [one.row for one in broken] == [2]
    assert "a quote is never closed" in broken[0].reason


def test_a_row_longer_than_a_block_is_read_after_the_rows_before_it(
    folder: Path, sources: SourceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowledger.emulator.data.csv_tables.BLOCK", 2**12)
    lines = [f"{n},{'y' * (20_000 if n == 700 else 10)}" if n % 90 else f"{n}" for n in range(1, 1001)]
    (folder / "t.csv").write_text("a,b\n" + "\n".join(lines) + "\n")

    rows, broken = everything(sources, "t")

    assert [row["a"] for row in rows] == [n for n in range(1, 1001) if n % 90]
    assert [one.row for one in broken] == list(range(90, 1001, 90))
    assert len(rows[[row["a"] for row in rows].index(700)]["b"]) == 20_000


def test_a_row_longer_than_the_longest_block_is_told_with_the_row_before(
    folder: Path, sources: SourceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowledger.emulator.data.csv_tables.BLOCK", 2**12)
    monkeypatch.setattr("flowledger.emulator.data.csv_tables.LONG_BLOCK", 2**20)
    (folder / "t.csv").write_text("a,b\n1,x\n2," + "y" * 3 * 2**20 + "\n")

    with pytest.raises(SourceUnreadable, match=r"after row 1: a row is longer than 1 MB"):
        everything(sources, "t")
