"""Destroy a run: find everything that it made, and remove it in an order in which nothing is deleted under its users.

Nothing is deleted before every create whose answer is not known has had its settle window, also those of steps that are
done: what commits after its siblings were deleted would be found by nobody (protocol rule 15).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from flowledger.engine.context import StepContext
from flowledger.engine.driver import Driver
from flowledger.engine.events import ObjectGone, RunDestroyed
from flowledger.engine.ledger import Ledger, StepRecord
from flowledger.engine.reconcile import AFTER_THE_END, look_up, window_end
from flowledger.engine.run import Run
from flowledger.engine.table import Row
from flowledger.engine.undo import OTHERWISE, UNMARKED, Doomed, leave, remove
from flowledger.errors import Rejected
from flowledger.steps.dataset import CreateDataset
from flowledger.steps.field_group import CreateFieldGroup
from flowledger.steps.step import How, Outputs, Step
from flowledger.steps.target_schema import CreateTargetSchema

# platform-api.md §10: what refers goes before what it refers to. The kinds of one stage do not refer to each other.
STAGES: Final[tuple[tuple[str, ...], ...]] = (
    ("flows",),
    ("sourceConnections", "targetConnections"),
    ("connections", "mappingSets", "dataSets"),
    ("schemas",),
    ("classes", "fieldgroups"),
)
WITH_DATASET: Final = frozenset({CreateDataset.name, CreateTargetSchema.name, CreateFieldGroup.name})
MADE: Final = frozenset({How.CREATED, How.ADOPTED})
KEPT: Final = "kept with the dataset, as was asked"
FOUND: Final = "found, not made by this run"
FOR_GOOD: Final = frozenset({KEPT, FOUND, UNMARKED})  # reasons that stay true whatever happens on the platform


async def destroy_run(run: Run) -> None:
    """Remove everything that the run made. Returns once that is durable; what is left is in the ledger, with why.

    Of a run that is destroyed only what was left is looked at again, for nothing may refer to it any more.
    Raises, after everything else has gone, Rejected for a refusal that nothing explains; NotPermitted; TryLater.
    """
    driver = Driver(run)
    rows = [row for row in run.table.rows if row.step.kind]
    if run.ledger.destroyed:  # and so every window is over, and every marker was looked for
        again = {one["step"] for one in left_for_now(run.ledger)}
        rows = [row for row in rows if row.step.name in again]
    else:
        await sit_out_windows(run, [row.step for row in run.table.rows])
    looked = await driver.together([_all_of(run, row) for row in rows])
    doomed = [one for some in looked for one in some]
    refused: list[Rejected] = []
    for kinds in STAGES:
        await driver.together([_removed(run, one, refused) for one in doomed if one.step.kind in kinds])
    if refused:
        raise refused[0]
    await run.keep(RunDestroyed(left=_left(run.ledger)))


def left_for_now(ledger: Ledger) -> list[dict[str, str]]:
    """What a destroyed run has left for a reason that can pass, like that something referred to it: step, id, why."""
    return [one for one in ledger.left if ledger.destroyed and one["why"] not in FOR_GOOD]


async def sit_out_windows(run: Run, steps: Sequence[Step]) -> None:
    """Wait until no create of these steps whose answer is not known can take effect any more, or show only later."""
    doubtful = [step for step in steps if run.ledger.step(step.name).unanswered]
    if not doubtful:
        return
    last = max(doubtful, key=lambda step: window_end(run, step))
    left = window_end(run, last) - run.clock.monotonic()
    if left >= 0:
        await run.settle(last, left + AFTER_THE_END, "settle")


async def _all_of(run: Run, row: Row) -> list[Doomed]:
    """Everything that the run made in a step: what the journal names, and what carries its marker.

    Something with our marker that is not what this run makes was copied or edited by somebody, and is left.
    """
    step, record = row.step, run.ledger.step(row.step.name)
    found: dict[str, Outputs] = {}
    if record.how in MADE and record.outputs is not None and "id" in record.outputs:
        found[str(record.outputs["id"])] = record.outputs
    removals = [removal for removal in run.ledger.removals.values() if removal.step == step.name]
    begun = [removal.id for removal in removals if removal.begun]
    found.update({id: {"id": id} for id in begun if id not in found})
    if record.attempts:
        ctx = StepContext(run, step)
        live = await look_up(run, step, ctx, decides=True)
        left = [removal.id for removal in removals if removal.left and not removal.gone]
        for id in dict.fromkeys([*record.duplicates, *left]):  # a list may not show what was seen earlier
            if id in found or id in dict(live):
                continue
            there = await step.fetch(ctx, id)
            if there is None and id in left:
                await run.keep(ObjectGone(step=step.name, id=id))  # it was seen when it was left
            elif there is not None and step.marked(ctx, there):
                live.append((id, there))
        for id, there in live:
            if id in found:
                continue
            if step.references(ctx, there):
                await leave(run, step, id, OTHERWISE)
            else:
                found[id] = step.outputs(there)
    kept = _kept(record, keep_dataset=run.ledger.keep_dataset)
    return [Doomed(step=step, id=id, outputs=outputs) for id, outputs in found.items() if id != kept]


def _kept(record: StepRecord, *, keep_dataset: bool) -> str:
    """The id of the step's object if it stays with the dataset; "" if it goes."""
    if not keep_dataset or record.name not in WITH_DATASET or record.how not in MADE:
        return ""
    return str((record.outputs or {}).get("id", ""))


