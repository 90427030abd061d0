"""Many runs that begin, or are carried on, at the same moment do not all call at that moment."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.errors import UsageError
from flowledger.steps.client.inprocess import Fate, Moment
from flowledger.steps.client.port import Request


def half_done(yard: Any, died: type[BaseException], runs: int) -> None:
    """So many runs, each somewhere between its first call and its last, whose process died."""
    sent = 0

    async def at(moment: Moment, _: Request) -> None:
        nonlocal sent
        if moment is Moment.CHECKED:
            sent += 1
            if sent > 10 * runs:
                raise died

    yard.at = at
    with pytest.raises(died):
        yard.apply_all(yard.specs(runs), parallel=runs)
    yard.at = None


def timed(yard: Any) -> list[float]:
    """When calls are sent from now on, in seconds from now; fills as they are."""
    times: list[float] = []
    began = yard.time.monotonic()

    def fate(request: Request) -> Fate:
        times.append(yard.time.monotonic() - began)
        return Fate.ANSWERED

    yard.fate = fate
    return times


def assert_gentle(times: list[float], calls: int) -> None:
    """Few calls in each of the first tenths of a second, all of them not much later."""
    assert sum(at < 0.1 for at in times) <= 3
    assert sum(at < 0.2 for at in times) <= 6
    assert sum(at < 5.0 for at in times) >= calls


@pytest.mark.parametrize("runs", [20, pytest.param(1000, marks=pytest.mark.long)])
def test_a_resume_of_many_half_done_runs_starts_gently(yard: Any, died: type[BaseException], runs: int) -> None:
    half_done(yard, died, runs)
    times = timed(yard)
    report = yard.resume_all()
    assert report.exit_code == 0
    assert report.summary()["runs"] >= runs // 2
    assert_gentle(times, 5 * runs)


def test_resuming_all_is_refused_where_all_that_is_unfinished_belongs_to_another_sandbox(
    yard: Any, died: type[BaseException]
) -> None:
    half_done(yard, died, 3)
    with pytest.raises(UsageError, match="belongs to sandbox prod"):
        yard.resume_all(sandbox="dev")
    report = yard.resume_all()
    assert report.exit_code == 0
    assert report.runs


def test_one_run_alone_is_not_held_back(yard: Any) -> None:
    times = timed(yard)
    assert yard.apply_all(yard.specs(1)).exit_code == 0
    assert times[9] < 0.2
