"""The cells of `destroy`: a run is destroyed in each of its open states, by processes that die, and nothing is left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from crashmatrix.cells import PAIR_FATES, Cell, Of, can_happen, per_step_points
from crashmatrix.fates import FATES, RequestFate
from crashmatrix.living import SPARE_SITTINGS
from crashmatrix.machine import Died
from crashmatrix.points import BY_NUMBER, Crash, Death
from crashmatrix.styles import EFFECTS, STEPS_OF
from crashmatrix.verdict import STILL_UNDER_WAY, check_acknowledged
from crashmatrix.world import World
from flowledger.engine.ledger import RunState, ledger_of
from flowledger.engine.report import Report
from flowledger.errors import JournalError, Rejected, TryLater, UsageError

ANSWERED: Final = FATES["answered"]
#: What can become of a delete. A service's own 4xx is not among them: the run then says what it has left, and why.
DELETE_FATES: Final = tuple(
    FATES[name]
    for name in (
        "answered", "no connection", "lost before commit", "committed, answer lost",
        "commits after the next start began to look", "5xx before commit", "5xx after commit", "408 after commit",
        "401", "429 with Retry-After", "stranger's 4xx before commit", "stranger's 4xx after commit",
    )
)  # fmt: skip
#: How far the step's create had come: where the process died, and what became of the call.
OPEN: Final = ((6, "answered"), (9, "commits at exactly G, listed at exactly L"), (10, "answered"), (14, "answered"))


def destroy_cells(of: Of) -> Iterator[tuple[Cell, RequestFate]]:
    """Cells with the death of a destroying process, and what becomes of the delete of the step's object."""
    for death in BY_NUMBER[23].deaths:
        begun = Crash(point=23, step=of.step, death=death)
        yield _cell(of, ANSWERED, begun), ANSWERED
        for point, name in OPEN:
            yield _cell(of, FATES[name], Crash(point=point, step=of.step), begun), ANSWERED
    for fate in DELETE_FATES:
        yield _cell(of, ANSWERED), fate
        if fate.name != "no connection":
            yield _cell(of, ANSWERED, Crash(point=24, step=of.step)), fate
        for death in BY_NUMBER[25].deaths:
            yield _cell(of, ANSWERED, Crash(point=25, step=of.step, death=death)), fate


def open_cells(of: Of) -> Iterator[tuple[Cell, RequestFate]]:
    """Cells in which a run is destroyed in each state that a death can leave its step in."""
    for point in per_step_points():
        for name in PAIR_FATES:
            if can_happen(point, FATES[name]):
                for death in point.deaths:
                    if death in (Death.KILLED, Death.KEPT, Death.LOST, Death.REBOOTED):
                        yield _cell(of, FATES[name], Crash(point=point.number, step=of.step, death=death)), ANSWERED


def _cell(of: Of, fate: RequestFate, *crashes: Crash) -> Cell:
    return Cell(step=of.step, style=of.style, fate=fate, crashes=crashes)


def run_destroy_cell(cell: Cell, delete: RequestFate) -> World:
    """Provision until the first death of that verb, or to the end; then destroy, die, and destroy to the end."""
    world, strangers = World(style=cell.style), World(style="current", seed=8)
    strangers.emulator, strangers.time = world.emulator, world.time
    assert isinstance(strangers.sit(), Report)
    theirs = _everything(world)
    world.set_fate(cell.step, cell.fate)
    crashes = list(cell.crashes)
    try:
        of_apply = [crash for crash in crashes if not BY_NUMBER[crash.point].of_destroy]
        ended = world.sit(of_apply[0] if of_apply else None)
        if of_apply:
            assert world.hits == of_apply, f"the first death was not met: {ended!r}"
        ledger = ledger_of(world.spec.name, world.read())
        outputs = ledger.step(cell.step).outputs
        if outputs is not None:
            world.set_delete_fate(cell.step, str(outputs["id"]), delete)
        report = _destroy_to_the_end(world, [crash for crash in crashes if crash not in of_apply], delete)
        assert world.hits == crashes, f"only these deaths were met: {[str(hit) for hit in world.hits]}"
        check_destroyed(world, report, theirs)
    except AssertionError as failure:
        raise AssertionError(f"destroy of {cell}; its delete: {delete.name}: {failure}") from failure
    return world


def _destroy_to_the_end(world: World, crashes: list[Crash], delete: RequestFate) -> Report:
    left = list(crashes)
    for _ in range(len(left) + SPARE_SITTINGS + 1):
        hits = len(world.hits)
        world.lost_delete = delete.name in ("lost before commit", "stranger's 4xx before commit", "5xx before commit")
        outcome = world.sit(left[0] if left else None, verb="destroy")
        if len(world.hits) > hits:
            crash = left.pop(0)
            if crash.death in (Death.KEPT, Death.FAILED_KEPT, Death.KILLED) and crash.point != 23:
                _only_destroy(world)
        match outcome:
            case Report():
                return outcome
            case Died() | JournalError():
                assert len(world.hits) > hits, f"ended by itself: {outcome}"
            case TryLater() | Rejected():
                pass
            case _:
                raise AssertionError(f"a destroy ended with {type(outcome).__name__}: {outcome}") from outcome
    raise AssertionError(f"no end after {world.sittings} sittings")


def _only_destroy(world: World) -> None:
    """A run whose destroy has begun can only be destroyed: `apply` says so and calls nobody."""
    requests = len(world.requests)
    refused = world.sit()
    assert isinstance(refused, UsageError), f"apply after half a destroy: {refused!r}"
    assert len(world.requests) == requests, "apply after half a destroy called somebody"


def check_destroyed(world: World, report: Report, theirs: dict[str, Any]) -> None:
    """Nothing of our nonce is on the platform, now and later; what is a stranger's is as it was."""
    assert report.state is RunState.DESTROYED, report.state
    assert report.left == (), report.left
    for _ in range(2):
        assert _everything(world) == theirs, "something is left, or something of a stranger's is not as it was"
        world.time.advance(STILL_UNDER_WAY)
    check_acknowledged(world, world.read())
    requests = len(world.requests)
    again = world.sit(verb="destroy")
    assert isinstance(again, Report), f"destroying once more: {again!r}"
    assert len(world.requests) == requests, "destroying once more called somebody"
    _only_destroy(world)


def _everything(world: World) -> dict[str, Any]:
    kinds = {EFFECTS[step].kind for steps in STEPS_OF.values() for step in steps}
    return {kind: [dict(found) for found in world.emulator.objects(kind)] for kind in sorted(kinds)}
