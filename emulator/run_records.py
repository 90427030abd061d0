"""The records of flow runs: made as scheduled, filled with what came of them (platform-api.md §11).

Nothing is executed here. Whoever runs a flow (a data plane, a test through the emulator's own routes) calls `schedule`
when a run is due and `finish` when it is over; reading, listing and triggering are `flow_runs`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flowledger.emulator.identity import sandbox_id, user_of
from flowledger.emulator.judged import BodyInvalid, Count, Moment, Shown, judged
from flowledger.emulator.world import World

KIND = "runs"
SCHEDULED = "scheduled"
STATUSES = frozenset(  # seen in runs, or in the reference's list
    {
        *("scheduled", "queued", "inProgress", "in_progress", "success", "completed", "failed"),
        *("partial_success", "partial_failure"),
    }
)
UNDER_WAY = frozenset({"scheduled", "queued", "inProgress", "in_progress"})
SUCCEEDED = frozenset({"success", "completed"})
FAILED = frozenset({"failed", "partial_failure"})
TRIGGERED_AGAIN = "runsTriggeredAgain"  # by the new run's id: which run failed first
AS_IS = -1  # what a failed run may show for bytes and files


class OutcomeInvalid(BodyInvalid):
    """What came of a run is described wrongly; the text says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which rows a run takes, by delta column, in milliseconds; both ends None: everything that is there."""

    start_ms: Moment | None = None
    end_ms: Moment | None = None
    type: Literal["incremental", "one-time"] = "incremental"

    def holds(self, moment_ms: int, *, end_inclusive: bool) -> bool:
        """Whether a row of that moment belongs to the run (U25: the end does not, unless the option says so)."""
        if self.start_ms is not None and moment_ms < self.start_ms:
            return False
        if self.end_ms is None:
            return True
        return moment_ms <= self.end_ms if end_inclusive else moment_ms < self.end_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """What came of a run. Times in milliseconds since the epoch; None: now, or the moment the run was made."""

    status: str = "success"
    input_records: Shown = 0
    output_records: Shown = 0
    failed_records: Shown = 0
    input_bytes: Shown = 0
    output_bytes: Shown = 0
    input_files: Shown = 1
    output_files: Shown = 1
    errors: tuple[Mapping[str, str], ...] = ()  # {"code": "CONNECTOR-2001-500", "message": "..."}
    batches: tuple[str, ...] = ()
    started_ms: Moment | None = None
    completed_ms: Moment | None = None
    counters: Mapping[str, Count] | None = None  # newer ones: createdRecordCount, skippedRecordCount, ...

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> RunOutcome:
        """From JSON, keys as the fields here. Raises BodyInvalid."""
        outcome = cls(**judged(cls, written, "outcome"))
        if outcome.status not in STATUSES:
            raise OutcomeInvalid(f"status is one of {', '.join(sorted(STATUSES))}, not {outcome.status[:80]!r}")
        if not all({"code", "message"} <= set(error) for error in outcome.errors):
            raise OutcomeInvalid("each of errors has a code and a message")
        return outcome


def schedule(
    world: World,
    sandbox: str,
    flow: Mapping[str, Any],
    *,
    window: Window,
    client_id: str,
    params: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A new run of the flow, scheduled. Returns the record, to be read."""
    now_ms, etag, key = world.now_ms(), world.new_etag(), world.new_uuid()
    user = user_of(client_id)
    record = {
        "id": key,
        "flowId": flow["id"],
        "flowSpec": flow.get("flowSpec"),
        "providerRefId": world.new_uuid(),
        "createdAt": now_ms,
        "updatedAt": now_ms,
        "createdBy": user,
        "updatedBy": user,
        "createdClient": client_id,
        "updatedClient": client_id,
        "sandboxId": sandbox_id(sandbox),
        "sandboxName": sandbox,
        "imsOrgId": flow.get("imsOrgId"),
        "version": etag,
        "etag": etag,
        **({"params": dict(params)} if params is not None else {}),
        "metrics": {"durationSummary": {"startedAtUTC": now_ms}, "statusSummary": {"status": SCHEDULED, "errors": []}},
        "activities": [
            {
                "id": "copyActivity",
                "durationSummary": {"startedAtUTC": now_ms, "extensions": _shown(window)},
                "statusSummary": {"status": SCHEDULED, "extensions": {"type": window.type}},
                "sourceInfo": _infos(flow, "source"),
                "targetInfo": [],
            }
        ],
    }
    world.store.put(KIND, sandbox, key, record)
    _tell_flow(world, sandbox, record)
    return record


def note_triggered_again(world: World, sandbox: str, again: str, failed: str) -> None:
    """Keep that the run `again` was triggered because `failed` had failed."""
    world.store.put(TRIGGERED_AGAIN, sandbox, again, {"id": again, "of": first_of(world, sandbox, failed)})


def is_triggered_again(world: World, sandbox: str, run: str) -> bool:
    """Whether the run was made because another one had failed."""
    return world.store.peek(TRIGGERED_AGAIN, sandbox, run) is not None


