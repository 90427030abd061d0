"""Whatever look-ups show or hide: one object, adopted by its id, or a refusal, or a report of what is too much."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from crashmatrix.cells import EACH, Cell, Of, look_up_cells
from crashmatrix.living import look_up_deaths

pytestmark = pytest.mark.timeout(900)  # a test is up to 300 cells, and the machine may be busy

Run = Callable[[Iterable[Cell]], int]


@pytest.mark.parametrize("of", EACH, ids=str)
def test_a_lost_answer_is_settled_whatever_the_look_ups_show(of: Of, all_hold: Run) -> None:
    all_hold(look_up_cells(of))


@pytest.mark.long
@pytest.mark.parametrize("of", EACH, ids=str)
def test_a_death_during_any_look_up_changes_nothing_of_that(of: Of, all_hold: Run) -> None:
    all_hold(look_up_deaths(of))
