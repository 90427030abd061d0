"""Judges JSON bodies of the emulator's own routes by the types and ranges of a dataclass's fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Annotated, Any, Final, get_type_hints

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

MOST_MS: Final = 10 * 366 * 86_400_000  # ten years: the longest delay, lag and step of the clock
LARGEST: Final = 2**53  # counts and sizes; JSON readers keep whole numbers exact up to here
LONGEST_SHOWN: Final = 80  # characters of a value in a message

Count = Annotated[int, Field(ge=0, le=LARGEST)]
Shown = Annotated[int, Field(ge=-1, le=LARGEST)]  # of a run record, which may show -1 for what is not known (§11)
Milliseconds = Annotated[int, Field(ge=0, le=MOST_MS)]
Moment = Annotated[int, Field(ge=0, le=LARGEST)]  # milliseconds since the epoch
Text = Annotated[str, Field(max_length=10_000)]
HeaderText = Annotated[str, Field(max_length=4_000, pattern=r"^[\x20-\x7e]*$")]  # no line end: it would end the header


ADAPTERS: Final[dict[Any, dict[str, TypeAdapter[Any]]]] = {}  # of each dataclass that was judged by, made once


class BodyInvalid(ValueError):
    """A body that cannot be meant; the text says which of its fields, and why."""


def parsed(body: bytes) -> Any:
    """The JSON of a body. Raises BodyInvalid."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise BodyInvalid(f"the body is no JSON: {fault}") from fault


def judged(
    kind: type[Any], written: Any, what: str, *, required: Collection[str] = (), closed: Collection[str] = ()
) -> dict[str, Any]:
    """The fields that a JSON object gives of the dataclass `kind`, each as its field's type says.

    Types are taken strictly: no text for a number, no fraction and no truth for a whole number. `what` names the object
    in messages; `closed` fields may not be given. Raises BodyInvalid for the first field that is wrong.
    """
    if not isinstance(written, Mapping):
        raise BodyInvalid(f"{what} is a JSON object, not {_shown(written)}")
    known = [field.name for field in fields(kind) if field.name not in closed]
    unknown = sorted(str(name)[:LONGEST_SHOWN] for name in set(written) - set(known))
    missing = sorted(set(required) - set(written))
    if unknown or missing:
        wrong = f"unknown: {', '.join(unknown)}" if unknown else f"missing: {', '.join(missing)}"
        raise BodyInvalid(f"{what} has {', '.join(known)}; {wrong}")
    return {name: _read(kind, name, value, what) for name, value in written.items()}


def _read(kind: type[Any], name: str, value: Any, what: str) -> Any:
    try:
        return _adapters(kind)[name].validate_json(orjson.dumps(value))
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        place = "".join(f"[{part}]" for part in first["loc"] if not str(part).startswith(("function-", "constrained-")))
        raise BodyInvalid(f"{what}: {name}{place} is {_shown(value)}: {first['msg']}") from fault
    except TypeError as fault:  # what JSON cannot say: a number beyond 64 bits, half a character
        raise BodyInvalid(f"{what}: {name} cannot be kept: {fault}") from fault


def _adapters(kind: type[Any]) -> dict[str, TypeAdapter[Any]]:
    if kind not in ADAPTERS:
        ADAPTERS[kind] = _adapters_made(kind)
    return ADAPTERS[kind]


def _adapters_made(kind: type[Any]) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(kind, include_extras=True)
    strict = ConfigDict(strict=True)
    return {field.name: TypeAdapter(hints[field.name], config=strict) for field in fields(kind)}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
