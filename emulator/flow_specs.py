"""The catalogue of Flow Service: connection specs and flow specs, as they are shown (platform-api.md §4.3, §7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from flowledger.emulator.options import Options
from flowledger.emulator.source_kinds import (
    Auth,
    AuthParam,
    SourceKind,
    SourceKindInvalid,
    known_kinds,
    source_kind,
)

PROVIDER = "0ed90a81-07f4-4586-8190-b40eccef1c5a"
SINK = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
DATA_LAKE_SOURCE = "23598e46-f560-407b-88d5-ea6207e49db0"  # datasets that are exported
LANDING_ZONE = "26f526f2-58f4-4712-961d-e41bf1ccc0e8"  # the platform's own storage for files
PROFILE_STORE = "8a9c3494-9708-43d7-ae3f-cda01e5030e1"
PAYPAL = "221c7626-58f6-4eec-8ee2-042b0226f03b"
CRM_TO_AEP = "14518937-270c-4525-bdec-c2ba7cce3860"
DRAFT_07 = "http://json-schema.org/draft-07/schema#"

CLOUD_STORAGE_TO_AEP = "9753525b-82c7-4dce-8a9b-5ccfce2b9876"
STREAMING = "c1a19761-d2c7-4702-b9fa-fe91f0613e81"
STREAMING_NAME = "Steam data with transformation"  # so spelled by the platform
STREAMING_PROVIDER = "521eee4d-8cbe-4906-bb48-fb6bd4450033"
PUBLISHED_OPERATORS = {  # what a source that filters rows says of it
    "enabled": True,
    "queryLanguage": "SQL",
    "logicalOperators": ["and", "or", "not"],
    "comparisonOperators": ["=", "!=", "<", "<=", ">", ">=", "like", "in"],
    "columnNameEscapeChar": "`",
    "valueEscapeChar": "'",
}

SCHEDULE: dict[str, Any] = {
    "$schema": DRAFT_07,
    "type": "object",
    "properties": {
        "startTime": {"description": "epoch time", "type": "integer"},
        "frequency": {"type": "string", "enum": ["once", "minute", "hour", "day", "week"]},
        "interval": {"type": "integer"},
        "backfill": {"type": "boolean", "default": True},
    },
    "required": ["startTime", "frequency"],
    "if": {"properties": {"frequency": {"const": "once"}}},
    "then": {"allOf": [{"not": {"required": ["interval"]}}, {"not": {"required": ["backfill"]}}]},
    "else": {
        "required": ["interval"],
        "if": {"properties": {"frequency": {"const": "minute"}}},
        "then": {"properties": {"interval": {"minimum": 15}}},
        "else": {"properties": {"interval": {"minimum": 1}}},
    },
}

COPY: dict[str, Any] = {
    "$schema": DRAFT_07,
    "type": "object",
    "properties": {
        "deltaColumn": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "dateFormat": {"type": "string"},
                "timezone": {"type": "string"},
            },
            "required": ["name"],
        }
    },
    "required": ["deltaColumn"],
}

MAPPING: dict[str, Any] = {
    "$schema": DRAFT_07,
    "type": "object",
    "description": "defines various params required for different mapping from source to target",
    "properties": {"mappingId": {"type": "string"}, "mappingVersion": {"type": "string"}},
}

OPTION: dict[str, Any] = {
    "$schema": DRAFT_07,
    "type": "object",
    "properties": {
        "errorDiagnosticsEnabled": {
            "title": "Error diagnostics.",
            "description": "Flag to enable detailed and sample error diagnostics summary.",
            "type": "boolean",
            "default": False,
        },
        "partialIngestionPercent": {
            "title": "Partial ingestion threshold.",
            "description": "Percentage which defines the threshold of errors allowed before the run is failed.",
            "type": "number",
            "exclusiveMinimum": 0,
        },
    },
}

RUN: dict[str, Any] = {
    "$schema": DRAFT_07,
    "type": "object",
    "properties": {
        "startTime": {"type": "integer", "description": "An integer that defines the start time of the run."},
        "windowStartTime": {"type": "integer", "description": "Start time of the window, in epoch time."},
        "windowEndTime": {"type": "integer", "description": "End time of the window, in epoch time."},
        "deltaColumn": COPY["properties"]["deltaColumn"],
    },
    "required": ["startTime", "windowStartTime", "windowEndTime"],
}


@dataclass(frozen=True, slots=True)
class SpecCatalogue:
    """Everything that a sandbox can be connected with, by id. To be read."""

    kinds: Mapping[str, SourceKind]
    connection_specs: Mapping[str, dict[str, Any]]
    flow_specs: Mapping[str, dict[str, Any]]


def catalogue_of(options: Options) -> SpecCatalogue:
    """The catalogue that these options ask for. Raises SourceKindInvalid for a kind of the user's own."""
    extra = orjson.dumps(options.extra_sources) if options.extra_sources else b"[]"
    return _catalogue(drafts=options.draft_mode_supported, extra=extra)


