"""What Flow Service checks before it makes base, source and target connections (platform-api.md §4.4-§4.6).

Every check stops the call by raising Refused with the documented code: FLOW- for the 14xx and 2xxx codes,
CONNECTOR- for those of the sources catalogue (U19).
"""

from __future__ import annotations

from typing import Any

from flowledger.emulator.flow_bodies import kind_of, require
from flowledger.emulator.flow_fault import fault
from flowledger.emulator.flow_specs import DATA_LAKE_SOURCE, LANDING_ZONE, SINK
from flowledger.emulator.row_filters import FilterInvalid, filter_of
from flowledger.emulator.source_kinds import SourceKind
from flowledger.emulator.world import Call, World

TABLE_PARAMS = {"tabular": "tableName", "parquet_xdm": "path"}  # where each says its table: now, and in 2020 (§4.5)
TABLE_FORMATS = tuple(TABLE_PARAMS)
FILE_FORMATS = ("delimited", "json", "parquet")
FORMATS = (*TABLE_FORMATS, *FILE_FORMATS)


def check_connection(call: Call, body: dict[str, Any], spec: dict[str, Any]) -> None:
    """A base connection: name, and the auth that its spec asks for (§4.4)."""
    require(body, "name")
    auth, kind = body.get("auth"), kind_of(call, spec)
    if kind is None:
        if auth is not None:
            fault(400, "FLOW-1415", f"{spec['name']} takes no auth")
        return
    if not isinstance(auth, dict):
        fault(400, "CONNECTOR-1304", f"Missing mandatory parameter: auth, for {spec['name']}")
    name, params = auth.get("specName"), auth.get("params")
    chosen = next((known for known in kind.auths if known.name == name), None)
    if chosen is None:
        if not kind.open_auth or not isinstance(name, str) or not name:
            fault(400, "FLOW-1415", f"auth.specName {name!r} is not one of {spec['name']}")
        if not isinstance(params, dict) or not params or not all(isinstance(one, str) for one in params.values()):
            fault(400, "CONNECTOR-1304", "Missing mandatory parameter: auth.params must hold strings")
        return
    for param in chosen.params:
        given = params.get(param.name) if isinstance(params, dict) else None
        if param.required and not given:
            fault(400, "CONNECTOR-1304", f"Missing mandatory parameter: auth.params.{param.name}")
        if isinstance(given, dict | list):  # ports as numbers, switches as truths: nobody documents their types
            fault(400, "CONNECTOR-1000", f"auth.params.{param.name} must be one value")


def check_credentials(call: Call, spec: dict[str, Any]) -> None:
    """With the option, a base connection whose test would fail is not made (§4.4: not documented)."""
    options = call.world.options
    if options.connection_create_tested and not options.connection_test_result and kind_of(call, spec) is not None:
        fault(400, "FLOW-1100", f"{spec['name']} refused the credentials")


def check_source_connection(call: Call, body: dict[str, Any], spec: dict[str, Any]) -> None:
    """A source connection: a table in the form of 2020 or of now, a file, a resource, or a stream (§4.5, §14)."""
    kind = kind_of(call, spec)
    if kind is None:
        _check_own_source(call, body, spec)
        return
    require(body, "name", "data")
    data, params = body["data"], body.get("params")
    formats = _formats(kind)
    written = data.get("format") if isinstance(data, dict) else None
    if written not in formats and (formats or not isinstance(data, dict)):
        fault(400, "CONNECTOR-1327", f"data.format {written!r} is not supported by {spec['name']}")
    require(body, "baseConnectionId")
    base = check_base_exists(call, body)
    if not call.world.options.lax_references:
        if base["connectionSpec"]["id"] != spec["id"]:
            fault(400, "FLOW-1413", f"The base connection {base['id']} is not one of {spec['name']}")
        _check_schema(call, data)
    place = TABLE_PARAMS.get(str(written), "resourcePath" if "rest" in kind.explores else "path") if formats else ""
    named = params.get(place) if isinstance(params, dict) else None
    if place and (not isinstance(named, str) or not named):
        fault(400, "CONNECTOR-1304", f"Missing mandatory parameter: params.{place}")
    if isinstance(params, dict) and "columns" in params:
        _check_columns(params["columns"])
    if isinstance(params, dict) and "filters" in params:
        check_filters(kind, params["filters"])


