"""One pace for all calls: nobody is slowed before a 429, everybody after it, and nearly all that is allowed is used."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from flowledger.steps.client.limiter import AT_ONCE, FIRST_WINDOW, LONGEST_PAUSE, Limiter
from flowledger.testing import VirtualTime, run_in_virtual_time


@dataclass
class Server:
    """Lets `rate` calls a second through, `burst` of them at once, and answers after `latency` seconds."""

    time: VirtualTime
    rate: float
    burst: float
    latency: float
    says_when: bool = False  # Retry-After, in whole seconds
    tokens: float = 0.0
    at: float = 0.0
    arrived: list[tuple[float, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tokens, self.at = self.burst, self.time.monotonic()

    async def call(self, limiter: Limiter, chance: random.Random) -> tuple[bool, float | None]:
        began = self.time.monotonic()
        took = self.latency * (0.7 + 0.6 * chance.random())
        await asyncio.sleep(took / 2)
        now = self.time.monotonic()
        self.tokens, self.at = min(self.burst, self.tokens + (now - self.at) * self.rate), now
        good = self.tokens >= 1
        self.tokens -= good
        self.arrived.append((now, good))
        await asyncio.sleep(took / 2)
        asked = None if good or not self.says_when else float(math.ceil((1 - self.tokens) / self.rate))
        limiter.answered(throttled=not good, asked=asked, began=began)
        return good, asked

    @property
    def refused(self) -> float:
        """The part of the calls that were answered 429."""
        return sum(not good for _, good in self.arrived) / len(self.arrived)

    def used(self, *, skip: float = 0.0) -> float:
        """The part that was used of what was allowed, without the first `skip` seconds."""
        began, end = self.arrived[0][0] + skip, self.arrived[-1][0]
        return sum(good for at, good in self.arrived if at > began) / (self.rate * (end - began))


async def many_runs(server: Server, limiter: Limiter, *, runs: int, parallel: int) -> None:
    """Callers as runs are: a chain of 8 calls with 11 beside it, back-off after a 429."""
    chance = random.Random(3)
    seats = asyncio.Semaphore(parallel)

    async def call() -> None:
        attempt = 0
        while True:
            async with limiter:
                good, asked = await server.call(limiter, chance)
            if good:
                return
            await asyncio.sleep(asked if asked is not None else 0.5 * 2**attempt * (0.5 + 0.5 * chance.random()))
            attempt += 1

    async def lane(calls: int) -> None:
        for _ in range(calls):
            await call()

    async def one() -> None:
        async with seats:
            await asyncio.gather(*(lane(calls) for calls in (8, 4, 3, 2, 2)))

    await asyncio.gather(*(one() for _ in range(runs)))
    await limiter.close()


RATES = {10: 8.0, 100: 70.0, 1000: 500.0}  # calls a second that so many runs get: each fleet takes 20 to 40 seconds
CELLS = [
    (runs, says_when, burst, latency)
    for runs in (10, 100, 1000)
    for says_when in (False, True)
    for burst in (0.1, 1.0)  # seconds
    for latency in (0.005, 0.05, 0.15)  # seconds
]

# What cannot be had, with what is had instead: the least part that is used, and the largest that is refused.
# Ten runs: 2 % are three calls. A whole second's worth at once hides the limit until the calls are far too many.
FEW = dict.fromkeys([(10, says, 1.0, 0.05) for says in (False, True)], (0.94, 0.03))
FEW |= dict.fromkeys([(10, says, 1.0, 0.15) for says in (False, True)], (0.94, 0.045))
# Each 429 stops everybody for a second, of which the platform saves up a tenth; two are needed to find the limit.
STOPPED = {(runs, True, 0.1, latency): (0.82, 0.02) for runs in RATES for latency in (0.005, 0.05, 0.15)}
# The first 429 comes after three seconds, since answers are slow and the start is gentle.
FAR = dict.fromkeys([(1000, False, 0.1, 0.15), (1000, False, 1.0, 0.15), (1000, True, 1.0, 0.15)], (0.91, 0.02))
EXCEPTIONS = FEW | STOPPED | FAR


def driven(runs: int, rate: float, *, latency: float, burst: float, says_when: bool = False) -> Server:
    """A fleet against a server; `burst` in seconds, of two calls at least."""
    time = VirtualTime()
    server = Server(time, rate, max(2.0, burst * rate), latency, says_when)

    async def main() -> None:
        limiter = Limiter(time)
        limiter.start_gently()
        await many_runs(server, limiter, runs=runs, parallel=50)

    run_in_virtual_time(time, main())
    return server


@pytest.mark.parametrize(
    ("runs", "says_when", "burst", "latency"),
    [pytest.param(*cell, marks=pytest.mark.long if cell[0] == 1000 else ()) for cell in CELLS],
)
def test_what_is_allowed_is_used_and_calls_are_seldom_refused(
    runs: int, says_when: bool, burst: float, latency: float
) -> None:
    """From the first call to the last, start and end included."""
    used, refused = EXCEPTIONS.get((runs, says_when, burst, latency), (0.95, 0.02))
    server = driven(runs, RATES[runs], latency=latency, burst=burst, says_when=says_when)
    assert server.refused <= refused
    assert server.used() >= used


def test_a_fleet_that_nobody_slows_is_at_full_speed_within_a_second() -> None:
    server = driven(100, 1e6, latency=0.005, burst=1.0)
    began = server.arrived[0][0]
    assert sum(at - began < 0.1 for at, _ in server.arrived) <= 4
    assert sum(at - began < 1.0 for at, _ in server.arrived) > 500
    assert server.refused == 0


def test_a_gentle_start_is_for_those_who_have_not_begun() -> None:
    async def story(time: VirtualTime, limiter: Limiter) -> None:
        async with limiter:
            limiter.answered(throttled=False, asked=None, began=time.monotonic())
        limiter.start_gently()
        began = time.monotonic()
        for _ in range(10):
            async with limiter:
                pass
        assert time.monotonic() - began < 0.1

    in_time(story)


@asynccontextmanager
async def limiting(time: VirtualTime) -> AsyncIterator[Limiter]:
    limiter = Limiter(time)
    try:
        yield limiter
    finally:
        await limiter.close()


def in_time(story: Callable[[VirtualTime, Limiter], Any]) -> None:
    """Tell a story with a limiter in virtual time."""
    time = VirtualTime()

    async def main() -> None:
        async with limiting(time) as limiter:
            await story(time, limiter)

    run_in_virtual_time(time, main())


def test_nobody_waits_for_the_pace_while_nobody_has_said_429() -> None:
    async def story(time: VirtualTime, limiter: Limiter) -> None:
        began = time.monotonic()
        for _ in range(300):  # one after another, as a run does, at 100 calls a second
            async with limiter:
                sent = time.monotonic()
                await asyncio.sleep(0.01)
                limiter.answered(throttled=False, asked=None, began=sent)
        assert time.monotonic() - began == pytest.approx(3.0)
        assert limiter.rate is None

    in_time(story)


def test_a_start_is_no_stampede_and_the_calls_under_way_grow_with_the_answers() -> None:
    async def story(time: VirtualTime, limiter: Limiter) -> None:
        most = 0

        async def call() -> None:
            nonlocal most
            async with limiter:
                most = max(most, limiter.under_way)
                sent = time.monotonic()
                await asyncio.sleep(0.1)
                limiter.answered(throttled=False, asked=None, began=sent)

        calls = [asyncio.ensure_future(call()) for _ in range(2000)]
        await asyncio.sleep(0.05)
        assert most == FIRST_WINDOW
        await asyncio.sleep(0.1)
        assert FIRST_WINDOW < most <= 2 * FIRST_WINDOW
        await asyncio.gather(*calls)
        assert most == AT_ONCE

    in_time(story)


def test_a_pause_that_one_call_is_told_of_holds_every_call_and_ends_without_a_stampede() -> None:
    async def story(time: VirtualTime, limiter: Limiter) -> None:
        began = time.monotonic()
        limiter.answered(throttled=True, asked=7.0, began=began)
        starts: list[float] = []

        async def call() -> None:
            async with limiter:
                starts.append(time.monotonic() - began)
                await asyncio.sleep(0.001)
                limiter.answered(throttled=False, asked=None, began=time.monotonic())

        await asyncio.gather(*(call() for _ in range(30)))
        assert min(starts) >= 7.0
        first_second = sum(at < 8.0 for at in starts)
        assert first_second < 20

    in_time(story)


def test_retry_after_beside_a_503_holds_every_call_too() -> None:
    async def story(time: VirtualTime, limiter: Limiter) -> None:
        began = time.monotonic()
        limiter.answered(throttled=False, asked=3.0, began=began)
        async with limiter:
            assert time.monotonic() - began >= 3.0
        assert limiter.rate is None

    in_time(story)


def test_an_absurd_retry_after_is_capped() -> None:
    async def story(time: VirtualTime, limiter: Limiter) -> None:
        began = time.monotonic()
        limiter.answered(throttled=True, asked=1e9, began=began)
        async with limiter:
            assert time.monotonic() - began <= LONGEST_PAUSE + 1

    in_time(story)


def test_slots_are_given_in_the_order_they_were_asked_for() -> None:
    async def story(time: VirtualTime, limiter: Limiter) -> None:
        limiter.answered(throttled=True, asked=None, began=time.monotonic())
        order: list[int] = []

        async def call(number: int) -> None:
            async with limiter:
                order.append(number)

        await asyncio.gather(*(call(number) for number in range(20)))
        assert order == list(range(20))

    in_time(story)


def test_a_caller_that_is_cancelled_gives_its_place_to_the_next() -> None:
    async def story(time: VirtualTime, limiter: Limiter) -> None:
        limiter.answered(throttled=True, asked=None, began=time.monotonic())
        async with limiter:
            waiting = [asyncio.ensure_future(limiter.__aenter__()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            await asyncio.gather(waiting[0], return_exceptions=True)
            await asyncio.gather(*waiting[1:])
            assert limiter.under_way == 3
            limiter.leave()
            limiter.leave()
        assert limiter.under_way == 0

    in_time(story)


def test_closing_keeps_nobody_waiting_and_leaves_nothing_in_the_loop() -> None:
    time = VirtualTime()

    async def main() -> None:
        limiter = Limiter(time)
        limiter.answered(throttled=True, asked=60.0, began=time.monotonic())
        served: list[int] = []

        async def caller(number: int) -> None:
            async with limiter:
                served.append(number)

        waiting = [asyncio.create_task(caller(number)) for number in range(3)]
        await asyncio.sleep(0)
        assert served == []
        await limiter.close()
        await asyncio.gather(*waiting, caller(3))
        assert served == [0, 1, 2, 3]
        assert limiter.under_way == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    before = time.monotonic()
    run_in_virtual_time(time, main())
    assert time.monotonic() - before < 1.0


def test_a_429_to_a_call_from_before_the_slowing_down_changes_nothing_more() -> None:
    async def story(time: VirtualTime, limiter: Limiter) -> None:
        sent = time.monotonic()
        await asyncio.sleep(0.1)
        limiter.answered(throttled=True, asked=None, began=sent)
        rate = limiter.rate
        for _ in range(20):
            limiter.answered(throttled=True, asked=None, began=sent)
        assert limiter.rate == rate
        assert limiter.throttled == 21

    in_time(story)


def test_a_limit_that_was_raised_is_found_and_one_that_is_gone_is_forgotten() -> None:
    async def story(time: VirtualTime, limiter: Limiter) -> None:
        server = Server(time, 50, 5, 0.002)
        chance = random.Random(5)

        async def call_for(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                async with limiter:
                    await server.call(limiter, chance)

        await asyncio.gather(*(call_for(20) for _ in range(20)))
        assert limiter.rate is not None
        assert limiter.rate == pytest.approx(50, rel=0.15)
        server.rate = 150.0
        await asyncio.gather(*(call_for(90) for _ in range(20)))
        assert limiter.rate is not None
        assert limiter.rate == pytest.approx(150, rel=0.15)
        await asyncio.sleep(120)
        async with limiter:
            assert limiter.rate is None

    in_time(story)
