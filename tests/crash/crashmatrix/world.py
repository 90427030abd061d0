"""One platform, one disk, and as many processes after one another as a cell wants, in virtual time."""

from __future__ import annotations

import asyncio
import errno
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from crashmatrix.fates import Commits, LookUpFate, RequestFate
from crashmatrix.machine import DIRECTORY, Died, MachineTime, WatchedDisk, WatchedFile
from crashmatrix.points import Crash, Death
from crashmatrix.scenes import set_scene
from crashmatrix.styles import EFFECTS, SPECS, TUTORIAL, Effect
from crashmatrix.traps import INTENT, WAIT, Doc, Phase, Trap
from flowledger.emulator.core import Emulator
from flowledger.engine import api
from flowledger.engine.ledger import ledger_of
from flowledger.engine.report import Report
from flowledger.errors import FlowledgerError, JournalError
from flowledger.journal import InlineCommitter, Journal
from flowledger.steps.client.inprocess import Fate, InProcessPort, Moment
from flowledger.steps.client.port import Request
from flowledger.steps.spec import Spec
from flowledger.testing import VirtualTimeLoop, platform_in_process

_ANSWERS: Final = {"refused": Fate.REFUSED, "lost": Fate.LOST, "answer_lost": Fate.ANSWER_LOST}


@dataclass(slots=True)
class Start:
    """What a sitting found at its start."""

    in_flight: set[str] = field(default_factory=set)  # steps with an attempt that nobody has heard of
    owed: set[str] = field(default_factory=set)  # steps that were sent again, and not looked up since
    shown: set[str] = field(default_factory=set)  # steps in flight whose object every list shows by now
    ended: bool = False  # the sitting came to its end


def unanswered_in(documents: Iterable[Doc]) -> set[str]:
    """Steps that have an attempt without an outcome that closes it, and no object yet: by the events alone."""
    intents: dict[str, set[int]] = {}
    for doc in documents:
        match doc["kind"]:
            case "intent_recorded/1":
                intents.setdefault(doc["step"], set()).add(doc["attempt"])
            case "outcome_recorded/1" if doc["outcome"] == "done":
                intents[doc["step"]] = set()
            case "outcome_recorded/1" if doc["outcome"] == "not_done":
                intents[doc["step"]].discard(doc["attempt"])
            case "step_adopted/1" | "step_settled/1":
                intents[doc["step"]] = set()
    return {step for step, open_attempts in intents.items() if open_attempts}


