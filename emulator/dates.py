"""Dates as Data Prep's expressions read and write them: Java's patterns, moments with a zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PIECE: Final = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+", re.DOTALL)

READERS: Final = {  # letters of a pattern -> group name and what stands there
    "yyyy": ("year", r"\d{4}"), "uuuu": ("year", r"\d{4}"), "yy": ("short_year", r"\d{2}"),
    "MM": ("month", r"\d{2}"), "M": ("month", r"\d{1,2}"),
    "MMM": ("short_month", r"[A-Za-z]{3}"), "MMMM": ("long_month", r"[A-Za-z]+"),
    "dd": ("day", r"\d{2}"), "d": ("day", r"\d{1,2}"),
    "HH": ("hour", r"\d{2}"), "H": ("hour", r"\d{1,2}"), "hh": ("hour12", r"\d{2}"), "h": ("hour12", r"\d{1,2}"),
    "mm": ("minute", r"\d{2}"), "m": ("minute", r"\d{1,2}"), "ss": ("second", r"\d{2}"), "s": ("second", r"\d{1,2}"),
    "S": ("fraction", r"\d"), "SS": ("fraction", r"\d{2}"), "SSS": ("fraction", r"\d{3}"),
    "SSSSSS": ("fraction", r"\d{6}"), "a": ("half", r"[AaPp][Mm]"),
    "E": ("weekday", r"[A-Za-z]{3}"), "EEE": ("weekday", r"[A-Za-z]{3}"), "EEEE": ("weekday", r"[A-Za-z]+"),
    "X": ("zone", r"Z|[+-]\d{2}(?:\d{2})?"), "XX": ("zone", r"Z|[+-]\d{4}"), "XXX": ("zone", r"Z|[+-]\d{2}:\d{2}"),
    "Z": ("zone", r"[+-]\d{4}"), "z": ("named", r"[A-Za-z]+(?:/[A-Za-z_]+)?"), "VV": ("named", r"[A-Za-z_/]+"),
}  # fmt: skip


def parsed(text: str, pattern: str) -> datetime:
    """The moment that `text` says in a Java `pattern`; without a zone in it, UTC. Raises ValueError."""
    found = _reader(pattern).fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no date of the form {pattern}")
    said = {name: value for name, value in found.groupdict().items() if value is not None}
    year = int(said.get("year", "1970"))
    if "short_year" in said:
        year = 2000 + int(said["short_year"])
    month = int(said.get("month", "1"))
    for name, length in (("short_month", 3), ("long_month", None)):
        if name in said:
            month = 1 + [known[:length].lower() for known in MONTHS].index(said[name].lower())
    hour = int(said.get("hour", "0"))
    if "hour12" in said:
        hour = int(said["hour12"]) % 12 + (12 if said.get("half", "").lower() == "pm" else 0)
    zone = _offset(said["zone"]) if "zone" in said else zone_of(said["named"]) if "named" in said else UTC
    return datetime(
        year,
        month,
        int(said.get("day", "1")),
        hour,
        int(said.get("minute", "0")),
        int(said.get("second", "0")),
        int(said.get("fraction", "0").ljust(6, "0")),
        tzinfo=zone,
    )


def parsed_iso(text: str) -> datetime:
    """The moment of an ISO 8601 text, date and time parted by T or a space; without a zone, UTC. Raises ValueError."""
    found = datetime.fromisoformat(text.strip())
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def formatted(moment: datetime, pattern: str) -> str:
    """The moment in a Java pattern. Raises ValueError for letters that are not known here."""
    return "".join(_written(moment, literal, piece) for literal, piece in _pieces(pattern))


def iso(moment: datetime) -> str:
    """The moment as Data Prep shows it: `2019-10-23T11:24:00Z`, with milliseconds only where there are any."""
    text = moment.replace(tzinfo=None).isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    offset = moment.strftime("%z")
    return text + ("Z" if offset in ("", "+0000") else f"{offset[:3]}:{offset[3:5]}")


def from_ms(ms: float) -> datetime:
    """The moment of milliseconds since the epoch, in UTC. Raises OverflowError, ValueError out of range."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def zone_of(name: str) -> ZoneInfo | timezone:
    """A time zone by its name, like Europe/Paris. Raises ValueError when there is none."""
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as fault:
        raise ValueError(f"there is no time zone {name!r}") from fault


def _pieces(pattern: str) -> list[tuple[bool, str]]:
    """The pattern in parts: (True, text as it is) and (False, letters)."""
    found: list[tuple[bool, str]] = []
    place = 0
    while place < len(pattern):
        piece = PIECE.match(pattern, place)
        if piece is None:
            raise ValueError(f"the pattern {pattern!r} has a quote that is not closed")
        quoted, letter = piece[1], piece[2]
        literal = letter is None
        text = (quoted.replace("''", "'") or "'") if quoted is not None else piece[0]
        if not literal and text not in READERS:
            raise ValueError(f"{text!r} in the pattern {pattern!r} is not known" + _advice(text))
        found.append((literal, text))
        place = piece.end()
    return found


def _advice(letters: str) -> str:
    return {"Y": ": week years are seldom meant, years are yyyy", "D": ": days of a month are dd"}.get(letters[0], "")


@cache
def _reader(pattern: str) -> re.Pattern[str]:
    parts, seen = [], set()
    for literal, text in _pieces(pattern):
        if literal:
            parts.append(re.escape(text))
            continue
        name, digits = READERS[text]
        if name in seen:
            raise ValueError(f"the pattern {pattern!r} says the {name} twice")
        seen.add(name)
        parts.append(f"(?P<{name}>{digits})")
    return re.compile("".join(parts))


def _written(moment: datetime, literal: bool, text: str) -> str:
    if literal:
        return text
    name, length = READERS[text][0], len(text)
    match name:
        case "short_month" | "long_month":
            return MONTHS[moment.month - 1][: 3 if length == 3 else None]
        case "weekday":
            return DAYS[moment.weekday()][: None if length == 4 else 3]
        case "half":
            return "AM" if moment.hour < 12 else "PM"
        case "fraction":
            return f"{moment.microsecond:06d}"[:length]
        case "named":
            return moment.tzname() or "UTC"
        case "zone":
            return _offset_text(moment, text)
    number = {
        "year": moment.year,
        "short_year": moment.year % 100,
        "month": moment.month,
        "day": moment.day,
        "hour": moment.hour,
        "hour12": (moment.hour - 1) % 12 + 1,
        "minute": moment.minute,
        "second": moment.second,
    }[name]
    return f"{number:0{length}d}"


def _offset_text(moment: datetime, letters: str) -> str:
    offset = moment.strftime("%z")[:5]
    if offset == "+0000" and letters[0] == "X":
        return "Z"
    if letters == "X" and offset[3:] == "00":
        return offset[:3]
    return f"{offset[:3]}:{offset[3:]}" if letters == "XXX" else offset


def _offset(text: str) -> timezone:
    if text == "Z":
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
