"""Reading a segment from its bytes: which records are good, where the first bad byte is, and what it means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from zlib import crc32

from flowledger.errors import JournalCorrupt, JournalError
from flowledger.journal.filesystem import File
from flowledger.journal.index import Index
from flowledger.journal.record import COVERED, FORMAT, HEADER, START, VERSION, Record, doc_of, parse, run_named

CHAINED: Final = "segments"  # feature: the segment follows another, or will be followed
GAPS: Final = "gaps"  # feature: a prune left records out
CHANGES: Final = "changes"  # feature: it holds what versions without it would carry on wrongly: a spec as written
FEATURES: Final = frozenset({CHAINED, GAPS, CHANGES})

_CHUNK: Final = 1024 * 1024
_BRACE: Final = ord("}")
_HEADER_MOST: Final = 64 * 1024


class Kind(StrEnum):
    """What a bad record means."""

    TORN = "torn"  # it was never acknowledged: the end of a batch that a crash cut off
    CORRUPT = "corrupt"  # it had been made durable, and has changed since


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """The first bad byte of a segment and what is known of the rest."""

    kind: Kind
    offset: int  # of the first bad record
    line: int  # its number, counted from 1
    reason: str
    frontier: int  # bytes that were durable by the largest `synced` seen anywhere
    size: int  # of the segment
    later: int  # records after the bad one that verify alone
    runs: tuple[str, ...]  # named in the bytes from `offset` on

    def error(self, file: str, directory: str) -> JournalCorrupt:
        """The error to raise when it is corruption."""
        return JournalCorrupt(
            f"{file} is damaged at byte {self.offset} (line {self.line}): {self.reason}. "
            f"{self.later} later records are readable",
            file=file,
            offset=self.offset,
            line=self.line,
            reason=self.reason,
            hint=f"flowledger journal repair --journal {directory} --to NEW_DIR keeps what is good in a new journal",
        )


def empty_segment() -> Damage:
    """The damage of a segment without a byte: its header had been durable before it got its name."""
    return Damage(kind=Kind.CORRUPT, offset=0, line=1, reason="it is empty", frontier=0, size=0, later=0, runs=())


def lines(file: File, start: int, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Offset, bytes without LF, and whether there was one, for each line in `start:size`."""
    pending = bytearray()
    at, offset = start, start
    while at < size:
        chunk = file.read(min(_CHUNK, size - at), at)
        if not chunk:
            break  # a writer cut its tail back while we read
        at += len(chunk)
        first = chunk.find(b"\n")
        if first < 0:
            pending += chunk
            continue
        yield offset, bytes(pending) + chunk[:first], True
        offset += len(pending) + first + 1
        pending.clear()
        begin = first + 1
        while (stop := chunk.find(b"\n", begin)) >= 0:
            yield offset, chunk[begin:stop], True
            offset += stop - begin + 1
            begin = stop + 1
        pending += chunk[begin:]
    if pending:
        yield offset, bytes(pending), False


def extend(index: Index, file: File, *, size: int) -> Damage | None:
    """Read on from the end of `index` up to `size` bytes, adding good records; the first bad one, if there is one.

    A record is good if its fixed bytes, checksum, `prev` and `seq` hold. What the first bad one means follows from
    what was claimed durable anywhere in the segment, so the rest is searched for records that verify alone.
    """
    pending = b""
    at = index.end
    while at < size:
        chunk = file.read(min(_CHUNK, size - at), at)
        if not chunk:
            break  # a writer cut its tail back while we read
        at += len(chunk)
        pending += chunk
        before = index.end
        reason = _take_lines(index, pending)
        taken = index.end - before
        index.digest = crc32(memoryview(pending)[:taken], index.digest)
        if reason:
            return _judge(index, file, offset=index.end, line=index.count + 1, reason=reason, size=size)
        pending = pending[taken:]
    if pending:
        return _judge(
            index, file, offset=index.end, line=index.count + 1, reason="the last record is cut off", size=size
        )
    return None


# What follows `"seq":N,"synced":` in a record whose table and run need no decoding.
_REST: Final = re.compile(rb'(0|[1-9][0-9]{0,18}),("t":"[^"\\_][^"\\]*"(?:,"run":"[^"\\]*")?),"doc":\{')


