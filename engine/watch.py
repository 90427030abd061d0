"""Follow the runs of a dataflow: look again and again, tell each one when it changes, and keep what was seen.

The journal is opened only for as long as it takes to write down what is new, so that a watch of days stands in nobody's
way. What it holds already is not told again: a watch that was ended anywhere goes on where it was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from flowledger.engine.events import FlowRunSeen
from flowledger.engine.ledger import Ledger, refuse_destroyed
from flowledger.engine.reader import Reader
from flowledger.errors import Interrupted, JournalHeld, NotServed, NotThere, RowsMissing, Unreachable
from flowledger.steps.answers import dig
from flowledger.steps.client.clock import Clock
from flowledger.steps.client.judge import date_of
from flowledger.steps.client.paths import flow_service
from flowledger.steps.client.port import Answer, Request
from flowledger.steps.client.redact import Redactor
from flowledger.steps.flow import CreateFlow
from flowledger.steps.flow_run import MOST, Came, FlowRun, flow_runs_of
from flowledger.steps.schedule import due_after

SCHEMA_VERSION = 1
EVERY: Final = 30.0  # seconds: a flow's first run shows 2 to 3 minutes after its start (platform-api.md §8.7)
SLOWEST: Final = 4  # so many times longer between two looks while nothing is under way and nothing changes
FINISHED: Final = (Came.SUCCESS, Came.PARTIAL, Came.FAILED)

OnFlowRun = Callable[[FlowRunSeen], None]
OnDue = Callable[[float], None]
Keep = Callable[[Sequence[FlowRunSeen], bool], Awaitable[None]]
Ended = Literal["enough", "time", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """When a watch ends by itself. Both given: what comes first."""

    runs: int = 0  # so many runs of the dataflow are over, those that earlier watches saw included; 0: no such end
    seconds: float | None = None  # so long after it began


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchReport:
    """What a watch has seen. `ended`: enough runs are over, its time is over, or it was stopped from outside."""

    run: str
    flow: str
    flow_runs: tuple[FlowRunSeen, ...]  # all that are known of, the first one first
    failed: tuple[str, ...]  # ids: of those that this watch told of or waited for
    ended: Ended
    waited_for: bool  # whether an end was asked for, and has not come
    journal: str
    due: float | None = None  # when it began: the moment at which the next run was due, seconds since the epoch

    @property
    def exit_code(self) -> int:
        """What the CLI ends with after this: 10 if a run failed, 75 if what was waited for has not come, else 0."""
        if self.failed:
            return RowsMissing.exit_code
        return Interrupted.exit_code if self.waited_for else 0

    def to_json(self) -> dict[str, Any]:
        """The last line of `watch --json` (schema version 1)."""
        return {"schema_version": SCHEMA_VERSION, "watch": "ended", **asdict(self), "exit_code": self.exit_code}


def flow_of(ledger: Ledger) -> str:
    """The id of a run's dataflow. Raises NotThere if there is none yet, UsageError if it is (being) destroyed."""
    refuse_destroyed(ledger)
    outputs = ledger.step(CreateFlow.name).outputs
    if outputs is None:
        raise NotThere(f"run {ledger.run} has no dataflow yet", hint=f"flowledger resume {ledger.run}")
    return str(outputs["id"])


