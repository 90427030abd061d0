"""Create the target schema: class, field groups and own fields, which the dataset follows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from flowledger.errors import NotThere, SpecError
from flowledger.steps.answers import absent, dig
from flowledger.steps.client.paths import registry
from flowledger.steps.client.port import Json, Request
from flowledger.steps.differences import as_references, differ
from flowledger.steps.field_group import CreateFieldGroup
from flowledger.steps.registry_resource import RESOLVED, RegistryResource
from flowledger.steps.spec import Spec
from flowledger.steps.step import Call, Context, Difference, begin_anew
from flowledger.steps.tenant import ReadTenant
from flowledger.steps.together import together
from flowledger.steps.xdm_paths import offered, undecided_paths


class CreateTargetSchema(RegistryResource):
    """POST /tenant/schemas with each part once (platform-api.md §2.5, T6).

    Parts that do not come with flowledger are read first, and a mapping to a field that exists nowhere is refused
    before anything is made (T8).
    """

    name = "create_target_schema"
    slug = "target-schema"
    label = "target schema"
    kind = "schemas"
    row = "7b"
    tutorial = "Création d’un schéma XDM cible"

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        reads = tuple(
            Call(method="GET", path=f"/{{container}}/{_kind(spec, part)}/{{{part}}}") for part in _foreign(spec)
        )
        create = (Call(method="POST", path="/tenant/schemas", effect=True),)
        return (reads, create) if reads else (create,)

    async def prepare(self, ctx: Context) -> None:
        foreign = _foreign(ctx.spec)
        async with together(*(self._resolved(ctx, part) for part in foreign)) as reads:
            found = [await read for read in reads]
        missing = [part for part, resource in zip(foreign, found, strict=True) if resource is None]
        if missing:
            raise NotThere(
                f"not in the Schema Registry of sandbox {ctx.sandbox}: {', '.join(missing)}",
                hint="create them there, "
                f"then `flowledger resume {ctx.run}`; or correct target.class or target.field_groups "
                f"and {begin_anew(ctx.run)}",
            )
        faults = [
            fault
            for path in undecided_paths(ctx.spec)
            if (fault := _fault_of(path, [dig(resource, "properties") for resource in found]))
        ]
        if faults:
            raise SpecError(
                "mappings lead to fields that the target schema does not have",
                faults=tuple(faults),
                hint=f"correct mappings[].to, or declare the field in target.fields; {begin_anew(ctx.run)}",
            )

    async def _resolved(self, ctx: Context, part: str) -> Json | None:
        """A class or field group with all its fields resolved, or None if the registry does not have it."""
        tenant = ctx.outputs_of(ReadTenant)["id"]
        container = "tenant" if f"/{tenant}/" in part else "global"
        path = registry(f"/{container}/{_kind(ctx.spec, part)}", part)
        answer = await ctx.ask(Request(method="GET", path=path, headers={"Accept": RESOLVED}), allow=(404,))
        return None if absent(answer) else answer.json

    def resource(self, ctx: Context) -> dict[str, Json]:
        class_ = ctx.spec.target.class_
        return {
            "type": "object",
            "allOf": [{"$ref": part} for part in self._parts(ctx)],
            "meta:containerId": "tenant",
            "meta:resourceType": "schemas",
            "meta:xdmType": "object",
            "meta:class": class_,
        }

    def _parts(self, ctx: Context) -> list[str]:
        """Class, field groups and our own field group, each once."""
        own = ctx.outputs_of(CreateFieldGroup).get("id")
        parts = [ctx.spec.target.class_, *ctx.spec.target.field_groups, *([own] if own else [])]
        return list(dict.fromkeys(parts))

    def references(self, ctx: Context, live: Json) -> list[Difference]:
        """The class can never change; that it is there is said by `allOf`, and by `meta:class` where it is echoed."""
        class_ = ctx.spec.target.class_
        found = live.get("meta:class")
        if found is None:
            parts = as_references(live.get("allOf"))
            found = class_ if isinstance(parts, list) and class_ in parts else None
        return differ("meta:class", class_, found)

    def content(self, ctx: Context, live: Json) -> list[Difference]:
        return differ("allOf", sorted(self._parts(ctx)), as_references(live.get("allOf")))


def _foreign(spec: Spec) -> tuple[str, ...]:
    """The parts of the target schema whose fields only the platform knows."""
    return offered(spec.target.class_, spec.target.field_groups).foreign


def _kind(spec: Spec, part: str) -> str:
    return "classes" if part == spec.target.class_ else "fieldgroups"


def _fault_of(path: str, schemas: Iterable[Json]) -> str:
    """Why none of the resolved schemas can take a value at the path; "" if one can."""
    siblings: list[str] = []
    for properties in schemas:
        node: Json = {"properties": properties}
        walked: list[str] = []
        for name in path.split("."):
            node = _below(node)
            inner = dig(node, "properties")
            node = dig(inner, re.sub(r"\[[^\]]*\]$", "", name))
            if node is None:
                siblings += [".".join((*walked, other)) for other in (inner if isinstance(inner, dict) else ())]
                break
            walked.append(name)
        else:
            under = dig(_below(node), "properties")
            if not under or dig(node, "type") == "array":
                return ""
            return f"mappings: {path!r} is an object; name a field in it, like {path}.{min(under)}"
    near = difflib.get_close_matches(path, siblings, n=3, cutoff=0.4)
    return f"mappings: no field {path!r}" + (f" (near: {', '.join(near)})" if near else "")


def _below(node: Json) -> Json:
    """What holds a node's fields: its items if it is an array, else the node itself."""
    return dig(node, "items") if dig(node, "type") == "array" else node
