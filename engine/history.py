"""The numbered events of a run as people read them: one entry an event, an outcome beside its intent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from flowledger.engine.table import TABLES_WITH_ROWS
from flowledger.errors import NotThere
from flowledger.words import counted

Doc = Mapping[str, Any]


class Numbered(Protocol):
    """An event's document with its number, as TinyDB hands it out."""

    doc_id: int

    def get(self, key: str, default: Any = None) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event. `pair` is the number of the outcome of an intent, or of the intent of an outcome; 0: none (yet)."""

    number: int
    at: float  # seconds since the epoch
    branch: str
    step: str
    kind: str  # without its version
    attempt: int | None
    status: int | None  # of HTTP
    duration_ms: float | None
    pair: int
    text: str
    doc: Doc
    paired_doc: Doc | None = None

    def to_json(self) -> dict[str, Any]:
        """The entry for `--json`: with the event's document, whole."""
        return {
            "number": self.number,
            "at": self.at,
            "branch": self.branch,
            "step": self.step,
            "kind": self.kind,
            "attempt": self.attempt,
            "status": self.status,
            "duration_ms": self.duration_ms,
            "pair": self.pair or None,
            "text": self.text,
            "event": dict(self.doc),
        }


def history_of(documents: Iterable[Any]) -> list[Entry]:
    """A run's documents (with `doc_id`, the event number), oldest first, as entries."""
    numbered = [(int(document.doc_id), dict(document)) for document in documents]
    pairs = _pairs(numbered)
    docs = dict(numbered)
    return [_entry(number, doc, pairs.get(number, 0), docs) for number, doc in numbered]


def entry_of(run: str, documents: Iterable[Any], number: int) -> Entry:
    """One event of a run, with its other half. Raises NotThere."""
    entries = history_of(documents)
    for entry in entries:
        if entry.number == number:
            return entry
    raise NotThere(
        f"run {run} has no event {number}: its first is {entries[0].number}, its last {entries[-1].number}, "
        "and other runs or the journal itself have the numbers between that it lacks",
        hint=f"flowledger history {run}",
    )


def call_text(call: Any) -> str:
    """A call as people name it: method and path with its query."""
    if not isinstance(call, Mapping):
        return ""
    query = "&".join(f"{name}={value}" for name, value in call.get("query") or [])
    return f"{call.get('method', '')} {call.get('path', '')}{'?' if query else ''}{query}"


def answer_text(answer: Any) -> str:
    """An answer in a few words: its status, or why there is none."""
    if not isinstance(answer, Mapping):
        return "no answer"
    if "status" in answer:
        cut = "" if answer.get("reach", "answered") == "answered" else ", body cut"
        return f"HTTP {answer['status']}{cut}"
    return f"no answer ({answer.get('trouble') or str(answer.get('reach', '')).replace('_', ' ')})"


def _pairs(numbered: list[tuple[int, dict[str, Any]]]) -> dict[int, int]:
    """Numbers of intents and outcomes that belong together, both ways."""
    intents: dict[tuple[str, str, str, str], int] = {}
    pairs: dict[int, int] = {}
    for number, doc in numbered:
        kind = _kind(doc)
        key = (str(doc.get("step")), str(doc.get("id", "")), str(doc.get("op", "")), str(doc.get("attempt") or 0))
        if kind in ("intent_recorded", "delete_intended"):
            intents[key] = number
        elif kind in ("outcome_recorded", "delete_answered") and key in intents:
            pairs[number], pairs[intents[key]] = intents[key], number
    return pairs


def _entry(number: int, doc: dict[str, Any], pair: int, docs: Mapping[int, dict[str, Any]]) -> Entry:
    answer = doc.get("answer")
    answer = answer if isinstance(answer, Mapping) else {}
    step = str(doc.get("step") or "")
    return Entry(
        number=number,
        at=float(at) if isinstance(at := doc.get("at"), float | int) else 0.0,
        branch=_BRANCH_OF.get(step, ""),
        step=step,
        kind=_kind(doc),
        attempt=doc.get("attempt"),
        status=answer.get("status"),
        duration_ms=answer.get("duration_ms"),
        pair=pair,
        text=_text(doc, docs.get(pair)),
        doc=doc,
        paired_doc=docs.get(pair),
    )


def _text(doc: Doc, pair: Doc | None) -> str:
    try:
        return _known_text(doc, pair)
    except (TypeError, ValueError, KeyError, AttributeError):
        return "an event in a form that this version does not know"


