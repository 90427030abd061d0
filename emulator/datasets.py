"""What Catalog keeps: datasets with their data sources, and batches (platform-api.md §3)."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

import orjson

from flowledger.emulator.catalog_query import OF_BATCHES, OF_DATA_SETS, OF_FILES, bad, page_of, shown
from flowledger.emulator.conditions import flag
from flowledger.emulator.depth import too_deep
from flowledger.emulator.identity import sandbox_id, user_of
from flowledger.emulator.jsonpatch import PatchFault, apply_patch
from flowledger.emulator.problem import refuse, service_problem
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.world import Call, Route, World

Json = dict[str, Any]

BASE: Final = "/data/foundation/catalog"
KIND: Final = "dataSets"
SOURCES: Final = "dataSources"
BATCHES: Final = "batches"
FILES: Final = "dataSetFiles"
MEDIA_TYPE: Final = re.compile(
    r"application/vnd\.adobe\.xed(-full)?(-notext)?\+json\s*;\s*version=[0-9]+(\.[0-9]+)?", re.IGNORECASE
)
DEFAULT_MEDIA_TYPE: Final = "application/vnd.adobe.xed+json;version=1"
TABLE_TAG: Final = "adobe/pqs/table"  # the dataset's name as a table of Query Service
LAST_MS: Final = 253_402_300_799_000  # the last second of 9999: calendars end there
BEHAVIOURS: Final = ("time-series", "adhoc", "record")
MANAGERS: Final = ("CUSTOMER", "SYSTEM")
JSON_PATCH: Final = "application/json-patch+json"
SERVERS_OWN: Final = (  # whatever a body says of these, the server says again
    "id",
    "imsOrg",
    "sandboxId",
    "version",
    "created",
    "updated",
    "createdUser",
    "createdClient",
    "updatedUser",
    "viewId",
    "files",
    "dataSourceId",
    "lastBatchId",
    "lastBatchStatus",
    "lastSuccessfulBatch",
    "statsCache",
)


def create_data_set(call: Call) -> Response:
    """POST /dataSets: 201 with one reference. Only with `requestDataSource=true` a data source is made too (§3.1)."""
    body = _checked(call, call.body)
    store, sandbox = call.world.store, call.sandbox
    source = body.get("dataSourceId")
    if source is not None and (not isinstance(source, str) or store.get(SOURCES, sandbox, source) is None):
        bad(f"The data source {source} is not found")
    if _only_validates(call):
        return json_response(200, [])
    now, user = call.world.now_ms(), user_of(call.client_id)
    id = call.world.new_hex(24)
    if source is None and flag(call, "requestDataSource"):
        source = call.world.new_hex(24)
        store.put(SOURCES, sandbox, source, {"id": source, "name": f"{body['name']} source", "created": now})
    data_set: Json = {
        "id": id,
        "description": "",
        "tags": {},
        "enableErrorDiagnostics": False,
        "fileDescription": {"persisted": True, "containerFormat": "parquet", "format": "parquet"},
        "state": "DRAFT",
        **{key: value for key, value in body.items() if key not in SERVERS_OWN},
        "imsOrg": call.org,
        "sandboxId": sandbox_id(sandbox),
        "version": "1.0.0",
        "created": now,
        "updated": now,
        "createdClient": call.client_id,
        "createdUser": user,
        "updatedUser": user,
        "viewId": call.world.new_hex(24),
        "files": f"@/dataSetFiles?dataSetId={id}",
        **({} if source is None else {"dataSourceId": source}),
    }
    data_set["tags"] = {TABLE_TAG: [_table_name(body["name"], now)], **data_set["tags"]}
    data_set["classification"] = {**_classified(call, body), **(data_set.get("classification") or {})}
    store.put(KIND, sandbox, id, data_set)
    return _reference(call, 201, data_set, {"location": f"{BASE}/{KIND}/{id}"})


def list_data_sets(call: Call) -> Response:
    """GET /dataSets: a map keyed by id, in the order asked for (§3.2)."""
    return _map(call, page_of(call, call.world.listed(KIND, call.sandbox), OF_DATA_SETS))


def read_data_set(call: Call) -> Response:
    """GET /dataSets/{id}: a map of one."""
    data_set = _existing(call)
    return json_response(200, {data_set["id"]: shown(call, data_set)}, _etags(call, data_set))


def patch_data_set(call: Call) -> Response:
    """PATCH /dataSets/{id}: a partial object, or a JSON Patch by its content type (§3.3)."""
    previous = _matching(call)
    if _media_type(call) == JSON_PATCH:
        try:
            patched = apply_patch(previous, call.body)
        except PatchFault as fault:
            bad(f"JSON Patch: {fault}")
    elif isinstance(call.body, dict) and not too_deep(call.body):
        patched = {**previous, **call.body}
    else:
        bad("The body must be a JSON object: the part of the dataset that changes")
    return _change(call, previous, patched)


def deep_patch_data_set(call: Call) -> Response:
    """PATCH /v2/dataSets/{id}: a partial object, merged at every depth."""
    previous = _matching(call)
    if not isinstance(call.body, dict) or too_deep(call.body):
        bad("The body must be a JSON object: the part of the dataset that changes")
    return _change(call, previous, _merged(previous, call.body))


def replace_data_set(call: Call) -> Response:
    """PUT /dataSets/{id}: the whole object."""
    return _change(call, _matching(call), call.body)


def delete_data_set(call: Call) -> Response:
    """DELETE /dataSets/{id}: 200 with the reference, or with `[]` when there is none. Its data goes with it (§3.3)."""
    data_set = call.world.store.get(KIND, call.sandbox, call.params["id"])
    if data_set is None:
        if call.world.options.absent_delete_404:
            _absent("dataset", call.params["id"])
        return json_response(200, [])
    if data_set.get("classification", {}).get("managedBy") == "SYSTEM":
        bad(f"The dataset {data_set['id']} is managed by the system, and cannot be deleted")
    call.world.store.delete(KIND, call.sandbox, data_set["id"])
    _delete_data(call, data_set["id"])
    return json_response(200, [_name_of(call, data_set)])


def _delete_data(call: Call, data_set: str) -> None:
    """Delete what Catalog knows of the dataset's data; the files follow once this is kept."""
    store, sandbox = call.world.store, call.sandbox
    for file in store.all(FILES, sandbox):
        if file["dataSetId"] == data_set:
            store.delete(FILES, sandbox, file["id"])
    for batch in store.all(BATCHES, sandbox):
        if batch["relatedObjects"][0]["id"] == data_set:
            store.delete(BATCHES, sandbox, batch["id"])
    if call.world.sweep is not None:
        call.world.sweep.want(data_set)


