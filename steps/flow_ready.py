"""Wait until the dataflow stands: a create is answered before its asynchronous work is done."""

from __future__ import annotations

import json

from flowledger.errors import NotThere, StepError
from flowledger.steps.answers import dig, short_text, text_or_none
from flowledger.steps.client.port import Json
from flowledger.steps.flow import CreateFlow
from flowledger.steps.flow_object import fetched
from flowledger.steps.spec import Spec
from flowledger.steps.step import Call, Context, Settled, Step

FINAL = frozenset({"enabled", "disabled", "draft"})  # platform-api.md §10; every other state is on its way
FIRST_WAIT = 0.2  # seconds, doubled at each look
LONGEST_WAIT = 10.0  # seconds
SAID = 2000  # characters of the platform's reason that an error shows


class AwaitFlow(Step):
    """GET /flows/{id} until the state is final and the last operation is over (platform-api.md §10)."""

    name = "await_flow"
    slug = "flow-ready"
    label = "dataflow ready"
    row = "14"
    tutorial = "Création d’un flux de données"

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        return ((Call(method="GET", path="/flows/{id}"),),)

    async def prepare(self, ctx: Context) -> Settled:
        id, wait = ctx.outputs_of(CreateFlow)["id"], FIRST_WAIT
        while True:
            live = await fetched(ctx, CreateFlow.kind, id)
            if live is None:
                raise NotThere(
                    f"dataflow {id} is gone from sandbox {ctx.sandbox}: somebody deleted it after it was made",
                    hint=f"flowledger explain {ctx.run}",
                )
            state, operation = text_or_none(live, "state") or "", _operation(live)
            if state == "failed" or operation == "failed":
                raise self._failed(ctx, id, live)
            if state in FINAL and operation in ("", "completed", "success"):
                return Settled(outputs={"id": id, "state": state, "etag": short_text(live, "etag")})
            await ctx.wait(wait, f"dataflow {id} is {state or 'without a state'}, operation {operation or 'unknown'}")
            wait = min(2 * wait, LONGEST_WAIT)

    def _failed(self, ctx: Context, id: str, live: Json) -> StepError:
        errors = dig(live, "lastOperation", "status", "errors")
        said = json.dumps(errors, ensure_ascii=False)[:SAID] if errors else "the platform gives no reason"
        return StepError(
            f"the platform could not set up dataflow {id}: {said}",
            run=ctx.run,
            step=self.name,
            hint=f"flowledger history {ctx.run}",
        )


def _operation(live: Json) -> str:
    """What the last operation came to; "" if there was none, which counts as completed."""
    value = dig(live, "lastOperation", "status", "value")
    return value.lower() if isinstance(value, str) else ""
