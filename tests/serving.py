"""An emulator served from a thread, for clients that block while they wait for their answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flowledger.emulator.core import Emulator
from flowledger.emulator.server import run_server

LONGEST_START_S = 60


@contextmanager
def served_from_a_thread(emulator: Emulator) -> Iterator[str]:
    """The URL of the emulator while it is served on loopback. Server and emulator are closed at the end."""
    loop, stop, ready, urls = asyncio.new_event_loop(), asyncio.Event(), threading.Event(), list[str]()

    def began(url: str) -> None:
        urls.append(url)
        ready.set()

    thread = threading.Thread(
        target=lambda: loop.run_until_complete(run_server(emulator, stop=stop, ready=began)), daemon=True
    )
    thread.start()
    assert ready.wait(LONGEST_START_S)
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(LONGEST_START_S)
        loop.close()
