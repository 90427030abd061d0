"""Data Prep's expressions: whether one is well-formed, and the value of the simple ones (platform-api.md §5).

The grammar is what the guides' examples use: literals, attribute paths with `${...}` for odd names, function calls,
the usual operators, parentheses and arrays. Whether a function exists is not checked: the list grows without us.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

LONGEST: Final = 4096  # characters
DEEPEST: Final = 100  # nested parentheses and calls

TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<number>\d+(?:\.\d+)?)
    | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<escaped>\$\{[^{}]+\})
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>==|!=|<=|>=|&&|\|\||[-+*/%<>!?:(),.\[\]])
    )""",
    re.VERBOSE | re.DOTALL,
)
BINDING: Final = {  # how tightly an operator binds
    "||": 1, "or": 1, "&&": 2, "and": 2, "==": 3, "!=": 3, "<": 4, ">": 4, "<=": 4, ">=": 4,
    "+": 5, "-": 5, "*": 6, "/": 6, "%": 6,
}  # fmt: skip
CONSTANTS: Final = {"true": True, "false": False, "null": None}


class Malformed(ValueError):
    """Not an expression. Its text says what is wrong and where."""


class NotComputed(ValueError):
    """A well-formed expression whose value cannot be told here. Its text says why."""


@dataclass(frozen=True, slots=True)
class Node:
    """A parsed expression: `kind` is literal, path, call, operator, choice or array."""

    kind: str
    value: Any = None
    parts: tuple[Node, ...] = ()


def parse(text: str) -> Node:
    """Parse an expression. Raises Malformed."""
    if len(text) > LONGEST:
        raise Malformed(f"the expression has {len(text)} characters, at most {LONGEST} are allowed")
    return _Parser(text).whole()


def value_of(node: Node, row: Mapping[str, Any]) -> Any:
    """The value for one row. Raises NotComputed for functions and operators that are not computed here."""
    match node.kind:
        case "literal":
            return node.value
        case "path":
            return attribute(row, node.value)
        case "array":
            return [value_of(part, row) for part in node.parts]
        case "call" if node.value in FUNCTIONS:
            return FUNCTIONS[node.value]([value_of(part, row) for part in node.parts])
    raise NotComputed(f"{node.value or node.kind} is not computed by the emulator")


def attribute(row: Mapping[str, Any], path: str) -> Any:
    """The value at a path of a row: a column of exactly that name, else nested. Raises NotComputed if there is none."""
    name = path[2:-1] if path.startswith("${") and path.endswith("}") else path
    if name in row:
        return row[name]
    node: Any = row
    for part in name.split("."):
        if not isinstance(node, Mapping) or part not in node:
            raise NotComputed(f"the data has no {name}")
        node = node[part]
    return node


def _joined(values: list[Any]) -> str:
    return "".join("" if value is None else str(value) for value in values)


def _one_text(change: Callable[[str], Any]) -> Callable[[list[Any]], Any]:
    def function(values: list[Any]) -> Any:
        if len(values) != 1:
            raise NotComputed(f"takes one argument, got {len(values)}")
        return None if values[0] is None else change(str(values[0]))

    return function


FUNCTIONS: Final[dict[str, Callable[[list[Any]], Any]]] = {
    "concat": _joined,
    "lower": _one_text(str.lower),
    "upper": _one_text(str.upper),
    "trim": _one_text(str.strip),
    "length": _one_text(len),
    "coalesce": lambda values: next((value for value in values if value is not None), None),
}


class _Parser:
    """Precedence climbing over a list of tokens."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        place = 0
        text = text.rstrip()
        while place < len(text):
            found = TOKEN.match(text, place)
            if found is None:
                raise Malformed(f"nothing that belongs into an expression at character {place + 1}")
            self._tokens.append((str(found.lastgroup), str(found[str(found.lastgroup)])))
            place = found.end()
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._choice()
        if self._next < len(self._tokens):
            raise Malformed(f"{self._peek()!r} does not belong here")
        return node

    def _choice(self) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Malformed(f"nested more than {DEEPEST} deep")
        node = self._binary(1)
        if self._peek() == "?":
            self._take("?")
            yes = self._choice()
            self._take(":")
            node = Node("choice", "?:", (node, yes, self._choice()))
        self._depth -= 1
        return node

    def _binary(self, floor: int) -> Node:
        left = self._unary()
        while (binding := BINDING.get(self._peek(), 0)) >= floor and binding:
            sign = self._take()
            left = Node("operator", sign, (left, self._binary(binding + 1)))
        return left

    def _unary(self) -> Node:
        signs = []
        while self._peek() in ("!", "-", "not"):
            signs.append(self._take())
        node = self._primary()
        for sign in reversed(signs):
            node = Node("operator", sign, (node,))
        return node

    def _primary(self) -> Node:
        if self._next >= len(self._tokens):
            raise Malformed("the expression ends too early")
        kind, text = self._tokens[self._next]
        self._next += 1
        match kind:
            case "number":
                return Node("literal", float(text) if "." in text else int(text))
            case "string":
                return Node("literal", re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL))
            case "escaped":
                return self._path(text[2:-1])
            case "name" if text in CONSTANTS:
                return Node("literal", CONSTANTS[text])
            case "name" if self._peek() == "(":
                self._take("(")
                return Node("call", text, self._arguments(")"))
            case "name" if text not in BINDING:
                return self._path(text)
        if text == "(":
            inner = self._choice()
            self._take(")")
            return inner
        if text == "[":
            return Node("array", None, self._arguments("]"))
        raise Malformed(f"{text!r} does not belong here")

    def _path(self, first: str) -> Node:
        path = first
        while self._peek() in (".", "["):
            if self._take() == ".":
                kind, text = self._tokens[self._next] if self._next < len(self._tokens) else ("", "")
                if kind not in ("name", "escaped"):
                    raise Malformed(f"a name is missing after {path}.")
                self._next += 1
                path += "." + (text[2:-1] if kind == "escaped" else text)
            else:
                kind, text = self._tokens[self._next] if self._next < len(self._tokens) else ("", "")
                if kind not in ("number", "string") and text != "*":
                    raise Malformed(f"an index is missing after {path}[")
                self._next += 1
                self._take("]")
                path += f"[{text}]"
        return Node("path", path)

    def _arguments(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        if self._peek() != end:
            found.append(self._choice())
            while self._peek() == ",":
                self._take(",")
                found.append(self._choice())
        self._take(end)
        return tuple(found)

    def _peek(self) -> str:
        if self._next >= len(self._tokens):
            return ""
        kind, text = self._tokens[self._next]
        return text if kind in ("sign", "name") else f"<{kind}>"

    def _take(self, wanted: str | None = None) -> str:
        found = self._peek()
        if not found or (wanted is not None and found != wanted):
            raise Malformed(f"{wanted or 'more'} is missing" + (f" before {found!r}" if found else " at the end"))
        self._next += 1
        return found
