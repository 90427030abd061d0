"""Runs: on demand, as a schedule makes them, what came of them, listed, triggered again (platform-api.md §4.8, §11)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.caller import FLOW, Caller, Reply
from flowledger.emulator.core import Emulator
from flowledger.emulator.judged import BodyInvalid
from flowledger.emulator.options import Options
from flowledger.emulator.run_records import RunOutcome, Window
from flowledger.emulator.wire import Request

PATH = f"{FLOW}/runs"
PASSED_MS = 1_700_000_000_000


def once(ready: Any) -> str:
    """A flow that is scheduled once."""
    body = ready.flow_body()
    body["scheduleParams"] = {"startTime": body["scheduleParams"]["startTime"], "frequency": "once"}
    body["transformations"] = body["transformations"][1:]
    return str(ready.make(f"{FLOW}/flows", body)["id"])


def run_body(flow: str) -> dict[str, Any]:
    return {
        "flowId": flow,
        "params": {
            "startTime": 1_700_000_000,
            "windowStartTime": 1_690_000_000,
            "windowEndTime": 1_690_086_400,
            "deltaColumn": {"name": "Create_Time"},
        },
    }


def control(emulator: Emulator, body: Any, run_id: str = "") -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(emulator.handle(Request(method="POST", raw_path=f"/_emulator/runs/{run_id}", body=raw)))


@pytest.fixture
def flow(a_pass: Any) -> str:
    return once(a_pass.upto_flow())


def test_a_run_on_demand_is_made_and_stays_scheduled(prod: Caller, flow: str, clock: Any) -> None:
    made = prod.send("POST", PATH, run_body(flow))
    clock.pass_ms(36_000_000)

    (run,) = prod.send("GET", f"{PATH}/{made.json['id']}").items
    assert (made.status, set(made.json)) == (201, {"id", "etag"})
    assert made.headers["location"].endswith(f"/runs/{run['id']}")
    assert (run["flowId"], run["etag"]) == (flow, made.json["etag"])
    assert run["metrics"]["statusSummary"]["status"] == "scheduled"
    assert run["createdAt"] == PASSED_MS
    assert [activity["id"] for activity in run["activities"]] == ["copyActivity"]
    window = run["activities"][0]["durationSummary"]["extensions"]
    assert window == {"windowStart": 1_690_000_000_000, "windowEnd": 1_690_086_400_000}


def without(body: dict[str, Any], *path: str) -> dict[str, Any]:
    if len(path) == 1:
        return {key: value for key, value in body.items() if key != path[0]}
    return {**body, path[0]: without(body[path[0]], *path[1:])}


def with_params(body: dict[str, Any], **params: Any) -> dict[str, Any]:
    return {**body, "params": {**body["params"], **params}}


def test_a_wrong_run_is_refused_with_its_code(prod: Caller, flow: str, emulator: Emulator) -> None:
    good = run_body(flow)
    wrong: list[tuple[Any, str]] = [
        (None, "FLOW-1405-400"),
        ([good], "FLOW-1405-400"),
        (without(good, "flowId"), "FLOW-1430-400"),
        ({**good, "flowId": "absent"}, "FLOW-1446-400"),
        ({**good, "flowId": 7}, "FLOW-1446-400"),
        (without(good, "params"), "CONNECTOR-1384-400"),
        ({**good, "params": {}}, "CONNECTOR-1384-400"),
        (without(good, "params", "startTime"), "CONNECTOR-1304-400"),
        (with_params(good, windowStartTime="soon"), "CONNECTOR-1304-400"),
        (with_params(good, windowEndTime=1_600_000_000), "CONNECTOR-1381-400"),
        (without(good, "params", "deltaColumn"), "CONNECTOR-1383-400"),
        (with_params(good, deltaColumn={"name": ""}), "CONNECTOR-1383-400"),
        (with_params(good, deltaColumn="Create_Time"), "CONNECTOR-1383-400"),
    ]
    for body, code in wrong:
        reply = prod.send("POST", PATH, body)
        assert (reply.status, reply.code) == (400, code), body
    assert emulator.count("runs") == 0


def test_only_an_enabled_flow_that_is_scheduled_once_runs_on_demand(prod: Caller, a_pass: Any, flow: str) -> None:
    periodic = a_pass.make_flow()
    prod.send("POST", f"{FLOW}/flows/{flow}/action", query=[("op", "disable")])

    assert prod.send("POST", PATH, run_body(periodic)).code == "CONNECTOR-1386-400"
    assert prod.send("POST", PATH, run_body(flow)).code == "FLOW-1422-400"


def test_the_delta_column_of_a_run_is_that_of_its_flow(clock: Any, pass_of: Callable[[Caller], Any]) -> None:
    """Where a flow that runs once has one (§11: the flow spec's schema wants it)."""
    caller = Caller(Emulator(clock=clock, options=Options(delta_always=True)))
    ready = pass_of(caller).upto_flow()
    body = ready.flow_body()
    body["scheduleParams"] = {"startTime": body["scheduleParams"]["startTime"], "frequency": "once"}
    flow = ready.make(f"{FLOW}/flows", body)["id"]
    other = with_params(run_body(flow), deltaColumn={"name": "Update_Time"})

    assert caller.send("POST", PATH, other).code == "CONNECTOR-1382-400"
    assert caller.send("POST", PATH, run_body(flow)).status == 201


def make_flow_with(clock: Any, pass_of: Callable[[Caller], Any], **options: Any) -> tuple[Caller, str]:
    caller = Caller(Emulator(clock=clock, options=Options(**options)))
    return caller, once(pass_of(caller).upto_flow())


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("auto", 1000), ("s", 1000), ("ms", 1)],
)
def test_run_windows_are_seconds_or_milliseconds(clock: Any, pass_of: Any, unit: str, factor: int) -> None:
    """U13."""
    caller, flow = make_flow_with(clock, pass_of, run_window_unit=unit)
    small = caller.send("POST", PATH, run_body(flow)).json["id"]
    large_body = with_params(run_body(flow), windowStartTime=1_690_000_000_000, windowEndTime=1_690_086_400_000)
    large = caller.send("POST", PATH, large_body).json["id"]

    def window(run: str) -> Any:
        return caller.send("GET", f"{PATH}/{run}").items[0]["activities"][0]["durationSummary"]["extensions"]

    assert window(small)["windowStart"] == 1_690_000_000 * factor
    assert window(large)["windowStart"] == 1_690_000_000_000 * (1000 if unit == "s" else 1)


