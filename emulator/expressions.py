"""Data Prep's expressions: whether one is well-formed, what it reads, and its value for a row (platform-api.md §5).

The grammar is what the guides' examples use: literals, attribute paths with `${...}` for odd names, function calls
(`f(x, y)` and `x.f(y)`), JEXL's operators as signs and as words, parentheses and arrays. Nothing here knows HTTP.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from flowledger.emulator import effort
from flowledger.emulator.effort import ENTRY, TooMuch
from flowledger.emulator.functions import ANY, FUNCTIONS, NOT_COMPUTED, Function, Surroundings, joined
from flowledger.emulator.values import BadArgument, bounded, compared, number_of, text_of, truth_of

LONGEST: Final = 4096  # characters
LONGEST_REASON: Final = 500  # characters of why there is no value
DEEPEST: Final = 100  # nested parentheses and calls
LONGEST_NUMBER: Final = 18  # digits, as many as a Java long holds whatever they are

TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<number>\d+(?:\.\d+)?)
    | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<escaped>\$\{[^{}]+\})
    | (?P<name>[^\W\d]\w*|\$\w+)
    | (?P<sign>==|!=|<=|>=|&&|\|\||[-+*/%<>!?:(),.\[\]])
    )""",
    re.VERBOSE | re.DOTALL,
)
WORDS: Final = {  # operators that may be written as words
    "or": "||", "and": "&&", "eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">=", "div": "/",
    "mod": "%",
}  # fmt: skip
BINDING: Final = {  # how tightly an operator binds
    "||": 1, "&&": 2, "==": 3, "!=": 3, "<": 4, ">": 4, "<=": 4, ">=": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6,
}  # fmt: skip
CONSTANTS: Final = {"true": True, "false": False, "null": None}
RESERVED: Final = frozenset(  # a column of such a name is written ${name}
    {*WORDS, *CONSTANTS, "new", "break", "var", "for", "while", "not", "continue", "else", "if", "return", "_errors"}
    | {"do", "function"}
)
STEP: Final = re.compile(r"\[([^\]]*)\]|((?:\\.|[^.\[\\])+)")


class Malformed(ValueError):
    """Not an expression. Its text says what is wrong and where."""


class NotComputed(ValueError):
    """A well-formed expression that has no value for this row. Its text says why."""


class Absent(NotComputed):
    """The row does not have the attribute that was asked for."""


@dataclass(frozen=True, slots=True)
class Node:
    """A parsed expression: `kind` is literal, path, call, operator, sign, choice or array."""

    kind: str
    value: Any = None
    parts: tuple[Node, ...] = ()


@lru_cache(maxsize=1024)
def parse(text: str) -> Node:
    """Parse an expression. Raises Malformed."""
    if len(text) > LONGEST:
        raise Malformed(f"the expression has {len(text)} characters, at most {LONGEST} are allowed")
    return _Parser(text).whole()


def faults_of(node: Node, *, unpublished: bool = False) -> list[str]:
    """What is wrong with the calls of an expression: functions that do not exist, and how many arguments they get.

    `unpublished` allows the functions that are not in Adobe's list.
    """
    found = []
    for call in (part for part in _below(node) if part.kind == "call"):
        function = FUNCTIONS.get(call.value)
        if function is None and call.value in NOT_COMPUTED:
            continue
        if function is None or not (function.published or unpublished):
            found.append(f"there is no function {call.value}")
        elif not function.least <= len(call.parts) <= function.most:
            found.append(f"{call.value} takes {_arity(function)}, got {len(call.parts)}")
    return found


def columns_of(node: Node) -> list[str]:
    """The attribute paths that an expression reads, in order, each once."""
    return list(dict.fromkeys(part.value for part in _below(node) if part.kind == "path"))


def value_of(node: Node, around: Surroundings) -> Any:
    """The value for the row of `around`. Dates come as datetime. Raises NotComputed.

    It spends of the current effort: an expression whose values get too large, or whose patterns take too long, is not
    computed.
    """
    try:
        with effort.bounded():
            return _value(node, around)
    except (BadArgument, TooMuch, ArithmeticError, RecursionError, MemoryError) as fault:
        raise NotComputed(str(fault)[:LONGEST_REASON] or type(fault).__name__) from fault


def attribute(row: Mapping[str, Any], path: str) -> Any:
    """The value at a path of a row: a column of exactly that name, else nested, `[n]` and `[*]` into arrays.

    A backslash makes the next character part of a name. Raises Absent when there is nothing.
    """
    name = path[2:-1] if path.startswith("${") and path.endswith("}") else path
    if name in row:
        return row[name]
    return _reached(row, list(STEP.finditer(name)), name)


def _reached(node: Any, steps: list[re.Match[str]], path: str) -> Any:
    for place, step in enumerate(steps):
        index = step[1]
        if index == "*":
            if not isinstance(node, list):
                raise Absent(f"the data has no {path}")
            return [_reached(entry, steps[place + 1 :], path) for entry in node]
        if index is not None and index.isdecimal():
            if not isinstance(node, list) or int(index[:9]) >= len(node):
                raise Absent(f"the data has no {path}")
            node = node[int(index[:9])]
            continue
        name = index.strip("\"'") if index is not None else re.sub(r"\\(.)", r"\1", step[2])
        if not isinstance(node, Mapping) or name not in node:
            raise Absent(f"the data has no {path}")
        node = node[name]
    return node


