"""Flows: every check of platform-api.md §4.7 at creation, how they read, states, actions, deletes (§4.2, §10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, CONVERSION, FLOW, REGISTRY, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options

PATH = f"{FLOW}/flows"
PAYPAL = "221c7626-58f6-4eec-8ee2-042b0226f03b"
CRM_TO_AEP = "14518937-270c-4525-bdec-c2ba7cce3860"
FILES_TO_AEP = "9753525b-82c7-4dce-8a9b-5ccfce2b9876"
Change = Callable[[dict[str, Any], Any], None]


def schedule(**changes: Any) -> Change:
    def change(flow: dict[str, Any], ready: Any) -> None:
        flow["scheduleParams"].update(changes)
        for name in [name for name, value in changes.items() if value is None]:
            del flow["scheduleParams"][name]

    return change


def put(name: str, value: Any) -> Change:
    def change(flow: dict[str, Any], ready: Any) -> None:
        flow[name] = value

    return change


def drop(name: str) -> Change:
    def change(flow: dict[str, Any], ready: Any) -> None:
        del flow[name]

    return change


def mapping(**params: Any) -> Change:
    def change(flow: dict[str, Any], ready: Any) -> None:
        flow["transformations"][1]["params"] = params

    return change


def both(*changes: Change) -> Change:
    def change(flow: dict[str, Any], ready: Any) -> None:
        for one in changes:
            one(flow, ready)

    return change


def without_copy(flow: dict[str, Any], ready: Any) -> None:
    flow["transformations"] = flow["transformations"][1:]


def without_mapping(flow: dict[str, Any], ready: Any) -> None:
    flow["transformations"] = flow["transformations"][:1]


def with_paypals_target(flow: dict[str, Any], ready: Any) -> None:
    """T1: the tutorial's target connection carries the source's spec id."""
    body = {**ready.target_body(), "connectionSpec": {"id": PAYPAL, "version": "1.0"}}
    flow["targetConnectionIds"] = [ready.make(f"{FLOW}/targetConnections", body)["id"]]


def with_a_target_without_dataset(flow: dict[str, Any], ready: Any) -> None:
    body = {**ready.target_body(), "params": {}}
    flow["targetConnectionIds"] = [ready.make(f"{FLOW}/targetConnections", body)["id"]]


def with_a_deleted_dataset(flow: dict[str, Any], ready: Any) -> None:
    ready.caller.send("DELETE", f"{CATALOG}/dataSets/{ready.dataset}")


def with_another_schema(flow: dict[str, Any], ready: Any) -> None:
    other = ready.make_schema("Another schema")
    made = ready.make(f"{CONVERSION}/mappingSets", ready.mapping_body(schema=other))
    mapping(mappingId=made["id"], mappingVersion=0)(flow, ready)


def with_another_schema_version(flow: dict[str, Any], ready: Any) -> None:
    made = ready.make(f"{CONVERSION}/mappingSets", {**ready.mapping_body(), "xdmVersion": "2.0"})
    mapping(mappingId=made["id"], mappingVersion=0)(flow, ready)


def with_the_tutorials_destination(flow: dict[str, Any], ready: Any) -> None:
    """T8."""
    made = ready.make(f"{CONVERSION}/mappingSets", ready.mapping_body("product.name"))
    mapping(mappingId=made["id"], mappingVersion=0)(flow, ready)


REFUSED: list[tuple[str, Change, str]] = [
    ("state set", put("state", "enabled"), "FLOW-1410-400"),
    ("version a number", put("flowSpec", {"id": CRM_TO_AEP, "version": 1.0}), "FLOW-1413-400"),
    ("no flow spec", drop("flowSpec"), "FLOW-1413-400"),
    ("unknown flow spec", put("flowSpec", {"id": "00000000-82c7-4dce-8a9b-5ccfce2b9876"}), "FLOW-1413-400"),
    ("flow spec of files", put("flowSpec", {"id": FILES_TO_AEP, "version": "1.0"}), "FLOW-1413-400"),
    ("no sources", drop("sourceConnectionIds"), "CONNECTOR-1338-400"),
    ("empty sources", put("sourceConnectionIds", []), "CONNECTOR-1338-400"),
    ("null source", put("sourceConnectionIds", [None]), "CONNECTOR-1320-400"),
    ("unknown source", put("sourceConnectionIds", ["absent"]), "CONNECTOR-1320-400"),
    ("two sources", put("sourceConnectionIds", ["a", "b"]), "CONNECTOR-1321-400"),
    ("no targets", drop("targetConnectionIds"), "CONNECTOR-1324-400"),
    ("null target", put("targetConnectionIds", [None]), "CONNECTOR-1322-400"),
    ("unknown target", put("targetConnectionIds", ["absent"]), "CONNECTOR-1322-400"),
    ("two targets", put("targetConnectionIds", ["a", "b"]), "CONNECTOR-1321-400"),
    ("target of the source's spec", with_paypals_target, "CONNECTOR-1307-400"),
    ("target without dataset", with_a_target_without_dataset, "CONNECTOR-1325-400"),
    ("dataset deleted", with_a_deleted_dataset, "CONNECTOR-1325-400"),
    ("transformation a string", put("transformations", ["Copy"]), "CONNECTOR-1000-400"),
    ("params a list", put("transformations", [{"name": "Mapping", "params": []}]), "CONNECTOR-1000-400"),
    ("no transformations", drop("transformations"), "CONNECTOR-1328-400"),
    ("no mapping", without_mapping, "CONNECTOR-1328-400"),
    ("mapping without params", mapping(), "CONNECTOR-1370-400"),
    ("mapping without id", mapping(mappingId=None, mappingVersion=0), "CONNECTOR-1329-400"),
    ("unknown mapping set", mapping(mappingId="0" * 32, mappingVersion=0), "FLOW-1419-400"),
    ("destination not in the schema", with_the_tutorials_destination, "FLOW-1419-400"),
    ("schema of the mapping set differs", with_another_schema, "FLOW-1425-400"),
    ("version of the schema differs", with_another_schema_version, "FLOW-1425-400"),
    ("no schedule", drop("scheduleParams"), "CONNECTOR-1317-400"),
    ("empty schedule", put("scheduleParams", {}), "CONNECTOR-1317-400"),
    ("no start", schedule(startTime=None), "CONNECTOR-1317-400"),
    ("unknown frequency", schedule(frequency="year"), "CONNECTOR-1397-400"),
    ("the tutorial's start", schedule(startTime="1567411548"), "CONNECTOR-1360-400"),
    ("start a second ago", schedule(startTime=1_699_999_999), "CONNECTOR-1360-400"),
    ("no interval", schedule(interval=None), "CONNECTOR-1362-400"),
    ("interval too small", schedule(interval=14), "CONNECTOR-1362-400"),
    ("interval a fraction", schedule(interval=15.5), "CONNECTOR-1362-400"),
    ("interval 0 hours", schedule(frequency="hour", interval=0), "CONNECTOR-1362-400"),
    ("backfill a number", schedule(backfill=1), "CONNECTOR-1000-400"),
    ("backfill a word", schedule(backfill="maybe"), "CONNECTOR-1000-400"),
    ("interval with once", both(schedule(frequency="once"), without_copy), "CONNECTOR-1361-400"),
    (
        "backfill with once",
        both(schedule(frequency="once", interval=None, backfill=True), without_copy),
        "CONNECTOR-1364-400",
    ),
    ("periodic without delta column", without_copy, "CONNECTOR-1367-400"),
    ("once with delta column", schedule(frequency="once", interval=None), "CONNECTOR-1369-400"),
]


@pytest.mark.parametrize(("change", "code"), [pytest.param(change, code, id=name) for name, change, code in REFUSED])
def test_a_wrong_flow_is_refused_with_its_code_and_not_made(
    prod: Caller, a_pass: Any, emulator: Emulator, change: Change, code: str
) -> None:
    body = a_pass.upto_flow().flow_body()
    change(body, a_pass)

    reply = prod.send("POST", PATH, body)

    assert (reply.status, reply.code) == (400, code)
    assert emulator.count("flows") == 0


@pytest.mark.parametrize("body", [None, b"", {}, [], b"nonsense"])
def test_a_flow_needs_a_body(prod: Caller, body: Any) -> None:
    assert prod.send("POST", PATH, body).code == "FLOW-1405-400"


ACCEPTED: list[tuple[str, Change]] = [
    ("as it is", both()),
    ("numbers as strings (U26)", schedule(startTime="1700003600", interval="30")),
    ("start now", schedule(startTime=1_700_000_000)),
    ("once", both(schedule(frequency="once", interval=None), without_copy)),
    ("every hour", schedule(frequency="hour", interval=1)),
    ("backfill", schedule(backfill=False)),
    ("options (U12)", put("options", {"errorDiagnosticsEnabled": True, "partialIngestionPercent": 10})),
    ("labels", put("labels", ["a"])),
]


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in ACCEPTED])
def test_a_right_flow_is_made_and_echoed_as_sent(prod: Caller, a_pass: Any, change: Change) -> None:
    body = a_pass.upto_flow().flow_body()
    change(body, a_pass)

    made = prod.send("POST", PATH, body)

    assert made.status == 201
    assert set(made.json) == {"id", "etag"}
    (item,) = prod.send("GET", f"{PATH}/{made.json['id']}").items
    assert {key: item[key] for key in body} == body
    assert item["etag"] == made.json["etag"]


def test_a_flow_that_runs_once_can_be_made_to_need_a_delta_column_too(
    prod: Caller, a_pass: Any, emulator: Emulator
) -> None:
    """§11: the flow spec's own schema requires it always."""
    emulator.options.delta_always = True
    body = a_pass.upto_flow().flow_body()
    schedule(frequency="once", interval=None)(body, a_pass)

    assert prod.send("POST", PATH, body).status == 201

    without_copy(body, a_pass)

    assert prod.send("POST", PATH, body).code == "CONNECTOR-1367-400"


