"""Counts what happens to the worlds of tests/crash and tests/stateful, which live in this process.

Looked at are the platform's store and the bytes on the simulated disk, once a cell has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import orjson

from crashmatrix import destroying, fleet, living, others, verdict
from crashmatrix.cells import Cell
from crashmatrix.machine import Died
from crashmatrix.styles import MADE_ONCE
from crashmatrix.world import World as CrashWorld
from flowledger.emulator.faults import Fault, Faults
from flowledger.engine.ledger import Ledger, ledger_of
from flowledger.errors import JournalError
from flowledger.journal import JournalReader
from flowledger.steps.client.inprocess import Fate
from tests.proof.found import (
    KINDS,
    Found,
    cells_so_far,
    died,
    ended,
    id_of,
    is_counted,
    look,
    looking_ahead,
    markers_of,
    struck,
)  # fmt: skip

STILL_UNDER_WAY: Final = 600.0  # seconds: before a look, calls that take effect late have done so


def look_at_cell(world: CrashWorld, cell: Cell) -> Found:
    """The end of a cell of the matrix: platform, medium, and what was acknowledged."""
    world.time.advance(STILL_UNDER_WAY)
    theirs = world.made_by_others
    documents = on_the_medium(world)
    ledger = Ledger(run=world.spec.name)
    for number in sorted(documents):
        ledger.fold(number, documents[number])
    found = look(world.emulator, [ledger], frozenset(world.ids_of_others))
    # Each create was counted as it was stored, so that one which was removed again counts too.
    made = sum(max(0, world.made[kind] - theirs[kind] - wanted) for kind, wanted in MADE_ONCE[cell.style].items())
    found.duplicates = max(found.duplicates, made)
    if not cell.echo_names:  # these mapping sets carry no marker: whatever is there is ours
        named = {str((ledger.step("create_mapping_set").outputs or {}).get("id")), *ledger.duplicates}
        found.orphans += len({id_of(item) for item in world.emulator.objects("mappingSets")} - named)
    for sitting, start in enumerate(world.starts, 1):
        found.in_flight += len(start.in_flight)
        found.looked_up += len(start.in_flight & {step for at, step in world.looks if at == sitting})
    for number, doc in world.acknowledged.items():
        kept = documents.get(number)
        found.lost += kept is None or (kept["kind"], kept["at"]) != (doc["kind"], doc["at"])
    return found


def on_the_medium(world: CrashWorld) -> dict[int, Any]:
    """The events that a power cut now would leave, by number; read from the bytes, not through the journal."""
    documents = {}
    for line in world.disk.durable().splitlines():
        record = orjson.loads(line)
        if record["t"] == "events":
            documents[record["seq"]] = record["doc"]
    return documents


def watch_matrix() -> None:
    run_cell, check, prepared, run_watched = living.run_cell, verdict.check, living.prepared, living.run_watched
    sit, fate_of = CrashWorld.sit, CrashWorld._fate
    begun: list[CrashWorld] = []

    def count(world: CrashWorld, cell: Cell, name: str = "") -> None:
        if is_counted() and not getattr(world, "counted", False):
            world.counted = True  # type: ignore[attr-defined] # each world is looked at once
            found = look_at_cell(world, cell)
            promised = Found()
            if cell.limit and not cell.fate.unseen:  # such a twin cannot be prevented; that it is reported is promised
                promised.orphans, found.orphans = found.orphans, 0
            ended(name or str(cell), found, promised, beyond=cell.limit or cell.fate.unseen)

    @wraps(prepared)
    def prepared_and_kept(cell: Cell) -> CrashWorld:
        world = prepared(cell)
        begun[:] = [world]
        return world

    @wraps(run_cell)
    def counted_cell(cell: Cell, **how: Any) -> CrashWorld:
        try:
            return run_cell(cell, **how)
        finally:
            count(begun[0], cell)

    @wraps(check)
    def counted_check(world: CrashWorld, report: Any, cell: Cell) -> None:
        try:
            check(world, report, cell)
        finally:
            if not any(world is other for other in begun):  # else what runs the cell counts it
                count(world, cell, f"at a call: {cell}")

    @wraps(run_watched)
    def uncounted(*args: Any, **kwargs: Any) -> Any:
        with looking_ahead():
            return run_watched(*args, **kwargs)

    @wraps(sit)
    def counted_sit(self: CrashWorld, *args: Any, **kwargs: Any) -> Any:
        hits = len(self.hits)
        outcome = sit(self, *args, **kwargs)
        if isinstance(outcome, Died) or (isinstance(outcome, JournalError) and len(self.hits) > hits):
            died()
        return outcome

    @wraps(fate_of)
    def counted_fate(self: CrashWorld, request: Any) -> Fate:
        fate = fate_of(self, request)
        if fate is not Fate.ANSWERED:
            struck()
        return fate

    living.run_cell, living.prepared, living.run_watched = counted_cell, prepared_and_kept, uncounted
    verdict.check = counted_check
    _watch_scenes(count, begun)
    CrashWorld.sit = counted_sit  # type: ignore[method-assign] # the count stands between the tests and their world
    CrashWorld._fate = counted_fate  # type: ignore[method-assign] # as above


def _watch_scenes(count: Callable[..., None], begun: list[CrashWorld]) -> None:
    """What others do, destroy, and several runs at once: each has a way of its own to live through a cell."""
    run_scene, run_waiting, run_destroy = others.run_scene, others.run_waiting, destroying.run_destroy_cell
    check_fleet = fleet.check_fleet

    def counted(run: Callable[[others.Scene], CrashWorld]) -> Callable[[others.Scene], CrashWorld]:
        @wraps(run)
        def counted_scene(scene: others.Scene) -> CrashWorld:
            try:
                return run(scene)
            finally:
                count(begun[0], scene.cell)

        return counted_scene

    @wraps(run_destroy)
    def counted_destroy(cell: Cell, delete: Any) -> CrashWorld:
        world = run_destroy(cell, delete)
        ended(f"destroy of {cell}; its delete: {delete.name}", look_at_destroyed(world))
        return world

    @wraps(check_fleet)
    def counted_fleet(world: fleet.FleetWorld) -> None:
        try:
            check_fleet(world)
        finally:
            ended(f"several runs {cells_so_far() + 1}", look_at_fleet(world))

    others.run_scene = counted(run_scene)  # type: ignore[assignment] # the name of its argument is not in its type
    others.run_waiting = counted(run_waiting)  # type: ignore[assignment] # as above
    destroying.run_destroy_cell, fleet.check_fleet = counted_destroy, counted_fleet


def look_at_destroyed(world: CrashWorld) -> Found:
    """Of a run that was destroyed nothing may be there, now and later."""
    world.time.advance(STILL_UNDER_WAY)
    documents = on_the_medium(world)
    ledger = Ledger(run=world.spec.name)
    for number in sorted(documents):
        ledger.fold(number, documents[number])
    left = [
        item
        for kind in KINDS
        for item in world.emulator.objects(kind)
        if any(nonce == ledger.nonce for nonce, _ in markers_of(item))
    ]
    return Found(orphans=len(left), lost=sum(number not in documents for number in world.acknowledged))


def look_at_fleet(world: fleet.FleetWorld) -> Found:
    """The end of a world with several runs."""
    world.time.advance(STILL_UNDER_WAY)
    found = look(world.emulator, world.ledgers())
    made = sum(max(0, world.made[kind] - number) for kind, number in fleet.wanted(world.style).items())
    found.duplicates = max(found.duplicates, made)
    documents = on_the_medium(world)
    found.lost = sum(number not in documents for number in world.acknowledged)
    return found


def watch_faults() -> None:
    strike = Faults.strike

    @wraps(strike)
    def counted(self: Faults, *args: Any) -> Fault | None:
        fault = strike(self, *args)
        if fault is not None:
            struck()
        return fault

    Faults.strike = counted  # type: ignore[method-assign,assignment] # the count stands between the emulator and its faults


def watch_fuzz(module: Any) -> None:
    """`module`: tests/stateful/conftest.py."""
    world_type = module.World
    sit, fate_of, on_event, close = world_type.sit, world_type._fate, world_type._on_event, world_type.close

    @wraps(sit)
    def counted_sit(self: Any, *args: Any, **kwargs: Any) -> Any:
        done = sit(self, *args, **kwargs)
        if done.died:
            died()
        return done

    @wraps(fate_of)
    def counted_fate(self: Any, request: Any) -> Fate:
        fate: Fate = fate_of(self, request)
        if fate is not Fate.ANSWERED and self.now is not None and self.now.alive:
            struck()
        return fate

    @wraps(on_event)
    def kept_event(self: Any, number: int, doc: Any) -> None:
        if not hasattr(self, "acknowledged"):
            self.acknowledged = {}
        self.acknowledged[self.spec.name, number] = (doc["kind"], doc["at"])
        on_event(self, number, doc)

    @wraps(close)
    def counted_close(self: Any) -> None:
        found = Found()
        with self.disk.looked_at():
            if str(module.JOURNAL) in self.disk._directories:
                found = _look_at_fuzz(self, module)
        ended(f"sequence {cells_so_far() + 1}", found, beyond=self.beyond or bool(self.doubled))
        close(self)

    world_type.sit, world_type._fate, world_type._on_event, world_type.close = (
        counted_sit, counted_fate, kept_event, counted_close,
    )  # fmt: skip


def _look_at_fuzz(world: Any, module: Any) -> Found:
    world.time.advance(STILL_UNDER_WAY)
    with JournalReader.open(module.JOURNAL, fs=world.disk) as reader:
        documents = {run: reader.events(run) for run in reader.runs()}
    ledgers = [ledger_of(run, events) for run, events in documents.items()]
    found = look(world.emulator, ledgers, frozenset(world.strangers))
    kept = {
        (run, document.doc_id): (document["kind"], document["at"])
        for run, events in documents.items()
        for document in events
    }
    for place, event in getattr(world, "acknowledged", {}).items():
        found.lost += kept.get(place) != event
    return found
