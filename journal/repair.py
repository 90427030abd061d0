"""Looking a journal over, and saving what is good of a damaged one into a new one; the old one is never touched."""

from __future__ import annotations

import time
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final

import orjson

from flowledger.errors import UsageError
from flowledger.journal.committer import InlineCommitter
from flowledger.journal.filesystem import File, FileSystem, OsFileSystem
from flowledger.journal.opening import SEGMENT, open_segment_to_read, open_writer, os_errors
from flowledger.journal.record import CLOSE, HEADER, REPAIR, Record, body_of, doc_of, encode_doc
from flowledger.journal.scan import Damage, Index, Kind, check_header, empty_segment, extend, stragglers
from flowledger.journal.writer import MOST_BYTES, MOST_RECORDS, Item

_NAMED_MOST: Final = 1000  # dropped places that the `_repair` record lists


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What is in a journal, and whether all of it is as it was written."""

    directory: str
    file: str
    size: int  # bytes of the segment
    records: int  # good ones up to the first bad one, header included
    events: int
    runs: tuple[str, ...]
    frontier: int  # bytes that the segment itself says were durable
    closed: bool  # the last writer ended cleanly; False also while one is at work
    damage: Damage | None  # the first bad byte, and whether it is a torn end or corruption
    kept_aside: tuple[str, ...]  # torn ends that earlier recoveries cut off and kept

    @property
    def sound(self) -> bool:
        """No durable byte is damaged. A torn end is no damage: the next writer cuts it off and keeps it."""
        return self.damage is None or self.damage.kind is Kind.TORN


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Bytes of the damaged segment that are not in the new one."""

    offset: int
    size: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """What a repair kept and what it had to leave behind. Event numbers are given anew."""

    directory: str
    to: str
    kept: int  # records
    dropped: tuple[Dropped, ...]
    missing: int  # record numbers below the largest that were found nowhere


def verify(directory: str | PathLike[str], *, fs: FileSystem | None = None) -> VerifyReport:
    """Read every byte of a journal: checksums, chain, numbering, and each document as JSON. Needs no lock.

    Raises NotThere if there is no journal, JournalError for a format that this version does not know.
    """
    fs, place = fs or OsFileSystem(), Path(directory)
    file = open_segment_to_read(fs, place)
    try:
        with os_errors(place):
            check_header(file, SEGMENT, to_write=False)
            size, index = file.size(), Index()
            damage = (extend(index, file, size=size) if size else empty_segment()) or _unreadable(index, file, size)
            names = fs.names(place)
    finally:
        file.close()
    return VerifyReport(
        directory=str(place),
        file=SEGMENT,
        size=size,
        records=index.count,
        events=sum(map(len, index.tables.values())),
        runs=tuple(dict.fromkeys(run for _, run in index.runs)),
        frontier=max(index.synced, damage.frontier if damage else 0),
        closed=index.closed and damage is None,
        damage=damage,
        kept_aside=tuple(sorted(name for name in names if name.startswith(f"{SEGMENT}.torn-"))),
    )


def repair(directory: str | PathLike[str], to: str | PathLike[str], *, fs: FileSystem | None = None) -> RepairReport:
    """Write every record that verifies into a new journal in `to`, with a `_repair` record that names what did not.

    `to` must not exist or be empty. Records keep their order by number; one that stands there twice is kept once.
    Raises NotThere, UsageError (something is in `to`), DiskFull, JournalError.
    """
    fs, place, target = fs or OsFileSystem(), Path(directory), Path(to)
    file = open_segment_to_read(fs, place)
    try:
        with os_errors(target):
            if target.resolve() == place.resolve() or (target.is_dir() and fs.names(target)):
                raise UsageError(f"{target} is not empty", hint="a repair writes into a new directory, never in place")
        with os_errors(place):
            check_header(file, SEGMENT, to_write=False)
            found, dropped = _good(file)
        writer, _ = open_writer(target, fs=fs, committer=InlineCommitter(), lock_timeout=0.0, wall=time.time)
        try:
            batch: list[Item] = []
            size = 0
            for offset, length, record in found:
                body = file.read(length, offset)[record.body_at : -1]
                batch.append((record.table, record.run, body))
                size += len(body)
                if len(batch) >= MOST_RECORDS or size >= MOST_BYTES:
                    writer.insert(batch)
                    batch, size = [], 0
            missing = _missing(found)
            batch.append((REPAIR, None, body_of(REPAIR, None, encode_doc(_account(place, found, dropped, missing)))))
            writer.insert(batch)
        finally:
            writer.close()
    finally:
        file.close()
    return RepairReport(directory=str(place), to=str(target), kept=len(found), dropped=tuple(dropped), missing=missing)


Found = list[tuple[int, int, Record]]  # offset, bytes with LF, record


def _good(file: File) -> tuple[Found, list[Dropped]]:
    """Everything that verifies alone, by number, and the gaps between."""
    found: Found = []
    dropped: list[Dropped] = []
    seen: set[tuple[int, str]] = set()
    at, size = 0, file.size()
    for offset, line, record in stragglers(file, 0, size):
        if offset > at:
            dropped.append(Dropped(offset=at, size=offset - at, reason="does not verify"))
        at = offset + len(line) + 1
        if (record.seq, record.crc) in seen:
            dropped.append(Dropped(offset=offset, size=at - offset, reason=f"record {record.seq} once more"))
            continue
        seen.add((record.seq, record.crc))
        if record.table not in (HEADER, CLOSE):  # the new journal has its own
            found.append((offset, at - offset, record))
    if size > at:
        dropped.append(Dropped(offset=at, size=size - at, reason="does not verify"))
    found.sort(key=lambda place: place[2].seq)
    return found, dropped


def _missing(found: Found) -> int:
    numbers = {record.seq for _, _, record in found}
    return max(numbers) - len(numbers) if numbers else 0


def _account(directory: Path, found: Found, dropped: list[Dropped], missing: int) -> dict[str, object]:
    return {
        "source": str(directory),
        "kept": len(found),
        "missing": missing,
        "dropped": [
            {"offset": place.offset, "size": place.size, "reason": place.reason} for place in dropped[:_NAMED_MOST]
        ],
        "dropped_places": len(dropped),
    }


def _unreadable(index: Index, file: File, size: int) -> Damage | None:
    """A record whose checksum holds but whose document is no JSON: written wrong, by something else than this."""
    for number, (offset, line, record) in enumerate(stragglers(file, 0, index.end)):
        try:
            doc_of(line, record)
        except orjson.JSONDecodeError as error:
            return Damage(
                kind=Kind.CORRUPT,
                offset=offset,
                line=number + 1,
                reason=f"the document is no JSON: {error}",
                frontier=index.synced,
                size=size,
                later=index.count - number - 1,
                runs=(record.run,) if record.run is not None else (),
            )
    return None
