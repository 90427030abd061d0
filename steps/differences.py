"""Comparing what a run needs with what is there, blind to what the platform may spell differently."""

from __future__ import annotations

import re
from collections.abc import Callable

from flowledger.steps.client.port import Json
from flowledger.steps.step import Difference

Normal = Callable[[Json], Json]


def differ(path: str, wanted: Json, found: Json, normal: Normal | None = None) -> list[Difference]:
    """One Difference, or none if the two are equal after `normal` was applied to both."""
    same = normal(wanted) == normal(found) if normal else wanted == found
    return [] if same else [Difference(path=path, wanted=wanted, found=found)]


def as_integer(value: Json) -> Json:
    """Digits in a text count as the integer (platform-api.md §4.7, T2, T12)."""
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value.strip()):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def as_boolean(value: Json) -> Json:
    """The texts `true` and `false` count as booleans (platform-api.md §4.7)."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


def as_media_type(value: Json) -> Json:
    """A media type without the spellings that vary: spaces, case, `version=1.0` for `version=1` (T13)."""
    if not isinstance(value, str):
        return value
    kind, _, rest = value.lower().replace(" ", "").partition(";")
    version = re.fullmatch(r"version=([0-9]+)(?:\.[0-9]+)*", rest)
    return f"{kind};version={version[1]}" if version else f"{kind};{rest}" if rest else kind


def as_references(value: Json) -> Json:
    """An `allOf` as the sorted set of its `$ref`s (T6)."""
    if not isinstance(value, list):
        return value
    return sorted({part["$ref"] for part in value if isinstance(part, dict) and isinstance(part.get("$ref"), str)})


def without_meta(value: Json) -> Json:
    """A schema node without what the registry adds to it: every key that begins with `meta:` (platform-api.md §2.4)."""
    if isinstance(value, dict):
        return {key: without_meta(inner) for key, inner in value.items() if not key.startswith("meta:")}
    if isinstance(value, list):
        return [without_meta(inner) for inner in value]
    return value


def as_shape(value: Json) -> Json:
    """A column's type or XDM shape without the spellings that vary: case of a type, digits in a text, `meta:` keys."""
    if isinstance(value, dict):
        return {key: as_shape(inner) for key, inner in without_meta(value).items()}
    return value.lower() if isinstance(value, str) and not value.strip("+-").isdigit() else as_integer(value)
