"""What Flow Service checks before it makes a flow, as platform-api.md §4.7 and §11 list it.

Every check stops the call by raising Refused with the documented code: FLOW- for the 14xx and 2xxx codes,
CONNECTOR- for those of the sources catalogue (U19).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from flowledger.emulator.connection_rules import data_set_of
from flowledger.emulator.delta_columns import check_delta_column
from flowledger.emulator.flow_bodies import whole_number
from flowledger.emulator.flow_fault import fault
from flowledger.emulator.flow_specs import CRM_TO_AEP
from flowledger.emulator.paths import unknown_destinations
from flowledger.emulator.world import Call, World

FREQUENCIES = ("once", "minute", "hour", "day", "week")
SMALLEST_OF_PROSE = 15  # the guides' prose, against the flow spec's own schema (§11)
OPTION_WRAPPERS = ("options", "optionSpec")  # names that a client may try (U12)
MAJOR = re.compile(r"(?:version=)?(\d+)(?:\.\d+)*\s*$")


def check_flow_shape(call: Call, flow: dict[str, Any]) -> None:
    """What even a draft must have right: transformations and options, when there are any."""
    listed = flow.get("transformations", [])
    if not isinstance(listed, list) or not all(
        isinstance(part, dict) and isinstance(part.get("params", {}), dict) for part in listed
    ):
        fault(400, "CONNECTOR-1000", "transformations must be a list of objects with name and params")
    wrapper = call.world.options.flow_options_name
    for other in OPTION_WRAPPERS:
        if other != wrapper and other in flow:
            fault(400, "CONNECTOR-1000", f"{other} is not known; the options of a flow are in {wrapper}")
    options = flow.get(wrapper, {})
    if not isinstance(options, dict):
        fault(400, "CONNECTOR-1000", f"{wrapper} must be an object")
    if not isinstance(options.get("errorDiagnosticsEnabled", False), bool):
        fault(400, "CONNECTOR-1000", f"{wrapper}.errorDiagnosticsEnabled must be true or false")
    percent = options.get("partialIngestionPercent", 1)
    if isinstance(percent, bool) or not isinstance(percent, int | float) or percent <= 0:
        fault(400, "CONNECTOR-1000", f"{wrapper}.partialIngestionPercent must be a number above 0")


def check_flow(call: Call, flow: dict[str, Any], spec: dict[str, Any]) -> None:
    """Everything that §4.7 lists for a flow that is no draft, in its order."""
    check_references(call, flow, spec)
    check_schedule(call.world, flow, spec)


def check_references(call: Call, flow: dict[str, Any], spec: dict[str, Any]) -> None:
    """The flow's connections, its data set and its mapping set (§4.7)."""
    source = _connection_of_flow(call, flow, "source")
    target = _connection_of_flow(call, flow, "target")
    if _spec_id(target) not in spec["targetConnectionSpecIds"]:
        fault(400, "CONNECTOR-1307", "The connection spec of the target connection must be the data lake's")
    if _spec_id(source) not in spec["sourceConnectionSpecIds"]:
        fault(400, "FLOW-1413", f"{spec['name']} does not take sources of this connection spec")
    params = target.get("params")
    data_set_id = params.get("dataSetId") if isinstance(params, dict) else None
    data_set = data_set_of(call.world, call.sandbox, data_set_id)
    if "scheduleSpec" in spec or any(part.get("name") == "Mapping" for part in _transformations(flow)):
        _check_mapping(call, flow, data_set)


