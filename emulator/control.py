"""The emulator's own routes: faults, reset, health, and what was asked. No credentials, no faults, not logged."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import orjson

from flowledger.emulator.digits import number_of
from flowledger.emulator.log_page import log_page
from flowledger.emulator.run_control import put_run
from flowledger.emulator.wire import Request, Response, json_response

if TYPE_CHECKING:
    from flowledger.emulator.core import Emulator

BASE = "/_emulator/"
MOST_AHEAD_MS = 10 * 366 * 86_400_000  # ten years at once
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
    | GET requests?limit=N | the latest calls |
    | GET counts?sandbox=S | how many objects of each kind exist |
    | POST runs · POST runs/ID | makes a run as its flow's schedule would; says what came of a run |
    | POST advance `{"ms": N}` | moves the clock forward; runs that become due are executed |
    """
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
            return _requests(emulator, request.first("limit") or "100")
        case ("GET", "counts", ""):
            sandbox = request.first("sandbox") or emulator.options.default_sandbox
            return json_response(200, {kind: emulator.count(kind, sandbox) for kind in COLLECTIONS})
        case ("POST", "runs", run_id):
            return put_run(emulator, request.body, run_id)
        case ("POST", "advance", ""):
            return _advance(emulator, request.body)
    return _not_understood(404, f"the emulator has no {request.method} {request.raw_path}")


def _advance(emulator: Emulator, body: bytes) -> Response:
    """What becomes due is executed before the next call is answered; see `Emulator.advance`."""
    try:
        wanted = orjson.loads(body)
        ms = wanted.get("ms") if isinstance(wanted, dict) else None
    except ValueError as problem:
        return _not_understood(400, str(problem))
    if type(ms) is not int or not 0 < ms <= MOST_AHEAD_MS:
        return _not_understood(400, f"ms is a whole number from 1 to {MOST_AHEAD_MS}, not {ms!r}")
    emulator.advance(ms)
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
    }


def _requests(emulator: Emulator, limit: str) -> Response:
    most = number_of(limit)
    if not most:
        return _not_understood(400, f"limit is a number above 0, not {limit!r}")
    return json_response(200, {"requests": emulator.requests()[-most:]})


def _add_faults(emulator: Emulator, body: bytes) -> Response:
    """One fault or a list of them; `list_lag` and `latency` are settings that stand until taken back."""
    try:
        wanted = orjson.loads(body)
        ids = [_add_fault(emulator, one) for one in (wanted if isinstance(wanted, list) else [wanted])]
    except (ValueError, TypeError, KeyError) as problem:
        return _not_understood(400, str(problem))
    return json_response(201, {"ids": [number for number in ids if number is not None]})


def _add_fault(emulator: Emulator, wanted: Any) -> int | None:
    if not isinstance(wanted, dict):
        raise ValueError("a fault is a JSON object")
    kind = wanted.get("kind")
    if kind == "latency":
        emulator.faults.set_latency(int(wanted["ms"]))
        return None
    if kind == "list_lag":
        emulator.faults.set_list_lag(str(wanted.get("collection", "*")), int(wanted["ms"]))
        return None
    return emulator.faults.add_from(wanted)


def _not_understood(status: int, message: str) -> Response:
    return json_response(status, {"error": message})
