"""How a Flow Service object looks at a moment: state, last operation, what it inherits (platform-api.md §4.7, §10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from flowledger.emulator.flow_fault import fault
from flowledger.emulator.flow_rules import connections_of
from flowledger.emulator.identity import sandbox_id, user_of
from flowledger.emulator.world import Call, World

KINDS = ("connections", "sourceConnections", "targetConnections", "flows")
SERVER_FIELDS = frozenset(  # what callers cannot set
    {
        *("id", "etag", "version", "state", "createdAt", "updatedAt", "createdBy", "updatedBy", "createdClient"),
        *("updatedClient", "sandboxId", "sandboxName", "imsOrgId", "inheritedAttributes", "lastOperation"),
        *("lastRunDetails", "runs"),
    }
)
DERIVED = frozenset({"state", "etag", "version", "lastOperation", "inheritedAttributes"})  # not shown as they are kept
OPERATION = "_operation"  # kept beside the object's fields, never shown
PAIR = "_pair"  # the params of source and target connection as they were when the flow was made (§4.2); never shown
BEFORE = "_before"  # the flow as it was before an update that is not finalized yet; never shown
FINALIZING = "enabled-finalizing"  # a state that lasts until the caller finalizes (§10)
UNTIL_THEN = {
    "create": "pending",
    "update": "updating",
    "enable": "enabling",
    "disable": "disabling",
    "delete": "delete-finalizing",
}


def shown(call: Call, now_ms: int) -> dict[str, Any]:
    """The fields that the server gives to every object."""
    user = user_of(call.client_id)
    return {
        "createdAt": now_ms,
        "updatedAt": now_ms,
        "createdBy": user,
        "updatedBy": user,
        "createdClient": call.client_id,
        "updatedClient": call.client_id,
        "sandboxId": sandbox_id(call.sandbox),
        "sandboxName": call.sandbox,
        "imsOrgId": call.org,
    }


def begin(call: Call, kind: str, obj: dict[str, Any], operation: str) -> None:
    """Note on the object that an operation has begun; until it is over its state is a transient one."""
    options, now_ms = call.world.options, call.world.now_ms()
    if kind == "flows":
        obj[OPERATION] = {
            "operation": operation,
            "started": now_ms,
            "until": now_ms + (options.flow_delete_ms if operation == "delete" else options.flow_ready_ms),
            "state": UNTIL_THEN.get(operation, "updating"),
            "fails": options.flow_fails if operation == "create" else "",
        }
    elif kind == "connections" and operation == "create" and options.connection_ready_ms:
        obj[OPERATION] = {
            "operation": operation,
            "started": now_ms,
            "until": now_ms + options.connection_ready_ms,
            "state": "initializing",
            "fails": "",
        }


def presented(kind: str, obj: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """The object as it is shown at that moment. A new dict over shared values: to be read."""
    operation = obj.get(OPERATION)
    if operation is None:
        return dict(obj)
    item = {name: value for name, value in obj.items() if name not in (OPERATION, BEFORE, PAIR)}
    running = now_ms < operation["until"]
    finalizing = not running and obj["state"] == FINALIZING
    failed = not running and bool(operation["fails"])
    if running or failed:
        item["state"] = operation["state"]
    if kind == "connections":
        if running:
            del item["etag"], item["version"]
        return item
    value = "inProgress" if running or finalizing else "failed" if failed else "completed"
    item["lastOperation"] = {
        "started": operation["started"],
        "updated": now_ms if running else operation["until"],
        "percentCompleted": 0 if running else operation.get("percent", 0) if finalizing else 100,
        "status": {"value": value, "errors": _errors(operation["fails"]) if failed else []},
        "ops": [],
        "operation": operation["operation"],
    }
    return item


def keep_pair(call: Call, flow: dict[str, Any]) -> None:
    """Note on the flow how its connections look now: what is changed in them later, its runs do not pick up (§4.2)."""
    store, pair = call.world.store, {}
    for side in ("source", "target"):
        ids = connections_of(flow, side)
        connection = store.peek(f"{side}Connections", call.sandbox, ids[0]) if ids else None
        pair[side] = (connection or {}).get("params")
    flow[PAIR] = pair


def sweep(world: World, sandbox: str) -> None:
    """Remove the flows whose deletion has taken its time."""
    now_ms = world.now_ms()
    for flow in list(world.store.all("flows", sandbox)):
        operation = flow.get(OPERATION)
        if operation is not None and operation["operation"] == "delete" and operation["until"] <= now_ms:
            world.store.delete("flows", sandbox, flow["id"])


def is_transient(obj: dict[str, Any], now_ms: int) -> bool:
    """Whether an operation on the object is still going on."""
    operation = obj.get(OPERATION)
    return operation is not None and now_ms < operation["until"]


def read(call: Call, kind: str, key: str) -> dict[str, Any]:
    """The object as it is shown now, to be read. Raises Refused with 404 when this sandbox has none of that id.

    404 too for a flow with labels, where those hide it (option `labelled_flows_hidden`).
    """
    found = _found(call, kind, key, call.world.store.peek)
    if kind == "flows" and found.get("labels") and call.world.options.labelled_flows_hidden:
        _absent(kind, key)
    return presented(kind, found, call.world.now_ms())


def stored(call: Call, kind: str, key: str) -> dict[str, Any]:
    """A copy of the object as it is kept, to be changed. Raises Refused with 404."""
    return _found(call, kind, key, call.world.store.get)


def check_allowed(call: Call, kind: str, obj: dict[str, Any]) -> None:
    """With the option, a flow with labels may not be changed or deleted by its callers, who lack them (§4.2)."""
    if kind == "flows" and obj.get("labels") and call.world.options.labelled_flows_hidden:
        fault(403, "FLOW-2120", f"The permission to change the flow {obj['id']} is missing: it has labels")


def _found(
    call: Call, kind: str, key: str, look_up: Callable[[str, str, str], dict[str, Any] | None]
) -> dict[str, Any]:
    found = look_up(kind, call.sandbox, key)
    if found is None:
        _absent(kind, key)
    return found


def _absent(kind: str, key: str) -> NoReturn:
    fault(404, "FLOW-1439", f"The requested {kind} resource {key} is not found.")


def inherited(call: Call, kind: str, item: dict[str, Any]) -> dict[str, Any]:
    """The item with what it takes over from the objects that it refers to."""
    store, sandbox = call.world.store, call.sandbox
    if kind in ("sourceConnections", "targetConnections"):
        base = store.peek("connections", sandbox, str(item.get("baseConnectionId")))
        if base is not None:
            reference = {"id": base["id"], "connectionSpec": base["connectionSpec"]}
            item["inheritedAttributes"] = {"baseConnection": reference}
    elif kind == "flows":
        item["inheritedAttributes"] = {
            "properties": {"isSourceFlow": True},
            "sourceConnections": _connections(call, item, "source"),
            "targetConnections": _connections(call, item, "target"),
        }
        nested = call.world.options.runs_link_nested
        item["runs"] = f"/flows/{item['id']}/runs" if nested else f"/runs?property=flowId=={item['id']}"
    return item


def touch(world: World, sandbox: str, key: str) -> None:
    """Let a third party edit the object: a new etag, another user. Nothing happens when no kind has the id."""
    for kind in KINDS:
        obj = world.store.get(kind, sandbox, key)
        if obj is None:
            continue
        etag = world.new_etag()
        obj.update(etag=etag, version=etag, updatedAt=world.now_ms(), updatedBy="somebody-else@AdobeID")
        world.store.put(kind, sandbox, key, obj)


def _connections(call: Call, flow: dict[str, Any], side: str) -> list[dict[str, Any]]:
    found, kind = [], f"{side}Connections"
    for key in connections_of(flow, side):
        connection = call.world.store.get(kind, call.sandbox, key)
        if connection is None:
            continue
        described = {"id": connection["id"], "connectionSpec": connection["connectionSpec"]}
        described.update(inherited(call, kind, connection).get("inheritedAttributes", {}))
        found.append(described)
    return found


def _errors(message: str) -> list[dict[str, str]]:
    return [{"code": "CONNECTOR-1005-500", "message": message}]
