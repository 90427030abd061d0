"""What we rely on in `transitions`, one test a behaviour, and what our subclass cures."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from transitions import MachineError

from flowledger.engine.lane import Lane
from flowledger.engine.table import TABLES, Table
from flowledger.errors import UsageError
from flowledger.steps.step import Step


class ScriptedRun:
    """Performs steps by doing what the test says."""

    table = TABLES["tutorial"]

    def __init__(self) -> None:
        self.performed: list[str] = []
        self.finished: set[str] = set()
        self.on_perform: Any = None

    def done(self, step: str) -> bool:
        return step in self.finished

    async def perform(self, step: Step) -> None:
        if self.on_perform is not None:
            await self.on_perform(step)
        self.performed.append(step.name)
        self.finished.add(step.name)


async def test_a_lane_walks_its_branch_in_order() -> None:
    run = ScriptedRun()
    lane = Lane(run, "source")
    for row in run.table.rows_of("source"):
        assert await lane.fire(row.step.name) is True
        assert lane.state == row.dest
    assert run.performed == [row.step.name for row in run.table.rows_of("source")]
    assert lane.ahead == ()


async def test_a_trigger_out_of_order_is_refused_and_changes_nothing() -> None:
    run = ScriptedRun()
    lane = Lane(run, "source")
    for step in ("explore", "create_source_connection", "create_flow", "read_tenant"):
        with pytest.raises(MachineError):
            await lane.fire(step)
    assert lane.state == "planned"
    assert run.performed == []


async def test_a_guard_that_is_not_met_returns_false_and_changes_nothing() -> None:
    run = ScriptedRun()
    lane = Lane(run, "flow")
    assert await lane.fire("create_flow") is False
    assert lane.state == "planned"
    assert run.performed == []


async def test_a_step_that_fails_leaves_the_state_untouched_and_raises_its_own_error() -> None:
    run = ScriptedRun()
    lane = Lane(run, "tenant")

    async def fail(step: Step) -> None:
        raise ValueError("the step's own")

    run.on_perform = fail
    with pytest.raises(ValueError, match="the step's own"):
        await lane.fire("read_tenant")
    assert lane.state == "planned"


async def test_a_cancelled_step_raises_the_cancellation_and_leaves_the_state_untouched() -> None:
    run = ScriptedRun()
    lane = Lane(run, "tenant")
    begun = asyncio.Event()

    async def hang(step: Step) -> None:
        begun.set()
        await asyncio.Event().wait()

    run.on_perform = hang
    task = asyncio.ensure_future(lane.fire("read_tenant"))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lane.state == "planned"
    run.on_perform = None
    assert await lane.fire("read_tenant") is True


async def test_a_timeout_around_a_step_works() -> None:
    run = ScriptedRun()
    lane = Lane(run, "tenant")

    async def hang(step: Step) -> None:
        await asyncio.Event().wait()

    run.on_perform = hang
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await lane.fire("read_tenant")
    assert lane.state == "planned"


async def test_a_second_caller_on_a_lane_gets_an_error_and_the_first_is_not_cancelled() -> None:
    run = ScriptedRun()
    lane = Lane(run, "tenant")
    begun, go = asyncio.Event(), asyncio.Event()

    async def hold(step: Step) -> None:
        begun.set()
        await go.wait()

    run.on_perform = hold
    first = asyncio.ensure_future(lane.fire("read_tenant"))
    await begun.wait()
    with pytest.raises(UsageError):
        await lane.fire("read_tenant")
    go.set()
    assert await first is True
    assert run.performed == ["read_tenant"]


async def test_two_runs_on_one_branch_do_not_disturb_each_other() -> None:
    first, second = ScriptedRun(), ScriptedRun()
    lanes = Lane(first, "lookup"), Lane(second, "lookup")
    await asyncio.gather(*(lane.fire("find_flow_spec") for lane in lanes))
    assert [lane.state for lane in lanes] == ["flow_spec_found", "flow_spec_found"]
    assert first.performed == second.performed == ["find_flow_spec"]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_branch_begins_planned_and_is_one_unbroken_line(table: Table) -> None:
    for branch in table.branches:
        rows = table.rows_of(branch)
        assert rows[0].source == "planned"
        assert all(before.dest == after.source for before, after in pairwise(rows))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_names_and_slugs_are_unique_and_safe_in_filters(table: Table) -> None:
    names = [row.step.name for row in table.rows]
    slugs = [row.step.slug for row in table.rows]
    assert len(set(names)) == len(names)
    assert len(set(slugs)) == len(slugs)
    assert all(set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for slug in slugs)
