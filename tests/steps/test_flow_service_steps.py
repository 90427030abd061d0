"""Each Flow Service step: what it sends, and what counts as an edit of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.errors import SpecError
from flowledger.steps.base_connection import CreateBaseConnection
from flowledger.steps.flow import CreateFlow
from flowledger.steps.source_connection import CreateSourceConnection, CreateTabularSourceConnection
from flowledger.steps.spec import Schedule
from flowledger.steps.target_connection import CreateDirectTargetConnection, CreateTargetConnection
from tests.steps.flowservice import PAYPAL, SINK, stored


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
