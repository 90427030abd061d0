"""A spec file in TOML as plain values with the place of each key.

`tomllib` reads and judges the text, but keeps no places: a scanner walks the text once more, which may trust that it is
TOML, and notes where each key and value stands.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date, datetime, time
from typing import Any, Final

from flowledger.engine.specfault import Findings, KeyPath
from flowledger.engine.specyaml import MAX_DEPTH, MAX_VALUES, Place, Tree
from flowledger.errors import SpecError

_WHERE: Final = re.compile(r" \(at (?:line (?P<line>[0-9]+), column (?P<column>[0-9]+)|end of document)\)$")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SPACE: Final = re.compile(r"[ \t]*")
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SCALAR: Final = re.compile(r"[^,\]}#\r\n]*")
# The longest first; a string of several lines may end in up to two quotes of its own.
_STRINGS: Final = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")', re.DOTALL),
    re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)


def parse(text: str, source: str) -> tuple[Tree, Findings]:
    """The text as a tree. Times become text, as YAML has them.

    Raises SpecError when the text is no TOML (a key that stands twice included), or is nested or long as no spec is.
    """
    try:
        data = tomllib.loads(text)
        plain = _plain(data, 0, [MAX_VALUES])
    except (ValueError, RecursionError) as error:
        raise _refused(error, source) from None
    tree = Tree(data=plain)
    _Scanner(text, tree).scan()
    return tree, Findings()


class _Refused(ValueError):
    """The text is TOML, but no spec's."""


def _refused(error: Exception, source: str) -> SpecError:
    said = str(error)
    found = _WHERE.search(said)
    place = f":{found['line']}:{found['column']}" if found and found["line"] else ""
    if isinstance(error, RecursionError):
        what = f"nested deeper than {MAX_DEPTH} levels"
    elif isinstance(error, _Refused):
        what = said
    elif isinstance(error, tomllib.TOMLDecodeError):
        what = f"not TOML: {_without_values(said[: found.start()] if found else said)}"
        what += " at its end" if found and not found["line"] else ""
    else:  # int() of thousands of digits
        what = "not TOML: a number that is too long"
    fault = f"{source}{place}: {what}"
    return SpecError(fault, faults=(fault,))


def _without_values(said: str) -> str:
    """tomllib's words without what it quotes of the file, which may be a part of a secret."""
    return re.sub(
        r"(?:Found invalid character|Illegal character|Invalid hex value).*",
        "a character that must not stand here",
        said,
    )


def _plain(value: Any, depth: int, budget: list[int]) -> Any:
    budget[0] -= 1
    if budget[0] < 0:
        raise _Refused(f"more than {MAX_VALUES} keys and values")
    if depth > MAX_DEPTH:
        raise _Refused(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {key: _plain(inner, depth + 1, budget) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, depth + 1, budget) for inner in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return value


class _Scanner:
    """Walks a text that is known to be TOML, and notes in `tree` where things stand."""

    def __init__(self, text: str, tree: Tree) -> None:
        self.text = text.replace("\r\n", "\n")
        self.tree = tree
        self.items: dict[KeyPath, int] = {}  # the last item of each list that is written as `[[list]]`
        self.at = 0
        self.line = 1
        self.line_start = 0
        self.counted = 0

    def scan(self) -> None:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self._peek("["):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self) -> KeyPath:
        """`[a.b]`, or `[[a.b]]`, which begins one more item of a list."""
        several = self._peek("[[")
        self.at += 2 if several else 1
        self._skip(_SPACE)
        place, keys = self._keys()
        self._skip(_SPACE)
        self.at += 2 if several else 1
        path = self._note_keys((), keys, place)
        if several:
            self.items[path] = self.items.get(path, -1) + 1
            path = (*path, self.items[path])
            self.tree.values[path] = place
        return path

    def _pair(self, above: KeyPath) -> None:
        place, keys = self._keys()
        path = self._note_keys(above, keys, place)
        self._skip(_SPACE)
        self.at += 1  # the "="
        self._skip(_SPACE)
        self._value(path)

    def _note_keys(self, above: KeyPath, keys: list[str], place: Place) -> KeyPath:
        """The path of a dotted key; a key on the way to it that is a list means the list's last item."""
        path = above
        for position, key in enumerate(keys):
            path = (*path, key)
            self.tree.keys.setdefault(path, place)
            if position < len(keys) - 1 and path in self.items:
                path = (*path, self.items[path])
        return path

    def _keys(self) -> tuple[Place, list[str]]:
        place = self._place()
        keys = [self._key()]
        while True:
            self._skip(_SPACE)
            if not self._peek("."):
                return place, keys
            self.at += 1
            self._skip(_SPACE)
            keys.append(self._key())

    def _key(self) -> str:
        if found := _BARE.match(self.text, self.at):
            self.at = found.end()
            return found[0]
        written = self._string()
        return str(tomllib.loads(f"key = {written}")["key"])

    def _string(self) -> str:
        found = next(found for pattern in _STRINGS if (found := pattern.match(self.text, self.at)))
        self.at = found.end()
        return found[0]

    def _value(self, path: KeyPath) -> None:
        self.tree.values[path] = self._place()
        if self._peek("["):
            self.at += 1
            index = 0
            while not self._ended("]"):
                self._value((*path, index))
                index += 1
        elif self._peek("{"):
            self.at += 1
            while not self._ended("}"):
                self._pair(path)
        elif self._peek('"') or self._peek("'"):
            self._string()
        else:
            self._skip(_SCALAR)

    def _ended(self, closing: str) -> bool:
        """Whether a list or an inline table ends here; steps over commas."""
        self._skip(_BLANK)
        while self._peek(","):
            self.at += 1
            self._skip(_BLANK)
        if self._peek(closing):
            self.at += 1
            return True
        return False

    def _peek(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _place(self) -> Place:
        """Where the scanner is. Lines are counted from where they were counted last."""
        newlines = self.text.count("\n", self.counted, self.at)
        if newlines:
            self.line += newlines
            self.line_start = self.text.rindex("\n", self.counted, self.at) + 1
        self.counted = self.at
        return Place(self.line, self.at - self.line_start + 1)
