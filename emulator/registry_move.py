"""Export of a resource with all that it is made of, and import of that into another sandbox (platform-api.md §2.8)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

from flowledger.emulator import registry_problem as problem
from flowledger.emulator.depth import too_deep
from flowledger.emulator.identity import tenant_of
from flowledger.emulator.registry_audit import made_of, note_change
from flowledger.emulator.registry_compose import (
    RESOURCE_TYPE,
    alt_id_of,
    compose,
    id_of,
    kind_of,
    look_up_in,
)
from flowledger.emulator.registry_list import BASE
from flowledger.emulator.registry_problem import NOT_FOUND, refuse_registry
from flowledger.emulator.registry_rules import TAGS, UNION, title_owner
from flowledger.emulator.resolve import references
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.world import Call, Route

Json = dict[str, Any]

PLACEHOLDER: Final = "<XDM_TENANTID_PLACEHOLDER>"
OF_THE_PLACE: Final = ("imsOrg", "meta:containerId", "meta:tenantNamespace", "meta:registryMetadata", "refs")
PEOPLE_WORDS: Final = ("title", "description")
MOST: Final = 500  # resources of one import
LAST_PART: Final = re.compile(r"[A-Za-z0-9]{1,64}")


def export_resource(call: Call) -> Response:
    """GET /rpc/export/{id}: the resource and the tenant's resources that it is made of, those first."""
    world, look_up = call.world, look_up_in(call.world, call.sandbox)
    resource = look_up(id_of(call.params["id"]))
    if resource is None or resource["meta:containerId"] != "tenant":
        refuse_registry(world, NOT_FOUND["schemas"], f"Requested resource {call.params['id']} is not found")
    parts = [found for id in made_of(resource, world, call.sandbox) if (found := look_up(id)) is not None]
    tenant = tenant_of(world.options, call.org)
    return json_response(200, [_exported(one, tenant) for one in _ordered([resource, *parts])])


def import_resources(call: Call) -> Response:
    """POST /rpc/import: make all resources of an export, under their own `$id`s, or none."""
    sent = call.body
    if not isinstance(sent, list) or not sent or too_deep(sent) or not all(isinstance(one, dict) for one in sent):
        _refuse(call, "The body must be an array of exported resources")
    if len(sent) > MOST:
        _refuse(call, f"At most {MOST} resources are imported at once, these are {len(sent)}")
    tenant = tenant_of(call.world.options, call.org)
    bodies = [_without_union(_replaced(one, lambda text: text.replace(PLACEHOLDER, tenant))) for one in sent]
    ids = [_checked_id(call, body, tenant) for body in bodies]
    if len(set(ids)) < len(ids):
        _refuse(call, "$id must be unique. One is there twice in the body")
    stored = look_up_in(call.world, call.sandbox)
    made: dict[str, Json] = {}
    titles: dict[str, str] = {}
    for body in _ordered(bodies):
        id, title = body["$id"], body.get("title")
        if stored(id) is not None:
            _refuse(call, f"$id must be unique. An object {id} already exists")
        owner = titles.get(str(title)) or title_owner(str(title), call)
        if owner is not None:
            _refuse(call, f"Title must be unique. An object {owner} already exists with the same title")
        kind = kind_of(id)
        made[id] = compose(kind, body, call, id=id, look_up=lambda ref: made.get(ref) or stored(ref))
        titles[str(title)] = id
    for id, resource in made.items():
        call.world.store.put(kind_of(id), call.sandbox, id, resource)
        note_change(call, None, resource)
    return json_response(200, list(made.values()))


def _exported(resource: Json, tenant: str) -> Json:
    """What leaves the sandbox: nothing of it, of its organisation or of the union there, and no tenant id."""
    kept = _without_union({key: value for key, value in resource.items() if key not in OF_THE_PLACE})
    token = re.compile(rf"(?<=/){re.escape(tenant)}(?=/)|(?<=_){re.escape(tenant)}(?![A-Za-z0-9-])")
    exported: Json = _replaced(kept, lambda text: token.sub(PLACEHOLDER, text))
    return exported


def _without_union(resource: Json) -> Json:
    """The same outside of any union: its identities are descriptors, which are not exported with it."""
    tags = resource.get(TAGS)
    if not isinstance(tags, list) or UNION not in tags:
        return resource
    return {**resource, TAGS: [tag for tag in tags if tag != UNION]}


def _replaced(node: Any, change: Callable[[str], str], key: str = "") -> Any:
    """A copy with `change` done to each key and each text but titles and descriptions."""
    if isinstance(node, dict):
        return {change(name): _replaced(value, change, name) for name, value in node.items()}
    if isinstance(node, list):
        return [_replaced(entry, change, key) for entry in node]
    return change(node) if isinstance(node, str) and key not in PEOPLE_WORDS else node


def _ordered(resources: list[Json]) -> list[Json]:
    """Each resource after those that it refers to."""
    waiting = {str(one["$id"]): one for one in resources}
    needs = {id: {ref.partition("#")[0] for ref in references(one)} & waiting.keys() for id, one in waiting.items()}
    ordered: list[Json] = []
    while waiting:
        ready = [id for id in waiting if not (needs[id] - {id}) & waiting.keys()] or list(waiting)
        ordered += [waiting.pop(id) for id in ready]
    return ordered


def _checked_id(call: Call, body: Json, tenant: str) -> str:
    """The `$id` of a resource to import. Raises Refused when it is none of this tenant's, or not of its kind."""
    id, named = body.get("$id"), body.get("meta:resourceType")
    parts = id.removeprefix("https://ns.adobe.com/").split("/") if isinstance(id, str) else []
    is_ours = len(parts) == 3 and parts[0] == tenant and parts[1] == named and bool(LAST_PART.fullmatch(parts[2]))
    if not is_ours or named not in RESOURCE_TYPE.values():
        text = f"{id!r} is no $id of {named!r} in the tenant {tenant}: export the resource, and send what is answered"
        _refuse(call, text)
    if body.get("meta:altId", alt_id_of(str(id))) != alt_id_of(str(id)):
        _refuse(call, f"meta:altId {body['meta:altId']!r} is not that of {id}")
    return str(id)


def _refuse(call: Call, text: str) -> NoReturn:
    refuse_registry(call.world, problem.IMPORT, f"Failed to import resources. Error: {text}")


ROUTES: list[Route] = [
    ("GET", f"{BASE}/rpc/export/{{id}}", export_resource),
    ("POST", f"{BASE}/rpc/import", import_resources),
    ("POST", f"{BASE}/rpc/export", import_resources),  # where the community client sends an import
]
