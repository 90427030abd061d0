"""Flow Service state changes: POST .../action?op=... of flows and of connections (platform-api.md §4.2, §10).

`finalize` and `finalize_update` are documented by name only. With the option `flow_finalized_by_caller` a flow that
was made, published or updated rests in `enabled-finalizing` until one of them settles it; without it none ever does.
"""

from __future__ import annotations

from typing import Any

from flowledger.emulator.flow_bodies import flow_spec_of
from flowledger.emulator.flow_fault import fault
from flowledger.emulator.flow_rules import check_flow
from flowledger.emulator.flow_state import BEFORE, FINALIZING, OPERATION, begin, presented, stored
from flowledger.emulator.flow_update import check_etag, check_whole, saved
from flowledger.emulator.wire import Response
from flowledger.emulator.world import Call, Handler

SUB_OPERATIONS = ("apply", "rollback", "progress")


def act(call: Call) -> Response:
    """POST /flows/{id}/action?op=...; `op` in either case, If-Match optional."""
    flow = stored(call, "flows", call.params["id"])
    check_etag(call, flow, required=False)
    operation = (call.request.first("op") or "").lower()
    state = presented("flows", flow, call.world.now_ms())["state"]
    match (operation, state):
        case ("enable", "disabled"):
            flow["state"] = "enabled"
        case ("disable", "enabled"):
            flow["state"] = "disabled"
        case ("publish", "draft"):
            check_flow(call, flow, flow_spec_of(call, flow))
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


def _settled(call: Call, flow: dict[str, Any], operation: str) -> dict[str, Any]:
    """The flow after `finalize` (of a create) or `finalize_update`, as its subOp says."""
    updated = BEFORE in flow
    if updated != (operation == "finalize_update"):
        fault(400, "FLOW-1422", f"{operation} does not fit: the flow was {'updated' if updated else 'made'}")
    step = (call.request.first("subOp") or "").lower()
    if step not in SUB_OPERATIONS:
        fault(400, "FLOW-1409", f"subOp is one of {', '.join(SUB_OPERATIONS)}, not {step!r}")
    if step == "progress":
        flow[OPERATION] = {**flow[OPERATION], "percent": 50}
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
