"""The cells of the matrix: which step, which deaths, which fate; how one is run and what must hold at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

from crashmatrix.fates import FATES, LOOK_UP_FATES, REQUEST_FATES, Commits, Knows, LookUpFate, RequestFate
from crashmatrix.holds import check_next_process, check_not_late, check_windows
from crashmatrix.points import POINTS, Crash, CrashPoint, Death
from crashmatrix.traps import EFFECTS
from crashmatrix.world import Died, World
from flowledger.engine.ledger import Ledger, RunState, ledger_of
from flowledger.engine.report import Report
from flowledger.engine.table import TABLES
from flowledger.errors import Conflict, JournalError, Rejected, TryLater

MADE_ONCE: Final = {
    "classes": 1, "schemas": 2, "fieldgroups": 1, "dataSets": 1, "connections": 2, "sourceConnections": 1,
    "targetConnections": 1, "mappingSets": 1, "flows": 1,
}  # fmt: skip
LOOKS_A_WINDOW: Final = 6  # at once, four while the window is open, and the one after its end that decides
SPARE_SITTINGS: Final = 3  # more than the deaths: the platform's own refusal ends one, patience may end others

# Titles are unique in the registry: what comes a second time is refused there, whoever sends it.
TITLE_UNIQUE: Final = frozenset(
    {"create_adhoc_class", "create_adhoc_schema", "create_field_group", "create_target_schema"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Deaths, one after the other, in one step's life; the fate of its first call that gets so far; its look-ups'."""

    step: str
    fate: RequestFate
    crashes: tuple[Crash, ...] = ()
    later: tuple[RequestFate, ...] = ()  # what the first call after each death meets
    look_up: LookUpFate | None = None
    echo_names: bool = True  # whether mapping sets keep the name that they are sent

    def __str__(self) -> str:
        fates = ", then ".join(fate.name for fate in (self.fate, *self.later))
        looks = f"; look-up: {self.look_up.name}" if self.look_up else ""
        names = "" if self.echo_names else "; names are not kept"
        deaths = ", then ".join(map(str, self.crashes)) or "no death"
        return f"{self.step}: {fates}{looks}{names}; {deaths}"

    @property
    def limit(self) -> bool:
        """Whether the cell is outside of what can be guaranteed, so that twins must be reported instead."""
        return any(fate.limit for fate in (self.fate, *self.later))


def can_happen(point: CrashPoint, fate: RequestFate) -> bool:
    """Whether a run in which the step's first call meets this fate passes this point of that step.

    A trap stays armed until it is met, so that what a second attempt passes counts too.
    """
    in_doubt = fate.knows is Knows.IN_DOUBT
    match point.number:
        case 3:
            return False  # needs a torn tail first: a pair
        case 9:
            return fate.commits is Commits.LATE
        case 10:
            return fate.commits is not Commits.LATE or fate.again
        case 11:
            return fate.answers or fate.again
        case 15 | 18:
            return in_doubt and fate.commits is not Commits.NOW
        case 16:
            return in_doubt
        case 17:
            return fate.found
        case 19:
            return fate.waits in ("back_off", "token")
        case 20:
            return fate.again
        case 21 | 22:
            return in_doubt and fate.again
        case _:
            return point.per_step


def single_cells(step: str, point: CrashPoint, *, echo_names: bool = True) -> Iterator[Cell]:
    """Every cell with one death of this step at this point."""
    for fate in REQUEST_FATES:
        if can_happen(point, fate):
            for death in point.deaths:
                crash = Crash(point=point.number, step=step, death=death)
                yield Cell(step=step, fate=fate, crashes=(crash,), echo_names=echo_names)


# One step of each kind: title-unique, silent, found not created, without marker field.
ONE_OF_EACH_KIND: Final = ("create_target_schema", "create_dataset", "find_or_create_sink", "create_mapping_set")
# One fate of each kind that leads to other points: nothing there, there at once, there at the last moment, refused.
PAIR_FATES: Final = (
    "lost before commit", "committed, answer lost", "commits at exactly G, listed at exactly L", "429 with Retry-After",
)  # fmt: skip
PAIR_DEATHS: Final = (Death.KILLED, Death.KEPT, Death.LOST)


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
    world = World(echo_names=cell.echo_names)
    world.set_fate(cell.step, cell.fate)
    if cell.look_up is not None:
        world.set_look_up_fate(cell.step, cell.look_up)
    return world


