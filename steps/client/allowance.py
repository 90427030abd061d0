"""Which rate and which burst explain best what a platform let through and what it refused: a token bucket, fitted.

A platform says nothing of its limits (platform-api.md §8.5), but each 429 says that its bucket was empty, and each
other answer that it was not. Few 429s are enough when all of it is looked at together, with the time of each call.
"""

from __future__ import annotations

from bisect import insort
from typing import Final

BURSTS: Final = (0.05, 0.1, 0.3, 1.0)  # seconds' worth of calls that may be let through at once
FEWEST: Final = 2.0  # calls, however small the rate: a bucket of one could not be used by anybody
ENTRIES: Final = 200  # what is remembered; beyond, neighbours are put together
EPISODES: Final = 4  # 429s that a fit goes back to
STEPS: Final = 16  # rates that are tried first
FINER: Final = 6  # and between those on either side of the best
SLACK: Final = 0.6  # calls of misfit by which two explanations are as good as each other
LOOSE: Final = 0.1  # and in parts

Entry = tuple[float, int, bool]  # when, how many calls, whether they were let through


class Allowance:
    """Remembers what was let through and refused, and says between which rates the platform's limit lies."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._from_full = True  # nothing had been asked before the first entry
        self._tried = 0.0
        self._empty_at: list[float] = []  # when 429s ended episodes

    @property
    def episodes(self) -> int:
        """How many 429s are remembered that were news."""
        return len(self._empty_at)

    def note(self, at: float, *, good: bool) -> None:
        """A call that reached the platform at about that time."""
        insort(self._entries, (at, 1, good))
        if len(self._entries) > ENTRIES:
            self._put_together()

    def emptied(self, at: float, rate: float) -> None:
        """A 429 of a call that reached the platform then is news; `rate`: at which calls were begun."""
        self._empty_at.append(at)
        self._tried = rate
        if len(self._empty_at) > EPISODES:
            self._empty_at.pop(0)
            self._entries = [entry for entry in self._entries if entry[0] > self._empty_at[0]]
            self._from_full = False

    def forget(self) -> None:
        """Begin anew."""
        self._entries.clear()
        self._empty_at.clear()
        self._from_full = True

    def bounds(self) -> tuple[float, float] | None:
        """Between which calls a second the limit lies; None if too little is known."""
        through = sum(count for _, count, good in self._entries if good)
        if through < 2 or not self._empty_at:
            return None
        span = self._entries[-1][0] - self._entries[0][0]
        low, high = 0.6 * through / (span + 1.0), 1.1 * max(self._tried, (through + 1) / max(span, 0.02))
        step = (high / low) ** (1 / STEPS)
        tried: list[tuple[float, float]] = []  # misfit, rate
        best: dict[float, float] = {}
        for burst in BURSTS:
            rates = [low * step**number for number in range(STEPS + 1)]
            misfits = [(self._misfit(rate, burst), rate) for rate in rates]
            tried += misfits
            best[burst] = min(misfits)[1]
            around = best[burst] / step
            fine = (step * step) ** (1 / (2 * FINER))
            tried += [(self._misfit(around * fine**n, burst), around * fine**n) for n in range(1, 2 * FINER)]
        least = min(tried)[0]
        good = [rate for misfit, rate in tried if misfit <= least * (1 + LOOSE) + SLACK]
        return min(good), max(good)

    def _misfit(self, rate: float, burst: float) -> float:
        """By how many calls this bucket would have had to be fuller or emptier than it was."""
        size = max(rate * burst, FEWEST)
        before = self._entries[0][0]
        tokens = size if self._from_full else 0.0
        misfit = 0.0
        for at, count, good in self._entries:
            tokens += (at - before) * rate
            before = at
            if tokens > size:
                tokens = size
            if good:
                tokens -= count
                if tokens < 0.0:
                    misfit -= tokens
                    tokens = 0.0
            elif tokens > 1.0:
                misfit += tokens - 1.0
                tokens = 1.0
        return misfit

    def _put_together(self) -> None:
        """Neighbours of one fate become one entry, at the time of the later."""
        merged: list[Entry] = []
        for entry in self._entries:
            if merged and merged[-1][2] and entry[2] and merged[-1][1] <= entry[1]:
                merged[-1] = (entry[0], merged[-1][1] + entry[1], True)
            else:
                merged.append(entry)
        if len(merged) > ENTRIES * 3 // 4:  # mostly refusals, or merged already: the oldest go
            merged = merged[-ENTRIES // 2 :]
            self._from_full = False
        self._entries = merged
