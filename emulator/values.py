"""What the values of an expression are: texts, numbers, moments, arrays, and how each is taken for another."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import orjson

from flowledger.emulator import dates

LARGEST: Final = 10**300


class BadArgument(ValueError):
    """A function cannot work with this argument. Its text says why."""


def text_of(value: Any) -> str:
    """A value as text, as Java would write it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return dates.iso(value)
    if isinstance(value, dict | list):
        return orjson.dumps(value, default=text_of).decode()
    return str(value)


def number_of(value: Any) -> int | float:
    """A value as a number. Raises BadArgument when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadArgument(f"{text_of(value)[:100]!r} is no number")
    if not isinstance(value, str):
        return bounded(value)
    try:
        return bounded(float(value) if re.search(r"[.eE]", value) else int(value))
    except ValueError as fault:
        raise BadArgument(f"{value[:100]!r} is no number, or out of range") from fault


def bounded(number: int | float) -> int | float:
    """The number itself. Raises BadArgument for what is not finite, or has more digits than anybody means."""
    if (isinstance(number, float) and not math.isfinite(number)) or abs(number) > LARGEST:
        raise BadArgument("the number is out of range")
    return number


def whole_of(value: Any) -> int:
    """A value as a whole number; a number with a fraction loses it. Raises BadArgument."""
    return int(number_of(value))


def moment_of(value: Any) -> datetime:
    """A value as a moment: a date that was computed, milliseconds, or ISO 8601 text. Raises BadArgument."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return dated(dates.from_ms, value)
    return dated(dates.parsed_iso, text_of(value))


def list_of(value: Any) -> list[Any]:
    """A value as an array. Raises BadArgument."""
    if not isinstance(value, list):
        raise BadArgument(f"{text_of(value)[:100]!r} is no array")
    return value


def truth_of(value: Any) -> bool:
    """A value as a condition: null is false. Raises BadArgument for what is neither true nor false."""
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise BadArgument(f"{text_of(value)[:100]!r} is neither true nor false")


def size_of(value: Any) -> int:
    """How many entries, keys or characters. Null has none."""
    if value is None:
        return 0
    return len(value) if isinstance(value, dict | list | str) else len(text_of(value))


def compared(left: Any, right: Any) -> int:
    """-1, 0 or 1. Numbers by value, also when one is written as text; moments by time; else as text."""
    here, there = _ordered(left), _ordered(right)
    if isinstance(left, int | float) or isinstance(right, int | float):
        try:
            here, there = number_of(left), number_of(right)
        except BadArgument:
            here, there = text_of(left), text_of(right)
    if type(here) is not type(there) and not (isinstance(here, int | float) and isinstance(there, int | float)):
        here, there = text_of(left), text_of(right)
    return int(here > there) - int(here < there)


def _ordered(value: Any) -> Any:
    return value if isinstance(value, datetime | str | int | float) else text_of(value)


def dated(read: Callable[..., datetime], *values: Any) -> datetime:
    """What `read` makes of the values. Raises BadArgument where it refuses them."""
    try:
        return read(*values)
    except (ValueError, OverflowError, TypeError, IndexError) as fault:
        raise BadArgument(str(fault)) from fault
