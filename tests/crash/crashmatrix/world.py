"""One platform, one disk, and as many processes after one another as a cell wants, in virtual time."""

from __future__ import annotations

import asyncio
import errno
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from crashmatrix.fates import SEND_WITHIN, WINDOW, Commits, LookUpFate, RequestFate
from crashmatrix.points import Crash, Death
from crashmatrix.traps import EFFECTS, INTENT, WAIT, Doc, Effect, Phase, Trap
from flowledger.engine import api
from flowledger.engine.ledger import ledger_of
from flowledger.engine.report import Report
from flowledger.engine.specfile import load_spec
from flowledger.engine.table import TABLES
from flowledger.errors import FlowledgerError, JournalError
from flowledger.journal import InlineCommitter, Journal, SimulatedFileSystem
from flowledger.journal.filesystem import Access, File
from flowledger.steps.client.inprocess import Fate, InProcessPort, Moment
from flowledger.steps.client.port import Request
from flowledger.steps.spec import Settle, Spec
from flowledger.testing import VirtualTime, VirtualTimeLoop, emulator_in_virtual_time, platform_in_process

DIRECTORY: Final = Path("/journal")
SEGMENT: Final = "segment-000001.jsonl"
_ANSWERS: Final = {"refused": Fate.REFUSED, "lost": Fate.LOST, "answer_lost": Fate.ANSWER_LOST}
_PREFIX: Final = b',"doc":'

EXAMPLE: Final[Spec] = load_spec(Path(__file__).parents[3] / "examples" / "paypal-products.yaml").spec.model_copy(
    update={"settle": Settle(window=WINDOW, send_within=SEND_WITHIN)}
)


class Died(SystemExit):
    """The process died here. A SystemExit, because asyncio lets nothing else out of its loop at once."""


class MachineTime(VirtualTime):
    """Virtual time of a machine that may be started anew: wall time goes on, the monotonic clock begins again."""

    def __init__(self) -> None:
        super().__init__()
        self._booted = 0.0
        self._boots = 1

    def monotonic(self) -> float:
        return self._now - self._booted

    def reboot(self) -> None:
        """Another boot id, and a monotonic clock that begins at a few seconds."""
        self._boots += 1
        self.boot_id = f"virtual-boot-{self._boots}"
        self._booted = self._now - 3.0


class Watching(Protocol):
    """Wants to know of every batch of records."""

    @property
    def on_batch(self) -> Callable[[Phase, list[Doc], WatchedFile], None]: ...


class WatchedDisk(SimulatedFileSystem):
    """A simulated disk that tells of every call made to it, and of every batch of records."""

    def __init__(self) -> None:
        super().__init__()
        self.on_call: Callable[[str], None] = lambda what: None
        self.on_batch: Callable[[Phase, list[Doc], WatchedFile], None] = lambda phase, docs, file: None

    def open(self, path: Path, access: Access) -> Any:
        file = super().open(path, access)
        return WatchedFile(self, file) if path.name == SEGMENT and access == "write" else file

    def unsynced(self) -> bool:
        """Whether a power cut now would leave another journal than a kill."""
        names = self._directories.get(str(DIRECTORY))
        return names is not None and any(node.pending for name, node in names.seen.items() if name != "lock")

    def durable(self) -> bytes:
        """What of the segment is on the medium."""
        names = self._directories[str(DIRECTORY)]
        return bytes(names.seen[SEGMENT].durable) if SEGMENT in names.seen else b""

    def _call(self, what: str) -> Any:
        self.on_call(what)
        return super()._call(what)


class WatchedFile:
    """The segment, open for writing."""

    def __init__(self, disk: Watching, file: File) -> None:
        self._disk = disk
        self._file = file
        self._batch: list[Doc] = []
        self.size, self.read, self.truncate, self.close = file.size, file.read, file.truncate, file.close

    def write(self, data: bytes | memoryview, offset: int) -> int:
        self._data, self._offset = bytes(data), offset
        self._batch = [_doc(line) for line in self._data.splitlines()]
        self._disk.on_batch(Phase.BEFORE, self._batch, self)
        taken = self._file.write(data, offset)
        self._disk.on_batch(Phase.WRITTEN, self._batch, self)
        return taken

    def sync(self) -> None:
        self._file.sync()
        self._disk.on_batch(Phase.SYNCED, self._batch, self)
        self._batch = []

    def tear(self, position: int) -> None:
        """Cut what was written in the middle of the record at that position of the batch."""
        lines = self._data.splitlines(keepends=True)
        kept = sum(map(len, lines[:position])) + len(lines[position]) // 2
        self._file.truncate(self._offset + kept)


