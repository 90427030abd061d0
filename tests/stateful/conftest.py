"""A world in which processes come and go: one platform, one disk, one clock, and all that can go wrong with them.

Each sitting is a process of its own that really applies, resumes or destroys, one run or several; it may die at any
moment of a call and at any call to the disk. What outlives it is the platform, the disk and the time.
"""

from __future__ import annotations

import asyncio
import errno
import random
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from crashmatrix.styles import EFFECTS, STEPS_OF, STYLES, TUTORIAL
from flowledger.emulator.core import Emulator
from flowledger.engine import api
from flowledger.engine.driver import GRACE
from flowledger.engine.fleet import FleetReport, apply_many, resume_many
from flowledger.engine.halt import Halt
from flowledger.engine.ledger import Ledger, ledger_of
from flowledger.engine.report import Report
from flowledger.engine.specfile import load_spec
from flowledger.errors import FlowledgerError, JournalHeld
from flowledger.journal import InlineCommitter, Journal
from flowledger.steps.client.inprocess import Fate, InProcessPort, Moment
from flowledger.steps.client.port import Request
from flowledger.steps.spec import Spec
from flowledger.testing import VirtualTime, platform_in_process, run_in_virtual_time
from tests.stateful.noting import note_strikes
from tests.stateful.process import Died, Disk, ProcessClock, Sitting
from tests.stateful.strangers import deliver, meddle, send_away, squat, theirs
from tests.stateful.telling import carries, id_of, read_of, step_of
from tests.stateful.verdict import check_events, check_left, check_run, check_shared

SPEC = load_spec(Path(__file__).parents[2] / "examples" / "paypal-products.yaml").spec
SPEC = SPEC.model_copy(update={"settle": SPEC.settle.model_copy(update={"window": 90.0})})
SECRETS = ("local-secret", (Path(SPEC.folder) / "secrets" / "paypal-client-secret").read_text().strip(), "Bearer ")
JOURNAL = Path("/journal")
CREATES = EFFECTS
STEPS = tuple(CREATES)
#: Every step of every style that has an effect.
EACH = tuple((style, step) for style in STYLES for step in STEPS_OF[style])


