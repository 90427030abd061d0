"""The OpenAPI of the Schema Registry (platform-api.md §2)."""

from __future__ import annotations

from typing import Any, Final

from flowledger.emulator.accept import DESCRIPTOR_FORMS, LIST_FORMS, PREFIX, VIEWS
from flowledger.emulator.descriptors import GRANULARITY, SEVERAL, TYPES
from flowledger.emulator.openapi_parts import (
    ANY_OBJECT,
    CONDITION,
    COUNT,
    FILLED,
    TEXT,
    WHOLE,
    Json,
    Operations,
    answer,
    any_of,
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
from flowledger.emulator.registry import READABLE, WRITABLE
from flowledger.emulator.registry_compose import XDM_TYPES
from flowledger.emulator.registry_list import BASE, LARGEST_LIMIT
from flowledger.emulator.registry_move import PLACEHOLDER

LIST_ACCEPT: Final = sorted(PREFIX + form for form in LIST_FORMS)
LOOK_UP_ACCEPT: Final = sorted(f"{PREFIX}{form}; version=1" for form in VIEWS)
DESCRIPTOR_ACCEPT: Final = sorted(PREFIX + form for form in DESCRIPTOR_FORMS)
ONE_NAME: Final = {"meta:altId": FILLED, "version": FILLED, "title": FILLED}
OBJECT: Final = {"type": "string", "enum": ["object"]}

BODY_FIELDS: Final[Json] = {
    "title": {"type": "string", "pattern": "[!-~]", "description": "Unique among all kinds of the sandbox."},
    "type": OBJECT,
    "definitions": {"type": "object", "additionalProperties": ref("XdmPart")},
    "meta:immutableTags": array(TEXT),
}


def _descriptor_body(types: str, paths: Json | None) -> Json:
    """A descriptor of the types, which names fields by `paths`, or names none."""
    fields: Json = {
        "@type": {"type": "string", "pattern": types},
        "xdm:sourceSchema": FILLED,
        "xdm:sourceVersion": WHOLE,
    }
    if paths is None:
        return shape("@type xdm:sourceSchema", fields) | {"not": {"required": ["xdm:sourceProperty"]}}
    return shape("@type xdm:sourceSchema xdm:sourceProperty", {**fields, "xdm:sourceProperty": paths})


SCHEMAS: dict[str, Json] = {
    "XdmField": {
        "description": "A field: a simple type, an object, an array, or a reference to a data type.",
        "anyOf": [
            shape("type", {"type": {"enum": sorted(XDM_TYPES - {"array"})}, "format": TEXT, **{"$ref": TEXT}})
            | {"not": {"anyOf": [{"required": ["properties"]}, {"required": ["allOf"]}]}},
            shape("type properties", {"type": OBJECT, "properties": ref("XdmFields"), "$ref": TEXT})
            | {"not": {"required": ["allOf"]}},
            shape("type items", {"type": {"const": "array"}, "items": ref("XdmField"), "$ref": TEXT})
            | {"not": {"anyOf": [{"required": ["properties"]}, {"required": ["allOf"]}]}},
            shape("properties", {"properties": ref("XdmFields"), "$ref": TEXT})
            | {"not": {"anyOf": [{"required": ["type"]}, {"required": ["allOf"]}]}},
            shape("$ref", {"$ref": TEXT})
            | {"not": {"anyOf": [{"required": [name]} for name in ("type", "properties", "allOf")]}},
        ],
    },
    "XdmFields": {"type": "object", "additionalProperties": ref("XdmField")},
    "XdmPart": {
        "description": "One part of allOf: a reference, or fields.",
        "anyOf": [
            shape("$ref", {"$ref": FILLED})
            | {"not": {"anyOf": [{"required": ["properties"]}, {"required": ["allOf"]}]}},
            shape("properties", {"properties": ref("XdmFields"), "$ref": TEXT}) | {"not": {"required": ["allOf"]}},
        ],
    },
    "XdmParts": array(ref("XdmPart"), minItems=1),
    "ClassBody": shape("title allOf", {**BODY_FIELDS, "allOf": ref("XdmParts")}),
    "SchemaBody": shape("title allOf", {**BODY_FIELDS, "allOf": ref("XdmParts")}),
    "FieldGroupBody": shape(
        "title allOf meta:intendedToExtend",
        {**BODY_FIELDS, "allOf": ref("XdmParts"), "meta:intendedToExtend": array(TEXT)},
    ),
    "DataTypeBody": {
        "anyOf": [
            shape("title allOf", {**BODY_FIELDS, "allOf": ref("XdmParts"), "properties": ref("XdmFields")}),
            shape("title properties", {**BODY_FIELDS, "properties": ref("XdmFields")})
            | {"not": {"required": ["allOf"]}},
        ]
    },
    "RegistryPatch": array(
        any_of(
            shape("op path value", {"op": in_any_case("add", "replace"), "path": ref("Pointer"), "value": {}}),
            shape("op path", {"op": in_any_case("remove"), "path": ref("Pointer")}),
        )
    ),
    "Pointer": {"type": "string", "pattern": "^(/.*)?$"},
    "RegistryResource": shape(
        "$id meta:altId meta:resourceType version title type",
        {
            "$id": FILLED,
            **ONE_NAME,
            "meta:resourceType": {"enum": ["classes", "schemas", "mixins", "datatypes", "behaviors", "unions"]},
            "type": OBJECT,
            "imsOrg": FILLED,
            "meta:class": FILLED,
            "meta:extends": array(TEXT),
            "meta:datasetNamespace": FILLED,
            "meta:registryMetadata": ANY_OBJECT,
            "allOf": array(ANY_OBJECT),
            "refs": array(TEXT),
        },
    ),
    "RegistryView": shape(
        "$id meta:altId meta:resourceType version type",
        {"$id": FILLED, "meta:altId": FILLED, "version": FILLED, "type": OBJECT, "properties": ANY_OBJECT},
        description="A resource in the form that Accept asks for; without titles in the notext forms.",
    ),
    "RegistryName": shape("$id meta:altId version title", {"$id": FILLED, **ONE_NAME}, additionalProperties=False),
    "RegistryPage": shape(
        "results _page _links",
        {
            "results": array(any_of(ref("RegistryName"), ref("RegistryResource"))),
            "_page": ref("RegistryPageInfo"),
            "_links": shape("next", {"next": {"type": ["object", "null"]}}),
        },
        additionalProperties=False,
    ),
    "RegistryPageInfo": shape(
        "orderby next count", {"orderby": TEXT, "next": {}, "count": COUNT}, additionalProperties=False
    ),
    "RegistryStats": shape(
        "imsOrg tenantId counts recentlyCreatedResources recentlyUpdatedResources classUsage",
        {
            "imsOrg": FILLED,
            "tenantId": FILLED,
            "counts": shape(
                "schemas mixins datatypes classes unions",
                dict.fromkeys(("schemas", "mixins", "datatypes", "classes", "unions"), COUNT),
                additionalProperties=False,
            ),
            "recentlyCreatedResources": array(ANY_OBJECT, maxItems=10),
            "recentlyUpdatedResources": array(ANY_OBJECT, maxItems=10),
            "classUsage": {"type": "object", "additionalProperties": array(ANY_OBJECT)},
        },
        additionalProperties=False,
    ),
    "ExportedResource": shape(
        "$id meta:resourceType title allOf",
        {
            "$id": {
                "type": "string",
                "pattern": f"^https://ns\\.adobe\\.com/({PLACEHOLDER}|[^/]+)/[a-z]+/[A-Za-z0-9]+$",
            },
            "meta:resourceType": {"enum": ["classes", "schemas", "mixins", "datatypes"]},
            "title": {"type": "string", "pattern": "[!-~]"},
            "type": OBJECT,
            "allOf": array(ANY_OBJECT, minItems=1),
        },
        description=f"A resource as it is carried to another sandbox; {PLACEHOLDER} stands for the tenant id.",
    ),
    "AuditEntry": shape(
        "id updatedUser imsOrg updatedTime requestId clientId sandBoxId updates",
        {
            "id": FILLED,
            "updatedUser": FILLED,
            "imsOrg": FILLED,
            "updatedTime": {"type": "string", "pattern": "^[0-9]{2}-[0-9]{2}-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}$"},
            "requestId": FILLED,
            "clientId": FILLED,
            "sandBoxId": FILLED,
            "updates": array(
                shape(
                    "id xdmType action path value",
                    {"id": FILLED, "xdmType": FILLED, "action": {"enum": ["add", "remove", "replace"]}, "path": TEXT},
                    additionalProperties={},
                ),
                minItems=1,
            ),
        },
        additionalProperties=False,
    ),
    "DescriptorBody": any_of(
        _descriptor_body(f"^({'|'.join(TYPES)})", {"type": "string", "pattern": "^/"}),
        _descriptor_body(f"^({'|'.join(SEVERAL)})$", array({"type": "string", "pattern": "^/"}, minItems=1)),
        _descriptor_body(f"^{GRANULARITY}$", None),
    ),
    "Descriptor": shape(
        "@id @type xdm:sourceSchema xdm:sourceVersion imsOrg version",
        {"@id": {"type": "string", "pattern": "^[0-9a-f]{40}$"}, "@type": FILLED, "version": FILLED},
    ),
    "DescriptorName": shape("@id", {"@id": FILLED}, additionalProperties=False),
    "DescriptorList": any_of(
        shape(
            "results _page _links",
            {"results": array({}), "_page": ref("RegistryPageInfo"), "_links": ANY_OBJECT},
            additionalProperties=False,
        ),
        {
            "type": "object",
            "not": {"required": ["results"]},
            "additionalProperties": array(any_of(TEXT, ref("Descriptor")), minItems=1),
            "description": "Grouped by @type; a type of which there is none is absent.",
        },
    ),
}
BODIES: Final = {
    "classes": "ClassBody",
    "schemas": "SchemaBody",
    "fieldgroups": "FieldGroupBody",
    "datatypes": "DataTypeBody",
}
BAD: Final = ("The call or its body is wrong.", ["RegistryFault", "GatewayFault", "FaultOf2020"])
ABSENT: Final = ("There is no such resource, or no such sandbox.", ["RegistryFault", "ServiceProblem"])
NO_SANDBOX: Final = ("There is no such sandbox.", ["ServiceProblem"])
NOT_TO_BE_HAD: Final = ("There is no such version.", ["RegistryFault"])


def operations(options: Options) -> Operations:
    """Everything below /data/foundation/schemaregistry."""
    common = gateway_headers(options, sandboxed=True, sandbox_required=options.strict_sandbox)
    found: Operations = {
        ("GET", f"{BASE}/stats"): {
            "summary": "Tenant id, counts, and what was made and changed last",
            "parameters": common,
            "responses": {
                "200": answer("The figures.", ref("RegistryStats")),
                **refusals({400: BAD, 404: NO_SANDBOX}),
            },
        }
    }
    for spelling in READABLE:
        containers = {"behaviors": ("global",), "unions": ("tenant",)}.get(spelling, ("global", "tenant"))
        for container in containers:
            found |= _reads(f"{BASE}/{container}/{spelling}", spelling, common)
    for spelling, kind in WRITABLE.items():
        found |= _writes(f"{BASE}/tenant/{spelling}", spelling, ref(BODIES[kind]), common)
    return found | _descriptors(common) | _procedures(common)


def _procedures(common: list[Json]) -> Operations:
    one = [path(says="The `meta:altId` or the percent-encoded `$id`."), *common]
    read = refusals({400: BAD, 404: ABSENT})
    imported: Json = {
        "summary": "Make all resources of an export, or none",
        "parameters": common,
        "requestBody": body(array(ref("ExportedResource"), minItems=1)),
        "responses": {
            "200": answer("The resources as stored.", array(ref("RegistryResource"), minItems=1)),
            **refusals({400: BAD, 404: NO_SANDBOX}),
        },
    }
    return {
        ("GET", f"{BASE}/rpc/export/{{id}}"): {
            "summary": "A resource and all that it is made of, for another sandbox",
            "parameters": one,
            "responses": {"200": answer("Each after those that it needs.", array(ref("ExportedResource"))), **read},
        },
        ("POST", f"{BASE}/rpc/import"): imported,
        ("POST", f"{BASE}/rpc/export"): {**imported, "summary": "The same, where the community client sends it"},
        ("GET", f"{BASE}/rpc/sampledata/{{id}}"): {
            "summary": "One row that a schema takes",
            "parameters": one,
            "responses": {"200": answer("The row.", ANY_OBJECT), **read},
        },
        ("GET", f"{BASE}/rpc/auditlog/{{id}}"): {
            "summary": "The changes of a resource and of what it is made of, the latest first",
            "parameters": one,
            "responses": {"200": answer("The changes.", array(ref("AuditEntry"))), **read},
        },
    }


def _listing(common: list[Json]) -> list[Json]:
    return [
        query("property", array(CONDITION), says="A condition, like title==T; all must hold."),
        query("orderby", TEXT, says="Fields with commas between them; one that begins with - the other way round."),
        query("limit", {"type": "integer", "minimum": 0, "maximum": LARGEST_LIMIT}, says="Counts with orderby only."),
        query("start", TEXT, says="The `_page.next` of the page before."),
        *common,
    ]


def _accept(media_types: list[str], *, required: bool = True) -> Json:
    return header("Accept", {"type": "string", "enum": media_types}, required=required, says="The form of the answer.")


def _reads(base: str, kind: str, common: list[Json]) -> Operations:
    return {
        ("GET", base): {
            "summary": f"A list of {kind}",
            "parameters": [_accept(LIST_ACCEPT), *_listing(common)],
            "responses": {"200": answer("A page.", ref("RegistryPage")), **refusals({400: BAD, 404: NO_SANDBOX})},
        },
        ("GET", f"{base}/{{id}}"): {
            "summary": f"One of {kind}, by its `$id` (percent-encoded) or `meta:altId`",
            "parameters": [path(), _accept(LOOK_UP_ACCEPT), *common],
            "responses": {
                "200": answer("The resource.", ref("RegistryView")),
                **refusals({400: BAD, 404: ABSENT, 406: NOT_TO_BE_HAD}),
            },
        },
    }


def _writes(base: str, kind: str, sent: Json, common: list[Json]) -> Operations:
    one: list[Any] = [path(), *common]
    changed = {"200": answer("The resource as stored.", ref("RegistryResource")), **refusals({400: BAD, 404: ABSENT})}
    return {
        ("POST", base): {
            "summary": f"Create one of {kind}",
            "parameters": common,
            "requestBody": body(sent),
            "responses": {
                "201": answer("The resource as stored.", ref("RegistryResource")),
                **refusals({400: BAD, 404: NO_SANDBOX}),
            },
        },
        ("PATCH", f"{base}/{{id}}"): {
            "summary": f"Change one of {kind} by a JSON Patch",
            "parameters": one,
            "requestBody": body(ref("RegistryPatch")),
            "responses": changed,
        },
        ("PUT", f"{base}/{{id}}"): {
            "summary": f"Replace one of {kind}",
            "parameters": one,
            "requestBody": body(sent),
            "responses": changed,
        },
        ("DELETE", f"{base}/{{id}}"): {
            "summary": f"Delete one of {kind} that nothing uses",
            "parameters": one,
            "responses": {"204": answer("It is gone.", None), **refusals({400: BAD, 404: ABSENT})},
        },
    }


def _descriptors(common: list[Json]) -> Operations:
    base, one = f"{BASE}/tenant/descriptors", [path(), *common]
    listing = {
        "summary": "Descriptors, grouped by @type, or a page of them",
        "parameters": [_accept(DESCRIPTOR_ACCEPT), *_listing(common)],
        "responses": {"200": answer("Those found.", ref("DescriptorList")), **refusals({400: BAD, 404: NO_SANDBOX})},
    }
    return {
        ("GET", base): listing,
        ("GET", f"{BASE}/global/descriptors"): listing,
        ("GET", f"{BASE}/global/descriptors/{{id}}"): {
            "summary": "One descriptor of Adobe's; there is none",
            "parameters": [path(), _accept(["*/*", "application/json", *DESCRIPTOR_ACCEPT], required=False), *common],
            "responses": {"200": answer("The descriptor.", ref("Descriptor")), **refusals({400: BAD, 404: ABSENT})},
        },
        ("POST", base): {
            "summary": "Create a descriptor",
            "parameters": common,
            "requestBody": body(ref("DescriptorBody")),
            "responses": {
                "201": answer("The descriptor.", ref("Descriptor")),
                **refusals({400: BAD, 404: NO_SANDBOX}),
            },
        },
        ("GET", f"{base}/{{id}}"): {
            "summary": "One descriptor",
            "parameters": [path(), _accept(["*/*", "application/json", *DESCRIPTOR_ACCEPT], required=False), *common],
            "responses": {"200": answer("The descriptor.", ref("Descriptor")), **refusals({400: BAD, 404: ABSENT})},
        },
        ("PUT", f"{base}/{{id}}"): {
            "summary": "Replace a descriptor",
            "parameters": one,
            "requestBody": body(ref("DescriptorBody")),
            "responses": {
                "201": answer("Its id.", ref("DescriptorName")),
                **refusals({400: BAD, 404: ABSENT}),
            },
        },
        ("DELETE", f"{base}/{{id}}"): {
            "summary": "Delete a descriptor",
            "parameters": one,
            "responses": {"204": answer("It is gone.", None), **refusals({400: BAD, 404: ABSENT})},
        },
    }
