"""Look into a source through its base connection: what it holds, and the first rows of it (platform-api.md §4.4)."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson

from flowledger.emulator.flow_fault import fault
from flowledger.emulator.flow_specs import catalogue_of
from flowledger.emulator.flow_state import read
from flowledger.emulator.gateway import FLOW_SERVICE
from flowledger.emulator.row_filters import FilterInvalid, RowFilter, filter_of_text
from flowledger.emulator.source_kinds import PREVIEW_ROWS, Column, SourceKind
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.world import Call, Route

if TYPE_CHECKING:
    from flowledger.emulator.data.tables import SourceFolder

FILE_TYPES = ("delimited", "json", "parquet")
COMPRESSION_TYPES = ("bzip2", "gzip", "deflate", "zipdeflate", "targzip", "tar")
ROWS_LOOKED_AT = 1000  # a filter is asked of that many rows of the source


def test_connection(call: Call) -> Response:
    """GET /connections/{id}/test (U10)."""
    read(call, "connections", call.params["id"])
    options = call.world.options
    if options.connection_test_refused and not options.connection_test_result:
        fault(400, "FLOW-1100", "The provider refused the credentials")
    works = options.connection_test_result
    return json_response(200, works if options.connection_test_bare else {"result": works})


def explore(call: Call) -> Response:
    """GET /connections/{id}/explore. `objectType` in either case; faults 1358, 1337, 1359, 1330, 1353."""
    connection = read(call, "connections", call.params["id"])
    kind = catalogue_of(call.world.options).kinds.get(connection["connectionSpec"]["id"])
    object_type = (call.request.first("objectType") or "").lower()
    if not object_type:
        fault(400, "CONNECTOR-1358", "objectType is missing")
    if kind is None or object_type not in kind.explores:
        fault(400, "CONNECTOR-1337", f"objectType {object_type!r} is not supported by this connection")
    match object_type:
        case "root":
            return json_response(200, _tables(call, kind) if "table" in kind.explores else _folder(kind, ""))
        case "folder":
            return json_response(200, _folder_asked_for(call, kind))
        case "rest":
            return json_response(200, _resource(call, kind))
    return json_response(200, _columns(call, kind, object_type))


def _tables(call: Call, kind: SourceKind) -> list[dict[str, Any]]:
    """A bare array of everything that the source holds; with `--sources` these are the user's own tables.

    Raises Refused with 1103 while the folder cannot be read.
    """
    return [
        {"type": "table", "name": path, "path": path, "canPreview": True, "canFetchSchema": True}
        for path in (kind.tables if call.world.sources is None else _own_tables(call.world.sources))
    ]


def _own_tables(own: SourceFolder) -> list[str]:
    """The names that JSON can carry: a file's name may be any bytes."""
    from flowledger.emulator.data.tables import SourceUnreadable

    try:
        names = own.names()
    except SourceUnreadable as problem:
        fault(503, "FLOW-1103", f"The source cannot be reached: {problem}")
    return [name for name in names if name.isascii() or name == name.encode("utf-8", "ignore").decode("utf-8")]


def _known_columns(call: Call, kind: SourceKind, path: str, object_type: str) -> Iterable[Column]:
    """The columns of a table. Raises Refused when there is none, or when its file cannot be read."""
    own = call.world.sources
    if own is not None and object_type == "table":
        from flowledger.emulator.data.tables import SourceUnreadable, TableUnknown

        try:
            return [Column(name=column.name, type=column.type) for column in own.columns(path)]
        except (SourceUnreadable, TableUnknown) as problem:
            fault(400, "CONNECTOR-1330", f"There is no table {path!r} to be read: {problem}")
    columns = kind.tables.get(path)
    if columns is None:
        fault(400, "CONNECTOR-1330", f"There is no {object_type} {path!r}")
    return columns


def _first_rows(
    call: Call, kind: SourceKind, path: str, object_type: str, count: int, passes: RowFilter | None = None
) -> list[dict[str, Any]]:
    """The first rows, those of them that pass the filter. Raises Refused when the table cannot be read."""
    own = call.world.sources
    if own is None or object_type != "table":
        rows = kind.rows(path, count)
        return rows if passes is None else [row for row in rows if passes(row)]
    from flowledger.emulator.data.tables import SourceUnreadable, TableUnknown

    try:
        return own.preview(path, count, passes)
    except (SourceUnreadable, TableUnknown) as problem:
        fault(400, "CONNECTOR-1330", f"There is no table {path!r} to be read: {problem}")


