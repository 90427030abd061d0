"""Create the ad hoc class: the source table's columns as a class of its own, which the 2020 shapes require."""

from __future__ import annotations

from flowledger.steps.answers import dig, needed_text, text_or_none
from flowledger.steps.client.port import Answer, Json
from flowledger.steps.differences import as_references, differ, without_meta
from flowledger.steps.explore import Explore
from flowledger.steps.registry_resource import RegistryResource
from flowledger.steps.spec import Spec
from flowledger.steps.step import Call, Context, Difference, Outputs, UnusableAnswer

ADHOC = "https://ns.adobe.com/xdm/data/adhoc"


class CreateAdHocClass(RegistryResource):
    """POST /tenant/classes with all columns under `_adhoc` (platform-api.md §2.4).

    The server renames that key to `_<hex>`, so what is stored never equals what was sent: `check` compares after
    mapping the key back.
    """

    name = "create_adhoc_class"
    slug = "adhoc-class"
    label = "ad hoc class"
    kind = "classes"
    row = "4"
    tutorial = "Création d’une classe XDM ad hoc"

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        return ((Call(method="POST", path="/tenant/classes", effect=True),),)

    def resource(self, ctx: Context) -> dict[str, Json]:
        own = {"_adhoc": {"type": "object", "properties": self._properties(ctx)}}
        return {"type": "object", "allOf": [{"$ref": ADHOC}, {"properties": own}]}

    def _properties(self, ctx: Context) -> dict[str, Json]:
        return {column["name"]: dict(column["xdm"]) for column in ctx.outputs_of(Explore)["columns"]}

    def read(self, answer: Answer) -> Outputs:
        needed_text(answer, "$id")
        if not _namespace(answer.json):
            raise UnusableAnswer("the answer has no usable 'meta:datasetNamespace'")
        return self.outputs(answer.json)

    def outputs(self, live: Json) -> Outputs:
        return {**super().outputs(live), "namespace": _namespace(live)}

    def references(self, ctx: Context, live: Json) -> list[Difference]:
        return differ("allOf", [ADHOC], as_references(live.get("allOf")))

    def content(self, ctx: Context, live: Json) -> list[Difference]:
        wanted, found = self._properties(ctx), without_meta(_stored_properties(live))
        if not isinstance(found, dict):
            return differ("allOf._adhoc", wanted, found)
        return [
            difference
            for column in sorted({*wanted, *found})
            for difference in differ(f"allOf._adhoc.{column}", wanted.get(column), found.get(column))
        ]


def _namespace(live: Json) -> str:
    """The key that the server put in the place of `_adhoc`: as it says, else by the hex part of the `$id`."""
    said = text_or_none(live, "meta:datasetNamespace")
    id = text_or_none(live, "$id") or ""
    return said or (f"_{id.rsplit('/', 1)[-1]}" if "/" in id else "")


def _stored_properties(live: Json) -> Json:
    """What is stored of the columns, whatever their namespace is called by now."""
    parts = live.get("allOf")
    for part in parts if isinstance(parts, list) else []:
        for key in (_namespace(live), "_adhoc"):
            found = dig(part, "properties", key, "properties")
            if found is not None:
                return found
    return None
