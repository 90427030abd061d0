"""Deaths while a death is being mended: all pairs, and three sends in a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from crashmatrix.cells import EACH, ONE_OF_EACH_KIND, PAIR_FATES, Cell, Of, pair_fates, triple_cells
from crashmatrix.fates import FATES, RequestFate
from crashmatrix.living import pair_cells, prepared, to_the_end
from crashmatrix.points import Crash
from crashmatrix.verdict import check

pytestmark = pytest.mark.timeout(900)  # a test is up to 300 cells, and the machine may be busy

Run = Callable[[Iterable[Cell]], int]


def test_a_second_death_anywhere_is_mended_like_the_first(all_hold: Run) -> None:
    """A slice: every ninth pair of a silent kind whose answer was lost."""
    all_hold(list(pair_cells(Of("tutorial", "create_dataset"), FATES["committed, answer lost"]))[::9])


def pairs_of(of: Of, name: str) -> Any:
    """A step and a fate; .ci/run takes every fate for one step of each kind, and one for the others."""
    marks = () if name == PAIR_FATES[0] or of.step in ONE_OF_EACH_KIND else (pytest.mark.prove,)
    return pytest.param(of, FATES[name], id=f"{of}-{name.replace(' ', '_')}", marks=marks)


@pytest.mark.long
@pytest.mark.parametrize(("of", "fate"), [pairs_of(of, name) for of in EACH for name in pair_fates(of)])
def test_after_every_pair_of_deaths_there_is_exactly_one(of: Of, fate: RequestFate, all_hold: Run) -> None:
    """For mapping sets the platform keeps no name here: the weakest of all finders."""
    all_hold(pair_cells(of, fate, echo_names=of.step != "create_mapping_set"))


@pytest.mark.parametrize("of", EACH[::8], ids=str)
def test_three_sends_that_each_end_in_a_death_make_exactly_one(of: Of, all_hold: Run) -> None:
    all_hold(triple_cells(of))


@pytest.mark.long
@pytest.mark.parametrize("of", EACH, ids=str)
def test_three_sends_that_each_end_in_a_death_make_exactly_one_of_every_kind(of: Of, all_hold: Run) -> None:
    all_hold(triple_cells(of))


@pytest.mark.parametrize("death", [None, 4, 14, 19, 20], ids=str)
@pytest.mark.parametrize("of", EACH, ids=str)
def test_a_refusal_of_the_second_attempt_does_not_settle_the_first(of: Of, death: int | None) -> None:
    """Protocol rule 6: the first takes effect, too late, while the second waits to be sent again. It is adopted."""
    step = of.step
    cell = Cell(step=step, style=of.style, fate=FATES["commits later than G"])
    world = prepared(cell)
    world.set_fate(step, FATES["429 with Retry-After"])
    crashes = (Crash(point=death, step=step),) if death else ()
    report = to_the_end(world, replace(cell, crashes=crashes))
    assert world.hits == list(crashes)
    check(world, report, Cell(step=step, style=of.style, fate=FATES["answered"]))
