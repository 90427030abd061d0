"""The flow spec: found under every spelling of the filter, and believed about what it allows."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.errors import NotThere, SpecError
from flowledger.steps.flow_spec import FindFlowSpec
from flowledger.steps.spec import Schedule

ID = "14518937-270c-4525-bdec-c2ba7cce3860"
PAYPAL = "221c7626-58f6-4eec-8ee2-042b0226f03b"
SINK = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
SCHEDULE = {
    "properties": {"frequency": {"type": "string", "enum": ["minute", "hour", "day", "week"]}},
    "if": {"properties": {"frequency": {"const": "minute"}}},
    "then": {"properties": {"interval": {"minimum": 20}}},
    "else": {"properties": {"interval": {"minimum": 2}}},
}


def flow_spec(**changes: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "name": "CRMToAEP",
        "version": "1.0",
        "sourceConnectionSpecIds": [PAYPAL],
        "targetConnectionSpecIds": [SINK],
        "attributes": {"isSourceFlow": True},
        **changes,
    }


async def test_it_is_found_by_its_quoted_name_in_one_call(ctx: Any) -> None:
    ctx.when("GET", "/flowSpecs", (200, {"items": [flow_spec()]}), property='name=="CRMToAEP"')
    settled = await FindFlowSpec().prepare(ctx)
    assert settled.outputs == {"id": ID, "name": "CRMToAEP", "version": "1.0", "draft_mode": False}


@pytest.mark.parametrize("first", [(200, {"items": []}), (400, {"errorMessage": "quotes?"})])
@pytest.mark.parametrize("second", ["name==CRMToAEP", f"id=={ID}"])
async def test_other_spellings_are_tried_when_one_finds_nothing_or_is_refused(
    ctx: Any, first: tuple[int, Any], second: str
) -> None:
    ctx.when("GET", "/flowSpecs", (200, {"items": [flow_spec()]}), property=second)
    ctx.when("GET", "/flowSpecs", first)
    assert (await FindFlowSpec().prepare(ctx)).outputs["id"] == ID


async def test_an_answer_without_its_wrapper_is_understood(ctx: Any) -> None:
    ctx.when("GET", "/flowSpecs", (200, flow_spec(attributes={"isDraftModeSupported": True})))
    assert (await FindFlowSpec().prepare(ctx)).outputs["draft_mode"] is True


async def test_a_platform_without_it_is_said_clearly(ctx: Any) -> None:
    ctx.when("GET", "/flowSpecs", (200, {"items": [flow_spec(name="CloudStorageToAEP")]}))
    with pytest.raises(NotThere, match="CRMToAEP in sandbox prod"):
        await FindFlowSpec().prepare(ctx)


async def test_everything_that_it_does_not_allow_is_told_at_once(make_context: Any) -> None:
    ctx = make_context(schedule=Schedule(frequency="minute", interval=15))
    other = flow_spec(sourceConnectionSpecIds=["x"], targetConnectionSpecIds=["y"], scheduleSpec={"spec": SCHEDULE})
    ctx.when("GET", "/flowSpecs", (200, {"items": [other]}))
    with pytest.raises(SpecError) as error:
        await FindFlowSpec().prepare(ctx)
    kind, sink, interval = error.value.faults
    assert kind.startswith("source.kind: paypal")
    assert SINK in sink
    assert interval == "schedule.interval: 15 is below 20, the least for 'minute'"


@pytest.mark.parametrize(
    ("schedule", "faults"),
    [
        (Schedule(frequency="minute", interval=20), 0),
        (Schedule(frequency="day", interval=2), 0),
        (Schedule(frequency="day", interval=1), 1),
        (Schedule(frequency="once"), 1),
    ],
)
async def test_the_schedule_is_held_against_the_platforms_own_schema(
    make_context: Any, schedule: Schedule, faults: int
) -> None:
    ctx = make_context(schedule=schedule)
    ctx.when("GET", "/flowSpecs", (200, {"items": [flow_spec(scheduleSpec={"spec": SCHEDULE})]}))
    if faults:
        with pytest.raises(SpecError) as error:
            await FindFlowSpec().prepare(ctx)
        assert len(error.value.faults) == faults
    else:
        assert (await FindFlowSpec().prepare(ctx)).outputs["id"] == ID


async def test_lists_that_the_answer_omits_decide_nothing(ctx: Any) -> None:
    bare = {"id": ID, "name": "CRMToAEP"}
    ctx.when("GET", "/flowSpecs", (200, {"items": [bare]}))
    assert (await FindFlowSpec().prepare(ctx)).outputs["version"] == "1.0"
