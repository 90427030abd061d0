"""The fixed catalogue of Flow Service: connection specs and flow specs (platform-api.md §4.3, §4.4, §7)."""

from __future__ import annotations

from functools import cache
from typing import Any

PROVIDER = "0ed90a81-07f4-4586-8190-b40eccef1c5a"
SINK = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
PAYPAL = "221c7626-58f6-4eec-8ee2-042b0226f03b"
CRM_TO_AEP = "14518937-270c-4525-bdec-c2ba7cce3860"
DRAFT_07 = "http://json-schema.org/draft-07/schema#"

TABLE_SOURCES: dict[str, str] = {  # what CRMToAEP takes: every table-like source of §7, by name
    "PayPal": PAYPAL,
    "Square": "2acf109f-9b66-4d5e-bc18-ebb2adcff8d5",
    "Salesforce": "cfc0fee1-7dc0-40ef-b73e-d8b134c436f5",
    "Microsoft Dynamics": "38ad80fe-8b06-4938-94f4-d4ee80266b07",
    "Veeva CRM": "fcad62f3-09b0-41d3-be11-449d5a621b69",
    "Zoho CRM": "929e4450-0237-4ed2-9404-b7e1e0a00309",
    "Amazon Redshift": "3416976c-a9ca-4bba-901a-1f08f66978ff",
    "Apache Cassandra": "a8f4d393-1a6b-43f3-931f-91a16ed857f4",
    "Apache Hive on HDInsight": "aac9bbd4-6c01-46ce-b47e-51c6f0f6db3f",
    "Apache Spark on HDInsight": "6a8d82bc-1caf-45d1-908d-cadabc9d63a6",
    "Azure Data Explorer": "0479cc14-7651-4354-b233-7480606c2ac3",
    "Azure Synapse Analytics": "a49bcc7d-8038-43af-b1e4-5a7a089a7d79",
    "Azure Table Storage": "ecde33f2-c56f-46cc-bdea-ad151c16cd69",
    "Couchbase": "1fe283f6-9bec-11ea-bb37-0242ac130002",
    "Google BigQuery": "3c9b37f8-13a6-43d8-bad3-b863b941fedd",
    "Greenplum": "37b6bf40-d318-4655-90be-5cd6f65d334b",
    "HP Vertica": "a8b6a1a4-5735-42b4-952c-85dce0ac38b5",
    "IBM DB2": "09182899-b429-40c9-a15a-bf3ddbc8ced7",
    "MariaDB": "3000eb99-cd47-43f3-827c-43caf170f015",
    "Microsoft SQL Server": "1f372ff9-38a4-4492-96f5-b9a4e4bd00ec",
    "MySQL": "26d738e0-8963-47ea-aadf-c60de735468a",
    "Oracle DB": "d6b52d86-f0f8-475f-89d4-ce54c8527328",
    "Phoenix": "102706fb-a5cd-42ee-afe0-bc42f017ff43",
    "PostgreSQL": "74a1c565-4e59-48d7-9d67-7c03b8a13137",
    "Snowflake": "b2e08744-4f1a-40ce-af30-7abac3e23cf3",
    "Teradata Vantage": "2fa8af9c-2d1a-43ea-a253-f00a00c74412",
    "Shopify": "4f63aa36-bd48-4e33-bb83-49fbcd11c708",
    "HubSpot": "cc6a4487-9e91-433e-a3a3-9cf6626c1806",
    "Salesforce Marketing Cloud": "ea1c2a08-b722-11eb-8529-0242ac130003",
    "Oracle Eloqua": "35d6c4d8-c9a9-11eb-b8bc-0242ac130003",
    "Oracle Responsys": "ff4274f2-c9a9-11eb-b8bc-0242ac130003",
    "Salesforce Service Cloud": "cb66ab34-8619-49cb-96d1-39b37ede86ea",
    "ServiceNow": "eb13cb25-47ab-407f-ba89-c0125281c563",
    "Oracle Service Cloud": "ba5126ec-c9ac-11eb-b8bc-0242ac130003",
    "Google Ads": "d771e9c1-4f26-40dc-8617-ce58c4b53702",
    "Generic OData": "8e6b41a8-d998-4545-ad7d-c6a9fff406c3",
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
    "required": ["startTime", "windowStartTime", "windowEndTime", "deltaColumn"],
}


