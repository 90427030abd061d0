"""Deaths while a death is being mended: all pairs for one step of each kind, and three sends in a row for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from crashmatrix.cells import ONE_OF_EACH_KIND, PAIR_FATES, Cell, check, pair_cells, prepared, to_the_end, triple_cells
from crashmatrix.fates import FATES, RequestFate
from crashmatrix.points import Crash
from crashmatrix.traps import STEPS

pytestmark = pytest.mark.timeout(900)  # a test is up to 300 cells, and the machine may be busy

Run = Callable[[Iterable[Cell]], int]


def test_a_second_death_anywhere_is_mended_like_the_first(all_hold: Run) -> None:
    """A slice: every ninth pair of a silent kind whose answer was lost."""
    all_hold(list(pair_cells("create_dataset", FATES["committed, answer lost"]))[::9])


@pytest.mark.long
@pytest.mark.parametrize("fate", [FATES[name] for name in PAIR_FATES], ids=lambda fate: fate.name.replace(" ", "_"))
@pytest.mark.parametrize("step", ONE_OF_EACH_KIND)
def test_after_every_pair_of_deaths_there_is_exactly_one(step: str, fate: RequestFate, all_hold: Run) -> None:
    """For mapping sets the platform keeps no name here: the weakest of all finders."""
    all_hold(pair_cells(step, fate, echo_names=step != "create_mapping_set"))


@pytest.mark.parametrize("step", STEPS[::4])
def test_three_sends_that_each_end_in_a_death_make_exactly_one(step: str, all_hold: Run) -> None:
    all_hold(triple_cells(step))


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_three_sends_that_each_end_in_a_death_make_exactly_one_of_every_kind(step: str, all_hold: Run) -> None:
    all_hold(triple_cells(step))


@pytest.mark.parametrize("death", [None, 4, 14, 19, 20], ids=str)
@pytest.mark.parametrize("step", STEPS)
def test_a_refusal_of_the_second_attempt_does_not_settle_the_first(step: str, death: int | None) -> None:
    """Protocol rule 6: the first takes effect, too late, while the second waits to be sent again. It is adopted."""
    cell = Cell(step=step, fate=FATES["commits later than G"])
    world = prepared(cell)
    world.set_fate(step, FATES["429 with Retry-After"])
    crashes = (Crash(point=death, step=step),) if death else ()
    report = to_the_end(world, replace(cell, crashes=crashes))
    assert world.hits == list(crashes)
    check(world, report, Cell(step=step, fate=FATES["answered"]))
