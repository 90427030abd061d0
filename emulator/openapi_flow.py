"""The OpenAPI of Flow Service: connections, flows, specs and runs (platform-api.md §4, §11)."""

from __future__ import annotations

from typing import Any, Final

from flowledger.emulator.flow_explore import COMPRESSION_TYPES
from flowledger.emulator.flow_listing import FIELDS, ORDERS
from flowledger.emulator.flow_search import MOST, SEARCHED
from flowledger.emulator.flow_specs import DATA_LAKE_SOURCE, PROFILE_STORE, SINK, catalogue_of
from flowledger.emulator.flow_state import KINDS
from flowledger.emulator.gateway import FLOW_SERVICE
from flowledger.emulator.openapi_flow_shapes import SHAPES
from flowledger.emulator.openapi_parts import (
    ETAG,
    FILLED,
    TEXT,
    Json,
    Operations,
    answer,
    array,
    body,
    gateway_headers,
    header,
    path,
    query,
    ref,
    refusals,
    shape,
)
from flowledger.emulator.options import Options

SCHEMAS: dict[str, Json] = SHAPES
BAD: Final = ("The call or its body is wrong; the code says how.", ["FlowFault", "GatewayFault"])
ABSENT: Final = ("There is none of this id in the sandbox, or no such sandbox.", ["FlowFault"])
NO_SANDBOX: Final = ("There is no such sandbox, or no such base connection.", ["FlowFault"])
MEDIA: Final = ("The content type is not application/json (U27).", ["FlowFault"])
CHANGED: Final = ("It has another etag.", ["FlowFault"])
FILES: Final = ["delimited", "Delimited", "json", "JSON", "parquet"]
OWN_SPECS: Final = [SINK, PROFILE_STORE, DATA_LAKE_SOURCE]
COMPRESSIONS: Final = [*COMPRESSION_TYPES, *map(str.upper, COMPRESSION_TYPES)]
VALUE: Final = '("[^"]+"|[^",\\s]+)'
OPERATIONS_OF_FLOWS: Final = ("enable", "disable", "publish", "finalize", "finalize_update")
SUB_OPERATIONS: Final = ("apply", "rollback", "progress")
ITEMS: Final = {
    "connections": "Connection",
    "sourceConnections": "SourceConnection",
    "targetConnections": "TargetConnection",
    "flows": "Flow",
    "runs": "Run",
    "connectionSpecs": "ConnectionSpec",
    "flowSpecs": "FlowSpec",
}


def operations(options: Options) -> Operations:
    """Everything below /data/foundation/flowservice."""
    common = gateway_headers(options, sandboxed=True, sandbox_required=not options.lax_sandbox)
    found: Operations = {}
    for kind in KINDS:
        found |= _objects(kind, _body_of(kind, options), common)
    for kind in ("connectionSpecs", "flowSpecs"):
        found |= {
            ("GET", f"{FLOW_SERVICE}{kind}"): {
                "summary": f"The {kind} there are",
                "parameters": [query("property", array(_condition(kind))), *common],
                "responses": {
                    "200": answer(
                        "Those found.", shape("items", {"items": array(ref(ITEMS[kind]))}, additionalProperties=False)
                    ),
                    **refusals({400: BAD, 404: NO_SANDBOX}),
                },
            },
            ("GET", f"{FLOW_SERVICE}{kind}/{{id}}"): _read(kind, common),
        }
    for kind in SEARCHED:
        found["POST", f"{FLOW_SERVICE}{kind}/search"] = _search(kind, common)
    return found | _explore(common) | _runs(common)


