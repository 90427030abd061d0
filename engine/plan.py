"""What would be done, before doing it: every call of a spec, and what a resume would ask, adopt and send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from flowledger.engine.ledger import Ledger, RunState, StepRecord, refuse_destroyed
from flowledger.engine.table import Row, table_for
from flowledger.steps.row_filter import readable
from flowledger.steps.sink import FindOrCreateSink
from flowledger.steps.source_connection import CreateSourceConnection
from flowledger.steps.spec import Spec
from flowledger.steps.step import Call, How, Settled

SCHEMA_VERSION = 1
_SINK: Final = FindOrCreateSink.name
_SINK_NOTE: Final = "created only if the sandbox has none"
TOKEN_CALL: Final = "POST /ims/token/v3"  # noqa: S105 - a path, no password


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCall:
    """One call. `stage` is its place on the clock: calls of one stage may be under way at the same time."""

    stage: int
    method: str
    path: str  # below its service's base path; placeholders in braces are known once the run is under way
    effect: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step. `exists` is the id of what is there already; `how` says how it came to the run."""

    branch: str
    step: str
    label: str
    kind: str
    needs: tuple[str, ...]
    calls: tuple[PlannedCall, ...]
    exists: str = ""
    how: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All steps of a spec in the order of their stages."""

    run: str
    style: str
    state: RunState
    asked: bool  # whether the platform was asked what exists, or only the journal
    chain: int  # calls one after another in a whole run, the token included
    critical: tuple[str, ...]  # the steps on that chain
    steps: tuple[PlannedStep, ...]

    @property
    def calls(self) -> int:
        """How many calls are left to be made, the token not counted."""
        return sum(len(step.calls) for step in self.steps)

    @property
    def effects(self) -> int:
        """How many of them change something."""
        return sum(call.effect for step in self.steps for call in step.calls)

    @property
    def changes(self) -> bool:
        """Whether an apply would do anything."""
        return self.state is not RunState.PROVISIONED

    def to_json(self) -> dict[str, Any]:
        """The document of `plan --json`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "run": self.run,
            "style": self.style,
            "state": str(self.state),
            "changes": self.changes,
            "platform_asked": self.asked,
            "calls": self.calls,
            "effects": self.effects,
            "chain": {"length": self.chain, "steps": ["token", *self.critical]},
            "steps": [asdict(step) for step in self.steps],
        }


def plan_of(spec: Spec, ledger: Ledger | None = None, found: Mapping[str, Settled] | None = None) -> Plan:
    """The plan of a spec, given what the journal and reads of the platform (`found`, by step) say exists.

    Pure. A step that the journal has completed makes no call; one in doubt is looked up before it is sent again.
    """
    if ledger is not None:
        refuse_destroyed(ledger)
    table = table_for(spec)
    ends = table.stages(spec)
    steps = [_planned(row, spec, ends, ledger, (found or {}).get(row.step.name)) for row in table.rows]
    return Plan(
        run=spec.name,
        style=spec.style,
        state=ledger.state if ledger else RunState.PLANNED,
        asked=found is not None,
        chain=table.chain(spec),
        critical=critical_path(spec),
        steps=tuple(sorted(steps, key=lambda step: _first_stage(step, ends, spec))),
    )


def critical_path(spec: Spec) -> tuple[str, ...]:
    """The steps of the longest chain, first to last: each could not begin before the one before it had ended."""
    table = table_for(spec)
    ends = table.stages(spec)
    row: Row | None = max(table.rows, key=lambda row: ends[row.step.name])
    path: list[str] = []
    while row is not None:
        if row.step.calls(spec):
            path.append(row.step.name)
        begins = ends[row.step.name] - len(row.step.calls(spec))
        row = next((other for other in table.before(row) if ends[other.step.name] == begins), None)
    return tuple(reversed(path))


def _planned(
    row: Row, spec: Spec, ends: Mapping[str, int], ledger: Ledger | None, found: Settled | None
) -> PlannedStep:
    record = ledger.steps.get(row.step.name) if ledger else None
    calls, exists, how, note = _calls(row, spec, ends), "", "", ""
    if record is not None and record.done:
        calls, exists, how = (), str((record.outputs or {}).get("id", "")), str(record.how)
    elif record is not None and record.unanswered:
        note = f"in doubt since attempt {record.unanswered[-1].number}: looked up first, sent again only if not found"
    elif found is not None:
        exists, how = str(found.outputs.get("id", "")), str(found.how)
        calls = tuple(call for call in calls if not call.effect)
    elif not calls:
        note = "not needed by this spec"
    elif row.step.name == _SINK:
        note = _SINK_NOTE
    elif row.step.name == CreateSourceConnection.name and spec.source.filter is not None:
        note = f"only rows where {readable(spec.source.filter)}"
    return PlannedStep(
        branch=row.branch,
        step=row.step.name,
        label=row.step.label,
        kind=row.step.kind,
        needs=row.needs,
        calls=calls,
        exists=exists,
        how=how,
        note=note,
    )


