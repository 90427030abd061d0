"""What Flow Service checks before it creates connections and flows, as platform-api.md §4.4-§4.7 lists it.

Every check stops the call by raising Refused with the documented code: FLOW- for the 14xx and 2xxx codes,
CONNECTOR- for those of the sources catalogue (U19).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NoReturn

from flowledger.emulator.flow_specs import SINK, connection_specs, flow_specs
from flowledger.emulator.paths import unknown_destinations
from flowledger.emulator.problem import flow_problem, refuse
from flowledger.emulator.world import Call, World

FREQUENCIES = ("once", "minute", "hour", "day", "week")
TABLE_FORMATS = ("tabular", "parquet_xdm")  # now, and in 2020 (§4.5)
FORMATS = (*TABLE_FORMATS, "delimited", "json", "parquet")
SECRET_NAMES = re.compile(r"secret|password|token|key|connectionstring|clientid|sas|credential", re.IGNORECASE)
PLACEHOLDER = "xxxx"  # what stands for a secret in every answer
MAJOR = re.compile(r"(?:version=)?(\d+)(?:\.\d+)*\s*$")


def fault(status: int, code: str, text: str) -> NoReturn:
    """Refuse with a Flow Service body; `code` with its prefix, without the status: "FLOW-1413"."""
    refuse(flow_problem(status, f"{code}-{status}", TITLES.get(code, "Bad request"), text))


TITLES = {
    "FLOW-1405": "Request body is empty",
    "FLOW-1410": "State cannot be set",
    "FLOW-1412": "Invalid mapping version",
    "FLOW-1413": "Invalid spec id",
    "FLOW-1415": "Invalid auth spec name",
    "FLOW-1419": "Invalid mapping",
    "FLOW-1425": "Schema mismatch",
    "FLOW-1439": "Resource not found",
    "CONNECTOR-1304": "Missing mandatory parameter",
    "CONNECTOR-1307": "Invalid target connection spec",
    "CONNECTOR-1325": "Invalid data set id",
    "CONNECTOR-1360": "Invalid start time",
    "CONNECTOR-1368": "Mode not supported",
}


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


def connection_spec_of(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """The connection spec that the body names. Raises Refused."""
    named = body.get("connectionSpec")
    specs = connection_specs(drafts=call.world.options.draft_mode_supported)
    return _spec_of(named, specs, "connectionSpec")


def flow_spec_of(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """The flow spec that the body names. Raises Refused."""
    return _spec_of(body.get("flowSpec"), flow_specs(drafts=call.world.options.draft_mode_supported), "flowSpec")


def _spec_of(named: Any, specs: list[dict[str, Any]], field: str) -> dict[str, Any]:
    spec_id = named.get("id") if isinstance(named, dict) else None
    found = next((spec for spec in specs if spec["id"] == spec_id), None)
    if found is None:
        fault(400, "FLOW-1413", f"Please provide a valid spec id: {field}.id is {spec_id!r}")
    if isinstance(named, dict) and str(named.get("version", "1.0")) != found["version"]:
        fault(400, "FLOW-1413", f"{field}.version {named.get('version')!r} does not exist for {spec_id}")
    return found


def check_connection(body: dict[str, Any], spec: dict[str, Any]) -> None:
    """A base connection: name, and the auth that its spec asks for (§4.4)."""
    _require(body, "name")
    auth, auth_specs = body.get("auth"), spec["authSpec"]
    if not auth_specs:
        if auth is not None:
            fault(400, "FLOW-1415", f"{spec['name']} takes no auth")
        return
    if not isinstance(auth, dict):
        fault(400, "CONNECTOR-1304", f"Missing mandatory parameter: auth, for {spec['name']}")
    chosen = next((known for known in auth_specs if known["name"] == auth.get("specName")), None)
    if chosen is None:
        fault(400, "FLOW-1415", f"auth.specName {auth.get('specName')!r} is not one of {spec['name']}")
    params = auth.get("params")
    for name in chosen["spec"]["required"]:
        if not isinstance(params, dict) or not params.get(name):
            fault(400, "CONNECTOR-1304", f"Missing mandatory parameter: auth.params.{name}")


def without_secrets(body: dict[str, Any]) -> dict[str, Any]:
    """The body with a placeholder for each secret of `auth.params`: they are never kept, so never echoed."""
    auth = body.get("auth")
    if not isinstance(auth, dict):
        return body
    return {**body, "auth": _hidden(auth)}


def patch_without_secrets(operations: list[Any]) -> list[Any]:
    """JSON Patch operations with a placeholder for each secret that they set below `/auth`."""
    return [
        {**operation, "value": _hidden({str(operation["path"]).rpartition("/")[2]: operation["value"]}).popitem()[1]}
        if isinstance(operation, dict) and str(operation.get("path")).startswith("/auth") and "value" in operation
        else operation
        for operation in operations
    ]


def _hidden(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _hidden(value) if isinstance(value, dict) else PLACEHOLDER if SECRET_NAMES.search(name) else value
        for name, value in values.items()
    }


def check_source_connection(call: Call, body: dict[str, Any], spec: dict[str, Any]) -> None:
    """A source connection of a table-like source, in the form of 2020 or of now (§4.5)."""
    _require(body, "name", "data")
    data, params = body["data"], body.get("params")
    if not isinstance(data, dict) or data.get("format") not in TABLE_FORMATS:
        written = data.get("format") if isinstance(data, dict) else None
        fault(400, "CONNECTOR-1327", f"data.format {written!r} is not supported by {spec['name']}")
    if spec["id"] == SINK:
        fault(400, "FLOW-1413", "The data lake cannot be a source here")
    _require(body, "baseConnectionId")
    check_base_exists(call, body)
    if not isinstance(params, dict) or not (params.get("tableName") or params.get("path")):
        fault(400, "CONNECTOR-1304", "Missing mandatory parameter: params.tableName")
    if "filters" in params:
        fault(400, "CONNECTOR-1353", f"{spec['name']} does not support row filters")


def check_target_connection(call: Call, body: dict[str, Any]) -> None:
    """A target connection. Its spec is judged by the flow (1307), not here: the tutorial's wrong one is taken (T1)."""
    _require(body, "data")
    data, params = body["data"], body.get("params")
    if not isinstance(data, dict):
        fault(400, "CONNECTOR-1304", "Missing mandatory parameter: data")
    if "format" in data and data["format"] not in FORMATS:
        fault(400, "CONNECTOR-1327", f"data.format {data['format']!r} is not supported")
    if body.get("baseConnectionId") is not None:
        check_base_exists(call, body)
    data_set_id = params.get("dataSetId") if isinstance(params, dict) else None
    if data_set_id is not None:
        _data_set(call.world, call.sandbox, data_set_id)


