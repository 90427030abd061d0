"""A bench for removing things: one platform, one disk, and processes that may die at any moment of any call."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from flowledger.engine import api
from flowledger.engine.halt import Halt
from flowledger.engine.ledger import Ledger, ledger_of
from flowledger.engine.report import Report
from flowledger.engine.specfile import load_spec
from flowledger.journal import InlineCommitter, Journal, SimulatedFileSystem
from flowledger.steps.client.inprocess import Fate, InProcessPort, Moment
from flowledger.steps.client.port import Request
from flowledger.steps.spec import Spec
from flowledger.testing import VirtualTime, emulator_in_virtual_time, platform_in_process, run_in_virtual_time

KINDS = (
    "classes", "schemas", "fieldgroups", "dataSets", "connections", "sourceConnections", "targetConnections",
    "mappingSets", "flows",
)  # fmt: skip
NOTHING = dict.fromkeys(KINDS, 0)
SPEC = load_spec(Path(__file__).parents[2] / "examples" / "paypal-products.yaml").spec
SPEC = SPEC.model_copy(update={"settle": SPEC.settle.model_copy(update={"window": 90.0})})


class Died(BaseException):
    """The process died here. Not an Exception: nothing may catch it and carry on."""


class RebootableTime:
    """The clock that a process sees: each boot has readings of its own."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.boots = 1
        self.booted_at = 0.0

    @property
    def boot_id(self) -> str:
        return f"boot-{self.boots}"

    def monotonic(self) -> float:
        return self.time.monotonic() - self.booted_at

    def wall(self) -> float:
        return self.time.wall()

    async def sleep(self, seconds: float) -> None:
        await self.time.sleep(seconds)

    def boot(self) -> None:
        self.boots += 1
        self.booted_at = self.time.monotonic() - 10.0


class Bench:
    """One platform and one disk, and as many processes after one another as a test wants."""

    def __init__(self) -> None:
        self.time = VirtualTime()
        self.clock = RebootableTime(self.time)
        self.disk = SimulatedFileSystem()
        self.emulator = emulator_in_virtual_time(self.time)
        self.spec: Spec = SPEC
        self.chance = random.Random(7)
        self.requests: list[Request] = []
        self.fate: Callable[[Request], Fate] = lambda request: Fate.ANSWERED
        self.at: Callable[[Moment, Request], Awaitable[None]] | None = None
        self.moments = 0
        self.die_at = 0  # the number of the moment at which the process dies; 0: never
        self.disk_fails: tuple[int, bool] | None = None  # after so many calls of the next process; done all the same
        self.halt = Halt()
        self.on_event: Any = None

    def _fate(self, request: Request) -> Fate:
        self.requests.append(request)
        return self.fate(request)

    async def _at(self, moment: Moment, request: Request) -> None:
        self.moments += 1
        if self.moments == self.die_at:
            raise Died
        if self.at is not None:
            await self.at(moment, request)

    def open_journal(self) -> Journal:
        return Journal.open(Path("/journal"), fs=self.disk, committer=InlineCommitter(), wall=self.time.wall)

    def sit(self, verb: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        """Be one process that calls a verb of the API."""
        self.moments = 0
        journal = self.open_journal()
        if self.disk_fails is not None:
            call, done = self.disk_fails
            self.disk.fail(call, done=done)
            self.disk_fails = None
        port = InProcessPort(self.emulator.handle, self.clock, fate=self._fate, at=self._at)
        sandbox = options.pop("sandbox", "prod")
        platform = platform_in_process(self.emulator, self.time, port=port, sandbox=sandbox)

        async def sitting() -> Any:
            return await verb(
                *args, journal=journal, platform=platform, clock=self.clock, chance=self.chance, halt=self.halt,
                on_event=self.on_event, **options,
            )  # fmt: skip

        try:
            result = run_in_virtual_time(self.time, sitting())
        except Died:
            self.disk.kill()
            raise
        except BaseException:
            with self.disk.reliable():
                journal.close()
            raise
        journal.close()
        return result

    def apply(self, spec: Spec | None = None) -> Report:
        report: Report = self.sit(api.apply, spec or self.spec)
        return report

    def destroy(self, run: str | None = None, **options: Any) -> Report:
        report: Report = self.sit(api.destroy, run or self.spec.name, **options)
        return report

    def died(self, act: Callable[[], Any], at: int) -> bool:
        """Call, and die at the moment of that number. False if it ended before."""
        self.die_at = at
        try:
            act()
        except Died:
            return True
        finally:
            self.die_at = 0
        return False

    def events(self, run: str | None = None) -> list[Any]:
        journal = self.open_journal()
        try:
            return journal.events(run or self.spec.name)
        finally:
            journal.close()

    def ledger(self, run: str | None = None) -> Ledger:
        return ledger_of(run or self.spec.name, self.events(run))

    def kinds_of_events(self, run: str | None = None) -> list[str]:
        return [document["kind"] for document in self.events(run)]

    def id_of(self, step: str, run: str | None = None) -> str:
        outputs = self.ledger(run).step(step).outputs
        assert outputs is not None
        return str(outputs["id"])

    def counts(self) -> dict[str, int]:
        return {kind: self.emulator.count(kind) for kind in KINDS}

    def deletes(self) -> list[str]:
        """The paths of the DELETEs sent so far."""
        return [request.path for request in self.requests if request.method == "DELETE"]

    def twin_of(self, kind: str, id: str, **changes: Any) -> str:
        """Put a copy of an object beside it, as a call that is delivered twice does."""
        store = self.emulator.world.store
        twin = store.get(kind, "prod", id)
        assert twin is not None
        other = id[:-4] + "beef"
        twin.update({"id": other, **changes})
        if "createdAt" in twin:
            twin["createdAt"] += 1
        store.put(kind, "prod", other, twin)
        return other

    def is_there(self, kind: str, id: str) -> bool:
        return self.emulator.world.store.peek(kind, "prod", id) is not None


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def nothing() -> dict[str, int]:
    """A platform on which nothing of ours is left."""
    return dict(NOTHING)


@pytest.fixture
def dead() -> type[BaseException]:
    """What the death of a process looks like from outside."""
    return Died


@pytest.fixture
def make_bench() -> type[Bench]:
    """Benches for tests that need one after another."""
    return Bench
