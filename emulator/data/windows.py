"""Which rows a run takes: those whose delta column lies in the window, the start included, the end not.

Dates are read as `yyyy-MM-dd HH:mm:ss` and in every form of ISO 8601; one without a zone is UTC (platform-api.md §11).
Whole numbers are milliseconds. A row whose delta column is empty or no date cannot be placed and is reported.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flowledger.emulator.data.kinds import Misfit
from flowledger.emulator.values import BadArgument, moment_of, text_of

ZONED = r"(?:Z|[+-][0-9]{2}:?[0-9]{2})$"


def in_window(column: pa.Array, name: str, start_ms: int | None, end_ms: int | None) -> tuple[pa.Array, list[Misfit]]:
    """True for each row in the window (ends in milliseconds, None: open), and the rows that cannot be placed."""
    moments, misfits = moments_of(column, name)
    chosen = pc.is_valid(moments)
    if start_ms is not None:
        chosen = pc.and_(chosen, pc.fill_null(pc.greater_equal(moments, pa.scalar(start_ms * 1000, pa.int64())), False))
    if end_ms is not None:
        chosen = pc.and_(chosen, pc.fill_null(pc.less(moments, pa.scalar(end_ms * 1000, pa.int64())), False))
    return chosen, misfits


def moments_of(column: pa.Array, name: str) -> tuple[pa.Array, list[Misfit]]:
    """Microseconds since the epoch of each row, null where there is no date; and the rows without one."""
    counted = pa.types.is_integer(column.type)
    moments = pc.multiply(column, pa.scalar(1000, pa.int64())) if counted else _parsed(column)
    if moments is None:
        return _one_by_one(column.to_pylist(), name)
    if moments.null_count:
        empty = pc.indices_nonzero(pc.is_null(moments)).to_pylist()
        return moments, [Misfit(place, f"the delta column {name} is empty") for place in empty]
    return moments, []


def _parsed(texts: pa.Array) -> pa.Array | None:
    """All texts at once; None when they are not all of one kind of date, with or without a zone."""
    if not pa.types.is_string(texts.type):
        return None
    zoned = pc.match_substring_regex(texts, ZONED)
    for wanted, holds in ((pa.timestamp("us"), pc.invert(zoned)), (pa.timestamp("us", tz="UTC"), zoned)):
        if pc.all(holds).as_py() is not True and len(texts):
            continue
        try:
            return pc.cast(pc.cast(texts, wanted), pa.int64())
        except pa.ArrowInvalid:
            return None
    return None


def _one_by_one(values: list[Any], name: str) -> tuple[pa.Array, list[Misfit]]:
    found: list[int | None] = []
    misfits: list[Misfit] = []
    for place, value in enumerate(values):
        try:
            found.append(None if value is None else _micros(value))
            if value is None:
                misfits.append(Misfit(place, f"the delta column {name} is empty"))
        except (BadArgument, OverflowError):
            found.append(None)
            misfits.append(Misfit(place, f"the delta column {name} is no date: {text_of(value)[:60]!r}"))
    return pa.array(found, pa.int64()), misfits


def _micros(value: Any) -> int:
    moment = moment_of(value)
    whole = int(moment.timestamp() // 1)
    return whole * 1_000_000 + moment.microsecond
