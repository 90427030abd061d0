"""Connections that a run finds instead of making them: the one that the spec names, and the shared sink."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.errors import NotThere, SpecError
from flowledger.steps.base_connection import CreateBaseConnection
from flowledger.steps.sink import FindOrCreateSink
from flowledger.steps.spec import BaseConnection, Delta, Source
from flowledger.steps.step import How
from tests.steps.flowservice import PAYPAL, SINK, items

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
