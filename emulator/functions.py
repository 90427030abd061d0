"""Data Prep's functions as one table: names, how many arguments, what null does, and the computation.

The published ones are those of Adobe's list of mapping functions, the JEXL built-ins `size` and `empty` included.
The list has no functions for rounding, sums and the like; those here serve under an option (decision 0016).
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from flowledger.emulator import dates, effort
from flowledger.emulator.depth import too_deep
from flowledger.emulator.effort import MOST_ENTRIES
from flowledger.emulator.patterns import Pattern, compiled
from flowledger.emulator.values import (
    BadArgument,
    compared,
    dated,
    list_of,
    moment_of,
    number_of,
    size_of,
    text_of,
    truth_of,
    whole_of,
)

LONGEST_TEXT: Final = 1_000_000  # characters that a function may make
ANY: Final = 255  # arguments, at most
INTEGER: Final = range(-(2**31), 2**31)
PORTS: Final = {"http": 80, "https": 443, "ftp": 21, "sftp": 22, "ssh": 22}
CHARSETS: Final = {"utf-8", "utf-16", "iso-8859-1", "us-ascii"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an expression may know besides its row: the time (epoch ms) and a source of fresh ids."""

    now_ms: int
    new_uuid: Callable[[], str]
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function. Unless `takes_null`, one null argument makes the result null and nothing is computed."""

    least: int
    most: int
    compute: Callable[..., Any]
    takes_null: bool = False
    absent_is_null: bool = False  # a path that the row does not have counts as null
    takes_surroundings: bool = False
    published: bool = True


def joined(*texts: str, separator: str = "") -> str:
    """The texts as one. Raises BadArgument, before it is made, for one of more than LONGEST_TEXT characters."""
    if sum(map(len, texts)) + len(separator) * max(0, len(texts) - 1) > LONGEST_TEXT:
        raise BadArgument(f"the result would be longer than {LONGEST_TEXT} characters")
    return separator.join(texts)


def _pattern(text: Any) -> Pattern:
    try:
        return compiled(text_of(text))
    except ValueError as fault:
        raise BadArgument(str(fault)) from fault


def _substr(text: Any, start: Any, length: Any = None) -> str:
    whole, begin = text_of(text), whole_of(start)
    count = len(whole) if length is None else whole_of(length)
    if begin < 0 or count < 0:
        raise BadArgument("start and length must not be negative")
    return whole[begin : begin + count]


def _replace(text: Any, old: Any, new: Any) -> str:
    whole, wanted, instead = text_of(text), text_of(old), text_of(new)
    if not wanted:
        return whole
    if len(whole) + whole.count(wanted) * len(instead) > LONGEST_TEXT:
        raise BadArgument(f"the result would be longer than {LONGEST_TEXT} characters")
    return whole.replace(wanted, instead)


def _pad(text: Any, count: Any, padding: Any, *, left: bool) -> str:
    whole, size, fill = text_of(text), whole_of(count), text_of(padding) or " "
    if size > LONGEST_TEXT:
        raise BadArgument(f"the result would be longer than {LONGEST_TEXT} characters")
    missing = max(0, size - len(whole))
    added = (fill * (missing // len(fill) + 1))[:missing]
    return added + whole if left else whole + added


def _instr(text: Any, part: Any, start: Any = 0, occurrence: Any = 1) -> int:
    whole, wanted, place = text_of(text), text_of(part), whole_of(start) - 1
    for _ in range(min(whole_of(occurrence), LONGEST_TEXT)):
        place = whole.find(wanted, place + 1)
        if place < 0:
            break
    return place


def _count(value: Any) -> int:
    count = whole_of(value)
    if count < 0:
        raise BadArgument("a count must not be negative")
    return count


def _split(text: Any, separators: Any) -> list[str]:
    """Parted at any of the separator's characters, as the list says."""
    delimiters = text_of(separators).replace("\\\\", "\\")
    if not delimiters:
        return [text_of(text)]
    first = delimiters[0]  # a regular expression of as many characters would take seconds to compile
    return _no_more(text_of(text).translate(dict.fromkeys(map(ord, delimiters), first)).split(first, MOST_ENTRIES))


def _extract(text: Any, pattern: Any) -> list[str | None]:
    found = _pattern(pattern).search(text_of(text))
    if found is None:
        return []
    effort.current().spend(sum(end - begin for begin, end in found.regs))
    return [found.group(), *found.groups()]


def _no_more(entries: list[Any]) -> list[Any]:
    if len(entries) > MOST_ENTRIES:
        raise BadArgument(f"the result would have more than {MOST_ENTRIES} entries")
    return entries


