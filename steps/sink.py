"""Find or create the dataset base connection: the data lake's side, of which one a sandbox is enough."""

from __future__ import annotations

from flowledger.steps.answers import dig, number_of, usable_id
from flowledger.steps.client.port import Json
from flowledger.steps.differences import differ
from flowledger.steps.flow_object import FlowObject, listed
from flowledger.steps.spec import Spec
from flowledger.steps.step import Call, Context, Difference, How, Settled

SINK_SPEC_ID = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"  # platform-api.md §7


class FindOrCreateSink(FlowObject):
    """GET /connections of the sink's spec; POST /connections without `auth` only if there is none (T21)."""

    name = "find_or_create_sink"
    slug = "sink"
    label = "dataset base connection"
    kind = "connections"
    row = "9"
    tutorial = "Création d’une connexion de base de jeux de données"

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        return (
            (Call(method="GET", path="/connections?property=connectionSpec.id=={sink}"),),
            (Call(method="POST", path="/connections", effect=True),),
        )

    def shared_as(self, spec: Spec) -> str | None:
        return SINK_SPEC_ID  # one is enough for a sandbox

    async def prepare(self, ctx: Context) -> Settled | None:
        """Share the oldest enabled one, whoever made it. One with our marker is not shared but ours.

        Each is read by id before it is taken: lists go on showing the deleted for a while (platform-api.md §8.7). One
        whose run is being destroyed is on its way out, though it may be there still.
        """
        shown = await listed(ctx, self.kind, self.second_look(ctx), lambda live: self._usable(ctx, live))
        for listed_one in sorted(shown, key=lambda one: (not self.marked(ctx, one), number_of(one.get("createdAt")))):
            live = await self.fetch(ctx, listed_one["id"])
            if live is None or not self._usable(ctx, live):
                continue
            if self.marked(ctx, live):
                return Settled(outputs=self.outputs(live), how=How.ADOPTED)
            if ctx.lendable(live):
                return Settled(outputs=self.outputs(live), how=How.FOUND)
        return None

    def _usable(self, ctx: Context, live: Json) -> bool:
        return usable_id(live.get("id")) and not self.references(ctx, live) and live.get("state") == "enabled"

    def body(self, ctx: Context) -> dict[str, Json]:
        return {"connectionSpec": {"id": SINK_SPEC_ID, "version": "1.0"}}

    def second_look(self, ctx: Context) -> str:
        return f"connectionSpec.id=={SINK_SPEC_ID}"

    def references(self, ctx: Context, live: Json) -> list[Difference]:
        return differ("connectionSpec.id", SINK_SPEC_ID, dig(live, "connectionSpec", "id"))

    def check(self, ctx: Context, live: Json) -> list[Difference]:
        # A shared one is somebody else's: its name is theirs to change.
        return super().check(ctx, live) if self.marked(ctx, live) else self.references(ctx, live)