def connection_specs(*, drafts: bool) -> list[dict[str, Any]]:
    """The connection specs of the platform, to be read. `drafts`: whether they say that drafts are supported."""
    return list(_catalogue(drafts=drafts, extra=b"[]").connection_specs.values())


@cache
def _catalogue(*, drafts: bool, extra: bytes) -> SpecCatalogue:
    own = tuple(source_kind(written) for written in orjson.loads(extra))
    kinds = {kind.id: kind for kind in (*known_kinds(), *own)}
    flow_specs = {spec["id"]: spec for spec in _flow_specs(kinds.values(), drafts)}
    named = {spec["name"] for spec in flow_specs.values()}
    for kind in own:
        if kind.flow_spec is not None and kind.flow_spec not in named:
            raise SourceKindInvalid(f"{kind.label}: there is no flow spec {kind.flow_spec!r}")
    specs = {kind.id: _connection_spec(kind, drafts) for kind in kinds.values()}
    specs[SINK] = _sink_spec(drafts)
    specs[PROFILE_STORE] = _own_source(PROFILE_STORE, "activation-ups", {}, drafts)
    specs[DATA_LAKE_SOURCE] = _own_source(
        DATA_LAKE_SOURCE, "activation-datalake", {"datasets": {"type": "array", "items": {"type": "object"}}}, drafts
    )
    specs[LANDING_ZONE] = _own_source(
        LANDING_ZONE, "landing-zone", {"path": {"type": "string"}, "type": {"enum": ["file", "folder"]}}, drafts
    )
    return SpecCatalogue(kinds, specs, flow_specs)


def _flow_specs(kinds: Iterable[SourceKind], drafts: bool) -> list[dict[str, Any]]:
    taken: dict[str | None, list[str]] = {"CloudStorageToAEP": [LANDING_ZONE]}
    for kind in kinds:
        taken.setdefault(kind.flow_spec, []).append(kind.id)
    copy, mapping = {"name": "Copy", "spec": COPY}, {"name": "Mapping", "spec": MAPPING}
    schedule = {"name": "PeriodicSchedule", "type": "Periodic", "spec": SCHEDULE}
    batch: dict[str, Any] = {"isSourceFlow": True, "flacValidationSupported": True, "frequency": "batch"}
    streaming: dict[str, Any] = {"isSourceFlow": True, "flacValidationSupported": True, "frequency": "streaming"}
    option, run = {"name": "OptionSpec", "spec": OPTION}, {"name": "ProviderParams", "spec": RUN}
    said: list[tuple[str, str, str, dict[str, Any], list[dict[str, Any]], dict[str, Any]]] = [
        (
            CRM_TO_AEP,
            "CRMToAEP",
            PROVIDER,
            batch,
            [copy, mapping],
            {"optionSpec": option, "scheduleSpec": schedule, "runSpec": run},
        ),
        (
            CLOUD_STORAGE_TO_AEP,
            "CloudStorageToAEP",
            PROVIDER,
            batch,
            [mapping],
            {"optionSpec": option, "scheduleSpec": schedule, "runSpec": run},
        ),
        (STREAMING, STREAMING_NAME, STREAMING_PROVIDER, streaming, [mapping], {}),
    ]
    return [
        {
            "id": key,
            "name": name,
            "providerId": provider,
            "version": "1.0",
            "sourceConnectionSpecIds": taken.get(name, []),
            "targetConnectionSpecIds": [SINK],
            "attributes": {**attributes, **_drafts(drafts)},
            "transformationSpecs": transformations,
            "transformationSpec": transformations,
            **more,
            "permissionsInfo": _permissions(),
        }
        for key, name, provider, attributes, transformations, more in said
    ]