def _hash(name: str) -> Callable[..., str]:
    def compute(text: Any, charset: Any = "UTF-8") -> str:
        if text_of(charset).lower() not in CHARSETS:
            raise BadArgument(f"the character set {text_of(charset)[:40]!r} is not one of the four")
        data = text_of(text).encode(text_of(charset), "replace")
        if name == "crc32":  # Adobe's example shows the bytes in this order
            return zlib.crc32(data).to_bytes(4, "little").hex()
        return hashlib.new(name, data, usedforsecurity=False).hexdigest()

    return compute


def _url(part: str) -> Callable[..., Any]:
    def compute(url: Any, full: Any = True) -> Any:
        try:
            found = urlsplit(text_of(url))
            port = found.port
        except ValueError:
            return None
        if not found.scheme or not found.netloc:
            return None  # "if the input is invalid, it returns null"
        match part:
            case "protocol":
                return found.scheme
            case "host":
                return found.hostname
            case "port":
                return port or PORTS.get(found.scheme)
        return found.path if truth_of(full) else found.path.rsplit("/", 1)[-1]

    return compute


def _date(value: Any, pattern: Any = None, default: Any = None) -> Any:
    if value is None:
        return None if default is None else moment_of(default)
    if pattern is None or isinstance(value, datetime):
        return moment_of(value)
    return dated(dates.parsed, text_of(value), text_of(pattern))


def _format(value: Any, pattern: Any) -> str:
    try:
        return dates.formatted(moment_of(value), text_of(pattern))
    except (ValueError, OverflowError) as fault:
        raise BadArgument(str(fault)) from fault


PARTS: Final = {
    "year": ("year", "yyyy", "yy"), "month": ("month", "mm", "m"), "day": ("day", "dd", "d"),
    "hour": ("hour", "hh", "hh24"), "minute": ("minute", "mi", "n"), "second": ("second", "ss", "s"),
}  # fmt: skip
PART_OF: Final = {name: part for part, names in PARTS.items() for name in names}


def _date_part(component: Any, value: Any) -> int:
    name, moment = text_of(component).lower(), moment_of(value)
    if name in PART_OF:
        return int(getattr(moment, PART_OF[name]))
    more = {
        ("quarter", "qq", "q"): (moment.month + 2) // 3,
        ("dayofyear", "dy", "y"): moment.timetuple().tm_yday,
        ("week", "ww", "w"): moment.isocalendar().week,
        ("weekday", "dw"): moment.isoweekday(),
        ("hh12",): (moment.hour - 1) % 12 + 1,
        ("millisecond", "ms"): moment.microsecond // 1000,
    }
    for names, found in more.items():
        if name in names:
            return found
    raise BadArgument(f"a date has no part {name[:40]!r}")


def _set_date_part(component: Any, value: Any, date: Any) -> datetime:
    name = text_of(component).lower()
    if name not in PART_OF:
        raise BadArgument(f"the part {name[:40]!r} of a date cannot be set")
    moment, number = moment_of(date), whole_of(value)
    return dated(lambda new: moment.replace(**{PART_OF[name]: new}), number)


