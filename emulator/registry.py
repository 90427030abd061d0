"""Schema Registry: classes, schemas, field groups and the read-only kinds, in both containers (platform-api.md §2)."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, Final

from flowledger.emulator import registry_problem as problem
from flowledger.emulator import xdm
from flowledger.emulator.accept import AcceptInvalid, Form, View, list_form, look_up_view
from flowledger.emulator.descriptors import ROUTES as DESCRIPTOR_ROUTES
from flowledger.emulator.descriptors import with_deprecated
from flowledger.emulator.identity import tenant_of
from flowledger.emulator.jsonpatch import DOCUMENTED, PatchFault, apply_patch
from flowledger.emulator.registry_audit import ROUTES as AUDIT_ROUTES
from flowledger.emulator.registry_audit import forget_changes, note_change
from flowledger.emulator.registry_compose import compose, id_of, look_up_in
from flowledger.emulator.registry_list import BASE, listed_page
from flowledger.emulator.registry_move import ROUTES as MOVE_ROUTES
from flowledger.emulator.registry_problem import NOT_FOUND, refuse_registry
from flowledger.emulator.registry_rules import check_additive, check_title, check_union, check_unused
from flowledger.emulator.registry_sample import ROUTES as SAMPLE_ROUTES
from flowledger.emulator.resolve import MergeConflict, RefUnknown, leaves_of, resolve, without_text
from flowledger.emulator.unions import unions_of
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.world import Call, Handler, Route, World

Json = dict[str, Any]

WRITABLE: Final = {  # spelling in a path -> kind
    "classes": "classes",
    "schemas": "schemas",
    "fieldgroups": "fieldgroups",
    "mixins": "fieldgroups",
    "datatypes": "datatypes",
}
READABLE: Final = {**WRITABLE, "behaviors": "behaviors", "unions": "unions"}
RECENT: Final = 10
COUNTED: Final = ("schemas", "fieldgroups", "datatypes", "classes")  # in the statistics


def read_stats(call: Call) -> Response:
    """GET /stats: the tenant id, counts, and what was made and changed last (§2.3). It takes any Accept."""
    world, sandbox = call.world, call.sandbox
    stats = world.remembered("stats", COUNTED, sandbox, lambda: _stats(world, sandbox))
    return json_response(200, {"imsOrg": call.org, "tenantId": tenant_of(world.options, call.org), **stats})


def _stats(world: World, sandbox: str) -> Json:
    listed = {kind: world.listed(kind, sandbox) for kind in COUNTED}
    everything = [found for objects in listed.values() for found in objects]
    counts = {("mixins" if kind == "fieldgroups" else kind): len(objects) for kind, objects in listed.items()}
    return {
        "counts": {**counts, "unions": len(unions_of(listed["schemas"]))},
        "recentlyCreatedResources": _latest(everything, "repo:createdDate"),
        "recentlyUpdatedResources": _latest(everything, "repo:lastModifiedDate"),
        "classUsage": _usage(listed["schemas"], as_array=world.options.class_usage_array),
    }


def _latest(objects: list[Json], date: str) -> list[Json]:
    newest = heapq.nlargest(RECENT, objects, key=lambda found: found["meta:registryMetadata"][date])
    return [_brief(found) for found in newest]


def _usage(schemas: list[Json], *, as_array: bool) -> dict[str, list[Json]] | list[Json]:
    """Which schemas use a class: the latest schemas only, so that the answer stays short."""
    usage: dict[str, list[Json]] = {}
    for schema in schemas[-RECENT:]:
        usage.setdefault(schema["meta:class"], []).append(_brief(schema))
    return [{"class": id, "schemas": found} for id, found in usage.items()] if as_array else usage


def _brief(found: Json) -> Json:
    dates = {
        "meta:created": found["meta:registryMetadata"]["repo:createdDate"],
        "meta:updated": found["meta:registryMetadata"]["repo:lastModifiedDate"],
    }
    keys = ("imsOrg", "title", "description", "$id", "meta:altId", "meta:resourceType", "version")
    return {**{key: found[key] for key in keys if key in found}, **dates}


def _lists(container: str, kind: str) -> Handler:
    def handler(call: Call) -> Response:
        """GET /{container}/{kind} (§2.2)."""
        try:
            form = list_form(call.request.headers.get("accept"))
        except AcceptInvalid as fault:
            refuse_registry(call.world, problem.LIST_ACCEPT, str(fault))
        if container == "global":
            found = list(xdm.global_resources()[kind].values())
        elif kind == "unions":
            found = list(unions_of(call.world.listed("schemas", call.sandbox)).values())
        else:
            found = call.world.listed(kind, call.sandbox)
        return listed_page(call, container, kind, found, form)

    return handler


def _looks_up(container: str, kind: str) -> Handler:
    def handler(call: Call) -> Response:
        """GET /{container}/{kind}/{id} (§2.3)."""
        try:
            view = look_up_view(call.request.headers.get("accept"))
        except AcceptInvalid as fault:
            refuse_registry(call.world, problem.LOOK_UP_ACCEPT, str(fault))
        resource = _existing(call, container, kind, read=True)
        _check_version(call, resource, view)
        return json_response(200, _shown(call, resource, view.form))

    return handler


def _existing(call: Call, container: str, kind: str, *, read: bool = False) -> Json:
    """The resource that the path names. A read below `tenant` finds Adobe's too, as clients in use rely on (§2.3)."""
    id = id_of(call.params["id"])
    adobes = xdm.global_resources()[kind].get(id)
    if container == "global" or (read and adobes is not None):
        found = adobes
    elif kind == "unions":
        found = unions_of(call.world.store.all("schemas", call.sandbox)).get(id)
    else:
        found = call.world.store.get(kind, call.sandbox, id)
    if found is None:
        text = f"The requested {kind} resource {call.params['id']} is not found in the {container} container"
        refuse_registry(call.world, NOT_FOUND[kind], text)
    return found


