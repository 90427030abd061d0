"""Runs of flows while an emulator is served: their work in a thread, the store touched between calls only."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowledger.emulator.core import Emulator

POLL_S = 0.25  # how soon a run begins that becomes due while nobody calls
PATIENCE_S = 1.0  # how long a call waits for what was due before it

log = logging.getLogger(__name__)


class Worker:
    """Executes what is due, one run after the other: while time passes, and before a call is answered."""

    def __init__(self, emulator: Emulator) -> None:
        """Begin at once; needs a running event loop. The emulator executes nothing by itself any more."""
        assert emulator.plane is not None
        self._emulator = emulator
        self._execution = emulator.plane.execution
        self._execution.inline = False
        self._round: asyncio.Task[sqlite3.Error | None] | None = None
        self._ticking = asyncio.create_task(self._tick())

    async def catch_up(self, *, patience: float | None = PATIENCE_S) -> None:
        """Return when everything is executed that was due at the call, or after so many seconds (None: however long).

        What is not done by then goes on behind the calls, and its run says that it is in progress. Raises sqlite3.Error
        when the state cannot be written: no call can be answered then. Whatever else goes wrong is its run's failure.
        """
        if self._round is None or self._round.done():
            if not self._execution.is_due(self._emulator.now_ms()):
                return
            self._round = asyncio.create_task(self._run_due())
        done, _ = await asyncio.wait({self._round}, timeout=patience)
        for task in done:
            if (problem := task.result()) is not None:
                raise problem

    async def close(self) -> None:
        """Begin nothing more; what a thread works on is waited for and left unsettled: the next start redoes it."""
        for task in (self._ticking, self._round):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        self._execution.inline = True
        self._execution.recover()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            if (self._round is None or self._round.done()) and self._execution.is_due(self._emulator.now_ms()):
                self._round = asyncio.create_task(self._run_due())

    async def _run_due(self) -> sqlite3.Error | None:
        """Execute what is due; returns why the state cannot be written, if so."""
        try:
            await self._run_all_due()
        except sqlite3.Error as problem:  # nothing of it was kept: it is executed again
            self._execution.recover()
            return problem
        except Exception:
            log.exception("runs that are due could not be executed; they are tried again")
            self._execution.recover()
        return None

    async def _run_all_due(self) -> None:
        emulator, execution = self._emulator, self._execution
        while (work := execution.begin_next(emulator.now_ms())) is not None:
            began = asyncio.get_running_loop().time()
            working = asyncio.ensure_future(asyncio.to_thread(execution.work_on, work))
            try:
                done = await asyncio.shield(working)
            except asyncio.CancelledError:
                await asyncio.wait({working})  # a thread cannot be stopped, and its files must not outlive us open
                raise
            execution.settle(work, done, took_ms=round((asyncio.get_running_loop().time() - began) * 1000))
