"""Which rows of a table are taken: a readable condition and the platform's PQL in JSON, both ways.

The grammar of the readable form (keywords in either case):

    condition  = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation   = "not" negation | "(" condition ")" | comparison
    comparison = column ( "==" | "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
               | column [ "not" ] "in" "(" value { "," value } ")"
               | column [ "not" ] "like" text
               | column "is" [ "not" ] "null"
    column     = letters, digits, "_", "." and "$", not beginning with a digit | "`" anything "`"
    value      = text | number | "true" | "false"
    text       = "'" ... "'" | '"' ... '"', the quote inside of itself doubled

It becomes the form of Adobe's guide "Filter row-level data for a source" (platform-api.md §4.5), whose samples and
whose list of a source's operators both write equality as `=`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Pql = dict[str, Any]

COMPARISONS: Final = ("==", "!=", "<=", ">=", "=", "<", ">")
DEEPEST: Final = 40  # nested conditions
MOST_NODES: Final = 2000
LONGEST: Final = 20_000  # characters of a readable condition
_KEYWORDS: Final = ("and", "or", "not", "in", "like", "is", "null", "true", "false")
_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<number>[-+]?(?:[0-9]{1,18}(?:\.[0-9]{1,18})?)(?![A-Za-z0-9_]))
      | (?P<quoted>`[^`]+`)
      | (?P<word>[A-Za-z_$][A-Za-z0-9_.$]*)
      | (?P<sign>==|!=|<=|>=|[=<>(),])
    )""",
    re.VERBOSE,
)


class FilterFault(ValueError):
    """A row filter is not one; the text says what and where."""


def compiled(text: str) -> Pql:
    """The PQL of a readable condition. Raises FilterFault."""
    if len(text) > LONGEST:
        raise FilterFault(f"is longer than {LONGEST} characters")
    reader = _Reader(text)
    node = reader.condition(0)
    reader.end()
    return {"type": "PQL", "format": "pql/json", "value": node}


def checked(pql: Mapping[str, Any]) -> Pql:
    """The PQL as it was written, once it is known to be of the documented form. Raises FilterFault."""
    if pql.get("type") != "PQL" or pql.get("format") != "pql/json" or set(pql) != {"type", "format", "value"}:
        raise FilterFault("is not {type: PQL, format: pql/json, value: ...}")
    for count, (node, depth) in enumerate(_walk(pql["value"], 0)):
        if depth > DEEPEST or count >= MOST_NODES:
            raise FilterFault("is nested too deeply, or has too many conditions")
        _check_node(node)
    return {"type": "PQL", "format": "pql/json", "value": pql["value"]}


