"""Row filters as PQL in JSON: read, and asked of sample rows (platform-api.md §4.4, §4.5).

The form is that of Adobe's guide to filtering rows at the source: a tree of `fnApply` nodes over `fieldLookup` and
`literal` ones, either bare or as `value` of an object that says its `type` and `format`.
"""

from __future__ import annotations

import binascii
import operator
import re
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from flowledger.emulator.depth import too_deep
from flowledger.emulator.patterns import like
from flowledger.emulator.values import BadArgument, Unfit, WrittenTruth, moment_of, number_of, text_of, truth_of

Row = Mapping[str, Any]
Condition = Callable[[Row], bool]
DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ].*)?")

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class NotComparable(ValueError):
    """A row holds a text where the filter compares with numbers or booleans. The text says which."""


@dataclass(frozen=True, slots=True)
class RowFilter:
    """A filter: true for the rows that pass. `fields` are the columns that it looks at."""

    passes: Condition
    fields: frozenset[str]

    def __call__(self, row: Row) -> bool:
        """Whether the row passes. Raises NotComparable."""
        return self.passes(row)


class FilterInvalid(ValueError):
    """The filter cannot be read; the text says why."""


def filter_of_text(text: str) -> RowFilter:
    """The filter in the `filters` parameter of explore: base64 of JSON. Raises FilterInvalid."""
    padded = text + "=" * (-len(text) % 4)
    try:
        raw = urlsafe_b64decode(padded) if set("-_") & set(text) else b64decode(padded, validate=True)
        return filter_of(orjson.loads(raw))
    except (binascii.Error, ValueError) as problem:
        raise FilterInvalid(f"not base64 of JSON: {problem}") from problem


def filter_of(written: Any) -> RowFilter:
    """The filter as a function of a row. Raises FilterInvalid."""
    if too_deep(written):
        raise FilterInvalid("nested too deeply")
    node = written.get("value") if isinstance(written, dict) and "nodeType" not in written else written
    return RowFilter(_condition(node), frozenset(_fields(node)))


def _fields(node: Any) -> Iterator[str]:
    if isinstance(node, dict) and node.get("nodeType") == "fieldLookup":
        yield str(node.get("fieldName"))
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _fields(inner)


def _condition(node: Any) -> Condition:
    if not isinstance(node, dict) or node.get("nodeType") != "fnApply":
        raise FilterInvalid("a condition is a node of nodeType fnApply")
    params = node.get("params")
    if not isinstance(params, list) or not params:
        raise FilterInvalid("a condition has params")
    name = str(node.get("fnName")).lower()
    match name:
        case "and" | "or":
            parts = [_condition(part) for part in params]
            return _all_of(parts) if name == "and" else _any_of(parts)
        case "not":
            return _not(_condition(params[0]))
        case "isnull" if len(params) == 1:
            operand = _operand(params[0])
            return lambda row: operand(row) is None
    if len(params) < 2 or (name not in ("in",) and len(params) > 2):
        raise FilterInvalid(f"{name} compares two things")
    if name == "in":
        return _is_in(_operand(params[0]), [_operand(param) for param in params[1:]])
    if name == "like":
        return _is_like(_operand(params[0]), _operand(params[1]))
    if name not in COMPARISONS:
        raise FilterInvalid(f"unknown operator {name!r}")
    return _compares(COMPARISONS[name], _operand(params[0]), _operand(params[1]))


def _operand(node: Any) -> Callable[[Row], Any]:
    match node:
        case {"nodeType": "fieldLookup", "fieldName": str(field)}:
            return lambda row: row.get(field)
        case {"nodeType": "literal", "value": value}:
            return lambda row: value  # noqa: ARG005 - a literal is the same for every row
    raise FilterInvalid("params are nodes of nodeType fieldLookup or literal")


def _all_of(parts: list[Condition]) -> Condition:
    return lambda row: all(part(row) for part in parts)


def _any_of(parts: list[Condition]) -> Condition:
    return lambda row: any(part(row) for part in parts)


def _not(part: Condition) -> Condition:
    return lambda row: not part(row)


def _comparable(left: Any, right: Any, *, same: bool) -> tuple[Any, Any]:
    """Both as they are compared: dates by the moment that they say; a number that is to be a text by its text (`same`).

    Raises NotComparable.
    """
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Unfit) and isinstance(other, int | float):
            try:
                number = truth_of(one) if isinstance(other, bool) else number_of(one)
            except BadArgument as fault:
                raise NotComparable(f"{fault}, as the column's earlier values are") from fault
            return (number, right) if one is left else (left, number)
    if isinstance(left, WrittenTruth):
        left = left.lower() == "true" if isinstance(right, bool) else left
    if same and isinstance(left, str) != isinstance(right, str) and None not in (left, right):
        numbers = [side for side in (left, right) if isinstance(side, int | float) and not isinstance(side, bool)]
        return (text_of(left), text_of(right)) if numbers else (left, right)
    if isinstance(left, str) and isinstance(right, str) and DAY.fullmatch(left) and DAY.fullmatch(right):
        try:
            return moment_of(left), moment_of(right)
        except BadArgument:
            return left, right
    return left, right


def _compares(
    compare: Callable[[Any, Any], bool], left: Callable[[Row], Any], right: Callable[[Row], Any]
) -> Condition:
    def holds(row: Row) -> bool:
        try:
            same = compare in (operator.eq, operator.ne)
            return bool(compare(*_comparable(left(row), right(row), same=same)))
        except TypeError:  # a text and a number have no order: the row does not match
            return False

    return holds


def _is_in(left: Callable[[Row], Any], right: list[Callable[[Row], Any]]) -> Condition:
    def holds(row: Row) -> bool:
        values = [side(row) for side in right]
        wanted = [one for value in values for one in (value if isinstance(value, list) else [value])]
        return any(operator.eq(*_comparable(left(row), one, same=True)) for one in wanted)

    return holds


def _is_like(left: Callable[[Row], Any], right: Callable[[Row], Any]) -> Condition:
    def holds(row: Row) -> bool:
        text, pattern = left(row), right(row)
        if isinstance(text, int | float) and not isinstance(text, bool):
            text = text_of(text)
        if not isinstance(text, str) or not isinstance(pattern, str):
            return False
        return like(pattern.split("%"), any_one="_")(text)

    return holds
