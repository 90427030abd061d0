"""Saving what is good of a damaged journal into a new one; the old one is never touched."""

from __future__ import annotations

import time
from codecs import BOM_UTF8
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final

from flowledger.errors import DiskFull, JournalCorrupt, JournalDenied, UsageError
from flowledger.journal.committer import InlineCommitter
from flowledger.journal.filesystem import File, FileSystem, OsFileSystem
from flowledger.journal.layout import layout_of, segment_name
from flowledger.journal.opening import open_writer
from flowledger.journal.reading import layout_to_read
from flowledger.journal.record import CHECKPOINT, CLOSE, HEADER, REPAIR, SEAL, Record, body_of, encode_doc
from flowledger.journal.scan import read_header, stragglers
from flowledger.journal.tail import Item
from flowledger.journal.writer import MOST_BYTES, MOST_RECORDS, Writer
from flowledger.journal.writing import os_errors

_OWN: Final = frozenset({HEADER, CLOSE, CHECKPOINT, SEAL})  # the new journal has its own
_BLANK_MOST: Final = 4096  # bytes between two records that are looked at for nothing but blanks
_NAMED_MOST: Final = 1000  # dropped places that the `_repair` record lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Bytes of a damaged segment that are not in the new journal."""

    file: str
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


def repair(directory: str | PathLike[str], to: str | PathLike[str], *, fs: FileSystem | None = None) -> RepairReport:
    """Write every record that verifies into a new journal in `to`, with a `_repair` record that names what did not.

    Every segment that is there is gone through. `to` must not exist or be empty. Records keep their order by number;
    one that stands there twice is kept once.
    Line ends and blanks that a transfer as text has changed are put right.
    Raises NotThere, UsageError (something is in `to`), JournalCorrupt (no event can be read: nothing is written),
    DiskFull, JournalError.
    """
    fs, place, target = fs or OsFileSystem(), Path(directory), Path(to)
    with os_errors(place, reading=True):
        try:
            names = fs.names(place)
        except (FileNotFoundError, NotADirectoryError):
            names = []
        layout = layout_of(names, place, lenient=True)
        if not layout.segments:
            layout_to_read(fs, place)  # which says that there is no journal
    with os_errors(target):
        if target.resolve() == place.resolve() or (target.is_dir() and fs.names(target)):
            raise UsageError(f"{target} is not empty", hint="a repair writes into a new directory, never in place")
    kept = missing = 0
    dropped: list[Dropped] = []
    with os_errors(place, reading=True):
        for name in layout.segments:
            file = fs.open(place / name, "read")
            try:
                read_header(file, name, to_write=False)
            finally:
                file.close()
        if _nothing_good(fs, place, layout.segments):
            raise JournalCorrupt(
                f"no event in {place} can be read, so nothing was written to {target}",
                file=layout.segments[0],
                offset=0,
                line=1,
                reason="no record verifies",
                hint="put the folder back from a copy of it; a new journal in its place knows nothing of the runs, and "
                "makes everything a second time",
            )
    writer, _ = open_writer(target, fs=fs, committer=InlineCommitter(), lock_timeout=0.0, wall=time.time)
    try:
        for number in range(1, layout.last_number + 1):
            name = segment_name(number, layout.generation)
            if name not in layout.segments:
                dropped.append(Dropped(file=name, offset=0, size=0, reason="the segment is missing"))
                continue
            with os_errors(place, reading=True):
                file = fs.open(place / name, "read")
                try:
                    found, bad = _good(file, name)
                    _copy(file, found, writer)
                    header = read_header(file, name, to_write=False)
                finally:
                    file.close()
            dropped += bad
            kept += sum(record.table not in _OWN for _, _, record in found)
            if header is None or not header.gaps:
                missing += _missing(found)
        account = _account(place, kept, dropped, missing)
        writer.insert([(REPAIR, None, body_of(REPAIR, None, encode_doc(account)))])
    except JournalDenied as error:
        raise JournalDenied(error.message, hint="give another folder with --to") from error
    except DiskFull as error:
        raise DiskFull(error.message, hint=f"make room, remove {target}, and repair again") from error
    finally:
        writer.close()
    return RepairReport(directory=str(place), to=str(target), kept=kept, dropped=tuple(dropped), missing=missing)


Found = list[tuple[int, int, Record]]  # offset, bytes with LF, record


def _good(file: File, name: str) -> tuple[Found, list[Dropped]]:
    """Everything that verifies alone, by number, and the gaps between."""
    found: Found = []
    dropped: list[Dropped] = []
    seen: set[tuple[int, str]] = set()
    at, size = 0, file.size()
    for offset, line, record in stragglers(file, 0, size):
        if offset > at and not _is_of_a_transfer(file, at, offset):
            dropped.append(Dropped(file=name, offset=at, size=offset - at, reason="does not verify"))
        at = offset + len(line) + 1
        if (record.seq, record.crc) in seen:
            reason = f"record {record.seq} once more"
            dropped.append(Dropped(file=name, offset=offset, size=at - offset, reason=reason))
            continue
        seen.add((record.seq, record.crc))
        found.append((offset, at - offset, record))
    if size > at and not _is_of_a_transfer(file, at, size):
        dropped.append(Dropped(file=name, offset=at, size=size - at, reason="does not verify"))
    found.sort(key=lambda place: place[2].seq)
    return found, dropped


def _is_of_a_transfer(file: File, start: int, end: int) -> bool:
    """True if there is nothing but what a transfer as text puts between lines: blanks, line ends, a byte order mark."""
    return end - start <= _BLANK_MOST and not file.read(end - start, start).removeprefix(BOM_UTF8).strip(b" \t\r\n")


def _nothing_good(fs: FileSystem, place: Path, segments: Sequence[str]) -> bool:
    """True if the segments hold bytes that do not verify, and not one event that does."""
    damaged = False
    for name in segments:
        file = fs.open(place / name, "read")
        try:
            if any(record.table not in _OWN for _, _, record in stragglers(file, 0, file.size())):
                return False
            damaged = damaged or bool(_good(file, name)[1])
        finally:
            file.close()
    return damaged


def _copy(file: File, found: Found, writer: Writer) -> None:
    batch: list[Item] = []
    size = 0
    for offset, length, record in found:
        if record.table in _OWN:
            continue
        body = file.read(length, offset)[record.body_at : -1]
        batch.append((record.table, record.run, body))
        size += len(body)
        if len(batch) >= MOST_RECORDS or size >= MOST_BYTES:
            writer.insert(batch)
            batch, size = [], 0
    if batch:
        writer.insert(batch)


def _missing(found: Found) -> int:
    numbers = {record.seq for _, _, record in found}
    return max(numbers) + 1 - len(numbers) if numbers else 0


def _account(directory: Path, kept: int, dropped: list[Dropped], missing: int) -> dict[str, object]:
    return {
        "source": str(directory),
        "kept": kept,
        "missing": missing,
        "dropped": [
            {"file": place.file, "offset": place.offset, "size": place.size, "reason": place.reason}
            for place in dropped[:_NAMED_MOST]
        ],
        "dropped_places": len(dropped),
    }