def list_data_sources(call: Call) -> Response:
    """GET /dataSources."""
    return _map(call, page_of(call, call.world.listed(SOURCES, call.sandbox), {}))


def read_data_source(call: Call) -> Response:
    """GET /dataSources/{id}: a map of one."""
    found = call.world.store.get(SOURCES, call.sandbox, call.params["id"])
    if found is None:
        _absent("data source", call.params["id"])
    return json_response(200, {found["id"]: shown(call, found)})


def list_batches(call: Call) -> Response:
    """GET /batches: by dataset, status, time of creation and all that datasets are asked for (§3.4)."""
    return _map(call, page_of(call, call.world.listed(BATCHES, call.sandbox), OF_BATCHES))


def read_batch(call: Call) -> Response:
    """GET /batches/{id}. With `aggregate=true` the same: a batch here has no other batches to be added up."""
    aggregate = call.request.first("aggregate")
    if aggregate is not None and aggregate.lower() not in ("true", "false"):
        bad(f"aggregate is true or false, not {aggregate!r}")
    found = call.world.store.get(BATCHES, call.sandbox, call.params["id"])
    if found is None:
        _absent("batch", call.params["id"])
    return json_response(200, {found["id"]: shown(call, found)})


def list_data_set_files(call: Call) -> Response:
    """GET /dataSetFiles?dataSetId=: what a dataset's `files` refers to (§3.2)."""
    return _map(call, page_of(call, call.world.listed(FILES, call.sandbox), OF_FILES))


