"""A program, and an emulator that runs in a process of its own for all tests of a worker."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from tests.program import Program, credentials


class RunningEmulator:
    """An emulator in a process of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A call to a control route."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_emulator/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            answer = response.read()
        return json.loads(answer) if answer else None

    def fault(self, route: str, kind: str, **details: Any) -> None:
        self.ask("POST", "faults", {"route": route, "kind": kind, **details})

    def wait_for_call(self, method: str, path: str) -> None:
        """Return once such a call has arrived: it has taken effect, answered or not."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            calls = self.ask("GET", "requests?limit=1000")["requests"]
            if any(call["method"] == method and call["path"].endswith(path) for call in calls):
                return
        raise AssertionError(f"no {method} {path} ever arrived")

    def create(self, path: str, body: Any) -> Any:
        """A create by somebody else, who knows nothing of flowledger."""
        form = "grant_type=client_credentials&client_id=local-client&client_secret=local-secret&scope=openid"
        token = self._post("/ims/token/v3", form.encode(), {"Content-Type": "application/x-www-form-urlencoded"})
        headers = {
            "Authorization": f"Bearer {token['access_token']}",
            "x-api-key": "local-client",
            "x-gw-ims-org-id": "LOCAL@AdobeOrg",
            "x-sandbox-name": "prod",
            "Content-Type": "application/json",
        }
        return self._post(f"/data/foundation{path}", json.dumps(body).encode(), headers)

    def _post(self, path: str, data: bytes, headers: dict[str, str]) -> Any:
        request = urllib.request.Request(f"{self.url}{path}", data=data, method="POST", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read())

    @property
    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = self.ask("GET", "counts")
        return counts


@pytest.fixture(scope="session")
def served() -> Iterator[RunningEmulator]:
    process = subprocess.Popen(
        [sys.executable, "-m", "flowledger", "emulator", "start", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        yield RunningEmulator(first_line(process.stdout).removeprefix("Ready. "))
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture
def emulator(served: RunningEmulator) -> RunningEmulator:
    """The session's emulator, empty."""
    served.ask("POST", "reset")
    served.ask("DELETE", "faults")
    return served


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program without credentials, its journal in a fresh folder."""
    return Program(tmp_path)


@pytest.fixture
def connected(program: Program, emulator: RunningEmulator) -> Program:
    """The program with the emulator's credentials."""
    program.env |= credentials(emulator.url)
    return program


@pytest.fixture
def provisioned(connected: Program) -> Program:
    """After one whole apply of `spec.yaml`."""
    ran = connected("apply", connected.spec())
    assert ran.code == 0, ran.err
    return connected


@pytest.fixture
def wait_for_line() -> Callable[[IO[str] | None, str], str]:
    """Reads a program's lines until one holds a text, and returns all that was read."""
    return until_line


def first_line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline().rstrip("\n")


def until_line(stream: IO[str] | None, text: str) -> str:
    assert stream is not None
    read = ""
    for line in stream:
        read += line
        if text in line:
            return read
    raise AssertionError(f"{text!r} never came; what came is: {read}")
