"""Dates as operations on columns: read in the commonest patterns, and written in those of years down to seconds."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from flowledger.emulator.data import leaves
from flowledger.emulator.data.leaves import either
from flowledger.emulator.data.operands import MOMENT, TEXT, Unsupported, Values, of

WRITTEN: Final = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}


def date(values: Values, *more: Any) -> Values:
    """date(text) and date(text, pattern); a text of another zone than UTC is flagged, for it says which one."""
    if len(more) > 1:
        raise Unsupported("a date with a default")
    if values.type == MOMENT:
        return values
    texts = of(values, TEXT)
    if more:
        (pattern,) = more
        form = PATTERNS.get(pattern)
        if form is None:
            raise Unsupported("a date in that pattern")
        sound = pc.match_substring_regex(texts.array, form[0])
        iso = pc.replace_substring_regex(texts.array, form[0], form[1])
        moments, flags = leaves.moments_of(iso)
        strange = pc.fill_null(pc.invert(sound), False) if pc.all(sound).as_py() is False else None
        return Values(moments, either(texts.flags, flags, strange))
    moments, flags = leaves.moments_of(texts.array)
    return Values(moments, either(texts.flags, flags))


PATTERNS: Final = {  # of texts, and how they are written as ISO 8601
    "yyyy-MM-dd": (r"^([0-9]{4}-[0-9]{2}-[0-9]{2})$", r"\1 00:00:00"),
    "yyyy-MM-dd HH:mm:ss": (r"^([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})$", r"\1"),
    "yyyy-MM-dd'T'HH:mm:ss": (r"^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})$", r"\1"),
    "yyyy-MM-dd'T'HH:mm:ss'Z'": (r"^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})Z$", r"\1"),
    "MM/dd/yyyy": (r"^([0-9]{2})/([0-9]{2})/([0-9]{4})$", r"\3-\1-\2 00:00:00"),
    "dd/MM/yyyy": (r"^([0-9]{2})/([0-9]{2})/([0-9]{4})$", r"\3-\2-\1 00:00:00"),
    "dd.MM.yyyy": (r"^([0-9]{2})\.([0-9]{2})\.([0-9]{4})$", r"\3-\2-\1 00:00:00"),
    "yyyyMMdd": (r"^([0-9]{4})([0-9]{2})([0-9]{2})$", r"\1-\2-\3 00:00:00"),
}


def formatted(values: Values, pattern: Any) -> Values:
    """dformat(moment, pattern)."""
    moments = date(values)
    written = _strftime(pattern)
    seconds = pc.cast(pc.floor_temporal(moments.array, unit="second"), pa.timestamp("s", tz="UTC"))
    years = pc.year(moments.array)
    odd = pc.fill_null(pc.or_(pc.less(years, 1000), pc.greater(years, 9999)), False)
    return Values(pc.strftime(seconds, format=written), either(moments.flags, odd))


def _strftime(pattern: Any) -> str:
    """A Java pattern of years, months, days, hours, minutes and seconds in C's letters. Raises Unsupported."""
    left, written = pattern if isinstance(pattern, str) else "?", ""
    while left:
        letters = next((letters for letters in WRITTEN if left.startswith(letters)), "")
        follows = left[len(letters) : len(letters) + 1]
        if letters and follows != letters[0]:
            written, left = written + WRITTEN[letters], left[len(letters) :]
        elif left[:3] in ("'T'", "'Z'"):
            written, left = written + left[1], left[3:]
        elif left[0] in "-/.: ":
            written, left = written + left[0], left[1:]
        else:
            raise Unsupported("a date written in that pattern")
    return written
