"""One call of a verb: take the journal's lock, claim the run, say so in the journal, work, and let go of everything."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import string
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from flowledger.engine.arguments import judged_callback, judged_journal, judged_kind, judged_seconds, need_asyncio
from flowledger.engine.audience import Audience, OnEvent
from flowledger.engine.destroy import destroy_run, left_for_now
from flowledger.engine.discretion import internal_error, without_secrets
from flowledger.engine.driftcheck import DriftReport, check_drift
from flowledger.engine.driver import Driver
from flowledger.engine.events import (
    DestroyBegun,
    DriftBegun,
    Event,
    FlowRunSeen,
    RunStarted,
    RunStopped,
    RunTakenUp,
)
from flowledger.engine.evidence import append_event
from flowledger.engine.halt import Halt
from flowledger.engine.ledger import Ledger, RunState, refuse_destroyed, refuse_unreadable
from flowledger.engine.locking import open_journal
from flowledger.engine.log import logger_of
from flowledger.engine.place import Located, aim_from, refuse_another_place
from flowledger.engine.reader import Reader
from flowledger.engine.report import Report, report_of, stop_of
from flowledger.engine.run import Run
from flowledger.engine.share import share_of
from flowledger.engine.specchange import moved_secrets
from flowledger.engine.watch import OnDue, OnFlowRun, Until, WatchReport, flow_of, watch_flow
from flowledger.errors import (
    FlowledgerError,
    InDoubt,
    InternalError,
    Interrupted,
    JournalError,
    NotThere,
    TryLater,
)
from flowledger.journal import Journal
from flowledger.journal.filesystem import OsFileSystem
from flowledger.journal.reading import layout_to_read
from flowledger.journal.writing import os_errors
from flowledger.steps.client.clock import Clock, SystemClock, fresh_random
from flowledger.steps.client.config import platform_from_env
from flowledger.steps.client.platform import Platform
from flowledger.steps.spec import Retry, Spec
from flowledger.version import VERSION

T = TypeVar("T")
JournalLike = Journal | Path | str


def must_exist(journal: JournalLike) -> None:
    """Raise NotThere for a folder without a journal: a verb that only carries on must not begin one there."""
    judged_journal(journal)
    if not isinstance(journal, Journal):
        directory = Path(journal)
        with os_errors(directory, reading=True):
            layout_to_read(OsFileSystem(), directory)


@asynccontextmanager
async def opened(journal: JournalLike, *, lock_timeout: float, halt: Halt, clock: Clock) -> AsyncIterator[Journal]:
    """The journal as its one writer, as long as the block; left open if it was open before."""
    if isinstance(journal, Journal):
        yield journal
        return
    book = await open_journal(Path(journal), lock_timeout=lock_timeout, halt=halt, clock=clock)
    if book.recovered is not None:
        logger_of(journal=str(book.directory)).warning("the journal had a torn end", recovered=str(book.recovered))
    try:
        yield book
    finally:
        await asyncio.to_thread(book.close)


class Sitting:
    """One call of a verb: what it was given, and what it must let go of."""

    def __init__(
        self,
        journal: JournalLike,
        platform: Platform | None,
        on_event: OnEvent | None,
        halt: Halt | None,
        lock_timeout: float,
        clock: Clock | None,
        chance: random.Random | None,
        *,
        share: bool = False,
    ) -> None:
        judged_journal(journal)
        judged_kind("platform", platform, Platform, type(None))
        judged_kind("halt", halt, Halt, type(None))
        self._share = share
        self._journal = journal
        self._platform = platform
        need_asyncio()
        judged_callback("on_event", on_event, "number", "document")
        self._audience = Audience(on_event)
        self._halt = halt or Halt()
        self._lock_timeout = judged_seconds("lock_timeout", lock_timeout)
        self._clock = clock or (platform.clock if platform else SystemClock())
        self._chance = chance or fresh_random()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[Journal, str]]:
        """Take the lock, then read the journal (protocol rule 7)."""
        if self._platform is not None:
            self._platform.enter()
        async with opened(self._journal, lock_timeout=self._lock_timeout, halt=self._halt, clock=self._clock) as book:
            yield book, str(book.directory)

    @property
    def clock(self) -> Clock:
        """The clock that the call goes by."""
        return self._clock

    def here(self) -> Located | None:
        """Where the call points: its platform, or the environment; None if that names no organisation."""
        return self._platform or aim_from(os.environ)

    async def drive(
        self, book: Journal, place: str, ledger: Ledger, *, new: Spec | None = None, start: str | int | None = None
    ) -> Report:
        """Provision what is left of a run, or begin it with the spec `new`."""
        refuse_destroyed(ledger)
        refuse_another_place(ledger, self.here(), begins=new is not None)
        if ledger.state is RunState.PROVISIONED:
            return report_of(ledger, place)

        async def opening(platform: Platform) -> None:
            if ledger.spec is None:
                assert new is not None
                await self._keep(
                    book,
                    ledger,
                    RunStarted(
                        nonce=draw_nonce(self._chance),
                        spec=new.written(),
                        as_written=True,
                        folder=new.folder,
                        org=platform.org,
                        sandbox=platform.sandbox,
                        base_url=platform.base_url,
                        shares=self._share,
                    ),
                )
            refuse_another_place(ledger, platform, begins=new is not None)
            moved = moved_secrets(ledger.spec, new) if new is not None and ledger.spec is not None else {}
            await self._keep(book, ledger, RunTakenUp(**self._who, start=start, shares=self._share, **moved))

        async def drive_on(run: Run) -> None:
            await Driver(run).drive()

        await self._held(book, ledger, opening, drive_on)
        return report_of(ledger, place)

    async def destroy(self, book: Journal, place: str, ledger: Ledger, *, keep_dataset: bool) -> Report:
        """Remove what a run has made; a no-op once that is done and nothing is left that could go by now."""
        refuse_unreadable(ledger)
        if ledger.destroyed and not left_for_now(ledger):
            return report_of(ledger, place)

        async def opening(platform: Platform) -> None:
            refuse_another_place(ledger, platform)
            if not ledger.destroying or (keep_dataset and not ledger.keep_dataset):
                await self._keep(book, ledger, DestroyBegun(keep_dataset=keep_dataset))
            share_of(book).withdraw(ledger.run)
            await self._keep(book, ledger, RunTakenUp(**self._who))

        await self._held(book, ledger, opening, destroy_run, verb="destroy")
        return report_of(ledger, place)

    async def compare(self, book: Journal, place: str, ledger: Ledger, *, remove_twins: bool) -> DriftReport:
        """Compare a run with the platform; how the run stands does not change by it."""
        refuse_destroyed(ledger)

        async def opening(platform: Platform) -> None:
            refuse_another_place(ledger, platform)
            await self._keep(book, ledger, DriftBegun(**self._who))

        async def compare(run: Run) -> DriftReport:
            return await check_drift(run, remove_twins=remove_twins, journal=place)

        return await self._held(book, ledger, opening, compare, verb="drift", ends=False)

    async def watch(
        self, ledger: Ledger, place: str, *, until: Until, every: float, on_run: OnFlowRun | None,
        on_due: OnDue | None,
    ) -> WatchReport:  # fmt: skip
        """Follow the runs of a run's dataflow; the lock is held only while something is written."""
        flow_of(ledger)
        platform = self._platform or platform_from_env(os.environ, clock=self._clock)

        now, last = Ledger(run=ledger.run), 0  # as the journal has it, and the number of the event folded last

        async def keep(events: Sequence[FlowRunSeen], patient: bool) -> None:
            nonlocal last
            patience = self._lock_timeout if patient else 0.0
            async with opened(self._journal, lock_timeout=patience, halt=Halt(), clock=self._clock) as book:
                for document in book.events(ledger.run, after=last):
                    now.fold(document.doc_id, document)
                    last = document.doc_id
                # pruned: an event now would be one of a run that never began
                if now.nonce != ledger.nonce or ledger.run not in book.runs():
                    raise NotThere(f"run {ledger.run} is not in the journal {place} any more", hint="flowledger runs")
                for event in events:
                    if now.flow_runs.get(event.id) != event:  # another watch may have seen it first
                        doc = event.doc(at=self._clock.wall(), mono=self._clock.monotonic())
                        await append_event(book, ledger.run, platform.redactor.without_long_secrets(doc))

        raised: list[Exception] = []  # by the caller's own callbacks

        def noted(callback: Callable[[T], None] | None) -> Callable[[T], None]:
            def call(value: T) -> None:
                try:
                    if callback is not None:
                        callback(value)
                except Exception as error:
                    raised.append(error)
                    raise

            return call

        try:
            refuse_another_place(ledger, platform)
            retry = ledger.spec.retry if ledger.spec is not None else Retry()
            reader = Reader(platform, retry=retry, clock=self._clock, chance=self._chance, halt=self._halt)
            with reader:
                return await watch_flow(
                    ledger, reader, platform.redactor, keep, until=until, every=every, on_run=noted(on_run),
                    on_due=noted(on_due), place=place,
                )  # fmt: skip
        except FlowledgerError as error:
            error.hint = error.hint.replace("flowledger resume", "flowledger watch")
            without_secrets(error, platform.redactor)
            raise
        except Exception as error:
            without_secrets(error, platform.redactor)
            if error in raised:
                raise
            raise self._unexpected(error, ledger, platform, "watch") from error
        finally:
            if self._platform is None:
                await platform.close()

    def is_the_callers(self, error: Exception) -> bool:
        """Whether `on_event` raised it: then it is for the caller, and not a fault in flowledger."""
        return error is self._audience.error

    @property
    def _who(self) -> dict[str, Any]:
        """This process, as the journal names it."""
        return {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "boot_id": self._clock.boot_id,
            "version": VERSION,
        }

    async def _held(
        self,
        book: Journal,
        ledger: Ledger,
        opening: Callable[[Platform], Awaitable[None]],
        work: Callable[[Run], Awaitable[T]],
        *,
        verb: str = "resume",
        ends: bool = True,
    ) -> T:
        """Claim the run, write its opening, and work.

        `verb` is what a person types to go on after an error; `ends`: an error is how the run stands from then on.
        """
        platform = self._platform or platform_from_env(os.environ, clock=self._clock)
        if platform.secret_in_quotes:
            logger_of().warning("the client secret has quotes around it, and is sent with them")
        try:
            with book.claim(ledger.run):
                await opening(platform)
                return await self._work(book, ledger, platform, work, verb=verb, ends=ends)
        except FlowledgerError as error:
            error.hint = error.hint.replace("flowledger resume", f"flowledger {verb}")
            without_secrets(error, platform.redactor)
            raise
        except Exception as error:
            without_secrets(error, platform.redactor)
            if self.is_the_callers(error):
                raise
            raise self._unexpected(error, ledger, platform, verb) from error
        finally:
            if self._platform is None:
                await platform.close()

    def _unexpected(self, error: Exception, ledger: Ledger, platform: Platform, verb: str) -> InternalError:
        """An error of the tree for one that is not, without secrets, which says what to type next."""
        ours = internal_error(error, ledger.run)
        ours.hint = ours.hint.replace("flowledger resume", f"flowledger {verb}")
        without_secrets(ours, platform.redactor)
        return ours

    async def _work(
        self,
        book: Journal,
        ledger: Ledger,
        platform: Platform,
        work: Callable[[Run], Awaitable[T]],
        *,
        verb: str,
        ends: bool,
    ) -> T:
        run = Run(
            ledger=ledger,
            journal=book,
            platform=platform,
            clock=self._clock,
            chance=self._chance,
            audience=self._audience,
            share=share_of(book) if ledger.shares else None,
        )
        unlisten = self._halt.listen(lambda reason: run.stop(reason, urgent=True))
        try:
            result = await work(run)
            await run.flush()
        except Exception as error:
            ended = error if isinstance(error, FlowledgerError) else self._unexpected(error, ledger, platform, verb)
            ended.hint = ended.hint.replace("flowledger resume", f"flowledger {verb}")
            without_secrets(error, platform.redactor)
            if ends:
                await _write_stop(run, ended)
            if self._audience.error is not None:
                raise self._audience.error from error
            if ended is error:
                raise
            raise ended from error
        except asyncio.CancelledError:
            if ends:
                await _write_stop(run, Interrupted("the task was cancelled", hint=f"flowledger {verb} {ledger.run}"))
            raise
        finally:
            unlisten()
            await run.end_appends()  # evidence that was noted: nothing of this run goes on once its caller has gone on
        if self._audience.error is not None:
            raise self._audience.error
        return result

    async def _keep(self, book: Journal, ledger: Ledger, event: Event) -> None:
        doc = event.doc(at=self._clock.wall(), mono=self._clock.monotonic())
        number = await book.append(ledger.run, doc, changes=event.changes)
        ledger.fold(number, doc)
        self._audience.tell(number, doc)


async def _write_stop(run: Run, error: FlowledgerError) -> None:
    """Journal why the run ended, unless the journal itself is what failed."""
    if isinstance(error, JournalError):
        return
    stop = RunStopped(
        state="destroying"
        if run.ledger.destroying
        else "in_doubt"
        if isinstance(error, InDoubt)
        else "provisioning"
        if isinstance(error, TryLater)
        else "failed",
        **asdict(stop_of(error)),
    )
    try:
        await run.record(stop)
    except FlowledgerError as second:
        # The error that stopped the run is the one to report; that the journal failed too is said beside it.
        if str(second) != str(error):
            run.log.error("the journal could not be written at the end", reason=str(second))


def draw_nonce(chance: random.Random) -> str:
    """A run's identity: 10 characters a-z0-9 (protocol rule 12)."""
    return "".join(chance.choice(string.ascii_lowercase + string.digits) for _ in range(10))