@pytest.mark.parametrize("inclusive", [False, True])
def test_a_windows_end_is_outside_or_inside(clock: Any, pass_of: Any, inclusive: bool) -> None:
    """U25."""
    caller, flow = make_flow_with(clock, pass_of, delta_end_inclusive=inclusive)
    instant = with_params(run_body(flow), windowEndTime=1_690_000_000)
    window = Window(start_ms=10, end_ms=20)

    assert caller.send("POST", PATH, instant).code == ("" if inclusive else "CONNECTOR-1381-400")
    assert [window.holds(at, end_inclusive=inclusive) for at in (9, 10, 19, 20, 21)] == [
        *(False, True, True, inclusive, False)
    ]
    assert Window().holds(-1, end_inclusive=False)


def test_user_tokens_may_be_refused(clock: Any, pass_of: Any) -> None:
    caller, flow = make_flow_with(clock, pass_of, runs_refuse_user_tokens=True)

    assert caller.send("POST", PATH, run_body(flow)).code == "FLOW-1427-400"


def test_a_create_may_answer_the_whole_run(clock: Any, pass_of: Any) -> None:
    caller, flow = make_flow_with(clock, pass_of, run_create_answers_whole=True)

    made = caller.send("POST", PATH, run_body(flow)).json

    assert made["metrics"]["statusSummary"]["status"] == "scheduled"
    assert caller.send("GET", f"{PATH}/{made['id']}").items == [made]


OUTCOME = {
    "status": "success",
    "input_records": 100,
    "output_records": 99,
    "failed_records": 1,
    "input_bytes": 24012,
    "output_bytes": 17128,
    "batches": ["01EF"],
    "errors": [{"code": "CONNECTOR-2001-500", "message": "one row"}],
    "counters": {"skippedRecordCount": 1},
}