class World:
    """One platform, one disk, one clock; runs are provisioned one after another, or several by one process."""

    def __init__(self, seed: int = 0, *, style: str = TUTORIAL, kept: bool = False, together: int = 1) -> None:
        """`kept`: the emulator's state is on a real disk, so that it can be restarted. `together`: runs a process."""
        self.seed = seed
        self.met: Counter[str] = Counter()  # what has happened to calls, by words
        self.mislabels = 0  # so many answers call their JSON something else
        self.time = VirtualTime()
        self.clock = ProcessClock(self.time)
        self.disk = Disk()
        self.folder = Path(tempfile.mkdtemp(prefix="flowledger-fuzz-")) if kept else None
        self.emulator = self._start_emulator()
        self.chance = random.Random(seed)
        self.together = together
        self.specs: dict[str, Spec] = {}  # of every run, by its name
        self.spec = SPEC.model_copy(update={"style": style})
        self.group = [self.spec.name, *(self._another(style) for _ in range(together - 1))]  # to be provisioned now
        self.doomed: set[str] = set()  # runs whose destroy has begun
        self.removed: set[str] = set()  # ids of objects that a destroy has begun to remove
        self.nonces: dict[str, str] = {}
        self.acknowledged: dict[tuple[str, int], tuple[str, float]] = {}  # kind and time of an event, by run and number
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

    @property
    def spec(self) -> Spec:
        """Of the run that the next process, or the last event, is about."""
        return self._spec

    @spec.setter
    def spec(self, spec: Spec) -> None:
        self._spec = self.specs[spec.name] = spec

    @property
    def runs(self) -> list[str]:
        """The names of all runs, the first one first."""
        return list(self.specs)

    def _start_emulator(self) -> Emulator:
        emulator = Emulator(clock=self.time.wall, seed=self.seed, state=self.folder)
        note_strikes(emulator, self.met)
        return emulator

    def restart_emulator(self) -> None:
        """The platform dies and comes back with what it had kept."""
        self.met["met: another platform process"] += self.now is not None
        self.emulator.close()
        self.emulator = self._start_emulator()

    # A process

    def sit(
        self,
        verb: str = "apply",
        *,
        start: str | None = None,
        sitting: Sitting | None = None,
        run: str = "",
        keep_dataset: bool = False,
    ) -> Sitting:
        """Be one process: open the journal, apply, resume or destroy, end somehow.

        It is about `run`, or about all runs that are to be provisioned now. Raises whatever is no FlowledgerError.
        """
        now = self.now = sitting or Sitting()
        self.disk.on_call = self._on_disk_call
        before, spec = theirs(self), self.spec
        about = [run] if run else self.group
        self.spec = self.specs[about[0]]
        journal: Journal | None = None
        try:
            journal = Journal.open(JOURNAL, fs=self.disk, committer=InlineCommitter(), wall=self.clock.wall)
            come = run_in_virtual_time(self.time, self._sitting(verb, about, journal, start, keep_dataset))
            if isinstance(come, Report):
                now.report = come
            else:
                now.fleet = come
        except Died:
            now.died = True
        except FlowledgerError as error:
            now.error = error
        finally:
            now.alive = False
            self.disk.on_call = None
            self.spec = spec
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
        after = theirs(self)
        assert before == {id: item for id, item in after.items() if id in before}, "a stranger's object is another"
        destroyed = verb == "destroy" and now.report is not None
        ledgers = self.check(now, self.runs if destroyed else about)  # what others have is as it was
        if destroyed:
            check_left(self, run, ledgers)
        return now

    async def _sitting(
        self, verb: str, about: list[str], journal: Journal, start: str | None, keep_dataset: bool
    ) -> Report | FleetReport:
        sitting = self.now
        assert sitting is not None
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: self._left_behind(sitting, context))
        self.halt = Halt()
        port = InProcessPort(self._handle, self.clock, fate=self._fate, at=self._at)
        platform = platform_in_process(self.emulator, self.time, port=port)
        platform.clock = self.clock
        options: dict[str, Any] = {
            "journal": journal, "platform": platform, "clock": self.clock, "chance": self.chance, "halt": self.halt,
        }  # fmt: skip
        self._options = {**options, "on_event": self._on_event}
        try:
            if verb == "destroy":
                return await api.destroy(self.spec.name, keep_dataset=keep_dataset, **self._options)
            if len(about) == 1:
                if verb == "apply":
                    return await api.apply(self.spec, **self._options)
                return await api.resume(self.spec.name, start=start, **self._options)
            if verb == "apply":
                return await apply_many([self.specs[run] for run in about], on_event=self._on_event_of, **options)
            return await resume_many(on_event=self._on_event_of, **options)
        finally:
            left = asyncio.all_tasks() - {asyncio.current_task()}
            # A request for a token belongs to the platform, which other runs may share.
            self.left_behind = [str(task) for task in left if task.get_name() != "flowledger-token"]

    def _left_behind(self, sitting: Sitting, context: dict[str, Any]) -> None:
        if not sitting.died:  # which tears down everything that was under way; it may be heard of much later
            self.unheard.append(context)

    def _on_event_of(self, run: str, number: int, doc: Any) -> None:
        self.spec = self.specs[run]
        self._on_event(number, doc)

    def _on_event(self, number: int, doc: Any) -> None:
        self.acknowledged[self.spec.name, number] = (doc["kind"], doc["at"])
        if doc["kind"] == "token_fetched/1" and self.now is not None:
            self.now.tokens += 1
            self.met["met: a token that is not valid any more"] += self.now.tokens > 1
        self.met["met: lists that lag"] += doc["kind"] == "looked_up/1" and bool(self.emulator.faults._lag)
        if doc["kind"] == "run_started/1":
            self.nonces[self.spec.name] = doc["nonce"]

    def _on_disk_call(self) -> None:
        now = self.now
        if now is None:
            return
        if not now.alive:
            raise OSError(errno.EBADF, "the process is dead")  # what its loop still does while it is torn down
        now.disk_calls += 1
        if action := now.disk_actions.get(now.disk_calls):
            action()

    def _handle(self, request: Any) -> Any:
        assert self.now is not None
        assert self.now.alive, "a dead process sent a call"
        self.requests += 1
        answer = self.emulator.handle(request)
        if self.mislabels and answer.body:
            self.mislabels -= 1
            self.met["met: a wrong content type"] += 1
            answer = replace(answer, headers={**answer.headers, "content-type": "text/html"})
        return answer

    def _fate(self, request: Request) -> Fate:
        if self.now is None or not self.now.alive:
            return Fate.REFUSED
        named = step_of(request) or read_of(request)
        for armed in self.fates:
            if armed[0] == named:
                self.fates.remove(armed)
                self.met[f"met: {armed[1]}"] += 1
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
            deliver(self, request)
        if step and moment is Moment.CONNECTED and step in self.squats:
            self.squats.remove(step)
            squat(self, step, request)
            self.met[f"met: somebody has our {'title' if CREATES[step].titled else 'name'}"] += 1
        named = step or read_of(request)
        action = now.actions.get(now.moments) or now.call_actions.pop((named, moment), None)
        if action:
            result = action()
            if asyncio.iscoroutine(result):
                await result
        for armed in self.stalls:
            if armed[:2] == (named, moment):
                self.stalls.remove(armed)
                await self.time.sleep(armed[2])
                break

    # What can happen in the middle of a sitting

    def die(self) -> None:
        """The process is killed here."""
        assert self.now is not None
        self.now.alive, self.now.died = False, True
        raise Died

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        assert self.now is not None
        self.now.halted_at = self.time.monotonic()
        self.halt.request("SIGTERM")

    async def apply_at_the_same_time(self) -> None:
        """Somebody types `apply` a second time: by the same program, and by another process. Both are turned away."""
        try:
            if self.together == 1:  # of several one may be nobody's: at its end, or not begun
                await api.apply(self.spec, **{**self._options, "halt": Halt()})
                raise AssertionError("two tasks drove one run")
        except JournalHeld:
            pass
        try:
            Journal.open(JOURNAL, fs=self.disk, committer=InlineCommitter(), wall=self.clock.wall)
        except JournalHeld:
            pass
        else:
            raise AssertionError("two processes held one journal")
        self.met["met: a second process"] += 1

    def cut_power(self, survival: int) -> None:
        """The machine dies; what was not synced survives by chance, drawn from `survival`."""
        chance = random.Random(survival)
        self.disk.cut_power(lambda outcomes: chance.randrange(outcomes))

    # What is on the platform

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

    def send_strangers_away(self) -> None:
        """Somebody cleans up what others had put in our way."""
        send_away(self)

    def meddle(self, step: str, how: str) -> bool:
        """Somebody renames, edits or deletes what the run has made in `step`, or in the next one of which there is
        something. False if there is nothing at all."""
        return meddle(self, step, how)

    # What must hold

    def ledger(self, run: str | None = None) -> Ledger:
        """What the disk says of a run."""
        return self.ledgers([run or self.spec.name])[run or self.spec.name]

    def ledgers(self, runs: Iterable[str]) -> dict[str, Ledger]:
        """What the disk says of some runs."""
        with self.disk.looked_at():
            journal = Journal.open(JOURNAL, fs=self.disk, committer=InlineCommitter(), wall=self.clock.wall)
            try:
                return {name: ledger_of(name, journal.events(name)) for name in runs}
            finally:
                journal.close()

    def check(self, sitting: Sitting | None = None, runs: Iterable[str] = ()) -> dict[str, Ledger]:
        """What holds after every sitting, whatever happened in it, of some runs, or of all."""
        if sitting is not None and sitting.error is not None:
            said = "".join(traceback.format_exception(sitting.error)) + sitting.error.hint
            assert not any(secret in said for secret in SECRETS), said
        ledgers: dict[str, Ledger] = {}
        with self.disk.looked_at():
            journal = Journal.open(JOURNAL, fs=self.disk, committer=InlineCommitter(), wall=self.clock.wall)
            try:
                for run in runs or self.runs:
                    events = journal.events(run)
                    text = str(events)
                    assert not any(secret in text for secret in SECRETS), "a secret is in the journal"
                    check_events(self, run, events)
                    ledgers[run] = ledger_of(run, events)
            finally:
                journal.close()
        for ledger in ledgers.values():
            self.removed.update(removal.id for removal in ledger.removals.values() if removal.begun)
        for run, ledger in ledgers.items():
            check_run(self, run, ledger)
        check_shared(self, ledgers.values())
        return ledgers

    # The end

    def quiet(self) -> None:
        """From here on nothing goes wrong any more."""
        self.emulator.faults.clear()
        self.emulator.options.token_lifetime_s = 86399
        self.fates.clear()
        self.stalls.clear()
        self.squats.clear()
        self.mislabels = 0
        self.send_strangers_away()
        self.clock.wrong_by = 0.0
        self.disk.capacity = None
        self.disk.fail(1_000_000_000)

    def come_to_an_end(self, sittings: int = 4) -> Sitting:
        """No more faults: sit until the runs are at an end, which they must be after a few sittings."""
        self.quiet()
        self.leave_the_doomed()
        for _ in range(sittings):
            last = self.sit("apply")
            if "SpecError" in last.ends:  # a start that somebody gave has passed
                for run in self.group:
                    last = self.sit("resume", start="+10m", run=run)
                last = self.sit("apply") if self.together > 1 else last
            if last.done:
                break
            self.time.advance(2 * self.spec.settle.window)  # what is gone is drift only after the settle window
        undamaged = not any(run in self.group for run, _ in self.damaged)
        if undamaged:
            assert last.done, f"no end after {sittings} sittings: {last.ends} {last.error!r}"
        before = (self.requests, dict(self.sent), self._events())
        again = self.sit("apply")
        if last.done:
            assert again.report == last.report
            assert (self.requests, dict(self.sent), self._events()) == before, "a finished run is left alone"
        else:
            assert again.ends == last.ends, f"{last.error!r}, then {again.error!r}"
            assert dict(self.sent) == before[1] or undamaged, "a run that cannot go on sends nothing"
        if last.done and undamaged:
            for run, ledger in self.ledgers(self.group).items():
                for step in STEPS_OF[self.spec.style]:
                    assert self.ours(step, run) or ledger.step(step).how == "found", f"{run}/{step}: none"
        self.check()
        return last

    def _events(self) -> list[int]:
        return [ledger.events for ledger in self.ledgers(self.group).values()]

    def destroy_to_the_end(self, run: str, sittings: int = 4) -> Sitting:
        """No more faults: destroy a run until that is done."""
        for _ in range(sittings):
            last = self.sit("destroy", run=run)
            if last.report is not None:
                return last
            self.time.advance(2 * self.spec.settle.window)
        raise AssertionError(f"{run} is not destroyed after {sittings} sittings: {last.error!r}")

    def leave_nothing(self) -> None:
        """No more faults: destroy every run, the last one first, and nothing of ours is left but what says why."""
        self.quiet()
        begun = [run for run, ledger in self.ledgers(self.runs).items() if ledger.spec is not None]
        for run in begun[::-1]:
            last = self.destroy_to_the_end(run)
        for run, ledger in self.ledgers(begun).items():
            if any(one["why"].startswith("used by ") for one in ledger.left):
                last = self.destroy_to_the_end(run)  # by now those that used it are destroyed
        removed, requests = set(self.removed), self.requests
        assert last.report is not None
        again = self.sit("destroy", run=last.report.run)
        assert again.report == last.report, "destroying once more changed something"
        assert self.removed == removed, "destroying once more removed something"
        assert last.report.left or self.requests == requests, "destroying once more called somebody"
        self.time.advance(600)  # whatever was under way has arrived
        self.check()

    def leave_the_doomed(self) -> None:
        """Turn to other runs, if a destroy of those at hand has begun."""
        self.group = [run for run in self.group if run not in self.doomed]
        if not self.group:
            self.begin_another_run()
        self.spec = self.specs[self.group[0]]

    def begin_another_run(self, style: str = "") -> None:
        """The next specs, of that style or the last one's, into the same journal and onto the same platform."""
        self.group = [self._another(style or self.spec.style) for _ in range(self.together)]
        self.spec = self.specs[self.group[0]]

    def _another(self, style: str) -> str:
        spec = self.spec.model_copy(update={"name": f"run-{len(self.specs) + 1}", "style": style})
        self.specs[spec.name] = spec
        return spec.name
