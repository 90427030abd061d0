"""The public verbs. No global state: any number of calls share a loop, a journal, a platform."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from flowledger.engine.arguments import (
    judged_callback,
    judged_journal,
    judged_kind,
    judged_seconds,
    judged_start,
    judged_truth,
)
from flowledger.engine.audience import OnEvent
from flowledger.engine.blocking import blocking
from flowledger.engine.dataset import Dataset
from flowledger.engine.driftcheck import DriftReport
from flowledger.engine.halt import Halt
from flowledger.engine.ledger import Ledger, ledger_of, refuse_destroyed, refuse_unreadable
from flowledger.engine.log import logger_of
from flowledger.engine.place import refuse_another_place
from flowledger.engine.report import Report, report_of
from flowledger.engine.sitting import JournalLike, Sitting, must_exist
from flowledger.engine.specchange import changes_since, instead_of_changing
from flowledger.engine.specfault import nearest
from flowledger.engine.specfile import LoadedSpec, accepted
from flowledger.engine.watch import EVERY, OnDue, OnFlowRun, Until, WatchReport
from flowledger.errors import NotThere, SpecError
from flowledger.journal import Journal, JournalReader
from flowledger.journal.reading import is_there
from flowledger.steps.client.clock import Clock
from flowledger.steps.client.config import ADOBE
from flowledger.steps.client.platform import Platform
from flowledger.steps.flow import CreateFlow
from flowledger.steps.spec import Spec

DEFAULT_JOURNAL = Path(".flowledger/journal")
SpecLike = Spec | LoadedSpec | Mapping[str, Any] | Path | str


async def apply(
    spec: SpecLike,
    *,
    journal: JournalLike = DEFAULT_JOURNAL,
    platform: Platform | None = None,
    on_event: OnEvent | None = None,
    halt: Halt | None = None,
    lock_timeout: float = 0.0,
    clock: Clock | None = None,
    chance: random.Random | None = None,
    share: bool = False,
) -> Report:
    """Provision a spec; carry on if its run has begun; do nothing if it is provisioned.

    `spec` is a file, what `load_spec` gave, a mapping as the file would hold, or a `Spec`. It is judged before anything
    is sent, also for the platform it is aimed at and for a start that has passed; warnings are logged, but for those of
    `load_spec`, which its caller has. `journal` is a directory (opened as its one writer,
    waiting `lock_timeout` seconds for another to let go) or an open `Journal` that several runs may share. `platform`
    comes from the `FLOWLEDGER_*` environment if it is not given. `on_event(number, document)` is called with each
    event once it is durable; what it raises ends the run in order and is raised then. `halt` stops the run from
    outside, in whatever thread it is asked for. `share` has it use one base connection and one dataset base connection
    with the journal's other runs, from now on, as `apply_many`.

    Raises SpecError (also when the spec is not the one its run began with), UsageError (also for a run that belongs to
    another organisation, sandbox or platform, finished or not), NotPermitted, NotThere, Rejected, Conflict,
    Drifted, TryLater (then `resume` later can help) and the JournalErrors.
    """
    judged_truth("share", share)
    loaded = accepted(spec, base_url=aimed_at(platform))
    wanted = loaded.spec
    for warning in loaded.warnings:
        logger_of(run=wanted.name).warning(f"the spec: {warning}")
    sitting = Sitting(journal, platform, on_event, halt, lock_timeout, clock, chance, share=share)
    async with sitting.open() as (book, place):
        ledger = ledger_of(wanted.name, book.events(wanted.name))
        refuse_destroyed(ledger)
        if ledger.spec is None:
            loaded.refuse_passed(sitting.clock.wall())
        refuse_another_place(ledger, sitting.here(), begins=True)
        differences = changes_since(ledger, wanted)
        if differences:
            raise SpecError(
                f"the spec of run {wanted.name} has changed since the run began",
                faults=tuple(differences),
                hint=instead_of_changing(ledger),
            )
        return await sitting.drive(book, place, ledger, new=wanted)


async def resume(
    run: str,
    *,
    journal: JournalLike = DEFAULT_JOURNAL,
    platform: Platform | None = None,
    start: str | int | None = None,
    on_event: OnEvent | None = None,
    halt: Halt | None = None,
    lock_timeout: float = 0.0,
    clock: Clock | None = None,
    chance: random.Random | None = None,
) -> Report:
    """Carry on an unfinished run from its journal; a no-op for one that is provisioned.

    `start` replaces the schedule's start, for a run whose absolute start has passed; it is what `schedule.start` of a
    spec may be. Otherwise as `apply`. Raises UsageError, before anything is journaled, for a start that is none or has
    passed, NotThere if the journal knows no such run. A `start` for a dataflow that exists is warned of and left out.
    """
    sitting = Sitting(journal, platform, on_event, halt, lock_timeout, clock, chance)
    start = judged_start(start, sitting.clock.wall())
    judged_kind("run", run, str)
    must_exist(journal)
    async with sitting.open() as (book, place):
        ledger = ledger_of(run, book.events(run))
        refuse_unreadable(ledger)
        if ledger.spec is None:
            raise _no_such_run(run, book.runs(), place)
        if start is not None and ledger.step(CreateFlow.name).done:
            # Not an error: a job that repeats `resume --start` until it ends must not fail on its last step.
            logger_of(run=run).warning("the dataflow exists already, its start stays as it is", start=start)
            start = None
        return await sitting.drive(book, place, ledger, start=start)


async def destroy(
    run: str,
    *,
    journal: JournalLike = DEFAULT_JOURNAL,
    platform: Platform | None = None,
    keep_dataset: bool = False,
    on_event: OnEvent | None = None,
    halt: Halt | None = None,
    lock_timeout: float = 0.0,
    clock: Clock | None = None,
    chance: random.Random | None = None,
) -> Report:
    """Delete everything that a run has made, its dataset with all data in it included; a no-op once that is done.

    Asks nothing. From its first event on the run can only be destroyed: call it again until it returns. What the run
    found or shares stays, and what somebody else's objects refer to; the report's `left` says what and why. Called for
    a destroyed run it looks again at what was left because it was in use, and deletes what nothing refers to any more.
    `keep_dataset` leaves the dataset, its schema and its field group, also in later calls that do not say so.
    Otherwise as `apply`. Raises NotThere if the journal knows no such run; Rejected, after everything else is deleted,
    for a refusal of the platform that nothing explains.
    """
    judged_truth("keep_dataset", keep_dataset)
    sitting = Sitting(journal, platform, on_event, halt, lock_timeout, clock, chance)
    judged_kind("run", run, str)
    must_exist(journal)
    async with sitting.open() as (book, place):
        ledger = ledger_of(run, book.events(run))
        refuse_unreadable(ledger)
        if ledger.spec is None:
            raise _no_such_run(run, book.runs(), place)
        return await sitting.destroy(book, place, ledger, keep_dataset=keep_dataset)


async def drift(
    run: str,
    *,
    journal: JournalLike = DEFAULT_JOURNAL,
    platform: Platform | None = None,
    remove_twins: bool = False,
    on_event: OnEvent | None = None,
    halt: Halt | None = None,
    lock_timeout: float = 0.0,
    clock: Clock | None = None,
    chance: random.Random | None = None,
) -> DriftReport:
    """Compare a run with the platform: every object by its id, every marker by a look-up.

    Drift is reported, not raised: look at the report's `exit_code`. `remove_twins` deletes further objects that carry
    the run's markers, are what the run makes, and are referred to by nothing; each is journaled like a destroy's.
    Otherwise as `apply`. Raises NotThere if the journal knows no such run, UsageError if it is (being) destroyed.
    """
    judged_truth("remove_twins", remove_twins)
    sitting = Sitting(journal, platform, on_event, halt, lock_timeout, clock, chance)
    judged_kind("run", run, str)
    must_exist(journal)
    async with sitting.open() as (book, place):
        ledger = ledger_of(run, book.events(run))
        refuse_unreadable(ledger)
        if ledger.spec is None:
            raise _no_such_run(run, book.runs(), place)
        return await sitting.compare(book, place, ledger, remove_twins=remove_twins)


async def watch(
    run: str,
    *,
    journal: JournalLike = DEFAULT_JOURNAL,
    platform: Platform | None = None,
    until: Until | None = None,
    every: float = EVERY,
    on_run: OnFlowRun | None = None,
    on_due: OnDue | None = None,
    halt: Halt | None = None,
    lock_timeout: float = 10.0,
    clock: Clock | None = None,
    chance: random.Random | None = None,
) -> WatchReport:
    """Follow the runs of a run's dataflow until `until`, or until `halt` asks for the end.

    `on_run(event)` is called with each flow run that is new or not as it was when it was last seen, and each is written
    into the journal, whose lock is held only for that; an earlier watch's are not told again. `on_due(moment)` is
    called once, with when the next run is due by the schedule (seconds since the epoch, by the platform's clock), if
    the dataflow runs again. `every`: seconds between two looks, longer while nothing is under way. `lock_timeout`:
    seconds that it waits for the lock at its end; before that it tries again at the next look. Otherwise as `apply`. A
    failed flow run is reported, not raised: look at the
    report's `exit_code`. Raises NotThere if the journal knows no such run, or it has no dataflow.
    """
    judged_kind("until", until, Until, type(None))
    judged_callback("on_run", on_run, "flow_run")
    judged_callback("on_due", on_due, "moment")
    every = judged_seconds("every", every)
    sitting = Sitting(journal, platform, None, halt, lock_timeout, clock, chance)
    ledger, place = read_ledger(run, journal)
    return await sitting.watch(ledger, place, until=until or Until(), every=every, on_run=on_run, on_due=on_due)


def dataset(
    run: str,
    *,
    journal: JournalLike = DEFAULT_JOURNAL,
    platform: Platform | None = None,
    halt: Halt | None = None,
    clock: Clock | None = None,
    chance: random.Random | None = None,
) -> Dataset:
    """The dataset of a run, to be read: `await dataset(run).to_arrow()` (needs the extra `data`).

    `platform` comes from the `FLOWLEDGER_*` environment if it is not given, at each read. Nothing is journaled, and
    the journal's lock is not taken. Raises NotThere if the journal knows no such run, or it has no dataset yet.
    """
    ledger, _ = read_ledger(run, journal)
    return Dataset(ledger, platform=platform, halt=halt, clock=clock, chance=chance)


async def status(run: str, *, journal: JournalLike = DEFAULT_JOURNAL) -> Report:
    """What the journal says of a run, without a lock and without a network. Raises NotThere."""
    return await asyncio.to_thread(read_status, run, journal)


def read_status(run: str, journal: JournalLike = DEFAULT_JOURNAL) -> Report:
    """`status`, for callers without a loop."""
    ledger, place = read_ledger(run, journal)
    return report_of(ledger, place)


def read_ledger(run: str, journal: JournalLike = DEFAULT_JOURNAL) -> tuple[Ledger, str]:
    """A run folded from its journal, and the journal's place; needs no lock. Raises NotThere."""
    judged_kind("run", run, str)
    judged_journal(journal)
    with _readable(journal) as book:
        ledger = ledger_of(run, book.events(run))
        refuse_unreadable(ledger)
        place = str(book.directory)
        if ledger.spec is None:
            raise _no_such_run(run, book.runs(), place)
    return ledger, place


def read_ledgers(journal: JournalLike = DEFAULT_JOURNAL) -> list[Ledger]:
    """Every run of a journal, oldest first; empty if there is no journal. Those of a newer version say so in
    `unreadable`."""
    if not isinstance(journal, Journal) and not is_there(Path(journal)):
        return []
    with _readable(journal) as book:
        return [ledger_of(run, book.events(run)) for run in book.runs()]


def _readable(journal: JournalLike) -> AbstractContextManager[Journal | JournalReader]:
    """The journal to be read as long as the block; one that is open stays open."""
    return nullcontext(journal) if isinstance(journal, Journal) else JournalReader.open(Path(journal))


apply_sync = blocking(apply)
resume_sync = blocking(resume)
destroy_sync = blocking(destroy)
drift_sync = blocking(drift)
watch_sync = blocking(watch)


def status_sync(run: str, *, journal: JournalLike = DEFAULT_JOURNAL) -> Report:
    """`status` for programs without a loop of their own."""
    return read_status(run, journal)


def aimed_at(platform: Platform | None) -> str:
    """The base URL that calls would go to; a bad one is refused where a platform is made of it."""
    judged_kind("platform", platform, Platform, type(None))
    return platform.base_url if platform is not None else os.environ.get("FLOWLEDGER_BASE_URL", "").strip() or ADOBE


def _no_such_run(run: str, runs: list[str], place: str) -> NotThere:
    near = nearest(run, runs)
    known = f"did you mean {near!r}?" if near else f"it has: {', '.join(runs[-5:]) or 'none'}"
    return NotThere(f"the journal at {place} has no run {run!r}; {known}", hint="flowledger runs")
