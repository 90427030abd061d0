"""What the values of an expression are: texts, numbers, moments, arrays, and how each is taken for another.

A value of a source keeps the text that the source has: `7.10` is the number 7.1 where a number is wanted, and `7.10`
where a text is wanted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import orjson

from flowledger.emulator import dates

LARGEST: Final = 10**300
NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class BadArgument(ValueError):
    """A function cannot work with this argument. Its text says why."""


class WrittenInteger(int):
    """A whole number of a source with the text that stands there: `007`."""

    text: str


class WrittenNumber(float):
    """A number of a source with the text that stands there: `7.10`."""

    text: str


class WrittenTruth(str):
    """A boolean of a source that is written otherwise than JSON does: `TRUE`."""


class Unfit(str):
    """A text in a column whose other values are numbers or booleans: where one of these is wanted it fails, visibly."""


def written(value: Any, text: str | None) -> Any:
    """A typed value of a source that remembers its text. `value` None with a text: the text did not fit the type."""
    if text is None or (value is None and not text):
        return value
    if value is None:
        return Unfit(text)
    if isinstance(value, bool):
        return value if text in ("true", "false") else WrittenTruth(text)
    if not isinstance(value, int | float) or str(value) == text:
        return value
    found: Any = WrittenInteger(value) if isinstance(value, int) else WrittenNumber(value)
    found.text = text
    return found


def shown_number(value: float, text: str) -> Any:
    """A number for a document of JSON: itself, as a whole number where it is written as one, else its text."""
    if not -(2**63) <= value < 2**63:  # JSON is written here with whole numbers of 64 bits; NaN is not among them
        return text
    if str(value) == text:
        return value
    whole = int(value)
    return whole if whole == value and str(whole) == text else text


def shown(value: Any) -> Any:
    """A value for a JSON document: as it is where JSON writes it as the source does, else the text of the source."""
    if isinstance(value, WrittenInteger | WrittenNumber):
        return shown_number(value, value.text)
    if isinstance(value, dict):
        return {name: shown(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shown(inner) for inner in value]
    return value


def text_of(value: Any) -> str:
    """A value as text: as the source wrote it, else as Java would write it."""
    if isinstance(value, str):
        return value if type(value) is str else str(value)
    if isinstance(value, WrittenInteger | WrittenNumber):
        return value.text
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return dates.iso(value)
    if isinstance(value, dict | list):
        return orjson.dumps(_plain(value), default=text_of).decode()
    return str(value)


def _plain(value: Any) -> Any:
    """The same for orjson, which writes no subclass of float: numbers with their digits."""
    if isinstance(value, dict):
        return {text_of(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, WrittenInteger | WrittenNumber):
        return orjson.Fragment(value.text) if JSON_NUMBER.fullmatch(value.text) else value.text
    return value


def number_of(value: Any) -> int | float:
    """A value as a number. Raises BadArgument when it is none.

    A text is a number when it is an optional sign, ASCII digits with at most one point, and an optional exponent: no
    blanks, no underscores, no digits of other scripts, no `NaN`, `inf`, `1f`, `0x` (platform-api.md §5: our decision).
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadArgument(f"{text_of(value)[:100]!r} is no number")
    if not isinstance(value, str):
        return bounded(+value)  # without the text of the source: what is computed has another
    try:
        if NUMBER.fullmatch(value) is None:
            raise ValueError(value)
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
    if isinstance(left, Unfit) or isinstance(right, Unfit):
        _refuse_unfit(left, right)
    if isinstance(left, bool | WrittenTruth) and isinstance(right, bool | WrittenTruth):
        left, right = truth_of(left), truth_of(right)
        return int(left > right) - int(left < right)
    here, there = _ordered(left), _ordered(right)
    if isinstance(left, int | float) or isinstance(right, int | float):
        try:
            here, there = number_of(left), number_of(right)
        except BadArgument:
            here, there = text_of(left), text_of(right)
    if type(here) is not type(there) and not (isinstance(here, int | float) and isinstance(there, int | float)):
        here, there = text_of(left), text_of(right)
    return int(here > there) - int(here < there)


def _refuse_unfit(left: Any, right: Any) -> None:
    """A text among numbers is compared with texts only. Raises BadArgument: to call it larger would be a guess."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Unfit):
            if isinstance(other, bool):
                truth_of(one)
            elif not isinstance(other, str) or isinstance(other, Unfit):
                number_of(one)


def _ordered(value: Any) -> Any:
    return value if isinstance(value, datetime | str | int | float) else text_of(value)


def dated(read: Callable[..., datetime], *values: Any) -> datetime:
    """What `read` makes of the values. Raises BadArgument where it refuses them."""
    try:
        return read(*values)
    except (ValueError, OverflowError, TypeError, IndexError) as fault:
        raise BadArgument(str(fault)) from fault
