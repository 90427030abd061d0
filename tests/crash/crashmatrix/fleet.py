"""Several runs in one process, which share a journal, a pace and what is equal between them; the process dies."""

from __future__ import annotations

from typing import Any, Final

from crashmatrix.machine import DIRECTORY
from crashmatrix.styles import EFFECTS, MADE_ONCE
from crashmatrix.verdict import STILL_UNDER_WAY, check_acknowledged
from crashmatrix.world import World
from flowledger.engine import api
from flowledger.engine.fleet import apply_many, resume_many
from flowledger.engine.ledger import Ledger, RunState, ledger_of
from flowledger.errors import FlowledgerError
from flowledger.journal import InlineCommitter, Journal

RUNS: Final = 3
SHARED: Final = ("create_base_connection", "find_or_create_sink")


class FleetWorld(World):
    """A world whose processes drive several runs: equal specs but for their names."""

    def __init__(self, *, style: str, seed: int = 7) -> None:
        super().__init__(style=style, seed=seed)
        self.specs = [self.spec.model_copy(update={"name": f"run-{number}"}) for number in range(RUNS)]
        self.spec = self.specs[0]
        self.verb = "apply"  # what the next process does: "apply", "resume" all, or "one" of those that follow
        self.fleet: Any = None

    async def _drive(self, how: dict[str, Any]) -> Any:
        told = how.pop("on_event")
        match self.verb:
            case "apply":
                self.fleet = await apply_many(self.specs, on_event=lambda run, number, doc: told(number, doc), **how)
            case "resume":
                self.fleet = await resume_many(on_event=lambda run, number, doc: told(number, doc), **how)
            case _:
                await api.resume(self.specs[-1].name, on_event=told, **how)
        return self.fleet

    def ledgers(self) -> list[Ledger]:
        """Each run, as the disk tells it."""
        self._dead = False
        with Journal.open(DIRECTORY, fs=self.disk, committer=InlineCommitter(), wall=self.time.wall) as journal:
            return [ledger_of(spec.name, journal.events(spec.name)) for spec in self.specs]


def wanted(style: str) -> dict[str, int]:
    """One shared base connection and one sink, and of everything else one a run."""
    once = MADE_ONCE[style]
    return {kind: number if kind == "connections" else RUNS * number for kind, number in once.items()}


def to_the_end(world: FleetWorld, number: int) -> None:
    """The next process carries on; in every third world one that follows goes on alone first."""
    if number % 3 == 2 and all(ledger.spec for ledger in world.ledgers()):
        world.verb = "one"
        ended = world.sit()
        assert not isinstance(ended, FlowledgerError), f"one alone: {ended!r}"
    for verb in ("resume", "apply") if number % 2 else ("apply",):
        world.verb = verb
        ended = world.sit()
        assert not isinstance(ended, FlowledgerError), f"{verb}: {ended!r}"
    assert world.fleet.exit_code == 0, [(run.run, run.stopped) for run in world.fleet.runs]


def check_fleet(world: FleetWorld) -> None:
    """Exactly one shared base connection and one sink, one of everything else a run, and every journal names them."""
    world.time.advance(STILL_UNDER_WAY)
    made = {kind: world.made[kind] for kind in MADE_ONCE[world.style]}
    assert made == wanted(world.style), f"created, in all: {made}"
    assert {kind: world.emulator.count(kind) for kind in made} == made
    ledgers = world.ledgers()
    for ledger in ledgers:
        assert ledger.state is RunState.PROVISIONED, (ledger.run, ledger.state)
        assert ledger.duplicates == []
    for step in SHARED:
        ids = {str((ledger.step(step).outputs or {}).get("id")) for ledger in ledgers}
        assert len(ids) == 1, f"{step}: the journals name {ids}"
        if ids != {"None"}:
            assert ids <= {found["id"] for found in world.emulator.objects(EFFECTS[step].kind)}
    with Journal.open(DIRECTORY, fs=world.disk, committer=InlineCommitter(), wall=world.time.wall) as journal:
        check_acknowledged(world, [event for spec in world.specs for event in journal.events(spec.name)])
    requests = len(world.requests)
    world.verb = "apply"
    world.sit()
    assert len(world.requests) == requests, "applying once more called somebody"
