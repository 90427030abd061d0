"""Flow Service steps: what is sent, how it is found again, and what counts as an edit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from flowledger.errors import NotThere, Rejected, SpecError, Unreachable
from flowledger.steps.base_connection import CreateBaseConnection
from flowledger.steps.client.port import Answer
from flowledger.steps.flow import CreateFlow
from flowledger.steps.flow_object import FlowObject
from flowledger.steps.sink import FindOrCreateSink
from flowledger.steps.source_connection import CreateSourceConnection, CreateTabularSourceConnection
from flowledger.steps.spec import BaseConnection, Delta, Schedule, Source
from flowledger.steps.step import How, UnusableAnswer
from flowledger.steps.target_connection import CreateDirectTargetConnection, CreateTargetConnection

PAYPAL = "221c7626-58f6-4eec-8ee2-042b0226f03b"
SINK = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
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


def stored(ctx: Any, step: FlowObject, *, at: int = 1, id: str = "id-1") -> Any:
    live = copy.deepcopy(step.request(ctx).body)
    if "auth" in live:
        live["auth"]["params"] = {"clientId": "masked"}
    return {**live, "id": id, "etag": '"e1"', "state": "enabled", "createdAt": at, "version": '"e1"'}


def items(*objects: Any) -> tuple[int, Any]:
    return (200, {"items": list(objects), "_links": {}})


def test_the_base_connection_holds_the_secret_itself_and_the_kinds_defaults(ctx: Any) -> None:
    assert CreateBaseConnection().request(ctx).body == {
        "name": "paypal-products base connection fl-k3x9q2w7ma-base-connection",
        "description": "base connection of dataflow paypal-products, made by flowledger "
        "[fl-k3x9q2w7ma-base-connection]",
        "auth": {
            "specName": "Client-Id-Secret Based Authentication",
            "params": {
                "host": "api.sandbox.paypal.com",
                "clientId": "client-1",
                "clientSecret": "the secret in PAYPAL_CLIENT_SECRET",
            },
        },
        "connectionSpec": {"id": PAYPAL, "version": "1.0"},
    }


def test_the_source_connection_has_the_shape_of_2020(ctx: Any) -> None:
    body = CreateSourceConnection().request(ctx).body
    del body["name"], body["description"]
    assert body == {
        "baseConnectionId": "base-1",
        "data": {
            "format": "parquet_xdm",
            "schema": {
                "id": "https://ns.adobe.com/acme/schemas/bb22",
                "version": "application/vnd.adobe.xed-full-notext+json; version=1",
            },
        },
        "params": {"path": "PayPal.Catalog_Products"},
        "connectionSpec": {"id": PAYPAL, "version": "1.0"},
    }


def test_the_target_connection_is_the_sinks_and_not_the_sources(ctx: Any) -> None:
    body = CreateTargetConnection().request(ctx).body
    assert body["connectionSpec"]["id"] == SINK
    assert body["baseConnectionId"] == "sink-1"
    assert body["params"] == {"dataSetId": "5e8918669cbbee18ad9771f3"}
    assert body["data"]["schema"]["version"] == "application/vnd.adobe.xed-full+json;version=1"


def test_the_flow_sends_integers_and_a_start_that_lies_ahead(ctx: Any) -> None:
    body = CreateFlow().request(ctx).body
    assert body["scheduleParams"] == {"startTime": 1_800_000_600, "frequency": "minute", "interval": 15}
    assert body["transformations"] == [
        {
            "name": "Copy",
            "params": {"deltaColumn": {"name": "Create_Time", "dateFormat": "yyyy-MM-dd HH:mm:ss", "timezone": "UTC"}},
        },
        {"name": "Mapping", "params": {"mappingId": "b54a8dc38e8d4e31a2dc096e413ae8e5", "mappingVersion": 0}},
    ]
    assert body["sourceConnectionIds"] == ["source-1"]
    assert body["targetConnectionIds"] == ["target-1"]
    assert CreateFlow().request(ctx).query == (), "not a draft"


def test_a_relative_start_is_resolved_anew_at_each_attempt(ctx: Any) -> None:
    first = CreateFlow().request(ctx).body["scheduleParams"]["startTime"]
    ctx.now += 3600
    assert CreateFlow().request(ctx).body["scheduleParams"]["startTime"] == first + 3600


async def test_a_fixed_start_that_has_passed_stops_before_the_flow_is_sent(make_context: Any) -> None:
    ctx = make_context(schedule=Schedule(start=1_800_000_010))
    assert await CreateFlow().prepare(ctx) is None
    ctx.now += 60
    with pytest.raises(SpecError, match="has passed"):
        await CreateFlow().prepare(ctx)
    with pytest.raises(SpecError, match="has passed"):
        CreateFlow().request(ctx)


def test_a_flow_that_runs_once_has_no_delta(make_context: Any) -> None:
    body = CreateFlow().request(make_context(schedule=Schedule(frequency="once"))).body
    assert [transformation["name"] for transformation in body["transformations"]] == ["Mapping"]
    assert body["scheduleParams"] == {"startTime": 1_800_000_600, "frequency": "once"}


# Connections in the form of now


def test_the_source_connection_of_now_carries_the_tables_columns(ctx: Any) -> None:
    body = CreateTabularSourceConnection().request(ctx).body
    assert body["data"] == {"format": "tabular"}
    assert body["params"] == {
        "tableName": "PayPal.Catalog_Products",
        "columns": [
            {"name": "Product_Id", "type": "string", "xdm": {"type": "string"}},
            {"name": "Product_Name", "type": "string", "xdm": {"type": "string"}},
            {"name": "Create_Time", "type": "string", "xdm": {"type": "string", "format": "date-time"}},
        ],
    }
    assert body["baseConnectionId"] == "base-1"
    assert body["connectionSpec"] == {"id": PAYPAL, "version": "1.0"}


def test_the_target_connection_of_now_goes_through_no_base_connection(ctx: Any) -> None:
    del ctx.outputs["find_or_create_sink"]
    body = CreateDirectTargetConnection().request(ctx).body
    assert "baseConnectionId" not in body
    assert body["connectionSpec"]["id"] == SINK
    assert body["data"]["schema"]["version"] == "application/vnd.adobe.xed-full+json;version=1"
    assert body["params"] == {"dataSetId": "5e8918669cbbee18ad9771f3"}


@pytest.mark.parametrize(
    "spell",
    [
        lambda columns: columns[0].update(type="String", xdm={"type": "string", "meta:xdmType": "string"}),
        lambda columns: [column.pop("xdm") for column in columns],
        lambda columns: [column.update(xdm=None) for column in columns],
        lambda columns: columns.reverse(),
        lambda columns: columns[2].update(xdm={"type": "integer", "minimum": "-5", "maximum": 7.0}),
    ],
)
def test_columns_that_are_only_spelt_differently_are_no_drift(ctx: Any, spell: Callable[[Any], Any]) -> None:
    ctx.outputs["explore"]["columns"][2]["xdm"] = {"type": "integer", "minimum": -5, "maximum": 7}
    live = stored(ctx, CreateTabularSourceConnection())
    spell(live["params"]["columns"])
    assert CreateTabularSourceConnection().check(ctx, live) == []


@pytest.mark.parametrize(
    ("edit", "path"),
    [
        (lambda live: live["params"]["columns"].pop(), "params.columns.Create_Time"),
        (lambda live: live["params"]["columns"].append({"name": "More", "type": "string"}), "params.columns.More"),
        (lambda live: live["params"]["columns"][0].update(type="integer"), "params.columns.Product_Id.type"),
        (lambda live: live["params"]["columns"][2].update(xdm={"type": "string"}), "params.columns.Create_Time.xdm"),
        (lambda live: live["data"].update(format="parquet_xdm"), "data.format"),
    ],
)
def test_an_edited_tabular_source_connection_is_drift(ctx: Any, edit: Callable[[Any], Any], path: str) -> None:
    live = stored(ctx, CreateTabularSourceConnection())
    edit(live)
    assert [difference.path for difference in CreateTabularSourceConnection().check(ctx, live)] == [path]
    assert CreateTabularSourceConnection().references(ctx, live) == []


def test_columns_that_are_gone_altogether_are_drift(ctx: Any) -> None:
    live = stored(ctx, CreateTabularSourceConnection())
    live["params"]["columns"] = None
    assert len(CreateTabularSourceConnection().check(ctx, live)) == 3


def test_a_format_that_the_answer_leaves_out_is_no_drift_of_a_target_connection_of_now(ctx: Any) -> None:
    live = stored(ctx, CreateDirectTargetConnection())
    del live["data"]["format"]
    assert CreateDirectTargetConnection().check(ctx, live) == []
    live["data"]["format"] = "json"
    assert [difference.path for difference in CreateDirectTargetConnection().check(ctx, live)] == ["data.format"]


# A flow that runs once


@pytest.mark.parametrize("code", ["CONNECTOR-1367-400", "FLOW-1367-400"])
def test_a_flow_that_runs_once_names_a_delta_column_once_the_platform_wants_one(make_context: Any, code: str) -> None:
    ctx = make_context(schedule=Schedule(frequency="once"))
    assert CreateFlow().otherwise(ctx, code)
    body = CreateFlow().request(ctx).body
    column = {"name": "Create_Time", "dateFormat": "yyyy-MM-dd HH:mm:ss", "timezone": "UTC"}
    assert body["transformations"][0] == {"name": "Copy", "params": {"deltaColumn": column}}
    assert CreateFlow().check(ctx, stored(ctx, CreateFlow())) == []
    assert not CreateFlow().otherwise(ctx, code), "refused again, there is no third way"


def test_no_other_refusal_is_answered_by_a_delta_column(make_context: Any) -> None:
    once = make_context(schedule=Schedule(frequency="once"))
    assert not CreateFlow().otherwise(once, "CONNECTOR-1369-400")
    assert not CreateFlow().otherwise(make_context(), "CONNECTOR-1367-400")
    once.outputs["explore"]["columns"].pop()
    assert not CreateFlow().otherwise(once, "CONNECTOR-1367-400"), "the table has no date-time column"
    assert once.facts == {}


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


def test_a_flow_whose_numbers_come_back_as_texts_shows_no_drift(ctx: Any) -> None:
    live = stored(ctx, CreateFlow())
    started = str(live["scheduleParams"]["startTime"])
    live["scheduleParams"] = {"startTime": started, "frequency": "minute", "interval": "15", "backfill": "true"}
    live["transformations"][1]["params"]["mappingVersion"] = "0"
    assert CreateFlow().check(ctx, live) == []


@pytest.mark.parametrize(
    ("edit", "path"),
    [
        (lambda flow: flow["scheduleParams"].update(interval="30"), "scheduleParams.interval"),
        (lambda flow: flow["scheduleParams"].update(frequency="hour"), "scheduleParams.frequency"),
        (
            lambda flow: flow["transformations"][0]["params"]["deltaColumn"].update(name="Update_Time"),
            "transformations.Copy.deltaColumn",
        ),
        (lambda flow: flow["transformations"].pop(0), "transformations.Copy.deltaColumn"),
        (
            lambda flow: flow["transformations"][1]["params"].update(mappingVersion=1),
            "transformations.Mapping.mappingVersion",
        ),
        (lambda flow: flow.update(state="disabled"), "state"),
    ],
)
def test_an_edited_or_stopped_flow_is_drift(ctx: Any, edit: Callable[[Any], Any], path: str) -> None:
    live = stored(ctx, CreateFlow())
    edit(live)
    assert [difference.path for difference in CreateFlow().check(ctx, live)] == [path]


def test_a_start_that_was_moved_is_drift_and_any_that_an_attempt_asked_for_is_none(make_context: Any) -> None:
    for ctx in (make_context(schedule=Schedule(start=1_800_000_600)), make_context()):
        first = stored(ctx, CreateFlow())
        ctx.now += 120
        second = stored(ctx, CreateFlow())
        assert CreateFlow().check(ctx, first) == CreateFlow().check(ctx, second) == []
        second["scheduleParams"]["startTime"] += 60
        assert [difference.path for difference in CreateFlow().check(ctx, second)] == ["scheduleParams.startTime"]


def test_secrets_and_parameters_are_never_compared(ctx: Any) -> None:
    live = stored(ctx, CreateBaseConnection())
    live["auth"]["params"] = {"clientId": "******", "clientSecret": "******"}
    assert CreateBaseConnection().check(ctx, live) == []


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


# A base connection that the spec names


def adopting(make_context: Any) -> Any:
    return make_context(
        source=Source(
            kind="paypal",
            connection=BaseConnection(id="theirs"),
            table="PayPal.Catalog_Products",
            delta=Delta(column="Create_Time"),
        )
    )


async def test_a_base_connection_named_by_the_spec_is_taken_as_it_is(make_context: Any) -> None:
    ctx = adopting(make_context)
    live = {"id": "theirs", "etag": '"e"', "name": "x", "connectionSpec": {"id": PAYPAL}, "state": "enabled"}
    ctx.when("GET", "/connections/theirs", items(live))
    settled = await CreateBaseConnection().prepare(ctx)
    assert settled is not None
    assert (settled.how, settled.outputs["id"]) == (How.FOUND, "theirs")
    assert CreateBaseConnection().check(ctx, {**live, "name": "renamed by its owner"}) == []
    assert [call.method for stage in CreateBaseConnection().calls(ctx.spec) for call in stage] == ["GET"]


async def test_a_base_connection_that_is_not_there_is_named_with_the_sandbox(make_context: Any) -> None:
    ctx = adopting(make_context)
    ctx.when(
        "GET", "/connections/theirs", (404, {"type": "https://ns.adobe.com/aep/errors/FLOW-1439-404", "status": 404})
    )
    with pytest.raises(NotThere, match="theirs does not exist in sandbox prod") as error:
        await CreateBaseConnection().prepare(ctx)
    assert "source.connection.id" in error.value.hint


async def test_a_base_connection_of_another_kind_is_refused(make_context: Any) -> None:
    ctx = adopting(make_context)
    ctx.when("GET", "/connections/theirs", items({"id": "theirs", "connectionSpec": {"id": SINK}}))
    with pytest.raises(SpecError) as error:
        await CreateBaseConnection().prepare(ctx)
    assert SINK in error.value.faults[0]


# The sink


def sink(id: str, at: int, **changes: Any) -> Any:
    return {"id": id, "etag": '"e"', "createdAt": at, "state": "enabled", "connectionSpec": {"id": SINK}, **changes}


async def test_the_oldest_enabled_sink_is_shared(ctx: Any) -> None:
    candidates = items(
        sink("newer", 3),
        sink("older", 2),
        sink("disabled", 1, state="disabled"),
        sink("other", 0, connectionSpec={"id": PAYPAL}),
    )
    ctx.when("GET", "/connections", candidates, property=f"connectionSpec.id=={SINK}")
    ctx.when("GET", "/connections/older", items(sink("older", 2)))
    settled = await FindOrCreateSink().prepare(ctx)
    assert settled is not None
    assert (settled.how, settled.outputs["id"]) == (How.FOUND, "older")


async def test_a_sink_with_our_marker_is_ours_even_if_an_older_one_is_there(ctx: Any) -> None:
    ours = sink("ours", 3, name="paypal-products sink fl-k3x9q2w7ma-sink")
    ctx.when("GET", "/connections", items(sink("older", 2), ours))
    ctx.when("GET", "/connections/ours", items(ours))
    settled = await FindOrCreateSink().prepare(ctx)
    assert settled is not None
    assert (settled.how, settled.outputs["id"]) == (How.ADOPTED, "ours")


async def test_a_sink_that_is_listed_but_gone_is_not_shared(ctx: Any) -> None:
    ctx.when("GET", "/connections", items(sink("gone", 1), sink("there", 2)))
    ctx.when("GET", "/connections/gone", (404, {"type": "http://ns.adobe.com/aep/errors/FLOW-1439-404"}))
    ctx.when("GET", "/connections/there", items(sink("there", 2)))
    settled = await FindOrCreateSink().prepare(ctx)
    assert settled is not None
    assert settled.outputs["id"] == "there"


async def test_without_a_sink_one_is_made_without_credentials(ctx: Any) -> None:
    ctx.when("GET", "/connections", items())
    assert await FindOrCreateSink().prepare(ctx) is None
    body = FindOrCreateSink().request(ctx).body
    assert "auth" not in body
    assert body["connectionSpec"] == {"id": SINK, "version": "1.0"}


def test_a_shared_sinks_name_is_its_owners(ctx: Any) -> None:
    assert FindOrCreateSink().check(ctx, sink("theirs", 1, name="renamed")) == []
    assert FindOrCreateSink().check(ctx, sink("theirs", 1, connectionSpec={"id": PAYPAL}))
