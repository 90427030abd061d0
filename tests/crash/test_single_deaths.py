"""One death at every point of every step, whatever becomes of the call: the next start ends with one of everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from crashmatrix.cells import (
    EACH,
    ONE_OF_EACH_KIND,
    Cell,
    Of,
    can_happen,
    per_step_points,
    reboot_cells,
    single_cells,
)
from crashmatrix.fates import REQUEST_FATES
from crashmatrix.living import run_cell
from crashmatrix.points import POINTS, Crash, CrashPoint, Death
from crashmatrix.styles import STYLES, TUTORIAL

pytestmark = pytest.mark.timeout(900)  # a test is up to 300 cells, and the machine may be busy

Run = Callable[[Iterable[Cell]], int]
each_step = pytest.mark.parametrize("of", EACH, ids=str)
each_point = pytest.mark.parametrize("point", per_step_points(), ids=lambda point: f"at_{point.number}")


def _a_few(of: Of, point: CrashPoint, number: int = 1) -> list[Cell]:
    """Some of the cells, others for each step, so that together they go through all fates and deaths."""
    cells = list(single_cells(of, point))
    begin = EACH.index(of) * 7 + POINTS.index(point) * 3
    return [cells[(begin + 13 * turn) % len(cells)] for turn in range(number)]


@pytest.mark.parametrize(
    "of",
    [
        of if of.style == TUTORIAL and of.step in ONE_OF_EACH_KIND else pytest.param(of, marks=pytest.mark.long)
        for of in EACH
    ],
    ids=str,
)
def test_a_step_without_a_death_is_taken_once_whatever_becomes_of_its_call(of: Of, all_hold: Run) -> None:
    assert all_hold(Cell(step=of.step, style=of.style, fate=fate) for fate in REQUEST_FATES) == len(REQUEST_FATES)


@each_step
def test_after_a_death_anywhere_the_next_start_ends_with_exactly_one(of: Of, all_hold: Run) -> None:
    """A slice through the matrix: every point of the step, one of its cells each."""
    all_hold(cell for point in per_step_points() for cell in _a_few(of, point))


@pytest.mark.long
@each_step
@each_point
def test_after_every_death_with_every_fate_the_next_start_ends_with_exactly_one(
    of: Of, point: CrashPoint, all_hold: Run
) -> None:
    all_hold(single_cells(of, point))


@pytest.mark.long
@each_step
@each_point
def test_after_the_machine_died_the_window_begins_again_and_ends_with_exactly_one(
    of: Of, point: CrashPoint, all_hold: Run
) -> None:
    """Another boot: readings of the monotonic clock do not compare (protocol rule 13)."""
    cells = list(reboot_cells(of, point))
    if cells:
        all_hold(cells)
    else:  # something is unsynced there: those cells are singles; or no fate of the kinds that are taken passes it
        assert Death.KILLED not in point.deaths


@pytest.mark.long
@pytest.mark.parametrize("style", STYLES)
@each_point
def test_a_mapping_set_whose_name_the_platform_does_not_keep_is_found_by_its_content(
    style: str, point: CrashPoint, all_hold: Run
) -> None:
    all_hold(single_cells(Of(style, "create_mapping_set"), point, echo_names=False))


@pytest.mark.long
@pytest.mark.parametrize("step", ["create_target_schema", "create_dataset"])
@each_point
def test_a_point_that_the_matrix_leaves_out_for_a_fate_is_not_passed(step: str, point: CrashPoint) -> None:
    """The other half of reachability: what is not in the matrix cannot happen (what is in it is asserted there)."""
    for fate in REQUEST_FATES:
        if not can_happen(point, fate):
            world = run_cell(
                Cell(step=step, fate=fate, crashes=(Crash(point=point.number, step=step),)), must_hit=False
            )
            assert not world.hits, f"{point} was met by {step}: {fate.name}"
