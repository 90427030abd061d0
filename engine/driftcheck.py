"""Compare a run with the platform: each object read by its id, each marker looked up, twins reported or removed.

Every step's marker is looked up, not only those of calls that were in doubt: a call that something delivered twice and
answered once is noticed nowhere else (protocol rule 9).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from flowledger.engine.context import StepContext
from flowledger.engine.destroy import STAGES, sit_out_windows
from flowledger.engine.driver import CHECKED, Driver
from flowledger.engine.events import DriftChecked
from flowledger.engine.ledger import RunState
from flowledger.engine.reconcile import look_up
from flowledger.engine.run import Run
from flowledger.engine.table import Row
from flowledger.engine.undo import OTHERWISE, UNMARKED, Doomed, remove, users_of
from flowledger.errors import Rejected
from flowledger.steps.client.port import Json
from flowledger.steps.step import Step

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """An object of the run that is gone or was edited. `kind` is the collection of the API."""

    step: str
    kind: str
    id: str
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A further object with a step's marker. `why`: why it is not removed; "" if nothing stands in the way."""

    step: str
    kind: str
    id: str
    removed: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """What a comparison of a run with the platform has found."""

    run: str
    state: RunState
    differences: tuple[Drift, ...]
    twins: tuple[Twin, ...]
    unfinished: tuple[str, ...]  # steps that are not done, and so were not looked at: `resume` is for them
    journal: str  # the directory

    @property
    def removable(self) -> tuple[Twin, ...]:
        """The twins that `--remove-twins` would remove."""
        return tuple(twin for twin in self.twins if not twin.removed and not twin.why)

    @property
    def exit_code(self) -> int:
        """What the CLI ends with after this: 0 if all is as it should be (by now), else 8."""
        return 8 if self.differences or any(not twin.removed for twin in self.twins) else 0

    def to_json(self) -> dict[str, Any]:
        """The document of `drift --json` (schema version 1)."""
        return {
            "schema_version": SCHEMA_VERSION,
            **asdict(self),
            "state": str(self.state),
            "exit_code": self.exit_code,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extra:
    step: Step
    id: str
    live: Json


async def check_drift(run: Run, *, remove_twins: bool, journal: str) -> DriftReport:
    """Compare, journal what differs, and remove the twins that may go if asked to.

    Raises, after everything else is done, Rejected for a twin whose removal the platform refuses without a reason that
    is known; NotPermitted; TryLater.
    """
    driver = Driver(run)
    rows = [row for row in run.table.rows if row.step.kind]
    done = [row for row in rows if run.ledger.step(row.step.name).done]
    checked = [row for row in done if run.ledger.step(row.step.name).how in CHECKED]
    differences = await driver.together([driver.drift_of(row.step, wait=True) for row in checked])
    drifts = tuple(
        Drift(step=row.step.name, kind=row.step.kind, id=_id(run, row), differences=tuple(found))
        for row, found in zip(checked, differences, strict=True)
        if found
    )
    # Also of a step that was settled with what another run made: what it had sent itself may have taken effect since.
    sent = [row for row in done if run.ledger.step(row.step.name).attempts]
    await sit_out_windows(run, [row.step for row in sent])
    looked = await driver.together([_extras_of(run, row) for row in sent])
    extras = [extra for some in looked for extra in some]
    twins: list[Twin] = []
    refused: list[Rejected] = []
    for kinds in STAGES:
        here = [extra for extra in extras if extra.step.kind in kinds]
        twins += await driver.together([_judged(run, extra, refused, remove_twins) for extra in here])
    left: dict[str, list[str]] = {}
    for twin in twins:
        if not twin.removed:
            left.setdefault(twin.step, []).append(twin.id)
    await run.keep(DriftChecked(drifted=[drift.step for drift in drifts], twins=left))
    if refused:
        raise refused[0]
    return DriftReport(
        run=run.ledger.run,
        state=run.ledger.state,
        differences=drifts,
        twins=tuple(twins),
        unfinished=tuple(row.step.name for row in run.table.rows if not run.ledger.step(row.step.name).done),
        journal=journal,
    )


async def _extras_of(run: Run, row: Row) -> list[_Extra]:
    """What carries the step's marker beside the object that the journal names."""
    step, ctx = row.step, StepContext(run, row.step)
    live = dict(await look_up(run, step, ctx, decides=True))
    for id in run.ledger.step(step.name).duplicates:  # a list may not show what an earlier look-up has seen
        if id not in live:
            there = await step.fetch(ctx, id)
            if there is not None and step.marked(ctx, there):
                live[id] = there
    return [_Extra(step=step, id=id, live=there) for id, there in live.items() if id != _id(run, row)]


async def _judged(run: Run, extra: _Extra, refused: list[Rejected], remove_twins: bool) -> Twin:
    """Say whether a twin may be removed, and remove it if asked to."""
    step, ctx = extra.step, StepContext(run, extra.step)
    outputs, why, removed = step.outputs(extra.live), "", False
    if step.references(ctx, extra.live):
        why = OTHERWISE
    elif not step.undo(ctx, outputs):
        why = UNMARKED
    elif not remove_twins:
        users = await users_of(run, ctx, step, extra.id)
        why = f"used by {', '.join(users)}" if users else ""
    else:
        try:
            removed = await remove(run, Doomed(step=step, id=extra.id, outputs=outputs, why="twin"))
            why = "" if removed else run.ledger.removal(step.name, extra.id).left
        except Rejected as error:
            refused.append(error)
            why = str(error)
    return Twin(step=step.name, kind=step.kind, id=extra.id, removed=removed, why=why)


def _id(run: Run, row: Row) -> str:
    return str((run.ledger.step(row.step.name).outputs or {}).get("id", ""))
