"""One base connection and one sink for runs that share: one of them makes it, the others take it as found.

Who makes it is settled by turns within the process, and by the journal across restarts: before a run makes anything, it
takes what another run of the journal has made, and settles what another run may have made without knowing it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from flowledger.engine.context import StepContext
from flowledger.engine.events import StepSettled
from flowledger.engine.ledger import Attempt, Ledger, StepRecord, ledger_of
from flowledger.engine.place import Place, place_of
from flowledger.engine.reconcile import AFTER_THE_END, look_up
from flowledger.engine.reconcile import reconcile as reconcile_own
from flowledger.engine.retry import look_ups
from flowledger.engine.run import Run
from flowledger.journal import Journal
from flowledger.steps.answers import dig
from flowledger.steps.client.limiter import held
from flowledger.steps.client.port import Json
from flowledger.steps.spec import Spec
from flowledger.steps.step import How, Step

_SHAREABLE = (How.CREATED, How.ADOPTED, How.FOUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An object that may be shared: the run that has it, and when it was known to be there."""

    id: str
    run: str
    boot_id: str
    at: float  # monotonic seconds of that boot


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """What another run has sent and not heard of: it may have made the object."""

    run: str
    nonce: str
    spec: Spec
    attempts: tuple[Attempt, ...]


class _Seat:
    """One thing that is to be shared: who has it, who may have it, and whose turn it is to make it."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        self.doubts: dict[str, Doubt] = {}
        self._taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self, run: Run) -> AsyncIterator[None]:
        """One run at a time, in the order they came. Raises Interrupted when the waiting run is stopped."""
        if self._taken:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            try:
                await run.until(future)
            except BaseException:  # stopped, perhaps before it waited at all: a turn would end with it
                future.cancel()
                if held(future):
                    self._pass_on()
                raise
        self._taken = True
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            following = self._waiting.popleft()
            if not following.done():
                following.set_result(None)
                return
        self._taken = False

    def publish(self, ledger: Ledger, record: StepRecord) -> None:
        """Take in how a run stands with it."""
        self.doubts.pop(ledger.run, None)
        if ledger.destroying:
            return  # what it made is on its way out, and is not to be built upon
        if record.done and record.how in _SHAREABLE and record.outputs is not None:
            boot_id, at = record.completed_at
            id = str(record.outputs["id"])
            self.known.setdefault(id, Known(id=id, run=record.shared_from or ledger.run, boot_id=boot_id, at=at))
        elif record.unanswered and not record.done and ledger.spec is not None:
            self.doubts[ledger.run] = Doubt(
                run=ledger.run, nonce=ledger.nonce, spec=ledger.spec, attempts=tuple(record.unanswered)
            )


class Share:
    """What the runs of one journal share in this process."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._seats: dict[tuple[Place, str], _Seat] = {}
        self._surveyed = False
        self._surveying = asyncio.Lock()
        self._newer: set[str] = set()  # runs that were heard of while the journal was read

    async def take(
        self, run: Run, step: Step, ctx: StepContext, key: str, alone: Callable[[], Awaitable[None]]
    ) -> None:
        """Take a shared step: as found if another run has it; else this run makes it, by `alone`.

        Only one run at a time is at it. Whoever fails or is stopped lets the next one try; what it left in doubt is
        settled first. Raises as the step alone does.
        """
        await self._survey(run.journal)
        seat = self._seat(run.ledger, key)
        record = run.ledger.step(step.name)
        in_doubt = bool(record.unanswered)
        while not record.done:
            if not in_doubt and await _take_found(run, step, ctx, seat):
                return
            async with seat.turn(run):
                run.check()
                if seat.known and not in_doubt:
                    continue  # it came while this run waited for its turn
                try:
                    if in_doubt:
                        in_doubt = False
                        if await reconcile_own(run, step, ctx) or seat.known:
                            continue
                    if not await _settle_doubts(run, step, seat):
                        await alone()
                finally:
                    self._newer.add(run.ledger.run)
                    seat.publish(run.ledger, record)

    def look_again(self) -> None:
        """Read the journal anew before the next step is taken: runs that do not share may have gone on meanwhile."""
        self._surveyed = False

    def withdraw(self, run: str) -> None:
        """Lend nothing of a run any more: its destroy has begun, and what it has in doubt is found by that."""
        self._newer.add(run)
        for seat in self._seats.values():
            seat.known = {id: known for id, known in seat.known.items() if known.run != run}
            seat.doubts.pop(run, None)

    def _seat(self, ledger: Ledger, key: str) -> _Seat:
        return self._seats.setdefault((place_of(ledger), key), _Seat())

    async def _survey(self, journal: Journal) -> None:
        """What the journal says of every run of it, once; what happens from then on is published.

        Read in a thread, since a journal may hold thousands of runs, and the calls of the runs under way go on. A run
        that is in the middle of its turn is in doubt for as long as the turn lasts, in which nobody else asks.
        """
        async with self._surveying:
            if self._surveyed:
                return
            self._newer.clear()
            found = await asyncio.to_thread(_of_journal, journal)
            for ledger, key, record in found:
                if ledger.run not in self._newer:  # else what was read is older than what is known
                    self._seat(ledger, key).publish(ledger, record)
            self._surveyed = True  # only now: whoever comes after a read that failed must not take half of it for all


