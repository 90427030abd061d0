"""A run in hand: its ledger, its journal, its platform, and the one place where events are kept."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from flowledger.engine.audience import Audience
from flowledger.engine.borrowers import take_in
from flowledger.engine.events import Event, TokenFetched, WaitStarted
from flowledger.engine.evidence import answer_doc, append_event, largest_place
from flowledger.engine.ledger import Ledger
from flowledger.engine.log import logger_of
from flowledger.engine.retry import back_off
from flowledger.engine.table import Table
from flowledger.engine.together import unless
from flowledger.errors import InDoubt, Interrupted, NotServed, StepError, TryLater, Unreachable, UsageError
from flowledger.journal import Journal
from flowledger.steps.client.clock import Clock
from flowledger.steps.client.limiter import held
from flowledger.steps.client.platform import Platform
from flowledger.steps.client.port import Answer
from flowledger.steps.sources import secret_names, secret_variables
from flowledger.steps.spec import Spec
from flowledger.steps.step import Step

if TYPE_CHECKING:
    from flowledger.engine.share import Share

T = TypeVar("T")
MOST_NOTED: Final = 16  # events that may wait for the disk while a run goes on


class Run:
    """One run, taken up by this process. Events go through `keep` (durable before it returns) or `note` (in order,
    durable with the next `keep`), and are folded into the ledger only once they are durable."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        journal: Journal,
        platform: Platform,
        clock: Clock,
        chance: random.Random,
        audience: Audience | None = None,
        share: Share | None = None,
    ) -> None:
        assert ledger.spec is not None
        self.ledger = ledger
        self.spec: Spec = ledger.spec
        self.table: Table = ledger.table
        self.journal = journal
        self.platform = platform
        self.clock = clock
        self.chance = chance
        self.log = logger_of(run=ledger.run)
        self.share = share
        self._audience = audience or Audience()
        self._appending: set[asyncio.Task[None]] = set()
        self._append_error: BaseException | None = None
        self._moved = {row.step.name: asyncio.Event() for row in self.table.rows}
        self._stopping = asyncio.Event()
        self._urgent = asyncio.Event()
        self._why_stopping = ""
        self._awaited: set[asyncio.Future[None]] = set()
        self._patience_ends = clock.monotonic() + self.spec.retry.deadline
        self._settling = 0  # settle waits under way
        self._settling_since = 0.0
        platform.redactor.withhold(secret_names(self.spec.source))
        platform.secret_variables |= secret_variables(self.spec.source)
        self._heed_audience()  # it was told of the opening already

    # Events

    async def keep(self, event: Event) -> None:
        """Append an event and return once it is durable and folded, also when this task is cancelled meanwhile.

        Raises JournalPoisoned or DiskFull, of this or an earlier append: then the run must end. Raises StepError for an
        event that is too large for the journal: nothing of it was written, and only its step ends.
        """
        try:
            await self.record(event)
        except asyncio.CancelledError:
            self._raise_append_error()
            raise
        self._raise_append_error()

    async def record(self, event: Event) -> None:
        """As `keep`, but an earlier append that failed is not raised: what is known is written if it can be."""
        task = self._append(event)
        cancelled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError as error:
                if task.cancelled():
                    raise
                cancelled = error
            except Exception:  # noqa: BLE001 - looked at below, where it is raised
                break
        failure = task.exception()
        if isinstance(failure, StepError):
            raise failure
        if failure is not None:
            self._raise_append_error()
        if cancelled is not None:
            raise cancelled

    def note(self, event: Event) -> None:
        """Append an event without waiting: it is evidence, and lands before whatever is kept next."""
        self._append(event)

    async def keep_up(self) -> None:
        """Wait until few events are on their way to the disk, so that a slow one does not fill the memory."""
        while len(self._appending) > MOST_NOTED:
            await asyncio.wait(set(self._appending), return_when=asyncio.FIRST_COMPLETED)

    async def flush(self) -> None:
        """Wait until every noted event is durable. Raises as `keep`."""
        await self.end_appends()
        self._raise_append_error()

    async def end_appends(self) -> None:
        """Wait until nothing is being appended any more, well or not, also when this task is cancelled meanwhile."""
        cancelled: asyncio.CancelledError | None = None
        while self._appending:
            try:
                await asyncio.wait(set(self._appending))
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def _append(self, event: Event) -> asyncio.Task[None]:
        # The last look before the journal: whatever a platform echoes, and wherever it does, no secret passes here.
        doc = self.platform.redactor.without_long_secrets(event.doc(at=self.clock.wall(), mono=self.clock.monotonic()))
        task = asyncio.ensure_future(self._append_and_fold(doc))
        self._appending.add(task)
        task.add_done_callback(self._appended)
        return task

    async def _append_and_fold(self, doc: dict[str, Any]) -> None:
        try:
            number, doc = await append_event(self.journal, self.ledger.run, doc)
        except UsageError as error:
            place = largest_place(doc)
            raise StepError(
                f"{doc['kind']}: {place} cannot be journaled: {error.message}",
                run=self.ledger.run,
                step=str(doc.get("step") or ""),
                hint=f"less of it must come from the platform; flowledger history {self.ledger.run} shows what came",
            ) from error
        self.ledger.fold(number, doc)
        if self.ledger.unreadable:
            raise AssertionError(f"this version cannot read what it wrote: {self.ledger.unreadable}")
        take_in(self.journal, self.ledger.run, doc)
        self._audience.tell(number, doc)
        self._heed_audience()

    def _heed_audience(self) -> None:
        if self._audience.error is not None:
            self.stop("on_event raised an error")

    def _appended(self, task: asyncio.Task[None]) -> None:
        self._appending.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if isinstance(error, StepError):  # certainly nothing was written; `record` raises it
            self.log.warning("an event could not be journaled", reason=error.message)
        elif error is not None and self._append_error is None:
            self._append_error = error

    def _raise_append_error(self) -> None:
        # The first failure stays: after it, nothing that this process believes about its journal is certain.
        if self._append_error is not None:
            self.stop("the journal cannot be written")
            raise self._append_error

    # Moving and stopping

    def done(self, step: str) -> bool:
        """The step's outcome is durable."""
        return self.ledger.step(step).done

    def moved(self, step: str) -> None:
        """The lane that owns the step has flipped its state: others may use the step's outputs."""
        self._moved[step].set()

    async def until_moved(self, steps: tuple[str, ...]) -> None:
        """Wait until those steps are done. Raises Interrupted when the run is stopping."""
        for step in steps:
            await self._moved[step].wait()
            self.check()

    def stop(self, why: str, *, urgent: bool = False) -> None:
        """Begin no further call; waits end at once. Urgent: calls in flight get a short grace, then are abandoned."""
        if urgent:
            self._urgent.set()
        if not self._stopping.is_set():
            self._why_stopping = why
            self._stopping.set()
            for moved in self._moved.values():
                moved.set()
            for future in self._awaited:
                if not future.done():
                    future.set_exception(self._interrupted())

    @property
    def stopping(self) -> asyncio.Event:
        """Set once the run is to stop."""
        return self._stopping

    @property
    def urgent(self) -> asyncio.Event:
        """Set once somebody outside waits for the stop."""
        return self._urgent

    def check(self) -> None:
        """Raise Interrupted if the run is stopping."""
        if self._stopping.is_set():
            raise self._interrupted()

    def _interrupted(self) -> Interrupted:
        return Interrupted(f"stopped: {self._why_stopping}", hint=f"flowledger resume {self.ledger.run}")

    async def until(self, future: asyncio.Future[None]) -> None:
        """Wait for what somebody else completes. Raises Interrupted, through the future, when the run stops."""
        self.check()
        self._awaited.add(future)
        try:
            await future
        finally:
            self._awaited.discard(future)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the platform's slots around a call. Raises Interrupted if the run stops before it has one."""
        slots = self.platform.slots
        future = slots.ask()
        if future is not None:
            try:
                await self.until(future)
            except BaseException:
                future.cancel()
                if held(future):
                    slots.leave()
                raise
        try:
            self.check()  # the stop may have come while a slot was waited for
            yield
        finally:
            slots.leave()

    async def settle(self, step: Step, seconds: float, why: str) -> None:
        """A journaled wait that the protocol prescribes: a settle window, a list's lag, a last look.

        It does not count against `retry.deadline`. Another boot or host begins the window anew (protocol rule 13), so
        a sitting that gave up before the window's end would never learn what became of the call, however often the
        run is resumed. Raises Interrupted when the run stops.
        """
        self.check()
        if not self._settling:
            self._settling_since = self.clock.monotonic()
        self._settling += 1
        try:
            await self._journaled_wait(step, seconds, why)
        finally:
            self._settling -= 1
            if not self._settling:
                self._patience_ends += self.clock.monotonic() - self._settling_since

    async def pause(self, step: Step, seconds: float, why: str, *, doubt: bool = False) -> None:
        """A journaled wait, cut short when the run stops. Raises TryLater if it would outlast the run's patience."""
        self.check()
        until = self.clock.monotonic() + seconds
        settled = self.clock.monotonic() - self._settling_since if self._settling else 0.0
        if until > self._patience_ends + settled and not step.patient:
            # With a call in doubt the caller must know that it is not merely slow.
            cls: type[TryLater] = InDoubt if doubt else Unreachable
            raise cls(
                f"{step.label}: {why} for {seconds:.1f} s would outlast this sitting's deadline "
                f"of {self.spec.retry.deadline:g} s",
                hint=f"flowledger resume {self.ledger.run}",
            )
        await self._journaled_wait(step, seconds, why)

    async def _journaled_wait(self, step: Step, seconds: float, why: str) -> None:
        until = self.clock.monotonic() + seconds
        self.note(WaitStarted(step=step.name, why=why, seconds=round(seconds, 3), until=until))
        await self._sleep(seconds)

    async def finish_wait(self, step: Step) -> None:
        """Sit out what a killed process left of a back-off."""
        boot_id, until = self.ledger.step(step.name).wait_until
        if boot_id == self.clock.boot_id and until > self.clock.monotonic():
            await self._sleep(min(until - self.clock.monotonic(), self.spec.retry.longest_wait))

    async def _sleep(self, seconds: float) -> None:
        await self.unless_stopped(self.clock.sleep(seconds))

    async def unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives; it is cancelled when the run stops. Raises Interrupted then, and what `work` raises."""
        ended = await unless(self._stopping, work)
        self.check()
        return ended.result()

    # The token

    @property
    def again(self) -> str:
        """What to type once what stopped this run has been mended."""
        if self.ledger.destroying:
            return f"flowledger destroy {self.ledger.run}"
        return "type the command again" if self.ledger.provisioned else f"flowledger resume {self.ledger.run}"

    async def ready(self, step: Step) -> None:
        """Have a token at hand that outlives the next call; its answer is journaled, the token is not."""

        async def on_token(answer: Answer) -> None:
            self.note(TokenFetched(answer=answer_doc(answer, self.platform.redactor)))

        attempt = 1
        while True:
            self.check()
            try:
                await self.platform.ready(on_token)
            except NotServed as error:
                raise NotServed(error.url, port=error.port, then=self.again) from None
            except TryLater:
                if attempt >= self.spec.retry.attempts:
                    raise
                await self.pause(step, back_off(self.spec.retry, attempt, None, self.chance), "back_off")
                attempt += 1
            else:
                return
