"""A journal as the engine and people use it: the writer, and the reader that needs no lock."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from tinydb import where
from tinydb.queries import QueryLike
from tinydb.table import Document

from flowledger.errors import JournalCorrupt, JournalHeld
from flowledger.journal.committer import Committer, ThreadCommitter
from flowledger.journal.database import JournalDB, JournalTable, item_of
from flowledger.journal.filesystem import FileSystem, OsFileSystem
from flowledger.journal.opening import Recovery, open_writer
from flowledger.journal.reading import Follower
from flowledger.journal.record import EVENTS
from flowledger.journal.tail import SEGMENT_SIZE
from flowledger.journal.writer import Writer


class Journal:
    """The one writer of a journal directory. Any number of runs share it.

    Its verbs (`append`, `claim`, `close`) belong to one event loop, and to the thread of that loop: claiming a run and
    folding its events is one step only there. `events`, `runs` and `pruned` may be called from other threads.

    `db` is the TinyDB surface; `recovered` says what a crash had left at the end, or is None.
    Dropping the object without `close` releases the lock too, and loses nothing that was acknowledged.
    """

    def __init__(self, writer: Writer, *, recovered: Recovery | None = None) -> None:
        self._writer = writer
        self.recovered = recovered
        self.directory = Path(writer.directory)
        self.db = JournalDB(writer)
        self._claimed: set[str] = set()

    @classmethod
    def open(
        cls,
        directory: str | PathLike[str],
        *,
        lock_timeout: float = 0.0,
        fs: FileSystem | None = None,
        committer: Committer | None = None,
        wall: Callable[[], float] = time.time,
        segment_size: int = SEGMENT_SIZE,
    ) -> Journal:
        """Open the journal in `directory`, making both if absent; take the lock, then read and recover.

        `lock_timeout`: seconds to wait for another writer to end. `committer`: how appends reach the disk, by
        default one thread with group commit. `wall`: seconds since the epoch, for what people read.
        `segment_size`: bytes after which the next segment file is begun.
        Raises JournalHeld (another writer), JournalCorrupt (durable bytes are damaged), DiskFull (no room),
        JournalDenied (no right), JournalUnavailable (no lock, no descriptor or no answer of the disk at the moment),
        JournalError (a format that this version does not know, a file that is not ours).
        """
        writer, recovered = open_writer(
            Path(directory),
            fs=fs or OsFileSystem(),
            committer=committer or ThreadCommitter(),
            lock_timeout=lock_timeout,
            wall=wall,
            segment_size=segment_size,
        )
        return cls(writer, recovered=recovered)

    async def append(self, run: str, doc: Mapping[str, Any], *, changes: bool = False) -> int:
        """Append an event of a run; returns its number once it is durable. Appends at the same time share a sync.

        `changes`: the event means what versions without the journal's feature of this name would carry on wrongly;
        they can read the journal from then on, and refuse to write to it.
        Once this waits, the event is written whether or not the waiting task is cancelled, which is then not told how
        that ended. `doc` is taken as it is when this begins to wait.
        Raises UsageError (not JSON, too large: nothing was written), DiskFull, JournalDenied, JournalUnavailable
        (certainly not on disk), JournalPoisoned (unknown whether on disk: start anew), AppendOnlyError (closed, or a
        forked child).
        """
        return await self._writer.append([item_of(EVENTS, doc, run=run)], changes=changes)

    def events(self, run: str, *, after: int = 0) -> list[Document]:
        """A run's events, oldest first; each one's `doc_id` is its number. `after`: only those of a higher number."""
        return list(self._writer.check_readable().of_run(EVENTS, run, after=after))

    def runs(self) -> list[str]:
        """Names of the runs that have events, oldest first."""
        return self._writer.check_readable().runs(EVENTS)

    def pruned(self) -> list[dict[str, Any]]:
        """What `journal prune` noted of the runs that it dropped, oldest first; docs/journal.md has the fields."""
        return self._writer.check_readable().pruned()

    @contextmanager
    def claim(self, run: str) -> Iterator[None]:
        """Own a run while the block runs, so that no two tasks of one process drive it.

        Raises JournalHeld if another task has it.
        """
        if run in self._claimed:
            raise JournalHeld(
                f"run {run} is already being driven by another task of this process",
                holder=f"process {os.getpid()}",
                hint="await that one, or give the second dataflow a spec with another name",
            )
        self._claimed.add(run)
        self._writer.lone = len(self._claimed) <= 1
        try:
            yield
        finally:
            self._claimed.discard(run)
            self._writer.lone = len(self._claimed) <= 1

    def close(self) -> None:
        """Write what is queued, note the clean end, release the lock. Twice is once."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Journal {self.directory}{' (closed)' if self._writer.closed else ''}>"


class JournalReader:
    """Reads a journal without a lock, also while it is being written; `refresh` takes in what came since.

    Stops at the last whole record. It may show records whose sync is still under way.
    """

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self.directory = Path(follower.directory)
        self.db = JournalDB(follower)

    @classmethod
    def open(cls, directory: str | PathLike[str], *, fs: FileSystem | None = None) -> JournalReader:
        """Read the journal in `directory`. Raises NotThere, JournalCorrupt, JournalError."""
        return cls(Follower(Path(directory), fs or OsFileSystem()))

    def refresh(self) -> int:
        """Take in what was appended since; how many documents came. Raises JournalCorrupt."""
        return self._follower.refresh()

    def events(self, run: str) -> list[Document]:
        """A run's events, oldest first; each one's `doc_id` is its number."""
        return self._all(where("run") == run)

    def all(self) -> list[Document]:
        """All runs' events, oldest first."""
        return self._all(None)

    def each(self, query: QueryLike | None = None) -> Iterator[Document]:
        """Events that match (all, without a query), oldest first, each read when it is asked for: a journal may be
        larger than memory. Raises JournalCorrupt."""
        last = -1
        try:
            for document in self._events.each(query):
                last = document.doc_id
                yield document
        except JournalCorrupt:
            self._follower.refresh()  # as in `_all`; what was told already cannot be taken back
            yield from (document for document in self._events.each(query) if document.doc_id > last)

    def _all(self, query: QueryLike | None) -> list[Document]:
        try:
            return list(self._events.each(query))
        except JournalCorrupt:
            # A writer that ran out of room cuts back records which were never acknowledged, but which we may have
            # read. After a refresh they are gone; if the damage is real, it is raised from here.
            self._follower.refresh()
            return list(self._events.each(query))

    @property
    def _events(self) -> JournalTable:
        return cast(JournalTable, self.db.table(EVENTS))

    def runs(self) -> list[str]:
        """Names of the runs that have events, oldest first."""
        return self._follower.check_readable().runs(EVENTS)

    def pruned(self) -> list[dict[str, Any]]:
        """What `journal prune` noted of the runs that it dropped, oldest first; docs/journal.md has the fields."""
        return self._follower.check_readable().pruned()

    def close(self) -> None:
        """Let go of the files."""
        self._follower.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