def test_a_scheduled_run_is_put_and_finished_through_the_emulators_own_route(
    prod: Caller, a_pass: Any, emulator: Emulator, clock: Any
) -> None:
    """§11: the shapes of a run item, and what the flow tells of its latest run."""
    flow = a_pass.upto_flow().make_flow()
    before = prod.send("GET", f"{FLOW}/flows/{flow}").items[0]
    put = control(emulator, {"flowId": flow, "window": {"start_ms": 1, "end_ms": 2}})
    clock.pass_ms(5000)
    during = prod.send("GET", f"{FLOW}/flows/{flow}").items[0]
    done = control(emulator, {"outcome": OUTCOME}, put.json["id"])
    after = prod.send("GET", f"{FLOW}/flows/{flow}").items[0]

    (run,) = prod.send("GET", f"{PATH}/{put.json['id']}").items
    metrics, (copy, promotion) = run["metrics"], run["activities"]
    assert (put.status, done.status, done.json) == (200, 200, run)
    assert metrics["durationSummary"] == {"startedAtUTC": PASSED_MS, "completedAtUTC": PASSED_MS + 5000}
    assert metrics["sizeSummary"] == {"inputBytes": 24012, "outputBytes": 17128}
    counts = {"inputRecordCount": 100, "outputRecordCount": 99, "failedRecordCount": 1, "skippedRecordCount": 1}
    assert metrics["recordSummary"] == counts
    assert metrics["statusSummary"]["status"] == "success"
    assert metrics["statusSummary"]["errors"][0]["code"] == "CONNECTOR-2001-500"
    assert copy["durationSummary"]["extensions"] == {"windowStart": 1, "windowEnd": 2}
    assert copy["sourceInfo"][0]["reference"] == {"type": "AdfRunId", "ids": [run["providerRefId"]]}
    assert (copy["sourceInfo"][0]["id"], promotion["targetInfo"][0]["id"]) == (a_pass.source, a_pass.target)
    assert promotion["targetInfo"][0]["reference"] == {"type": "Batch", "ids": ["01EF"]}
    assert "lastRunDetails" not in before
    assert during["lastRunDetails"] == {"id": run["id"], "state": "scheduled", "startedAtUTC": PASSED_MS}
    assert after["lastRunDetails"]["state"] == "success"
    assert after["lastRunDetails"]["completedAtUTC"] == PASSED_MS + 5000
    assert before["etag"] == after["etag"]


def test_a_failed_run_lacks_what_the_platforms_lack(prod: Caller, flow: str, emulator: Emulator) -> None:
    outcome = {"status": "failed", "errors": [{"code": "CONNECTOR-1001-500", "message": "copy failed"}]}
    run = control(emulator, {"flowId": flow, "outcome": outcome}).json

    assert run["metrics"]["sizeSummary"] == {"inputBytes": -1, "outputBytes": -1}
    assert run["metrics"]["fileSummary"]["inputFileCount"] == -1
    assert "completedAtUTC" not in run["metrics"]["durationSummary"]
    assert control(emulator, {"flowId": flow, "outcome": {"status": "inProgress"}}).json["activities"][1:] == []


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense",
        [],
        {},
        {"flowId": "absent"},
        {"window": {"colour": "red"}},
        {"window": {"start_ms": "1"}},
        {"outcome": {"status": "sheep"}},
        {"outcome": {"colour": "red"}},
        {"outcome": {"input_records": "7"}},
        {"outcome": {"errors": ["x"]}},
        {"outcome": {"batches": [7]}},
        {"outcome": {"counters": []}},
        {"outcome": []},
    ],
)
def test_the_emulators_own_route_says_what_it_cannot_read(flow: str, emulator: Emulator, body: Any) -> None:
    sent = {"flowId": flow, **body} if isinstance(body, dict) and body and "flowId" not in body else body

    assert control(emulator, sent).status == 400
    assert emulator.count("runs") == 0
    assert control(emulator, {"outcome": {}}, "absent").status == 404
    assert control(emulator, {}, "absent").status == 400


def test_an_outcome_is_read_strictly() -> None:
    assert RunOutcome.read({"batches": ["a"], "counters": {"x": 1}}).batches == ("a",)
    with pytest.raises(BodyInvalid, match="unknown: colour"):
        RunOutcome.read({"colour": "red"})


