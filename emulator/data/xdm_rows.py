"""Which mapped rows the target schema does not take: required fields, ranges, lengths, patterns, enumerations.

Each rule is one check of a column; only rows that it flags are looked at one by one, for the sake of the reason.
Codes are those that runs show for such rows (platform-api.md §5, §8.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from flowledger.emulator import effort
from flowledger.emulator.data.json_texts import has_only
from flowledger.emulator.data.leaves import texts_of, type_of
from flowledger.emulator.effort import FREE_S, Effort, TooMuch
from flowledger.emulator.patterns import Pattern, compiled
from flowledger.emulator.values import text_of

Json = Mapping[str, Any]

INVALID: Final = "INGEST-1212-400"  # a row that the schema does not take
NOT_MAPPED: Final = "MAPPER-3700-400"  # a required field whose transformation failed
BOUNDS: Final = {  # what a number must not be
    "minimum": (pc.less, "is less than"), "maximum": (pc.greater, "is more than"),
    "exclusiveMinimum": (pc.less_equal, "is not more than"),
    "exclusiveMaximum": (pc.greater_equal, "is not less than"),
}  # fmt: skip
LONGEST_SHOWN: Final = 60  # characters of a value in a reason
PLAIN: Final = bytes(set(range(0x20, 0x7F)) - set(b"'\\"))  # bytes of texts that Python writes as they are
LENGTHS: Final = {"minLength": (pc.less, "shorter"), "maxLength": (pc.greater, "longer")}


class Fault(NamedTuple):
    """A row that the schema does not take: where in the table (0 is its first), which field, and why."""

    place: int
    path: str
    reason: str
    missing: bool = False


class Faults(NamedTuple):
    """Faults of many rows in one field: where in the table, and why, row by row."""

    places: pa.Array
    path: str
    reasons: pa.Array
    missing: bool = False


def each_of(faults: Faults) -> Iterator[Fault]:
    """The faults one by one."""
    for place, reason in zip(faults.places.to_pylist(), faults.reasons.to_pylist(), strict=True):
        yield Fault(place, faults.path, reason, faults.missing)


def faults_of(table: pa.Table, schema: Json) -> list[Faults]:
    """Every fault of every row, in order of field."""
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    return list(_object(columns, schema, "", None, table.num_rows))


def _object(
    columns: Mapping[str, pa.Array], field: Json, prefix: str, there: pa.Array | None, rows: int
) -> Iterator[Faults]:
    """Faults of an object's fields; `there` is true where the object itself is there (None: everywhere)."""
    for name in field.get("required") or ():
        column = columns.get(name)
        if column is not None and column.null_count == 0:
            continue
        absent = pa.repeat(pa.scalar(True), rows) if column is None else pc.is_null(column)
        places = _places(absent if there is None else pc.and_(absent, there))
        if len(places):
            reason = f"the required field {prefix}{name} is missing"
            yield Faults(places, f"{prefix}{name}", pa.repeat(reason, len(places)), missing=True)
    for name, column in columns.items():
        inner = (field.get("properties") or {}).get(name)
        if inner is not None:
            yield from _field(column, inner, f"{prefix}{name}")


def _field(column: pa.Array, field: Json, path: str) -> Iterator[Faults]:
    match type_of(field):
        case "object" if pa.types.is_struct(column.type):
            parts = {inner.name: pc.struct_field(column, place) for place, inner in enumerate(column.type)}
            there = pc.is_valid(column) if column.null_count else None
            yield from _object(parts, field, f"{path}.", there, len(column))
        case "array":
            yield from _array(column, field, path)
        case "integer" | "number":
            yield from _numbers(column, field, path)
        case "string" if pa.types.is_string(column.type):
            yield from _texts(column, field, path)


def _array(column: pa.Array, field: Json, path: str) -> Iterator[Faults]:
    """Faults of an array's size and of its entries, each told of the row that holds the entry."""
    sizes = pc.list_value_length(column)
    for key, wrong, said in (("minItems", pc.less, "at least"), ("maxItems", pc.greater, "at most")):
        if isinstance(field.get(key), int):
            places = _places(wrong(sizes, field[key]))
            if len(places):
                counts = pc.cast(sizes.take(places), pa.string())
                said_of = f" entries, {said} {field[key]} are allowed"
                yield Faults(places, path, pc.binary_join_element_wise(f"{path} has ", counts, said_of, ""))
    items = field.get("items")
    if not isinstance(items, Mapping):
        return
    parents = pc.list_parent_indices(column)
    for faults in _field(pc.list_flatten(column), items, f"{path}[]"):
        places = pc.cast(parents.take(faults.places), pa.int64())
        yield Faults(places, faults.path, faults.reasons, faults.missing)


