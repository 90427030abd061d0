"""How a cell is lived through: its deaths, the sittings after them, and what can be died next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from crashmatrix import verdict
from crashmatrix.cells import PAIR_DEATHS, Cell, Of, look_up_cells, per_step_points, single_cells
from crashmatrix.fates import RequestFate
from crashmatrix.machine import Died
from crashmatrix.points import Crash
from crashmatrix.styles import EFFECTS, MADE_ONCE
from crashmatrix.world import World
from flowledger.engine.ledger import RunState
from flowledger.engine.report import Report
from flowledger.errors import Conflict, JournalError, Rejected, TryLater

SPARE_SITTINGS: Final = 3  # more than the deaths: the platform's own refusal ends one, patience may end others


def second_deaths(cell: Cell) -> list[Crash]:
    """Every death of the same step that the sittings after the cell's own death pass: those that can come next."""
    every = [
        Crash(point=point.number, step=cell.step, death=death)
        for point in per_step_points()
        for death in point.deaths
        if death in PAIR_DEATHS
    ]
    return run_watched(cell, every)


def run_watched(cell: Cell, watched: list[Crash]) -> list[Crash]:
    """Which of these deaths could be died in the sittings after the cell's own deaths."""
    world = prepared(cell)
    if cell.crashes:
        (crash,) = cell.crashes
        assert isinstance(world.sit(crash), (Died, JournalError))
        assert world.hits, f"{cell}: the first death was not met"
        world.time.advance(cell.fate.down)
    world.watched = watched
    if cell.look_up is not None and cell.look_up.ends == "conflict":
        world.sit()
    else:
        to_the_end(world, replace(cell, crashes=()))
    return world.passed


def prepared(cell: Cell) -> World:
    """The world in which the cell begins."""
    world = World(style=cell.style, echo_names=cell.echo_names)
    for option, value in cell.options:
        setattr(world.emulator.options, option, value)
    world.set_fate(cell.step, cell.fate)
    if cell.look_up is not None:
        world.set_look_up_fate(cell.step, cell.look_up)
    return world


def pair_cells(of: Of, fate: RequestFate, *, echo_names: bool = True) -> Iterator[Cell]:
    """Every cell in which the step dies, and dies again while the next sitting mends that."""
    for point in per_step_points():
        for single in single_cells(of, point, echo_names=echo_names):
            if single.fate is fate and single.crashes[0].death in PAIR_DEATHS:
                for second in second_deaths(single):
                    yield replace(single, crashes=(*single.crashes, second))


def look_up_deaths(of: Of) -> Iterator[Cell]:
    """The same with a death at each point that a sitting passes in which this happens."""
    watched = [Crash(point=number, step=of.step) for number in (9, 10, 12, 14, 15, 16, 17, 18, 19)]
    for cell in look_up_cells(of):
        for crash in run_watched(cell, watched):
            yield replace(cell, crashes=(crash,))


def run_cell(cell: Cell, *, must_hit: bool = True) -> World:
    """Live through the cell's deaths, resume until the end, and check everything. AssertionError names the cell."""
    world = prepared(cell)
    try:
        if cell.look_up is not None and cell.look_up.ends == "conflict":
            _refuse(world, cell)
            return world
        report = to_the_end(world, cell)
        if must_hit:
            assert world.hits == list(cell.crashes), f"only these deaths were met: {[str(hit) for hit in world.hits]}"
        verdict.check(world, report, cell)
    except AssertionError as failure:
        raise AssertionError(f"{cell}: {failure}") from failure
    return world


def to_the_end(world: World, cell: Cell) -> Report:
    """Start processes until one ends with the run provisioned; each crash is armed until it has been met."""
    left, fates = list(cell.crashes), list(cell.later)
    for _ in range(len(left) + SPARE_SITTINGS + 1):
        hits = len(world.hits)
        outcome = world.sit(left[0] if left else None)
        if len(world.hits) > hits:
            left.pop(0)
        match outcome:
            case Report():
                assert outcome.state is RunState.PROVISIONED, outcome.state
                return outcome
            case Died() | JournalError():
                assert len(world.hits) > hits, f"ended by itself: {outcome}"
                world.time.advance(cell.fate.down)
                if fates:
                    world.set_fate(cell.step, fates.pop(0))
            case TryLater() | Rejected():
                world.time.wrong_by = 0.0  # a start in the platform's past is refused until somebody sets the clock
            case _:
                raise AssertionError(f"a sitting ended with {type(outcome).__name__}: {outcome}") from outcome
    raise AssertionError(f"no end after {world.sittings} sittings")


def _refuse(world: World, cell: Cell) -> None:
    """What carries our marker is not what the run needs: every sitting says so, and nothing is made beside it."""
    left = list(cell.crashes)
    for _ in range(len(cell.crashes) + 1):
        hits = len(world.hits)
        outcome = world.sit(left[0] if left else None)
        if len(world.hits) > hits:
            left.pop(0)
    assert isinstance(outcome, Conflict), f"no conflict: {outcome!r}"
    kind = EFFECTS[cell.step].kind
    assert world.made[kind] <= MADE_ONCE[cell.style][kind], f"{world.made[kind]} {kind} were made"
