"""One run as its journal tells it: a pure fold of events, from which the next step follows.

The driver folds each event as soon as it is durable; status, explain, plan and replay fold what they read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import version
from typing import Any

from pydantic import ValidationError

from flowledger.engine import events as ev
from flowledger.engine.events import RunStopped
from flowledger.engine.evidence import unpacked
from flowledger.engine.table import TABLES, Table, table_for
from flowledger.errors import UsageError
from flowledger.steps.sources import SOURCES
from flowledger.steps.spec import SecretRef, Spec
from flowledger.steps.step import How, Outputs

_RELATIVE_START = re.compile(r"\+[0-9]+[smhd]")
DELETE = "delete"  # the op that removes an object; what comes before it has other names


class RunState(StrEnum):
    """The state of a run as a whole, computed, never stored."""

    PLANNED = "planned"
    PROVISIONING = "provisioning"
    PROVISIONED = "provisioned"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    DESTROYING = "destroying"
    DESTROYED = "destroyed"
    UNREADABLE = "unreadable"  # a newer version wrote it, and this one does not know how it stands


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One intent and what is known of it."""

    number: int
    event: int  # the intent's event number
    boot_id: str
    send_deadline: float
    outcome: str = ""  # "" until an outcome event says more
    code: str = ""
    text: str = ""
    request_id: str = ""

    @property
    def unanswered(self) -> bool:
        """It may have taken effect, or still may."""
        return self.outcome in ("", "in_doubt")


@dataclass(slots=True, kw_only=True)
class StepRecord:
    """What the journal says of one step."""

    name: str
    attempts: list[Attempt] = field(default_factory=list)
    outputs: Outputs | None = None
    how: How | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    duplicates: list[str] = field(default_factory=list)
    needs_last_look: bool = False  # sent again after an unanswered attempt (protocol rule 9)
    completed_at: tuple[str, float] = ("", 0.0)  # boot id and monotonic reading
    wait_until: tuple[str, float] = ("", 0.0)  # boot id and monotonic reading
    drift: list[str] = field(default_factory=list)
    shared_from: str = ""  # the run that made what this one found

    @property
    def done(self) -> bool:
        """The step has its outputs."""
        return self.outputs is not None

    @property
    def unanswered(self) -> list[Attempt]:
        """Attempts that may have taken effect without our knowing."""
        return [attempt for attempt in self.attempts if attempt.unanswered]


@dataclass(slots=True, kw_only=True)
class Removal:
    """What the journal says of removing one object."""

    step: str
    id: str
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)  # by op
    gone: bool = False
    left: str = ""  # why it was not deleted when that was last tried

    @property
    def begun(self) -> bool:
        """A call of it was intended, so that the object was seen before."""
        return any(self.attempts.values())

    @property
    def refused(self) -> bool:
        """Every call of it is proven to have done nothing; true, too, if there was none."""
        return all(attempt.outcome == "not_done" for attempts in self.attempts.values() for attempt in attempts)

    def of(self, op: str) -> list[Attempt]:
        """The attempts of one op, first to last."""
        return self.attempts.setdefault(op, [])


