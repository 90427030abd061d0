"""What queries say to registry, Catalog and Conversion: conditions on properties, sorting, flags."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flowledger.emulator.patterns import compiled, like
from flowledger.emulator.world import Call

OPERATOR: Final = re.compile(r"==|!=|<=|>=|<|>|~")


@dataclass(frozen=True, slots=True)
class Condition:
    """`F==V` and its like; `exists` and `absent` for a bare `F` and `!F`."""

    field: str
    operator: str
    value: str = ""

    def holds(self, found: Any) -> bool:
        """Whether a property's value (None: it is not there) satisfies it. Of an array, one entry is enough."""
        match self.operator:
            case "exists":
                return found is not None
            case "absent":
                return found is None
            case "!=":
                return not Condition(self.field, "==", self.value).holds(found)
        if isinstance(found, list):
            return any(self.holds(entry) for entry in found)
        return found is not None and not isinstance(found, dict) and self._compares(found)

    def _compares(self, found: Any) -> bool:
        text = text_of(found)
        if self.operator == "==":
            return text == self.value
        if self.operator == "~":
            return compiled(self.value).search(text) is not None
        here, there = _comparable(found), _comparable(self.value)
        if type(here) is not type(there):
            here, there = text, self.value
        return COMPARE[self.operator](here, there)


COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": lambda here, there: here < there,
    ">": lambda here, there: here > there,
    "<=": lambda here, there: here <= there,
    ">=": lambda here, there: here >= there,
}


def parse_condition(text: str) -> Condition:
    """Read one condition. Raises ValueError for an empty property or a bad regular expression."""
    found = OPERATOR.search(text, 1) if text.startswith("!") else OPERATOR.search(text)
    if found is None:
        field = text.removeprefix("!")
        if not field:
            raise ValueError("a condition names a property")
        return Condition(field, "absent" if text.startswith("!") else "exists")
    field, value = text[: found.start()], text[found.end() :]
    if not field:
        raise ValueError(f"no property in {text!r}")
    if found.group() == "~":
        compiled(value)
    return Condition(field, found.group(), value)


def flag(call: Call, name: str) -> bool:
    """Whether a query parameter says true, in whichever case a client's language writes it."""
    return (call.request.first(name) or "").lower() == "true"


def sort_key(value: Any) -> tuple[int, Any]:
    """Numbers before texts before what is not there, so that any property can be sorted by."""
    if value is None or isinstance(value, dict | list):
        return (2, "")
    if isinstance(value, int | float):
        return (0, value)
    return (1, str(value))


def sort_by(
    objects: list[dict[str, Any]], value_of: Callable[[Mapping[str, Any], str], Any], fields: list[str]
) -> None:
    """Sort in place by several fields; one that starts with `-` sorts the other way round. Stable."""
    for field in reversed(fields):
        name = field.removeprefix("-")
        objects.sort(key=lambda found: sort_key(value_of(found, name)), reverse=field.startswith("-"))


def wildcard(pattern: str) -> Callable[[str], bool]:
    """Tells whether a text fits: `*` stands for anything, `**` for a star (platform-api.md §3.2)."""
    pieces = [""]
    for star in re.split(r"(\*\*|\*)", pattern):
        if star == "*":
            pieces.append("")
        else:
            pieces[-1] += "*" if star == "**" else star
    return like(pieces)


def text_of(value: Any) -> str:
    """A property's value as a query writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _comparable(value: Any) -> Any:
    if isinstance(value, bool):
        return text_of(value)
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(value)
    except ValueError:
        return str(value)
