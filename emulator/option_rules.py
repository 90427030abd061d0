"""Which values an option of the emulator may have: an option that cannot be meant is refused before anything serves."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any, Final, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from flowledger.emulator.judged import LARGEST
from flowledger.emulator.options import Options

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*", re.ASCII)  # goes into ids, headers and URLs as it is
HOST: Final = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?", re.ASCII)
TENANT: Final = re.compile(r"[A-Za-z0-9_]+", re.ASCII)  # is part of property names and of `$id`s


def _at_least(least: int) -> tuple[Callable[[Any], bool], str]:
    return (lambda value: least <= value <= LARGEST), f"a whole number from {least}"


def _one_of(*known: Any) -> tuple[Callable[[Any], bool], str]:
    return (lambda value: value in known), f"one of {', '.join(map(str, known))}"


RULES: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "org": (lambda value: NAME.fullmatch(value) is not None, "letters, digits and . _ @ -"),
    "client_id": (lambda value: bool(value) and value.isascii() and value.isprintable(), "printable ASCII"),
    "client_secret": (bool, "not empty"),
    "tenant": (lambda value: TENANT.fullmatch(value) is not None, "letters, digits and _"),
    "sandboxes": (
        lambda value: bool(value) and len(set(value)) == len(value) and all(NAME.fullmatch(one) for one in value),
        "one or more different names of letters, digits and . _ @ -",
    ),
    "allowed_hosts": (
        lambda value: all(HOST.fullmatch(one) for one in value),
        "names without scheme and path, like gate.internal or gate.internal:8443",
    ),
    "list_lag_ms": (lambda value: all(0 <= ms <= LARGEST for ms in value.values()), "whole numbers from 0, by kind"),
    "token_lifetime_s": _at_least(1),
    "page_size": _at_least(1),
    "page_maximum": _at_least(1),
    "url_maximum": _at_least(1),
    "body_maximum": _at_least(1),
    "run_window_unit": _one_of("auto", "s", "ms"),
    "flow_content_type_status": _one_of(415, 400, 0),
    "flow_options_name": (bool, "not empty"),
}


def check(options: Options) -> None:
    """Raises ValueError naming the first option whose value has the wrong type or is out of its range."""
    for field in fields(options):
        value = getattr(options, field.name)
        shown = "its value" if field.name == "client_secret" else repr(value)[:80]
        try:
            _adapters()[field.name].validate_python(value)
        except ValidationError as fault:
            raise ValueError(f"the option {field.name} is {shown}: {fault.errors()[0]['msg']}") from fault
        number = isinstance(value, int) and not isinstance(value, bool)
        fits, wanted = RULES.get(field.name, _at_least(0) if number else (lambda _: True, ""))
        if not fits(value):
            raise ValueError(f"the option {field.name} is {wanted}, not {shown}")


@cache
def _adapters() -> dict[str, TypeAdapter[Any]]:
    strict = ConfigDict(strict=True)
    return {name: TypeAdapter(hint, config=strict) for name, hint in get_type_hints(Options).items()}
