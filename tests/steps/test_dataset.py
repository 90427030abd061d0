"""The dataset: three places for the marker, an id inside a reference, and a map around the object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.errors import Unreachable
from flowledger.steps.client.port import Answer
from flowledger.steps.dataset import CreateDataset
from flowledger.steps.step import UnusableAnswer

STEP = CreateDataset()
ID = "5e8918669cbbee18ad9771f3"
MARKER = "fl-k3x9q2w7ma-dataset"


def stored(ctx: Any, *, at: int = 1) -> dict[str, Any]:
    return {**STEP.request(ctx).body, "created": at, "version": "1.0.0", "state": "DRAFT"}


def test_the_dataset_follows_the_target_schema_and_gets_a_data_source(ctx: Any) -> None:
    request = STEP.request(ctx)
    assert request.path == "/data/foundation/catalog/dataSets"
    assert request.query == (("requestDataSource", "true"),)
    assert request.body == {
        "name": f"Products all of them {MARKER}",
        "description": f"What PayPal sells [{MARKER}]",
        "tags": {"flowledger": [MARKER]},
        "schemaRef": {
            "id": "https://ns.adobe.com/acme/schemas/dd44",
            "contentType": "application/vnd.adobe.xed-full-notext+json; version=1",
        },
    }


@pytest.mark.parametrize("reference", [f"@/dataSets/{ID}", f"@/datasets/{ID}"])
def test_the_id_is_taken_from_the_reference_in_either_spelling(
    ctx: Any, answered: Callable[..., Answer], reference: str
) -> None:
    assert STEP.read(answered([reference])) == {"id": ID} == STEP.outputs({**stored(ctx), "id": ID})


@pytest.mark.parametrize("body", [[], ["@/dataSets/"], ["@/batches/7"], [7], {}, None, {"0": f"@/dataSets/{ID}"}, "x"])
def test_a_success_without_a_reference_is_not_usable(answered: Callable[..., Answer], body: Any) -> None:
    with pytest.raises(UnusableAnswer):
        STEP.read(answered(body))


async def test_it_is_found_by_its_tag_in_one_look_oldest_first(ctx: Any) -> None:
    found = {"b" * 24: stored(ctx, at=2), ID: stored(ctx, at=1)}
    ctx.when("GET", "/dataSets", (200, found), tags=f"flowledger:{MARKER}")
    assert [hit.id for hit in await STEP.find(ctx)] == [ID, "b" * 24]
    assert len(ctx.asked) == 1


async def test_it_is_found_by_name_once_its_tags_were_edited(ctx: Any) -> None:
    untagged = {**stored(ctx), "tags": {}}
    ctx.when("GET", "/dataSets", (200, {}), tags=f"flowledger:{MARKER}")
    ctx.when("GET", "/dataSets", (200, {ID: untagged, "c" * 24: {"name": "x"}}), name=untagged["name"])
    [hit] = await STEP.find(ctx)
    assert hit.id == ID
    assert hit.live["id"] == ID


async def test_it_is_fetched_out_of_its_map(ctx: Any) -> None:
    ctx.when("GET", f"/dataSets/{ID}", (200, {ID: stored(ctx)}), (404, {"status": 404}), (200, {}))
    assert await STEP.fetch(ctx, ID) == {**stored(ctx), "id": ID}
    assert await STEP.fetch(ctx, ID) is None
    with pytest.raises(Unreachable, match="without that object"):  # which proves nothing
        await STEP.fetch(ctx, ID)


@pytest.mark.parametrize("keep", ["name", "description", "tags"])
def test_any_one_of_its_three_places_for_the_marker_is_enough(ctx: Any, keep: str) -> None:
    live = {"name": "x", "description": "y", "tags": {}, keep: stored(ctx)[keep]}
    assert STEP.marked(ctx, live)
    assert not STEP.marked(ctx, {**live, keep: None})


def test_an_unedited_dataset_shows_no_drift_however_its_media_type_is_spelled(ctx: Any) -> None:
    live = stored(ctx)
    live["schemaRef"] = {**live["schemaRef"], "contentType": "application/vnd.adobe.xed-full-notext+json;version=1.0"}
    assert STEP.check(ctx, live) == []


@pytest.mark.parametrize(
    ("edit", "path"),
    [
        ({"name": "edited"}, "name"),
        ({"description": "edited"}, "description"),
        ({"tags": {"unifiedProfile": ["enabled:true"]}}, "tags.flowledger"),
        (
            {
                "schemaRef": {
                    "id": "https://ns.adobe.com/acme/schemas/other",
                    "contentType": "application/vnd.adobe.xed-full-notext+json; version=1",
                }
            },
            "schemaRef.id",
        ),
    ],
)
def test_an_edit_is_drift(ctx: Any, edit: dict[str, Any], path: str) -> None:
    assert [difference.path for difference in STEP.check(ctx, {**stored(ctx), **edit})] == [path]


def test_another_schema_is_never_adopted(ctx: Any) -> None:
    assert STEP.references(ctx, stored(ctx)) == []
    assert STEP.references(ctx, {"schemaRef": {"id": "https://ns.adobe.com/acme/schemas/other"}})


def test_it_is_removed_by_its_id(ctx: Any) -> None:
    [delete] = STEP.undo(ctx, {"id": ID})
    assert (delete.method, delete.path, delete.effect) == ("DELETE", f"/data/foundation/catalog/dataSets/{ID}", True)
