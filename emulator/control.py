"""The emulator's own routes: faults, reset, health, and what was asked. No credentials, no faults, not logged."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from flowledger.emulator.digits import number_of
from flowledger.emulator.judged import MOST_MS, BodyInvalid, judged, parsed
from flowledger.emulator.log_page import log_page
from flowledger.emulator.run_control import put_run
from flowledger.emulator.wire import Request, Response, json_response
from flowledger.emulator.world import ClockEnds

if TYPE_CHECKING:
    from flowledger.emulator.core import Emulator

BASE = "/_emulator/"
COLLECTIONS = (
    "connections",
    "classes",
    "schemas",
    "fieldgroups",
    "dataSets",
    "sourceConnections",
    "targetConnections",
    "mappingSets",
    "flows",
)


def answer(emulator: Emulator, request: Request) -> Response:
    """Answer a call under `/_emulator/`.

    | call | does |
    |---|---|
    | GET (nothing more) | the log of calls as a page for a browser |
    | GET openapi.json | the OpenAPI document of what it serves |
    | GET health | says that it serves, its time and how many calls it answered |
    | GET, POST, DELETE faults · DELETE faults/N | shows, adds, takes back faults |
    | POST reset | forgets everything |
    | GET requests?limit=N&after=M | the latest calls; only those with a number above M |
    | GET counts?sandbox=S | how many objects of each kind exist |
    | POST runs · POST runs/ID | makes a run as its flow's schedule would; says what came of a run |
    | POST advance `{"ms": N}` | moves the clock forward; runs that become due are executed |
    """
    if len(request.body) > emulator.options.body_maximum:
        return _not_understood(413, f"the body has more than {emulator.options.body_maximum} bytes")
    try:
        return _answered(emulator, request)
    except (BodyInvalid, ClockEnds) as problem:
        return _not_understood(400, str(problem))


def _answered(emulator: Emulator, request: Request) -> Response:
    name, _, rest = request.raw_path[len(BASE) :].strip("/").partition("/")
    match (request.method, name, rest):
        case ("GET", "", ""):
            return log_page()
        case ("GET", "openapi.json", ""):
            return json_response(200, _document(emulator))
        case ("GET", "health", ""):
            return json_response(200, _health(emulator))
        case ("GET", "faults", ""):
            return json_response(200, emulator.faults.described())
        case ("POST", "faults", ""):
            return _add_faults(emulator, request.body)
        case ("DELETE", "faults", ""):
            emulator.faults.clear()
            return Response(status=204)
        case ("DELETE", "faults", number):
            removed = emulator.faults.remove(number_of(number) or 0)
            return Response(status=204) if removed else _not_understood(404, f"there is no fault {number}")
        case ("POST", "reset", ""):
            emulator.reset()
            return Response(status=204)
        case ("GET", "requests", ""):
            return _requests(emulator, request.first("limit") or "100", request.first("after") or "0")
        case ("GET", "counts", ""):
            sandbox = request.first("sandbox") or emulator.options.default_sandbox
            return json_response(200, {kind: emulator.count(kind, sandbox) for kind in COLLECTIONS})
        case ("POST", "runs", run_id):
            return put_run(emulator, request.body, run_id)
        case ("POST", "advance", ""):
            return _advance(emulator, request.body)
    return _not_understood(404, f"the emulator has no {request.method} {request.raw_path}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The body of POST advance."""

    ms: Annotated[int, Field(ge=1, le=MOST_MS)]


def _advance(emulator: Emulator, body: bytes) -> Response:
    """What becomes due is executed before the next call is answered; see `Emulator.advance`."""
    step = Step(**judged(Step, parsed(body), "a step of the clock", required=("ms",)))
    emulator.advance(step.ms)
    return json_response(200, {"now_ms": emulator.now_ms()})


def _document(emulator: Emulator) -> dict[str, Any]:
    from flowledger.emulator.openapi import document  # only who asks for it pays for assembling it

    return document(emulator.options)


def _health(emulator: Emulator) -> dict[str, Any]:
    left = emulator.world.sweep.problems if emulator.world.sweep is not None else {}
    return {
        "status": "ok",
        "pid": os.getpid(),
        "now_ms": emulator.now_ms(),
        "requests": emulator.handled,
        "late_commits_waiting": len(emulator.late),
        "sandboxes": list(emulator.options.sandboxes),
        **(emulator.plane.health(emulator.now_ms()) if emulator.plane is not None else {}),
        **({"not_removed": dict(left)} if left else {}),
        **({"warnings": warnings} if (warnings := emulator.warnings) else {}),
    }


def _requests(emulator: Emulator, limit: str, after: str) -> Response:
    """The latest calls above number `after`, at most `limit`; and how many of those are no longer in the log."""
    most, last_seen = number_of(limit), number_of(after)
    if not most:
        return _not_understood(400, f"limit is a number above 0, not {limit[:80]!r}")
    if last_seen is None:
        return _not_understood(400, f"after is the number of a call, not {after[:80]!r}")
    calls = [call for call in emulator.requests() if call["number"] > last_seen]
    missed = max(0, emulator.logged - last_seen - len(calls))
    return json_response(200, {"requests": calls[-most:], "missed": missed, "last": emulator.logged})


def _add_faults(emulator: Emulator, body: bytes) -> Response:
    """One fault or a list of them; `list_lag` and `latency` are settings that stand until taken back."""
    wanted = parsed(body)
    ids = emulator.faults.add_all(wanted if isinstance(wanted, list) else [wanted])
    return json_response(201, {"ids": ids})


def _not_understood(status: int, message: str) -> Response:
    return json_response(status, {"error": message})
