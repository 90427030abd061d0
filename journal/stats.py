"""Counting what is in a journal: segments, bytes, kinds of events, and which runs take the room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Final

import orjson

from flowledger.journal.filesystem import FileSystem, OsFileSystem
from flowledger.journal.reading import Follower
from flowledger.journal.record import EVENTS, head_of
from flowledger.journal.scan import lines
from flowledger.journal.segment import SealedSegment, Segment
from flowledger.journal.writing import os_errors

_LARGEST: Final = 10  # runs that are named with their bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentStats:
    """One segment file."""

    file: str
    size: int  # bytes
    records: int  # the journal's own included
    sealed: bool
    index: str  # "stored" if runs are found by it, "in memory", or why a stored one was not used


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStats:
    """How much of the journal one run takes."""

    run: str
    events: int
    size: int  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalStats:
    """What is in a journal. Damage is not looked for: that is what `verify` does."""

    directory: str
    size: int  # bytes of all segments
    segments: tuple[SegmentStats, ...]
    events: int
    kinds: dict[str, int]  # events by kind, most frequent first
    tables: dict[str, int]  # documents by table
    runs: int
    oldest: float | None  # wall seconds of the first event that says when it was
    newest: float | None
    largest: tuple[RunStats, ...]  # those with the most bytes, largest first
    pruned_runs: int  # that prunes have left out
    pruned_events: int


@dataclass(slots=True)
class _Counted:
    kinds: Counter[str] = field(default_factory=Counter)
    tables: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)  # by run
    sizes: Counter[str] = field(default_factory=Counter)  # by run
    oldest: float | None = None
    newest: float | None = None


def stats(directory: str | PathLike[str], *, fs: FileSystem | None = None) -> JournalStats:
    """Count what is in the journal in `directory`. Needs no lock.

    Raises NotThere if there is no journal, JournalCorrupt if it cannot be opened for damage.
    """
    fs, place = fs or OsFileSystem(), Path(directory)
    log = Follower(place, fs)
    try:
        counted = _Counted()
        with os_errors(place, reading=True):
            view = log.view
            segments = tuple(_segment(segment, counted) for segment in view.segments)
            pruned = [run for record in view.pruned() for run in record["runs"]]
    finally:
        log.close()
    return JournalStats(
        directory=str(place),
        size=sum(segment.size for segment in segments),
        segments=segments,
        events=counted.tables[EVENTS],
        kinds=dict(counted.kinds.most_common()),
        tables=dict(counted.tables.most_common()),
        runs=len(counted.events),
        oldest=counted.oldest,
        newest=counted.newest,
        largest=tuple(
            RunStats(run=run, events=counted.events[run], size=size)
            for run, size in counted.sizes.most_common(_LARGEST)
        ),
        pruned_runs=len(pruned),
        pruned_events=sum(run["events"] for run in pruned),
    )


def _segment(segment: Segment, counted: _Counted) -> SegmentStats:
    size, records = segment.file.size(), 0
    for line in _whole(segment, size):
        records += 1
        head = head_of(line)
        if head is None or head.table.startswith("_"):
            continue
        counted.tables[head.table] += 1
        if head.table != EVENTS:
            continue
        if head.run is not None:
            counted.events[head.run] += 1
            counted.sizes[head.run] += len(line) + 1
        try:
            doc = orjson.loads(memoryview(line)[head.doc_at : -1])
        except orjson.JSONDecodeError:
            continue  # damage is for `verify` to name
        counted.kinds[str(doc.get("kind", ""))] += 1
        at = doc.get("at")
        if isinstance(at, int | float):
            counted.oldest = at if counted.oldest is None else min(counted.oldest, at)
            counted.newest = at if counted.newest is None else max(counted.newest, at)
    index = "in memory"
    if isinstance(segment, SealedSegment):
        segment.index.tables()  # have it read
        index = segment.index_fault or "stored"
    return SegmentStats(
        file=segment.name, size=size, records=records, sealed=isinstance(segment, SealedSegment), index=index
    )


def _whole(segment: Segment, size: int) -> Iterator[bytes]:
    return (line for _, line, whole in lines(segment.file, 0, size) if whole)
