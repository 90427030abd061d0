"""Of what type a source's columns are, told from their values, and texts turned into values of that type.

Dates stay texts: that is what a preview shows and what Data Prep's expressions get. A column has a number's type when
all its values are written as JSON writes numbers: one of `007`, `+1` or twenty digits makes it a column of texts. The
type loses nothing: beside the values of a column are the texts from which they were read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from flowledger.emulator import dates
from flowledger.emulator.values import BadArgument, number_of, text_of

FEW: Final = 64
LARGEST_INTEGER: Final = 2**53  # how far JSON carries whole numbers
PATTERNS: Final = {  # what every value of a column must look like, the narrowest type first
    "boolean": r"^(?i:true|false)$",
    "integer": r"^-?(?:0|[1-9][0-9]{0,14})$",
    "number": r"^-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,2})?$",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "date-time": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?"
    r"(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?$",
}
NUMBER: Final = r"^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"


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
    """The narrowest type that all texts of a column have; nulls and empty texts say nothing, nothing is a string."""
    said = pc.drop_null(texts)
    if pc.any(pc.equal(said, "")).as_py():
        said = said.filter(pc.not_equal(said, ""))
    if len(said) == 0:
        return "string"
    few = said.slice(0, FEW)  # most types are ruled out by these
    for type_, pattern in PATTERNS.items():
        if not pc.all(pc.match_substring_regex(few, pattern)).as_py():
            continue
        if pc.all(pc.match_substring_regex(said, pattern)).as_py() and _sound(type_, said):
            return type_
    return "string"


def type_of_values(values: Iterable[Any]) -> str:
    """The type of a column of JSON values: numbers that are written as texts are texts."""
    seen = [value for value in values if value is not None]
    if not seen:
        return "string"
    if all(isinstance(value, str) for value in seen):
        try:
            found = type_of_texts(pa.array(seen, pa.string()))
        except UnicodeEncodeError:  # half of a pair of surrogates
            return "string"
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


def fitted_texts(texts: pa.Array, column: Column) -> pa.Array:
    """Texts as values of the column's type, null where one does not fit: there the text itself is the value."""
    wanted = arrow_type(column.type)
    if wanted == pa.string():
        return texts
    if wanted == pa.bool_():  # a cast would take 1 and 0 too
        return pc.cast(_matching(texts, PATTERNS["boolean"]), wanted)
    try:
        values = pc.cast(texts, wanted)
        plain = wanted == pa.float64() or not any(
            pc.any(pc.match_substring(texts, sign)).as_py()
            for sign in ("x", "X")  # Arrow takes 0x1F for a number
        )
        if plain and (wanted == pa.int64() or pc.all(pc.is_finite(values)).as_py() is not False):
            return values
    except pa.ArrowInvalid:
        pass  # not all of them: those that are numbers are read below
    sound = _matching(texts, NUMBER)
    try:
        values = pc.cast(pc.replace_substring_regex(sound, r"^\+", ""), wanted)
        return pc.if_else(pc.is_finite(values), values, pa.scalar(None, wanted))
    except pa.ArrowInvalid:
        return pa.array([_number(text, wanted) for text in sound.to_pylist()], wanted)


def _matching(texts: pa.Array, pattern: str) -> pa.Array:
    """The texts of that form, null in place of the others."""
    return pc.if_else(pc.match_substring_regex(texts, pattern), texts, pa.scalar(None, pa.string()))


def _number(text: str | None, wanted: pa.DataType) -> Any:
    """A text as a number of that type; None when it is none, or has a fraction where none is wanted."""
    try:
        found = None if text is None else number_of(text)
    except BadArgument:
        return None
    if found is None or wanted == pa.float64():
        return None if found is None else float(found)
    return found if isinstance(found, int) and -(2**63) <= found < 2**63 else None


def fitted_values(values: Sequence[Any], column: Column, nested: pa.DataType | None) -> tuple[pa.Array, list[Misfit]]:
    """JSON values as values of the column's type, null where one does not fit; and those, as misfits.

    `nested` is the shape of an object's or array's column. In a column of strings every value has a text.
    """
    wanted = nested if nested is not None else arrow_type(column.type)
    if wanted == pa.string():
        return _texts(values, column)
    try:
        if column.type == "number" and not all(isinstance(v, int | float) or v is None for v in values):
            raise TypeError(column.type)
        return pa.array(values, wanted), []
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _one_by_one(values, column, wanted)


def _texts(values: Sequence[Any], column: Column) -> tuple[pa.Array, list[Misfit]]:
    texts = [None if value is None else text_of(value) for value in values]
    try:
        return pa.array(texts, pa.string()), []
    except UnicodeEncodeError:
        misfits: list[Misfit] = []
        for place, text in enumerate(texts):
            try:
                (text or "").encode()
            except UnicodeEncodeError as fault:
                texts[place] = None
                misfits.append(Misfit(place, f"column {column.name}: no UTF-8 at character {fault.start + 1}"))
        return pa.array(texts, pa.string()), misfits


def utf8(values: pa.Array, name: str) -> tuple[pa.Array, list[Misfit]]:
    """Bytes as texts; a misfit where they are no UTF-8."""
    try:
        return pc.cast(values, pa.string()), []
    except pa.ArrowInvalid:
        found: list[str | None] = []
        misfits: list[Misfit] = []
        for place, raw in enumerate(values.to_pylist()):
            try:
                found.append(None if raw is None else raw.decode("utf-8"))
            except UnicodeDecodeError as fault:
                found.append(None)
                misfits.append(Misfit(place, f"column {name}: no UTF-8 at byte {fault.start + 1} of the value"))
        return pa.array(found, pa.string()), misfits


def _one_by_one(values: Sequence[Any], column: Column, wanted: pa.DataType) -> tuple[pa.Array, list[Misfit]]:
    found: list[Any] = []
    misfits: list[Misfit] = []
    for place, value in enumerate(values):
        try:
            if column.type in ("integer", "number") and isinstance(value, bool | str):
                raise TypeError(column.type)
            found.append(None if value is None else pa.array([value], wanted)[0].as_py())
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            found.append(None)
            said = f"{text_of(value)[:60]!r} is no {column.type}"
            misfits.append(Misfit(place, f"column {column.name}: {said}, as the column's earlier values are"))
    return pa.array(found, wanted), misfits
