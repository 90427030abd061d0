"""Who refers to an object: asked before one is deleted, because not every service refuses to delete what is in use."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from flowledger.errors import Rejected
from flowledger.steps.answers import absent, dig, text_or_none, usable_id
from flowledger.steps.client.paging import list_catalog, list_flow, list_mapping_sets, list_registry
from flowledger.steps.client.paths import catalog, conversion, flow_service, registry
from flowledger.steps.client.port import Json, Request
from flowledger.steps.flow_object import fetched, listed
from flowledger.steps.registry_resource import STORED
from flowledger.steps.step import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer:
    """An object on the platform that refers to another. `kind` is the collection of the API."""

    kind: str
    id: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.id}" + (f" ({self.name})" if self.name else "")


async def referrers(ctx: Context, kind: str, id: str, *, gone: Collection[str] = ()) -> list[Referrer]:
    """The objects that refer to `id`, of the collection `kind`, each read by its id (lists go on showing the deleted).

    `gone`: ids that are known to be deleted. Only few fields are documented as filterable (platform-api.md §3.2,
    §4.1), so each list is judged here. Raises what `ctx.ask` raises.
    """
    found: list[Referrer] = []
    match kind:
        case "sourceConnections" | "targetConnections":
            field = f"{kind.removesuffix('s')}Ids"
            found = _those(
                "flows", await listed(ctx, "flows", f"{field}=={id}", lambda live: id in _ids(live.get(field)))
            )
        case "connections":
            for side in ("sourceConnections", "targetConnections"):
                shown = await listed(
                    ctx, side, f"baseConnectionId=={id}", lambda live: live.get("baseConnectionId") == id
                )
                found += _those(side, shown)
        case "mappingSets":  # no filter reaches into transformations
            shown = await list_flow(ctx.ask, flow_service("/flows"), only=lambda live: id in _mapping_sets(live))
            found = _those("flows", shown)
        case "dataSets":
            shown = await listed(
                ctx, "targetConnections", f"params.dataSetId=={id}", lambda live: dig(live, "params", "dataSetId") == id
            )
            found = _those("targetConnections", shown)
        case "schemas":
            for side in ("sourceConnections", "targetConnections"):
                shown = await list_flow(
                    ctx.ask, flow_service(f"/{side}"), only=lambda live: dig(live, "data", "schema", "id") == id
                )
                found += _those(side, shown)
            datasets = await list_catalog(
                ctx.ask,
                catalog("/dataSets"),
                query=(("properties", "name,schemaRef,created"),),
                only=lambda live: dig(live, "schemaRef", "id") == id,
            )
            found += _those("dataSets", datasets)
            found += _those("mappingSets", await _mapping_sets_of(ctx, id))
        case "classes" | "fieldgroups":
            path = registry("/tenant/schemas")
            extends = (("property", f"meta:extends=={id}"),)
            shown = await list_registry(ctx.ask, path, query=extends, only=lambda live: id in _parts(live))
            found = _those("schemas", shown)
    return [one for one in found if one.id not in gone and await _is_there(ctx, one)]


async def _mapping_sets_of(ctx: Context, schema: str) -> list[Json]:
    def only(live: Json) -> bool:
        return schema in (live.get("xdmSchema"), dig(live, "outputSchema", "schemaRef", "id"))

    try:
        return await list_mapping_sets(ctx.ask, query=(("property", f"xdmSchema=={schema}"),), only=only)
    except Rejected:  # that filter is seen in a client only
        return await list_mapping_sets(ctx.ask, only=only)


async def _is_there(ctx: Context, one: Referrer) -> bool:
    """Whether a referrer is there when it is read by its id. One that nothing could ask for is believed."""
    if not usable_id(one.id):
        return True
    match one.kind:
        case "dataSets":
            request = Request(method="GET", path=catalog("/dataSets", one.id))
        case "mappingSets":
            request = Request(method="GET", path=conversion("/mappingSets", one.id))
        case "schemas":
            request = Request(method="GET", path=registry("/tenant/schemas", one.id), headers={"Accept": STORED})
        case _:
            return await fetched(ctx, one.kind, one.id) is not None
    return not absent(await ctx.ask(request, allow=(404,)))


def _those(kind: str, lives: Iterable[Json]) -> list[Referrer]:
    return [
        Referrer(
            kind=kind,
            id=text_or_none(live, "$id") or text_or_none(live, "id") or "",
            name=text_or_none(live, "name") or text_or_none(live, "title") or "",
        )
        for live in lives
    ]


def _ids(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _mapping_sets(flow: Json) -> list[Json]:
    return [dig(part, "params", "mappingId") for part in _ids(flow.get("transformations"))]


def _parts(schema: Json) -> list[Json]:
    extends = _ids(schema.get("meta:extends"))
    return [*extends, schema.get("meta:class"), *(dig(part, "$ref") for part in _ids(schema.get("allOf")))]