def read_data_set_file(call: Call) -> Response:
    """GET /dataSetFiles/{id}: a map of one."""
    found = call.world.store.get(FILES, call.sandbox, call.params["id"])
    if found is None:
        _absent("dataset file", call.params["id"])
    return json_response(200, {found["id"]: shown(call, found)})


def touch(world: World, sandbox: str, id: str) -> None:
    """Let a third party edit the dataset: another etag, another user. Nothing happens when there is none of the id."""
    data_set = world.store.get(KIND, sandbox or world.options.default_sandbox, id)
    if data_set is not None:
        version = _next_version(data_set)
        data_set.update(version=version, updated=world.now_ms(), updatedUser="somebody-else@AdobeID")
        world.store.put(KIND, sandbox or world.options.default_sandbox, id, data_set)


def _existing(call: Call) -> Json:
    found = call.world.store.get(KIND, call.sandbox, call.params["id"])
    if found is None:
        _absent("dataset", call.params["id"])
    return found


def _matching(call: Call) -> Json:
    """The dataset, if it is the one that `If-Match` means."""
    data_set = _existing(call)
    wanted = call.request.headers.get("if-match")
    etags = {text.strip().removeprefix("W/").strip('"') for text in (wanted or "*").split(",")}
    if "*" not in etags and _etag(data_set) not in etags:
        text = f"The dataset {data_set['id']} has changed: its etag is not {wanted}"
        refuse(service_problem(412, "CATALOG-412", "Precondition failed", text))
    return data_set


def _checked(call: Call, body: Any) -> Json:
    """A whole dataset as sent. Raises Refused with 400."""
    if not isinstance(body, dict) or too_deep(body):
        bad("The body must be a JSON object, not nested too deeply: a dataset")
    if not isinstance(body.get("name"), str) or not body["name"]:
        bad("A dataset needs a name")
    reference = body.get("schemaRef")
    if not isinstance(reference, dict) or not isinstance(reference.get("id"), str):
        bad("A dataset needs schemaRef with the id of its schema")
    if call.world.store.get("schemas", call.sandbox, reference["id"]) is None:
        bad(f"The schema {reference['id']} is not found in this sandbox")
    content_type = reference.get("contentType", DEFAULT_MEDIA_TYPE)
    if not isinstance(content_type, str) or not MEDIA_TYPE.fullmatch(content_type):
        bad(f"schemaRef.contentType {content_type!r} names no form and version of a schema")
    tags = body.get("tags", {})
    if not isinstance(tags, dict) or not all(_are_texts(values) for values in tags.values()):
        bad("tags must map each name to an array of strings")
    classification = body.get("classification")
    if classification is not None and not _is_classification(classification):
        bad(f"classification has dataBehavior, and managedBy, one of {', '.join(MANAGERS)}")
    return {**body, "schemaRef": {**reference, "contentType": content_type}}


def _is_classification(value: Any) -> bool:
    known = {"dataBehavior", "managedBy"}
    return (
        isinstance(value, dict)
        and all(isinstance(value[name], str) for name in known & value.keys())
        and value.get("managedBy", "CUSTOMER") in MANAGERS
    )


def _classified(call: Call, body: Json) -> Json:
    """What a dataset that says nothing of its classification gets: the behaviour is that of its schema's class."""
    schema = call.world.store.peek("schemas", call.sandbox, body["schemaRef"]["id"]) or {}
    behaviours = {str(base).rpartition("/xdm/data/")[2] for base in schema.get("meta:extends", ())}
    return {
        "dataBehavior": next((one for one in BEHAVIOURS if one in behaviours), "record"),
        "managedBy": "CUSTOMER",
    }


