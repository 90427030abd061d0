"""Counts, beside the tests and by other means than theirs, what scripts/prove prints: a pytest plugin.

The tests of tests/crash, tests/stateful and tests/acceptance assert for themselves. This looks once more at the world
in which each of their cells ended, at the platform's store and at the bytes on the disk, and writes a line for each
test into the file that FLOWLEDGER_TALLY names. What a test has asserted is not believed here: if it asserted too
little, the table says so.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from functools import wraps
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import orjson
import pytest

_CRASH: Final = Path(__file__).resolve().parents[1] / "crash"
if str(_CRASH) not in sys.path:  # pytest has not read pyproject.toml's `pythonpath` yet
    sys.path.insert(0, str(_CRASH))

from crashmatrix import destroying, fleet, living, others, verdict  # noqa: E402 - needs the path
from crashmatrix.cells import Cell  # noqa: E402 - needs the path
from crashmatrix.machine import Died  # noqa: E402 - needs the path
from crashmatrix.styles import EFFECTS, MADE_ONCE, TUTORIAL  # noqa: E402 - needs the path
from crashmatrix.world import World as CrashWorld  # noqa: E402 - needs the path
from flowledger.emulator.core import Emulator  # noqa: E402 - needs the path
from flowledger.emulator.faults import Fault, Faults  # noqa: E402 - needs the path
from flowledger.engine.ledger import Ledger, ledger_of  # noqa: E402 - needs the path
from flowledger.errors import JournalError  # noqa: E402 - needs the path
from flowledger.journal import JournalReader  # noqa: E402 - needs the path
from flowledger.steps.client.inprocess import Fate  # noqa: E402 - needs the path

FILE: Final = "FLOWLEDGER_TALLY"
STILL_UNDER_WAY: Final = 600.0  # seconds: before a look, calls that take effect late have done so
_MARKER: Final = re.compile(r"fl-([a-z0-9]{10})-([a-z-]+)(?![\w-])")
_STEP_OF: Final = {effect.slug: step for step, effect in EFFECTS.items()}
_KINDS: Final = tuple(dict.fromkeys(effect.kind for effect in EFFECTS.values()))


@dataclass(slots=True)
class Found:
    """What is wrong with the world in which a cell ended, as seen from outside."""

    duplicates: int = 0  # objects for a step beyond its first, those that were cleaned up included
    orphans: int = 0  # objects with a run's marker that no journal names, though no call of theirs is in doubt
    lost: int = 0  # events that were acknowledged and are not on the disk
    reported: int = 0  # of the objects beyond the first, those that the run itself reported
    in_flight: int = 0  # calls that nobody had heard of at a death, by step, as the next process found them
    looked_up: int = 0  # steps that these processes looked up for it

    def __add__(self, other: Found) -> Found:
        return Found(
            self.duplicates + other.duplicates,
            self.orphans + other.orphans,
            self.lost + other.lost,
            self.reported + other.reported,
            self.in_flight + other.in_flight,
            self.looked_up + other.looked_up,
        )


@dataclass(slots=True)
class Tally:
    """What one test has gone through."""

    cells: list[str] = field(default_factory=list)
    crashes: int = 0
    faults: int = 0
    within: Found = field(default_factory=Found)  # of what is promised
    beyond_cells: int = 0
    beyond: Found = field(default_factory=Found)  # outside of what can be promised: twins may be, and are reported

    def add(self, cell: str, found: Found, *, beyond: bool) -> None:
        """Take in the end of one cell."""
        self.cells.append(cell)
        if beyond:
            self.beyond_cells += 1
            self.beyond += found
        else:
            self.within += found


now = Tally()
_paused = 0  # more than 0 while the matrix only finds out what could happen


@contextmanager
def _looking_ahead() -> Iterator[None]:
    global _paused
    _paused += 1
    try:
        yield
    finally:
        _paused -= 1


def struck() -> None:
    """A call met a fault."""
    if not _paused:
        now.faults += 1


def died() -> None:
    """A process died."""
    if not _paused:
        now.crashes += 1


# -- looking -------------------------------------------------------------------------------------------------------


def markers_of(item: dict[str, Any]) -> set[tuple[str, str]]:
    """Nonce and step of every marker that an object carries."""
    texts = [item.get("name"), item.get("title"), item.get("description"), str(item.get("tags"))]
    found = {match for text in texts if isinstance(text, str) for match in _MARKER.findall(text)}
    return {(nonce, _STEP_OF[slug]) for nonce, slug in found if slug in _STEP_OF}


def id_of(item: dict[str, Any]) -> str:
    """The id by which the journal knows an object."""
    return str(item.get("$id") or item["id"])


def look(emulator: Emulator, ledgers: Iterable[Ledger], theirs: frozenset[str] = frozenset()) -> Found:
    """Compare what is on the platform with what journals say of it. `theirs`: ids that somebody else has made."""
    by_nonce = {ledger.nonce: ledger for ledger in ledgers if ledger.nonce}
    ours: dict[tuple[str, str], set[str]] = {}
    for kind in _KINDS:
        for item in emulator.objects(kind):
            if id_of(item) not in theirs:
                for owner in markers_of(item):
                    ours.setdefault(owner, set()).add(id_of(item))
    found = Found()
    named = {
        str((record.outputs or {}).get("id")) for ledger in by_nonce.values() for record in ledger.steps.values()
    } | {id for ledger in by_nonce.values() for id in ledger.duplicates}
    for (nonce, step), ids in ours.items():
        found.duplicates += len(ids) - 1
        ledger = by_nonce.get(nonce)
        found.reported += len(ids & set(ledger.duplicates)) if ledger else 0
        open_still = ledger is not None and not ledger.step(step).done and bool(ledger.step(step).unanswered)
        if not open_still:  # what an open intent may have made is found by the next resume: it is not lost
            found.orphans += len(ids - named)
    return found


# -- tests/crash ---------------------------------------------------------------------------------------------------


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


def _watch_matrix() -> None:
    run_cell, check, prepared, run_watched = living.run_cell, verdict.check, living.prepared, living.run_watched
    sit, fate_of = CrashWorld.sit, CrashWorld._fate
    begun: list[CrashWorld] = []

    def count(world: CrashWorld, cell: Cell, name: str = "") -> None:
        if not _paused and not getattr(world, "counted", False):
            world.counted = True  # type: ignore[attr-defined] # each world is looked at once
            found = look_at_cell(world, cell)
            if cell.limit and not cell.fate.unseen:  # such a twin cannot be prevented; that it is reported is promised
                now.within.orphans, found.orphans = now.within.orphans + found.orphans, 0
            now.add(name or str(cell), found, beyond=cell.limit or cell.fate.unseen)

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
        with _looking_ahead():
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
        now.add(f"destroy of {cell}; its delete: {delete.name}", look_at_destroyed(world), beyond=False)
        return world

    @wraps(check_fleet)
    def counted_fleet(world: fleet.FleetWorld) -> None:
        try:
            check_fleet(world)
        finally:
            now.add(f"several runs {len(now.cells) + 1}", look_at_fleet(world), beyond=False)

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
        for kind in _KINDS
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


def _watch_faults() -> None:
    strike = Faults.strike

    @wraps(strike)
    def counted(self: Faults, *args: Any) -> Fault | None:
        fault = strike(self, *args)
        if fault is not None:
            struck()
        return fault

    Faults.strike = counted  # type: ignore[method-assign,assignment] # the count stands between the emulator and its faults


# -- tests/stateful ------------------------------------------------------------------------------------------------


def _watch_fuzz(module: Any) -> None:
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
        now.add(f"sequence {len(now.cells) + 1}", found, beyond=self.beyond or bool(self.doubled))
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


# -- tests/acceptance ----------------------------------------------------------------------------------------------


def _watch_kills(module: Any) -> None:
    """`module`: tests/acceptance/conftest.py. Real processes acknowledge to nobody outside: what can be seen is that
    each call which the platform got has its intent on the disk."""
    kill, hooked = module.Console._kill_where, module.LivePlatform._hooked

    @wraps(kill)
    def counted_kill(self: Any, *args: Any, **kwargs: Any) -> Any:
        code = kill(self, *args, **kwargs)
        if code == -9:
            died()
        return code

    @wraps(hooked)
    def counted_call(self: Any, request: Any) -> Any:
        if _is_create(request.method, request.raw_path):
            self.creates = getattr(self, "creates", 0) + 1
        return hooked(self, request)

    module.Console._kill_where, module.LivePlatform._hooked = counted_kill, counted_call


def _look_at_kills(item: pytest.Item) -> None:
    fixtures = getattr(item, "funcargs", {})
    console, platform = fixtures.get("console"), fixtures.get("platform")
    if console is None or platform is None:
        return
    journal = console.folder / ".flowledger" / "journal"
    if not journal.exists():
        return
    with JournalReader.open(journal) as reader:
        ledgers = [ledger_of(run, reader.events(run)) for run in reader.runs()]
    found = look(platform.emulator, ledgers)
    intents = sum(len(record.attempts) for ledger in ledgers for record in ledger.steps.values())
    found.lost = max(0, getattr(platform, "creates", 0) - intents)
    now.add(item.name, found, beyond=False)


def _watch_kills_at_points(module: Any) -> None:
    """`module`: tests/crash/test_real_kills.py, whose emulator is a process of its own and is asked over HTTP."""
    live, ask = module.Nursery.live, module.Emulator.ask
    killed: list[str] = []
    journals: dict[Path, None] = {}  # of everybody who called the emulator since it was emptied: a stranger's, too

    @wraps(ask)
    def counted_ask(self: Any, method: str, what: str, *args: Any, **kwargs: Any) -> Any:
        if (method, what) == ("POST", "reset"):
            journals.clear()
        return ask(self, method, what, *args, **kwargs)

    @wraps(live)
    def counted_live(self: Any, journal: Path, url: str, **how: Any) -> tuple[int, str]:
        ended: tuple[int, str] = live(self, journal, url, **how)
        journals[journal] = None
        where = how.get("crash") or (f"{how['stage']} at call {how['call']}: {ended[1]}" if ended[1] else None)
        if where is not None:
            died()  # by SIGKILL, or by itself after an append that failed
            killed.append(str(where))
        elif killed:  # the first process after the one that died
            name = f"real: {how.get('style', TUTORIAL)}: {', then '.join(killed)}"
            killed.clear()
            now.add(name, _look_from_outside(url, journal, list(journals)), beyond=False)
        return ended

    module.Nursery.live, module.Emulator.ask = counted_live, counted_ask


def _look_from_outside(url: str, journal: Path, journals: list[Path]) -> Found:
    """`journal` is ours; `journals` are those of everybody who called the emulator."""
    ledgers = _ledgers_in(journal)
    kind_of = {step: effect.kind for step, effect in EFFECTS.items()}
    style = next((ledger.spec.style for ledger in ledgers if ledger.spec), TUTORIAL)
    known = Counter(
        kind_of[record.name]
        for ledger in ledgers
        for record in ledger.steps.values()
        if record.done and record.name in kind_of
    )
    there: dict[str, int] = _ask(url, "counts")
    calls = _ask(url, "requests?limit=1000")["requests"]  # one that takes effect late is in there a second time
    sent = sum(_is_create(call["method"], call["path"]) and not call["late"] for call in calls)
    now.faults += sum(fault["struck"] for fault in _ask(url, "faults")["faults"])
    everybody = [ledger for one in journals for ledger in _ledgers_in(one)]
    intents = sum(len(record.attempts) for ledger in everybody for record in ledger.steps.values())
    return Found(
        duplicates=sum(max(0, count - MADE_ONCE[style].get(kind, 0)) for kind, count in there.items()),
        orphans=sum(max(0, count - known[kind]) for kind, count in there.items()),
        lost=max(0, sent - intents),
    )


def _ledgers_in(journal: Path) -> list[Ledger]:
    with JournalReader.open(journal) as reader:
        return [ledger_of(run, reader.events(run)) for run in reader.runs()]


def _ask(url: str, what: str) -> Any:
    with urlopen(f"{url}/_emulator/{what}", timeout=30) as answer:  # the test's own emulator, on loopback
        return orjson.loads(answer.read())


def _is_create(method: str, path: str) -> bool:
    return method == "POST" and path.rpartition("/")[2] in _KINDS


# -- pytest --------------------------------------------------------------------------------------------------------


def pytest_collection_finish(session: pytest.Session) -> None:
    """The folders' own conftest modules are there now."""
    watchers: dict[str, Callable[[Any], None]] = {"stateful": _watch_fuzz, "acceptance": _watch_kills}
    tests = Path(__file__).resolve().parents[1]
    for module in session.config.pluginmanager.get_plugins():
        path = Path(getattr(module, "__file__", None) or "/")
        watch = (
            watchers.pop(path.parent.name, None) if path.name == "conftest.py" and path.parents[1] == tests else None
        )
        if watch is not None:
            watch(module)
    at_points = {id(item.module): item.module for item in session.items if isinstance(item, pytest.Function)}
    for module in at_points.values():
        if hasattr(module, "Nursery"):
            _watch_kills_at_points(module)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Before the test's platform is closed."""
    _look_at_kills(item)


@pytest.hookimpl(trylast=True)
def pytest_runtest_logfinish(nodeid: str) -> None:
    """Write what the test went through."""
    global now
    done, now = now, Tally()
    if not done.cells and not done.crashes and not done.faults:
        return  # nothing that is counted here; or this is the process that only hands tests to workers
    line = orjson.dumps({"test": nodeid, **_plain(done)}) + b"\n"
    # One write at the end of the file: several workers share it.
    target = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(target, line)
    finally:
        os.close(target)


def _plain(tally: Tally) -> dict[str, Any]:
    fields = tuple(field.name for field in dataclass_fields(Found))
    return {
        "cells": tally.cells,
        "crashes": tally.crashes,
        "faults": tally.faults,
        "beyond_cells": tally.beyond_cells,
        "within": {name: getattr(tally.within, name) for name in fields},
        "beyond": {name: getattr(tally.beyond, name) for name in fields},
    }


if FILE in os.environ:  # before conftest modules take what is watched by name
    _watch_matrix()
    _watch_faults()