def test_the_mapping_version_is_compared_as_an_integer_and_earlier_ones_stay_usable(prod: Caller, a_pass: Any) -> None:
    """T12, U14."""
    body = a_pass.upto_flow().flow_body()
    path = f"{CONVERSION}/mappingSets/{a_pass.mapping_set}"
    replaced = prod.send("PUT", path, {**a_pass.mapping_body("person.name.lastName"), "id": a_pass.mapping_set})
    assert replaced.status == 200

    codes = {}
    for version in (0, "0", 1, "1", 2, "2", -1, "x"):
        mapping(mappingId=a_pass.mapping_set, mappingVersion=version)(body, a_pass)
        codes[version] = prod.send("POST", PATH, body).code

    assert codes == {0: "", "0": "", 1: "", "1": "", **dict.fromkeys((2, "2", -1, "x"), "FLOW-1412-400")}


def test_a_destination_in_our_own_field_group_is_in_the_schema(prod: Caller, a_pass: Any) -> None:
    tenant = prod.send("GET", f"{REGISTRY}/stats").json["tenantId"]
    a_pass.upto_flow()
    properties = {f"_{tenant}": {"type": "object", "properties": {"product_name": {"type": "string"}}}}
    group = a_pass.make(
        f"{REGISTRY}/tenant/fieldgroups",
        {
            "title": "Payments",
            "type": "object",
            "meta:intendedToExtend": ["https://ns.adobe.com/xdm/context/profile"],
            "definitions": {"f": {"properties": properties}},
            "allOf": [{"$ref": "#/definitions/f"}],
        },
    )
    refs = ["https://ns.adobe.com/xdm/context/profile", group["$id"]]
    body = {"title": "With own fields", "type": "object", "allOf": [{"$ref": ref} for ref in refs]}
    a_pass.schema = a_pass.make(f"{REGISTRY}/tenant/schemas", body)["$id"]
    a_pass.dataset = a_pass.make_dataset(a_pass.schema)
    a_pass.target = a_pass.make(f"{FLOW}/targetConnections", a_pass.target_body())["id"]
    made = a_pass.make(f"{CONVERSION}/mappingSets", a_pass.mapping_body(f"_{tenant}.product_name"))
    a_pass.mapping_set = made["id"]

    assert prod.send("POST", PATH, a_pass.flow_body()).status == 201


