"""What the Flow Service steps have in common: the marker, how it is found again, read, compared and removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.errors import Rejected, Unreachable
from flowledger.steps.base_connection import CreateBaseConnection
from flowledger.steps.client.port import Answer
from flowledger.steps.flow import CreateFlow
from flowledger.steps.flow_object import FlowObject
from flowledger.steps.sink import FindOrCreateSink
from flowledger.steps.source_connection import CreateSourceConnection, CreateTabularSourceConnection
from flowledger.steps.step import UnusableAnswer
from flowledger.steps.target_connection import CreateDirectTargetConnection, CreateTargetConnection
from tests.steps.flowservice import PAYPAL, SINK, items, stored

STEPS: list[FlowObject] = [
    CreateBaseConnection(),
    FindOrCreateSink(),
    CreateSourceConnection(),
    CreateTabularSourceConnection(),
    CreateTargetConnection(),
    CreateDirectTargetConnection(),
    CreateFlow(),
]
every_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
REFUSED_FILTER = (400, {"type": "https://ns.adobe.com/aep/errors/FLOW-1449-400", "title": "Bad filter", "status": 400})


@every_step
def test_every_create_is_an_effect_and_its_name_and_description_carry_the_marker(ctx: Any, step: FlowObject) -> None:
    request = step.request(ctx)
    assert request.effect
    assert request.method == "POST"
    assert ctx.marker(step) in request.body["name"]
    assert ctx.marker(step) in request.body["description"]
    assert step.request(ctx) == request, "the same on every attempt"


@every_step
def test_a_create_and_a_look_up_tell_the_same_outputs(
    ctx: Any, step: FlowObject, answered: Callable[..., Answer]
) -> None:
    assert step.read(answered({"id": "id-1", "etag": '"e1"'})) == step.outputs(stored(ctx, step))
    assert step.read(answered({"id": "id-1"}))["id"] == "id-1", "the tutorial's flow answer has no etag"


@every_step
@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": 7}, {"$id": "id-1"}, [{"id": "id-1"}], None])
def test_a_success_without_an_id_is_not_usable(step: FlowObject, answered: Callable[..., Answer], body: Any) -> None:
    with pytest.raises(UnusableAnswer):
        step.read(answered(body))


@every_step
async def test_it_is_found_by_name_in_one_look_oldest_first(ctx: Any, step: FlowObject) -> None:
    newer, older = stored(ctx, step, at=2, id="id-2"), stored(ctx, step, at=1)
    ctx.when("GET", f"/{step.kind}", items(newer, older), property=f"name=={newer['name']}")
    assert [hit.id for hit in await step.find(ctx)] == ["id-1", "id-2"]
    assert len(ctx.asked) == 1


@every_step
async def test_it_is_found_by_its_references_once_its_name_was_edited(ctx: Any, step: FlowObject) -> None:
    renamed = {**stored(ctx, step), "name": "Ours now"}
    stranger = {**stored(ctx, step, id="id-9"), "name": "x", "description": "y"}
    ctx.when("GET", f"/{step.kind}", items(), property=f"name=={step.request(ctx).body['name']}")
    ctx.when("GET", f"/{step.kind}", items(stranger, renamed), property=step.second_look(ctx))
    assert [hit.id for hit in await step.find(ctx)] == ["id-1"]


@every_step
async def test_a_filter_that_is_refused_is_replaced_by_the_whole_list(ctx: Any, step: FlowObject) -> None:
    ours, stranger = stored(ctx, step), {**stored(ctx, step, id="id-9"), "name": "x", "description": "y"}
    ctx.when("GET", f"/{step.kind}", REFUSED_FILTER, property=f"name=={ours['name']}")
    ctx.when("GET", f"/{step.kind}", items(stranger, ours))
    assert [hit.id for hit in await step.find(ctx)] == ["id-1"]
    assert ctx.asked[-1].query == ()


@every_step
async def test_a_list_that_fails_is_no_empty_list(ctx: Any, step: FlowObject) -> None:
    ctx.when("GET", f"/{step.kind}", REFUSED_FILTER)
    with pytest.raises(Rejected):
        await step.find(ctx)


@every_step
@pytest.mark.parametrize("wrapped", [True, False])
async def test_it_is_fetched_bare_with_or_without_its_wrapper(ctx: Any, step: FlowObject, wrapped: bool) -> None:
    live = stored(ctx, step)
    ctx.when(
        "GET",
        f"/{step.kind}/id-1",
        items(live) if wrapped else (200, live),
        (404, {"type": "https://ns.adobe.com/aep/errors/FLOW-1439-404", "status": 404}),
    )
    assert await step.fetch(ctx, "id-1") == live
    assert await step.fetch(ctx, "id-1") is None


@every_step
@pytest.mark.parametrize("stranger", [{"error_code": "404000", "message": "Resource not found"}, "<html>", None])
async def test_a_404_that_is_not_the_services_own_does_not_make_an_object_gone(
    ctx: Any, step: FlowObject, stranger: Any
) -> None:
    ctx.when("GET", f"/{step.kind}/id-1", (404, stranger))
    with pytest.raises(Unreachable):
        await step.fetch(ctx, "id-1")


@every_step
def test_an_unedited_object_shows_no_drift(ctx: Any, step: FlowObject) -> None:
    assert step.check(ctx, stored(ctx, step)) == []


@every_step
def test_an_edited_name_is_drift(ctx: Any, step: FlowObject) -> None:
    assert [difference.path for difference in step.check(ctx, {**stored(ctx, step), "name": "edited"})] == ["name"]


@pytest.mark.parametrize(
    ("step", "path", "value"),
    [
        (CreateBaseConnection(), ("connectionSpec", "id"), SINK),
        (FindOrCreateSink(), ("connectionSpec", "id"), PAYPAL),
        (CreateSourceConnection(), ("baseConnectionId",), "base-2"),
        (CreateSourceConnection(), ("connectionSpec", "id"), SINK),
        (CreateSourceConnection(), ("data", "schema", "id"), "https://ns.adobe.com/acme/schemas/other"),
        (CreateSourceConnection(), ("params", "path"), "PayPal.Billing_Plans"),
        (CreateTargetConnection(), ("baseConnectionId",), "sink-2"),
        (CreateTargetConnection(), ("connectionSpec", "id"), PAYPAL),
        (CreateTargetConnection(), ("data", "schema", "id"), "https://ns.adobe.com/acme/schemas/other"),
        (CreateTargetConnection(), ("params", "dataSetId"), "000000000000000000000000"),
        (CreateTabularSourceConnection(), ("baseConnectionId",), "base-2"),
        (CreateTabularSourceConnection(), ("connectionSpec", "id"), SINK),
        (CreateTabularSourceConnection(), ("params", "tableName"), "PayPal.Billing_Plans"),
        (CreateDirectTargetConnection(), ("connectionSpec", "id"), PAYPAL),
        (CreateDirectTargetConnection(), ("data", "schema", "id"), "https://ns.adobe.com/acme/schemas/other"),
        (CreateDirectTargetConnection(), ("params", "dataSetId"), "000000000000000000000000"),
        (CreateFlow(), ("flowSpec", "id"), "9753525b-82c7-4dce-8a9b-5ccfce2b9876"),
        (CreateFlow(), ("sourceConnectionIds",), ["source-2"]),
        (CreateFlow(), ("targetConnectionIds",), ["target-2"]),
        (CreateFlow(), ("transformations", 1, "params", "mappingId"), "0" * 32),
    ],
)
def test_other_references_are_never_adopted(ctx: Any, step: FlowObject, path: tuple[Any, ...], value: Any) -> None:
    live = stored(ctx, step)
    assert step.references(ctx, live) == []
    *parents, leaf = path
    node = live
    for key in parents:
        node = node[key]
    node[leaf] = value
    assert len(step.references(ctx, live)) == 1
    assert step.references(ctx, live)[0] in step.check(ctx, live)


@every_step
def test_it_is_removed_by_its_id_and_a_flow_is_disabled_first(ctx: Any, step: FlowObject) -> None:
    undo = step.undo(ctx, {"id": "id-1"})
    assert all(request.effect for request in undo)
    assert (undo[-1].method, undo[-1].path) == ("DELETE", f"/data/foundation/flowservice/{step.kind}/id-1")
    if step.kind == "flows":
        assert undo[0].path.endswith("/flows/id-1/action")
        assert undo[0].query == (("op", "disable"),)
        assert len(undo) == 2
    else:
        assert len(undo) == 1
