"""One record of a segment as bytes: what may go in, how it is sealed, how it is recognised again (docs/journal.md)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from zlib import crc32

import orjson

from flowledger.errors import UsageError

Json = Any

VERSION: Final = 1
FORMAT: Final = "flowledger-journal"
MAX_RECORD: Final = 16 * 1024 * 1024  # bytes of one line
EVENTS: Final = "events"  # the table of events, and the default one
HEADER: Final = "_header"
CLOSE: Final = "_close"
REPAIR: Final = "_repair"
CHECKPOINT: Final = "_checkpoint"  # says how far the stored index reaches, and what the bytes up to here were
SEAL: Final = "_seal"  # the same, as the last record of a segment
PRUNED: Final = "_pruned"  # names the runs whose events a prune left out
NO_RECORD: Final = "00000000"  # `prev` of the first record

COVERED: Final = 17  # bytes of `{"crc":"9f0c1a2b"`: what follows them is what the checksum covers
_ROOM: Final = 128  # bytes that crc, prev, seq and synced may take
_HEAD: Final = re.compile(
    rb'\{"crc":"([0-9a-f]{8})","prev":"([0-9a-f]{8})","seq":(0|[1-9][0-9]{0,18}),"synced":(0|[1-9][0-9]{0,18}),'
    rb'"t":("(?:[^"\\]|\\.)*+")(?:,"run":("(?:[^"\\]|\\.)*+"))?,"doc":(?=\{)'
)
_LONG_NUMBER: Final = re.compile(rb"[:,\[]-?[0-9]{19}")
_LONG: Final = b"0" * 19
_AS_ZEROS: Final = bytes.maketrans(b"123456789", b"0" * 9)
START: Final = b'{"crc":"'
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS


class Record(NamedTuple):
    """What a line says of itself; `body_at` and `doc_at` are where in it `"t"` and the document begin."""

    crc: str
    prev: str
    seq: int
    synced: int
    table: str
    run: str | None
    body_at: int
    doc_at: int


def encode_doc(doc: Mapping[str, Json]) -> bytes:
    """The document as strict JSON bytes.

    `doc` may hold what JSON can hold (enums of strings, UUIDs, dates and tuples become what JSON has for them).
    Raises UsageError for what would not read back as it was: keys that are not strings, NaN and infinities,
    integers outside 64 bits, bytes, lone surrogates, nesting deeper than 250.
    """
    try:
        encoded = orjson.dumps(doc if type(doc) is dict else dict(doc), default=_plain, option=_OPTIONS)
    except (TypeError, ValueError, RecursionError) as error:
        reason = str(error.__cause__ or error)
        raise UsageError(f"this document cannot be journaled: {reason}") from error
    # orjson writes NaN and infinities as null, and takes integers up to 2**64, which have 19 digits at least; only then
    # need every number be looked at. Looking for the digits as zeros first takes a quarter of the pattern's time.
    if b"null" in encoded or (_LONG in encoded.translate(_AS_ZEROS) and _LONG_NUMBER.search(encoded) is not None):
        _check_numbers(doc)
    return encoded


def _plain(value: object) -> object:
    """What orjson is to write for a value of a type that it does not know (subclasses included)."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple):
        return list(value)
    raise TypeError(f"a value of type {type(value).__name__} is not JSON")


def _check_numbers(doc: Json) -> None:
    todo: list[Json] = [doc]
    for value in todo:  # which grows meanwhile
        kind = type(value)
        if kind is str or kind is bool or value is None:
            continue
        if kind is dict:
            todo.extend(value.values())
        elif kind is list:
            todo.extend(value)
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise UsageError(f"this document cannot be journaled: {value} is not JSON")
        elif isinstance(value, int):
            if not -(2**63) <= value < 2**63:
                raise UsageError(f"this document cannot be journaled: {value} does not fit into 64 bits")
        elif isinstance(value, Mapping):
            todo.extend(value.values())
        elif isinstance(value, list | tuple):
            todo.extend(value)


def body_of(table: str, run: str | None, encoded_doc: bytes) -> bytes:
    """The part of a record that does not depend on where it will stand: table, run, document.

    Raises UsageError if the record would be larger than MAX_RECORD bytes or a name is not Unicode.
    """
    try:
        name = orjson.dumps(table)
        who = b"" if run is None else b',"run":' + orjson.dumps(run)
    except TypeError as error:
        raise UsageError(f"this name cannot be journaled: {error}") from error
    body = b'"t":' + name + who + b',"doc":' + encoded_doc + b"}"
    if len(body) > MAX_RECORD - _ROOM:
        raise UsageError(
            f"this document cannot be journaled: its record of {len(body) + _ROOM} bytes is over {MAX_RECORD}",
            hint="keep the beginning, length and sha256 of what is large (flowledger.journal.body_fields does)",
        )
    return body


def seal(body: bytes, *, prev: str, seq: int, synced: int) -> tuple[bytes, str]:
    """The whole line of a record, LF included, and its crc, which is the `prev` of the next."""
    rest = b',"prev":"%b","seq":%d,"synced":%d,%b' % (prev.encode(), seq, synced, body)
    crc = b"%08x" % crc32(rest)
    return b'{"crc":"%b"%b\n' % (crc, rest), crc.decode()


def parse(line: bytes) -> Record | None:
    """The record in a line without its LF, or None if the line is not one whole undamaged record."""
    if line[len(START) : COVERED - 1] != b"%08x" % crc32(memoryview(line)[COVERED:]):
        return None
    return head_of(line)


def head_of(line: bytes) -> Record | None:
    """What a line without its LF says of itself, its checksum not looked at; None if it does not look like a record."""
    head = _HEAD.match(line)
    if head is None or not line.endswith(b"}"):
        return None
    table = orjson.loads(head[5]) if b"\\" in head[5] else head[5][1:-1].decode()
    run = None if head[6] is None else orjson.loads(head[6]) if b"\\" in head[6] else head[6][1:-1].decode()
    return Record(
        head[1].decode(),
        head[2].decode(),
        int(head[3]),
        int(head[4]),
        table,
        run,
        head.start(5) - len('"t":'),
        head.end(),
    )


def run_named(fragment: bytes) -> str | None:
    """The run that a damaged or cut record seems to be of; a guess for people, never for data."""
    head = _HEAD.match(fragment)
    if head is None or head[6] is None:
        return None
    try:
        name: str = orjson.loads(head[6])
    except orjson.JSONDecodeError:
        return None
    return name


def doc_of(line: bytes, record: Record) -> dict[str, Json]:
    """The document of a parsed line (without LF), with the run's name as its key `run`."""
    doc: dict[str, Json] = orjson.loads(memoryview(line)[record.doc_at : -1])
    return doc if record.run is None else {"run": record.run, **doc}
