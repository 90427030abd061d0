"""Columns as JSON texts, many rows at once: what a run notes of the rows that failed.

The texts are those that orjson writes of the same values, one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

AS_THEY_ARE: Final = bytes(set(range(0x20, 0x100)) - set(b'"\\'))  # bytes of texts that JSON writes so
PLAIN_NUMBER: Final = (
    r"^(?:0|-?[1-9][0-9]{0,14}|-?(?:0|[1-9][0-9]{0,8})\.(?:0|[0-9]{0,2}[1-9]))$"  # written alike by all
)

PADDED_NUMBER: Final = r"^-?(?:0|[1-9][0-9]{0,8})\.[0-9]{1,2}0$"


def has_only(texts: pa.Array, allowed: bytes) -> bool:
    """Whether texts have no other bytes than these. A slice is judged with the texts around it: False may be wrong."""
    data = texts.buffers()[2]
    return data is None or not data.to_pybytes().translate(None, allowed)


def texts_as_json(texts: pa.Array) -> pa.Array:
    """Texts as strings of JSON; null as null."""
    if not has_only(texts, AS_THEY_ARE):
        return values_as_json(texts.to_pylist())
    quoted = pc.binary_join_element_wise('"', texts, '"', "")
    return pc.fill_null(quoted, "null")


def escaped(texts: pa.Array) -> pa.Array:
    """Texts as they stand between the quotes of JSON."""
    if not has_only(texts, AS_THEY_ARE):
        return pc.utf8_slice_codeunits(values_as_json(texts.to_pylist()), 1, -1)
    return texts


def escaped_names(names: pa.Array) -> pa.Array:
    """The same of texts of which few differ."""
    encoded = pc.dictionary_encode(names)
    return escaped(encoded.dictionary).take(encoded.indices)


def numbers_as_json(texts: pa.Array) -> pa.Array | None:
    """Texts of numbers as they are, with quotes where they end in zeros that a number would lose; None if unsure."""
    plain = pc.match_substring_regex(texts, PLAIN_NUMBER)
    if pc.all(plain).as_py() is not False:
        return pc.fill_null(texts, "null")
    if pc.all(pc.or_(plain, pc.match_substring_regex(texts, PADDED_NUMBER))).as_py() is False:
        return None
    return pc.fill_null(pc.if_else(plain, texts, pc.binary_join_element_wise('"', texts, '"', "")), "null")


def values_as_json(values: Sequence[Any]) -> pa.Array:
    """Values one by one."""
    return pa.array([orjson.dumps(value, default=str).decode() for value in values], pa.string())


def members(columns: Sequence[tuple[str, pa.Array]]) -> pa.Array:
    """Members of an object, row by row: names, and their values as JSON."""
    parts: list[Any] = []
    for place, (name, values) in enumerate(columns):
        parts += [f"{',' if place else ''}{orjson.dumps(name).decode()}:", values]
    return pc.binary_join_element_wise(*parts, "")
