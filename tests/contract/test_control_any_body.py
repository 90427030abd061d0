"""Whatever is sent to a control route is taken or refused in words, whole, and breaks no later call and no restart."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowledger.emulator.caller import FLOW, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.faults import Fault, FaultKind, Shape, When
from flowledger.emulator.judged import MOST_MS
from flowledger.emulator.run_records import STATUSES, RunOutcome
from flowledger.emulator.server import serve
from flowledger.emulator.wire import Request
from flowledger.emulator.world import LATEST_MS
from tests.contract.test_control_routes import control
from tests.contract.test_server import exchange

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FEW = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
KNOWN = st.sampled_from(
    [*FaultKind, *Shape, *When, *STATUSES, "latency", "list_lag", "* *", "GET /flows", "X-1-503", "1\r\nx: y", "*", ""]
).map(str)
VALUES = ANYTHING | KNOWN | st.sampled_from([0, 1, 200, 204, 304, 503, 599, MOST_MS])


def objects(*names: str) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(names), VALUES, max_size=6)


FAULTS = objects(*(field.name for field in fields(Fault)), "ms", "collection")
MEANT = st.builds(
    lambda route, kind, more: {"route": route, "kind": kind, "status": 503, **more},
    st.sampled_from(["* *", "GET /flows"]),
    st.sampled_from(FaultKind).map(str),
    FAULTS.map(lambda more: {name: value for name, value in more.items() if name not in ("route", "kind")}),
)
OUTCOMES = objects(*(field.name for field in fields(RunOutcome)))
RUNS = st.fixed_dictionaries(
    {},
    optional={
        "flowId": VALUES,
        "sandbox": VALUES,
        "window": objects("start_ms", "end_ms", "type"),
        "outcome": OUTCOMES,
    },
)
BODIES = {
    "faults": FAULTS | MEANT | st.lists(FAULTS | MEANT, max_size=3) | ANYTHING,
    "runs": RUNS | ANYTHING,
    "runs/absent": RUNS | ANYTHING,
    "advance": objects("ms", "seconds") | ANYTHING,
    "reset": ANYTHING,
}


def is_sound(emulator: Emulator) -> bool:
    """Whether the platform and the control routes still answer, whatever faults are in force."""
    kept = emulator.faults.described()
    caller = Caller(emulator)
    answers = [emulator.handle(Request(method="GET", raw_path=f"{FLOW}/flows")) for _ in range(2)]
    answers += [control(emulator, "GET", what) for what in ("faults", "health", "requests", "counts")]
    assert control(emulator, "DELETE", "faults").status == 204
    answers += [caller.send("GET", f"{FLOW}/{kind}").response for kind in ("flows", "runs")]
    return all(100 < answer.status < 600 or answer.status == 0 for answer in answers) and bool(kept)


@pytest.mark.parametrize("route", BODIES)
@FEW
@given(data=st.data())
def test_any_body_of_a_control_route_is_taken_or_refused_in_words(route: str, clock: Any, data: Any) -> None:
    emulator = Emulator(clock=clock)
    before = emulator.faults.described()
    body = data.draw(BODIES[route])

    reply = control(emulator, "POST", route, json.dumps(body).encode())

    assert 200 <= reply.status < 300 or 400 <= reply.status < 500
    if reply.status >= 400:
        assert json.loads(reply.body)["error"]
        assert emulator.faults.described() == before
    assert is_sound(emulator)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[",
        b"\xff",
        b"{" * 5000,
        b"[" * 200_000,
        b'{"kind":"latency","ms":1e400}',
        b'{"kind":"latency","ms":99999999999999999999}',
        b'{"route":"* *","kind":"drop","where":"\\ud800"}',
        b" " * 11 * 2**20,
    ],
    ids=lambda body: repr(body[:30]),
)
@pytest.mark.parametrize("route", ["faults", "runs", "runs/x", "advance"])
def test_what_is_no_usable_json_is_refused_in_words(emulator: Emulator, route: str, body: bytes) -> None:
    reply = control(emulator, "POST", route, body)

    assert 400 <= reply.status < 500
    assert json.loads(reply.body)["error"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"where": 5}, "where is 5"),
        ({"where": None}, "where is None"),
        ({"code": 5}, "code is 5"),
        ({"code": "FLOW-\u0662\u0662-500"}, "a code ends with its status"),
        ({"status": 500.5}, "status is 500.5"),
        ({"status": True}, "status is True"),
        ({"status": "503"}, "status is '503'"),
        ({"times": True}, "times is True"),
        ({"times": -1}, "times is -1"),
        ({"skip": 1.0}, "skip is 1.0"),
        ({"after_ms": MOST_MS + 1}, "after_ms is"),
        ({"delay_ms": 10**18}, "delay_ms is"),
        ({"retry_after": "1\r\nx-evil: y"}, "retry_after"),
        ({"retry_after": "1\n"}, "retry_after"),
        ({"retry_after": "\u00e9"}, "retry_after"),
        ({"retry_after": ["1"]}, "retry_after"),
        ({"retry_after": 1.5}, "retry_after"),
        ({"retry_after": "9" * 4001}, "retry_after"),
        ({"when": 1}, "when is 1"),
        ({"shape": None}, "shape is None"),
        ({"kind": ["drop"]}, "kind is"),
        ({"kind": {}}, "kind is"),
        ({"route": None}, "route is None"),
        ({"route": "get /flows"}, "a route is a method and a path"),
        ({"id": 7}, "unknown: id"),
        ({"struck": 7}, "unknown: struck"),
        ({"where": "x" * 10_001}, "where is"),
    ],
)
def test_a_field_of_a_fault_is_judged_by_its_type_and_range(emulator: Emulator, more: Any, said: str) -> None:
    reply = control(emulator, "POST", "faults", {"route": "* *", "kind": "drop", **more})

    assert reply.status == 400
    assert said in json.loads(reply.body)["error"]
    assert emulator.faults.described()["faults"] == []


def test_of_a_list_of_faults_all_are_added_or_none(emulator: Emulator) -> None:
    good = {"route": "GET /flows", "kind": "drop"}
    for bad in ({"route": "bad", "kind": "drop"}, {"kind": "latency", "ms": -1}, {"kind": "list_lag"}, 5, None):
        assert control(emulator, "POST", "faults", [{"kind": "latency", "ms": 5}, good, bad]).status == 400
    assert emulator.faults.described() == {"faults": [], "list_lag_ms": {}, "latency_ms": 0}

    assert json.loads(control(emulator, "POST", "faults", [good, good]).body) == {"ids": [1, 2]}


def test_more_faults_than_a_call_can_look_at_are_refused(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowledger.emulator.faults.MOST_FAULTS", 2)
    good = {"route": "GET /flows", "kind": "drop"}
    assert control(emulator, "POST", "faults", [good, good, good]).status == 400
    assert control(emulator, "POST", "faults", [good, good]).status == 201
    assert control(emulator, "POST", "faults", good).status == 400
    assert control(emulator, "POST", "faults", {"kind": "latency", "ms": 1}).status == 201


@pytest.mark.parametrize("shape", Shape)
async def test_every_status_and_shape_of_an_answer_leaves_over_http(emulator: Emulator, shape: Shape) -> None:
    server = await serve(emulator)
    for status in (200, 204, 205, 299, 304, 399, 400, 429, 599):
        for when in When:
            fault = {
                "route": "* *",
                "kind": "answer",
                "status": status,
                "shape": shape,
                "when": when,
                "retry_after": "0",
            }
            assert control(emulator, "POST", "faults", fault).status == 201
            raw = b"GET /data/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            assert (await exchange(server.url, raw)).split()[1] == str(status).encode()
    await server.close()


BAD = [
    {"where": 5},
    {"code": 5},
    {"status": 500.5},
    {"retry_after": "1\r\nx: y"},
    {"kind": "explode"},
    {"colour": "red"},
    {"times": None},
]


@pytest.mark.parametrize("more", BAD)
def test_a_state_that_holds_a_bad_fault_is_opened_without_it_and_says_so(
    tmp_path: Path, clock: Any, more: dict[str, Any]
) -> None:
    first = Emulator(clock=clock, state=tmp_path)
    for route in ("GET /flows", "GET /runs"):
        first.faults.add(route, "answer", status=503)
    note = first.world.store.note("faults")
    note = {**note, "faults": [{**note["faults"][0], **more}, note["faults"][1], "x"], "latency_ms": -3}
    first.world.store.write_note("faults", {**note, "list_lag_ms": {"flows": "soon", "runs": 7}})
    first.close()

    again = Emulator(clock=clock, state=tmp_path)

    kept = again.faults.described()
    assert [fault["route"] for fault in kept["faults"]] == ["GET /runs"]
    assert (kept["list_lag_ms"], kept["latency_ms"]) == ({"runs": 7}, 0)
    assert len(again.warnings) == 4
    assert json.loads(control(again, "GET", "health").body)["warnings"] == again.warnings
    assert Caller(again).send("GET", f"{FLOW}/flows").status == 200
    assert again.faults.add("GET /flows", "drop") == 3
    again.close()


def test_the_clock_ends_before_dates_do(emulator: Emulator) -> None:
    steps = 0
    while control(emulator, "POST", "advance", {"ms": MOST_MS}).status == 200:
        steps += 1
        assert steps < 1000
    refused = control(emulator, "POST", "advance", {"ms": MOST_MS})

    assert refused.status == 400
    assert "year" in json.loads(refused.body)["error"]
    assert emulator.now_ms() <= LATEST_MS
    assert is_sound(emulator)
    caller = Caller(emulator)
    assert caller.send("GET", "/data/foundation/schemaregistry/tenant/schemas/none").status in (400, 404)


def test_a_state_whose_clock_has_left_the_calendar_is_opened_and_says_so(tmp_path: Path, clock: Any) -> None:
    first = Emulator(clock=clock, state=tmp_path)
    first.world.store.write_note("clock_ahead_ms", 10**18)
    first.close()

    again = Emulator(clock=clock, state=tmp_path)

    assert again.now_ms() == LATEST_MS
    assert "year" in again.warnings[0]
    assert is_sound(again)
    again.close()


@pytest.mark.parametrize("ms", [-1, -MOST_MS])
def test_the_clock_does_not_go_back(emulator: Emulator, ms: int) -> None:
    before = emulator.now_ms()
    with pytest.raises(ValueError, match="forward only"):
        emulator.advance(ms)
    assert emulator.now_ms() == before


def test_the_log_is_read_from_where_a_reader_was(emulator: Emulator) -> None:
    def asked(**query: str) -> Any:
        return json.loads(control(emulator, "GET", "requests", **query).body)

    for number in range(5):
        emulator.handle(Request(method="GET", raw_path=f"/x{number}"))
    assert [call["path"] for call in asked(after="3")["requests"]] == ["/x3", "/x4"]
    assert (asked(after="3")["missed"], asked(after="5")["requests"], asked()["last"]) == (0, [], 5)
    for number in range(1200):
        emulator.handle(Request(method="GET", raw_path=f"/y{number}"))
    assert asked(after="5", limit="1000")["missed"] == 200
    for bad in ("-1", "x", ""):
        assert control(emulator, "GET", "requests", after=bad).status in ((200,) if not bad else (400,))
