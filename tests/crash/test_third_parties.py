"""What others do while a step is in doubt, and what a disk forgets that had been read: neither may be built upon."""

from __future__ import annotations

from typing import Any

import pytest

from crashmatrix.cells import EACH, Cell, Of
from crashmatrix.fates import FATES
from crashmatrix.living import to_the_end
from crashmatrix.points import Crash, Death
from crashmatrix.styles import EFFECTS, MADE_ONCE, STEPS_OF
from crashmatrix.verdict import check
from crashmatrix.world import World
from flowledger.errors import Conflict, JournalError
from flowledger.steps.client.inprocess import Moment
from flowledger.steps.client.port import Request

pytestmark = pytest.mark.timeout(900)  # a test is up to 300 cells, and the machine may be busy

ANSWERED = FATES["answered"]


def _takes_the_title(world: World, step: str, attempt: int) -> list[str]:
    """Let a stranger create something with the step's title just before its n-th call; returns where its id will be."""
    taken: list[str] = []
    calls = 0

    def squat(moment: Moment, request: Request) -> None:
        nonlocal calls
        if moment is not Moment.CONNECTED or not EFFECTS[step].is_in(request):
            return
        calls += 1
        if calls == attempt and not taken:
            kind = EFFECTS[step].kind
            id = f"https://ns.adobe.com/localtenant/{'mixins' if kind == 'fieldgroups' else kind}/{'5' * 48}"
            taken.append(id)
            stranger: dict[str, Any] = {
                **request.body,  # it refers to the same things: only its description tells whose it is
                "description": "somebody else's",
                "$id": id, "meta:altId": f"_localtenant.{kind}.{'5' * 48}", "meta:resourceType": kind, "version": "1.0",
                "imsOrg": "LOCAL@AdobeOrg",
                "meta:registryMetadata": {"repo:createdDate": 1, "repo:lastModifiedDate": 1},
            }  # fmt: skip
            world.emulator.world.store.put(kind, "prod", id, stranger)

    world.on_moment_hook = squat
    return taken


@pytest.mark.parametrize("death", [None, 10, 12, 14, 16, 18, 20])
@pytest.mark.parametrize("attempt", [1, 2])
@pytest.mark.parametrize("of", [of for of in EACH if EFFECTS[of.step].titled], ids=str)
def test_a_title_that_somebody_else_has_is_a_conflict_on_any_attempt(of: Of, attempt: int, death: int | None) -> None:
    """Protocol rule 11: the nonce in the holder's description decides, never the number of the attempt."""
    step = of.step
    world = World(style=of.style)
    if attempt == 2:
        world.set_fate(step, FATES["lost before commit"])
    taken = _takes_the_title(world, step, attempt)
    outcome = world.sit(Crash(point=death, step=step) if death else None)
    for _ in range(2):
        if not isinstance(outcome, Conflict):
            outcome = world.sit()
    assert isinstance(outcome, Conflict), f"{outcome!r}"
    assert taken[0] in str(outcome)
    kind = EFFECTS[step].kind
    assert taken[0] in [found["$id"] for found in world.emulator.objects(kind)], "the stranger's is left alone"
    assert world.made[kind] <= MADE_ONCE[of.style][kind], "one of them is the stranger's: none was made for this step"


@pytest.mark.parametrize("death", [None, 4, 6, 10, 12, 16])
@pytest.mark.parametrize(
    "of", [of for of in EACH if not EFFECTS[of.step].titled and of.step != "find_or_create_sink"], ids=str
)
def test_what_another_run_of_the_same_spec_made_is_never_adopted(of: Of, death: int | None) -> None:
    """Protocol rule 12: another journal's run of this name has finished; ours is in doubt, and finds both."""
    step = of.step
    world, other = World(style=of.style), World(style=of.style, seed=8)
    other.emulator = world.emulator
    other.time = world.time
    theirs = to_the_end(other, Cell(step=step, style=of.style, fate=ANSWERED))
    world.set_fate(step, FATES["committed, answer lost"])
    cell = Cell(step=step, style=of.style, fate=ANSWERED, crashes=(Crash(point=death, step=step),) if death else ())
    ours = to_the_end(world, cell)
    assert world.hits == list(cell.crashes)
    their_ids = {resource.id for resource in theirs.resources if resource.how != "found"}
    shared = {resource.id for resource in ours.resources if resource.how == "found"}
    assert not their_ids & ({resource.id for resource in ours.resources} - shared)
    assert len(shared) == ("find_or_create_sink" in STEPS_OF[of.style]), "only the lake's base connection is shared"
    assert ours.duplicates == ()
    made = {kind: world.emulator.count(kind) for kind in MADE_ONCE[of.style]}
    assert made == {
        kind: 2 * number - (len(shared) if kind == "connections" else 0) for kind, number in MADE_ONCE[of.style].items()
    }


@pytest.mark.parametrize(
    ("point", "fate"),
    [(5, "answered"), (13, "answered"), (17, "committed, answer lost")],
    ids=["intent", "outcome", "adoption"],
)
@pytest.mark.parametrize("first", [Death.KEPT, Death.FORGOTTEN], ids=["never_synced", "sync_failed"])
@pytest.mark.parametrize("of", EACH, ids=str)
def test_what_was_read_from_an_unsynced_journal_is_durable_before_it_is_acted_upon(
    of: Of, first: Death, point: int, fate: str
) -> None:
    """The power goes when the process after that one sends its next call: the record that it acted upon is there."""
    step = of.step
    world = World(style=of.style)
    world.set_fate(step, FATES[fate])
    outcome = world.sit(Crash(point=point, step=step, death=first))
    assert world.hits
    assert first is Death.KEPT or isinstance(outcome, JournalError)
    read: list[int] = []

    def power_goes(moment: Moment, request: Request) -> None:
        if moment is Moment.HANDED_OVER and not read:
            read.extend(document.doc_id for document in world.documents)
            world.on_moment_hook = None
            world.die(Death.LOST)

    world.on_moment_hook = power_goes
    world.sit()
    assert read, "the process after it did not call the platform"
    assert read == [document.doc_id for document in world.read()][: len(read)], "events that were read are lost"
    cell = Cell(step=step, style=of.style, fate=FATES[fate])
    check(world, to_the_end(world, cell), cell)
