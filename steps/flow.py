"""Create the dataflow, which joins everything that the other branches made."""

from __future__ import annotations

from flowledger.steps.answers import dig, text_or_none
from flowledger.steps.client.paths import flow_service
from flowledger.steps.client.port import Json, Request
from flowledger.steps.differences import as_boolean, as_integer, differ
from flowledger.steps.flow_object import FlowObject
from flowledger.steps.flow_spec import FindFlowSpec
from flowledger.steps.mapping_set import CreateMappingSet
from flowledger.steps.schedule import cadence_of, start_time
from flowledger.steps.source_connection import CreateSourceConnection
from flowledger.steps.spec import Spec
from flowledger.steps.step import Call, Context, Difference, Outputs, Settled
from flowledger.steps.target_connection import CreateTargetConnection

STOPPED = frozenset({"disabled", "disabling", "failed"})


class CreateFlow(FlowObject):
    """POST /flows (platform-api.md §4.7) with integers (T2, T12) and a start that lies ahead.

    The source connection is ours alone, so it anchors the flow: one source connection, one flow (§9).
    """

    name = "create_flow"
    slug = "flow"
    label = "dataflow"
    kind = "flows"
    row = "13"
    tutorial = "Création d’un flux de données"

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        return ((Call(method="POST", path="/flows", effect=True),),)

    async def prepare(self, ctx: Context) -> Settled | None:
        start_time(ctx.spec, ctx.wall())  # a fixed start may have passed since the run began
        return None

    def request(self, ctx: Context) -> Request:
        """Each attempt puts aside the start that it asked for: which of several took effect is not known before."""
        request = super().request(ctx)
        asked = request.body["scheduleParams"]["startTime"]
        ctx.put_aside(starts=[*ctx.facts.get("starts", ()), asked])
        return request

    def body(self, ctx: Context) -> dict[str, Json]:
        flow_spec = ctx.outputs_of(FindFlowSpec)
        return {
            "flowSpec": {"id": flow_spec["id"], "version": flow_spec["version"]},
            "sourceConnectionIds": [ctx.outputs_of(CreateSourceConnection)["id"]],
            "targetConnectionIds": [ctx.outputs_of(CreateTargetConnection)["id"]],
            "transformations": self._transformations(ctx),
            "scheduleParams": {
                "startTime": start_time(ctx.spec, ctx.wall()),
                **cadence_of(ctx.spec).params(),
            },
        }

    def _transformations(self, ctx: Context) -> list[Json]:
        mapping_set, delta = ctx.outputs_of(CreateMappingSet), ctx.spec.source.delta
        mapping = {"mappingId": mapping_set["id"], "mappingVersion": mapping_set["version"]}
        transformations: list[Json] = [{"name": "Mapping", "params": mapping}]
        if delta is not None and ctx.spec.schedule.frequency != "once":  # `once` has no delta (platform-api.md §11)
            column = {"name": delta.column, "dateFormat": delta.date_format, "timezone": delta.timezone}
            transformations.insert(0, {"name": "Copy", "params": {"deltaColumn": column}})
        return transformations

    def second_look(self, ctx: Context) -> str:
        return f"sourceConnectionIds=={ctx.outputs_of(CreateSourceConnection)['id']}"

    def references(self, ctx: Context, live: Json) -> list[Difference]:
        wanted_mapping, found_mapping = (
            dig(_params(transformations, "Mapping"), "mappingId")
            for transformations in (self._transformations(ctx), live.get("transformations"))
        )
        source, target = ctx.outputs_of(CreateSourceConnection)["id"], ctx.outputs_of(CreateTargetConnection)["id"]
        return [
            *differ("flowSpec.id", ctx.outputs_of(FindFlowSpec)["id"], dig(live, "flowSpec", "id")),
            *differ("sourceConnectionIds", [source], live.get("sourceConnectionIds")),
            *differ("targetConnectionIds", [target], live.get("targetConnectionIds")),
            *differ("transformations.Mapping.mappingId", wanted_mapping, found_mapping),
        ]

    def content(self, ctx: Context, live: Json) -> list[Difference]:
        wanted, found = self._transformations(ctx), live.get("transformations")
        differences: list[Difference] = []
        for path in (("Mapping", "mappingVersion"), ("Copy", "deltaColumn")):
            name, key = path
            differences += differ(
                f"transformations.{name}.{key}",
                dig(_params(wanted, name), key),
                dig(_params(found, name), key),
                as_integer,
            )
        cadence, schedule = cadence_of(ctx.spec), live.get("scheduleParams")
        differences += differ("scheduleParams.frequency", cadence.frequency, dig(schedule, "frequency"))
        differences += differ("scheduleParams.interval", cadence.interval, dig(schedule, "interval"), as_integer)
        if cadence.backfill is not None:
            differences += differ("scheduleParams.backfill", cadence.backfill, dig(schedule, "backfill"), as_boolean)
        # Any start that was asked for is right; one that a resume gave after the flow was made was never asked for.
        starts, found_start = ctx.facts.get("starts", ()), as_integer(dig(schedule, "startTime"))
        if starts and found_start not in starts:
            differences += differ("scheduleParams.startTime", starts[-1], found_start)
        state = text_or_none(live, "state")
        if state in STOPPED:  # of the server's fields the one that says whether rows still flow
            differences.append(Difference(path="state", wanted="enabled", found=state))
        return differences

    def undo(self, ctx: Context, outputs: Outputs) -> list[Request]:
        """Disable, so that no run starts any more, then delete (platform-api.md §10)."""
        disable = Request(
            method="POST",
            path=flow_service(f"/{self.kind}", outputs["id"], "action"),
            query=(("op", "disable"),),
            effect=True,
        )
        return [disable, *super().undo(ctx, outputs)]


def _params(transformations: Json, name: str) -> Json:
    """The params of the transformation of that name, or None."""
    for transformation in transformations if isinstance(transformations, list) else []:
        if isinstance(transformation, dict) and transformation.get("name") == name:
            return transformation.get("params")
    return None