def _value(node: Node, around: Surroundings) -> Any:
    match node.kind:
        case "literal":
            return node.value
        case "path":
            found = attribute(around.row, node.value)
            effort.current().spend(ENTRY * len(found) if isinstance(found, list) else ENTRY)
            return found
        case "array":
            return [_value(part, around) for part in node.parts]
        case "choice":
            condition, yes, no = node.parts
            return _value(yes if truth_of(_value(condition, around)) else no, around)
        case "sign":
            return _signed(node.value, _value(node.parts[0], around))
        case "operator":
            return _operated(node.value, node.parts, around)
    return _called(node, around)


def _called(node: Node, around: Surroundings) -> Any:
    function = FUNCTIONS.get(node.value)
    if function is None:
        known = node.value in NOT_COMPUTED
        raise NotComputed(f"{node.value} is not computed here" if known else f"there is no function {node.value}")
    if not function.least <= len(node.parts) <= function.most:
        raise NotComputed(f"{node.value} takes {_arity(function)}, got {len(node.parts)}")
    values = [_argument(function, part, around) for part in node.parts]
    if not function.takes_null and any(value is None for value in values):
        return None
    spent = effort.current()
    try:
        spent.spend_on(values)
        found = function.compute(around, *values) if function.takes_surroundings else function.compute(*values)
        spent.spend_on(found)
        return found
    except (BadArgument, TooMuch) as fault:
        raise BadArgument(f"{node.value}: {fault}") from fault


def _argument(function: Function, part: Node, around: Surroundings) -> Any:
    try:
        return _value(part, around)
    except Absent:
        if function.absent_is_null:
            return None
        raise


def _signed(sign: str, value: Any) -> Any:
    if sign == "-":
        return None if value is None else -number_of(value)
    return not truth_of(value)


def _operated(sign: str, parts: tuple[Node, ...], around: Surroundings) -> Any:
    left = _value(parts[0], around)
    if sign in ("&&", "||"):
        return truth_of(left) if truth_of(left) is (sign == "||") else truth_of(_value(parts[1], around))
    right = _value(parts[1], around)
    effort.current().spend_on((left, right))
    if sign in ("==", "!="):
        same = left is right if left is None or right is None else compared(left, right) == 0
        return same is (sign == "==")
    if left is None or right is None:
        return None
    if sign in ("<", ">", "<=", ">="):
        order = compared(left, right)
        return {"<": order < 0, ">": order > 0, "<=": order <= 0, ">=": order >= 0}[sign]
    if sign == "+":
        try:
            left, right = number_of(left), number_of(right)
        except BadArgument:
            return joined(text_of(left), text_of(right))
    return _reckoned(sign, number_of(left), number_of(right))


def _reckoned(sign: str, left: float, right: float) -> float:
    """Java's arithmetic: whole numbers stay whole, and the remainder has the sign of what is divided."""
    if sign in ("+", "-", "*"):
        return bounded({"+": operator.add, "-": operator.sub, "*": operator.mul}[sign](left, right))
    if right == 0:
        raise BadArgument("division by zero")
    if isinstance(left, int) and isinstance(right, int):
        whole = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        return whole if sign == "/" else left - whole * right
    return bounded(left / right) if sign == "/" else left - right * int(left / right)


def _below(node: Node) -> Iterator[Node]:
    """The node and everything below it, in order. Does not recurse: a chain of operators is a deep tree."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += reversed(found.parts)


def _arity(function: Function) -> str:
    if function.most == ANY:
        return f"{function.least} arguments or more"
    counts = str(function.least) if function.least == function.most else f"{function.least} to {function.most}"
    return f"{counts} argument{'s' if function.most != 1 else ''}"


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
        if len(signs) > DEEPEST:
            raise Malformed(f"nested more than {DEEPEST} deep")
        node = self._methods(self._primary())
        for sign in reversed(signs):
            node = Node("sign", "-" if sign == "-" else "!", (node,))
        return node

    def _primary(self) -> Node:
        if self._next >= len(self._tokens):
            raise Malformed("the expression ends too early")
        kind, text = self._tokens[self._next]
        self._next += 1
        match kind:
            case "number":
                if len(text) > LONGEST_NUMBER:
                    raise Malformed(f"the number {text[:LONGEST_NUMBER]}... is too long")
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
            case "name" if text not in RESERVED:
                return self._path(text)
            case "name":
                raise Malformed(f"{text!r} is a reserved word; a column of that name is written ${{{text}}}")
        if text == "(":
            inner = self._choice()
            self._take(")")
            return inner
        if text == "[":
            return Node("array", None, self._arguments("]"))
        raise Malformed(f"{text!r} does not belong here")

    def _methods(self, node: Node) -> Node:
        """`node.name(...)`, any number of them: a call with the node as its first argument."""
        while self._peek() == "." and self._is_method(1):
            self._take(".")
            name = self._take()
            self._take("(")
            self._depth += 1
            if self._depth > DEEPEST:
                raise Malformed(f"nested more than {DEEPEST} deep")
            node = Node("call", name, (node, *self._arguments(")")))
        return node

    def _is_method(self, ahead: int) -> bool:
        following = self._tokens[self._next + ahead : self._next + ahead + 2]
        return len(following) == 2 and following[0][0] == "name" and following[1] == ("sign", "(")

    def _path(self, first: str) -> Node:
        path = first
        while self._peek() in (".", "[") and not (self._peek() == "." and self._is_method(1)):
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
        return WORDS.get(text, text) if kind in ("sign", "name") else f"<{kind}>"

    def _take(self, wanted: str | None = None) -> str:
        found = self._peek()
        if not found or (wanted is not None and found != wanted):
            raise Malformed(f"{wanted or 'more'} is missing" + (f" before {found!r}" if found else " at the end"))
        self._next += 1
        return found
