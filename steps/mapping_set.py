"""Create the mapping set: which column fills which field of the target schema."""

from __future__ import annotations

from flowledger.errors import Rejected, SpecError
from flowledger.steps.answers import dig, needed_text, number_of, read_by_id, text_or_none
from flowledger.steps.client.paging import list_mapping_sets
from flowledger.steps.client.paths import conversion
from flowledger.steps.client.port import Answer, Json, Request
from flowledger.steps.differences import as_integer, as_media_type, differ
from flowledger.steps.marking import TAG, carries, name_of
from flowledger.steps.spec import Spec
from flowledger.steps.step import Call, Context, Difference, Hit, Outputs, Settled, Step, begin_anew
from flowledger.steps.target_schema import CreateTargetSchema
from flowledger.steps.tenant import ReadTenant


class CreateMappingSet(Step):
    """POST /mappingSets in the tutorial's dialect (platform-api.md §5), after the platform has validated the mappings.

    That dialect has no documented free field. `name` is sent nevertheless (U16) and carries the marker; where it is
    not echoed, a set of our own schema with equal mappings is taken for ours. When it was made is not asked: the schema
    is younger than the run, and our clock may be wrong (docs/decisions/0012).
    """

    name = "create_mapping_set"
    slug = "mapping-set"
    label = "mapping set"
    kind = "mappingSets"
    row = "11"
    tutorial = "Création d’un mappage"

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        return (
            (Call(method="POST", path="/mappingSets/validate"),),
            (Call(method="POST", path="/mappingSets", effect=True),),
        )

    async def prepare(self, ctx: Context) -> Settled | None:
        validate = Request(method="POST", path=conversion("/mappingSets", "validate"), body=self._body(ctx))
        answer = await ctx.ask(validate)
        entries = dig(answer.json, "validationResponse")
        faults = [
            f"mappings[{index}]: {_place(ctx.spec, index)}: {_reason(entry)}"
            for index, entry in enumerate(entries if isinstance(entries, list) else [])
            if (text_or_none(entry, "status") or "SUCCESS").upper() != "SUCCESS"
        ]
        if faults:
            raise SpecError(
                "the platform does not accept the mappings",
                faults=tuple(faults),
                hint=f"correct mappings, {begin_anew(ctx.run)}",
            )
        return None

    def request(self, ctx: Context) -> Request:
        return Request(method="POST", path=conversion("/mappingSets"), body=self._body(ctx), effect=True)

    def _body(self, ctx: Context) -> dict[str, Json]:
        schema = ctx.outputs_of(CreateTargetSchema)
        return {
            "version": 0,
            "name": name_of(ctx, self),
            "xdmSchema": schema["id"],
            "xdmVersion": schema["version"],
            "id": None,
            "mappings": [
                {
                    "destinationXdmPath": destination,
                    "sourceAttribute": source,
                    "identity": False,
                    "identityGroup": None,
                    "namespaceCode": None,
                    "version": 0,
                }
                for source, destination in self._pairs(ctx)
            ],
        }

    def _pairs(self, ctx: Context) -> list[tuple[str, str]]:
        """Source column and destination path; own fields get the tenant's prefix."""
        target, tenant = ctx.spec.target, ctx.outputs_of(ReadTenant)["id"]
        return [(mapping.source, target.path_of(mapping.to, tenant)) for mapping in ctx.spec.mappings]

    def read(self, answer: Answer) -> Outputs:
        needed_text(answer, "id")
        return _outputs(answer.json)

    def outputs(self, live: Json) -> Outputs:
        outputs = _outputs(live)
        # Without a label nothing on the object says whose it is: `undo` must not remove it.
        return outputs if self.labels(live) else {**outputs, "by_content": True}

    async def find(self, ctx: Context) -> list[Hit]:
        """Look by name; if that shows nothing, go through all and judge each here (platform-api.md §9)."""

        def only(live: Json) -> bool:
            return bool(text_or_none(live, "id")) and self._may_be_ours(ctx, live)

        try:
            ours = self._hits(await list_mapping_sets(ctx.ask, query=(("name", name_of(ctx, self)),), only=only))
        except Rejected:  # a filter may be refused: all of the list decides
            ours = []
        return ours or self._hits(await list_mapping_sets(ctx.ask, only=only))

    def _hits(self, listed: list[Json]) -> list[Hit]:
        hits = [Hit(id=live["id"], created_at=number_of(live.get("createdDate")), live=live) for live in listed]
        return sorted(hits, key=lambda hit: hit.created_at)

    def _may_be_ours(self, ctx: Context, listed: Json) -> bool:
        """What a list leaves out, which is not documented, only the set itself can tell: the driver reads it by id."""
        if self.labels(listed) or "mappings" in listed:
            return self.marked(ctx, listed)
        return not self.references(ctx, listed)

    async def fetch(self, ctx: Context, id: str) -> Json | None:
        answer = await ctx.ask(Request(method="GET", path=conversion("/mappingSets", id)), allow=(404,))
        return read_by_id(answer, answer.json, id)

    def labels(self, live: Json) -> tuple[str, ...]:
        """The texts of a stored set that may carry a marker; none where the platform keeps none."""
        name = text_or_none(live, "name")
        return (name,) if name else ()

    def marked(self, ctx: Context, live: Json) -> bool:
        labels = self.labels(live)
        if labels:
            return carries(ctx.marker(self), *labels)
        return not self.references(ctx, live) and _stored_pairs(live) == sorted(self._pairs(ctx))

    def references(self, ctx: Context, live: Json) -> list[Difference]:
        found = text_or_none(live, "xdmSchema") or dig(live, "outputSchema", "schemaRef", "id")
        return differ("xdmSchema", ctx.outputs_of(CreateTargetSchema)["id"], found)

    def check(self, ctx: Context, live: Json) -> list[Difference]:
        name, version = text_or_none(live, "name"), text_or_none(live, "xdmVersion")
        return [
            *(differ("name", name_of(ctx, self), name) if name else []),
            *self.references(ctx, live),
            *(differ("xdmVersion", ctx.outputs_of(CreateTargetSchema)["version"], version) if version else []),
            *differ("mappings", sorted(self._pairs(ctx)), _stored_pairs(live)),
        ]

    def undo(self, ctx: Context, outputs: Outputs) -> list[Request]:
        if outputs.get("by_content"):
            return []
        return [Request(method="DELETE", path=conversion("/mappingSets", outputs["id"]), effect=True)]


