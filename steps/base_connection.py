"""Create the base connection, which holds the source's credentials; or adopt the one that the spec names."""

from __future__ import annotations

import json

from flowledger.errors import NotThere, SpecError
from flowledger.steps.answers import dig
from flowledger.steps.client.port import Json
from flowledger.steps.differences import differ
from flowledger.steps.flow_object import FlowObject, fetched
from flowledger.steps.sources import AuthSpec, source_kind
from flowledger.steps.spec import SecretRef, Spec
from flowledger.steps.step import Call, Context, Difference, How, Settled


class CreateBaseConnection(FlowObject):
    """POST /connections (platform-api.md §4.4), or GET of the id in `source.connection.id`."""

    name = "create_base_connection"
    slug = "base-connection"
    label = "base connection"
    kind = "connections"
    row = "2"
    tutorial = "Prise en main"

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        if spec.source.connection.id:
            return ((Call(method="GET", path="/connections/{id}"),),)
        return ((Call(method="POST", path="/connections", effect=True),),)

    def shared_as(self, spec: Spec) -> str | None:
        if spec.source.connection.id:
            return None
        kind, auth = source_kind(spec.source), _auth_of(spec)
        params = spec.source.connection.model_dump(mode="json")["params"]
        # Not the kind's name: two users' definitions may have one name, and two names may mean one connector.
        connector = [kind.connection_spec_id, kind.connection_spec_version, auth.name]
        types = {param.name: param.type for param in auth.params}
        return json.dumps([connector, types, {**auth.defaults, **params}], sort_keys=True)

    async def prepare(self, ctx: Context) -> Settled | None:
        id = ctx.spec.source.connection.id
        if not id:
            return None
        live = await fetched(ctx, self.kind, id)
        if live is None:
            raise NotThere(
                f"base connection {id} does not exist in sandbox {ctx.sandbox}",
                hint="correct source.connection.id (ids of one sandbox are unknown in another), "
                "or give source.connection.params and let flowledger create one",
            )
        other = self.references(ctx, live)
        if other:
            raise SpecError(
                f"base connection {id} does not connect to {ctx.spec.source.kind}",
                faults=tuple(f"source.connection.id: {difference}" for difference in other),
                hint="name a base connection of this kind, or correct source.kind",
            )
        return Settled(outputs=self.outputs(live), how=How.FOUND)

    def secrets(self, spec: Spec) -> tuple[SecretRef, ...]:
        return tuple(value for value in spec.source.connection.params.values() if isinstance(value, SecretRef))

    def body(self, ctx: Context) -> dict[str, Json]:
        kind, auth = source_kind(ctx.spec.source), _auth_of(ctx.spec)
        params = {
            key: ctx.secret(value) if isinstance(value, SecretRef) else value
            for key, value in ctx.spec.source.connection.params.items()
        }
        try:
            typed = auth.in_types({**auth.defaults, **params})
        except ValueError as error:  # of a reference: what stands in the spec itself was judged when it was read
            raise SpecError(
                f"a parameter of {kind.label} is not of the type that the platform expects",
                faults=(f"source.connection.params.{error}",),
                hint=f"correct what the reference leads to, then `flowledger resume {ctx.run}`",
            ) from None
        return {
            "auth": {"specName": auth.name, "params": typed},
            "connectionSpec": {"id": kind.connection_spec_id, "version": kind.connection_spec_version},
        }

    def second_look(self, ctx: Context) -> str:
        return f"connectionSpec.id=={source_kind(ctx.spec.source).connection_spec_id}"

    def references(self, ctx: Context, live: Json) -> list[Difference]:
        wanted = source_kind(ctx.spec.source).connection_spec_id
        return differ("connectionSpec.id", wanted, dig(live, "connectionSpec", "id"))

    def content(self, ctx: Context, live: Json) -> list[Difference]:
        # Parameters are not compared: secrets are masked, and which others the answer shows is not documented.
        found = dig(live, "auth", "specName")
        return [] if found is None else differ("auth.specName", _auth_of(ctx.spec).name, found)

    def check(self, ctx: Context, live: Json) -> list[Difference]:
        # An adopted connection is somebody else's: its name and credentials are theirs to change.
        return self.references(ctx, live) if ctx.spec.source.connection.id else super().check(ctx, live)


def _auth_of(spec: Spec) -> AuthSpec:
    """How the source authenticates: as the spec says, else as its kind usually does."""
    return source_kind(spec.source).auth(spec.source.connection.auth)
