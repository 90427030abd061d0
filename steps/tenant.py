"""Learn the tenant id: own fields live under `_TENANT`, and the registry names resources with it."""

from __future__ import annotations

import re
from typing import Final

from flowledger.errors import StepError
from flowledger.steps.answers import text_or_none
from flowledger.steps.client.paths import registry
from flowledger.steps.client.port import Request
from flowledger.steps.spec import Spec
from flowledger.steps.step import Call, Context, Settled, Step

_TENANT: Final = re.compile(r"_?[A-Za-z0-9][A-Za-z0-9_-]{0,199}")


class ReadTenant(Step):
    """GET /stats of the Schema Registry (platform-api.md §2.3): the only documented way to learn the tenant id."""

    name = "read_tenant"
    slug = "tenant"
    label = "tenant"
    row = "1"
    tutorial = "Prise en main"

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        return ((Call(method="GET", path="/stats"),),)

    async def prepare(self, ctx: Context) -> Settled:
        answer = await ctx.ask(Request(method="GET", path=registry("/stats")))
        tenant = text_or_none(answer.json, "tenantId") or ""
        if not _TENANT.fullmatch(tenant):  # it becomes part of paths into documents
            raise StepError(
                "the Schema Registry's statistics name no tenant id that could be used",
                run=ctx.run,
                step=self.name,
                request_id=answer.headers.get("x-request-id", ""),
                hint="check that the organisation and the sandbox are provisioned for Experience Platform",
            )
        # Guides write it both ways; the underscore belongs to the namespace, not to the id.
        tenant = tenant.removeprefix("_")
        return Settled(outputs={"id": tenant, "namespace": f"_{tenant}"})
