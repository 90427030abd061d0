"""Create the field group of the spec's own fields, which no standard group has."""

from __future__ import annotations

from flowledger.steps.answers import dig
from flowledger.steps.client.port import Json
from flowledger.steps.differences import differ, without_meta
from flowledger.steps.registry_resource import RegistryResource
from flowledger.steps.spec import FieldType, Spec
from flowledger.steps.step import Call, Context, Difference, How, Settled
from flowledger.steps.tenant import ReadTenant

DEFINITION = "ownFields"

# platform-api.md §2.5: `meta:xdmType` is derived, so the ranges are what tells an int from a long.
TYPES: dict[FieldType, dict[str, Json]] = {
    "string": {"type": "string"},
    "date": {"type": "string", "format": "date"},
    "date-time": {"type": "string", "format": "date-time"},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "long": {"type": "integer", "minimum": -(2**53), "maximum": 2**53},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
}


class CreateFieldGroup(RegistryResource):
    """POST /tenant/fieldgroups with the own fields under `_TENANT` (platform-api.md §2.5, T8); skipped without any."""

    name = "create_field_group"
    slug = "field-group"
    label = "field group"
    kind = "fieldgroups"
    row = "7a"
    tutorial = "Création d’un schéma XDM cible"

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        return ((Call(method="POST", path="/tenant/fieldgroups", effect=True),),) if spec.target.fields else ()

    async def prepare(self, ctx: Context) -> Settled | None:
        return None if ctx.spec.target.fields else Settled(outputs={}, how=How.SKIPPED)

    def resource(self, ctx: Context) -> dict[str, Json]:
        return {
            "type": "object",
            "meta:intendedToExtend": [ctx.spec.target.class_],
            "definitions": {DEFINITION: {"properties": self._own(ctx)}},
            "allOf": [{"$ref": f"#/definitions/{DEFINITION}"}],
        }

    def _own(self, ctx: Context) -> dict[str, Json]:
        namespace = ctx.outputs_of(ReadTenant)["namespace"]
        return {namespace: {"type": "object", "properties": _nested(ctx.spec)}}

    def references(self, ctx: Context, live: Json) -> list[Difference]:
        return differ("meta:intendedToExtend", [ctx.spec.target.class_], live.get("meta:intendedToExtend"))

    def content(self, ctx: Context, live: Json) -> list[Difference]:
        wanted, found = _leaves(self._own(ctx)), _leaves(dig(live, "definitions", DEFINITION, "properties"))
        return [
            difference
            for path in sorted({*wanted, *found})
            for difference in differ(f"fields.{path}", wanted.get(path), found.get(path))
        ]


def _nested(spec: Spec) -> dict[str, Json]:
    """The own fields as nested objects: `product.name` becomes `name` in the properties of `product`."""
    root: dict[str, Json] = {}
    for path, kind in spec.target.fields.items():
        *parents, leaf = path.split(".")
        properties = root
        for parent in parents:
            properties = properties.setdefault(parent, {"type": "object", "properties": {}})["properties"]
        properties[leaf] = dict(TYPES[kind])
    return root


def _leaves(properties: Json, prefix: str = "") -> dict[str, Json]:
    """Dotted path to shape, of every field that is no object."""
    leaves: dict[str, Json] = {}
    for name, shape in properties.items() if isinstance(properties, dict) else ():
        inner = shape.get("properties") if isinstance(shape, dict) else None
        if isinstance(inner, dict):
            leaves.update(_leaves(inner, f"{prefix}{name}."))
        else:
            leaves[f"{prefix}{name}"] = without_meta(shape)
    return leaves