def _table_name(name: str, created_ms: int) -> str:
    """As Catalog's sample has it: the name in small letters, digits and `_`, and the moment of creation."""
    words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "dataset"
    moment = datetime.fromtimestamp(min(created_ms, LAST_MS) / 1000, UTC)
    return f"{words}_{moment:%Y%m%d_%H%M%S}_{created_ms % 1000:03}"


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _change(call: Call, previous: Json, sent: Any) -> Response:
    checked = _checked(call, sent)
    if _only_validates(call):
        return json_response(200, [])
    kept_tags = {name: values for name, values in (previous.get("tags") or {}).items() if name == TABLE_TAG}
    classified = previous.get("classification") or _classified(call, checked)
    changed: Json = {
        "state": previous["state"],
        **{key: value for key, value in checked.items() if key not in SERVERS_OWN},
        **{key: previous[key] for key in SERVERS_OWN if key in previous},
        "version": _next_version(previous),
        "updated": call.world.now_ms(),
        "updatedUser": user_of(call.client_id),
    }
    changed["tags"] = {**kept_tags, **(changed.get("tags") or {})}  # a body that names other tags does not remove it
    changed["classification"] = {**classified, **(changed.get("classification") or {})}
    call.world.store.put(KIND, call.sandbox, previous["id"], changed)
    return _reference(call, 200, changed, {})


def _next_version(data_set: Json) -> str:
    major, minor, patch = data_set["version"].split(".")
    return f"{major}.{minor}.{int(patch) + 1}"


def _merged(whole: Json, part: Json) -> Json:
    merged = dict(whole)
    for key, value in part.items():
        inner = merged.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def _map(call: Call, found: list[Json]) -> Response:
    return json_response(200, {entry["id"]: shown(call, entry) for entry in found})


def _reference(call: Call, status: int, data_set: Json, headers: dict[str, str]) -> Response:
    return json_response(status, [_name_of(call, data_set)], {**headers, **_etags(call, data_set)})


def _name_of(call: Call, data_set: Json) -> str:
    """The reference to a dataset: prose and examples spell it differently (T5)."""
    collection = KIND.lower() if call.world.options.references_of_prose else KIND
    return f"@/{collection}/{data_set['id']}"


def _etag(data_set: Json) -> str:
    return hashlib.sha256(orjson.dumps(data_set, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def _etags(call: Call, data_set: Json) -> dict[str, str]:
    """The guide spells it E-Tag, the rest of the world ETag: send both, unless told otherwise."""
    etag = f'"{_etag(data_set)}"'
    if call.world.options.e_tag_only:
        return {"e-tag": etag}
    return {"etag": etag, "e-tag": etag}


def _media_type(call: Call) -> str:
    return call.request.headers.get("content-type", "").split(";")[0].strip().lower()


def _only_validates(call: Call) -> bool:
    return call.request.headers.get("pragma", "").strip().lower() == "validate-only"


def _absent(what: str, id: str) -> NoReturn:
    refuse(service_problem(404, "CATALOG-404", "Not found", f"The {what} {id} is not found"))


def _data_set_routes() -> list[Route]:
    routes: list[Route] = []
    for collection in (KIND, "datasets"):  # prose and examples spell it differently (T5)
        routes += [
            ("POST", f"{BASE}/{collection}", create_data_set),
            ("GET", f"{BASE}/{collection}", list_data_sets),
            ("GET", f"{BASE}/{collection}/{{id}}", read_data_set),
            ("PATCH", f"{BASE}/{collection}/{{id}}", patch_data_set),
            ("PATCH", f"{BASE}/v2/{collection}/{{id}}", deep_patch_data_set),
            ("PUT", f"{BASE}/{collection}/{{id}}", replace_data_set),
            ("DELETE", f"{BASE}/{collection}/{{id}}", delete_data_set),
        ]
    return routes


ROUTES: list[Route] = [
    *_data_set_routes(),
    ("GET", f"{BASE}/dataSources", list_data_sources),
    ("GET", f"{BASE}/dataSources/{{id}}", read_data_source),
    ("GET", f"{BASE}/batches", list_batches),
    ("GET", f"{BASE}/batches/{{id}}", read_batch),
    ("GET", f"{BASE}/dataSetFiles", list_data_set_files),
    ("GET", f"{BASE}/dataSetFiles/{{id}}", read_data_set_file),
]
