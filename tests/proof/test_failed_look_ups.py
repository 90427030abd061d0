"""A look-up that fails proves nothing, however often it fails and however late: nothing is sent again on its word."""

from __future__ import annotations

from typing import Any

import pytest

from crashmatrix.cells import EACH, Cell, Of
from crashmatrix.fates import FATES
from crashmatrix.living import to_the_end
from crashmatrix.styles import EFFECTS
from crashmatrix.verdict import check
from crashmatrix.world import World
from flowledger.errors import TryLater


@pytest.mark.parametrize(
    "of",
    [of for of in EACH if of.step in ("create_dataset", "create_target_schema", "create_mapping_set", "create_flow")],
    ids=str,
)
def test_while_its_list_cannot_be_read_a_step_in_doubt_is_not_sent_again(of: Of) -> None:
    """The object is there, its answer was lost, and its list answers 503 long after the settle window."""
    step = of.step
    world, effect = World(style=of.style), EFFECTS[step]
    cell = Cell(step=step, style=of.style, fate=FATES["committed, answer lost"])
    world.set_fate(step, cell.fate)

    def break_lists(request: Any) -> None:
        if effect.is_in(request):
            world.emulator.faults.add(f"GET {effect.path}", "answer", status=503, times=0)

    world.on_commit = break_lists
    for _ in range(3):
        assert isinstance(world.sit(), TryLater)
        world.time.advance(1_000)
    assert sum(effect.is_in(request) for request in world.requests) == 1
    world.emulator.faults.clear()
    report = to_the_end(world, cell)
    assert step in {resource.step for resource in report.resources if resource.how == "adopted"}
    assert sum(effect.is_in(request) for request in world.requests) == 1
    check(world, report, cell)
