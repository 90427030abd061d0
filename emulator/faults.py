"""What goes wrong on purpose: named by route, counted, reproducible, kept over a restart (platform-api.md §15).

Faults of one route form a queue: a call is given to the first fault that fits and is not used up, so
`429, then a dropped connection` is two faults added in that order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

from flowledger.emulator.store import Store

NOTE = "faults"


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

    id: int
    route: str
    kind: FaultKind
    where: str = ""  # only calls whose body contains this text
    skip: int = 0  # lets that many fitting calls pass first
    times: int = 1  # strikes so often; 0: for ever
    when: When = When.BEFORE
    status: int = 0  # of a replaced answer; 0 keeps the right answer's status
    shape: Shape = Shape.GATEWAY
    code: str = ""  # of a service's own body, status included: "FLOW-2200-500"
    retry_after: str | None = None  # the header's text, absurd ones too
    after_ms: int = 0
    delay_ms: int = 0  # how long the client waits for the answer or the close
    passed: int = 0
    struck: int = 0

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


class Faults:
    """The faults in force, plus two that stand until taken back: list lag by kind, and latency of every answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._faults: list[Fault] = []
        self._lag: dict[str, int] = {}
        self._latency_ms = 0
        self._next = 1
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
        method, _, path = route.rpartition(" ")
        if not (path == "*" or path.startswith("/")) or " " in method:
            raise ValueError(f'a route is a method and a path, as in "POST /connections", not {route!r}')
        counts = {"skip": skip, "times": times, "after_ms": after_ms, "delay_ms": delay_ms}
        for name, count in counts.items():
            if type(count) is not int or count < 0:
                raise ValueError(f"{name} must be a whole number, not negative: {count!r}")
        if code:
            told = code.rpartition("-")[2]
            if not re.fullmatch(r"[A-Z]+-\d+-\d{3}", code) or (status and told != str(status)):
                raise ValueError(f'a code ends with its status, as in "FLOW-2200-500": {code!r}')
            status, shape = int(told), Shape.SERVICE
        if status and not 200 <= status <= 599:
            raise ValueError(f"no such status: {status!r}")
        fault = Fault(
            id=self._next,
            route=route,
            kind=FaultKind(kind),
            where=where,
            skip=skip,
            times=times,
            when=When(when),
            status=status,
            shape=Shape(shape),
            code=code,
            retry_after=None if retry_after is None else str(retry_after),
            after_ms=after_ms,
            delay_ms=delay_ms,
        )
        if fault.kind is FaultKind.ANSWER and not status and fault.when is When.BEFORE:
            raise ValueError("an answer before the commit needs a status: there is no right answer to keep it from")
        self._next += 1
        self._faults.append(fault)
        self._keep()
        return fault.id

    def add_from(self, wanted: Mapping[str, Any]) -> int:
        """Add a fault given as JSON (the control route's body). Raises ValueError naming what is wrong."""
        known = {field.name for field in fields(Fault)} - {"id", "passed", "struck"}
        unknown = sorted(set(wanted) - known)
        if unknown or not {"route", "kind"} <= set(wanted):
            raise ValueError(f"a fault has route, kind and of {sorted(known)}; unknown here: {unknown}")
        rest = {name: value for name, value in wanted.items() if name not in ("route", "kind")}
        return self.add(str(wanted["route"]), str(wanted["kind"]), **rest)

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
        """Let lists of a kind ("connections", "dataSets", ...; "*" for all) run `ms` behind (U21)."""
        if ms < 0:
            raise ValueError("a lag cannot be negative")
        self._lag[kind] = ms
        self._keep()

    def set_latency(self, ms: int) -> None:
        """Let every answer take `ms` longer."""
        if ms < 0:
            raise ValueError("a latency cannot be negative")
        self._latency_ms = ms
        self._keep()

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
        """Take over what the store kept."""
        kept = self._store.note(NOTE) or {}
        self._faults = [
            Fault(
                **{
                    **fault,
                    "kind": FaultKind(fault["kind"]),
                    "when": When(fault["when"]),
                    "shape": Shape(fault["shape"]),
                }
            )
            for fault in kept.get("faults", [])
        ]
        self._lag = dict(kept.get("list_lag_ms", {}))
        self._latency_ms = kept.get("latency_ms", 0)
        self._next = kept.get("next", 1)

    def _keep(self) -> None:
        self._store.write_note(NOTE, {**self.described(), "next": self._next})


def _ends_with(path: str, end: str) -> bool:
    """Whether `end`, which begins with a slash, is the path or its last segments."""
    return path.rstrip("/").endswith(end.rstrip("/") or "/")