def _known_text(doc: Doc, pair: Doc | None) -> str:
    match _kind(doc):
        case "run_started":
            return f"begun in sandbox {doc.get('sandbox')} of {doc.get('org')} at {doc.get('base_url')}"
        case "run_taken_up":
            start = f", with the start {doc['start']}" if doc.get("start") is not None else ""
            return f"taken up by process {doc.get('pid')} on {doc.get('host')}{start}"
        case "token_fetched":
            return f"asked IMS for a token: {answer_text(doc.get('answer'))}"
        case "read_answered":
            return f"{call_text(doc.get('call'))}: {answer_text(doc.get('answer'))}"
        case "intent_recorded":
            return f"will send {call_text(doc.get('call'))}" + ("" if pair else ": no outcome is journaled")
        case "outcome_recorded":
            failed = doc.get("outcome") != "done"
            words = " ".join(str(doc[name]) for name in ("code", "text") if failed and doc.get(name))
            made = f", id {doc['outputs']['id']}" if (doc.get("outputs") or {}).get("id") else ""
            said = str(doc.get("outcome")).replace("_", " ")
            came = answer_text(doc.get("answer"))
            return f"{said}: {came}{made}" + (f", {words}" if words and words not in came else "")
        case "looked_up":
            early = "" if doc.get("decides") else " before the settle window's end"
            return f"looked for the marker{early}: {_count(doc.get('hits'), 'hit')}"
        case "step_adopted":
            extra = f", {_count(doc.get('duplicates'), 'duplicate')}" if doc.get("duplicates") else ""
            return f"adopted {(doc.get('outputs') or {}).get('id', '')} ({doc.get('why')}{extra})"
        case "step_settled":
            id = (doc.get("outputs") or {}).get("id", "")
            return f"{doc.get('how')} {id}".rstrip()
        case "wait_started":
            return f"waits {float(doc.get('seconds') or 0):.1f} s ({str(doc.get('why')).replace('_', ' ')})"
        case "last_look_taken":
            return f"last look: {_count(doc.get('duplicates'), 'duplicate')}"
        case "drift_seen":
            return "drift: " + "; ".join(map(str, doc.get("differences") or []))
        case "run_stopped":
            return f"stopped, {str(doc.get('state')).replace('_', ' ')}: {doc.get('error')}: {doc.get('message')}"
        case "destroy_begun":
            kept = ", without the dataset, its schema and its field group" if doc.get("keep_dataset") else ""
            return f"destroy begun{kept}: from here on the run can only be destroyed"
        case "delete_intended":
            return f"will {doc.get('op')} {doc.get('id')}" + ("" if pair else ": no outcome is journaled")
        case "delete_answered":
            words = " ".join(str(doc[name]) for name in ("code", "text") if doc.get(name))
            said = str(doc.get("outcome")).replace("_", " ")
            return f"{doc.get('op')} {said}: {answer_text(doc.get('answer'))}" + (f", {words}" if words else "")
        case "object_gone":
            return f"{doc.get('id')} is gone"
        case "object_left":
            return f"left {doc.get('id')}: {doc.get('why')}"
        case "run_destroyed":
            return "destroyed" + (f", {_count(doc.get('left'), 'object')} left" if doc.get("left") else "")
        case "drift_begun":
            return f"compared with the platform by process {doc.get('pid')} on {doc.get('host')}"
        case "drift_checked":
            twins = [id for ids in (doc.get("twins") or {}).values() for id in ids]
            return f"compared: drift at {_count(doc.get('drifted'), 'step')}, {_count(twins, 'twin')}"
        case "flow_run_seen":
            rows = ", ".join(
                f"{doc[name]} rows {word}"
                for name, word in (("rows_in", "read"), ("rows_out", "arrived"), ("rows_failed", "rejected"))
                if doc.get(name) is not None
            )
            said = str(doc.get("came")).replace("_", " ")
            return f"flow run {doc.get('id')} is {said}" + (f": {rows}" if rows else "")
        case "run_provisioned":
            return "provisioned" + (f", {_count(doc.get('duplicates'), 'duplicate')}" if doc.get("duplicates") else "")
    return "an event of a kind that this version does not know"


def _count(things: Any, word: str) -> str:
    return counted(len(things or ()), word)


def _kind(doc: Doc) -> str:
    return str(doc.get("kind", "")).partition("/")[0]


# A step has its name and its branch in whatever style takes it, so that events need no spec to be told apart.
_BRANCH_OF: Final = {row.step.name: row.branch for table in TABLES_WITH_ROWS.values() for row in table.rows}