def test_a_flow_reads_with_what_it_inherits_and_its_last_operation(prod: Caller, a_pass: Any, clock: Any) -> None:
    flow = a_pass.upto_flow().make_flow()

    (item,) = prod.send("GET", f"{PATH}/{flow}").items

    assert item["state"] == "enabled"
    assert item["inheritedAttributes"]["sourceConnections"] == [
        {
            "id": a_pass.source,
            "connectionSpec": {"id": PAYPAL, "version": "1.0"},
            "baseConnection": {"id": a_pass.base, "connectionSpec": {"id": PAYPAL, "version": "1.0"}},
        }
    ]
    assert [one["id"] for one in item["inheritedAttributes"]["targetConnections"]] == [a_pass.target]
    assert item["lastOperation"]["status"] == {"value": "completed", "errors": []}
    assert (item["lastOperation"]["operation"], item["lastOperation"]["percentCompleted"]) == ("create", 100)
    assert item["lastOperation"]["started"] == int(clock.now * 1000)
    assert "lastRunDetails" not in item


def test_a_flow_of_another_sandboxs_parts_is_refused(dev: Caller, a_pass: Any) -> None:
    body = a_pass.upto_flow().flow_body()

    assert dev.send("POST", PATH, body).code == "CONNECTOR-1320-400"


