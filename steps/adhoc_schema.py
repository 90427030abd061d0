"""Create the ad hoc schema: the schema of the raw source rows, which the source connection names."""

from __future__ import annotations

from flowledger.steps.adhoc_class import CreateAdHocClass
from flowledger.steps.client.port import Json
from flowledger.steps.differences import as_references, differ
from flowledger.steps.registry_resource import RegistryResource
from flowledger.steps.spec import Spec
from flowledger.steps.step import Call, Context, Difference


class CreateAdHocSchema(RegistryResource):
    """POST /tenant/schemas with the ad hoc class alone (platform-api.md §2.4)."""

    name = "create_adhoc_schema"
    slug = "adhoc-schema"
    label = "ad hoc schema"
    kind = "schemas"
    row = "5"
    tutorial = "Création d’une classe XDM ad hoc"

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        return ((Call(method="POST", path="/tenant/schemas", effect=True),),)

    def resource(self, ctx: Context) -> dict[str, Json]:
        return {"type": "object", "allOf": [{"$ref": ctx.outputs_of(CreateAdHocClass)["id"]}]}

    def references(self, ctx: Context, live: Json) -> list[Difference]:
        return differ("allOf", [ctx.outputs_of(CreateAdHocClass)["id"]], as_references(live.get("allOf")))
