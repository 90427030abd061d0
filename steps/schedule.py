"""When a dataflow runs, as the Flow Service wants to be told: integers, seconds, and never in the past."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from flowledger.errors import SpecError
from flowledger.steps.client.port import Json
from flowledger.steps.spec import Spec

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PERIODS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}  # seconds; `once` has none
_LEAST = {"minute": 15, "hour": 1, "day": 1, "week": 1}  # platform-api.md §11


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """How often it runs. `interval` counts `frequency` units; None for `once`."""

    frequency: str
    interval: int | None
    backfill: bool | None

    def params(self) -> dict[str, Json]:
        """`scheduleParams` without the start."""
        optional = {"interval": self.interval, "backfill": self.backfill}
        return {"frequency": self.frequency, **{key: value for key, value in optional.items() if value is not None}}


def cadence_of(spec: Spec) -> Cadence:
    """The spec's cadence with defaults filled in: the shortest interval that the platform allows."""
    schedule = spec.schedule
    if schedule.frequency == "once":
        return Cadence(frequency="once", interval=None, backfill=None)
    interval = schedule.interval if schedule.interval is not None else _LEAST[schedule.frequency]
    return Cadence(frequency=schedule.frequency, interval=interval, backfill=schedule.backfill)


def absolute_start(spec: Spec) -> int | None:
    """The start in epoch seconds if the spec fixes it, None if it counts from the moment of asking."""
    start = spec.schedule.start
    if isinstance(start, int):
        return start
    return int(start) if start.isdigit() else None


def due_after(params: Json, now: float) -> float | None:
    """When a dataflow runs next after `now` by its `scheduleParams`; both in epoch seconds.

    None where it does not run again, or its schedule cannot be read: a service may show it in another way.
    """
    try:
        start, frequency = float(params["startTime"]), params["frequency"]
        if now < start:
            return start
        period = _PERIODS[frequency] * float(params["interval"])
        return start + (math.floor((now - start) / period) + 1) * period if period > 0 else None
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def start_time(spec: Spec, wall: float) -> int:
    """The start in epoch seconds, asked for at `wall` (epoch seconds).

    Raises SpecError if it has passed: the platform would refuse it (1360-400, T2).
    """
    fixed = absolute_start(spec)
    if fixed is not None:
        if fixed <= wall:
            raise SpecError(
                f"the schedule's start {fixed} has passed: it is {int(wall)} now",
                faults=(f"schedule.start: {fixed} has passed; a start must lie ahead, like +10m",),
                hint=f"flowledger resume {spec.name} --start +10m",
            )
        return fixed
    relative = re.fullmatch(r"\+([0-9]+)([smhd])", str(spec.schedule.start))
    if relative is None:
        raise SpecError(
            f"the schedule's start {spec.schedule.start!r} is not a time",
            faults=(f"schedule.start: {spec.schedule.start!r} is neither epoch seconds nor like +10m",),
            hint="write +<number>s, m, h or d, or epoch seconds",
        )
    return int(wall) + int(relative[1]) * _SECONDS[relative[2]]
