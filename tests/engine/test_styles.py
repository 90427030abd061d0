"""Runs of `style: current`: as safe as the tutorial's, and kept apart from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.emulator.faults import FaultKind, Shape
from flowledger.engine import api
from flowledger.engine.explain import explain
from flowledger.engine.history import history_of
from flowledger.engine.ledger import RunState
from flowledger.engine.plan import plan_of, resume_plan
from flowledger.engine.table import TABLES
from flowledger.errors import Drifted, Rejected, SpecError
from flowledger.steps.client.inprocess import Fate, Moment
from flowledger.steps.client.port import Request
from flowledger.steps.spec import Spec
from flowledger.steps.step import How, Step
from tests.bench import MADE_ONCE_IN

CURRENT = TABLES["current"]
MAKING = [row.step for row in CURRENT.rows if row.step.kind]
MADE_ONCE = MADE_ONCE_IN["current"]
each_effect = pytest.mark.parametrize("step", MAKING, ids=lambda step: str(step.name))
every_style = pytest.mark.parametrize("style", TABLES)


@pytest.fixture
def current(bench: Any) -> Any:
    """A bench whose spec is of today's style."""
    bench.spec = bench.spec.model_copy(update={"style": "current"})
    return bench


def is_effect_of(request: Request, step: Step) -> bool:
    marked = f"-{step.slug}" in str(request.body)
    return request.effect and request.method == "POST" and request.path.endswith(f"/{step.kind}") and marked


def dying_at(died: type[BaseException], wanted: Moment, step: Step) -> Callable[[Moment, Request], Any]:
    async def die(moment: Moment, request: Request) -> None:
        if moment is wanted and is_effect_of(request, step):
            raise died

    return die


def running_once(spec: Spec) -> Spec:
    schedule = spec.schedule.model_copy(update={"frequency": "once", "interval": None, "backfill": None})
    return spec.model_copy(update={"schedule": schedule, "source": spec.source.model_copy(update={"delta": None})})


def edit_source_connection(bench: Any) -> None:
    """Take out the last of the source connection's columns, behind the run's back."""
    [live] = bench.emulator.objects("sourceConnections")
    store = bench.emulator.world.store
    stored = store.get("sourceConnections", "prod", live["id"])
    assert stored["params"]["columns"].pop()["name"] == "Create_Time"
    store.put("sourceConnections", "prod", live["id"], stored)


def test_every_step_of_the_style_is_taken_once_and_none_of_the_other(current: Any) -> None:
    report = current.apply()

    assert report.state is RunState.PROVISIONED
    assert {kind: current.emulator.count(kind) for kind in MADE_ONCE} == MADE_ONCE
    assert {resource.step for resource in report.resources} == {step.name for step in MAKING}
    assert set(current.ledger().steps) == {row.step.name for row in CURRENT.rows}


def test_a_run_takes_no_longer_than_the_chain_that_is_planned(current: Any) -> None:
    current.emulator.faults.set_latency(100)
    began = current.time.monotonic()
    current.apply()
    assert current.time.monotonic() - began == pytest.approx(0.1 * plan_of(current.spec).chain, rel=0.01)


@every_style
def test_a_step_that_makes_something_defines_all_that_is_asked_of_it(style: str) -> None:
    asked = ("request", "read", "find", "fetch", "marked", "references", "outputs")
    making = [type(row.step) for row in TABLES[style].rows if row.step.kind]
    assert [(step.name, what) for step in making for what in asked if getattr(step, what) is getattr(Step, what)] == []


@each_effect
@pytest.mark.parametrize("fate", [Fate.ANSWER_LOST, Fate.ANSWER_CUT])
def test_a_lost_answer_is_adopted_not_repeated(current: Any, step: Step, fate: Fate) -> None:
    left = [fate]
    current.fate = lambda request: left.pop() if left and is_effect_of(request, step) else Fate.ANSWERED
    report = current.apply()

    assert report.state is RunState.PROVISIONED
    assert {kind: current.emulator.count(kind) for kind in MADE_ONCE} == MADE_ONCE
    assert [resource.how for resource in report.resources if resource.step == step.name] == [How.ADOPTED]


@each_effect
@pytest.mark.parametrize("moment", list(Moment))
def test_a_process_that_dies_in_a_call_leaves_exactly_one_of_everything_after_resume(
    current: Any, died: type[BaseException], step: Step, moment: Moment
) -> None:
    current.at = dying_at(died, moment, step)
    with pytest.raises(died):
        current.apply()
    current.at = None
    assert current.resume().state is RunState.PROVISIONED
    assert {kind: current.emulator.count(kind) for kind in MADE_ONCE} == MADE_ONCE


def test_plan_resume_plan_history_and_explain_know_the_steps_of_the_runs_style(
    current: Any, died: type[BaseException]
) -> None:
    current.at = dying_at(died, Moment.COMMITTED, CURRENT.row_of("create_target_connection").step)
    with pytest.raises(died):
        current.apply()
    ledger, documents = current.ledger(), current.documents()

    assert ledger.table is CURRENT
    names = {row.step.name for row in CURRENT.rows}
    assert {step.step for step in plan_of(current.spec, ledger).steps} == names
    planned = {action.step for action in resume_plan(ledger).actions}
    assert "create_target_connection" in planned
    assert planned <= names
    assert {entry.branch for entry in history_of(documents) if entry.step} <= set(CURRENT.branches)
    explained = explain(current.spec.name, documents, current.time)
    assert explained.step == "create_target_connection"
    assert f"of {len(CURRENT.rows)} steps are done" in explained.known[0]


