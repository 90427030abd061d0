"""A process with several runs dies anywhere: one of what they share, and one of everything else for each."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from crashmatrix.fleet import FleetWorld, check_fleet, to_the_end
from crashmatrix.machine import Died
from crashmatrix.points import Death
from crashmatrix.styles import STYLES
from flowledger.steps.client.inprocess import Moment

pytestmark = pytest.mark.timeout(900)  # a test is up to 300 cells, and the machine may be busy

styles = pytest.mark.parametrize("style", STYLES)
deaths = pytest.mark.parametrize("death", [Death.KILLED, Death.LOST], ids=["killed", "power_cut"])


def die_at_disk(world: FleetWorld, number: int, death: Death) -> None:
    """Let the process die before its n-th call to the disk."""
    calls = itertools.count(1)

    def count(what: str) -> None:
        if world.stage == "running" and next(calls) == number:
            world.on_call_hook = None
            world.stage = "dying"  # here something may be unsynced, and the death says what becomes of it
            world.die(death)

    world.on_call_hook = count


def die_at_moment(world: FleetWorld, number: int, moment: Moment) -> None:
    """Let the process die at that moment of its n-th call to the platform."""
    calls = itertools.count(1)

    def die(here: Moment, request: Any) -> None:
        if here is moment and next(calls) == number:
            world.on_moment_hook = None
            world.die()

    world.on_moment_hook = die


def holds(style: str, number: int, arm: Callable[[FleetWorld, int], None]) -> bool:
    """Whether the process died there; then, that the next ones end with one of everything."""
    world = FleetWorld(style=style)
    arm(world, number)
    if not isinstance(world.sit(), Died):
        return False
    try:
        to_the_end(world, number)
        check_fleet(world)
    except AssertionError as failure:
        raise AssertionError(f"{style}: after a death at call {number}: {failure}") from failure
    return True


def test_several_runs_end_with_one_of_what_they_share() -> None:
    world = FleetWorld(style="tutorial")
    to_the_end(world, 0)
    check_fleet(world)


@styles
def test_several_runs_that_die_at_the_disk_end_with_one_of_what_they_share(style: str) -> None:
    """A slice."""
    for number in range(2, 90, 23):
        assert holds(style, number, lambda world, at: die_at_disk(world, at, Death.LOST))


@pytest.mark.long
@deaths
@styles
def test_several_runs_that_die_at_any_call_to_the_disk_end_with_one_of_what_they_share(
    style: str, death: Death
) -> None:
    for number in itertools.count(1):
        if not holds(style, number, lambda world, at: die_at_disk(world, at, death)):
            assert number > 60, f"only {number} calls to the disk"
            return


@pytest.mark.long
@pytest.mark.parametrize("moment", [Moment.CHECKED, Moment.HANDED_OVER, Moment.COMMITTED])
@styles
def test_several_runs_that_die_at_any_call_to_the_platform_end_with_one_of_what_they_share(
    style: str, moment: Moment
) -> None:
    for number in itertools.count(1):
        if not holds(style, number, lambda world, at: die_at_moment(world, at, moment)):
            assert number > 40, f"only {number} calls to the platform"
            return
