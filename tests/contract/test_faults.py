"""Faults on purpose: which call they hit, what leaves, whether it took effect (platform-api.md §15, U18, U20)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, FLOW, REGISTRY, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.wire import Delivery

PATH = f"{FLOW}/connections"


def create(caller: Caller, a_pass: Any, name: str = "c") -> Any:
    return caller.send("POST", PATH, a_pass.paypal_body(name))


@pytest.mark.parametrize("route", ["POST /connections", f"POST {PATH}", "* /connections", "POST *", "*"])
def test_a_route_may_be_named_whole_by_its_end_or_not_at_all(
    prod: Caller, a_pass: Any, emulator: Emulator, route: str
) -> None:
    assert prod.token
    emulator.faults.add(route, "drop")

    assert create(prod, a_pass).delivery is Delivery.DROPPED
    assert create(prod, a_pass).status == 201


@pytest.mark.parametrize(
    "route", ["GET /connections", "POST /onnections", "POST /sourceConnections", "POST /connections/{id}"]
)
def test_other_routes_are_spared(prod: Caller, a_pass: Any, emulator: Emulator, route: str) -> None:
    emulator.faults.add(route, "drop")

    assert create(prod, a_pass).status == 201


@pytest.mark.parametrize("route", ["GET /connections/{id}", f"GET {PATH}/{{id}}"])
def test_a_template_names_every_id(prod: Caller, a_pass: Any, emulator: Emulator, route: str) -> None:
    key = create(prod, a_pass).json["id"]
    emulator.faults.add(route, "answer", status=503)

    assert prod.send("GET", PATH).status == 200
    assert prod.send("GET", f"{PATH}/{key}").status == 503


def test_a_registry_kind_can_be_named_by_its_end(prod: Caller, emulator: Emulator) -> None:
    emulator.faults.add("POST /classes", "answer", status=503)

    assert prod.send("POST", f"{REGISTRY}/tenant/classes", {}).status == 503
    assert prod.send("POST", f"{REGISTRY}/tenant/schemas", {}).status == 400


def test_the_body_tells_two_calls_of_one_route_apart(prod: Caller, a_pass: Any, emulator: Emulator) -> None:
    """The sink's and the source's base connections are made at one route."""
    emulator.faults.add("POST /connections", "drop", where="c604ff05-7f1a-43c0-8e18-33bf874cb11c")

    assert create(prod, a_pass).status == 201
    assert prod.send("POST", PATH, a_pass.sink_body()).delivery is Delivery.DROPPED
    assert prod.send("POST", PATH, a_pass.sink_body()).status == 201


def test_skip_and_times_are_counted(prod: Caller, a_pass: Any, emulator: Emulator) -> None:
    emulator.faults.add("POST /connections", "answer", status=503, skip=2, times=2)

    assert [create(prod, a_pass).status for _ in range(6)] == [201, 201, 503, 503, 201, 201]


def test_faults_of_one_route_strike_one_after_the_other(prod: Caller, a_pass: Any, emulator: Emulator) -> None:
    emulator.faults.add("POST /connections", "answer", status=429)
    emulator.faults.add("POST /connections", "answer", status=502, skip=1)
    forever = emulator.faults.add("POST /connections", "answer", status=504, times=0)

    assert [create(prod, a_pass).status for _ in range(5)] == [429, 504, 502, 504, 504]
    assert emulator.faults.remove(forever)
    assert not emulator.faults.remove(forever)
    assert create(prod, a_pass).status == 201


@pytest.mark.parametrize("retry_after", [None, "2", "0", "-1", "86400000", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_429_is_the_gateways_and_carries_what_retry_after_it_is_told(
    prod: Caller, a_pass: Any, emulator: Emulator, retry_after: str | None
) -> None:
    emulator.faults.add("POST /connections", "answer", status=429, retry_after=retry_after)

    reply = create(prod, a_pass)

    assert (reply.status, reply.json) == (429, {"error_code": "429050", "message": "Too many requests"})
    assert reply.headers.get("retry-after") == retry_after
    assert emulator.count("connections") == 0


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_an_error_comes_before_or_after_the_commit(
    prod: Caller, a_pass: Any, emulator: Emulator, status: int, when: str, made: int
) -> None:
    emulator.faults.add("POST /connections", "answer", status=status, when=when)

    assert create(prod, a_pass).status == status
    assert emulator.count("connections") == made


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_dropped_connection_comes_before_or_after_the_commit(
    prod: Caller, a_pass: Any, emulator: Emulator, when: str, made: int
) -> None:
    emulator.faults.add("POST /connections", "drop", when=when, delay_ms=250)

    reply = create(prod, a_pass)

    assert (reply.delivery, reply.response.delay) == (Delivery.DROPPED, 0.25)
    assert emulator.count("connections") == made


def test_an_answer_cut_in_the_middle_comes_after_the_commit(prod: Caller, a_pass: Any, emulator: Emulator) -> None:
    emulator.faults.add("POST /connections", "cut")

    assert create(prod, a_pass).delivery is Delivery.CUT
    assert emulator.count("connections") == 1


def test_a_slow_answer_takes_effect_at_once(prod: Caller, a_pass: Any, emulator: Emulator) -> None:
    emulator.faults.add("POST /connections", "slow", delay_ms=1500)

    reply = create(prod, a_pass)

    assert (reply.status, reply.response.delay) == (201, 1.5)
    assert emulator.count("connections") == 1
    assert create(prod, a_pass).response.delay == 0


@pytest.mark.parametrize(
    ("shape", "status", "content_type"),
    [("html", 502, "text/html"), ("html", 201, "text/html"), ("html", 429, "text/html"), ("empty", 201, None)],
)
@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_body_may_be_anybodys(
    prod: Caller,
    a_pass: Any,
    emulator: Emulator,
    shape: str,
    status: int,
    content_type: str | None,
    when: str,
    made: int,
) -> None:
    emulator.faults.add("POST /connections", "answer", shape=shape, status=status, when=when)

    reply = create(prod, a_pass)

    assert (reply.status, reply.headers.get("content-type")) == (status, content_type)
    assert emulator.count("connections") == made
    if shape == "html":
        assert reply.response.body.startswith(b"<html>")
    else:
        assert reply.response.body == b""


def test_json_may_be_broken_after_the_commit(prod: Caller, a_pass: Any, emulator: Emulator) -> None:
    emulator.faults.add("POST /connections", "answer", shape="malformed", when="after")

    reply = create(prod, a_pass)

    assert (reply.status, emulator.count("connections")) == (201, 1)
    with pytest.raises(json.JSONDecodeError):
        reply.json  # noqa: B018 - the access is what fails


def test_a_success_may_lack_its_id(prod: Caller, a_pass: Any, emulator: Emulator) -> None:
    a_pass.schema = a_pass.make_schema("T")
    for route in ("POST /connections", "POST /dataSets", "POST /schemas"):
        emulator.faults.add(route, "answer", shape="no_id", when="after")
    dataset = {
        "name": "d",
        "schemaRef": {"id": a_pass.schema, "contentType": "application/vnd.adobe.xed+json;version=1"},
    }
    schema = {"title": "U", "type": "object", "allOf": [{"$ref": "https://ns.adobe.com/xdm/context/profile"}]}

    connection = create(prod, a_pass)
    listed = prod.send("POST", f"{CATALOG}/dataSets", dataset, query=[("requestDataSource", "true")])
    resource = prod.send("POST", f"{REGISTRY}/tenant/schemas", schema)

    assert (connection.status, set(connection.json)) == (201, {"etag"})
    assert (listed.status, listed.json) == (201, [])
    assert (resource.status, resource.json["title"]) == (201, "U")
    assert not {"$id", "meta:altId"} & set(resource.json)
    assert (emulator.count("connections"), emulator.count("dataSets"), emulator.count("schemas")) == (1, 1, 2)


def test_a_services_own_error_has_its_shape(prod: Caller, a_pass: Any, emulator: Emulator) -> None:
    emulator.faults.add("POST /connections", "answer", status=500, shape="service")

    reply = create(prod, a_pass)

    assert (reply.status, reply.code) == (500, "FLOW-1400-500")
    assert "errorMessage" in reply.json


def test_a_revoked_token_is_refused_until_another_is_fetched(prod: Caller, a_pass: Any, emulator: Emulator) -> None:
    emulator.faults.add("POST /connections", "token")

    refused, again = create(prod, a_pass), create(prod, a_pass)
    prod.forget_token()

    assert (refused.status, refused.code) == (401, "401013")
    assert (again.status, again.code) == (401, "401013")
    assert emulator.count("connections") == 0
    assert create(prod, a_pass).status == 201


def test_a_call_delivered_twice_makes_two(prod: Caller, a_pass: Any, emulator: Emulator) -> None:
    emulator.faults.add("POST /connections", "twice")

    reply = create(prod, a_pass)

    assert reply.status == 201
    assert emulator.objects("connections")[0]["id"] == reply.json["id"]
    assert emulator.count("connections") == 2


def test_a_third_party_bumps_the_etag_just_before_a_patch(prod: Caller, a_pass: Any, emulator: Emulator) -> None:
    made = create(prod, a_pass).json
    emulator.faults.add("PATCH /connections/{id}", "etag_bump")
    rename = [{"op": "replace", "path": "/name", "value": "n"}]

    reply = prod.send("PATCH", f"{PATH}/{made['id']}", rename, headers={"if-match": made["etag"]})

    (item,) = prod.send("GET", f"{PATH}/{made['id']}").items
    assert (reply.status, reply.code) == (412, "FLOW-1404-412")
    assert item["etag"] != made["etag"]
    assert item["name"] == "c"


def test_a_late_commit_takes_effect_when_it_is_due_and_not_before(
    prod: Caller, a_pass: Any, emulator: Emulator, clock: Any
) -> None:
    emulator.faults.add("POST /connections", "late", after_ms=2000)
    sent_at = clock.now

    reply = create(prod, a_pass, "late")

    assert reply.delivery is Delivery.DROPPED
    clock.pass_ms(1999)
    assert prod.send("GET", PATH).items == []
    clock.pass_ms(501)
    (item,) = prod.send("GET", PATH).items
    assert item["name"] == "late"
    assert item["createdAt"] == int(sent_at * 1000) + 2000
    assert emulator.count("connections") == 1


def test_counting_objects_lets_due_commits_take_effect(
    prod: Caller, a_pass: Any, emulator: Emulator, clock: Any
) -> None:
    emulator.faults.add("POST /connections", "late", after_ms=2000, delay_ms=60_000)
    assert create(prod, a_pass).response.delay == 60
    clock.pass_ms(2000)

    assert emulator.count("connections") == 1
    assert len(emulator.objects("connections")) == 1


def test_late_commits_come_in_the_order_in_which_they_are_due(
    prod: Caller, a_pass: Any, emulator: Emulator, clock: Any
) -> None:
    for name, after_ms in [("second", 2000), ("first", 1000), ("third", 3000)]:
        emulator.faults.add("POST /connections", "late", where=f'"{name}"', after_ms=after_ms)
        create(prod, a_pass, name)
    clock.pass_ms(2500)

    assert [obj["name"] for obj in emulator.objects("connections")] == ["first", "second"]


def test_a_late_commit_is_judged_by_the_state_at_its_time(prod: Caller, emulator: Emulator, clock: Any) -> None:
    body = {"title": "Taken", "type": "object", "allOf": [{"$ref": "https://ns.adobe.com/xdm/context/profile"}]}
    emulator.faults.add("POST /schemas", "late", after_ms=2000)
    prod.send("POST", f"{REGISTRY}/tenant/schemas", body)
    second = prod.send("POST", f"{REGISTRY}/tenant/schemas", body)
    clock.pass_ms(2000)

    assert second.status == 201
    assert emulator.count("schemas") == 1


def test_a_late_commit_was_admitted_when_it_came(prod: Caller, a_pass: Any, emulator: Emulator, clock: Any) -> None:
    """The gateway's refusal is answered at once; a token that dies in between does not matter any more."""
    emulator.faults.add("POST /connections", "late", after_ms=2000, times=2)
    refused = prod.send("POST", PATH, a_pass.paypal_body(), headers={"authorization": "Bearer bad"})
    create(prod, a_pass)
    emulator.faults.add("GET /flows", "token")
    assert prod.send("GET", f"{FLOW}/flows").status == 401
    clock.pass_ms(2000)

    assert (refused.status, refused.delivery) == (401, Delivery.WHOLE)
    assert emulator.count("connections") == 1


