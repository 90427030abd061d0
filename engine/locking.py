"""Wait for a journal's lock without holding up the event loop: a halt, a signal and a cancellation are heard."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

from flowledger.engine.halt import Halt
from flowledger.errors import Interrupted, JournalHeld
from flowledger.journal import Journal
from flowledger.steps.client.clock import Clock

_POLL: Final = 0.05  # seconds between two tries for the lock


async def open_journal(directory: Path, *, lock_timeout: float, halt: Halt, clock: Clock) -> Journal:
    """The journal in `directory` as its one writer, waiting at most `lock_timeout` seconds for another to let go.

    Raises Interrupted if a stop is asked for meanwhile, and otherwise as `Journal.open`.
    """
    until = clock.monotonic() + lock_timeout
    while True:
        try:
            return await _open_now(directory)
        except JournalHeld:
            left = until - clock.monotonic()
            if left <= 0:
                raise
        if halt.requested:
            raise Interrupted(
                f"stopped: {halt.reason}, while another process held the journal {directory}; nothing was done",
                hint="the same again once it has ended",
            )
        await clock.sleep(min(_POLL, left))


async def _open_now(directory: Path) -> Journal:
    """Open it in a thread, which does not wait for the lock. A caller that is cancelled leaves no lock behind."""
    opening = asyncio.get_running_loop().run_in_executor(None, Journal.open, directory)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        while not opening.done():
            with suppress(asyncio.CancelledError):  # raised below, once the thread is at its end
                await asyncio.wait({opening})
        if not opening.cancelled() and opening.exception() is None:
            opening.result().close()
        raise
