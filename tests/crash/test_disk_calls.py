"""Deaths that belong to no step: at every call to the disk, while a journal is opened, mended, written and closed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from crashmatrix.cells import EACH, Cell, Of
from crashmatrix.fates import FATES
from crashmatrix.living import to_the_end
from crashmatrix.machine import DIRECTORY, Died
from crashmatrix.points import Crash, Death
from crashmatrix.styles import STYLES, TUTORIAL
from crashmatrix.verdict import check
from crashmatrix.world import World
from flowledger.engine.report import Report
from flowledger.errors import Rejected
from flowledger.steps.client.inprocess import Moment

pytestmark = pytest.mark.timeout(900)  # a test is up to 300 cells, and the machine may be busy

ANSWERED = FATES["answered"]
deaths = pytest.mark.parametrize("death", [Death.KILLED, Death.LOST], ids=["killed", "power_cut"])


def _die_at_call(world: World, stage: str, number: int, death: Death) -> Callable[[], bool]:
    """Let the process die before its n-th call to the disk within a stage; the result tells whether it came to that."""
    calls = itertools.count(1)
    died = False

    def count(what: str) -> None:
        nonlocal died
        if world.stage == stage and next(calls) == number:
            died = True
            world.on_call_hook = None
            world.stage = "dying"  # here something may be unsynced, and the death says what becomes of it
            world.die(death)

    world.on_call_hook = count
    return lambda: died


def _die_at_moment(world: World, moment: Moment, number: int) -> None:
    """Let the process die at that moment of its n-th call to the platform."""
    calls = itertools.count(1)

    def die(here: Moment, request: Any) -> None:
        if here is moment and next(calls) == number:
            world.on_moment_hook = None
            world.die()

    world.on_moment_hook = die


def _every_call(stage: str, death: Death, begin: Callable[[], World]) -> Iterator[tuple[World, int]]:
    """Worlds in which a process has died at the first, second, ... call of a stage, until there is no such call."""
    for number in itertools.count(1):
        world = begin()
        died = _die_at_call(world, stage, number, death)
        world.sit()
        if not died():
            assert number > 2, f"only {number} calls to the disk in {stage}"
            return
        yield world, number


def _ends_with_one_of_everything(world: World, step: str, number: int) -> None:
    cell = Cell(step=step, style=world.style, fate=ANSWERED)
    try:
        check(world, to_the_end(world, cell), cell)
    except AssertionError as failure:
        raise AssertionError(f"after a death at call {number}: {failure}") from failure


@deaths
def test_a_journal_whose_making_was_broken_off_anywhere_is_made_at_the_next_start(death: Death) -> None:
    """Crash points 1 and 2, at the very first start."""
    for world, number in _every_call("opening", death, World):
        assert world.sends == 0
        _ends_with_one_of_everything(world, "create_flow", number)


def _torn(step: str, point: int, fate: str = "answered", style: str = TUTORIAL) -> Callable[[], World]:
    def begin() -> World:
        world = World(style=style)
        world.set_fate(step, FATES[fate])
        outcome = world.sit(Crash(point=point, step=step, death=Death.TORN))
        assert isinstance(outcome, Died)
        assert world.hits
        return world

    return begin


@deaths
@pytest.mark.parametrize(
    ("point", "fate"),
    [
        pytest.param(5, "answered", id="intent"),
        pytest.param(13, "answered", id="outcome"),
        pytest.param(17, "committed, answer lost", id="adoption", marks=pytest.mark.long),
        pytest.param(22, "lost before commit", id="last_look", marks=pytest.mark.long),
    ],
)
def test_a_torn_end_whose_mending_is_broken_off_anywhere_is_mended_at_the_next_start(
    death: Death, point: int, fate: str
) -> None:
    """Crash points 1, 2 and 3, with each kind of record torn."""
    for world, number in _every_call("opening", death, _torn("create_dataset", point, fate)):
        _ends_with_one_of_everything(world, "create_dataset", number)
        kept = [name for name in world.disk.names(DIRECTORY) if ".torn-" in name]
        if death is Death.KILLED:  # a power cut may take with it what would have been cut off
            assert kept, "what was cut off is kept beside the journal"


@pytest.mark.long
@pytest.mark.parametrize("point", [5, 13], ids=["intent", "outcome"])
@pytest.mark.parametrize("of", EACH, ids=str)
def test_a_torn_intent_or_outcome_of_any_step_is_mended_from_anywhere(of: Of, point: int) -> None:
    for world, number in _every_call("opening", Death.KILLED, _torn(of.step, point, style=of.style)):
        _ends_with_one_of_everything(world, of.step, number)


@deaths
def test_a_death_in_close_loses_nothing(death: Death) -> None:
    """Crash point 26, after a run that is provisioned."""
    for world, _ in _every_call("closing", death, World):
        durable = {document["kind"] for document in world.read()}
        assert "run_provisioned/1" in durable
        report = world.sit()
        assert isinstance(report, Report)
        check(world, report, Cell(step="create_flow", fate=ANSWERED))


@deaths
def test_a_death_in_close_after_a_refusal_loses_nothing(death: Death) -> None:
    """Crash point 26, after a run that stopped half way."""

    def begin() -> World:
        world = World()
        world.set_fate("create_dataset", FATES["own 4xx"])
        return world

    for world, number in _every_call("closing", death, begin):
        assert "run_stopped/1" in {document["kind"] for document in world.read()}
        _ends_with_one_of_everything(world, "create_dataset", number)
    world = begin()
    assert isinstance(world.sit(), Rejected)


@pytest.mark.long
@deaths
@pytest.mark.parametrize("style", STYLES)
def test_a_death_at_any_call_to_the_disk_is_mended(style: str, death: Death) -> None:
    """No list of points can have forgotten one: the process dies before each call that it makes to the disk."""
    for world, number in _every_call("running", death, lambda: World(style=style)):
        _ends_with_one_of_everything(world, "create_flow", number)


@pytest.mark.long
@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("style", STYLES)
def test_a_death_at_any_moment_of_any_call_to_the_platform_is_mended(style: str, moment: Moment) -> None:
    for number in itertools.count(1):
        world = World(style=style)
        _die_at_moment(world, moment, number)
        if not isinstance(world.sit(), Died):
            assert number > 12, "an undisturbed run makes more calls than that"
            return
        _ends_with_one_of_everything(world, "create_flow", number)
