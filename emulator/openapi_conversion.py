"""The OpenAPI of Conversion, both dialects of a mapping set (platform-api.md §5)."""

from __future__ import annotations

from typing import Final

from flowledger.emulator.conversion import BASE, ORDERS
from flowledger.emulator.mapping_rules import SOURCE_TYPES
from flowledger.emulator.openapi_parts import (
    ANY_OBJECT,
    COUNT,
    FILLED,
    LINKS,
    TEXT,
    TEXT_OR_NULL,
    TRUTH,
    WHOLE,
    Json,
    Operations,
    answer,
    any_of,
    array,
    body,
    gateway_headers,
    path,
    query,
    ref,
    refusals,
    shape,
)
from flowledger.emulator.options import Options

HEX32: Final = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
SOURCE_TYPE: Final = {"type": "string", "enum": sorted(SOURCE_TYPES)}
CONTENT_TYPE: Final = {"contentType": TEXT_OR_NULL}
SCHEMA_OF_SET: Final = {
    "type": ["object", "null"],
    "properties": {"schemaRef": {"type": ["object", "null"], "properties": CONTENT_TYPE}},
}
SET_FIELDS: Final[Json] = {
    "mappings": array(ref("MappingBody"), minItems=1),
    "inputSchema": SCHEMA_OF_SET,
    "outputSchema": SCHEMA_OF_SET,
}
FILTER: Final = {
    "type": "string",
    "pattern": "^(!?(xdmSchema|status)|(xdmSchema|status)(==|!=|<=|>=|<|>)[^~]*|(xdmSchema|status)~[A-Za-z0-9 ]*)$",
    "description": "A condition; after ~ any regular expression (the pattern here knows plain ones).",
}
DATES: Final = {"createdDate": WHOLE, "modifiedDate": WHOLE, "createdBy": FILLED, "modifiedBy": FILLED}

