"""Calls and answers as the journal keeps them: whole, but without secrets and with only the headers that matter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from flowledger.errors import UsageError
from flowledger.journal import Journal
from flowledger.journal.body import body_fields
from flowledger.journal.record import encode_doc
from flowledger.steps.answers import usable_id
from flowledger.steps.client import strictjson
from flowledger.steps.client.port import Answer, Request
from flowledger.steps.client.redact import Redactor

KEPT_HEADERS = ("etag", "e-tag", "location", "retry-after", "x-request-id", "content-type")
CALL_CAP: Final = 1024 * 1024  # bytes of a request's body: with an answer's 12 MiB it fits into one record
WHOLE_LIST: Final = 64 * 1024  # bytes of a list that are kept whatever they are
_LISTS: Final = ("results", "items", "data")  # under which name a page has its items
AS_TEXT: Final = "as_json_text"  # the key under which outputs stand that are not JSON as a journal can hold it
_WHOLE: Final = ("outputs", "facts")  # fields of events that later steps build on
_OWN: Final = ("kind", "at", "mono", "run", "spec")  # fields in which nothing of the platform stands
_ROOM: Final = 1024 * 1024  # characters that the other fields of an event may have once it has to be made smaller
_LONGEST: Final = 64 * 1024  # characters of one text, then
_DEEPEST: Final = 32  # levels of nesting, then


def call_doc(request: Request, redactor: Redactor) -> dict[str, Any]:
    """A request as the journal keeps it."""
    doc: dict[str, Any] = {"method": request.method, "path": redactor.redact_text(request.path)}
    if request.query:
        doc["query"] = [[name, redactor.redact_text(value)] for name, value in request.query]
    if request.body is not None:
        value = redactor.redact(request.body)
        fields = body_fields(b"", value, "", cap=CALL_CAP)
        if "body" not in fields:  # steps put into a body what the platform said elsewhere: it may not fit a journal
            sent = strictjson.encode(request.body)
            fields = body_fields(sent, value, "", shown=lambda: json.dumps(value).encode(), cap=CALL_CAP)
        doc.update(fields)
    return doc


def answer_doc(answer: Answer, redactor: Redactor, *, names: Collection[str] = ()) -> dict[str, Any]:
    """An answer as the journal keeps it: however broken, it gets its place (docs/events.md).

    Of a long list only the items are kept that hold one of `names`, and a few others; the rest is counted.
    """
    doc: dict[str, Any] = {"reach": str(answer.reach), "duration_ms": round(answer.duration * 1000, 3)}
    if answer.status is not None:
        doc["status"] = answer.status
    headers = {name: redactor.redact_text(answer.headers[name]) for name in KEPT_HEADERS if name in answer.headers}
    if headers:
        doc["headers"] = headers
    if answer.trouble:
        doc["trouble"] = redactor.redact_text(answer.trouble)
    if answer.body or answer.json is not None:
        bounded, left_out = _bounded(answer.json, names) if len(answer.body) > WHOLE_LIST else (answer.json, {})
        doc.update(left_out)
        value = redactor.redact(bounded)
        fault = answer.json_fault or ("" if answer.json is not None else "not JSON")
        doc.update(body_fields(answer.body, value, fault, shown=lambda: _shown(answer, value, redactor)))
    return doc


async def append_event(journal: Journal, run: str, doc: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Append an event of a run once it is certain that it can be written: its number, and the document as it stands.

    What a journal cannot hold of the platform's values is written in another form (`storable`). Raises what
    `Journal.append` raises; UsageError only if the outputs or facts of a step are larger than a record may be.
    """
    try:
        return await journal.append(run, doc), doc
    except UsageError:
        doc = storable(doc)  # nothing was written, and nothing waited: the order of events is as before
    return await journal.append(run, doc), doc


def storable(doc: Mapping[str, Any]) -> dict[str, Any]:
    """An event's document as the journal can hold it.

    Outputs and facts keep each value exactly: as JSON text if need be, see `unpacked`. Elsewhere texts, lists and
    nesting are cut, and a number beyond 64 bits becomes a text: that is evidence for people.
    """
    cut = _Cut(_ROOM)
    return {
        name: value
        if name in _OWN
        else packed(value)
        if name in _WHOLE and isinstance(value, Mapping)
        else cut.top(value)
        for name, value in doc.items()
    }


