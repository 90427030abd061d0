"""Create the dataflow, which joins everything that the other branches made."""

from __future__ import annotations

from flowledger.steps.answers import dig, text_or_none
from flowledger.steps.client.paths import flow_service
from flowledger.steps.client.port import Json, Request
from flowledger.steps.differences import as_boolean, as_integer, differ
from flowledger.steps.explore import Explore
from flowledger.steps.flow_object import FlowObject
from flowledger.steps.flow_spec import FindFlowSpec
from flowledger.steps.mapping_set import CreateMappingSet
from flowledger.steps.schedule import cadence_of, start_time
from flowledger.steps.source_connection import CreateSourceConnection
from flowledger.steps.sources import delta_format, source_kind
from flowledger.steps.spec import Spec
from flowledger.steps.step import Call, Context, Difference, Outputs, Settled
from flowledger.steps.target_connection import CreateTargetConnection

DELTA_WANTED = "1367-400"  # of the sources' catalogue, whose prefix is not documented (platform-api.md §4.7, U19)
STOPPED = frozenset({"disabled", "disabling", "failed"})
AT_REST = frozenset({"enabled", "disabled", "draft", "failed"})  # platform-api.md §10; other states are on their way
ENDED = frozenset({"", "completed", "success", "failed"})  # of a last operation


class CreateFlow(FlowObject):
    """POST /flows (platform-api.md §4.7) with integers (T2, T12) and a start that lies ahead.

    The source connection is ours alone, so it anchors the flow: one source connection, one flow (§9).
    """

    name = "create_flow"
    slug = "flow"
    label = "dataflow"
    kind = "flows"
    may_be_hidden = True
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
        mapping_set, column = ctx.outputs_of(CreateMappingSet), self._delta_column(ctx)
        mapping = {"mappingId": mapping_set["id"], "mappingVersion": mapping_set["version"]}
        transformations: list[Json] = [{"name": "Mapping", "params": mapping}]
        if column is not None:
            transformations.insert(0, {"name": "Copy", "params": {"deltaColumn": column}})
        return transformations

    def _delta_column(self, ctx: Context) -> dict[str, Json] | None:
        """What `Copy` is told. `once` has no delta, unless the platform has asked for one (platform-api.md §11)."""
        if ctx.spec.schedule.frequency == "once":
            asked_for = ctx.facts.get("delta_column")
            return dict(asked_for) if asked_for else None
        delta = ctx.spec.source.delta
        if delta is None:
            return None
        return {"name": delta.column, "dateFormat": delta_format(ctx.spec.source), "timezone": delta.timezone}

    def otherwise(self, ctx: Context, code: str) -> bool:
        """Name a column that tells new rows from old ones although the flow runs once, if the platform wants one.

        The sources' error catalogue refuses that column for `once`, the flow spec's own schema asks for it always
        (platform-api.md §11). One run takes every row whatever the column: the table's first date-time one will do.
        """
        if not code.endswith(DELTA_WANTED) or ctx.spec.schedule.frequency != "once" or "delta_column" in ctx.facts:
            return False
        columns = ctx.outputs_of(Explore)["columns"]
        fitting = [column["name"] for column in columns if dig(column, "xdm", "format") == "date-time"]
        if fitting:
            format = source_kind(ctx.spec.source).delta_format
            ctx.put_aside(delta_column={"name": fitting[0], "dateFormat": format, "timezone": "UTC"})
        return bool(fitting)

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

    def at_rest(self, live: Json) -> bool:
        operation = dig(live, "lastOperation", "status", "value")
        under_way = isinstance(operation, str) and operation.lower() not in ENDED
        return text_or_none(live, "state") in AT_REST and not under_way

    def at_work(self, live: Json) -> bool:
        return text_or_none(live, "state") == "enabled"

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
