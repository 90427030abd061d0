"""An emulator on a loopback port, and schemathesis let loose on it in a process of its own, as anybody would run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.options import Options
from flowledger.emulator.pytest_plugin import ServedEmulator

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Finding:
    """What schemathesis had to say: whether nothing is wrong, its report, and its words."""

    clean: bool
    report: dict[str, Any]
    text: str

    @property
    def cases(self) -> int:
        """How many calls it made up and judged."""
        return int(self.report["test_cases"]["generated"])

    @property
    def seed(self) -> int:
        """What the cases were made up from."""
        return int(self.report["seed"])

    @property
    def operations(self) -> int:
        """How many operations of the document it tried."""
        return int(self.report["operations"]["tested"])


def token_of(served: ServedEmulator) -> str:
    """A token, taken once for all cases."""
    form = {
        "grant_type": "client_credentials",
        "client_id": served.options.client_id,
        "client_secret": served.options.client_secret,
        "scope": "openid",
    }
    request = urllib.request.Request(f"{served.url}/ims/token/v3", urllib.parse.urlencode(form).encode())
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["access_token"])


@pytest.fixture
def fuzz(tmp_path: Path) -> Callable[..., Finding]:
    """Run schemathesis with our configuration and these flags on an emulator of its own; `timeout` is in seconds."""

    def run(*flags: str, timeout: float, options: Options | None = None) -> Finding:
        served = ServedEmulator(options or Options())
        try:
            return _fuzzed(served, tmp_path, flags, timeout)
        finally:
            served.close()

    return run


def _fuzzed(served: ServedEmulator, folder: Path, flags: tuple[str, ...], timeout: float) -> Finding:
    report = folder / "report.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "run"),
            *(f"{served.url}/_emulator/openapi.json", "--report", "json", "--report-json-path", str(report), *flags),
        ],
        cwd=folder,
        env={**os.environ, "FLOWLEDGER_TEST_TOKEN": token_of(served), "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    read = json.loads(report.read_text()) if report.exists() and report.stat().st_size else {}
    return Finding(
        clean=done.returncode == 0 and bool(read.get("complete")),
        report=read,
        text=f"{done.stdout[-8000:]}{done.stderr[-2000:]}",
    )


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line where whoever runs the tests sees it."""

    def line(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}")

    return line
