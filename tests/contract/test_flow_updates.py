"""PATCH of Flow Service objects: If-Match, JSON Patch, what may not be changed (platform-api.md §4.2)."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.emulator.caller import FLOW, Caller

COLLECTIONS = ["connections", "sourceConnections", "targetConnections", "flows"]


def path_of(a_pass: Any, collection: str) -> str:
    flow = a_pass.upto_flow().make_flow()
    ids = {"connections": a_pass.base, "sourceConnections": a_pass.source, "targetConnections": a_pass.target}
    return f"{FLOW}/{collection}/{ids.get(collection, flow)}"


def patch(caller: Caller, path: str, *operations: dict[str, Any]) -> Any:
    """PATCH with the etag of now."""
    etag = caller.send("GET", path).items[0]["etag"]
    return caller.send("PATCH", path, list(operations), headers={"if-match": etag})


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_patch_changes_name_and_etag(prod: Caller, a_pass: Any, clock: Any, collection: str, slash: str) -> None:
    path = path_of(a_pass, collection)
    (before,) = prod.send("GET", path).items
    clock.pass_ms(5)
    operations = [
        {"op": "replace", "path": "/name", "value": "renamed"},
        {"op": "add", "path": "/description", "value": "d"},
    ]

    reply = prod.send("PATCH", f"{path}{slash}", operations, headers={"if-match": before["etag"]})

    (after,) = prod.send("GET", path).items
    assert (reply.status, set(reply.json)) == (200, {"id", "etag"})
    assert (after["name"], after["description"]) == ("renamed", "d")
    assert after["etag"] == after["version"] == reply.json["etag"] != before["etag"]
    assert after["updatedAt"] == before["updatedAt"] + 5
    assert after["createdAt"] == before["createdAt"]


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_patch_needs_the_etag_of_now_in_its_quotes(prod: Caller, a_pass: Any, collection: str) -> None:
    path = path_of(a_pass, collection)
    (before,) = prod.send("GET", path).items
    rename = [{"op": "replace", "path": "/name", "value": "renamed"}]

    missing = prod.send("PATCH", path, rename)
    unquoted = prod.send("PATCH", path, rename, headers={"if-match": before["etag"].strip('"')})
    first = prod.send("PATCH", path, rename, headers={"if-match": before["etag"]})
    stale = prod.send("PATCH", path, rename, headers={"if-match": before["etag"]})

    assert (missing.status, missing.code) == (400, "FLOW-1403-400")
    assert (unquoted.status, unquoted.code) == (412, "FLOW-1404-412")
    assert first.status == 200
    assert (stale.status, stale.code) == (412, "FLOW-1404-412")


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ([], "FLOW-1405-400"),
        ({}, "FLOW-1405-400"),
        ([{"op": "move", "from": "/name", "path": "/description"}], "FLOW-1434-400"),
        ([{"op": "test", "path": "/name", "value": "x"}], "FLOW-1434-400"),
        (["name"], "FLOW-1434-400"),
        ([{"op": "replace", "value": "x"}], "FLOW-1455-400"),
        ([{"op": "replace", "path": "name", "value": "x"}], "FLOW-1455-400"),
        ([{"op": "replace", "path": "/name"}], "FLOW-1455-400"),
        ([{"op": "replace", "path": "/nothing/here", "value": "x"}], "FLOW-1455-400"),
        ([{"op": "remove", "path": "/nothing"}], "FLOW-1455-400"),
        ([{"op": "replace", "path": "/id", "value": "x"}], "FLOW-1455-400"),
        ([{"op": "replace", "path": "/createdAt", "value": 1}], "FLOW-1455-400"),
        ([{"op": "replace", "path": "/state", "value": "disabled"}], "FLOW-1410-400"),
        ([{"op": "replace", "path": "/connectionSpec/id", "value": "x"}], "FLOW-1414-400"),
    ],
)
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_wrong_patch_is_refused_and_changes_nothing(
    prod: Caller, a_pass: Any, collection: str, operations: Any, code: str
) -> None:
    path = path_of(a_pass, collection)
    (before,) = prod.send("GET", path).items

    reply = prod.send("PATCH", path, operations, headers={"if-match": before["etag"]})

    assert (reply.status, reply.code) == (400, code)
    assert prod.send("GET", path).items == [before]


def test_of_several_operations_all_or_none_take_effect(prod: Caller, a_pass: Any) -> None:
    path = path_of(a_pass, "connections")
    (before,) = prod.send("GET", path).items

    reply = patch(prod, path, {"op": "replace", "path": "/name", "value": "x"}, {"op": "remove", "path": "/nothing"})

    assert reply.status == 400
    assert prod.send("GET", path).items == [before]


def test_an_absent_object_cannot_be_patched(prod: Caller) -> None:
    reply = prod.send("PATCH", f"{FLOW}/flows/absent", [], headers={"if-match": '"x"'})

    assert (reply.status, reply.code) == (404, "FLOW-1439-404")


def test_new_secrets_are_not_echoed_either(prod: Caller, a_pass: Any) -> None:
    path = path_of(a_pass, "connections")

    patched = patch(prod, path, {"op": "replace", "path": "/auth/params/clientSecret", "value": "a-newer-secret"})

    assert patched.status == 200
    assert b"a-newer-secret" not in prod.send("GET", path).response.body


@pytest.mark.parametrize(
    ("collection", "operation", "code"),
    [
        ("connections", {"op": "remove", "path": "/auth/params/clientSecret"}, "CONNECTOR-1304-400"),
        ("sourceConnections", {"op": "replace", "path": "/baseConnectionId", "value": "absent"}, "FLOW-1439-404"),
        ("targetConnections", {"op": "replace", "path": "/params/dataSetId", "value": "absent"}, "CONNECTOR-1325-400"),
        ("flows", {"op": "replace", "path": "/sourceConnectionIds", "value": ["x"]}, "FLOW-1455-400"),
        ("flows", {"op": "replace", "path": "/transformations/1/params/mappingId", "value": "x"}, "FLOW-1419-400"),
        ("flows", {"op": "remove", "path": "/transformations/0"}, "CONNECTOR-1367-400"),
        ("flows", {"op": "replace", "path": "/scheduleParams/interval", "value": 1}, "CONNECTOR-1362-400"),
        ("flows", {"op": "replace", "path": "/scheduleParams/startTime", "value": 1}, "CONNECTOR-1360-400"),
        ("flows", {"op": "replace", "path": "/scheduleParams/frequency", "value": "once"}, "CONNECTOR-1403-400"),
        ("flows", {"op": "add", "path": "/scheduleParams/backfill", "value": False}, "CONNECTOR-1404-400"),
        ("flows", {"op": "remove", "path": "/scheduleParams"}, "CONNECTOR-1317-400"),
    ],
)
def test_what_was_whole_stays_whole(
    prod: Caller, a_pass: Any, collection: str, operation: dict[str, Any], code: str
) -> None:
    path = path_of(a_pass, collection)

    reply = patch(prod, path, operation)

    assert reply.code == code


def test_a_schedule_is_changed_but_not_its_start_once_that_has_passed(prod: Caller, a_pass: Any, clock: Any) -> None:
    path = path_of(a_pass, "flows")
    start = prod.send("GET", path).items[0]["scheduleParams"]["startTime"]
    later = {"op": "replace", "path": "/scheduleParams/startTime", "value": start + 60}
    slower = {"op": "replace", "path": "/scheduleParams/interval", "value": 45}
    assert patch(prod, path, later).status == 200

    clock.pass_ms(2 * 3600 * 1000)
    refused = patch(prod, path, {**later, "value": start + 999_999})
    slowed = patch(prod, path, slower)

    assert (refused.status, refused.code) == (400, "CONNECTOR-1366-400")
    assert slowed.status == 200
    assert prod.send("GET", path).items[0]["scheduleParams"]["interval"] == 45