def _connection_spec(kind: SourceKind, drafts: bool) -> dict[str, Any]:
    place: dict[str, Any] = {"tableName": {"type": "string"}, "path": {"type": "string"}, "columns": {"type": "array"}}
    if "rest" in kind.explores:
        place = {"resourcePath": {"type": "string"}}
    elif "file" in kind.explores:
        place = {"path": {"type": "string"}, "type": {"type": "string", "enum": ["file", "folder"]}}
    return {
        "id": kind.id,
        "name": kind.name,
        "providerId": PROVIDER if kind.flow_spec != STREAMING_NAME else STREAMING_PROVIDER,
        "version": "1.0",
        "type": "generic",
        "authSpec": [_auth_spec(kind, auth) for auth in kind.auths],
        "sourceSpec": {
            "attributes": {"uiAttributes": {"isSource": True, "category": {"key": kind.category}}},
            "spec": {"$schema": DRAFT_07, "type": "object", "properties": place},
        },
        "exploreSpec": {
            "name": "Resource",
            "type": "Resource",
            "requestSpec": {
                "$schema": DRAFT_07,
                "type": "object",
                "properties": {"objectType": {"enum": list(kind.explores)}, "object": {"type": "string"}},
                "required": ["objectType"],
            },
        },
        "attributes": {
            "category": kind.category,
            "filterAtSource": PUBLISHED_OPERATORS if kind.row_filters else False,
            **_drafts(drafts),
        },
        "permissionsInfo": _permissions(),
    }


def _auth_spec(kind: SourceKind, auth: Auth) -> dict[str, Any]:
    return {
        "name": auth.name,
        "type": auth.type,
        "spec": {
            "$schema": DRAFT_07,
            "type": "object",
            "description": f"defines auth params required for connecting to {kind.label}",
            "properties": {param.name: _auth_param(param) for param in auth.params},
            "required": [param.name for param in auth.params if param.required],
        },
    }


def _auth_param(param: AuthParam) -> dict[str, Any]:
    described: dict[str, Any] = {"type": "string", "description": param.description}
    if param.default is not None:
        described["default"] = param.default
    if param.secret:
        described["format"] = "password"
    return described


def _sink_spec(drafts: bool) -> dict[str, Any]:
    return {
        "id": SINK,
        "name": "datalake",  # what a client in use looks it up by; the guides name it by its id only
        "providerId": PROVIDER,
        "version": "1.0",
        "type": "generic",
        "authSpec": [],
        "targetSpec": {
            "name": "Data Lake",
            "type": "Data Lake",
            "spec": {
                "$schema": DRAFT_07,
                "type": "object",
                "properties": {"dataSetId": {"type": "string"}},
                "required": ["dataSetId"],
            },
        },
        "attributes": {"isTarget": True, **_drafts(drafts)},
        "permissionsInfo": _permissions(),
    }


def _own_source(key: str, name: str, params: dict[str, Any], drafts: bool) -> dict[str, Any]:
    """A source that is part of the platform: it has no credentials."""
    return {
        "id": key,
        "name": name,
        "providerId": PROVIDER,
        "version": "1.0",
        "type": "generic",
        "authSpec": [],
        "sourceSpec": {
            "attributes": {"uiAttributes": {"isSource": True}},
            "spec": {"$schema": DRAFT_07, "type": "object", "properties": params},
        },
        "exploreSpec": {
            "name": "Resource",
            "type": "Resource",
            "requestSpec": {"$schema": DRAFT_07, "type": "object", "properties": {}},
        },
        "attributes": dict(_drafts(drafts)),
        "permissionsInfo": _permissions(),
    }


def _drafts(supported: bool) -> dict[str, bool]:
    return {"isDraftModeSupported": True} if supported else {}


def _permissions() -> dict[str, Any]:
    return {
        "view": [{"@type": "lowLevel", "name": "EnterpriseSource", "permissions": ["read"]}],
        "manage": [{"@type": "lowLevel", "name": "EnterpriseSource", "permissions": ["write"]}],
    }
