"""`emulator start --sources` and `emulator advance`, as a user types them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.options import Options
from flowledger.emulator.pytest_plugin import ServedEmulator


@pytest.fixture
def url() -> Iterator[str]:
    """An emulator whose clock is nobody else's."""
    served = ServedEmulator(Options())
    yield served.url
    served.close()


def test_advance_moves_the_clock_and_says_so(program: Any, url: str) -> None:
    before = program("emulator", "advance", "1s", "--url", url, "--json").json["now_ms"]
    done = program("emulator", "advance", "2h", "--url", url, "--json")
    assert done.code == 0, done.err
    assert done.json["schema_version"] == 1
    assert done.json["runs_executed"] == 0
    assert 7_200_000 <= done.json["now_ms"] - before < 7_200_000 + 60_000
    assert "No sources: nothing runs." in program("emulator", "advance", "30m", "--url", url).out


@pytest.mark.parametrize("text", ["", "0s", "soon", "-5m"])
def test_advance_refuses_what_is_no_time_and_says_how_to_write_one(program: Any, url: str, text: str) -> None:
    refused = program("emulator", "advance", "--url", url, "--", text)
    assert refused.code == 2
    assert refused.err.startswith(f"error: '{text}' ")
    assert re.search(r"^next: .*\d+[smh]", refused.err, re.MULTILINE)


def test_start_refuses_sources_that_are_no_folder(program: Any, tmp_path: Path) -> None:
    done = program("emulator", "start", "--port", "0", "--sources", str(tmp_path / "none"))
    assert done.code == 2
    assert "is no folder" in done.err