def _calls(row: Row, spec: Spec, ends: Mapping[str, int]) -> tuple[PlannedCall, ...]:
    groups = row.step.calls(spec)
    first = ends[row.step.name] - len(groups) + 1
    return tuple(
        PlannedCall(stage=first + at, method=call.method, path=_filled(call, spec), effect=call.effect)
        for at, group in enumerate(groups)
        for call in group
    )


def _filled(call: Call, spec: Spec) -> str:
    return call.path.replace("{table}", spec.source.table)


def _first_stage(step: PlannedStep, ends: Mapping[str, int], spec: Spec) -> int:
    return ends[step.step] - len(table_for(spec).row_of(step.step).step.calls(spec))


# What a resume would do


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that a resume would do. `do`: check, look_up, send, read or last_look."""

    do: str
    branch: str
    step: str
    text: str
    id: str = ""
    marker: str = ""
    calls: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumePlan:
    """What `resume` would ask, adopt and send, as far as the journal tells."""

    run: str
    state: RunState
    actions: tuple[Action, ...]

    def to_json(self) -> dict[str, Any]:
        """The document of `resume --plan --json`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "run": self.run,
            "state": str(self.state),
            "actions": [asdict(action) for action in self.actions],
        }


def resume_plan(ledger: Ledger) -> ResumePlan:
    """What a resume of this run would do, in this order. Pure: reads the journal's fold and nothing else."""
    refuse_destroyed(ledger)
    assert ledger.spec is not None
    spec = ledger.spec
    actions: list[Action] = []
    if ledger.state is not RunState.PROVISIONED:
        rows = ledger.table.rows
        records = [(row, ledger.steps.get(row.step.name) or StepRecord(name=row.step.name)) for row in rows]
        actions += [_check(row, record) for row, record in records if record.how in _MADE and row.step.kind]
        actions += [_look_up(row, record, ledger) for row, record in records if record.unanswered and not record.done]
        actions += [_todo(row, spec) for row, record in records if not record.done and not record.unanswered]
        actions += [
            Action(
                do="last_look",
                branch=row.branch,
                step=row.step.name,
                text="look once more for a duplicate, a full settle window after the last send",
                marker=_marker(ledger, row),
            )
            for row, record in records
            if record.needs_last_look
        ]
    return ResumePlan(run=ledger.run, state=ledger.state, actions=tuple(actions))


_MADE = (How.CREATED, How.ADOPTED, How.FOUND)


def _check(row: Row, record: StepRecord) -> Action:
    id = str((record.outputs or {}).get("id", ""))
    return Action(
        do="check",
        branch=row.branch,
        step=row.step.name,
        text=f"ask whether {row.step.label} {id} is still there, unedited",
        id=id,
    )


def _look_up(row: Row, record: StepRecord, ledger: Ledger) -> Action:
    assert ledger.spec is not None
    marker, attempt = _marker(ledger, row), record.unanswered[-1]
    return Action(
        do="look_up",
        branch=row.branch,
        step=row.step.name,
        text=f"attempt {attempt.number} has no answer: look for {marker} and adopt it; send again only if it is not "
        f"found {ledger.spec.settle.window:g} s after that attempt",
        marker=marker,
        calls=tuple(f"{call.method} {call.path}" for group in row.step.calls(ledger.spec) for call in group),
    )


def _todo(row: Row, spec: Spec) -> Action:
    calls = [call for group in row.step.calls(spec) for call in group]
    named = tuple(f"{call.method} {_filled(call, spec)}" for call in calls)
    if not calls:
        return Action(do="read", branch=row.branch, step=row.step.name, text="nothing: this spec needs no such thing")
    effect = any(call.effect for call in calls)
    return Action(
        do="send" if effect else "read",
        branch=row.branch,
        step=row.step.name,
        text=", then ".join(named) + (f" ({_SINK_NOTE})" if row.step.name == _SINK else ""),
        calls=named,
    )


def _marker(ledger: Ledger, row: Row) -> str:
    return f"fl-{ledger.nonce}-{row.step.slug}"
