"""What must hold at the end of a cell: one of everything, the journal names it, nothing is lost, nothing looked up."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from crashmatrix.cells import Cell
from crashmatrix.holds import check_next_process, check_not_late, check_windows
from crashmatrix.styles import EFFECTS, MADE_ONCE, STEPS_OF
from crashmatrix.world import World
from flowledger.engine.driftcheck import DriftReport
from flowledger.engine.ledger import Ledger, ledger_of
from flowledger.engine.report import Report

STILL_UNDER_WAY: Final = 600.0  # seconds after which every call that takes effect late has done so
LOOKS_A_WINDOW: Final = 6  # at once, four while the window is open, and the one after its end that decides


def check(world: World, report: Report, cell: Cell) -> None:
    """Everything that must hold at the end of a cell, and still a while later."""
    documents = _check_idle(world, report)
    # What was under way has arrived by now: a twin that nobody has told of would be seen.
    world.time.advance(STILL_UNDER_WAY)
    ledger = ledger_of(world.spec.name, documents)
    ids = {resource.step: resource.id for resource in report.resources}
    assert set(ids) == set(STEPS_OF[cell.style]), f"the report names {sorted(ids)}"
    extras = _check_objects(world, ledger, cell, ids, report)
    _check_references(world, ids)
    check_acknowledged(world, documents)
    _check_look_ups(world, ledger, cell)
    check_windows(world, ledger)
    if world.hits and len(cell.crashes) == 1 and cell.look_up is None and not cell.later and not cell.others:
        (crash,) = cell.crashes
        check_next_process(world, crash, cell.fate)
        check_not_late(world, crash, cell.fate, ledger)
    if cell.limit or cell.fate.unseen:
        _check_drift(world, extras)


def _check_drift(world: World, extras: list[str]) -> None:
    """`drift` looks up every marker, also where nothing was ever in doubt: it tells of each twin (rule 9)."""
    told = world.sit(verb="drift")
    assert isinstance(told, DriftReport), f"drift ended with {told!r}"
    assert {twin.id for twin in told.twins} == set(extras), f"twins {extras}, and drift tells of {told.twins}"
    assert told.exit_code == (8 if extras else 0)


def _check_objects(world: World, ledger: Ledger, cell: Cell, ids: dict[str, str], report: Report) -> list[str]:
    extras: list[str] = []
    for step, id in ids.items():
        ours = of_ours(world, ledger.nonce, step, echo_names=cell.echo_names)
        assert id in ours, f"the journal's object of {step} is not on the platform"
        extras += [other for other in ours if other != id]
    reported = set(report.duplicates)
    if cell.look_up is not None and cell.look_up.ends == "reported":
        told = reported == set(extras) if not cell.others else reported <= set(extras)  # not each namesake is marked
        assert told, f"extra hits {extras} and reported {reported} differ"
        assert ids[cell.step] not in world.ids_of_others, "somebody else's was taken for the step's object"
        assert world.original in ("", ids[cell.step]), "a later copy was taken for the step's object"
        return extras
    if cell.limit:
        assert set(extras) == reported, f"twins {extras} and reported {reported} differ"
        assert not (extras and cell.unique_names), f"{extras}: the platform takes no second one"
    elif cell.fate.unseen:
        # One send, one answer: within a run nothing can notice. What the run did look at, it reports.
        assert reported <= set(extras)
        assert len(extras) <= (0 if cell.unique_names else 1), extras
    else:
        assert not extras, f"orphans or twins: {extras}"
        assert not reported, f"reported although there are none: {reported}"
        made = {kind: world.made[kind] - world.made_by_others[kind] for kind in MADE_ONCE[cell.style]}
        assert made == MADE_ONCE[cell.style], f"created, in all: {made}"
    return extras


def of_ours(world: World, nonce: str, step: str, *, echo_names: bool = True) -> list[str]:
    """Ids of the objects of a step that carry the run's marker."""
    effect = EFFECTS[step]
    key, marker = "$id" if effect.titled else "id", f"fl-{nonce}-{effect.slug}"
    return [
        str(found[key])
        for found in world.emulator.objects(effect.kind)
        if _carries(found, marker) or (step == "create_mapping_set" and not echo_names)
    ]


def _carries(found: dict[str, Any], marker: str) -> bool:
    texts = [found.get("name"), found.get("title"), found.get("description"), found.get("tags")]
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
        if holder not in ids or named not in ids:
            continue  # the other style's
        found = world.emulator.world.store.peek(EFFECTS[holder].kind, "prod", ids[holder])
        assert found is not None
        assert f"'{ids[named]}'" in f"{[found[field]]}", f"{holder} does not name the journal's {named} in {field}"


def check_acknowledged(world: World, documents: list[Any]) -> None:
    kept = {document.doc_id: dict(document) for document in documents}
    for number, doc in world.acknowledged.items():
        found = kept.get(number)
        assert found is not None, f"acknowledged event {number} is lost: {doc['kind']}"
        found.pop("run", None)
        same = (found["kind"], found["at"]) == (doc["kind"], doc["at"])
        assert same, f"event {number} is another: {found['kind']}"


def _check_look_ups(world: World, ledger: Ledger, cell: Cell) -> None:
    """Look-ups ≤ calls in flight at the death: docs/decisions/0011 says what is counted, and why.

    The steps that a sitting looks up are those that it found with an unanswered attempt, those that it sends into doubt
    itself, and those that owe a last look. A step costs one look-up if its object shows, else at most LOOKS_A_WINDOW
    before it is sent again, and one more, the last look. (A second list for a second field belongs to its look-up.)
    """
    reads, sent = Counter(world.looks), {(sitting, step) for sitting, step in world.sent_in}
    for sitting, start in enumerate(world.starts, 1):
        looked = {step for at, step in reads if at == sitting}
        own = {cell.step} if (sitting, cell.step) in sent else set()
        strange = looked - start.in_flight - start.owed - own
        assert not strange, f"sitting {sitting} looked up what was not in doubt: {sorted(strange)}"
        unsettled = start.in_flight - looked
        assert not (start.ended and unsettled), f"sitting {sitting} did not look up {sorted(unsettled)}"
        assert len(looked - own - start.owed) <= len(start.in_flight), "more look-ups than calls in flight at the death"
        for step in looked:
            attempts = len(ledger.step(step).attempts)
            most = 1 if step in start.shown else LOOKS_A_WINDOW * (attempts if step == cell.step else 1)
            last = attempts > 1
            times = reads[sitting, step]
            assert times <= most + last, f"{step} was looked up {times} times in sitting {sitting}"


def _check_idle(world: World, report: Report) -> list[Any]:
    """Resuming once more changes nothing and sends nothing. Returns the run's events, as that process read them."""
    requests, looks, records = len(world.requests), len(world.looks), world.disk.durable().count(b"\n")
    again = world.sit()
    assert again == report, f"resuming once more gave {again}"
    assert (len(world.requests), len(world.looks)) == (requests, looks), "resuming once more sent something"
    assert world.disk.durable().count(b"\n") == records + 1, "resuming once more wrote more than its clean end"
    return world.documents
