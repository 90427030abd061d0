"""Of what type a source's columns are, told from their values, and texts turned into values of that type.

Dates stay texts: that is what a preview shows and what Data Prep's expressions get. A number is written as JSON writes
it; `007`, `+1` or twenty digits are text, since a number would lose what they say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from flowledger.emulator import dates
from flowledger.emulator.values import text_of

LARGEST_INTEGER: Final = 2**53  # how far JSON carries whole numbers
PATTERNS: Final = {  # what every value of a column must look like, the narrowest type first
    "boolean": r"^(?i:true|false)$",
    "integer": r"^-?(?:0|[1-9][0-9]{0,14})$",
    "number": r"^-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,2})?$",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "date-time": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?"
    r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?$",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a source: its name and its type as `explore` says it (string, integer, number, boolean, date,
    date-time; of nested sources also object and array)."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Misfit:
    """A value that is not of its column's type: where in the batch (0 is its first row), and why."""

    place: int
    reason: str


def arrow_type(type_: str) -> pa.DataType:
    """What a column of this type is held as."""
    return {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}.get(type_, pa.string())


def type_of_texts(texts: pa.ChunkedArray | pa.Array) -> str:
    """The narrowest type that all texts of a column have; nulls say nothing, and nothing at all is a string."""
    said = pc.drop_null(texts)
    if len(said) == 0:
        return "string"
    for type_, pattern in PATTERNS.items():
        if pc.all(pc.match_substring_regex(said, pattern)).as_py() and _sound(type_, said):
            return type_
    return "string"


def type_of_values(values: Iterable[Any]) -> str:
    """The type of a column of JSON values: numbers that are written as texts are texts."""
    seen = [value for value in values if value is not None]
    if not seen:
        return "string"
    if all(isinstance(value, str) for value in seen):
        found = type_of_texts(pa.array(seen, pa.string()))
        return found if found.startswith("date") else "string"
    if all(isinstance(value, bool) for value in seen):
        return "boolean"
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in seen):
        if any(isinstance(value, int) and abs(value) > LARGEST_INTEGER for value in seen):
            return "string"
        return "integer" if all(isinstance(value, int) for value in seen) else "number"
    for kind, name in ((dict, "object"), (list, "array")):
        if all(isinstance(value, kind) for value in seen):
            return name
    return "string"


def _sound(type_: str, said: pa.ChunkedArray | pa.Array) -> bool:
    """Whether what looks like days or moments all the way also is: 2024-02-30 is a text."""
    if not type_.startswith("date"):
        return True
    read: Callable[[str], Any] = date.fromisoformat if type_ == "date" else dates.parsed_iso
    try:
        for text in pc.unique(said).to_pylist()[:10_000]:
            read(text)
    except ValueError:
        return False
    return True


def fitted_texts(texts: pa.Array, column: Column) -> tuple[pa.Array, list[Misfit]]:
    """Texts as values of the column's type, null where one does not fit, and every misfit."""
    wanted = arrow_type(column.type)
    if wanted == pa.string():
        return texts, []
    try:
        if column.type == "boolean":  # a cast would take 1 and 0 too
            sound = pc.all(pc.match_substring_regex(texts, PATTERNS["boolean"])).as_py() is not False
            values = pc.cast(texts, wanted) if sound else None
        else:
            values = pc.cast(texts, wanted)
            sound = column.type != "number" or pc.all(pc.is_finite(values)).as_py() is not False
    except pa.ArrowInvalid:
        sound = False
    return (values, []) if sound else _one_by_one(texts.to_pylist(), column, _read_text)


def fitted_values(values: Sequence[Any], column: Column, nested: pa.DataType | None) -> tuple[pa.Array, list[Misfit]]:
    """JSON values as values of the column's type. `nested` is the shape of an object's or array's column."""
    wanted = nested if nested is not None else arrow_type(column.type)
    if wanted == pa.string():
        return pa.array([None if value is None else text_of(value) for value in values], pa.string()), []
    try:
        if column.type == "number" and not all(isinstance(v, int | float) or v is None for v in values):
            raise TypeError(column.type)
        return pa.array(values, wanted), []
    except (pa.ArrowException, TypeError, ValueError, OverflowError):

        def read(value: Any, column: Column) -> Any:
            if column.type == "number" and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise ValueError(column.type)
            return pa.array([value], wanted)[0].as_py()

        return _one_by_one(values, column, read, wanted)


def utf8(values: pa.Array, name: str) -> tuple[pa.Array, list[Misfit]]:
    """Bytes as texts; a misfit where they are no UTF-8."""
    try:
        return pc.cast(values, pa.string()), []
    except pa.ArrowInvalid:
        return _one_by_one(values.to_pylist(), Column(name, "string"), lambda raw, _: raw.decode("utf-8"))


def _one_by_one(
    values: Sequence[Any], column: Column, read: Callable[[Any, Column], Any], wanted: pa.DataType | None = None
) -> tuple[pa.Array, list[Misfit]]:
    found: list[Any] = []
    misfits: list[Misfit] = []
    for place, value in enumerate(values):
        try:
            found.append(None if value is None else read(value, column))
        except UnicodeDecodeError as fault:
            found.append(None)
            misfits.append(Misfit(place, f"column {column.name}: no UTF-8 at byte {fault.start + 1} of the value"))
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            found.append(None)
            said = f"{text_of(value)[:60]!r} is no {column.type}"
            misfits.append(Misfit(place, f"column {column.name}: {said}, as the column's earlier values are"))
    return pa.array(found, wanted or arrow_type(column.type)), misfits


def _read_text(text: str, column: Column) -> Any:
    """A text as a value of a boolean, integer or number column. Raises ValueError."""
    match column.type:
        case "boolean" if text.lower() in ("true", "false"):
            return text.lower() == "true"
        case "integer" if -(2**63) <= int(text) < 2**63:
            return int(text)
        case "number" if math.isfinite(float(text)):
            return float(text)
    raise ValueError(text)
