"""The shapes of Flow Service's bodies and answers in the OpenAPI document (platform-api.md §4, §11)."""

from __future__ import annotations

from typing import Any, Final

from flowledger.emulator.connection_rules import FORMATS
from flowledger.emulator.flow_rules import FREQUENCIES
from flowledger.emulator.flow_search import MOST
from flowledger.emulator.openapi_parts import (
    ANY_OBJECT,
    ETAG,
    FILLED,
    TEXT,
    TEXT_OR_NULL,
    TRUTH,
    UUID,
    WHOLE,
    Json,
    any_of,
    array,
    in_any_case,
    ref,
    shape,
)

NUMBER: Final[Json] = {
    "anyOf": [WHOLE, {"type": "string", "pattern": "^-?[0-9]{1,18}$"}],
    "description": "A whole number, or a string of its digits (U26).",
}
STAMPS: Final[Json] = {
    "id": UUID,
    "createdAt": WHOLE,
    "updatedAt": WHOLE,
    "createdBy": FILLED,
    "updatedBy": FILLED,
    "createdClient": FILLED,
    "updatedClient": FILLED,
    "sandboxId": UUID,
    "sandboxName": FILLED,
    "imsOrgId": FILLED,
}
STAMPED: Final = " ".join(STAMPS)
SPEC: Final = shape("id", {"id": FILLED, "version": {}})
CONNECTION_STATES: Final = {"enum": ["enabled", "draft", "initializing"]}
PATCHED_PATH: Final = {"type": "string", "pattern": "^/.", "description": "Of nothing that the server sets itself."}
NAMED: Final = shape("name", {"name": FILLED, "description": TEXT_OR_NULL}) | {"not": {"required": ["state"]}}
SUMMARY: Final = shape("startedAtUTC", {"startedAtUTC": WHOLE, "completedAtUTC": WHOLE})


def _stamped(names: str, properties: dict[str, Any]) -> Json:
    return shape(f"{STAMPED} {names}".strip(), {**STAMPS, "etag": ETAG, "version": ETAG, **properties})


