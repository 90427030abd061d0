"""Which rows a run takes: those whose delta column lies in the window, the start included, the end not.

Dates are read as `yyyy-MM-dd HH:mm:ss` and in every form of ISO 8601; one without a zone is UTC (platform-api.md §11).
Whole numbers are milliseconds. A row whose delta column is empty or no date cannot be placed and is reported.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from flowledger.emulator.data.kinds import Misfit
from flowledger.emulator.data.leaves import instants_of
from flowledger.emulator.values import BadArgument, moment_of, text_of, written

LARGEST_MS: Final = 2**63 // 1000 - 1


def in_window(moments: pa.Array, start_ms: int | None, end_ms: int | None) -> pa.Array:
    """True for each moment (microseconds) in the window; its ends in milliseconds, None: open."""
    chosen = pc.is_valid(moments)
    if start_ms is not None:
        chosen = pc.and_(chosen, pc.fill_null(pc.greater_equal(moments, pa.scalar(start_ms * 1000, pa.int64())), False))
    if end_ms is not None:
        chosen = pc.and_(chosen, pc.fill_null(pc.less(moments, pa.scalar(end_ms * 1000, pa.int64())), False))
    return chosen


def moments_of(column: pa.Array, texts: pa.Array | None, name: str) -> tuple[pa.Array, list[Misfit]]:
    """Microseconds since the epoch of each row, null where there is no date; and the rows without one.

    `texts` are those that the file has, where the column's type is not text.
    """
    sound = pa.nulls(len(column), pa.int64())
    if pa.types.is_integer(column.type):
        small = pc.and_(pc.less_equal(column, LARGEST_MS), pc.greater_equal(column, -LARGEST_MS))
        kept = pc.if_else(pc.fill_null(small, False), column, pa.scalar(None, pa.int64()))
        sound = pc.multiply(kept, pa.scalar(1000, pa.int64()))
    elif pa.types.is_string(column.type):
        sound = pc.cast(instants_of(column), pa.int64())
    left = pc.indices_nonzero(pc.is_null(sound)).to_pylist()
    if not left:
        return sound, []
    places = pa.array(left, pa.int64())
    values = column.take(places).to_pylist()
    said = [None] * len(left) if texts is None else texts.take(places).to_pylist()
    found: list[int | None] = []
    misfits: list[Misfit] = []
    for place, value, text in zip(left, values, said, strict=True):
        micros, reason = _micros(written(value, text), name)
        found.append(micros)
        if reason:
            misfits.append(Misfit(place, reason))
    mask = pc.is_null(sound)
    return pc.replace_with_mask(sound, mask, pa.array(found, pa.int64())), misfits


def _micros(value: Any, name: str) -> tuple[int | None, str]:
    if value is None or value == "":
        return None, f"the delta column {name} is empty"
    try:
        moment = moment_of(value)
        return int(moment.timestamp() // 1) * 1_000_000 + moment.microsecond, ""
    except (BadArgument, OverflowError):
        return None, f"the delta column {name} is no date: {text_of(value)[:60]!r}"
