"""Many runs in one process: one journal, one token, one pace, and what is equal is made once and shared."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

from flowledger.engine import api
from flowledger.engine.api import DEFAULT_JOURNAL, SpecLike
from flowledger.engine.arguments import (
    judged_callback,
    judged_journal,
    judged_kind,
    judged_seconds,
    judged_several,
    judged_truth,
    need_asyncio,
)
from flowledger.engine.blocking import blocking
from flowledger.engine.discretion import internal_error, without_secrets
from flowledger.engine.halt import Halt
from flowledger.engine.ledger import Ledger, RunState, ledger_of, refuse_unreadable
from flowledger.engine.log import logger_of
from flowledger.engine.place import Located, place_of, refuse_another_place
from flowledger.engine.report import Report, Stop, report_of, stop_of
from flowledger.engine.share import share_of
from flowledger.engine.sitting import JournalLike, Sitting, must_exist, opened
from flowledger.engine.specchange import changes_since
from flowledger.engine.specfault import echo
from flowledger.engine.specfile import LoadedSpec, accepted
from flowledger.engine.together import all_of
from flowledger.errors import FlowledgerError, JournalPoisoned, NotThere, SpecError, UsageError
from flowledger.journal import Journal, JournalReader
from flowledger.steps.client.clock import Clock, SystemClock
from flowledger.steps.client.config import platform_from_env
from flowledger.steps.client.platform import Platform
from flowledger.steps.spec import Spec

SCHEMA_VERSION: Final = 1
DEFAULT_PARALLEL: Final = 50  # runs at once: with two or three calls each, as many calls as there are connections
WORST_FIRST: Final = (9, 1, 4, 7, 8, 10, 5, 3, 2, 6, 75, 0)  # of several exit codes the first of these is the fleet's

_AT_AN_END: Final = (RunState.PROVISIONED, RunState.DESTROYING, RunState.DESTROYED)  # nothing to carry on

OnFleetEvent = Callable[[str, int, Mapping[str, Any]], None]  # run, event number, document


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """What one run of several has come to."""

    report: Report
    steps_done: int
    steps: int
    seconds: float  # in this process; 0 if it was not begun
    stopped: Stop | None  # why it is not provisioned, or not by this call: it is provisioned in another place
    next: str  # what to type or to change; "" if nothing is left to do

    @property
    def run(self) -> str:
        """The run's name."""
        return self.report.run

    @property
    def state(self) -> RunState:
        """The run's state as a whole."""
        return self.report.state

    @property
    def exit_code(self) -> int:
        """What the CLI would end with after this run alone."""
        if self.stopped is not None:
            return self.stopped.exit_code
        return 0 if self.report.state is RunState.PROVISIONED else 75

    def to_json(self) -> dict[str, Any]:
        """The run's part of the document: its report, and how far it came."""
        return {
            **{name: value for name, value in self.report.to_json().items() if name != "schema_version"},
            "stopped": asdict(self.stopped) if self.stopped else None,
            "steps_done": self.steps_done,
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            "exit_code": self.exit_code,
            "next": self.next,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetReport:
    """What many runs have come to, in the order they were given."""

    runs: tuple[RunOutcome, ...]
    journal: str  # the directory
    seconds: float
    throttled: int  # answers that said 429

    @property
    def exit_code(self) -> int:
        """The worst of the runs: a final failure before what a later resume can help (`WORST_FIRST`)."""
        return min((run.exit_code for run in self.runs), key=_badness, default=0)

    def to_json(self) -> dict[str, Any]:
        """The document of `--json` (schema version 1)."""
        return {
            "schema_version": SCHEMA_VERSION,
            "runs": [run.to_json() for run in self.runs],
            "summary": self.summary(),
        }

    def summary(self) -> dict[str, Any]:
        """Counts over all runs, and the exit code."""
        states = Counter(str(run.state) for run in self.runs)
        hows = Counter(resource.how for run in self.runs for resource in run.report.resources)
        return {
            "runs": len(self.runs),
            "provisioned": sum(run.exit_code == 0 for run in self.runs),
            "failed": sum(run.exit_code not in (0, 75) for run in self.runs),
            "unfinished": sum(run.exit_code == 75 for run in self.runs),
            "states": dict(sorted(states.items())),
            "resources": {how: hows[how] for how in ("created", "adopted", "found")},
            "duplicates": sum(len(run.report.duplicates) for run in self.runs),
            "throttled": self.throttled,
            "seconds": round(self.seconds, 3),
            "exit_code": self.exit_code,
            "journal": self.journal,
        }


async def apply_many(
    specs: Iterable[SpecLike],
    *,
    journal: JournalLike = DEFAULT_JOURNAL,
    platform: Platform | None = None,
    parallel: int = DEFAULT_PARALLEL,
    share: bool = True,
    on_event: OnFleetEvent | None = None,
    on_run: Callable[[RunOutcome], None] | None = None,
    halt: Halt | None = None,
    lock_timeout: float = 0.0,
    clock: Clock | None = None,
    chance: random.Random | None = None,
) -> FleetReport:
    """Provision many specs, `parallel` of them at a time, in one journal and with one token.

    All specs are judged before anything is sent, as by `apply`. Then a failure of one run leaves the others alone and
    is in the report, not raised. With `share`, equal source connections are one base connection and the sandbox's
    dataset base connection is one: one run makes it, the others find it. `on_event(run, number, document)` is told
    each durable event, `on_run(outcome)` each run that has ended. The rest as of `apply`.

    Raises UsageError for a `parallel` below 1, SpecError with the faults of all specs (also: two of one name, one that
    differs from what its run began with), NotPermitted when credentials are missing, and the JournalErrors when the
    journal cannot be opened.
    """
    judged_truth("share", share)
    judged_several("specs", specs)
    fleet = _Fleet(journal, platform, parallel, on_event, on_run, halt, lock_timeout, clock, chance)
    loaded = judged(specs, base_url=api.aimed_at(platform))
    wanted = [one.spec for one in loaded]
    async with fleet.open() as (book, shared):
        refuse_passed(loaded, book, (clock or shared.clock).wall())
        await asyncio.to_thread(refuse_changed, wanted, book)
        return await fleet.drive(book, shared, {spec.name: spec for spec in wanted}, share=share)


async def resume_many(
    runs: Sequence[str] | None = None,
    *,
    journal: JournalLike = DEFAULT_JOURNAL,
    platform: Platform | None = None,
    parallel: int = DEFAULT_PARALLEL,
    on_event: OnFleetEvent | None = None,
    on_run: Callable[[RunOutcome], None] | None = None,
    halt: Halt | None = None,
    lock_timeout: float = 0.0,
    clock: Clock | None = None,
    chance: random.Random | None = None,
) -> FleetReport:
    """Carry on the named runs, or all unfinished runs of the journal, `parallel` of them at a time.

    A run whose destroy has begun is not unfinished: it can only be destroyed. Of all unfinished runs those of another
    sandbox are left alone, with a warning (UsageError if all of them are elsewhere); one that is named is refused, in
    its outcome.
    Which runs share stays as it was when they were begun. Otherwise as `apply_many`; raises NotThere if there is no
    journal or no such run.
    """
    if runs is not None:
        judged_several("runs", runs)
    must_exist(journal)
    fleet = _Fleet(journal, platform, parallel, on_event, on_run, halt, lock_timeout, clock, chance)
    async with fleet.open() as (book, shared):
        known = book.runs()
        unknown = [name for name in runs or () if name not in known]
        if unknown:
            raise NotThere(f"the journal at {book.directory} has no run {', '.join(unknown)}", hint="flowledger runs")
        if runs is None:  # in a thread, since a journal may hold thousands of runs
            runs = [ledger.run for ledger in await asyncio.to_thread(list, unfinished(book, shared))]
        wanted = dict.fromkeys(runs)
        return await fleet.drive(book, shared, wanted, share=False)


apply_many_sync = blocking(apply_many)
resume_many_sync = blocking(resume_many)


def judged(specs: Iterable[SpecLike], *, base_url: str) -> list[LoadedSpec]:
    """The specs, complete and judged for that platform; warnings are logged.

    Raises one SpecError that names every fault of all of them.
    """
    wanted: list[LoadedSpec] = []
    faults: list[str] = []
    for spec in specs:
        try:
            loaded = accepted(spec, base_url=base_url)
        except SpecError as error:
            faults += error.faults or (error.message,)
            continue
        wanted.append(loaded)
        for warning in loaded.warnings:
            logger_of(run=loaded.spec.name).warning(f"the spec: {warning}")
    faults += twice_named([one.spec.name for one in wanted])
    if faults:
        raise SpecError("not all specs are valid; nothing was sent", faults=tuple(faults), hint="correct them")
    return wanted


def refuse_passed(wanted: Iterable[LoadedSpec], book: Journal, now: float) -> None:
    """Raise SpecError, naming all of them, if specs whose runs have not begun have a start that has passed."""
    begun = frozenset(book.runs())
    faults: list[str] = []
    for loaded in wanted:
        try:
            if loaded.spec.name not in begun:
                loaded.refuse_passed(now)
        except SpecError as error:
            faults += [f"{loaded.spec.name}: {fault}" for fault in error.faults]
    if faults:
        raise SpecError("not all specs are valid; nothing was sent", faults=tuple(faults), hint="correct them")


def twice_named(names: Sequence[str]) -> list[str]:
    """A fault for each name that several specs have."""
    return [f"{count} specs are named {name}" for name, count in Counter(names).items() if count > 1]


def unfinished(book: Journal | JournalReader, here: Located | None) -> Iterator[Ledger]:
    """The runs of a journal that a resume can carry on, oldest first; of those elsewhere than `here` only a warning.

    Raises UsageError at the end if all that are unfinished belong elsewhere: then `here` is probably not meant.
    """
    elsewhere: Ledger | None = None
    count = 0
    for name in book.runs():
        ledger = ledger_of(name, book.events(name))
        if ledger.state in _AT_AN_END:
            continue
        if ledger.unreadable:
            logger_of(journal=str(book.directory)).warning(
                "a run of a newer version was left alone", run=name, reason=ledger.unreadable
            )
            continue
        if here is None or ledger.spec is None or place_of(ledger) == place_of(here):
            count += 1
            yield ledger
        else:
            elsewhere = elsewhere or ledger
            logger_of(journal=str(book.directory)).warning(
                "a run of another place was left alone",
                run=name,
                sandbox=ledger.sandbox,
                org=ledger.org,
                base_url=ledger.base_url,
            )
    if elsewhere is not None and not count:
        refuse_another_place(elsewhere, here)


def refuse_changed(wanted: Iterable[Spec], book: Journal) -> None:
    """Raise SpecError if a spec differs from the one that its run began with, naming all such places; UsageError
    for a run of a newer version."""
    faults = []
    carry_on = False  # something is left to be done of one of the runs
    begun = frozenset(book.runs())
    for spec in wanted:
        if spec.name not in begun:
            continue
        ledger = ledger_of(spec.name, book.events(spec.name))
        refuse_unreadable(ledger)
        if ledger.destroying:  # refused on its own, whatever its spec says
            continue
        changes = changes_since(ledger, spec)
        faults += [f"{spec.name}: {line}" for line in changes]
        carry_on = carry_on or (bool(changes) and not ledger.provisioned)
    if faults:
        raise SpecError(
            "specs have changed since their runs began; nothing was sent",
            faults=tuple(faults),
            hint="restore them, or "
            + ("flowledger resume --all to finish the runs as they began, or " if carry_on else "")
            + "give them new names for further dataflows",
        )


class _Fleet:
    """One call of apply_many or resume_many: what it was given, and what it must let go of."""

    def __init__(
        self,
        journal: JournalLike,
        platform: Platform | None,
        parallel: int,
        on_event: OnFleetEvent | None,
        on_run: Callable[[RunOutcome], None] | None,
        halt: Halt | None,
        lock_timeout: float,
        clock: Clock | None,
        chance: random.Random | None,
    ) -> None:
        if not isinstance(parallel, int) or isinstance(parallel, bool) or parallel < 1:
            raise UsageError(f"parallel is a number of runs, not {echo(parallel)}", hint="give 1 or more")
        need_asyncio()
        judged_journal(journal)
        judged_kind("platform", platform, Platform, type(None))
        judged_kind("halt", halt, Halt, type(None))
        judged_callback("on_event", on_event, "run", "number", "document")
        judged_callback("on_run", on_run, "outcome")
        self._journal = journal
        self._platform = platform
        self._parallel = parallel
        self._on_event = on_event
        self._on_run = on_run
        self._halt = halt or Halt()
        self._lock_timeout = judged_seconds("lock_timeout", lock_timeout)
        self._clock = clock
        self._chance = chance

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[Journal, Platform]]:
        """The journal, whose lock is taken before it is read, and the platform; once for all runs."""
        if self._platform is not None:
            self._platform.enter()
        clock = self._clock or (self._platform.clock if self._platform is not None else SystemClock())
        async with opened(self._journal, lock_timeout=self._lock_timeout, halt=self._halt, clock=clock) as book:
            platform = self._platform or platform_from_env(os.environ, clock=self._clock)
            try:
                yield book, platform
            finally:
                if self._platform is None:
                    await platform.close()

    async def drive(
        self, book: Journal, platform: Platform, wanted: Mapping[str, Spec | None], *, share: bool
    ) -> FleetReport:
        """Drive these runs, so many at a time; a spec is of one that may have to be begun.

        A run is folded from the journal only when its turn comes, so that memory follows the runs under way. Returns
        once the last of them has ended.
        """
        clock = self._clock or platform.clock
        began, throttled = clock.monotonic(), platform.slots.throttled
        place = str(book.directory)
        outcomes: dict[str, RunOutcome] = {}
        ahead = iter(list(wanted.items()))
        log = logger_of(journal=place)
        share_of(book).look_again()
        halt = Halt()  # of this fleet alone: what ends it need not end what else the caller drives
        unlisten = self._halt.listen(halt.request)
        log.info("driving many runs", runs=len(wanted), parallel=self._parallel)
        if min(self._parallel, len(wanted)) > 1:
            platform.slots.start_gently()

        def end(outcome: RunOutcome) -> None:
            outcomes[outcome.run] = outcome
            if self._on_run is not None:
                self._on_run(outcome)

        async def worker() -> None:
            for name, spec in _until_stopped(ahead, halt):
                at = clock.monotonic()
                stop: Stop | None = None
                ledger = ledger_of(name, book.events(name))
                on_event = partial(self._on_event, name) if self._on_event is not None else None
                sitting = Sitting(book, platform, on_event, halt, 0.0, clock, self._chance, share=share)
                try:
                    await sitting.drive(book, place, ledger, new=spec)
                except FlowledgerError as error:
                    stop = stop_of(error)
                    log.warning("a run ended unfinished", run=name, error=type(error).__name__, reason=error.message)
                    if isinstance(error, JournalPoisoned):
                        halt.request("the journal cannot be written")
                except Exception as error:
                    if sitting.is_the_callers(error):
                        raise
                    unexpected = internal_error(error, name)
                    without_secrets(unexpected, platform.redactor)
                    stop = stop_of(unexpected)
                    log.error("a run ended by a fault in flowledger", run=name, reason=unexpected.message)
                end(_outcome(ledger, place, clock.monotonic() - at, stop))

        try:
            # Only what no run is to blame for is raised here, like an error of the program that embeds us.
            await all_of([worker() for _ in range(min(self._parallel, len(wanted)))])
        finally:
            unlisten()
        for name in wanted:
            if name not in outcomes:
                end(_outcome(ledger_of(name, book.events(name)), place, 0.0, None))
        return FleetReport(
            runs=tuple(outcomes[name] for name in wanted),
            journal=place,
            seconds=clock.monotonic() - began,
            throttled=platform.slots.throttled - throttled,
        )


def _until_stopped(wanted: Iterator[tuple[str, Spec | None]], halt: Halt) -> Iterator[tuple[str, Spec | None]]:
    while not halt.requested and (following := next(wanted, None)) is not None:
        yield following


def _outcome(ledger: Ledger, place: str, seconds: float, stop: Stop | None) -> RunOutcome:
    report = report_of(ledger, place)
    provisioned = report.state is RunState.PROVISIONED
    refused = stop is not None and stop.error == UsageError.__name__  # it belongs elsewhere
    stopped = stop if refused or not provisioned else None
    if stopped is None and not provisioned:
        stopped = report.stopped
    if provisioned and not refused:
        following = ""
    elif stopped is not None and stopped.hint:
        following = stopped.hint
    else:
        following = f"flowledger resume {ledger.run}" if ledger.spec is not None else "apply again"
    return RunOutcome(
        report=report,
        steps_done=sum(record.done for record in ledger.steps.values()),
        steps=len(ledger.table.rows),
        seconds=seconds,
        stopped=stopped,
        next=following,
    )


def _badness(code: int) -> int:
    return WORST_FIRST.index(code) if code in WORST_FIRST else 1
