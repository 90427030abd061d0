"""A bench for what comes after provisioning: flow runs that come and end while somebody looks, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from flowledger.emulator.wire import Request as CoreRequest
from flowledger.engine import api
from flowledger.engine.halt import Halt
from flowledger.engine.ledger import Ledger, ledger_of
from flowledger.engine.report import Report
from flowledger.engine.specfile import load_spec
from flowledger.engine.watch import Until, WatchReport
from flowledger.journal import InlineCommitter, Journal, SimulatedFileSystem
from flowledger.steps.client.inprocess import Fate, InProcessPort, Moment
from flowledger.steps.client.port import Request
from flowledger.steps.spec import Spec
from flowledger.testing import VirtualTime, emulator_in_virtual_time, platform_in_process, run_in_virtual_time

SPEC = load_spec(Path(__file__).parents[2] / "examples" / "paypal-products.yaml").spec
GOOD = {"status": "success", "input_records": 715, "output_records": 715, "batches": ["01EF0000000000000000000000"]}


class Died(BaseException):
    """The process died here. Not an Exception: nothing may catch it and carry on."""


class Bench:
    """One platform and one disk, and processes one after another. `looks` counts the reads of the list of runs."""

    def __init__(self) -> None:
        self.time = VirtualTime()
        self.disk = SimulatedFileSystem()
        self.emulator = emulator_in_virtual_time(self.time)
        self.spec: Spec = SPEC
        self.chance = random.Random(7)
        self.halt = Halt()
        self.looks: list[float] = []  # when, in virtual seconds
        self.before_look: dict[int, Callable[[], Any]] = {}  # by the number of the look, from 1
        self.fate: Callable[[Request], Fate] = lambda request: Fate.ANSWERED
        self.at: Callable[[Moment, Request], Awaitable[None]] | None = None

    def _fate(self, request: Request) -> Fate:
        if request.path.endswith("/runs"):
            self.looks.append(self.time.monotonic())
            self.before_look.get(len(self.looks), lambda: None)()
        return self.fate(request)

    def open_journal(self) -> Journal:
        return Journal.open(Path("/journal"), fs=self.disk, committer=InlineCommitter(), wall=self.time.wall)

    def sit(self, verb: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        """Be one process that calls a verb of the API."""
        journal = self.open_journal()
        port = InProcessPort(self.emulator.handle, self.time, fate=self._fate, at=self.at)
        platform = platform_in_process(self.emulator, self.time, port=port)

        async def sitting() -> Any:
            return await verb(
                *args, journal=journal, platform=platform, clock=self.time, chance=self.chance, halt=self.halt,
                **options,
            )  # fmt: skip

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

    def apply(self) -> Report:
        report: Report = self.sit(api.apply, self.spec)
        return report

    def watch(self, told: list[Any] | None = None, **options: Any) -> WatchReport:
        """Watch; `told` collects what is told."""
        until = Until(runs=options.pop("runs", 0), seconds=options.pop("seconds", None))
        on_run = (told if told is not None else []).append
        report: WatchReport = self.sit(api.watch, self.spec.name, until=until, on_run=on_run, **options)
        return report

    @property
    def flow(self) -> str:
        outputs = self.ledger().step("create_flow").outputs
        assert outputs is not None
        return str(outputs["id"])

    def put_run(self, run: str = "", **outcome: Any) -> str:
        """A run as the flow's schedule would make it, or what came of `run`; returns its id."""
        body: dict[str, Any] = {"outcome": outcome} if outcome else {}
        if not run:
            body["flowId"] = self.flow_id
        raw = orjson.dumps(body)
        path = f"/_emulator/runs/{run}"
        response = self.emulator.handle(CoreRequest(method="POST", raw_path=path, body=raw))
        assert response.status == 200, response.body
        return str(orjson.loads(response.body)["id"])

    def ledger(self) -> Ledger:
        journal = self.open_journal()
        try:
            return ledger_of(self.spec.name, journal.events(self.spec.name))
        finally:
            journal.close()

    def kinds_of_events(self) -> list[str]:
        journal = self.open_journal()
        try:
            return [document["kind"] for document in journal.events(self.spec.name)]
        finally:
            journal.close()

    @property
    def flow_id(self) -> str:
        """The id of the one flow that is there, asked of the platform: the journal may be held."""
        (flow,) = self.emulator.world.store.all("flows", "prod")
        return str(flow["id"])


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def died() -> type[BaseException]:
    """What a test raises where the process is to die."""
    return Died


@pytest.fixture
def provisioned(bench: Bench) -> Bench:
    """After one whole apply."""
    bench.apply()
    return bench
