"""Schema Registry steps: what is sent, how it is found again, and what counts as an edit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from flowledger.errors import NotThere, SpecError
from flowledger.steps.adhoc_class import CreateAdHocClass
from flowledger.steps.adhoc_schema import CreateAdHocSchema
from flowledger.steps.client.port import Answer
from flowledger.steps.field_group import CreateFieldGroup
from flowledger.steps.registry_resource import RegistryResource
from flowledger.steps.spec import Mapping, Target
from flowledger.steps.step import How, UnusableAnswer
from flowledger.steps.target_schema import CreateTargetSchema

STEPS: list[RegistryResource] = [CreateAdHocClass(), CreateAdHocSchema(), CreateFieldGroup(), CreateTargetSchema()]
PROFILE = "https://ns.adobe.com/xdm/context/profile"
DETAILS = "https://ns.adobe.com/xdm/context/profile-personal-details"
every_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: str(step.name))


def stored(ctx: Any, step: RegistryResource, *, at: int = 1, id: str = "ee55") -> Any:
    """The resource as the registry keeps it: with everything that it adds, and the namespace renamed."""
    kind = {"fieldgroups": "mixins"}.get(step.kind, step.kind)
    live = copy.deepcopy(step.request(ctx).body)
    for part in live["allOf"]:
        if "properties" in part:
            own = part["properties"].pop("_adhoc")
            for column in own["properties"].values():
                column["meta:xdmType"] = "string"
            part["properties"][f"_{id}"] = own
        part.update({"type": "object", "meta:xdmType": "object"})
    return {
        **live,
        "$id": f"https://ns.adobe.com/acme/{kind}/{id}",
        "meta:altId": f"_acme.{kind}.{id}",
        "meta:datasetNamespace": f"_{id}",
        "version": "1.0",
        "meta:registryMetadata": {"repo:createdDate": at},
    }


def page(*resources: Any) -> tuple[int, Any]:
    return (200, {"results": list(resources), "_page": {"orderby": "title", "next": None, "count": len(resources)}})


def test_the_adhoc_class_describes_every_column_of_the_source(ctx: Any) -> None:
    body = CreateAdHocClass().request(ctx).body
    assert body["allOf"] == [
        {"$ref": "https://ns.adobe.com/xdm/data/adhoc"},
        {
            "properties": {
                "_adhoc": {
                    "type": "object",
                    "properties": {
                        "Product_Id": {"type": "string"},
                        "Product_Name": {"type": "string"},
                        "Create_Time": {"type": "string", "format": "date-time"},
                    },
                }
            }
        },
    ]


def test_own_fields_are_nested_under_the_tenants_namespace(ctx: Any) -> None:
    body = CreateFieldGroup().request(ctx).body
    assert body["meta:intendedToExtend"] == [PROFILE]
    [definition] = body["definitions"].values()
    assert definition["properties"]["_acme"]["properties"] == {
        "product": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "weight": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
            },
        },
        "listed": {"type": "boolean"},
    }


async def test_without_own_fields_there_is_no_field_group(make_context: Any) -> None:
    ctx = make_context(target=Target())
    settled = await CreateFieldGroup().prepare(ctx)
    assert settled is not None
    assert settled.how is How.SKIPPED
    assert CreateFieldGroup().calls(ctx.spec) == ()
    ctx.outputs["create_field_group"] = settled.outputs
    assert CreateTargetSchema().request(ctx).body["allOf"] == [{"$ref": PROFILE}]


def test_the_target_schema_names_each_part_once(ctx: Any) -> None:
    body = CreateTargetSchema().request(ctx).body
    assert body["allOf"] == [
        {"$ref": PROFILE},
        {"$ref": DETAILS},
        {"$ref": "https://ns.adobe.com/acme/mixins/cc33"},
    ]
    assert body["meta:class"] == PROFILE


@every_step
def test_a_create_and_a_look_up_tell_the_same_outputs(
    ctx: Any, step: RegistryResource, answered: Callable[..., Answer]
) -> None:
    live = stored(ctx, step)
    assert step.read(answered(live)) == step.outputs(live)
    assert step.outputs(live)["id"] == live["$id"]


@every_step
@pytest.mark.parametrize("body", [{}, {"$id": ""}, {"$id": 7}, {"$id": None}, [], None, "ok"])
def test_a_success_without_an_id_is_not_usable(
    step: RegistryResource, answered: Callable[..., Answer], body: Any
) -> None:
    with pytest.raises(UnusableAnswer):
        step.read(answered(body))


@every_step
async def test_it_is_found_by_title_in_one_look(ctx: Any, step: RegistryResource) -> None:
    newer, older = stored(ctx, step, at=2, id="ff66"), stored(ctx, step, at=1)
    title = newer["title"]
    ctx.when("GET", f"/tenant/{step.kind}", page(newer, older), property=f"title=={title}")
    assert [hit.id for hit in await step.find(ctx)] == [older["$id"], newer["$id"]]
    assert len(ctx.asked) == 1


@every_step
async def test_it_is_found_by_its_description_once_its_title_was_edited(ctx: Any, step: RegistryResource) -> None:
    renamed = {**stored(ctx, step), "title": "Ours now"}
    stranger = {**stored(ctx, step, id="0123"), "title": "x", "description": "fl-0000000000-" + step.slug}
    ctx.when("GET", f"/tenant/{step.kind}", page(), property=f"title=={step.request(ctx).body['title']}")
    ctx.when("GET", f"/tenant/{step.kind}", page(stranger, renamed))
    assert [hit.id for hit in await step.find(ctx)] == [renamed["$id"]]


@every_step
async def test_it_is_fetched_by_its_encoded_id_with_the_accept_that_look_ups_need(
    ctx: Any, step: RegistryResource
) -> None:
    live = stored(ctx, step)
    ctx.when("GET", "ee55", (200, live), (404, {"type": "http://ns.adobe.com/aep/errors/XDM-1010-404"}))
    assert await step.fetch(ctx, live["$id"]) == live
    assert "https%3A%2F%2Fns.adobe.com%2Facme%2F" in ctx.asked[0].path
    assert ctx.asked[0].headers["Accept"] == "application/vnd.adobe.xed+json; version=1"
    assert await step.fetch(ctx, live["$id"]) is None


async def test_a_titles_holder_of_another_kind_is_looked_up_where_it_lives(ctx: Any) -> None:
    ctx.when("GET", "", (200, {"$id": "https://ns.adobe.com/acme/mixins/0a0b", "title": "theirs"}))
    await CreateTargetSchema().fetch(ctx, "https://ns.adobe.com/acme/mixins/0a0b")
    assert "/tenant/fieldgroups/" in ctx.asked[0].path


@every_step
def test_an_unedited_resource_shows_no_drift_although_the_server_added_to_it(ctx: Any, step: RegistryResource) -> None:
    assert step.check(ctx, stored(ctx, step)) == []


@every_step
@pytest.mark.parametrize("key", ["title", "description"])
def test_an_edited_text_is_drift(ctx: Any, step: RegistryResource, key: str) -> None:
    assert [difference.path for difference in step.check(ctx, {**stored(ctx, step), key: "edited"})] == [key]


def test_an_edited_column_of_the_adhoc_class_is_drift(ctx: Any) -> None:
    live = stored(ctx, CreateAdHocClass())
    columns = live["allOf"][1]["properties"]["_ee55"]["properties"]
    columns["Product_Id"]["type"] = "integer"
    columns["New"] = {"type": "string"}
    del columns["Product_Name"]
    assert [difference.path for difference in CreateAdHocClass().check(ctx, live)] == [
        "allOf._adhoc.New",
        "allOf._adhoc.Product_Id",
        "allOf._adhoc.Product_Name",
    ]


def test_an_edited_own_field_is_drift(ctx: Any) -> None:
    live = stored(ctx, CreateFieldGroup())
    live["definitions"]["ownFields"]["properties"]["_acme"]["properties"]["listed"]["type"] = "string"
    assert [difference.path for difference in CreateFieldGroup().check(ctx, live)] == ["fields._acme.listed"]


def test_a_field_group_that_was_added_to_the_target_schema_is_drift_and_no_other_reference(ctx: Any) -> None:
    live = stored(ctx, CreateTargetSchema())
    live["allOf"].append({"$ref": "https://ns.adobe.com/xdm/context/profile-person-details"})
    assert CreateTargetSchema().references(ctx, live) == []
    assert [difference.path for difference in CreateTargetSchema().check(ctx, live)] == ["allOf"]


@pytest.mark.parametrize(
    ("step", "edit"),
    [
        (CreateAdHocClass(), {"allOf": [{"$ref": "https://ns.adobe.com/xdm/data/record"}]}),
        (CreateAdHocSchema(), {"allOf": [{"$ref": "https://ns.adobe.com/acme/classes/other"}]}),
        (CreateFieldGroup(), {"meta:intendedToExtend": ["https://ns.adobe.com/xdm/context/experienceevent"]}),
        (CreateTargetSchema(), {"meta:class": "https://ns.adobe.com/xdm/context/experienceevent"}),
    ],
)
def test_other_references_are_never_adopted(ctx: Any, step: RegistryResource, edit: Any) -> None:
    assert step.references(ctx, stored(ctx, step)) == []
    assert step.references(ctx, {**stored(ctx, step), **edit})


@every_step
def test_it_is_removed_by_its_id(ctx: Any, step: RegistryResource) -> None:
    [delete] = step.undo(ctx, step.outputs(stored(ctx, step)))
    assert (delete.method, delete.effect) == ("DELETE", True)
    assert delete.path.startswith(f"/data/foundation/schemaregistry/tenant/{step.kind}/https%3A")


# The target schema's foreign parts

FOREIGN = "https://ns.adobe.com/acme/mixins/9f9f"
STANDARD = "https://ns.adobe.com/xdm/context/profile-work-details"


def foreign(*paths: str) -> dict[str, Any]:
    return {
        "target": Target(field_groups=(FOREIGN, STANDARD), fields={"own": "string"}),
        "mappings": tuple(Mapping(source="Product_Id", to=path) for path in paths),
    }


def resolved(properties: Any) -> tuple[int, Any]:
    return (200, {"properties": properties})


TREE = {
    "_acme": {"properties": {"shelf": {"properties": {"row": {"type": "string"}, "bay": {"type": "integer"}}}}},
    "tags": {"type": "array", "items": {"type": "string"}},
    "lines": {"type": "array", "items": {"properties": {"sku": {"type": "string"}}}},
}


async def test_foreign_parts_are_read_where_they_live_and_their_fields_accepted(make_context: Any) -> None:
    ctx = make_context(**foreign("own", "_id", "_acme.shelf.row", "tags", "lines[0].sku", "workEmail.address"))
    ctx.when("GET", "9f9f", resolved(TREE))
    ctx.when("GET", "profile-work-details", resolved({"workEmail": {"properties": {"address": {"type": "string"}}}}))
    await CreateTargetSchema().prepare(ctx)
    ours, theirs = ctx.asked
    assert "/tenant/fieldgroups/" in ours.path
    assert "/global/fieldgroups/" in theirs.path
    assert {request.headers["Accept"] for request in ctx.asked} == {"application/vnd.adobe.xed-full+json; version=1"}
    stages = CreateTargetSchema().calls(ctx.spec)
    assert [[call.effect for call in stage] for stage in stages] == [[False, False], [True]]


async def test_fields_that_exist_nowhere_are_refused_all_at_once_before_anything_is_made(make_context: Any) -> None:
    ctx = make_context(**foreign("_acme.shelf.rows", "_acme.shelf", "product.name", "_acme.shelf.row.deeper"))
    ctx.when("GET", "9f9f", resolved(TREE))
    ctx.when("GET", "profile-work-details", resolved({}))
    with pytest.raises(SpecError) as error:
        await CreateTargetSchema().prepare(ctx)
    first, second, third, fourth = error.value.faults
    assert "near: _acme.shelf.row" in first
    assert "is an object; name a field in it, like _acme.shelf.bay" in second
    assert "product.name" in third
    assert "_acme.shelf.row.deeper" in fourth


async def test_a_field_group_that_does_not_exist_is_named(make_context: Any) -> None:
    ctx = make_context(**foreign("_id"))
    ctx.when("GET", "9f9f", (404, {"type": "http://ns.adobe.com/aep/errors/XDM-1012-404"}))
    ctx.when("GET", "profile-work-details", resolved({}))
    with pytest.raises(NotThere, match=FOREIGN) as error:
        await CreateTargetSchema().prepare(ctx)
    assert STANDARD not in error.value.message


async def test_a_target_of_known_parts_needs_no_read(ctx: Any) -> None:
    await CreateTargetSchema().prepare(ctx)
    assert ctx.asked == []
