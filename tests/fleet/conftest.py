"""Many runs, one journal, one platform, in one process and in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options
from flowledger.engine import api
from flowledger.engine.fleet import FleetReport, apply_many, resume_many
from flowledger.engine.halt import Halt
from flowledger.engine.ledger import Ledger, ledger_of
from flowledger.engine.specfile import load_spec
from flowledger.journal import InlineCommitter, Journal, SimulatedFileSystem
from flowledger.steps.client.inprocess import Fate, InProcessPort, Moment
from flowledger.steps.client.port import Request
from flowledger.steps.client.secrets import resolve
from flowledger.steps.spec import SecretRef, Spec
from flowledger.testing import VirtualTime, platform_in_process, run_in_virtual_time

EXAMPLE = Path(__file__).parents[2] / "examples" / "paypal-products.yaml"
KINDS = (
    "classes", "schemas", "fieldgroups", "dataSets", "connections", "sourceConnections", "targetConnections",
    "mappingSets", "flows",
)  # fmt: skip


class Died(BaseException):
    """The process died here. Not an Exception: nothing may catch it and carry on."""


class Yard:
    """One platform and one disk, and as many processes after one another as a test wants."""

    def __init__(self, **options: Any) -> None:
        self.time = VirtualTime()
        self.disk = SimulatedFileSystem()
        self.emulator = Emulator(clock=self.time.wall, options=Options(**options))
        self.spec: Spec = load_spec(EXAMPLE).spec
        self.requests: list[Request] = []
        self.events: list[tuple[str, str]] = []  # run and kind, as they became durable
        self.fate: Callable[[Request], Fate] = lambda request: Fate.ANSWERED
        self.at: Callable[[Moment, Request], Awaitable[None]] | None = None
        self.on_event: Callable[[str, int, Any], None] | None = None
        self.halt = Halt()
        self.seed = 0

    def specs(self, count: int, **changes: Any) -> list[Spec]:
        """So many specs, equal but for their names."""
        return [self.spec.model_copy(update={"name": f"run-{number:02d}", **changes}) for number in range(count)]

    def _fate(self, request: Request) -> Fate:
        self.requests.append(request)
        return self.fate(request)

    async def _at(self, moment: Moment, request: Request) -> None:
        if self.at is not None:
            await self.at(moment, request)

    def _told(self, run: str, number: int, doc: Any) -> None:
        self.events.append((run, doc["kind"]))
        if self.on_event is not None:
            self.on_event(run, number, doc)

    def open_journal(self) -> Journal:
        return Journal.open(Path("/journal"), fs=self.disk, committer=InlineCommitter(), wall=self.time.wall)

    def sit(self, verb: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        """A process of its own, which may die on the way."""
        journal = self.open_journal()
        self.seed += 1
        port = InProcessPort(self.emulator.handle, self.time, fate=self._fate, at=self._at)
        platform = platform_in_process(self.emulator, self.time, port=port)

        async def sitting() -> Any:
            task = asyncio.current_task()
            assert task is not None
            task.set_name("sitting")
            try:
                return await verb(
                    *args, journal=journal, platform=platform, clock=self.time, chance=random.Random(self.seed),
                    halt=self.halt, **options,
                )  # fmt: skip
            finally:
                await platform.close()

        try:
            result = run_in_virtual_time(self.time, sitting())
        except Died:
            self.disk.kill()
            raise
        except BaseException:
            journal.close()
            raise
        journal.close()
        return result

    def apply(self, specs: Iterable[Any], **options: Any) -> FleetReport:
        """`flowledger apply A B C` as a process of its own."""
        report: FleetReport = self.sit(apply_many, specs, on_event=self._told, **options)
        return report

    def resume_all(self, **options: Any) -> FleetReport:
        """`flowledger resume --all` as a process of its own."""
        report: FleetReport = self.sit(resume_many, on_event=self._told, **options)
        return report

    def resume(self, run: str, **options: Any) -> Any:
        """`flowledger resume RUN` as a process of its own."""
        return self.sit(api.resume, run, **options)

    def remove(self, path: str) -> None:
        """Somebody else deletes an object."""

        async def delete() -> None:
            platform = platform_in_process(self.emulator, self.time)
            await platform.ready()
            answer = await platform.send(Request(method="DELETE", path=path, effect=True))
            assert answer.ok, answer
            await platform.close()

        run_in_virtual_time(self.time, delete())

    def ledger(self, run: str) -> Ledger:
        """What the disk says of a run."""
        with self.open_journal() as journal:
            return ledger_of(run, journal.events(run))

    def documents(self, run: str) -> list[Any]:
        """A run's events as documents."""
        with self.open_journal() as journal:
            return journal.events(run)

    def journal_files(self) -> list[Path]:
        """Every file of the journal."""
        return [Path("/journal") / name for name in self.disk.names(Path("/journal"))]

    def source_secret(self) -> bytes:
        """The secret that the example refers to."""
        secret = self.spec.source.connection.params["clientSecret"]
        assert isinstance(secret, SecretRef)
        return resolve(secret).encode()

    def counts(self) -> dict[str, int]:
        """How many objects of each kind the platform has."""
        return {kind: self.emulator.count(kind) for kind in KINDS}

    def sent(self, method: str, path_end: str) -> int:
        """How many requests of that kind were sent."""
        return sum(request.method == method and request.path.endswith(path_end) for request in self.requests)


@pytest.fixture
def yard() -> Yard:
    return Yard()


@pytest.fixture
def died() -> type[BaseException]:
    """What a test raises where the process is to die."""
    return Died


@pytest.fixture
def shared_by() -> Callable[[int], dict[str, int]]:
    """The platform when so many equal specs are provisioned: one base connection and one sink for all."""

    def counts(runs: int) -> dict[str, int]:
        each = dict.fromkeys(KINDS, runs)
        return {**each, "schemas": 2 * runs, "connections": 2}

    return counts


@pytest.fixture
def make_yard() -> Callable[..., Yard]:
    """For tests that need a fresh platform and disk many times, or an emulator with options."""
    return Yard
