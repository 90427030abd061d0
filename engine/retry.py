"""How long to wait before the next attempt: pure functions of the attempt, the answer and injected chance."""

from __future__ import annotations

import random

from flowledger.steps.spec import Retry


def back_off(policy: Retry, attempt: int, asked: float | None, chance: random.Random) -> float:
    """Seconds to wait after attempt number `attempt` (1 is the first) before the next.

    `asked` is the platform's Retry-After in seconds, obeyed up to the policy's cap (platform-api.md §8.5); without one
    the wait doubles at each attempt, with full jitter above a half, so that many runs do not come back at once.
    """
    if asked is not None:
        return min(max(asked, 0.0), policy.longest_wait)
    ceiling: float = min(policy.longest_wait, policy.first_wait * 2 ** min(attempt - 1, 30))
    return ceiling * (0.5 + 0.5 * chance.random())


def look_ups(window: float) -> list[float]:
    """Seconds after which to look again while a settle window of `window` seconds is open, growing each time.

    A hit before the end may be adopted at once, so looking early saves waiting; the look-up that decides comes after
    the end whatever these are (protocol rule 6).
    """
    return [window / 16, window / 8, window / 4, window / 2]
