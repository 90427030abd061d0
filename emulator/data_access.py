"""Data Access: the files of batches and what is in them, byte by byte (platform-api.md §6).

Served with and without a data plane: without one there are no batches to be asked for. Nothing here needs pyarrow but
the preview of a data set.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import quote

from flowledger.emulator.datasets import BATCHES, FILES
from flowledger.emulator.datasets import KIND as DATA_SETS
from flowledger.emulator.digits import number_of
from flowledger.emulator.gateway import EXPORT
from flowledger.emulator.loopback import origin_of
from flowledger.emulator.problem import refuse, service_problem
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.world import Call, Route

Json = dict[str, Any]

BASE: Final = EXPORT.rstrip("/")
DEFAULT_LIMIT: Final = 100
PREVIEW_ROWS: Final = 100
PARQUET: Final = "application/octet-stream"
DIAGNOSTICS: Final = "_diagnostics"  # the folder of a batch where `data.landing` keeps them
PAGING: Final = frozenset({"start", "limit"})
SAMPLES: Final = ("row_error_samples.json", "row_errors_sample.json")  # the reference spells it both ways
META_FOLDERS: Final = ("row_errors", "input_files")
RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})$", re.ASCII)


def list_files_of_batch(call: Call) -> Response:
    """GET /batches/{id}/files: the batch's files, from `start`, at most `limit`."""
    batch = _batch(call)
    _check_parameters(call, PAGING)
    found = [file for file in call.world.store.all(FILES, call.sandbox) if file["batchId"] == batch["id"]]
    return _page(call, [_file_entry(call, file) for file in found])


def read_file(call: Call) -> Response:
    """GET and HEAD /files/{id}: the parts of a file; with `path`, the bytes of one, or of the range asked for."""
    file = call.world.store.peek(FILES, call.sandbox, call.params["id"])
    if file is None or call.world.store.peek(DATA_SETS, call.sandbox, file["dataSetId"]) is None:
        _absent(f"The data set file {call.params['id']}")
    _check_parameters(call, {*PAGING, "path"})
    wanted = call.request.first("path")
    here = f"{BASE}/files/{file['id']}"
    if wanted is None:
        return _page(call, [_part_entry(call, part["name"], part["length"], here) for part in file["parts"]])
    if wanted not in [part["name"] for part in file["parts"]]:
        _absent(f"The path {wanted} of data set file {file['id']}")
    return _bytes(call, _folder(call, file["dataSetId"], file["batchId"]) / wanted, PARQUET)


def read_failed(call: Call) -> Response:
    """GET and HEAD /batches/{id}/failed: the rows that failed, as files of JSON lines; with `path`, one of them."""
    batch = _batch(call)
    _check_parameters(call, {*PAGING, "path"})
    return _diagnostics(call, batch, "failed", call.request.first("path"), f"{BASE}/batches/{batch['id']}/failed", "")


def read_meta(call: Call) -> Response:
    """GET and HEAD /batches/{id}/meta?path=: row_errors and input_files are folders, row_error_samples.json is a file.

    404 when the batch has nothing of that path. Without one: which of the three there are.
    """
    batch, wanted = _batch(call), call.request.first("path")
    _check_parameters(call, {*PAGING, "path"})
    here = f"{BASE}/batches/{batch['id']}/meta"
    if not wanted:
        place = _folder(call, batch["relatedObjects"][0]["id"], batch["id"]) / DIAGNOSTICS
        there = [place / name for name in (*META_FOLDERS, SAMPLES[0]) if (place / name).exists()]
        sizes = {path.name: path.stat().st_size if path.is_file() else 0 for path in there}
        return _page(call, [_part_entry(call, name, size, here) for name, size in sizes.items()])
    folder, _, name = wanted.strip("/").partition("/")
    if folder in META_FOLDERS:
        return _diagnostics(call, batch, folder, name or None, here, f"{folder}/")
    if folder not in SAMPLES or name:
        _absent(f"The path {wanted} of batch {batch['id']}")
    return _diagnostics(call, batch, "", SAMPLES[0], here, "")


def preview_data_set(call: Call) -> Response:
    """GET /datasets/{id}/preview: rows of the latest batch that succeeded."""
    data_set = call.world.store.peek(DATA_SETS, call.sandbox, call.params["id"])
    if data_set is None:
        _absent(f"The dataset {call.params['id']}")
    latest = data_set.get("lastSuccessfulBatch")
    rows: list[Json] = []
    if latest is not None and call.world.lake is not None:
        try:
            from flowledger.emulator.data.preview import first_rows
        except ImportError:
            text = "a preview needs pyarrow: pip install 'pyarrow>=18'"
            refuse(service_problem(500, "EXPORT-500", "Not readable", text))
        try:
            rows = first_rows(_folder(call, data_set["id"], latest), PREVIEW_ROWS)
        except (OSError, ValueError) as problem:  # a file that is damaged, or was removed by hand
            refuse(service_problem(500, "EXPORT-500", "Not readable", f"batch {latest}: {problem}"))
    return json_response(200, {"data": rows})


