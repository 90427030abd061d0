"""One pace for every call to an org and sandbox: nobody is slowed until the platform says 429, and then everybody is.

Until the first 429 only the number of calls under way is bounded, and that grows while answers come. From the first
429 on, calls are spaced: at a rate that is learnt from what the platform let through between two 429s, a little below
it, and creeping up again, because limits are not published and change (platform-api.md §8.5, U20).
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from types import TracebackType
from typing import Final

from flowledger.steps.client.clock import Clock

AT_ONCE: Final = 100  # calls under way at the same time, as many as the HTTP port has connections
FIRST_WINDOW: Final = 4.0  # calls under way at the start: as many as one run begins with
FAST_UNTIL: Final = 8.0  # calls under way up to which each answer allows one more
SLOWER: Final = 0.2  # how much of a call each answer adds from there on
FIRST_RATE: Final = 400.0  # calls a second at the start: more than one run makes
DOUBLED_IN: Final = 0.25  # seconds in which the first rate doubles
UNBOUNDED: Final = 20_000.0  # calls a second from which nobody could tell the difference any more
LONGEST_PAUSE: Final = 60.0  # seconds: what Retry-After may ask of everybody; a run's own wait obeys its spec
MARGIN: Final = 0.02  # how far below the measured rate calls go after a 429
CREEP: Final = 0.01  # growth a second of a rate that was measured, doubled every `DOUBLED_AFTER` without a 429
DOUBLED_AFTER: Final = 15.0  # seconds
EXPLORE: Final = 0.4  # growth a second of a rate that is only a guess, and of any rate at most
FIRST_GUESS: Final = 0.8  # of what was let through lately
LEAST_GUESS: Final = 10.0  # calls a second, where little or nothing was let through yet
SURE: Final = 0.12  # how far apart, in parts, two bounds of the limit may lie for the lower to be taken as it is
FEWEST: Final = 8  # calls let through from which anything can be measured
TOO_FAST: Final = 0.75  # what is left of a rate that was refused before that
UNSURE: Final = 0.1  # growth a second after that
LONGEST_ROUND: Final = 1.0  # seconds that a call is taken to be on its way at most
CREDIT: Final = 0.05  # seconds of lateness that may be made up for: a busy loop wakes late, and must not lose calls
FORGOTTEN_AFTER: Final = 60.0  # seconds without anybody waiting, after which calls are not spaced any more
SLOWEST: Final = 0.2  # calls a second: whatever happens, somebody goes on asking
BIN: Final = 0.5  # seconds: what was let through is counted in such pieces before there is a rate


class Limiter:
    """Who wants to call holds a slot around the call: `async with limiter:`, or `ask` and `leave`.

    Slots are given in the order they were asked for. Whoever sends tells what came of it with `answered`. Everything
    is read from the injected clock, so that tests own the time.
    """

    def __init__(self, clock: Clock, *, at_once: int = AT_ONCE) -> None:
        self._clock = clock
        self._at_once = at_once
        self._window = min(FIRST_WINDOW, float(at_once))
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = 0.0
        self._rate = FIRST_RATE
        self._open = True  # nobody has said 429 yet, and the rate only keeps a start from being a stampede
        self._measured = False  # the rate was taken from what was let through
        self._growth = EXPLORE  # a second; the less is known of the limit the more
        self._next_at = 0.0
        self._paused_until = 0.0
        self._scarce_at = clock.monotonic()  # when somebody last waited for the pace
        self._scarce_from = 0.0  # since when somebody has been waiting for it, and the rate has not grown
        self._slowed_at = 0.0  # when a 429 last changed the pace
        self._pauses = 0.0  # seconds of pause since then
        self._accepted = 0  # answers other than 429 since then
        self._bin_at, self._bin, self._last_bin = clock.monotonic(), 0, 0
        self.throttled = 0  # answers that said 429

    @property
    def rate(self) -> float | None:
        """Calls a second that are begun at most; None while nobody has said 429."""
        return None if self._open else self._rate

    @property
    def under_way(self) -> int:
        """Slots that are held."""
        return self._under_way

    # Slots

    def ask(self) -> asyncio.Future[None] | None:
        """Ask for a slot. None: it is held from now on. Else a future that completes once it is held.

        Whoever loses interest completes the future first, by cancelling it or with an exception; once it is done by
        us the slot is held and wants `leave`.
        """
        now = self._clock.monotonic()
        if not self._live_waiters() and self._delay(now) <= 0 and self._under_way < int(self._window):
            self._take(now)
            return None
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._serve()
        return future

    def leave(self) -> None:
        """Give the slot back."""
        self._under_way -= 1
        if self._waiting:
            self._serve()

    async def __aenter__(self) -> None:
        future = self.ask()
        if future is not None:
            try:
                await future
            except asyncio.CancelledError:
                if held(future):
                    self.leave()
                raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    async def close(self) -> None:
        """Let nothing of ours be left in the loop."""
        if self._alarm is not None:
            self._alarm.cancel()
            await asyncio.wait([self._alarm])
            self._alarm = None

    # Learning

    def answered(self, *, throttled: bool, asked: float | None, began: float) -> None:
        """Take in what came of a call: whether the platform said 429, and its Retry-After in seconds.

        `began`: the clock's reading when the call was sent. A 429 to a call that was sent before the last slowing
        down is old news, except for its Retry-After.
        """
        now = self._clock.monotonic()
        if not throttled and asked is None:
            self._count(now, began)
            if self._under_way >= int(self._window) - 1 and self._window < self._at_once:
                self._window = min(self._window + (1.0 if self._window < FAST_UNTIL else SLOWER), float(self._at_once))
            return
        if asked is not None:
            until = now + min(max(asked, 0.0), LONGEST_PAUSE)
            if until > self._paused_until:
                self._pauses += until - max(now, self._paused_until)
                self._paused_until = until
        if not throttled:
            return
        self.throttled += 1
        if self._open or began >= self._slowed_at:
            self._slow_down(now, began)

    def _slow_down(self, now: float, began: float) -> None:
        """Take a new rate from what was let through since the last 429.

        Then the platform's allowance was used up, and now it is again. What came through in between is all that it
        gave, if it lost nothing by being full; so the limit is that much at least, and less than what was tried.
        """
        if self._open:
            self._rate, self._open, self._growth = self._first_guess(now), False, EXPLORE
        else:
            span = began - self._slowed_at
            busy = span - min(self._pauses, span)
            least, most = self._accepted / max(span, 1e-3), self._rate
            if busy < span:  # what a pause had saved up came on top
                most = min(most, self._accepted / max(busy, 1e-3))
            if self._accepted < FEWEST:
                # One after a measured rate may be chance: calls do not arrive as evenly as they were sent.
                self._rate *= 1 - 2 * MARGIN if self._measured else TOO_FAST
                self._growth, self._measured = max(self._growth, UNSURE), False
            else:
                least, self._measured = min(least, most), True
                apart = most / least - 1
                # Few calls, or bounds far apart, say little: the rate must be free to move.
                unsure = max(apart / 2 if apart > SURE else 0.0, 0.25 / math.sqrt(self._accepted))
                self._growth = min(max(CREEP, unsure), EXPLORE)
                self._rate = (1 - MARGIN) * (least * (1 + apart) ** 0.25 if apart > SURE else least)
        self._rate = max(self._rate, SLOWEST)
        # What was sent before reaches the platform for as long as a call takes; then it is as empty as it was.
        self._slowed_at = now + min(now - began, LONGEST_ROUND)
        self._scarce_at = now
        self._pauses = max(0.0, self._paused_until - self._slowed_at)
        self._accepted = 0
        self._next_at = max(self._next_at, now + 1 / self._rate)

    def _count(self, now: float, began: float) -> None:
        if began >= self._slowed_at:
            self._accepted += 1
        if now - self._bin_at >= BIN:
            self._last_bin = self._bin if now - self._bin_at < 2 * BIN else 0
            self._bin, self._bin_at = 0, now
        self._bin += 1

    def _first_guess(self, now: float) -> float:
        """A part of what was let through lately, since a burst that was let through says too much."""
        spent = now - self._bin_at + (BIN if self._last_bin else 0.0)
        guess = FIRST_GUESS * (self._bin + self._last_bin) / max(spent, 0.1)
        return min(max(guess, LEAST_GUESS), self._rate)

    def _grow(self, now: float) -> None:
        """The rate creeps up, but only while somebody wants more than it gives."""
        span = min(now - self._scarce_from, 0.25)
        self._scarce_from = now
        if self._open:
            self._rate = min(self._rate * 2 ** (span / DOUBLED_IN), UNBOUNDED)
            return
        quiet = now - self._slowed_at
        growth = self._growth / (1 + 5 * self._pauses)  # where a 429 costs a pause, they had better be rare
        self._rate *= 1 + min(growth * 2 ** min(quiet / DOUBLED_AFTER, 6.0), EXPLORE) * span

    # Giving out slots

    def _delay(self, now: float) -> float:
        return max(self._paused_until, self._next_at) - now

    def _take(self, now: float) -> None:
        self._under_way += 1
        if now - self._scarce_at > FORGOTTEN_AFTER:
            self._rate, self._open, self._scarce_at = FIRST_RATE, True, now
        self._next_at = max(self._next_at, now - CREDIT) + 1 / self._rate

    def _live_waiters(self) -> bool:
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        return bool(self._waiting)

    def _serve(self) -> None:
        """Give slots to those who wait, as far as window and pace allow, and see to it that somebody looks again."""
        now = self._clock.monotonic()
        while self._live_waiters() and self._under_way < int(self._window):
            delay = self._delay(now)
            if delay > 0:
                self._scarce_at = now
                self._wake_in(delay, now)
                return
            self._take(now)
            self._waiting.popleft().set_result(None)

    def _wake_in(self, delay: float, now: float) -> None:
        if self._alarm is not None and not self._alarm.done():
            if self._alarm_at <= now + delay:
                return
            self._alarm.cancel()
        else:
            self._scarce_from = now
        self._alarm_at = now + delay
        self._alarm = asyncio.get_running_loop().create_task(self._ring(delay), name="flowledger-limiter")

    async def _ring(self, delay: float) -> None:
        await self._clock.sleep(delay)
        self._alarm = None
        if self._live_waiters():
            self._grow(self._clock.monotonic())
        self._serve()


def held(future: asyncio.Future[None]) -> bool:
    """Whether an asked-for slot was given, whatever became of the task that waited for it."""
    return future.done() and not future.cancelled() and future.exception() is None
