"""SIGINT and SIGTERM while a run is driven: the first asks it to stop and journal, the second ends it at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from flowledger.cli.hints import as_typed
from flowledger.cli.logs import say

if TYPE_CHECKING:
    from flowledger.engine.halt import Halt

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping_on_signals(halt: Halt, *, begun: Callable[[], bool], run: str, verb: str = "resume") -> Iterator[None]:
    """Inside, in a running loop: the first signal requests the halt, the second exits with 128 + its number.

    `begun` says whether this process drives the run already. Before that (waiting for the journal's lock) there is
    nothing to finish and nothing to journal, so that the first signal ends the program, with 75.
    """
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if halt.requested:
            _end_at_once(128 + number)
        if not begun():
            say(f"{number.name}: nothing was begun", level="warning", run=run)
            _end_at_once(75)
        say(
            as_typed(
                f"{number.name}: finishing what is in flight, then stopping; flowledger {verb} {run} carries on "
                "(a second signal ends it at once)"
            ),
            level="warning",
            run=run,
        )
        halt.request(number.name)

    for number in SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


@contextmanager
def first_signal() -> Iterator[asyncio.Future[str]]:
    """Inside, in a running loop: a future of the name of the first SIGINT or SIGTERM. For servers."""
    loop = asyncio.get_running_loop()
    came: asyncio.Future[str] = loop.create_future()

    def on_signal(number: signal.Signals) -> None:
        if not came.done():
            came.set_result(number.name)

    for number in SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield came
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


def _end_at_once(code: int) -> None:
    """Leave without waiting for threads or the network: as safe as any kill, and the journal knows what was open."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody reads it, or there is no room: no reason to stay
            stream.flush()
    os._exit(code)