def pair_cells(step: str, fate: RequestFate, *, echo_names: bool = True) -> Iterator[Cell]:
    """Every cell in which the step dies, and dies again while the next sitting mends that."""
    for point in per_step_points():
        for single in single_cells(step, point, echo_names=echo_names):
            if single.fate is fate and single.crashes[0].death in PAIR_DEATHS:
                for second in second_deaths(single):
                    yield replace(single, crashes=(*single.crashes, second))


def look_up_cells(step: str) -> Iterator[Cell]:
    """Every fate of the look-ups after a lost answer."""
    for look_up in LOOK_UP_FATES:
        yield Cell(step=step, fate=FATES["committed, answer lost"], look_up=look_up)


def look_up_deaths(step: str) -> Iterator[Cell]:
    """The same with a death at each point that a sitting passes in which this happens."""
    watched = [Crash(point=number, step=step) for number in (9, 10, 12, 14, 15, 16, 17, 18, 19)]
    for cell in look_up_cells(step):
        for crash in run_watched(cell, watched):
            yield replace(cell, crashes=(crash,))


def triple_cells(step: str) -> Iterator[Cell]:
    """Three sends: two attempts that were never sent or never arrived, and any death in the third's call.

    With the two that end in a twin which nobody can prevent: too late, then any death in the second's call.
    """
    answered, late, too_late = FATES["answered"], FATES["commits at exactly G"], FATES["commits later than G"]
    nothing = ((6, answered), (8, answered))
    for first, second, third in product(nothing, nothing, (*nothing, (9, late), (9, too_late), (10, answered))):
        yield _in_a_row(step, first, second, third)
    for then in ((6, answered), (8, answered), (10, answered)):
        yield _in_a_row(step, (9, too_late), then)


def _in_a_row(step: str, *deaths: tuple[int, RequestFate]) -> Cell:
    """A death in each of so many calls, the call's fate beside it."""
    crashes = tuple(Crash(point=number, step=step) for number, _ in deaths)
    fates = [fate for _, fate in deaths]
    return Cell(step=step, fate=fates[0], later=tuple(fates[1:]), crashes=crashes)


def per_step_points() -> list[CrashPoint]:
    """The points that a step has of its own, and that a first death can be at."""
    return [point for point in POINTS if point.per_step and point.number != 3]


def reboot_cells(step: str, point: CrashPoint) -> Iterator[Cell]:
    """The cells in which the machine, not only the process, dies at a place where nothing is unsynced."""
    for cell in single_cells(step, point):
        if cell.crashes[0].death is Death.KILLED:
            yield replace(cell, crashes=(replace(cell.crashes[0], death=Death.REBOOTED),))


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
        check(world, report, cell)
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
                pass
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
    kind = TABLES["tutorial"].row_of(cell.step).step.kind
    assert world.made[kind] <= MADE_ONCE[kind], f"{world.made[kind]} {kind} were made"


# -- what must hold ------------------------------------------------------------------------------------------------


def check(world: World, report: Report, cell: Cell) -> None:
    """Everything that must hold at the end of a cell."""
    documents = _check_idle(world, report)
    ledger = ledger_of(world.spec.name, documents)
    ids = {resource.step: resource.id for resource in report.resources}
    assert set(ids) == set(EFFECTS), f"the report names {sorted(ids)}"
    _check_objects(world, ledger, cell, ids, report)
    _check_references(world, ids)
    _check_acknowledged(world, documents)
    _check_look_ups(world, ledger, cell)
    check_windows(world, ledger)
    if world.hits and len(cell.crashes) == 1 and cell.look_up is None and not cell.later:
        (crash,) = cell.crashes
        check_next_process(world, crash, cell.fate)
        check_not_late(world, crash, cell.fate, ledger)


