"""Schema Registry: descriptors (platform-api.md §2.1, §2.7, U22)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from flowledger.emulator.caller import REGISTRY, Caller, Reply

PROFILE = "https://ns.adobe.com/xdm/context/profile"
PATH = f"{REGISTRY}/tenant/descriptors"
PREFIX = "application/vnd.adobe."

Json = dict[str, Any]


@pytest.fixture
def body(prod: Caller) -> Json:
    groups = [{"$ref": PROFILE}, {"$ref": f"{PROFILE}-personal-details"}]
    schema = prod.send("POST", f"{REGISTRY}/tenant/schemas", {"title": "s", "type": "object", "allOf": groups})
    return {
        "@type": "xdm:descriptorIdentity",
        "xdm:sourceSchema": schema.json["$id"],
        "xdm:sourceVersion": 1,
        "xdm:sourceProperty": "/personalEmail/address",
        "xdm:namespace": "Email",
        "xdm:property": "xdm:code",
        "xdm:isPrimary": False,
    }


def listed(caller: Caller, form: str) -> Reply:
    return caller.send("GET", PATH, headers={"accept": f"{PREFIX}{form}+json"})


def test_a_descriptor_is_created_read_replaced_and_deleted(prod: Caller, body: Json) -> None:
    created = prod.send("POST", PATH, body)
    place = f"{PATH}/{created.json['@id']}"

    assert created.status == 201
    assert body.items() <= created.json.items()
    assert prod.send("GET", place).json == created.json  # needs no Accept
    replaced = prod.send("PUT", place, body | {"xdm:isPrimary": True})
    assert (replaced.status, replaced.json) == (201, {"@id": created.json["@id"]})
    assert prod.send("GET", place, headers={"accept": f"{PREFIX}xdm+json"}).json["xdm:isPrimary"] is True
    deleted = prod.send("DELETE", place)
    assert (deleted.status, deleted.response.body) == (204, b"")
    assert prod.send("GET", place).status == 404
    assert prod.send("DELETE", place).status == 404


def test_a_replaced_descriptor_is_answered_with_200_by_option(prod: Caller, body: Json) -> None:
    prod.emulator.options.descriptor_put_200 = True
    place = f"{PATH}/{prod.send('POST', PATH, body).json['@id']}"

    assert prod.send("PUT", place, body).status == 200


def test_lists_group_by_type_and_an_absent_type_is_no_key(prod: Caller, body: Json) -> None:
    assert listed(prod, "xdm").json == {}
    created = prod.send("POST", PATH, body).json

    assert listed(prod, "xdm").json == {"xdm:descriptorIdentity": [created]}
    assert listed(prod, "xdm-id").json == {"xdm:descriptorIdentity": [created["@id"]]}
    assert listed(prod, "xdm-link").json == {"xdm:descriptorIdentity": [f"/tenant/descriptors/{created['@id']}"]}


def test_the_second_forms_are_paged(prod: Caller, body: Json) -> None:
    created = prod.send("POST", PATH, body).json

    page = listed(prod, "xdm-v2").json

    assert page["results"] == [created]
    assert page["_page"]["count"] == 1
    assert page["_page"]["next"] is None
    assert listed(prod, "xdm-v2-id").json["results"] == [created["@id"]]


def test_lists_of_descriptors_are_filtered_too(prod: Caller, body: Json) -> None:
    prod.send("POST", PATH, body)
    headers = {"accept": f"{PREFIX}xdm-v2+json"}

    for wanted, count in (("xdm:descriptorIdentity", 1), ("xdm:alternateDisplayInfo", 0)):
        page = prod.send("GET", PATH, query=[("property", f"@type=={wanted}")], headers=headers).json
        assert page["_page"]["count"] == count


def test_descriptors_want_their_own_media_types(prod: Caller, body: Json) -> None:
    created = prod.send("POST", PATH, body).json

    wrong_list = prod.send("GET", PATH, headers={"accept": f"{PREFIX}xed+json"})
    no_list = prod.send("GET", PATH)
    wrong_look_up = prod.send("GET", f"{PATH}/{created['@id']}", headers={"accept": f"{PREFIX}xed+json; version=1"})

    assert (wrong_list.status, wrong_list.code) == (400, "XDM-1008-400")
    assert (no_list.status, no_list.code) == (400, "XDM-1008-400")
    assert (wrong_look_up.status, wrong_look_up.code) == (400, "XDM-1009-400")


def test_an_equal_descriptor_is_refused(prod: Caller, body: Json) -> None:
    created = prod.send("POST", PATH, body).json

    reply = prod.send("POST", PATH, body)

    assert reply.status == 400
    assert created["@id"] in reply.json["detail"]
    assert prod.send("POST", PATH, body | {"xdm:sourceProperty": "/personID"}).status == 201


@pytest.mark.parametrize(
    "change",
    [
        {"@type": "unheard-of"},
        {"xdm:sourceSchema": "https://ns.adobe.com/localtenant/schemas/0123"},
        {"xdm:sourceProperty": "personalEmail/address"},
        {"xdm:sourceProperty": "/personalEmail/properties/address"},
    ],
)
def test_a_descriptor_of_something_that_is_not_there_is_refused(prod: Caller, body: Json, change: Json) -> None:
    assert prod.send("POST", PATH, body | change).status == 400


def test_descriptors_belong_to_a_sandbox(prod: Caller, dev: Caller, body: Json) -> None:
    created = prod.send("POST", PATH, body).json

    assert dev.send("GET", f"{PATH}/{created['@id']}").status == 404
    assert dev.send("POST", PATH, body).status == 400  # its schema is not there


@pytest.mark.parametrize("kind", ["xdm:descriptorDeprecated", "xdm:descriptorPrimaryKey"])
def test_some_descriptors_name_several_fields(prod: Caller, body: Json, kind: str) -> None:
    wanted = {"@type": kind, "xdm:sourceSchema": body["xdm:sourceSchema"]}
    paths = ["/personID", "/personalEmail/address"]

    unknown = prod.send("POST", PATH, {**wanted, "xdm:sourceProperty": [*paths, "/none"]})
    created = prod.send("POST", PATH, {**wanted, "xdm:sourceProperty": paths})

    assert (unknown.status, unknown.code) == (400, "XDM-1500-400")
    assert created.status == 201, created.response
    assert created.json["xdm:sourceProperty"] == paths
    path = f"{REGISTRY}/tenant/schemas/{quote(body['xdm:sourceSchema'], safe='')}"
    accept = {"accept": f"{PREFIX}xed-deprecatefield+json; version=1"}
    shown = prod.send("GET", path, headers=accept).json["properties"]
    flagged = ["meta:status" in shown["personID"], "meta:status" in shown["personalEmail"]["properties"]["address"]]
    assert flagged == [kind == "xdm:descriptorDeprecated"] * 2


@pytest.mark.parametrize("paths", [[], [1], None, "personID", ["personID"]])
def test_a_descriptor_of_fields_names_them_as_paths(prod: Caller, body: Json, paths: Any) -> None:
    kinds = ("xdm:descriptorIdentity", "xdm:descriptorDeprecated", "xdm:descriptorPrimaryKey")
    for kind in kinds:
        assert prod.send("POST", PATH, {**body, "@type": kind, "xdm:sourceProperty": paths}).code == "XDM-1500-400"
    several = {**body, "xdm:sourceProperty": ["/personID"]}
    assert prod.send("POST", PATH, several).code == "XDM-1500-400"  # an identity is of one field


def test_a_granularity_is_of_the_whole_schema_and_there_is_one(prod: Caller, body: Json) -> None:
    granularity = {
        "@type": "xdm:descriptorTimeSeriesGranularity",
        "xdm:sourceSchema": body["xdm:sourceSchema"],
        "xdm:granularity": "day",
        "xdm:ianaTimezone": "UTC",
    }

    first, second = prod.send("POST", PATH, granularity), prod.send("POST", PATH, granularity)

    assert first.status == 201, first.response
    assert (second.status, second.code) == (400, "XDM-1500-400")
    assert prod.send("PUT", f"{PATH}/{first.json['@id']}", granularity | {"xdm:granularity": "hour"}).status == 201


def test_conditions_with_a_comma_between_them_all_hold(prod: Caller, body: Json) -> None:
    other = {**body, "xdm:sourceProperty": "/personID"}
    wanted = [prod.send("POST", PATH, one).json["@id"] for one in (body, other)]
    prod.send("POST", PATH, {**other, "@type": "xdm:descriptorDeprecated"})
    accept = {"accept": f"{PREFIX}xdm-v2-id+json"}

    def found(condition: str) -> Any:
        return prod.send("GET", PATH, query=[("property", condition)], headers=accept).json["results"]

    schema = body["xdm:sourceSchema"]
    assert found(f"@type==xdm:descriptorIdentity,xdm:sourceSchema=={schema}") == wanted
    assert (
        found(f"@type==xdm:descriptorIdentity,xdm:sourceSchema=={schema},xdm:sourceProperty==/personID") == wanted[1:]
    )
    assert found("@type==xdm:descriptorIdentity,xdm:sourceSchema==none") == []
    assert found("@type==a, b") == []  # the comma belongs to the value
