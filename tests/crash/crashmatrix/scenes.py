"""What a third party has done beside a step's object by the time it is looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from crashmatrix.styles import EFFECTS

if TYPE_CHECKING:
    from crashmatrix.world import World


def set_scene(world: World, step: str, scene: str) -> None:
    """A third party does something beside the step's object, which is there."""
    kind, store = EFFECTS[step].kind, world.emulator.world.store
    key = "$id" if kind in ("classes", "schemas", "fieldgroups") else "id"
    mine = world.emulator.objects(kind)[-1]
    world.original = str(mine[key])
    copy = orjson.loads(orjson.dumps(mine))
    copy[key] = _another_id(str(mine[key]))
    if "meta:altId" in copy:
        copy["meta:altId"] = _another_id(copy["meta:altId"])
    if scene != "other references":  # they make something of their own
        world.made_by_others[kind] += 1
        world.ids_of_others.add(str(copy[key]))
    match scene:
        case "clone, newer":
            world.emulator.options.newest_first = True
            _shift_creation(copy, 5_000)
            store.put(kind, "prod", copy[key], copy)
        case "deleted":
            # A lagging list shows what is not there any more, and not yet what is: the ghost was made first.
            _shift_creation(copy, -20_000)
            with world.emulator.world._time.as_of(world.emulator.now_ms() - 20_000):
                store.put(kind, "prod", copy[key], copy)
            store.delete(kind, "prod", copy[key])
        case "stranger":
            store.put(kind, "prod", copy[key], _renamed(copy, "somebody elses thing"))
        case "other references":
            changed = _with_other_references(orjson.loads(orjson.dumps(mine)))
            store.put(kind, "prod", str(mine[key]), changed)
        case _:
            raise AssertionError(scene)


def _another_id(id: str) -> str:
    """An id of the same form, that is not drawn by the emulator."""
    return id[:-6] + "".join("0123456789abcdef"[15 - int(char, 16)] for char in id[-6:])


def _shift_creation(copy: dict[str, Any], ms: int) -> None:
    for holder in (copy, copy.get("meta:registryMetadata", {})):
        for field in ("createdAt", "created", "createdDate", "repo:createdDate"):
            if field in holder:
                holder[field] += ms


def _renamed(copy: dict[str, Any], name: str) -> dict[str, Any]:
    for field in ("name", "title", "description"):
        if field in copy:
            copy[field] = name
    copy.pop("tags", None)
    return copy


def _with_other_references(copy: dict[str, Any]) -> dict[str, Any]:
    """The object as somebody re-pointed it: everything that it refers to is something else."""
    other = "00000000-0000-4000-a000-000000000000"
    for field in ("baseConnectionId", "xdmSchema"):
        if field in copy:
            copy[field] = other
    if "connectionSpec" in copy:
        copy["connectionSpec"] = {**copy["connectionSpec"], "id": other}
    if "sourceConnectionIds" in copy:
        copy["sourceConnectionIds"] = [other]
    if "schemaRef" in copy:
        copy["schemaRef"] = {**copy["schemaRef"], "id": other}
    if "allOf" in copy:
        record = "https://ns.adobe.com/xdm/data/record"
        copy["allOf"] = [{"$ref": record, "type": "object"}]
        copy["meta:extends"] = [record]
    if "meta:class" in copy:
        copy["meta:class"] = record
    if "meta:intendedToExtend" in copy:
        copy["meta:intendedToExtend"] = [record]
    return copy