def check_base_exists(call: Call, body: dict[str, Any]) -> None:
    """The base connection must be one of this sandbox."""
    base = body.get("baseConnectionId")
    if not isinstance(base, str) or call.world.store.get("connections", call.sandbox, base) is None:
        fault(404, "FLOW-1439", f"connections not found with id = [{base}]")


def check_flow_shape(flow: dict[str, Any]) -> None:
    """What even a draft must have right: transformations, when there are any, are objects with params."""
    listed = flow.get("transformations", [])
    if not isinstance(listed, list) or not all(
        isinstance(part, dict) and isinstance(part.get("params", {}), dict) for part in listed
    ):
        fault(400, "CONNECTOR-1000", "transformations must be a list of objects with name and params")


def check_flow(call: Call, flow: dict[str, Any], spec: dict[str, Any]) -> None:
    """Everything that §4.7 lists for a flow that is no draft, in its order."""
    check_references(call, flow, spec)
    check_schedule(call.world, flow)


def check_references(call: Call, flow: dict[str, Any], spec: dict[str, Any]) -> None:
    """The flow's connections, its data set and its mapping set (§4.7)."""
    source = _connection_of_flow(call, flow, "source")
    target = _connection_of_flow(call, flow, "target")
    if target["connectionSpec"]["id"] not in spec["targetConnectionSpecIds"]:
        fault(400, "CONNECTOR-1307", "The connection spec of the target connection must be the data lake's")
    if source["connectionSpec"]["id"] not in spec["sourceConnectionSpecIds"]:
        fault(400, "FLOW-1413", f"{spec['name']} does not take sources of this connection spec")
    params = target.get("params")
    data_set_id = params.get("dataSetId") if isinstance(params, dict) else None
    data_set = _data_set(call.world, call.sandbox, data_set_id)
    _check_mapping(call, flow, data_set)