class World:
    """What outlives a process, and what is watched while one runs."""

    def __init__(self, *, style: str = TUTORIAL, seed: int = 7, echo_names: bool = True) -> None:
        """`echo_names`: whether mapping sets keep the name that they are sent (U16)."""
        self.time = MachineTime()
        self.disk = WatchedDisk()
        self.disk.on_call, self.disk.on_batch = self._on_call, self._on_batch
        self.emulator = Emulator(clock=self.time.true_wall)
        self.style = style
        self.spec: Spec = SPECS[style]
        self.chance = random.Random(seed)
        self.requests: list[Request] = []
        self.sends = 0
        self.sent: list[tuple[str, int, str, float]] = []  # step, attempt, boot id and monotonic second of each send
        self.intents: Counter[str] = Counter()  # durable intents by step
        self.died_in = -1  # the sitting of the last death, counted from 0
        self.made: Counter[str] = Counter()
        self.acknowledged: dict[int, Doc] = {}
        self.documents: list[Any] = []  # the run's events, as the last process read them at its start
        self.looks: list[tuple[int, str]] = []  # sitting and step of each look-up
        self.starts: list[Start] = []  # by sitting
        self.sent_in: list[tuple[int, str]] = []  # sitting and step of each send
        self.made_by_others: Counter[str] = Counter()
        self.ids_of_others: set[str] = set()
        self.sittings = 0
        self.hits: list[Crash] = []
        self.original = ""  # the id of the object that a third party copied
        self.on_call_hook: Callable[[str], None] | None = None
        self.on_moment_hook: Callable[[Moment, Request], Awaitable[None] | None] | None = None
        self.on_death: Callable[[], None] | None = None
        self.on_commit: Callable[[Request], None] | None = None
        self.stage = ""  # "opening", "running", "closing"
        self.watched: list[
            Crash
        ] = []  # deaths that nobody dies, but that are noted in `passed` when they could be died
        self.passed: list[Crash] = []
        self.options: dict[str, Any] = {}  # what the process was given, for a second caller in it
        self.deletes = 0  # deletes and stops that were sent
        self.lost_delete = False  # the delete of the step never takes effect
        self._verb = "apply"
        self._delete_fate: tuple[str, Fate] | None = None
        self._trap: Trap | None = None
        self._watching: list[Trap] = []
        self._dead = False
        self._lose_all_after = False
        self._reboot = False
        self._port_fate: tuple[Effect, Fate] | None = None
        self._stands_still: tuple[Effect, float] | None = None
        self._late: Effect | None = None
        self._loop: VirtualTimeLoop | None = None
        self._count_creates(echo_names)

    # -- what is to happen -------------------------------------------------------------------------------------

    def set_fate(self, step: str, fate: RequestFate) -> None:
        """Let the next call of the step that gets so far meet this."""
        effect = EFFECTS[step]
        if fate.fault:
            options = dict(fate.fault)
            self.emulator.faults.add(f"POST {effect.path}", options.pop("kind"), where=effect.within, **options)
        if fate.port:
            self._port_fate = (effect, _ANSWERS[fate.port])
        if fate.stands_still:
            self._stands_still = (effect, fate.stands_still)
        if fate.commits is Commits.LATE:
            self._late = effect
        if fate.lag:
            self.emulator.faults.set_list_lag(EFFECTS[step].kind, round(fate.lag * 1000))

    def set_delete_fate(self, step: str, id: str, fate: RequestFate) -> None:
        """Let the next delete of the step's object meet this."""
        effect = EFFECTS[step]
        if fate.fault:
            options = dict(fate.fault)
            self.emulator.faults.add(f"DELETE {effect.path}/{id}", options.pop("kind"), **options)
        if fate.port:
            self._delete_fate = (id, _ANSWERS[fate.port])

    def set_look_up_fate(self, step: str, fate: LookUpFate) -> None:
        """Let the look-ups of a step meet this, once its call has been committed."""
        effect, kind = EFFECTS[step], EFFECTS[step].kind

        def arm(request: Request) -> None:
            if not effect.is_in(request):
                return
            self.on_commit = None
            for fault in fate.faults:
                options = dict(fault)
                self.emulator.faults.add(f"GET {effect.path}", options.pop("kind"), **options)
            if fate.lag:
                self.emulator.faults.set_list_lag(kind, round(fate.lag * 1000))
            if fate.page_size:
                self.emulator.options.page_size = fate.page_size
            if fate.scene:
                set_scene(self, step, fate.scene)

        self.on_commit = arm

    # -- processes ---------------------------------------------------------------------------------------------

    def sit(
        self, crash: Crash | None = None, *, meanwhile: Callable[[], None] | None = None, verb: str = "apply"
    ) -> Report | BaseException:
        """One process: `flowledger apply`, until it ends or dies. Returns its report, its error, or Died.

        `meanwhile` is called once it has the journal, and nothing else. `verb`: "apply", "destroy" or "drift".
        """
        self._verb = verb
        self._trap = Trap(crash) if crash else None
        if self._trap is not None:
            self._trap.lost = self.lost_delete
        self._watching = [Trap(watched) for watched in self.watched if watched not in self.passed]
        self._dead = self._lose_all_after = False
        if self._reboot:
            self._reboot = False
            self.time.reboot()
        self.sittings += 1
        start = Start()
        self.starts.append(start)
        journal: Journal | None = None
        try:
            self.stage = "opening"
            journal = Journal.open(DIRECTORY, fs=self.disk, committer=InlineCommitter(), wall=self.time.wall)
            self.documents = journal.events(self.spec.name)
            ledger = ledger_of(self.spec.name, self.documents)
            start.in_flight = unanswered_in(self.documents)
            start.owed = {name for name, record in ledger.steps.items() if record.needs_last_look}
            start.shown = {step for step in start.in_flight if self._shows(step, ledger.nonce)}
            self.intents = Counter({name: len(record.attempts) for name, record in ledger.steps.items()})
            if meanwhile is not None:
                meanwhile()
            self.stage = "running"
            outcome = self._run(journal)
            start.ended = isinstance(outcome, Report)
            self.stage = "closing"
            journal.close()
        except Died as death:
            if self.on_death is not None:
                self.on_death()
                self.on_death = None
            return death
        except JournalError as error:
            return self._ended(error)
        finally:
            self.stage, self._loop = "", None
        return self._ended(outcome)

    def _shows(self, step: str, nonce: str) -> bool:
        """Whether lists show an object of the step that is there."""
        kind, marker = EFFECTS[step].kind, f"fl-{nonce}-{EFFECTS[step].slug}"
        there = self.emulator.objects(kind)
        return any(marker in str(found) and found in there for found in self.emulator.world.listed(kind, "prod"))

    def _ended(self, outcome: Report | BaseException) -> Report | BaseException:
        if self._lose_all_after:
            self._cut_power()
        else:
            self.disk.kill()
        return outcome

    def _run(self, journal: Journal) -> Any:
        port = InProcessPort(self._handle, self.time, fate=self._fate, at=self._at)
        platform = platform_in_process(self.emulator, self.time, port=port)

        async def main() -> Any:
            try:
                how: dict[str, Any] = {
                    "journal": journal, "platform": platform, "clock": self.time, "chance": self.chance,
                    "on_event": self._acknowledge,
                }  # fmt: skip
                self.options = how
                return await self._drive(how)
            except FlowledgerError as error:
                return error

        died_at: float | None = None
        with asyncio.Runner(loop_factory=self._new_loop) as runner:
            try:
                return runner.run(main())
            except Died:
                # What the loop does from here on, the dead process would not have done: it can do nothing.
                died_at = self.time.monotonic()
                runner.get_loop().set_exception_handler(lambda loop, context: None)
                raise
            finally:
                runner.close()
                if died_at is not None:
                    self.time.advance(died_at - self.time.monotonic())

    async def _drive(self, how: dict[str, Any]) -> Any:
        if self._verb == "destroy":
            return await api.destroy(self.spec.name, **how)
        if self._verb == "drift":
            return await api.drift(self.spec.name, **how)
        return await api.apply(self.spec, **how)

    def _new_loop(self) -> VirtualTimeLoop:
        self._loop = VirtualTimeLoop(self.time)
        return self._loop

    def die(self, death: Death = Death.KILLED) -> None:
        """End the process here and now. What it does while it unwinds reaches neither disk nor platform."""
        if death is Death.LOST:
            self._cut_power()
        else:
            if death in (Death.KILLED, Death.REBOOTED) and self.stage == "running":
                assert not self.disk.unsynced(), "a power cut here leaves another world: the matrix must have that cell"
            self.disk.kill()
            self._reboot = death is Death.REBOOTED
        self._dead = True
        raise Died(137)

    def _cut_power(self) -> None:
        """Nothing unsynced stays, and the machine starts anew."""
        self.disk.cut_power(lambda outcomes: 0)
        self._reboot = True

    def read(self) -> list[Any]:
        """The run's events, as another process would find them now."""
        self._dead = False
        with Journal.open(DIRECTORY, fs=self.disk, committer=InlineCommitter(), wall=self.time.wall) as journal:
            return journal.events(self.spec.name)

    # -- watching ----------------------------------------------------------------------------------------------

    def _on_call(self, what: str) -> None:
        if self._dead:
            raise OSError(errno.EBADF, "the process is dead")
        if self.on_call_hook is not None:
            self.on_call_hook(what)

    def _on_batch(self, phase: Phase, docs: list[Doc], file: WatchedFile) -> None:
        trap = self._trap
        if self.stage != "running" or self._dead:
            return
        if phase is Phase.SYNCED:
            self.intents.update(doc["step"] for doc in docs if doc.get("kind") == INTENT)
        self._note_passed(
            lambda watched: (
                watched.record(phase, docs) is not None
                or (phase is Phase.SYNCED and any(doc.get("kind") == WAIT and watched.wait(doc) for doc in docs))
            )
        )
        if trap is None:
            return
        position = trap.record(phase, docs)
        if position is not None:
            death = self._spring(trap)
            if death in (Death.FAILED_KEPT, Death.FAILED_LOST, Death.FORGOTTEN):
                self.disk.fail(0, done=death is Death.FAILED_KEPT)
                self._lose_all_after = death is Death.FAILED_LOST
                return
            if death is Death.TORN:
                file.tear(position)
            self.die(death)
        if phase is Phase.SYNCED and self._loop is not None:
            for doc in docs:
                if doc.get("kind") == WAIT and trap.wait(doc):
                    death = self._spring(trap)
                    self._loop.call_later(doc["seconds"] / 2, self.die, death)

    def _note_passed(self, here: Callable[[Trap], bool]) -> None:
        for watched in list(self._watching):
            if here(watched):
                self._watching.remove(watched)
                self.passed.append(watched.crash)

    def _spring(self, trap: Trap) -> Death:
        self.hits.append(trap.crash)
        self.died_in = self.sittings - 1
        self._trap = None
        return trap.crash.death

    def _fate(self, request: Request) -> Fate:
        self.requests.append(request)
        if self._port_fate is not None and self._port_fate[0].is_in(request):
            fate = self._port_fate[1]
            if fate is Fate.REFUSED:
                self._port_fate = None
            return fate
        if self._delete_fate is not None and _deletes(request, self._delete_fate[0]):
            fate, self._delete_fate = self._delete_fate[1], None
            return fate
        return Fate.ANSWERED

    async def _at(self, moment: Moment, request: Request) -> None:
        if self._dead:
            raise OSError(errno.ENETDOWN, "the process is dead")
        late = self._late is not None and self._late.is_in(request)
        if moment is Moment.COMMITTED:  # whether or not its client lives to see it
            if late:
                self._late = None
            if self.on_commit is not None:
                self.on_commit(request)
        if self.on_moment_hook is not None:
            waits = self.on_moment_hook(moment, request)
            if waits is not None:
                await waits
        self._note_passed(lambda watched: watched.moment(moment, request, late=late))
        if self._trap is not None and self._trap.moment(moment, request, late=late):
            self.die(self._spring(self._trap))
        if moment is Moment.CONNECTED and self._stands_still is not None and self._stands_still[0].is_in(request):
            seconds, self._stands_still = self._stands_still[1], None
            await self.time.sleep(seconds)
        if moment is Moment.HANDED_OVER and request.effect and self._verb == "destroy":
            self.deletes += 1
            intents = self.disk.durable().count(b'"kind":"delete_intended/1"')
            assert intents >= self.deletes, "protocol rules 1 and 15: sent without a durable intent"
        elif moment is Moment.HANDED_OVER and request.effect:
            self._note_send(request)
            intents = self.disk.durable().count(b'"kind":"intent_recorded/1"')
            assert intents >= self.sends, "protocol rules 1 and 3: a call was sent that no durable intent is for"
            if self._port_fate is not None and self._port_fate[0].is_in(request):
                self._port_fate = None

    def _note_send(self, request: Request) -> None:
        self.sends += 1
        step = next(step for step, effect in EFFECTS.items() if effect.is_in(request))
        self.sent_in.append((self.sittings, step))
        self.sent.append((step, self.intents[step], self.time.boot_id, self.time.monotonic()))

    def _handle(self, request: Any) -> Any:
        if self._dead:
            raise OSError(errno.ENETDOWN, "the process is dead")
        return self.emulator.handle(request)

    def _acknowledge(self, number: int, doc: Doc) -> None:
        self.acknowledged[number] = dict(doc)
        if doc["kind"] == "looked_up/1":
            self.looks.append((self.sittings, doc["step"]))

    def _count_creates(self, echo_names: bool) -> None:
        store = self.emulator.world.store
        put = store.put

        def counted(kind: str, sandbox: str, id: str, obj: dict[str, Any]) -> None:
            if store.peek(kind, sandbox, id) is None:
                self.made[kind] += 1
            if kind == "mappingSets" and not echo_names:
                obj.pop("name", None)
                obj.pop("tags", None)
            put(kind, sandbox, id, obj)

        store.put = counted  # type: ignore[method-assign] # the test stands between services and store


def _deletes(request: Request, id: str) -> bool:
    return request.method == "DELETE" and unquote(request.path).endswith(id)
