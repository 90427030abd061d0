"""What the journal says of a run: events in the past tense, frozen, versioned; appended, never edited.

An event's document is its fields plus `kind` (name/version), `at` (wall seconds, for people) and `mono` (the
monotonic reading, which only compares within the boot that the last `run_taken_up` names).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from types import UnionType
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

Json = Any
CallDoc = Mapping[str, Json]  # method, path, query, body: redacted
Outcome = Literal["done", "not_done", "in_doubt"]
AnswerDoc = Mapping[str, Json]  # reach, status, headers that matter, body, duration_ms: redacted


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""

    kind: ClassVar[str]

    @property
    def changes(self) -> bool:
        """Whether the journal must name its feature `changes` from here on (docs/journal.md)."""
        return False

    def doc(self, *, at: float, mono: float) -> dict[str, Json]:
        """The document that goes into the journal."""
        doc: dict[str, Json] = {"kind": self.kind, "at": at, "mono": mono}
        for name in _field_names(type(self)):
            doc[name] = getattr(self, name)
        return doc


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run exists: its identity, its spec, and the place on the platform that it belongs to."""

    kind = "run_started/1"
    nonce: str
    spec: Mapping[str, Json]
    org: str
    sandbox: str
    base_url: str
    shares: bool = False  # base connection and sink, with the journal's other runs
    as_written: bool = False  # the spec is as the user wrote it; else, in earlier versions, with all its defaults
    folder: str = ""  # where relative paths of secret files count from

    @property
    def changes(self) -> bool:
        return self.as_written


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTakenUp(Event):
    """A process holds the lock, has read the journal, and drives the run from here on."""

    kind = "run_taken_up/1"
    pid: int
    host: str
    boot_id: str
    version: str
    start: Json = None  # a new schedule start, given to `resume`: a text or seconds; earlier versions did not judge it
    shares: bool = False  # from here on it shares base connection and sink with the journal's other runs
    folder: str = ""  # where relative paths of secret files count from, from here on; "": as before
    files: Mapping[str, str] = field(default_factory=dict)  # parameters whose secret file has another path from here on

    @property
    def changes(self) -> bool:
        return bool(self.folder or self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFetched(Event):
    """IMS gave a token (which is not journaled), or refused."""

    kind = "token_fetched/1"
    answer: AnswerDoc


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAnswered(Event):
    """A read was answered, or failed: evidence. Reads need no intent and repeat freely."""

    kind = "read_answered/1"
    step: str
    call: CallDoc
    answer: AnswerDoc


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRecorded(Event):
    """The next request is on disk and may now be sent; its outcome is not known yet."""

    kind = "intent_recorded/1"
    step: str
    attempt: int
    marker: str
    call: CallDoc
    send_deadline: float  # monotonic seconds of this boot
    facts: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRecorded(Event):
    """What came of an intent. `done` carries the outputs and completes the step; `in_doubt` closes nothing."""

    kind = "outcome_recorded/1"
    step: str
    attempt: int
    outcome: Outcome
    answer: AnswerDoc
    outputs: Mapping[str, Json] | None = None
    code: str = ""
    text: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp(Event):
    """The step's marker was looked for. `decides`: the look-up was started after the settle window's end."""

    kind = "looked_up/1"
    step: str
    decides: bool
    hits: Sequence[Mapping[str, Json]]  # id, created_at, there (by id), references that disagree


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAdopted(Event):
    """An object with our marker was taken as the step's. Completes the step."""

    kind = "step_adopted/1"
    step: str
    outputs: Mapping[str, Json]
    why: str  # "looked up" or "title holder"
    duplicates: list[str]  # ids of further objects with our marker


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSettled(Event):
    """Reads settled the step: found, read, or not needed. Completes the step."""

    kind = "step_settled/1"
    step: str
    how: str
    outputs: Mapping[str, Json]
    shared_from: str = ""  # the run of this journal that made it, where it is shared


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitStarted(Event):
    """The run waits before the step goes on; a killed wait resumes at its end."""

    kind = "wait_started/1"
    step: str
    why: str
    seconds: float
    until: float  # monotonic seconds of this boot


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLookTaken(Event):
    """A step that was sent again after an unanswered attempt was looked up once more, a full window later."""

    kind = "last_look_taken/1"
    step: str
    duplicates: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSeen(Event):
    """An object of a completed step is gone or was edited."""

    kind = "drift_seen/1"
    step: str
    id: str
    differences: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStopped(Event):
    """The run ended unfinished. `resume` carries on unless the state is failed for good."""

    kind = "run_stopped/1"
    state: Literal["failed", "in_doubt", "provisioning", "destroying"]
    error: str  # class name in flowledger.errors
    message: str
    step: str = ""
    code: str = ""
    request_id: str = ""
    hint: str = ""
    exit_code: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProvisioned(Event):
    """Every step is done and every last look taken."""

    kind = "run_provisioned/1"
    duplicates: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyBegun(Event):
    """The run can only be destroyed from here on (protocol rule 15)."""

    kind = "destroy_begun/1"
    keep_dataset: bool = False  # the dataset, its schema and its field group stay


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteIntended(Event):
    """A call that removes an object is on disk and may now be sent; what comes of it is not known yet."""

    kind = "delete_intended/1"
    step: str  # whose object it is
    id: str
    op: str  # "delete", or what comes before it, like "disable"
    attempt: int  # of this op on this object
    why: str  # "destroy" or "twin"
    call: CallDoc
    send_deadline: float  # monotonic seconds of this boot


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAnswered(Event):
    """What came of such a call. `in_doubt` is settled by reading the object by its id."""

    kind = "delete_answered/1"
    step: str
    id: str
    op: str
    attempt: int
    outcome: Outcome
    answer: AnswerDoc
    code: str = ""
    text: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectGone(Event):
    """A read by id says that an object of the run is not there any more, and that counts (protocol rule 15)."""

    kind = "object_gone/1"
    step: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectLeft(Event):
    """An object was not deleted, and why not; another sitting may decide otherwise."""

    kind = "object_left/1"
    step: str
    id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDestroyed(Event):
    """Nothing of the run is on the platform any more, except for what is left."""

    kind = "run_destroyed/1"
    left: Sequence[Mapping[str, Json]]  # step, id, why


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftBegun(Event):
    """A process holds the lock and compares the run with the platform."""

    kind = "drift_begun/1"
    pid: int
    host: str
    boot_id: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftChecked(Event):
    """Every object was read by its id and every marker looked up: what differs now, and which twins there are now."""

    kind = "drift_checked/1"
    drifted: list[str]  # steps whose object is gone or edited
    twins: Mapping[str, list[str]]  # step to ids of further objects with its marker


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRunSeen(Event):
    """A run of the dataflow was read, and is not as it was when it was last seen. Our run stands as it stood."""

    kind = "flow_run_seen/1"
    id: str
    status: str  # in the platform's word
    came: str  # "under_way", "success", "partial" or "failed"
    rows_in: int | None
    rows_out: int | None
    rows_failed: int | None
    created_ms: int
    started_ms: int | None
    completed_ms: int | None
    errors: Sequence[Sequence[str]]  # code and message
    batches: Sequence[str]


KINDS: Mapping[str, type[Event]] = {
    event.kind: event
    for event in (
        RunStarted, RunTakenUp, TokenFetched, ReadAnswered, IntentRecorded, OutcomeRecorded, LookedUp, StepAdopted,
        StepSettled, WaitStarted, LastLookTaken, DriftSeen, RunStopped, RunProvisioned, DestroyBegun, DeleteIntended,
        DeleteAnswered, ObjectGone, ObjectLeft, RunDestroyed, DriftBegun, DriftChecked, FlowRunSeen,
    )
}  # fmt: skip


class UnknownForm(ValueError):
    """An event of a known kind is not as this version writes it: its message says where."""


def event_of(doc: Mapping[str, Json]) -> Event | None:
    """The event a document holds; None for a kind that this version does not know (readers skip those).

    Fields that this version does not know are left out. Raises UnknownForm for one that is missing or of another type.
    """
    cls = KINDS.get(str(doc.get("kind")))
    if cls is None:
        return None
    values = {}
    for name, types, words, needed in _FORMS[cls.kind]:
        if name not in doc:
            if needed:
                raise UnknownForm(f"it lacks {name!r}")
            continue
        values[name] = value = doc[name]
        if not isinstance(value, types) or (words and value not in words):
            raise UnknownForm(f"its {name!r} is {str(value)[:60]!r}")
    return cls(**values)


def _field_names(cls: type[Event]) -> tuple[str, ...]:
    return _FIELD_NAMES[cls.kind]


_FIELD_NAMES: Mapping[str, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(cls)) for kind, cls in KINDS.items()
}


def _form_of(hint: Any) -> tuple[tuple[type, ...], tuple[str, ...]]:
    """Of which types a field's values are, and which texts if only some are allowed."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return (str,), inner
    if origin is UnionType:
        return tuple(one for part in inner for one in _form_of(part)[0]), ()
    kind = origin or hint
    if kind is Any:
        return (object,), ()
    if kind is float:
        return (float, int), ()
    return (list, tuple) if kind in (Sequence, list) else (kind,), ()


_FORMS: Mapping[str, tuple[tuple[str, tuple[type, ...], tuple[str, ...], bool], ...]] = {
    kind: tuple(
        (
            field.name,
            *_form_of(get_type_hints(cls)[field.name]),
            field.default is MISSING and field.default_factory is MISSING,
        )
        for field in fields(cls)
    )
    for kind, cls in KINDS.items()
}
