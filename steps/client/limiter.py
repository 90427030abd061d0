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

from flowledger.steps.client.allowance import Allowance
from flowledger.steps.client.clock import Clock

AT_ONCE: Final = 100  # calls under way at the same time, as many as the HTTP port has connections
FIRST_WINDOW: Final = 4.0  # calls under way at the start: as many as one run begins with
FAST_UNTIL: Final = 8.0  # calls under way up to which each answer allows one more
SLOWER: Final = 0.2  # how much of a call each answer adds from there on
FIRST_RATE: Final = 400.0  # calls a second at the start: more than one run makes
DOUBLED_IN: Final = 0.25  # seconds in which the first rate doubles
GENTLE_RATE: Final = 10.0  # calls a second at the start of many runs
GENTLE_CALLS: Final = 4.0  # answers at least between doublings of that
GENTLE_ROUNDS: Final = 1.5  # times that a call takes, at least, between them
UNBOUNDED: Final = 20_000.0  # calls a second from which nobody could tell the difference any more
LONGEST_PAUSE: Final = 60.0  # seconds: what Retry-After may ask of everybody; a run's own wait obeys its spec
MARGIN: Final = 0.02  # how far below the limit that was found calls go
OFTEN: Final = 0.011  # part of the answers that say 429, from which on the pace is more careful
ALLOWED_AT_FIRST: Final = 0.5  # answers that may say 429 besides
CREEP: Final = 0.01  # growth a second of a rate that was found, more with every `DOUBLED_AFTER` without a 429
CAREFULLY_BELOW: Final = 40.0  # calls a second, below which it grows more slowly, since each 429 is a larger part
DOUBLED_AFTER: Final = 8.0  # seconds
CALLS_AFTER: Final = 200.0  # and calls
RARELY: Final = 12.0  # how much more slowly it grows where a 429 costs a pause of a second
EXPLORE: Final = 0.8  # growth a second at most
FOUND_WITHIN: Final = 1.25  # how far apart, in parts, two bounds of the limit may lie for it to be found
FIRST_APART: Final = 1.6  # how far apart they are taken to lie after one 429
CROSSED_IN: Final = 3.0  # seconds in which a rate grows from bound to bound
TOO_FAST: Final = 0.5  # what is left of a rate that was refused before anything was let through
LONGEST_ROUND: Final = 1.0  # seconds that a call is taken to be on its way at most
CREDIT: Final = 0.05  # seconds of lateness that may be made up for: a busy loop wakes late, and must not lose calls
FORGOTTEN_AFTER: Final = 60.0  # seconds without anybody waiting, after which calls are not spaced any more
SLOWEST: Final = 0.2  # calls a second: whatever happens, somebody goes on asking


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
        self._closed = False
        self._rate = FIRST_RATE
        self._open = True  # nobody has said 429 yet, and the rate only keeps a start from being a stampede
        self._gentle = False  # many runs begin together
        self._ceiling = math.inf  # calls a second that the answers so far allow a gentle start
        self._allowance = Allowance()
        self._found = 0.0  # calls a second that the platform allows; 0: not known well enough
        self._growth = EXPLORE  # a second; the less is known of the limit the more
        self._next_at = 0.0
        self._paused_until = 0.0
        self._scarce_at = clock.monotonic()  # when somebody last waited for the pace
        self._scarce_from = 0.0  # since when somebody has been waiting for it, and the rate has not grown
        self._slowed_at = 0.0  # when a 429 last changed the pace
        self._look_again_at = math.inf  # what was sent until then had not been answered when the pace was chosen
        self._pauses = 0.0  # seconds of pause since then
        self._round = 0.0  # seconds that a call took lately
        self._answers = 0
        self.throttled = 0  # answers that said 429

    @property
    def rate(self) -> float | None:
        """Calls a second that are begun at most; None while nobody has said 429."""
        return None if self._open else self._rate

    @property
    def under_way(self) -> int:
        """Slots that are held."""
        return self._under_way

    def enter(self) -> None:
        """Serve a new event loop; the one before is closed. The pace is kept."""
        self._waiting.clear()
        self._alarm = None
        self._under_way = 0

    def start_gently(self) -> None:
        """Many runs are about to begin at the same time: feel the way up, unless there is a pace already."""
        if self._open and not self._answers and not self._under_way:
            self._gentle, self._rate, self._ceiling = True, GENTLE_RATE, GENTLE_RATE

    # Slots

    def ask(self) -> asyncio.Future[None] | None:
        """Ask for a slot. None: it is held from now on. Else a future that completes once it is held.

        Whoever loses interest completes the future first, by cancelling it or with an exception; once it is done by
        us the slot is held and wants `leave`.
        """
        now = self._clock.monotonic()
        if self._closed:
            self._take(now)
            return None
        if not self._live_waiters() and self._delay(now) <= 0 and self._under_way < int(self._window):
            self._take(now)
            return None
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(self._lost_interest)
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

    def _lost_interest(self, future: asyncio.Future[None]) -> None:
        """When the last one that waited has gone there is nobody to ring for: nothing goes on behind a run's end."""
        if not held(future) and not self._live_waiters() and self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    async def close(self) -> None:
        """Let nothing of ours be left in the loop. Whoever waits has a slot from now on: the port answers them all."""
        self._closed = True
        while self._live_waiters():
            self._take(self._clock.monotonic())
            self._waiting.popleft().set_result(None)
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
        self._answers += 1
        self._round += (now - began - self._round) * (0.2 if self._round else 1.0)
        if throttled or asked is None:
            self._allowance.note((began + now) / 2, good=not throttled)
        if began > self._look_again_at:
            self._look_again_at = math.inf
            self._choose()
        if asked is not None:
            until = now + min(max(asked, 0.0), LONGEST_PAUSE)
            if until > self._paused_until:
                self._pauses += until - max(now, self._paused_until)
                self._paused_until = until
        elif not throttled:
            self._ceiling *= 2 ** (1 / GENTLE_CALLS)
            if self._under_way >= int(self._window) - 1 and self._window < self._at_once:
                self._window = min(self._window + (1.0 if self._window < FAST_UNTIL else SLOWER), float(self._at_once))
        if throttled:
            self.throttled += 1
            if self._open or began >= self._slowed_at:
                self._slow_down(now, began)

    def _slow_down(self, now: float, began: float) -> None:
        """A 429 is news: the bucket was empty. Choose a pace now, and again once what is under way was answered."""
        self._open = False
        self._allowance.emptied((began + now) / 2, self._rate)
        self._choose()
        self._look_again_at = now
        # What was sent before reaches the platform for as long as a call takes; then it is as empty as it was.
        self._slowed_at = now + min(now - began, LONGEST_ROUND)
        self._scarce_at = now
        self._pauses = max(0.0, self._paused_until - self._slowed_at)
        self._next_at = max(self._next_at, now + 1 / self._rate)

    def _choose(self) -> None:
        """Choose a rate and how fast it may grow, by how much is known of the limit."""
        bounds = self._allowance.bounds()
        if bounds is None:
            self._rate = max(min(self._rate * TOO_FAST, GENTLE_RATE), SLOWEST)
            self._growth, self._found = EXPLORE, 0.0
            return
        low, high = bounds
        middle, apart = math.sqrt(low * high), high / low
        if low <= self._found <= high:
            middle, apart = 0.995 * self._found, 1.0  # nothing speaks against what was found before
        elif self._found and middle < self._found:
            # A loop or a network that stood still for a moment looks the same; if it is less, the next 429 comes soon.
            middle, apart = max(middle, 0.93 * self._found), 1.0
        if self._allowance.episodes < 2:  # one 429 and what came right after it prove little
            apart = max(apart, FIRST_APART)
        if apart <= FOUND_WITHIN:
            # Where 429s are more than they should be, stay further below, and look more rarely whether more is allowed.
            often = min(max(1.0, self.throttled / (OFTEN * self._answers + ALLOWED_AT_FIRST)), 2.0)
            self._found, self._rate = middle, (1 - MARGIN * min(often, 1.5)) * middle
            self._growth = CREEP * min(1.0, middle / CAREFULLY_BELOW) / often**2
        else:
            self._found, self._rate = 0.0, middle
            self._growth = min(math.log(apart) / CROSSED_IN, EXPLORE)
        self._rate = max(self._rate, SLOWEST)

    def _grow(self, now: float) -> None:
        """The rate creeps up, but only while somebody wants more than it gives."""
        span = min(now - self._scarce_from, 0.25)
        self._scarce_from = now
        if self._open:
            doubled_in = max(GENTLE_ROUNDS * self._round, 0.05) if self._gentle else DOUBLED_IN
            self._rate = min(self._rate * 2 ** (span / doubled_in), self._ceiling, UNBOUNDED)
            return
        growth = self._growth * 2 ** min((now - self._slowed_at) / max(DOUBLED_AFTER, CALLS_AFTER / self._rate), 6.0)
        if self._found:  # where a 429 costs a pause, they had better be rare
            growth /= 1 + (RARELY - 1) * min(self._pauses, 1.0)
        self._rate *= 1 + min(growth, EXPLORE) * span

    # Giving out slots

    def _delay(self, now: float) -> float:
        return max(self._paused_until, self._next_at) - now

    def _take(self, now: float) -> None:
        self._under_way += 1
        if now - self._scarce_at > FORGOTTEN_AFTER:
            self._rate, self._open, self._scarce_at = FIRST_RATE, True, now
            self._gentle, self._ceiling, self._found = False, math.inf, 0.0
            self._allowance.forget()
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
