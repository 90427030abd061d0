"""What the steps that make a Flow Service object share: naming, finding, reading, removing (platform-api.md §4.1)."""

from __future__ import annotations

from abc import abstractmethod

from flowledger.errors import Rejected
from flowledger.steps.answers import needed_text, number_of, read_by_id, short_text, sole_item, text_or_none
from flowledger.steps.client.paging import Only, list_flow
from flowledger.steps.client.paths import flow_service
from flowledger.steps.client.port import Answer, Json, Request
from flowledger.steps.differences import differ
from flowledger.steps.marking import carries, description_of, name_of
from flowledger.steps.step import Context, Difference, Hit, Outputs, Step


async def listed(ctx: Context, kind: str, filter: str, only: Only) -> list[Json]:
    """List what is wanted of that which matches `filter` ("field==value"), or of everything if the service refuses it.

    Only few fields are documented as filterable (platform-api.md §4.1), so `only` looks at each item itself.
    """
    path = flow_service(f"/{kind}")
    try:
        return await list_flow(ctx.ask, path, query=(("property", filter),), only=only)
    except Rejected:  # `FLOW-1449-400` and its like; what else is wrong, the call without a filter will say again
        return await list_flow(ctx.ask, path, only=only)


async def fetched(ctx: Context, kind: str, id: str) -> Json | None:
    """One object by id, bare, or None if it is not there. Raises Unreachable when the answer proves neither."""
    answer = await ctx.ask(Request(method="GET", path=flow_service(f"/{kind}", id)), allow=(404,))
    return read_by_id(answer, sole_item(answer.json), id)


class FlowObject(Step):
    """A connection, source or target connection, or flow. Names may repeat there (U23): name and description carry
    the marker."""

    @abstractmethod
    def body(self, ctx: Context) -> dict[str, Json]:
        """The body without name and description."""

    @abstractmethod
    def second_look(self, ctx: Context) -> str:
        """The filter that finds the object by what it refers to, once its name was edited."""

    def request(self, ctx: Context) -> Request:
        body = {"name": name_of(ctx, self), "description": description_of(ctx, self), **self.body(ctx)}
        return Request(method="POST", path=flow_service(f"/{self.kind}"), body=body, effect=True)

    def read(self, answer: Answer) -> Outputs:
        needed_text(answer, "id")
        return self.outputs(answer.json)

    def outputs(self, live: Json) -> Outputs:
        return {"id": live["id"], "etag": short_text(live, "etag")}

    async def find(self, ctx: Context) -> list[Hit]:
        """Look by name; if that shows nothing, by references, since the name may have been edited."""

        def only(live: Json) -> bool:
            return bool(text_or_none(live, "id")) and self.marked(ctx, live)

        ours = self._hits(await listed(ctx, self.kind, f"name=={name_of(ctx, self)}", only))
        return ours or self._hits(await listed(ctx, self.kind, self.second_look(ctx), only))

    def _hits(self, items: list[Json]) -> list[Hit]:
        hits = [Hit(id=live["id"], created_at=number_of(live.get("createdAt")), live=live) for live in items]
        return sorted(hits, key=lambda hit: hit.created_at)

    async def fetch(self, ctx: Context, id: str) -> Json | None:
        return await fetched(ctx, self.kind, id)

    def marked(self, ctx: Context, live: Json) -> bool:
        return carries(ctx.marker(self), text_or_none(live, "name"), text_or_none(live, "description"))

    def check(self, ctx: Context, live: Json) -> list[Difference]:
        return [
            *differ("name", name_of(ctx, self), live.get("name")),
            *differ("description", description_of(ctx, self), live.get("description")),
            *self.references(ctx, live),
            *self.content(ctx, live),
        ]

    def content(self, ctx: Context, live: Json) -> list[Difference]:
        """Where the object's own content was edited."""
        return []

    def undo(self, ctx: Context, outputs: Outputs) -> list[Request]:
        return [Request(method="DELETE", path=flow_service(f"/{self.kind}", outputs["id"]), effect=True)]