def _make_date(*parts: Any) -> datetime:
    year, month, day, hour, minute, second, nano = (whole_of(part) for part in parts[:7])
    zone = _zone(parts[7])
    return dated(lambda: datetime(year, month, day, hour, minute, second, nano // 1000, zone))


def _zone(name: Any) -> tzinfo:
    try:
        return dates.zone_of(text_of(name))
    except ValueError as fault:
        raise BadArgument(str(fault)) from fault


def _in_zone(value: Any, zone: Any) -> datetime:
    return dated(moment_of(value).astimezone, _zone(zone))


def _to_object(*pairs: Any) -> dict[str, Any]:
    if len(pairs) % 2:
        raise BadArgument("keys and values come in pairs")
    return {text_of(key): value for key, value in zip(pairs[::2], pairs[1::2], strict=True)}


def _str_to_object(text: Any, value_delimiter: Any = None, field_delimiter: Any = None) -> dict[str, str]:
    between, after = text_of(value_delimiter) or ":", text_of(field_delimiter) or ","
    parts = _no_more(text_of(text).split(after, MOST_ENTRIES))
    pairs = (pair.partition(between) for pair in parts if between in pair)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _get_values(text: Any, key: Any, value_delimiter: Any = None, field_delimiter: Any = None) -> str | None:
    return _str_to_object(text, value_delimiter, field_delimiter).get(text_of(key))


def _keys(value: Any) -> list[str]:
    if not isinstance(value, dict):
        raise BadArgument(f"{text_of(value)[:100]!r} is no object")
    return list(value)


def _json(text: Any) -> Any:
    try:
        found = orjson.loads(text_of(text))
    except orjson.JSONDecodeError as fault:
        raise BadArgument(f"no JSON: {fault}") from fault
    if too_deep(found):
        raise BadArgument("the JSON nests too deeply")
    return found


def _is_there(around: Surroundings, path: Any) -> bool:
    """The path is given as text; a path that was written bare has become its value already."""
    node: Any = around.row
    if path is None:
        return False
    if text_of(path) in around.row:
        return True
    for part in text_of(path).split("."):
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    return True


def _decode(key: Any, *options: Any) -> Any:
    for found, value in zip(options[::2], options[1::2], strict=False):
        if key is not None and found is not None and compared(key, found) == 0:
            return value
    return options[-1] if len(options) % 2 else None


def _extreme(sign: int) -> Callable[..., Any]:
    def compute(*values: Any) -> Any:
        every = _spread(values)
        if not every:
            return None
        best = every[0]
        for value in every[1:]:
            if compared(value, best) == sign:
                best = value
        return best

    return compute


def _spread(values: tuple[Any, ...]) -> list[Any]:
    """The arguments, or the entries of the one array that was given; without nulls."""
    every = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    return [value for value in every if value is not None]


def _to_integer(value: Any) -> int:
    found = number_of(value)
    if isinstance(value, str) and isinstance(found, float):
        raise BadArgument(f"{value[:100]!r} is no whole number")
    if int(found) not in INTEGER:
        raise BadArgument(f"{text_of(value)[:100]} does not fit into an integer")
    return int(found)


def _rounded(value: Any, digits: Any = 0) -> int | float:
    """Half away from zero, as Java's Math.round does for what is positive."""
    places = max(-15, min(15, whole_of(digits)))
    scaled = number_of(value) * 10**places
    nearest = math.floor(abs(scaled) + 0.5) * (1 if scaled >= 0 else -1)
    return nearest / 10**places if places > 0 else int(nearest / 10**places)


def _either(value: Any, other: Any) -> Any:
    return other if value is None else value


def _choose(condition: Any, yes: Any, no: Any) -> Any:
    return yes if truth_of(condition) else no


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, dict | list | str) and not value)


def _fn(least: int, most: int, compute: Callable[..., Any], **more: bool) -> Function:
    return Function(least=least, most=most, compute=compute, **more)


def _plain(**more: bool) -> dict[str, bool]:
    return {"published": False, **more}