SCHEMAS: dict[str, Json] = {
    "MappingBody": any_of(
        shape(
            "sourceAttribute destinationXdmPath",
            {"sourceAttribute": FILLED, "destinationXdmPath": FILLED, "sourceType": SOURCE_TYPE},
            description="The tutorial's dialect.",
        ),
        shape(
            "source destination",
            {"source": FILLED, "destination": FILLED, "sourceType": SOURCE_TYPE},
            description="The reference's dialect.",
        )
        | {"not": {"anyOf": [{"required": ["sourceAttribute"]}, {"required": ["destinationXdmPath"]}]}},
    ),
    "MappingSetBody": any_of(
        shape("mappings xdmSchema", {**SET_FIELDS, "xdmSchema": FILLED, "xdmVersion": TEXT}),
        shape(
            "mappings outputSchema",
            {
                **SET_FIELDS,
                "outputSchema": shape(
                    "schemaRef", {"schemaRef": shape("id", {"id": FILLED, "contentType": TEXT_OR_NULL})}
                ),
            },
        )
        | {"not": {"required": ["xdmSchema"]}},
    ),
    "MappingsToTry": shape("mappings", SET_FIELDS, description="A mapping set; its target schema may be left out."),
    "MappingSetName": shape(
        "id version createdDate modifiedDate createdBy modifiedBy",
        {"id": HEX32, "version": COUNT, **DATES},
        additionalProperties=False,
    ),
    "MappingSet": shape(
        "id version createdDate modifiedDate createdBy modifiedBy status strictMapping supportVersion xdmSchema "
        "xdmVersion outputSchema mappings",
        {
            "id": HEX32,
            "version": COUNT,
            **DATES,
            "status": {"const": "PUBLISHED"},
            "xdmSchema": FILLED,
            "xdmVersion": FILLED,
            "outputSchema": shape("id schemaRef", {"id": HEX32, "schemaRef": shape("id contentType", {"id": FILLED})}),
            "mappings": array(ref("Mapping"), minItems=1),
        },
    ),
    "Mapping": shape(
        "id version sourceType source sourceAttribute destination destinationXdmPath identity",
        {
            "id": HEX32,
            "version": COUNT,
            **DATES,
            "sourceType": {"enum": sorted(set(SOURCE_TYPES.values()))},
            "source": FILLED,
            "sourceAttribute": FILLED,
            "destination": FILLED,
            "destinationXdmPath": FILLED,
            "identity": TRUTH,
        },
    ),
    "MappingSets": shape(
        "data _page _links",
        {"data": array(ref("MappingSet")), "_page": shape("count limit", {"count": COUNT, "limit": COUNT})}
        | {"_links": LINKS},
        additionalProperties=False,
    ),
    "Mappings": shape(
        "data _page _links",
        {"data": array(ref("Mapping"), minItems=1), "_page": shape("count limit"), "_links": ANY_OBJECT},
        additionalProperties=False,
    ),
    "MappingValidation": shape(
        "validationResponse",
        {
            "validationResponse": array(
                shape(
                    "status errors",
                    {
                        "status": {"enum": ["SUCCESS", "FAILURE"]},
                        "errors": {
                            "type": ["array", "null"],
                            "items": shape("errorCode message", {"errorCode": FILLED, "message": FILLED}),
                        },
                    },
                    additionalProperties=False,
                ),
                minItems=1,
            )
        },
        additionalProperties=False,
    ),
    "PreviewBody": shape("data mappingSet", {"data": ANY_OBJECT, "mappingSet": ref("MappingsToTry")}),
    "Preview": shape(
        "data errors",
        {
            "data": ANY_OBJECT,
            "errors": array(
                shape(
                    "destination source sourceType exception columnName",
                    {"destination": FILLED, "source": FILLED, "sourceType": FILLED, "exception": FILLED},
                    additionalProperties=False,
                )
            ),
        },
        additionalProperties=False,
    ),
    "LanguageFunction": shape(
        "category function description syntax returns returnType example result params since",
        {"category": FILLED, "function": FILLED, "syntax": FILLED, "params": array(ANY_OBJECT), "since": COUNT},
    ),
    "LanguageOperator": shape(
        "operatorSymbol methodName numberOfOperands description example",
        {"operatorSymbol": FILLED, "methodName": FILLED, "numberOfOperands": {"enum": [1, 2]}, "example": FILLED},
    ),
    "ExpressionBody": any_of(
        shape("expression", {"expression": shape("expression", {"expression": TEXT})}),
        shape("expression", {"expression": TEXT}, description="As a community client sends it."),
    ),
}
BAD: Final = ("The call or its body is wrong.", ["ServiceProblem", "GatewayFault"])
ABSENT: Final = ("There is none of this id, or no such sandbox.", ["ServiceProblem"])
NO_SANDBOX: Final = ("There is no such sandbox.", ["ServiceProblem"])
MEDIA: Final = ("The content type is not application/json (U27).", ["PlainFlowFault"])
VERSION: Final = query("version", COUNT, says="An earlier version.")
EXPAND: Final = query("expandSchema", TEXT, says="true: the target schema comes along, resolved.")


