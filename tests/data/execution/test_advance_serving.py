"""Runs while an emulator is served: calls go on beside a long one; and an emulator without pyarrow serves the rest."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.caller import FLOW, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.plane import DataPlaneMissing
from flowledger.emulator.run_worker import Worker

MINUTE = 60


class Held:
    """A source whose rows come only when they are let go."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.asked, self.go = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def batches(self, name: str, **window: Any) -> Iterator[Any]:
        self.asked.set()
        assert self.go.wait(30)
        yield from self.source.batches(name, **window)


@pytest.fixture
def held(ingestion: Any, clock: Any) -> Any:
    """An ingestion with a run that is due and whose source is held."""
    ingestion.write(("a", "A", 1), ("b", "B", 16 * MINUTE))
    ingestion.provision()
    ingestion.flow()
    ingestion.held = Held(ingestion.emulator.world.sources)
    ingestion.emulator.plane.execution._source = ingestion.held
    clock.now += 15 * MINUTE
    return ingestion


def state_of(ingestion: Any) -> list[str]:
    items = ingestion.caller.send("GET", f"{FLOW}/runs").items
    return [item["metrics"]["statusSummary"]["status"] for item in items]


async def test_calls_are_answered_while_a_long_run_is_worked_on(held: Any) -> None:
    worker = Worker(held.emulator)
    await worker.catch_up(patience=0.01)
    assert state_of(held) == ["inProgress"]
    assert held.batches() == {}
    assert list((held.lake.folder / held.data_set).rglob("*.parquet")) == []
    held.held.go.set()
    await worker.catch_up(patience=None)
    assert state_of(held) == ["success"]
    assert len(held.batches()) == 1
    await worker.close()


async def test_a_run_begins_by_itself_while_nobody_calls(held: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowledger.emulator.run_worker.POLL_S", 0.001)
    worker = Worker(held.emulator)
    await asyncio.to_thread(held.held.asked.wait, 30)
    assert held.held.asked.is_set()
    held.held.go.set()
    await worker.catch_up(patience=None)
    assert state_of(held) == ["success"]
    await worker.close()


async def test_a_stop_in_the_middle_leaves_the_run_to_the_next_start_and_lands_it_once(held: Any) -> None:
    worker = Worker(held.emulator)
    await worker.catch_up(patience=0.01)
    closing = asyncio.create_task(worker.close())
    held.held.go.set()
    await closing
    assert [run["metrics"]["statusSummary"]["status"] for run in held.emulator.world.store.all("runs", "prod")] == [
        "inProgress"
    ]
    held.emulator.close()
    held.open()
    held.emulator.count("runs")
    assert held.landed() == [["a"]]
    assert held.statuses() == ["success"]


async def test_an_emulator_that_is_served_no_more_executes_what_was_begun(held: Any) -> None:
    worker = Worker(held.emulator)
    await worker.catch_up(patience=0.01)
    closing = asyncio.create_task(worker.close())
    held.held.go.set()
    await closing
    assert held.statuses() == ["success"]
    assert held.landed() == [["a"]]


async def test_a_reset_in_the_middle_of_a_run_leaves_nothing(held: Any) -> None:
    worker = Worker(held.emulator)
    await worker.catch_up(patience=0.01)
    held.emulator.reset()
    held.held.go.set()
    await worker.catch_up(patience=None)
    await worker.close()
    assert held.runs() == []
    assert held.emulator.objects("batches") == []
    assert held.emulator.objects("openWindows") == held.emulator.objects("flowCursors") == []
    held.emulator.close()
    held.open()
    assert list(held.lake.batches()) == []


def test_without_pyarrow_sources_say_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataPlaneMissing, match=r"pip install 'pyarrow>="):
        Emulator(sources=folder)


def test_without_pyarrow_everything_else_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    emulator = Emulator()
    caller = Caller(emulator)
    assert caller.send("GET", f"{FLOW}/runs").status == 200
    assert caller.send("GET", "/data/foundation/export/batches/01NONE/files").status == 404
    emulator.close()


def test_an_emulator_without_sources_never_loads_pyarrow() -> None:
    program = (
        "import sys; from flowledger.emulator.core import Emulator; Emulator().close(); print('pyarrow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
