"""A bench on which engine, journal and emulator are joined in one process, in virtual time, on a simulated disk."""

from __future__ import annotations

import asyncio
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
from flowledger.journal.writer import tell
from flowledger.steps.client.inprocess import Fate, InProcessPort, Moment
from flowledger.steps.client.port import Request
from flowledger.steps.spec import Spec
from flowledger.testing import VirtualTime, emulator_in_virtual_time, platform_in_process, run_in_virtual_time

MADE_ONCE = {
    "classes": 1, "schemas": 2, "fieldgroups": 1, "dataSets": 1, "connections": 2, "sourceConnections": 1,
    "targetConnections": 1, "mappingSets": 1, "flows": 1,
}  # fmt: skip


class Died(BaseException):
    """The process died here. Not an Exception: nothing may catch it and carry on."""


class SlowCommitter:
    """A disk that takes its time: what is queued is written so many seconds of virtual time later."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def queued(self, entry: Any) -> None:
        asyncio.get_running_loop().call_later(self._seconds, lambda: tell(entry.writer.commit()))

    def stop(self) -> None:
        """Nothing of it is left: a loop that is closed writes nothing any more."""


class Bench:
    """One platform and one disk, and as many processes after one another as a test wants."""

    def __init__(self) -> None:
        self.time = VirtualTime()
        self.disk = SimulatedFileSystem()
        self.emulator = emulator_in_virtual_time(self.time)
        self.spec: Spec = load_spec(Path(__file__).parents[2] / "examples" / "paypal-products.yaml").spec
        self.chance = random.Random(7)
        self.requests: list[Request] = []
        self.fate: Callable[[Request], Fate] = lambda request: Fate.ANSWERED
        self.at: Callable[[Moment, Request], Awaitable[None]] | None = None
        self.halt = Halt()
        self.on_event: Any = None
        self.client_secret = "local-secret"
        self.death = self.disk.kill
        self.slow_disk = 0.0  # seconds that a write takes

    def _fate(self, request: Request) -> Fate:
        self.requests.append(request)
        return self.fate(request)

    async def _at(self, moment: Moment, request: Request) -> None:
        if self.at is not None:
            await self.at(moment, request)

    def open_journal(self) -> Journal:
        committer = SlowCommitter(self.slow_disk) if self.slow_disk else InlineCommitter()
        return Journal.open(Path("/journal"), fs=self.disk, committer=committer, wall=self.time.wall)

    def on_the_medium(self) -> bytes:
        """What a power cut now would leave of the journal."""
        names = self.disk._directories["/journal"].seen
        return b"".join(bytes(names[name].durable) for name in sorted(names) if name.endswith(".jsonl"))

    def cut_power_at_death(self) -> None:
        """Let the machine die with the process: nothing that was not synced survives."""
        self.death = lambda: self.disk.cut_power(lambda outcomes: 0)

    def _sit(self, verb: Callable[..., Awaitable[Report]], *args: Any, **options: Any) -> Report:
        journal = self.open_journal()
        port = InProcessPort(self.emulator.handle, self.time, fate=self._fate, at=self._at)
        platform = platform_in_process(
            self.emulator,
            self.time,
            port=port,
            sandbox=options.pop("sandbox", "prod"),
            client_secret=self.client_secret,
        )

        async def sitting() -> Report:
            return await verb(
                *args, journal=journal, platform=platform, clock=self.time, chance=self.chance, halt=self.halt,
                on_event=self.on_event, **options,
            )  # fmt: skip

        try:
            report = run_in_virtual_time(self.time, sitting())
        except Died:
            self.death()
            raise
        except BaseException:
            journal.close()
            raise
        journal.close()
        return report

    def apply(self, spec: Any = None, **options: Any) -> Report:
        """`flowledger apply` as a process of its own."""
        return self._sit(api.apply, spec or self.spec, **options)

    def resume(self, **options: Any) -> Report:
        """`flowledger resume` as a process of its own."""
        return self._sit(api.resume, self.spec.name, **options)

    def ledger(self) -> Ledger:
        """What the disk says of the run."""
        journal = self.open_journal()
        try:
            return ledger_of(self.spec.name, journal.events(self.spec.name))
        finally:
            journal.close()

    def documents(self) -> list[Any]:
        """The run's events as documents."""
        journal = self.open_journal()
        try:
            return journal.events(self.spec.name)
        finally:
            journal.close()

    def counts(self) -> dict[str, int]:
        """How many objects of each kind the platform has."""
        return {kind: self.emulator.count(kind) for kind in MADE_ONCE}

    def sent(self, method: str, path_end: str) -> int:
        """How many requests of that kind were sent."""
        return sum(request.method == method and request.path.endswith(path_end) for request in self.requests)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def made_once() -> dict[str, int]:
    """The platform when every step has made exactly one thing."""
    return dict(MADE_ONCE)


@pytest.fixture
def died() -> type[BaseException]:
    """What a test raises where the process is to die."""
    return Died
