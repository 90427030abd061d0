"""The fields of an XDM schema as Arrow types, and how a value becomes one: one value at a time, or a column at once.

`fitted` is the meaning. `fitted_column` does the same for whole columns and flags the rows that it leaves to `fitted`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from flowledger.emulator.values import BadArgument, moment_of, number_of, text_of, truth_of

Json = Mapping[str, Any]

MOMENT: Final = pa.timestamp("ms", tz="UTC")
WHOLE: Final = r"^-?[0-9]{1,15}$"
FRACTION: Final = r"^-?[0-9]{1,15}(?:\.[0-9]{1,17})?$"
DAY: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
UNZONED: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?$"
ZONED: Final = (  # offsets as Shopify, BigQuery and PostgreSQL write them too: ` -0400`, ` UTC`, `+00`
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r" ?(?:Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)$"
)
ODD_ZONE: Final = r" ?(?:UTC|GMT)$| Z$"
IN_UTC: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z$"
EMPTY_IS_NULL: Final = ("integer", "number", "boolean", "date", "date-time")
LARGEST_WHOLE: Final = 2**53  # up to here a double holds every whole number
LARGEST: Final = 1e299  # from here on, and beyond every number, `number_of` says what is too large
PLAIN_DOUBLE: Final = (1e-3, 1e9)  # between these, every language writes a double alike


class Flagged(ValueError):
    """This value cannot become what the field wants. Its text says why."""


def type_of(field: Json) -> str:
    """What a field of a resolved schema holds: a plain type, date, date-time, object, array or map."""
    named = str(field.get("meta:xdmType") or "")
    plain = field.get("type")
    if plain == "array":
        return "array"
    if plain == "object" or named in ("object", "map"):
        return "map" if named == "map" or (not field.get("properties") and _values(field)) else "object"
    if plain == "string" or plain is None:
        held = field.get("format") or named
        return str(held) if held in ("date", "date-time") else "string"
    return {"integer": "integer", "number": "number", "boolean": "boolean"}.get(str(plain), "string")


def arrow_of(field: Json) -> pa.DataType:
    """The Arrow type of a field."""
    match type_of(field):
        case "integer":
            return pa.int32() if field.get("meta:xdmType") in ("int", "short", "byte") else pa.int64()
        case "number":
            return pa.float64()
        case "boolean":
            return pa.bool_()
        case "date":
            return pa.date32()
        case "date-time":
            return MOMENT
        case "array":
            return pa.list_(arrow_of(_items(field)))
        case "map":
            return pa.map_(pa.string(), arrow_of(_values(field)))
        case "object" if field.get("properties"):
            return pa.struct([(name, arrow_of(inner)) for name, inner in field["properties"].items()])
    return pa.string()


def fitted(value: Any, field: Json) -> Any:
    """A value as the field holds it: an empty text is nothing where a field holds no texts. Raises Flagged."""
    kind = type_of(field)
    if value is None or (isinstance(value, str) and value == "" and kind in EMPTY_IS_NULL):
        return None
    try:
        return _FITTERS[kind](value, field)
    except BadArgument as fault:
        raise Flagged(str(fault)) from fault
    except (OverflowError, ValueError) as fault:
        raise Flagged(f"{text_of(value)[:100]!r}: {fault}") from fault


def fitted_column(column: pa.Array, field: Json) -> tuple[pa.Array, pa.Array | None]:
    """A column as the field's type, and true for the rows that are left to `fitted`; None when there are none."""
    wanted, kind, have = arrow_of(field), type_of(field), column.type
    if kind in EMPTY_IS_NULL and pa.types.is_string(have) and pc.any(pc.equal(column, "")).as_py():
        column = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
    if pa.types.is_null(have):
        return pa.nulls(len(column), wanted), None
    if kind == "string" and wanted == pa.string():
        return texts_of(column)
    if kind == "integer" and (pa.types.is_integer(have) or pa.types.is_string(have)):
        numbers, flags = whole_numbers(column)
        return _narrowed(numbers, flags, wanted)
    if kind == "number" and (pa.types.is_integer(have) or pa.types.is_string(have) or have == wanted):
        return numbers_of(column)
    if kind == "boolean" and have == wanted:
        return column, None
    if kind == "date-time" and (pa.types.is_string(have) or pa.types.is_timestamp(have)):
        moments = instants_of(column)
        flags = _left(column, pc.is_valid(moments))
        return pc.cast(pc.floor_temporal(moments, unit="millisecond"), wanted), flags
    if kind == "date" and pa.types.is_string(have):
        return _parsed(column, DAY, wanted)
    if have == wanted and kind in ("object", "array"):
        return column, None
    return pa.nulls(len(column), wanted), pc.is_valid(column)