def _body_of(kind: str, options: Options) -> Json:
    """What a create is sent: the ids of specs are those of these options."""
    catalogue = catalogue_of(options)
    sources = sorted(catalogue.kinds)
    version = {"version": {"const": "1.0"}}
    if kind == "connections":
        spec_names = sorted({auth.name for one in catalogue.kinds.values() for auth in one.auths})
        auth = shape(
            "specName params", {"specName": {"type": "string", "enum": spec_names}, "params": ref("AuthParams")}
        )
        said = ref("NameAndDescription")
        return {
            "anyOf": [
                {
                    "allOf": [
                        said,
                        shape(
                            "connectionSpec auth",
                            {"connectionSpec": shape("id version", {"id": {"enum": sources}, **version}), "auth": auth},
                        ),
                    ]
                },
                {
                    "allOf": [
                        said,
                        shape(
                            "connectionSpec",
                            {"connectionSpec": shape("id version", {"id": {"enum": OWN_SPECS}, **version})},
                        ),
                    ],
                    "not": {"required": ["auth"]},
                },
            ]
        }
    if kind == "flows":
        spec = shape("id", {"id": {"enum": sorted(catalogue.flow_specs)}, **version})
        return {"allOf": [ref("FlowBody"), shape("flowSpec", {"flowSpec": spec})]}
    ids = sources if kind == "sourceConnections" else [*sources, SINK]
    spec = shape("id version" if kind == "sourceConnections" else "id", {"id": {"enum": ids}, **version})
    name = "SourceConnectionBody" if kind == "sourceConnections" else "TargetConnectionBody"
    return {"allOf": [ref(name), shape("connectionSpec", {"connectionSpec": spec})]}


def _condition(kind: str) -> Json:
    """What `property` may say of a kind: a known field, or a path that begins with one, an operator, a value."""
    known = "|".join(sorted(FIELDS[kind]))
    ranges = "|(createdAt|updatedAt)[<>]=?[0-9]+" if "createdAt" in FIELDS[kind] else ""
    path_there = f"({known})(\\.[A-Za-z0-9_-]+)*"
    return {
        "type": "string",
        "pattern": f"^({path_there}(=={VALUE}(,{VALUE})*|!={VALUE}){ranges})$",
        "description": "A field, an operator, a value in quotes or without; several values with == mean any of them.",
    }


def _listing(kind: str, common: list[Json]) -> list[Json]:
    return [
        query("property", array(_condition(kind)), says="A condition, like name==N; all must hold."),
        query("limit", {"type": "integer", "minimum": 1}, says="The most that is given is the emulator's (U8)."),
        query("continuationToken", TEXT, says="From `_links.next.href` of the page before."),
        query(
            "orderby", {"type": "string", "pattern": f"^[+-]?({'|'.join(sorted(ORDERS))})$"}, says="Like -createdAt."
        ),
        query("count", {"type": "string", "enum": ["true", "false", "True", "False"]}, says="Not together with limit."),
        *common,
    ]


def _read(kind: str, common: list[Json]) -> Json:
    one = shape("items", {"items": array(ref(ITEMS[kind]), minItems=1, maxItems=1)}, additionalProperties=False)
    return {
        "summary": f"One of {kind}",
        "parameters": [path(), *common],
        "responses": {"200": answer("A list of one.", one), **refusals({400: BAD, 404: ABSENT})},
    }


def _list(kind: str, common: list[Json], *more: Json, absent: Any = NO_SANDBOX) -> Json:
    page = {"items": array(ref(ITEMS[kind])), "_links": ref("FlowLinks"), "count": {"type": "integer", "minimum": 0}}
    return {
        "summary": f"A page of {kind}",
        "parameters": [*more, *_listing(kind, common)],
        "responses": {
            "200": answer("The page.", shape("items _links", page, additionalProperties=False)),
            **refusals({400: BAD, 404: absent}),
        },
    }


def _objects(kind: str, sent: Json, common: list[Json]) -> Operations:
    base = f"{FLOW_SERVICE}{kind}"
    known = OPERATIONS_OF_FLOWS if kind == "flows" else ("publish",)
    acts = [query("op", {"type": "string", "enum": [*known, *map(str.upper, known)]}, required=True)]
    if kind == "flows":
        steps = [*SUB_OPERATIONS, *map(str.upper, SUB_OPERATIONS)]
        acts.append(query("subOp", {"type": "string", "enum": steps}, says="For finalize and finalize_update."))
    changed = {
        "200": answer("Its new etag.", ref("FlowName")),
        **refusals({400: BAD, 404: ABSENT, 412: CHANGED, 415: MEDIA}),
    }
    if_match = header(
        "If-Match", ETAG, required=True, says="The etag of now, its double quotes included; or `if-match` in the query."
    )
    return {
        ("POST", base): {
            "summary": f"Create one of {kind}",
            "parameters": [
                query("mode", {"type": "string", "enum": ["draft"]}, says="Where specs support it."),
                *common,
            ],
            "requestBody": body(sent),
            "responses": {
                "201": answer("Its id and etag.", ref("FlowName"), {"Location": FILLED}),
                **refusals({400: BAD, 404: NO_SANDBOX, 415: MEDIA}),
            },
        },
        ("GET", base): _list(kind, common),
        ("GET", f"{base}/{{id}}"): _read(kind, common),
        ("PATCH", f"{base}/{{id}}"): {
            "summary": f"Change one of {kind} by a JSON Patch",
            "parameters": [path(), if_match, *common],
            "requestBody": body(ref("FlowPatch")),
            "responses": changed,
        },
        ("DELETE", f"{base}/{{id}}"): {
            "summary": f"Delete one of {kind} that no flow uses",
            "parameters": [path(), *common],
            "responses": {"204": answer("It is gone.", None), **refusals({400: BAD, 404: ABSENT})},
        },
        ("POST", f"{base}/{{id}}/action"): {
            "summary": f"Change the state of one of {kind}",
            "parameters": [path(), *acts, header("If-Match", ETAG), *common],
            "requestBody": body(ref("ActionBody"), required=False),
            "responses": changed,
        },
    }


