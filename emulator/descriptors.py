"""Descriptors: what a field of a schema means, like an identity (platform-api.md §2.7)."""

from __future__ import annotations

from typing import Any, Final

import orjson

from flowledger.emulator import registry_problem as problem
from flowledger.emulator.accept import AcceptInvalid, check_descriptor_look_up, descriptor_form
from flowledger.emulator.depth import too_deep
from flowledger.emulator.registry_compose import look_up_in
from flowledger.emulator.registry_list import BASE, filtered, page_of
from flowledger.emulator.registry_problem import NOT_FOUND, refuse_registry
from flowledger.emulator.resolve import MergeConflict, RefUnknown, has_path, resolve
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.world import Call, Route

Json = dict[str, Any]

KIND: Final = "descriptors"
MOST: Final = 4000  # in a sandbox
TYPES: Final = ("xdm:descriptor", "xdm:alternateDisplayInfo")  # how types begin
DEPRECATED: Final = "xdm:descriptorDeprecated"
GRANULARITY: Final = "xdm:descriptorTimeSeriesGranularity"  # of a whole schema: the only one that names no field
SEVERAL: Final = (DEPRECATED, "xdm:descriptorPrimaryKey")  # types that may name several fields in an array
PLACE: Final = ("@type", "xdm:sourceSchema", "xdm:sourceProperty")  # identifies a descriptor (§9)


def list_descriptors(call: Call) -> Response:
    """GET /tenant/descriptors: grouped by `@type`, or paged in the v2 forms."""
    return _listed(call, call.world.listed(KIND, call.sandbox))


def list_global_descriptors(call: Call) -> Response:
    """GET /global/descriptors: Adobe's own; there are none here."""
    return _listed(call, [])


def create_descriptor(call: Call) -> Response:
    """POST /tenant/descriptors. An equal one is refused (U22)."""
    body = _checked(call)
    every = call.world.store.all(KIND, call.sandbox)
    if not call.world.options.allow_equal_descriptors:
        _check_duplicate(call, body, every, itself="")
    if len(every) >= MOST:
        refuse_registry(call.world, problem.INVALID, f"A sandbox holds at most {MOST} descriptors")
    descriptor = _completed(call, body, call.world.new_hex(40))
    call.world.store.put(KIND, call.sandbox, descriptor["@id"], descriptor)
    return json_response(201, descriptor)


def read_descriptor(call: Call) -> Response:
    """GET /tenant/descriptors/{id}: needs no Accept."""
    try:
        check_descriptor_look_up(call.request.headers.get("accept"))
    except AcceptInvalid as fault:
        refuse_registry(call.world, problem.DESCRIPTOR_LOOK_UP_ACCEPT, str(fault))
    return json_response(200, _existing(call))


def read_global_descriptor(call: Call) -> Response:
    """GET /global/descriptors/{id}: there is none."""
    text = f"The requested descriptors resource {call.params['id']} is not found in the global container"
    refuse_registry(call.world, NOT_FOUND[KIND], text)


def replace_descriptor(call: Call) -> Response:
    """PUT /tenant/descriptors/{id}: answers 201 (by option 200) with the id."""
    previous = _existing(call)
    body = _checked(call)
    if not call.world.options.allow_equal_descriptors:
        _check_duplicate(call, body, call.world.store.all(KIND, call.sandbox), itself=previous["@id"])
    call.world.store.put(KIND, call.sandbox, previous["@id"], _completed(call, body, previous["@id"]))
    status = 200 if call.world.options.descriptor_put_200 else 201
    return json_response(status, {"@id": previous["@id"]})


def delete_descriptor(call: Call) -> Response:
    """DELETE /tenant/descriptors/{id}."""
    call.world.store.delete(KIND, call.sandbox, _existing(call)["@id"])
    return Response(status=204)


def with_deprecated(resolved: Json, descriptors: list[Json], family: set[str]) -> Json:
    """The resolved resource with `meta:status: deprecated` at each field that a descriptor of the family deprecates."""
    shown: Json = orjson.loads(orjson.dumps(resolved))
    for found in descriptors:
        if found["@type"] != DEPRECATED or found["xdm:sourceSchema"] not in family:
            continue
        for path in _paths_of(found) or ():
            node = shown
            for name in path.strip("/").split("/"):
                node = node.get("items", node) if node.get("type") == "array" else node
                node = node.get("properties", {}).get(name, {})
            node["meta:status"] = "deprecated"
    return shown


