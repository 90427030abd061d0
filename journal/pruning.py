"""Leaving finished runs out of a journal: segments are written anew, and one rename puts them in place."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from flowledger.errors import NotThere, UsageError
from flowledger.journal.checkpoint import mark
from flowledger.journal.committer import InlineCommitter
from flowledger.journal.filesystem import File, FileSystem, OsFileSystem
from flowledger.journal.index import Index
from flowledger.journal.layout import (
    TEMPORARY,
    create_segment,
    header_line,
    index_name,
    layout_of,
    replace_file,
    segment_name,
)
from flowledger.journal.opening import open_writer
from flowledger.journal.reading import layout_to_read
from flowledger.journal.record import (
    CHECKPOINT,
    CLOSE,
    EVENTS,
    HEADER,
    PRUNED,
    SEAL,
    Record,
    body_of,
    encode_doc,
    parse,
    seal,
)
from flowledger.journal.scan import lines
from flowledger.journal.segment import Segment
from flowledger.journal.tail import SEGMENT_SIZE
from flowledger.journal.writing import os_errors, write_all

_OWN: Final = frozenset({HEADER, CLOSE, CHECKPOINT, SEAL})  # each segment has its own
_PART: Final = 1024 * 1024  # bytes that are written at once
_NAMED: Final = 1000  # runs in one `_pruned` record

Note = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneReport:
    """What a prune left out. Events keep their numbers."""

    directory: str
    runs: tuple[str, ...]
    events: int  # documents that are gone
    size_before: int  # bytes of all segments
    size_after: int


class _New:
    """A segment of the new generation, while it is written. It is sealed when all of it is there."""

    def __init__(
        self, fs: FileSystem, path: Path, *, first: int, previous: tuple[str, str, int] | None, at: float, changes: bool
    ):
        self.first = first
        self.path = path
        self.index = Index(gaps=True)
        self._file: File = fs.open(path, "create")
        line, crc, self._header = header_line(created=at, first=first, previous=previous, gaps=True, changes=changes)
        self._parts: list[bytes] = []
        self._pending = 0
        self._written = 0
        self._add(line, crc, HEADER, None, 0)

    def take(self, body: bytes, record: Record, number: int) -> None:
        """Copy a record, which keeps its number."""
        seq = number - self.first
        line, crc = seal(body, prev=self.index.prev, seq=seq, synced=0)
        self._add(line, crc, record.table, record.run, seq)

    def finish(self, last: int) -> tuple[tuple[str, str, int], bytes | None]:
        """Seal and sync, the seal being record number `last`; what the next one says of it, and its stored index."""
        segment = self._header.segment
        self._flush()
        body, stored = mark(self.index, SEAL, segment)
        seq = last - self.first
        line, crc = seal(body, prev=self.index.prev, seq=seq, synced=self.index.end)
        self._add(line, crc, SEAL, None, seq)
        self._flush()
        self._file.sync()
        return (segment, crc, self.index.end), stored

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _add(self, line: bytes, crc: str, table: str, run: str | None, seq: int) -> None:
        self.index.add(self.index.end + len(line), crc, table, run, seq)
        self._parts.append(line)
        self._pending += len(line)
        if self._pending >= _PART:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._parts)
        write_all(self._file, data, self._written)
        self.index.digest = crc32(data, self.index.digest)
        self._written += len(data)
        self._parts, self._pending = [], 0


def prune(
    directory: str | PathLike[str],
    runs: Mapping[str, Note],
    *,
    last: Mapping[str, int] | None = None,
    fs: FileSystem | None = None,
    lock_timeout: float = 0.0,
    wall: Callable[[], float] = time.time,
    segment_size: int = SEGMENT_SIZE,
) -> PruneReport:
    """Write the journal anew without the events of `runs`, and keep of each its name, the note given with it, and how
    many events there were, in a `_pruned` record.

    The caller decides which runs are finished, and gives the number of the `last` event of each that it saw then: a run
    that has gone on since is refused, and with it the whole prune. At any kill or power cut either the old segments or
    the new ones are the journal. Takes the lock.

    Raises NotThere (no journal, or no such run), UsageError (a run has gone on), JournalHeld, JournalCorrupt, DiskFull:
    nothing has been dropped then.
    """
    fs, place = fs or OsFileSystem(), Path(directory)
    with os_errors(place, reading=True):
        layout_to_read(fs, place)  # opening it to write would make one that is not there
    writer, _ = open_writer(
        place, fs=fs, committer=InlineCommitter(), lock_timeout=lock_timeout, wall=wall, segment_size=segment_size
    )
    try:
        known = writer.view.runs(EVENTS)
        if unknown := [run for run in runs if run not in known]:
            raise NotThere(f"the journal in {place} has no run {unknown[0]!r}", hint="flowledger runs")
        for run, number in (last or {}).items():
            now = max(number for segment in writer.view.segments for number in segment.numbers_of(EVENTS, run))
            if now != number:
                raise UsageError(f"run {run} has gone on since it was looked at", hint="flowledger journal prune again")
        with os_errors(place):
            writer.tail.seal()
            return _Pruning(fs, place, runs, wall, segment_size).replace(writer.view.segments)
    finally:
        writer.abandon()


class _Pruning:
    """One prune, under the lock, of a journal whose last segment is sealed."""

    def __init__(
        self, fs: FileSystem, place: Path, runs: Mapping[str, Note], wall: Callable[[], float], segment_size: int
    ) -> None:
        self._fs = fs
        self._place = place
        self._runs = runs
        self._wall = wall
        self._segment_size = segment_size
        self._dropped: dict[str, list[int]] = {run: [] for run in runs}
        self._made: list[str] = []  # names of files of the new generation
        self._previous: tuple[str, str, int] | None = None
        self._size_after = 0
        self._changes = False  # whether a segment names that feature: then all of the new ones do

    def replace(self, old: tuple[Segment, ...]) -> PruneReport:
        layout = layout_of(self._fs.names(self._place), self._place)
        self._generation = layout.generation + 1
        self._changes = any(segment.header.changes for segment in old)
        try:
            last = self._write_all(old)
            self._begin_active(last + 1)  # which syncs the directory, and with it all names so far
        except BaseException:
            for name in self._made:
                with suppress(OSError):  # the next writer removes what is left of them
                    self._fs.remove(self._place / name)
            raise
        first = self._place / segment_name(1, self._generation)
        # From here on the new ones are the journal, and not a moment before.
        self._fs.rename(first.with_name(first.name + TEMPORARY), first)
        self._fs.sync_directory(self._place)
        size_before = sum(segment.file.size() for segment in old)
        for name in (*layout.segments, *sorted(layout.indexes)):
            with suppress(OSError):  # the next writer removes it
                self._fs.remove(self._place / name)
        return PruneReport(
            directory=str(self._place),
            runs=tuple(self._runs),
            events=sum(map(len, self._dropped.values())),
            size_before=size_before,
            size_after=self._size_after,
        )

    def _write_all(self, old: tuple[Segment, ...]) -> int:
        """Copy what is kept; the number of the last record."""
        out: _New | None = None
        last = 0
        try:
            for segment in old:
                # Only between two of the old segments are there numbers that no document has.
                if out is not None and out.index.end + self._size_kept(segment) > self._segment_size:
                    self._finish(out, last)
                    out = None
                if out is None:
                    out = self._next(segment.first)
                last = self._copy(segment, out)
            assert out is not None
            self._finish(out, last)
        except BaseException:
            if out is not None:
                out.close()
            raise
        return last

    def _size_kept(self, segment: Segment) -> int:
        """Bytes of a segment without the runs that go."""
        index = segment.index
        gone = 0
        for run in self._runs:
            for table in index.tables():
                for position in index.positions(table, run):
                    _, start, end = index.bounds_of(position)
                    gone += end - start
        return segment.file.size() - gone

    def _next(self, first: int) -> _New:
        number = self._segments_made() + 1
        name = segment_name(number, self._generation) + (TEMPORARY if number == 1 else "")
        self._made.append(name)
        return _New(
            self._fs, self._place / name, first=first, previous=self._previous, at=self._wall(), changes=self._changes
        )

    def _finish(self, out: _New, last: int) -> None:
        self._previous, stored = out.finish(last)
        out.close()
        self._size_after += self._previous[2]
        if stored is not None:
            name = index_name(out.path.name.removesuffix(TEMPORARY))
            self._made.append(name)
            with suppress(OSError):  # the journal is whole without it
                replace_file(self._fs, self._place / name, stored)

    def _copy(self, segment: Segment, out: _New) -> int:
        """Copy what is kept of one segment, looking at each record; the number of its last. Raises JournalCorrupt."""
        checked = Index(gaps=segment.header.gaps)
        for offset, line, whole in lines(segment.file, 0, segment.file.size()):
            record = parse(line) if whole else None
            reason = "the record is damaged" if record is None else checked.take(record, len(line) + 1)
            if record is None or reason:
                raise segment.damaged(offset, checked.count + 1, reason)
            number = segment.first + record.seq
            if record.run is not None and record.run in self._dropped:
                self._dropped[record.run].append(number)
            elif record.table not in _OWN:
                out.take(line[record.body_at :], record, number)
        return segment.first + checked.next_seq - 1

    def _begin_active(self, first: int) -> None:
        """The segment that the next writer goes on in, with what is said of the runs that are gone."""
        at = self._wall()
        line, crc, _ = header_line(created=at, first=first, previous=self._previous, changes=self._changes)
        parts = [line]
        gone = [
            {"run": run, **self._runs[run], "events": len(numbers), "first": min(numbers), "last": max(numbers)}
            for run, numbers in self._dropped.items()
        ]
        when = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
        for seq, start in enumerate(range(0, len(gone), _NAMED), start=1):
            doc = encode_doc({"pruned_at": when, "runs": gone[start : start + _NAMED]})
            line, crc = seal(body_of(PRUNED, None, doc), prev=crc, seq=seq, synced=0)
            parts.append(line)
        number = self._segments_made() + 1
        name = segment_name(number, self._generation)
        self._made += [name, name + TEMPORARY]
        create_segment(self._fs, self._place / name, b"".join(parts))
        self._size_after += sum(map(len, parts))

    def _segments_made(self) -> int:
        return sum(name.removesuffix(TEMPORARY).endswith(".jsonl") for name in self._made)