def _search(kind: str, common: list[Json]) -> Json:
    answered = {
        "items": array({"type": "object"}, maxItems=MOST),
        "_links": ref("FlowLinks"),
        "count": {"type": "integer"},
    }
    return {
        "summary": f"Search among {kind}; the syntax of a query is not documented, so that one is refused",
        "parameters": [query("continuationToken", TEXT, says="From `_links.next.href` of the page before."), *common],
        "requestBody": body(ref("SearchBody")),
        "responses": {
            "200": answer("Those found.", shape("items _links", answered, additionalProperties=False)),
            **refusals({400: BAD, 404: NO_SANDBOX, 415: MEDIA}),
        },
    }


def _explore(common: list[Json]) -> Operations:
    base = f"{FLOW_SERVICE}connections/{{id}}"
    types = ("root", "table", "folder", "file", "rest")
    return {
        ("GET", f"{base}/test"): {
            "summary": "Whether the credentials work (U10)",
            "parameters": [path(), *common],
            "responses": {"200": answer("The result.", ref("ConnectionTest")), **refusals({400: BAD, 404: ABSENT})},
        },
        ("GET", f"{base}/explore"): {
            "summary": "What a source holds",
            "parameters": [
                path(),
                query("objectType", {"type": "string", "enum": [*types, *map(str.upper, types)]}, required=True),
                query("object", TEXT, says="The path of a table, folder or file."),
                *(query(name, {"type": "string", "enum": FILES}) for name in ("fileType", "FileType")),
                *(
                    query(name, {"type": "string", "enum": COMPRESSIONS})
                    for name in ("compressionType", "CompressionType")
                ),
                query("preview", {"type": "string", "enum": ["true", "false"]}),
                query("filters", TEXT, says="Base64 of a condition on rows."),
                query("sourceParams", TEXT, says="Base64 of JSON with resourcePath."),
                *common,
            ],
            "responses": {"200": answer("What is there.", ref("Explored")), **refusals({400: BAD, 404: ABSENT})},
        },
    }


def _runs(common: list[Json]) -> Operations:
    base = f"{FLOW_SERVICE}runs"
    act = query("op", {"type": "string", "enum": ["re-trigger", "re_trigger", "RE_TRIGGER"]}, required=True)
    return {
        ("GET", base): _list("runs", common),
        ("GET", f"{FLOW_SERVICE}flows/{{id}}/runs"): _list("runs", common, path(), absent=ABSENT),
        ("GET", f"{base}/{{id}}"): _read("runs", common),
        ("POST", base): {
            "summary": "Run a flow that is scheduled once",
            "parameters": common,
            "requestBody": body(ref("RunBody")),
            "responses": {
                "201": answer("Its id and etag.", ref("FlowName"), {"Location": FILLED}),
                **refusals({400: BAD, 404: NO_SANDBOX, 415: MEDIA}),
            },
        },
        ("POST", f"{base}/{{id}}/action"): {
            "summary": "Run the window of a run that failed or read nothing once more",
            "parameters": [path(), act, *common],
            "responses": {
                "200": answer("The new run's id and etag.", ref("FlowName")),
                **refusals({400: BAD, 404: ABSENT, 415: MEDIA}),
            },
        },
    }
