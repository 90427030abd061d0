"""Which destination paths of a mapping set its target schema does not have (platform-api.md §5, FLOW-1419)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowledger.emulator.registry_compose import look_up_in
from flowledger.emulator.resolve import MergeConflict, RefUnknown, has_path, resolve
from flowledger.emulator.world import World


def schema_of(mapping_set: Mapping[str, Any]) -> str | None:
    """`$id` of the target schema, from either dialect; None when the set names none."""
    reference = (mapping_set.get("outputSchema") or {}).get("schemaRef") or {}
    found = mapping_set.get("xdmSchema") or reference.get("id")
    return found if isinstance(found, str) else None


def unknown_destinations(world: World, sandbox: str, mapping_set: Mapping[str, Any]) -> list[str]:
    """The destinations, in order, that the target schema lacks. All of them when the schema itself is gone."""
    destinations = [destination_of(mapping) for mapping in mapping_set.get("mappings") or ()]
    resolved = resolved_schema(world, sandbox, schema_of(mapping_set) or "")
    if resolved is None:
        return destinations
    return [path for path in destinations if not has_path(resolved, path)]


def resolved_schema(world: World, sandbox: str, id: str) -> dict[str, Any] | None:
    """A schema of the sandbox as `xed-full` shows it; None when it, or something it is made of, is not there."""
    schema = world.store.get("schemas", sandbox, id)
    if schema is None:
        return None
    try:
        return resolve(schema, look_up_in(world, sandbox))
    except (RefUnknown, MergeConflict):
        return None


def destination_of(mapping: Mapping[str, Any]) -> str:
    """Where a mapping writes, from either dialect."""
    return str(mapping.get("destinationXdmPath") or mapping.get("destination") or "")
