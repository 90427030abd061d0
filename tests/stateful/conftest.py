"""A world in which processes come and go: one platform, one disk, one clock, and all that can go wrong with them.

Each sitting is a process of its own that really calls `apply` or `resume`; it may die at any moment of a call and at
any call to the disk. What outlives it is the platform, the disk and the time.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from crashmatrix.styles import EFFECTS, STEPS_OF, STYLES, TUTORIAL
from flowledger.emulator.core import Emulator
from flowledger.emulator.wire import Request as CoreRequest
from flowledger.engine import api
from flowledger.engine.driver import GRACE
from flowledger.engine.halt import Halt
from flowledger.engine.ledger import Ledger, ledger_of
from flowledger.engine.report import Report
from flowledger.engine.specfile import load_spec
from flowledger.errors import FlowledgerError, JournalHeld, SpecError
from flowledger.journal import InlineCommitter, Journal, SimulatedFileSystem
from flowledger.steps.client.inprocess import Fate, InProcessPort, Moment
from flowledger.steps.client.port import Request
from flowledger.steps.spec import Spec
from flowledger.testing import VirtualTime, platform_in_process, run_in_virtual_time
from tests.stateful.telling import carries, id_of, read_of, step_of

SPEC = load_spec(Path(__file__).parents[2] / "examples" / "paypal-products.yaml").spec
SPEC = SPEC.model_copy(update={"settle": SPEC.settle.model_copy(update={"window": 90.0})})
SECRETS = ("local-secret", Path(SPEC.source.connection.params["clientSecret"].file).read_text().strip(), "Bearer ")  # type: ignore[union-attr,arg-type] # the example names a file
JOURNAL = Path("/journal")


REFERENCES = {  # where an object says what it belongs to; a stranger's says something else
    "connections": ("connectionSpec", {"id": "ffffffff-0000-4000-8000-000000000000", "version": "1.0"}),
    "sourceConnections": ("baseConnectionId", "ffffffff-0000-4000-8000-000000000001"),
    "targetConnections": ("connectionSpec", {"id": "ffffffff-0000-4000-8000-000000000002", "version": "1.0"}),
    "dataSets": ("schemaRef", {"id": "https://ns.adobe.com/else/schemas/ff", "contentType": "x"}),
    "mappingSets": ("xdmSchema", "https://ns.adobe.com/else/schemas/ff"),
    "flows": ("sourceConnectionIds", ["ffffffff-0000-4000-8000-000000000003"]),
}


CREATES = EFFECTS
STEPS = tuple(CREATES)
#: Every step of every style that has an effect.
EACH = tuple((style, step) for style in STYLES for step in STEPS_OF[style])


class Died(SystemExit):
    """The process is dead from here on: asyncio stops its loop for it at once, and nothing catches it."""


class ProcessClock:
    """What a process sees of the time: it may be set wrong, and it begins anew with each boot."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.boots = 1
        self.booted_at = 0.0
        self.wrong_by = 0.0

    @property
    def boot_id(self) -> str:
        return f"boot-{self.boots}"

    def monotonic(self) -> float:
        return self.time.monotonic() - self.booted_at

    def wall(self) -> float:
        return self.time.wall() + self.wrong_by

    async def sleep(self, seconds: float) -> None:
        await self.time.sleep(seconds)

    def boot(self) -> None:
        """Begin a new boot: readings of the last one mean nothing any more."""
        self.boots += 1
        self.booted_at = self.time.monotonic() - 10.0


class Disk(SimulatedFileSystem):
    """A disk on which a process can die at any call."""

    on_call: Callable[[], None] | None = None

    def _call(self, what: str) -> Any:
        if self.on_call is not None:
            self.on_call()
        return super()._call(what)

    @contextmanager
    def looked_at(self) -> Iterator[None]:
        """Within this block the disk has room and does not fail."""
        capacity, self.capacity = self.capacity, None
        with self.reliable():
            yield
        self.capacity = capacity


@dataclass
class Sitting:
    """What one process came to."""

    report: Report | None = None
    error: FlowledgerError | None = None
    died: bool = False
    halted_at: float | None = None
    moments: int = 0
    disk_calls: int = 0
    alive: bool = True
    actions: dict[int, Callable[[], Any]] = field(default_factory=dict)  # by the number of the moment
    call_actions: dict[tuple[str, Moment], Callable[[], Any]] = field(default_factory=dict)  # by the call; once
    disk_actions: dict[int, Callable[[], None]] = field(default_factory=dict)  # by the number of the call


