"""JSON Patch: add, remove and replace, which is all that most services take, and the three others (RFC 6902).

Names of operations are taken in any case: Adobe's guides write `add`, the Flow Service reference `ADD`, a client `Add`.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any, Final

from flowledger.emulator.depth import too_deep
from flowledger.emulator.digits import number_of

Json = Any
DOCUMENTED: Final = ("add", "remove", "replace")
EVERY: Final = (*DOCUMENTED, "test", "move", "copy")
LONGEST_SHOWN = 60  # characters of a wrong index


class PatchFault(ValueError):
    """The patch is malformed, or does not fit the document. Its text says which operation and why."""


def apply_patch(document: Json, operations: Json, *, known: Collection[str] = EVERY) -> Json:
    """A new document with all operations applied in order. `known` are those that the service takes.

    Raises PatchFault; then nothing is changed.
    """
    if not isinstance(operations, list) or too_deep(operations):
        raise PatchFault("a JSON Patch is an array of operations, not nested too deeply")
    patched = copy.deepcopy(document)
    for number, operation in enumerate(operations):
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise PatchFault(f"operation {number} needs an op and a path")
        if op_of(operation) not in known:
            raise PatchFault(f"operation {number}: op is one of {', '.join(known)}, not {operation.get('op')!r}")
        patched = _apply(patched, operation, number)
    return patched


def op_of(operation: dict[str, Json]) -> str:
    """What the operation does, in lower case as RFC 6902 writes it; "" when it does not say so in a text."""
    op = operation.get("op")
    return op.lower() if isinstance(op, str) else ""


def tokens_of(pointer: str) -> list[str]:
    """The steps of a JSON Pointer. Raises PatchFault."""
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise PatchFault(f"path {pointer!r} must start with /")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/")]


def _apply(document: Json, operation: dict[str, Json], number: int) -> Json:
    op, path = op_of(operation), tokens_of(operation["path"])
    if op in ("add", "replace", "test") and "value" not in operation:
        raise PatchFault(f"operation {number} ({op}) needs a value")
    match op:
        case "add":
            return _add(document, path, copy.deepcopy(operation["value"]))
        case "replace":
            _at(document, path)
            return (
                _add(_remove(document, path), path, copy.deepcopy(operation["value"])) if path else operation["value"]
            )
        case "remove":
            return _remove(document, path)
        case "test":
            if not _is_same(_at(document, path), operation["value"]):
                raise PatchFault(f"test failed at {operation['path']}")
            return document
        case _:  # move, copy
            start = tokens_of(str(operation.get("from", "")))
            value = copy.deepcopy(_at(document, start))
            return _add(_remove(document, start) if op == "move" else document, path, value)


def _is_same(one: Json, other: Json) -> bool:
    """Equality of JSON, where `true` is no number: for Python, `1 == True`."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    return bool(one == other)


def _at(document: Json, path: list[str]) -> Json:
    node = document
    for token in path:
        node = node[_key(node, token, past_end=False)]
    return node


def _add(document: Json, path: list[str], value: Json) -> Json:
    if not path:
        return value
    parent = _at(document, path[:-1])
    if isinstance(parent, list):
        parent.insert(_index(parent, path[-1], past_end=True), value)
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise PatchFault(f"nothing can be added below /{'/'.join(path[:-1])}")
    return document


def _remove(document: Json, path: list[str]) -> Json:
    if not path:
        raise PatchFault("the whole document cannot be removed")
    parent = _at(document, path[:-1])
    del parent[_key(parent, path[-1], past_end=False)]
    return document


def _key(node: Json, token: str, *, past_end: bool) -> Any:
    if isinstance(node, list):
        return _index(node, token, past_end=past_end)
    if isinstance(node, dict) and token in node:
        return token
    raise PatchFault(f"there is no {token!r} to be found on the path")


def _index(node: list[Json], token: str, *, past_end: bool) -> int:
    if token == "-" and past_end:  # noqa: S105 - a JSON Pointer token, no secret
        return len(node)
    index = number_of(token)
    if index is None or index > len(node) - (not past_end):
        raise PatchFault(f"{token[:LONGEST_SHOWN]!r} is no index of an array of {len(node)}")
    return index
