"""What others do meanwhile changes nothing of the promise, for every step of both styles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from crashmatrix import others
from crashmatrix.cells import EACH, Of
from crashmatrix.others import Scene, run_scene, run_waiting
from crashmatrix.styles import EFFECTS
from crashmatrix.world import World

pytestmark = pytest.mark.timeout(900)  # a test is up to 300 cells, and the machine may be busy

Scenes = Callable[[Of], Iterator[Scene]]
TITLED = [of for of in EACH if EFFECTS[of.step].titled]
NAMED = [of for of in EACH if EFFECTS[of.step].of_flow_service]
UNTITLED = [of for of in EACH if not EFFECTS[of.step].titled and of.step != "find_or_create_sink"]
FOR_ALL: dict[str, Scenes] = {
    "a machine that stands still": others.stall_scenes,
    "a clock that jumps": others.clock_scenes,
    "a second apply at once": others.second_apply_scenes,
    "a third party that meddles": others.meddling_scenes,
}


def all_hold(scenes: Iterable[Scene], run: Callable[[Scene], World] = run_scene) -> int:
    failures: list[str] = []
    number = 0
    for number, scene in enumerate(scenes, 1):  # noqa: B007 - the last number is the count
        try:
            run(scene)
        except AssertionError as failure:
            failures.append(str(failure))
    assert number, "no cell was run"
    assert not failures, f"{len(failures)} of {number} cells do not hold:\n" + "\n".join(failures[:20])
    return number


@pytest.mark.parametrize("name", FOR_ALL)
def test_nothing_that_others_do_makes_a_second_one(name: str) -> None:
    """A slice."""
    for of in EACH[:: len(EACH) // 2]:
        all_hold(list(FOR_ALL[name](of))[::17])


@pytest.mark.long
@pytest.mark.parametrize("of", EACH, ids=str)
@pytest.mark.parametrize("name", FOR_ALL)
def test_nothing_that_others_do_to_any_step_makes_a_second_one(name: str, of: Of) -> None:
    all_hold(FOR_ALL[name](of))


@pytest.mark.parametrize("of", TITLED, ids=str)
def test_a_twin_of_a_title_check_that_is_not_atomic_is_reported(of: Of) -> None:
    scenes = list(others.racy_title_scenes(of))
    world = run_scene(scenes[0])
    assert world.made[EFFECTS[of.step].kind] > 1, "the platform has refused the second one, so nothing was tried"


@pytest.mark.long
@pytest.mark.parametrize("of", TITLED, ids=str)
def test_a_twin_of_a_title_check_that_is_not_atomic_is_reported_after_any_death(of: Of) -> None:
    all_hold(others.racy_title_scenes(of))


@pytest.mark.parametrize("of", [NAMED[0], NAMED[-1]], ids=str)
def test_where_a_second_name_is_refused_our_own_object_is_no_obstacle(of: Of) -> None:
    """A slice."""
    all_hold(list(others.unique_name_scenes(of))[::-13])


@pytest.mark.long
@pytest.mark.parametrize("of", NAMED, ids=str)
def test_where_a_second_name_is_refused_everything_ends_as_it_does_elsewhere(of: Of) -> None:
    all_hold(others.unique_name_scenes(of))


@pytest.mark.parametrize("of", UNTITLED, ids=str)
def test_a_namesake_of_something_else_is_neither_taken_nor_mistaken_for_ours(of: Of) -> None:
    all_hold(others.namesake_scenes(of))


@pytest.mark.long
@pytest.mark.parametrize("of", EACH, ids=str)
def test_a_second_process_that_waited_for_the_lock_acts_on_what_it_reads_then(of: Of) -> None:
    """Protocol rule 7. (Cells without a death of the first: it ends, and the second has nothing to do.)"""
    all_hold(others.waiting_scenes(of), run_waiting)


def test_a_second_process_that_waits_while_the_first_dies_goes_on_where_that_was() -> None:
    all_hold(list(others.waiting_scenes(EACH[6]))[::9], run_waiting)
