"""Catalog: creating, reading, changing and deleting datasets; batches (platform-api.md §3)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, REGISTRY, Caller, Reply
from flowledger.emulator.core import Emulator

PROFILE = "https://ns.adobe.com/xdm/context/profile"
MEDIA_TYPE = "application/vnd.adobe.xed-full-notext+json; version=1"
WITH_SOURCE = [("requestDataSource", "true")]

Json = dict[str, Any]


@pytest.fixture
def schema(prod: Caller) -> str:
    body = {"title": "s", "type": "object", "allOf": [{"$ref": PROFILE}]}
    return str(prod.send("POST", f"{REGISTRY}/tenant/schemas", body).json["$id"])


@pytest.fixture
def body(schema: str) -> Json:
    return {
        "name": "payments target 7f3a",
        "description": "[mark:7f3a]",
        "tags": {"provisioner": ["7f3a:dataset"]},
        "schemaRef": {"id": schema, "contentType": MEDIA_TYPE},
    }


def create(caller: Caller, body: Any) -> Reply:
    return caller.send("POST", f"{CATALOG}/dataSets", body, query=WITH_SOURCE)


def make(caller: Caller, body: Any) -> str:
    reply = create(caller, body)
    assert reply.status == 201, reply.response
    return str(reply.json[0]).rpartition("/")[2]


def own_tags(data_set: Json) -> Json:
    """The tags without what Catalog adds."""
    return {name: values for name, values in data_set["tags"].items() if not name.startswith("adobe/")}


def read(caller: Caller, id: str) -> Json:
    reply = caller.send("GET", f"{CATALOG}/dataSets/{id}", without=["content-type"])
    assert reply.status == 200, reply.response
    assert list(reply.json) == [id]
    data_set: Json = reply.json[id]
    return data_set


def test_a_create_answers_one_reference_and_its_location(prod: Caller, body: Json) -> None:
    reply = create(prod, body)

    assert reply.status == 201
    assert len(reply.json) == 1
    found = re.fullmatch(r"@/dataSets/([0-9a-f]{24})", reply.json[0])
    assert found
    assert reply.headers["location"].endswith(f"/dataSets/{found[1]}")
    assert reply.headers["content-type"].startswith("application/json")


def test_a_dataset_keeps_what_was_sent_and_gains_the_servers_fields(prod: Caller, body: Json) -> None:
    data_set = read(prod, make(prod, body))

    table = data_set["tags"].pop("adobe/pqs/table")
    assert body.items() <= data_set.items()
    assert table == ["payments_target_7f3a_20231114_221320_000"]
    assert data_set["classification"] == {"dataBehavior": "record", "managedBy": "CUSTOMER"}
    assert data_set["imsOrg"] == "LOCAL@AdobeOrg"
    assert data_set["created"] == data_set["updated"] == 1_700_000_000_000
    assert data_set["createdClient"] == "local-client"
    assert data_set["version"] == "1.0.0"
    assert data_set["state"] == "DRAFT"
    assert data_set["sandboxId"]


def test_equal_datasets_are_silently_two(prod: Caller, emulator: Emulator, body: Json) -> None:
    assert make(prod, body) != make(prod, body)
    assert emulator.count("dataSets") == 2


def test_the_flag_makes_a_data_source_which_another_dataset_may_name(prod: Caller, body: Json) -> None:
    source = read(prod, make(prod, body))["dataSourceId"]

    assert prod.send("GET", f"{CATALOG}/dataSources/{source}").json[source]
    assert list(prod.send("GET", f"{CATALOG}/dataSources").json) == [source]
    assert prod.send("POST", f"{CATALOG}/dataSets", body | {"dataSourceId": source}).status == 201
    assert prod.send("POST", f"{CATALOG}/dataSets", body | {"dataSourceId": "0" * 24}).status == 400
    assert prod.send("GET", f"{CATALOG}/dataSources/{'0' * 24}").status == 404


@pytest.mark.parametrize(
    ("flag", "made"), [("true", True), ("True", True), ("false", False), ("False", False), ("", False)]
)
def test_a_data_source_is_made_when_the_flag_says_so(prod: Caller, body: Json, flag: str, made: bool) -> None:
    query = [("requestDataSource", flag)] if flag else []

    reply = prod.send("POST", f"{CATALOG}/dataSets", body, query=query)

    assert reply.status == 201
    assert ("dataSourceId" in read(prod, reply.json[0].rpartition("/")[2])) == made
    assert len(prod.send("GET", f"{CATALOG}/dataSources").json) == made


def test_the_behaviour_of_a_dataset_is_that_of_its_schemas_class(prod: Caller, body: Json) -> None:
    parts = [{"$ref": "https://ns.adobe.com/xdm/data/time-series"}]
    events = prod.send("POST", f"{REGISTRY}/tenant/classes", {"title": "events", "type": "object", "allOf": parts}).json
    own = {"title": "of events", "type": "object", "allOf": [{"$ref": events["$id"]}]}
    schema = prod.send("POST", f"{REGISTRY}/tenant/schemas", own).json["$id"]

    data_set = read(prod, make(prod, {**body, "schemaRef": {"id": schema}}))

    assert data_set["classification"] == {"dataBehavior": "time-series", "managedBy": "CUSTOMER"}


def test_a_classification_that_is_sent_is_kept_and_can_be_changed(prod: Caller, body: Json) -> None:
    id = make(prod, {**body, "classification": {"dataBehavior": "time-series"}})
    assert read(prod, id)["classification"] == {"dataBehavior": "time-series", "managedBy": "CUSTOMER"}

    part = {"classification": {"dataBehavior": "record"}}
    assert prod.send("PATCH", f"{CATALOG}/v2/dataSets/{id}", part).status == 200

    assert read(prod, id)["classification"] == {"dataBehavior": "record", "managedBy": "CUSTOMER"}
    wrong = {"classification": {"managedBy": "SOMEONE"}}
    assert prod.send("PATCH", f"{CATALOG}/v2/dataSets/{id}", wrong).code == "CATALOG-400"


def test_a_dataset_of_the_system_cannot_be_deleted(prod: Caller, body: Json) -> None:
    id = make(prod, {**body, "classification": {"managedBy": "SYSTEM"}})

    reply = prod.send("DELETE", f"{CATALOG}/dataSets/{id}")

    assert (reply.status, reply.code) == (400, "CATALOG-400")
    assert read(prod, id)["name"] == body["name"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"name": ""},
        {"schemaRef": None},
        {"schemaRef": {"id": "https://ns.adobe.com/localtenant/schemas/0123", "contentType": MEDIA_TYPE}},
        {"tags": {"provisioner": "7f3a"}},
        {"tags": ["provisioner"]},
    ],
)
def test_a_malformed_dataset_is_refused_and_makes_nothing(
    prod: Caller, emulator: Emulator, body: Json, change: Json
) -> None:
    reply = create(prod, body | change)

    assert (reply.status, reply.code) == (400, "CATALOG-400")
    assert emulator.count("dataSets") == 0


@pytest.mark.parametrize("sent", [None, b"{no json", [], "text"])
def test_a_body_that_is_no_object_is_refused(prod: Caller, sent: Any) -> None:
    assert create(prod, sent).status == 400


def test_a_body_that_nests_too_deeply_is_refused(prod: Caller, body: Json) -> None:
    id = make(prod, body)
    deep: Json = {}
    for _ in range(300):
        deep = {"a": deep}
    operations = [{"op": "add", "path": "/deep", "value": deep}]
    json_patch = {"content-type": "application/json-patch+json"}

    assert create(prod, body | {"deep": deep}).status == 400
    assert prod.send("PATCH", f"{CATALOG}/dataSets/{id}", {"deep": deep}).status == 400
    assert prod.send("PATCH", f"{CATALOG}/v2/dataSets/{id}", {"deep": deep}).status == 400
    assert prod.send("PATCH", f"{CATALOG}/dataSets/{id}", operations, headers=json_patch).status == 400
    assert read(prod, id)["version"] == "1.0.0"


@pytest.mark.parametrize(
    "content_type",
    [MEDIA_TYPE, "application/vnd.adobe.xed+json;version=1", "application/vnd.adobe.xed-full+json; version=1.0"],
)
def test_every_spelling_of_the_media_type_is_taken_and_echoed(prod: Caller, body: Json, content_type: str) -> None:
    body["schemaRef"]["contentType"] = content_type

    assert read(prod, make(prod, body))["schemaRef"]["contentType"] == content_type


def test_a_media_type_of_something_else_is_refused(prod: Caller, body: Json) -> None:
    body["schemaRef"]["contentType"] = "application/json"

    assert create(prod, body).status == 400


def test_an_absent_dataset_is_404_and_so_is_one_of_another_sandbox(prod: Caller, dev: Caller, body: Json) -> None:
    id = make(prod, body)

    for reply in (prod.send("GET", f"{CATALOG}/dataSets/{'0' * 24}"), dev.send("GET", f"{CATALOG}/dataSets/{id}")):
        assert (reply.status, reply.code) == (404, "CATALOG-404")


def test_the_collection_may_be_spelled_as_the_prose_does(prod: Caller, body: Json) -> None:
    id = make(prod, body)

    assert list(prod.send("GET", f"{CATALOG}/datasets/{id}").json) == [id]


def test_a_single_look_up_shows_only_the_properties_asked_for(prod: Caller, body: Json) -> None:
    id = make(prod, body)

    reply = prod.send("GET", f"{CATALOG}/dataSets/{id}", query=[("properties", "name,unheard-of")])

    assert reply.json == {id: {"name": body["name"]}}


def test_a_patch_of_a_part_replaces_top_level_properties(prod: Caller, body: Json, clock: Any) -> None:
    id = make(prod, body)
    clock.pass_ms(5)

    reply = prod.send("PATCH", f"{CATALOG}/dataSets/{id}", {"tags": {"other": ["x"]}, "created": 1})

    assert (reply.status, reply.json) == (200, [f"@/dataSets/{id}"])
    changed = read(prod, id)
    assert own_tags(changed) == {"other": ["x"]}
    assert "adobe/pqs/table" in changed["tags"]
    assert changed["version"] == "1.0.1"
    assert changed["updated"] == changed["created"] + 5
    assert changed["created"] == 1_700_000_000_000


def test_a_json_patch_is_told_by_its_content_type(prod: Caller, body: Json) -> None:
    id = make(prod, body)
    operations = [{"op": "add", "path": "/tags/provisioner/-", "value": "more"}]
    headers = {"content-type": "application/json-patch+json"}

    reply = prod.send("PATCH", f"{CATALOG}/dataSets/{id}", operations, headers=headers)

    assert (reply.status, reply.json) == (200, [f"@/dataSets/{id}"])
    assert own_tags(read(prod, id)) == {"provisioner": ["7f3a:dataset", "more"]}
    assert prod.send("PATCH", f"{CATALOG}/dataSets/{id}", operations).status == 400  # as a plain part
    broken = [{"op": "remove", "path": "/absent"}]
    assert prod.send("PATCH", f"{CATALOG}/dataSets/{id}", broken, headers=headers).status == 400


def test_the_second_patch_merges_at_every_depth(prod: Caller, body: Json) -> None:
    id = make(prod, body)

    reply = prod.send("PATCH", f"{CATALOG}/v2/dataSets/{id}", {"tags": {"other": ["x"]}})

    assert (reply.status, reply.json) == (200, [f"@/dataSets/{id}"])
    assert own_tags(read(prod, id)) == {"provisioner": ["7f3a:dataset"], "other": ["x"]}


def test_a_put_replaces_the_whole_dataset(prod: Caller, body: Json) -> None:
    id = make(prod, body)
    whole = {"name": "new", "schemaRef": body["schemaRef"]}

    reply = prod.send("PUT", f"{CATALOG}/dataSets/{id}", whole)

    assert (reply.status, reply.json) == (200, [f"@/dataSets/{id}"])
    changed = read(prod, id)
    assert changed["name"] == "new"
    assert own_tags(changed) == {}
    assert prod.send("PUT", f"{CATALOG}/dataSets/{id}", {"name": "no schema"}).status == 400


def test_changing_an_absent_dataset_is_404(prod: Caller, body: Json) -> None:
    absent = "0" * 24

    assert prod.send("PATCH", f"{CATALOG}/dataSets/{absent}", {"name": "x"}).status == 404
    assert prod.send("PATCH", f"{CATALOG}/v2/dataSets/{absent}", {"name": "x"}).status == 404
    assert prod.send("PUT", f"{CATALOG}/dataSets/{absent}", body).status == 404


def test_an_etag_that_moved_refuses_the_change(prod: Caller, body: Json) -> None:
    id = make(prod, body)
    path = f"{CATALOG}/dataSets/{id}"
    answer = prod.send("GET", path)
    etag = answer.headers["e-tag"]
    assert answer.headers["etag"] == etag

    assert prod.send("PATCH", path, {"name": "first"}, headers={"if-match": etag}).status == 200
    stale_patch = prod.send("PATCH", path, {"name": "second"}, headers={"if-match": etag})
    stale_put = prod.send("PUT", path, body, headers={"if-match": etag})

    assert (stale_patch.status, stale_patch.code) == (412, "CATALOG-412")
    assert stale_put.status == 412
    assert read(prod, id)["name"] == "first"


def test_validate_only_judges_and_saves_nothing(prod: Caller, emulator: Emulator, body: Json) -> None:
    only = {"pragma": "validate-only"}

    good = prod.send("POST", f"{CATALOG}/dataSets", body, query=WITH_SOURCE, headers=only)
    bad = prod.send("POST", f"{CATALOG}/dataSets", body | {"name": ""}, query=WITH_SOURCE, headers=only)

    assert good.status == 200
    assert bad.status == 400
    assert emulator.count("dataSets") == 0
    id = make(prod, body)
    assert prod.send("PUT", f"{CATALOG}/dataSets/{id}", body | {"name": "new"}, headers=only).status == 200
    assert read(prod, id)["name"] == body["name"]


def test_a_delete_answers_the_reference_and_then_an_empty_array(prod: Caller, body: Json) -> None:
    id = make(prod, body)

    first = prod.send("DELETE", f"{CATALOG}/dataSets/{id}")
    second = prod.send("DELETE", f"{CATALOG}/dataSets/{id}")

    assert (first.status, first.json) == (200, [f"@/dataSets/{id}"])
    assert (second.status, second.json) == (200, [])
    assert prod.send("GET", f"{CATALOG}/dataSets/{id}").status == 404


def test_there_are_no_batches_yet(prod: Caller) -> None:
    reply = prod.send("GET", f"{CATALOG}/batches", query=[("dataSet", "0" * 24), ("orderBy", "desc:created")])

    assert (reply.status, reply.json) == (200, {})
    assert prod.send("GET", f"{CATALOG}/batches/01EF0000").status == 404


def test_a_write_with_another_content_type_is_refused(prod: Caller, body: Json) -> None:
    reply = prod.send("POST", f"{CATALOG}/dataSets", body, query=WITH_SOURCE, headers={"content-type": "text/plain"})

    assert reply.status == 400
    assert reply.json["detail"] == "A valid content-type must be specified"