class CreateLabelledMappingSet(CreateMappingSet):
    """POST /mappingSets in the dialect of Adobe's reference (platform-api.md §5), where `name` and `tags` are fields.

    So the set says whose it is by documented means. Where neither is echoed, content decides as in the other dialect.
    """

    def _body(self, ctx: Context) -> dict[str, Json]:
        return {
            "name": name_of(ctx, self),
            "tags": [{"name": TAG, "values": [ctx.marker(self)]}],
            "outputSchema": {"schemaRef": self._schema_ref(ctx)},
            "mappings": [
                {"sourceType": "ATTRIBUTE", "source": source, "destination": destination}
                for source, destination in self._pairs(ctx)
            ],
        }

    def _schema_ref(self, ctx: Context) -> dict[str, Json]:
        """The schema at its major version, as the dataset refers to it (T14)."""
        schema = ctx.outputs_of(CreateTargetSchema)
        major = str(schema["version"]).partition(".")[0]
        return {"id": schema["id"], "contentType": f"application/vnd.adobe.xed-full+json;version={major}"}

    def labels(self, live: Json) -> tuple[str, ...]:
        tags = live.get("tags")
        values = [dig(tag, "values") for tag in (tags if isinstance(tags, list) else []) if dig(tag, "name") == TAG]
        tagged = [value for found in values if isinstance(found, list) for value in found if isinstance(value, str)]
        return (*super().labels(live), *tagged)

    def check(self, ctx: Context, live: Json) -> list[Difference]:
        found = dig(live, "outputSchema", "schemaRef", "contentType")
        wanted = self._schema_ref(ctx)["contentType"]
        path = "outputSchema.schemaRef.contentType"
        return [
            *super().check(ctx, live),
            *(differ(path, wanted, found, as_media_type) if isinstance(found, str) else []),
        ]


def _outputs(live: Json) -> Outputs:
    version = as_integer(live.get("version"))
    return {"id": live["id"], "version": version if isinstance(version, int) else 0}


def _stored_pairs(live: Json) -> list[tuple[str, str]]:
    """Source and destination of each stored mapping, sorted; answers have one spelling, the other, or both."""
    mappings = live.get("mappings")
    return sorted(
        (
            text_or_none(mapping, "sourceAttribute") or text_or_none(mapping, "source") or "",
            text_or_none(mapping, "destinationXdmPath") or text_or_none(mapping, "destination") or "",
        )
        for mapping in (mappings if isinstance(mappings, list) else [])
    )


def _place(spec: Spec, index: int) -> str:
    """The mapping as the spec has it."""
    if index >= len(spec.mappings):
        return "?"
    mapping = spec.mappings[index]
    return f"{mapping.source} to {mapping.to}"


def _reason(entry: Json) -> str:
    """Why the platform refuses a mapping, in its own words."""
    errors = entry.get("errors")
    for error in errors if isinstance(errors, list) else [errors]:
        text = text_or_none(error, "message") or text_or_none(error, "exception") or (error if error else None)
        if text:
            return str(text)
    return "no reason given"
