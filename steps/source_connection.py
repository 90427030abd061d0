"""Create the source connection: which table is read, through which base connection, by which schema."""

from __future__ import annotations

from flowledger.steps.adhoc_schema import CreateAdHocSchema
from flowledger.steps.answers import dig
from flowledger.steps.base_connection import CreateBaseConnection
from flowledger.steps.client.port import Json
from flowledger.steps.differences import as_media_type, differ
from flowledger.steps.flow_object import FlowObject
from flowledger.steps.sources import source_kind
from flowledger.steps.spec import Spec
from flowledger.steps.step import Call, Context, Difference

SCHEMA_VERSION = "application/vnd.adobe.xed-full-notext+json; version=1"


class CreateSourceConnection(FlowObject):
    """POST /sourceConnections in the 2020 form: `parquet_xdm`, schema and path (platform-api.md §4.5)."""

    name = "create_source_connection"
    slug = "source-connection"
    label = "source connection"
    kind = "sourceConnections"
    row = "6"
    tutorial = "Création d’une connexion source"

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        return ((Call(method="POST", path="/sourceConnections", effect=True),),)

    def body(self, ctx: Context) -> dict[str, Json]:
        kind = source_kind(ctx.spec.source.kind)
        return {
            "baseConnectionId": ctx.outputs_of(CreateBaseConnection)["id"],
            "data": {
                "format": "parquet_xdm",
                "schema": {"id": ctx.outputs_of(CreateAdHocSchema)["id"], "version": SCHEMA_VERSION},
            },
            "params": {"path": ctx.spec.source.table},
            "connectionSpec": {"id": kind.connection_spec_id, "version": kind.connection_spec_version},
        }

    def second_look(self, ctx: Context) -> str:
        return f"baseConnectionId=={ctx.outputs_of(CreateBaseConnection)['id']}"

    def references(self, ctx: Context, live: Json) -> list[Difference]:
        wanted = self.body(ctx)
        return [
            difference
            for path in (("baseConnectionId",), ("connectionSpec", "id"), ("data", "schema", "id"), ("params", "path"))
            for difference in differ(".".join(path), dig(wanted, *path), dig(live, *path))
        ]

    def content(self, ctx: Context, live: Json) -> list[Difference]:
        return [
            *differ("data.format", "parquet_xdm", dig(live, "data", "format")),
            *differ("data.schema.version", SCHEMA_VERSION, dig(live, "data", "schema", "version"), as_media_type),
        ]