FUNCTIONS: Final[dict[str, Function]] = {
    # texts
    "concat": _fn(1, ANY, lambda *values: joined(*map(text_of, values)), takes_null=True),
    "explode": _fn(1, 2, lambda text, pattern=",": _pattern(pattern).split(text_of(text))),
    "split": _fn(2, 2, _split),
    "join": _fn(2, 2, lambda separator, values: joined(*map(text_of, list_of(values)), separator=text_of(separator))),
    "instr": _fn(2, 4, _instr),
    "replacestr": _fn(3, 3, _replace),
    "substr": _fn(3, 3, _substr),
    "lower": _fn(1, 1, lambda text: text_of(text).lower()),
    "upper": _fn(1, 1, lambda text: text_of(text).upper()),
    "lpad": _fn(3, 3, lambda text, count, fill: _pad(text, count, fill, left=True), takes_null=True),
    "rpad": _fn(3, 3, lambda text, count, fill: _pad(text, count, fill, left=False), takes_null=True),
    "left": _fn(2, 2, lambda text, count: text_of(text)[: _count(count)]),
    "right": _fn(2, 2, lambda text, count: text_of(text)[max(0, len(text_of(text)) - _count(count)) :]),
    "trim": _fn(1, 1, lambda text: text_of(text).strip()),
    "ltrim": _fn(1, 1, lambda text: text_of(text).lstrip()),
    "rtrim": _fn(1, 1, lambda text: text_of(text).rstrip()),
    "equals": _fn(2, 2, lambda one, other: text_of(one) == text_of(other)),
    "equalsIgnoreCase": _fn(2, 2, lambda one, other: text_of(one).lower() == text_of(other).lower()),
    "extract_regex": _fn(2, 2, _extract),
    "matches_regex": _fn(2, 2, lambda text, pattern: _pattern(pattern).fullmatch(text_of(text)) is not None),
    **{name: _fn(1, 2, _hash(name)) for name in ("sha1", "sha256", "sha512", "md5", "crc32")},
    **{f"get_url_{part}": _fn(1, 1, _url(part)) for part in ("protocol", "host", "port")},
    "get_url_path": _fn(1, 2, _url("path")),
    # dates
    "now": _fn(0, 0, lambda around: dates.from_ms(around.now_ms), takes_surroundings=True),
    "timestamp": _fn(0, 0, lambda around: around.now_ms, takes_surroundings=True),
    "date": _fn(1, 3, _date, takes_null=True),
    "format": _fn(2, 2, _format),
    "dformat": _fn(2, 2, _format),
    "date_part": _fn(2, 2, _date_part),
    "set_date_part": _fn(3, 3, _set_date_part),
    "make_date_time": _fn(8, 8, _make_date),
    "zone_date_to_utc": _fn(1, 1, lambda date: _in_zone(date, "UTC")),
    "zone_date_to_zone": _fn(2, 2, _in_zone),
    # objects and arrays
    "size_of": _fn(1, 1, size_of, takes_null=True),
    "is_empty": _fn(1, 1, _empty, takes_null=True, absent_is_null=True),
    "to_object": _fn(0, ANY, _to_object, takes_null=True),
    "str_to_object": _fn(1, 3, _str_to_object),
    "contains_key": _fn(1, 1, _is_there, takes_null=True, absent_is_null=True, takes_surroundings=True),
    "nullify": _fn(0, 0, lambda: None),
    "get_keys": _fn(1, 1, _keys),
    "get_values": _fn(2, 4, _get_values),
    "coalesce": _fn(1, ANY, lambda *values: next(iter(_spread(values)), None), takes_null=True, absent_is_null=True),
    "first": _fn(1, ANY, lambda *values: next(iter(_spread(values)), None), takes_null=True),
    "last": _fn(1, ANY, lambda *values: next(iter(_spread(values)[::-1]), None), takes_null=True),
    "add_to_array": _fn(2, ANY, lambda array, *values: _no_more([*list_of(array), *values]), takes_null=True),
    "join_arrays": _fn(1, ANY, lambda *arrays: _no_more([entry for array in arrays for entry in list_of(array)])),
    "to_array": _fn(
        1, ANY, lambda nulls, *values: [v for v in values if v is not None or truth_of(nulls)], takes_null=True
    ),
    # conditions, numbers, types
    "decode": _fn(2, ANY, _decode, takes_null=True),
    "iif": _fn(3, 3, _choose, takes_null=True),
    "min": _fn(1, ANY, _extreme(-1), takes_null=True),
    "max": _fn(1, ANY, _extreme(1), takes_null=True),
    "to_integer": _fn(1, 1, _to_integer),
    "to_bigint": _fn(1, 1, number_of),
    "to_decimal": _fn(1, 1, lambda value: float(number_of(value))),
    "to_float": _fn(1, 1, lambda value: float(number_of(value))),
    "json_to_object": _fn(1, 1, _json),
    "uuid": _fn(0, 0, lambda around: around.new_uuid(), takes_surroundings=True),
    # JEXL's own
    "size": _fn(1, 1, size_of, takes_null=True),
    "empty": _fn(1, 1, _empty, takes_null=True, absent_is_null=True),
    # not in Adobe's list
    "length": _fn(1, 1, size_of, **_plain()),
    "replace": _fn(3, 3, _replace, **_plain()),
    "round": _fn(1, 2, _rounded, **_plain()),
    "floor": _fn(1, 1, lambda value: math.floor(number_of(value)), **_plain()),
    "ceil": _fn(1, 1, lambda value: math.ceil(number_of(value)), **_plain()),
    "abs": _fn(1, 1, lambda value: abs(number_of(value)), **_plain()),
    "sum": _fn(1, ANY, lambda *values: sum(map(number_of, _spread(values))), **_plain(takes_null=True)),
    "nvl": _fn(2, 2, _either, **_plain(takes_null=True, absent_is_null=True)),
    "to_string": _fn(1, 1, text_of, **_plain()),
    "to_double": _fn(1, 1, lambda value: float(number_of(value)), **_plain()),
    "format_date": _fn(2, 2, _format, **_plain()),
}
ALIASES: Final = {
    "lcase": "lower",
    "ucase": "upper",
    "guid": "uuid",
    "make_timestamp": "make_date_time",
    "is_set": "contains_key",
    "toString": "to_string",
}
FUNCTIONS.update({alias: FUNCTIONS[name] for alias, name in ALIASES.items()})

NOT_COMPUTED: Final = frozenset(  # published, accepted by validation, beyond this stand-in
    {
        *("ua_os_name", "ua_os_version_major", "ua_os_version", "ua_os_name_version", "ua_agent_version"),
        *("ua_agent_version_major", "ua_agent_name", "ua_device_class", "get_url_query_str", "arrays_to_object"),
        *("upsert_array_append", "upsert_array_replace", "get_url_encoded", "get_url_decoded", "date_diff"),
        *("to_map", "object_to_map", "array_to_map", "map_get_values", "map_has_keys", "add_to_map"),
    }
)
