"""Lanes: a run on one branch, and the machine that moves it. One task owns a lane."""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

from flowledger.engine.machine import RunMachine
from flowledger.engine.table import Row, Table
from flowledger.errors import UsageError
from flowledger.steps.step import Step


class Performer(Protocol):
    """What a lane asks of its run."""

    @property
    def table(self) -> Table:
        """The machine that the run walks."""
        ...

    def done(self, step: str) -> bool:
        """The step's outcome is in the journal and the lane that owns it has moved on."""
        ...

    async def perform(self, step: Step) -> None:
        """Take the step once, however often it is asked for. Returns when its outcome is durable; raises otherwise."""
        ...


class Lane:
    """The model of the machine: where one run stands on one branch."""

    def __init__(self, run: Performer, branch: str) -> None:
        self.run = run
        self.branch = branch
        self.state = "planned"
        self._taken = False

    @property
    def ahead(self) -> tuple[Row, ...]:
        """The transitions still to be made, in order."""
        rows = self.run.table.rows_of(self.branch)
        return rows[next((at for at, row in enumerate(rows) if row.source == self.state), len(rows)) :]

    async def fire(self, step: str) -> bool:
        """Fire a step's trigger. False: a guard refused (a step it needs is not done).

        Raises `transitions.MachineError` if the trigger is not legal in this state, UsageError if another task is
        in the middle of a transition of this lane, and whatever the step raises; the state flips only on success.
        """
        if self._taken:
            raise UsageError(f"branch {self.branch} is already being driven by another task of this process")
        self._taken = True
        try:
            return bool(await _machine(self.run.table, self.branch).events[step].trigger(self))
        finally:
            self._taken = False


def needs_met(event: Any) -> bool:
    """Whether all steps that this transition needs are done. Pure."""
    lane: Lane = event.model
    return all(lane.run.done(need) for need in lane.run.table.row_of(event.event.name).needs)


async def perform(event: Any) -> None:
    """Take the step of this transition once, however often it is fired.

    The state flips only after this returns, so a crash anywhere leaves the earlier state and, at worst, an intent
    without an outcome, which the next firing reconciles.
    """
    lane: Lane = event.model
    await lane.run.perform(lane.run.table.row_of(event.event.name).step)


@cache
def _machine(table: Table, branch: str) -> RunMachine:
    """The machine of a branch: one for a table and process, holding no run; its triggers are fired on lanes."""
    rows = table.rows_of(branch)
    machine = RunMachine(
        model=None,
        states=["planned", *(row.dest for row in rows)],
        initial="planned",
        transitions=[
            {
                "trigger": row.step.name,
                "source": row.source,
                "dest": row.dest,
                "conditions": needs_met,
                "before": perform,
            }
            for row in rows
        ],
        auto_transitions=False,
        send_event=True,
    )
    # The triggers of other branches exist everywhere, so that firing one out of place is an illegal transition
    # (MachineError), not a missing name.
    for row in table.rows:
        if row.step.name not in machine.events:
            machine.events[row.step.name] = machine.event_cls(row.step.name, machine)
    return machine