def check_schedule(world: World, flow: dict[str, Any], *, start_may_be_past: bool = False) -> None:
    """Schedule and delta column (§4.7, §11). Strings of digits count as numbers (U26)."""
    schedule = flow.get("scheduleParams")
    if not isinstance(schedule, dict) or not schedule:
        fault(400, "CONNECTOR-1317", "scheduleParams is empty")
    frequency = schedule.get("frequency")
    if frequency not in FREQUENCIES:
        fault(400, "CONNECTOR-1397", f"frequency must be one of {', '.join(FREQUENCIES)}, not {frequency!r}")
    start = whole_number(schedule.get("startTime"))
    if start is None:
        fault(400, "CONNECTOR-1317", "startTime must be a whole number of seconds since the epoch")
    if start * 1000 < world.now_ms() and not start_may_be_past:
        fault(400, "CONNECTOR-1360", f"startTime {start} has passed")
    if frequency == "once":
        if "interval" in schedule:
            fault(400, "CONNECTOR-1361", "interval cannot be given when the frequency is once")
        if "backfill" in schedule:
            fault(400, "CONNECTOR-1364", "backfill cannot be given when the frequency is once")
    else:
        interval = whole_number(schedule.get("interval"))
        smallest = 15 if frequency == "minute" else 1
        if interval is None or interval < smallest:
            fault(400, "CONNECTOR-1362", f"interval must be at least {smallest} when the frequency is {frequency}")
    delta = _params_of(flow, "Copy").get("deltaColumn")
    has_delta = isinstance(delta, dict) and bool(delta.get("name"))
    if frequency == "once" and has_delta:
        fault(400, "CONNECTOR-1369", "A delta column cannot be given when the frequency is once")
    if frequency != "once" and not has_delta:
        fault(400, "CONNECTOR-1367", "A periodic flow needs a delta column in its Copy transformation")


def whole_number(value: Any) -> int | None:
    """An integer, or the integer that a string of digits says; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value, re.ASCII):
        return int(value)
    return None


def connections_of(flow: dict[str, Any], side: str) -> list[str]:
    """The ids of a flow's source or target connections; a draft may hold anything in their place."""
    ids = flow.get(f"{side}ConnectionIds")
    return [one for one in ids if isinstance(one, str)] if isinstance(ids, list) else []


def _require(body: dict[str, Any], *names: str) -> None:
    for name in names:
        if body.get(name) in (None, ""):
            fault(400, "CONNECTOR-1304", f"Missing mandatory parameter: {name}")


CONNECTION_CODES = {  # missing list, missing id or object
    "source": ("CONNECTOR-1338", "CONNECTOR-1320"),
    "target": ("CONNECTOR-1324", "CONNECTOR-1322"),
}


def _connection_of_flow(call: Call, flow: dict[str, Any], side: str) -> dict[str, Any]:
    """The one source or target connection of a flow."""
    none_given, not_there = CONNECTION_CODES[side]
    ids = flow.get(f"{side}ConnectionIds")
    if not isinstance(ids, list) or not ids:
        fault(400, none_given, f"{side}ConnectionIds is missing or empty")
    if len(ids) > 1:
        fault(400, "CONNECTOR-1321", f"exactly one {side} connection is supported, not {len(ids)}")
    wanted = ids[0]
    if not isinstance(wanted, str) or not wanted:
        fault(400, not_there, f"{side}ConnectionIds holds a null or empty id")
    found = call.world.store.get(f"{side}Connections", call.sandbox, wanted)
    if found is None:
        fault(400, not_there, f"{side}Connections not found with id = [{wanted}]")
    return found


