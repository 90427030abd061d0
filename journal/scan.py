"""Reading a segment from its bytes: which records are good, where the first bad byte is, and what it means."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from flowledger.errors import JournalCorrupt, JournalError
from flowledger.journal.filesystem import File
from flowledger.journal.record import CLOSE, FORMAT, HEADER, NO_RECORD, START, VERSION, Record, doc_of, parse, run_named

_CHUNK: Final = 1024 * 1024
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


@dataclass(slots=True, kw_only=True)
class Index:
    """Where the good records of a segment are. Record number `seq` lies in `bounds[seq]:bounds[seq + 1]`.

    8 bytes a record and table, 8 a record and run: documents stay on disk.
    """

    bounds: array[int] = field(default_factory=lambda: array("q", [0]))
    tables: dict[str, array[int]] = field(default_factory=dict)
    runs: dict[tuple[str, str], array[int]] = field(default_factory=dict)  # by table and run
    prev: str = NO_RECORD
    synced: int = 0  # the largest frontier that a record claims
    last_table: str = ""

    @property
    def end(self) -> int:
        """Bytes up to the end of the last good record."""
        return self.bounds[-1]

    @property
    def count(self) -> int:
        """Good records, the header included; the `seq` of the next."""
        return len(self.bounds) - 1

    def add(self, seq: int, end: int, crc: str, table: str, run: str | None) -> None:
        """Take in the next record, which ends at byte `end`. Its place is published last, so that a reader in
        another thread never finds a number whose bytes it cannot find."""
        self.bounds.append(end)
        self.prev = crc
        self.last_table = table
        if not table.startswith("_"):
            self.tables.setdefault(table, array("q")).append(seq)
            if run is not None:
                self.runs.setdefault((table, run), array("q")).append(seq)

    def take(self, record: Record, size: int) -> str:
        """Take in a parsed record of `size` bytes if it is the next; else say why not."""
        if record.seq != self.count:
            return f"record {record.seq} stands where record {self.count} should"
        if record.prev != self.prev:
            return f"record {record.seq} follows a record with checksum {record.prev}, but {self.prev} is before it"
        if (record.table == HEADER) is (record.seq != 0):
            return "a header stands in the middle" if record.seq else "the first record is not a header"
        self.add(record.seq, self.end + size, record.crc, record.table, record.run)
        self.synced = max(self.synced, record.synced)
        return ""

    @property
    def closed(self) -> bool:
        """The writer ended cleanly."""
        return self.last_table == CLOSE


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
    line_number = index.count
    for offset, line, whole in lines(file, index.end, size):
        line_number += 1
        record = parse(line) if whole else None
        if record is None:
            reason = "the record is damaged" if whole else "the last record is cut off"
        else:
            reason = index.take(record, len(line) + 1)
        if reason:
            return _judge(index, file, offset=offset, line=line_number, reason=reason, size=size)
    return None


def stragglers(file: File, start: int, size: int) -> Iterator[tuple[int, bytes, Record]]:
    """Offset, line and record of everything in `start:size` that verifies alone.

    A record is looked for at every place where one could begin, not only after an LF: the LF may be what was lost.
    """
    for offset, line, whole in lines(file, start, size):
        at = line.find(START) if whole else -1
        while at >= 0:
            record = parse(line[at:])
            if record is not None:
                yield offset + at, line[at:], record
                break
            at = line.find(START, at + 1)


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


def check_header(file: File, name: str, *, to_write: bool) -> None:
    """Refuse a segment of a format that this version does not know. Raises JournalError.

    A header is sealed in the same way in every version. One whose checksum does not hold is left to the scan.
    """
    line = file.read(_HEADER_MOST, 0).partition(b"\n")[0]
    header = parse(line)
    if header is None:
        return
    doc = doc_of(line, header)
    if header.table != HEADER or doc.get("format") != FORMAT:
        raise JournalError(f"{name} is no flowledger journal", hint="choose another directory with --journal DIR")
    if doc.get("version") != VERSION:
        raise JournalError(
            f"{name} has format version {doc.get('version')}, this flowledger knows {VERSION}",
            hint="use the flowledger that wrote it, or a newer one",
        )
    if to_write and doc.get("features"):
        raise JournalError(
            f"{name} uses features that this flowledger does not know: {doc['features']}",
            hint="use the flowledger that wrote it, or a newer one; this one can read it",
        )
