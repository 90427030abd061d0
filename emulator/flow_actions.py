"""Flow Service state changes: POST .../action?op=... of flows and of connections (platform-api.md §4.2, §10).

`finalize` and `finalize_update` are documented by name only. With the option `flow_finalized_by_caller` a flow that
was made, published or updated rests in `enabled-finalizing` until one of them settles it; without it none ever does.
"""

from __future__ import annotations

from typing import Any

from flowledger.emulator.flow_bodies import flow_spec_of
from flowledger.emulator.flow_fault import fault
from flowledger.emulator.flow_rules import check_flow
from flowledger.emulator.flow_state import (
    BEFORE,
    FINALIZING,
    OPERATION,
    begin,
    check_allowed,
    keep_pair,
    presented,
    stored,
)
from flowledger.emulator.flow_update import check_etag, check_whole, saved
from flowledger.emulator.wire import Response
from flowledger.emulator.world import Call, Handler

SUB_OPERATIONS = ("apply", "rollback", "progress")
STATUSES = frozenset(  # of the reference's StatusDTO
    {
        *("in_progress", "inprogress", "completed", "success", "partial_success", "failed", "partial_failure"),
        *("queued", "scheduled"),
    }
)
OVER = frozenset({"completed", "failed"})
PROGRESS = 50  # percent, when the caller does not say how far it is


def act(call: Call) -> Response:
    """POST /flows/{id}/action?op=...; `op` in either case, If-Match optional.

    A body (`percentCompleted`, `status`) counts for finalize and finalize_update only.
    """
    flow = stored(call, "flows", call.params["id"])
    check_allowed(call, "flows", flow)
    check_etag(call, flow, required=False)
    operation = (call.request.first("op") or "").lower()
    if operation in ("enable", "disable", "publish") and call.request.first("subOp"):
        text = f"The sub operation {call.request.first('subOp')} does not go with the operation {operation}"
        fault(400, "FLOW-1436", text)
    state = presented("flows", flow, call.world.now_ms())["state"]
    match (operation, state):
        case ("enable", "disabled"):
            flow["state"] = "enabled"
        case ("disable", "enabled"):
            flow["state"] = "disabled"
        case ("publish", "draft"):
            check_flow(call, flow, flow_spec_of(call, flow))
            keep_pair(call, flow)
            flow["state"] = FINALIZING if call.world.options.flow_finalized_by_caller else "enabled"
        case ("finalize" | "finalize_update", _) if state == FINALIZING:
            return saved(call, "flows", _settled(call, flow, operation))
        case ("enable" | "disable" | "publish" | "finalize" | "finalize_update", _):
            fault(400, "FLOW-1422", f"{operation} is not possible while the flow is {state}")
        case _:
            fault(400, "FLOW-1409", f"The operation {operation!r} is not supported")
    begin(call, "flows", flow, operation)
    return saved(call, "flows", flow)


def publish_only(kind: str) -> Handler:
    """POST /{connections|sourceConnections|targetConnections}/{id}/action?op=publish: drafts become enabled."""

    def handler(call: Call) -> Response:
        obj = stored(call, kind, call.params["id"])
        check_etag(call, obj, required=False)
        operation = (call.request.first("op") or "").lower()
        if operation != "publish":
            fault(400, "FLOW-1409", f"The operation {operation!r} is not supported")
        if obj["state"] != "draft":
            fault(400, "FLOW-1422", f"publish is not possible while {obj['id']} is {obj['state']}")
        check_whole(call, kind, obj)
        obj["state"] = "enabled"
        return saved(call, kind, obj)

    return handler


def _step(call: Call) -> str:
    """The one sub operation that is asked for. Raises Refused with 1435 or 1406."""
    asked = [part.strip().lower() for text in call.request.every("subOp") for part in text.split(",")] or [""]
    unknown = [part for part in asked if part not in SUB_OPERATIONS]
    if unknown:
        fault(400, "FLOW-1435", f"subOp is one of {', '.join(SUB_OPERATIONS)}, not {unknown[0]!r}")
    if len(set(asked)) > 1:
        fault(400, "FLOW-1406", f"One sub operation at a time, not {', '.join(asked)}")
    return asked[0]


def _percent(call: Call, step: str) -> float:
    """How far the caller says it is. Raises Refused when its status does not fit (1437, 1407, 1408)."""
    body = call.body if isinstance(call.body, dict) else {}
    status = body.get("status")
    value = status.get("value") if isinstance(status, dict) else status
    stated = str(value).lower() if value is not None else ""
    if stated and stated not in STATUSES:
        fault(400, "FLOW-1437", f"The status {value!r} is not supported")
    if stated == "failed" and step == "progress":
        fault(400, "FLOW-1407", "A flow that has failed makes no progress: leave the sub operation out")
    percent = body.get("percentCompleted", 100 if stated in OVER else PROGRESS)
    if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 <= percent <= 100:
        fault(400, "CONNECTOR-1000", f"percentCompleted is a number from 0 to 100, not {percent!r}")
    if stated in OVER and percent != 100:
        fault(400, "FLOW-1408", f"percentCompleted must be 100 when the status is {stated}, not {percent}")
    return percent


def _settled(call: Call, flow: dict[str, Any], operation: str) -> dict[str, Any]:
    """The flow after `finalize` (of a create) or `finalize_update`, as its subOp says."""
    updated = BEFORE in flow
    if updated != (operation == "finalize_update"):
        fault(400, "FLOW-1422", f"{operation} does not fit: the flow was {'updated' if updated else 'made'}")
    step = _step(call)
    percent = _percent(call, step)
    if step == "progress":
        flow[OPERATION] = {**flow[OPERATION], "percent": percent}
        return flow
    before = flow.pop(BEFORE, None)
    if step == "apply":
        flow["state"] = "enabled"
    elif before is not None:
        kept = {name: flow[name] for name in ("lastRunDetails",) if name in flow}
        flow = {**before, **kept}
    else:
        flow["state"] = "disabled"  # it is there, and never ran
    begin(call, "flows", flow, operation)
    return flow
