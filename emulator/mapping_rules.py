"""Mapping sets: both request dialects into one stored form, and what is wrong with a mapping (platform-api.md §5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NoReturn

from flowledger.emulator import expressions
from flowledger.emulator.dates import iso
from flowledger.emulator.depth import DEEPEST, too_deep
from flowledger.emulator.expressions import LONGEST, Malformed, NotComputed, attribute, parse, value_of
from flowledger.emulator.functions import Surroundings
from flowledger.emulator.identity import user_of
from flowledger.emulator.options import Options
from flowledger.emulator.paths import destination_of, resolved_schema, schema_of
from flowledger.emulator.problem import refuse, service_problem
from flowledger.emulator.resolve import has_path
from flowledger.emulator.world import Call

Json = dict[str, Any]

ATTRIBUTE: Final = "text/x.schema-path"
EXPRESSION: Final = "text/x.aep-xl"
STATIC: Final = "text/plain"
SOURCE_TYPES: Final = {  # as sent, and as stored: a set that was read may be sent back
    "ATTRIBUTE": ATTRIBUTE, "EXPRESSION": EXPRESSION, "STATIC": STATIC,
    ATTRIBUTE: ATTRIBUTE, EXPRESSION: EXPRESSION, STATIC: STATIC,
}  # fmt: skip
MEDIA_TYPE: Final = "application/vnd.adobe.xed-full+json;version={}"
REFERENCES_OWN: Final = ("allowNullValues", "inputSchema")
KEPT: Final = ("name", "description", "tags", *REFERENCES_OWN)


def bad(detail: str) -> NoReturn:
    """Stop with 400 in the emulator's shape for Conversion (U7)."""
    refuse(service_problem(400, "MAPPER-400", "Bad request", detail))


def stored_form(call: Call, *, previous: Json | None = None) -> Json:
    """The mapping set to store for a create, or for a new version of `previous`. Raises Refused with 400."""
    body = checked_set(call.body)
    world = call.world
    schema = schema_of(body)
    if schema is None:
        bad("A mapping set needs its target schema: xdmSchema, or outputSchema.schemaRef.id")
    if world.store.get("schemas", call.sandbox, schema) is None:
        bad(f"The target schema {schema} is not found in this sandbox")
    content_type = ((body.get("outputSchema") or {}).get("schemaRef") or {}).get("contentType")
    xdm_version = _version(body, content_type)
    stamps = _stamps(call, previous)
    result: Json = {
        "id": previous["id"] if previous else world.new_hex(32),
        "version": previous["version"] + 1 if previous else 0,
        **stamps,
        **{key: body[key] for key in _kept(body, world.options) if body.get(key) is not None},
        "status": "PUBLISHED",
        "strictMapping": False,
        "supportVersion": False,
        "xdmSchema": schema,
        "xdmVersion": xdm_version,
        "outputSchema": {
            "id": previous["outputSchema"]["id"] if previous else world.new_hex(32),
            "schemaRef": {
                "id": schema,
                "contentType": content_type or MEDIA_TYPE.format(xdm_version.split(".")[0]),
            },
        },
        "mappings": [_stored_mapping(mapping, world.new_hex(32), stamps) for mapping in body["mappings"]],
    }
    if "inputSchema" in result:
        result["inputSchema"] = {**result["inputSchema"], "id": world.new_hex(32)}
    return result


def stored_mapping(call: Call, *, previous: Json | None = None) -> Json:
    """The mapping to store for one that is sent alone, new or in place of `previous`. Raises Refused with 400."""
    if not isinstance(call.body, dict):
        bad("The body must be a JSON object: a mapping")
    (mapping,) = checked_set({"mappings": [call.body]})["mappings"]
    return _stored_mapping(mapping, call.world.new_hex(32), _stamps(call, previous))


def next_version(call: Call, previous: Json, mappings: list[Json]) -> Json:
    """A mapping set with other mappings, as a new version of it."""
    return {**previous, **_stamps(call, previous), "version": previous["version"] + 1, "mappings": mappings}


