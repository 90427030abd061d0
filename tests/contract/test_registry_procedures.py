"""Export, import, sample data and the audit log of the registry (platform-api.md §2.8)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest

from flowledger.emulator.caller import CATALOG, REGISTRY, Caller, Reply
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options

NS = "https://ns.adobe.com/xdm/"
PROFILE = f"{NS}context/profile"
EVENT = f"{NS}context/experienceevent"
CONTACT = f"{NS}context/profile-personal-details"
PERSON = f"{NS}context/profile-person-details"
TENANT = "<XDM_TENANTID_PLACEHOLDER>"

Json = dict[str, Any]


def create(caller: Caller, kind: str, **body: Any) -> Json:
    reply = caller.send("POST", f"{REGISTRY}/tenant/{kind}", {"type": "object", **body})
    assert reply.status == 201, reply.response
    resource: Json = reply.json
    return resource


def group_body(data_type: str, **more: Any) -> Json:
    own = {"property": {"$ref": data_type}, "capacity": {"type": "integer", "minimum": 1, "maximum": 500}, **more}
    return {
        "title": "Restaurant",
        "meta:intendedToExtend": [PROFILE],
        "definitions": {"own": {"properties": {"_localtenant": {"type": "object", "properties": own}}}},
        "allOf": [{"$ref": "#/definitions/own"}],
    }


class Restaurants:
    """A schema of Adobe's class, of a field group of its own and, through that, of a data type of its own."""

    def __init__(self, caller: Caller) -> None:
        self.type = create(caller, "datatypes", title="Property", properties={"owner": {"type": "string"}})
        self.group = create(caller, "fieldgroups", **group_body(self.type["$id"]))
        refs = [{"$ref": ref} for ref in (PROFILE, CONTACT, self.group["$id"])]
        self.schema = create(caller, "schemas", title="Restaurants", description="of _localtenant", allOf=refs)


@pytest.fixture
def restaurants(prod: Caller) -> Restaurants:
    return Restaurants(prod)


def procedure(caller: Caller, name: str, id: str) -> Reply:
    return caller.send("GET", f"{REGISTRY}/rpc/{name}/{quote(id, safe='')}", without=["content-type"])


def exported(caller: Caller, resource: Json) -> list[Json]:
    reply = procedure(caller, "export", resource["$id"])
    assert reply.status == 200, reply.response
    payload: list[Json] = reply.json
    return payload


def imported(caller: Caller, payload: Any) -> Reply:
    return caller.send("POST", f"{REGISTRY}/rpc/import", payload)


def full(caller: Caller, schema: Json) -> Json:
    accept = {"accept": "application/vnd.adobe.xed-full+json; version=1"}
    reply = caller.send("GET", f"{REGISTRY}/tenant/schemas/{schema['meta:altId']}", headers=accept)
    assert reply.status == 200, reply.response
    shown: Json = reply.json
    return shown


def change(caller: Caller, kind: str, resource: Json, operations: Any) -> Json:
    reply = caller.send("PATCH", f"{REGISTRY}/tenant/{kind}/{resource['meta:altId']}", operations)
    assert reply.status == 200, reply.response
    changed: Json = reply.json
    return changed


def test_an_export_has_what_the_resource_is_made_of_before_it_and_no_tenant(
    prod: Caller, restaurants: Restaurants
) -> None:
    payload = exported(prod, restaurants.schema)

    assert [one["meta:resourceType"] for one in payload] == ["datatypes", "mixins", "schemas"]
    assert [one["title"] for one in payload] == ["Property", "Restaurant", "Restaurants"]
    assert all(one["$id"].startswith(f"https://ns.adobe.com/{TENANT}/") for one in payload)
    assert all(one["meta:altId"].startswith(f"_{TENANT}.") for one in payload)
    assert not {"imsOrg", "meta:registryMetadata", "meta:tenantNamespace", "refs"} & payload[2].keys()
    assert payload[2].pop("description") == "of _localtenant"  # texts for people stay
    assert "localtenant" not in json.dumps(payload)
    assert f"_{TENANT}" in payload[1]["definitions"]["own"]["properties"]