def _check_own_source(call: Call, body: dict[str, Any], spec: dict[str, Any]) -> None:
    """A source that is part of the platform: datasets of the data lake, its landing zone, or the Profile store."""
    if spec["id"] == SINK:
        fault(400, "FLOW-1413", f"The data lake is a source as {DATA_LAKE_SOURCE}, not as {SINK}, which is a target")
    require(body, "name", "data")
    params, data = body.get("params"), body["data"]
    if spec["id"] == LANDING_ZONE:
        written = data.get("format") if isinstance(data, dict) else None
        if written not in FILE_FORMATS:
            fault(400, "CONNECTOR-1327", f"data.format {written!r} is not supported by {spec['name']}")
        if body.get("baseConnectionId") is not None:
            fault(400, "CONNECTOR-1332", f"A source connection of {spec['name']} has no base connection")
        if not isinstance(params, dict) or not isinstance(params.get("path"), str) or not params["path"]:
            fault(400, "CONNECTOR-1304", "Missing mandatory parameter: params.path")
        return
    if body.get("baseConnectionId") is not None:
        check_base_exists(call, body)
    if spec["id"] != DATA_LAKE_SOURCE:
        return
    listed = params.get("datasets") if isinstance(params, dict) else None
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        fault(400, "CONNECTOR-1304", "Missing mandatory parameter: params.datasets, a list of objects with dataSetId")
    for one in listed:
        data_set_of(call.world, call.sandbox, one.get("dataSetId"))


def _check_columns(columns: Any) -> None:
    """Columns as explore shows them: a name each, and no name twice. Their types are abbreviated in examples (§4.5)."""
    names = [one.get("name") for one in columns if isinstance(one, dict)] if isinstance(columns, list) else []
    if not names or len(names) != len(columns) or not all(isinstance(name, str) and name for name in names):
        fault(400, "CONNECTOR-1000", "params.columns must be a list of columns, each with its name")
    if len(set(names)) != len(names):
        fault(400, "CONNECTOR-1000", "params.columns names a column twice")


def check_filters(kind: SourceKind, filters: Any) -> None:
    """Row filters: of a kind that has them, and of a form that can be read (§4.5)."""
    if not kind.row_filters:
        fault(400, "CONNECTOR-1353", f"{kind.label} does not support row filters")
    try:
        filter_of(filters)
    except FilterInvalid as problem:
        fault(400, "CONNECTOR-1000", f"filters: {problem}")


def _formats(kind: SourceKind) -> tuple[str, ...]:
    """What `data.format` may say of a kind; none: anything."""
    if "table" in kind.explores:
        return TABLE_FORMATS
    if "file" in kind.explores:
        return FILE_FORMATS
    return ("json",) if "rest" in kind.explores else ()


def check_target_connection(call: Call, body: dict[str, Any]) -> None:
    """A target connection. Its spec is judged by the flow (1307), not here: the tutorial's wrong one is taken (T1)."""
    require(body, "data")
    data, params = body["data"], body.get("params")
    if not isinstance(data, dict):
        fault(400, "CONNECTOR-1304", "Missing mandatory parameter: data")
    if "format" in data and data["format"] not in FORMATS:
        fault(400, "CONNECTOR-1327", f"data.format {data['format']!r} is not supported")
    if body.get("baseConnectionId") is not None:
        check_base_exists(call, body)
    schema = None if call.world.options.lax_references else _check_schema(call, data)
    data_set_id = params.get("dataSetId") if isinstance(params, dict) else None
    if data_set_id is None or call.world.options.lax_target_dataset:
        return
    data_set = data_set_of(call.world, call.sandbox, data_set_id)
    if schema is not None and schema != data_set["schemaRef"]["id"]:
        fault(400, "CONNECTOR-1000", f"data.schema.id {schema} is not the schema of the data set {data_set_id}")


def _check_schema(call: Call, data: dict[str, Any]) -> str | None:
    """The id of the schema that `data` names, if it names one: that must be one of this sandbox."""
    schema = data.get("schema")
    if schema is None:
        return None
    id = schema.get("id") if isinstance(schema, dict) else None
    if not isinstance(id, str) or call.world.store.peek("schemas", call.sandbox, id) is None:
        fault(400, "CONNECTOR-1000", f"data.schema.id {id!r} is no schema of this sandbox")
    return id


def check_base_exists(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """The base connection, which must be one of this sandbox."""
    base = body.get("baseConnectionId")
    found = call.world.store.peek("connections", call.sandbox, base) if isinstance(base, str) else None
    if found is None:
        fault(404, "FLOW-1439", f"connections not found with id = [{base}]")
    return found


def data_set_of(world: World, sandbox: str, data_set_id: Any) -> dict[str, Any]:
    """The data set of that id in the sandbox. Raises Refused (U11)."""
    found = world.store.peek("dataSets", sandbox, data_set_id) if isinstance(data_set_id, str) else None
    if found is None:
        fault(400, "CONNECTOR-1325", f"There is no data set {data_set_id!r} in this sandbox")
    return found