SHAPES: Final[dict[str, Json]] = {
    "NameAndDescription": NAMED,
    "AuthParams": {"type": "object", "additionalProperties": FILLED},
    "SourceConnectionBody": {
        "allOf": [
            NAMED,
            shape(
                "data baseConnectionId",
                {
                    "data": shape("format", {"format": {"enum": list(FORMATS)}}),
                    "baseConnectionId": FILLED,
                    "params": ANY_OBJECT,
                },
            ),
        ]
    },
    "TargetConnectionBody": shape(
        "data",
        {
            "name": TEXT_OR_NULL,
            "description": TEXT_OR_NULL,
            "data": shape("", {"format": {"enum": list(FORMATS)}, "schema": ANY_OBJECT}),
            "params": shape("", {"dataSetId": FILLED}),
            "baseConnectionId": {"type": ["string", "null"]},
        },
    )
    | {"not": {"required": ["state"]}},
    "FlowBody": shape(
        "sourceConnectionIds targetConnectionIds scheduleParams transformations",
        {
            "name": TEXT_OR_NULL,
            "description": TEXT_OR_NULL,
            "sourceConnectionIds": array(FILLED, minItems=1, maxItems=1),
            "targetConnectionIds": array(FILLED, minItems=1, maxItems=1),
            "transformations": array(shape("name", {"params": ANY_OBJECT})),
            "scheduleParams": ref("ScheduleParams"),
            "options": shape(
                "",
                {
                    "errorDiagnosticsEnabled": TRUTH,
                    "partialIngestionPercent": {"type": "number", "exclusiveMinimum": 0},
                },
            ),
            "optionSpec": False,
        },
    )
    | {"not": {"required": ["state"]}},
    "ScheduleParams": any_of(
        shape("startTime frequency", {"startTime": NUMBER, "frequency": {"const": "once"}})
        | {"not": {"anyOf": [{"required": ["interval"]}, {"required": ["backfill"]}]}},
        shape(
            "startTime frequency interval",
            {
                "startTime": NUMBER,
                "frequency": {"enum": [one for one in FREQUENCIES if one != "once"]},
                "interval": NUMBER,
                "endTime": {"anyOf": [NUMBER, {"type": "null"}], "description": "Seconds, after startTime (2020)."},
                "backfill": {"enum": [True, False, "true", "false"]},
            },
        ),
    ),
    "FlowPatch": array(
        any_of(
            shape("op path value", {"op": in_any_case("add", "replace"), "path": PATCHED_PATH, "value": {}}),
            shape("op path", {"op": in_any_case("remove"), "path": PATCHED_PATH}),
        ),
        minItems=1,
    ),
    "FlowName": shape("id etag", {"id": UUID, "etag": ETAG}, additionalProperties=False),
    "FlowLinks": shape(
        "",
        {"next": shape("href", {"href": {"type": "string", "pattern": "^/[A-Za-z]+(/search)?\\?continuationToken="}})},
        additionalProperties=False,
    ),
    "Connection": _stamped(
        "name connectionSpec state", {"name": FILLED, "connectionSpec": SPEC, "state": CONNECTION_STATES, "auth": {}}
    ),
    "SourceConnection": _stamped(
        "name connectionSpec data state etag version",
        {"connectionSpec": SPEC, "state": CONNECTION_STATES, "data": ANY_OBJECT, "inheritedAttributes": ANY_OBJECT},
    ),
    "TargetConnection": _stamped(
        "connectionSpec data state etag version",
        {"connectionSpec": SPEC, "state": CONNECTION_STATES, "data": ANY_OBJECT, "inheritedAttributes": ANY_OBJECT},
    ),
    "Flow": _stamped(
        "flowSpec state etag version inheritedAttributes runs lastOperation",
        {
            "flowSpec": SPEC,
            "state": FILLED,
            "inheritedAttributes": shape(
                "properties sourceConnections targetConnections",
                {"sourceConnections": array(ANY_OBJECT), "targetConnections": array(ANY_OBJECT)},
            ),
            "runs": FILLED,
            "lastOperation": shape(
                "started updated percentCompleted status ops operation",
                {
                    "started": WHOLE,
                    "updated": WHOLE,
                    "percentCompleted": {"type": "number", "minimum": 0, "maximum": 100},
                    "status": shape(
                        "value errors",
                        {"value": {"enum": ["inProgress", "completed", "failed"]}, "errors": array(ANY_OBJECT)},
                    ),
                    "ops": array({}),
                    "operation": FILLED,
                },
            ),
            "lastRunDetails": shape("id state", {"id": UUID, "state": FILLED}),
        },
    ),
    "Run": _stamped(
        "flowId flowSpec etag version metrics activities",
        {
            "flowId": UUID,
            "metrics": shape(
                "durationSummary statusSummary",
                {"durationSummary": SUMMARY, "statusSummary": shape("status errors", {"status": FILLED})},
            ),
            "activities": array(
                shape("id durationSummary statusSummary sourceInfo targetInfo"), minItems=1, maxItems=2
            ),
        },
    ),
    "RunBody": shape(
        "flowId params",
        {
            "flowId": FILLED,
            "params": shape(
                "startTime windowStartTime windowEndTime",
                {
                    "startTime": NUMBER,
                    "windowStartTime": NUMBER,
                    "windowEndTime": NUMBER,
                    "deltaColumn": shape("name", {"name": FILLED}),
                },
            ),
        },
    ),
    "ActionBody": shape(
        "",
        {
            "percentCompleted": {"type": "number", "minimum": 0, "maximum": 100},
            "status": {"type": ["object", "string", "null"], "properties": {"value": TEXT_OR_NULL}},
        },
        description="For finalize and finalize_update.",
    ),
    "SearchBody": shape(
        "",
        {
            "queryString": {"enum": ["", None]},
            "limit": {"type": "integer", "minimum": 1, "maximum": MOST},
            "orderby": {
                "anyOf": [
                    {"type": "null"},
                    {"type": "string", "pattern": "^[+-]?(id|name|state|createdAt|updatedAt)$"},
                ]
            },
            "count": TRUTH,
            "projectionFields": {"type": ["array", "string", "null"], "items": TEXT},
        },
        additionalProperties=False,
    ),
    "ConnectionSpec": shape(
        "id name providerId version type authSpec attributes permissionsInfo",
        {
            "version": {"const": "1.0"},
            "authSpec": array(shape("name type spec", {"name": FILLED, "type": FILLED, "spec": ANY_OBJECT})),
            "sourceSpec": ANY_OBJECT,
            "targetSpec": ANY_OBJECT,
            "exploreSpec": ANY_OBJECT,
            "attributes": ANY_OBJECT,
        },
    ),
    "FlowSpec": shape(
        "id name providerId version sourceConnectionSpecIds targetConnectionSpecIds attributes transformationSpecs "
        "permissionsInfo",
        {
            "version": {"const": "1.0"},
            "sourceConnectionSpecIds": array(FILLED),
            "targetConnectionSpecIds": array(FILLED, minItems=1),
            "transformationSpecs": array(shape("name spec", {"name": FILLED, "spec": ANY_OBJECT})),
            "scheduleSpec": ANY_OBJECT,
            "optionSpec": ANY_OBJECT,
            "runSpec": ANY_OBJECT,
        },
    ),
    "ConnectionTest": shape("result", {"result": TRUTH}, additionalProperties=False),
    "Explored": any_of(
        array(
            shape(
                "type name path canPreview canFetchSchema",
                {
                    "type": {"enum": ["table", "folder", "file"]},
                    "name": FILLED,
                    "path": FILLED,
                    "canPreview": TRUTH,
                    "canFetchSchema": TRUTH,
                },
                additionalProperties=False,
            )
        ),
        shape(
            "format schema",
            {
                "format": {"const": "flat"},
                "schema": shape("columns", {"columns": array(shape("name type"), minItems=1)}),
                "data": array(ANY_OBJECT),
            },
            additionalProperties=False,
        ),
        shape(
            "format schema",
            {"format": {"const": "hierarchical"}, "schema": ANY_OBJECT, "data": array(ANY_OBJECT)},
            additionalProperties=False,
        ),
    ),
}
