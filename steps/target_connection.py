"""Create the target connection: the dataset that the dataflow writes to."""

from __future__ import annotations

from typing import ClassVar

from flowledger.steps.answers import dig
from flowledger.steps.client.port import Json
from flowledger.steps.dataset import CreateDataset
from flowledger.steps.differences import as_media_type, differ
from flowledger.steps.flow_object import FlowObject
from flowledger.steps.sink import SINK_SPEC_ID, FindOrCreateSink
from flowledger.steps.spec import Spec
from flowledger.steps.step import Call, Context, Difference
from flowledger.steps.target_schema import CreateTargetSchema

SCHEMA_VERSION = "application/vnd.adobe.xed-full+json;version=1"


class CreateTargetConnection(FlowObject):
    """POST /targetConnections (platform-api.md §4.6). Its spec is the sink's, where the tutorial has PayPal's (T1)."""

    name = "create_target_connection"
    slug = "target-connection"
    label = "target connection"
    kind = "targetConnections"
    row = "10"
    tutorial = "Création d’une connexion cible"

    #: Where in the object its immutable references are.
    refers_by: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("baseConnectionId",),
        ("connectionSpec", "id"),
        ("data", "schema", "id"),
        ("params", "dataSetId"),
    )

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        return ((Call(method="POST", path="/targetConnections", effect=True),),)

    def body(self, ctx: Context) -> dict[str, Json]:
        return {
            **self.base(ctx),
            "data": {
                "format": "parquet_xdm",
                "schema": {"id": ctx.outputs_of(CreateTargetSchema)["id"], "version": SCHEMA_VERSION},
            },
            "params": {"dataSetId": ctx.outputs_of(CreateDataset)["id"]},
            "connectionSpec": {"id": SINK_SPEC_ID, "version": "1.0"},
        }

    def base(self, ctx: Context) -> dict[str, Json]:
        """The base connection that it goes through."""
        return {"baseConnectionId": ctx.outputs_of(FindOrCreateSink)["id"]}

    def second_look(self, ctx: Context) -> str:
        return f"params.dataSetId=={ctx.outputs_of(CreateDataset)['id']}"

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


class CreateDirectTargetConnection(CreateTargetConnection):
    """POST /targetConnections without a base connection, as the guides show it now (platform-api.md §4.6, §13).

    `data.format` is optional there. It is sent nevertheless, and not missed where an answer leaves it out.
    """

    refers_by = (("connectionSpec", "id"), ("data", "schema", "id"), ("params", "dataSetId"))

    def base(self, ctx: Context) -> dict[str, Json]:
        return {}

    def content(self, ctx: Context, live: Json) -> list[Difference]:
        differences = super().content(ctx, live)
        if dig(live, "data", "format") is None:
            return [difference for difference in differences if difference.path != "data.format"]
        return differences
