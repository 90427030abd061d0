"""How many calls the gateway lets through: a token bucket by the emulator's clock (platform-api.md §8.5, U20)."""

from __future__ import annotations

import math


class TokenBucket:
    """Tokens come at a rate and are kept up to a burst; a call takes one. A new bucket is full.

    Rate and burst are given at every call, so that options may change while the emulator serves.
    """

    def __init__(self) -> None:
        self._tokens = math.inf  # filled down to the burst at the first call
        self._filled_ms = 0

    def take(self, *, now_ms: int, per_s: float, burst: float) -> int:
        """Take a token. Returns 0, or how many milliseconds from now the next one comes when there is none."""
        elapsed_ms = max(0, now_ms - self._filled_ms)  # a clock that was set back brings nothing
        self._filled_ms = now_ms
        self._tokens = min(burst, self._tokens + elapsed_ms * per_s / 1000)
        if self._tokens >= 1 - 1e-9:  # sums of fractions fall short of a whole by a hair
            self._tokens -= 1
            return 0
        return max(1, math.ceil((1 - self._tokens) * 1000 / per_s))

    def fill(self) -> None:
        """Make it full again."""
        self._tokens = math.inf
