"""Resolve `$ref` and `allOf` of XDM resources into plain properties (`xed-full`), and tell the paths they have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from flowledger.emulator.xdm import global_resource

Json = dict[str, Any]
LookUp = Callable[[str], Json | None]

UNMERGED = ("allOf", "definitions", "properties", "$ref")
PEOPLE_WORDS = ("title", "description")
_NESTED = frozenset({*UNMERGED, "items"})


class RefUnknown(LookupError):
    """A `$ref` names nothing that this sandbox knows. Its text is the reference."""


class MergeConflict(ValueError):
    """Two parts give one path different types. Its text names the path and both types."""


def resolve(resource: Json, look_up: LookUp) -> Json:
    """The resource as `xed-full` shows it: `allOf` and `$ref` merged into `properties`.

    `look_up` finds a resource by `$id`. Values are shared with the resource: to be read, never changed in place.
    Raises RefUnknown and MergeConflict.
    """
    resolved = {key: value for key, value in resource.items() if key not in UNMERGED}
    resolved["properties"] = _properties(resource, resource, look_up, (str(resource.get("$id", "")),))
    required = dict.fromkeys(_required(resource, resource, look_up, (str(resource.get("$id", "")),)))
    if required:
        resolved["required"] = list(required)
    return resolved


def without_text(resource: Json) -> Json:
    """The same without titles and descriptions, at every node; fields of such names stay."""
    kept = {key: value for key, value in resource.items() if key not in PEOPLE_WORDS}
    for key in ("properties", "definitions"):
        if isinstance(kept.get(key), dict):
            kept[key] = {name: without_text(node) for name, node in kept[key].items()}
    if isinstance(kept.get("allOf"), list):
        kept["allOf"] = [without_text(part) for part in kept["allOf"]]
    if isinstance(kept.get("items"), dict):
        kept["items"] = without_text(kept["items"])
    return kept


def paths_of(resolved: Json) -> dict[str, str]:
    """Dotted path -> XDM type of every field of a resolved resource, objects and arrays included."""
    return {path: type_of(field) for path, field in fields_of(resolved).items()}


def fields_of(resolved: Json) -> dict[str, Json]:
    """Dotted path -> every field of a resolved resource, objects and arrays included."""
    return dict(_fields(resolved.get("properties", {}), ""))


def type_of(field: Json) -> str:
    """The XDM type of a resolved field."""
    return str(field.get("meta:xdmType") or field.get("type") or "object")


def leaves_of(resolved: Json) -> Json:
    """Path with slashes -> field, of every field of a resolved resource that has no fields itself (the flat form)."""
    return dict(_leaves(resolved.get("properties", {}), ""))


def has_path(resolved: Json, path: str) -> bool:
    """Whether a dotted path leads to a field. `[n]` and `[*]` after an array's name step into its items."""
    node: Any = resolved
    for part in path.split("."):
        name, _, index = part.partition("[")
        node = node.get("properties", {}).get(name) if isinstance(node, dict) else None
        if node is None:
            return False
        if node.get("type") == "array" and isinstance(node.get("items"), dict):
            node = node["items"]
        elif index:
            return False
    return True


def references(node: Any) -> Iterator[str]:
    """Every `$ref` below a node, in order, duplicates included."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            elif key not in ("meta:registryMetadata", "refs", "meta:extends"):
                yield from references(value)
    elif isinstance(node, list):
        for entry in node:
            yield from references(entry)


def _properties(node: Json, root: Json, look_up: LookUp, seen: tuple[str, ...]) -> Json:
    """The merged properties of a node: its own, those of its `$ref`, those of each part of its `allOf`."""
    merged: Json = {}
    if isinstance(node.get("$ref"), str):
        target, home, trail = _target(node["$ref"], root, look_up, seen)
        if target.get("meta:containerId") == "global":
            merged.update(_adobes_properties(target["$id"]))
        else:
            merged.update(_properties(target, home, look_up, trail))
    own = node.get("properties")
    if isinstance(own, dict):
        _merge(merged, {name: _field(field, root, look_up, seen) for name, field in own.items()}, "")
    for part in node.get("allOf") or ():
        _merge(merged, _properties(part, root, look_up, seen), "")
    return merged


def _required(node: Json, root: Json, look_up: LookUp, seen: tuple[str, ...]) -> Iterator[str]:
    """The fields that a node requires: its own, those of its `$ref`, those of each part of its `allOf`."""
    if isinstance(node.get("$ref"), str):
        target, home, trail = _target(node["$ref"], root, look_up, seen)
        yield from _required(target, home, look_up, trail)
    if isinstance(node.get("required"), list):
        yield from (name for name in node["required"] if isinstance(name, str))
    for part in node.get("allOf") or ():
        yield from _required(part, root, look_up, seen)


@cache
def _adobes_properties(id: str) -> Json:
    """The properties of a global resource: those never change, and refer to global ones only."""
    target = global_resource(id)
    if target is None:
        raise RefUnknown(id)
    return _properties(target, target, global_resource, (id,))


def _field(field: Json, root: Json, look_up: LookUp, seen: tuple[str, ...]) -> Json:
    """One field, resolved."""
    if not _NESTED & field.keys():
        return field
    kept = {key: value for key, value in field.items() if key not in UNMERGED}
    inside = _properties(field, root, look_up, seen)
    if inside or "properties" in field or "allOf" in field:
        kept.setdefault("type", "object")
        kept.setdefault("meta:xdmType", "object")
        kept["properties"] = inside
    if isinstance(kept.get("items"), dict):
        kept["items"] = _field(field["items"], root, look_up, seen)
    return kept


def _target(ref: str, root: Json, look_up: LookUp, seen: tuple[str, ...]) -> tuple[Json, Json, tuple[str, ...]]:
    """What a reference names, the resource in which that one's own references count, and the trail that led there."""
    if ref.startswith("#/"):
        node: Any = root
        for token in ref[2:].split("/"):
            node = node.get(token.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
        key = f"{root.get('$id', '')}{ref}"
        if not isinstance(node, dict) or key in seen:
            raise RefUnknown(ref)
        return node, root, (*seen, key)
    found = look_up(ref)
    if found is None or ref in seen:
        raise RefUnknown(ref)
    return found, found, (*seen, ref)


def _merge(into: Json, more: Json, path: str) -> None:
    for name, field in more.items():
        here = f"{path}{name}"
        if name not in into:
            into[name] = field
            continue
        ours, theirs = type_of(into[name]), type_of(field)
        if ours != theirs:
            raise MergeConflict(f"{here}: {ours} and {theirs}")
        if ours == "object":
            both = dict(into[name].get("properties", {}))
            _merge(both, field.get("properties", {}), f"{here}.")
            into[name] = {**into[name], "properties": both}


def _fields(properties: Json, prefix: str) -> Iterator[tuple[str, Json]]:
    for name, field in properties.items():
        yield f"{prefix}{name}", field
        inside = field.get("items", field) if field.get("type") == "array" else field
        yield from _fields(inside.get("properties", {}), f"{prefix}{name}.")


def _leaves(properties: Json, prefix: str) -> Iterator[tuple[str, Json]]:
    for name, field in properties.items():
        inside = field.get("properties")
        if isinstance(inside, dict) and inside:
            yield from _leaves(inside, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", field
