"""One platform and one disk, and as many processes after one another as a test wants, any of which may die."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options
from flowledger.engine import api
from flowledger.engine.halt import Halt
from flowledger.engine.ledger import Ledger, ledger_of
from flowledger.engine.specfile import load_spec
from flowledger.journal import InlineCommitter, Journal, SimulatedFileSystem
from flowledger.steps.client.clock import Clock
from flowledger.steps.client.inprocess import Fate, InProcessPort, Moment
from flowledger.steps.client.platform import Platform
from flowledger.steps.client.port import Request
from flowledger.steps.spec import Spec
from flowledger.testing import VirtualTime, platform_in_process, run_in_virtual_time

EXAMPLE: Final = Path(__file__).resolve().parents[1] / "examples" / "paypal-products.yaml"
JOURNAL: Final = Path("/journal")  # on the simulated disk
#: The platform when every step of a style has made exactly one thing.
MADE_ONCE_IN: Final = {
    "tutorial": {"connections": 2, "classes": 1, "schemas": 2, "fieldgroups": 1, "dataSets": 1, "sourceConnections": 1,
                 "targetConnections": 1, "mappingSets": 1, "flows": 1},
    "current": {"connections": 1, "classes": 0, "schemas": 1, "fieldgroups": 1, "dataSets": 1, "sourceConnections": 1,
                "targetConnections": 1, "mappingSets": 1, "flows": 1},
}  # fmt: skip
MADE_ONCE: Final = MADE_ONCE_IN["tutorial"]
#: The platform when nothing of ours is left.
NOTHING: Final = dict.fromkeys(MADE_ONCE, 0)


@cache
def example() -> Spec:
    """The spec of the example."""
    return load_spec(EXAMPLE).spec


class Died(BaseException):
    """The process died here. Not an Exception: nothing may catch it and carry on."""


class Bench:
    """Engine, journal and emulator joined in one process, in virtual time, on a simulated disk."""

    def __init__(self, **options: Any) -> None:
        """An empty platform; `options` are the emulator's."""
        self.time = VirtualTime()
        self.clock: Clock = self.time  # what a process sees
        self.disk = SimulatedFileSystem()
        self.death: Callable[[], Any] = self.disk.kill
        self.emulator = Emulator(clock=self.time.wall, options=Options(**options))
        self.spec = example()
        self.chance = random.Random(7)
        self.halt = Halt()
        self.requests: list[Request] = []
        self.fate: Callable[[Request], Fate] = lambda request: Fate.ANSWERED
        self.at: Callable[[Moment, Request], Awaitable[None]] | None = None
        self.on_event: Any = None
        self.main: asyncio.Task[Any] | None = None  # of the process that lives

    def _fate(self, request: Request) -> Fate:
        self.requests.append(request)
        return self.fate(request)

    async def _at(self, moment: Moment, request: Request) -> None:
        if self.at is not None:
            await self.at(moment, request)

    def open_journal(self) -> Journal:
        """The journal, as the next process opens it."""
        return Journal.open(JOURNAL, fs=self.disk, committer=InlineCommitter(), wall=self.time.wall)

    def connect(self, **options: Any) -> Platform:
        """The client, as the next process makes it."""
        port = InProcessPort(self.emulator.handle, self.clock, fate=self._fate, at=self._at)
        return platform_in_process(self.emulator, self.time, port=port, **options)

    def sit(self, verb: Callable[..., Awaitable[Any]], *args: Any, sandbox: str = "prod", **options: Any) -> Any:
        """Be one process that calls a verb of the API."""
        journal = self.open_journal()
        platform = self.connect(sandbox=sandbox)
        if self.on_event is not None:
            options.setdefault("on_event", self.on_event)

        async def sitting() -> Any:
            self.main = asyncio.current_task()
            try:
                return await verb(
                    *args, journal=journal, platform=platform, clock=self.clock, chance=self.chance, halt=self.halt,
                    **options,
                )  # fmt: skip
            finally:
                await platform.close()

        try:
            result = run_in_virtual_time(self.time, sitting())
        except Died:
            self.death()
            raise
        except BaseException:
            with self.disk.reliable():
                journal.close()
            raise
        journal.close()
        return result

    def apply(self, spec: Any = None, **options: Any) -> Any:
        """`flowledger apply` as a process of its own."""
        return self.sit(api.apply, spec or self.spec, **options)

    def resume(self, run: str = "", **options: Any) -> Any:
        """`flowledger resume` as a process of its own."""
        return self.sit(api.resume, run or self.spec.name, **options)

    def destroy(self, run: str = "", **options: Any) -> Any:
        """`flowledger destroy` as a process of its own."""
        return self.sit(api.destroy, run or self.spec.name, **options)

    def drift(self, run: str = "", **options: Any) -> Any:
        """`flowledger drift` as a process of its own."""
        return self.sit(api.drift, run or self.spec.name, **options)

    def documents(self, run: str = "") -> list[Any]:
        """A run's events as documents."""
        with self.open_journal() as journal:
            return journal.events(run or self.spec.name)

    def kinds_of_events(self, run: str = "") -> list[str]:
        """What kinds of events a run has, in their order."""
        return [document["kind"] for document in self.documents(run)]

    def ledger(self, run: str = "") -> Ledger:
        """What the disk says of a run."""
        return ledger_of(run or self.spec.name, self.documents(run))

    def counts(self) -> dict[str, int]:
        """How many objects of each kind the platform has."""
        return {kind: self.emulator.count(kind) for kind in MADE_ONCE}

    def sent(self, method: str, path_end: str) -> int:
        """How many requests of that kind were sent."""
        return sum(request.method == method and request.path.endswith(path_end) for request in self.requests)
