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


def search(machine: type[Provisioning], *, examples: int, steps: int, shrink: bool = True) -> None:
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
    seeded = seed(int(os.environ.get("FLOWLEDGER_FUZZ_SEED", "0")))(type(machine.__name__, (machine,), {}))
    run_state_machine_as_test(seeded, settings=chosen)


def require_seen(*states: str) -> None:
    """A search means little if it never gets anywhere. Of a chosen seed only the search is wanted."""
    if "FLOWLEDGER_FUZZ_SEED" not in os.environ:
        assert [state for state in states if not SEEN[state]] == [], f"seen: {SEEN.most_common()}"


def test_whatever_happens_there_is_exactly_one_of_everything() -> None:
    SEEN.clear()
    search(Provisioning, examples=25, steps=25, shrink=False)
    require_seen(
        "provisioned",
        "died",
        "adopted",
        "sent again after doubt",
        "last look",
        "Drifted",
        "a torn tail",
        "a damaged journal",
    )


def test_a_platform_slower_than_the_settle_window_makes_twins_that_are_reported() -> None:
    search(BeyondTheLimits, examples=10, steps=25, shrink=False)


@pytest.mark.long
@pytest.mark.timeout(1000)
def test_a_longer_search_reaches_every_deep_state_and_there_is_exactly_one_of_everything() -> None:
    SEEN.clear()
    search(Provisioning, examples=150, steps=40)
    wanted = ["adopted", "found: find_or_create_sink", "sent again after doubt", "last look", "Conflict", "Drifted"]
    wanted += ["Rejected", "Interrupted", "DiskFull", "JournalError", "Unreachable", "ended: Drifted"]
    wanted += ["a torn tail", "a torn tail after a death", "a damaged journal"]
    require_seen(*wanted)


@pytest.mark.long
@pytest.mark.timeout(1000)
def test_a_longer_search_beyond_the_limits_reports_every_twin() -> None:
    SEEN.clear()
    search(BeyondTheLimits, examples=60, steps=30)
    require_seen("twins reported")
