"""Exploring: the three questions at once, and refusals that name every fault."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flowledger.errors import NotPermitted, NotThere, Rejected, SpecError
from flowledger.steps.explore import Explore
from flowledger.steps.spec import BaseConnection, Delta, Mapping, Source

TABLES = [
    {"type": "table", "name": name, "path": name, "canPreview": True, "canFetchSchema": True}
    for name in ("PayPal.Catalog_Products", "PayPal.Billing_Plans")
]
COLUMNS = [
    {"name": "Product_Id", "type": "String"},
    {"name": "Product_Name", "type": "string", "xdm": {"type": "string", "meta:xdmType": "string"}},
    {"name": "Count", "type": "long", "meta:xdmType": "long"},
    {
        "name": "Create_Time",
        "type": "string",
        "meta:xdmType": "date-time",
        "xdm": {"type": "string", "format": "date-time"},
    },
]


def explorable(ctx: Any, *, test: Any = None, tables: Any = None, table: Any = None) -> Any:
    ctx.when("GET", "/connections/base-1/test", test or (200, {"result": True}))
    ctx.when("GET", "/explore", tables or (200, TABLES), objectType="root")
    ctx.when("GET", "/explore", table or (200, {"format": "flat", "schema": {"columns": COLUMNS}}), objectType="table")
    return ctx


def source(**changes: Any) -> Source:
    parts: dict[str, Any] = {
        "kind": "paypal",
        "connection": BaseConnection(params={"clientId": "c"}),
        "table": "PayPal.Catalog_Products",
        "delta": Delta(column="Create_Time"),
    }
    return Source(**{**parts, **changes})


async def test_the_columns_become_outputs_with_a_shape_each(ctx: Any) -> None:
    settled = await Explore().prepare(explorable(ctx))
    assert settled.outputs["id"] == "PayPal.Catalog_Products"
    assert settled.outputs["columns"] == [
        {"name": "Product_Id", "type": "String", "xdm": {"type": "string"}},
        {"name": "Product_Name", "type": "string", "xdm": {"type": "string"}},
        {"name": "Count", "type": "long", "xdm": {"type": "integer"}},
        {"name": "Create_Time", "type": "string", "xdm": {"type": "string", "format": "date-time"}},
    ]


async def test_the_three_questions_are_asked_at_the_same_time(ctx: Any) -> None:
    explorable(ctx)
    answer, together, under_way = ctx.ask, asyncio.Event(), []

    async def ask(request: Any, **kwargs: Any) -> Any:
        under_way.append(request)
        if len(under_way) == 3:
            together.set()
        await asyncio.wait_for(together.wait(), 5)  # one after another would never get here
        return await answer(request, **kwargs)

    ctx.ask = ask
    await Explore().prepare(ctx)


@pytest.mark.parametrize("result", [True, "true", {"result": True}, {"result": "TRUE"}])
async def test_a_passed_test_is_understood_in_every_spelling(ctx: Any, result: Any) -> None:
    assert await Explore().prepare(explorable(ctx, test=(200, result)))


@pytest.mark.parametrize("test", [(200, {"result": False}), (200, {}), (400, {"errorMessage": "bad credentials"})])
async def test_wrong_credentials_are_said_before_anything_they_cause(ctx: Any, test: Any) -> None:
    refused = (400, {"errorMessage": "cannot explore"})
    explorable(ctx, test=test, tables=refused, table=refused)
    with pytest.raises(NotPermitted, match="base connection base-1") as error:
        await Explore().prepare(ctx)
    assert "credentials" in error.value.hint


async def test_a_table_that_is_not_there_is_refused_naming_near_ones(make_context: Any) -> None:
    ctx = make_context(source=source(table="PayPal.Catalog_Product"))
    explorable(ctx, table=(400, {"type": "https://ns.adobe.com/aep/errors/CONNECTOR-1330-400", "status": 400}))
    with pytest.raises(SpecError) as error:
        await Explore().prepare(ctx)
    assert "source.table" in error.value.faults[0]
    assert "PayPal.Catalog_Products" in error.value.faults[0]


async def test_a_table_that_is_not_there_is_refused_with_what_the_platform_says_of_it(make_context: Any) -> None:
    ctx = make_context(source=source(table="gz"))
    refused = {
        "type": "https://ns.adobe.com/aep/errors/CONNECTOR-1330-400",
        "status": 400,
        "title": "There is no table 'gz': gz.csv.gz is none",
    }
    explorable(ctx, table=(400, refused))
    with pytest.raises(SpecError) as error:
        await Explore().prepare(ctx)
    assert "gz.csv.gz is none" in error.value.faults[0].partition("the platform says: ")[2]


async def test_a_table_that_is_listed_and_cannot_be_read_is_the_platforms_refusal(ctx: Any) -> None:
    explorable(ctx, table=(400, {"type": "https://ns.adobe.com/aep/errors/CONNECTOR-1330-400", "status": 400}))
    with pytest.raises(Rejected) as error:
        await Explore().prepare(ctx)
    assert error.value.code == "CONNECTOR-1330-400"


async def test_a_base_connection_that_is_gone_is_not_called_wrong_credentials(ctx: Any) -> None:
    gone = (404, {"type": "https://ns.adobe.com/aep/errors/FLOW-1439-404", "status": 404})
    with pytest.raises(NotThere):
        await Explore().prepare(explorable(ctx, test=gone, tables=gone, table=gone))


async def test_every_column_fault_is_told_at_once(make_context: Any) -> None:
    ctx = make_context(
        source=source(delta=Delta(column="updatedAt")),
        mappings=(
            Mapping(source="product_id", to="_id"),
            Mapping(source="Product_Name", to="product.name"),
            Mapping(source="${Count}", to="product.weight"),
            Mapping(source="Type", to="listed"),
        ),
    )
    with pytest.raises(SpecError) as error:
        await Explore().prepare(explorable(ctx))
    assert [fault.split(":")[0] for fault in error.value.faults] == [
        "mappings[0].source",
        "mappings[3].source",
        "source.delta.column",
    ]
    assert "near: Product_Id" in error.value.faults[0]


async def test_a_delta_column_that_is_no_time_is_refused_naming_those_that_are(make_context: Any) -> None:
    ctx = make_context(source=source(delta=Delta(column="Product_Name")))
    with pytest.raises(SpecError) as error:
        await Explore().prepare(explorable(ctx))
    assert error.value.faults == (
        "source.delta.column: 'Product_Name' is string, and must be date-time; PayPal.Catalog_Products has Create_Time",
    )


async def test_wrong_credentials_are_told_at_once_although_the_other_questions_would_be_retried_for_long(
    ctx: Any,
) -> None:
    explorable(ctx, test=(200, {"result": False}))
    answer, abandoned = ctx.ask, []

    async def ask(request: Any, **kwargs: Any) -> Any:
        if request.path.endswith("/explore"):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                abandoned.append(request)
                raise
        return await answer(request, **kwargs)

    ctx.ask = ask
    with pytest.raises(NotPermitted):
        await Explore().prepare(ctx)
    assert len(abandoned) == 2, "nothing goes on asking behind the step's back"
