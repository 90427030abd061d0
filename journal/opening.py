"""Opening a journal for writing: lock first, then read, then cut off what a crash left and nobody was told of."""

from __future__ import annotations

import errno
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from flowledger.errors import DiskFull, JournalError, JournalHeld, NotThere
from flowledger.journal.committer import Committer
from flowledger.journal.filesystem import File, FileSystem
from flowledger.journal.record import FORMAT, HEADER, NO_RECORD, VERSION, body_of, encode_doc, seal
from flowledger.journal.scan import Damage, Index, Kind, check_header, empty_segment, extend
from flowledger.journal.writer import NO_ROOM, Writer

LOCK: Final = "lock"
SEGMENT: Final = "segment-000001.jsonl"
_TEMPORARY: Final = ".new"
_PART: Final = 1024 * 1024  # bytes that are written again at once
_POLL: Final = 0.05  # seconds between two tries for the lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What a crash had left at the end of the segment: never acknowledged, cut off, and kept beside it."""

    file: str
    offset: int  # where it was cut
    size: int  # bytes that were cut off
    kept_in: str  # the file that has them now
    reason: str
    runs: tuple[str, ...]  # named in these bytes, as far as they can be read

    def __str__(self) -> str:
        of = f" of {', '.join(self.runs)}" if self.runs else ""
        return (
            f"the end of {self.file} had been cut off by a crash: {self.size} bytes{of} that were never acknowledged "
            f"are now in {self.kept_in}"
        )


def open_writer(
    directory: Path,
    *,
    fs: FileSystem,
    committer: Committer,
    lock_timeout: float,
    wall: Callable[[], float],
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Writer, Recovery | None]:
    """Open or create the journal in `directory`, as its one writer.

    Waits at most `lock_timeout` seconds for the lock, and reads only once it has it (protocol rule 7).
    Raises JournalHeld, JournalCorrupt, DiskFull, and JournalError for a format or a file that cannot be used.
    """
    with os_errors(directory):
        fs.make_directory(directory)
        lock = _take_lock(fs, directory, timeout=lock_timeout, wall=wall, monotonic=monotonic, sleep=sleep)
        try:
            file = _open_segment(fs, directory, wall=wall)
            try:
                index, recovered = _read_and_mend(fs, directory, file)
                _make_durable(file, index)
                fs.sync_directory(directory)
            except BaseException:
                file.close()
                raise
        except BaseException:
            lock.close()
            raise
    writer = Writer(directory=str(directory), name=SEGMENT, file=file, lock=lock, index=index, committer=committer)
    return writer, recovered


def open_segment_to_read(fs: FileSystem, directory: Path) -> File:
    """The segment of a journal, for reading. Raises NotThere if the directory holds none."""
    with os_errors(directory):
        try:
            _check_single_segment(fs.names(directory), directory)
            return fs.open(directory / SEGMENT, "read")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotThere(
                f"there is no journal in {directory}",
                hint="flowledger apply SPEC begins one; --journal DIR or FLOWLEDGER_JOURNAL says where it is",
            ) from error


@contextmanager
def os_errors(directory: Path) -> Iterator[None]:
    """Say in our words what the operating system refused."""
    try:
        yield
    except OSError as error:
        where = error.filename or directory
        said = f"{error.strerror or error} ({where})"
        if error.errno in NO_ROOM:
            raise DiskFull(
                f"the journal {directory} cannot be written: {said}",
                hint="make room or give the right to write, or choose another place with --journal DIR",
            ) from error
        raise JournalError(
            f"the journal {directory} cannot be used: {said}", hint="choose another place with --journal DIR"
        ) from error


def _take_lock(
    fs: FileSystem,
    directory: Path,
    *,
    timeout: float,
    wall: Callable[[], float],
    monotonic: Callable[[], float],
    sleep: Callable[[float], None],
) -> File:
    path = directory / LOCK
    until = monotonic() + timeout
    while (lock := fs.lock(path)) is None:
        left = until - monotonic()
        if left <= 0:
            holder = _holder(fs, path)
            raise JournalHeld(
                f"the journal {directory} is being written by {holder}",
                holder=holder,
                hint="wait for it to end, or give --lock-timeout 30s to wait here",
            )
        sleep(min(_POLL, left))
    try:
        since = datetime.fromtimestamp(wall(), UTC).isoformat(timespec="seconds")
        card = orjson.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}) + b"\n"
        lock.truncate(0)
        lock.write(card, 0)
    except BaseException:
        lock.close()
        raise
    return lock


