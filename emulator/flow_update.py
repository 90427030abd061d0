"""Flow Service updates: PATCH with If-Match, and what it may not change (platform-api.md §4.2, §10)."""

from __future__ import annotations

from typing import Any

from flowledger.emulator.connection_rules import (
    check_connection,
    check_source_connection,
    check_target_connection,
)
from flowledger.emulator.flow_bodies import connection_spec_of, flow_spec_of
from flowledger.emulator.flow_fault import fault
from flowledger.emulator.flow_rules import check_flow_shape, check_references, check_schedule, delta_column_of
from flowledger.emulator.flow_state import (
    BEFORE,
    FINALIZING,
    SERVER_FIELDS,
    begin,
    check_allowed,
    inherited,
    is_transient,
    presented,
    read,
    stored,
)
from flowledger.emulator.identity import user_of
from flowledger.emulator.jsonpatch import DOCUMENTED, PatchFault, apply_patch, op_of, tokens_of
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.withheld import without_secrets
from flowledger.emulator.world import Call, Handler

FIXED_IN_FLOWS = frozenset({"flowSpec", "sourceConnectionIds", "targetConnectionIds"})  # a new pair is a new flow
NOT_NOW = {"updating": "FLOW-1420", "disabling": "FLOW-1421", "initializing": "FLOW-1417"}  # others: FLOW-1416


def update(kind: str) -> Handler:
    """PATCH /{kind}/{id}: JSON Patch under If-Match; answers the new etag."""

    def handler(call: Call) -> Response:
        obj = stored(call, kind, call.params["id"])
        check_allowed(call, kind, obj)
        check_etag(call, obj, required=True)
        _check_updatable(call, kind, obj)
        changed = _patched(call.body, kind, obj)
        if kind == "flows":
            check_flow_shape(call, changed)
        if changed["state"] != "draft":
            _check_changed(call, kind, obj, changed)
        if kind == "connections":
            changed = without_secrets(call, changed)
        begin(call, kind, changed, "update")
        if kind == "flows" and changed["state"] == "enabled" and call.world.options.flow_finalized_by_caller:
            changed.update({"state": FINALIZING, BEFORE: obj})
        answer = saved(call, kind, changed)
        if kind in ("sourceConnections", "targetConnections") and call.world.options.connection_patch_listed:
            return json_response(200, {"items": [inherited(call, kind, read(call, kind, changed["id"]))]})
        return answer

    return handler


def _check_updatable(call: Call, kind: str, obj: dict[str, Any]) -> None:
    now_ms = call.world.now_ms()
    state = presented(kind, obj, now_ms)["state"]
    if is_transient(obj, now_ms) or state == FINALIZING:
        fault(400, NOT_NOW.get(state, "FLOW-1416"), f"{obj['id']} cannot be updated while it is {state}")
    if state not in ("enabled", "disabled", "draft"):  # an operation has failed
        fault(400, "FLOW-1457", f"{obj['id']} cannot be updated while it is {state}")


def check_etag(call: Call, obj: dict[str, Any], *, required: bool) -> None:
    """If-Match: the etag of now, in its quotes. Raises Refused with 1403 or 1404.

    A collection of requests of Adobe's sends it in the query, which counts when there is no such header.
    """
    given = call.request.headers.get("if-match", call.request.first("if-match"))
    if given is None:
        if required:
            fault(400, "FLOW-1403", "Header is missing: If-Match")
        return
    if given != obj["etag"]:  # quotes included
        text = f"Supplied version=[{given}] does not match the current version on entity=[{obj['id']}]"
        fault(412, "FLOW-1404", text)


def _patched(operations: Any, kind: str, obj: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(operations, list) or not operations:
        fault(400, "FLOW-1405", "The request body is empty or is no list of operations")
    for operation in operations:
        _check_operation(operation, kind)
    try:
        changed: dict[str, Any] = apply_patch(obj, operations)
    except PatchFault as problem:
        fault(400, "FLOW-1455", str(problem))
    return changed


def _check_operation(operation: Any, kind: str) -> None:
    if not isinstance(operation, dict) or op_of(operation) not in DOCUMENTED:
        fault(400, "FLOW-1434", "op must be one of add, replace, remove")
    path = operation.get("path")
    if not isinstance(path, str) or not path.startswith("/") or path == "/":
        fault(400, "FLOW-1455", "An operation needs a path")
    first = tokens_of(path)[0]
    if first == "state":
        fault(400, "FLOW-1410", "state cannot be set by the caller")
    if first == "connectionSpec":
        fault(400, "FLOW-1414", "The connection spec cannot be changed")
    if first in SERVER_FIELDS or first.startswith("_") or (kind == "flows" and first in FIXED_IN_FLOWS):
        fault(400, "FLOW-1455", f"{path} cannot be changed")


def _check_changed(call: Call, kind: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """What was whole must stay whole; a schedule that has begun is fixed where the contract says so."""
    if kind != "flows":
        check_whole(call, kind, after)
        return
    spec = flow_spec_of(call, after)
    if after.get("transformations") != before.get("transformations"):
        check_references(call, after, spec)
    if "scheduleSpec" not in spec:
        return  # a stream has no schedule
    old, new = before.get("scheduleParams") or {}, after.get("scheduleParams")
    if not isinstance(new, dict):
        fault(400, "CONNECTOR-1317", "scheduleParams is empty")
    start_changed = new.get("startTime") != old.get("startTime")
    if start_changed and int(old["startTime"]) * 1000 < call.world.now_ms():
        fault(400, "CONNECTOR-1366", f"startTime {old['startTime']} has passed and cannot be changed")
    if new.get("frequency") == "once" and old.get("frequency") != "once":
        fault(400, "CONNECTOR-1403", "The frequency cannot be changed to once")
    if new.get("backfill") != old.get("backfill"):
        fault(400, "CONNECTOR-1404", "backfill cannot be changed")
    kept_delta = new.get("frequency") == "once" and bool(delta_column_of(before))
    check_schedule(call.world, after, spec, start_may_be_past=not start_changed, delta_may_be_there=kept_delta)


def check_whole(call: Call, kind: str, obj: dict[str, Any]) -> None:
    """A connection of any kind has everything that one which is no draft must have. Raises Refused."""
    spec = connection_spec_of(call, obj, version_required=kind != "targetConnections")
    match kind:
        case "connections":
            check_connection(call, obj, spec)
        case "sourceConnections":
            check_source_connection(call, obj, spec)
        case "targetConnections":
            check_target_connection(call, obj)


def saved(call: Call, kind: str, obj: dict[str, Any]) -> Response:
    """Keep the changed object under a new etag, and answer that."""
    etag = call.world.new_etag()
    obj.update(
        etag=etag,
        version=etag,
        updatedAt=call.world.now_ms(),
        updatedBy=user_of(call.client_id),
        updatedClient=call.client_id,
    )
    call.world.store.put(kind, call.sandbox, obj["id"], obj)
    return json_response(200, {"id": obj["id"], "etag": etag})