def _of_journal(journal: Journal) -> list[tuple[Ledger, str, StepRecord]]:
    """How each run of a journal stands with each thing that it shares."""
    found = []
    for name in journal.runs():
        ledger = ledger_of(name, journal.events(name))
        if ledger.spec is None or ledger.unreadable:
            continue
        for row in ledger.table.rows:
            key = row.step.shared_as(ledger.spec)
            if key is not None and row.step.name in ledger.steps:
                found.append((ledger, key, ledger.steps[row.step.name]))
    return found


_SHARES: WeakKeyDictionary[Journal, Share] = WeakKeyDictionary()


def share_of(journal: Journal) -> Share:
    """What the runs of an open journal share: whoever drives one of them in this process meets the others here."""
    share = _SHARES.get(journal)
    if share is None or share.loop is not asyncio.get_running_loop():
        share = _SHARES[journal] = Share()
    return share


async def _take_found(run: Run, step: Step, ctx: StepContext, seat: _Seat) -> bool:
    """Settle the step with what another run has, if it is there when asked for by id."""
    for known in list(seat.known.values()):
        live = await _live(run, step, ctx, known)
        if known.id not in seat.known:  # withdrawn meanwhile: a destroy has begun
            continue
        if live is not None and not step.references(ctx, live) and dig(live, "state") in (None, "enabled"):
            settled = StepSettled(
                step=step.name, how=str(How.FOUND), outputs=dict(step.outputs(live)), shared_from=known.run
            )
            await run.keep(settled)
            run.log.info("shared", step=step.name, id=known.id, of=known.run)
            return True
        seat.known.pop(known.id, None)
    return False


async def _live(run: Run, step: Step, ctx: StepContext, known: Known) -> Json | None:
    """The object by id. One that was just made may take as long to show as a list does (platform-api.md §9)."""
    waits = look_ups(run.spec.settle.window)
    while True:
        live = await step.fetch(ctx, known.id)
        left = known.at + run.spec.settle.window - run.clock.monotonic() + AFTER_THE_END
        if live is not None or known.boot_id != run.clock.boot_id or left <= 0:
            return live
        await run.settle(step, min(left, waits.pop(0) if waits else left), "settle")


async def _settle_doubts(run: Run, step: Step, seat: _Seat) -> bool:
    """Find out what other runs have made without knowing it, before anything is made beside it.

    They are not driven now, or wait for their turn: whatever they have sent was sent before. True: there is one.
    A run whose object was not there after its settle window asks for what is shared before it sends again.
    """
    for doubt in list(seat.doubts.values()):
        if doubt.run == run.ledger.run:
            continue
        if await _settle(run, step, doubt, seat):
            return True
        seat.doubts.pop(doubt.run, None)
    return False


async def _settle(run: Run, step: Step, doubt: Doubt, seat: _Seat) -> bool:
    ctx = _OnBehalf(run, step, doubt)
    waits = look_ups(doubt.spec.settle.window)
    end = max(_window_end(run, doubt, attempt) for attempt in doubt.attempts)
    while True:
        decides = run.clock.monotonic() > end
        fitting = [id for id, live in await look_up(run, step, ctx, decides=decides) if not step.references(ctx, live)]
        if fitting:
            now = run.clock.monotonic()
            seat.known[fitting[0]] = Known(id=fitting[0], run=doubt.run, boot_id=run.clock.boot_id, at=now)
            return True
        if decides:
            return False
        left = end - run.clock.monotonic() + AFTER_THE_END
        await run.settle(step, max(0.0, min(left, waits.pop(0) if waits else left)), "settle")


def _window_end(run: Run, doubt: Doubt, attempt: Attempt) -> float:
    """As of a run's own attempts: one of another boot has its window from when the lock was taken (rule 13)."""
    here = attempt.boot_id == run.clock.boot_id
    return (attempt.send_deadline if here else run.ledger.taken_up_at) + doubt.spec.settle.window


class _OnBehalf(StepContext):
    """Looks for another run's object, by its marker; the evidence goes into the journal of the run that looks."""

    def __init__(self, run: Run, step: Step, doubt: Doubt) -> None:
        super().__init__(run, step)
        self._doubt = doubt

    @property
    def spec(self) -> Spec:
        return self._doubt.spec

    @property
    def nonce(self) -> str:
        return self._doubt.nonce