def _doc(line: bytes) -> Doc:
    _, _, rest = line.partition(_PREFIX)
    try:
        found: Doc = orjson.loads(rest[:-1])
    except orjson.JSONDecodeError:
        return {}  # a part of a record: journals are written again in parts when they are opened
    return found


class World:
    """What outlives a process, and what is watched while one runs."""

    def __init__(self, *, spec: Spec = EXAMPLE, seed: int = 7, echo_names: bool = True) -> None:
        """`echo_names`: whether mapping sets keep the name that they are sent (U16)."""
        self.time = MachineTime()
        self.disk = WatchedDisk()
        self.disk.on_call, self.disk.on_batch = self._on_call, self._on_batch
        self.emulator = emulator_in_virtual_time(self.time)
        self.spec = spec
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
        self.in_doubt_at_start: list[set[str]] = []  # by sitting
        self.shown_at_start: list[set[str]] = []  # those of them whose object every list shows by then
        self.sittings = 0
        self.hits: list[Crash] = []
        self.original = ""  # the id of the object that a third party copied
        self.on_call_hook: Callable[[str], None] | None = None
        self.on_moment_hook: Callable[[Moment, Request], None] | None = None
        self.on_commit: Callable[[Request], None] | None = None
        self.stage = ""  # "opening", "running", "closing"
        self.watched: list[
            Crash
        ] = []  # deaths that nobody dies, but that are noted in `passed` when they could be died
        self.passed: list[Crash] = []
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
            self.emulator.faults.set_list_lag(TABLES["tutorial"].row_of(step).step.kind, round(fate.lag * 1000))

    def set_look_up_fate(self, step: str, fate: LookUpFate) -> None:
        """Let the look-ups of a step meet this, once its call has been committed."""
        effect, kind = EFFECTS[step], TABLES["tutorial"].row_of(step).step.kind

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
                self.set_scene(step, fate.scene)

        self.on_commit = arm

    def set_scene(self, step: str, scene: str) -> None:
        """A third party does something beside the step's object, which is there."""
        kind, store = TABLES["tutorial"].row_of(step).step.kind, self.emulator.world.store
        key = "$id" if kind in ("classes", "schemas", "fieldgroups") else "id"
        mine = self.emulator.objects(kind)[-1]
        self.original = str(mine[key])
        copy = orjson.loads(orjson.dumps(mine))
        copy[key] = _another_id(str(mine[key]))
        if "meta:altId" in copy:
            copy["meta:altId"] = _another_id(copy["meta:altId"])
        match scene:
            case "clone, newer":
                self.emulator.options.newest_first = True
                _shift_creation(copy, 5_000)
                store.put(kind, "prod", copy[key], copy)
            case "deleted":
                # A lagging list shows what is not there any more, and not yet what is: the ghost was made first.
                _shift_creation(copy, -20_000)
                with self.emulator.world._time.as_of(self.emulator.now_ms() - 20_000):
                    store.put(kind, "prod", copy[key], copy)
                store.delete(kind, "prod", copy[key])
            case "stranger":
                store.put(kind, "prod", copy[key], _renamed(copy, "somebody elses thing"))
            case "other references":
                changed = _with_other_references(orjson.loads(orjson.dumps(mine)))
                store.put(kind, "prod", str(mine[key]), changed)
            case _:
                raise AssertionError(scene)

    # -- processes ---------------------------------------------------------------------------------------------

    def sit(self, crash: Crash | None = None) -> Report | BaseException:
        """One process: `flowledger apply`, until it ends or dies. Returns its report, its error, or Died."""
        self._trap = Trap(crash) if crash else None
        self._watching = [Trap(watched) for watched in self.watched if watched not in self.passed]
        self._dead = self._lose_all_after = False
        if self._reboot:
            self._reboot = False
            self.time.reboot()
        self.sittings += 1
        self.in_doubt_at_start.append(set())
        self.shown_at_start.append(set())
        journal: Journal | None = None
        try:
            self.stage = "opening"
            journal = Journal.open(DIRECTORY, fs=self.disk, committer=InlineCommitter(), wall=self.time.wall)
            self.documents = journal.events(self.spec.name)
            ledger = ledger_of(self.spec.name, self.documents)
            in_doubt = {name for name, record in ledger.steps.items() if record.unanswered and not record.done}
            self.in_doubt_at_start[-1] |= in_doubt
            self.intents = Counter({name: len(record.attempts) for name, record in ledger.steps.items()})
            self.shown_at_start[-1] |= {step for step in in_doubt if self._shows(step, ledger.nonce)}
            self.stage = "running"
            outcome = self._run(journal)
            self.stage = "closing"
            journal.close()
        except Died as death:
            return death
        except JournalError as error:
            return self._ended(error)
        finally:
            self.stage, self._loop = "", None
        return self._ended(outcome)

    def _shows(self, step: str, nonce: str) -> bool:
        """Whether lists show an object of the step that is there."""
        kind, marker = (
            TABLES["tutorial"].row_of(step).step.kind,
            f"fl-{nonce}-{TABLES['tutorial'].row_of(step).step.slug}",
        )
        there = self.emulator.objects(kind)
        return any(marker in str(found) and found in there for found in self.emulator.world.listed(kind, "prod"))

    def _ended(self, outcome: Report | BaseException) -> Report | BaseException:
        if self._lose_all_after:
            self._cut_power()
        else:
            self.disk.kill()
        return outcome

    def _run(self, journal: Journal) -> Report | BaseException:
        port = InProcessPort(self._handle, self.time, fate=self._fate, at=self._at)
        platform = platform_in_process(self.emulator, self.time, port=port)

        async def main() -> Report | BaseException:
            try:
                return await api.apply(
                    self.spec, journal=journal, platform=platform, clock=self.time, chance=self.chance,
                    on_event=self._acknowledge,
                )  # fmt: skip
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
            self.on_moment_hook(moment, request)
        self._note_passed(lambda watched: watched.moment(moment, request, late=late))
        if self._trap is not None and self._trap.moment(moment, request, late=late):
            self.die(self._spring(self._trap))
        if moment is Moment.CONNECTED and self._stands_still is not None and self._stands_still[0].is_in(request):
            seconds, self._stands_still = self._stands_still[1], None
            await self.time.sleep(seconds)
        if moment is Moment.HANDED_OVER and request.effect:
            self._note_send(request)
            intents = self.disk.durable().count(b'"kind":"intent_recorded/1"')
            assert intents >= self.sends, "protocol rules 1 and 3: a call was sent that no durable intent is for"
            if self._port_fate is not None and self._port_fate[0].is_in(request):
                self._port_fate = None

    def _note_send(self, request: Request) -> None:
        self.sends += 1
        step = next(step for step, effect in EFFECTS.items() if effect.is_in(request))
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
            put(kind, sandbox, id, obj)

        store.put = counted  # type: ignore[method-assign] # the test stands between services and store