def test_what_was_exported_is_imported_into_another_sandbox_as_it_was(
    prod: Caller, dev: Caller, restaurants: Restaurants
) -> None:
    reply = imported(dev, exported(prod, restaurants.schema))

    assert reply.status == 200, reply.response
    assert [one["$id"] for one in reply.json] == [
        one["$id"] for one in (restaurants.type, restaurants.group, restaurants.schema)
    ]
    placed = {"meta:sandboxId", "meta:sandboxType", "meta:registryMetadata"}
    before, after = full(prod, restaurants.schema), full(dev, restaurants.schema)
    assert {key: before[key] for key in before.keys() - placed} == {key: after[key] for key in after.keys() - placed}
    assert after["meta:sandboxType"] == "development"
    assert exported(dev, restaurants.schema)[1]["definitions"] == exported(prod, restaurants.schema)[1]["definitions"]
    ref = {"id": restaurants.schema["$id"], "contentType": "application/vnd.adobe.xed-full+json;version=1"}
    assert dev.send("POST", f"{CATALOG}/dataSets", {"name": "d", "schemaRef": ref}).status == 201


def test_an_import_lands_in_an_organisation_under_its_own_tenant(prod: Caller, restaurants: Restaurants) -> None:
    elsewhere = Emulator(options=Options(tenant="acme"))
    there = Caller(elsewhere)

    reply = imported(there, exported(prod, restaurants.schema))

    assert reply.status == 200, reply.response
    assert all(one["$id"].startswith("https://ns.adobe.com/acme/") for one in reply.json)
    own = full(there, reply.json[2])["properties"]["_acme"]["properties"]
    assert own["property"]["properties"]["owner"]["type"] == "string"
    elsewhere.close()


def test_a_class_of_ones_own_goes_with_its_schema(prod: Caller, dev: Caller) -> None:
    ad_hoc = {"properties": {"_adhoc": {"type": "object", "properties": {"Id": {"type": "string"}}}}}
    own = create(prod, "classes", title="raw", allOf=[{"$ref": f"{NS}data/adhoc"}, ad_hoc])
    schema = create(prod, "schemas", title="raw schema", allOf=[{"$ref": own["$id"]}])

    reply = imported(dev, exported(prod, schema))

    assert reply.status == 200, reply.response
    assert reply.json[1]["meta:class"] == own["$id"]
    assert full(dev, schema)["properties"] == full(prod, schema)["properties"]


def test_a_schema_leaves_its_union_behind(prod: Caller, dev: Caller) -> None:
    schema = create(prod, "schemas", title="s", allOf=[{"$ref": EVENT}])
    change(prod, "schemas", schema, [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}])

    [one] = exported(prod, schema)

    assert "union" not in one["meta:immutableTags"]
    for payload in ([one], [{**one, "$id": one["$id"] + "a", "title": "t", "meta:immutableTags": ["union"]}]):
        payload[0].pop("meta:altId")
        assert "union" not in imported(dev, payload).json[0]["meta:immutableTags"]


def test_resources_are_imported_in_any_order(prod: Caller, dev: Caller, restaurants: Restaurants) -> None:
    assert imported(dev, exported(prod, restaurants.schema)[::-1]).status == 200


def test_a_field_group_that_names_no_class_is_for_any_as_in_the_guides_export(prod: Caller, dev: Caller) -> None:
    create(prod, "fieldgroups", **group_body(f"{NS}context/profile") | {"meta:intendedToExtend": []}, description="")
    [group] = [found for found in exported(prod, _only(prod, "fieldgroups")) if found["title"] == "Restaurant"]
    schema = {
        "$id": f"https://ns.adobe.com/{TENANT}/schemas/20af3f1d4b175f27",
        "meta:resourceType": "schemas",
        "title": "Example schema",
        "allOf": [{"$ref": EVENT}, {"$ref": group["$id"]}],
    }

    assert imported(dev, [group, schema]).status == 200


def _only(caller: Caller, kind: str) -> Json:
    accept = {"accept": "application/vnd.adobe.xed+json"}
    [found] = caller.send("GET", f"{REGISTRY}/tenant/{kind}", headers=accept).json["results"]
    one: Json = found
    return one


