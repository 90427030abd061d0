"""From a body as it was sent to a resource as the registry stores it (platform-api.md §2.4, §2.5)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

from flowledger.emulator import registry_problem as problem
from flowledger.emulator import xdm
from flowledger.emulator.depth import too_deep
from flowledger.emulator.identity import sandbox_id, sandbox_type, tenant_of, user_of
from flowledger.emulator.registry_problem import refuse_registry
from flowledger.emulator.resolve import LookUp, MergeConflict, RefUnknown, references, resolve
from flowledger.emulator.world import Call, World

Json = dict[str, Any]

TENANT_KINDS: Final = ("classes", "schemas", "fieldgroups", "datatypes")
RESOURCE_TYPE: Final = {"classes": "classes", "schemas": "schemas", "fieldgroups": "mixins", "datatypes": "datatypes"}
CUSTOM_NAME: Final = re.compile(r"[A-Za-z0-9-][A-Za-z0-9_-]*")
NAMES_RULE: Final = "names are of letters, digits, - and _, and do not start with _"
LARGEST_INT: Final = 2**31
XDM_TYPES: Final = {"string", "integer", "number", "boolean", "object", "array"}
SERVERS_OWN: Final = frozenset(  # whatever a body says of these, the server says again
    {
        "$id",
        "meta:altId",
        "meta:resourceType",
        "version",
        "refs",
        "imsOrg",
        "meta:extensible",
        "meta:abstract",
        "meta:extends",
        "meta:xdmType",
        "meta:registryMetadata",
        "meta:class",
        "meta:containerId",
        "meta:tenantNamespace",
        "meta:sandboxId",
        "meta:sandboxType",
        "meta:datasetNamespace",
        "$schema",
    }
)


def look_up_in(world: World, sandbox: str) -> LookUp:
    """How references are followed in a sandbox: Adobe's resources first, then its own."""

    def look_up(id: str) -> Json | None:
        found = xdm.global_resource(id)
        if found is not None:
            return found
        kind = kind_of(id)
        return world.store.get(kind, sandbox, id) if kind in TENANT_KINDS else None

    return look_up


def kind_of(id: str) -> str:
    """The kind that the `$id` of a tenant's resource names; "" if it names none."""
    kind = id.rsplit("/", 2)[-2] if id.count("/") > 2 else ""
    return "fieldgroups" if kind == "mixins" else kind


def compose(
    kind: str, body: Any, call: Call, *, previous: Json | None = None, id: str = "", look_up: LookUp | None = None
) -> Json:
    """The resource to store for a create, or for a change of `previous`.

    An import says the `$id`, and how references are followed to what it makes with it. Raises Refused with the
    documented code.
    """
    world = call.world
    _check_form(kind, body, world)
    tenant = tenant_of(world.options, call.org)
    look_up = look_up or look_up_in(world, call.sandbox)
    digits = 32 if world.options.short_registry_ids else 48
    fresh = f"https://ns.adobe.com/{tenant}/{RESOURCE_TYPE[kind]}/{world.new_hex(digits)}"
    id = previous["$id"] if previous else id or fresh
    own_namespace = "_" + id.rsplit("/", 1)[1]

    base = _base(kind, body, look_up, world)
    is_adhoc = base is not None and base["$id"] == xdm.ADHOC
    _check_namespace(kind, body, own_namespace if is_adhoc else f"_{tenant}", is_adhoc, world)
    sent = {key: value for key, value in body.items() if key not in SERVERS_OWN}
    resource: Json = {"$id": id, "meta:altId": alt_id_of(id), "meta:resourceType": RESOURCE_TYPE[kind], **sent}
    resource.setdefault("type", "object")  # clients in use leave it out (§2.5)
    renamed_to = own_namespace if is_adhoc else ""
    if "allOf" in body:
        resource["allOf"] = _parts(body["allOf"], renamed_to, world)
    if "properties" in body:
        resource["properties"] = _part({"properties": body["properties"]}, renamed_to, world)["properties"]
    if "definitions" in resource:
        resource["definitions"] = {name: _part(node, "", world) for name, node in body["definitions"].items()}
    _check_references(resource, look_up, world)

    resource["imsOrg"] = call.org
    resource["meta:extensible"] = resource["meta:abstract"] = kind != "schemas"
    resource["meta:extends"] = _closure(resource, look_up)
    resource["meta:xdmType"] = "object"
    if kind == "schemas" and base is not None:
        refs = [part["$ref"] for part in resource["allOf"] if "$ref" in part]
        resource["refs"] = list(dict.fromkeys(refs))
        resource["meta:class"] = base["$id"]
        _check_compatible(refs, base, look_up, world)
        if "meta:datasetNamespace" in base:
            resource["meta:datasetNamespace"] = base["meta:datasetNamespace"]
    if is_adhoc:
        resource["meta:datasetNamespace"] = own_namespace
    try:
        resolve(resource, look_up)
    except MergeConflict as conflict:
        refuse_registry(world, problem.MERGE, f"Incompatible types are merged at {conflict}")
    except RefUnknown as unknown:
        refuse_registry(world, problem.INVALID, f"$ref {unknown} leads nowhere, or back to itself")
    resource["meta:containerId"] = "tenant"
    resource["meta:tenantNamespace"] = f"_{tenant}"
    resource["meta:sandboxId"] = sandbox_id(call.sandbox)
    resource["meta:sandboxType"] = sandbox_type(world.options, call.sandbox)
    return _stamped(resource, call, previous)


