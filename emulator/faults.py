"""What goes wrong on purpose: named by route, counted, reproducible, kept over a restart (platform-api.md §15).

Faults of one route form a queue: a call is given to the first fault that fits and is not used up, so
`429, then a dropped connection` is two faults added in that order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Annotated, Any, Final
from urllib.parse import unquote

from pydantic import Field

from flowledger.emulator.judged import LARGEST, BodyInvalid, Count, HeaderText, Milliseconds, Text, judged
from flowledger.emulator.store import Store

NOTE = "faults"
MOST_FAULTS: Final = 10_000  # used-up ones included: each call looks at all of them


class FaultKind(StrEnum):
    """What becomes of a call."""

    ANSWER = "answer"  # the answer is replaced: `status`, `shape`, `retry_after`
    DROP = "drop"  # the connection is closed without an answer
    CUT = "cut"  # the connection is closed in the middle of the body; the call took effect
    LATE = "late"  # the connection is closed without an answer; the call takes effect `after_ms` later
    SLOW = "slow"  # takes effect at once, is answered after `delay_ms`
    TOKEN = "token"  # the caller's token is revoked before the call  # noqa: S105 - a kind of fault, no password
    TWICE = "twice"  # delivered twice: takes effect two times, is answered once
    ETAG_BUMP = "etag_bump"  # a third party touches the object that the path names, just before the call


class When(StrEnum):
    """Whether the call takes effect."""

    BEFORE = "before"  # the fault comes before the commit: no effect
    AFTER = "after"  # the commit comes first: it took effect


class Shape(StrEnum):
    """What the body of a replaced answer looks like."""

    GATEWAY = "gateway"  # the gateway's own: error_code and message
    SERVICE = "service"  # a service's own problem body
    HTML = "html"  # a proxy's page
    EMPTY = "empty"  # nothing
    MALFORMED = "malformed"  # the right answer's JSON, broken
    NO_ID = "no_id"  # JSON, but without the id that the answer should have


@dataclass(slots=True, kw_only=True)
class Fault:
    """One fault: which calls it is for, what it does, and how often it still does it."""

    id: Annotated[int, Field(ge=1, le=LARGEST)]
    route: Text
    kind: FaultKind
    where: Text = ""  # only calls whose body contains this text
    skip: Count = 0  # lets that many fitting calls pass first
    times: Count = 1  # strikes so often; 0: without end
    when: When = When.BEFORE
    status: int = 0  # of a replaced answer; 0 keeps the right answer's status
    shape: Shape = Shape.GATEWAY
    code: Text = ""  # of a service's own body, status included: "FLOW-2200-500"
    retry_after: HeaderText | int | None = None  # the header's text, absurd ones too
    after_ms: Milliseconds = 0
    delay_ms: Milliseconds = 0  # how long the client waits for the answer or the close
    passed: Count = 0
    struck: Count = 0

    @property
    def used_up(self) -> bool:
        """Nothing left to do."""
        return self.times > 0 and self.struck >= self.times

    def fits(self, method: str, path: str, template: str, body: bytes) -> bool:
        """Whether this call is one of those meant."""
        wanted_method, _, wanted_path = self.route.rpartition(" ")
        if wanted_method not in ("", "*", method):
            return False
        if wanted_path != "*" and not _ends_with(path, wanted_path) and not _ends_with(template, wanted_path):
            return False
        return not self.where or self.where.encode() in body


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Every answer takes `ms` longer."""

    ms: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ListLag:
    """Lists of a collection ("*": of all) run `ms` behind."""

    ms: Milliseconds
    collection: Annotated[str, Field(max_length=100)] = "*"