def test_a_late_delete_frees_the_object_late(prod: Caller, a_pass: Any, emulator: Emulator, clock: Any) -> None:
    key = create(prod, a_pass).json["id"]
    emulator.faults.add("DELETE /connections/{id}", "late", after_ms=1000)
    prod.send("DELETE", f"{PATH}/{key}")

    assert prod.send("GET", f"{PATH}/{key}").status == 200
    clock.pass_ms(1000)
    assert prod.send("GET", f"{PATH}/{key}").status == 404


def test_every_answer_can_be_slowed(prod: Caller, emulator: Emulator) -> None:
    emulator.faults.set_latency(100)
    delays = [prod.ask_for_token().response.delay, prod.send("GET", PATH).response.delay]
    emulator.faults.clear()

    assert delays == [0.1, 0.1]
    assert prod.send("GET", PATH).response.delay == 0


def test_the_token_route_can_fail_too(prod: Caller, emulator: Emulator) -> None:
    emulator.faults.add("POST /ims/token/v3", "answer", status=503, shape="html")

    assert prod.ask_for_token().status == 503
    assert prod.ask_for_token().status == 200


@pytest.mark.parametrize(
    ("route", "kind", "more", "said"),
    [
        ("connections", "drop", {}, "not 'connections'"),
        ("POST GET /connections", "drop", {}, "not 'POST GET"),
        ("POST /connections", "explode", {}, "'explode'"),
        ("POST /connections", "drop", {"times": -1}, "times is -1"),
        ("POST /connections", "drop", {"skip": "2"}, "skip is '2'"),
        ("POST /connections", "drop", {"when": "never"}, "'never'"),
        ("POST /connections", "answer", {"status": 700}, "no such status: 700"),
        ("POST /connections", "answer", {}, "needs a status"),
        ("POST /connections", "answer", {"status": 500, "shape": "square"}, "'square'"),
    ],
)
def test_a_fault_that_cannot_be_meant_is_refused_with_what_is_wrong(
    emulator: Emulator, route: str, kind: str, more: Any, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        emulator.faults.add(route, kind, **more)
    assert emulator.faults.described()["faults"] == []