@pytest.fixture
def three(prod: Caller, flow: str, emulator: Emulator, clock: Any) -> list[str]:
    """Three runs, a second apart: success, failed, scheduled."""
    made = []
    for status in ("success", "failed", ""):
        more = {"outcome": {"status": status, "input_records": 1}} if status else {}
        made.append(str(control(emulator, {"flowId": flow, **more}).json["id"]))
        clock.pass_ms(1000)
    return made


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ([], [0, 1, 2]),
        ([("orderby", "-createdAt")], [2, 1, 0]),
        ([("orderby", "-metrics.durationSummary.startedAtUTC")], [2, 1, 0]),
        ([("property", "metrics.statusSummary.status==failed")], [1]),
        ([("property", "metrics.statusSummary.status==failed,success")], [0, 1]),
        ([("property", f"metrics.durationSummary.startedAtUTC>{PASSED_MS}")], [1, 2]),
        ([("property", f"createdAt<={PASSED_MS}")], [0]),
        ([("property", "flowId==absent")], []),
        ([("limit", "1"), ("orderby", "-createdAt")], [2]),
    ],
)
def test_runs_are_filtered_and_ordered(
    prod: Caller, flow: str, three: list[str], query: list[tuple[str, str]], expected: list[int]
) -> None:
    of_flow = [("property", f"flowId=={flow}"), *query]

    listed = prod.send("GET", PATH, query=of_flow)
    nested = prod.send("GET", f"{FLOW}/flows/{flow}/runs", query=query)

    assert [run["id"] for run in listed.items] == [three[place] for place in expected]
    assert nested.items == listed.items


def test_runs_are_counted_and_refused_like_every_list(prod: Caller, flow: str, three: list[str]) -> None:
    assert prod.send("GET", PATH, query=[("count", "true")]).json["count"] == 3
    assert prod.send("GET", PATH, query=[("property", "colour==red")]).code == "FLOW-1449-400"
    assert prod.send("GET", PATH, query=[("property", "providerRefId>3")]).code == "FLOW-1448-400"
    assert prod.send("GET", PATH, query=[("orderby", "colour")]).code == "FLOW-1433-400"
    assert prod.send("GET", f"{FLOW}/flows/absent/runs").code == "FLOW-1439-404"
    flows = prod.send("GET", f"{FLOW}/flows", query=[("property", f"lastRunDetails.startedAtUTC>{PASSED_MS}")])
    assert [item["id"] for item in flows.items] == [flow]


def test_the_flow_tells_of_its_latest_run_only(prod: Caller, flow: str, three: list[str], emulator: Emulator) -> None:
    control(emulator, {"outcome": {"status": "success"}}, three[0])
    (item,) = prod.send("GET", f"{FLOW}/flows/{flow}").items

    assert (item["lastRunDetails"]["id"], item["lastRunDetails"]["state"]) == (three[2], "scheduled")


@pytest.mark.parametrize("op", ["re_trigger", "RE_TRIGGER"])
def test_a_failed_run_is_triggered_again_for_its_window(prod: Caller, flow: str, emulator: Emulator, op: str) -> None:
    run = prod.send("POST", PATH, run_body(flow)).json["id"]
    control(emulator, {"outcome": {"status": "failed"}}, run)

    again = prod.send("POST", f"{PATH}/{run}/action", query=[("op", op)])

    old, new = (prod.send("GET", f"{PATH}/{key}").items[0] for key in (run, again.json["id"]))
    assert (again.status, set(again.json)) == (200, {"id", "etag"})
    assert new["metrics"]["statusSummary"]["status"] == "scheduled"
    assert new["params"] == old["params"]
    extensions = [one["activities"][0]["durationSummary"]["extensions"] for one in (old, new)]
    assert extensions[0] == extensions[1]


def test_a_run_that_cannot_be_triggered_again_is_refused(
    prod: Caller, flow: str, three: list[str], emulator: Emulator
) -> None:
    path = f"{PATH}/{three[1]}/action"

    assert prod.send("POST", f"{PATH}/{three[0]}/action", query=[("op", "re_trigger")]).code == "CONNECTOR-1387-400"
    assert prod.send("POST", f"{PATH}/absent/action", query=[("op", "re_trigger")]).code == "FLOW-1439-404"
    assert prod.send("POST", path, query=[("op", "explode")]).code == "FLOW-1409-400"
    prod.send("POST", f"{FLOW}/flows/{flow}/action", query=[("op", "disable")])
    assert prod.send("POST", path, query=[("op", "re_trigger")]).code == "CONNECTOR-1388-400"
    prod.send("DELETE", f"{FLOW}/flows/{flow}")
    assert prod.send("POST", path, query=[("op", "re_trigger")]).code == "CONNECTOR-1388-400"
    assert prod.send("GET", f"{PATH}/{three[1]}").status == 200


