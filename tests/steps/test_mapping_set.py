"""The mapping set: validated first, and found again even where nothing on it says whose it is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from flowledger.errors import SpecError
from flowledger.steps.client.port import Answer
from flowledger.steps.mapping_set import CreateLabelledMappingSet, CreateMappingSet
from flowledger.steps.step import UnusableAnswer

STEP = CreateMappingSet()
ID = "b54a8dc38e8d4e31a2dc096e413ae8e5"
NOW_MS = 1_800_000_000_000
PASSED = (200, {"validationResponse": [{"status": "SUCCESS", "errors": None}, {"status": "SUCCESS", "errors": None}]})


def stored(ctx: Any, *, at: int = NOW_MS, id: str = ID, named: bool = True) -> Any:
    """The set as a GET shows it, in both spellings."""
    live = {**copy.deepcopy(STEP.request(ctx).body), "id": id, "version": 0, "createdDate": at, "status": "PUBLISHED"}
    for mapping in live["mappings"]:
        mapping.update(source=mapping["sourceAttribute"], destination=mapping["destinationXdmPath"], id="m")
    if not named:
        del live["name"]
    return live


def page(*sets: Any) -> tuple[int, Any]:
    return (200, {"data": list(sets), "_page": {"count": len(sets), "limit": 100}, "_links": {}})


def test_it_maps_to_the_schema_of_the_dataset_and_own_fields_get_the_tenants_prefix(ctx: Any) -> None:
    body = STEP.request(ctx).body
    assert (body["xdmSchema"], body["xdmVersion"]) == ("https://ns.adobe.com/acme/schemas/dd44", "1.0")
    assert (body["version"], body["id"]) == (0, None)
    assert body["mappings"] == [
        {
            "destinationXdmPath": destination,
            "sourceAttribute": source,
            "identity": False,
            "identityGroup": None,
            "namespaceCode": None,
            "version": 0,
        }
        for source, destination in (("Product_Id", "_id"), ("Product_Name", "_acme.product.name"))
    ]


async def test_the_platform_is_asked_to_validate_what_will_be_sent_before_it_is_sent(ctx: Any) -> None:
    ctx.when("POST", "/mappingSets/validate", PASSED)
    assert await STEP.prepare(ctx) is None
    assert ctx.asked[0].body == STEP.request(ctx).body


async def test_mappings_that_the_platform_does_not_accept_are_told_at_once_in_its_words(ctx: Any) -> None:
    refused = [
        {"status": "FAILED", "errors": [{"message": "unknown path"}]},
        {"status": "ERROR", "errors": ["type mismatch"]},
    ]
    ctx.when("POST", "/mappingSets/validate", (200, {"validationResponse": refused}))
    with pytest.raises(SpecError) as error:
        await STEP.prepare(ctx)
    assert error.value.faults == (
        "mappings[0]: Product_Id to _id: unknown path",
        "mappings[1]: Product_Name to product.name: type mismatch",
    )


def test_a_create_and_a_look_up_tell_the_same_outputs(ctx: Any, answered: Callable[..., Answer]) -> None:
    created = {"id": ID, "version": 0, "createdDate": NOW_MS, "modifiedDate": NOW_MS}
    assert STEP.read(answered(created, 200)) == {"id": ID, "version": 0} == STEP.outputs(stored(ctx))
    assert STEP.read(answered({"id": ID, "version": "3"}, 200))["version"] == 3


@pytest.mark.parametrize("body", [{}, {"id": None}, {"id": ""}, [], None])
def test_a_success_without_an_id_is_not_usable(answered: Callable[..., Answer], body: Any) -> None:
    with pytest.raises(UnusableAnswer):
        STEP.read(answered(body, 200))


async def test_it_is_found_by_name_in_one_look_oldest_first(ctx: Any) -> None:
    newer, older = stored(ctx, at=NOW_MS + 1, id="b" * 32), stored(ctx)
    ctx.when("GET", "/mappingSets", page(newer, older), name=newer["name"])
    assert [hit.id for hit in await STEP.find(ctx)] == [ID, "b" * 32]
    assert len(ctx.asked) == 1


async def test_where_names_are_not_kept_equal_mappings_of_our_schema_are_ours(ctx: Any) -> None:
    ours = stored(ctx, named=False)
    elsewhere = {**stored(ctx, named=False, id="2" * 32), "xdmSchema": "https://ns.adobe.com/acme/schemas/other"}
    unlike = stored(ctx, named=False, id="3" * 32)
    unlike["mappings"].pop()
    theirs = {**stored(ctx, id="4" * 32), "name": "somebody's"}
    ctx.when("GET", "/mappingSets", page(), name=STEP.request(ctx).body["name"])
    ctx.when("GET", "/mappingSets", page(elsewhere, unlike, theirs, ours))
    assert [hit.id for hit in await STEP.find(ctx)] == [ID]


async def test_a_set_of_our_schema_is_looked_at_by_its_id_where_lists_leave_names_and_mappings_out(ctx: Any) -> None:
    ours = stored(ctx, named=False)
    elsewhere = {**stored(ctx, named=False, id="2" * 32), "xdmSchema": "https://ns.adobe.com/acme/schemas/other"}
    short = [{key: value for key, value in one.items() if key != "mappings"} for one in (elsewhere, ours)]
    ctx.when("GET", "/mappingSets", page(), name=STEP.request(ctx).body["name"])
    ctx.when("GET", "/mappingSets", page(*short))
    assert [hit.id for hit in await STEP.find(ctx)] == [ID]


async def test_a_refused_name_filter_is_replaced_by_the_whole_list(ctx: Any) -> None:
    ctx.when("GET", "/mappingSets", (400, {"errorMessage": "no such filter"}), name=STEP.request(ctx).body["name"])
    ctx.when("GET", "/mappingSets", page(stored(ctx)))
    assert [hit.id for hit in await STEP.find(ctx)] == [ID]


def test_a_set_that_is_ours_only_by_its_content_is_never_removed(ctx: Any) -> None:
    assert STEP.undo(ctx, STEP.outputs(stored(ctx, named=False))) == []
    [delete] = STEP.undo(ctx, STEP.outputs(stored(ctx)))
    assert (delete.method, delete.path) == ("DELETE", f"/data/foundation/conversion/mappingSets/{ID}")
    assert delete.effect


@pytest.mark.parametrize("spelling", ["both", "old", "new"])
def test_an_unedited_set_shows_no_drift_in_any_spelling(ctx: Any, spelling: str) -> None:
    live = stored(ctx)
    for mapping in live["mappings"]:
        for key in {"old": ("source", "destination"), "new": ("sourceAttribute", "destinationXdmPath")}.get(
            spelling, ()
        ):
            del mapping[key]
    if spelling == "new":
        live["outputSchema"] = {"schemaRef": {"id": live.pop("xdmSchema")}}
        del live["xdmVersion"]
    assert STEP.check(ctx, live) == []


def test_an_edit_is_drift(ctx: Any) -> None:
    renamed, remapped, moved = stored(ctx), stored(ctx), stored(ctx)
    renamed["name"] = "edited"
    remapped["mappings"].pop()
    moved["xdmSchema"] = "https://ns.adobe.com/acme/schemas/other"
    for live, path in ((renamed, "name"), (remapped, "mappings"), (moved, "xdmSchema")):
        assert [difference.path for difference in STEP.check(ctx, live)] == [path]
    assert STEP.references(ctx, moved)


async def test_it_is_fetched_by_its_id(ctx: Any) -> None:
    ctx.when("GET", f"/mappingSets/{ID}", (200, stored(ctx)), (404, {"status": 404, "type": "x"}))
    assert await STEP.fetch(ctx, ID) == stored(ctx)
    assert await STEP.fetch(ctx, ID) is None


# The dialect of the reference, which has fields for a label

LABELLED = CreateLabelledMappingSet()
MEDIA_TYPE = "application/vnd.adobe.xed-full+json;version=1"


def labelled(ctx: Any, **changes: Any) -> Any:
    """The set as a GET shows it, with parts replaced; None takes a part away."""
    live = {**copy.deepcopy(LABELLED.request(ctx).body), "id": ID, "version": 0, "createdDate": NOW_MS, **changes}
    for mapping in live["mappings"]:
        mapping["sourceType"] = "text/x.schema-path"
    return {key: value for key, value in live.items() if value is not None}


def test_the_references_dialect_names_schema_mappings_and_marker_in_documented_fields(ctx: Any) -> None:
    assert LABELLED.request(ctx).body == {
        "name": "paypal-products mapping set fl-k3x9q2w7ma-mapping-set",
        "tags": [{"name": "flowledger", "values": ["fl-k3x9q2w7ma-mapping-set"]}],
        "outputSchema": {"schemaRef": {"id": "https://ns.adobe.com/acme/schemas/dd44", "contentType": MEDIA_TYPE}},
        "mappings": [
            {"sourceType": "ATTRIBUTE", "source": "Product_Id", "destination": "_id"},
            {"sourceType": "ATTRIBUTE", "source": "Product_Name", "destination": "_acme.product.name"},
        ],
    }


@pytest.mark.parametrize(
    "changes", [{}, {"name": "edited"}, {"name": None}, {"tags": None}, {"tags": [{"name": "theirs"}, "x"]}]
)
async def test_a_labelled_set_is_found_by_its_name_or_its_tag(ctx: Any, changes: Any) -> None:
    live = labelled(ctx, **changes)
    stranger = labelled(ctx, id="0" * 32, name="another", tags=[{"name": "flowledger", "values": ["fl-x-mapping-set"]}])
    ctx.when("GET", "/mappingSets", page(stranger, live))
    assert [hit.id for hit in await LABELLED.find(ctx)] == [ID]
    assert LABELLED.undo(ctx, LABELLED.outputs(live))


async def test_a_set_that_kept_neither_name_nor_tag_is_known_by_its_content_and_never_removed(ctx: Any) -> None:
    live = labelled(ctx, name=None, tags=None)
    ctx.when("GET", "/mappingSets", page(live))
    assert [hit.id for hit in await LABELLED.find(ctx)] == [ID]
    assert LABELLED.undo(ctx, LABELLED.outputs(live)) == []


@pytest.mark.parametrize("version", [None, "1.0"])
@pytest.mark.parametrize("media_type", [MEDIA_TYPE, "application/vnd.adobe.xed-full+json; version=1.0", None])
def test_an_unedited_labelled_set_shows_no_drift(ctx: Any, media_type: str | None, version: str | None) -> None:
    live = labelled(ctx, xdmVersion=version)
    live["outputSchema"]["schemaRef"]["contentType"] = media_type
    assert LABELLED.check(ctx, live) == []


def test_an_edit_of_a_labelled_set_is_drift(ctx: Any) -> None:
    other = {"schemaRef": {"id": "https://ns.adobe.com/acme/schemas/other", "contentType": MEDIA_TYPE}}
    newer = labelled(ctx)["outputSchema"]
    newer["schemaRef"]["contentType"] = MEDIA_TYPE.replace("=1", "=2")
    for changes, path in (
        ({"name": "edited"}, "name"),
        ({"mappings": []}, "mappings"),
        ({"outputSchema": other}, "xdmSchema"),
        ({"outputSchema": newer}, "outputSchema.schemaRef.contentType"),
    ):
        assert [difference.path for difference in LABELLED.check(ctx, labelled(ctx, **changes))] == [path]
    assert LABELLED.references(ctx, labelled(ctx, outputSchema=other))