def _diagnostics(call: Call, batch: Json, folder: str, name: str | None, here: str, prefix: str) -> Response:
    """The files of a folder of the batch's diagnostics, or the bytes of one."""
    place = _folder(call, batch["relatedObjects"][0]["id"], batch["id"]) / DIAGNOSTICS / folder
    try:
        files = {path.name: path for path in sorted(place.iterdir()) if path.is_file()} if place.is_dir() else {}
    except OSError as problem:
        refuse(service_problem(500, "EXPORT-500", "Not readable", f"{place.name}: {problem.strerror}"))
    if not files or (name is not None and name not in files):
        _absent(f"{name or folder} of batch {batch['id']}")
    if name is not None:
        return _bytes(call, files[name], "application/json")
    entries = [_part_entry(call, path.name, path.stat().st_size, here, prefix) for path in files.values()]
    return _page(call, entries)


def _batch(call: Call) -> Json:
    found = call.world.store.peek(BATCHES, call.sandbox, call.params["id"])
    if found is None or call.world.store.peek(DATA_SETS, call.sandbox, found["relatedObjects"][0]["id"]) is None:
        _absent(f"The batch {call.params['id']}")
    return found


def _folder(call: Call, data_set: str, batch: str) -> Path:
    if call.world.lake is None:
        _absent(f"The data of batch {batch} (this emulator was started without sources)")
    return call.world.lake.batch_folder(data_set, batch)


def _file_entry(call: Call, file: Json) -> Json:
    shown = ("dataSetViewId", "version", "created", "updated", "isValid")
    return {
        "dataSetFileId": file["id"],
        **{name: str(file[name]) if name in ("created", "updated") else file[name] for name in shown},
        "_links": {"self": {"href": f"{origin_of(call.request)}{BASE}/files/{file['id']}"}},
    }


def _part_entry(call: Call, name: str, length: int, here: str, prefix: str = "") -> Json:
    href = f"{origin_of(call.request)}{here}?path={quote(prefix + name, safe='')}"
    return {"name": name, "length": str(length), "_links": {"self": {"href": href}}}


def _page(call: Call, entries: list[Json]) -> Response:
    start, limit = _number(call, "start", 0), _number(call, "limit", DEFAULT_LIMIT)
    if not 1 <= limit <= DEFAULT_LIMIT:
        _bad(f"limit must be 1 to {DEFAULT_LIMIT}, not {limit}")
    page = entries[start : start + limit]
    return json_response(200, {"data": page, "_page": {"limit": limit, "count": len(page)}})


def _bytes(call: Call, path: Path, media_type: str) -> Response:
    """The file or the range of it that the call asks for; HEAD gets the headers only."""
    try:
        size = path.stat().st_size
        span = _span(call, size)
        if span is None:
            headers = {"content-range": f"bytes */{size}", "accept-ranges": "bytes"}
            return Response(status=416, headers=headers)
        first, last, partial = span
        headers = {"content-type": media_type, "accept-ranges": "bytes", "content-length": str(last - first + 1)}
        if partial:
            headers["content-range"] = f"bytes {first}-{last}/{size}"
        body = b""
        if call.request.method != "HEAD":
            with path.open("rb") as file:
                file.seek(first)
                body = file.read(last - first + 1)
    except OSError as problem:
        refuse(service_problem(500, "EXPORT-500", "Not readable", f"{path.name}: {problem.strerror}"))
    return Response(status=206 if partial else 200, body=body, headers=headers)


def _span(call: Call, size: int) -> tuple[int, int, bool] | None:
    """First and last byte, and whether that is a range; None when the range lies outside. Odd ones count as none."""
    found = RANGE.match(call.request.headers.get("range", "").strip())
    if found is None or found[1] == found[2] == "":
        return 0, size - 1, False
    if found[1] == "":
        length = min(int(found[2]), size)
        return (size - length, size - 1, True) if length else None
    first = int(found[1])
    last = min(int(found[2]), size - 1) if found[2] else size - 1
    if found[2] and int(found[2]) < first:
        return 0, size - 1, False
    return (first, last, True) if first < size else None


def _check_parameters(call: Call, known: Collection[str]) -> None:
    """Refuse a query parameter that the call does not have, unless the option ignores such."""
    unknown = sorted({name for name, _ in call.request.query} - set(known))
    if unknown and not call.world.options.unknown_queries_ignored:
        _bad(f"{', '.join(unknown)}: no query parameter here; known are {', '.join(sorted(known))}")


def _number(call: Call, name: str, default: int) -> int:
    text = call.request.first(name)
    if text is None:
        return default
    number = number_of(text)
    if number is None:
        _bad(f"{name} must be a whole number, not {text!r}")
    return number


def _bad(detail: str) -> NoReturn:
    refuse(service_problem(400, "EXPORT-400", "Bad request", detail))


def _absent(what: str) -> NoReturn:
    refuse(service_problem(404, "EXPORT-404", "Not found", f"{what} is not found"))


ROUTES: list[Route] = [
    ("GET", f"{BASE}/batches/{{id}}/files", list_files_of_batch),
    ("GET", f"{BASE}/batches/{{id}}/failed", read_failed),
    ("HEAD", f"{BASE}/batches/{{id}}/failed", read_failed),
    ("GET", f"{BASE}/batches/{{id}}/meta", read_meta),
    ("HEAD", f"{BASE}/batches/{{id}}/meta", read_meta),
    ("GET", f"{BASE}/files/{{id}}", read_file),
    ("HEAD", f"{BASE}/files/{{id}}", read_file),
    ("GET", f"{BASE}/datasets/{{id}}/preview", preview_data_set),
]
