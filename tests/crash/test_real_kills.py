"""SIGKILL of a real process, with a real disk and a real emulator process, at every point of every step once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crashmatrix.cells import MADE_ONCE, per_step_points
from crashmatrix.points import Crash, CrashPoint, Death
from crashmatrix.traps import EFFECTS, STEPS
from crashmatrix.world import EXAMPLE
from flowledger.engine.api import read_ledger
from flowledger.engine.ledger import RunState
from flowledger.journal import verify

pytestmark = pytest.mark.timeout(900)  # a test is up to 300 cells, and the machine may be busy

#: The fault that leads to a point, for those that an undisturbed run does not pass.
FAULTS: dict[int, dict[str, Any]] = {
    8: {"kind": "drop", "when": "before"},
    9: {"kind": "late", "after_ms": 300},
    10: {"kind": "drop", "when": "after"},
    11: {"kind": "cut"},
    15: {"kind": "drop", "when": "before"},
    16: {"kind": "drop", "when": "after"},
    17: {"kind": "drop", "when": "after"},
    18: {"kind": "drop", "when": "before"},
    19: {"kind": "answer", "status": 429, "retry_after": "1"},
    20: {"kind": "answer", "status": 429, "retry_after": "0"},
    21: {"kind": "drop", "when": "before"},
    22: {"kind": "drop", "when": "before"},
}
# A process cannot take the power away with it: what a power cut leaves is for the simulated disk.
REAL_DEATHS = (Death.KILLED, Death.KEPT, Death.TORN, Death.FAILED_KEPT)


class Emulator:
    """`flowledger emulator start` as a process of its own."""

    def __init__(self, state: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "flowledger", "emulator", "start", "--port", "0", "--state", str(state)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().rpartition(" ")[2].strip()
        assert self.url.startswith("http://127.0.0.1:")

    def ask(self, method: str, what: str, body: Any = None) -> Any:
        """Call one of the emulator's own routes."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_emulator/{what}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()


class Nursery:
    """Forks the processes that die (`crashmatrix.child`)."""

    def __init__(self, folder: Path) -> None:
        here = Path(__file__).parent
        path = os.pathsep.join([str(here), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.errors = (folder / "stderr").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "crashmatrix.child"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        assert self._read() == "ready"

    def live(self, journal: Path, url: str, crash: Crash | None) -> int:
        """Let a process apply the example; how it ended: an exit code, or minus the signal that killed it."""
        died = {"point": crash.point, "step": crash.step, "death": str(crash.death)} if crash else None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"journal": str(journal), "url": url, "crash": died}) + "\n")
        self._process.stdin.flush()
        return int(self._read())

    def close(self) -> None:
        self._process.communicate(timeout=30)
        self.errors.close()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    emulator = Emulator(tmp_path_factory.mktemp("emulator"))
    yield emulator
    emulator.close()


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path_factory.mktemp("nursery"))
    yield nursery
    nursery.close()


def _kill_and_apply_again(emulator: Emulator, nursery: Nursery, journal: Path, crash: Crash) -> None:
    emulator.ask("POST", "reset")
    effect, fault = EFFECTS[crash.step], FAULTS.get(crash.point)
    if fault:
        emulator.ask("POST", "faults", {"route": f"POST {effect.path}", "where": effect.within, **fault})
    ended = nursery.live(journal, emulator.url, crash)
    # A failed append ends the process by itself, with "try resume" as its exit code, or as a damaged journal's.
    assert ended == -9 if crash.death is not Death.FAILED_KEPT else ended > 0, f"{crash}: ended with {ended}"
    again = nursery.live(journal, emulator.url, None)
    assert again == 0, f"{crash}: then ended with {again}: {Path(nursery.errors.name).read_text()[-2000:]}"
    assert emulator.ask("GET", "counts") == MADE_ONCE, str(crash)
    assert verify(journal).damage is None
    ledger, _ = read_ledger(EXAMPLE.name, journal)
    assert ledger.state is RunState.PROVISIONED
    requests = emulator.ask("GET", "health")["requests"]
    assert nursery.live(journal, emulator.url, None) == 0
    assert emulator.ask("GET", "health")["requests"] == requests, f"{crash}: applying again sent something"


def _deaths(point: CrashPoint) -> list[Death]:
    return [death for death in point.deaths if death in REAL_DEATHS]


@pytest.mark.parametrize("number", [5, 10])
def test_a_real_process_that_is_killed_is_followed_by_one_that_ends_with_exactly_one_of_everything(
    emulator: Emulator, nursery: Nursery, tmp_path: Path, number: int
) -> None:
    point = next(point for point in per_step_points() if point.number == number)
    _kill_and_apply_again(
        emulator, nursery, tmp_path, Crash(point=number, step="create_dataset", death=_deaths(point)[0])
    )


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_a_real_process_that_is_killed_at_any_point_of_any_step_leaves_exactly_one_of_everything(
    emulator: Emulator, nursery: Nursery, tmp_path: Path, step: str
) -> None:
    for turn, point in enumerate(per_step_points()):
        deaths = _deaths(point)
        death = deaths[(turn + STEPS.index(step)) % len(deaths)]
        _kill_and_apply_again(
            emulator, nursery, tmp_path / str(turn), Crash(point=point.number, step=step, death=death)
        )