@cache
def flow_specs(*, drafts: bool) -> list[dict[str, Any]]:
    """The flow specs, to be read. `drafts`: whether they say that drafts are supported (the published ones do not)."""
    attributes: dict[str, Any] = {"isSourceFlow": True, "flacValidationSupported": True, "frequency": "batch"}
    transformations = [{"name": "Copy", "spec": COPY}, {"name": "Mapping", "spec": MAPPING}]
    return [
        {
            "id": CRM_TO_AEP,
            "name": "CRMToAEP",
            "providerId": PROVIDER,
            "version": "1.0",
            "sourceConnectionSpecIds": list(TABLE_SOURCES.values()),
            "targetConnectionSpecIds": [SINK],
            "attributes": {**attributes, **_drafts(drafts)},
            "optionSpec": {"name": "OptionSpec", "spec": OPTION},
            "transformationSpecs": transformations,
            "transformationSpec": transformations,
            "scheduleSpec": {"name": "PeriodicSchedule", "type": "Periodic", "spec": SCHEDULE},
            "runSpec": {"name": "ProviderParams", "spec": RUN},
            "permissionsInfo": _permissions(),
        }
    ]


@cache
def connection_specs(*, drafts: bool) -> list[dict[str, Any]]:
    """The connection specs that the emulator can serve, to be read: PayPal and the data lake."""
    return [
        {
            "id": PAYPAL,
            "name": "PayPal",
            "providerId": PROVIDER,
            "version": "1.0",
            "type": "generic",
            "authSpec": [
                {
                    "name": "Client-Id-Secret Based Authentication",
                    "type": "clientIdSecret",
                    "spec": {
                        "$schema": DRAFT_07,
                        "type": "object",
                        "description": "defines auth params required for connecting to PayPal",
                        "properties": {
                            "host": {
                                "type": "string",
                                "description": "The URL of the PayPal instance.",
                                "default": "api.sandbox.paypal.com",
                            },
                            "clientId": {"type": "string", "description": "The client id of the application."},
                            "clientSecret": {
                                "type": "string",
                                "description": "The client secret of the application.",
                                "format": "password",
                            },
                        },
                        "required": ["clientId", "clientSecret"],
                    },
                }
            ],
            "sourceSpec": {
                "attributes": {"uiAttributes": {"isSource": True, "category": {"key": "payments"}}},
                "spec": {
                    "$schema": DRAFT_07,
                    "type": "object",
                    "properties": {"tableName": {"type": "string"}, "path": {"type": "string"}},
                },
            },
            "exploreSpec": {
                "name": "Resource",
                "type": "Resource",
                "requestSpec": {
                    "$schema": DRAFT_07,
                    "type": "object",
                    "properties": {"objectType": {"enum": ["root", "table"]}, "object": {"type": "string"}},
                    "required": ["objectType"],
                },
            },
            "attributes": {"category": "payments", "filterAtSource": False, **_drafts(drafts)},
            "permissionsInfo": _permissions(),
        },
        {
            "id": SINK,
            "name": "Data Lake",
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
        },
    ]


def _drafts(supported: bool) -> dict[str, bool]:
    return {"isDraftModeSupported": True} if supported else {}


def _permissions() -> dict[str, Any]:
    return {
        "view": [{"@type": "lowLevel", "name": "EnterpriseSource", "permissions": ["read"]}],
        "manage": [{"@type": "lowLevel", "name": "EnterpriseSource", "permissions": ["write"]}],
    }
