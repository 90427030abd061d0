"""A text of a source is a text: it lands in a field of text character by character, whatever its column looks like."""

from __future__ import annotations

import io
import json
import string
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowledger.emulator.data.columns import Mapped, Mapper
from flowledger.emulator.data.tables import Batch, Broken, SourceFolder
from flowledger.emulator.row_filters import filter_of

TEXT = {"type": "string"}
TARGET = {
    "properties": {
        "text": TEXT,
        "more": TEXT,
        "number": {"type": "number"},
        "whole": {"type": "integer"},
        "truth": {"type": "boolean"},
        "day": {"type": "string", "format": "date"},
        "at": {"type": "string", "format": "date-time"},
    }
}
ODD = [
    *("02134", "1_2", "+15", " 12", "12 ", "12E4", "120000", "7.10", "1e3", "1.0", "-0", "-0.0", "0x1F", "NaN", "inf"),
    *("1f", "TRUE", "False", "true", "٣", "12345678901234567890", "12345678901234.567890", "0.1", "1.", ".5", "007"),
    *("2026-01-02 03:04:05 -0400", "2026-01-02", "2026-02-30", "1E-7", "null", "N/A", "x,y", 'say "x"', "a\r\nb", "é"),
]


def mapped_by(sources: SourceFolder, name: str, *mappings: tuple[str, str], rows: int = 65_536) -> list[Mapped]:
    """Map a table as a run does."""
    kinds = [("EXPRESSION" if "(" in source or ">" in source else "ATTRIBUTE", source, to) for source, to in mappings]
    mapper = Mapper([{"sourceType": k, "source": s, "destination": t} for k, s, t in kinds], TARGET)
    found = list(sources.batches(name, delta=None, start_ms=None, end_ms=None, rows=rows, named=mapper.reads))
    assert not [one for one in found if isinstance(one, Broken)], found
    return [mapper.map(batch) for batch in found if isinstance(batch, Batch)]


def column(mapped: Iterable[Mapped], name: str = "text") -> list[Any]:
    return [value for one in mapped for value in one.table.column(name).to_pylist()]


def written(path: Path, rows: Iterable[list[str | None]], header: str = "id,v") -> None:
    """A CSV in which null is nothing and every text stands in quotes where it has to."""
    text = io.StringIO(newline="")
    for row in rows:
        cells = ['""' if one == "" else "" if one is None else _cell(one) for one in row]
        text.write(",".join(cells) + "\r\n")
    path.write_bytes((header + "\r\n" + text.getvalue()).encode())


def _cell(text: str) -> str:
    """Quoted where it has to be. The module csv leaves a line end alone."""
    return '"' + text.replace('"', '""') + '"' if set(text) & set('",\r\n') else text


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("head", ["1", "1.5", "true", "2026-01-01", "2026-01-01 00:00:00", "word"])
def test_a_text_lands_character_by_character_behind_values_of_any_type(
    folder: Path, sources: SourceFolder, monkeypatch: pytest.MonkeyPatch, head: str, value: str
) -> None:
    monkeypatch.setattr("flowledger.emulator.data.csv_tables.BLOCK", 64)
    values = [head] * 20 + [value, head]
    written(folder / "t.csv", ([str(n), one] for n, one in enumerate(values)))

    assert column(mapped_by(sources, "t", ("v", "text"))) == values


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.lists(st.none() | st.sampled_from(ODD) | st.text(max_size=8), min_size=1, max_size=8),
    later=st.lists(st.none() | st.sampled_from(ODD) | st.text(max_size=8), max_size=8),
)
def test_any_text_of_a_csv_lands_as_it_is_in_the_first_rows_and_in_appended_ones(
    tmp_path_factory: pytest.TempPathFactory, first: list[str | None], later: list[str | None]
) -> None:
    def fine(values: list[str | None]) -> list[str | None]:
        return [None if one is None else one.encode("utf-8", "ignore").decode() for one in values]

    folder = tmp_path_factory.mktemp("sources")
    sources = SourceFolder(folder)
    first, later = fine(first), fine(later)
    written(folder / "t.csv", ([str(n), one] for n, one in enumerate(first)))
    assert column(mapped_by(sources, "t", ("v", "text"))) == first

    written(folder / "more", ([str(n), one] for n, one in enumerate(later)))
    with (folder / "t.csv").open("ab") as file:
        file.write((folder / "more").read_bytes().split(b"\r\n", 1)[1])

    assert column(mapped_by(sources, "t", ("v", "text"))) == [*first, *later]
    assert column(mapped_by(SourceFolder(folder), "t", ("v", "text"))) == [*first, *later]
    shown = [row["v"] for row in sources.preview("t", 100)]
    assert [None if one is None else _as_text(one) for one in shown] == [*first, *later]


