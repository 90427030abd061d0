"""Wait for the first run of the dataflow, and check that its rows are in the dataset: only if the spec asks for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from flowledger.errors import NotThere, RowsMissing, TryLater
from flowledger.steps.answers import count_of, dig
from flowledger.steps.client.port import Json
from flowledger.steps.data_access import READABLE, datasets_of, live_batch
from flowledger.steps.dataset import CreateDataset
from flowledger.steps.flow import CreateFlow
from flowledger.steps.flow_object import fetched
from flowledger.steps.flow_run import MOST, Came, FlowRun, flow_runs_of
from flowledger.steps.spec import Spec, VerifyRows
from flowledger.steps.step import Call, Context, How, Outputs, Settled, Step

FIRST_WAIT: Final = 1.0  # seconds, doubled at each look
LONGEST_WAIT: Final = 60.0  # seconds: a first run shows 2 to 3 minutes after its start (platform-api.md §8.7)
BATCH_WAIT: Final = 300.0  # seconds that a batch may still be under way after its flow run says that it is over
LOST: Final = frozenset({"failed", "failure", "aborted", "abandoned", "inactive", "deleted"})  # of a batch (§3.4)
LOOKED_AT: Final = 5  # flow runs at most, where a resume comes late: the first one, and the latest
SHOWN: Final = 5  # errors that a sentence names


class AwaitFirstRun(Step):
    """GET /runs?property=flowId== until a run of the dataflow is over (platform-api.md §4.8, §11)."""

    name = "await_first_run"
    slug = "first-run"
    label = "first run of the dataflow"
    row = "15"
    patient = True

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        return ((Call(method="GET", path="/runs?property=flowId=={id}"),),) if spec.verify_rows else ()

    async def prepare(self, ctx: Context) -> Settled:
        wanted = ctx.spec.verify_rows
        if wanted is None:
            return Settled(outputs={}, how=How.SKIPPED)
        flow = str(ctx.outputs_of(CreateFlow)["id"])
        ends, wait = await self._start(ctx, flow) + wanted.wait, FIRST_WAIT
        while True:
            runs = await flow_runs_of(ctx.ask, flow)
            over = next((run for run in runs if run.over), None)
            if over is not None:
                return Settled(outputs={"id": over.id, "state": str(over.came)})
            left = ends - ctx.wall()
            if left <= 0:
                break
            await ctx.wait(min(wait, left), "first_run")
            wait = min(2 * wait, LONGEST_WAIT)
        shows = f"the latest is {runs[-1].status or 'without a status'}" if runs else "none shows yet"
        late = f"no run of dataflow {flow} is over {wanted.wait:g} s after its start: {shows}"
        if wanted.otherwise == "warn":
            return Settled(outputs={"warnings": [late]})
        raise TryLater(late, hint=f"flowledger resume {ctx.run} looks again; flowledger watch {ctx.run} follows it")

    async def _start(self, ctx: Context, flow: str) -> float:
        """When the dataflow runs first, in seconds since the epoch: as it says itself, or else now."""
        live = await fetched(ctx, CreateFlow.kind, flow)
        if live is None:
            raise NotThere(
                f"dataflow {flow} is gone from sandbox {ctx.sandbox}: somebody deleted it after it was made",
                hint=f"flowledger explain {ctx.run}",
            )
        return float(count_of(dig(live, "scheduleParams", "startTime")) or ctx.wall())


class CheckRows(Step):
    """GET /batches/{id} of the runs that are over: status and counts against `verify_rows` (platform-api.md §3.4, §16).

    Whatever run is as the spec wants it will do, so that one that failed and was triggered again is no reason to stay
    unfinished.
    """

    name = "check_rows"
    slug = "rows"
    label = "rows in the dataset"
    row = "16"
    patient = True

    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        if not spec.verify_rows:
            return ()
        return (
            (Call(method="GET", path="/runs?property=flowId=={id}"),),
            (Call(method="GET", path="/batches/{id}"),),
        )

    async def prepare(self, ctx: Context) -> Settled:
        wanted = ctx.spec.verify_rows
        if wanted is None:
            return Settled(outputs={}, how=How.SKIPPED)
        runs = [run for run in await flow_runs_of(ctx.ask, str(ctx.outputs_of(CreateFlow)["id"])) if run.over]
        faults: list[str] = []
        run = None
        for run in dict.fromkeys((*runs[:1], *runs[1 - LOOKED_AT :])):
            faults = await self._faults(ctx, run, wanted)
            if not faults:
                return Settled(outputs=_outputs(run, ()))
        if run is None:
            faults = ["no run of the dataflow is over"]
        if wanted.otherwise == "warn":
            return Settled(outputs=_outputs(run, faults) if run else {"warnings": faults})
        raise RowsMissing(
            "; ".join(faults),
            run=ctx.run,
            step=self.name,
            hint=f"mend the source or the mappings; flowledger resume {ctx.run} accepts a later flow run that is right",
        )

    async def _faults(self, ctx: Context, run: FlowRun, wanted: VerifyRows) -> list[str]:
        """Where a flow run is not as the spec wants it, a sentence each."""
        why = _said(run.errors)
        if run.came is Came.FAILED:
            return [f"flow run {run.id} failed: {why or 'the platform gives no reason'}"]
        faults = []
        arrived, rejected = run.rows_out, run.rows_failed or 0
        if arrived is None or arrived < wanted.least:
            told = "does not say how many rows arrived" if arrived is None else f"brought {arrived} rows"
            faults.append(f"flow run {run.id} {told}, and {wanted.least} are the least")
        if rejected > wanted.rejected:
            faults.append(
                f"flow run {run.id}: {rejected} rows were rejected, {arrived or 0} arrived"
                + (f": {why}" if why else "")
            )
        written: int | None = 0
        for batch in run.batches:
            live = await self._batch(ctx, batch)
            status = str(dig(live, "status") or "").lower()
            if status not in READABLE:
                shown = "is not in Catalog" if live is None else f"is {status or 'without a status'} in Catalog"
                faults.append(f"batch {batch} of flow run {run.id} {shown}" + _said_of_batch(live))
            elif (other := _other_dataset(ctx, live)) is not None:
                faults.append(f"batch {batch} of flow run {run.id} went into dataset {other}")
            count = count_of(dig(live, "metrics", "recordsWritten"))
            written = None if written is None or count is None else written + count
        if run.batches and None not in (written, arrived) and written != arrived:
            faults.append(f"Catalog counts {written} rows in the batches of flow run {run.id}, not {arrived}")
        return faults

    async def _batch(self, ctx: Context, id: str) -> Json | None:
        """A batch as Catalog shows it once nothing more comes of it, or after some minutes as it is then."""
        ends, wait = ctx.wall() + BATCH_WAIT, FIRST_WAIT
        while True:
            found = await live_batch(ctx.ask, id)
            status = str(dig(found, "status") or "").lower()
            left = ends - ctx.wall()
            if status in READABLE or status in LOST or left <= 0:
                return found
            await ctx.wait(min(wait, left), "batch")
            wait = min(2 * wait, LONGEST_WAIT)


def _outputs(run: FlowRun, warnings: Iterable[str]) -> Outputs:
    return {
        "id": run.id,
        "state": str(run.came),
        "rows_in": run.rows_in,
        "rows_out": run.rows_out,
        "rows_failed": run.rows_failed,
        "errors": [" ".join(part for part in error if part) for error in run.errors],
        "batches": list(run.batches[:MOST]),
        "warnings": list(warnings),
    }


def _other_dataset(ctx: Context, live: Json) -> str | None:
    """The dataset that a batch names instead of the run's own; None if it names that one, or none."""
    named = datasets_of(live)
    return named[0] if named and str(ctx.outputs_of(CreateDataset)["id"]) not in named else None


def _said(errors: tuple[tuple[str, str], ...]) -> str:
    """What the platform gives as reasons."""
    more = f" and {len(errors) - SHOWN} more" if len(errors) > SHOWN else ""
    return "; ".join(" ".join(part for part in error if part) for error in errors[:SHOWN]) + more


def _said_of_batch(live: Json) -> str:
    listed = dig(live, "errors")
    errors = tuple(
        (str(dig(error, "code") or ""), str(dig(error, "description") or ""))
        for error in (listed if isinstance(listed, list) else [])
    )
    return f": {_said(errors)}" if errors else ""