@pytest.mark.parametrize("taken", ["$id", "title"])
def test_an_import_needs_ids_and_titles_that_are_free_and_makes_all_or_nothing(
    prod: Caller, dev: Caller, emulator: Emulator, restaurants: Restaurants, taken: str
) -> None:
    payload = exported(prod, restaurants.schema)
    if taken == "title":
        holder = create(dev, "classes", title="Restaurants", allOf=[{"$ref": f"{NS}data/record"}])["$id"]
    else:
        holder = restaurants.type["$id"]
        assert imported(dev, payload[:1]).status == 200
    before = {kind: emulator.count(kind, "dev") for kind in ("classes", "schemas", "fieldgroups", "datatypes")}

    reply = imported(dev, payload)

    assert (reply.status, reply.code) == (400, "XDM-3005-400")
    assert reply.json["title"] == "Import Resource Failed"
    assert holder in reply.json["detail"]
    assert {kind: emulator.count(kind, "dev") for kind in before} == before


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        [],
        [1],
        [{}],
        [{"$id": f"https://ns.adobe.com/{TENANT}/schemas/ab", "meta:resourceType": "mixins", "title": "t"}],
        [{"$id": f"https://ns.adobe.com/{TENANT}/unions/ab", "meta:resourceType": "unions", "title": "t"}],
        [{"$id": "https://ns.adobe.com/another/schemas/ab", "meta:resourceType": "schemas", "title": "t"}],
        [{"$id": f"https://ns.adobe.com/{TENANT}/schemas/../ab", "meta:resourceType": "schemas", "title": "t"}],
        [{"$id": ["x"], "meta:resourceType": "schemas", "title": "t"}],
        [{"$id": f"https://ns.adobe.com/{TENANT}/schemas/ab", "meta:resourceType": ["schemas"], "title": "t"}],
    ],
)
def test_what_is_no_export_is_not_imported(prod: Caller, emulator: Emulator, payload: Any) -> None:
    reply = imported(prod, payload)

    assert (reply.status, reply.code) == (400, "XDM-3005-400")
    assert emulator.count("schemas") == 0


def test_a_part_that_is_missing_is_named(prod: Caller, dev: Caller, restaurants: Restaurants) -> None:
    reply = imported(dev, exported(prod, restaurants.schema)[1:])

    assert reply.status == 400
    assert restaurants.type["$id"] in reply.json["detail"]


@pytest.mark.parametrize("name", ["export", "sampledata", "auditlog"])
@pytest.mark.parametrize("id", ["_no", "_localtenant.schemas.0123", "https://ns.adobe.com/localtenant/schemas/0123"])
def test_a_procedure_on_what_is_absent_is_404(prod: Caller, name: str, id: str) -> None:
    reply = procedure(prod, name, id)

    assert (reply.status, reply.code) == (404, "XDM-1012-404")


def test_adobes_resources_are_not_exported(prod: Caller) -> None:
    assert procedure(prod, "export", PROFILE).status == 404


def test_a_sample_is_a_row_that_the_schema_takes(prod: Caller, restaurants: Restaurants) -> None:
    refs = [{"$ref": ref} for ref in (PROFILE, PERSON, CONTACT, restaurants.group["$id"], f"{NS}context/identitymap")]
    whole = create(prod, "schemas", title="all", allOf=refs)

    reply = procedure(prod, "sampledata", whole["meta:altId"])

    assert reply.status == 200
    jsonschema.validate(reply.json, full(prod, whole), format_checker=jsonschema.FormatChecker())
    assert reply.json["person"]["birthDate"] == "2018-01-12"
    assert reply.json["person"]["nationality"] == "US"
    assert reply.json["_localtenant"] == {"capacity": 500, "property": {"owner": "string"}}
    assert reply.json["identityMap"] == {"key": [{"id": "string", "authenticatedState": "string", "primary": False}]}


def test_a_sample_of_events_has_what_the_class_requires(prod: Caller) -> None:
    schema = create(prod, "schemas", title="events", allOf=[{"$ref": EVENT}])

    sample = procedure(prod, "sampledata", schema["$id"]).json

    assert {"_id", "timestamp"} <= sample.keys()
    jsonschema.validate(sample, full(prod, schema))


@pytest.mark.parametrize(
    "field",
    [
        {"type": "string", "enum": ["b", "a"]},
        {"type": "string", "minLength": 9},
        {"type": "string", "maxLength": 2},
        {"type": "string", "pattern": "^[A-Z]{2}$"},
        {"type": "integer", "maximum": -5},
        {"type": "integer", "minimum": 2**40},
        {"type": "number", "exclusiveMinimum": 10**9},
        {"type": "array", "items": {"type": "boolean"}, "minItems": 3},
    ],
)
def test_a_sample_keeps_to_the_bounds_of_a_field(prod: Caller, field: Json) -> None:
    group = create(prod, "fieldgroups", **group_body(f"{NS}context/profile", field=field))
    schema = create(prod, "schemas", title="s", allOf=[{"$ref": PROFILE}, {"$ref": group["$id"]}])

    sample = procedure(prod, "sampledata", schema["$id"]).json

    jsonschema.validate(sample["_localtenant"]["field"], field)