def _numbers(column: pa.Array, field: Json, path: str) -> Iterator[Faults]:
    for key, (wrong, said) in BOUNDS.items():
        bound = field.get(key)
        if isinstance(bound, int | float) and not isinstance(bound, bool) and _reaches(column.type, key, bound):
            yield from _told(column, wrong(column, _comparable(column, bound)), path, f"{said} {bound}")
    yield from _enumerated(column, field, path)


def _comparable(column: pa.Array, bound: float) -> pa.Scalar:
    """The bound as what the column's numbers can be compared with."""
    return pa.scalar(bound, pa.float64() if isinstance(bound, float) or column.type == pa.float64() else pa.int64())


def _reaches(type_: pa.DataType, key: str, bound: float) -> bool:
    """Whether a bound says more than the type does: one of 64 bits or beyond says nothing."""
    return not pa.types.is_integer(type_) or -(2**63) < bound < 2**63 - 1 or key.startswith("exclusive")


def _texts(column: pa.Array, field: Json, path: str) -> Iterator[Faults]:
    for key, (wrong, said) in LENGTHS.items():
        if isinstance(field.get(key), int):
            lengths = pc.utf8_length(column)
            yield from _told(column, wrong(lengths, field[key]), path, f"is {said} than {field[key]} characters")
    pattern = field.get("pattern")
    if isinstance(pattern, str) and pattern:
        yield from _told(column, _unlike(column, pattern), path, f"does not match {pattern}")
    yield from _enumerated(column, field, path)


def _unlike(column: pa.Array, pattern: str) -> pa.Array:
    """True for texts in which the pattern is not found. Checked text by text where Python alone knows the pattern."""
    try:
        return pc.invert(pc.match_substring_regex(column, pattern))
    except pa.ArrowInvalid:
        try:
            form = compiled(pattern)
        except ValueError:
            return pa.repeat(pa.scalar(False), len(column))  # no pattern: the registry has taken it all the same
        with effort.bounded(Effort(free_s=FREE_S)):
            return pa.array([text is not None and not _matches(form, text) for text in column.to_pylist()])


def _matches(form: Pattern, text: str) -> bool:
    """Whether the pattern is found in time: a text that takes too long counts as one that does not match."""
    try:
        return form.search(text) is not None
    except TooMuch:
        return False


def _enumerated(column: pa.Array, field: Json, path: str) -> Iterator[Faults]:
    """`enum` is binding; `meta:enum` only suggests."""
    allowed = field.get("enum")
    if isinstance(allowed, list) and allowed:
        try:
            known = pa.array(allowed, column.type)
        except (pa.ArrowException, TypeError, ValueError):
            return
        unknown = pc.and_(pc.is_valid(column), pc.invert(pc.is_in(column, value_set=known)))
        yield from _told(column, unknown, path, f"is none of {', '.join(map(text_of, allowed[:10]))}")


def _told(column: pa.Array, wrong: pa.Array, path: str, said: str) -> Iterator[Faults]:
    places = _places(wrong)
    if len(places):
        values = _quoted(column.take(places))
        yield Faults(places, path, pc.binary_join_element_wise(f"{path}: ", values, f" {said}", ""))


def _quoted(values: pa.Array) -> pa.Array:
    """The beginnings of values as Python writes texts."""
    texts, flags = texts_of(values)
    if flags is None:
        texts = pc.utf8_slice_codeunits(texts, 0, LONGEST_SHOWN)
        if has_only(texts, PLAIN):
            return pc.binary_join_element_wise("'", texts, "'", "")
    return pa.array([repr(text_of(value)[:LONGEST_SHOWN]) for value in values.to_pylist()], pa.string())


def _places(flags: pa.Array) -> pa.Array:
    return pc.cast(pc.indices_nonzero(pc.fill_null(flags, False)), pa.int64())