def _holder(fs: FileSystem, path: Path) -> str:
    """Who holds the lock, by what the holder wrote into it. It may be a moment behind, and is for people only."""
    file = fs.open(path, "read")
    try:
        card = orjson.loads(file.read(4096, 0))
        return f"process {card['pid']} on {card['host']} since {card['since']}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "another process, which has not yet said who it is"
    finally:
        file.close()


def _check_single_segment(names: list[str], directory: Path) -> None:
    others = sorted(
        name for name in names if name.startswith("segment-") and name.endswith(".jsonl") and name != SEGMENT
    )
    if others:
        raise JournalError(
            f"{directory} has segments that this flowledger does not know: {', '.join(others)}",
            hint="use the flowledger that wrote it, or a newer one",
        )


def _open_segment(fs: FileSystem, directory: Path, *, wall: Callable[[], float]) -> File:
    names = fs.names(directory)
    _check_single_segment(names, directory)
    if SEGMENT not in names:
        if SEGMENT + _TEMPORARY in names:
            fs.remove(directory / (SEGMENT + _TEMPORARY))  # a creation that a crash broke off: it holds no event
        _create_segment(fs, directory, wall=wall)
    return fs.open(directory / SEGMENT, "write")


def _create_segment(fs: FileSystem, directory: Path, *, wall: Callable[[], float]) -> None:
    """Make the segment under another name first, so that a segment always has a whole and durable header."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "segment": uuid.uuid4().hex,
        "previous": None,
        "created": datetime.fromtimestamp(wall(), UTC).isoformat(timespec="milliseconds"),
        "writer": {"pid": os.getpid(), "host": socket.gethostname(), "boot_id": _boot_id()},
        "features": [],
    }
    line, _ = seal(body_of(HEADER, None, encode_doc(header)), prev=NO_RECORD, seq=0, synced=0)
    temporary = directory / (SEGMENT + _TEMPORARY)
    file = fs.open(temporary, "create")
    try:
        write_all(file, line)
        file.sync()
    finally:
        file.close()
    fs.rename(temporary, directory / SEGMENT)
    fs.sync_directory(directory)


def write_all(file: File, data: bytes, offset: int = 0) -> None:
    """Write all of `data` at `offset`, however little each call takes. Raises OSError."""
    done = 0
    while done < len(data):
        taken = file.write(memoryview(data)[done:], offset + done)
        if taken <= 0:
            raise OSError(errno.EIO, "the write took nothing")
        done += taken


def _boot_id() -> str:
    source = Path("/proc/sys/kernel/random/boot_id")
    return source.read_text().strip() if source.exists() else ""


def _read_and_mend(fs: FileSystem, directory: Path, file: File) -> tuple[Index, Recovery | None]:
    check_header(file, SEGMENT, to_write=True)
    index = Index()
    size = file.size()
    damage = extend(index, file, size=size) if size else empty_segment()
    if damage is None:
        return index, None
    if damage.kind is Kind.CORRUPT:
        raise damage.error(SEGMENT, str(directory))
    kept_in = _keep_torn(fs, directory, file, damage)
    file.truncate(damage.offset)
    file.sync()
    return index, Recovery(
        file=SEGMENT,
        offset=damage.offset,
        size=size - damage.offset,
        kept_in=kept_in,
        reason=damage.reason,
        runs=damage.runs,
    )


def _make_durable(file: File, index: Index) -> None:
    """Sync what an earlier process wrote and may never have synced, because it is acted upon from here on.

    It is written once more first: after a sync that failed, Linux takes the pages for clean and shows them to readers,
    though the medium never got them, and a second sync would succeed without writing anything.
    """
    at = index.synced
    while at < index.end:
        part = file.read(min(_PART, index.end - at), at)
        write_all(file, part, at)
        at += len(part)
    file.sync()


def _keep_torn(fs: FileSystem, directory: Path, file: File, damage: Damage) -> str:
    """Copy the torn bytes into a file of their own, durably, and return its name. They are cut off only after that."""
    torn = file.read(damage.size - damage.offset, damage.offset)
    names = set(fs.names(directory))
    name, copy = f"{SEGMENT}.torn-{damage.offset}", 1
    while name in names:  # from an earlier crash at this place, or from an earlier try at this very recovery
        copy += 1
        name = f"{SEGMENT}.torn-{damage.offset}.{copy}"
    kept = fs.open(directory / name, "create")
    try:
        write_all(kept, torn)
        kept.sync()
    finally:
        kept.close()
    fs.sync_directory(directory)
    return name
