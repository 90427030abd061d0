"""Which runs may go from a journal: destroyed ones, provisioned ones if asked for, nothing that is unfinished."""

from __future__ import annotations

from typing import Any, cast

import pytest

from flowledger.engine.ledger import Ledger, RunState
from flowledger.engine.retention import verdicts

DAY = 86400.0


class _Told:
    """What is asked of a ledger."""

    def __init__(self, run: str, state: RunState, changed_at: float) -> None:
        self.run, self.state, self.changed_at, self.nonce = run, state, changed_at, "n"
        self.left: list[dict[str, str]] = []
        self.destroyed = state is RunState.DESTROYED
        self.unreadable = "a key of a later version" if state is RunState.UNREADABLE else ""


def dropped(runs: list[tuple[str, RunState, float]], **asked: Any) -> list[str]:
    ledgers = [cast(Ledger, _Told(*run)) for run in runs]
    return [verdict.run for verdict in verdicts(ledgers, now=100 * DAY, **asked) if verdict.drop]


@pytest.mark.parametrize("state", RunState)
@pytest.mark.parametrize("provisioned", [False, True])
def test_only_finished_runs_go(state: RunState, provisioned: bool) -> None:
    goes = dropped([("a", state, 0.0)], provisioned=provisioned) == ["a"]
    assert goes == (state is RunState.DESTROYED or (provisioned and state is RunState.PROVISIONED))


@pytest.mark.parametrize(("why", "goes"), [("used by flows/1", False), ("found, not made by this run", True)])
def test_a_destroyed_run_stays_while_a_later_destroy_can_delete_what_it_left(why: str, goes: bool) -> None:
    run = _Told("a", RunState.DESTROYED, 0.0)
    run.left = [{"step": "create_base_connection", "id": "1", "why": why}]
    asked = [cast(Ledger, run)]
    assert [verdict.drop for verdict in verdicts(asked, now=DAY)] == [goes]
    assert [verdict.drop for verdict in verdicts(asked, now=DAY, provisioned=True)] == [True]


def test_the_youngest_stay_and_so_do_those_that_are_to_be_kept() -> None:
    runs = [(f"day-{day}", RunState.DESTROYED, day * DAY) for day in (99, 50, 10, 80)]
    assert dropped(runs) == ["day-99", "day-50", "day-10", "day-80"]
    assert dropped(runs, older_than=30 * DAY) == ["day-50", "day-10"]
    assert dropped(runs, keep=3) == ["day-10"]
    assert dropped(runs, keep=1, older_than=30 * DAY) == ["day-50", "day-10"]


def test_kept_runs_are_counted_among_those_that_may_go() -> None:
    runs = [("working", RunState.PROVISIONING, 99 * DAY), ("old", RunState.DESTROYED, 1.0)]
    assert dropped(runs, keep=1) == []
