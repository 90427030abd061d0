"""SIGKILL of a real process, with a real disk and a real emulator process, at every point of every step once."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crashmatrix.cells import EACH, Of, per_step_points
from crashmatrix.machine import SEGMENT
from crashmatrix.points import POINTS, Crash, CrashPoint, Death
from crashmatrix.styles import EFFECTS, MADE_ONCE, SPECS, STYLES, TUTORIAL
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

    def live(self, journal: Path, url: str, *, style: str = TUTORIAL, **death: Any) -> tuple[int, str]:
        """Let a process apply the example; how it ended: an exit code, or minus the signal that killed it.

        `death`: `crash`, or `stage` and `call` (see `crashmatrix.child`); then the name of the call comes back as well.
        """
        crash = death.pop("crash", None)
        if crash is not None:
            death["crash"] = {"point": crash.point, "step": crash.step, "death": str(crash.death)}
        assert self._process.stdin is not None
        order = {"style": style, "journal": str(journal), "url": url, **death}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._read())
        return int(answer["ended"]), str(answer["before"])

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


def _arm(emulator: Emulator, crash: Crash) -> None:
    """Let the step's call meet what leads to the crash's point."""
    effect, fault = EFFECTS[crash.step], FAULTS.get(crash.point)
    if fault:
        emulator.ask("POST", "faults", {"route": f"POST {effect.path}", "where": effect.within, **fault})


def _ends_with_one_of_everything(emulator: Emulator, nursery: Nursery, journal: Path, style: str, what: str) -> None:
    """The next process ends the run, and the one after it has nothing to do."""
    again, _ = nursery.live(journal, emulator.url, style=style)
    assert again == 0, f"{what}: then ended with {again}: {Path(nursery.errors.name).read_text()[-2000:]}"
    there = {kind: number for kind, number in emulator.ask("GET", "counts").items() if number}
    assert there == MADE_ONCE[style], what
    assert verify(journal).damage is None
    ledger, _ = read_ledger(SPECS[style].name, journal)
    assert ledger.state is RunState.PROVISIONED
    requests = emulator.ask("GET", "health")["requests"]
    assert nursery.live(journal, emulator.url, style=style) == (0, "")
    assert emulator.ask("GET", "health")["requests"] == requests, f"{what}: applying again sent something"


def _kill_and_apply_again(emulator: Emulator, nursery: Nursery, journal: Path, style: str, crash: Crash) -> None:
    emulator.ask("POST", "reset")
    _arm(emulator, crash)
    ended, _ = nursery.live(journal, emulator.url, style=style, crash=crash)
    # A failed append ends the process by itself, with "try resume" as its exit code, or as a damaged journal's.
    assert ended == -9 if crash.death is not Death.FAILED_KEPT else ended > 0, f"{crash}: ended with {ended}"
    _ends_with_one_of_everything(emulator, nursery, journal, style, str(crash))


def _deaths(point: CrashPoint) -> list[Death]:
    return [death for death in point.deaths if death in REAL_DEATHS]


@pytest.mark.parametrize("number", [5, 10])
def test_a_real_process_that_is_killed_is_followed_by_one_that_ends_with_exactly_one_of_everything(
    emulator: Emulator, nursery: Nursery, tmp_path: Path, number: int
) -> None:
    point = next(point for point in per_step_points() if point.number == number)
    crash = Crash(point=number, step="create_dataset", death=_deaths(point)[0])
    _kill_and_apply_again(emulator, nursery, tmp_path, TUTORIAL, crash)


@pytest.mark.long
@pytest.mark.parametrize("of", EACH, ids=str)
def test_a_real_process_that_is_killed_at_any_point_of_any_step_leaves_exactly_one_of_everything(
    emulator: Emulator, nursery: Nursery, tmp_path: Path, of: Of
) -> None:
    for turn, point in enumerate(per_step_points()):
        deaths = _deaths(point)
        death = deaths[(turn + EACH.index(of)) % len(deaths)]
        crash = Crash(point=point.number, step=of.step, death=death)
        _kill_and_apply_again(emulator, nursery, tmp_path / str(turn), of.style, crash)


# -- points that a process passes once: the lock, what is read, what is mended, the end --------------------------------


def point_of(stage: str, calls_before: set[str], call: str) -> int:
    """Which crash point a death before this call to the disk is at."""
    if stage == "closing":
        return 26
    if call in ("make directory", "lock"):
        return 1
    if any(".torn-" in seen or seen.startswith("truncate segment") for seen in (*calls_before, call)):
        return 3
    return 2


def _kill_at_every_call(
    emulator: Emulator, nursery: Nursery, folder: Path, style: str, stage: str, torn: Crash | None = None
) -> dict[int, list[str]]:
    """One process after the other dies at the first, second, ... call to the disk of a stage, each in a world of its
    own, until there is no such call. Returns the calls by crash point."""
    died_at: dict[int, list[str]] = {}
    before: set[str] = set()
    for number in itertools.count(1):
        journal = folder / f"{stage}-{number}"
        emulator.ask("POST", "reset")
        if torn is not None:
            _arm(emulator, torn)
            assert nursery.live(journal, emulator.url, style=style, crash=torn)[0] == -9
        ended, call = nursery.live(journal, emulator.url, style=style, stage=stage, call=number)
        if not call:
            assert ended == 0, f"{stage}: call {number} was not made, and the process ended with {ended}"
            return died_at
        assert ended == -9, f"{stage}: {call}: ended with {ended}"
        died_at.setdefault(point_of(stage, before, call), []).append(call)
        before.add(call)
        _ends_with_one_of_everything(emulator, nursery, journal, style, f"killed in {stage} at call {number}: {call}")
    raise AssertionError("unreachable")


@pytest.mark.long
@pytest.mark.parametrize("style", STYLES)
def test_a_real_process_that_is_killed_before_it_has_read_anything_leaves_a_journal_for_the_next(
    emulator: Emulator, nursery: Nursery, tmp_path: Path, style: str
) -> None:
    """Crash points 1 and 2, while the journal is made."""
    died_at = _kill_at_every_call(emulator, nursery, tmp_path, style, "opening")
    assert set(died_at) == {1, 2}, died_at


@pytest.mark.long
@pytest.mark.parametrize(("style", "point"), [(STYLES[0], 5), (STYLES[-1], 13)], ids=["intent", "outcome"])
def test_a_real_process_that_is_killed_while_it_mends_a_torn_end_leaves_it_to_the_next(
    emulator: Emulator, nursery: Nursery, tmp_path: Path, style: str, point: int
) -> None:
    """Crash points 1, 2 and 3, on what a process that was killed in the middle of a write has left."""
    torn = Crash(point=point, step="create_dataset", death=Death.TORN)
    died_at = _kill_at_every_call(emulator, nursery, tmp_path, style, "opening", torn)
    assert set(died_at) == {1, 2, 3}, died_at
    assert f"truncate {SEGMENT}" in died_at[3], died_at
    assert "write lock" in died_at[2], died_at


@pytest.mark.long
@pytest.mark.parametrize("of", EACH, ids=str)
def test_a_real_process_that_is_killed_while_it_cuts_a_torn_intent_or_outcome_of_any_step_leaves_it_to_the_next(
    emulator: Emulator, nursery: Nursery, tmp_path: Path, of: Of
) -> None:
    """Crash point 3 of every step: before the cut, and before what was cut is durable."""
    for turn, point in enumerate((5, 13)):
        torn = Crash(point=point, step=of.step, death=Death.TORN)
        journal = tmp_path / str(point)
        emulator.ask("POST", "reset")
        assert nursery.live(journal, emulator.url, style=of.style, crash=torn)[0] == -9
        at = ("truncate", "sync")[(turn + EACH.index(of)) % 2]
        assert (
            nursery.live(journal, emulator.url, style=of.style, stage="opening", call=1, at=f"{at} {SEGMENT}")[0] == -9
        )
        _ends_with_one_of_everything(emulator, nursery, journal, of.style, f"{of}: killed before: {at}")


@pytest.mark.long
@pytest.mark.parametrize("style", STYLES)
def test_a_real_process_that_is_killed_in_close_loses_nothing(
    emulator: Emulator, nursery: Nursery, tmp_path: Path, style: str
) -> None:
    """Crash point 26."""
    died_at = _kill_at_every_call(emulator, nursery, tmp_path, style, "closing")
    assert set(died_at) == {26}, died_at
    assert {f"write {SEGMENT}", f"sync {SEGMENT}", f"close {SEGMENT}", "close lock"} <= set(died_at[26]), died_at


def test_a_real_process_that_is_killed_with_the_lock_in_hand_or_in_close_leaves_the_journal_to_the_next(
    emulator: Emulator, nursery: Nursery, tmp_path: Path
) -> None:
    """A slice of these."""
    for stage, call in (("opening", 3), ("closing", 2)):
        emulator.ask("POST", "reset")
        journal = tmp_path / stage
        assert nursery.live(journal, emulator.url, stage=stage, call=call)[0] == -9
        _ends_with_one_of_everything(emulator, nursery, journal, TUTORIAL, f"killed in {stage} at call {call}")


# -- points of destroy ------------------------------------------------------------------------------------------------


def _destroy_dies(emulator: Emulator, nursery: Nursery, journal: Path, style: str, crash: Crash) -> None:
    """Somebody else's run is there and ours; destroying ours dies; the next destroy leaves theirs, and nothing else."""
    emulator.ask("POST", "reset")
    assert nursery.live(journal / "theirs", emulator.url, style="current")[0] == 0
    theirs = emulator.ask("GET", "counts")
    assert nursery.live(journal / "ours", emulator.url, style=style)[0] == 0
    if crash.point == 24:  # half of them arrive
        effect = EFFECTS[crash.step]
        when = "after" if EACH.index(Of(style, crash.step)) % 2 else "before"
        fault = {"route": f"DELETE {effect.path}/{{id}}", "kind": "drop", "when": when}
        emulator.ask("POST", "faults", fault)
    ended, _ = nursery.live(journal / "ours", emulator.url, style=style, destroy=True, crash=crash)
    assert ended == -9 if crash.death is not Death.FAILED_KEPT else ended > 0, f"{crash}: ended with {ended}"
    again, _ = nursery.live(journal / "ours", emulator.url, style=style, destroy=True)
    assert again == 0, f"{crash}: then ended with {again}: {Path(nursery.errors.name).read_text()[-2000:]}"
    assert emulator.ask("GET", "counts") == theirs, f"{crash}: something is left, or something of theirs is gone"
    requests = emulator.ask("GET", "health")["requests"]
    assert nursery.live(journal / "ours", emulator.url, style=style, destroy=True)[0] == 0
    assert nursery.live(journal / "ours", emulator.url, style=style)[0] == 2, "it was applied again"
    assert emulator.ask("GET", "health")["requests"] == requests, f"{crash}: something was sent after the end"


@pytest.mark.long
@pytest.mark.parametrize("of", EACH, ids=str)
def test_a_real_destroy_that_is_killed_at_any_of_its_points_is_carried_on_and_nothing_is_left(
    emulator: Emulator, nursery: Nursery, tmp_path: Path, of: Of
) -> None:
    """Crash points 23, 24 and 25 of every step that makes something."""
    for point in POINTS:
        if point.of_destroy:
            deaths = _deaths(point)
            crash = Crash(point=point.number, step=of.step, death=deaths[EACH.index(of) % len(deaths)])
            _destroy_dies(emulator, nursery, tmp_path / str(point.number), of.style, crash)


def test_a_real_destroy_that_is_killed_is_carried_on_and_nothing_is_left(
    emulator: Emulator, nursery: Nursery, tmp_path: Path
) -> None:
    """A slice of these."""
    _destroy_dies(emulator, nursery, tmp_path, TUTORIAL, Crash(point=25, step="create_flow"))