def _take_lines(index: Index, data: bytes) -> str:
    """Take in the whole lines at the start of `data`, which begins where `index` ends; why not, at the first bad one.

    The journal's own records and unusual names go through `parse`; the others are recognised by comparing bytes with
    what must stand there, which is several times as quick. Both accept the same lines.
    """
    known: dict[bytes, tuple[str, str | None]] = {}
    prev, seq, at = index.prev.encode(), index.count, 0
    while (stop := data.find(b"\n", at)) >= 0:
        fixed = b',"prev":"%b","seq":%d,"synced":' % (prev, seq)
        head = None
        if not index.gaps and data.startswith(fixed, at + COVERED) and data.startswith(START, at):
            head = _REST.match(data, at + COVERED + len(fixed), stop)
        crc = data[at + len(START) : at + len(START) + 8]
        if (
            head is not None
            and data[stop - 1] == _BRACE
            and b'%08x"' % crc32(data[at + COVERED : stop]) == (data[at + len(START) : at + COVERED])
        ):
            name = known.get(head[2])
            if name is None:
                named = parse(data[at:stop])
                if named is None:
                    return "the record is damaged"
                name = known[head[2]] = named.table, named.run
            index.add(index.end + stop + 1 - at, crc.decode(), name[0], name[1], seq)
            if (synced := int(head[1])) > index.synced:
                index.synced = synced
        else:
            record = parse(data[at:stop])
            reason = "the record is damaged" if record is None else index.take(record, stop + 1 - at)
            if reason:
                return reason
        prev = crc
        seq = index.count
        at = stop + 1
    return ""


def stragglers(file: File, start: int, size: int) -> Iterator[tuple[int, bytes, Record]]:
    """Offset, line and record of everything in `start:size` that verifies alone.

    A record is looked for at every place where one could begin, not only after an LF: the LF may be what was lost.
    What a transfer as text does is undone: a CR ends a line too, and blanks at its end are not part of the record,
    which holds neither unescaped.
    """
    for offset, text, whole in lines(file, start, size):
        for begin, line in _ended(text, whole=whole):
            at = line.find(START)
            while at >= 0:
                found = line[at:]
                record = parse(found)
                if record is None and found[-1:] in _BLANKS:
                    found = found.rstrip(_BLANKS)
                    record = parse(found)
                if record is not None:
                    yield offset + begin + at, found, record
                    break
                at = line.find(START, at + 1)


_BLANKS: Final = b" \t"


def _ended(text: bytes, *, whole: bool) -> Iterator[tuple[int, bytes]]:
    """Place and bytes of each line in `text` that has an end: a CR, or the LF after `text`, if it is `whole`."""
    begin = 0
    while (stop := text.find(b"\r", begin)) >= 0:
        yield begin, text[begin:stop]
        begin = stop + 1
    if whole:
        yield begin, text[begin:]


def _judge(index: Index, file: File, *, offset: int, line: int, reason: str, size: int) -> Damage:
    frontier, later = index.synced, 0
    named: dict[str, None] = {}
    for _, _, record in stragglers(file, offset, size):
        frontier = max(frontier, record.synced)
        later += 1
    for _, text, _ in lines(file, offset, size):
        at = text.find(START)
        while at >= 0:
            if (run := run_named(text[at:])) is not None:
                named[run] = None
            at = text.find(START, at + 1)
    # A segment gets its name only after its header is on the medium, so a bad header is never a torn batch.
    corrupt = frontier > offset or offset == 0
    return Damage(
        kind=Kind.CORRUPT if corrupt else Kind.TORN,
        offset=offset,
        line=line,
        reason=reason,
        frontier=frontier,
        size=size,
        later=later,
        runs=tuple(named),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """What a segment says of the one before it."""

    segment: str  # its UUID
    crc: str  # of its last record, the seal
    size: int  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a segment says of itself in its first record."""

    segment: str  # UUID
    first: int  # the number of record 0; documents are numbered from there
    previous: Previous | None
    gaps: bool
    changes: bool


def read_header(file: File, name: str, *, to_write: bool) -> Header | None:
    """The header of a segment; None if its checksum does not hold, which the scan will say better.

    A header is sealed in the same way in every version. Raises JournalError for a format that is not known here, and,
    if `to_write`, for a feature that is not.
    """
    line = file.read(_HEADER_MOST, 0).partition(b"\n")[0]
    header = parse(line)
    if header is None:
        return None
    doc = doc_of(line, header)
    if header.table != HEADER or doc.get("format") != FORMAT:
        raise JournalError(f"{name} is no flowledger journal", hint="choose another directory with --journal DIR")
    if doc.get("version") != VERSION:
        raise JournalError(
            f"{name} has format version {doc.get('version')}, this flowledger knows {VERSION}",
            hint="use the flowledger that wrote it, or a newer one",
        )
    features = doc.get("features") or []
    if to_write and not FEATURES.issuperset(features):
        raise JournalError(
            f"{name} uses features that this flowledger does not know: {features}",
            hint="use the flowledger that wrote it, or a newer one; this one can read it",
        )
    return header_of(doc)


def header_of(doc: Mapping[str, Any]) -> Header:
    """A header as a value, from the document of the first record."""
    before = doc.get("previous")
    return Header(
        segment=doc["segment"],
        first=doc.get("first", 0),
        previous=None if before is None else Previous(**before),
        gaps=GAPS in (doc.get("features") or ()),
        changes=CHANGES in (doc.get("features") or ()),
    )
