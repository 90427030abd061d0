"""A bench for what comes after provisioning: flow runs that come and end while somebody looks, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from flowledger.emulator.wire import Request as CoreRequest
from flowledger.engine import api
from flowledger.engine.watch import Until, WatchReport
from flowledger.steps.client.inprocess import Fate
from flowledger.steps.client.port import Request
from tests.bench import Bench, Died


class FlowRunBench(Bench):
    """The bench. `looks` counts the reads of the list of runs."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[float] = []  # when, in virtual seconds
        self.before_look: dict[int, Callable[[], Any]] = {}  # by the number of the look, from 1

    def _fate(self, request: Request) -> Fate:
        if request.path.endswith("/runs"):
            self.looks.append(self.time.monotonic())
            self.before_look.get(len(self.looks), lambda: None)()
        return super()._fate(request)

    def watch(self, told: list[Any] | None = None, **options: Any) -> WatchReport:
        """Watch; `told` collects what is told."""
        until = Until(runs=options.pop("runs", 0), seconds=options.pop("seconds", None))
        on_run = (told if told is not None else []).append
        report: WatchReport = self.sit(api.watch, self.spec.name, until=until, on_run=on_run, **options)
        return report

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

    @property
    def flow_id(self) -> str:
        """The id of the one flow that is there, asked of the platform: the journal may be held."""
        (flow,) = self.emulator.world.store.all("flows", "prod")
        return str(flow["id"])


@pytest.fixture
def bench() -> FlowRunBench:
    return FlowRunBench()


@pytest.fixture
def died() -> type[BaseException]:
    """What a test raises where the process is to die."""
    return Died


@pytest.fixture
def provisioned(bench: FlowRunBench) -> FlowRunBench:
    """After one whole apply."""
    bench.apply()
    return bench