def packed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs or facts of a step as the journal can hold them: as they are, else as JSON text beside the id."""
    try:
        encode_doc({"event": {"values": dict(values)}})
    except UsageError:
        id = values.get("id")
        return {**({"id": id} if usable_id(id) else {}), AS_TEXT: json.dumps(dict(values))}
    return dict(values)


def unpacked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The reverse of `packed`: exactly what was packed, integers of any size and lone surrogates included."""
    if AS_TEXT not in values:
        return dict(values)
    whole: dict[str, Any] = json.loads(values[AS_TEXT])
    return whole


class _Cut:
    """Makes values fit into a record, with so many characters in all."""

    def __init__(self, room: int) -> None:
        self._left = room

    def top(self, value: Any) -> Any:
        """The value of an event's field, of the same type."""
        if isinstance(value, int) and not isinstance(value, bool):
            return max(-(2**63), min(value, 2**63 - 1))
        return self.of(value, 0)

    def of(self, value: Any, depth: int) -> Any:
        """A value within an event's field."""
        if isinstance(value, str):
            text = value.encode("utf-8", "backslashreplace").decode()
            most = max(0, min(_LONGEST, self._left))
            self._left -= min(len(text), most)
            return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"
        self._left -= 1
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if -(2**63) <= value < 2**63 else self.of(f"{value:#x}", depth)
        if isinstance(value, float):
            return value if value - value == 0 else str(value)  # not for NaN and infinities
        if depth >= _DEEPEST:
            return "… (nested deeper)"
        if isinstance(value, Mapping):
            return {
                self.of(str(key), depth + 1): self.of(inner, depth + 1)
                for key, inner in value.items()
                if self._left > 0
            }
        if isinstance(value, (list, tuple)):
            return [self.of(inner, depth + 1) for inner in value if self._left > 0]
        return self.of(str(value), depth)


def largest_place(doc: Mapping[str, Any]) -> str:
    """Where in a document most of its bytes are, as a dotted path of two names at most: for people."""
    path: list[str] = []
    inner: Any = doc
    while isinstance(inner, Mapping) and inner and len(path) < 2:
        name = max(inner, key=lambda one: len(json.dumps(inner[one], default=str)))
        path.append(str(name))
        inner = inner[name]
    return ".".join(path)


def _bounded(json: Any, names: Collection[str]) -> tuple[Any, dict[str, Any]]:
    """A page of a list with the items that are evidence for this run, and the field that tells of the others.

    A list in which nothing of ours stands is as long as the sandbox is old, and a doubt reads it again and again.
    """
    items = _items_of(json)
    if items is None or len(items) < 2:
        return json, {}
    wanted = [name.encode() for name in names if name]
    kept, count, size, digest = [], 0, 0, hashlib.sha256()
    room, ours = WHOLE_LIST, CALL_CAP
    for key, item in items:
        text = strictjson.encode(item)
        if any(name in text for name in wanted) and len(text) <= ours:
            ours -= len(text)
        elif len(text) <= room:
            room -= len(text)
        else:
            count, size = count + 1, size + len(text)
            digest.update(text)
            continue
        kept.append((key, item))
    if not count:
        return json, {}
    left_out = {"items_left_out": {"count": count, "bytes": size, "sha256": digest.hexdigest()}}
    if isinstance(json, list):
        return [item for _, item in kept], left_out
    place = next((name for name in _LISTS if isinstance(json.get(name), list)), None)
    return (dict(kept) if place is None else {**json, place: [item for _, item in kept]}), left_out


def _items_of(json: Any) -> list[tuple[Any, Any]] | None:
    """The items of a page: a list, a list under one of its usual names, or Catalog's objects by their ids."""
    if isinstance(json, list):
        return list(enumerate(json))
    if not isinstance(json, Mapping):
        return None
    for name in _LISTS:
        if isinstance(json.get(name), list):
            return list(enumerate(json[name]))
    return list(json.items()) if all(isinstance(value, Mapping) for value in json.values()) else None


def _shown(answer: Answer, value: Any, redactor: Redactor) -> bytes:
    """A body's bytes without secrets: found by their names too where it is JSON, as with integers beyond 64 bits."""
    if answer.json is not None:
        return json.dumps(value).encode()
    text = answer.body.decode("utf-8", "surrogateescape")
    return redactor.redact_text(text).encode("utf-8", "surrogateescape")
