"""A mapping set over a batch: shapes, escapes, what is nulled, what is rejected and why."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from flowledger.emulator.data.columns import Mapped, Mapper, MappingInvalid
from flowledger.emulator.data.tables import Batch

TEXT = {"type": "string"}
PERSON = {
    "type": "object",
    "properties": {"first": TEXT, "last": TEXT, "born": {"type": "string", "format": "date"}},
    "required": ["last"],
}
TARGET: dict[str, Any] = {
    "properties": {
        "id": TEXT,
        "person": PERSON,
        "amount": {"type": "number", "minimum": 0, "exclusiveMaximum": 1000},
        "count": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
        "year": {"type": "integer", "minimum": 1, "maximum": 32767, "meta:xdmType": "int"},
        "country": {"type": "string", "pattern": "^[A-Z]{2}$"},
        "status": {"type": "string", "enum": ["open", "closed"]},
        "note": {"type": "string", "minLength": 2, "maxLength": 5},
        "at": {"type": "string", "format": "date-time"},
        "live": {"type": "boolean"},
        "tags": {"type": "array", "items": TEXT, "maxItems": 2},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"sku": TEXT, "quantity": {"type": "integer", "minimum": 1}},
            },
        },
        "labels": {"type": "object", "meta:xdmType": "map", "additionalProperties": TEXT},
    },
    "required": ["id"],
}


def mapped(columns: dict[str, Any], *mappings: tuple[str, str] | tuple[str, str, str], first: int = 1) -> Mapped:
    """Map columns; a mapping is (source, destination), or with its kind in front of these."""
    table = pa.table(columns)
    numbers = pa.array(range(first, first + table.num_rows), pa.int64())
    written = [
        {"sourceType": kind[0] if kind else "ATTRIBUTE", "source": source, "destination": destination}
        for *kind, source, destination in mappings
    ]
    return Mapper(written, TARGET).map(Batch(table, first, numbers))


def test_mappings_into_one_object_make_one_struct() -> None:
    found = mapped(
        {"id": ["1", "2"], "f": ["Ann", None], "l": ["Lee", None], "b": ["1990-02-03", None]},
        ("id", "id"),
        ("f", "person.first"),
        ("l", "person.last"),
        ("b", "person.born"),
    )

    assert found.table.to_pylist() == [
        {"id": "1", "person": {"first": "Ann", "last": "Lee", "born": date(1990, 2, 3)}},
        {"id": "2", "person": None},
    ]
    assert found.table.schema.field("person").type == pa.struct(
        [("first", pa.string()), ("last", pa.string()), ("born", pa.date32())]
    )
    assert found.rejected == []


def test_both_dialects_map_alike_and_odd_columns_are_escaped() -> None:
    table = pa.table({"odd column": ["a"], "dotted.name": ["b"], "new": ["c"]})
    batch = Batch(table, 1, pa.array([1]))
    tutorial = [
        {"sourceAttribute": "${odd column}", "destinationXdmPath": "id"},
        {"sourceAttribute": "dotted.name", "destinationXdmPath": "note"},
    ]
    reference = [
        {"sourceType": "ATTRIBUTE", "source": "odd column", "destination": "id"},
        {"sourceType": "text/x.schema-path", "source": "${dotted.name}", "destination": "note"},
    ]
    expression = [
        {"sourceType": "EXPRESSION", "source": "concat(${odd column}, ${dotted.name}, ${new})", "destination": "id"}
    ]
    target = {**TARGET, "properties": {**TARGET["properties"], "note": TEXT}}

    results = [Mapper(mappings, target).map(batch).table.to_pylist() for mappings in (tutorial, reference, expression)]

    assert results == [[{"id": "a", "note": "b"}], [{"id": "a", "note": "b"}], [{"id": "abc"}]]


def test_static_values_become_what_the_field_wants() -> None:
    found = mapped(
        {"id": ["1"]},
        ("id", "id"),
        ("STATIC", "7", "count"),
        ("STATIC", "true", "live"),
        ("STATIC", "2024-05-01T10:00:00.123456+02:00", "at"),
    )

    assert found.table.to_pylist() == [
        {"id": "1", "count": 7, "live": True, "at": datetime(2024, 5, 1, 8, 0, 0, 123000, tzinfo=UTC)}
    ]


def test_indices_make_arrays_and_arrays_of_objects() -> None:
    found = mapped(
        {"id": ["1", "2"], "a": ["x", None], "b": ["y", None], "s": ["k", "l"], "q": [2, 3]},
        ("id", "id"),
        ("b", "tags[1]"),
        ("a", "tags[0]"),
        ("s", "lines[*].sku"),
        ("q", "lines[*].quantity"),
    )

    assert found.table.to_pylist() == [
        {"id": "1", "tags": ["x", "y"], "lines": [{"sku": "k", "quantity": 2}]},
        {"id": "2", "tags": None, "lines": [{"sku": "l", "quantity": 3}]},
    ]


def test_nested_sources_are_read_by_path_and_whole() -> None:
    rows = pa.array([{"name": {"f": "Ann"}, "tags": ["a", "b"]}, {"name": None, "tags": None}, None])
    found = mapped(
        {"id": ["1", "2", "3"], "who": rows},
        ("id", "id"),
        ("who.name.f", "note"),
        ("who.tags[0]", "country"),
        ("EXPRESSION", "upper(who.name.f)", "person.last"),
        ("who.tags", "tags"),
    )

    assert [row["note"] for row in found.table.to_pylist()] == [None, None]
    assert found.rejected[0].reason == "INGEST-1212-400: country: 'a' does not match ^[A-Z]{2}$"
    assert {(one.row, one.column) for one in found.nulled} >= {(2, "note"), (3, "note"), (2, "country")}


def test_an_expression_without_a_column_operation_is_computed_row_by_row() -> None:
    found = mapped(
        {"id": ["1", "2"], "k": ["a", "b"], "spare": [1, 2]},
        ("EXPRESSION", 'concat(id, md5(k), decode(k, "a", "A", "?"))', "id"),
        ("EXPRESSION", 'contains_key("spare")', "live"),
        ("EXPRESSION", 'split("p q", " ")', "tags"),
        ("EXPRESSION", 'to_object("k", k)', "labels"),
    )

    assert found.table.to_pylist() == [
        {"id": "10cc175b9c0f1b6a831c399e269772661A", "live": True, "tags": ["p", "q"], "labels": [("k", "a")]},
        {"id": "292eb5ffee6ae2fec3ad71c777531578f?", "live": True, "tags": ["p", "q"], "labels": [("k", "b")]},
    ]


def test_a_failing_transformation_nulls_its_own_field_only_and_is_told() -> None:
    found = mapped(
        {"id": ["1", "2", "3"], "n": [4, 4, 4], "d": [2, 0, None], "t": ["12", "dozen", None]},
        ("id", "id"),
        ("EXPRESSION", "n / d", "count"),
        ("t", "year"),
        first=101,
    )

    assert found.table.to_pylist() == [
        {"id": "1", "count": 2, "year": 12},
        {"id": "2", "count": None, "year": None},
        {"id": "3", "count": None, "year": None},
    ]
    assert [(one.row, one.column, one.expression, one.reason) for one in found.nulled] == [
        (102, "count", "n / d", "division by zero"),
        (102, "year", "t", "'dozen' is no number, or out of range"),
    ]
    assert found.nulled_count == 2


@pytest.mark.parametrize("field", ["tags", "lines", "labels", "person"])
def test_a_text_for_a_field_of_arrays_or_objects_nulls_the_field_and_is_reported(field: str) -> None:
    found = mapped({"id": ["1", "2", "3"], "a": ["x", None, "y"]}, ("id", "id"), ("a", field))

    assert found.table.column("id").to_pylist() == ["1", "2", "3"]
    assert found.table.column(field).to_pylist() == [None, None, None]
    assert [(one.row, one.column) for one in found.nulled] == [(1, field), (3, field)]
    assert found.rejected == []


def test_a_date_may_have_a_default() -> None:
    source = "date(a, 'yyyy-MM-dd', '2020-01-02')"
    found = mapped({"id": ["1", "2"], "a": ["2026-03-04", None]}, ("id", "id"), ("EXPRESSION", source, "at"))

    assert [one.strftime("%Y-%m-%d") for one in found.table.column("at").to_pylist()] == ["2026-03-04", "2020-01-02"]


def test_a_column_that_is_gone_nulls_its_field_in_every_row_and_is_named() -> None:
    found = mapped({"id": ["1", "2"]}, ("id", "id"), ("gone", "note"))

    assert found.table.to_pylist() == [{"id": "1", "note": None}, {"id": "2", "note": None}]
    assert [(one.row, one.reason) for one in found.nulled] == [
        (1, "the data has no gone"),
        (2, "the data has no gone"),
    ]


def test_many_failures_of_one_mapping_are_counted_and_the_first_are_named() -> None:
    found = mapped({"id": ["1"] * 500, "t": ["x"] * 500}, ("id", "id"), ("t", "count"))

    assert found.nulled_count == 500
    assert len(found.nulled) == 100


def test_a_row_without_a_required_field_is_rejected() -> None:
    found = mapped({"id": ["1", None, "3"]}, ("id", "id"), first=10)

    assert [row["id"] for row in found.table.to_pylist()] == ["1", "3"]
    (rejected,) = found.rejected
    assert (rejected.row, rejected.column, rejected.expression) == (11, "id", "id")
    assert rejected.reason == "INGEST-1212-400: the required field id is missing"


def test_a_required_field_whose_transformation_failed_says_how() -> None:
    found = mapped({"n": [1, 0]}, ("EXPRESSION", "concat(1 / n, '')", "id"))

    (rejected,) = found.rejected
    assert rejected.row == 2
    assert rejected.reason == ("MAPPER-3700-400: the required field id is missing: concat(1 / n, ''): division by zero")


def test_a_required_field_that_nothing_is_mapped_to_rejects_every_row() -> None:
    found = mapped({"n": ["ab", "cd"]}, ("n", "note"))

    assert found.table.num_rows == 0
    assert [one.row for one in found.rejected] == [1, 2]


def test_what_an_object_requires_counts_only_where_the_object_is_there() -> None:
    found = mapped(
        {"id": ["1", "2"], "f": ["Ann", None], "l": pa.array([None, None], pa.string())},
        ("id", "id"),
        ("f", "person.first"),
        ("l", "person.last"),
    )

    assert [row["id"] for row in found.table.to_pylist()] == ["2"]
    assert found.rejected[0].reason == "INGEST-1212-400: the required field person.last is missing"


@pytest.mark.parametrize(
    ("field", "good", "bad", "said"),
    [
        ("amount", "0", "-0.5", "amount: '-0.5' is less than 0"),
        ("amount", "999.5", "1000", "amount: '1000.0' is not less than 1000"),
        ("year", "1", "0", "year: '0' is less than 1"),
        ("year", "32767", "32768", "year: '32768' is more than 32767"),
        ("country", "FR", "fr", "country: 'fr' does not match ^[A-Z]{2}$"),
        ("status", "open", "ajar", "status: 'ajar' is none of open, closed"),
        ("note", "é茶", "x", "note: 'x' is shorter than 2 characters"),
        ("note", "12345", "123456", "note: '123456' is longer than 5 characters"),
        ("count", str(-(2**63) + 1), None, ""),
    ],
)
def test_what_the_schema_does_not_take_is_rejected(field: str, good: str, bad: str | None, said: str) -> None:
    found = mapped({"id": ["1", "2", "3"], "v": [good, bad, None]}, ("id", "id"), ("v", field))

    assert [(one.row, one.column, one.expression, one.reason) for one in found.rejected] == (
        [(2, field, "v", f"INGEST-1212-400: {said}")] if bad is not None else []
    )
    assert "1" in [row["id"] for row in found.table.to_pylist()]


def test_entries_of_arrays_are_checked_and_told_of_their_row() -> None:
    found = mapped(
        {"id": ["1", "2", "3"], "q": [1, 0, 2], "many": [["a"], ["a"], ["a", "b", "c"]]},
        ("id", "id"),
        ("q", "lines[0].quantity"),
        ("many", "tags"),
    )

    assert [(one.row, one.reason) for one in found.rejected] == [
        (2, "INGEST-1212-400: lines[].quantity: '0' is less than 1"),
        (3, "INGEST-1212-400: tags has 3 entries, at most 2 are allowed"),
    ]


def test_a_row_is_rejected_once_with_all_its_reasons() -> None:
    found = mapped({"y": [0], "c": ["x"]}, ("y", "year"), ("c", "country"))

    (rejected,) = found.rejected
    assert rejected.reason.count("INGEST-1212-400") == 3


def test_of_two_mappings_of_one_field_the_later_counts() -> None:
    assert mapped({"a": ["x"], "b": ["y"]}, ("a", "id"), ("b", "id")).table.to_pylist() == [{"id": "y"}]


def test_every_batch_has_the_same_schema_whatever_is_in_it() -> None:
    mapper = Mapper(
        [
            {"source": "a", "destination": "id"},
            {"source": "b", "destination": "at"},
            {"source": "c", "destination": "year"},
        ],
        TARGET,
    )
    tables = [
        pa.table({"a": ["1"], "b": ["2024-05-01 00:00:00"], "c": ["3"]}),
        pa.table({"a": [1], "b": pa.nulls(1), "c": [2.0]}),
        pa.table({"a": pa.array([], pa.string()), "b": pa.array([], pa.string()), "c": pa.array([], pa.int64())}),
        pa.table({"a": ["1"]}),
    ]

    for table in tables:
        found = mapper.map(Batch(table, 1, pa.array(range(1, table.num_rows + 1), pa.int64())))
        assert found.table.schema == mapper.schema
        assert found.rejected == []


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"source": "a", "destination": "nowhere"}, "the path nowhere is not in the target schema"),
        ({"source": "a", "destination": "id[0]"}, r"the path id\[0\] is not in the target schema"),
        ({"source": "f(", "sourceType": "EXPRESSION", "destination": "id"}, r"id: f\(: "),
        ({"source": "frob(a)", "sourceType": "EXPRESSION", "destination": "id"}, "there is no function frob"),
        ({"source": "upper(a, b)", "sourceType": "EXPRESSION", "destination": "id"}, "upper takes 1 argument"),
    ],
)
def test_what_validation_refuses_is_refused_before_the_first_row(mapping: dict[str, str], said: str) -> None:
    with pytest.raises(MappingInvalid, match=said):
        Mapper([mapping], TARGET)
