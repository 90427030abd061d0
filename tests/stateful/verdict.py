"""What must hold of a run after every process: one of everything that its journal knows; nothing once destroyed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from crashmatrix.styles import EFFECTS
from flowledger.engine.ledger import Ledger
from tests.stateful.telling import id_of

if TYPE_CHECKING:
    from tests.stateful.conftest import World

SHARED = ("create_base_connection", "find_or_create_sink")


def check_events(world: World, run: str, events: list[Any]) -> None:
    """Nothing that was acknowledged is lost or another."""
    kept = {event.doc_id: (event["kind"], event["at"]) for event in events}
    for (of, number), event in world.acknowledged.items():
        assert of != run or kept.get(number) == event, f"{run}: event {number}, {event}, is lost: {kept.get(number)}"


def check_run(world: World, run: str, ledger: Ledger) -> None:
    """One of everything, and the journal knows it."""
    if ledger.nonce:
        known = world.nonces.setdefault(run, ledger.nonce)
        assert known == ledger.nonce, f"{run}: its nonce was {known} and is {ledger.nonce}"
    if ledger.destroying:
        world.doomed.add(run)
    for step, create in EFFECTS.items():
        there = [id_of(item) for item in world.ours(step, run)]
        reported = set(ledger.duplicates)
        lenient = (run, step) in world.doubled or (world.beyond and ledger.state != "provisioned")
        assert lenient or len(set(there) - reported) <= 1, f"{run}/{step}: twins {there}, not reported"
        outputs = ledger.step(step).outputs
        if outputs is None:
            continue
        id = str(outputs["id"])
        assert id not in world.strangers or ledger.step(step).how == "found", f"{run}/{step}: took somebody's {id}"
        exists = world.emulator.world.store.peek(create.kind, "prod", id) is not None
        removed = ledger.destroying and id in world.removed  # by this run, or by the one that had lent it to it
        assert exists or removed or id in world.deleted, f"{run}/{step}: the journal names {id}, which is not there"
        assert lenient or set(there) - reported <= {id}, f"{run}/{step}: {there} beside the journal's {id}"
    if ledger.destroyed:
        check_destroyed(world, run, ledger)


def check_destroyed(world: World, run: str, ledger: Ledger) -> None:
    """Nothing that the run has made is there but what it says it has left."""
    if world.beyond or any(of == run for of, _ in world.doubled):
        return  # a create that takes effect later than any window, or twice, may be an orphan of a destroyed run
    left = {(one["step"], one["id"]) for one in ledger.left}
    for step in EFFECTS:
        for item in world.ours(step, run):
            assert (step, id_of(item)) in left, f"{run}/{step}: {id_of(item)} is there, and the run is destroyed"


def check_left(world: World, run: str, ledgers: dict[str, Ledger]) -> None:
    """What a destroy has just left because it is in use is in use: by something on the platform, or by another run."""
    for one in ledgers[run].left:
        if one["why"].startswith("used by "):
            assert _users(world, run, one["id"], ledgers), f"{run}: left {one}, and nobody uses it"


def _users(world: World, run: str, id: str, ledgers: dict[str, Ledger]) -> list[str]:
    kinds = dict.fromkeys(effect.kind for effect in EFFECTS.values())
    there = [item for kind in kinds for item in world.emulator.objects(kind)]
    return [
        *(id_of(item) for item in there if id_of(item) != id and id in str(item)),
        *(
            other
            for other, ledger in ledgers.items()
            if other != run and not ledger.destroyed
            and any((record.outputs or {}).get("id") == id for record in ledger.steps.values())
        ),
    ]  # fmt: skip


def check_shared(world: World, ledgers: Iterable[Ledger]) -> None:
    """Runs that share have one of what they share, as far as nobody has deleted it or begun to destroy its run."""
    alive = [ledger for ledger in ledgers if ledger.shares and not ledger.destroying]
    for step in SHARED:
        if world.beyond or any(of == step for _, of in world.doubled):
            continue
        named = {str((ledger.step(step).outputs or {}).get("id")) for ledger in alive if ledger.step(step).done}
        named -= world.deleted
        assert len(named) <= 1, f"{step}: runs that share it name {sorted(named)}"
        made = {id_of(item) for ledger in alive for item in world.ours(step, ledger.run)}
        made -= {id for ledger in alive for id in ledger.duplicates}
        assert len(made) <= 1, f"{step}: runs that share it have made {sorted(made)}"
