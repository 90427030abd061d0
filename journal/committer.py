"""When a batch is written: by one thread while the loop goes on, or by the loop itself."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import Protocol

from flowledger.journal.writer import Entry, Writer, tell


class Committer(Protocol):
    """Sees to it that what is queued gets committed. One belongs to one journal."""

    def queued(self, entry: Entry) -> None:
        """An entry whose future waits has been queued; called in the future's loop."""
        ...

    def stop(self) -> None:
        """No more entries will come. Twice is once."""
        ...


class ThreadCommitter:
    """One thread writes and syncs; a batch is whatever was queued during the last sync. No timers.

    The thread is started by the first append. While it waits it refers to nothing but its signals, so that a journal
    which is dropped can go.
    """

    def __init__(self) -> None:
        self._signals: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def queued(self, entry: Entry) -> None:
        self._signals.put(entry)
        if self._thread is None:
            # A daemon: an exit that forgets to close must not hang. What was acknowledged is durable either way.
            self._thread = threading.Thread(
                target=_commit_until_stopped, args=(self._signals,), name="flowledger-journal", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._signals.put(None)
        # The last reference to a journal may be dropped by the thread itself, which cannot wait for its own end.
        if thread is not threading.current_thread():
            thread.join()


def _commit_until_stopped(signals: queue.SimpleQueue[Entry | None]) -> None:
    while (entry := signals.get()) is not None:
        if not entry.done:  # else an earlier batch took it along
            tell(entry.writer.commit())
        del entry


class InlineCommitter:
    """Writes in the event loop itself, with no thread: for virtual time, where nothing may happen by chance.

    What is queued in one tick of the loop is one batch.
    """

    def __init__(self) -> None:
        self._due_in: asyncio.AbstractEventLoop | None = None

    def queued(self, entry: Entry) -> None:
        loop = asyncio.get_running_loop()
        if self._due_in is not loop:
            self._due_in = loop
            loop.call_soon(self._commit, loop, entry.writer)

    def _commit(self, loop: asyncio.AbstractEventLoop, writer: Writer) -> None:
        self._due_in = None
        while settled := writer.commit():
            for entry in settled:
                if entry.future is not None and entry.future.get_loop() is loop:
                    entry.settle()
                else:
                    tell((entry,))

    def stop(self) -> None:
        self._due_in = None
