"""Flow Service: connections, source and target connections, flows and their specs (platform-api.md §4, §10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flowledger.emulator import flow_explore, flow_runs, flow_search
from flowledger.emulator.connection_rules import (
    check_base_exists,
    check_connection,
    check_credentials,
    check_source_connection,
    check_target_connection,
)
from flowledger.emulator.flow_actions import act, publish_only
from flowledger.emulator.flow_bodies import body_of, connection_spec_of, flow_spec_of, wants_draft
from flowledger.emulator.flow_fault import fault, reported
from flowledger.emulator.flow_listing import conditions_of, matching, page_of
from flowledger.emulator.flow_rules import check_flow, check_flow_shape, connections_of
from flowledger.emulator.flow_specs import catalogue_of
from flowledger.emulator.flow_state import (
    DERIVED,
    FINALIZING,
    KINDS,
    SERVER_FIELDS,
    begin,
    check_allowed,
    inherited,
    keep_pair,
    presented,
    read,
    shown,
    stored,
    sweep,
)
from flowledger.emulator.flow_update import update
from flowledger.emulator.gateway import FLOW_SERVICE
from flowledger.emulator.wire import Refused, Response, json_response
from flowledger.emulator.withheld import without_secrets
from flowledger.emulator.world import Call, Handler, Route


def create_connection(call: Call) -> Response:
    """POST /connections."""
    body = body_of(call)
    spec = connection_spec_of(call, body)
    draft = wants_draft(call, spec)
    if not draft:
        check_connection(call, body, spec)
        check_credentials(call, spec)
    return _created(call, "connections", without_secrets(call, body), draft=draft)


def create_source_connection(call: Call) -> Response:
    """POST /sourceConnections."""
    body = body_of(call)
    spec = connection_spec_of(call, body)
    draft = wants_draft(call, spec)
    if not draft:
        check_source_connection(call, body, spec)
    elif body.get("baseConnectionId") is not None:
        check_base_exists(call, body)
    return _created(call, "sourceConnections", body, draft=draft)


def create_target_connection(call: Call) -> Response:
    """POST /targetConnections."""
    body = body_of(call)
    draft = wants_draft(call, connection_spec_of(call, body, version_required=False))
    if not draft:
        check_target_connection(call, body)
    return _created(call, "targetConnections", body, draft=draft)


def create_flow(call: Call) -> Response:
    """POST /flows."""
    body = body_of(call)
    spec = flow_spec_of(call, body)
    draft = wants_draft(call, spec)
    check_flow_shape(call, body)
    if not draft:
        check_flow(call, body, spec)
    return _created(call, "flows", body, draft=draft)


def _created(call: Call, kind: str, body: dict[str, Any], *, draft: bool) -> Response:
    world, now_ms = call.world, call.world.now_ms()
    _check_name(call, kind, body.get("name"))
    etag = world.new_etag()
    key = world.new_uuid()
    kept = {name: value for name, value in body.items() if name not in SERVER_FIELDS and not name.startswith("_")}
    made = {
        "id": key,
        **shown(call, now_ms),
        **kept,
        "state": "draft" if draft else "enabled",
        "version": etag,
        "etag": etag,
    }
    if not draft:
        begin(call, kind, made, "create")
        if kind == "flows":
            keep_pair(call, made)
        if kind == "flows" and world.options.flow_finalized_by_caller:
            made["state"] = FINALIZING
    world.store.put(kind, call.sandbox, key, made)
    answer = {"id": key, "etag": etag}
    if kind == "connections" and presented(kind, made, now_ms)["state"] == "initializing":
        del answer["etag"]  # asynchronous creation: no etag yet (§4.4)
    if kind == "flows" and world.options.flow_create_without_etag:
        del answer["etag"]
    return json_response(201, answer, {"location": f"{FLOW_SERVICE}{kind}/{key}"})


def _check_name(call: Call, kind: str, name: Any) -> None:
    """U23: equal names are taken, unless the option says otherwise."""
    if not call.world.options.unique_flow_names or name is None:
        return
    for other in call.world.store.all(kind, call.sandbox):
        if other.get("name") == name:
            fault(400, "FLOW-1499", f"{kind}: the name {name!r} is taken by {other['id']}")


def read_object(kind: str) -> Handler:
    """GET /{kind}/{id}: a list of one."""

    def handler(call: Call) -> Response:
        item = read(call, kind, call.params["id"])
        return json_response(200, {"items": [inherited(call, kind, item)]})

    return handler


def list_objects(kind: str) -> Handler:
    """GET /{kind}. Only what the page shows is put together, unless a filter or the order asks for what is derived."""

    def handler(call: Call) -> Response:
        options, now_ms = call.world.options, call.world.now_ms()
        conditions = conditions_of(call.request, kind, options)
        stored_alike = [condition for condition in conditions if condition.path[0] not in DERIVED]
        derived = [condition for condition in conditions if condition.path[0] in DERIVED]
        items = matching(call.world.listed(kind, call.sandbox), stored_alike)
        if kind == "flows" and options.labelled_flows_hidden:
            items = [item for item in items if not item.get("labels")]
        if options.newest_first:
            items.reverse()
        at_once = bool(derived) or "state" in (call.request.first("orderby") or "")
        if at_once:
            items = [presented(kind, obj, now_ms) for obj in items]
            if any(condition.path[0] == "inheritedAttributes" for condition in derived):
                items = [inherited(call, kind, item) for item in items]
            items = matching(items, derived)
        page = page_of(items, call.request, options)
        shown = page.items if at_once else [presented(kind, obj, now_ms) for obj in page.items]
        page.items[:] = [inherited(call, kind, item) for item in shown]
        return page.answer(kind)

    return handler


def delete_object(kind: str) -> Handler:
    """DELETE /{kind}/{id}: 204, or the reference that is in the way (§10)."""

    def handler(call: Call) -> Response:
        kept = stored(call, kind, call.params["id"])
        check_allowed(call, kind, kept)
        item = presented(kind, kept, call.world.now_ms())
        _check_deletable(call, kind, item)
        if kind == "flows" and call.world.options.flow_delete_ms:
            begin(call, kind, kept, "delete")
            call.world.store.put(kind, call.sandbox, kept["id"], kept)
            return Response(status=204)
        call.world.store.delete(kind, call.sandbox, item["id"])
        return Response(status=204)

    return handler


def _check_deletable(call: Call, kind: str, item: dict[str, Any]) -> None:
    store, sandbox, key = call.world.store, call.sandbox, item["id"]
    if kind == "flows":
        if item["state"] not in ("enabled", "disabled", "draft"):
            fault(400, "FLOW-1458", f"The flow {key} cannot be deleted while it is {item['state']}")
        return
    flows = store.all("flows", sandbox)
    if kind != "connections":
        if call.world.options.lax_connection_delete:
            return
        side = kind.removesuffix("Connections")
        users = [flow["id"] for flow in flows if key in connections_of(flow, side)]
        if users:
            fault(400, "FLOW-1447", f"Active flows contain {key}: {', '.join(users)}")
        return
    for side in ("source", "target"):
        based = {one["id"] for one in store.all(f"{side}Connections", sandbox) if one.get("baseConnectionId") == key}
        users = [flow["id"] for flow in flows if based.intersection(connections_of(flow, side))]
        if users:
            fault(400, "FLOW-1418", f"The base connection {key} is used by flows: {', '.join(users)}")


PROPERTY_ONLY = frozenset({"property"})


def _specs(call: Call, kind: str) -> Mapping[str, dict[str, Any]]:
    catalogue = catalogue_of(call.world.options)
    return catalogue.connection_specs if kind == "connectionSpecs" else catalogue.flow_specs


def list_specs(kind: str) -> Handler:
    """GET /connectionSpecs and /flowSpecs: `items` only."""

    def handler(call: Call) -> Response:
        specs = _specs(call, kind).values()
        found = matching(specs, conditions_of(call.request, kind, call.world.options, PROPERTY_ONLY))
        if kind == "flowSpecs" and len(found) == 1 and call.world.options.bare_flow_spec:
            return json_response(200, found[0])
        return json_response(200, {"items": found})

    return handler


def read_spec(kind: str) -> Handler:
    """GET /connectionSpecs/{id} and /flowSpecs/{id}."""

    def handler(call: Call) -> Response:
        found = _specs(call, kind).get(call.params["id"])
        if found is None:
            fault(404, "FLOW-1439", f"The requested {kind} resource {call.params['id']} is not found.")
        return json_response(200, {"items": [found]})

    return handler


CREATES: dict[str, Callable[[Call], Response]] = {
    "connections": create_connection,
    "sourceConnections": create_source_connection,
    "targetConnections": create_target_connection,
    "flows": create_flow,
}


def _routes() -> list[Route]:
    routes: list[Route] = []
    for kind in KINDS:
        collection = f"{FLOW_SERVICE}{kind}"
        routes += [
            ("POST", collection, CREATES[kind]),
            ("GET", collection, list_objects(kind)),
            ("GET", f"{collection}/{{id}}", read_object(kind)),
            ("PATCH", f"{collection}/{{id}}", update(kind)),
            ("DELETE", f"{collection}/{{id}}", delete_object(kind)),
            ("POST", f"{collection}/{{id}}/action", act if kind == "flows" else publish_only(kind)),
        ]
    for kind in ("connectionSpecs", "flowSpecs"):
        routes += [
            ("GET", f"{FLOW_SERVICE}{kind}", list_specs(kind)),
            ("GET", f"{FLOW_SERVICE}{kind}/{{id}}", read_spec(kind)),
        ]
    routes += [
        *flow_explore.ROUTES,
        *flow_runs.ROUTES,
        *flow_search.ROUTES,
    ]
    return routes


def reporting(handler: Handler) -> Handler:
    """The handler, its refusals telling what they are about; deletions that have taken their time come first."""

    def handle(call: Call) -> Response:
        if call.world.options.flow_delete_ms:
            sweep(call.world, call.sandbox)
        try:
            return handler(call)
        except Refused as refused:
            told = reported(refused.response, call.request, call.params, call.world.options)
            raise Refused(told) from refused

    return handle


ROUTES: list[Route] = [(method, template, reporting(handler)) for method, template, handler in _routes()]