class Faults:
    """The faults in force, plus two that stand until taken back: list lag by kind, and latency of every answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._faults: list[Fault] = []
        self._lag: dict[str, int] = {}
        self._latency_ms = 0
        self._next = 1
        self.set_aside: list[str] = []  # what the state holds and cannot be meant, in words
        self.load()

    def add(
        self,
        route: str,
        kind: FaultKind | str,
        *,
        where: str = "",
        skip: int = 0,
        times: int = 1,
        when: When | str = When.BEFORE,
        status: int = 0,
        shape: Shape | str = Shape.GATEWAY,
        code: str = "",
        retry_after: str | int | None = None,
        after_ms: int = 0,
        delay_ms: int = 0,
    ) -> int:
        """Put a fault at the end of the queue and return its number.

        `route` is a method and a path or its end: "POST /data/foundation/flowservice/connections",
        "POST /connections", "GET /flows/{id}", "* *". The other arguments are the fields of `Fault`.
        Raises ValueError for a fault that cannot be meant.
        """
        wanted = {
            "route": route,
            "kind": kind,
            "where": where,
            "skip": skip,
            "times": times,
            "when": when,
            "status": status,
            "shape": shape,
            "code": code,
            "retry_after": retry_after,
            "after_ms": after_ms,
            "delay_ms": delay_ms,
        }
        return self.add_from(wanted)

    def add_from(self, wanted: Mapping[str, Any]) -> int:
        """Add a fault given as JSON. Raises ValueError naming what is wrong."""
        return self.add_all([wanted])[0]

    def add_all(self, wanted: Sequence[Any]) -> list[int]:
        """Add faults and settings given as JSON (the control route's body): all of them, or none.

        Settings are `{"kind": "latency", "ms"}` and `{"kind": "list_lag", "collection", "ms"}`. Returns the numbers of
        the faults. Raises ValueError naming what is wrong.
        """
        made = [_made(one, self._next + place) for place, one in enumerate(wanted)]
        faults = [one for one in made if isinstance(one, Fault)]
        if len(self._faults) + len(faults) > MOST_FAULTS:
            raise BodyInvalid(f"there are {len(self._faults)} faults, at most {MOST_FAULTS} are kept: clear them first")
        for one in made:
            match one:
                case Fault():
                    one.id = self._next
                    self._next += 1
                    self._faults.append(one)
                case Latency():
                    self._latency_ms = one.ms
                case ListLag():
                    self._lag[one.collection] = one.ms
        self._keep()
        return [fault.id for fault in faults]

    def remove(self, number: int) -> bool:
        """Take a fault back. False when there is none of that number."""
        before = len(self._faults)
        self._faults = [fault for fault in self._faults if fault.id != number]
        self._keep()
        return len(self._faults) < before

    def clear(self) -> None:
        """Take everything back: faults, lag, latency."""
        self._faults.clear()
        self._lag.clear()
        self._latency_ms = 0
        self._keep()

    def set_list_lag(self, kind: str, ms: int) -> None:
        """Let lists of a kind ("connections", "dataSets", ...; "*" for all) run `ms` behind (U21).

        Raises ValueError for what is no collection or no time.
        """
        self.add_all([{"kind": "list_lag", "collection": kind, "ms": ms}])

    def set_latency(self, ms: int) -> None:
        """Let every answer take `ms` longer. Raises ValueError."""
        self.add_all([{"kind": "latency", "ms": ms}])

    @property
    def latency_ms(self) -> int:
        """Milliseconds that every answer takes longer."""
        return self._latency_ms

    def list_lag(self, kind: str) -> int | None:
        """Milliseconds that lists of a kind run behind, or None when no lag was set for it."""
        return self._lag.get(kind, self._lag.get("*"))

    def strike(self, method: str, raw_path: str, template: str, body: bytes) -> Fault | None:
        """The fault for this call, counted; None when the call is spared."""
        if not self._faults:
            return None
        path = unquote(raw_path)
        counted = False
        for fault in self._faults:
            if fault.used_up or not fault.fits(method, path, template, body):
                continue
            counted = True
            if fault.passed < fault.skip:
                fault.passed += 1
                continue
            fault.struck += 1
            self._keep()
            return fault
        if counted:
            self._keep()
        return None

    def described(self) -> dict[str, Any]:
        """Everything in force, as JSON."""
        return {
            "faults": [asdict(fault) for fault in self._faults],
            "list_lag_ms": dict(self._lag),
            "latency_ms": self._latency_ms,
        }

    def load(self) -> None:
        """Take over what the store kept. What cannot be meant (an earlier version took it) is named in `set_aside`."""
        kept = self._store.note(NOTE) or {}
        self.set_aside = []
        self._faults = [fault for one in kept.get("faults", []) if (fault := self._kept_fault(one)) is not None]
        self._lag = {kind: ms for kind, ms in kept.get("list_lag_ms", {}).items() if self._is_sound(kind, ms)}
        latency_ms = kept.get("latency_ms", 0)
        self._latency_ms = latency_ms if self._is_sound("*", latency_ms) else 0
        self._next = kept.get("next", 1)

    def _kept_fault(self, kept: Any) -> Fault | None:
        try:
            return _fault_of(judged(Fault, kept, "a fault", required=("id", "route", "kind")))
        except BodyInvalid as problem:
            self.set_aside.append(f"a fault of the state is left out: {problem}")
            return None

    def _is_sound(self, kind: str, ms: Any) -> bool:
        try:
            _made({"kind": "list_lag", "collection": kind, "ms": ms}, 0)
        except BodyInvalid as problem:
            self.set_aside.append(f"a delay of the state is left out: {problem}")
            return False
        return True

    def _keep(self) -> None:
        self._store.write_note(NOTE, {**self.described(), "next": self._next})


def _made(wanted: Any, number: int) -> Fault | Latency | ListLag:
    """The fault or the setting that a JSON object asks for. Raises BodyInvalid."""
    if not isinstance(wanted, Mapping):
        raise BodyInvalid("a fault is a JSON object")
    settings: dict[Any, type[Latency | ListLag]] = {"latency": Latency, "list_lag": ListLag}
    kind = wanted.get("kind")
    if isinstance(kind, str) and kind in settings:
        rest = {name: value for name, value in wanted.items() if name != "kind"}
        return settings[kind](**judged(settings[kind], rest, kind, required=("ms",)))
    read = judged(Fault, wanted, "a fault", required=("route", "kind"), closed=("id", "passed", "struck"))
    return _fault_of({**read, "id": number})


def _fault_of(read: dict[str, Any]) -> Fault:
    """The fault with these fields, each of its type. Raises BodyInvalid for what does not go together."""
    if read.get("retry_after") is not None:
        read["retry_after"] = str(read["retry_after"])
    fault = Fault(**read)
    method, _, path = fault.route.rpartition(" ")
    if not (path == "*" or path.startswith("/")) or not re.fullmatch(r"[A-Z]*|\*", method):
        raise BodyInvalid(f'a route is a method and a path, as in "POST /connections", not {fault.route[:200]!r}')
    if fault.code:
        reported = fault.code.rpartition("-")[2]
        fits = re.fullmatch(r"[A-Z]+-\d+-\d{3}", fault.code, re.ASCII) is not None
        if not fits or (fault.status and reported != str(fault.status)):
            raise BodyInvalid(f'a code ends with its status, as in "FLOW-2200-500": {fault.code[:200]!r}')
        fault.status, fault.shape = int(reported), Shape.SERVICE
    if fault.status and not 200 <= fault.status <= 599:
        raise BodyInvalid(f"no such status: {fault.status!r}")
    if fault.kind is FaultKind.ANSWER and not fault.status and fault.when is When.BEFORE:
        raise BodyInvalid("an answer before the commit needs a status: there is no right answer to keep it from")
    return fault


def _ends_with(path: str, end: str) -> bool:
    """Whether `end`, which begins with a slash, is the path or its last segments."""
    return path.rstrip("/").endswith(end.rstrip("/") or "/")
