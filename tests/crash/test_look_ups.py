"""Whatever look-ups show or hide: one object, adopted by its id, or a refusal, or a report of what is too much."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from crashmatrix.cells import Cell, look_up_cells
from crashmatrix.traps import STEPS

Run = Callable[[Iterable[Cell]], int]


@pytest.mark.parametrize("step", STEPS)
def test_a_lost_answer_is_settled_whatever_the_look_ups_show(step: str, all_hold: Run) -> None:
    all_hold(cell for cell in look_up_cells(step) if not cell.crashes)


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_a_death_during_any_look_up_changes_nothing_of_that(step: str, all_hold: Run) -> None:
    all_hold(cell for cell in look_up_cells(step) if cell.crashes)
