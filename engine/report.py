"""What a run has come to, as a value: returned by apply, resume and status, printed by `--json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from flowledger.engine.events import RunStopped
from flowledger.engine.ledger import Ledger, RunState
from flowledger.errors import FlowledgerError, StepError
from flowledger.steps.verify_rows import CheckRows

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One object on the platform that the run made, adopted or found. `kind` is the collection of the API."""

    step: str
    kind: str
    id: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """An object that `destroy` did not delete, or that was never the run's, and why."""

    step: str
    kind: str
    id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Why a run ended unfinished. `error` is the name of a class in `flowledger.errors`."""

    error: str
    message: str
    step: str
    code: str
    request_id: str
    hint: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFlowRun:
    """A run of the dataflow as it was last seen. Counts are None where the platform does not tell them."""

    id: str
    state: str  # "under_way", "success", "partial" or "failed"
    rows_in: int | None
    rows_out: int | None
    rows_failed: int | None
    errors: tuple[str, ...]  # code and message of each
    warnings: tuple[str, ...] = ()  # where its rows are not as the spec's `verify_rows` wants them


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run as its journal tells it."""

    run: str
    state: RunState
    resources: tuple[Resource, ...]
    duplicates: tuple[str, ...]  # ids of further objects with our marker
    org: str
    sandbox: str
    nonce: str
    journal: str  # the directory
    events: int
    changed_at: float  # seconds since the epoch
    stopped: Stop | None
    destroyed: tuple[Resource, ...] = ()  # what `destroy` has deleted, or found gone
    gone_before: tuple[str, ...] = ()  # ids among `destroyed` that were gone before a delete of ours
    left: tuple[Left, ...] = ()  # what it has not, once it is through
    flow_run: SeenFlowRun | None = None  # the latest run of the dataflow that was seen

    @property
    def exit_code(self) -> int:
        """What the CLI ends with after this: 0 once provisioned, or destroyed; 2 if this version cannot read it."""
        if self.state in (RunState.PROVISIONED, RunState.DESTROYED):
            return 0
        if self.state is RunState.UNREADABLE:
            return 2
        return self.stopped.exit_code if self.stopped else 75

    def to_json(self) -> dict[str, Any]:
        """The document of `--json` (schema version 1)."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self), "state": str(self.state)}


def report_of(ledger: Ledger, journal: str) -> Report:
    """The report of a folded run. `journal` is the directory, for people."""
    resources = []
    for row in ledger.table.rows:
        record = ledger.steps.get(row.step.name)
        if record is not None and record.outputs is not None and record.how is not None and "id" in record.outputs:
            resources.append(
                Resource(step=row.step.name, kind=row.step.kind, id=str(record.outputs["id"]), how=str(record.how))
            )
    stopped = ledger.stopped
    return Report(
        run=ledger.run,
        state=ledger.state,
        resources=tuple(resource for resource in resources if resource.kind and not _is_gone(ledger, resource)),
        duplicates=tuple(ledger.duplicates),
        org=ledger.org,
        sandbox=ledger.sandbox,
        nonce=ledger.nonce,
        journal=journal,
        events=ledger.events,
        changed_at=ledger.changed_at,
        stopped=_stop_in(stopped) if stopped else None,
        destroyed=_destroyed(ledger),
        gone_before=tuple(one.id for one in ledger.removals.values() if ledger.destroying and one.gone and one.refused),
        left=tuple(
            Left(step=one["step"], kind=_kind(ledger, one["step"]), id=one["id"], why=one["why"]) for one in ledger.left
        ),
        flow_run=_latest(ledger),
    )


def _latest(ledger: Ledger) -> SeenFlowRun | None:
    seen = max(ledger.flow_runs.values(), key=lambda event: (event.created_ms, event.id), default=None)
    checked = ledger.steps.get(CheckRows.name)
    outputs = (checked.outputs if checked is not None else None) or {}
    warnings = tuple(str(one) for one in outputs.get("warnings", ()))
    if outputs and (seen is None or seen.id == outputs.get("id")):
        return SeenFlowRun(
            id=str(outputs.get("id", "")),
            state=str(outputs.get("state", "under_way")),
            rows_in=outputs.get("rows_in"),
            rows_out=outputs.get("rows_out"),
            rows_failed=outputs.get("rows_failed"),
            errors=tuple(str(one) for one in outputs.get("errors", ())),
            warnings=warnings,
        )
    if seen is None:
        return None
    return SeenFlowRun(
        id=seen.id,
        state=seen.came,
        rows_in=seen.rows_in,
        rows_out=seen.rows_out,
        rows_failed=seen.rows_failed,
        errors=tuple(" ".join(part for part in error if part) for error in seen.errors),
    )


def _is_gone(ledger: Ledger, resource: Resource) -> bool:
    removal = ledger.removals.get((resource.step, resource.id))
    return removal is not None and removal.gone


def _destroyed(ledger: Ledger) -> tuple[Resource, ...]:
    found = []
    order = {row.step.name: at for at, row in enumerate(ledger.table.rows)}
    removals = sorted(ledger.removals.values(), key=lambda one: (order.get(one.step, len(order)), one.id))
    for removal in removals if ledger.destroying else ():
        record = ledger.steps.get(removal.step)
        named = record is not None and str((record.outputs or {}).get("id")) == removal.id
        how = str(record.how) if record is not None and named else "duplicate"
        if removal.gone:
            found.append(Resource(step=removal.step, kind=_kind(ledger, removal.step), id=removal.id, how=how))
    return tuple(found)


def _kind(ledger: Ledger, step: str) -> str:
    return ledger.table.row_of(step).step.kind if step in ledger.table else ""


def stop_of(error: FlowledgerError) -> Stop:
    """An error as the reason for which a run ended unfinished."""
    step, code, asked = (error.step, error.code, error.request_id) if isinstance(error, StepError) else ("", "", "")
    return Stop(
        error=type(error).__name__,
        message=error.message,
        step=step,
        code=code,
        request_id=asked,
        hint=error.hint,
        exit_code=error.exit_code,
    )


def _stop_in(stopped: RunStopped) -> Stop:
    return Stop(**{name: getattr(stopped, name) for name in Stop.__slots__})