async def _removed(run: Run, doomed: Doomed, refused: list[Rejected]) -> None:
    """Remove one object; a refusal is for the end, so that it does not stop the rest."""
    try:
        await remove(run, doomed)
    except Rejected as error:
        run.log.warning("not deleted", step=doomed.step.name, id=doomed.id, reason=str(error))
        refused.append(error)


def _left(ledger: Ledger) -> list[dict[str, Any]]:
    """What is not deleted: what was left with a reason, what was kept, what was never the run's."""
    staying = _staying(ledger, keep_dataset=ledger.keep_dataset)
    stay = {(one["step"], one["id"]) for one in staying}
    left = [
        {"step": removal.step, "id": removal.id, "why": removal.left}
        for key, removal in ledger.removals.items()
        if removal.left and not removal.gone and key not in stay
    ]
    return [*left, *staying]


def _staying(ledger: Ledger, *, keep_dataset: bool) -> list[dict[str, str]]:
    staying = []
    for row in ledger.table.rows:
        record = ledger.steps.get(row.step.name)
        if record is None or not row.step.kind or not (record.outputs or {}).get("id"):
            continue
        id, kept = str((record.outputs or {})["id"]), _kept(record, keep_dataset=keep_dataset)
        if kept or record.how is How.FOUND:
            staying.append({"step": row.step.name, "id": id, "why": KEPT if kept else FOUND})
    return staying


# What it would do


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDelete:
    """One object as the journal names it. `stage` is its place in the order; those of one stage go at once."""

    stage: int
    step: str
    label: str
    kind: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyPlan:
    """What `destroy` would delete, as far as the journal tells, and what it would look for first."""

    run: str
    state: str
    deletes: tuple[PlannedDelete, ...]
    look_ups: tuple[str, ...]  # markers that are looked for: a twin, or what a call without an answer has made
    in_doubt: tuple[str, ...]  # steps whose settle window is sat out first
    stays: tuple[dict[str, str], ...]  # step, id, why

    def to_json(self) -> dict[str, Any]:
        """The document of `destroy --plan --json`."""
        return {
            "schema_version": 1,
            "run": self.run,
            "state": self.state,
            "deletes": [
                {"stage": one.stage, "step": one.step, "label": one.label, "kind": one.kind, "id": one.id}
                for one in self.deletes
            ],
            "look_ups": list(self.look_ups),
            "in_doubt": list(self.in_doubt),
            "stays": [dict(one) for one in self.stays],
        }


def destroy_plan(ledger: Ledger, *, keep_dataset: bool = False) -> DestroyPlan:
    """What destroying this run would do. Pure: reads the journal's fold and nothing else."""
    deletes: list[PlannedDelete] = []
    keep, over, again = ledger.keep_dataset or keep_dataset, ledger.destroyed, left_for_now(ledger)
    gone = {key for key, removal in ledger.removals.items() if removal.gone}
    for stage, kinds in enumerate(STAGES, 1):
        for row in ledger.table.rows:
            record = ledger.steps.get(row.step.name)
            if record is None or row.step.kind not in kinds:
                continue
            if over:
                ids = [one["id"] for one in again if one["step"] == row.step.name]
            else:
                ids = [str((record.outputs or {})["id"])] if record.how in MADE and record.outputs else []
                ids += record.duplicates
            kept = _kept(record, keep_dataset=keep)
            deletes += [
                PlannedDelete(stage=stage, step=row.step.name, label=row.step.label, kind=row.step.kind, id=id)
                for id in dict.fromkeys(ids)
                if id != kept and (row.step.name, id) not in gone
            ]
    steps = {one["step"] for one in again} if over else ledger.steps.keys()
    asked = [
        row.step for row in ledger.table.rows
        if row.step.kind and row.step.name in steps and ledger.steps[row.step.name].attempts
    ]  # fmt: skip
    return DestroyPlan(
        run=ledger.run,
        state=str(ledger.state),
        deletes=tuple(deletes),
        look_ups=tuple(f"fl-{ledger.nonce}-{step.slug}" for step in asked),
        in_doubt=tuple(step.name for step in asked if not over and ledger.steps[step.name].unanswered),
        stays=tuple(
            [one for one in ledger.left if one["why"] in FOR_GOOD] if over else _staying(ledger, keep_dataset=keep)
        ),
    )
