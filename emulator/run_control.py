"""The emulator's own route for runs: make one as a schedule would, and say what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from flowledger.emulator.run_records import OutcomeInvalid, RunOutcome, Window, finish, schedule
from flowledger.emulator.wire import Response, json_response

if TYPE_CHECKING:
    from flowledger.emulator.core import Emulator


def put_run(emulator: Emulator, body: bytes, run_id: str) -> Response:
    """POST runs `{"flowId", "sandbox", "window": {"start_ms", "end_ms", "type"}, "outcome": {...}}`: a new run.

    POST runs/ID `{"sandbox", "outcome": {...}}`: what came of that run. `outcome` has the fields of RunOutcome; all but
    `flowId` may be left out. Answers the record.
    """
    try:
        wanted = orjson.loads(body)
        if not isinstance(wanted, dict):
            raise OutcomeInvalid("a run is a JSON object")
        outcome = wanted.get("outcome")
        read = None if outcome is None else RunOutcome.read(_object(outcome, "outcome"))
        sandbox = str(wanted.get("sandbox") or emulator.options.default_sandbox)
        if not run_id:
            run_id = _scheduled(emulator, sandbox, wanted)
        elif read is None:
            raise OutcomeInvalid("outcome is missing")
    except (ValueError, TypeError) as problem:
        return json_response(400, {"error": str(problem)})
    if read is not None:
        finish(emulator.world, sandbox, run_id, read)
    record = emulator.world.store.peek("runs", sandbox, run_id)
    if record is None:
        return json_response(404, {"error": f"there is no run {run_id} in {sandbox}"})
    return json_response(200, record)


def _scheduled(emulator: Emulator, sandbox: str, wanted: dict[str, Any]) -> str:
    flow = emulator.world.store.peek("flows", sandbox, str(wanted.get("flowId")))
    if flow is None:
        raise OutcomeInvalid(f"there is no flow {wanted.get('flowId')} in {sandbox}")
    window = Window(**_object(wanted.get("window", {}), "window"))
    if any(type(end) is not int and end is not None for end in (window.start_ms, window.end_ms)):
        raise OutcomeInvalid("the ends of a window are whole numbers of milliseconds")
    run = schedule(emulator.world, sandbox, flow, window=window, client_id=emulator.options.client_id)
    return str(run["id"])


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise OutcomeInvalid(f"{name} is a JSON object")
    return value
