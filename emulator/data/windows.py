"""Which rows a run takes: those whose delta column lies in the window, the start included, the end not.

Dates are read as `yyyy-MM-dd HH:mm:ss` and in every form of ISO 8601, or by the delta column's own format alone; one
without a zone is UTC (platform-api.md §11). Numbers count from the epoch; their size says their unit, because no moment
between March 1973 and the year 5138 has the same size in two of them. A row whose delta column is empty or no date
cannot be placed and is reported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from flowledger.emulator import dates
from flowledger.emulator.data.kinds import Column, Misfit
from flowledger.emulator.data.leaves import instants_of
from flowledger.emulator.values import BadArgument, moment_of, text_of, written

SECONDS_BELOW: Final = 10**11  # in absolute value; from there on a number counts milliseconds, and so on
MILLISECONDS_BELOW: Final = 10**14
MICROSECONDS_BELOW: Final = 10**17  # larger ones are nanoseconds
COUNTED: Final = r"^-?[0-9]{9,19}$"  # eight digits are a date of ISO 8601
INSTANT: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$"  # as the moments of a Parquet file are shown

Key = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Delta:
    """A delta column, and the Java pattern of its dates; None: they are ISO 8601."""

    column: Column
    format: str | None = None

    @property
    def key(self) -> Key:
        """What tells its moments from those of another column, and of this one read otherwise."""
        return (self.column.name, self.format)


def in_window(moments: pa.Array, start_ms: int | None, end_ms: int | None) -> pa.Array:
    """True for each moment (microseconds) in the window; its ends in milliseconds, None: open."""
    chosen = pc.is_valid(moments)
    if start_ms is not None:
        chosen = pc.and_(chosen, pc.fill_null(pc.greater_equal(moments, pa.scalar(start_ms * 1000, pa.int64())), False))
    if end_ms is not None:
        chosen = pc.and_(chosen, pc.fill_null(pc.less(moments, pa.scalar(end_ms * 1000, pa.int64())), False))
    return chosen


def moments_of(column: pa.Array, texts: pa.Array | None, delta: Delta) -> tuple[pa.Array, list[Misfit]]:
    """Microseconds since the epoch of each row, null where there is no date; and the rows without one.

    `texts` are those that the file has, where the column's type is not text.
    """
    sound = pa.nulls(len(column), pa.int64())
    if delta.format is not None and (texts is not None or pa.types.is_string(column.type)):
        return _in_format(column if texts is None else texts, delta.column.name, delta.format)
    if pa.types.is_integer(column.type):
        sound = micros_of_integers(column)
    elif pa.types.is_string(column.type):
        sound = pc.coalesce(pc.cast(instants_of(column), pa.int64()), _counted(column))
    left = pc.indices_nonzero(pc.is_null(sound)).to_pylist()
    if not left:
        return sound, []
    places = pa.array(left, pa.int64())
    values = column.take(places).to_pylist()
    said = [None] * len(left) if texts is None else texts.take(places).to_pylist()
    found: list[int | None] = []
    misfits: list[Misfit] = []
    for place, value, text in zip(left, values, said, strict=True):
        micros, reason = _micros(written(value, text), delta.column.name)
        found.append(micros)
        if reason:
            misfits.append(Misfit(place, reason))
    mask = pc.is_null(sound)
    return pc.replace_with_mask(sound, mask, pa.array(found, pa.int64())), misfits


def micros_of_integers(column: pa.Array) -> pa.Array:
    """Whole numbers from the epoch as microseconds, each in the unit that its size says; null stays null.

    Nothing overflows: of each unit only numbers are multiplied that are small enough. A number beyond 64 bits is null.
    """
    whole = column
    if pa.types.is_uint64(column.type):
        whole = _where(pc.less_equal(column, pa.scalar(2**63 - 1, pa.uint64())), column)
    whole = pc.cast(whole, pa.int64())
    found = pc.divide(whole, pa.scalar(1000, pa.int64()))
    for below, factor in ((MICROSECONDS_BELOW, 1), (MILLISECONDS_BELOW, 1000), (SECONDS_BELOW, 1_000_000)):
        small = _where(pc.and_(pc.less(whole, below), pc.greater(whole, -below)), whole)
        found = pc.coalesce(pc.multiply(small, pa.scalar(factor, pa.int64())), found)
    return found


def _counted(texts: pa.Array) -> pa.Array:
    """Texts that are whole numbers as microseconds: a CSV's numbers of more than 15 digits are texts."""
    nothing = pa.nulls(len(texts), pa.int64())
    digits = _where(pc.match_substring_regex(texts, COUNTED), texts)
    if digits.null_count == len(digits):
        return nothing
    try:
        return micros_of_integers(pc.cast(digits, pa.int64()))
    except pa.ArrowInvalid:  # one is beyond 64 bits: each is looked at by itself
        return nothing


def _where(flags: pa.Array, values: pa.Array) -> pa.Array:
    return pc.if_else(pc.fill_null(flags, False), values, pa.scalar(None, values.type))


def _in_format(texts: pa.Array, name: str, pattern: str) -> tuple[pa.Array, list[Misfit]]:
    """Each different text is read once: dates of a table repeat."""
    encoded = texts.dictionary_encode()
    different = encoded.dictionary.to_pylist()
    moments = pa.array([_in_pattern(text, pattern) for text in different], pa.int64()).take(encoded.indices)
    shown = pc.if_else(pc.match_substring_regex(texts, INSTANT), texts, pa.scalar(None, texts.type))
    moments = pc.coalesce(moments, pc.cast(instants_of(shown), pa.int64()))
    left = pc.indices_nonzero(pc.is_null(moments)).to_pylist()
    misfits = []
    for place in left:
        text = texts[place].as_py()
        reason = f"is no date of the form {pattern}: {text[:60]!r}" if text else "is empty"
        misfits.append(Misfit(place, f"the delta column {name} {reason}"))
    return moments, misfits


def _in_pattern(text: str, pattern: str) -> int | None:
    try:
        return _micros_of(dates.parsed(text, pattern))
    except (ValueError, OverflowError):
        return None


def _micros_of(moment: datetime) -> int:
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() // 1) * 1_000_000 + moment.microsecond


def _micros(value: Any, name: str) -> tuple[int | None, str]:
    if value is None or value == "":
        return None, f"the delta column {name} is empty"
    try:
        if isinstance(value, str) and re.fullmatch(COUNTED, value):
            return _micros_of_number(int(value)), ""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _micros_of_number(value), ""
        return _micros_of(moment_of(value)), ""
    except (BadArgument, OverflowError, ValueError):
        return None, f"the delta column {name} is no date: {text_of(value)[:60]!r}"


def _micros_of_number(value: int | float) -> int:
    """Raises OverflowError and ValueError for what is no moment."""
    size = abs(value)
    if not -(2**63) <= value < 2**63:
        raise OverflowError(value)
    if size >= MICROSECONDS_BELOW:
        return int(value) // 1000
    return round(value * (1_000_000 if size < SECONDS_BELOW else 1000 if size < MILLISECONDS_BELOW else 1))