def _check_version(call: Call, resource: Json, view: View) -> None:
    """`version=1` is major 1 at its latest minor; another major, or a minor to come, is not to be had."""
    major, minor = (int(part) for part in resource["version"].split(".")[:2])
    if view.version[0] != major or (len(view.version) > 1 and view.version[1] > minor):
        wanted = ".".join(str(part) for part in view.version)
        text = f"Version {wanted} of {resource['$id']} is not available, the latest is {resource['version']}"
        refuse_registry(call.world, problem.NOT_AVAILABLE, text)


def _shown(call: Call, resource: Json, form: Form) -> Json:
    shown = resource
    if form.resolved:
        try:
            shown = resolve(resource, look_up_in(call.world, call.sandbox))
        except (RefUnknown, MergeConflict) as fault:  # only after lax deletes: something it is made of is gone
            refuse_registry(call.world, problem.INVALID, f"{resource['$id']} cannot be resolved: {fault}")
    family = {resource["$id"], *resource.get("meta:extends", ())}
    every = call.world.store.all("descriptors", call.sandbox) if form.descriptors or form.deprecated else []
    if form.deprecated:
        shown = with_deprecated(shown, every, family)
    if form.descriptors:
        shown = {**shown, "meta:descriptors": [found for found in every if found["xdm:sourceSchema"] in family]}
    if form.flat:
        shown = {**shown, "properties": leaves_of(shown)}
    return shown if form.text else without_text(shown)


def _creates(kind: str) -> Handler:
    def handler(call: Call) -> Response:
        """POST /tenant/{kind} (§2.4, §2.5)."""
        resource = compose(kind, call.body, call)
        check_title(resource["title"], call)
        check_union(kind, resource, call)
        call.world.store.put(kind, call.sandbox, resource["$id"], resource)
        note_change(call, None, resource)
        return json_response(201, resource)

    return handler


def _patches(kind: str) -> Handler:
    def handler(call: Call) -> Response:
        """PATCH /tenant/{kind}/{id} with a JSON Patch (§2.6)."""
        previous = _existing(call, "tenant", kind)
        try:
            patched = apply_patch(previous, call.body, known=DOCUMENTED)
        except PatchFault as fault:
            refuse_registry(call.world, problem.INVALID, f"JSON Patch: {fault}")
        return _change(call, kind, previous, patched)

    return handler


def _replaces(kind: str) -> Handler:
    def handler(call: Call) -> Response:
        """PUT /tenant/{kind}/{id} with a whole body as in POST (§2.6)."""
        return _change(call, kind, _existing(call, "tenant", kind), call.body)

    return handler


def _change(call: Call, kind: str, previous: Json, body: Any) -> Response:
    resource = compose(kind, body, call, previous=previous)
    check_title(resource["title"], call, itself=resource["$id"])
    check_union(kind, resource, call, previous=previous)
    check_additive(resource, call)
    call.world.store.put(kind, call.sandbox, resource["$id"], resource)
    note_change(call, previous, resource)
    return json_response(200, resource)


def _deletes(kind: str) -> Handler:
    def handler(call: Call) -> Response:
        """DELETE /tenant/{kind}/{id} (§2.6, U6)."""
        resource = _existing(call, "tenant", kind)
        check_unused(kind, resource["$id"], call)
        call.world.store.delete(kind, call.sandbox, resource["$id"])
        forget_changes(call, resource["$id"])
        return Response(status=204)

    return handler


def _routes() -> list[Route]:
    routes: list[Route] = [("GET", f"{BASE}/stats", read_stats)]
    for spelling, kind in READABLE.items():
        for container in ("global", "tenant") if spelling not in ("behaviors", "unions") else ():
            routes.append(("GET", f"{BASE}/{container}/{spelling}", _lists(container, kind)))
            routes.append(("GET", f"{BASE}/{container}/{spelling}/{{id}}", _looks_up(container, kind)))
    for container, kind in (("global", "behaviors"), ("tenant", "unions")):
        routes.append(("GET", f"{BASE}/{container}/{kind}", _lists(container, kind)))
        routes.append(("GET", f"{BASE}/{container}/{kind}/{{id}}", _looks_up(container, kind)))
    writers: list[tuple[str, str, Callable[[str], Handler]]] = [
        ("POST", "", _creates),
        ("PATCH", "/{id}", _patches),
        ("PUT", "/{id}", _replaces),
        ("DELETE", "/{id}", _deletes),
    ]
    for spelling, kind in WRITABLE.items():
        routes += [(method, f"{BASE}/tenant/{spelling}{rest}", writer(kind)) for method, rest, writer in writers]
    return routes


ROUTES: list[Route] = [*_routes(), *DESCRIPTOR_ROUTES, *MOVE_ROUTES, *SAMPLE_ROUTES, *AUDIT_ROUTES]
