"""When a dataflow may run: platform-api.md §11 and §4.3, decided before anything is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from flowledger.engine.specfile import judge, spec_from_mapping
from flowledger.errors import SpecError

Changed = Callable[[Mapping[str, Any]], dict[str, Any]]
Faults = Callable[..., tuple[str, ...]]

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ({"frequency": "minute"}, "schedule.interval: missing, and `frequency: minute` needs it"),
        ({"frequency": "hour"}, "schedule.interval: missing, and `frequency: hour` needs it"),
        ({}, "schedule.interval: missing"),
        ({"frequency": "minute", "interval": 14}, "14 is too short for `frequency: minute`; write 15 or more"),
        ({"frequency": "day", "interval": 0}, "0 is too short for `frequency: day`; write 1 or more"),
        ({"frequency": "hour", "interval": -1}, "schedule.interval: -1 is too short"),
        ({"frequency": "week", "interval": 2**31}, "schedule.interval: 2147483648 is too long"),
    ],
)  # fmt: skip
def test_a_periodic_schedule_has_an_interval_that_the_platform_takes(
    faults_of: Faults, schedule: Any, says: str
) -> None:
    faults = faults_of({"schedule": schedule})

    assert len(faults) == 1, faults
    assert says in faults[0]


@pytest.mark.parametrize(("frequency", "interval"), [("minute", 15), ("hour", 15), ("day", 20), ("week", 15)])
def test_fifteen_is_always_enough(changed: Changed, frequency: str, interval: int) -> None:
    spec = spec_from_mapping(changed({"schedule": {"frequency": frequency, "interval": interval}}))

    assert judge(spec) == ()


@pytest.mark.parametrize("frequency", ["hour", "day", "week"])
def test_one_is_enough_but_for_minutes(changed: Changed, frequency: str) -> None:
    spec = spec_from_mapping(changed({"schedule": {"frequency": frequency, "interval": 1}}))

    assert judge(spec) == ()


def test_once_needs_nothing_else(changed: Changed, gone: object) -> None:
    spec = spec_from_mapping(changed({"schedule": {"frequency": "once"}, "source.delta": gone}))

    assert spec.source.delta is None
    assert judge(spec) == ()


def test_once_goes_without_interval_backfill_and_delta(faults_of: Faults) -> None:
    faults = faults_of({"schedule": {"frequency": "once", "interval": 30, "backfill": False}})

    assert sorted(fault.split(": ")[0] for fault in faults) == [
        "schedule.backfill",
        "schedule.interval",
        "source.delta",
    ]
    assert all("does not go with `frequency: once`; leave it out" in fault for fault in faults)


def test_a_periodic_schedule_needs_a_delta_column(faults_of: Faults, gone: object) -> None:
    [fault] = faults_of({"source.delta": gone})

    assert fault.startswith("source.delta: missing, and `frequency: minute` needs it")


def test_a_faulty_frequency_is_not_judged_with_the_interval(faults_of: Faults) -> None:
    [fault] = faults_of({"schedule": {"frequency": "hourly", "interval": 1}})

    assert fault.startswith("schedule.frequency: ")


def test_a_start_in_the_past_is_refused_when_the_time_is_known(faults_of: Faults) -> None:
    [fault] = faults_of({"schedule.start": "1567411548"}, now=NOW)

    assert fault.startswith("schedule.start: 1567411548 has passed")
    assert faults_of({"schedule.start": "1567411548"}) == ()


@pytest.mark.parametrize(("start", "right"), [(NOW + 1, True), (NOW, False), (NOW - 1, False)])
def test_a_start_must_lie_ahead(faults_of: Faults, start: float, right: bool) -> None:
    assert (faults_of({"schedule.start": int(start)}, now=NOW) == ()) is right


def test_a_start_in_milliseconds_is_refused_with_the_seconds(faults_of: Faults) -> None:
    [fault] = faults_of({"schedule.start": 1893456000000}, now=NOW)

    assert "1893456000000 is not in seconds; in seconds it is 1893456000" in fault


def test_a_relative_start_is_kept_as_it_is(changed: Changed) -> None:
    assert spec_from_mapping(changed({"schedule.start": "+2h"}), now=NOW).schedule.start == "+2h"


def test_a_relative_start_of_nothing_is_refused_and_a_short_one_warned_of(changed: Changed, faults_of: Faults) -> None:
    assert "would have passed" in faults_of({"schedule.start": "+0s"})[0]
    assert "is soon" in judge(spec_from_mapping(changed({"schedule.start": "+59s"})))[0]
    assert judge(spec_from_mapping(changed({"schedule.start": "+60s"}))) == ()


def test_an_absurd_moment_is_a_fault_and_not_a_crash(changed: Changed) -> None:
    for start in (
        "0001-01-01T00:00:00+00:00",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "9" * 18,
        "-5",
    ):
        with pytest.raises(SpecError):
            spec_from_mapping(changed({"schedule.start": start}), now=NOW)
