"""When a flow runs, and for which rows: its schedule as due moments and windows (platform-api.md §11)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flowledger.emulator.flow_bodies import whole_number
from flowledger.emulator.run_records import Window

MINUTE_MS: Final = 60_000
PERIODS_MS: Final = {
    "minute": MINUTE_MS,
    "hour": 60 * MINUTE_MS,
    "day": 24 * 60 * MINUTE_MS,
    "week": 7 * 24 * 60 * MINUTE_MS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A flow's schedule, read."""

    start_ms: int
    period_ms: int | None  # None: once
    backfill: bool
    end_ms: int | None = None  # no run is later than this


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a flow's schedule has come: the moment of its latest run, and the end of what that took."""

    ran_ms: int
    taken_ms: int | None = None


def schedule_of(flow: Mapping[str, Any]) -> Schedule | None:
    """The schedule of a flow; None when it has none that can be followed (a draft, a stream)."""
    params = flow.get("scheduleParams")
    if not isinstance(params, dict):
        return None
    start = whole_number(params.get("startTime"), strings=True)
    frequency = params.get("frequency")
    if start is None:
        return None
    if frequency == "once":
        return Schedule(start_ms=start * 1000, period_ms=None, backfill=True)
    interval = whole_number(params.get("interval"), strings=True)
    if frequency not in PERIODS_MS or not interval or interval < 1:
        return None
    backfill = params.get("backfill")
    wanted = backfill.lower() != "false" if isinstance(backfill, str) else backfill is not False
    end = whole_number(params.get("endTime"), strings=True)
    return Schedule(
        start_ms=start * 1000,
        period_ms=PERIODS_MS[frequency] * interval,
        backfill=wanted,
        end_ms=None if end is None else end * 1000,
    )


def next_due(schedule: Schedule, cursor: Cursor | None, *, active_ms: int = 0) -> int | None:
    """When the next run is due, in milliseconds; None when there is none any more.

    Runs are at `start + k * interval`. With backfill the first is at the start; without, one interval later, for what
    appeared since (§11). `active_ms`: since when the flow is enabled; what was due before that is not made up for,
    but a flow that runs once runs as soon as it may.
    """
    if schedule.period_ms is None:
        return None if cursor is not None else max(schedule.start_ms, active_ms)
    first = schedule.start_ms if schedule.backfill else schedule.start_ms + schedule.period_ms
    after = max(first, active_ms) if cursor is None else max(first, active_ms, cursor.ran_ms + 1)
    steps = -(-(after - schedule.start_ms) // schedule.period_ms)
    moment = schedule.start_ms + steps * schedule.period_ms
    return None if schedule.end_ms is not None and moment > schedule.end_ms else moment


def window_at(schedule: Schedule, cursor: Cursor | None, due_ms: int, *, end_inclusive: bool = False) -> Window:
    """Which rows the run at `due_ms` takes: from where the one before stopped, to the moment itself.

    A window that follows one that held its end (U25) begins a millisecond later, so that nothing is read twice.
    """
    if schedule.period_ms is None:
        return Window(type="one-time")
    if cursor is not None and cursor.taken_ms is not None:
        return Window(start_ms=cursor.taken_ms + (1 if end_inclusive else 0), end_ms=due_ms)
    return Window(start_ms=None if schedule.backfill else schedule.start_ms, end_ms=due_ms)
