"""What every body that Flow Service is sent must have right: an object, a known spec, a supported mode (§4.1-§4.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flowledger.emulator.flow_fault import fault
from flowledger.emulator.flow_specs import catalogue_of
from flowledger.emulator.source_kinds import SourceKind
from flowledger.emulator.world import Call


def body_of(call: Call) -> dict[str, Any]:
    """The JSON object of a create. Raises Refused when there is none, or when it sets the state itself."""
    body = call.body
    if not isinstance(body, dict) or not body:
        fault(400, "FLOW-1405", "The request body is empty or is no JSON object")
    if "state" in body:
        fault(400, "FLOW-1410", "state cannot be set by the caller")
    for name in ("name", "description"):
        if name in body and not isinstance(body[name], str | None):
            fault(400, "CONNECTOR-1000", f"{name} must be a string")
    return body


def wants_draft(call: Call, spec: dict[str, Any]) -> bool:
    """Whether `?mode=draft` asks for a draft. Raises Refused when the spec does not support it (§4.2)."""
    mode = call.request.first("mode")
    if mode is None:
        return False
    if mode != "draft" or not spec.get("attributes", {}).get("isDraftModeSupported"):
        fault(400, "CONNECTOR-1368", f"The mode {mode!r} is not supported for {spec['name']}")
    return True


def connection_spec_of(call: Call, body: dict[str, Any], *, version_required: bool = True) -> dict[str, Any]:
    """The connection spec that the body names. Raises Refused.

    The reference asks connections and source connections for its version. In a target connection it may be absent
    (`version_required=False`): the latest is meant, and written into the body.
    """
    specs = catalogue_of(call.world.options).connection_specs
    return _spec_of(body, "connectionSpec", specs, version_required=version_required)


def flow_spec_of(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """The flow spec that the body names. Raises Refused. Without a version the latest is meant, and written into it."""
    return _spec_of(body, "flowSpec", catalogue_of(call.world.options).flow_specs, version_required=False)


def kind_of(call: Call, spec: dict[str, Any]) -> SourceKind | None:
    """The source kind of a connection spec; None for the platform's own: data lake and Profile store."""
    return catalogue_of(call.world.options).kinds.get(spec["id"])


def _spec_of(
    body: dict[str, Any], field: str, specs: Mapping[str, dict[str, Any]], *, version_required: bool
) -> dict[str, Any]:
    named = body.get(field)
    spec_id = named.get("id") if isinstance(named, dict) else None
    found = specs.get(spec_id) if isinstance(spec_id, str) else None
    if found is None:
        fault(400, "FLOW-1413", f"Please provide a valid spec id: {field}.id is {spec_id!r}")
    version = named.get("version") if isinstance(named, dict) else None
    if version is None and not version_required:
        body[field] = {**body[field], "version": found["version"]}
        return found
    if version is None:
        fault(400, "CONNECTOR-1304", f"Missing mandatory parameter: {field}.version")
    if version != found["version"]:
        fault(400, "FLOW-1413", f"{field}.version {version!r} does not exist for {spec_id}")
    return found


def require(body: dict[str, Any], *names: str) -> None:
    """Raises Refused with 1304 when the body lacks one of these."""
    for name in names:
        if body.get(name) in (None, ""):
            fault(400, "CONNECTOR-1304", f"Missing mandatory parameter: {name}")


def whole_number(value: Any, *, strings: bool = True) -> int | None:
    """An integer, or (with `strings`) the integer that a string of digits says; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():  # 30.0 is whole too, in JSON
        return int(value)
    if strings and isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value, re.ASCII):
        return int(value)
    return None