def _check_objects(world: World, ledger: Ledger, cell: Cell, ids: dict[str, str], report: Report) -> None:
    extras: list[str] = []
    for row in TABLES["tutorial"].rows:
        step = row.step
        if step.name not in ids:
            continue
        key = "$id" if step.name in TITLE_UNIQUE else "id"
        marker = f"fl-{ledger.nonce}-{step.slug}"
        ours = [
            str(found[key])
            for found in world.emulator.objects(step.kind)
            if _carries(found, marker) or (step.kind == "mappingSets" and not cell.echo_names)
        ]
        assert ids[step.name] in ours, f"the journal's {step.label} is not on the platform"
        extras += [id for id in ours if id != ids[step.name]]
    reported = set(report.duplicates)
    if cell.look_up is not None and cell.look_up.ends == "reported":
        assert set(extras) == reported, f"extra hits {extras} and reported {reported} differ"
        assert ids[cell.step] == world.original, "a later copy was taken for the step's object"
        return
    if cell.limit:
        assert set(extras) == reported, f"twins {extras} and reported {reported} differ"
    elif cell.fate.unseen:
        # One send, one answer: within a run nothing can notice. What the run did look at, it reports.
        assert reported <= set(extras)
        assert len(extras) <= (0 if cell.step in TITLE_UNIQUE else 1), extras
    else:
        assert not extras, f"orphans or twins: {extras}"
        assert not reported, f"reported although there are none: {reported}"
        scene = 1 if cell.look_up is not None and cell.look_up.scene else 0
        kind = TABLES["tutorial"].row_of(cell.step).step.kind
        wanted = {**MADE_ONCE, kind: MADE_ONCE[kind] + scene}
        made = {each: world.made[each] for each in MADE_ONCE}
        assert made == wanted, f"created, in all: {made}"


def _carries(found: dict[str, Any], marker: str) -> bool:
    texts = [found.get("name"), found.get("title"), found.get("description"), *found.get("tags", {}).values()]
    return any(marker in str(text) for text in texts)


_REFERENCES: Final = (
    # object of           names the object of         in
    ("create_adhoc_schema", "create_adhoc_class", ("allOf",)),
    ("create_source_connection", "create_base_connection", ("baseConnectionId",)),
    ("create_source_connection", "create_adhoc_schema", ("data",)),
    ("create_target_schema", "create_field_group", ("allOf",)),
    ("create_dataset", "create_target_schema", ("schemaRef",)),
    ("create_target_connection", "find_or_create_sink", ("baseConnectionId",)),
    ("create_target_connection", "create_target_schema", ("data",)),
    ("create_target_connection", "create_dataset", ("params",)),
    ("create_mapping_set", "create_target_schema", ("xdmSchema",)),
    ("create_flow", "create_source_connection", ("sourceConnectionIds",)),
    ("create_flow", "create_target_connection", ("targetConnectionIds",)),
    ("create_flow", "create_mapping_set", ("transformations",)),
)


def _check_references(world: World, ids: dict[str, str]) -> None:
    for holder, named, (field,) in _REFERENCES:
        found = world.emulator.world.store.peek(TABLES["tutorial"].row_of(holder).step.kind, "prod", ids[holder])
        assert found is not None
        assert f"'{ids[named]}'" in f"{[found[field]]}", f"{holder} does not name the journal's {named} in {field}"


def _check_acknowledged(world: World, documents: list[Any]) -> None:
    kept = {document.doc_id: dict(document) for document in documents}
    for number, doc in world.acknowledged.items():
        found = kept.get(number)
        assert found is not None, f"acknowledged event {number} is lost: {doc['kind']}"
        found.pop("run", None)
        same = (found["kind"], found["at"]) == (doc["kind"], doc["at"])
        assert same, f"event {number} is another: {found['kind']}"


def _check_look_ups(world: World, ledger: Ledger, cell: Cell) -> None:
    """A sitting looks up what was in doubt when it began and what it sends into doubt; nothing else.

    A step in doubt costs one look-up if its object shows, else at most LOOKS_A_WINDOW before it is sent again; one that
    was sent again costs one more at the end. (A second list for a second field belongs to the same look-up.)
    """
    calls = Counter(world.looks)
    for sitting, (in_doubt, shown) in enumerate(zip(world.in_doubt_at_start, world.shown_at_start, strict=True), 1):
        for step in EFFECTS:
            looks, attempts = calls[sitting, step], len(ledger.step(step).attempts)
            if step in shown:
                most = 1
            elif step in in_doubt or step == cell.step:
                most = LOOKS_A_WINDOW * (attempts if step == cell.step else 1)
            else:
                most = 0
            last = attempts > 1
            assert looks <= most + last, f"{step} was looked up {looks} times in sitting {sitting}"


def _check_idle(world: World, report: Report) -> list[Any]:
    """Resuming once more changes nothing and sends nothing. Returns the run's events, as that process read them."""
    requests, looks, records = len(world.requests), len(world.looks), world.disk.durable().count(b"\n")
    again = world.sit()
    assert again == report, f"resuming once more gave {again}"
    assert (len(world.requests), len(world.looks)) == (requests, looks), "resuming once more sent something"
    assert world.disk.durable().count(b"\n") == records + 1, "resuming once more wrote more than its clean end"
    return world.documents