def _data_set(world: World, sandbox: str, data_set_id: Any) -> dict[str, Any]:
    found = world.store.get("dataSets", sandbox, data_set_id) if isinstance(data_set_id, str) else None
    if found is None:
        fault(400, "CONNECTOR-1325", f"There is no data set {data_set_id!r} in this sandbox")
    return found


def _check_mapping(call: Call, flow: dict[str, Any], data_set: dict[str, Any]) -> None:
    names = [part.get("name") for part in _transformations(flow)]
    if "Mapping" not in names:
        fault(400, "CONNECTOR-1328", "The flow has no Mapping transformation")
    params = _params_of(flow, "Mapping")
    mapping_id = params.get("mappingId")
    if not isinstance(mapping_id, str) or not mapping_id:
        fault(400, "CONNECTOR-1370", "The Mapping transformation names no mappingId")
    mapping_set = _mapping_set(call, mapping_id, params.get("mappingVersion"))
    mapped, kept = _schema_of_mapping_set(mapping_set), _schema_of_data_set(data_set)
    if mapped[0] != kept[0] or (mapped[1] and kept[1] and mapped[1] != kept[1]):
        text = (
            f"The mapping set maps to {mapped[0]} version {mapped[1]}, the data set keeps {kept[0]} version {kept[1]}"
        )
        fault(400, "FLOW-1425", text)
    unknown = unknown_destinations(call.world, call.sandbox, mapping_set)
    if unknown:
        fault(400, "FLOW-1419", f"The schema has no {', '.join(unknown)}")


def _mapping_set(call: Call, mapping_id: str, wanted: Any) -> dict[str, Any]:
    """The mapping set in the wanted version, which is compared as an integer (T12); without one, the latest."""
    store = call.world.store
    latest = store.get("mappingSets", call.sandbox, mapping_id)
    if latest is None:
        fault(400, "FLOW-1419", f"There is no mapping set {mapping_id} in this sandbox")
    if wanted is None or whole_number(wanted) == latest["version"]:
        return latest
    earlier = store.get("mappingSetVersions", call.sandbox, f"{mapping_id}/{whole_number(wanted)}")
    if earlier is None:
        fault(400, "FLOW-1412", f"The mapping set {mapping_id} has no version {wanted!r}")
    return earlier


def _schema_of_mapping_set(mapping_set: dict[str, Any]) -> tuple[str | None, str]:
    """`$id` and major version of the output schema, from either dialect (§5)."""
    reference = (mapping_set.get("outputSchema") or {}).get("schemaRef") or {}
    schema_id = mapping_set.get("xdmSchema") or reference.get("id")
    return schema_id, _major(mapping_set.get("xdmVersion") or reference.get("contentType"))


def _schema_of_data_set(data_set: dict[str, Any]) -> tuple[str | None, str]:
    reference = data_set.get("schemaRef") or {}
    return reference.get("id"), _major(reference.get("contentType"))


def _major(version: Any) -> str:
    """The major version in "1.0", "version=1" or a media type; "" when it says none."""
    found = MAJOR.search(version) if isinstance(version, str) else None
    return found[1] if found else ""


def _transformations(flow: dict[str, Any]) -> Iterable[dict[str, Any]]:
    listed = flow.get("transformations")
    return [part for part in listed if isinstance(part, dict)] if isinstance(listed, list) else []


def _params_of(flow: dict[str, Any], name: str) -> dict[str, Any]:
    found = (part.get("params") for part in _transformations(flow) if part.get("name") == name)
    params = next(found, None)
    return params if isinstance(params, dict) else {}