def _listed(call: Call, found: list[Json]) -> Response:
    try:
        form = descriptor_form(call.request.headers.get("accept"))
    except AcceptInvalid as fault:
        refuse_registry(call.world, problem.DESCRIPTOR_LIST_ACCEPT, str(fault))
    found = filtered(call, found)
    if form.startswith("xdm-v2"):
        entries, page = page_of(call, found)
        shown = [_in_form(entry, form.replace("xdm-v2", "xdm")) for entry in entries]
        return json_response(200, {"results": shown, "_page": page, "_links": {"next": page["next"]}})
    grouped: dict[str, list[Any]] = {}
    for entry in found:
        grouped.setdefault(entry["@type"], []).append(_in_form(entry, form))
    return json_response(200, grouped)


def _in_form(descriptor: Json, form: str) -> Any:
    if form == "xdm-id":
        return descriptor["@id"]
    if form == "xdm-link":
        return f"/tenant/descriptors/{descriptor['@id']}"
    return descriptor


def _existing(call: Call) -> Json:
    found = call.world.store.get(KIND, call.sandbox, call.params["id"])
    if found is None:
        text = f"The requested descriptors resource {call.params['id']} is not found in the tenant container"
        refuse_registry(call.world, NOT_FOUND[KIND], text)
    return found


def _checked(call: Call) -> Json:
    """The body, if its schema and its field exist."""
    world, body = call.world, call.body
    if not isinstance(body, dict) or too_deep(body) or not str(body.get("@type", "")).startswith(TYPES):
        refuse_registry(world, problem.INVALID, f"A descriptor needs an @type: {' or '.join(TYPES)}...")
    look_up = look_up_in(world, call.sandbox)
    schema = look_up(str(body.get("xdm:sourceSchema", "")))
    if schema is None:
        refuse_registry(world, problem.INVALID, f"xdm:sourceSchema {body.get('xdm:sourceSchema')!r} is not known")
    paths = _paths_of(body)
    if paths is None:
        text = "xdm:sourceProperty must be a path that starts with /"
        refuse_registry(world, problem.INVALID, f"{text}, or an array of them for {' and '.join(SEVERAL)}")
    try:
        resolved = resolve(schema, look_up)
    except (RefUnknown, MergeConflict) as fault:  # only after lax deletes: something it is made of is gone
        refuse_registry(world, problem.INVALID, f"{schema['$id']} cannot be resolved: {fault}")
    for path in paths:
        if not has_path(resolved, path.strip("/").replace("/", ".")):
            refuse_registry(world, problem.INVALID, f"xdm:sourceProperty {path} is no field of {schema['$id']}")
    return body


def _paths_of(descriptor: Json) -> list[str] | None:
    """The fields that a descriptor names; None when it does not name them as its type demands."""
    found = descriptor.get("xdm:sourceProperty")
    if found is None and descriptor.get("@type") == GRANULARITY:
        return []
    if isinstance(found, list) and found and descriptor.get("@type") in SEVERAL:
        paths: list[Any] = found
    else:
        paths = [found]
    return paths if all(isinstance(path, str) and path.startswith("/") for path in paths) else None


def _check_duplicate(call: Call, body: Json, every: list[Json], *, itself: str) -> None:
    place = [body.get(key) for key in PLACE]
    for other in every:
        if other["@id"] != itself and [other.get(key) for key in PLACE] == place:
            text = f"Descriptor {other['@id']} already says {place[0]} of {place[2]} in {place[1]}"
            refuse_registry(call.world, problem.INVALID, text)


def _completed(call: Call, body: Json, id: str) -> Json:
    return {
        "xdm:sourceVersion": 1,
        **body,
        "@id": id,
        "imsOrg": call.org,
        "version": "1",
        "meta:containerId": "tenant",
        "meta:registryMetadata": {"repo:lastModifiedDate": call.world.now_ms()},
    }


ROUTES: list[Route] = [
    ("GET", f"{BASE}/tenant/descriptors", list_descriptors),
    ("GET", f"{BASE}/global/descriptors", list_global_descriptors),
    ("GET", f"{BASE}/global/descriptors/{{id}}", read_global_descriptor),
    ("POST", f"{BASE}/tenant/descriptors", create_descriptor),
    ("GET", f"{BASE}/tenant/descriptors/{{id}}", read_descriptor),
    ("PUT", f"{BASE}/tenant/descriptors/{{id}}", replace_descriptor),
    ("DELETE", f"{BASE}/tenant/descriptors/{{id}}", delete_descriptor),
]
