"""The one writer of a journal: batches what is queued, writes it, syncs it, and only then lets anybody know."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from flowledger.errors import (
    AppendOnlyError,
    DiskFull,
    FlowledgerError,
    JournalDenied,
    JournalError,
    JournalPoisoned,
    JournalUnavailable,
)
from flowledger.journal.filesystem import File
from flowledger.journal.record import CLOSE, body_of
from flowledger.journal.tail import Item, Tail
from flowledger.journal.view import View

if TYPE_CHECKING:
    from flowledger.journal.committer import Committer

MOST_RECORDS: Final = 1000  # in a batch
MOST_BYTES: Final = 4 * 1024 * 1024  # in a batch

_POISON_HINT: Final = "start again: flowledger resume RUN reads what is on disk and carries on from there"


class Entry:
    """One append: its records stand together in a batch, and are acknowledged together."""

    __slots__ = ("changes", "done", "error", "first", "future", "items", "size", "writer")

    def __init__(self, writer: Writer, items: Sequence[Item], future: asyncio.Future[int] | None) -> None:
        self.changes = False  # whether its segment must name that feature
        self.writer = writer  # keeps the writer alive until the entry is settled, even if nobody waits any more
        self.items = items
        self.size = sum([len(body) for _, _, body in items])
        self.future = future
        self.first = -1
        self.error: FlowledgerError | None = None
        self.done = False

    def settle(self) -> None:
        """Tell the waiting task; to be called in its loop. One that was cancelled has stopped waiting."""
        if self.future is None or self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.first)
        else:
            self.future.set_exception(self.error)


class Writer:
    """Appends to one journal, whose lock it holds. `open_writer` in opening.py makes one."""

    def __init__(self, *, directory: str, tail: Tail, lock: File, committer: Committer) -> None:
        self.directory = directory
        self.view = tail.view
        self.tail = tail
        self._lock = lock
        self._committer = committer
        self._queue: deque[Entry] = deque()
        self._committing = threading.Lock()
        self._pid = os.getpid()
        self.lone = True  # no more than one run is being driven
        self._poison = ""
        self._closed = False
        self._ended = False
        weakref.finalize(self, committer.stop)
        _living.add(self)

    # -- appending ---------------------------------------------------------------------------------------------

    async def append(self, items: Sequence[Item], *, changes: bool = False) -> int:
        """Queue records, and return the number of the first once all are durable.

        `changes`: versions that do not know this feature must not write to the journal any more.
        A cancelled caller only stops waiting: what is queued is written all the same.
        Raises what `insert` raises.
        """
        self._check_usable()
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        entry = Entry(self, items, future)
        entry.changes = changes
        self._queue.append(entry)
        self._committer.queued(entry)
        return await future

    def insert(self, items: Sequence[Item]) -> int:
        """Write records in the calling thread, together with whatever else is queued; the number of the first.

        Raises DiskFull, JournalDenied, JournalUnavailable (certainly not on disk), JournalPoisoned (unknown),
        AppendOnlyError (closed, or forked).
        """
        self._check_usable()
        entry = Entry(self, items, None)
        self._queue.append(entry)
        while not entry.done:
            tell(self.commit())
        if entry.error is not None:
            raise entry.error
        return entry.first

    def commit(self) -> list[Entry]:
        """Write and sync one batch of what is queued; the entries that are settled now, for `tell`."""
        with self._committing:
            batch = self._take()
            if self._poison or self._ended:
                for entry in batch:
                    entry.error = self._poisoned(certain=True) if self._poison else self._is_closed()
                    entry.done = True
            elif batch:
                try:
                    self._write(batch)
                except BaseException:
                    tell(batch)  # the caller will not get to it, and nobody may wait for ever
                    raise
        return batch

    def _take(self) -> list[Entry]:
        batch: list[Entry] = []
        records = size = 0
        while self._queue:
            following = self._queue[0]
            records += len(following.items)
            size += following.size
            if batch and (records > MOST_RECORDS or size > MOST_BYTES):
                break
            batch.append(self._queue.popleft())
        return batch

    def _write(self, batch: list[Entry]) -> None:
        failure: FlowledgerError | None = None
        try:
            firsts = self.tail.append(
                [entry.items for entry in batch],
                sum([entry.size for entry in batch]),
                changes=any(entry.changes for entry in batch),
            )
        except (DiskFull, JournalDenied, JournalUnavailable) as error:
            failure = error
        except OSError as error:
            self._poison = f"writing or syncing {self.tail.name} failed: {error.strerror or error}"
        except BaseException as error:
            self._poison = f"writing {self.tail.name} was broken off by {type(error).__name__}"
            raise
        else:
            for entry, first in zip(batch, firsts, strict=True):
                entry.first = first
        finally:
            for entry in batch:
                if self._poison:
                    entry.error = self._poisoned(certain=False)
                elif failure is not None:
                    entry.error = type(failure)(failure.message, hint=failure.hint)
                entry.done = True

    @property
    def waiting(self) -> int:
        """Entries that are queued."""
        return len(self._queue)

    @property
    def committing(self) -> bool:
        """A batch is being written."""
        return self._committing.locked()

    # -- state -------------------------------------------------------------------------------------------------

    def _check_usable(self) -> None:
        if self._closed:
            raise self._is_closed()
        if self._pid != os.getpid():
            raise AppendOnlyError(
                f"the journal {self.directory} belongs to process {self._pid}, which this one was forked from",
                hint="open a journal of its own in the child, or append in the parent",
            )
        if self._poison:
            raise self._poisoned(certain=True)

    def _is_closed(self) -> AppendOnlyError:
        return AppendOnlyError(f"the journal {self.directory} is closed", hint="open it again to append")

    def _poisoned(self, *, certain: bool) -> JournalPoisoned:
        what = "this was not written" if certain else "whether this is on disk is unknown until the next start"
        return JournalPoisoned(f"{self._poison}; {what}", hint=_POISON_HINT)

    @property
    def closed(self) -> bool:
        """Nothing can be appended or read any more."""
        return self._closed

    def check_readable(self) -> View:
        """The view, unless the journal is closed. Raises JournalError."""
        if self._closed:
            raise JournalError(
                f"the journal {self.directory} is closed", hint="JournalReader.open reads without a lock"
            )
        return self.view

    def close(self) -> None:
        """Write what is queued, note the clean end, stop the committer, let go of the lock. Twice is once."""
        if self._closed:
            return
        self._closed = True
        if self._pid == os.getpid():
            while self._queue:
                tell(self.commit())
            if not self._poison:
                # Only a note: what was acknowledged is durable whether or not there is room for it.
                self._queue.append(Entry(self, [(CLOSE, None, body_of(CLOSE, None, b"{}"))], None))
                tell(self.commit())  # another thread's append may have come in between
            self._committer.stop()
        with self._committing:
            self._ended = True
            self.view.close()
            self._lock.close()

    def abandon(self) -> None:
        """Let go of files and lock without a note: other segments have taken the place of these, or may have."""
        self._closed = self._ended = True
        self._committer.stop()
        self.view.close()
        self._lock.close()

    def forked(self) -> None:
        """In a forked child: give up the copy of the lock, else it would outlive the process that holds it.

        The thread that was in the middle of a commit is not here to end it, and `close` must not wait for it.
        """
        self._lock.close()
        self._committing = threading.Lock()


def tell(settled: Iterable[Entry]) -> None:
    """Wake the tasks that wait for these entries, each in its own loop; may be called from any thread."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Entry]] = {}
    for entry in settled:
        if entry.future is not None:
            by_loop.setdefault(entry.future.get_loop(), []).append(entry)
    for loop, entries in by_loop.items():
        if loop.is_closed():
            continue  # nobody can wait in it any more
        try:
            loop.call_soon_threadsafe(_settle, entries)
        except RuntimeError:
            if not loop.is_closed():  # closed between the look and the call: nobody waits
                raise


def _settle(entries: list[Entry]) -> None:
    for entry in entries:
        entry.settle()


_living: weakref.WeakSet[Writer] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for writer in list(_living):
        writer.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
