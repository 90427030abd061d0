"""A stop that is asked for from outside: a signal, or a program that embeds a run."""

from __future__ import annotations

from collections.abc import Callable


class Halt:
    """Asks runs to stop soon: calls in flight are finished or abandoned, and journaled; no new one is begun."""

    def __init__(self) -> None:
        self.reason = ""
        self._listeners: list[Callable[[str], None]] = []

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for."""
        return bool(self.reason)

    def request(self, reason: str) -> None:
        """Ask for the stop. `reason` is for people, like "SIGTERM". The first reason stays."""
        if self.reason:
            return
        self.reason = reason
        for listener in list(self._listeners):
            listener(reason)

    def listen(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Have `listener` called once with the reason, at once if it is there already. Returns how to unlisten."""
        if self.reason:
            listener(self.reason)
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)