@pytest.mark.parametrize(("began", "wanted"), [("tutorial", "current"), ("current", "tutorial")])
def test_another_style_is_another_spec_and_a_resume_keeps_the_one_that_was_begun(
    bench: Any, died: type[BaseException], began: str, wanted: str
) -> None:
    bench.spec = bench.spec.model_copy(update={"style": began})
    bench.at = dying_at(died, Moment.CONNECTED, TABLES[began].row_of("create_flow").step)
    with pytest.raises(died):
        bench.apply()
    bench.at = None
    with pytest.raises(SpecError) as refused:
        bench.apply(bench.spec.model_copy(update={"style": wanted}))
    assert refused.value.exit_code == 3
    assert any("style" in fault for fault in refused.value.faults)

    bench.resume()
    assert bench.ledger().table is TABLES[began]
    assert bench.emulator.count("classes") == (1 if began == "tutorial" else 0)


def test_a_column_that_somebody_took_out_of_the_source_connection_is_drift(
    current: Any, died: type[BaseException]
) -> None:
    current.at = dying_at(died, Moment.CONNECTED, CURRENT.row_of("create_flow").step)
    with pytest.raises(died):
        current.apply()
    current.at = None
    edit_source_connection(current)
    current.time.advance(current.spec.settle.window * 10)
    with pytest.raises(Drifted, match=r"params\.columns\.Create_Time"):
        current.resume()


# A flow that runs once, on a platform that wants a delta column all the same


@every_style
def test_a_flow_that_runs_once_is_asked_for_without_a_delta_column_first(bench: Any, style: str) -> None:
    bench.spec = running_once(bench.spec.model_copy(update={"style": style}))
    assert bench.apply().state is RunState.PROVISIONED
    [flow] = bench.emulator.objects("flows")
    assert [transformation["name"] for transformation in flow["transformations"]] == ["Mapping"]


@every_style
@pytest.mark.parametrize("prefix", ["CONNECTOR-", "FLOW-"])
def test_a_platform_that_wants_a_delta_column_all_the_same_gets_one(bench: Any, style: str, prefix: str) -> None:
    bench.emulator.options.delta_always = True
    bench.emulator.options.sources_prefix = prefix
    bench.spec = running_once(bench.spec.model_copy(update={"style": style}))
    assert bench.apply().state is RunState.PROVISIONED
    [flow] = bench.emulator.objects("flows")
    assert flow["transformations"][0]["params"]["deltaColumn"]["name"] == "Create_Time"
    outcomes = [attempt.outcome for attempt in bench.ledger().step("create_flow").attempts]
    assert outcomes == ["not_done", "done"]


@every_style
@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("nth", [1, 2])
def test_a_process_that_dies_between_the_two_ways_makes_one_flow_after_resume(
    bench: Any, died: type[BaseException], style: str, moment: Moment, nth: int
) -> None:
    bench.emulator.options.delta_always = True
    bench.spec = running_once(bench.spec.model_copy(update={"style": style}))
    seen: list[Request] = []

    async def die(here: Moment, request: Request) -> None:
        if here is moment and request.effect and request.path.endswith("/flows"):
            seen.append(request)
            if len(seen) == nth:
                raise died

    bench.at = die
    with pytest.raises(died):
        bench.apply()
    bench.at = None
    assert bench.resume().state is RunState.PROVISIONED
    assert bench.emulator.count("flows") == 1


def test_the_second_way_is_no_second_try_of_the_first(bench: Any) -> None:
    bench.emulator.options.delta_always = True
    once = running_once(bench.spec)
    bench.spec = once.model_copy(update={"retry": once.retry.model_copy(update={"attempts": 1})})
    assert bench.apply().state is RunState.PROVISIONED


def test_a_platform_that_refuses_both_ways_is_believed(bench: Any) -> None:
    bench.emulator.options.delta_always = True
    bench.spec = running_once(bench.spec)
    bench.emulator.faults.add("POST /flows", FaultKind.ANSWER, skip=1, status=400, shape=Shape.SERVICE)
    with pytest.raises(Rejected):
        bench.apply()
    assert len(bench.ledger().step("create_flow").attempts) == 2


# Afterwards


def test_a_run_as_it_was_made_shows_no_drift_and_an_edited_column_does(current: Any) -> None:
    current.apply()
    assert current.sit(api.drift, current.spec.name).exit_code == 0

    edit_source_connection(current)
    report = current.sit(api.drift, current.spec.name)
    assert report.exit_code == 8
    [difference] = report.differences
    assert difference.step == "create_source_connection"
    assert "params.columns.Create_Time" in difference.differences[0]


def test_destroy_leaves_nothing_of_it(current: Any) -> None:
    current.apply()
    report = current.sit(api.destroy, current.spec.name)
    assert report.state is RunState.DESTROYED
    assert {resource.step for resource in report.destroyed} == {step.name for step in MAKING}
    assert {kind: current.emulator.count(kind) for kind in MADE_ONCE} == dict.fromkeys(MADE_ONCE, 0)


def test_runs_of_both_styles_live_side_by_side_in_one_sandbox(current: Any) -> None:
    current.apply()
    other = current.spec.model_copy(update={"name": "of-2020", "style": "tutorial"})
    assert current.apply(other).state is RunState.PROVISIONED
    assert current.sit(api.destroy, other.name).state is RunState.DESTROYED
    assert {kind: current.emulator.count(kind) for kind in MADE_ONCE} == MADE_ONCE
    assert current.sit(api.drift, current.spec.name).exit_code == 0
