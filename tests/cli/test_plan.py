"""plan: every call that would be made, what exists, and how long the chain is."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from flowledger.cli.showplan import plan_lines
from flowledger.engine.plan import critical_path, plan_of, resume_plan
from flowledger.engine.specfile import load_spec
from flowledger.engine.table import table_of
from flowledger.steps.spec import Spec
from flowledger.steps.step import How, Settled
from tests.bench import EXAMPLE


@pytest.fixture(scope="module")
def spec() -> Spec:
    return load_spec(EXAMPLE).spec


def test_every_step_of_the_table_is_planned_once_with_all_its_calls(spec: Spec) -> None:
    plan = plan_of(spec)
    assert sorted(step.step for step in plan.steps) == sorted(row.step.name for row in table_of(spec.style).rows)
    for step in plan.steps:
        wanted = [call for group in table_of(spec.style).row_of(step.step).step.calls(spec) for call in group]
        assert [(call.method, call.effect) for call in step.calls] == [(call.method, call.effect) for call in wanted]
    assert plan.calls == 19
    assert plan.effects == 11


def test_the_chain_is_as_long_as_its_stages_and_its_steps_follow_each_other(spec: Spec) -> None:
    plan = plan_of(spec)
    path, table = critical_path(spec), table_of(spec.style)
    assert 1 + sum(len(table.row_of(name).step.calls(spec)) for name in path) == table.chain(spec) == plan.chain
    assert max(call.stage for step in plan.steps for call in step.calls) == plan.chain
    for before, after in itertools.pairwise(path):
        row, earlier = table.row_of(after), table.row_of(before)
        assert before in row.needs or (earlier.branch, earlier.dest) == (row.branch, row.source)


def test_no_call_is_planned_before_what_it_needs(spec: Spec) -> None:
    steps = {step.step: step for step in plan_of(spec).steps}
    for step in steps.values():
        for need in step.needs:
            if step.calls and steps[need].calls:
                assert min(call.stage for call in step.calls) > max(call.stage for call in steps[need].calls)


def test_what_reads_have_found_is_not_made_again(spec: Spec) -> None:
    found = {"find_or_create_sink": Settled(outputs={"id": "sink-id"}, how=How.FOUND)}
    sink = next(step for step in plan_of(spec, None, found).steps if step.step == "find_or_create_sink")
    assert (sink.exists, sink.how) == ("sink-id", "found")
    assert not any(call.effect for call in sink.calls)


def test_a_spec_without_own_fields_needs_no_field_group(spec: Spec) -> None:
    bare = spec.model_copy(update={"target": spec.target.model_copy(update={"fields": {}})})
    step = next(step for step in plan_of(bare).steps if step.step == "create_field_group")
    assert (step.calls, step.note) == ((), "not needed by this spec")
    assert "create_field_group" not in critical_path(bare)


def test_the_plan_fits_80_columns(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = "\n".join(plan_lines(plan_of(spec)))
    prose = text.partition("Notes:")[2]
    assert max(map(len, prose.splitlines())) <= 80
    assert f"Chain: {table_of(spec.style).chain(spec)} calls" in text


def test_plan_makes_no_change_and_needs_no_journal(connected: Any, emulator: Any) -> None:
    ran = connected("plan", connected.spec(), "--json")
    assert ran.code == 0, ran.err
    document = ran.json
    assert (document["schema_version"], document["changes"], document["platform_asked"]) == (1, True, True)
    assert document["chain"]["length"] == 8
    assert set(emulator.counts.values()) == {0}
    assert not connected.journal.exists()
    assert connected("plan", "spec.yaml", "--detailed-exitcode").code == 2


def test_a_plan_of_the_current_style_has_its_steps_and_asks_for_no_sink(connected: Any) -> None:
    ran = connected("plan", connected.spec((r"^style: tutorial", "style: current")), "--json")
    assert ran.code == 0, ran.err
    document = ran.json
    assert document["style"] == "current"
    assert {step["step"] for step in document["steps"]} == {row.step.name for row in table_of("current").rows}
    assert (document["calls"], document["effects"], document["chain"]["length"]) == (15, 8, 8)


def test_a_sink_that_is_there_is_shown_and_shared(connected: Any, emulator: Any) -> None:
    assert connected("apply", connected.spec(), "--json").code == 0
    other = connected.spec((r"^name: paypal-products", "name: another"), name="other.yaml")
    ran = connected("plan", other, "--json")
    sink = next(step for step in ran.json["steps"] if step["step"] == "find_or_create_sink")
    assert sink["how"] == "found"
    applied = connected("apply", other, "--json").json
    assert {"step": "find_or_create_sink", "kind": "connections", "id": sink["exists"], "how": "found"} in applied[
        "resources"
    ]
    assert emulator.counts["connections"] == 3


def test_a_provisioned_spec_has_no_changes_and_nobody_is_asked(provisioned: Any) -> None:
    away = {"FLOWLEDGER_BASE_URL": "http://127.0.0.1:1"}
    ran = provisioned("plan", "spec.yaml", "--detailed-exitcode", env=away)
    assert ran.code == 0
    assert "nothing to do" in ran.out
    assert provisioned("plan", "spec.yaml", "--json", env=away).json["changes"] is False
    assert provisioned("resume", "paypal-products", "--plan", "--json").json["actions"] == []


def test_without_credentials_a_plan_says_that_it_can_be_made_offline(program: Any) -> None:
    ran = program("plan", program.spec())
    assert ran.code == 4
    assert "--offline" in ran.err
    offline = program("plan", "spec.yaml", "--offline")
    assert offline.code == 0
    assert "was not asked" in offline.out


def test_a_half_done_run_plans_what_is_left(connected: Any, emulator: Any) -> None:
    emulator.fault("POST /flows", "answer", status=400, shape="service")
    assert connected("apply", connected.spec()).code == 7
    document = connected("plan", "spec.yaml", "--offline", "--json").json
    assert document["state"] == "failed"
    left = [step["step"] for step in document["steps"] if step["calls"]]
    assert left == ["create_flow", "await_flow"]
    assert all(step["exists"] for step in document["steps"] if step["how"])


def test_a_resume_plan_names_the_marker_of_what_is_in_doubt(spec: Spec) -> None:
    from flowledger.engine.ledger import Attempt, Ledger

    ledger = Ledger(run="r", nonce="abcdefghij", spec=spec)
    ledger.step("create_flow").attempts.append(Attempt(number=2, event=9, boot_id="b", send_deadline=1.0))
    action = next(action for action in resume_plan(ledger).actions if action.step == "create_flow")
    assert action.do == "look_up"
    assert action.marker == "fl-abcdefghij-flow"
    assert "attempt 2 has no answer" in action.text