def _another_id(id: str) -> str:
    """An id of the same form, that is not drawn by the emulator."""
    return id[:-6] + "".join("0123456789abcdef"[15 - int(char, 16)] for char in id[-6:])


def _shift_creation(copy: dict[str, Any], ms: int) -> None:
    for holder in (copy, copy.get("meta:registryMetadata", {})):
        for field in ("createdAt", "created", "createdDate", "repo:createdDate"):
            if field in holder:
                holder[field] += ms


def _renamed(copy: dict[str, Any], name: str) -> dict[str, Any]:
    for field in ("name", "title", "description"):
        if field in copy:
            copy[field] = name
    copy.pop("tags", None)
    return copy


def _with_other_references(copy: dict[str, Any]) -> dict[str, Any]:
    """The object as somebody re-pointed it: everything that it refers to is something else."""
    other = "00000000-0000-4000-a000-000000000000"
    for field in ("baseConnectionId", "xdmSchema"):
        if field in copy:
            copy[field] = other
    if "connectionSpec" in copy:
        copy["connectionSpec"] = {**copy["connectionSpec"], "id": other}
    if "sourceConnectionIds" in copy:
        copy["sourceConnectionIds"] = [other]
    if "schemaRef" in copy:
        copy["schemaRef"] = {**copy["schemaRef"], "id": other}
    if "allOf" in copy:
        record = "https://ns.adobe.com/xdm/data/record"
        copy["allOf"] = [{"$ref": record, "type": "object"}]
        copy["meta:extends"] = [record]
    if "meta:class" in copy:
        copy["meta:class"] = record
    if "meta:intendedToExtend" in copy:
        copy["meta:intendedToExtend"] = [record]
    return copy
