"""A spec file's bytes as plain values with the place of each key: YAML without its traps.

Read from YAML's event stream, so that hostile input is refused while it is being read: nesting, the number of values
after aliases are expanded, and the size of the file are bounded. Scalars follow YAML 1.2's core: only `true` and
`false` are booleans, numbers are plain decimals, and `on`, `yes`, `2026-01-01`, `010`, `1e5` and `1:30` stay text.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from flowledger.engine.specfault import Fault, Findings, KeyPath, echo
from flowledger.errors import SpecError

MAX_BYTES: Final = 1 << 20
MAX_VALUES: Final = 20_000  # keys and values, each alias counted as what it stands for
STDIN: Final = Path("-")
MAX_DEPTH: Final = 20  # a real spec has 5

_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_NUMBER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\.[0-9]{1,40}")
_WORDS: Final[dict[str, bool | None]] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
}  # fmt: skip
_TEXT_TAGS: Final = ("!", "tag:yaml.org,2002:str")
_PLAIN_STYLES: Final = (None, "")  # PyYAML's own parser, libyaml
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML was built with it


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the file; both count from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Tree:
    """The file as plain values. `keys` and `values` say where the key and the value of a path stand."""

    data: Any = None
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    values: dict[KeyPath, Place] = field(default_factory=dict)


@dataclass(slots=True)
class _Node:
    """A node of the file before aliases are expanded. `value`: scalar, list of nodes, or list of (key, node) pairs."""

    value: Any
    place: Place
    is_map: bool = False
    open: bool = True


class _Refused(Exception):
    """The text is not a spec's YAML: what is wrong and where."""

    def __init__(self, what: str, place: Place | None) -> None:
        super().__init__(what)
        self.what = what
        self.place = place


def read_text(source: Path) -> tuple[str, bool]:
    """The text of a spec, and whether it came through a pipe; `-` is standard input.

    A pipe is read to its end, but no further than a file may be large. Raises SpecError, without reading further than
    it must, for a file that is not there or not readable, is a directory or a device, is larger than 1 MiB, is binary,
    or is not UTF-8.
    """
    try:
        # O_NONBLOCK: opening a pipe without a writer must not wait. It is empty then.
        handle = os.dup(0) if source == STDIN else os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError(
            f"{source}: the spec cannot be read: {reason}", hint="`flowledger init paypal` writes a spec to begin with"
        ) from None
    try:
        found = os.fstat(handle)
        flows = stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode) or os.isatty(handle)
        if not flows and not stat.S_ISREG(found.st_mode):
            what = "a directory" if stat.S_ISDIR(found.st_mode) else "not a regular file"
            raise SpecError(f"{source}: the spec is {what}", hint="name a YAML, JSON or TOML file")
        if not flows and found.st_size > MAX_BYTES:
            raise _too_large(source)
        if flows and source != STDIN:
            os.set_blocking(handle, True)
        try:
            with os.fdopen(handle, "rb", closefd=False) as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise SpecError(
                f"{source}: the spec cannot be read: {error.strerror or error}", hint="give it as a file"
            ) from None
    finally:
        os.close(handle)
    if len(data) > MAX_BYTES:
        raise _too_large(source)
    if b"\0" in data:
        raise SpecError(f"{source}: the spec is a binary file, or text that is not UTF-8", hint="save it as UTF-8 text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SpecError(
            f"{source}: the spec is not UTF-8 text: line {line} holds the byte 0x{data[error.start]:02x}",
            hint="save it as UTF-8 text",
        ) from None
    if not text.strip():
        raise SpecError(f"{source}: the spec is empty", hint="`flowledger init paypal` writes a spec to begin with")
    return text, flows


def _too_large(source: Path) -> SpecError:
    return SpecError(
        f"{source}: the spec is larger than {MAX_BYTES >> 20} MiB",
        hint="a spec takes a few kilobytes: is this the right file?",
    )


def parse(text: str, source: str) -> tuple[Tree, Findings]:
    """The text as a tree. A key that stands twice is a fault among the findings; the first one counts.

    Raises SpecError when the text is no YAML, needs what a spec must not (tags, merge keys, several documents,
    recursive or exploding aliases), or holds no mapping at its top.
    """
    try:
        root = _compose(text)
        findings = Findings()
        tree = Tree()
        budget = [MAX_VALUES]
        tree.data = _expand(root, (), tree, findings, budget)
    except _Refused as refusal:
        place = f":{refusal.place.line}:{refusal.place.column}" if refusal.place else ""
        fault = f"{source}{place}: {refusal.what}"
        raise SpecError(fault, faults=(fault,)) from None
    if not isinstance(tree.data, dict):
        kind = "a list" if isinstance(tree.data, list) else "empty" if tree.data is None else "a single value"
        raise SpecError(
            f"{source}: the spec is {kind}; it must be a mapping that begins with keys like `name:` and `source:`",
            hint="`flowledger init paypal` writes a spec to begin with",
        )
    return tree, findings


def _events(text: str) -> Iterator[Any]:
    loader = None
    try:
        loader = _LOADER(text)
        while loader.check_event():
            yield loader.get_event()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "unreadable"
        # Only the parser's own words: its excerpt of the line could hold a secret.
        raise _Refused(f"not YAML: {what}{_odd_character(text)}", _place(mark) if mark else None) from None
    except yaml.YAMLError as error:
        character = getattr(error, "character", None)  # a number from libyaml, a character from PyYAML's own reader
        code = ord(character) if isinstance(character, str) and len(character) == 1 else character
        named = f": the character U+{code:04X} is not allowed" if isinstance(code, int) else ""
        raise _Refused(f"not YAML{named}", None) from None
    finally:
        if loader is not None:
            loader.dispose()


