"""Runs of flows: listed, read, asked for, triggered again (platform-api.md §4.8, §11).

A run asked for stays `scheduled` until something executes it: see `run_records` for the two calls that fill a record.
"""

from __future__ import annotations

from typing import Any

from flowledger.emulator.delta_columns import check_delta_column
from flowledger.emulator.flow_bodies import whole_number
from flowledger.emulator.flow_fault import fault
from flowledger.emulator.flow_listing import ORDERS_OF_RUNS, Condition, conditions_of, matching, page_of
from flowledger.emulator.flow_rules import delta_column_of
from flowledger.emulator.flow_state import presented, read, stored
from flowledger.emulator.flow_update import saved
from flowledger.emulator.gateway import FLOW_SERVICE
from flowledger.emulator.run_records import (
    FAILED,
    KIND,
    Window,
    has_read_nothing,
    note_triggered_again,
    schedule,
    status_of,
    window_of,
)
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.world import Call, Route

MILLISECONDS_FROM = 10**11  # a number of that size counts milliseconds, a smaller one seconds (U13)
LARGEST_MOMENT = 10**15  # more than any date has, in either unit
WINDOW = ("windowStartTime", "windowEndTime")


def list_runs(call: Call) -> Response:
    """GET /runs."""
    return _listed(call, conditions_of(call.request, KIND, call.world.options))


def list_runs_of_flow(call: Call) -> Response:
    """GET /flows/{id}/runs: the same, for one flow."""
    flow = read(call, "flows", call.params["id"])
    of_flow = Condition(("flowId",), "==", (flow["id"],))
    return _listed(call, [of_flow, *conditions_of(call.request, KIND, call.world.options)])


def read_run(call: Call) -> Response:
    """GET /runs/{id}: a list of one."""
    return json_response(200, {"items": [_spelled(call, _found(call))]})


def create_run(call: Call) -> Response:
    """POST /runs: one run, on demand, of a flow that is scheduled once."""
    if call.world.options.runs_refuse_user_tokens:
        fault(400, "FLOW-1427", "Runs cannot be created with a user token")
    body = call.body
    if not isinstance(body, dict) or not body:
        fault(400, "FLOW-1405", "The request body is empty or is no JSON object")
    flow = _flow_to_run(call, body.get("flowId"))
    params = body.get("params")
    window = _window_asked_for(call, flow, params)
    _keep_delta_column(call, flow["id"], params)
    record = schedule(call.world, call.sandbox, flow, window=window, client_id=call.client_id, params=params)
    answer = record if call.world.options.run_create_answers_whole else _reference(record)
    if call.world.options.run_create_answers_items:
        answer = {"items": [answer]}
    return json_response(201, answer, {"location": f"{FLOW_SERVICE}{KIND}/{record['id']}"})


def act_on_run(call: Call) -> Response:
    """POST /runs/{id}/action?op=re-trigger: the window of a run that failed or read nothing, once more, as a new run.

    The guide writes `re-trigger`, the reference `RE_TRIGGER`.
    """
    record = _found(call)
    operation = call.request.first("op") or ""
    if operation.lower().replace("_", "-") != "re-trigger":
        fault(400, "FLOW-1409", f"The operation {operation!r} is not supported")
    if status_of(record) not in FAILED and not has_read_nothing(record):
        text = (
            f"The run {record['id']} is {status_of(record)} with records: only a failed or an empty one can be repeated"
        )
        fault(400, "CONNECTOR-1387", text)
    flow = call.world.store.peek("flows", call.sandbox, record["flowId"])
    if flow is None or presented("flows", flow, call.world.now_ms())["state"] != "enabled":
        fault(400, "CONNECTOR-1388", f"The flow {record['flowId']} of the run is not enabled")
    again = schedule(
        call.world,
        call.sandbox,
        flow,
        window=window_of(record),
        client_id=call.client_id,
        params=record.get("params"),
    )
    note_triggered_again(call.world, call.sandbox, again["id"], record["id"])
    return json_response(200, again if call.world.options.retrigger_answers_whole else _reference(again))


def _keep_delta_column(call: Call, flow_id: str, params: Any) -> None:
    """The first run's delta column becomes the flow's own, in its Copy transformation: later runs may leave it out."""
    flow = stored(call, "flows", flow_id)
    if delta_column_of(flow):
        return
    copy = {"name": "Copy", "params": {"deltaColumn": params["deltaColumn"]}}
    others = [part for part in flow.get("transformations") or [] if part.get("name") != "Copy"]
    flow["transformations"] = [copy, *others]
    saved(call, "flows", flow)