def _as_text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def test_texts_keep_their_form_in_functions_that_take_texts(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.csv").write_text("sku,other,ok\n7.10,5,TRUE\n12E4,6.50,false\n3,,true\n")

    def found(expression: str) -> list[Any]:
        return column(mapped_by(sources, "t", (expression, "text")))

    assert found("concat(sku, '/', other, '/', ok)") == ["7.10/5/TRUE", "12E4/6.50/false", "3//true"]
    assert found("iif(sku > 5, sku, other)") == ["7.10", "12E4", None]
    assert found("coalesce(other, sku)") == ["5", "6.50", "3"]
    assert found("max(sku, other)") == ["7.10", "12E4", "3"]
    assert found("upper(ok)") == ["TRUE", "FALSE", "TRUE"]
    assert found("to_decimal(sku)") == ["7.1", "120000.0", "3.0"]  # computed: a number like others


def test_typed_fields_get_typed_values(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.csv").write_text("n,b\n7.10,TRUE\n12E4,false\n")
    mapped = mapped_by(sources, "t", ("n", "number"), ("b", "truth"), ("n > 100", "more"))

    assert column(mapped, "number") == [7.1, 120000.0]
    assert column(mapped, "truth") == [True, False]
    assert column(mapped, "more") == ["false", "true"]


@pytest.mark.parametrize("text", ["1_2", " 12", "12 ", "٣", "NaN", "inf", "1f", "0x1F", "1.2.3", "--1", "1e", "n/a"])
def test_what_is_no_number_is_null_and_reported_wherever_a_number_is_wanted(
    folder: Path, sources: SourceFolder, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("flowledger.emulator.data.csv_tables.BLOCK", 64)
    (folder / "t.csv").write_text("i,n,s\n" + "5,1.5,word\n" * 20 + f"{text},{text},{text}\n")

    for source in ("i", "n", "s"):
        for field in ("number", "whole"):
            [nulled] = [
                one for mapped in mapped_by(sources, "t", (source, field)) for one in mapped.nulled if one.row == 21
            ]
            assert "is no number" in nulled.reason
        [nulled] = [
            one
            for m in mapped_by(sources, "t", (f"to_decimal({source})", "number"))
            for one in m.nulled
            if one.row == 21
        ]
        assert "is no number" in nulled.reason


@pytest.mark.parametrize(("text", "value"), [("+15", 15), ("007", 7), ("1.", 1), (".5", 0.5), ("-1E+2", -100)])
def test_a_sign_zeros_a_point_and_an_exponent_make_a_number(
    folder: Path, sources: SourceFolder, monkeypatch: pytest.MonkeyPatch, text: str, value: float
) -> None:
    monkeypatch.setattr("flowledger.emulator.data.csv_tables.BLOCK", 64)
    (folder / "t.csv").write_text("i,n,s\n" + "5,1.5,word\n" * 20 + f"{text},{text},{text}\n")

    for source in ("i", "n", "s"):
        assert column(mapped_by(sources, "t", (source, "number")), "number")[-1] == value


def test_a_text_among_numbers_is_never_silently_compared(
    folder: Path, sources: SourceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowledger.emulator.data.csv_tables.BLOCK", 64)
    (folder / "t.csv").write_text("amount\n" + "5\n" * 40 + "n/a\n7.5\n")

    mapped = mapped_by(sources, "t", ("iif(amount > 6, 'large', 'small')", "text"), ("amount", "more"))

    assert column(mapped)[-2:] == [None, "large"]
    assert [one.row for part in mapped for one in part.nulled] == [41]
    assert column(mapped, "more")[-2:] == ["n/a", "7.5"]


def test_an_empty_cell_in_quotes_is_empty_in_a_text_and_null_elsewhere(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.csv").write_text('n,b,d,s\n"5","true","2026-01-02","x"\n"","","",""\n')

    mapped = mapped_by(
        sources, "t", ("n", "number"), ("b", "truth"), ("d", "day"), ("s", "text"), ("n", "more"), ("s", "whole")
    )

    assert [column(mapped, name)[1] for name in ("number", "truth", "day", "whole")] == [None] * 4
    assert column(mapped) == ["x", ""]
    assert column(mapped, "more") == ["5", ""]
    assert [(one.row, one.column) for part in mapped for one in part.nulled] == [(1, "whole")]  # 'x' is no number


def test_json_numbers_land_as_they_are_written(folder: Path, sources: SourceFolder) -> None:
    numbers = ["1e3", "1.0", "-0", "7.10", "18446744073709551616", "123456789012345678901234567890", "1E400", "5"]
    (folder / "t.jsonl").write_text(
        "".join(f'{{"v": {n}, "in": {{"v": {n}, "l": [{n}]}}, "mix": {n}}}\n' for n in numbers)
        + '{"v": "02134", "mix": "x"}\n{"v": null, "mix": {"a": 1.0}}\n{"v": true}\n'
    )

    assert column(mapped_by(sources, "t", ("v", "text"))) == [*numbers, "02134", None, "true"]
    assert column(mapped_by(sources, "t", ("mix", "text"))) == [*numbers, "x", '{"a":1.0}', None]
    assert column(mapped_by(sources, "t", ("in.v", "text")))[: len(numbers)] == numbers
    assert column(mapped_by(sources, "t", ("in.l[0]", "text")))[: len(numbers)] == numbers
    assert column(mapped_by(sources, "t", ("concat(v, '')", "text")))[: len(numbers)] == numbers
    assert column(mapped_by(sources, "t", ("v", "number")), "number")[:4] == [1000.0, 1.0, 0.0, 7.1]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
        | st.text(string.printable, max_size=8).map(json.dumps),
        min_size=1,
        max_size=8,
    )
)
def test_any_value_of_json_lands_as_it_is_written(tmp_path_factory: pytest.TempPathFactory, tokens: list[str]) -> None:
    tokens = [token if token.isascii() else "0" for token in tokens]
    folder = tmp_path_factory.mktemp("sources")
    (folder / "t.jsonl").write_text("".join(f'{{"v": {token}}}\n' for token in tokens))

    expected = [json.loads(token) if token.startswith('"') else token for token in tokens]
    assert column(mapped_by(SourceFolder(folder), "t", ("v", "text"))) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", '"A5"'), ("1.50", "12345678901234567890"), ("true", '"x"'), ("7", "[1.0]"), ("1", '{"y":1}')],
)
def test_a_value_inside_of_an_object_lands_whatever_type_it_has_in_other_rows(
    folder: Path, sources: SourceFolder, one: str, other: str
) -> None:
    lines = [f'{{"a": {{"k": {token}, "n": 1}}, "l": [{token}]}}\n' for token in (one, other, "null")]
    (folder / "t.jsonl").write_text("".join(lines))

    said = [one, other.strip('"'), None]
    assert [found.type for found in sources.columns("t")] == ["object", "array"]
    assert column(mapped_by(sources, "t", ("a.k", "text"))) == said
    assert column(mapped_by(sources, "t", ("l[0]", "text"))) == said
    assert column(mapped_by(sources, "t", ("a", "text"))) == [
        f'{{"k":{one},"n":1}}',
        f'{{"k":{other},"n":1}}',
        '{"k":null,"n":1}',
    ]
    assert column(mapped_by(sources, "t", ("a.n", "number")), "number") == [1.0, 1.0, 1.0]
    assert column(mapped_by(sources, "t", ("concat(a.k, '')", "text")))[:2] == said[:2]


def test_parquet_numbers_land_with_their_digits(folder: Path, sources: SourceFolder) -> None:
    money = [Decimal("12345678901234.567890"), Decimal("0.000000"), Decimal("-1.500000"), None]
    long = [Decimal("123456789012345678901234567890123456789012345.6"), Decimal("0.0"), Decimal("7.1"), None]
    table = {
        "money": pa.array(money, pa.decimal128(20, 6)),
        "long": pa.array(long, pa.decimal256(60, 1)),
        "tiny": pa.array([Decimal("0.0000000001"), Decimal("0E-10"), None, None], pa.decimal128(12, 10)),
        "short": pa.array([0.1, 16777216.0, 1e-7, None], pa.float32()),
        "big": pa.array([2**64 - 1, 1, None, 2], pa.uint64()),
        "in": pa.array([{"m": one} for one in money], pa.struct([("m", pa.decimal128(20, 6))])),
    }
    pq.write_table(pa.table(table), folder / "t.parquet")

    def found(name: str, field: str = "text") -> list[Any]:
        return column(mapped_by(sources, "t", (name, field)), field)

    assert found("money") == ["12345678901234.567890", "0.000000", "-1.500000", None]
    assert found("money", "number") == [12345678901234.568, 0.0, -1.5, None]
    assert found("long") == [*(str(one) for one in long[:3]), None]
    assert found("tiny") == ["0.0000000001", "0.0000000000", None, None]
    assert found("short") == ["0.1", "16777216.0", "1e-07", None]
    assert found("big") == ["18446744073709551615", "1", None, "2"]
    assert found("big", "number")[0] == float(2**64 - 1)
    assert found("in.m") == found("money")
    assert found("concat(money, '')")[:3] == found("money")[:3]
    assert sources.preview("t", 1)[0]["money"] == "12345678901234.567890"


def test_texts_that_parquet_holds_as_views_are_read_shown_and_filtered(folder: Path, sources: SourceFolder) -> None:
    texts, inner = pa.array(["02134", "x", None], pa.string_view()), pa.struct([("k", pa.string())])
    listed = pa.array([["02134"], [], None], pa.list_(pa.string())).cast(pa.list_(pa.string_view()))
    nested = pa.array([{"k": "02134"}, {"k": None}, None], inner).cast(pa.struct([("k", pa.string_view())]))
    raw = pa.array([b"02134", b"x", None], pa.binary_view())
    pq.write_table(pa.table({"v": texts, "l": listed, "o": nested, "b": raw}), folder / "t.parquet")

    assert column(mapped_by(sources, "t", ("v", "text"))) == ["02134", "x", None]
    assert column(mapped_by(sources, "t", ("o.k", "text"))) == ["02134", None, None]
    assert column(mapped_by(sources, "t", ("b", "text"))) == ["02134", "x", None]
    assert column(mapped_by(sources, "t", ("to_integer(v)", "number")), "number") == [2134.0, None, None]
    first = {"v": "02134", "l": ["02134"], "o": {"k": "02134"}, "b": "02134"}
    assert sources.preview("t", 1) == [first]
    assert sources.preview("t", 3, filter_of(_equal("v", "02134"))) == [first]


def test_moments_of_spark_that_are_far_away_are_not_another_moment(folder: Path, sources: SourceFolder) -> None:
    far = [datetime(9999, 12, 31, 23, 59, 59), datetime(1, 1, 1), datetime(2024, 1, 1, 0, 0, 0, 123456), None]
    table = pa.table({"at": pa.array(far, pa.timestamp("us"))})
    pq.write_table(table, folder / "t.parquet", use_deprecated_int96_timestamps=True)

    said = ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2024-01-01T00:00:00.123456Z", None]
    assert column(mapped_by(sources, "t", ("at", "text"))) == said
    assert [row["at"] for row in sources.preview("t", 4)] == said
    window = sources.batches("t", delta="at", start_ms=0, end_ms=1_800_000_000_000)
    assert [one.numbers.to_pylist() for one in window if isinstance(one, Batch)] == [[3]]


def test_a_uuid_of_parquet_is_its_text(folder: Path, sources: SourceFolder) -> None:
    keys = [UUID("46bc183e-2b6d-410a-a4a4-21a4c5f94a02"), UUID(int=0)]
    pq.write_table(pa.table({"v": pa.array([*(one.bytes for one in keys), None], pa.uuid())}), folder / "t.parquet")

    said = [*map(str, keys), None]
    assert [one.type for one in sources.columns("t")] == ["string"]
    assert column(mapped_by(sources, "t", ("v", "text"))) == said
    assert column(mapped_by(sources, "t", ("upper(v)", "text"))) == [str(keys[0]).upper(), str(keys[1]), None]
    assert [row["v"] for row in sources.preview("t", 3)] == said


TIMES = {  # what Arrow holds, and the text of it
    "nanoseconds": (pa.array([10**18 + 1, None], pa.timestamp("ns")), "2001-09-09T01:46:40.000000001Z"),
    "a zone": (pa.array([10**15, None], pa.timestamp("us", tz="Europe/Paris")), "2001-09-09T01:46:40Z"),
    "far": (pa.array([-(10**17), None], pa.timestamp("us")), "-1199-02-15T14:13:20Z"),
    "a far day": (pa.array([10**7, None], pa.int32()).cast(pa.date32()), "29349-01-26"),
    "a time": (pa.array([1, None], pa.time64("ns")), "00:00:00.000000001"),
    "a duration": (pa.array([90, None], pa.duration("us")), "90"),
    "a UUID": (pa.array([UUID(int=7).bytes, None], pa.uuid()), "00000000-0000-0000-0000-000000000007"),
}


@pytest.mark.parametrize("name", TIMES)
def test_what_parquet_has_inside_of_objects_arrays_and_maps_has_the_text_that_it_has_outside(
    folder: Path, sources: SourceFolder, name: str
) -> None:
    values, said = TIMES[name]
    table = {
        "out": values,
        "in": pa.StructArray.from_arrays([values], ["x"]),
        "list": pa.ListArray.from_arrays([0, 1, 2], values),
        "deep": pa.ListArray.from_arrays([0, 1, 2], pa.StructArray.from_arrays([values], ["x"])),
        "map": pa.MapArray.from_arrays([0, 1, 2], pa.array(["k", "k"]), values),
    }
    pq.write_table(pa.table(table), folder / "t.parquet")

    for source in ("out", "in.x", "list[0]", "deep[0].x", "concat(in.x, '')"):
        assert column(mapped_by(sources, "t", (source, "text")))[0] == said, source
    assert column(mapped_by(sources, "t", ("in", "text"))) == [
        json.dumps({"x": said}, separators=(",", ":")),
        '{"x":null}',
    ]
    first, second = sources.preview("t", 2)
    assert (first["out"], first["in"], first["list"], first["deep"]) == (said, {"x": said}, [said], [{"x": said}])
    assert (second["out"], second["in"], second["list"], second["deep"]) == (None, {"x": None}, [None], [{"x": None}])
    assert said in first["map"]


def _equal(name: str, value: str) -> dict[str, Any]:
    """A row filter as a source connection has it."""
    parts = [{"nodeType": "fieldLookup", "fieldName": name}, {"nodeType": "literal", "value": value}]
    return {"type": "PQL", "format": "pql/json", "value": {"nodeType": "fnApply", "fnName": "=", "params": parts}}


BLOB = {"id": pa.array(["A", "B"]), "photo": pa.array([b"\xff\xd8", None])}


def test_only_a_column_that_is_read_can_make_a_row_broken(folder: Path, sources: SourceFolder) -> None:
    pq.write_table(pa.table(BLOB), folder / "p.parquet")
    (folder / "c.csv").write_bytes(b"id,photo\nA,\xff\xd8\nB,\n")
    (folder / "j.jsonl").write_bytes(b'{"id": "A", "photo": "\xff\xd8", "n": NaN}\n{"id": "B"}\n')

    for name in ("p", "c", "j"):
        assert column(mapped_by(sources, name, ("id", "text"))) == ["A", "B"]
        found = list(sources.batches(name, delta=None, start_ms=None, end_ms=None, named=lambda one: one == "photo"))
        [broken] = [one for one in found if isinstance(one, Broken)]
        assert broken.row == 1
        assert "photo: no UTF-8" in broken.reason
        assert [row["id"] for row in sources.preview(name, 5)] == ["A", "B"]


def test_a_quoted_line_end_stays_whole_on_every_edge_of_a_block(
    folder: Path, sources: SourceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [f"{'a' * (n % 7)}\r\nsecond {n}" for n in range(60)]
    written(folder / "t.csv", ([str(n), one] for n, one in enumerate(values)))
    for block in range(16, 60):
        monkeypatch.setattr("flowledger.emulator.data.csv_tables.BLOCK", block)
        assert column(mapped_by(sources, "t", ("v", "text"))) == values


@pytest.mark.parametrize("block", [16, 32, 4 * 2**20])
@pytest.mark.parametrize("odd", ['"27" monitor"', '"x"y', '""y', '"a" ', '"a""b"c"', '"two\r\nlines"!'])
def test_a_value_with_a_quote_that_is_not_doubled_is_reported_and_no_text_is_changed(
    folder: Path, sources: SourceFolder, monkeypatch: pytest.MonkeyPatch, odd: str, block: int
) -> None:
    monkeypatch.setattr("flowledger.emulator.data.csv_tables.BLOCK", block)
    rows = f'1,27" monitor,p\r\n\r\n2,{odd},q\r\n3,"say ""x""",r\r\n4,only\r\n5,{odd},s\r\n6,"",t\r\n'
    (folder / "t.csv").write_bytes(b"id,v,w\r\n" + rows.encode())

    found = list(sources.batches("t", delta=None, start_ms=None, end_ms=None, named={"id", "v"}.__contains__))
    broken = {one.row: one.reason for one in found if isinstance(one, Broken)}
    assert list(broken) == [2, 4, 5]
    assert broken[2].startswith("text behind a closing quote")
    assert broken[4].startswith("2 values in a table of 3 columns")
    batches = [one for one in found if isinstance(one, Batch)]
    assert [number for one in batches for number in one.numbers.to_pylist()] == [1, 3, 6]
    assert [value for one in batches for value in one.table.column("v").to_pylist()] == ['27" monitor', 'say "x"', ""]
    whole = [row for one in batches for row in one.whole_rows(range(len(one.numbers)))]
    assert [(row["v"], row["w"]) for row in whole] == [('27" monitor', "p"), ('say "x"', "r"), ("", "t")]


def test_a_byte_order_mark_is_no_part_of_the_first_value(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.csv").write_bytes(b"\xef\xbb\xbfid,v\r\nA,x\r\n")
    (folder / "j.jsonl").write_bytes(b'\xef\xbb\xbf{"id":"A","v":"x"}\r\n')

    assert sources.preview("t", 5) == sources.preview("j", 5) == [{"id": "A", "v": "x"}]


@pytest.mark.parametrize(
    "text",
    ["Date, Txn, \nT1,x,\n", "Date, Txn,\nT1,x\n", 'Date, Txn,"",\nT1,x,5,6\n', "\nDate, Txn,\r\nT1,x,"],
    ids=["rows end so too", "rows do not", "two columns", "no end"],
)
def test_a_column_without_a_name_is_left_out(folder: Path, sources: SourceFolder, text: str) -> None:
    (folder / "t.csv").write_text(text)

    assert [column.name for column in sources.columns("t")] == ["Date", " Txn"]
    assert sources.preview("t", 5) == [{"Date": "T1", " Txn": "x"}]


def test_a_name_with_blanks_is_mapped_filtered_and_a_delta_column(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.csv").write_text('Id ," Gross"," At"\nA,5.00,2026-01-02 00:00:00\nB,6.00,2026-01-03 00:00:00\n')
    comparison = [{"nodeType": "fieldLookup", "fieldName": " Gross"}, {"nodeType": "literal", "value": 5.5}]
    passes = filter_of({"nodeType": "fnApply", "fnName": ">", "params": comparison})

    assert column(mapped_by(sources, "t", (" Gross", "text"), ("Id ", "more"))) == ["5.00", "6.00"]
    assert column(mapped_by(sources, "t", ("concat(${ Gross}, ${Id })", "text"))) == ["5.00A", "6.00B"]
    assert [row["Id "] for row in sources.preview("t", 5, passes)] == ["B"]
    start = 1_767_398_400_000  # 2026-01-03
    [batch] = sources.batches("t", delta=" At", start_ms=start, end_ms=None)
    assert isinstance(batch, Batch)
    assert batch.numbers.to_pylist() == [2]