def slow_flow(clock: Any, pass_of: Callable[[Caller], Any], **options: Any) -> tuple[Caller, Any, str]:
    caller = Caller(Emulator(clock=clock, options=Options(**options)))
    ready = pass_of(caller).upto_flow()
    return caller, ready, f"{PATH}/{ready.make_flow()}"


def test_a_flow_may_take_a_while_to_be_enabled(clock: Any, pass_of: Callable[[Caller], Any]) -> None:
    caller, _, path = slow_flow(clock, pass_of, flow_ready_ms=3000)
    (early,) = caller.send("GET", path).items
    etag = {"if-match": early["etag"]}

    patched = caller.send("PATCH", path, [{"op": "replace", "path": "/name", "value": "n"}], headers=etag)
    deleted = caller.send("DELETE", path)
    disabled = caller.send("POST", f"{path}/action", query=[("op", "disable")])
    clock.pass_ms(2999)
    (almost,) = caller.send("GET", path).items
    clock.pass_ms(1)
    (ready,) = caller.send("GET", path).items

    assert (early["state"], early["lastOperation"]["status"]["value"]) == ("pending", "inProgress")
    assert (patched.status, patched.code) == (400, "FLOW-1416-400")
    assert (deleted.status, deleted.code) == (400, "FLOW-1458-400")
    assert (disabled.status, disabled.code) == (400, "FLOW-1422-400")
    assert almost["state"] == "pending"
    assert (ready["state"], ready["lastOperation"]["status"]["value"]) == ("enabled", "completed")
    assert caller.send("DELETE", path).status == 204


@pytest.mark.parametrize(
    ("first", "transient", "code"), [("disable", "disabling", "FLOW-1421-400"), ("update", "updating", "FLOW-1420-400")]
)
def test_nothing_may_be_changed_while_a_flow_changes(
    clock: Any, pass_of: Callable[[Caller], Any], first: str, transient: str, code: str
) -> None:
    caller, _, path = slow_flow(clock, pass_of, flow_ready_ms=3000)
    clock.pass_ms(3000)
    patch = [{"op": "replace", "path": "/name", "value": "n"}]

    def etag() -> dict[str, str]:
        return {"if-match": caller.send("GET", path).items[0]["etag"]}

    if first == "disable":
        assert caller.send("POST", f"{path}/action", query=[("op", "disable")]).status == 200
    else:
        assert caller.send("PATCH", path, patch, headers=etag()).status == 200
    during = caller.send("GET", path).items[0]["state"]
    refused = caller.send("PATCH", path, patch, headers=etag())
    clock.pass_ms(3000)

    assert during == transient
    assert refused.code == code
    assert caller.send("PATCH", path, patch, headers=etag()).status == 200


def test_a_flow_may_fail_to_become_ready(clock: Any, pass_of: Callable[[Caller], Any]) -> None:
    caller, _, path = slow_flow(clock, pass_of, flow_ready_ms=1000, flow_fails="no capacity")
    clock.pass_ms(1000)

    (item,) = caller.send("GET", path).items

    assert item["lastOperation"]["status"]["value"] == "failed"
    assert item["lastOperation"]["status"]["errors"][0]["message"] == "no capacity"
    assert item["state"] != "enabled"