def _columns(call: Call, kind: SourceKind, object_type: str) -> dict[str, Any]:
    """The columns of a table or file, and its rows when a preview is asked for."""
    path = _object(call)
    if object_type == "file":
        path = path.strip("/")
        _check_spelled(call, "fileType", FILE_TYPES)
        _check_spelled(call, "compressionType", COMPRESSION_TYPES)
    columns = _known_columns(call, kind, path, object_type)
    with_xdm = not call.world.options.columns_without_xdm
    answer: dict[str, Any] = {
        "format": "flat",
        "schema": {"columns": [column.described(with_xdm=with_xdm) for column in columns]},
    }
    rows = _rows(call, kind, path, object_type)
    if _wants_preview(call):
        answer["data"] = rows
    return answer


def _check_spelled(call: Call, name: str, known: tuple[str, ...]) -> None:
    """A parameter that guides begin with a small letter, and the reference with a capital. Raises Refused with 1327."""
    for spelled in (name, name[0].upper() + name[1:]):
        said = call.request.first(spelled)
        if said is not None and said.lower() not in known:
            fault(400, "CONNECTOR-1327", f"{spelled} {said!r} is not supported; known are {', '.join(known)}")


def _rows(call: Call, kind: SourceKind, path: str, object_type: str) -> list[dict[str, Any]]:
    """The first rows, those that pass the filter when there is one."""
    text = call.request.first("filters")
    if not text:
        return _first_rows(call, kind, path, object_type, PREVIEW_ROWS) if _wants_preview(call) else []
    if not kind.row_filters:
        fault(400, "CONNECTOR-1353", f"{kind.label} does not support row filters")
    try:
        passes = filter_of_text(text)
    except FilterInvalid as problem:
        fault(400, "CONNECTOR-1000", f"filters: {problem}")
    return _first_rows(call, kind, path, object_type, ROWS_LOOKED_AT, passes)[:PREVIEW_ROWS]


def _folder_asked_for(call: Call, kind: SourceKind) -> list[dict[str, Any]]:
    path = _object(call).strip("/")
    entries = _folder(kind, path)
    if not entries:
        fault(400, "CONNECTOR-1330", f"There is no folder {path!r}")
    return entries


def _folder(kind: SourceKind, folder: str) -> list[dict[str, Any]]:
    """The folders and files right below a folder, in order of path."""
    begins = f"{folder}/" if folder else ""
    below: dict[str, bool] = {}
    for path in sorted(kind.tables):
        if path.startswith(begins):
            name, slash, _ = path[len(begins) :].partition("/")
            below[begins + name] = bool(slash)
    return [
        {
            "type": "folder" if is_folder else "file",
            "name": path.rpartition("/")[2],
            "path": f"/{path}",
            "canPreview": not is_folder,
            "canFetchSchema": not is_folder,
        }
        for path, is_folder in below.items()
    ]


def _resource(call: Call, kind: SourceKind) -> dict[str, Any]:
    """What a REST source answers, as a schema; `sourceParams` (base64 of JSON) names the resource."""
    _object(call)
    text = call.request.first("sourceParams")
    if not text:
        fault(400, "CONNECTOR-1359", "sourceParams is missing: base64 of JSON with resourcePath")
    try:
        params = orjson.loads(b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        fault(400, "CONNECTOR-1359", "sourceParams is no base64 of JSON")
    path = params.get("resourcePath") if isinstance(params, dict) else None
    columns = kind.tables.get(path.strip("/")) if isinstance(path, str) else None
    if columns is None:
        fault(400, "CONNECTOR-1330", f"There is no resource {path!r}")
    answer: dict[str, Any] = {
        "format": "hierarchical",
        "schema": {"type": "object", "properties": {column.name: column.xdm for column in columns}},
    }
    if _wants_preview(call):
        answer["data"] = kind.rows(str(path).strip("/"))
    return answer


def _object(call: Call) -> str:
    named = call.request.first("object")
    if not named:
        fault(400, "CONNECTOR-1359", "object is missing: the path of what to explore")
    return named


def _wants_preview(call: Call) -> bool:
    return (call.request.first("preview") or "").lower() == "true"


ROUTES: list[Route] = [
    ("GET", f"{FLOW_SERVICE}connections/{{id}}/test", test_connection),
    ("GET", f"{FLOW_SERVICE}connections/{{id}}/explore", explore),
]
