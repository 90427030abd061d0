"""Whatever look-ups show or hide: one object, adopted by its id, or a refusal, or a report of what is too much."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from crashmatrix.cells import Cell, look_up_cells, look_up_deaths
from crashmatrix.traps import STEPS

pytestmark = pytest.mark.timeout(900)  # a test is up to 300 cells, and the machine may be busy

Run = Callable[[Iterable[Cell]], int]


@pytest.mark.parametrize("step", STEPS)
def test_a_lost_answer_is_settled_whatever_the_look_ups_show(step: str, all_hold: Run) -> None:
    all_hold(look_up_cells(step))


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_a_death_during_any_look_up_changes_nothing_of_that(step: str, all_hold: Run) -> None:
    all_hold(look_up_deaths(step))
