"""Find the flow spec: the platform's own description of what a table-like dataflow needs."""

from __future__ import annotations

from flowledger.errors import NotThere, Rejected, SpecError
from flowledger.steps.answers import dig, short_text, usable_id
from flowledger.steps.client.paths import flow_service
from flowledger.steps.client.port import Json, Request
from flowledger.steps.schedule import Cadence, cadence_of
from flowledger.steps.sink import SINK_SPEC_ID
from flowledger.steps.sources import source_kind
from flowledger.steps.spec import Spec
from flowledger.steps.step import Call, Context, Settled, Step, begin_anew

FLOW_SPEC_NAME = "CRMToAEP"
FLOW_SPEC_ID = "14518937-270c-4525-bdec-c2ba7cce3860"  # platform-api.md §7


class FindFlowSpec(Step):
    """GET /flowSpecs by name, with its quotes percent-encoded (platform-api.md §4.3, T18).

    What it says is held against the spec: source and sink must be allowed, and the schedule must fit.
    """

    name = "find_flow_spec"
    slug = "flow-spec"
    label = "flow spec"
    row = "12"
    tutorial = "Spécifications de flux de données de recherche"

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        return ((Call(method="GET", path='/flowSpecs?property=name=="CRMToAEP"'),),)

    async def prepare(self, ctx: Context) -> Settled:
        for query in (f'name=="{FLOW_SPEC_NAME}"', f"name=={FLOW_SPEC_NAME}", f"id=={FLOW_SPEC_ID}"):
            live = await self._look(ctx, query)
            if live is not None:
                break
        else:
            raise NotThere(
                f"the platform has no flow spec {FLOW_SPEC_NAME} in sandbox {ctx.sandbox}",
                hint="check that sources are enabled for this organisation",
            )
        _require_fit(ctx.spec, live)
        return Settled(
            outputs={
                "id": live["id"],
                "name": FLOW_SPEC_NAME,
                "version": short_text(live, "version") or "1.0",
                "draft_mode": dig(live, "attributes", "isDraftModeSupported") is True,
            }
        )

    async def _look(self, ctx: Context, query: str) -> Json | None:
        """The flow spec by one filter, or None if that filter shows none or is refused."""
        try:
            answer = await ctx.ask(Request(method="GET", path=flow_service("/flowSpecs"), query=(("property", query),)))
        except Rejected:
            return None  # the two spellings of a filter are both in use: a refusal of one says nothing of the other
        body = answer.json
        items = body["items"] if isinstance(body, dict) and isinstance(body.get("items"), list) else [body]
        return next((item for item in items if _is_it(item)), None)


def _is_it(item: Json) -> bool:
    """Whether this is the flow spec that we mean, and usable."""
    return isinstance(item, dict) and item.get("name") == FLOW_SPEC_NAME and usable_id(item.get("id"))


def _require_fit(spec: Spec, live: Json) -> None:
    """Refuse what this flow spec cannot carry, all at once. Lists that the answer omits decide nothing."""
    faults: list[str] = []
    source = source_kind(spec.source).connection_spec_id
    sources, targets = live.get("sourceConnectionSpecIds"), live.get("targetConnectionSpecIds")
    if isinstance(sources, list) and sources and source not in sources:
        faults.append(f"source.kind: {spec.source.kind} ({source}) is no source of flow spec {FLOW_SPEC_NAME}")
    if isinstance(targets, list) and targets and SINK_SPEC_ID not in targets:
        faults.append(f"flow spec {FLOW_SPEC_NAME} does not write to the data lake ({SINK_SPEC_ID})")
    faults.extend(_schedule_faults(cadence_of(spec), dig(live, "scheduleSpec", "spec")))
    if faults:
        raise SpecError(
            f"the platform's flow spec {FLOW_SPEC_NAME} does not allow this dataflow",
            faults=tuple(faults),
            hint=f"correct the spec, {begin_anew(spec.name)}",
        )


def _schedule_faults(cadence: Cadence, schema: Json) -> list[str]:
    """What the flow spec's JSON schema of `scheduleParams` has against our schedule (platform-api.md §4.3)."""
    faults: list[str] = []
    allowed = dig(schema, "properties", "frequency", "enum")
    if isinstance(allowed, list) and cadence.frequency not in allowed:
        faults.append(f"schedule.frequency: {cadence.frequency!r} is not one of {', '.join(map(str, allowed))}")
    branch = "then" if dig(schema, "if", "properties", "frequency", "const") == cadence.frequency else "else"
    minimum = dig(schema, branch, "properties", "interval", "minimum")
    if isinstance(minimum, int) and cadence.interval is not None and cadence.interval < minimum:
        faults.append(f"schedule.interval: {cadence.interval} is below {minimum}, the least for {cadence.frequency!r}")
    return faults