def operations(options: Options) -> Operations:
    """Everything below /data/foundation/conversion."""
    common = gateway_headers(options, sandboxed=True, sandbox_required=options.strict_sandbox)
    sets, one = f"{BASE}/mappingSets", f"{BASE}/mappingSets/{{id}}"
    read = refusals({400: BAD, 404: ABSENT})
    order = "|".join(ORDERS)
    return {
        ("POST", sets): {
            "summary": "Create a mapping set",
            "parameters": [query("validate", TEXT, says="true: unknown destinations are refused (U17)."), *common],
            "requestBody": body(ref("MappingSetBody")),
            "responses": {
                "200": answer("Its id and version.", ref("MappingSetName")),
                **refusals({400: BAD, 404: NO_SANDBOX, 415: MEDIA}),
            },
        },
        ("GET", sets): {
            "summary": "Mapping sets, a page of them",
            "parameters": [
                query("limit", {"type": "integer", "minimum": 1, "maximum": 10**15 - 1}, required=True),
                query("start", {**COUNT, "maximum": 10**15 - 1, "default": 0}),
                query("name", TEXT),
                query("property", array(FILTER)),
                query("orderBy", {"type": "string", "pattern": f"^([+-]?({order})(,[+-]?({order}))*)?$"}),
                EXPAND,
                *common,
            ],
            "responses": {
                "200": answer("The page.", ref("MappingSets")),
                **refusals({400: BAD, 404: NO_SANDBOX}),
            },
        },
        ("GET", one): {
            "summary": "A mapping set",
            "parameters": [path(), VERSION, EXPAND, *common],
            "responses": {"200": answer("The set, in version 0 or the one asked for.", ref("MappingSet")), **read},
        },
        ("PUT", one): {
            "summary": "A new version of a mapping set",
            "parameters": [path(), *common],
            "requestBody": body(ref("MappingSetBody")),
            "responses": {
                "200": answer("The set.", ref("MappingSet")),
                **refusals({400: BAD, 404: ABSENT, 415: MEDIA}),
            },
        },
        ("DELETE", one): {
            "summary": "Delete a mapping set that no flow names (U15)",
            "parameters": [path(), *common],
            "responses": {"204": answer("It is gone.", None), **read},
        },
        ("GET", f"{one}/mappings"): {
            "summary": "The mappings of a set",
            "parameters": [path(), VERSION, *common],
            "responses": {"200": answer("All of them.", ref("Mappings")), **read},
        },
        ("POST", f"{one}/mappings"): {
            "summary": "One mapping more, in a new version of the set",
            "parameters": [path(), *common],
            "requestBody": body(ref("MappingBody")),
            "responses": {
                "200": answer("The mapping.", ref("Mapping")),
                **refusals({400: BAD, 404: ABSENT, 415: MEDIA}),
            },
        },
        ("GET", f"{one}/mappings/{{mid}}"): {
            "summary": "One mapping of a set",
            "parameters": [path(), path("mid"), VERSION, *common],
            "responses": {"200": answer("The mapping.", ref("Mapping")), **read},
        },
        ("PUT", f"{one}/mappings/{{mid}}"): {
            "summary": "Another mapping in its place, in a new version of the set",
            "parameters": [path(), path("mid"), *common],
            "requestBody": body(ref("MappingBody")),
            "responses": {
                "200": answer("The mapping.", ref("Mapping")),
                **refusals({400: BAD, 404: ABSENT, 415: MEDIA}),
            },
        },
        ("DELETE", f"{one}/mappings/{{mid}}"): {
            "summary": "One mapping less, in a new version of the set",
            "parameters": [path(), path("mid"), *common],
            "responses": {"204": answer("It is gone.", None), **read},
        },
        ("POST", f"{sets}/validate"): _tries(
            "What is wrong with each mapping", "MappingsToTry", "MappingValidation", common
        ),
        ("POST", f"{sets}/preview"): _tries("One row through the mappings", "PreviewBody", "Preview", common),
        ("GET", f"{BASE}/languages/el/functions"): {
            "summary": "The functions of expressions",
            "parameters": common,
            "responses": {
                "200": answer("All of them.", array(ref("LanguageFunction"))),
                **refusals({400: BAD, 404: NO_SANDBOX}),
            },
        },
        ("GET", f"{BASE}/languages/el/operators"): {
            "summary": "The operators of expressions",
            "parameters": common,
            "responses": {
                "200": answer("All of them.", array(ref("LanguageOperator"))),
                **refusals({400: BAD, 404: NO_SANDBOX}),
            },
        },
        ("POST", f"{BASE}/languages/el/validate"): {
            **_tries("Whether an expression can be read", "ExpressionBody", "Preview", common),
            "responses": {
                "200": answer("Bare true or false.", TRUTH),
                **refusals({400: BAD, 404: NO_SANDBOX, 415: MEDIA}),
            },
        },
    }


def _tries(summary: str, sent: str, answered: str, common: list[Json]) -> Json:
    return {
        "summary": summary,
        "parameters": common,
        "requestBody": body(ref(sent)),
        "responses": {
            "200": answer("What came of it.", ref(answered)),
            **refusals({400: BAD, 404: NO_SANDBOX, 415: MEDIA}),
        },
    }