def check_schedule(
    world: World,
    flow: dict[str, Any],
    spec: dict[str, Any],
    *,
    start_may_be_past: bool = False,
    delta_may_be_there: bool = False,
) -> None:
    """Schedule and delta column (§4.7, §11), as far as the flow spec knows them. Strings of digits are U26.

    `delta_may_be_there`: a flow that runs once has a delta column since its first run on demand.
    """
    if "scheduleSpec" not in spec:
        return  # a stream has no schedule
    schedule = flow.get("scheduleParams")
    if not isinstance(schedule, dict) or not schedule:
        fault(400, "CONNECTOR-1317", "scheduleParams is empty")
    frequency = schedule.get("frequency")
    if frequency not in FREQUENCIES:
        fault(400, "CONNECTOR-1397", f"frequency must be one of {', '.join(FREQUENCIES)}, not {frequency!r}")
    options = world.options
    start = whole_number(schedule.get("startTime"), strings=options.numeric_strings)
    if start is None:
        fault(400, "CONNECTOR-1317", "startTime must be a whole number of seconds since the epoch")
    if start * 1000 < world.callers_now_ms() and not start_may_be_past:
        fault(400, "CONNECTOR-1360", f"startTime {start} has passed")
    end = schedule.get("endTime")
    if end is not None:
        moment = whole_number(end, strings=options.numeric_strings)
        if moment is None or moment <= start:
            text = f"endTime must be a whole number of seconds after startTime {start}, not {end!r}"
            fault(400, "CONNECTOR-1312", text)
    if frequency == "once":
        if "interval" in schedule:
            fault(400, "CONNECTOR-1361", "interval cannot be given when the frequency is once")
        if "backfill" in schedule:
            fault(400, "CONNECTOR-1364", "backfill cannot be given when the frequency is once")
    else:
        interval = whole_number(schedule.get("interval"), strings=options.numeric_strings)
        smallest = 15 if frequency == "minute" else 1
        if interval is None or interval < smallest:
            fault(400, "CONNECTOR-1362", f"interval must be at least {smallest} when the frequency is {frequency}")
        if not _is_truth(schedule.get("backfill", True), strings=options.numeric_strings):
            fault(400, "CONNECTOR-1000", f"backfill must be true or false, not {schedule['backfill']!r}")
        if options.interval_of_prose and interval < SMALLEST_OF_PROSE:
            fault(400, "CONNECTOR-1363", f"interval must be at least {SMALLEST_OF_PROSE} for every frequency")
    if spec["id"] == CRM_TO_AEP:
        _check_delta_column(flow, frequency, always=options.delta_always, may_be_there=delta_may_be_there)


def _is_truth(value: Any, *, strings: bool) -> bool:
    """Whether it says true or false; with `strings` as text too, as an example of §4.7 has it (U26)."""
    return isinstance(value, bool) or (strings and value in ("true", "false"))


def _check_delta_column(flow: dict[str, Any], frequency: str, *, always: bool, may_be_there: bool) -> None:
    has_delta, wanted = bool(delta_column_of(flow)), always or frequency != "once"
    if has_delta and not wanted and not may_be_there:
        fault(400, "CONNECTOR-1369", "A delta column cannot be given when the frequency is once")
    if wanted and not has_delta:
        flows = "A" if always else "A periodic"
        fault(400, "CONNECTOR-1367", f"{flows} flow needs a delta column in its Copy transformation")
    check_delta_column(delta_of(flow))


def delta_of(flow: dict[str, Any]) -> Any:
    """The `deltaColumn` of the flow's Copy transformation, None when there is none; a draft may hold anything there."""
    return _params_of(flow, "Copy").get("deltaColumn")


def delta_column_of(flow: dict[str, Any]) -> str:
    """The name of the delta column in the flow's Copy transformation, "" when there is none."""
    delta = delta_of(flow)
    name = delta.get("name") if isinstance(delta, dict) else None
    return str(name) if name else ""


def connections_of(flow: dict[str, Any], side: str) -> list[str]:
    """The ids of a flow's source or target connections; a draft may hold anything in their place."""
    ids = flow.get(f"{side}ConnectionIds")
    return [one for one in ids if isinstance(one, str)] if isinstance(ids, list) else []


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


def _check_mapping(call: Call, flow: dict[str, Any], data_set: dict[str, Any]) -> None:
    names = [part.get("name") for part in _transformations(flow)]
    if "Mapping" not in names:
        fault(400, "CONNECTOR-1328", "The flow has no Mapping transformation")
    params = _params_of(flow, "Mapping")
    if not params:
        fault(400, "CONNECTOR-1370", "The Mapping transformation has no params")
    mapping_id = params.get("mappingId")
    if not isinstance(mapping_id, str) or not mapping_id:
        fault(400, "CONNECTOR-1329", "The Mapping transformation names no mappingId")
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


def _spec_id(connection: dict[str, Any]) -> Any:
    """The connection spec of a connection; None in a draft that does not name it rightly."""
    named = connection.get("connectionSpec")
    return named.get("id") if isinstance(named, dict) else None


def _transformations(flow: dict[str, Any]) -> Iterable[dict[str, Any]]:
    listed = flow.get("transformations")
    return [part for part in listed if isinstance(part, dict)] if isinstance(listed, list) else []


def _params_of(flow: dict[str, Any], name: str) -> dict[str, Any]:
    found = (part.get("params") for part in _transformations(flow) if part.get("name") == name)
    params = next(found, None)
    return params if isinstance(params, dict) else {}
