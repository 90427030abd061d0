"""The OpenAPI of Catalog (platform-api.md §3)."""

from __future__ import annotations

from typing import Final

from flowledger.emulator.catalog_query import (
    COMMON,
    LARGEST_LIMIT,
    OF_BATCHES,
    OF_DATA_SETS,
    OF_FILES,
    Filters,
)
from flowledger.emulator.datasets import BASE, JSON_PATCH, KIND, MANAGERS
from flowledger.emulator.openapi_parts import (
    ANY_OBJECT,
    CONDITION,
    COUNT,
    ETAG,
    FILLED,
    TEXT,
    TRUTH,
    WHOLE,
    Json,
    Operations,
    answer,
    array,
    body,
    gateway_headers,
    header,
    in_any_case,
    path,
    query,
    ref,
    refusals,
    shape,
)
from flowledger.emulator.options import Options

MEDIA: Final = {
    "type": "string",
    "pattern": "^application/vnd\\.adobe\\.xed(-full)?(-notext)?\\+json; ?version=[0-9]+(\\.[0-9]+)?$",
}
DATA_SET_FIELDS: Final[Json] = {
    "name": FILLED,
    "description": TEXT,
    "schemaRef": shape("id", {"id": TEXT, "contentType": MEDIA}),
    "tags": {"type": "object", "additionalProperties": array(TEXT)},
    "enableErrorDiagnostics": TRUTH,
    "fileDescription": ANY_OBJECT,
    "classification": {
        "type": ["object", "null"],
        "properties": {"dataBehavior": TEXT, "managedBy": {"enum": list(MANAGERS)}},
    },
}
CALL_BODY: Final[Json] = shape(
    "id resource method",
    {
        "id": TEXT,
        "resource": {**TEXT, "description": "Like /dataSets?requestDataSource=true; <<id>> names an earlier create."},
        "method": TEXT,
        "headers": {"type": ["object", "null"], "additionalProperties": TEXT},
        "body": {},
    },
)

SCHEMAS: dict[str, Json] = {
    "DataSetBody": shape("name schemaRef", DATA_SET_FIELDS),
    "DataSetPart": {"type": "object", "description": "What changes."},
    "JsonPatch": array(
        {
            "anyOf": [
                shape("op path value", {"op": in_any_case("add", "replace", "test"), "path": ref("Pointer")}),
                shape("op path", {"op": in_any_case("remove"), "path": ref("Pointer")}),
                shape("op path from", {"op": in_any_case("move", "copy"), "path": ref("Pointer"), "from": TEXT}),
            ]
        }
    ),
    "References": array(
        {"type": "string", "pattern": "^@/dataSets/[0-9a-f]{24}$"},
        maxItems=1,
        description="One reference; none when a call only validated, or when there was nothing to delete.",
    ),
    "DataSet": {
        "type": "object",
        "properties": {
            **DATA_SET_FIELDS,
            "imsOrg": FILLED,
            "sandboxId": FILLED,
            "version": {"type": "string", "pattern": "^[0-9]+\\.[0-9]+\\.[0-9]+$"},
            "created": WHOLE,
            "updated": WHOLE,
            "state": {},
            "files": {"type": "string", "pattern": "^@/dataSetFiles\\?dataSetId=[0-9a-f]{24}$"},
        },
    },
    "DataSets": {
        "type": "object",
        "propertyNames": {"pattern": "^[0-9a-f]{24}$"},
        "additionalProperties": ref("DataSet"),
        "maxProperties": LARGEST_LIMIT,
    },
    "ThatAreThere": {"type": "object", "additionalProperties": ANY_OBJECT, "description": "By id."},
    "CatalogCalls": array(CALL_BODY, minItems=1),
    "CatalogAnswers": array(
        shape("id code body", {"id": TEXT, "code": WHOLE, "body": {}}, additionalProperties=False), minItems=1
    ),
}
MOMENT: Final[Json] = {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}
BAD: Final = ("The call or its body is wrong.", ["ServiceProblem", "GatewayFault"])
ABSENT: Final = ("There is none of this id, or no such sandbox.", ["ServiceProblem"])
NO_SANDBOX: Final = ("There is no such sandbox.", ["ServiceProblem"])
CHANGED: Final = ("It has another etag.", ["ServiceProblem"])
ETAGS: Final = {"ETag": ETAG, "E-Tag": ETAG}
VALIDATE_ONLY: Final = header("Pragma", TEXT, says="validate-only: nothing is kept, and no reference answered.")
IF_MATCH: Final = header("If-Match", TEXT, says="The etag that it must still have.")


def operations(options: Options) -> Operations:
    """Everything below /data/foundation/catalog."""
    common = gateway_headers(options, sandboxed=True, sandbox_required=options.strict_sandbox)
    found: Operations = {}
    for spelling in (KIND, KIND.lower()):
        found |= _data_sets(spelling, common)
    kept: tuple[tuple[str, Filters], ...] = (("dataSources", {}), ("batches", OF_BATCHES), ("dataSetFiles", OF_FILES))
    for kind, filters in kept:
        found |= _kept(kind, filters, common)
    found["POST", BASE] = {
        "summary": "Several calls, all or nothing for writes",
        "parameters": common,
        "requestBody": body(ref("CatalogCalls")),
        "responses": {
            "201" if options.catalog_calls_201 else "200": answer(
                "One answer a call, in order.", ref("CatalogAnswers")
            ),
            **refusals({400: BAD, 404: NO_SANDBOX}),
        },
    }
    return found


