"""Whatever is sent to Flow Service is answered: with its own refusal, never with a failure of the emulator."""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowledger.emulator.caller import CONVERSION, FLOW, Caller, Reply
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options
from flowledger.emulator.run_records import RunOutcome
from flowledger.emulator.wire import Request
from tests.contract.kinds import base_body, the

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FEW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


def with_put(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    changed = copy.deepcopy(value)
    node = changed
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = new
    return changed


@pytest.mark.parametrize("mode", ["whole", "draft"])
@pytest.mark.parametrize("collection", ["connections", "sourceConnections", "targetConnections", "flows"])
@FEW
@given(data=st.data())
def test_any_body_in_place_of_any_part_is_answered(
    pass_of: Callable[[Caller], Any], clock: Any, collection: str, mode: str, data: Any
) -> None:
    caller = Caller(Emulator(clock=clock, options=Options(draft_mode_supported=True)))
    ready = pass_of(caller).upto_flow()
    ready.make_flow()
    bodies = {
        "connections": ready.paypal_body,
        "sourceConnections": ready.source_body,
        "targetConnections": ready.target_body,
        "flows": ready.flow_body,
    }
    body = bodies[collection]()
    place = data.draw(st.sampled_from(places(body)))
    sent = with_put(body, place, data.draw(ANYTHING))

    reply = caller.send("POST", f"{FLOW}/{collection}", sent, query=[("mode", "draft")] if mode == "draft" else [])

    assert reply.status in (201, 400, 404)
    assert reply.code.startswith(("FLOW-", "CONNECTOR-")) == (reply.status != 201)
    if reply.status == 201:
        path = f"{FLOW}/{collection}/{reply.json['id']}"
        assert caller.send("GET", path).status == 200
        assert caller.send("GET", f"{FLOW}/flows", query=[("property", "scheduleParams.interval==30")]).status == 200
        assert caller.send("POST", f"{path}/action", query=[("op", "publish")]).status in (200, 400, 404)
        assert caller.send("POST", f"{FLOW}/flows", using(ready, collection, reply.json["id"])).status in (201, 400)
        assert caller.send("DELETE", f"{FLOW}/connections/{ready.base}").code == "FLOW-1418-400"
        assert caller.send("DELETE", f"{CONVERSION}/mappingSets/{ready.mapping_set}").status == 400
        assert caller.send("DELETE", path).status in (204, 400)


def using(ready: Any, collection: str, key: str) -> Any:
    """The body of a flow, built on what was just made where it can be."""
    body = ready.flow_body()
    if f"{collection[:-1]}Ids" in body:
        body[f"{collection[:-1]}Ids"] = [key]
    return body


@pytest.mark.parametrize("collection", ["connections", "sourceConnections", "targetConnections", "flows"])
@FEW
@given(data=st.data())
def test_any_patch_is_answered(pass_of: Callable[[Caller], Any], clock: Any, collection: str, data: Any) -> None:
    emulator = Emulator(clock=clock)
    prod = Caller(emulator)
    ready = pass_of(prod).upto_flow()
    flow = ready.make_flow()
    ids = {"connections": ready.base, "sourceConnections": ready.source, "targetConnections": ready.target}
    path = f"{FLOW}/{collection}/{ids.get(collection, flow)}"
    before = emulator.objects(collection)
    (item,) = prod.send("GET", path).items
    pointers = ["/" + "/".join(map(str, place)) for place in places(item) if place]
    operation = {
        "op": data.draw(st.sampled_from(["add", "replace", "remove", "test", "move"])),
        "path": data.draw(st.sampled_from([*pointers, "/new", "/new/deep", "/transformations/-", "", "x"]) | st.text()),
        "value": data.draw(ANYTHING),
    }
    operations = data.draw(st.sampled_from([[operation], [operation, operation], operation, [operation["value"]]]))

    reply = prod.send("PATCH", path, operations, headers={"if-match": item["etag"]})

    assert reply.status in (200, 400, 404)
    assert reply.code.startswith(("FLOW-", "CONNECTOR-")) == (reply.status != 200)
    assert prod.send("GET", path).status == 200
    if reply.status != 200:
        assert emulator.objects(collection) == before


@FEW
@given(
    query=st.lists(
        st.tuples(
            st.sampled_from(["property", "limit", "orderby", "count", "continuationToken"]),
            st.text(max_size=12)
            | st.builds(
                lambda field, operator, value: f"{field}{operator}{value}",
                st.sampled_from(["name", "createdAt", "params.tableName", "connectionSpec.id", "data"]),
                st.sampled_from(["==", "!=", "<", ">=", "~", "="]),
                st.text(max_size=5),
            ),
        ),
        max_size=3,
    )
)
def test_any_query_is_answered(a_pass: Any, prod: Caller, query: list[tuple[str, str]]) -> None:
    if not a_pass.base:
        a_pass.upto_flow().make_flow()
    for collection in ("connections", "sourceConnections", "flows"):
        reply = prod.send("GET", f"{FLOW}/{collection}", query=query)
        assert reply.status in (200, 400)
        assert reply.code.startswith("FLOW-") == (reply.status == 400)


RUN = {
    "flowId": "",
    "params": {
        "startTime": 1,
        "windowStartTime": 1,
        "windowEndTime": 2,
        "deltaColumn": {"name": "Create_Time"},
    },
}
SEARCH = {"queryString": "", "limit": 2, "orderby": "-name", "count": True, "projectionFields": ["name"]}


@FEW
@given(data=st.data())
def test_any_run_is_answered(a_pass: Any, prod: Caller, data: Any) -> None:
    if not a_pass.base:
        body = a_pass.upto_flow().flow_body()
        body["scheduleParams"] = {"startTime": body["scheduleParams"]["startTime"], "frequency": "once"}
        body["transformations"] = body["transformations"][1:]
        a_pass.make(f"{FLOW}/flows", body)
    (flow,) = prod.send("GET", f"{FLOW}/flows").items
    body = {**RUN, "flowId": flow["id"]}
    place = data.draw(st.sampled_from(places(body)))

    reply = prod.send("POST", f"{FLOW}/runs", with_put(body, place, data.draw(ANYTHING)))

    assert reply.status in (201, 400)
    assert reply.code.startswith(("FLOW-", "CONNECTOR-")) == (reply.status != 201)
    if reply.status == 201:
        assert prod.send("GET", f"{FLOW}/runs/{reply.json['id']}").status == 200
        assert prod.send("GET", f"{FLOW}/runs", query=[("property", "params.windowEndTime==2")]).status == 200


@pytest.mark.parametrize("kind", ["connections", "flows", "flowSpecs"])
@FEW
@given(data=st.data())
def test_any_search_is_answered(a_pass: Any, prod: Caller, kind: str, data: Any) -> None:
    if not a_pass.base:
        a_pass.upto_flow().make_flow()
    place = data.draw(st.sampled_from(places(SEARCH)))

    reply = prod.send("POST", f"{FLOW}/{kind}/search", with_put(SEARCH, place, data.draw(ANYTHING)))

    assert reply.status in (200, 400)
    assert reply.code.startswith("FLOW-") == (reply.status != 200)


@FEW
@given(
    outcome=ANYTHING | st.fixed_dictionaries({}, optional={field.name: ANYTHING for field in fields(RunOutcome)}),
    window=ANYTHING,
)
def test_any_outcome_of_a_run_is_answered(a_pass: Any, prod: Caller, outcome: Any, window: Any) -> None:
    if not a_pass.base:
        a_pass.upto_flow().make_flow()
    (flow,) = prod.send("GET", f"{FLOW}/flows").items
    body = as_bytes({"flowId": flow["id"], "outcome": outcome, "window": window})

    reply = Reply(prod.emulator.handle(Request(method="POST", raw_path="/_emulator/runs", body=body)))

    assert reply.status in (200, 400)
    assert prod.send("GET", f"{FLOW}/runs").status == 200


def as_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


@FEW
@given(
    label=st.sampled_from(["Snowflake", "PayPal", "Amazon S3", "Stripe", "HTTP API"]),
    query=st.lists(
        st.tuples(
            st.sampled_from(["objectType", "object", "preview", "filters", "fileType", "sourceParams"]),
            st.sampled_from(["root", "table", "file", "folder", "rest", "shop.payments", "/payments", "true", "json"])
            | st.text(max_size=8)
            | ANYTHING.map(lambda value: b64encode(json.dumps(value).encode()).decode()),
        ),
        max_size=5,
    ),
)
def test_any_exploration_is_answered(a_pass: Any, prod: Caller, label: str, query: list[tuple[str, str]]) -> None:
    base = a_pass.make(f"{FLOW}/connections", base_body(the(label)))["id"]

    reply = prod.send("GET", f"{FLOW}/connections/{base}/explore", query=query)

    assert reply.status in (200, 400)
    assert reply.code.startswith("CONNECTOR-") == (reply.status != 200)


@FEW
@given(
    query=st.lists(
        st.tuples(
            st.sampled_from(["op", "subOp"]),
            st.sampled_from(["enable", "disable", "publish", "finalize", "finalize_update", "re_trigger", "apply"])
            | st.text(max_size=5),
        ),
        max_size=3,
    )
)
def test_any_action_is_answered(pass_of: Callable[[Caller], Any], clock: Any, query: list[tuple[str, str]]) -> None:
    caller = Caller(Emulator(clock=clock, options=Options(flow_finalized_by_caller=True)))
    ready = pass_of(caller).upto_flow()
    flow = ready.make_flow()
    for path in (f"flows/{flow}", f"connections/{ready.base}", f"sourceConnections/{ready.source}", "runs/absent"):
        reply = caller.send("POST", f"{FLOW}/{path}/action", query=query)
        assert reply.status in (200, 400, 404)
        assert reply.code.startswith(("FLOW-", "CONNECTOR-")) == (reply.status != 200)
