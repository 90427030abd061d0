"""Who is told of a run's events: the program that embeds us, whose own errors are no failure of the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

OnEvent = Callable[[int, Mapping[str, Any]], None]


class Audience:
    """Tells `on_event` of each durable event. What it raises is kept: the run ends in order, and then it is raised."""

    def __init__(self, on_event: OnEvent | None = None) -> None:
        self._on_event = on_event
        self.error: Exception | None = None

    def tell(self, number: int, doc: Mapping[str, Any]) -> None:
        """Tell of event `number`; the first error of the callback is kept in `error`."""
        if self._on_event is None:
            return
        try:
            self._on_event(number, doc)
        except Exception as error:  # noqa: BLE001 - the caller's own, whatever it is: raised by the sitting at its end
            self.error = self.error or error