def first_of(world: World, sandbox: str, run: str) -> str:
    """The run that failed first, of one that was triggered again, if need be many times; any other run itself."""
    noted = world.store.peek(TRIGGERED_AGAIN, sandbox, run)
    return run if noted is None else str(noted["of"])


def records_of(record: Mapping[str, Any] | None) -> int:
    """How many rows a run has read; 0 for one that is not there or not over."""
    counts = (record or {}).get("metrics", {}).get("recordSummary") or {}
    return int(counts.get("inputRecordCount", 0))


def has_read_nothing(record: Mapping[str, Any] | None) -> bool:
    """Whether a run succeeded with zero records: it may be triggered again, as a failed one may (§4.8)."""
    return record is not None and status_of(record) in SUCCEEDED and records_of(record) == 0


def window_of(record: Mapping[str, Any]) -> Window:
    """The window that a run was made for."""
    copy = record["activities"][0]
    extensions = copy["durationSummary"]["extensions"]
    return Window(
        start_ms=extensions.get("windowStart"),
        end_ms=extensions.get("windowEnd"),
        type=copy["statusSummary"]["extensions"]["type"],
    )


def finish(world: World, sandbox: str, run_id: str, outcome: RunOutcome) -> dict[str, Any] | None:
    """Fill in what came of a run, or how far it is. Returns the record, to be read; None when there is none."""
    record = world.store.get(KIND, sandbox, run_id)
    if record is None:
        return None
    flow = world.store.peek("flows", sandbox, record["flowId"]) or {}
    started = outcome.started_ms if outcome.started_ms is not None else record["createdAt"]
    duration: dict[str, Any] = {"startedAtUTC": started}
    if outcome.status not in UNDER_WAY and not (outcome.status in FAILED and outcome.completed_ms is None):
        duration["completedAtUTC"] = outcome.completed_ms if outcome.completed_ms is not None else world.now_ms()
    status = {"status": outcome.status, "errors": [dict(error) for error in outcome.errors]}
    record["metrics"] = _metrics(outcome, duration, status)
    copy = record["activities"][0]
    copy["durationSummary"] = {**duration, "extensions": copy["durationSummary"]["extensions"]}
    copy["statusSummary"] = {"status": outcome.status, "extensions": copy["statusSummary"]["extensions"]}
    copy["sourceInfo"] = _infos(flow, "source", "AdfRunId", (record["providerRefId"],))
    promotion = {
        "id": "promotionActivity",
        "durationSummary": duration,
        "statusSummary": status,
        "sourceInfo": [],
        "targetInfo": _infos(flow, "target", "Batch", outcome.batches),
    }
    record["activities"] = [copy] if outcome.status in UNDER_WAY else [copy, promotion]
    etag = world.new_etag()
    record.update(etag=etag, version=etag, updatedAt=world.now_ms())
    world.store.put(KIND, sandbox, run_id, record)
    if flow.get("lastRunDetails", {}).get("id") == run_id:
        _tell_flow(world, sandbox, record)
    return record


def status_of(record: Mapping[str, Any]) -> str:
    """The status of a run."""
    return str(record["metrics"]["statusSummary"]["status"])


def _metrics(outcome: RunOutcome, duration: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    if outcome.status in UNDER_WAY:
        return {"durationSummary": duration, "statusSummary": status}
    failed = outcome.status == "failed"
    by = ["promotionActivity"]
    return {
        "durationSummary": duration,
        "sizeSummary": {
            "inputBytes": AS_IS if failed else outcome.input_bytes,
            "outputBytes": AS_IS if failed else outcome.output_bytes,
        },
        "recordSummary": {
            "inputRecordCount": outcome.input_records,
            "outputRecordCount": outcome.output_records,
            "failedRecordCount": outcome.failed_records,
            **(outcome.counters or {}),
        },
        "fileSummary": {
            "inputFileCount": AS_IS if failed else outcome.input_files,
            "outputFileCount": AS_IS if failed else outcome.output_files,
            "activityRefs": by,
        },
        "statusSummary": {**status, "activityRefs": by},
    }


def _shown(window: Window) -> dict[str, Any]:
    ends = {"windowStart": window.start_ms, "windowEnd": window.end_ms}
    return {name: moment for name, moment in ends.items() if moment is not None}


def _infos(flow: Mapping[str, Any], side: str, reference: str = "", ids: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The connections of a side of the flow, each with what the run left there."""
    connections = flow.get(f"{side}ConnectionIds")
    left = {"reference": {"type": reference, "ids": list(ids)}} if ids else {}
    return [
        {"id": one, "type": f"{side.capitalize()}Connection", **left}
        for one in (connections if isinstance(connections, list) else [])
    ]


def _tell_flow(world: World, sandbox: str, record: dict[str, Any]) -> None:
    """Keep on the flow what it tells of its latest run (§4.7). Its etag stays: nobody changed the flow."""
    flow = world.store.get("flows", sandbox, record["flowId"])
    if flow is not None:
        details = {"id": record["id"], "state": status_of(record), **record["metrics"]["durationSummary"]}
        world.store.put("flows", sandbox, flow["id"], {**flow, "lastRunDetails": details})