_ODD: Final = re.compile("[\x85\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f\u2060\u3000\ufeff]")
_ODD_NAMES: Final = {
    "\x85": "a next line", "\xa0": "a no-break space", "\u200b": "a zero-width space", "\u2028": "a line separator",
    "\u2029": "a paragraph separator", "\u3000": "an ideographic space", "\ufeff": "a byte order mark",
}  # fmt: skip


def _odd_character(text: str) -> str:
    """The first character that looks like a blank or a line break and is none to YAML: where it is, as a clause."""
    found = _ODD.search(text)
    if found is None:
        return ""
    line = text.count("\n", 0, found.start()) + 1
    what = _ODD_NAMES.get(found[0], "a character that cannot be seen")
    return f"; line {line} holds {what} (U+{ord(found[0]):04X}), is a blank or a line break meant?"


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _compose(text: str) -> _Node:
    """The first document as nodes, without recursion, so that no nesting can exhaust the stack."""
    anchors: dict[str, _Node] = {}
    root: _Node | None = None
    stack: list[_Node] = []
    second: Place | None = None  # where another document begins
    pending: list[tuple[Any, Place] | None] = []  # for each open mapping: its key that waits for a value

    def add(node: _Node, event: Any) -> None:
        nonlocal root
        if not stack:
            root = node
        elif not stack[-1].is_map:
            stack[-1].value.append(node)
        elif pending[-1] is None:
            if not isinstance(event, yaml.ScalarEvent):
                raise _Refused("a key must be plain text", node.place)
            if event.value == "<<" and event.style in _PLAIN_STYLES:
                raise _Refused("merge keys (`<<`) are not supported; write the keys out", node.place)
            pending[-1] = (event.value, node.place)
        else:
            key, place = pending[-1]
            stack[-1].value.append((key, place, node))
            pending[-1] = None

    for seen, event in enumerate(_events(text)):
        if seen > MAX_VALUES * 2:
            raise _Refused(f"more than {MAX_VALUES} keys and values", _place(event.start_mark))
        place = _place(event.start_mark)
        if isinstance(event, yaml.DocumentStartEvent) and root is not None:
            second = place
            continue
        if second is not None and not isinstance(event, yaml.DocumentEndEvent | yaml.StreamEndEvent):
            if isinstance(event, yaml.ScalarEvent) and event.value == "" and event.style in _PLAIN_STYLES:
                continue  # a `---` at the end, with nothing after it
            raise _Refused("a second document begins here; a spec file holds one", second)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise _Refused("an alias (`*`) without its anchor (`&`); put text that begins with * in quotes", place)
            if anchors[event.anchor].open:
                raise _Refused("an alias inside of what it stands for", place)
            target = anchors[event.anchor]
            add(_Node(target.value, place, is_map=target.is_map, open=False), event)
        elif isinstance(event, yaml.ScalarEvent):
            node = _Node(_scalar(event, place), place, open=False)
            _anchor(anchors, event, node)
            add(node, event)
        elif isinstance(event, yaml.CollectionStartEvent):
            if event.tag is not None and not event.implicit:
                raise _Refused(f"the tag {echo(event.tag)} is not supported; leave it out", place)
            if len(stack) >= MAX_DEPTH:
                raise _Refused(f"nested deeper than {MAX_DEPTH} levels", place)
            node = _Node([], place, is_map=isinstance(event, yaml.MappingStartEvent))
            _anchor(anchors, event, node)
            add(node, event)
            stack.append(node)
            pending.append(None)
        elif isinstance(event, yaml.CollectionEndEvent):
            stack.pop().open = False
            pending.pop()
    return root if root is not None else _Node(None, Place(1, 1), open=False)


def _anchor(anchors: dict[str, _Node], event: Any, node: _Node) -> None:
    if event.anchor is not None:
        anchors[event.anchor] = node


def _scalar(event: Any, place: Place) -> Any:
    if event.tag is not None and event.tag not in _TEXT_TAGS:
        raise _Refused(f"the tag {echo(event.tag)} is not supported; leave it out", place)
    text: str = event.value
    if event.tag is not None or event.style not in _PLAIN_STYLES:  # quoted or block text
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    return text


def _expand(node: _Node, path: KeyPath, tree: Tree, findings: Findings, budget: list[int]) -> Any:
    """The node as plain values, aliases copied out. Depth is bounded here too: aliases add theirs."""
    budget[0] -= 1
    if budget[0] < 0:
        raise _Refused(f"more than {MAX_VALUES} keys and values once its aliases are expanded", node.place)
    if len(path) > MAX_DEPTH:
        raise _Refused(f"nested deeper than {MAX_DEPTH} levels once its aliases are expanded", node.place)
    tree.values[path] = node.place
    if node.is_map:
        data: dict[str, Any] = {}
        for key, place, value in node.value:
            if key in data:
                first = tree.keys[(*path, key)].line
                what = f"stands twice, first on line {first}"
                twice = Fault(path=(*path, key), what=what, right="keep one of the two", at_key=True)
                findings.faults.append(twice)  # not by `fault`: the tree is to be read to its end
                tree.keys[(*path, key)] = place  # the second is the one to look at
                continue
            tree.keys[(*path, key)] = place
            data[key] = _expand(value, (*path, key), tree, findings, budget)
        return data
    if isinstance(node.value, list):
        return [_expand(item, (*path, index), tree, findings, budget) for index, item in enumerate(node.value)]
    return node.value
