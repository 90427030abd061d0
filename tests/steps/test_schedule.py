"""Schedules: integers, seconds, ahead of now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.errors import SpecError
from flowledger.steps.schedule import cadence_of, start_time
from flowledger.steps.spec import Schedule, Spec

NOW = 1_800_000_000.5


@pytest.mark.parametrize(("start", "seconds"), [("+30s", 30), ("+10m", 600), ("+2h", 7200), ("+1d", 86400)])
def test_a_relative_start_counts_from_the_moment_of_asking(
    make_spec: Callable[..., Spec], start: str, seconds: int
) -> None:
    spec = make_spec(schedule=Schedule(start=start))
    assert start_time(spec, NOW) == 1_800_000_000 + seconds
    assert start_time(spec, NOW + 60) == 1_800_000_060 + seconds


@pytest.mark.parametrize("start", [1_800_000_001, "1800000001"])
def test_a_fixed_start_is_sent_as_an_integer(make_spec: Callable[..., Spec], start: Any) -> None:
    assert start_time(make_spec(schedule=Schedule(start=start)), NOW) == 1_800_000_001


def test_a_fixed_start_that_has_passed_is_refused_with_the_command_that_helps(make_spec: Callable[..., Spec]) -> None:
    with pytest.raises(SpecError, match="has passed") as refused:
        start_time(make_spec(schedule=Schedule(start=1_567_411_548)), NOW)
    assert refused.value.hint == "flowledger resume paypal-products --start +10m"


def test_a_start_that_is_no_time_is_refused(make_spec: Callable[..., Spec]) -> None:
    with pytest.raises(SpecError, match="not a time"):
        start_time(make_spec(schedule=Schedule(start="tomorrow")), NOW)


def test_once_has_neither_interval_nor_backfill(make_spec: Callable[..., Spec]) -> None:
    spec = make_spec(schedule=Schedule(frequency="once", interval=15, backfill=True))
    assert cadence_of(spec).params() == {"frequency": "once"}


def test_the_interval_is_the_shortest_allowed_one_unless_given(make_spec: Callable[..., Spec]) -> None:
    assert cadence_of(make_spec(schedule=Schedule())).params() == {"frequency": "minute", "interval": 15}
    assert cadence_of(make_spec(schedule=Schedule(frequency="day", backfill=False))).params() == {
        "frequency": "day",
        "interval": 1,
        "backfill": False,
    }
    assert cadence_of(make_spec(schedule=Schedule(interval=30))).interval == 30
