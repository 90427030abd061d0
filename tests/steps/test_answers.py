"""What steps take out of answers, however odd these are."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.errors import StepError
from flowledger.steps.adhoc_class import CreateAdHocClass
from flowledger.steps.answers import number_of
from flowledger.steps.explore import Explore
from flowledger.steps.flow_run import flow_runs_of


@pytest.mark.parametrize(
    ("value", "number"),
    [(5, 5.0), (1.5, 1.5), ("7", 7.0), (True, 0.0), (None, 0.0), ([1], 0.0), ("soon", 0.0), ("nan", 0.0), (1e999, 0.0),
     (10**400, 0.0)],
)  # fmt: skip
def test_a_number_is_finite_or_counts_as_0(value: Any, number: float) -> None:
    """`createdAt` decides which hit is the oldest: what compares with nothing must not get into that order."""
    assert number_of(value) == number


@pytest.mark.parametrize("columns", [5, "ab", {"name": "a"}, [], [5, None, "a", {"name": 5}]])
async def test_columns_that_are_none_are_said_to_be_missing(ctx: Any, columns: Any) -> None:
    ctx.when("GET", "/test", (200, {"result": True}))
    ctx.when("GET", "/explore", (200, [{"path": "PayPal.Catalog_Products"}]), objectType="root")
    ctx.when("GET", "/explore", (200, {"schema": {"columns": columns}}), objectType="table")
    with pytest.raises(StepError, match="showed no columns"):
        await Explore().prepare(ctx)


@pytest.mark.parametrize("parts", [None, 5, [5], [{"$ref": []}], [{"$ref": "https://ns.adobe.com/xdm/data/record"}]])
def test_a_class_of_any_other_shape_differs(ctx: Any, parts: Any) -> None:
    [difference] = CreateAdHocClass().references(ctx, {"allOf": parts})
    assert difference.path == "allOf"


async def test_runs_are_asked_for_in_the_order_that_all_of_adobes_documents_spell_alike(ctx: Any) -> None:
    runs = [{"id": f"run-{number}", "flowId": "flow-1", "createdAt": number} for number in (3, 1, 2)]
    ctx.when("GET", "/runs", (200, {"items": runs}), orderby="-createdAt", property="flowId==flow-1")
    assert [run.id for run in await flow_runs_of(ctx.ask, "flow-1")] == ["run-1", "run-2", "run-3"]
