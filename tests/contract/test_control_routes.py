"""The emulator's own routes: faults set and taken back, the log of calls, counts, a reset (platform-api.md §15)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flowledger.emulator.caller import FLOW, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.wire import Delivery, Request

PATH = f"{FLOW}/connections"


def create(caller: Caller, a_pass: Any) -> Any:
    return caller.send("POST", PATH, a_pass.paypal_body("c"))


def control(emulator: Emulator, method: str, path: str, body: Any = None, **query: str) -> Any:
    """A call of the control route: no headers at all."""
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request(method=method, raw_path=f"/_emulator/{path}", body=raw, query=tuple(query.items()))
    return emulator.handle(request)


def test_faults_are_set_shown_and_taken_back_by_the_control_route(
    prod: Caller, a_pass: Any, emulator: Emulator
) -> None:
    drop = {"route": "POST /connections", "kind": "drop", "when": "after", "where": "paypal", "times": 2}
    added = control(emulator, "POST", "faults", drop)
    several = control(
        emulator,
        "POST",
        "faults",
        [
            {"kind": "latency", "ms": 100},
            {"kind": "list_lag", "collection": "connections", "ms": 500},
            {"route": "* *", "kind": "answer", "status": 429, "retry_after": "1"},
        ],
    )
    shown = json.loads(control(emulator, "GET", "faults").body)

    assert (added.status, json.loads(added.body)) == (201, {"ids": [1]})
    assert json.loads(several.body) == {"ids": [2]}
    assert shown["latency_ms"] == 100
    assert shown["list_lag_ms"] == {"connections": 500}
    assert {key: shown["faults"][0][key] for key in drop} == drop
    assert control(emulator, "DELETE", "faults/1").status == 204
    assert control(emulator, "DELETE", "faults/1").status == 404
    assert control(emulator, "DELETE", "faults").status == 204
    empty = {"faults": [], "list_lag_ms": {}, "latency_ms": 0}
    assert json.loads(control(emulator, "GET", "faults").body) == empty


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        "drop",
        {},
        {"route": "POST /connections"},
        {"route": "POST /connections", "kind": "drop", "colour": "red"},
        {"route": "POST /connections", "kind": "drop", "times": "often"},
        {"kind": "latency"},
        {"kind": "latency", "ms": -5},
    ],
)
def test_the_control_route_says_what_it_did_not_understand(emulator: Emulator, body: Any) -> None:
    reply = control(emulator, "POST", "faults", body)

    assert reply.status == 400
    assert json.loads(reply.body)["error"]
    assert emulator.faults.described()["faults"] == []


def test_the_control_route_is_neither_struck_nor_slowed_nor_logged(emulator: Emulator) -> None:
    emulator.faults.add("* *", "drop", times=0)
    emulator.faults.set_latency(100)

    health = control(emulator, "GET", "health")

    assert (health.status, health.delivery, health.delay) == (200, Delivery.WHOLE, 0)
    assert json.loads(health.body)["status"] == "ok"
    assert json.loads(control(emulator, "GET", "requests").body)["requests"] == []
    assert control(emulator, "GET", "nothing").status == 404
    assert control(emulator, "PUT", "reset").status == 404


def test_the_log_of_calls_tells_what_happened_and_no_secret(
    prod: Caller, a_pass: Any, emulator: Emulator, clock: Any
) -> None:
    emulator.handle(
        Request(method="POST", raw_path="/ims/token/v3", query=(("client_secret", "local-secret"),), body=b"x=y")
    )
    number = emulator.faults.add("POST /connections", "late", after_ms=10)
    create(prod, a_pass)
    clock.pass_ms(10)
    prod.send("GET", PATH, query=[("limit", "5")])

    body = control(emulator, "GET", "requests").body
    log = json.loads(body)["requests"]

    assert [(entry["method"], entry["status"], entry["late"]) for entry in log] == [
        ("POST", 400, False),
        ("POST", 200, False),
        ("POST", 0, False),
        ("POST", 201, True),
        ("GET", 200, False),
    ]
    assert log[2]["fault"] == number
    assert log[2]["request_id"] == log[3]["request_id"]
    assert log[4]["query"] == [["limit", "5"]]
    for secret in (b"local-secret", b"the-secret", prod.token.encode()):
        assert secret not in body
    assert len(json.loads(control(emulator, "GET", "requests", limit="2").body)["requests"]) == 2
    assert control(emulator, "GET", "requests", limit="none").status == 400


def test_counts_are_of_one_sandbox(prod: Caller, dev: Caller, a_pass: Any, emulator: Emulator) -> None:
    create(prod, a_pass)
    create(dev, a_pass)
    create(dev, a_pass)

    assert json.loads(control(emulator, "GET", "counts").body)["connections"] == 1
    assert json.loads(control(emulator, "GET", "counts", sandbox="dev").body)["connections"] == 2


def test_a_reset_forgets_everything(prod: Caller, a_pass: Any, emulator: Emulator, clock: Any) -> None:
    first = create(prod, a_pass).json["id"]
    emulator.faults.add("POST /connections", "late", after_ms=10)
    create(prod, a_pass)
    emulator.faults.add("* *", "drop", times=0)

    assert control(emulator, "POST", "reset").status == 204
    clock.pass_ms(1000)

    assert emulator.count("connections") == 0
    assert prod.send("GET", PATH).code == "401013"
    prod.forget_token()
    assert create(prod, a_pass).json["id"] == first
