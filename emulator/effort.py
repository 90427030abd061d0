"""How much one call, or one run's rows, may cost: time in regular expressions, and the size of what expressions make.

The emulator has one thread for all calls: a pattern that backtracks without end would stop it for every client.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

MATCHING_S: Final = 0.25  # seconds in the patterns of one call together
ONE_MATCH_S: Final = 0.05  # seconds of one pattern on one text; it is noticed a few tenths of a second late at worst
LEAST_S: Final = 0.001  # seconds with which another match may begin
FREE_S: Final = 0.01  # seconds of a match that costs a flow run nothing: it has many rows, and is not waited for
WORK: Final = 5_000_000  # characters and weighted entries that an expression reads and makes; about half a second
ENTRY: Final = 20  # what an entry of an array or a key of an object weighs: as much as so many characters
MOST_ENTRIES: Final = 100_000  # of an array that a function makes


class TooMuch(ValueError):
    """The limit of a call or a row is reached. Its text says which."""


class Effort:
    """What may still be spent. `clock` gives seconds; matches quicker than `free_s` cost nothing."""

    def __init__(
        self,
        *,
        matching_s: float = MATCHING_S,
        free_s: float = 0.0,
        work: int = WORK,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._matching_s = matching_s
        self._free_s = free_s
        self._most_work = self._work = work
        self._clock = clock

    def match(self, run: Callable[[float], Any]) -> Any:
        """What `run(timeout)` returns, its time spent. Raises TooMuch when it takes too long, or no time is left."""
        if self._matching_s < LEAST_S:
            raise TooMuch("earlier regular expressions took all the time that there is")
        begun = self._clock()
        try:
            return run(min(ONE_MATCH_S, self._matching_s))
        except TimeoutError as fault:
            raise TooMuch("the regular expression takes too long on this text") from fault
        finally:
            taken = self._clock() - begun
            if taken > self._free_s:
                self._matching_s -= taken

    def spend(self, units: int) -> None:
        """Take so many characters, or entries times ENTRY. Raises TooMuch when there are not so many left."""
        self._work -= units
        if self._work < 0:
            raise TooMuch(f"the expression reads and makes more than {self._most_work} characters")

    def spend_on(self, value: Any) -> None:
        """Take what a value weighs, nested ones whole. Raises TooMuch, and looks no further then."""
        waiting = [value]
        while waiting:
            found = waiting.pop()
            if isinstance(found, str):
                self.spend(len(found))
            elif isinstance(found, dict):
                self.spend(ENTRY * len(found) + sum(map(len, found)))
                waiting.extend(found.values())
            elif isinstance(found, list | tuple):
                self.spend(ENTRY * len(found))
                waiting.extend(found)

    def renew(self) -> None:
        """Let the next row make as much as this one might; time in patterns is not given back."""
        self._work = self._most_work


_current: ContextVar[Effort | None] = ContextVar("effort", default=None)


def current() -> Effort:
    """What may be spent here; a fresh effort where nothing is bounded."""
    return _current.get() or Effort()


@contextmanager
def bounded(effort: Effort | None = None) -> Iterator[Effort]:
    """Inside, all that is computed spends of one effort: this one, else the one around, else a fresh one."""
    chosen = effort or _current.get() or Effort()
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)