def columns_of(pql: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that a filter looks at, each once, in their order; none for an empty one."""
    nodes = (node for node, _ in _walk(pql["value"], 0)) if pql else iter(())
    return tuple(dict.fromkeys(node["fieldName"] for node in nodes if node.get("nodeType") == "fieldLookup"))


def readable(pql: Mapping[str, Any]) -> str:
    """A filter as the readable condition that compiles to it."""
    return _said(pql["value"], outer=0)


def alike(node: Any) -> Any:
    """A filter with its spellings made one, for comparing: `==` is `=`, operators in small letters."""
    if isinstance(node, dict):
        same = {key: alike(value) for key, value in node.items()}
        if isinstance(same.get("fnName"), str):
            name = same["fnName"].lower()
            same["fnName"] = "=" if name == "==" else name
        return same
    return [alike(item) for item in node] if isinstance(node, list) else node


def _walk(node: Any, depth: int) -> Iterator[tuple[dict[str, Any], int]]:
    """Every node with its depth, outermost first, without recursion."""
    waiting = [(node, depth)]
    while waiting:
        node, depth = waiting.pop(0)
        if not isinstance(node, dict):
            raise FilterFault("has a node that is no mapping")
        yield node, depth
        params = node.get("params")
        waiting += [(param, depth + 1) for param in params] if isinstance(params, list) else []


_PARAMS: Final = {  # operator to its least and most params
    **dict.fromkeys(COMPARISONS, (2, 2)), "like": (2, 2), "in": (2, MOST_NODES), "isnull": (1, 1), "not": (1, 1),
    "and": (1, MOST_NODES), "or": (1, MOST_NODES),
}  # fmt: skip


def _check_node(node: dict[str, Any]) -> None:
    kind = node.get("nodeType")
    if kind == "fieldLookup":
        if not isinstance(node.get("fieldName"), str) or not node["fieldName"]:
            raise FilterFault("has a fieldLookup without fieldName")
    elif kind == "literal":
        values = node["value"] if isinstance(node.get("value"), list) else [node.get("value")]
        if not all(isinstance(value, str | int | float) and math.isfinite(_number(value)) for value in values):
            raise FilterFault("has a literal whose value is no text, number, true or false")
    elif kind == "fnApply":
        name, params = node.get("fnName"), node.get("params")
        bounds = _PARAMS.get(name.lower()) if isinstance(name, str) else None
        if bounds is None:
            raise FilterFault(f"has an fnApply with the unknown fnName {str(name)[:40]!r}")
        if not isinstance(params, list) or not bounds[0] <= len(params) <= bounds[1]:
            raise FilterFault(f"has an fnApply {name} with the wrong number of params")
        inner = {param.get("nodeType") for param in params if isinstance(param, dict)}
        logical = str(name).lower() in ("and", "or", "not")
        if (inner != {"fnApply"}) if logical else ("fnApply" in inner or "fieldLookup" not in inner):
            raise FilterFault(f"has an fnApply {name} whose params do not fit it")
    else:
        raise FilterFault(f"has a node of the unknown nodeType {str(kind)[:40]!r}")


def _number(value: str | int | float) -> float:
    return value if isinstance(value, float) else 0.0


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int  # counts from 1


class _Reader:
    """Reads a condition by recursive descent; `depth` bounds the recursion."""

    def __init__(self, text: str) -> None:
        self.tokens = list(_tokens(text))
        self.next = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.next]

    def condition(self, depth: int) -> Pql:
        return self._joined("or", depth)

    def end(self) -> None:
        if self.token.kind != "end":
            raise self._fault("the condition should end, or go on with and / or")

    def _joined(self, word: str, depth: int) -> Pql:
        if depth > DEEPEST:
            raise FilterFault(f"is nested deeper than {DEEPEST} levels")
        parts = [self._negation(depth) if word == "and" else self._joined("and", depth)]
        while self._take(word):
            parts.append(self._negation(depth) if word == "and" else self._joined("and", depth))
        return parts[0] if len(parts) == 1 else _apply(word, *parts)

    def _negation(self, depth: int) -> Pql:
        if depth > DEEPEST:
            raise FilterFault(f"is nested deeper than {DEEPEST} levels")
        if self._take("not"):
            return _apply("NOT", self._negation(depth + 1))
        if self._take("("):
            inner = self.condition(depth + 1)
            self._need(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Pql:
        column = {"nodeType": "fieldLookup", "fieldName": self._column()}
        if self._take("is"):
            negated = self._take("not")
            self._need("null")
            return _negated(_apply("isNull", column), negated)
        negated = self._take("not")
        if self._take("in"):
            self._need("(")
            values = [self._value()]
            while self._take(","):
                values.append(self._value())
            self._need(")")
            return _negated(_apply("in", column, _literal(values)), negated)
        if self._take("like"):
            if self.token.kind != "text":
                raise self._fault("like needs a text with % or _, in quotes")
            return _negated(_apply("like", column, _literal(self._value())), negated)
        if negated:
            raise self._fault("`in` or `like` should stand here")
        if self.token.kind == "sign" and self.token.text in COMPARISONS:
            operator = self._advance().text
            return _apply("=" if operator == "==" else operator, column, _literal(self._value()))
        raise self._fault(f"one of {' '.join(COMPARISONS)}, in, like or is should stand here")

    def _column(self) -> str:
        token = self.token
        if token.kind == "quoted":
            return self._advance().text[1:-1]
        if token.kind == "word" and token.text.lower() not in _KEYWORDS:
            return self._advance().text
        raise self._fault("a column should stand here (odd names in `backquotes`)")

    def _value(self) -> str | int | float | bool:
        token = self.token
        if token.kind == "text":
            quote = token.text[0]
            return self._advance().text[1:-1].replace(quote * 2, quote)
        if token.kind == "number":
            text = self._advance().text
            return float(text) if "." in text else int(text)
        if token.kind == "word" and token.text.lower() in ("true", "false"):
            return self._advance().text.lower() == "true"
        raise self._fault("a text in quotes, a number, true or false should stand here")

    def _take(self, text: str) -> bool:
        if self.token.kind in ("word", "sign") and self.token.text.lower() == text:
            self._advance()
            return True
        return False

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise self._fault(f"{text!r} should stand here")

    def _advance(self) -> _Token:
        token = self.token
        self.next += 1
        return token

    def _fault(self, what: str) -> FilterFault:
        found = "the end" if self.token.kind == "end" else repr(self.token.text[:40])
        return FilterFault(f"at character {self.token.at} stands {found}: {what}")


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            raise FilterFault(f"at character {start + 1} stands {text[start : start + 10]!r}, which cannot be read")
        yield _Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup) + 1)
        at = found.end()
    yield _Token("end", "", len(text) + 1)


def _apply(name: str, *params: Pql) -> Pql:
    return {"nodeType": "fnApply", "fnName": name, "params": list(params)}


def _literal(value: Any) -> Pql:
    return {"nodeType": "literal", "value": value}


def _negated(node: Pql, negated: bool) -> Pql:
    return _apply("NOT", node) if negated else node


def _said(node: Mapping[str, Any], outer: int) -> str:
    """A node as text, in parentheses where `outer` (0 or, 1 and, 2 not) binds closer than it does."""
    kind = node["nodeType"]
    if kind == "fieldLookup":
        name = node["fieldName"]
        plain = re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_.$]*", name) and name.lower() not in _KEYWORDS
        return name if plain else f"`{name}`"
    if kind == "literal":
        value = node["value"]
        return f"({', '.join(map(_value_said, value))})" if isinstance(value, list) else _value_said(value)
    name, params = str(node["fnName"]).lower(), node["params"]
    if name in ("or", "and"):
        level = ("or", "and").index(name)
        text = f" {name} ".join(_said(param, level + 1 if len(params) > 1 else outer) for param in params)
        return f"({text})" if outer > level and len(params) > 1 else text
    if name == "not":
        return f"not {_said(params[0], 2)}"
    if name == "isnull":
        return f"{_said(params[0], 2)} is null"
    if name == "in" and not isinstance(params[1].get("value"), list):
        return f"{_said(params[0], 2)} in ({', '.join(_said(param, 2) for param in params[1:])})"
    sign = "==" if name in ("=", "==") else name
    return f"{_said(params[0], 2)} {sign} {_said(params[1], 2)}"


def _value_said(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"{value:f}".rstrip("0") + "0" if isinstance(value, float) and math.isfinite(value) else str(value)
