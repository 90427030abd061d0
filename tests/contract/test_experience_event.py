"""XDM ExperienceEvent: the second standard class, a time series that requires `_id` and `timestamp` (§7.1)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from flowledger.emulator.caller import CATALOG, REGISTRY, Caller, Reply

NS = "https://ns.adobe.com/xdm/"
EVENT = f"{NS}context/experienceevent"
PROFILE = f"{NS}context/profile"
IDENTITIES = f"{NS}context/identitymap"
CONTACT = f"{NS}context/profile-personal-details"
PERSON = f"{NS}context/profile-person-details"
UNION_TAG = [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}]

Json = dict[str, Any]


def full(caller: Caller, path: str) -> Json:
    accept = {"accept": "application/vnd.adobe.xed-full+json; version=1"}
    reply = caller.send("GET", f"{REGISTRY}{path}", headers=accept)
    assert reply.status == 200, reply.response
    resource: Json = reply.json
    return resource


def create(caller: Caller, *refs: str, title: str = "payments") -> Reply:
    body = {"title": title, "type": "object", "allOf": [{"$ref": ref} for ref in refs]}
    return caller.send("POST", f"{REGISTRY}/tenant/schemas", body)


def own_group(caller: Caller, *classes: str) -> str:
    own = {"_localtenant": {"type": "object", "properties": {"amount": {"type": "number"}}}}
    body = {
        "title": "payment",
        "type": "object",
        "meta:intendedToExtend": list(classes),
        "definitions": {"own": {"properties": own}},
        "allOf": [{"$ref": "#/definitions/own"}],
    }
    reply = caller.send("POST", f"{REGISTRY}/tenant/fieldgroups", body)
    assert reply.status == 201, reply.response
    return str(reply.json["$id"])


def change(caller: Caller, schema: Json, operations: Any) -> Reply:
    return caller.send("PATCH", f"{REGISTRY}/tenant/schemas/{quote(schema['$id'], safe='')}", operations)


def test_the_class_is_a_time_series_that_requires_id_and_timestamp(prod: Caller) -> None:
    shown = full(prod, "/global/classes/_xdm.context.experienceevent")

    assert shown["title"] == "XDM ExperienceEvent"
    assert shown["meta:extends"] == [f"{NS}data/time-series", IDENTITIES]
    assert shown["required"] == ["_id", "timestamp"]
    assert shown["properties"]["timestamp"]["format"] == "date-time"
    assert {"eventType", "eventMergeId", "identityMap"} <= shown["properties"].keys()
    assert "personID" not in shown["properties"]


def test_a_schema_of_events_is_made_of_the_class_and_its_field_groups(prod: Caller) -> None:
    reply = create(prod, EVENT, CONTACT, own_group(prod, EVENT))

    assert reply.status == 201, reply.response
    assert reply.json["meta:class"] == EVENT
    assert {f"{NS}data/time-series", EVENT, CONTACT} <= set(reply.json["meta:extends"])
    shown = full(prod, f"/tenant/schemas/{reply.json['meta:altId']}")
    assert shown["required"] == ["_id", "timestamp"]
    assert {"personalEmail", "_localtenant", "timestamp"} <= shown["properties"].keys()


@pytest.mark.parametrize("refs", [(EVENT, PERSON), (EVENT, PROFILE), (f"{NS}data/time-series",)])
def test_a_schema_of_events_takes_no_field_group_for_profiles_alone_and_no_second_class(
    prod: Caller, refs: tuple[str, ...]
) -> None:
    reply = create(prod, *refs)

    assert (reply.status, reply.code) == (400, "XDM-1500-400")


def test_a_group_of_profiles_alone_does_not_fit_events(prod: Caller) -> None:
    assert create(prod, EVENT, own_group(prod, PROFILE)).code == "XDM-1500-400"


def test_schemas_of_events_are_found_by_class_and_their_datasets_are_time_series(prod: Caller) -> None:
    event, profile = create(prod, EVENT).json, create(prod, PROFILE, title="people").json
    by_class = prod.send(
        "GET",
        f"{REGISTRY}/tenant/schemas",
        query=[("property", f"meta:extends=={EVENT}")],
        headers={"accept": "application/vnd.adobe.xdm-id+json"},
    )
    behaviours = []
    for schema in (event, profile):
        ref = {"id": schema["$id"], "contentType": "application/vnd.adobe.xed-full+json;version=1"}
        made = prod.send("POST", f"{CATALOG}/dataSets", {"name": schema["title"], "schemaRef": ref})
        [id] = [one.rpartition("/")[2] for one in made.json]
        shown = prod.send("GET", f"{CATALOG}/dataSets/{id}").json[id]
        behaviours.append(shown["classification"]["dataBehavior"])

    assert [found["$id"] for found in by_class.json["results"]] == [event["$id"]]
    assert behaviours == ["time-series", "record"]


def test_events_join_a_union_by_their_identity_map(prod: Caller) -> None:
    event = create(prod, EVENT, CONTACT).json

    tagged = change(prod, event, UNION_TAG)

    assert (tagged.status, tagged.json["meta:immutableTags"]) == (200, ["union"])
    union = full(prod, "/tenant/unions/_xdm.context.experienceevent__union")
    assert {"timestamp", "identityMap", "personalEmail"} <= union["properties"].keys()


def test_profiles_join_a_union_by_an_identity_map_as_by_a_primary_identity(prod: Caller) -> None:
    without, with_map = create(prod, PROFILE).json, create(prod, PROFILE, IDENTITIES, title="mapped").json

    refused = change(prod, without, UNION_TAG)

    assert (refused.status, refused.code) == (400, "XDM-1528-400")
    assert change(prod, with_map, UNION_TAG).status == 200


def test_a_descriptor_may_name_the_timestamp_of_events(prod: Caller) -> None:
    event = create(prod, EVENT).json
    body = {
        "@type": "xdm:descriptorTimestamp",
        "xdm:sourceSchema": event["$id"],
        "xdm:sourceVersion": 1,
        "xdm:sourceProperty": "/timestamp",
    }

    assert prod.send("POST", f"{REGISTRY}/tenant/descriptors", body).status == 201