def _stamps(call: Call, previous: Json | None) -> Json:
    """When and by whom something was made (of something earlier: then) and changed (now)."""
    now, user = call.world.now_ms(), user_of(call.client_id)
    created = {key: previous[key] for key in ("createdDate", "createdBy")} if previous else {}
    return {"createdDate": now, "createdBy": user, **created, "modifiedDate": now, "modifiedBy": user}


def checked_set(body: Any) -> Json:
    """The body as a mapping set whose parts have the right types. Raises Refused with 400."""
    if not isinstance(body, dict) or too_deep(body):
        bad("The body must be a JSON object, not nested too deeply: a mapping set")
    mappings = body.get("mappings")
    if not isinstance(mappings, list) or not mappings or not all(isinstance(entry, dict) for entry in mappings):
        bad("A mapping set needs mappings, an array of at least one object")
    for key in ("outputSchema", "inputSchema"):
        schema = body.get(key)
        reference = schema.get("schemaRef") if isinstance(schema, dict) else None
        if not isinstance(schema, dict | None) or not isinstance(reference, dict | None):
            bad(f"{key} must be an object with a schemaRef")
        content_type = (reference or {}).get("contentType")
        if not isinstance(content_type, str | None):
            bad(f"{key}.schemaRef.contentType must be a string, not {content_type!r}")
    for number, mapping in enumerate(mappings):
        if not isinstance(source_of(mapping), str) or not source_of(mapping) or not destination_of(mapping):
            bad(f"Mapping {number} needs a source and a destination")
        if not isinstance(mapping.get("destinationXdmPath") or mapping.get("destination"), str):
            bad(f"Mapping {number}: a destination is a path, written as a string")
        if len(steps_of(destination_of(mapping))) > DEEPEST:
            bad(f"Mapping {number} has a destination of more than {DEEPEST} steps")
        if str(mapping.get("sourceType", "ATTRIBUTE")) not in SOURCE_TYPES:
            bad(f"Mapping {number} has an unknown sourceType {mapping['sourceType']!r}")
        if source_type_of(mapping) == EXPRESSION and len(source_of(mapping)) > LONGEST:
            bad(f"Mapping {number}: an expression has at most {LONGEST} characters")
    return body


def faults_of(call: Call, mapping_set: Json) -> list[list[Json]]:
    """What is wrong with each mapping, in order; [] for one that is fine."""
    resolved = _target(call, mapping_set)
    unpublished = call.world.options.unpublished_functions
    return [
        [{"errorCode": "MAPPER-400", "message": text} for text in _faults(mapping, resolved, unpublished)]
        for mapping in mapping_set["mappings"]
    ]


def previewed(call: Call, mapping_set: Json, row: Json) -> Json:
    """The row mapped: nested data, and an error for each mapping whose column became null."""
    world, resolved = call.world, _target(call, mapping_set)
    around = Surroundings(now_ms=world.now_ms(), new_uuid=world.new_uuid, row=row)
    data: Json = {}
    errors: list[Json] = []
    for mapping in mapping_set["mappings"]:
        source, destination = source_of(mapping), destination_of(mapping)
        said = next(iter(_faults(mapping, resolved, world.options.unpublished_functions)), "")
        value = None
        if not said:
            try:
                value = _shown(_mapped(source, source_type_of(mapping), around))
            except NotComputed as fault:
                said = f"{destination}: {source}: {fault}"
        if said:
            errors.append(
                {
                    "destination": destination,
                    "source": source,
                    "sourceType": source_type_of(mapping),
                    "exception": said,
                    "columnName": destination,
                }
            )
        _set(data, steps_of(destination), value)
    return {"data": data, "errors": errors}


def _target(call: Call, mapping_set: Json) -> Json | None:
    """The target schema, resolved; None when the set names none. Raises Refused with 400 when it is not there."""
    schema = schema_of(mapping_set)
    resolved = resolved_schema(call.world, call.sandbox, schema) if schema else None
    if schema and resolved is None:
        bad(f"The target schema {schema} is not found in this sandbox")
    return resolved