async def watch_flow(
    ledger: Ledger, reader: Reader, redactor: Redactor, keep: Keep, *, until: Until, every: float,
    on_run: OnFlowRun | None, on_due: OnDue | None, place: str,
) -> WatchReport:  # fmt: skip
    """Watch until the end comes, or a halt. `every`: seconds between two looks. Folds what it sees into the ledger.

    `keep(events, patient)` writes events into the journal and may raise JournalHeld: then they are kept with the next
    look's, and it is raised only at the end, where it is to wait for whoever holds the journal. Raises NotThere for a
    dataflow that is gone, NotPermitted, and Unreachable once the platform has been out of reach for as long as the
    spec's `retry.deadline`.
    """
    assert ledger.spec is not None
    flow, clock = flow_of(ledger), reader.clock
    began = clock.monotonic()
    ends_at = None if until.seconds is None else began + until.seconds
    unkept: list[FlowRunSeen] = []
    told: set[str] = set()
    quiet, lost_since, due = 0, None, None
    ended: Ended = "stopped"
    try:
        try:
            live = await reader.ask(Request(method="GET", path=flow_service("/flows", flow)))
        except NotThere as error:
            raise NotThere(
                f"dataflow {flow} of run {ledger.run} is not on the platform any more ({error.message})",
                hint=f"flowledger drift {ledger.run} shows what else is gone",
            ) from None
        schedule = dig(live.json, "items", 0, "scheduleParams")
        due = due_after(schedule, _now(live, ledger, clock))
        if due is not None and on_due is not None:
            on_due(due)
        while True:
            try:
                runs = await flow_runs_of(reader.ask, flow, enough=_known_by(ledger, redactor))
                seen = [seen_as(run, redactor) for run in runs]
                lost_since = None
            except NotServed:
                raise
            except Unreachable:
                seen, lost_since = [], lost_since if lost_since is not None else clock.monotonic()
                if clock.monotonic() - lost_since > ledger.spec.retry.deadline:
                    raise
            news = [event for event in seen if ledger.flow_runs.get(event.id) != event]
            for event in news:
                if on_run is not None:
                    on_run(event)
                ledger.flow_runs[event.id] = event
                told.add(event.id)
            due = due_after(schedule, _now(live, ledger, clock))  # what was seen may be ahead of the clock here
            unkept = await _kept([*unkept, *news], keep)
            if until.runs and len(_over(ledger)) >= until.runs:
                ended = "enough"
                break
            busy = any(event.came == Came.UNDER_WAY for event in ledger.flow_runs.values())
            quiet = 0 if news or busy else quiet + 1
            wait = every * min(1 + quiet, SLOWEST)
            left = wait if ends_at is None else ends_at - clock.monotonic()
            if left <= 0:
                ended = "time"
                break
            await reader.nap(min(wait, left))
    except Interrupted:
        ended = "stopped"
    if unkept:
        await keep(unkept, True)
    over = _over(ledger)
    judged = {*(event.id for event in over[: until.runs]), *told}
    return WatchReport(
        run=ledger.run,
        flow=flow,
        flow_runs=_in_order(ledger),
        failed=tuple(event.id for event in over if event.came == Came.FAILED and event.id in judged),
        ended=ended,
        waited_for=ended != "enough" and (bool(until.runs) or (until.seconds is not None and ended == "stopped")),
        journal=place,
        due=due,
    )


def _now(answer: Answer, ledger: Ledger, clock: Clock) -> float:
    """The platform's time in epoch seconds: an emulator may be ahead, as the runs that it has made then show."""
    seen = [event.created_ms / 1000 for event in ledger.flow_runs.values()]
    return max([date_of(answer) or clock.wall(), *seen])


def _known_by(ledger: Ledger, redactor: Redactor) -> Callable[[Sequence[FlowRun]], bool]:
    """Says when no older flow runs need be read: a page has only such as are over and were seen as they are now, and
    all that were under way have been shown again. A dataflow of every 15 minutes has 35,000 runs a year."""
    under_way = {event.id for event in ledger.flow_runs.values() if event.came == Came.UNDER_WAY}

    def enough(page: Sequence[FlowRun]) -> bool:
        under_way.difference_update(run.id for run in page)
        return not under_way and all(
            run.over and ledger.flow_runs.get(run.id) == seen_as(run, redactor) for run in page
        )

    return enough


def seen_as(run: FlowRun, redactor: Redactor) -> FlowRunSeen:
    """A flow run as the journal keeps it and as people are told of it: no secret that a message may quote."""
    return FlowRunSeen(
        id=run.id,
        status=redactor.redact_text(run.status),
        came=str(run.came),
        rows_in=run.rows_in,
        rows_out=run.rows_out,
        rows_failed=run.rows_failed,
        created_ms=run.created_ms,
        started_ms=run.started_ms,
        completed_ms=run.completed_ms,
        errors=[[redactor.redact_text(code), redactor.redact_text(message)] for code, message in run.errors],
        batches=list(run.batches[:MOST]),
    )


async def _kept(events: list[FlowRunSeen], keep: Keep) -> list[FlowRunSeen]:
    """Keep events; returns those that could not be kept now, because somebody else writes the journal."""
    if not events:
        return []
    try:
        await keep(events, False)
    except JournalHeld:
        return events
    return []


def _in_order(ledger: Ledger) -> tuple[FlowRunSeen, ...]:
    return tuple(sorted(ledger.flow_runs.values(), key=lambda event: (event.created_ms, event.id)))


def _over(ledger: Ledger) -> list[FlowRunSeen]:
    return [event for event in _in_order(ledger) if event.came in FINISHED]
