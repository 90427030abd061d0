"""Say why a run is not provisioned, from its journal alone: what was sent, what came back, what is known, what next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowledger.engine.destroy import left_for_now
from flowledger.engine.history import Entry, answer_text, history_of
from flowledger.engine.ledger import Attempt, Ledger, RunState, StepRecord, ledger_of, refuse_unreadable
from flowledger.steps.client.clock import Clock
from flowledger.steps.spec import Spec
from flowledger.words import there_are, with_article

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a run stands where it stands. `sent` and `came_back` are journal documents with their event number."""

    run: str
    state: RunState
    headline: str
    step: str
    sent: Mapping[str, Any] | None
    came_back: Mapping[str, Any] | None
    known: tuple[str, ...]  # what the journal says of the platform now
    next: str  # what to type or to change

    def to_json(self) -> dict[str, Any]:
        """The document of `explain --json`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "run": self.run,
            "state": str(self.state),
            "headline": self.headline,
            "step": self.step,
            "sent": dict(self.sent) if self.sent else None,
            "came_back": dict(self.came_back) if self.came_back else None,
            "known": list(self.known),
            "next": self.next,
        }


def explain(run: str, documents: Sequence[Any], clock: Clock) -> Explanation:
    """Explain a run from its documents (with `doc_id`), oldest first. `clock` tells which settle windows are over.

    Raises UsageError for a run of a newer version.
    """
    ledger, entries = ledger_of(run, documents), history_of(documents)
    refuse_unreadable(ledger)
    assert ledger.spec is not None
    if ledger.state is RunState.PROVISIONED:
        return _provisioned(ledger, entries)
    if ledger.destroying:
        return _destroying(ledger)
    step = _step_of(ledger, entries)
    sent, came_back = _last_call(step, entries)
    return Explanation(
        run=run,
        state=ledger.state,
        headline=_headline(ledger, entries, step),
        step=step,
        sent=sent,
        came_back=came_back,
        known=tuple(_known(ledger, entries, clock)),
        next=_next(ledger),
    )


def _provisioned(ledger: Ledger, entries: Sequence[Entry]) -> Explanation:
    known = []
    drifted = [record for record in ledger.steps.values() if record.drift]
    known += [f"{record.name}: {difference}" for record in drifted for difference in record.drift]
    if ledger.duplicates:
        known.append(f"further objects with this run's marker: {', '.join(ledger.duplicates)}")
    seen = next((entry for entry in reversed(entries) if entry.kind == "flow_run_seen"), None)
    if seen is not None:
        known.append(f"when it was last watched, {seen.text}")
        known += [" ".join(map(str, error)).strip() for error in seen.doc.get("errors") or ()]
    return Explanation(
        run=ledger.run,
        state=ledger.state,
        headline=f"provisioned; when last compared, {there_are(len(drifted), 'object')} gone or edited"
        if drifted
        else "nothing to explain: the run is provisioned",
        step="",
        sent=None,
        came_back=None,
        known=tuple(known),
        next=f"flowledger {'drift' if drifted else 'status'} {ledger.run}",
    )


def _destroying(ledger: Ledger) -> Explanation:
    """What is deleted, what is not, and why not."""
    gone = [removal for removal in ledger.removals.values() if removal.gone]
    known = [f"{there_are(len(gone), 'object')} deleted, or gone before"]
    left = {(one["step"], one["id"]): one["why"] for one in ledger.left} or {
        key: removal.left for key, removal in ledger.removals.items() if removal.left and not removal.gone
    }
    known += [f"{step} {id} is left: {why}" for (step, id), why in left.items()]
    for removal in ledger.removals.values():
        for op, attempts in removal.attempts.items():
            if attempts and attempts[-1].unanswered and not removal.gone:
                known.append(f"the {op} of {removal.step} {removal.id} has no usable answer: reading it will tell")
    known += [
        f"{record.name}: attempt {', '.join(str(one.number) for one in record.unanswered)} to create it has no usable "
        "answer: nothing is deleted before its settle window is over"
        for record in ledger.steps.values()
        if record.unanswered and not ledger.destroyed
    ]
    stop = ledger.stopped
    if ledger.destroyed and stop is None:
        headline = "nothing to explain: the run is destroyed"
    elif stop is not None:
        asked = f" (request id {stop.request_id})" if stop.request_id else ""
        headline = f"{stop.error}: {stop.message}{asked}"
    else:
        headline = "no end is journaled: its process is still at it, or was killed while it destroyed the run"
    again, over = f"flowledger destroy {ledger.run}", ledger.destroyed and not left_for_now(ledger)
    return Explanation(
        run=ledger.run,
        state=ledger.state,
        headline=headline,
        step=stop.step if stop is not None else "",
        sent=None,
        came_back=None,
        known=tuple(known),
        next=(stop.hint if stop else "") or (f"flowledger status {ledger.run}" if over else again),
    )


def _headline(ledger: Ledger, entries: Sequence[Entry], step: str) -> str:
    label = ledger.table.row_of(step).step.label if step else "run"
    if ledger.stopped is not None:
        stop = ledger.stopped
        asked = f" (request id {stop.request_id})" if stop.request_id else ""
        return f"{stop.error}: {stop.message}{asked}"
    taken_up = next((entry.doc for entry in reversed(entries) if entry.kind == "run_taken_up"), None)
    who = f"process {taken_up['pid']} on {taken_up['host']}" if taken_up else "its process"
    return f"no end is journaled: {who} is still at it, or was killed at the {label}"


def _step_of(ledger: Ledger, entries: Sequence[Entry]) -> str:
    """The step to talk about: the one that stopped the run, else one in doubt, else the last that was heard of."""
    names = {row.step.name for row in ledger.table.rows}
    if ledger.stopped is not None and ledger.stopped.step in names:
        return ledger.stopped.step
    drifted = [record.name for record in ledger.steps.values() if record.drift]
    doubtful = [record.name for record in ledger.steps.values() if record.unanswered and not record.done]
    failed = [entry.step for entry in entries if entry.step in names and _went_wrong(entry)]
    last = [entry.step for entry in entries if entry.step in names]
    if ledger.stopped is not None and ledger.stopped.error == "Drifted":
        return next(iter(drifted), "")
    if ledger.stopped is not None and ledger.stopped.error in ("NotPermitted", "Unreachable") and not doubtful:
        return failed[-1] if failed and failed[-1] == last[-1] else ""
    return next(iter([*doubtful, *reversed(last)]), "")


def _went_wrong(entry: Entry) -> bool:
    answer = entry.doc.get("answer")
    if not isinstance(answer, Mapping):
        return False
    return answer.get("reach", "answered") != "answered" or int(answer.get("status") or 0) >= 400


def _last_call(step: str, entries: Sequence[Entry]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The step's last effect and its answer, or its last read if it has sent none; without a step, the last failure."""
    ours = [entry for entry in reversed(entries) if (entry.step == step if step else _went_wrong(entry))]
    for entry in ours:
        if entry.kind == "intent_recorded":
            return _sent(entry), _answered(entry.pair, entry.paired_doc)
    for entry in ours:
        if entry.kind == "read_answered":
            return _sent(entry), _answered(entry.number, entry.doc)
        if entry.kind == "token_fetched":
            call = {"method": "POST", "path": "/ims/token/v3"}
            return {"event": entry.number, "at": entry.at, "call": call}, _answered(entry.number, entry.doc)
    return None, None