def source_of(mapping: Mapping[str, Any]) -> Any:
    """Where a mapping reads, from either dialect."""
    return mapping.get("sourceAttribute") or mapping.get("source")


def source_type_of(mapping: Mapping[str, Any]) -> str:
    """The stored spelling of a mapping's source type."""
    return SOURCE_TYPES[mapping.get("sourceType", "ATTRIBUTE")]


def _kept(body: Json, options: Options) -> tuple[str, ...]:
    """The free fields that stay: name, description and tags belong to the reference's dialect (U16)."""
    in_tutorial_dialect = "xdmSchema" in body
    return KEPT if options.keep_tutorial_names or not in_tutorial_dialect else REFERENCES_OWN


def _version(body: Json, content_type: Any) -> str:
    sent = body.get("xdmVersion")
    if isinstance(sent, str) and sent:
        return sent
    found = re.search(r"version=([0-9]+)(\.[0-9]+)?", content_type) if isinstance(content_type, str) else None
    return f"{found[1]}{found[2] or '.0'}" if found else "1.0"


def _stored_mapping(mapping: Json, id: str, stamps: Json) -> Json:
    source, destination = source_of(mapping), destination_of(mapping)
    return {
        "id": id,
        "version": 0,
        **stamps,
        "sourceType": source_type_of(mapping),
        "source": source,
        "sourceAttribute": source,
        "destination": destination,
        "destinationXdmPath": destination,
        "identity": bool(mapping.get("identity")),
        "identityGroup": mapping.get("identityGroup"),
        "namespaceCode": mapping.get("namespaceCode"),
        **{key: mapping[key] for key in ("name", "description") if mapping.get(key) is not None},
    }


def _faults(mapping: Json, resolved: Json | None, unpublished: bool) -> list[str]:
    """What is wrong with a mapping before there is a row: its destination, its expression. Each names both."""
    found: list[str] = []
    source, destination = source_of(mapping), destination_of(mapping)
    if resolved is not None and not has_path(resolved, destination):
        found.append(f"{destination}: {source}: the path {destination} is not in the target schema")
    if source_type_of(mapping) == EXPRESSION:
        try:
            wrong = expressions.faults_of(parse(source), unpublished=unpublished)
        except Malformed as fault:
            wrong = [str(fault)]
        found += [f"{destination}: {source}: {text}" for text in wrong]
    return found


def _mapped(source: str, source_type: str, around: Surroundings) -> Any:
    if source_type == STATIC:
        return source
    return attribute(around.row, source) if source_type == ATTRIBUTE else value_of(parse(source), around)


def _shown(value: Any) -> Any:
    """The value as JSON has it: moments as ISO 8601, numbers that no long holds as text."""
    if isinstance(value, dict):
        return {key: _shown(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shown(inner) for inner in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    return iso(value) if isinstance(value, datetime) else value


def steps_of(destination: str) -> list[str | int]:
    """The steps of a destination path: names, and numbers for `[n]`. `[*]` is the first entry of a row's array."""
    steps: list[str | int] = []
    for part in destination.split("."):
        name, *indices = part.split("[")
        steps.append(name)
        steps += [int(text[:3]) if (text := index.rstrip("]")).isdecimal() else 0 for index in indices]
    return steps


def _set(node: Any, path: list[str | int], value: Any) -> None:
    """Put the value where the path leads; what is in the way and no container of the right kind is replaced."""
    for place, step in enumerate(path):
        if isinstance(step, int):
            node.extend([None] * (step + 1 - len(node)))
        if place == len(path) - 1:
            node[step] = value
            return
        inner = node[step] if isinstance(step, int) else node.get(step)
        if isinstance(path[place + 1], int):
            inner = inner if isinstance(inner, list) else []
        else:
            inner = inner if isinstance(inner, dict) else {}
        node[step] = inner
        node = inner
