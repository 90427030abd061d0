"""A destroy that dies anywhere leaves nothing of the run on the platform, and everything of everybody else."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from crashmatrix.cells import EACH, Cell, Of
from crashmatrix.destroying import destroy_cells, open_cells, run_destroy_cell
from crashmatrix.fates import RequestFate

pytestmark = pytest.mark.timeout(900)  # a test is up to 300 cells, and the machine may be busy


def _all_hold(cells: Iterable[tuple[Cell, RequestFate]]) -> None:
    failures: list[str] = []
    number = 0
    for number, (cell, delete) in enumerate(cells, 1):  # noqa: B007 - the last number is the count
        try:
            run_destroy_cell(cell, delete)
        except AssertionError as failure:
            failures.append(str(failure))
    assert number, "no cell was run"
    assert not failures, f"{len(failures)} of {number} cells do not hold:\n" + "\n".join(failures[:20])


@pytest.mark.parametrize("of", EACH[::5], ids=str)
def test_a_destroy_that_died_is_carried_on_by_the_next_and_nothing_is_left(of: Of) -> None:
    """A slice."""
    _all_hold(list(destroy_cells(of))[EACH.index(of) :: 19])


@pytest.mark.long
@pytest.mark.parametrize("of", EACH, ids=str)
def test_a_destroy_that_died_at_any_of_its_points_is_carried_on_by_the_next_and_nothing_is_left(of: Of) -> None:
    """Crash points 23, 24 and 25, for every step that makes something, whatever becomes of its delete."""
    _all_hold(destroy_cells(of))


@pytest.mark.long
@pytest.mark.parametrize("of", EACH, ids=str)
def test_a_run_that_died_anywhere_is_destroyed_and_nothing_is_left(of: Of) -> None:
    _all_hold(open_cells(of))
