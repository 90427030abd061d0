"""`emulator start --sources` and `emulator advance`, as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flowledger.emulator.options import Options
from flowledger.emulator.pytest_plugin import ServedEmulator


def flowledger(*words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "flowledger", "emulator", *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def served() -> ServedEmulator:
    return ServedEmulator(Options())


def test_advance_moves_the_clock_and_says_so(served: ServedEmulator) -> None:
    try:
        before = json.loads(flowledger("advance", "1s", "--url", served.url, "--json").stdout)["now_ms"]
        done = flowledger("advance", "2h", "--url", served.url, "--json")
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert said["schema_version"] == 1
        assert said["runs_executed"] == 0
        assert 7_200_000 <= said["now_ms"] - before < 7_200_000 + 60_000
        assert "No sources: nothing runs." in flowledger("advance", "30m", "--url", served.url).stdout
    finally:
        served.close()


@pytest.mark.parametrize("text", ["", "0s", "soon", "-5m"])
def test_advance_refuses_what_is_no_time(served: ServedEmulator, text: str) -> None:
    try:
        assert flowledger("advance", "--url", served.url, "--", text).returncode == 2
    finally:
        served.close()


def test_start_refuses_sources_that_are_no_folder(tmp_path: Path) -> None:
    done = flowledger("start", "--port", "0", "--sources", str(tmp_path / "none"))
    assert done.returncode == 2
    assert "is no folder" in done.stderr
