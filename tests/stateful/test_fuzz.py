"""Everything that can go wrong, in any order and any number of times, and exactly one of everything after it.

The system is driven for real: each sitting is a process that applies, resumes or destroys. Rules arm what will happen
to it. The model is what strangers did; everything else is asked of the platform and the journal after each sitting. A
failure prints the script that leads to it, which belongs into test_regressions.py. `scripts/fuzz --minutes N` searches
on.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from tests.stateful.disturbances import SEEN, step
from tests.stateful.provisioning import Provisioning


class Together(Provisioning):
    """One process drives three runs at once, which share what is equal; then the next three, in the other style."""

    together = 3


class BeyondTheLimits(Provisioning):
    """What no client can make good: a platform slower than the settle window, and calls that are delivered twice.

    Then twins come; the last look reports those that are late by less than two windows.
    """

    beyond = True

    @rule(step=step, seconds=st.integers(91, 120))
    def commit_too_late(self, step: str, seconds: int) -> None:
        self.fault(step, "late", after_ms=seconds * 1000)

    @rule(seconds=st.integers(20, 55))
    def lag_lists_too_long(self, seconds: int) -> None:
        self.world.emulator.faults.set_list_lag("*", seconds * 1000)

    @rule(step=step)
    def deliver_twice(self, step: str) -> None:
        self.fault(step, "twice")
        # It strikes the next call of any run, so from here on any may have been doubled.
        self.world.doubled.update((run, step) for run in (*self.world.runs, *(f"run-{n}" for n in range(2, 60))))


def search(machine: type[Provisioning], *, examples: int, steps: int, shrink: bool = True, turn: int = 0) -> None:
    """Run a machine: the same examples each time, unless FLOWLEDGER_FUZZ_SEED says otherwise.

    `shrink`: make the script of a failure as short as possible, which may take minutes.
    """
    shrink = shrink or "FLOWLEDGER_FUZZ_SEED" in os.environ
    chosen = settings(
        max_examples=int(os.environ.get("FLOWLEDGER_FUZZ_EXAMPLES", examples)),
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
    )
    seeded = seed(int(os.environ.get("FLOWLEDGER_FUZZ_SEED", "0")) + turn)(type(machine.__name__, (machine,), {}))
    run_state_machine_as_test(seeded, settings=chosen)


def require_seen(*states: str) -> None:
    """A search means little if it never gets anywhere. Of a chosen seed only the search is wanted."""
    if "FLOWLEDGER_FUZZ_SEED" not in os.environ:
        assert missing(*states) == [], f"seen: {SEEN.most_common()}"


def missing(*states: str) -> list[str]:
    """Those that no example has reached."""
    return [state for state in states if not SEEN[state]]


def search_until_seen(
    machine: type[Provisioning], *states: str, examples: int, steps: int, seeds: int, at_most: int, shrink: bool = True
) -> None:
    """Search with `seeds` seeds, and go on, up to `at_most`, until all of that was reached: what one seed finds depends
    on the modules that are loaded."""
    SEEN.clear()
    for turn in range(at_most):
        search(machine, examples=examples, steps=steps, shrink=shrink, turn=turn)
        if "FLOWLEDGER_FUZZ_SEED" in os.environ or (turn + 1 >= seeds and not missing(*states)):
            break
    require_seen(*states)


#: Each disturbance that the search is for has been met, not only armed; a delivery twice is beyond the limits.
DISTURBANCES = (
    "met: lost", "met: answer_lost", "met: answer_cut", "met: drop", "met: cut", "met: late",
    "met: slow", "met: 429, no Retry-After", "met: 429, a usual Retry-After", "met: 429, an absurd Retry-After",
    "met: 5xx before the commit", "met: 5xx after the commit", "met: a body that is malformed",
    "met: a body that is html", "met: a body that is empty", "met: a body that is no_id", "met: a wrong content type",
    "met: token", "met: a token that is not valid any more", "met: lists that lag", "met: somebody has our name",
    "met: somebody has our title", "somebody did in the middle: edit", "somebody did in the middle: delete", "died",
    "a torn tail", "a torn tail after a death", "a damaged journal", "DiskFull", "JournalUnavailable",
    "JournalPoisoned",
    "met: a second process", "met: another platform process", "the clock jumps forward", "the clock jumps back",
)  # fmt: skip
DEEP = (
    "adopted", "found: find_or_create_sink", "sent again after doubt", "last look", "Conflict", "Drifted", "Rejected",
    "Interrupted", "Unreachable", "ended: Drifted",
)  # fmt: skip
SHARING = (
    "adopted", "shared: create_base_connection", "shared: find_or_create_sink", "died",
    "Interrupted", "destroyed", "left: found,", "nothing left",
)  # fmt: skip
DESTROYED = (
    "destroyed", "a destroy is carried on", "a destroyed name is refused", "nothing left", "destroy: died",
    "destroy: Interrupted", "destroy: JournalUnavailable", "to be destroyed: provisioned",
    "to be destroyed: provisioning",
    "to be destroyed: in_doubt", "left: used",
)  # fmt: skip


#: What no search may miss, however short.
USUAL = ("provisioned", "died", "adopted", "sent again after doubt", "last look", "a torn tail", "destroyed")


@pytest.mark.timeout(600)  # the machine may be busy
def test_whatever_happens_there_is_exactly_one_of_everything() -> None:
    search_until_seen(Provisioning, *USUAL, examples=9, steps=25, seeds=2, at_most=8, shrink=False)


@pytest.mark.timeout(600)
def test_whatever_happens_to_several_runs_at_once_there_is_one_of_what_they_share() -> None:
    shared = ("shared: create_base_connection", "shared: find_or_create_sink")
    search_until_seen(Together, "provisioned", "died", *shared, examples=5, steps=20, seeds=1, at_most=8, shrink=False)


@pytest.mark.timeout(600)
def test_a_platform_slower_than_the_settle_window_makes_twins_that_are_reported() -> None:
    search(BeyondTheLimits, examples=8, steps=25, shrink=False)


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_a_longer_search_reaches_every_deep_state_and_there_is_exactly_one_of_everything() -> None:
    wanted = (*DEEP, *DISTURBANCES, *DESTROYED)
    search_until_seen(Provisioning, *wanted, examples=30, steps=40, seeds=3, at_most=12)


@pytest.mark.long
@pytest.mark.timeout(1000)
def test_a_longer_search_with_several_runs_at_once_ends_with_one_of_what_they_share() -> None:
    search_until_seen(Together, *SHARING, examples=15, steps=25, seeds=2, at_most=8)


@pytest.mark.long
@pytest.mark.timeout(1000)
def test_a_longer_search_beyond_the_limits_reports_every_twin() -> None:
    search_until_seen(BeyondTheLimits, "twins reported", "met: twice", examples=20, steps=30, seeds=2, at_most=8)
