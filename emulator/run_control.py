"""The emulator's own route for runs: make one as a schedule would, and say what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowledger.emulator.judged import BodyInvalid, Text, judged, parsed
from flowledger.emulator.run_records import OutcomeInvalid, RunOutcome, Window, finish, schedule
from flowledger.emulator.wire import Response, json_response

if TYPE_CHECKING:
    from flowledger.emulator.core import Emulator


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The body of POST runs and POST runs/ID."""

    flowId: Text = ""  # noqa: N815 - as Flow Service spells it
    sandbox: Text | None = None
    window: Mapping[str, Any] = field(default_factory=dict)
    outcome: Mapping[str, Any] | None = None


def put_run(emulator: Emulator, body: bytes, run_id: str) -> Response:
    """POST runs `{"flowId", "sandbox", "window": {"start_ms", "end_ms", "type"}, "outcome": {...}}`: a new run.

    POST runs/ID `{"sandbox", "outcome": {...}}`: what came of that run. `outcome` has the fields of RunOutcome; all but
    `flowId` may be left out. Answers the record.
    """
    try:
        wanted = Wanted(**judged(Wanted, parsed(body), "a run"))
        outcome = None if wanted.outcome is None else RunOutcome.read(wanted.outcome)
        sandbox = wanted.sandbox or emulator.options.default_sandbox
        if not run_id:
            run_id = _scheduled(emulator, sandbox, wanted)
        elif outcome is None:
            raise OutcomeInvalid("outcome is missing")
    except BodyInvalid as problem:
        return json_response(400, {"error": str(problem)})
    if outcome is not None:
        finish(emulator.world, sandbox, run_id, outcome)
    record = emulator.world.store.peek("runs", sandbox, run_id)
    if record is None:
        return json_response(404, {"error": f"there is no run {run_id} in {sandbox}"})
    return json_response(200, record)


def _scheduled(emulator: Emulator, sandbox: str, wanted: Wanted) -> str:
    flow = emulator.world.store.peek("flows", sandbox, wanted.flowId)
    if flow is None:
        raise OutcomeInvalid(f"there is no flow {wanted.flowId} in {sandbox}")
    window = Window(**judged(Window, wanted.window, "window"))
    if window.start_ms is not None and window.end_ms is not None and window.start_ms > window.end_ms:
        raise OutcomeInvalid("a window begins before it ends")
    run = schedule(emulator.world, sandbox, flow, window=window, client_id=emulator.options.client_id)
    return str(run["id"])
