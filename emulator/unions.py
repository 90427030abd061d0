"""Union views: what all schemas of a class that carry the `union` tag have together (platform-api.md §2, §2.6)."""

from __future__ import annotations

from typing import Any, Final

from flowledger.emulator.registry_compose import alt_id_of
from flowledger.emulator.registry_rules import TAGS, UNION

Json = dict[str, Any]

SUFFIX: Final = "__union"


def unions_of(schemas: list[Json]) -> dict[str, Json]:
    """`$id` -> union view, one for each class of which a schema carries the tag. Views are computed, never kept."""
    found: dict[str, Json] = {}
    for schema in schemas:
        if UNION not in schema.get(TAGS, ()):
            continue
        id = schema["meta:class"] + SUFFIX
        view = found.setdefault(id, _empty(id, schema))
        refs = [part["$ref"] for part in view["allOf"]]
        for ref in schema["refs"]:
            if ref not in refs:
                view["allOf"].append({"$ref": ref, "type": "object", "meta:xdmType": "object"})
        view["meta:extends"] = list(dict.fromkeys([*view["meta:extends"], schema["$id"], *schema["meta:extends"]]))
        dates, newest = view["meta:registryMetadata"], schema["meta:registryMetadata"]["repo:lastModifiedDate"]
        dates["repo:lastModifiedDate"] = max(dates["repo:lastModifiedDate"], newest)
    return found


def _empty(id: str, schema: Json) -> Json:
    created = schema["meta:registryMetadata"]["repo:createdDate"]
    return {
        "$id": id,
        "meta:altId": alt_id_of(id),
        "meta:resourceType": "unions",
        "version": "1.0",
        "title": f"Union of {schema['meta:class'].rpartition('/')[2]}",
        "type": "object",
        "description": "Everything that the schemas of this class have that take part in the union.",
        "allOf": [],
        "imsOrg": schema["imsOrg"],
        "meta:class": schema["meta:class"],
        "meta:containerId": "tenant",
        "meta:extends": [],
        "meta:extensible": False,
        "meta:abstract": True,
        "meta:xdmType": "object",
        "meta:registryMetadata": {"repo:createdDate": created, "repo:lastModifiedDate": created},
    }
