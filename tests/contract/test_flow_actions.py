"""Actions and states: drafts of every kind, finalizing, what a failed flow allows (platform-api.md §4.2, §10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.emulator.caller import FLOW, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options

COLLECTIONS = ["connections", "sourceConnections", "targetConnections", "flows"]
RENAME = [{"op": "replace", "path": "/name", "value": "renamed"}]
PassOf = Callable[[Caller], Any]


def world(clock: Any, **options: Any) -> Caller:
    return Caller(Emulator(clock=clock, options=Options(**options)))


def body_of(ready: Any, collection: str) -> dict[str, Any]:
    makers = {
        "connections": ready.paypal_body,
        "sourceConnections": ready.source_body,
        "targetConnections": ready.target_body,
        "flows": ready.flow_body,
    }
    body: dict[str, Any] = makers[collection]()
    return body


def item_at(caller: Caller, path: str) -> dict[str, Any]:
    (item,) = caller.send("GET", path).items
    return item


def action(caller: Caller, path: str, op: str, sub_op: str = "") -> Any:
    query = [("op", op), *([("subOp", sub_op)] if sub_op else [])]
    return caller.send("POST", f"{path}/action", query=query)


def patch(caller: Caller, path: str, operations: Any = None) -> Any:
    etag = {"if-match": item_at(caller, path)["etag"]}
    return caller.send("PATCH", path, operations or RENAME, headers=etag)


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_draft_of_every_kind_is_made_incomplete_patched_and_published(
    clock: Any, pass_of: PassOf, collection: str
) -> None:
    caller = world(clock, draft_mode_supported=True)
    ready = pass_of(caller).upto_flow()
    whole = body_of(ready, collection)
    spec = "flowSpec" if collection == "flows" else "connectionSpec"
    made = caller.send("POST", f"{FLOW}/{collection}", {"name": "d", spec: whole[spec]}, query=[("mode", "draft")])
    path = f"{FLOW}/{collection}/{made.json['id']}"
    assert (made.status, item_at(caller, path)["state"]) == (201, "draft")

    early = action(caller, path, "publish")
    if collection == "flows":  # the connections of a flow are fixed: a draft that lacks them is made anew
        assert early.code == "CONNECTOR-1338-400"
        sent = {name: value for name, value in whole.items() if name != "scheduleParams"}
        made = caller.send("POST", f"{FLOW}/flows", sent, query=[("mode", "draft")])
        path = f"{FLOW}/flows/{made.json['id']}"
        whole = {"scheduleParams": whole["scheduleParams"]}
    missing = [
        {"op": "add", "path": f"/{name}", "value": value} for name, value in whole.items() if name != "connectionSpec"
    ]
    patched = patch(caller, path, missing)
    state = item_at(caller, path)["state"]
    published = action(caller, path, "PUBLISH")
    again = action(caller, path, "publish")

    assert early.status == 400
    assert (patched.status, state) == (200, "draft")
    assert (published.status, set(published.json)) == (200, {"id", "etag"})
    assert item_at(caller, path)["state"] == "enabled"
    assert (again.status, again.code) == (400, "FLOW-1422-400")


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_draft_needs_a_spec_that_supports_drafts(prod: Caller, a_pass: Any, collection: str) -> None:
    body = body_of(a_pass.upto_flow(), collection)

    assert prod.send("POST", f"{FLOW}/{collection}", body, query=[("mode", "draft")]).code == "CONNECTOR-1368-400"
    spec = "flowSpec" if collection == "flows" else "connectionSpec"
    without = {name: value for name, value in body.items() if name != spec}
    assert prod.send("POST", f"{FLOW}/{collection}", without, query=[("mode", "draft")]).code == "FLOW-1413-400"


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_draft_is_deleted_like_anything_else(clock: Any, pass_of: PassOf, collection: str) -> None:
    caller = world(clock, draft_mode_supported=True)
    body = body_of(pass_of(caller).upto_flow(), collection)
    made = caller.send("POST", f"{FLOW}/{collection}", body, query=[("mode", "draft")]).json["id"]

    assert caller.send("DELETE", f"{FLOW}/{collection}/{made}/").status == 204
    assert caller.send("GET", f"{FLOW}/{collection}/{made}").code == "FLOW-1439-404"


@pytest.mark.parametrize("collection", COLLECTIONS[:3])
@pytest.mark.parametrize("op", ["enable", "disable", "finalize", ""])
def test_connections_know_one_action_only(prod: Caller, a_pass: Any, collection: str, op: str) -> None:
    a_pass.upto_flow()
    made = a_pass.make(f"{FLOW}/{collection}", body_of(a_pass, collection))["id"]
    path = f"{FLOW}/{collection}/{made}"

    assert action(prod, path, op).code == "FLOW-1409-400"
    assert action(prod, path, "publish").code == "FLOW-1422-400"
    stale = prod.send("POST", f"{path}/action", query=[("op", "publish")], headers={"if-match": '"old"'})
    assert (stale.status, stale.code) == (412, "FLOW-1404-412")


@pytest.fixture
def finalizing(clock: Any, pass_of: PassOf) -> tuple[Caller, str]:
    """A flow that rests in `enabled-finalizing`."""
    caller = world(clock, flow_finalized_by_caller=True)
    return caller, f"{FLOW}/flows/{pass_of(caller).upto_flow().make_flow()}"


def test_a_flow_rests_until_it_is_finalized(finalizing: tuple[Caller, str]) -> None:
    caller, path = finalizing
    item = item_at(caller, path)
    refused = [patch(caller, path).code, caller.send("DELETE", path).code, action(caller, path, "disable").code]
    progressed = action(caller, path, "finalize", "progress")
    during = item_at(caller, path)
    applied = action(caller, path, "FINALIZE", "APPLY")
    after = item_at(caller, path)

    assert (item["state"], item["lastOperation"]["status"]["value"]) == ("enabled-finalizing", "inProgress")
    assert refused == ["FLOW-1416-400", "FLOW-1458-400", "FLOW-1422-400"]
    assert (progressed.status, during["state"]) == (200, "enabled-finalizing")
    assert 0 < during["lastOperation"]["percentCompleted"] < 100
    assert (applied.status, after["state"]) == (200, "enabled")
    assert (after["lastOperation"]["status"]["value"], after["lastOperation"]["percentCompleted"]) == ("completed", 100)
    assert after["etag"] == applied.json["etag"]


def test_a_creation_rolled_back_is_disabled(finalizing: tuple[Caller, str]) -> None:
    caller, path = finalizing
    action(caller, path, "finalize", "rollback")

    assert item_at(caller, path)["state"] == "disabled"
    assert caller.send("DELETE", path).status == 204


@pytest.mark.parametrize(("sub_op", "name"), [("apply", "renamed"), ("rollback", "flow")])
def test_an_update_is_applied_or_rolled_back(finalizing: tuple[Caller, str], sub_op: str, name: str) -> None:
    caller, path = finalizing
    action(caller, path, "finalize", "apply")
    before = item_at(caller, path)
    patched = patch(caller, path)
    during = item_at(caller, path)
    wrong = action(caller, path, "finalize", "apply")
    settled = action(caller, path, "finalize_update", sub_op)
    after = item_at(caller, path)

    assert (patched.status, during["state"], during["name"]) == (200, "enabled-finalizing", "renamed")
    assert not [key for item in (during, after) for key in item if key.startswith("_")]
    assert wrong.code == "FLOW-1422-400"
    assert (settled.status, after["state"], after["name"]) == (200, "enabled", name)
    assert len({before["etag"], during["etag"], after["etag"]}) == 3


@pytest.mark.parametrize(
    ("op", "sub_op", "code"),
    [
        ("finalize", "", 1435),
        ("finalize", "sheep", 1435),
        ("finalize", "apply,progress", 1406),
        ("disable", "apply", 1436),
    ],
)
def test_finalizing_says_how(finalizing: tuple[Caller, str], op: str, sub_op: str, code: int) -> None:
    caller, path = finalizing

    assert action(caller, path, op, sub_op).code == f"FLOW-{code}-400"
    assert action(caller, path, "finalize_update", "apply").code == "FLOW-1422-400"


@pytest.mark.parametrize(
    ("body", "status", "percent"),
    [
        ({}, 200, 50),
        ({"percentCompleted": 70}, 200, 70),
        ({"percentCompleted": 12.5, "status": {"value": "IN_PROGRESS"}}, 200, 12.5),
        ({"status": {"value": "started"}}, "FLOW-1437-400", 0),
        ({"status": {"value": "FAILED"}}, "FLOW-1407-400", 0),
        ({"status": {"value": "COMPLETED"}, "percentCompleted": 99}, "FLOW-1408-400", 0),
        ({"percentCompleted": 101}, "CONNECTOR-1000-400", 0),
    ],
)
def test_progress_is_as_far_as_the_caller_says(
    finalizing: tuple[Caller, str], body: Any, status: Any, percent: float
) -> None:
    caller, path = finalizing

    reply = caller.send("POST", f"{path}/action", body, query=[("op", "finalize"), ("subOp", "progress")])

    assert (reply.status if reply.status == 200 else reply.code) == status
    assert item_at(caller, path)["lastOperation"]["percentCompleted"] == percent


@pytest.mark.parametrize("op", ["finalize", "finalize_update"])
def test_nothing_is_to_be_finalized_otherwise(prod: Caller, a_pass: Any, op: str) -> None:
    path = f"{FLOW}/flows/{a_pass.upto_flow().make_flow()}"

    assert action(prod, path, op, "apply").code == "FLOW-1422-400"


def test_a_flow_that_failed_to_become_ready_is_neither_updated_nor_deleted(clock: Any, pass_of: PassOf) -> None:
    caller = world(clock, flow_ready_ms=1000, flow_fails="no capacity")
    path = f"{FLOW}/flows/{pass_of(caller).upto_flow().make_flow()}"
    clock.pass_ms(1000)

    assert patch(caller, path).code == "FLOW-1457-400"
    assert caller.send("DELETE", path).code == "FLOW-1458-400"


def test_a_connection_that_is_initializing_is_deleted_but_not_updated(clock: Any, a_pass: Any) -> None:
    """1416 lets `initializing` be deleted; 1417 refuses the update."""
    caller = world(clock, connection_ready_ms=1000)
    made = caller.send("POST", f"{FLOW}/connections", a_pass.paypal_body())
    path = f"{FLOW}/connections/{made.json['id']}"
    stored = caller.emulator.objects("connections")[0]

    refused = caller.send("PATCH", path, RENAME, headers={"if-match": stored["etag"]})

    assert "etag" not in made.json
    assert (item_at(caller, path)["state"], refused.code) == ("initializing", "FLOW-1417-400")
    assert caller.send("DELETE", path).status == 204
