"""What the steps that make a Schema Registry resource share: ids, titles, finding and removing (platform-api.md §2)."""

from __future__ import annotations

from abc import abstractmethod

from flowledger.steps.answers import dig, needed_text, number_of, read_by_id, short_text, text_or_none
from flowledger.steps.client.paging import list_registry
from flowledger.steps.client.paths import registry
from flowledger.steps.client.port import Answer, Json, Request
from flowledger.steps.differences import differ
from flowledger.steps.marking import carries, description_of, name_of
from flowledger.steps.step import Context, Difference, Hit, Outputs, Step

# Look-ups name a major version (platform-api.md §2.1).
STORED = "application/vnd.adobe.xed+json; version=1"
RESOLVED = "application/vnd.adobe.xed-full+json; version=1"

# Titles are unique across kinds, so what `XDM-1521` names may be of any kind; its `$id` says which.
_KINDS = {
    "classes": "classes",
    "schemas": "schemas",
    "mixins": "fieldgroups",
    "fieldgroups": "fieldgroups",
    "datatypes": "datatypes",
}


def kind_of(id: str, default: str) -> str:
    """The collection that a tenant resource belongs to, by the last but one part of its `$id`."""
    parts = id.rstrip("/").split("/")
    return _KINDS.get(parts[-2], default) if len(parts) > 1 else default


class RegistryResource(Step):
    """A resource of the tenant's container. Titles are unique there; title and description carry the marker."""

    @abstractmethod
    def resource(self, ctx: Context) -> dict[str, Json]:
        """The body without title and description."""

    def request(self, ctx: Context) -> Request:
        body = {"title": name_of(ctx, self), "description": description_of(ctx, self), **self.resource(ctx)}
        return Request(method="POST", path=registry(f"/tenant/{self.kind}"), body=body, effect=True)

    def read(self, answer: Answer) -> Outputs:
        needed_text(answer, "$id")
        return self.outputs(answer.json)

    def outputs(self, live: Json) -> Outputs:
        return {
            "id": live["$id"],
            "alt_id": short_text(live, "meta:altId"),
            "version": short_text(live, "version") or "1.0",
        }

    async def find(self, ctx: Context) -> list[Hit]:
        """Look by title; if that shows nothing, scan all of the kind, since the title may have been edited."""
        path, by_title = registry(f"/tenant/{self.kind}"), ("property", f"title=={name_of(ctx, self)}")

        def only(live: Json) -> bool:
            return bool(text_or_none(live, "$id")) and self.marked(ctx, live)

        ours = self._hits(await list_registry(ctx.ask, path, query=(by_title,), only=only))
        return ours or self._hits(await list_registry(ctx.ask, path, only=only))

    def _hits(self, listed: list[Json]) -> list[Hit]:
        hits = [
            Hit(
                id=live["$id"],
                created_at=number_of(dig(live, "meta:registryMetadata", "repo:createdDate")),
                live=live,
            )
            for live in listed
        ]
        return sorted(hits, key=lambda hit: hit.created_at)

    async def fetch(self, ctx: Context, id: str) -> Json | None:
        path = registry(f"/tenant/{kind_of(id, self.kind)}", id)
        answer = await ctx.ask(Request(method="GET", path=path, headers={"Accept": STORED}), allow=(404,))
        return read_by_id(answer, answer.json, id, "$id")

    def marked(self, ctx: Context, live: Json) -> bool:
        """The description decides: who has our title is exactly what is asked (platform-api.md §9, protocol rule 11).

        Of an object of ours whose description was edited the title still says that it is taken, so none is made twice.
        """
        return carries(ctx.marker(self), text_or_none(live, "description"))

    def check(self, ctx: Context, live: Json) -> list[Difference]:
        return [
            *differ("title", name_of(ctx, self), live.get("title")),
            *differ("description", description_of(ctx, self), live.get("description")),
            *self.references(ctx, live),
            *self.content(ctx, live),
        ]

    def content(self, ctx: Context, live: Json) -> list[Difference]:
        """Where the resource's own content was edited."""
        return []

    def undo(self, ctx: Context, outputs: Outputs) -> list[Request]:
        return [Request(method="DELETE", path=registry(f"/tenant/{self.kind}", outputs["id"]), effect=True)]