def _sent(entry: Entry) -> dict[str, Any]:
    sent = {"event": entry.number, "at": entry.at, "call": entry.doc.get("call")}
    if entry.attempt:
        sent |= {"attempt": entry.attempt, "marker": entry.doc.get("marker", "")}
    return sent


def _answered(number: int, doc: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if doc is None:
        return None
    return {
        "event": number,
        **{name: doc[name] for name in ("outcome", "code", "text", "request_id", "answer") if doc.get(name)},
    }


def _known(ledger: Ledger, entries: Sequence[Entry], clock: Clock) -> list[str]:
    known = []
    done = [record for record in ledger.steps.values() if record.done]
    made = [record for record in done if str(record.how) in ("created", "adopted")]
    known.append(
        f"{len(done)} of {len(ledger.table.rows)} steps are done; {there_are(len(made), 'object')} made or adopted, "
        f"and a resume keeps what is there (flowledger status {ledger.run})"
    )
    for record in ledger.steps.values():
        known += [f"drift: {difference}" for difference in record.drift]
        if record.unanswered and not record.done:
            known += _known_of_doubt(ledger, record, entries, clock)
        elif record.attempts and not record.done:
            last = record.attempts[-1]
            why = f"{last.code} {last.text}".strip()
            known.append(f"{record.name}: attempt {last.number} did nothing" + (f": {why}" if why else ""))
        reads = [entry for entry in entries if entry.step == record.name and entry.kind == "read_answered"]
        if record.attempts and not record.done and reads and _went_wrong(reads[-1]):
            known.append(f"the last read for {record.name} failed too: {reads[-1].text}")
        if record.needs_last_look:
            known.append(f"{record.name} was sent again after an unanswered attempt: a last look for a twin is due")
    if ledger.duplicates:
        known.append(f"further objects with this run's marker: {', '.join(ledger.duplicates)}")
    return known


def _known_of_doubt(ledger: Ledger, record: StepRecord, entries: Sequence[Entry], clock: Clock) -> list[str]:
    assert ledger.spec is not None
    row = ledger.table.row_of(record.name)
    marker = f"fl-{ledger.nonce}-{row.step.slug}"
    first = record.unanswered[0].event
    looks = [
        entry for entry in entries if entry.step == record.name and entry.kind == "looked_up" and entry.number > first
    ]
    hits = sum(len(entry.doc.get("hits") or ()) for entry in looks)
    numbers = ", ".join(str(attempt.number) for attempt in record.unanswered)
    last = record.unanswered[-1]
    outcome = next(
        (entry for entry in reversed(entries) if entry.step == record.name and entry.kind == "outcome_recorded"), None
    )
    why = f" ({answer_text(outcome.doc.get('answer'))})" if outcome and last.outcome else " (no answer was journaled)"
    known = [
        f"{record.name}: attempt {numbers} has no usable answer{why}: "
        f"{with_article(row.step.label)} may or may not have been made"
    ]
    if looks:
        known.append(f"its marker {marker} was looked for {_times(len(looks))} since then: {hits or 'nothing'} found")
    else:
        known.append(f"its marker {marker} has not been looked for yet")
    known.append(_window(last, ledger.spec, clock))
    return known


def _window(last: Attempt, spec: Spec, clock: Clock) -> str:
    if last.boot_id != clock.boot_id:
        return (
            f"the attempt is of another boot or machine: a resume here waits the whole settle window of "
            f"{spec.settle.window:g} s, unless it finds the object sooner"
        )
    left = last.send_deadline + spec.settle.window - clock.monotonic()
    if left > 0:
        return f"its settle window is open for another {left:.0f} s: until then a look-up may miss what it made"
    return "its settle window is over: one look-up decides whether it is adopted or sent again"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _next(ledger: Ledger) -> str:
    if ledger.stopped is not None and ledger.stopped.hint:
        hint = ledger.stopped.hint
        # A drift's hint leads here; from here on it is for the person to decide.
        if not hint.startswith("flowledger explain"):
            return hint.replace("`flowledger resume`", f"flowledger resume {ledger.run}")
    if any(record.drift for record in ledger.steps.values()):
        return (
            f"put back what was changed, then flowledger resume {ledger.run}; what is gone for good needs a run of "
            "its own, under a new name"
        )
    return f"flowledger resume {ledger.run}"
