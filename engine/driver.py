"""Walk a run's lanes until it is provisioned: branches at the same time, each step once, and a last look."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from flowledger.engine.attempt import attempt
from flowledger.engine.context import StepContext
from flowledger.engine.discretion import internal_error
from flowledger.engine.events import DriftSeen, RunProvisioned, StepSettled
from flowledger.engine.lane import Lane
from flowledger.engine.reconcile import AFTER_THE_END, last_look, shown_by
from flowledger.engine.run import Run
from flowledger.engine.table import Table
from flowledger.errors import Drifted, FlowledgerError, Interrupted, JournalError, TryLater
from flowledger.steps.step import How, Step

T = TypeVar("T")
GRACE = 5.0  # seconds that a call in flight has to finish after a stop was asked for


class Driver:
    """Drives one run. `perform` is what the machine's transitions call."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.lanes = {branch: Lane(self, branch) for branch in run.table.branches}

    # What lanes ask

    @property
    def table(self) -> Table:
        """The machine that the run walks: that of its style."""
        return self.run.table

    def done(self, step: str) -> bool:
        """The step's outcome is durable, so that its outputs may be used."""
        return self.run.done(step)

    async def perform(self, step: Step) -> None:
        """Take a step once: a no-op if its outcome is in the journal; reconcile what is open; else reads and effect."""
        record = self.run.ledger.step(step.name)
        if record.done:
            return
        ctx, share = StepContext(self.run, step), self.run.share
        key = step.shared_as(self.run.spec) if share is not None else None
        try:
            if share is None or key is None:
                await self._take(step, ctx)
            else:
                await share.take(self.run, step, ctx, key, partial(self._take, step, ctx))
        except FlowledgerError:
            raise
        except Exception as error:
            raise internal_error(error, self.run.ledger.run, step.name) from error

    async def _take(self, step: Step, ctx: StepContext) -> None:
        if not self.run.ledger.step(step.name).unanswered:
            settled = await step.prepare(ctx)
            if settled is not None:
                await self.run.keep(StepSettled(step=step.name, how=str(settled.how), outputs=dict(settled.outputs)))
                return
        await attempt(self.run, step, ctx)

    # The whole run

    async def drive(self) -> None:
        """Provision what is left. Raises the error that stopped the run, once every call in flight has ended."""
        if self.run.ledger.sittings > 1:
            await self._refuse_drift()
        await self.together([self._walk(lane) for lane in self.lanes.values()])
        for row in self.table.rows:
            if self.run.ledger.step(row.step.name).needs_last_look:
                await self.together([last_look(self.run, row.step, StepContext(self.run, row.step))])
        await self.run.keep(RunProvisioned(duplicates=self.run.ledger.duplicates))

    async def _walk(self, lane: Lane) -> None:
        for row in lane.ahead:
            await self.run.until_moved(row.needs)
            if not self.run.done(row.step.name):
                self.run.check()
            if not await lane.fire(row.step.name):
                raise AssertionError(f"{row.step.name} was refused although the steps it needs are done")
            self.run.moved(row.step.name)

    async def together(self, works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """Do all of it at the same time; nothing of it goes on after this has returned or raised.

        When one fails the others begin no further call. When a stop is asked for from outside, what is in flight has
        a short grace, whatever it is: a step, a drift check, a last look. Raises the worst of what was raised.
        """
        run = self.run
        tasks = [asyncio.ensure_future(work) for work in works]
        stopping, urgent = asyncio.ensure_future(run.stopping.wait()), asyncio.ensure_future(run.urgent.wait())
        try:
            pending = set(tasks)
            while pending and not run.stopping.is_set():
                done, _ = await asyncio.wait({*pending, stopping}, return_when=asyncio.FIRST_COMPLETED)
                pending -= done
                if any(task.exception() is not None for task in done if task is not stopping):
                    run.stop("another branch failed")
            # Nothing new begins. What is in flight may finish, and is journaled: a call that is abandoned costs its
            # settle window later, so only somebody outside who waits makes it end early.
            while pending and not run.urgent.is_set():
                done, _ = await asyncio.wait({*pending, urgent}, return_when=asyncio.FIRST_COMPLETED)
                pending -= done
            if pending:
                await asyncio.wait(pending, timeout=GRACE)
        finally:
            for task in (*tasks, stopping, urgent):
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(stopping, urgent, return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        if errors:
            worst = _worst(errors)
            if isinstance(worst, asyncio.CancelledError):
                run.check()  # nobody cancelled us: these are the calls that we gave up when the grace was over
            raise worst
        return [task.result() for task in tasks]

    # Drift

    async def _refuse_drift(self) -> None:
        """Before anything is built on what earlier sittings made: is it still there, unedited?"""
        rows = [row for row in self.table.rows if self.run.ledger.step(row.step.name).how in CHECKED and row.step.kind]
        differences: list[str] = []
        for found in await self.together([self.drift_of(row.step) for row in rows]):
            differences += found
        if differences:
            raise Drifted(
                f"{self.run.ledger.run}: what was provisioned is gone or was edited: " + "; ".join(differences),
                differences=tuple(differences),
                hint=f"flowledger explain {self.run.ledger.run}",
            )

    async def drift_of(self, step: Step, *, wait: bool = False) -> list[str]:
        """What is different about the object of a finished step, each place in a sentence; journaled if anything is.

        A 404 within the list lag of a create is not drift yet. `wait`: look again when the lag is over, so that nothing
        is called there that nobody has seen.
        """
        record = self.run.ledger.step(step.name)
        assert record.outputs is not None
        ctx = StepContext(self.run, step)
        id = str(record.outputs["id"])
        live = await step.fetch(ctx, id)
        if live is None:
            left = shown_by(self.run, record) - self.run.clock.monotonic()
            if left >= 0 and not wait and record.completed_at[0] == self.run.clock.boot_id:
                return []
            if left >= 0:
                # In another boot than the create's the lag counts from when the run was taken up.
                await self.run.settle(step, left + AFTER_THE_END, "lag")
                live = await step.fetch(ctx, id)
        if live is None:
            found = [f"{step.label} {id} is gone"]
        else:
            # What this run found is somebody else's: its name and its content are theirs to change.
            differences = step.references(ctx, live) if record.how is How.FOUND else step.check(ctx, live)
            found = [f"{step.label} {id}: {difference}" for difference in differences]
        if found:
            await self.run.keep(DriftSeen(step=step.name, id=id, differences=found))
        return found


CHECKED = (How.CREATED, How.ADOPTED, How.FOUND)


def _worst(errors: list[BaseException]) -> BaseException:
    """The error to report of several: what no resume can mend first, a mere consequence of another last."""

    def rank(error: BaseException) -> int:
        match error:
            case JournalError():
                return 0
            case Interrupted():
                return 5
            case asyncio.CancelledError():
                return 6
            case TryLater():
                return 3
            case FlowledgerError():
                return 2
            case _:
                return 1

    return min(errors, key=rank)


async def replay(driver: Driver) -> dict[str, str]:
    """Fire every trigger whose step is in the journal, and none else; returns each branch's state. Sends nothing."""
    moved = True
    while moved:
        moved = False
        for lane in driver.lanes.values():
            for row in lane.ahead:
                if not driver.done(row.step.name) or not all(driver.done(need) for need in row.needs):
                    break
                await lane.fire(row.step.name)
                moved = True
    return {branch: lane.state for branch, lane in driver.lanes.items()}
