"""Looking a journal over: whether all of it is as it was written. Nothing is changed, and no lock is needed."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import orjson

from flowledger.journal.checkpoint import Mark, believed, digest_of, mark_at, read_stored, seal_of
from flowledger.journal.filesystem import File, FileSystem, OsFileSystem
from flowledger.journal.index import Index, Located, StoredIndex
from flowledger.journal.layout import Layout
from flowledger.journal.reading import with_layout
from flowledger.journal.record import parse
from flowledger.journal.scan import (
    Damage,
    Header,
    Kind,
    Previous,
    empty_segment,
    extend,
    lines,
    read_header,
)
from flowledger.journal.segment import durable


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentReport:
    """What is in one segment."""

    file: str
    size: int  # bytes
    records: int  # good ones up to the first bad one, header included
    sealed: bool  # nothing is added to it any more
    digested: int  # bytes that a digest vouches for; the records after them were looked at one by one
    index: str  # "fits", or why the stored index is not used


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What is in a journal, and whether all of it is as it was written."""

    directory: str
    file: str  # the damaged segment, or else the last one
    size: int  # bytes of all segments
    records: int  # good ones up to the first bad one, the journal's own included
    events: int  # documents of all tables
    runs: tuple[str, ...]
    frontier: int  # bytes that the segments themselves say were durable
    closed: bool  # the last writer ended cleanly; False also while one is at work
    damage: Damage | None  # the first bad byte of `file`, and whether it is a torn end or corruption
    kept_aside: tuple[str, ...]  # torn ends that earlier recoveries cut off and kept
    segments: tuple[SegmentReport, ...]  # up to the damaged one

    @property
    def sound(self) -> bool:
        """No durable byte is damaged. A torn end is no damage: the next writer cuts it off and keeps it."""
        return self.damage is None or self.damage.kind is Kind.TORN


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """One segment, looked over."""

    report: SegmentReport
    index: Located
    header: Header | None
    seal: Mark | None
    frontier: int
    closed: bool
    damage: Damage | None


def verify(directory: str | PathLike[str], *, fs: FileSystem | None = None, deep: bool = False) -> VerifyReport:
    """Read every byte of a journal. Needs no lock.

    Bytes that a seal or a checkpoint vouches for are compared with its digest, all others record by record: checksum,
    chain, number, and each document as JSON. `deep`: every record, whatever digests say. Where a digest disagrees, the
    records are looked at too, to name the place.

    Raises NotThere if there is no journal, JournalCorrupt if a segment's file is missing, JournalError for a format
    that this version does not know.
    """
    fs, place = fs or OsFileSystem(), Path(directory)
    looked, kept_aside = with_layout(fs, place, lambda layout: _look_over(fs, place, layout, deep=deep))
    end = looked[-1]
    return VerifyReport(
        directory=str(place),
        file=end.report.file,
        size=sum(one.report.size for one in looked),
        records=sum(one.report.records for one in looked),
        events=sum(one.index.size(table) for one in looked for table in one.index.tables()),
        runs=tuple(
            dict.fromkeys(run for one in looked for table in one.index.tables() for run in one.index.runs(table))
        ),
        frontier=sum(one.frontier for one in looked),
        closed=end.closed and end.damage is None,
        damage=end.damage,
        kept_aside=kept_aside,
        segments=tuple(one.report for one in looked),
    )


def _look_over(fs: FileSystem, place: Path, layout: Layout, *, deep: bool) -> tuple[list[_Looked], tuple[str, ...]]:
    """Each segment up to the first that is damaged, and the torn ends that lie beside them."""
    looked: list[_Looked] = []
    for name in layout.segments:
        file = fs.open(place / name, "read")
        try:
            last = name == layout.segments[-1]
            looked.append(_look(fs, place, name, file, looked[-1] if looked else None, last=last, deep=deep))
        finally:
            file.close()
        damage = looked[-1].damage
        if damage is not None and damage.kind is Kind.CORRUPT:
            break
    names = sorted(fs.names(place))
    return looked, tuple(name for name in names if name.partition(".torn-")[0] in layout.segments and ".torn-" in name)


