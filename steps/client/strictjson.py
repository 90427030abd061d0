"""JSON bodies, strictly: what is not plain JSON is said to be unusable, and nothing here raises on an answer."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

Json = Any


def encode(value: Json) -> bytes:
    """A request body. Raises TypeError or ValueError for what JSON cannot say, before anything is sent."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # Integers beyond 64 bits, which JSON allows and orjson does not write.
        return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()


def parse(body: bytes) -> tuple[Json, str]:
    """Read an answer's body: the value and "", or None and why it is unusable.

    Unusable: not UTF-8, not JSON, NaN and infinities, a name that an object has twice (which of the two the platform
    meant is anybody's guess), nested so deep that it cannot be journaled.
    """
    if not body.strip():
        return None, ""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return None, f"not JSON: {error.msg} at character {error.pos}"
    try:
        if orjson.dumps(value) == body:
            return value, ""  # written back the same: no name was dropped, no number changed. The common, cheap case
    except orjson.JSONEncodeError:
        return None, "nested too deep"
    try:
        return json.loads(body, object_pairs_hook=_distinct, parse_float=_finite), ""
    except RecursionError:
        return None, "nested too deep"
    except ValueError as error:
        return None, f"not strict JSON: {error}"


def _distinct(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value] # add() is None
        raise ValueError(f"the name {twice!r} is there twice")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number
