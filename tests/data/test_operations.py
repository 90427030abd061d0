"""Operations on columns mean what the evaluator means, row by row."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowledger.emulator.data.columns import Mapper
from flowledger.emulator.data.leaves import Flagged, fitted
from flowledger.emulator.data.operations import OPERATIONS, ColumnReader
from flowledger.emulator.data.tables import Batch
from flowledger.emulator.expressions import NotComputed, parse, value_of
from flowledger.emulator.functions import Surroundings

NOW_MS: Final = 1_714_557_600_123
FIELDS: Final = {
    "text": {"type": "string"},
    "whole": {"type": "integer", "meta:xdmType": "int"},
    "long": {"type": "integer"},
    "number": {"type": "number"},
    "truth": {"type": "boolean"},
    "moment": {"type": "string", "format": "date-time"},
    "day": {"type": "string", "format": "date"},
}
TARGET: Final = {"properties": FIELDS}
TYPES: Final = {
    "t": pa.string(), "u": pa.string(), "n": pa.int64(), "m": pa.int64(), "f": pa.float64(), "g": pa.float64(),
    "b": pa.bool_(), "c": pa.bool_(), "d": pa.string(),
}  # fmt: skip

#: function -> expressions over these columns that are computed by column
BY_FUNCTION: Final = {
    "concat": ["concat(t, ' ', u)", "concat(t, n, b)", "concat(f, '-', t)", "concat(null, t)"],
    "upper": ["upper(t)", "t.upper()", "upper(n)"],
    "lower": ["lower(t)", "lower(b)"],
    "ucase": ["ucase(t)"],
    "lcase": ["lcase(t)"],
    "trim": ["trim(t)"],
    "ltrim": ["ltrim(t)"],
    "rtrim": ["rtrim(t)"],
    "equals": ["equals(t, u)", "equals(t, 'Ann')", "equals(n, m)"],
    "equalsIgnoreCase": ["equalsIgnoreCase(t, u)", "equalsIgnoreCase(t, 'ANN')"],
    "substr": ["substr(t, 1, 2)", "substr(t, 0, 0)", "substr(n, 0, 1)"],
    "left": ["left(t, 2)", "left(t, 0)"],
    "right": ["right(t, 2)", "right(t, 0)", "right(t, 100)"],
    "replacestr": ["replacestr(t, 'a', 'bb')", "replacestr(t, ' ', '')"],
    "replace": ["replace(t, 'n', 'é')"],
    "lpad": ["lpad(t, 5, '0')", "lpad(n, 4, ' ')"],
    "rpad": ["rpad(t, 5, '.')"],
    "size_of": ["size_of(t)", "size_of(n)"],
    "size": ["size(t)"],
    "length": ["length(t)"],
    "iif": ["iif(b, t, u)", "iif(n > m, n, m)", "iif(t == 'Ann', null, t)", "iif(is_empty(t), 'none', t)"],
    "coalesce": ["coalesce(t, u, 'x')", "coalesce(n, m)", "coalesce(null, f)"],
    "nvl": ["nvl(t, 'x')", "nvl(n, 0)"],
    "first": ["first(t, u)"],
    "is_empty": ["is_empty(t)", "is_empty(n)"],
    "empty": ["empty(t)"],
    "min": ["min(n, m)", "min(f, g)"],
    "max": ["max(n, m, 3)", "max(f, g)"],
    "to_integer": ["to_integer(t)", "to_integer(n)", "to_integer(f)"],
    "to_bigint": ["to_bigint(t)", "to_bigint(n)"],
    "to_decimal": ["to_decimal(t)", "to_decimal(n)"],
    "to_float": ["to_float(f)"],
    "to_double": ["to_double(t)"],
    "to_string": ["to_string(f)", "to_string(b)"],
    "toString": ["toString(n)"],
    "date": [
        "date(d)",
        "date(d, 'yyyy-MM-dd HH:mm:ss')",
        "date(d, 'MM/dd/yyyy')",
        "date(d, 'dd/MM/yyyy')",
        "date(d, 'dd.MM.yyyy')",
        "date(d, 'yyyyMMdd')",
        "date(d, 'yyyy-MM-dd')",
        "date(d, \"yyyy-MM-dd'T'HH:mm:ss\")",
        "date(d, \"yyyy-MM-dd'T'HH:mm:ss'Z'\")",
    ],
    "format": ["format(d, 'yyyy-MM-dd')"],
    "dformat": ["dformat(date(d), \"yyyy/MM/dd'T'HH:mm:ss\")", "dformat(now(), 'yyyyMMdd')"],
    "format_date": ["format_date(d, 'dd.MM.yyyy HH:mm')"],
}
OTHERS: Final = [
    *("t == u", "t != u", "t < u", "t >= 'B'", "n == m", "n != f", "n < m", "f <= g", "f > 1", "b == c", "b != c"),
    *("t == null", "null == n", "n != null", "n < null"),
    *("n + m", "n - m", "n * m", "n / m", "n % m", "n + f", "f - g", "f * g", "f / g", "n / 2", "-n", "-f", "100 * f"),
    *("!b", "b && c", "b || c", "b and not c", "b ? t : u", "n > 0 ? n / m : 0", "f >= 0 ? 'in' : 'out'"),
    *("now()", "timestamp()", "nullify()", "t", "n", "f", "b", "d", "'fixed'", "7", "2.5", "true"),
]
EXPRESSIONS: Final = [*(text for texts in BY_FUNCTION.values() for text in texts), *OTHERS]

texts = st.none() | st.sampled_from(
    ["", "Ann", "ann", " Ann\t", "12", "-7", "1.50", "1e3", "007", " 9 ", "1_0", "ß", "İstanbul", "\x1cA\x1f", "é",
     "true", "FALSE", "NaN", "inf", "99999999999999999999", "a\nb", "\u2003wide\u2003", "3000000000"]
) | st.text(max_size=6)  # fmt: skip
wholes = st.none() | st.sampled_from([0, 1, -1, 2**31, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63)]) | st.integers(-99, 99)
fractions = (
    st.none()
    | st.sampled_from([0.0, -0.0, 1.0, 1e-5, 1e16, 123456.75, 1e300, -2.5, float("nan"), float("inf")])
    | st.floats(-1000, 1000)
)
truths = st.none() | st.booleans()
days = st.none() | st.sampled_from(
    ["2024-05-01 10:00:00", "2024-05-01T10:00:00Z", "2024-05-01T10:00:00.5Z", "2024-05-01T23:30:00-05:00", "2024-05-01",
     "05/01/2024", "31/12/2024", "01.05.2024", "20240501", "2024-02-30", "0999-01-01 00:00:00", "yesterday", "",
     "2024-05-01 10:00", "2024-05-01T10:00:00", "2024-13-01 00:00:00", "1969-12-31T23:59:59.999999Z"]
)  # fmt: skip
rows = st.fixed_dictionaries(
    {
        "t": texts,
        "u": texts,
        "n": wholes,
        "m": wholes,
        "f": fractions,
        "g": fractions,
        "b": truths,
        "c": truths,
        "d": days,
    }
)


def table_of(found: list[dict[str, Any]]) -> pa.Table:
    return pa.table({name: pa.array([row[name] for row in found], type_) for name, type_ in TYPES.items()})


def by_row(expression: str, row: dict[str, Any], field: dict[str, Any]) -> tuple[Any, bool]:
    """The value as the evaluator has it, and whether there is one."""
    try:
        around = Surroundings(now_ms=NOW_MS, new_uuid=lambda: "", row=row)
        value = fitted(value_of(parse(expression), around), field)
    except (NotComputed, Flagged):
        return None, False
    if field.get("meta:xdmType") == "int" and value is not None:
        assert -(2**31) <= value < 2**31
    return value, True


def same(one: Any, other: Any) -> bool:
    if isinstance(one, datetime) and isinstance(other, datetime):
        return one == other
    return type(one) is type(other) and repr(one) == repr(other)


def check(expression: str, found: list[dict[str, Any]], name: str) -> None:
    """Map the rows by column, and compare each with the evaluator."""
    table = table_of(found)
    mapping = {"source": expression, "sourceType": "EXPRESSION", "destination": name}
    mapper = Mapper([mapping], TARGET, now_ms=lambda: NOW_MS, unpublished=True)

    mapped = mapper.map(Batch(table, 1, pa.array(range(1, len(found) + 1))))

    expected = [by_row(expression, row, FIELDS[name]) for row in table.to_pylist()]
    got = mapped.table.column(name).to_pylist()
    for number, ((value, _), actual) in enumerate(zip(expected, got, strict=True)):
        assert same(value, actual), (expression, found[number], value, actual)
    failed = [number for number, (_, there) in enumerate(expected, 1) if not there]
    assert [one.row for one in mapped.nulled] == failed


@pytest.mark.parametrize("expression", EXPRESSIONS)
@settings(max_examples=4, deadline=None)
@given(found=st.lists(rows, min_size=4, max_size=12), name=st.sampled_from(sorted(FIELDS)))
def test_a_column_operation_gives_what_the_evaluator_gives_row_by_row(
    expression: str, found: list[dict[str, Any]], name: str
) -> None:
    check(expression, found, name)


@pytest.mark.long
@pytest.mark.parametrize("expression", EXPRESSIONS)
@settings(max_examples=40, deadline=None)
@given(found=st.lists(rows, min_size=1, max_size=12), name=st.sampled_from(sorted(FIELDS)))
def test_a_column_operation_gives_what_the_evaluator_gives_for_many_more_rows(
    expression: str, found: list[dict[str, Any]], name: str
) -> None:
    check(expression, found, name)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_operation_that_is_offered_works_on_columns(expression: str) -> None:
    table = table_of([dict.fromkeys(TYPES)])

    ColumnReader(table, now_ms=NOW_MS).values(parse(expression))  # raises Unsupported where it does not


def test_every_operation_is_compared_with_the_evaluator() -> None:
    assert sorted(BY_FUNCTION) == sorted(OPERATIONS)
    for function, expressions in BY_FUNCTION.items():
        assert all(function in expression for expression in expressions)


@settings(max_examples=30, deadline=None)
@given(found=st.lists(texts | days, min_size=1, max_size=12), name=st.sampled_from(sorted(FIELDS)))
@example(found=["2024-05-01", "2024-02-30"], name="day")
@example(found=["2024-05-01T10:00:00Z", "2024-05-01 10:00:00"], name="moment")
def test_an_attribute_of_text_becomes_what_the_field_wants(found: list[str | None], name: str) -> None:
    table = pa.table({"odd column": pa.array(found, pa.string())})
    mapper = Mapper([{"sourceAttribute": "${odd column}", "destinationXdmPath": name}], TARGET)

    mapped = mapper.map(Batch(table, 1, pa.array(range(1, len(found) + 1))))

    for value, actual in zip(found, mapped.table.column(name).to_pylist(), strict=True):
        try:
            expected = fitted(value, FIELDS[name])
        except Flagged:
            expected = None
        assert same(expected, actual), (value, expected, actual)
