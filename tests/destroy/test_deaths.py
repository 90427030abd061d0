"""A run that is killed anywhere, and destroyed by a process that is killed anywhere, leaves nothing behind."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from flowledger.errors import TryLater, UsageError
from flowledger.steps.client.inprocess import Fate
from flowledger.steps.client.port import Request

MOMENTS_OF_APPLY = 100  # at least: the long tests go on until there are no more
MOMENTS_OF_DESTROY = 320
HANDFUL = 16


def destroyed_after(bench: Any, act: Callable[[], Any], moment: int) -> bool:
    """Kill `act` at the moment, destroy, and look. False if it ended before the moment came."""
    died = bool(bench.died(act, moment))
    report = bench.destroy()
    assert str(report.state) == "destroyed", report
    assert report.left == ()
    assert set(bench.counts().values()) == {0}, f"killed at moment {moment}: {bench.counts()}"
    with pytest.raises(UsageError):
        bench.apply()
    bench.time.advance(1000)  # and nothing that is still on its way comes later
    assert set(bench.counts().values()) == {0}
    return died


@pytest.mark.parametrize("moment", range(3, MOMENTS_OF_APPLY, HANDFUL))
def test_a_run_that_was_killed_anywhere_is_destroyed_without_a_trace(bench: Any, moment: int) -> None:
    assert destroyed_after(bench, bench.apply, moment)


@pytest.mark.long
@pytest.mark.parametrize("rest", range(HANDFUL))
def test_a_run_that_was_killed_at_every_moment_is_destroyed_without_a_trace(make_bench: Any, rest: int) -> None:
    for moment in range(2 + rest, 1000, HANDFUL):
        if not destroyed_after_begun(make_bench(), moment):
            break
    assert moment > MOMENTS_OF_APPLY


def destroyed_after_begun(bench: Any, moment: int) -> bool:
    return destroyed_after(bench, bench.apply, moment)


@pytest.mark.parametrize("moment", range(5, MOMENTS_OF_DESTROY, 3 * HANDFUL))
def test_a_destroy_that_was_killed_anywhere_is_carried_on_by_the_next(bench: Any, moment: int) -> None:
    bench.apply()
    assert destroyed_after(bench, bench.destroy, moment)


@pytest.mark.long
@pytest.mark.parametrize("rest", range(HANDFUL))
def test_a_destroy_that_was_killed_at_every_moment_is_carried_on_by_the_next(make_bench: Any, rest: int) -> None:
    for moment in range(1 + rest, 2000, HANDFUL):
        bench = make_bench()
        bench.apply()
        if not destroyed_after(bench, bench.destroy, moment):
            break
    assert moment > MOMENTS_OF_DESTROY


def troubled(bench: Any, chance: random.Random) -> None:
    """A few things that go wrong, within what the settle window allows."""
    fates = [fate for fate in Fate if fate is not Fate.ANSWERED]

    def fate(request: Request) -> Fate:
        return chance.choice(fates) if chance.random() < 0.04 else Fate.ANSWERED

    bench.fate = fate
    lag = chance.choice((0, 0, 5_000, 15_000))
    bench.emulator.options.list_lag_ms = {"*": lag}
    bench.emulator.options.flow_ready_ms = chance.choice((0, 3_000))
    for _ in range(chance.randrange(4)):
        route = f"POST /{chance.choice(('connections', 'dataSets', 'flows', 'classes', 'targetConnections'))}"
        match chance.randrange(4):
            case 0:
                bench.emulator.faults.add(route, "late", after_ms=chance.randrange(1, 69_000))
            case 1:
                bench.emulator.faults.add(route, "answer", status=chance.choice((408, 500, 502)), when="after")
            case 2:
                bench.emulator.faults.add(route, "answer", status=429, retry_after=3)
            case _:
                path = chance.choice(("flows", "dataSets", "connections", "sourceConnections", "schemas"))
                when = chance.choice(("before", "after"))
                bench.emulator.faults.add(f"DELETE /{path}/{{id}}", "answer", status=503, when=when)


def survive(bench: Any, chance: random.Random) -> None:
    """Apply and destroy, killed and rebooted and troubled, until a destroy gets through."""
    troubled(bench, chance)
    for _ in range(chance.randrange(1, 4)):
        with suppress(TryLater):
            bench.died(bench.apply, chance.randrange(2, 200))
        if chance.random() < 0.3:
            bench.clock.boot()
    for sitting in range(12):
        try:
            if not bench.died(bench.destroy, chance.randrange(1, 700) if sitting < 6 else 0):
                break
        except TryLater:
            bench.time.advance(chance.randrange(60))
        if bench.kinds_of_events() and "destroy_begun/1" in bench.kinds_of_events():
            with pytest.raises(UsageError):
                bench.apply()
        if chance.random() < 0.3:
            bench.clock.boot()
    bench.time.advance(1000)
    bench.emulator.now_ms()
    ledger = bench.ledger()
    assert ledger.destroyed
    assert set(bench.counts().values()) == {0}, bench.counts()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_goes_wrong_on_the_way_nothing_is_left_behind(bench: Any, seed: int) -> None:
    survive(bench, random.Random(seed))


@pytest.mark.long
@pytest.mark.parametrize("tens", range(20))
def test_whatever_goes_wrong_on_the_way_nothing_is_left_behind_at_length(make_bench: Any, tens: int) -> None:
    for seed in range(1000 + 15 * tens, 1015 + 15 * tens):
        survive(make_bench(), random.Random(seed))
