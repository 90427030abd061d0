"""Schema Registry: creates, what the server adds to them and what it refuses (platform-api.md §2.4, §2.5)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flowledger.emulator.caller import REGISTRY, Caller, Reply
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options

ADHOC = "https://ns.adobe.com/xdm/data/adhoc"
PROFILE = "https://ns.adobe.com/xdm/context/profile"
PERSON = f"{PROFILE}-person-details"
PERSONAL = f"{PROFILE}-personal-details"

Json = dict[str, Any]


def class_body(title: str = "raw class") -> Json:
    columns = {"Product_Id": {"type": "string"}, "Create_Time": {"type": "string", "format": "date-time"}}
    own = {"properties": {"_adhoc": {"type": "object", "properties": columns}}}
    return {"title": title, "description": "of a test", "type": "object", "allOf": [{"$ref": ADHOC}, own]}


def schema_body(*refs: str, title: str = "target") -> Json:
    return {"title": title, "type": "object", "allOf": [{"$ref": ref} for ref in refs]}


def group_body(properties: Json, *, title: str = "own fields", extends: str = PROFILE) -> Json:
    return {
        "title": title,
        "type": "object",
        "meta:intendedToExtend": [extends],
        "definitions": {"own": {"properties": properties}},
        "allOf": [{"$ref": "#/definitions/own"}],
    }


def own_fields(**fields: Json) -> Json:
    return {"_localtenant": {"type": "object", "properties": fields}}


def create(caller: Caller, kind: str, body: Any) -> Reply:
    return caller.send("POST", f"{REGISTRY}/tenant/{kind}", body)


def made(caller: Caller, kind: str, body: Any) -> Json:
    reply = create(caller, kind, body)
    assert reply.status == 201, reply.response
    resource: Json = reply.json
    return resource


def test_an_ad_hoc_class_gets_its_own_namespace_and_every_field_of_the_server(prod: Caller) -> None:
    created = made(prod, "classes", class_body())

    hex_part = created["$id"].rpartition("/")[2]
    assert created["$id"] == f"https://ns.adobe.com/localtenant/classes/{hex_part}"
    assert re.fullmatch(r"[0-9a-f]{32,48}", hex_part)
    assert created["meta:altId"] == f"_localtenant.classes.{hex_part}"
    assert created["meta:datasetNamespace"] == f"_{hex_part}"
    assert created["allOf"] == [
        {"$ref": ADHOC, "type": "object", "meta:xdmType": "object"},
        {
            "type": "object",
            "meta:xdmType": "object",
            "properties": {
                f"_{hex_part}": {
                    "type": "object",
                    "meta:xdmType": "object",
                    "properties": {
                        "Product_Id": {"type": "string", "meta:xdmType": "string"},
                        "Create_Time": {"type": "string", "format": "date-time", "meta:xdmType": "date-time"},
                    },
                }
            },
        },
    ]
    assert created["title"] == "raw class"
    assert created["description"] == "of a test"
    assert created["meta:abstract"] is True
    assert created["meta:extensible"] is True
    assert created["meta:extends"] == [ADHOC]
    assert created["meta:containerId"] == "tenant"
    assert created["meta:resourceType"] == "classes"
    assert created["version"] == "1.0"
    assert created["imsOrg"] == "LOCAL@AdobeOrg"
    metadata = created["meta:registryMetadata"]
    assert metadata["repo:createdDate"] == metadata["repo:lastModifiedDate"] == 1_700_000_000_000
    assert metadata["xdm:createdClientId"] == "local-client"
    assert metadata["eTag"]


def test_a_schema_on_an_ad_hoc_class_takes_over_its_namespace(prod: Caller) -> None:
    ad_hoc = made(prod, "classes", class_body())

    created = made(prod, "schemas", schema_body(ad_hoc["$id"], title="raw schema"))

    assert created["meta:class"] == ad_hoc["$id"]
    assert created["meta:datasetNamespace"] == ad_hoc["meta:datasetNamespace"]
    assert set(created["meta:extends"]) == {ad_hoc["$id"], ADHOC}
    assert created["meta:abstract"] is False
    assert created["meta:extensible"] is False


def test_the_tutorials_target_schema_keeps_its_double_reference_and_lists_it_once_in_refs(prod: Caller) -> None:
    sent = schema_body(PROFILE, PERSON, PERSONAL, PERSONAL)
    sent |= {"meta:containerId": "tenant", "meta:resourceType": "schemas", "meta:xdmType": "object"}

    created = made(prod, "schemas", sent | {"meta:class": "https://ns.adobe.com/xdm/wrong"})

    assert [part["$ref"] for part in created["allOf"]] == [PROFILE, PERSON, PERSONAL, PERSONAL]
    assert all(part["type"] == part["meta:xdmType"] == "object" for part in created["allOf"])
    assert sorted(created["refs"]) == sorted([PROFILE, PERSON, PERSONAL])
    assert set(created["meta:extends"]) == {
        PROFILE,
        PERSON,
        PERSONAL,
        "https://ns.adobe.com/xdm/common/auditable",
        "https://ns.adobe.com/xdm/data/record",
    }
    assert created["meta:class"] == PROFILE
    assert created["meta:tenantNamespace"] == "_localtenant"
    assert created["meta:sandboxType"] == "production"
    assert created["meta:sandboxId"]
    assert created["version"] == "1.0"


def test_a_field_group_derives_the_xdm_type_of_every_node(prod: Caller) -> None:
    fields = own_fields(
        small={"type": "integer", "minimum": 0, "maximum": 100},
        large={"type": "integer", "minimum": -(2**53), "maximum": 2**53},
        price={"type": "number"},
        sold={"type": "boolean"},
        day={"type": "string", "format": "date"},
        tags={"type": "array", "items": {"type": "string"}},
        product={"type": "object", "properties": {"name": {"type": "string"}}},
    )

    created = made(prod, "fieldgroups", group_body(fields))

    assert "/mixins/" in created["$id"]
    assert created["meta:resourceType"] == "mixins"
    assert created["meta:intendedToExtend"] == [PROFILE]
    inner = created["definitions"]["own"]["properties"]["_localtenant"]["properties"]
    assert {name: field["meta:xdmType"] for name, field in inner.items()} == {
        "small": "int",
        "large": "long",
        "price": "number",
        "sold": "boolean",
        "day": "date",
        "tags": "array",
        "product": "object",
    }
    assert inner["tags"]["items"]["meta:xdmType"] == "string"
    assert inner["product"]["properties"]["name"]["meta:xdmType"] == "string"


def test_the_old_spelling_mixins_makes_and_shows_field_groups(prod: Caller) -> None:
    created = made(prod, "mixins", group_body(own_fields(name={"type": "string"})))

    listed = prod.send("GET", f"{REGISTRY}/tenant/fieldgroups", headers={"accept": "application/vnd.adobe.xed-id+json"})

    assert [entry["$id"] for entry in listed.json["results"]] == [created["$id"]]
    assert made(prod, "schemas", schema_body(PROFILE, created["$id"]))["meta:class"] == PROFILE


@pytest.mark.parametrize(("kind", "body"), [("schemas", schema_body(PROFILE)), ("fieldgroups", None)])
def test_a_title_is_unique_across_all_kinds_and_the_answer_names_who_has_it(
    prod: Caller, kind: str, body: Json | None
) -> None:
    holder = made(prod, "classes", class_body("taken"))
    body = body or group_body(own_fields(name={"type": "string"}))

    reply = create(prod, kind, body | {"title": "taken"})

    assert (reply.status, reply.code) == (400, "XDM-1521-400")
    assert reply.json["title"] == "Title not unique"
    assert reply.json["type"].startswith("http://ns.adobe.com/aep/errors/")
    assert holder["$id"] in reply.json["detail"]
    assert holder["$id"] in reply.json["report"]["detailed-message"]
    assert reply.json["report"]["registryRequestId"]


def test_a_title_may_be_used_again_in_another_sandbox_but_not_in_its_own(
    prod: Caller, dev: Caller, emulator: Emulator
) -> None:
    ad_hoc = made(prod, "classes", class_body("taken"))

    promoted = made(dev, "classes", class_body("taken"))
    second = create(dev, "schemas", schema_body(PROFILE, title="taken"))

    assert (second.status, second.code) == (400, "XDM-1521-400")
    assert promoted["$id"] in second.json["detail"]  # the one of its own sandbox
    assert create(prod, "classes", class_body("taken")).code == "XDM-1521-400"
    assert create(dev, "schemas", schema_body(ad_hoc["$id"])).code == "XDM-1500-400"  # objects are not shared
    assert (emulator.count("classes"), emulator.count("classes", "dev")) == (1, 1)


def test_a_title_is_unique_over_all_sandboxes_of_an_organisation_as_an_option() -> None:
    emulator = Emulator(options=Options(titles_per_org=True))
    prod, dev = Caller(emulator), Caller(emulator, sandbox="dev")
    holder = made(prod, "classes", class_body("taken"))

    reply = create(dev, "classes", class_body("taken"))

    assert (reply.status, reply.code) == (400, "XDM-1521-400")
    assert holder["$id"] in reply.json["detail"]
    emulator.close()


@pytest.mark.parametrize("kind", ["classes", "schemas", "fieldgroups", "datatypes"])
def test_a_resource_without_a_type_is_an_object(prod: Caller, kind: str) -> None:
    body = {
        "classes": class_body(),
        "schemas": schema_body(PROFILE),
        "fieldgroups": group_body(own_fields(name={"type": "string"})),
        "datatypes": {"title": "shape", "properties": {"name": {"type": "string"}}},
    }[kind]
    body.pop("type", None)

    created = made(prod, kind, body)

    assert created["type"] == "object"
    path = f"{REGISTRY}/tenant/{kind}/{created['meta:altId']}"
    replaced = prod.send("PUT", path, {**body, "description": "again"})
    assert replaced.status == 200, replaced.response
    assert replaced.json["type"] == "object"


@pytest.mark.parametrize("kind", ["array", "string", None, ["object"]])
def test_a_resource_of_another_type_than_object_is_refused(prod: Caller, kind: Any) -> None:
    assert create(prod, "schemas", schema_body(PROFILE) | {"type": kind}).code == "XDM-1500-400"


def test_a_title_is_free_again_when_its_holder_is_gone(prod: Caller) -> None:
    first = made(prod, "classes", class_body("once more"))
    assert prod.send("DELETE", f"{REGISTRY}/tenant/classes/{first['meta:altId']}").status == 204

    second = made(prod, "classes", class_body("once more"))

    assert second["$id"] != first["$id"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("classes", None),
        ("classes", b"{no json"),
        ("classes", []),
        ("classes", {"type": "object", "allOf": [{"$ref": ADHOC}]}),  # no title
        ("classes", {"title": "t", "type": "object"}),  # no allOf
        ("classes", {"title": "t", "type": "object", "allOf": []}),
        ("classes", {"title": "t", "type": "object", "allOf": [{"properties": {}}]}),  # no behaviour
        ("classes", schema_body(ADHOC, "https://ns.adobe.com/xdm/data/record")),  # two behaviours
        ("classes", schema_body("https://ns.adobe.com/xdm/data/unheard-of")),
        ("schemas", schema_body(PERSON)),  # no class
        ("schemas", schema_body(PROFILE, "https://ns.adobe.com/localtenant/mixins/0123")),
        ("schemas", schema_body(PROFILE, "https://ns.adobe.com/xdm/data/record")),  # a behaviour is no field group
        ("fieldgroups", {"title": "t", "type": "object", "allOf": [{"$ref": "#/definitions/own"}]}),  # for no class
        ("fieldgroups", group_body({}) | {"allOf": [{"$ref": "#/definitions/absent"}]}),
        ("fieldgroups", group_body(own_fields(name={"type": "text"}))),  # no such type
        ("fieldgroups", group_body(own_fields(name={}))),  # no type at all
        ("fieldgroups", group_body(own_fields(name={"type": ["string"]}))),
        ("fieldgroups", group_body(own_fields(name={"type": "object", "allOf": {"$ref": PERSON}}))),
        ("fieldgroups", group_body(own_fields()) | {"allOf": [{"$ref": PERSON, "allOf": "text"}]}),
        ("schemas", schema_body(PROFILE) | {"meta:immutableTags": "union"}),
        ("fieldgroups", group_body(own_fields(names={"type": "array"}))),  # no items
        ("fieldgroups", group_body(own_fields(_name={"type": "string"}))),  # names do not start with _
        ("fieldgroups", group_body(own_fields(**{"product name": {"type": "string"}}))),
    ],
)
def test_a_malformed_resource_is_refused_and_makes_nothing(
    prod: Caller, emulator: Emulator, kind: str, body: Any
) -> None:
    reply = create(prod, kind, body)

    assert (reply.status, reply.code) == (400, "XDM-1500-400")
    assert reply.json["detail"]
    assert emulator.count(kind) == 0


def test_a_body_that_nests_too_deeply_is_refused(prod: Caller, emulator: Emulator) -> None:
    field: Json = {"type": "string"}
    for _ in range(300):
        field = {"type": "object", "properties": {"a": field}}

    reply = create(prod, "fieldgroups", group_body(own_fields(deep=field)))

    assert (reply.status, reply.code) == (400, "XDM-1500-400")
    assert emulator.count("fieldgroups") == 0


def test_a_reference_deep_inside_a_field_must_exist_too(prod: Caller) -> None:
    fields = own_fields(address={"$ref": "https://ns.adobe.com/xdm/common/unheard-of"})

    reply = create(prod, "fieldgroups", group_body(fields))

    assert (reply.status, reply.code) == (400, "XDM-1500-400")
    assert "https://ns.adobe.com/xdm/common/unheard-of" in reply.json["detail"]


def test_a_reference_in_a_definition_that_nothing_uses_must_exist_too(prod: Caller) -> None:
    body = group_body(own_fields(name={"type": "string"}))
    body["definitions"]["unused"] = {"allOf": [{"$ref": "https://ns.adobe.com/xdm/common/unheard-of"}]}

    assert create(prod, "fieldgroups", body).code == "XDM-1500-400"


@pytest.mark.parametrize("name", ["product", "_othertenant"])
def test_a_custom_field_outside_the_tenant_namespace_is_refused(prod: Caller, name: str) -> None:
    reply = create(prod, "fieldgroups", group_body({name: {"type": "object", "properties": {}}}))

    assert reply.status == 400
    assert reply.code in {f"XDM-{number}-400" for number in range(1020, 1025)}
    assert reply.json["title"] == "Namespace validation error"


@pytest.mark.parametrize(
    "hidden",
    [
        {"properties": {"product": {"type": "string"}}},
        {"allOf": [{"properties": {"product": {"type": "string"}}}]},
        {"properties": {}, "allOf": [{"properties": {"product": {"type": "string"}}}]},
    ],
)
def test_no_field_slips_past_the_namespace_through_a_nested_part(prod: Caller, hidden: Json) -> None:
    in_all_of = group_body(own_fields(name={"type": "string"}))
    in_all_of["allOf"].append(hidden)
    in_definition = group_body(own_fields(name={"type": "string"}))
    in_definition["definitions"]["own"] |= {"allOf": [hidden]}

    assert create(prod, "fieldgroups", in_all_of).code == "XDM-1020-400"
    assert create(prod, "fieldgroups", in_definition).code == "XDM-1020-400"


def test_fields_beside_all_of_are_named_and_typed_like_the_others(prod: Caller) -> None:
    body = {
        "title": "raw",
        "type": "object",
        "allOf": [{"$ref": ADHOC}],
        "properties": {"_adhoc": {"type": "object", "properties": {"a": {"type": "string"}}}},
    }

    created = made(prod, "classes", body)

    (namespace,) = created["properties"]
    assert namespace == created["meta:datasetNamespace"]
    assert created["properties"][namespace]["properties"]["a"]["meta:xdmType"] == "string"


def test_a_schema_takes_no_field_of_its_own(prod: Caller) -> None:
    body = schema_body(PROFILE)
    body["allOf"].append({"properties": own_fields(name={"type": "string"})})

    assert create(prod, "schemas", body).code == "XDM-1020-400"


def test_a_column_outside_adhoc_is_refused(prod: Caller) -> None:
    body = class_body()
    body["allOf"][1]["properties"]["Product_Id"] = {"type": "string"}

    assert create(prod, "classes", body).json["title"] == "Namespace validation error"


def test_a_field_group_for_another_class_does_not_fit(prod: Caller) -> None:
    ad_hoc = made(prod, "classes", class_body())

    reply = create(prod, "schemas", schema_body(ad_hoc["$id"], PERSON))

    assert (reply.status, reply.code) == (400, "XDM-1500-400")
    assert PERSON in reply.json["detail"]


def test_types_that_disagree_cannot_be_merged(prod: Caller) -> None:
    text = made(prod, "fieldgroups", group_body(own_fields(code={"type": "string"}), title="as text"))
    number = made(prod, "fieldgroups", group_body(own_fields(code={"type": "number"}), title="as number"))

    reply = create(prod, "schemas", schema_body(PROFILE, text["$id"], number["$id"]))

    assert (reply.status, reply.code) == (400, "XDM-1413-400")
    assert reply.json["title"] == "Merge Schema Error"
    assert "_localtenant.code" in reply.json["detail"]


def test_the_global_container_is_read_only(prod: Caller) -> None:
    reply = prod.send("POST", f"{REGISTRY}/global/classes", class_body())

    assert (reply.status, reply.code) == (405, "405000")


def test_a_write_without_a_content_type_is_refused(prod: Caller) -> None:
    reply = prod.send("POST", f"{REGISTRY}/tenant/classes", class_body(), without=["content-type"])

    assert reply.status == 400
    assert reply.json["detail"] == "A valid content-type must be specified"


def test_stats_tell_the_tenant_and_count_what_is_there(prod: Caller) -> None:
    ad_hoc = made(prod, "classes", class_body())
    schema = made(prod, "schemas", schema_body(ad_hoc["$id"]))

    stats = prod.send("GET", f"{REGISTRY}/stats").json

    assert stats["tenantId"] == "localtenant"
    assert stats["imsOrg"] == "LOCAL@AdobeOrg"
    assert stats["counts"] == {"schemas": 1, "mixins": 0, "datatypes": 0, "classes": 1, "unions": 0}
    assert {entry["$id"] for entry in stats["recentlyCreatedResources"]} == {ad_hoc["$id"], schema["$id"]}
    assert [entry["$id"] for entry in stats["classUsage"][ad_hoc["$id"]]] == [schema["$id"]]


def test_the_tenant_is_an_option() -> None:
    caller = Caller(Emulator(clock=lambda: 0.0, options=Options(tenant="acme")))

    assert caller.send("GET", f"{REGISTRY}/stats").json["tenantId"] == "acme"
    assert made(caller, "classes", class_body())["$id"].startswith("https://ns.adobe.com/acme/classes/")