def _listing(filters: Filters, common: list[Json]) -> list[Json]:
    written = {"name", "property", "tags"}
    moments = {name for name in (*COMMON, *filters) if name.endswith(("After", "Before"))}
    return [
        query("limit", {"type": "integer", "minimum": 1, "maximum": LARGEST_LIMIT, "default": 20}),
        query("start", {**COUNT, "maximum": 10**15 - 1}),
        query("properties", TEXT, says="Names with commas between them: what to show."),
        query("name", array(TEXT), says="V1,V2 any of them, !V none of them, * a wildcard."),
        query("property", array(CONDITION), says="A condition, like name==N; all must hold."),
        query("tags", array({"type": "string", "pattern": "^([^:,]+:[^,]*)?$"}), says="name:value, * a wildcard."),
        query("orderBy", array({"type": "string", "pattern": "^((asc:|desc:)?[^:, ]+)?$"})),
        *(query(name, TEXT, says="As name.") for name in sorted({*COMMON, *filters} - written - moments)),
        *(query(name, MOMENT, says="Milliseconds, exclusive.") for name in sorted(moments)),
        *common,
    ]


def _data_sets(spelling: str, common: list[Json]) -> Operations:
    base, one = f"{BASE}/{spelling}", [path(), *common]
    changed = {
        "200": answer("Its reference.", ref("References")),
        **refusals({400: BAD, 404: ABSENT, 412: CHANGED}),
    }
    patch = body(ref("DataSetPart"))
    patch["content"][JSON_PATCH] = {"schema": ref("JsonPatch")}
    return {
        ("POST", base): {
            "summary": "Create a dataset",
            "parameters": [
                query("requestDataSource", TEXT, says="true: Catalog makes the data source too."),
                VALIDATE_ONLY,
                *common,
            ],
            "requestBody": body(ref("DataSetBody")),
            "responses": {
                "200": answer("Nothing is wrong with it; nothing was kept.", ref("References")),
                "201": answer("Its reference.", ref("References"), {"Location": FILLED, **ETAGS}),
                **refusals({400: BAD, 404: NO_SANDBOX}),
            },
        },
        ("GET", base): {
            "summary": "Datasets, as a map by id",
            "parameters": _listing(OF_DATA_SETS, common),
            "responses": {"200": answer("Those found.", ref("DataSets")), **refusals({400: BAD, 404: NO_SANDBOX})},
        },
        ("GET", f"{base}/{{id}}"): {
            "summary": "One dataset, as a map of one",
            "parameters": [path(), query("properties", TEXT), *common],
            "responses": {
                "200": answer("The dataset.", ref("DataSets"), ETAGS),
                **refusals({400: BAD, 404: ABSENT}),
            },
        },
        ("PATCH", f"{base}/{{id}}"): {
            "summary": "Change a dataset: a part of it, or a JSON Patch",
            "parameters": [IF_MATCH, *one],
            "requestBody": patch,
            "responses": changed,
        },
        ("PATCH", f"{BASE}/v2/{spelling}/{{id}}"): {
            "summary": "Change a dataset: a part of it, merged at every depth",
            "parameters": [IF_MATCH, *one],
            "requestBody": body(ref("DataSetPart")),
            "responses": changed,
        },
        ("PUT", f"{base}/{{id}}"): {
            "summary": "Replace a dataset",
            "parameters": [IF_MATCH, VALIDATE_ONLY, *one],
            "requestBody": body(ref("DataSetBody")),
            "responses": changed,
        },
        ("DELETE", f"{base}/{{id}}"): {
            "summary": "Delete a dataset and its data",
            "parameters": one,
            "responses": {
                "200": answer("Its reference, or none when it was not there.", ref("References")),
                **refusals({400: BAD, 404: NO_SANDBOX}),
            },
        },
    }


def _kept(kind: str, filters: Filters, common: list[Json]) -> Operations:
    aggregate = query(
        "aggregate", {"type": "string", "enum": ["true", "false"]}, says="The same here: no batch has parts."
    )
    return {
        ("GET", f"{BASE}/{kind}"): {
            "summary": f"{kind}, as a map by id",
            "parameters": _listing(filters, common),
            "responses": {"200": answer("Those found.", ref("ThatAreThere")), **refusals({400: BAD, 404: NO_SANDBOX})},
        },
        ("GET", f"{BASE}/{kind}/{{id}}"): {
            "summary": f"One of {kind}, as a map of one",
            "parameters": [path(), *([aggregate] if kind == "batches" else []), *common],
            "responses": {"200": answer("It.", ref("ThatAreThere")), **refusals({400: BAD, 404: ABSENT})},
        },
    }