def alt_id_of(id: str) -> str:
    """`https://ns.adobe.com/TENANT/schemas/<hex>` -> `_TENANT.schemas.<hex>`."""
    return "_" + id.removeprefix("https://ns.adobe.com/").replace("/", ".")


def id_of(alt_id: str) -> str:
    """The `$id` that an id in a path means, whichever of its two spellings it has (§2)."""
    if alt_id.startswith("_"):
        return "https://ns.adobe.com/" + alt_id[1:].replace(".", "/")
    return alt_id


def _check_form(kind: str, body: Any, world: World) -> None:
    if not isinstance(body, dict) or too_deep(body):
        refuse_registry(world, problem.INVALID, "The body must be a JSON object, not nested too deeply")
    if not isinstance(body.get("title"), str) or not body["title"].strip():
        refuse_registry(world, problem.INVALID, "The resource needs a title")
    if body.get("type", "object") != "object":
        refuse_registry(world, problem.INVALID, 'The type of a resource is "object"')
    parts = body.get("allOf")
    if kind == "datatypes" and parts is None and isinstance(body.get("properties"), dict):
        parts = [{}]  # a data type may say its properties without any part
    if not isinstance(parts, list) or not parts or not all(isinstance(part, dict) for part in parts):
        refuse_registry(world, problem.INVALID, "The resource needs allOf, an array of at least one object")
    definitions = body.get("definitions", {})
    if not isinstance(definitions, dict) or not all(isinstance(node, dict) for node in definitions.values()):
        refuse_registry(world, problem.INVALID, "definitions must be an object of objects")
    tags = body.get("meta:immutableTags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        refuse_registry(world, problem.INVALID, "meta:immutableTags must be an array of strings")
    if kind == "fieldgroups":
        extends = body.get("meta:intendedToExtend")
        if not isinstance(extends, list) or not all(isinstance(entry, str) for entry in extends):
            refuse_registry(world, problem.INVALID, "A field group needs meta:intendedToExtend: the classes it is for")


def _base(kind: str, body: Json, look_up: LookUp, world: World) -> Json | None:
    """The one behaviour of a class, or the one class of a schema. A field group has none."""
    wanted = {"classes": "behaviors", "schemas": "classes"}.get(kind)
    if wanted is None:
        return None
    refs = [part["$ref"] for part in body["allOf"] if isinstance(part.get("$ref"), str)]
    found = [resource for ref in dict.fromkeys(refs) if (resource := look_up(ref)) is not None]
    unknown = [ref for ref in refs if not ref.startswith("#/") and look_up(ref) is None]
    if unknown:
        refuse_registry(world, problem.INVALID, f"$ref {unknown[0]} is not known")
    bases = [resource for resource in found if resource["meta:resourceType"] == wanted]
    if len(bases) != 1:
        what = "behaviour" if kind == "classes" else "class"
        refuse_registry(world, problem.INVALID, f"allOf must name exactly one {what}, found {len(bases)}")
    return bases[0]


def _check_namespace(kind: str, body: Json, namespace: str, is_adhoc: bool, world: World) -> None:
    nodes = [body, *body.get("definitions", {}).values()]
    for name, field in (pair for node in nodes for pair in _fields(node)):
        if kind == "schemas":
            text = f"Field {name} is defined in the schema itself: custom fields belong in a field group"
            refuse_registry(world, problem.NAMESPACE, text)
        if kind == "datatypes":
            if not CUSTOM_NAME.fullmatch(name):
                refuse_registry(world, problem.INVALID, f"Field {name}: {NAMES_RULE}")
            _check_names(field, name, world)
            continue
        if is_adhoc and name not in ("_adhoc", namespace):
            text = f"Field {name} lies outside _adhoc, where the fields of an ad hoc class belong"
            refuse_registry(world, problem.OUTSIDE_DATASET_NAMESPACE, text)
        if not is_adhoc:
            if name != namespace:
                refuse_registry(world, problem.NAMESPACE, f"Field {name} lies outside the tenant namespace {namespace}")
            _check_names(field, name, world)


def _fields(node: Json) -> Iterator[tuple[str, Any]]:
    """Every field that a node puts at the top level of the resource."""
    if isinstance(node.get("properties"), dict):
        yield from node["properties"].items()
    for part in node["allOf"] if isinstance(node.get("allOf"), list) else ():
        if isinstance(part, dict):
            yield from _fields(part)


def _check_names(field: Any, path: str, world: World) -> None:
    if isinstance(field, dict) and isinstance(field.get("properties"), dict):
        for name, inner in field["properties"].items():
            if not CUSTOM_NAME.fullmatch(name):
                refuse_registry(world, problem.INVALID, f"Field {path}.{name}: {NAMES_RULE}")
            _check_names(inner, f"{path}.{name}", world)


def _parts(parts: Any, own_namespace: str, world: World) -> list[Json]:
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        refuse_registry(world, problem.INVALID, "allOf must be an array of objects")
    return [_part(part, own_namespace, world) for part in parts]


def _part(part: Json, own_namespace: str, world: World) -> Json:
    """One entry of allOf or definitions, every node typed, and `_adhoc` renamed to the class's own namespace."""
    _check_ref(part, world)
    typed: Json = dict(part)
    if "properties" in part:
        properties = part["properties"]
        if not isinstance(properties, dict):
            refuse_registry(world, problem.INVALID, "properties must be an object")
        typed["properties"] = {
            own_namespace if own_namespace and name == "_adhoc" else name: _typed(field, name, world)
            for name, field in properties.items()
        }
    if "allOf" in part:
        typed["allOf"] = _parts(part["allOf"], own_namespace, world)
    elif "properties" not in part and "$ref" not in part:
        refuse_registry(world, problem.INVALID, "Each part of allOf needs $ref or properties")
    return {**typed, "type": "object", "meta:xdmType": "object"}


def _typed(field: Any, path: str, world: World) -> Json:
    if not isinstance(field, dict):
        refuse_registry(world, problem.INVALID, f"Field {path} must be an object")
    _check_ref(field, world)
    typed: Json = dict(field)
    if "properties" in field:
        if not isinstance(field["properties"], dict):
            refuse_registry(world, problem.INVALID, f"Field {path}: properties must be an object")
        inner = field["properties"].items()
        typed["properties"] = {name: _typed(node, f"{path}.{name}", world) for name, node in inner}
    if "allOf" in field:
        typed["allOf"] = _parts(field["allOf"], "", world)
    kind = field.get("type", "object" if {"properties", "$ref", "allOf"} & field.keys() else None)
    if not isinstance(kind, str) or kind not in XDM_TYPES:
        refuse_registry(world, problem.INVALID, f"Field {path} has no known type: {kind!r}")
    if kind == "array":
        typed["items"] = _typed(field.get("items"), f"{path}[]", world)
    return {**typed, "type": kind, "meta:xdmType": _xdm_type(kind, field)}


def _check_ref(node: Json, world: World) -> None:
    if not isinstance(node.get("$ref", ""), str):
        refuse_registry(world, problem.INVALID, f"$ref must be a string, not {node['$ref']!r}")


def _xdm_type(kind: str, field: Json) -> str:
    if kind == "string":
        return str(field["format"]) if field.get("format") in ("date", "date-time") else "string"
    if kind == "integer":
        bounds = [bound for bound in (field.get("minimum"), field.get("maximum")) if isinstance(bound, int | float)]
        return "long" if any(abs(bound) > LARGEST_INT for bound in bounds) else "int"
    return kind


def _check_references(resource: Json, look_up: LookUp, world: World) -> None:
    for ref in references({key: resource.get(key) for key in ("allOf", "definitions", "properties")}):
        if not ref.startswith("#/") and look_up(ref) is None:
            refuse_registry(world, problem.INVALID, f"$ref {ref} is not known")


def _check_compatible(refs: list[str], base: Json, look_up: LookUp, world: World) -> None:
    family = {base["$id"], *base.get("meta:extends", ())}
    for ref in dict.fromkeys(refs):
        resource = look_up(ref)
        if ref == base["$id"] or resource is None:
            continue
        if resource["meta:resourceType"] != "mixins":
            refuse_registry(world, problem.INVALID, f"{ref} is no field group")
        intended = set(resource.get("meta:intendedToExtend", ()))
        if intended and not family & intended:  # none are named in exports and by IdentityMap: it is for any (§2.8)
            text = f"Field group {ref} is not meant for class {base['$id']} (meta:intendedToExtend)"
            refuse_registry(world, problem.INVALID, text)


def _closure(resource: Json, look_up: LookUp) -> list[str]:
    """Everything that the parts of allOf extend, directly or through others."""
    found: dict[str, None] = {}
    for part in resource.get("allOf", ()):
        ref = part.get("$ref", "#/")
        target = None if ref.startswith("#/") else look_up(ref)
        if target is not None:
            found[ref] = None
            found.update(dict.fromkeys(target.get("meta:extends", ())))
    return list(found)


def _stamped(resource: Json, call: Call, previous: Json | None) -> Json:
    now, user = call.world.now_ms(), user_of(call.client_id)
    before = previous["meta:registryMetadata"] if previous else {}
    minor = int(previous["version"].split(".")[1]) + 1 if previous else 0
    resource["version"] = f"1.{minor}"
    etag = hashlib.sha256(orjson.dumps([resource, now], option=orjson.OPT_SORT_KEYS)).hexdigest()
    resource["meta:registryMetadata"] = {
        "repo:createdDate": before.get("repo:createdDate", now),
        "repo:lastModifiedDate": now,
        "xdm:createdClientId": before.get("xdm:createdClientId", call.client_id),
        "xdm:lastModifiedClientId": call.client_id,
        "xdm:createdUserId": before.get("xdm:createdUserId", user),
        "xdm:lastModifiedUserId": user,
        "eTag": etag,
    }
    return resource
