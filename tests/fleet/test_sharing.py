"""Equal source connections are one base connection, and the sandbox has one sink, whatever becomes of the leader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.engine.ledger import RunState
from flowledger.steps.client.inprocess import Fate
from flowledger.steps.client.port import Request
from flowledger.steps.step import How

Counts = Callable[[int], dict[str, int]]


def found_from(yard: Any, run: str, step: str) -> tuple[Any, str]:
    record = yard.ledger(run).step(step)
    return record.how, record.shared_from


def test_equal_connections_are_made_once_and_found_by_the_others(yard: Any, shared_by: Counts) -> None:
    report = yard.apply(yard.specs(10))
    assert report.exit_code == 0
    assert {outcome.state for outcome in report.runs} == {RunState.PROVISIONED}
    assert yard.counts() == shared_by(10)
    assert yard.sent("POST", "/token/v3") == 1
    for step in ("create_base_connection", "find_or_create_sink"):
        ids = {str(yard.ledger(outcome.run).step(step).outputs["id"]) for outcome in report.runs}
        assert len(ids) == 1
        hows = [found_from(yard, outcome.run, step) for outcome in report.runs]
        assert hows.count((How.CREATED, "")) == 1
        leader = next(run.run for run, how in zip(report.runs, hows, strict=True) if how[0] is How.CREATED)
        assert hows.count((How.FOUND, leader)) == 9


def test_the_leaders_lost_answer_is_adopted_while_the_others_wait(yard: Any, shared_by: Counts) -> None:
    lost: list[Request] = []

    def lose_the_first(request: Request) -> Fate:
        if request.method == "POST" and request.path.endswith("/connections") and not lost:
            lost.append(request)
            return Fate.ANSWER_LOST
        return Fate.ANSWERED

    yard.fate = lose_the_first
    report = yard.apply(yard.specs(5))
    assert report.exit_code == 0
    assert yard.counts() == shared_by(5)
    assert lost