def _look(
    fs: FileSystem, place: Path, name: str, file: File, before: _Looked | None, *, last: bool, deep: bool
) -> _Looked:
    header = read_header(file, name, to_write=False)
    size = file.size()
    seal = seal_of(file, size)
    stored = read_stored(fs, place, name)
    vouched: Mark | None = seal
    if vouched is None and not isinstance(stored, str):
        vouched = mark_at(file, stored[1].bytes)
    why = believed(stored, vouched, "" if header is None else header.segment)
    trusted = vouched is not None and header is not None and not why and not deep
    digested = 0
    index: Index | StoredIndex = Index(gaps=header is not None and header.gaps)
    damage: Damage | None = None
    agrees = vouched is None or digest_of(file, vouched.bytes) == vouched.digest
    if trusted and agrees and vouched is not None and not isinstance(stored, str):
        digested = vouched.bytes
        index = stored[1]
    if not isinstance(index, StoredIndex) or seal is None:
        live = index.live(synced=0, last_table="", digest=0) if isinstance(index, StoredIndex) else index
        damage = (extend(live, file, size=size) if size else empty_segment()) or _unreadable(live, file, size, digested)
        index = live
        if damage is None and vouched is not None and not agrees:
            damage = _bad(
                vouched.bytes, vouched.records + 1, "its digest is not that of the bytes before it", live, size
            )
    if damage is not None and not last:
        damage = durable(damage)
    if damage is None and not last and seal is None:
        damage = _bad(size, index.count, "it has a successor, but does not end with a seal", index, size)
    if damage is None or damage.offset > 0:
        damage = _unlinked(header, before, size, index) or damage
    records = index.count + (1 if isinstance(index, StoredIndex) else 0)
    return _Looked(
        report=SegmentReport(
            file=name, size=size, records=records, sealed=seal is not None, digested=digested, index=why or "fits"
        ),
        index=index,
        header=header,
        seal=seal,
        frontier=size if not last or isinstance(index, StoredIndex) else _frontier(index, damage),
        closed=isinstance(index, Index) and index.closed,
        damage=damage,
    )


def _unlinked(header: Header | None, before: _Looked | None, size: int, index: Located) -> Damage | None:
    """A segment that does not follow the one before it."""
    if header is None:
        return None
    is_so = None
    if before is not None and before.header is not None and before.seal is not None:
        is_so = Previous(segment=before.header.segment, crc=before.seal.crc, size=before.report.size)
    if header.previous == is_so:
        return None
    return _bad(0, 1, f"it does not follow {before.report.file if before else 'nothing'}", index, size)


def _frontier(index: Located, damage: Damage | None) -> int:
    return max(index.synced if isinstance(index, Index) else 0, damage.frontier if damage else 0)


def _bad(offset: int, line: int, reason: str, index: Located, size: int) -> Damage:
    return Damage(
        kind=Kind.CORRUPT,
        offset=offset,
        line=line,
        reason=reason,
        frontier=size,
        size=size,
        later=max(0, index.count - line),
        runs=(),
    )


def _unreadable(index: Index, file: File, size: int, start: int) -> Damage | None:
    """A record from `start` on whose checksum holds but which is no JSON: written by something else than this."""
    before = index.bounds.index(start)
    for place, (offset, line, _) in enumerate(lines(file, start, index.end)):
        try:
            orjson.loads(line)
        except orjson.JSONDecodeError as error:
            record = parse(line)
            return Damage(
                kind=Kind.CORRUPT,
                offset=offset,
                line=before + place + 1,
                reason=f"the document is no JSON: {error}",
                frontier=index.synced,
                size=size,
                later=index.count - before - place - 1,
                runs=(record.run,) if record is not None and record.run is not None else (),
            )
    return None
