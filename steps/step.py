"""What a step is: what to send, what the answer means, how to find it again, how it should look, how to undo it.

A step knows nothing of retry, journal or logging: the driver gives it a `Context` whose reads are journaled and
repeated for it, and asks it for values. It has any number of reads and at most one effect.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from flowledger.steps.client.port import Answer, Json, Request
from flowledger.steps.spec import SecretRef, Spec

Outputs = Mapping[str, Any]  # what later steps and people need of a step: JSON values, "id" first


class How(StrEnum):
    """How a step came to its outputs."""

    CREATED = "created"  # its effect was sent and answered
    ADOPTED = "adopted"  # its effect's object was found again by its marker
    FOUND = "found"  # somebody else's object that the spec names or that may be shared
    READ = "read"  # nothing to make, only to know
    SKIPPED = "skipped"  # this spec needs no such thing


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as `plan` shows it. `path` keeps its placeholders, like "/connections/{id}/test"."""

    method: str
    path: str
    effect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """An object that a finder saw. `created_at` in ms since the epoch, for "the oldest"."""

    id: str
    created_at: float
    live: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The reads of a step have settled it: there is nothing to send."""

    outputs: Outputs
    how: How = How.READ


class UnusableAnswer(Exception):
    """A 2xx from which the step cannot take its outputs: the call is in doubt."""


class Context(Protocol):
    """What a step may know and ask."""

    @property
    def spec(self) -> Spec: ...

    @property
    def run(self) -> str:
        """The run's name."""
        ...

    @property
    def nonce(self) -> str:
        """The run's identity: 10 characters a-z0-9."""
        ...

    @property
    def sandbox(self) -> str:
        """The sandbox that the run belongs to: ids of one sandbox are unknown in another (T22)."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """What `prepare` of this step has put aside for `request`, `find` and `check`; journaled with the intent."""
        ...

    def outputs_of(self, step: type[Step]) -> Outputs:
        """The outputs of a finished step."""
        ...

    def marker(self, step: Step) -> str:
        """`fl-<nonce>-<slug>`: the token by which the step's object is found again; the same on every attempt."""
        ...

    def lendable(self, live: Json) -> bool:
        """Whether the run may use an object that it did not make. False if a run of the same journal made it and is
        being destroyed: a delete of it may be on its way already."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch."""
        ...

    def secret(self, ref: SecretRef) -> str:
        """The secret itself, one of the step's `secrets`, redacted wherever it would show."""
        ...

    async def ask(self, request: Request, *, allow: tuple[int, ...] = ()) -> Answer:
        """Make a read: journaled, retried, authenticated.

        Returns an `ok` answer, or one whose status is in `allow`. Raises NotPermitted, Rejected (with the
        platform's code), NotThere (404), or TryLater when patience is over.
        """
        ...

    async def wait(self, seconds: float, why: str) -> None:
        """A journaled wait between two reads; resumes at its end after a crash."""
        ...

    def put_aside(self, **facts: Any) -> None:
        """Keep JSON values for this step's `request`, `find` and `check`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where an object is not what this run needs. `path` is dotted, values are JSON."""

    path: str
    wanted: Json
    found: Json

    def __str__(self) -> str:
        return f"{self.path}: wanted {self.wanted!r}, found {self.found!r}"


def begin_anew(run: str) -> str:
    """What to type where a spec must change whose run has begun: a run keeps the spec that it began with."""
    return f"then apply again under a new run name; flowledger destroy {run} removes what this run has made"


class Step(ABC):
    """One tutorial step. Subclasses are stateless; there is one instance of each.

    What raises NotImplementedError here is asked only of steps with an effect, and they define all of it.
    """

    name: ClassVar[str]  # the trigger and the journal's word, like "create_base_connection"
    slug: ClassVar[str]  # the marker's last part, letters, digits and "-", like "base-connection"
    label: ClassVar[str]  # for people, like "base connection"
    kind: ClassVar[str] = ""  # collection of the API, like "connections"; "" if it makes nothing
    row: ClassVar[str]  # row of platform-api.md §16
    tutorial: ClassVar[str] = ""  # heading of the tutorial
    may_be_hidden: ClassVar[bool] = False  # a 404 of a read by id is no proof that it is gone (platform-api.md §4.2)
    patient: ClassVar[bool] = False  # its waits have an end of their own, so that the sitting's deadline is not theirs

    @abstractmethod
    def calls(self, spec: Spec) -> tuple[tuple[Call, ...], ...]:
        """The calls of an undisturbed run, as stages: calls of one stage are made at the same time."""

    def shared_as(self, spec: Spec) -> str | None:
        """What runs that share have one of: specs with equal texts can use one object. None: each has its own."""
        return None

    async def prepare(self, ctx: Context) -> Settled | None:
        """Make the reads before the effect. Settled: nothing is to be sent. Raises SpecError on what reads refute."""
        return None

    def secrets(self, spec: Spec) -> tuple[SecretRef, ...]:
        """References to what `request` asks the context for. They are read anew before each attempt."""
        return ()

    def request(self, ctx: Context) -> Request:
        """The effect. Called once for each attempt, so that a relative start is resolved anew."""
        raise NotImplementedError(self.name)

    def otherwise(self, ctx: Context, code: str) -> bool:
        """Whether there is another way to ask, now that the platform has refused `request` with `code` for good.

        True: what must differ is put aside, and `request` asks that way from now on. To be True once for each way.
        """
        return False

    def read(self, answer: Answer) -> Outputs:
        """Take the outputs from a 2xx answer. Raises UnusableAnswer."""
        raise NotImplementedError(self.name)

    async def find(self, ctx: Context) -> list[Hit]:
        """Everything that carries our marker, oldest first, whatever its references say: the driver judges them.

        Every page must have succeeded; an exception proves nothing.
        """
        raise NotImplementedError(self.name)

    async def fetch(self, ctx: Context, id: str) -> Json | None:
        """The live object by id, or None if it is not there."""
        raise NotImplementedError(self.name)

    def marked(self, ctx: Context, live: Json) -> bool:
        """Whether the live object carries this run's marker for this step."""
        raise NotImplementedError(self.name)

    def references(self, ctx: Context, live: Json) -> list[Difference]:
        """Where the live object's immutable references disagree with what this run needs: then it is not adopted."""
        raise NotImplementedError(self.name)

    def outputs(self, live: Json) -> Outputs:
        """The outputs, taken from a live object instead of a create's answer. Must equal `read`'s but for etags."""
        raise NotImplementedError(self.name)

    def check(self, ctx: Context, live: Json) -> list[Difference]:
        """Drift: everything compared by platform-api.md §16's last paragraph, references included."""
        return self.references(ctx, live)

    def at_rest(self, live: Json) -> bool:
        """Whether no operation is under way on the object: until then it can be neither changed nor deleted."""
        return True

    def at_work(self, live: Json) -> bool:
        """Whether the object must be stopped before it is deleted, which is what `undo` begins with."""
        return False

    def undo(self, ctx: Context, outputs: Outputs) -> list[Request]:
        """The calls that remove what this step made (platform-api.md §10), in order; [] if nothing is to be removed."""
        return []
