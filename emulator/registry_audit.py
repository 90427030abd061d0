"""The audit log of the registry: what changed in a resource, when, and who did it (platform-api.md §2.8)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from flowledger.emulator.identity import sandbox_id, user_of
from flowledger.emulator.registry_compose import SERVERS_OWN, id_of, look_up_in
from flowledger.emulator.registry_list import BASE
from flowledger.emulator.registry_problem import NOT_FOUND, refuse_registry
from flowledger.emulator.resolve import references
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.world import Call, Route, World

Json = dict[str, Any]

KIND: Final = "auditLogs"  # one object for each resource, by its `$id`
MOST: Final = 200  # changes that are kept of one resource, the latest


def note_change(call: Call, before: Json | None, after: Json) -> None:
    """Keep what a create (`before` is None) or a change made of a resource. A change of nothing leaves no entry."""
    id, store = after["$id"], call.world.store
    updates = [
        {"id": id, "xdmType": after["meta:resourceType"], "action": action, "path": path, "value": value}
        for action, path, value in _differences(_content(before or {}), _content(after), "")
    ]
    if not updates:
        return
    now = call.world.now_ms()
    entry = {
        "updatedUser": user_of(call.client_id),
        "imsOrg": call.org,
        "updated": now,
        "requestId": hashlib.sha256(f"{id}:{after['meta:registryMetadata']['eTag']}".encode()).hexdigest()[:32],
        "clientId": call.client_id,
        "sandBoxId": sandbox_id(call.sandbox),
        "updates": updates,
    }
    kept = store.peek(KIND, call.sandbox, id) or {"entries": []}
    store.put(KIND, call.sandbox, id, {"entries": [*kept["entries"], entry][-MOST:]})


def forget_changes(call: Call, id: str) -> None:
    """Drop the log of a resource that was deleted."""
    call.world.store.delete(KIND, call.sandbox, id)


def read_audit_log(call: Call) -> Response:
    """GET /rpc/auditlog/{id}: the changes of a resource and of what it is made of, the latest first."""
    id = id_of(call.params["id"])
    resource = look_up_in(call.world, call.sandbox)(id)
    if resource is None:
        text = f"Requested resource {call.params['id']} is not found"
        refuse_registry(call.world, NOT_FOUND["schemas"], text)
    store = call.world.store
    entries = [
        entry
        for one in (id, *made_of(resource, call.world, call.sandbox))
        for entry in (store.peek(KIND, call.sandbox, one) or {"entries": []})["entries"]
    ]
    entries.sort(key=lambda entry: -int(entry["updated"]))
    return json_response(200, [_shown(id, entry) for entry in entries])


def made_of(resource: Json, world: World, sandbox: str) -> list[str]:
    """The `$id`s of the tenant's resources that a resource refers to, directly or through others, each once."""
    found: dict[str, None] = {}
    waiting = list(references(resource))
    while waiting:
        ref = waiting.pop().partition("#")[0]
        kind = ref.rsplit("/", 2)[-2] if ref.count("/") > 2 else ""
        inner = world.store.peek("fieldgroups" if kind == "mixins" else kind, sandbox, ref)
        if inner is not None and ref not in found and ref != resource["$id"]:
            found[ref] = None
            waiting += references(inner)
    return list(found)


def _shown(id: str, entry: Json) -> Json:
    moment = datetime.fromtimestamp(entry["updated"] / 1000, UTC).strftime("%m-%d-%Y %H:%M:%S")
    return {"id": id, "updatedTime": moment, **{key: value for key, value in entry.items() if key != "updated"}}


def _content(resource: Json) -> Json:
    """What callers can change of a resource."""
    return {key: value for key, value in resource.items() if key not in SERVERS_OWN}


def _differences(before: Any, after: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    """Action, JSON Pointer and value of each difference. A removed field's value is the one that it had."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            below = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
            if key not in after:
                yield "remove", below, before[key]
            elif key not in before:
                yield "add", below, after[key]
            else:
                yield from _differences(before[key], after[key], below)
    elif isinstance(before, list) and isinstance(after, list):
        for place in range(max(len(before), len(after))):
            below = f"{path}/{place}"
            if place >= len(after):
                yield "remove", below, before[place]
            elif place >= len(before):
                yield "add", below, after[place]
            else:
                yield from _differences(before[place], after[place], below)
    elif before != after or type(before) is not type(after):
        yield "replace", path, after


ROUTES: list[Route] = [("GET", f"{BASE}/rpc/auditlog/{{id}}", read_audit_log)]