def _listed(call: Call, conditions: list[Condition]) -> Response:
    options = call.world.options
    runs = matching(call.world.listed(KIND, call.sandbox), conditions)
    if options.labelled_flows_hidden:
        runs = [run for run in runs if not _is_hidden(call, run)]
    if options.newest_first:
        runs.reverse()
    page = page_of(runs, call.request, options, orders=ORDERS_OF_RUNS)
    page.items[:] = [_spelled(call, run) for run in page.items]
    return page.answer(KIND)


def _spelled(call: Call, record: dict[str, Any]) -> dict[str, Any]:
    """The run as the examples spell it, or as the reference does."""
    if not call.world.options.run_reference_spelling:
        return record
    spelling = {"etag": "eTag", "activities": "activites"}
    return {spelling.get(name, name): value for name, value in record.items()}


def _is_hidden(call: Call, run: dict[str, Any]) -> bool:
    """Whether the run is one of a flow with labels, which the option hides with its runs."""
    flow = call.world.store.peek("flows", call.sandbox, run["flowId"]) or {}
    return call.world.options.labelled_flows_hidden and bool(flow.get("labels"))


def _found(call: Call) -> dict[str, Any]:
    found = call.world.store.peek(KIND, call.sandbox, call.params["id"])
    if found is None or _is_hidden(call, found):
        fault(404, "FLOW-1439", f"The requested runs resource {call.params['id']} is not found.")
    return found


def _flow_to_run(call: Call, flow_id: Any) -> dict[str, Any]:
    if flow_id in (None, ""):
        fault(400, "FLOW-1430", "flowId is missing")
    flow = call.world.store.peek("flows", call.sandbox, flow_id) if isinstance(flow_id, str) else None
    if flow is None:
        fault(400, "FLOW-1446", f"flowId {flow_id!r} is no flow of this sandbox")
    state = presented("flows", flow, call.world.now_ms())["state"]
    if state != "enabled":
        fault(400, "FLOW-1422", f"The flow {flow_id} cannot run while it is {state}")
    schedule_params = flow.get("scheduleParams")
    if not isinstance(schedule_params, dict) or schedule_params.get("frequency") != "once":
        fault(400, "CONNECTOR-1386", "Only flows that are scheduled once can be run on demand")
    return flow


def _window_asked_for(call: Call, flow: dict[str, Any], params: Any) -> Window:
    """The window in milliseconds. Raises Refused with 1384, 1304, 1381, 1383, 1382."""
    if not isinstance(params, dict) or not params:
        fault(400, "CONNECTOR-1384", "params is empty")
    moments = {name: whole_number(params.get(name)) for name in ("startTime", *WINDOW)}
    for name, moment in moments.items():
        if moment is None or abs(moment) > LARGEST_MOMENT:
            fault(400, "CONNECTOR-1304", f"Missing mandatory parameter: params.{name}, a whole number")
    unit = call.world.options.run_window_unit
    start_ms, end_ms = (_milliseconds(moments[name] or 0, unit) for name in WINDOW)
    if end_ms < start_ms or (end_ms == start_ms and not call.world.options.delta_end_inclusive):
        fault(400, "CONNECTOR-1381", "windowEndTime must be after windowStartTime")
    delta, known = params.get("deltaColumn"), delta_column_of(flow)
    column = delta.get("name") if isinstance(delta, dict) else known if delta is None else None
    if not isinstance(column, str) or not column:
        text = "params.deltaColumn is missing or has no name, and no earlier run has given the flow one"
        fault(400, "CONNECTOR-1383", text)
    if known not in ("", column):
        fault(400, "CONNECTOR-1382", f"The delta column of the flow is {delta_column_of(flow)}, not {column}")
    check_delta_column(delta)
    return Window(start_ms=start_ms, end_ms=end_ms, type="one-time")


def _milliseconds(moment: int, unit: str) -> int:
    """U13."""
    in_ms = unit == "ms" or (unit == "auto" and abs(moment) > MILLISECONDS_FROM)
    return moment if in_ms else moment * 1000


def _reference(record: dict[str, Any]) -> dict[str, Any]:
    return {"id": record["id"], "etag": record["etag"]}


ROUTES: list[Route] = [
    ("GET", f"{FLOW_SERVICE}runs", list_runs),
    ("POST", f"{FLOW_SERVICE}runs", create_run),
    ("GET", f"{FLOW_SERVICE}runs/{{id}}", read_run),
    ("POST", f"{FLOW_SERVICE}runs/{{id}}/action", act_on_run),
    ("GET", f"{FLOW_SERVICE}flows/{{id}}/runs", list_runs_of_flow),
]
