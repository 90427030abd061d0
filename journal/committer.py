"""When a batch is written: by one thread while the loop goes on, or by the loop itself."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from flowledger.journal.writer import Entry, Writer, tell

_SURE: Final = 8  # quick commits in a row, after which a disk counts as quick


class Committer(Protocol):
    """Sees to it that what is queued gets committed. One belongs to one journal."""

    def queued(self, entry: Entry) -> None:
        """An entry whose future waits has been queued; called in the future's loop."""
        ...

    def stop(self) -> None:
        """No more entries will come. Twice is once."""
        ...


class _Pace:
    """How quick the last commits were."""

    __slots__ = ("_clock", "_quick", "_within")

    def __init__(self, within: float, clock: Callable[[], float]) -> None:
        self._within = within
        self._clock = clock
        self._quick = 0  # commits in a row that took no longer than `within`

    @property
    def quick(self) -> bool:
        """The disk has been quick for a while."""
        return self._quick >= _SURE

    def commit(self, writer: Writer) -> list[Entry]:
        """Have a batch written, and note how long it took."""
        begin = self._clock()
        settled = writer.commit()
        if settled:
            self._quick = self._quick + 1 if self._clock() - begin <= self._within else 0
        return settled


class ThreadCommitter:
    """One thread writes and syncs; a batch is whatever was queued during the last sync. No timers.

    A lone append on a quick disk is written by the loop itself: handing it to the thread and back would take as long
    as the sync. Lone: nothing else was queued in this tick of the loop, and no more than one run is being driven.
    Quick: the last syncs took at most `in_loop` seconds each, so that the loop stands still no longer than that.

    The thread is started by the first append. While it waits it refers to nothing but its signals, so that a journal
    which is dropped can go.
    """

    def __init__(self, *, in_loop: float = 0.005, clock: Callable[[], float] = time.perf_counter) -> None:
        """`in_loop`: 0 leaves all to the thread. `clock`: seconds."""
        self._signals: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._pace = _Pace(in_loop, clock)
        self._due_in: asyncio.AbstractEventLoop | None = None

    def queued(self, entry: Entry) -> None:
        if not (self._pace.quick and entry.writer.lone):
            self._hand_over(entry)
            return
        loop = asyncio.get_running_loop()
        if self._due_in is not loop:
            self._due_in = loop
            loop.call_soon(self._commit_here, loop, entry)

    def _commit_here(self, loop: asyncio.AbstractEventLoop, entry: Entry) -> None:
        self._due_in = None
        # Not "is this entry done": the thread may have taken it along, and not what was queued behind it in this tick.
        if not entry.writer.waiting:
            return
        if entry.writer.waiting > 1 or entry.writer.committing:
            self._hand_over(entry)
            return
        settle_in(loop, self._pace.commit(entry.writer))

    def _hand_over(self, entry: Entry) -> None:
        self._signals.put(entry)
        if self._thread is None:
            # A daemon: an exit that forgets to close must not hang. What was acknowledged is durable either way.
            self._thread = threading.Thread(
                target=_commit_until_stopped,
                args=(self._signals, self._pace),
                name="flowledger-journal",
                daemon=True,
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


def _commit_until_stopped(signals: queue.SimpleQueue[Entry | None], pace: _Pace) -> None:
    while (entry := signals.get()) is not None:
        # One signal may stand for several entries, which may be more than one batch; and an earlier batch may have
        # taken this one along.
        while settled := pace.commit(entry.writer):
            tell(settled)
            del settled
        del entry


def settle_in(loop: asyncio.AbstractEventLoop, settled: Iterable[Entry]) -> None:
    """Wake the tasks that wait, being in `loop`."""
    for entry in settled:
        if entry.future is not None and entry.future.get_loop() is loop:
            entry.settle()
        else:
            tell((entry,))


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
            settle_in(loop, settled)

    def stop(self) -> None:
        self._due_in = None