def texts_of(column: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """A column of plain values as `text_of` writes them, null where it is null."""
    have = column.type
    if pa.types.is_string(have):
        return column, None
    if pa.types.is_integer(have) or pa.types.is_boolean(have):
        return pc.cast(column, pa.string()), None
    if pa.types.is_floating(have):
        size = pc.abs(column)
        plain = pc.and_(pc.greater_equal(size, PLAIN_DOUBLE[0]), pc.less(size, PLAIN_DOUBLE[1]))
        texts = pc.cast(column, pa.string())
        whole = pc.binary_join_element_wise(texts, ".0", "")
        return pc.if_else(pc.match_substring(texts, "."), texts, whole), _left(column, plain)
    return pa.nulls(len(column), pa.string()), pc.is_valid(column)


def numbers_of(column: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """A column as doubles."""
    if pa.types.is_floating(column.type):
        return column, _left(column, pc.less(pc.abs(column), LARGEST))
    if pa.types.is_integer(column.type):
        exact = pc.less_equal(pc.abs(column), LARGEST_WHOLE)
        return pc.cast(column, pa.float64(), safe=False), _left(column, exact)
    return _parsed(column, FRACTION, pa.float64())


def whole_numbers(column: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """A column of whole numbers, also where they are written as texts."""
    return (column, None) if pa.types.is_integer(column.type) else _parsed(column, WHOLE, pa.int64())


def moments_of(column: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """A column as moments in UTC; texts of another zone are left, for they say which one."""
    wanted = pa.timestamp("us", tz="UTC")
    if pa.types.is_timestamp(column.type):
        return column, None
    in_utc = pc.match_substring_regex(column, IN_UTC)
    if pc.any(in_utc).as_py() is not True:
        moments, flags = _parsed(column, UNZONED, pa.timestamp("us"))
        return moments.cast(wanted), flags
    if pc.all(in_utc).as_py():
        return _parsed(column, IN_UTC, wanted)
    unzoned, _ = _parsed(column, UNZONED, pa.timestamp("us"))
    zoned, _ = _parsed(column, IN_UTC, wanted)
    moments = pc.coalesce(unzoned.cast(wanted), zoned)
    return moments, _left(column, pc.is_valid(moments))


def instants_of(column: pa.Array) -> pa.Array:
    """A column as moments in UTC, whatever zones its texts name; null where a text is left to `moment_of`."""
    wanted = pa.timestamp("us", tz="UTC")
    if pa.types.is_timestamp(column.type):
        return column
    unzoned, left = _parsed(column, UNZONED, pa.timestamp("us"))
    moments = unzoned.cast(wanted)
    if left is None:
        return moments
    zoned = pc.if_else(pc.match_substring_regex(column, ZONED), column, pa.scalar(None, pa.string()))
    if zoned.null_count == len(zoned):
        return moments
    if pc.any(pc.match_substring_regex(zoned, ODD_ZONE)).as_py():
        zoned = pc.replace_substring_regex(zoned, ODD_ZONE, "Z")
    if pc.any(pc.match_substring_regex(zoned, r" [+-]")).as_py():
        zoned = pc.replace_substring_regex(zoned, r" ([+-])", r"\1")
    try:
        return pc.coalesce(moments, pc.cast(zoned, wanted))
    except pa.ArrowInvalid:  # a 30th of February: Arrow does not say in which row
        return moments


def either(*flags: pa.Array | None) -> pa.Array | None:
    """Rows that any of these flags."""
    found: pa.Array | None = None
    for flag in flags:
        if flag is not None:
            found = flag if found is None else pc.or_(found, flag)
    return found


def _narrowed(numbers: pa.Array, flags: pa.Array | None, wanted: pa.DataType) -> tuple[pa.Array, pa.Array | None]:
    if wanted == numbers.type:
        return numbers, flags
    half = 2 ** (wanted.bit_width - 1)
    fits = pc.and_(pc.greater_equal(numbers, -half), pc.less(numbers, half))
    safe = pc.if_else(pc.fill_null(fits, False), numbers, pa.scalar(None, numbers.type))
    return pc.cast(safe, wanted), either(flags, pc.fill_null(pc.invert(fits), False))


def _parsed(texts: pa.Array, pattern: str, wanted: pa.DataType) -> tuple[pa.Array, pa.Array | None]:
    """Texts of one form as the wanted type; the others, null among them, as null."""
    sound = pc.match_substring_regex(texts, pattern)
    if pc.all(sound).as_py() is False:
        texts_read = pc.if_else(pc.fill_null(sound, False), texts, pa.scalar(None, pa.string()))
        flags = pc.fill_null(pc.invert(sound), False)
    else:
        texts_read, flags = texts, None
    try:
        return pc.cast(texts_read, wanted), flags
    except pa.ArrowInvalid:  # a 30th of February: Arrow does not say in which row
        return pa.nulls(len(texts), wanted), pc.is_valid(texts)


def _left(column: pa.Array, sound: pa.Array) -> pa.Array | None:
    """Rows that hold something which is not sound; None when there are none."""
    flags = pc.and_(pc.is_valid(column), pc.invert(pc.fill_null(sound, False)))
    return flags if pc.any(flags).as_py() else None


def _items(field: Json) -> Json:
    found = field.get("items")
    return found if isinstance(found, Mapping) else {"type": "string"}


def _values(field: Json) -> Json:
    found = field.get("additionalProperties")
    return found if isinstance(found, Mapping) else {}


def _integer(value: Any, field: Json) -> int:
    found = number_of(value)
    if found != int(found):
        raise BadArgument(f"{text_of(value)[:100]!r} is no whole number")
    half = 2 ** (arrow_of(field).bit_width - 1)
    if not -half <= found < half:
        raise BadArgument(f"{text_of(value)[:100]!r} does not fit into the field")
    return int(found)


def _moment(value: Any, _: Json) -> datetime:
    found = moment_of(value)
    found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


def _day(value: Any, _: Json) -> date:
    return moment_of(value).date()


def _object(value: Any, field: Json) -> Any:
    if not field.get("properties"):
        return text_of(value)
    if not isinstance(value, Mapping):
        raise BadArgument(f"{text_of(value)[:100]!r} is no object")
    return {name: fitted(value.get(name), inner) for name, inner in field["properties"].items()}


def _array(value: Any, field: Json) -> list[Any]:
    if not isinstance(value, list):
        raise BadArgument(f"{text_of(value)[:100]!r} is no array")
    return [fitted(entry, _items(field)) for entry in value]


def _map(value: Any, field: Json) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        raise BadArgument(f"{text_of(value)[:100]!r} is no object")
    return [(text_of(name), fitted(inner, _values(field))) for name, inner in value.items()]


_FITTERS: Final = {
    "string": lambda value, _: text_of(value),
    "integer": _integer,
    "number": lambda value, _: float(number_of(value)),
    "boolean": lambda value, _: truth_of(value),
    "date-time": _moment,
    "date": _day,
    "object": _object,
    "array": _array,
    "map": _map,
}
