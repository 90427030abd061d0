"""Schema Registry: changes, deletes, the union tag (platform-api.md §2.6, U6)."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, REGISTRY, Caller, Reply
from flowledger.emulator.core import Emulator

PROFILE = "https://ns.adobe.com/xdm/context/profile"
PERSON = f"{PROFILE}-person-details"
ADHOC = "https://ns.adobe.com/xdm/data/adhoc"

Json = dict[str, Any]


def make(caller: Caller, kind: str, *refs: str, title: str, **more: Any) -> Json:
    body = {"title": title, "type": "object", "allOf": [{"$ref": ref} for ref in refs], **more}
    reply = caller.send("POST", f"{REGISTRY}/tenant/{kind}", body)
    assert reply.status == 201, reply.response
    resource: Json = reply.json
    return resource


def change(caller: Caller, method: str, kind: str, resource: Json, body: Any) -> Reply:
    return caller.send(method, f"{REGISTRY}/tenant/{kind}/{resource['meta:altId']}", body)


def read(caller: Caller, kind: str, resource: Json) -> Reply:
    headers = {"accept": "application/vnd.adobe.xed+json; version=1"}
    return caller.send("GET", f"{REGISTRY}/tenant/{kind}/{resource['meta:altId']}", headers=headers)


def make_dataset(caller: Caller, schema: Json) -> str:
    reply = caller.send(
        "POST",
        f"{CATALOG}/dataSets",
        {"name": "d", "schemaRef": {"id": schema["$id"]}},
        query=[("requestDataSource", "true")],
    )
    assert reply.status == 201, reply.response
    return str(reply.json[0]).rpartition("/")[2]


def test_a_patch_adds_a_field_group_and_the_minor_version_grows(prod: Caller, clock: Any) -> None:
    schema = make(prod, "schemas", PROFILE, title="s")
    clock.pass_ms(10)

    reply = change(prod, "PATCH", "schemas", schema, [{"op": "add", "path": "/allOf/-", "value": {"$ref": PERSON}}])

    assert reply.status == 200
    assert reply.json["version"] == "1.1"
    assert reply.json["$id"] == schema["$id"]
    assert PERSON in reply.json["meta:extends"]
    assert PERSON in reply.json["refs"]
    before, after = schema["meta:registryMetadata"], reply.json["meta:registryMetadata"]
    assert after["repo:lastModifiedDate"] == before["repo:lastModifiedDate"] + 10
    assert after["repo:createdDate"] == before["repo:createdDate"]
    assert after["eTag"] != before["eTag"]
    assert read(prod, "schemas", schema).json == reply.json


def test_a_patch_may_also_name_what_it_extends_as_the_guide_does(prod: Caller) -> None:
    schema = make(prod, "schemas", PROFILE, title="s")
    operations = [
        {"op": "add", "path": "/meta:extends/-", "value": PERSON},
        {"op": "add", "path": "/allOf/-", "value": {"$ref": PERSON}},
    ]

    assert change(prod, "PATCH", "schemas", schema, operations).json["meta:extends"].count(PERSON) == 1


@pytest.mark.parametrize(
    "operations",
    [
        {"op": "replace"},
        [{"op": "replace", "path": "/absent", "value": 1}],
        [{"op": "unheard-of", "path": "/title", "value": "x"}],
        [{"op": "add", "path": "title", "value": "x"}],
        [{"op": "add", "path": "/title"}],
        [{"op": "remove", "path": "/allOf/7"}],
        [{"op": "remove", "path": "/allOf/" + "9" * 5000}],
        [{"op": "test", "path": "/title", "value": "s"}],
        [{"op": "copy", "from": "/allOf/0", "path": "/allOf/-"}],
        [{"op": "remove", "path": "/allOf"}],
        [{"op": "add", "path": "/allOf/-", "value": {"$ref": "https://ns.adobe.com/xdm/unheard-of"}}],
    ],
    ids=range(11),
)
def test_a_patch_that_does_not_fit_changes_nothing(prod: Caller, operations: Any) -> None:
    schema = make(prod, "schemas", PROFILE, title="s")

    reply = change(prod, "PATCH", "schemas", schema, operations)

    assert reply.status == 400
    assert read(prod, "schemas", schema).json == schema


def test_a_put_replaces_the_whole_body(prod: Caller) -> None:
    schema = make(prod, "schemas", PROFILE, title="s", description="old")
    body = {"title": "new title", "type": "object", "allOf": [{"$ref": PROFILE}, {"$ref": PERSON}]}

    reply = change(prod, "PUT", "schemas", schema, body)

    assert reply.status == 200
    assert reply.json["title"] == "new title"
    assert "description" not in reply.json
    assert reply.json["version"] == "1.1"
    assert reply.json["$id"] == schema["$id"]


def test_an_ad_hoc_class_that_was_read_can_be_sent_back(prod: Caller) -> None:
    own = {"properties": {"_adhoc": {"type": "object", "properties": {"a": {"type": "string"}}}}}
    body = {"title": "raw", "type": "object", "allOf": [{"$ref": ADHOC}, own]}
    ad_hoc = prod.send("POST", f"{REGISTRY}/tenant/classes", body).json

    reply = change(prod, "PUT", "classes", ad_hoc, ad_hoc)

    assert reply.status == 200
    assert reply.json["allOf"] == ad_hoc["allOf"]
    assert reply.json["meta:datasetNamespace"] == ad_hoc["meta:datasetNamespace"]


def test_a_title_cannot_be_changed_to_somebody_elses(prod: Caller) -> None:
    holder = make(prod, "schemas", PROFILE, title="taken")
    schema = make(prod, "schemas", PROFILE, title="s")

    reply = change(prod, "PATCH", "schemas", schema, [{"op": "replace", "path": "/title", "value": "taken"}])

    assert reply.code == "XDM-1521-400"
    assert holder["$id"] in reply.json["detail"]


def test_changing_or_deleting_an_absent_resource_is_404(prod: Caller) -> None:
    absent = {"meta:altId": "_localtenant.schemas.0123"}

    assert change(prod, "PATCH", "schemas", absent, []).code == "XDM-1012-404"
    assert change(prod, "PUT", "schemas", absent, {}).code == "XDM-1012-404"
    assert change(prod, "DELETE", "schemas", absent, None).code == "XDM-1012-404"


def test_a_delete_answers_204_without_a_body_and_the_second_404(prod: Caller) -> None:
    schema = make(prod, "schemas", PROFILE, title="s")

    first = change(prod, "DELETE", "schemas", schema, None)

    assert (first.status, first.response.body) == (204, b"")
    assert read(prod, "schemas", schema).status == 404
    assert change(prod, "DELETE", "schemas", schema, None).status == 404


def test_a_class_in_use_and_a_schema_in_use_stay(prod: Caller) -> None:
    ad_hoc = make(prod, "classes", ADHOC, title="c")
    schema = make(prod, "schemas", ad_hoc["$id"], title="s")
    dataset = make_dataset(prod, schema)

    refused_class = change(prod, "DELETE", "classes", ad_hoc, None)
    refused_schema = change(prod, "DELETE", "schemas", schema, None)

    assert (refused_class.status, refused_class.code) == (400, "XDM-1599-400")
    assert schema["$id"] in refused_class.json["detail"]
    assert (refused_schema.status, refused_schema.code) == (400, "XDM-1599-400")
    assert dataset in refused_schema.json["detail"]
    assert prod.send("DELETE", f"{CATALOG}/dataSets/{dataset}").status == 200
    assert change(prod, "DELETE", "schemas", schema, None).status == 204
    assert change(prod, "DELETE", "classes", ad_hoc, None).status == 204


def test_with_lax_deletes_a_class_in_use_goes_and_its_schema_cannot_be_resolved(
    prod: Caller, emulator: Emulator
) -> None:
    ad_hoc = make(prod, "classes", ADHOC, title="c")
    schema = make(prod, "schemas", ad_hoc["$id"], title="s")
    emulator.options.lax_delete = True

    assert change(prod, "DELETE", "classes", ad_hoc, None).status == 204
    assert read(prod, "schemas", schema).status == 200
    full = {"accept": "application/vnd.adobe.xed-full+json; version=1"}
    reply = prod.send("GET", f"{REGISTRY}/tenant/schemas/{schema['meta:altId']}", headers=full)
    assert reply.status == 400


def test_a_schema_that_a_dataset_uses_only_grows(prod: Caller) -> None:
    schema = make(prod, "schemas", PROFILE, PERSON, title="s")
    removal = [{"op": "remove", "path": "/allOf/1"}]
    make_dataset(prod, schema)

    reply = change(prod, "PATCH", "schemas", schema, removal)

    assert reply.status == 400
    assert "person" in reply.json["detail"]
    adding = [{"op": "add", "path": "/allOf/-", "value": {"$ref": f"{PROFILE}-personal-details"}}]
    assert change(prod, "PATCH", "schemas", schema, adding).status == 200


def test_a_field_group_under_a_used_schema_only_grows_too(prod: Caller) -> None:
    def body(**fields: str) -> Json:
        inner = {name: {"type": kind} for name, kind in fields.items()}
        properties = {"_localtenant": {"type": "object", "properties": inner}}
        return {
            "meta:intendedToExtend": [PROFILE],
            "definitions": {"own": {"properties": properties}},
        }

    group = make(prod, "fieldgroups", "#/definitions/own", title="g", **body(a="string", b="string"))
    schema = make(prod, "schemas", PROFILE, group["$id"], title="s")
    make_dataset(prod, schema)

    less = {"title": "g", "type": "object", "allOf": group["allOf"], **body(a="string")}
    other = {"title": "g", "type": "object", "allOf": group["allOf"], **body(a="string", b="number")}
    more = {"title": "g", "type": "object", "allOf": group["allOf"], **body(a="string", b="string", c="number")}

    assert change(prod, "PUT", "fieldgroups", group, less).status == 400
    assert change(prod, "PUT", "fieldgroups", group, other).status == 400
    assert change(prod, "PUT", "fieldgroups", group, more).status == 200


AGE = {"type": "integer", "minimum": 0, "maximum": 100}
KIND = {"type": "string", "enum": ["a", "b"], "maxLength": 5}


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"age": AGE | {"minimum": -1, "maximum": 200}}, 200),
        ({"age": {"type": "integer"}}, 200),
        ({"age": AGE | {"minimum": 1}}, 400),
        ({"age": AGE | {"maximum": 99}}, 400),
        ({"age": AGE | {"exclusiveMinimum": 0}}, 400),
        ({"kind": KIND | {"enum": ["b", "a", "c"]}}, 200),
        ({"kind": KIND | {"enum": ["a"]}}, 400),
        ({"kind": KIND | {"maxLength": 4}}, 400),
        ({"kind": KIND | {"pattern": "^a"}}, 400),
        ({"kind": KIND | {"minLength": 1}}, 400),
        ({"kind": KIND | {"title": "Another", "meta:status": "deprecated"}}, 200),
    ],
)
@pytest.mark.parametrize("use", ["dataset", "union"])
def test_a_field_in_use_takes_no_fewer_values_than_before(
    prod: Caller, use: str, fields: dict[str, Any], status: int
) -> None:
    def definitions(**own: Any) -> Any:
        properties = {"_localtenant": {"type": "object", "properties": {"age": AGE, "kind": KIND} | own}}
        return {"definitions": {"own": {"properties": properties}}, "meta:intendedToExtend": [PROFILE]}

    identities = "https://ns.adobe.com/xdm/context/identitymap"
    group = make(prod, "fieldgroups", "#/definitions/own", title="g", **definitions())
    schema = make(prod, "schemas", PROFILE, group["$id"], identities, title="s")
    body = {"title": "g", "type": "object", "allOf": group["allOf"], **definitions(**fields)}
    if use == "dataset":
        make_dataset(prod, schema)
    else:
        tag = [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}]
        assert change(prod, "PATCH", "schemas", schema, tag).status == 200

    reply = change(prod, "PUT", "fieldgroups", group, body)

    assert reply.status == status, reply.response
    if status == 400:
        assert reply.json["report"]["registryRequestId"]


def test_the_union_tag_needs_a_primary_identity_and_is_for_good(prod: Caller) -> None:
    schema = make(prod, "schemas", PROFILE, title="s")
    tag = [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}]

    refused = change(prod, "PATCH", "schemas", schema, tag)
    identity = {
        "@type": "xdm:descriptorIdentity",
        "xdm:sourceSchema": schema["$id"],
        "xdm:sourceProperty": "/personID",
        "xdm:namespace": "Email",
        "xdm:isPrimary": True,
    }
    assert prod.send("POST", f"{REGISTRY}/tenant/descriptors", identity).status == 201
    tagged = change(prod, "PATCH", "schemas", schema, tag)
    untagged = change(prod, "PATCH", "schemas", schema, [{"op": "remove", "path": "/meta:immutableTags"}])

    assert (refused.status, refused.code) == (400, "XDM-1528-400")
    assert (tagged.status, tagged.json["meta:immutableTags"]) == (200, ["union"])
    assert (untagged.status, untagged.code) == (400, "XDM-1526-400")