class World:
    """One platform, one disk, one clock; runs are provisioned one after another."""

    def __init__(self, seed: int = 0, *, style: str = TUTORIAL, kept: bool = False) -> None:
        """`kept`: the emulator's state is on a real disk, so that it can be restarted."""
        self.seed = seed
        self.time = VirtualTime()
        self.clock = ProcessClock(self.time)
        self.disk = Disk()
        self.folder = Path(tempfile.mkdtemp(prefix="flowledger-fuzz-")) if kept else None
        self.emulator = self._start_emulator()
        self.chance = random.Random(seed)
        self.spec: Spec = SPEC.model_copy(update={"style": style})
        self.runs = [SPEC.name]
        self.nonces: dict[str, str] = {}
        self.fates: list[tuple[str, Fate]] = []
        self.stalls: list[tuple[str, Moment, float]] = []
        self.squats: list[str] = []
        self.deliver_first: list[str] = []  # steps whose call something delivers once before the client's own
        self.strangers: set[str] = set()  # ids of objects that are not ours
        self.damaged: set[tuple[str, str]] = set()  # (run, step): ours, and renamed, edited or deleted by somebody
        self.deleted: set[str] = set()  # ids
        self.beyond = False  # the platform was slower than the settle window allows: twins can come, and are reported
        self.doubled: set[tuple[str, str]] = set()  # (run, step): a call was delivered twice, which nobody can notice
        self.sent: Counter[str] = Counter()  # effects, by step
        self.requests = 0
        self.unheard: list[dict[str, Any]] = []  # what asyncio complained about
        self.left_behind: list[str] = []  # tasks that outlived their run
        self.now: Sitting | None = None

    def close(self) -> None:
        self.emulator.close()
        if self.folder is not None:
            shutil.rmtree(self.folder)

    def _start_emulator(self) -> Emulator:
        return Emulator(clock=self.time.wall, seed=self.seed, state=self.folder)

    def restart_emulator(self) -> None:
        """The platform dies and comes back with what it had kept."""
        self.emulator.close()
        self.emulator = self._start_emulator()

    # A process

    def sit(self, verb: str = "apply", *, start: str | None = None, sitting: Sitting | None = None) -> Sitting:
        """Be one process: open the journal, apply or resume, end somehow. Raises whatever is no FlowledgerError."""
        now = self.now = sitting or Sitting()
        self.disk.on_call = self._on_disk_call
        journal: Journal | None = None
        try:
            journal = Journal.open(JOURNAL, fs=self.disk, committer=InlineCommitter(), wall=self.clock.wall)
            now.report = run_in_virtual_time(self.time, self._sitting(verb, journal, start))
        except Died:
            now.died = True
        except FlowledgerError as error:
            now.error = error
        finally:
            now.alive = False
            self.disk.on_call = None
        if now.died:
            self.disk.kill()
        elif journal is not None:
            with self.disk.looked_at():
                journal.close()
        self.now = None
        if now.halted_at is not None and not now.died:
            took = self.time.monotonic() - now.halted_at
            assert took <= GRACE + 0.1, f"a stop that was asked for took {took:.1f} s"
        assert not self.unheard, self.unheard
        assert now.died or not self.left_behind, f"it went on behind the caller's back: {self.left_behind}"
        self.check(now)
        return now

    async def _sitting(self, verb: str, journal: Journal, start: str | None) -> Report:
        asyncio.get_running_loop().set_exception_handler(self._left_behind)
        self.halt = Halt()
        port = InProcessPort(self._handle, self.clock, fate=self._fate, at=self._at)
        platform = platform_in_process(self.emulator, self.time, port=port)
        platform.clock = self.clock
        options: dict[str, Any] = {
            "journal": journal, "platform": platform, "clock": self.clock, "chance": self.chance, "halt": self.halt,
            "on_event": self._on_event,
        }  # fmt: skip
        self._options = options
        try:
            if verb == "apply":
                return await api.apply(self.spec, **options)
            return await api.resume(self.spec.name, start=start, **options)
        finally:
            left = asyncio.all_tasks() - {asyncio.current_task()}
            # A request for a token belongs to the platform, which other runs may share.
            self.left_behind = [str(task) for task in left if task.get_name() != "flowledger-token"]

    def _left_behind(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), Died):  # which tears down everything that was under way
            self.unheard.append(context)

    def _on_event(self, number: int, doc: Any) -> None:
        if doc["kind"] == "run_started/1":
            self.nonces[self.spec.name] = doc["nonce"]

    def _on_disk_call(self) -> None:
        now = self.now
        if now is None:
            return
        now.disk_calls += 1
        if now.alive and (action := now.disk_actions.get(now.disk_calls)):
            action()

    def _handle(self, request: Any) -> Any:
        assert self.now is not None
        assert self.now.alive, "a dead process sent a call"
        self.requests += 1
        return self.emulator.handle(request)

    def _fate(self, request: Request) -> Fate:
        if self.now is None or not self.now.alive:
            return Fate.REFUSED
        step = step_of(request)
        for armed in self.fates:
            if armed[0] == step:
                self.fates.remove(armed)
                return armed[1]
        return Fate.ANSWERED

    async def _at(self, moment: Moment, request: Request) -> None:
        now = self.now
        if now is None or not now.alive:
            await asyncio.Event().wait()
            return
        now.moments += 1
        step = step_of(request)
        if step and moment is Moment.HANDED_OVER:
            self.sent[step] += 1
        if step and moment is Moment.HANDED_OVER and step in self.deliver_first:
            self.deliver_first.remove(step)
            self._deliver(request)
        if step and moment is Moment.CONNECTED and step in self.squats:
            self.squats.remove(step)
            self._squat(step, request)
        action = now.actions.get(now.moments) or now.call_actions.pop((step or read_of(request), moment), None)
        if action:
            result = action()
            if asyncio.iscoroutine(result):
                await result
        for armed in self.stalls:
            if armed[:2] == (step, moment):
                self.stalls.remove(armed)
                await self.time.sleep(armed[2])
                break

    # What can happen in the middle of a sitting

    def die(self) -> None:
        """The process is killed here."""
        assert self.now is not None
        self.now.alive = False
        raise Died

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        assert self.now is not None
        self.now.halted_at = self.time.monotonic()
        self.halt.request("SIGTERM")

    async def apply_at_the_same_time(self) -> None:
        """Somebody types `apply` a second time: by the same program, and by another process. Both are turned away."""
        try:
            await api.apply(self.spec, **{**self._options, "halt": Halt()})
        except JournalHeld:
            pass
        else:
            raise AssertionError("two tasks drove one run")
        try:
            Journal.open(JOURNAL, fs=self.disk, committer=InlineCommitter(), wall=self.clock.wall)
        except JournalHeld:
            pass
        else:
            raise AssertionError("two processes held one journal")

    def cut_power(self, survival: int) -> None:
        """The machine dies; what was not synced survives by chance, drawn from `survival`."""
        chance = random.Random(survival)
        self.disk.cut_power(lambda outcomes: chance.randrange(outcomes))

    # Strangers

    def marker(self, step: str, run: str | None = None) -> str | None:
        nonce = self.nonces.get(run or self.spec.name)
        return f"fl-{nonce}-{CREATES[step].slug}" if nonce else None

    def ours(self, step: str, run: str | None = None) -> list[dict[str, Any]]:
        """The objects on the platform that carry the run's marker for the step, strangers' copies left out."""
        marker = self.marker(step, run)
        if marker is None:
            return []
        return [
            item
            for item in self.emulator.objects(CREATES[step].kind)
            if id_of(item) not in self.strangers and carries(item, marker)
        ]

    def _squat(self, step: str, request: Request) -> None:
        """Somebody makes an object of our name: what differs is its description, and what it belongs to.

        A namesake of a unique title would do as well as ours: only the description says whose it is.
        """
        create, emulator = CREATES[step], self.emulator
        before = {id_of(item) for item in emulator.objects(create.kind)}
        self._deliver(request)
        for item in emulator.objects(create.kind):
            id = id_of(item)
            if id not in before:
                changed = emulator.world.store.get(create.kind, "prod", id)
                assert changed is not None
                changed.update(description="mine", tags={})
                if "outputSchema" in changed:  # the other style's word for a mapping set's schema
                    changed["outputSchema"] = {"schemaRef": {"id": REFERENCES["mappingSets"][1], "contentType": "x"}}
                if create.kind in REFERENCES:
                    changed.update([REFERENCES[create.kind]])
                emulator.world.store.put(create.kind, "prod", id, changed)
                self.strangers.add(id)

    def _deliver(self, request: Request) -> None:
        """Have the platform take the call, past the faults that are armed: those are for the client's own."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        call = CoreRequest(
            method="POST", raw_path=request.path, query=request.query, headers=headers, body=orjson.dumps(request.body)
        )
        self.emulator._answer(call, self.emulator._router.find("POST", request.path))

    def send_strangers_away(self) -> None:
        """Somebody cleans up what others had put in our way."""
        for create in CREATES.values():
            for id in self.strangers:
                self.emulator.world.store.delete(create.kind, "prod", id)

    def meddle(self, step: str, how: str) -> bool:
        """Somebody renames, edits or deletes what the run has made in `step`, or in the next one of which there is
        something. False if there is nothing at all."""
        at = STEPS.index(step)
        step = next((other for other in (*STEPS[at:], *STEPS[:at]) if self.ours(other)), step)
        kind, store = CREATES[step].kind, self.emulator.world.store
        for item in self.ours(step):
            id = id_of(item)
            changed = store.get(kind, "prod", id)
            assert changed is not None
            if how == "delete":
                store.delete(kind, "prod", id)
                self.deleted.add(id)
            else:
                key = "description" if how == "edit" else "title" if CREATES[step].titled else "name"
                changed[key] = "changed by hand"
                store.put(kind, "prod", id, changed)
            self.damaged.update((run, step) for run in self.runs)  # the sink is shared by all
            return True
        return False

    # What must hold

    def ledger(self, run: str | None = None) -> Ledger:
        """What the disk says of a run."""
        with self.disk.looked_at():
            journal = Journal.open(JOURNAL, fs=self.disk, committer=InlineCommitter(), wall=self.clock.wall)
            try:
                return ledger_of(run or self.spec.name, journal.events(run or self.spec.name))
            finally:
                journal.close()

    def check(self, sitting: Sitting | None = None) -> None:
        """What holds after every sitting, whatever happened in it; without one, look at all runs."""
        if sitting is not None and sitting.error is not None:
            said = "".join(traceback.format_exception(sitting.error)) + sitting.error.hint
            assert not any(secret in said for secret in SECRETS), said
        with self.disk.looked_at():
            journal = Journal.open(JOURNAL, fs=self.disk, committer=InlineCommitter(), wall=self.clock.wall)
            try:
                for run in [self.spec.name] if sitting else self.runs:
                    events = journal.events(run)
                    text = str(events)
                    assert not any(secret in text for secret in SECRETS), "a secret is in the journal"
                    self.check_run(run, ledger_of(run, events))
            finally:
                journal.close()

    def check_run(self, run: str, ledger: Ledger) -> None:
        """One of everything, and the journal knows it."""
        if ledger.nonce:
            known = self.nonces.setdefault(run, ledger.nonce)
            assert known == ledger.nonce, f"{run}: its nonce was {known} and is {ledger.nonce}"
        for step, create in CREATES.items():
            there = [id_of(item) for item in self.ours(step, run)]
            reported = set(ledger.duplicates)
            lenient = (run, step) in self.doubled or (self.beyond and ledger.state != "provisioned")
            assert lenient or len(set(there) - reported) <= 1, f"{run}/{step}: twins {there}, not reported"
            outputs = ledger.step(step).outputs
            if outputs is None:
                continue
            id = str(outputs["id"])
            assert id not in self.strangers or ledger.step(step).how == "found", f"{run}/{step}: took somebody's {id}"
            exists = self.emulator.world.store.peek(create.kind, "prod", id) is not None
            assert exists or id in self.deleted, f"{run}/{step}: the journal names {id}, which never was"
            assert lenient or set(there) - reported <= {id}, f"{run}/{step}: {there} beside the journal's {id}"

    def come_to_an_end(self, sittings: int = 4) -> Sitting:
        """No more faults: sit until the run is at an end, which it must be after a few sittings."""
        self.emulator.faults.clear()
        self.emulator.options.token_lifetime_s = 86399
        self.fates.clear()
        self.stalls.clear()
        self.squats.clear()
        self.send_strangers_away()
        self.clock.wrong_by = 0.0
        self.disk.capacity = None
        self.disk.fail(1_000_000_000)
        for _ in range(sittings):
            last = self.sit("apply")
            if isinstance(last.error, SpecError):  # a start that somebody gave has passed
                last = self.sit("resume", start="+10m")
            if last.report is not None:
                break
            self.time.advance(2 * self.spec.settle.window)  # what is gone is drift only after the settle window
        undamaged = not any(run == self.spec.name for run, _ in self.damaged)
        if undamaged:
            assert last.report is not None, f"no end after {sittings} sittings: {last.error!r}"
        before = (self.requests, dict(self.sent), self.ledger().events)
        again = self.sit("apply")
        if last.report is not None:
            assert again.report == last.report
            assert (self.requests, dict(self.sent), self.ledger().events) == before, "a finished run is left alone"
        else:
            assert type(again.error) is type(last.error), f"{last.error!r}, then {again.error!r}"
            assert dict(self.sent) == before[1] or undamaged, "a run that cannot go on sends nothing"
        if last.report is not None and undamaged:
            ledger = self.ledger()
            for step in STEPS_OF[self.spec.style]:
                assert [id_of(item) for item in self.ours(step)] or ledger.step(step).how == "found", f"{step}: none"
        self.check()
        return last

    def begin_another_run(self, style: str = "") -> None:
        """The next spec, of that style or the last one's, into the same journal and onto the same platform."""
        style = style or self.spec.style
        self.spec = self.spec.model_copy(update={"name": f"run-{len(self.runs) + 1}", "style": style})
        self.runs.append(self.spec.name)
