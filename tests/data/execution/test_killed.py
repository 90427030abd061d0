"""kill -9 of a real emulator in the middle of runs: every row of the source is in exactly one batch."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

MINUTE = 60
START = 1_700_000_000  # of the test's own clock
CHILD = Path(__file__).with_name("serving_child.py")
STEP = 45 * MINUTE  # so far is the clock moved by each process: three runs become due
ROWS_A_STEP = 60


class Served:
    """Emulators as processes of their own, one after the other, over one state."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.order = json.dumps({"state": str(state), "sources": str(folder)})
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = 0  # of the one that serves
        assert self._heard() == "ready"

    def start(self) -> None:
        """Start one; returns when it serves."""
        assert self.process.stdin is not None
        print(self.order, file=self.process.stdin, flush=True)
        pid, self.url = self._heard().split()
        self.pid = int(pid)

    def advance(self) -> None:
        """Move its clock, and wait for the runs that become due, or for its death."""
        body = json.dumps({"ms": STEP * 1000}).encode()
        request = urllib.request.Request(f"{self.url}/_emulator/advance", data=body, method="POST")
        with suppress(OSError):  # it was killed under us
            urllib.request.urlopen(request, timeout=30).close()

    def kill(self) -> None:
        """Kill it; returns when it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self.pid = 0
        assert self._heard() == "ended -9"

    def close(self) -> None:
        """Start no more."""
        if self.pid:  # the test failed before it killed this one
            self.kill()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def _heard(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture
def served_over() -> Iterator[Callable[[Path, Path], Served]]:
    made: list[Served] = []

    def serve(folder: Path, state: Path) -> Served:
        made.append(Served(folder, state))
        return made[-1]

    yield serve
    for served in made:
        served.close()


def begun(state: Path) -> list[str]:
    """The runs that the dead emulator had begun and not settled."""
    asked = "SELECT id FROM objects WHERE kind = 'executions' AND gone_ms IS NULL"
    with closing(sqlite3.connect(state / "emulator.sqlite")) as db:
        return [id for (id,) in db.execute(asked)]


def batches_of(lake: Path) -> set[str]:
    """The batches that have a folder."""
    return {batch.name for data_set in lake.iterdir() for batch in data_set.iterdir()} if lake.is_dir() else set()


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.long)])
def test_kill_9_in_the_middle_of_runs_loses_and_repeats_no_row(
    ingestion: Any, clock: Any, served_over: Callable[[Path, Path], Served], kills: int
) -> None:
    clock.now = time.time()  # the processes have no other clock
    now = int(clock.now) - START
    ids = [f"r{number}" for number in range(kills * ROWS_A_STEP)]
    apart = STEP // ROWS_A_STEP
    ingestion.write(*((key, "N", now + number * apart) for number, key in enumerate(ids)))
    ingestion.provision()
    ingestion.flow(start=START + now + 15 * MINUTE)
    ingestion.emulator.close()
    lake, whole = ingestion.lake.folder, set[Path]()
    served, interrupted = served_over(ingestion.folder, ingestion.state), list[str]()
    for number in range(kills):
        served.start()
        there = batches_of(lake)
        moving = threading.Thread(target=served.advance)
        moving.start()
        while moving.is_alive() and len(batches_of(lake) - there) < number % 4:
            pass  # until its first, second or third batch is being written; of each fourth process, for nothing
        moving.join(0.0015 * (number % 11))
        served.kill()
        moving.join()
        interrupted += begun(ingestion.state)
        for path in set(lake.glob("*/*/part-0.parquet")) - whole:
            assert pq.read_metadata(path).num_rows > 0  # whatever has its name is whole
            whole.add(path)
    assert len(interrupted) >= kills // 2  # it did die in the middle of runs,
    assert len(set(interrupted)) >= kills // 4  # and not always of the same
    clock.now = time.time() + kills * STEP + 3600
    ingestion.open()
    ingestion.emulator.count("runs")
    batches = {batch["id"] for batch in ingestion.emulator.objects("batches")}
    found = Counter(row["_id"] for batch in sorted(batches) for row in pq.read_table(ingestion.part(batch)).to_pylist())
    assert set(found) == set(ids)
    assert set(found.values()) == {1}
    assert set(ingestion.statuses()) == {"success"}
    assert batches_of(lake) == batches