@dataclass(slots=True, kw_only=True)
class Ledger:
    """One run, folded."""

    run: str
    nonce: str = ""
    spec: Spec | None = None  # as it is provisioned: with the start that a resume gave
    spec_as_written: Spec | None = None  # as the run began with it
    as_written: bool = False  # whether that is what was written; else an earlier version wrote its defaults into it
    org: str = ""
    sandbox: str = ""
    base_url: str = ""
    started_at: float = 0.0
    changed_at: float = 0.0
    events: int = 0
    boot_id: str = ""  # of the process that took the run up last
    taken_up_at: float = 0.0  # its monotonic reading
    sittings: int = 0
    steps: dict[str, StepRecord] = field(default_factory=dict)
    stopped: RunStopped | None = None  # until the run is taken up again
    provisioned: bool = False
    destroying: bool = False  # and nothing else can be done with it any more
    destroyed: bool = False
    keep_dataset: bool = False
    removals: dict[tuple[str, str], Removal] = field(default_factory=dict)  # by step and id
    left: list[dict[str, str]] = field(default_factory=list)  # once destroyed: step, id, why
    unreadable: str = ""  # why this version cannot tell how the run stands; then nothing else here is to be relied on
    version: str = ""  # as it is journaled: of the program that took the run up last
    shares: bool = False  # base connection and sink with the journal's other runs
    flow_runs: dict[str, ev.FlowRunSeen] = field(default_factory=dict)  # by id, as last seen; the first one first

    @property
    def table(self) -> Table:
        """The machine that this run walks: that of its spec's style, the tutorial's while no spec is known."""
        return table_for(self.spec) if self.spec is not None else TABLES["tutorial"]

    @property
    def writer(self) -> str:
        """The version of flowledger that took the run up last, in words."""
        known = self.version and self.version != version("flowledger")
        return f"flowledger {self.version}" if known else "the version of flowledger that wrote it"

    def removal(self, step: str, id: str) -> Removal:
        """The record of an object's removal, empty if the journal says nothing of it."""
        return self.removals.setdefault((step, id), Removal(step=step, id=id))

    def step(self, name: str) -> StepRecord:
        """The record of a step, empty if the journal says nothing of it."""
        record = self.steps.get(name)
        if record is None:
            record = self.steps[name] = StepRecord(name=name)
        return record

    @property
    def state(self) -> RunState:
        """The run's state as a whole."""
        if self.unreadable:
            return RunState.UNREADABLE
        if self.spec is None:
            return RunState.PLANNED
        if self.destroyed:
            return RunState.DESTROYED
        if self.destroying:
            return RunState.DESTROYING
        if self.provisioned:
            return RunState.PROVISIONED
        if any(record.unanswered and not record.done for record in self.steps.values()):
            return RunState.IN_DOUBT
        return RunState(self.stopped.state) if self.stopped else RunState.PROVISIONING

    @property
    def duplicates(self) -> list[str]:
        """Ids of objects with our marker beside those that the journal names."""
        return [
            id
            for record in self.steps.values()
            for id in record.duplicates
            if (record.name, id) not in self.removals or not self.removals[record.name, id].gone
        ]

    def ids(self) -> list[str]:
        """Ids of all objects that the journal names: its steps', their duplicates, and those that are removed."""
        own = [str(record.outputs["id"]) for record in self.steps.values() if record.outputs and "id" in record.outputs]
        return [*own, *self.duplicates, *(removal.id for removal in self.removals.values())]

    def fold(self, number: int, doc: Mapping[str, Any]) -> None:
        """Take one event in. `number` is its event number. Unknown kinds are counted and skipped.

        After an event that only a newer version can have written nothing more is taken in: `unreadable` says why.
        """
        self.events += 1
        at, mono = doc.get("at", 0.0), doc.get("mono", 0.0)
        self.changed_at = float(at) if isinstance(at, float | int) else self.changed_at
        by = doc.get("version")
        self.version = by if isinstance(by, str) else self.version
        if self.unreadable:
            return
        try:
            if not (isinstance(at, float | int) and isinstance(mono, float | int)):
                raise ev.UnknownForm("its 'at' or 'mono' is no number")
            event = ev.event_of(doc)
            step = getattr(event, "step", "")
            if step and self.spec is not None and step not in self.table:
                raise ev.UnknownForm(f"it is about the step {step!r}, which is not known")
            self._take(number, event, float(mono))
        except ValidationError as error:  # of the spec
            places = [".".join(map(str, one["loc"])) or "it" for one in error.errors()[:3]]
            self.unreadable = (
                f"event {number}, {doc.get('kind')}: its spec is not of a known form at {', '.join(places)}"
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            self.unreadable = f"event {number}, {doc.get('kind')}: {error}"

    def _take(self, number: int, event: ev.Event | None, mono: float) -> None:
        match event:
            case ev.RunStarted():
                self.nonce, self.org, self.sandbox, self.base_url = (
                    event.nonce,
                    event.org,
                    event.sandbox,
                    event.base_url,
                )
                spec = Spec.model_validate({**event.spec, "folder": event.folder})
                if spec.source.definition is None and spec.source.kind not in SOURCES:
                    raise ev.UnknownForm(f"the kind of source {spec.source.kind!r} is not known")
                self.spec = self.spec_as_written = spec
                self.as_written = event.as_written
                self.shares = event.shares
                self.started_at = self.changed_at
            case ev.RunTakenUp():
                self.boot_id, self.taken_up_at, self.stopped = event.boot_id, mono, None
                self.sittings += 1
                self.shares = self.shares or event.shares
                if self.spec is not None and (event.folder or event.files):
                    self.spec = _moved(self.spec, event.folder, event.files)
                start = _start_in(event.start)
                if start is not None and self.spec is not None:
                    schedule = self.spec.schedule.model_copy(update={"start": start})
                    self.spec = self.spec.model_copy(update={"schedule": schedule})
            case ev.IntentRecorded():
                record = self.step(event.step)
                record.needs_last_look = record.needs_last_look or bool(record.unanswered)
                record.facts = unpacked(event.facts)
                record.attempts.append(
                    Attempt(number=event.attempt, event=number, boot_id=self.boot_id, send_deadline=event.send_deadline)
                )
            case ev.OutcomeRecorded():
                record = self.step(event.step)
                for attempt in record.attempts:
                    if attempt.number == event.attempt:
                        attempt.outcome, attempt.code = event.outcome, event.code
                        attempt.text, attempt.request_id = event.text, event.request_id
                if event.outputs is not None:
                    self._complete(record, event.outputs, How.CREATED, mono)
            case ev.StepAdopted():
                record = self.step(event.step)
                record.duplicates.extend(id for id in event.duplicates if id not in record.duplicates)
                self._complete(record, event.outputs, How.ADOPTED, mono)
            case ev.StepSettled():
                record = self.step(event.step)
                record.shared_from = event.shared_from
                # Attempts that nobody heard of were given up for what another run made: their twin may still come.
                record.needs_last_look = record.needs_last_look or bool(record.unanswered)
                self._complete(record, event.outputs, How(event.how), mono)
            case ev.WaitStarted():
                self.step(event.step).wait_until = (self.boot_id, event.until)
            case ev.LastLookTaken():
                record = self.step(event.step)
                record.needs_last_look = False
                record.duplicates.extend(id for id in event.duplicates if id not in record.duplicates)
            case ev.DriftSeen():
                self.step(event.step).drift = list(event.differences)
            case ev.RunStopped():
                self.stopped = event
            case ev.RunProvisioned():
                self.provisioned = True
            case ev.DestroyBegun():
                self.destroying = True
                # A wish to keep data that was once written down is not taken back by leaving out a flag.
                self.keep_dataset = self.keep_dataset or event.keep_dataset
            case ev.DeleteIntended():
                self.removal(event.step, event.id).of(event.op).append(
                    Attempt(number=event.attempt, event=number, boot_id=self.boot_id, send_deadline=event.send_deadline)
                )
            case ev.DeleteAnswered():
                removal = self.removal(event.step, event.id)
                for attempt in removal.of(event.op):
                    if attempt.number == event.attempt:
                        attempt.outcome, attempt.code = event.outcome, event.code
                        attempt.text, attempt.request_id = event.text, event.request_id
                if event.op == DELETE and event.outcome == "done":
                    self._gone(removal)
            case ev.ObjectGone():
                self._gone(self.removal(event.step, event.id))
            case ev.ObjectLeft():
                self.removal(event.step, event.id).left = event.why
            case ev.RunDestroyed():
                self.destroyed = True
                self.left = [{name: str(one[name]) for name in ("step", "id", "why")} for one in event.left]
            case ev.DriftBegun():
                self.boot_id, self.taken_up_at = event.boot_id, mono
            case ev.FlowRunSeen():
                self.flow_runs[event.id] = event
            case ev.DriftChecked():
                for record in self.steps.values():
                    if record.name not in event.drifted:
                        record.drift = []
                    record.duplicates = list(event.twins.get(record.name, ()))

    def _gone(self, removal: Removal) -> None:
        removal.gone = True
        self.left = [one for one in self.left if (one["step"], one["id"]) != (removal.step, removal.id)]

    def _complete(self, record: StepRecord, outputs: Outputs, how: How, mono: float) -> None:
        # Protocol rule 8: the journaled id stays. Later hits never change it.
        if record.outputs is None:
            record.outputs, record.how = unpacked(outputs), how
            record.completed_at = (self.boot_id, mono)


def _moved(spec: Spec, folder: str, files: Mapping[str, str]) -> Spec:
    """The spec with its secret files in another place."""
    connection = spec.source.connection
    params = {**connection.params, **{name: SecretRef(file=file) for name, file in files.items()}}
    source = spec.source.model_copy(update={"connection": connection.model_copy(update={"params": params})})
    return spec.model_copy(update={"source": source, "folder": folder or spec.folder})


def _start_in(journaled: Any) -> str | int | None:
    """A new start as a spec has it; None if there is none.

    Earlier versions journaled what a program gave them: a float is taken as the second that it lies in, and what is
    no start at all is left out.
    """
    if isinstance(journaled, float | int) and not isinstance(journaled, bool):
        return int(journaled)
    if isinstance(journaled, str) and journaled.isdecimal():
        return int(journaled)
    return journaled if isinstance(journaled, str) and _RELATIVE_START.fullmatch(journaled) else None


def ledger_of(run: str, documents: Iterable[Any]) -> Ledger:
    """Fold a run's documents (TinyDB documents, whose `doc_id` is the event number), oldest first."""
    ledger = Ledger(run=run)
    for document in documents:
        ledger.fold(document.doc_id, document)
    return ledger


def refuse_unreadable(ledger: Ledger) -> None:
    """Raise UsageError for a run that a newer version of flowledger has written: nothing may be built on a guess."""
    if ledger.unreadable:
        raise UsageError(
            f"run {ledger.run} cannot be read by this version of flowledger: {ledger.unreadable}",
            hint=f"use {ledger.writer}; the journal's other runs are not affected",
        )


def refuse_destroyed(ledger: Ledger) -> None:
    """A run whose destroy has begun can only be destroyed (protocol rule 15). Raises UsageError, also for a run that
    cannot be read."""
    from flowledger.engine.destroy import left_for_now  # here, since it reads ledgers itself

    refuse_unreadable(ledger)
    if ledger.destroyed:
        raise UsageError(
            f"run {ledger.run} is destroyed, and its name is taken by its record",
            hint="flowledger journal prune drops the records of destroyed runs and frees their names; "
            "or give the spec a new name"
            if not left_for_now(ledger)
            else f"give the spec a new name; or, once nothing refers to what was left, flowledger destroy {ledger.run} "
            "deletes that, and flowledger journal prune frees the name",
        )
    if ledger.destroying:
        raise UsageError(
            f"the destroy of run {ledger.run} has begun: it can only be destroyed",
            hint=f"flowledger destroy {ledger.run}",
        )
