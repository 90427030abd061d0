"""The emulator's core: one call in, one answer out; no socket, no sleeping, time and ids injected."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from flowledger.emulator import (
    catalog,
    control,
    conversion,
    data_access,
    datasets,
    effort,
    flow_service,
    flow_state,
    gateway,
    ims,
    option_rules,
    registry,
    sandboxes,
)
from flowledger.emulator.effort import Effort, TooMuch
from flowledger.emulator.faults import Fault, FaultKind, Faults, When
from flowledger.emulator.flow_specs import catalogue_of
from flowledger.emulator.late import LateCommit, LateCommits
from flowledger.emulator.loopback import may_call
from flowledger.emulator.options import Options
from flowledger.emulator.plane import Plane, open_lake_of
from flowledger.emulator.problem import gateway_error, reason_of, with_chain, with_integer_code
from flowledger.emulator.routing import Match, Router
from flowledger.emulator.spoil import spoiled
from flowledger.emulator.store import Store
from flowledger.emulator.wire import Delivery, Refused, Request, Response, json_response
from flowledger.emulator.withheld import patch_without_secrets, without_secrets
from flowledger.emulator.world import LATEST_YEAR, Call, PlatformTime, Route, World

ROUTES: list[Route] = [
    *ims.ROUTES,
    *sandboxes.ROUTES,
    *registry.ROUTES,
    *catalog.ROUTES,
    *data_access.ROUTES,
    *conversion.ROUTES,
    *flow_service.ROUTES,
]

STATE_FILE = "emulator.sqlite"
AHEAD = "clock_ahead_ms"  # the note of how far the clock was moved
LOG_LENGTH = 1000
LONGEST_LOGGED = 4000  # characters of a path, and of its query: the log of many absurd calls stays small too
NO_ANSWER = Response(status=0, delivery=Delivery.DROPPED)


class Emulator:
    """The platform: IMS, Schema Registry, Catalog, Flow Service and Conversion behind one `handle`."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        seed: int = 0,
        options: Options | None = None,
        state: Path | None = None,
        sources: Path | None = None,
    ) -> None:
        """`clock` gives seconds since the epoch; `seed` decides the ids; `state` is a directory that outlives us.

        With `sources`, a folder of CSV, JSON Lines and Parquet files, flows run over these tables.
        Raises StateInUse when another emulator holds the directory, StateNewer when a later version wrote it,
        ValueError for options that cannot be meant, DataPlaneMissing when there are sources and no pyarrow, OSError
        when a folder cannot be used.
        """
        self.options = options or Options()
        option_rules.check(self.options)
        gateway.checks_of(self.options.gateway_order)
        catalogue_of(self.options)
        self._time = PlatformTime(clock)
        path = None
        if state is not None:
            state.mkdir(parents=True, exist_ok=True)
            path = state / STATE_FILE
        self._store = Store(path, now_ms=self._time.now_ms)
        self.faults = Faults(self._store)
        self.late = LateCommits(self._store)
        self.world = World(self._store, self.options, self._time, seed=seed, lag_ms=self._lag_ms)
        self._router = Router(ROUTES)
        self._log: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)
        self._logged = 0  # calls that were ever put there, so that a reader knows what is new to it
        self._handled = 0
        self._seed = seed
        self._start = self._count_start()
        self.plane: Plane | None = None
        self._take_up()
        self._store.when_undone = self._take_up
        if sources is None:
            open_lake_of(self.world, state)
        else:
            self.plane = Plane(self.world, self._time, sources=sources, state=state)
        self._sweep()

    def handle(self, request: Request) -> Response:
        """Answer one call, after every late commit and every run that is due has taken effect.

        A call from a web page of another origin is refused before all else. What cannot be written (a full disk) did
        not happen, and the call is answered 500. Any other exception is a fault of the emulator: it is logged and
        raised, and what the call had changed is undone.
        """
        if not may_call(request, self.options.allowed_hosts):
            return self._not_from_here(request)
        logged = self._logged
        try:
            self._run_due()
            with self._store.transaction():
                self._settle_late()
                in_control = request.raw_path.startswith(control.BASE)
                response = control.answer(self, request) if in_control else self._serve(request)
            self._sweep()
            return response
        except sqlite3.Error as problem:
            self._strike_from_log(logged)
            return self.not_kept(request, problem)
        except Exception as problem:
            self._strike_from_log(logged)
            self._note(request, self.failed(problem), None)
            raise

    def failed(self, problem: Exception) -> Response:
        """The answer to a call in which the emulator failed by a fault in its code."""
        text = f"The emulator failed: {type(problem).__name__}. It printed the traceback to stderr"
        return gateway_error(500, "500001", text)

    def not_kept(self, request: Request, problem: sqlite3.Error) -> Response:
        """The answer to a call when the state cannot be written. Its health is told nevertheless: it can be stopped."""
        if (request.method, request.raw_path) == ("GET", f"{control.BASE}health"):
            return control.answer(self, request)
        response = gateway_error(500, "500001", f"The emulator cannot write its state: {problem}")
        self._note(request, response, None)
        return response

    def count(self, kind: str, sandbox: str = "prod") -> int:
        """How many objects of the kind exist now, whatever lists show."""
        self._settle_late_alone()
        return self._store.count(kind, sandbox)

    def objects(self, kind: str, sandbox: str = "prod") -> list[dict[str, Any]]:
        """The objects of the kind as stored, oldest first. To be read, not changed."""
        self._settle_late_alone()
        return self._store.all(kind, sandbox)

    def requests(self) -> list[dict[str, Any]]:
        """The latest calls, oldest first, without bodies, headers or anything secret."""
        return list(self._log)

    def now_ms(self) -> int:
        """Milliseconds since the epoch, by the injected clock and how far it was moved."""
        return self._time.now_ms()

    def advance(self, ms: int) -> None:
        """Move the clock forward by so many milliseconds; what becomes due happens before the next call.

        Raises ClockEnds when no date would be left, ValueError for a step backwards.
        """
        self._time.move(ms)
        self._store.write_note(AHEAD, self._time.ahead_ms)

    @property
    def logged(self) -> int:
        """The number of the latest call in the log; 0 before the first."""
        return self._logged

    @property
    def warnings(self) -> list[str]:
        """What the state and the sources hold and cannot be meant, in words; it is left out."""
        left_out = self._clock_left_out_ms
        ended = [f"the clock of the state is past the year {LATEST_YEAR}: {left_out} ms are left out"]
        notice = self.plane.notice if self.plane is not None else ""
        return [*self.faults.set_aside, *(ended if left_out else []), *([notice] if notice else [])]

    @property
    def handled(self) -> int:
        """How many calls of the platform were answered since this start."""
        return self._handled

    def reset(self) -> None:
        """Forget everything: objects, tokens, faults, late commits, the log and the count of ids."""
        self._store.clear()
        self._take_up()
        self.world.bucket.fill()
        self._log.clear()
        self._handled = 0
        self._start = self._count_start()
        if self.plane is not None:
            self.plane.forget()

    def close(self) -> None:
        """Let go of the state directory."""
        if self.plane is not None:
            self.plane.close()
        self._store.close()

    def _take_up(self) -> None:
        """Have what is kept beside the store's objects be as the store has it."""
        self.faults.load()
        self.late.load()
        self.world.restart_ids()
        self._clock_left_out_ms = self._time.take_up(int(self._store.note(AHEAD) or 0))
        if self.plane is not None:
            self.plane.execution.look_anew()

    def _run_due(self) -> None:
        """Execute the runs that are due, each before what takes effect after it (unless a server does)."""
        if self.plane is None or not self.plane.execution.inline:
            return
        now_ms = self.now_ms()
        while (due_ms := self.late.next_due_ms) is not None and due_ms <= now_ms:
            self.plane.execution.run_due(due_ms)
            with self._store.transaction():
                self._settle_late(due_ms)
        self.plane.execution.run_due(now_ms)

    def _sweep(self) -> None:
        """Remove the files of what is deleted, now that the deletion is kept."""
        if self.world.sweep is not None:
            self.world.sweep.run()

    def _not_from_here(self, request: Request) -> Response:
        text = (
            f"The emulator answers calls to loopback only, and web pages of its own: Host is "
            f"{request.headers.get('host', '')[:200]!r}, Origin {request.headers.get('origin', '')[:200]!r}. "
            "The option allowed_hosts names the hosts of a proxy"
        )
        if request.raw_path.startswith(control.BASE):
            response = json_response(403, {"error": text})
        else:
            response = gateway_error(403, "403027", text)
        self._note(request, response, None)
        return response

    def _strike_from_log(self, logged: int) -> None:
        """Take out the entries after number `logged`: these calls were not answered so after all."""
        while self._log and self._log[-1]["number"] > logged:
            self._log.pop()
        self._logged = logged

    def _serve(self, request: Request) -> Response:
        self._handled += 1
        request_id = request.headers.get("x-request-id") or self._new_request_id()
        request = Request(
            method=request.method,
            raw_path=request.raw_path,
            query=request.query,
            raw_query=request.raw_query,
            headers={**request.headers, "x-request-id": request_id},
            body=request.body,
        )
        found = self._router.find(request.method, request.raw_path)
        template = found.template if isinstance(found, Match) else ""
        fault = self.faults.strike(request.method, request.raw_path, template, request.body)
        response = self._answer(request, found) if fault is None else self._answer_with(fault, request, found)
        delay_ms = self.options.latency_ms + self.faults.latency_ms + (fault.delay_ms if fault else 0)
        if 0 < self.options.gateway_timeout_ms < delay_ms and not request.raw_path.startswith(gateway.IMS):
            response, delay_ms = gateway.timed_out(response), self.options.gateway_timeout_ms
        if self.options.integer_error_codes:
            response = with_integer_code(response)
        if self.options.error_chains:
            response = with_chain(response, self.now_ms(), self.options, request.headers.get("x-sandbox-name", ""))
        response = Response(
            status=response.status,
            body=response.body,
            headers={**response.headers, "x-request-id": request_id} if self.options.request_ids else response.headers,
            delivery=response.delivery,
            delay=response.delay + delay_ms / 1000,
        )
        self._note(request, response, fault)
        return response

    def _answer(self, request: Request, found: Match | frozenset[str]) -> Response:
        if not isinstance(found, Match):
            return gateway.not_routed(request, found, bare=self.options.bare_not_routed)
        try:
            with effort.bounded(Effort()):
                return found.handler(gateway.admit(request, found, self.world))
        except Refused as refused:
            return refused.response
        except TooMuch as problem:
            return gateway.too_much(found, str(problem))

    def _answer_with(self, fault: Fault, request: Request, found: Match | frozenset[str]) -> Response:
        match fault.kind:
            case FaultKind.ANSWER:
                return spoiled(self._answer(request, found) if fault.when is When.AFTER else None, fault)
            case FaultKind.DROP:
                if fault.when is When.AFTER:
                    self._answer(request, found)
                return NO_ANSWER
            case FaultKind.CUT:
                return replace(self._answer(request, found), delivery=Delivery.CUT)
            case FaultKind.LATE:
                return self._answer_late(fault, request, found)
            case FaultKind.SLOW:
                return self._answer(request, found)
            case FaultKind.TOKEN:
                ims.revoke(self.world, gateway.bearer_of(request))
                return self._answer(request, found)
            case FaultKind.TWICE:
                first = self._answer(request, found)
                self._answer(request, found)
                return first
            case FaultKind.ETAG_BUMP:
                if isinstance(found, Match):
                    sandbox, id = request.headers.get("x-sandbox-name", ""), found.params.get("id", "")
                    flow_state.touch(self.world, sandbox, id)
                    datasets.touch(self.world, sandbox, id)
                return self._answer(request, found)

    def _answer_late(self, fault: Fault, request: Request, found: Match | frozenset[str]) -> Response:
        if not isinstance(found, Match):
            return gateway.not_routed(request, found, bare=self.options.bare_not_routed)
        try:
            call = gateway.admit(request, found, self.world)
        except Refused as refused:
            return refused.response
        if not found.template.startswith(gateway.IMS):  # a token that nobody heard of is no effect
            self.late.add(
                LateCommit(
                    due_ms=self.now_ms() + fault.after_ms,
                    request=replace(request, body=_without_secrets(call, found)),
                    sandbox=call.sandbox,
                    org=call.org,
                    client_id=call.client_id,
                )
            )
        return NO_ANSWER

    def _settle_late(self, until_ms: int | None = None) -> None:
        for commit in self.late.take_due(self.now_ms() if until_ms is None else until_ms):
            found = self._router.find(commit.request.method, commit.request.raw_path)
            if not isinstance(found, Match):
                continue  # an older emulator's state: the route is gone
            with self._time.as_of(commit.due_ms):
                response = self._take_effect(commit, found)
                self._note(commit.request, response, None, late=True, sandbox=commit.sandbox)

    def _take_effect(self, commit: LateCommit, found: Match) -> Response:
        call = Call(
            request=commit.request,
            sandbox=commit.sandbox,
            org=commit.org,
            client_id=commit.client_id,
            params=found.params,
            body=gateway.parsed(commit.request.body),
            world=self.world,
            late=True,
        )
        try:
            with effort.bounded(Effort()):
                return found.handler(call)
        except Refused as refused:
            return refused.response
        except TooMuch as problem:
            return gateway.too_much(found, str(problem))

    def _settle_late_alone(self) -> None:
        self._run_due()
        with self._store.transaction():
            self._settle_late()
        self._sweep()

    def _note(
        self, request: Request, response: Response, fault: Fault | None, *, late: bool = False, sandbox: str = ""
    ) -> None:
        in_ims = request.raw_path.startswith(gateway.IMS)
        query = [] if in_ims else [list(pair) for pair in request.query]  # IMS fields may be secret
        if sum(len(name) + len(value) for name, value in request.query) > LONGEST_LOGGED:
            query = [["...", "too long to be kept"]]
        self._logged += 1
        self._log.append(
            {
                "number": self._logged,
                "at_ms": self.now_ms(),
                "method": request.method,
                "path": request.raw_path[:LONGEST_LOGGED],
                "query": query,
                "sandbox": sandbox or request.headers.get("x-sandbox-name", ""),
                "status": response.status,
                "delivery": response.delivery.value,
                "fault": fault.id if fault else None,
                "late": late,
                "request_id": request.headers.get("x-request-id", "")[:LONGEST_LOGGED],
                "reason": reason_of(response),
            }
        )

    def _lag_ms(self, kind: str) -> int:
        lag = self.faults.list_lag(kind)
        if lag is not None:
            return lag
        lags = self.options.list_lag_ms
        return lags.get(kind, lags.get("*", 0))

    def _new_request_id(self) -> str:
        """Never the same twice, over restarts either, and no write for it: the start and the call are counted."""
        text = hashlib.sha256(f"{self._seed}:{self._start}:{self._handled}".encode()).hexdigest()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"

    def _count_start(self) -> int:
        start = int(self._store.note("starts") or 0) + 1
        self._store.write_note("starts", start)
        return start


def _without_secrets(call: Call, found: Match) -> bytes:
    """The body as it may be written to disk until it takes effect."""
    if not found.template.startswith(f"{gateway.FLOW_SERVICE}connections"):
        return call.request.body
    match call.body:
        case dict():
            return orjson.dumps(without_secrets(call, call.body))
        case list():
            return orjson.dumps(patch_without_secrets(call, call.body))
    return call.request.body
