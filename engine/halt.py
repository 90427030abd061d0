"""A stop that is asked for from outside: a signal, or a program that embeds a run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


class Halt:
    """Asks runs to stop soon: calls in flight are finished or abandoned, and journaled; no new one is begun.

    It may be asked for in any thread; who listens is told in his own.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._listeners: list[Callable[[str], None]] = []
        self._lock = threading.RLock()  # a signal may come while its thread holds it

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for."""
        return bool(self.reason)

    def request(self, reason: str) -> None:
        """Ask for the stop. `reason` is for people, like "SIGTERM". The first reason stays."""
        with self._lock:
            if self.reason:
                return
            self.reason = reason
            listeners = list(self._listeners)
        for listener in listeners:
            listener(reason)

    def listen(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Have `listener` called once with the reason, at once if it is there already. Returns how to unlisten.

        Call it in a running loop: asked for in another thread, the stop is told in the loop's.
        """
        loop, thread = asyncio.get_running_loop(), threading.get_ident()

        def told(reason: str) -> None:
            here = threading.get_ident() == thread
            if here:
                listener(reason)
            with suppress(RuntimeError):  # the loop is closed, and whoever listened has gone with it
                # In a handler of `signal.signal` too the loop must be woken: it may be asleep.
                loop.call_soon_threadsafe(_nothing if here else listener, reason)

        with self._lock:
            if not self.reason:
                self._listeners.append(told)
                return lambda: self._listeners.remove(told)
        listener(self.reason)
        return lambda: None


def _nothing(reason: str) -> None:
    """Wakes a loop."""
