"""Create the dataset that the rows land in."""

from __future__ import annotations

from flowledger.steps.answers import dig, keyed, number_of, read_by_id, text_or_none
from flowledger.steps.client.paging import list_catalog
from flowledger.steps.client.paths import catalog
from flowledger.steps.client.port import Answer, Json, Request
from flowledger.steps.differences import as_media_type, differ
from flowledger.steps.marking import TAG, carries, description_of, name_of
from flowledger.steps.spec import Spec
from flowledger.steps.step import Call, Context, Difference, Hit, Outputs, Step, UnusableAnswer
from flowledger.steps.target_schema import CreateTargetSchema

SCHEMA_CONTENT_TYPE = "application/vnd.adobe.xed-full-notext+json; version=1"


class CreateDataset(Step):
    """POST /dataSets?requestDataSource=true (platform-api.md §3.1, T17).

    Names may repeat there; the marker goes into name, description and a tag of our own, by which it is found.
    """

    name = "create_dataset"
    slug = "dataset"
    label = "dataset"
    kind = "dataSets"
    row = "8"
    tutorial = "Création d’un jeu de données"

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        return ((Call(method="POST", path="/dataSets?requestDataSource=true", effect=True),),)

    def request(self, ctx: Context) -> Request:
        return Request(
            method="POST",
            path=catalog("/dataSets"),
            query=(("requestDataSource", "true"),),
            body={
                "name": self._name(ctx),
                "description": self._description(ctx),
                "tags": {TAG: [ctx.marker(self)]},
                "schemaRef": {"id": ctx.outputs_of(CreateTargetSchema)["id"], "contentType": SCHEMA_CONTENT_TYPE},
            },
            effect=True,
        )

    def _name(self, ctx: Context) -> str:
        return name_of(ctx, self, ctx.spec.target.dataset.title)

    def _description(self, ctx: Context) -> str:
        return description_of(ctx, self, ctx.spec.target.dataset.description)

    def read(self, answer: Answer) -> Outputs:
        """The id is what follows the last `/` of `["@/dataSets/<id>"]`, in whichever case it is spelled (T5)."""
        reference = dig(answer.json, 0)
        prefix, _, id = reference.rpartition("/") if isinstance(reference, str) else ("", "", "")
        if prefix.lower() != "@/datasets" or not id:
            raise UnusableAnswer("the answer is no reference to a dataset")
        return {"id": id}

    def outputs(self, live: Json) -> Outputs:
        return {"id": live["id"]}

    async def find(self, ctx: Context) -> list[Hit]:
        """Look by tag; if that shows nothing, by name, since tags may have been edited."""
        marker = ctx.marker(self)
        return await self._ours(ctx, "tags", f"{TAG}:{marker}") or await self._ours(ctx, "name", self._name(ctx))

    async def _ours(self, ctx: Context, parameter: str, value: str) -> list[Hit]:
        listed = await list_catalog(
            ctx.ask, catalog("/dataSets"), query=((parameter, value),), only=lambda live: self.marked(ctx, live)
        )
        hits = [Hit(id=dataset["id"], created_at=number_of(dataset.get("created")), live=dataset) for dataset in listed]
        return sorted(hits, key=lambda hit: hit.created_at)

    async def fetch(self, ctx: Context, id: str) -> Json | None:
        answer = await ctx.ask(Request(method="GET", path=catalog("/dataSets", id)), allow=(404,))
        return read_by_id(answer, keyed(answer.json, id), id)

    def marked(self, ctx: Context, live: Json) -> bool:
        tagged = dig(live, "tags", TAG)
        texts = (text_or_none(live, "name"), text_or_none(live, "description"))
        return carries(ctx.marker(self), *texts, *(tagged if isinstance(tagged, list) else ()))

    def references(self, ctx: Context, live: Json) -> list[Difference]:
        return differ("schemaRef.id", ctx.outputs_of(CreateTargetSchema)["id"], dig(live, "schemaRef", "id"))

    def check(self, ctx: Context, live: Json) -> list[Difference]:
        found_type = dig(live, "schemaRef", "contentType")
        return [
            *differ("name", self._name(ctx), live.get("name")),
            *differ("description", self._description(ctx), live.get("description")),
            *differ(f"tags.{TAG}", [ctx.marker(self)], dig(live, "tags", TAG)),
            *self.references(ctx, live),
            *differ("schemaRef.contentType", SCHEMA_CONTENT_TYPE, found_type, as_media_type),
        ]

    def undo(self, ctx: Context, outputs: Outputs) -> list[Request]:
        return [Request(method="DELETE", path=catalog("/dataSets", outputs["id"]), effect=True)]
