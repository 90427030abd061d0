"""Opening a journal for writing: lock first, then read, then cut off what a crash left and nobody was told of."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from flowledger.errors import JournalHeld
from flowledger.journal.chain import Chain, open_chain
from flowledger.journal.committer import Committer
from flowledger.journal.filesystem import File, FileSystem
from flowledger.journal.index import Index
from flowledger.journal.layout import Layout, create_segment, header_line, layout_of, segment_name
from flowledger.journal.scan import Damage, Kind
from flowledger.journal.tail import SEGMENT_SIZE, Tail
from flowledger.journal.writer import Writer
from flowledger.journal.writing import os_errors, write_all

LOCK: Final = "lock"
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
    segment_size: int = SEGMENT_SIZE,
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
            tail, recovered = _open_tail(fs, directory, segment_size=segment_size, wall=wall)
        except BaseException:
            lock.close()
            raise
    return Writer(directory=str(directory), tail=tail, lock=lock, committer=committer), recovered


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


def _open_tail(
    fs: FileSystem, directory: Path, *, segment_size: int, wall: Callable[[], float]
) -> tuple[Tail, Recovery | None]:
    names = fs.names(directory)
    layout = layout_of(names, directory)
    if not layout.segments:
        name = segment_name(1)
        create_segment(fs, directory / name, header_line(created=wall(), changes=True)[0])
        layout = Layout(generation=0, segments=(name,))
    chain = open_chain(fs, directory, layout, to_write=True)
    try:
        recovered = _mend(fs, directory, chain)
        _make_durable(chain.file, chain.index)
        # What a crash broke off. Only now: if the journal is damaged, the segments that a prune had replaced may help.
        for leftover in layout.leftovers:
            fs.remove(directory / leftover)
        fs.sync_directory(directory)
        assert chain.header is not None  # else its first record had been damage
        tail = Tail(
            fs=fs,
            directory=directory,
            sealed=chain.sealed,
            name=chain.name,
            file=chain.file,
            header=chain.header,
            index=chain.index,
            generation=layout.generation,
            checkpointed=chain.checkpointed,
            segment_size=segment_size,
            wall=wall,
        )
    except BaseException:
        chain.close()
        raise
    return tail, recovered


def _mend(fs: FileSystem, directory: Path, chain: Chain) -> Recovery | None:
    """Cut off what a crash left at the end, if it is that. Raises JournalCorrupt if it is not."""
    damage = chain.damage
    if damage is None:
        return None
    if damage.kind is Kind.CORRUPT:
        raise damage.error(chain.name, str(directory))
    kept_in = _keep_torn(fs, directory, chain, damage)
    chain.file.truncate(damage.offset)
    chain.file.sync()
    return Recovery(
        file=chain.name,
        offset=damage.offset,
        size=damage.size - damage.offset,
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


def _keep_torn(fs: FileSystem, directory: Path, chain: Chain, damage: Damage) -> str:
    """Copy the torn bytes into a file of their own, durably, and return its name. They are cut off only after that."""
    torn = chain.file.read(damage.size - damage.offset, damage.offset)
    names = set(fs.names(directory))
    name, copy = f"{chain.name}.torn-{damage.offset}", 1
    while name in names:  # from an earlier crash at this place, or from an earlier try at this very recovery
        copy += 1
        name = f"{chain.name}.torn-{damage.offset}.{copy}"
    kept = fs.open(directory / name, "create")
    try:
        write_all(kept, torn)
        kept.sync()
    finally:
        kept.close()
    fs.sync_directory(directory)
    return name