@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_a_flow_is_disabled_and_enabled_again(prod: Caller, a_pass: Any, spelling: Callable[[str], str]) -> None:
    path = f"{PATH}/{a_pass.upto_flow().make_flow()}"
    before = prod.send("GET", path).items[0]["etag"]

    disabled = prod.send("POST", f"{path}/action", query=[("op", spelling("disable"))], without=["content-type"])
    (item,) = prod.send("GET", path).items
    twice = prod.send("POST", f"{path}/action", query=[("op", spelling("disable"))])
    enabled = prod.send("POST", f"{path}/action", query=[("op", spelling("enable"))])

    assert (disabled.status, set(disabled.json)) == (200, {"id", "etag"})
    assert disabled.json["etag"] not in (before, enabled.json["etag"])
    assert (item["state"], item["etag"]) == ("disabled", disabled.json["etag"])
    assert (twice.status, twice.code) == (400, "FLOW-1422-400")
    assert prod.send("GET", path).items[0]["state"] == "enabled"


@pytest.mark.parametrize(
    ("op", "code"),
    [("publish", "FLOW-1422-400"), ("finalize", "FLOW-1422-400"), ("explode", "FLOW-1409-400"), ("", "FLOW-1409-400")],
)
def test_an_action_that_does_not_fit_is_refused(prod: Caller, a_pass: Any, op: str, code: str) -> None:
    flow = a_pass.upto_flow().make_flow()

    reply = prod.send("POST", f"{PATH}/{flow}/action", query=[("op", op)])

    assert (reply.status, reply.code) == (400, code)


def test_an_actions_etag_is_optional_and_checked_when_given(prod: Caller, a_pass: Any) -> None:
    path = f"{PATH}/{a_pass.upto_flow().make_flow()}/action"

    stale = prod.send("POST", path, query=[("op", "disable")], headers={"if-match": '"old"'})

    assert (stale.status, stale.code) == (412, "FLOW-1404-412")
    assert prod.send("POST", f"{PATH}/absent/action", query=[("op", "disable")]).status == 404


@pytest.mark.parametrize("first", ["nothing", "disable"])
def test_a_flow_is_deleted_enabled_or_disabled(prod: Caller, a_pass: Any, first: str) -> None:
    path = f"{PATH}/{a_pass.upto_flow().make_flow()}"
    if first == "disable":
        prod.send("POST", f"{path}/action", query=[("op", "disable")])

    assert prod.send("DELETE", path).status == 204
    assert prod.send("GET", path).status == 404
    assert prod.send("DELETE", path).status == 404


def test_a_draft_flow_is_published_only_when_it_is_whole(clock: Any, pass_of: Callable[[Caller], Any]) -> None:
    caller = Caller(Emulator(clock=clock, options=Options(draft_mode_supported=True)))
    ready = pass_of(caller).upto_flow()
    body = ready.flow_body()
    schedule_params = body.pop("scheduleParams")
    (spec,) = caller.send("GET", f"{FLOW}/flowSpecs", query=[("property", "name==CRMToAEP")]).items
    made = caller.send("POST", PATH, body, query=[("mode", "draft")])
    path = f"{PATH}/{made.json['id']}"

    early = caller.send("POST", f"{path}/action", query=[("op", "publish")])
    patch = [{"op": "add", "path": "/scheduleParams", "value": schedule_params}]
    patched = caller.send("PATCH", path, patch, headers={"if-match": made.json["etag"]})
    state = caller.send("GET", path).items[0]["state"]
    published = caller.send("POST", f"{path}/action", query=[("op", "publish")])

    assert spec["attributes"]["isDraftModeSupported"] is True
    assert (early.status, early.code) == (400, "CONNECTOR-1317-400")
    assert (patched.status, state) == (200, "draft")
    assert published.status == 200
    assert caller.send("GET", path).items[0]["state"] == "enabled"


@pytest.mark.parametrize("mode", ["draft", "sheep"])
def test_a_mode_that_the_spec_does_not_support_is_refused(prod: Caller, a_pass: Any, mode: str) -> None:
    reply = prod.send("POST", PATH, a_pass.upto_flow().flow_body(), query=[("mode", mode)])

    assert (reply.status, reply.code) == (400, "CONNECTOR-1368-400")


def test_a_mapping_set_in_use_stays(prod: Caller, a_pass: Any) -> None:
    """U15."""
    flow = a_pass.upto_flow().make_flow()
    path = f"{CONVERSION}/mappingSets/{a_pass.mapping_set}"

    assert prod.send("DELETE", path).status == 400
    prod.send("DELETE", f"{PATH}/{flow}")
    assert prod.send("DELETE", path).status == 204
