"""What scripts/prove counts can be something else than 0: each kind of damage, done by hand, is counted."""

from __future__ import annotations

import orjson
import pytest

from crashmatrix.cells import Cell
from crashmatrix.fates import FATES
from crashmatrix.living import to_the_end
from crashmatrix.verdict import check
from crashmatrix.world import World
from flowledger.engine.ledger import ledger_of
from flowledger.engine.report import Report
from tests.proof.found import Found, look
from tests.proof.inside import look_at_cell

CELL = Cell(step="create_dataset", fate=FATES["committed, answer lost"])


@pytest.fixture
def ended() -> World:
    """A world in which a run has come to its end."""
    world = World()
    world.set_fate(CELL.step, CELL.fate)
    check(world, to_the_end(world, CELL), CELL)
    return world


def _copy(world: World, kind: str, id: str) -> None:
    """Somebody's client sends again what has been made already."""
    copy = orjson.loads(orjson.dumps(world.emulator.objects(kind)[0]))
    copy["id"] = id
    world.emulator.world.store.put(kind, "prod", id, copy)


def test_a_world_in_order_counts_nothing(ended: World) -> None:
    assert look_at_cell(ended, CELL) == Found()


def test_an_object_that_was_made_twice_is_a_duplicate_and_an_orphan(ended: World) -> None:
    _copy(ended, "dataSets", "5c8c3c555033b814b69f947f")
    assert look_at_cell(ended, CELL) == Found(duplicates=1, orphans=1)


def test_a_duplicate_that_was_cleaned_up_counts(ended: World) -> None:
    _copy(ended, "dataSets", "5c8c3c555033b814b69f947f")
    ended.emulator.world.store.delete("dataSets", "prod", "5c8c3c555033b814b69f947f")
    assert look_at_cell(ended, CELL) == Found(duplicates=1)


def test_an_object_that_the_journal_does_not_name_is_an_orphan(ended: World) -> None:
    store = ended.emulator.world.store
    [flow] = store.all("flows", "prod")
    store.delete("flows", "prod", flow["id"])
    store.put("flows", "prod", "11111111-0000-4000-8000-000000000000", {**flow, "id": "another"})
    assert look_at_cell(ended, CELL).orphans == 1


def test_an_object_of_a_destroyed_run_is_an_orphan_unless_the_run_says_that_it_left_it(ended: World) -> None:
    store = ended.emulator.world.store
    [flow] = store.all("flows", "prod")
    assert isinstance(ended.sit(verb="destroy"), Report)
    ledger = ledger_of(ended.spec.name, ended.read())
    assert look(ended.emulator, [ledger]) == Found()
    store.put("flows", "prod", "11111111-0000-4000-8000-000000000000", {**flow, "id": "another"})
    assert look(ended.emulator, [ledger]) == Found(orphans=1)
    ledger.left.append({"step": "create_flow", "id": "another", "why": "used by somebody"})
    assert look(ended.emulator, [ledger]) == Found()


def test_an_acknowledged_event_that_is_not_on_the_medium_is_lost(ended: World) -> None:
    ended.acknowledged[9_999] = {"kind": "run_provisioned/1", "at": 0.0}
    assert look_at_cell(ended, CELL) == Found(lost=1)


def test_an_acknowledged_event_whose_place_another_has_taken_is_lost(ended: World) -> None:
    number = max(ended.acknowledged)
    ended.acknowledged[number] = {**ended.acknowledged[number], "at": -1.0}
    assert look_at_cell(ended, CELL) == Found(lost=1)
