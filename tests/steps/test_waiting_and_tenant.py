"""Reads that settle a step: the tenant's id, and the dataflow's final state."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.errors import NotThere, StepError
from flowledger.steps.flow_ready import AwaitFlow
from flowledger.steps.tenant import ReadTenant

GONE = (404, {"type": "https://ns.adobe.com/aep/errors/FLOW-1439-404", "status": 404})


def flow(state: str | None, operation: str | None = None, **status: Any) -> tuple[int, Any]:
    live: dict[str, Any] = {"id": "flow-1", "etag": '"e9"', "state": state}
    if operation is not None:
        live["lastOperation"] = {"operation": "create", "status": {"value": operation, **status}}
    return (200, {"items": [live]})


@pytest.mark.parametrize("said", ["acme", "_acme"])
async def test_the_tenants_id_has_no_underscore_and_its_namespace_has_one(ctx: Any, said: str) -> None:
    ctx.when("GET", "/schemaregistry/stats", (200, {"tenantId": said, "classUsage": []}))
    assert (await ReadTenant().prepare(ctx)).outputs == {"id": "acme", "namespace": "_acme"}


@pytest.mark.parametrize("body", [{}, {"tenantId": ""}, {"tenantId": 7}, []])
async def test_an_organisation_without_a_tenant_id_is_said_clearly(ctx: Any, body: Any) -> None:
    ctx.when("GET", "/stats", (200, body))
    with pytest.raises(StepError, match="no tenant id") as error:
        await ReadTenant().prepare(ctx)
    assert error.value.request_id == "request-7"


async def test_a_flow_that_stands_is_settled_by_one_look(ctx: Any) -> None:
    ctx.when("GET", "/flows/flow-1", flow("enabled"))
    assert (await AwaitFlow().prepare(ctx)).outputs == {"id": "flow-1", "state": "enabled", "etag": '"e9"'}
    assert ctx.waits == []


async def test_it_waits_longer_and_longer_until_state_and_operation_are_final(ctx: Any) -> None:
    under_way = [flow("pending"), *[flow("enabled", "inProgress")] * 7, flow(None)]
    ctx.when("GET", "/flows/flow-1", *under_way, flow("enabled", "completed"))
    assert (await AwaitFlow().prepare(ctx)).outputs["state"] == "enabled"
    assert ctx.waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]


@pytest.mark.parametrize("failed", [flow("failed"), flow("enabled", "failed", errors=[{"code": "CONNECTOR-2001-500"}])])
async def test_a_flow_that_failed_says_why_in_the_platforms_words(ctx: Any, failed: tuple[int, Any]) -> None:
    ctx.when("GET", "/flows/flow-1", flow("pending"), failed)
    with pytest.raises(StepError, match="flow-1") as error:
        await AwaitFlow().prepare(ctx)
    assert ("CONNECTOR-2001-500" in error.value.message) == ("lastOperation" in failed[1]["items"][0])


async def test_a_flow_that_is_gone_is_said_clearly(ctx: Any) -> None:
    ctx.when("GET", "/flows/flow-1", GONE)
    with pytest.raises(NotThere, match="gone from sandbox prod"):
        await AwaitFlow().prepare(ctx)
