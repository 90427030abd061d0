"""The registry's rules between resources: unique titles, use, change, the union tag (platform-api.md §2.5, §2.6)."""

from __future__ import annotations

from typing import Any, Final

from flowledger.emulator import registry_problem as problem
from flowledger.emulator.registry_compose import TENANT_KINDS, look_up_in
from flowledger.emulator.registry_problem import refuse_registry
from flowledger.emulator.resolve import MergeConflict, RefUnknown, fields_of, has_path, references, resolve, type_of
from flowledger.emulator.world import Call

Json = dict[str, Any]

UNION = "union"
TAGS = "meta:immutableTags"
LEAST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")  # a larger one takes fewer values
MOST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def check_title(title: str, call: Call, *, itself: str = "") -> None:
    """A title is unique across all tenant kinds of a sandbox (§9), or of an org as an option.

    Raises Refused with the `$id` of the resource that has it.
    """
    if call.late and call.world.options.racy_titles:
        return
    owner = title_owner(title, call, itself=itself)
    if owner is not None:
        refuse_registry(call.world, problem.TITLE, f"The resource {owner} already exists with the same title")


def title_owner(title: str, call: Call, *, itself: str = "") -> str | None:
    """The `$id` of another resource that has the title; None if it is free."""
    world = call.world
    for sandbox in world.options.sandboxes if world.options.titles_per_org else (call.sandbox,):
        for kind in TENANT_KINDS:
            for other in world.store.all(kind, sandbox):
                if other["title"] == title and other["$id"] != itself and other["imsOrg"] == call.org:
                    return str(other["$id"])
    return None


def check_unused(kind: str, id: str, call: Call) -> None:
    """A class or field group used by a schema, or a schema used by a dataset, stays (U6), but for `lax_delete`."""
    store, sandbox = call.world.store, call.sandbox
    if call.world.options.lax_delete:
        return
    if kind == "schemas":
        users = [f"dataset {found['id']}" for found in store.all("dataSets", sandbox) if found["schemaRef"]["id"] == id]
    elif kind == "datatypes":
        every = [found for other in TENANT_KINDS for found in store.all(other, sandbox)]
        users = [f"{found['meta:resourceType']} {found['$id']}" for found in every if id in references(found)]
    else:
        users = [f"schema {found['$id']}" for found in store.all("schemas", sandbox) if id in found["meta:extends"]]
    if users:
        refuse_registry(call.world, problem.IN_USE, f"{id} is used by {users[0]}")
    if kind == "schemas" and UNION in (store.peek(kind, sandbox, id) or {}).get(TAGS, ()):
        refuse_registry(call.world, problem.IN_USE, f"{id} is part of a union, and the union tag is permanent")


def check_additive(changed: Json, call: Call) -> None:
    """Schemas of a dataset or of a union only grow (§2.6): no field goes, changes its type or takes fewer values."""
    world = call.world
    used = {found["schemaRef"]["id"] for found in world.store.all("dataSets", call.sandbox)}
    look_up = look_up_in(world, call.sandbox)
    for schema in world.store.all("schemas", call.sandbox):
        is_near = changed["$id"] in (schema["$id"], *schema["meta:extends"])
        is_used = schema["$id"] in used or UNION in schema.get(TAGS, ())
        if not is_used or not (is_near or changed["meta:resourceType"] == "datatypes"):
            continue
        new_schema = changed if schema["$id"] == changed["$id"] else schema
        try:
            before = fields_of(resolve(schema, look_up))
        except (RefUnknown, MergeConflict):
            continue  # only after lax deletes: something it was made of is gone, and nothing more can be lost
        try:
            after = fields_of(resolve(new_schema, lambda id: changed if id == changed["$id"] else look_up(id)))
        except MergeConflict as conflict:
            refuse_registry(world, problem.MERGE, f"Schema {schema['$id']}: incompatible types at {conflict}")
        except RefUnknown as unknown:
            refuse_registry(world, problem.INVALID, f"Schema {schema['$id']}: $ref {unknown} leads back to itself")
        for path, field in before.items():
            if path not in after or type_of(after[path]) != type_of(field):
                text = f"Schema {schema['$id']} is in use and may only grow, but {path} goes or changes"
                refuse_registry(world, problem.BREAKING, text)
            if (key := _narrowed(field, after[path])) is not None:
                text = f"Schema {schema['$id']} is in use and may only grow, but {key} of {path} takes fewer values"
                refuse_registry(world, problem.BREAKING, text)


def _narrowed(before: Json, after: Json) -> str | None:
    """The key by which a field takes fewer values than before; None if it takes them all."""
    for key in (*LEAST, *MOST, "pattern", "enum"):
        old, new = before.get(key), after.get(key)
        if new is None or new == old:
            continue
        if old is None or key == "pattern":
            return key
        if key == "enum":
            is_wider = isinstance(old, list) and isinstance(new, list) and all(value in new for value in old)
        elif isinstance(old, int | float) and isinstance(new, int | float):
            is_wider = new <= old if key in LEAST else new >= old
        else:
            is_wider = False
        if not is_wider:
            return key
    return None


def check_union(kind: str, resource: Json, call: Call, *, previous: Json | None = None) -> None:
    """The `union` tag needs a primary identity or an identityMap, is for schemas only, and never goes again."""
    had = UNION in (previous or {}).get(TAGS, ())
    has = UNION in resource.get(TAGS, ())
    if had and not has:
        refuse_registry(call.world, problem.UNION_PERMANENT, f"The union tag of {resource['$id']} cannot be removed")
    if not has or had:
        return
    if kind != "schemas":
        refuse_registry(call.world, problem.UNION_ONLY_SCHEMAS, "The union tag is for schemas only")
    family = {resource["$id"], *resource["meta:extends"]}
    for found in call.world.store.all("descriptors", call.sandbox):
        is_primary = found["@type"] == "xdm:descriptorIdentity" and found.get("xdm:isPrimary") is True
        if is_primary and found["xdm:sourceSchema"] in family:
            return
    if has_path(resolve(resource, look_up_in(call.world, call.sandbox)), "identityMap"):
        return
    text = f"Schema {resource['$id']} has neither a primary identity nor an identityMap; the union tag needs one"
    refuse_registry(call.world, problem.UNION_IDENTITY, text)
