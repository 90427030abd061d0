"""Create the source connection: which table is read, through which base connection, in which form."""

from __future__ import annotations

from typing import ClassVar

from flowledger.steps.adhoc_schema import CreateAdHocSchema
from flowledger.steps.answers import dig, text_or_none
from flowledger.steps.base_connection import CreateBaseConnection
from flowledger.steps.client.port import Json
from flowledger.steps.differences import as_media_type, as_shape, differ
from flowledger.steps.explore import Explore
from flowledger.steps.flow_object import FlowObject
from flowledger.steps.row_filter import alike
from flowledger.steps.sources import source_kind
from flowledger.steps.spec import Spec
from flowledger.steps.step import Call, Context, Difference

SCHEMA_VERSION = "application/vnd.adobe.xed-full-notext+json; version=1"


class CreateSourceConnection(FlowObject):
    """POST /sourceConnections in the form of 2020: `parquet_xdm`, schema and path (platform-api.md §4.5)."""

    name = "create_source_connection"
    slug = "source-connection"
    label = "source connection"
    kind = "sourceConnections"
    row = "6"
    tutorial = "Création d’une connexion source"

    #: Where in the object its immutable references are.
    refers_by: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("baseConnectionId",),
        ("connectionSpec", "id"),
        ("data", "schema", "id"),
        ("params", "path"),
    )

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        return ((Call(method="POST", path="/sourceConnections", effect=True),),)

    def body(self, ctx: Context) -> dict[str, Json]:
        kind = source_kind(ctx.spec.source)
        return {
            "baseConnectionId": ctx.outputs_of(CreateBaseConnection)["id"],
            "data": self.data(ctx),
            "params": self.params(ctx),
            "connectionSpec": {"id": kind.connection_spec_id, "version": kind.connection_spec_version},
        }

    def data(self, ctx: Context) -> dict[str, Json]:
        """In which form the rows are read."""
        schema = {"id": ctx.outputs_of(CreateAdHocSchema)["id"], "version": SCHEMA_VERSION}
        return {"format": "parquet_xdm", "schema": schema}

    def params(self, ctx: Context) -> dict[str, Json]:
        """Which rows are read."""
        return {"path": ctx.spec.source.table}

    def second_look(self, ctx: Context) -> str:
        return f"baseConnectionId=={ctx.outputs_of(CreateBaseConnection)['id']}"

    def references(self, ctx: Context, live: Json) -> list[Difference]:
        wanted = self.body(ctx)
        return [
            difference
            for path in self.refers_by
            for difference in differ(".".join(path), dig(wanted, *path), dig(live, *path))
        ]

    def content(self, ctx: Context, live: Json) -> list[Difference]:
        return [
            *differ("data.format", "parquet_xdm", dig(live, "data", "format")),
            *differ("data.schema.version", SCHEMA_VERSION, dig(live, "data", "schema", "version"), as_media_type),
        ]


class CreateTabularSourceConnection(CreateSourceConnection):
    """POST /sourceConnections in the form of now: `tabular`, with the table's name and its columns in it
    (platform-api.md §4.5, §13). It needs no schema of the raw rows."""

    refers_by = (("baseConnectionId",), ("connectionSpec", "id"), ("params", "tableName"))

    def data(self, ctx: Context) -> dict[str, Json]:
        return {"format": "tabular"}

    def params(self, ctx: Context) -> dict[str, Json]:
        """The table, its columns as exploring it has shown them, and which of its rows."""
        params: dict[str, Json] = {"tableName": ctx.spec.source.table, "columns": self._columns(ctx)}
        if ctx.spec.source.filter is not None:
            params["filters"] = ctx.spec.source.filter
        return params

    def references(self, ctx: Context, live: Json) -> list[Difference]:
        # Other rows than were asked for are as wrong as another table.
        wanted, found = ctx.spec.source.filter, dig(live, "params", "filters")
        return [*super().references(ctx, live), *differ("params.filters", wanted, found, alike)]

    def _columns(self, ctx: Context) -> list[Json]:
        return [dict(column) for column in ctx.outputs_of(Explore)["columns"]]

    def content(self, ctx: Context, live: Json) -> list[Difference]:
        wanted = {column["name"]: column for column in self._columns(ctx)}
        listed = dig(live, "params", "columns")
        found = {
            name: column
            for column in (listed if isinstance(listed, list) else [])
            if (name := text_or_none(column, "name"))
        }
        differences = differ("data.format", "tabular", dig(live, "data", "format"))
        for name in dict.fromkeys((*wanted, *found)):
            path = f"params.columns.{name}"
            if name not in found or name not in wanted:
                differences += differ(path, wanted.get(name), found.get(name))
                continue
            for key in ("type", "xdm"):
                if (
                    found[name].get(key) is not None
                ):  # what an answer leaves out is no edit: some abbreviate (platform-api.md §4.5)
                    differences += differ(f"{path}.{key}", wanted[name][key], found[name][key], as_shape)
        return differences