def test_a_class_has_no_sample(prod: Caller) -> None:
    assert procedure(prod, "sampledata", PROFILE).status == 404


def test_the_audit_log_tells_each_change_the_latest_first(prod: Caller, restaurants: Restaurants, clock: Any) -> None:
    clock.pass_ms(60_000)
    change(prod, "schemas", restaurants.schema, [{"op": "replace", "path": "/description", "value": "changed"}])
    clock.pass_ms(60_000)
    change(prod, "schemas", restaurants.schema, [{"op": "remove", "path": "/description"}])

    reply = procedure(prod, "auditlog", restaurants.schema["$id"])

    assert reply.status == 200
    latest, before, *created = reply.json
    assert latest["updates"] == [
        {
            "id": restaurants.schema["$id"],
            "xdmType": "schemas",
            "action": "remove",
            "path": "/description",
            "value": "changed",
        }
    ]
    assert (before["updates"][0]["action"], before["updates"][0]["value"]) == ("replace", "changed")
    assert before["updatedTime"] == "11-14-2023 22:14:20"
    assert {"updatedUser", "imsOrg", "requestId", "clientId", "sandBoxId"} <= before.keys()
    assert {update["path"] for update in created[0]["updates"]} >= {"/title", "/description", "/allOf"}


def test_the_audit_log_of_a_schema_tells_changes_of_what_it_is_made_of(
    prod: Caller, restaurants: Restaurants, clock: Any
) -> None:
    clock.pass_ms(1000)
    path = "/definitions/own/properties/_localtenant/properties/rating"
    change(prod, "fieldgroups", restaurants.group, [{"op": "add", "path": path, "value": {"type": "integer"}}])

    latest = procedure(prod, "auditlog", restaurants.schema["meta:altId"]).json[0]

    assert latest["id"] == restaurants.schema["$id"]
    [update] = latest["updates"]
    assert (update["id"], update["xdmType"], update["path"]) == (restaurants.group["$id"], "mixins", path)
    assert update["value"] == {"type": "integer", "meta:xdmType": "int"}


def test_a_change_of_nothing_is_not_told_and_a_deleted_resource_has_no_log(prod: Caller, emulator: Emulator) -> None:
    resource = create(prod, "datatypes", title="t", properties={"a": {"type": "string"}})
    change(prod, "datatypes", resource, [{"op": "replace", "path": "/title", "value": "t"}])

    assert len(procedure(prod, "auditlog", resource["$id"]).json) == 1
    assert prod.send("DELETE", f"{REGISTRY}/tenant/datatypes/{resource['meta:altId']}").status == 204
    assert procedure(prod, "auditlog", resource["$id"]).status == 404
    assert emulator.count("auditLogs") == 0


def test_the_audit_log_outlives_a_restart_and_is_of_one_sandbox(tmp_path: Any) -> None:
    first = Emulator(state=tmp_path)
    made = create(Caller(first), "datatypes", title="t", properties={"a": {"type": "string"}})
    first.close()
    second = Emulator(state=tmp_path)

    assert len(procedure(Caller(second), "auditlog", made["$id"]).json) == 1
    assert procedure(Caller(second, sandbox="dev"), "auditlog", made["$id"]).status == 404
    second.close()


def test_procedures_take_any_accept_and_a_body_without_content_type(
    prod: Caller, dev: Caller, restaurants: Restaurants
) -> None:
    for accept in ("application/vnd.adobe.xed+json; version=1", "application/vnd.adobe.xdm-link+json", "*/*"):
        for name in ("export", "sampledata", "auditlog"):
            path = f"{REGISTRY}/rpc/{name}/{restaurants.schema['meta:altId']}"
            assert prod.send("GET", path, headers={"accept": accept}).status == 200
    body = exported(prod, restaurants.schema)
    assert dev.send("POST", f"{REGISTRY}/rpc/import", body, without=["content-type"]).status == 200
