"""Dates as Data Prep's expressions read and write them: Java's patterns, moments with a zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ZONES: Final = {  # what Java's letter z reads and writes besides regions: minutes from UTC, and the long name
    "UT": (0, "Coordinated Universal Time"), "UTC": (0, "Coordinated Universal Time"),
    "Z": (0, "Coordinated Universal Time"), "GMT": (0, "Greenwich Mean Time"),
    "EST": (-300, "Eastern Standard Time"), "EDT": (-240, "Eastern Daylight Time"),
    "CST": (-360, "Central Standard Time"), "CDT": (-300, "Central Daylight Time"),
    "MST": (-420, "Mountain Standard Time"), "MDT": (-360, "Mountain Daylight Time"),
    "PST": (-480, "Pacific Standard Time"), "PDT": (-420, "Pacific Daylight Time"),
    "AKST": (-540, "Alaska Standard Time"), "AKDT": (-480, "Alaska Daylight Time"),
    "HST": (-600, "Hawaii-Aleutian Standard Time"), "HDT": (-540, "Hawaii-Aleutian Daylight Time"),
    "AST": (-240, "Atlantic Standard Time"), "ADT": (-180, "Atlantic Daylight Time"),
    "NST": (-210, "Newfoundland Standard Time"), "NDT": (-150, "Newfoundland Daylight Time"),
    "BRT": (-180, "Brasilia Time"), "ART": (-180, "Argentina Time"),
    "WET": (0, "Western European Standard Time"), "WEST": (60, "Western European Summer Time"),
    "BST": (60, "British Summer Time"),
    "CET": (60, "Central European Standard Time"), "CEST": (120, "Central European Summer Time"),
    "MET": (60, "Middle Europe Time"), "MEST": (120, "Middle Europe Summer Time"),
    "EET": (120, "Eastern European Standard Time"), "EEST": (180, "Eastern European Summer Time"),
    "SAST": (120, "South Africa Standard Time"), "CAT": (120, "Central Africa Time"),
    "EAT": (180, "Eastern Africa Time"), "WAT": (60, "Western Africa Time"), "MSK": (180, "Moscow Standard Time"),
    "GST": (240, "Gulf Standard Time"), "PKT": (300, "Pakistan Standard Time"), "IST": (330, "India Standard Time"),
    "ICT": (420, "Indochina Time"), "WIB": (420, "West Indonesia Time"), "SGT": (480, "Singapore Standard Time"),
    "HKT": (480, "Hong Kong Standard Time"), "PHT": (480, "Philippine Standard Time"),
    "AWST": (480, "Australian Western Standard Time"), "JST": (540, "Japan Standard Time"),
    "KST": (540, "Korean Standard Time"), "ACST": (570, "Australian Central Standard Time"),
    "ACDT": (630, "Australian Central Daylight Time"), "AEST": (600, "Australian Eastern Standard Time"),
    "AEDT": (660, "Australian Eastern Daylight Time"), "NZST": (720, "New Zealand Standard Time"),
    "NZDT": (780, "New Zealand Daylight Time"),
}  # fmt: skip
LONG_ZONES: Final = {long.lower(): short for short, (_, long) in ZONES.items() if short not in ("UT", "Z")}
OFFSET: Final = re.compile(r"(?:UTC|GMT|UT)?([+-])([0-9]{1,2})(?::?([0-9]{2})(?::?([0-9]{2}))?)?")
REGION: Final = r"[A-Za-z][A-Za-z0-9_/~.:+-]*"
ISO_ZONE: Final = re.compile(r"(:[0-9]{2}(?:[.,][0-9]+)?) ?(Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2}){0,2})$")
PIECE: Final = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+", re.DOTALL)

LONGEST_DATE: Final = 200  # characters: names that border on each other are tried in every way
LONGEST_PATTERN: Final = 200  # characters of Java's letters and what stands between

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
    "XXXX": ("zone", r"Z|[+-]\d{4}(?:\d{2})?"), "XXXXX": ("zone", r"Z|[+-]\d{2}:\d{2}(?::\d{2})?"),
    "x": ("zone", r"[+-]\d{2}(?:\d{2})?"), "xx": ("zone", r"[+-]\d{4}"), "xxx": ("zone", r"[+-]\d{2}:\d{2}"),
    "xxxx": ("zone", r"[+-]\d{4}(?:\d{2})?"), "xxxxx": ("zone", r"[+-]\d{2}:\d{2}(?::\d{2})?"),
    "Z": ("zone", r"[+-]\d{4}"), "ZZ": ("zone", r"[+-]\d{4}"), "ZZZ": ("zone", r"[+-]\d{4}"),
    "ZZZZ": ("zone", r"GMT(?:[+-]\d{2}:\d{2})?"), "ZZZZZ": ("zone", r"Z|[+-]\d{2}:\d{2}(?::\d{2})?"),
    "O": ("zone", r"(?:GMT|UTC)(?:[+-]\d{1,2}(?::\d{2})?)?"), "OOOO": ("zone", r"(?:GMT|UTC)(?:[+-]\d{2}:\d{2})?"),
    **dict.fromkeys(("z", "zz", "zzz"), ("named", REGION)),
    "zzzz": ("named", rf"[A-Za-z]+(?:[ -][A-Za-z]+)* Time|{REGION}"),
    "VV": ("named", rf"{REGION}|[+-]\d{{2}}:?\d{{2}}"),
}  # fmt: skip


def parsed(text: str, pattern: str) -> datetime:
    """The moment that `text` says in a Java `pattern`; without a zone in it, UTC. Raises ValueError."""
    found = _reader(pattern).fullmatch(text) if len(text) <= LONGEST_DATE else None
    if found is None:
        raise ValueError(f"{text!r} is no date of the form {pattern}")
    said = {name: value for name, value in found.groupdict().items() if value is not None}
    year = int(said.get("year", "1970"))
    if "short_year" in said:
        year = 2000 + int(said["short_year"])
    month = int(said.get("month", "1"))
    for name, length in (("short_month", 3), ("long_month", None)):
        if name in said:
            known = [one[:length].lower() for one in MONTHS]
            if said[name].lower() not in known:
                raise ValueError(f"{text!r} is no date of the form {pattern}: there is no month {said[name]!r}")
            month = 1 + known.index(said[name].lower())
    hour = int(said.get("hour", "0"))
    if "hour12" in said:
        hour = int(said["hour12"]) % 12 + (12 if said.get("half", "").lower() == "pm" else 0)
    zone = zone_of(said.get("zone") or said.get("named") or "UTC")
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
    """The moment of an ISO 8601 text, date and time parted by T or a space; without a zone, UTC. Raises ValueError.

    The offset may stand behind a space, and UTC or GMT in its place: that is how Shopify, BigQuery and PostgreSQL
    export moments.
    """
    plain = ISO_ZONE.sub(lambda end: end[1] + ("+00:00" if end[2][0] not in "+-" else end[2]), text.strip())
    try:
        if not plain.isascii():
            raise ValueError("a digit of another script")
        found = datetime.fromisoformat(plain)
    except ValueError as fault:
        more = f": {fault}" if re.match(r"[a-z]+ (?:must|is)", str(fault)) else ""
        raise ValueError(f"{text[:100]!r} is no date of ISO 8601{more}") from fault
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
    """The moment of milliseconds since the epoch, in UTC. Raises ValueError out of range."""
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    except (OverflowError, ValueError) as fault:
        raise ValueError(f"{ms} milliseconds are no moment between the years 1 and 9999") from fault


def zone_of(name: str) -> ZoneInfo | timezone:
    """A time zone by its name or offset: Europe/Paris, EDT, GMT-07:00, +05:30. Raises ValueError when there is none.

    A short name means the offset that it says, on every day of the year: EDT is four hours behind UTC.
    """
    short = LONG_ZONES.get(name.lower(), name.upper())
    if short in ZONES:
        minutes = ZONES[short][0]
        return timezone(timedelta(minutes=minutes), short) if minutes else UTC
    offset = OFFSET.fullmatch(name)
    if offset is not None:
        hours, minutes, seconds = (int(part or 0) for part in offset.groups()[1:])
        if hours > 18 or minutes > 59 or seconds > 59:
            raise ValueError(f"there is no offset {name!r}")
        distance = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        distance = -distance if offset[1] == "-" else distance
        return UTC if not distance else timezone(distance, name) if name[0].isalpha() else timezone(distance)
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as fault:
        raise ValueError(f"there is no time zone {name!r}") from fault


def _pieces(pattern: str) -> list[tuple[bool, str]]:
    """The pattern in parts: (True, text as it is) and (False, letters)."""
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"a date's pattern has at most {LONGEST_PATTERN} characters, not {len(pattern)}")
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


@lru_cache(maxsize=256)
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
    return re.compile("".join(parts), re.ASCII)


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
            return _zone_name(moment, text)
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


def _zone_name(moment: datetime, letters: str) -> str:
    zone, short = moment.tzinfo, moment.tzname() or "UTC"
    if letters == "VV":
        return zone.key if isinstance(zone, ZoneInfo) else _offset_text(moment, "XXX")
    if short.startswith("UTC") and short != "UTC":  # what Python calls a zone that is an offset only
        return _offset_text(moment, "XXX")
    return ZONES[short][1] if len(letters) == 4 and short in ZONES else short


def _offset_text(moment: datetime, letters: str) -> str:
    """The offset as X, x, Z or O write it, which differ in colons, minutes and what they write for UTC itself."""
    offset = moment.strftime("%z") or "+0000"
    sign, hours, minutes, seconds = offset[0], offset[1:3], offset[3:5], offset[5:7]
    there = sign + hours + minutes + seconds != "+0000"
    if letters[0] == "O" or letters == "ZZZZ":
        if not there:
            return "GMT"
        short = f"{int(hours)}" + (f":{minutes}" if minutes != "00" else "")
        return f"GMT{sign}" + (f"{hours}:{minutes}" if len(letters) == 4 else short)
    if not there and (letters[0] == "X" or letters == "ZZZZZ"):
        return "Z"
    if letters in ("X", "x") and minutes == "00":
        return sign + hours
    colon = ":" if len(letters) in (3, 5) and letters != "ZZZ" else ""
    end = colon + seconds if seconds and len(letters) > 3 else ""
    return f"{sign}{hours}{colon}{minutes}{end}"
