"""Catalog: several calls in one (platform-api.md §3.1)."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, REGISTRY, Caller
from flowledger.emulator.core import Emulator

PROFILE = "https://ns.adobe.com/xdm/context/profile"
CREATES = "/dataSets?requestDataSource=true"
WITH_SOURCE = [("requestDataSource", "true")]

Json = dict[str, Any]


@pytest.fixture
def body(prod: Caller) -> Json:
    schema = {"title": "s", "type": "object", "allOf": [{"$ref": PROFILE}]}
    return {
        "name": "d",
        "schemaRef": {"id": prod.send("POST", f"{REGISTRY}/tenant/schemas", schema).json["$id"]},
    }


def test_each_call_of_a_batch_has_its_own_code(prod: Caller, emulator: Emulator, body: Json) -> None:
    calls = [
        {"id": "one", "resource": CREATES, "method": "post", "body": body},
        {"id": "two", "resource": "/dataSets", "method": "GET"},
        {"id": "three", "resource": "/dataSets/000000000000000000000000", "method": "GET"},
    ]

    reply = prod.send("POST", f"{CATALOG}/", calls)

    assert reply.status == 200
    assert [(entry["id"], entry["code"]) for entry in reply.json] == [("one", 201), ("two", 200), ("three", 404)]
    made = reply.json[0]["body"][0].rpartition("/")[2]
    assert list(reply.json[1]["body"]) == [made]
    assert emulator.count("dataSets") == 1


def test_an_option_answers_several_calls_with_201_as_the_reference_has_it(prod: Caller) -> None:
    prod.emulator.options.catalog_calls_201 = True

    reply = prod.send("POST", CATALOG, [{"id": "one", "resource": "/dataSets", "method": "GET"}])

    assert (reply.status, reply.json[0]["code"]) == (201, 200)


def test_a_refused_write_leaves_the_others_undone(prod: Caller, emulator: Emulator, body: Json) -> None:
    calls = [
        {"id": "good", "resource": CREATES, "method": "POST", "body": body},
        {"id": "bad", "resource": CREATES, "method": "POST", "body": body | {"name": ""}},
    ]

    codes = {entry["id"]: entry["code"] for entry in prod.send("POST", f"{CATALOG}/", calls).json}

    assert codes["bad"] == 400
    assert codes["good"] == 424
    assert emulator.count("dataSets") == 0


def test_what_was_written_before_a_refusal_is_undone(prod: Caller, emulator: Emulator, body: Json) -> None:
    ids = []
    for name in ("kept", "changed"):
        reply = prod.send("POST", f"{CATALOG}/dataSets", body | {"name": name}, query=WITH_SOURCE)
        ids.append(reply.json[0].rpartition("/")[2])
    before = {id: prod.send("GET", f"{CATALOG}/dataSets/{id}").json for id in ids}
    calls = [
        {"id": "made", "resource": CREATES, "method": "POST", "body": body},
        {"id": "patched", "resource": f"/dataSets/{ids[1]}", "method": "PATCH", "body": {"name": "new"}},
        {"id": "deleted", "resource": f"/dataSets/{ids[0]}", "method": "DELETE"},
        {"id": "refused", "resource": f"/dataSets/{ids[0]}", "method": "PATCH", "body": {"name": "gone"}},
        {"id": "after", "resource": CREATES, "method": "POST", "body": body},
        {"id": "read", "resource": f"/dataSets/{ids[0]}", "method": "GET"},
    ]

    codes = [entry["code"] for entry in prod.send("POST", f"{CATALOG}/", calls).json]

    assert codes == [424, 424, 424, 404, 424, 200]
    assert {id: prod.send("GET", f"{CATALOG}/dataSets/{id}").json for id in ids} == before
    assert emulator.count("dataSets") == emulator.count("dataSources") == 2


def test_a_later_call_may_name_what_an_earlier_one_made(prod: Caller, emulator: Emulator, body: Json) -> None:
    calls = [
        {"id": "first", "resource": CREATES, "method": "POST", "body": body},
        {"id": "then", "resource": "/dataSets/<<first>>", "method": "PATCH", "body": {"description": "of <<first>>"}},
    ]

    reply = prod.send("POST", f"{CATALOG}/", calls)

    assert [entry["code"] for entry in reply.json] == [201, 200]
    (data_set,) = emulator.objects("dataSets")
    assert data_set["description"] == f"of {data_set['id']}"


@pytest.mark.parametrize(
    "calls",
    [
        None,
        {},
        [],
        ["text"],
        [{"id": "one", "method": "GET"}],
        [{"id": "one", "resource": "/dataSets", "method": "GET"}, {"id": "one", "resource": "/x", "method": "GET"}],
    ],
)
def test_what_is_no_array_of_calls_is_refused(prod: Caller, calls: Any) -> None:
    assert prod.send("POST", f"{CATALOG}/", calls).status == 400


def test_a_call_to_nowhere_is_404(prod: Caller) -> None:
    reply = prod.send("POST", f"{CATALOG}/", [{"id": "one", "resource": "/unheard-of", "method": "GET"}])

    assert [entry["code"] for entry in reply.json] == [404]