@pytest.mark.parametrize("op", ["re-trigger", "re_trigger", "RE_TRIGGER", "RE-TRIGGER", "Re-Trigger"])
def test_a_run_is_triggered_again_in_each_spelling(prod: Caller, three: list[str], op: str) -> None:
    reply = prod.send("POST", f"{PATH}/{three[1]}/action", query=[("op", op)])

    assert (reply.status, set(reply.json)) == (200, {"id", "etag"})
    assert reply.json["id"] not in three


def test_a_run_that_succeeded_with_no_record_is_triggered_again_too(
    prod: Caller, flow: str, emulator: Emulator
) -> None:
    empty = control(emulator, {"flowId": flow, "outcome": {"status": "success"}}).json["id"]

    again = prod.send("POST", f"{PATH}/{empty}/action", query=[("op", "re-trigger")]).json["id"]

    (run,) = prod.send("GET", f"{PATH}/{again}").items
    assert run["metrics"]["statusSummary"]["status"] == "scheduled"


@pytest.mark.parametrize(
    ("option", "keys"),
    [("", {"id", "etag"}), ("run_create_answers_whole", {"metrics", "id"}), ("run_create_answers_items", {"items"})],
)
def test_a_run_on_demand_is_answered_in_each_form(prod: Caller, flow: str, option: str, keys: set[str]) -> None:
    if option:
        setattr(prod.emulator.options, option, True)

    reply = prod.send("POST", PATH, run_body(flow))

    assert keys <= set(reply.json)
    if option == "run_create_answers_items":
        assert [set(item) for item in reply.json["items"]] == [{"id", "etag"}]


def test_a_run_that_is_triggered_again_is_answered_whole_by_option(prod: Caller, three: list[str]) -> None:
    prod.emulator.options.retrigger_answers_whole = True

    reply = prod.send("POST", f"{PATH}/{three[1]}/action", query=[("op", "re-trigger")])

    assert reply.json == prod.send("GET", f"{PATH}/{reply.json['id']}").items[0]


def test_the_first_run_on_demand_gives_the_flow_its_delta_column_and_later_ones_may_leave_it_out(
    prod: Caller, flow: str
) -> None:
    path, no_column = f"{FLOW}/flows/{flow}", without(run_body(flow), "params", "deltaColumn")
    before = prod.send("GET", path).items[0]
    assert prod.send("POST", PATH, no_column).code == "CONNECTOR-1383-400"

    assert prod.send("POST", PATH, run_body(flow)).status == 201

    after = prod.send("GET", path).items[0]
    assert after["transformations"][0] == {"name": "Copy", "params": {"deltaColumn": {"name": "Create_Time"}}}
    assert after["transformations"][1:] == before["transformations"]
    assert after["etag"] != before["etag"]
    assert prod.send("POST", PATH, no_column).status == 201
    other = with_params(run_body(flow), deltaColumn={"name": "other"})
    assert prod.send("POST", PATH, other).code == "CONNECTOR-1382-400"
    renamed = [{"op": "replace", "path": "/name", "value": "renamed"}]
    assert prod.send("PATCH", path, renamed, headers={"if-match": after["etag"]}).status == 200


def test_runs_are_spelled_as_in_examples_or_as_in_the_reference(clock: Any, pass_of: Any) -> None:
    caller, flow = make_flow_with(clock, pass_of, run_reference_spelling=True)
    made = caller.send("POST", PATH, run_body(flow)).json["id"]

    (read,) = caller.send("GET", f"{PATH}/{made}").items
    (listed,) = caller.send("GET", PATH).items

    assert read == listed
    assert {"eTag", "activites"} <= set(read)
    assert not {"etag", "activities"} & set(read)


def test_runs_outlive_the_emulator_and_lists_of_them_may_lag(clock: Any, pass_of: Any, tmp_path: Path) -> None:
    first = Emulator(clock=clock, state=tmp_path)
    caller = Caller(first)
    flow = once(pass_of(caller).upto_flow())
    first.faults.set_list_lag("runs", 1000)
    made = caller.send("POST", PATH, run_body(flow)).json["id"]
    early = caller.send("GET", PATH).items
    (read,) = caller.send("GET", f"{PATH}/{made}").items
    first.close()
    clock.pass_ms(1000)

    second = Caller(Emulator(clock=clock, state=tmp_path))

    assert early == []
    assert second.send("GET", PATH).items == [read]
    assert second.send("GET", f"{FLOW}/flows/{flow}").items[0]["lastRunDetails"]["id"] == made
    second.emulator.close()
