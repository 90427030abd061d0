"""The command line as people run it: a program, an environment, a running emulator."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
import structlog
from typer.testing import CliRunner

from flowledger.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "paypal-products.yaml"


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one call of the program."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@contextmanager
def quiet_logging() -> Iterator[None]:
    """Logging as it was before: a call configures it for its own process, and other tests share this one."""
    handlers, level = logging.root.handlers[:], logging.root.level
    try:
        yield
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
        structlog.reset_defaults()


class Program:
    """Calls flowledger in a folder of its own with an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONWARNINGS": "error",
            "PYTHONDONTWRITEBYTECODE": "1",  # some calls meet a full disk, and half a .pyc would outlive them
            "FLOWLEDGER_JOURNAL": str(self.journal),
        }

    def __call__(self, *arguments: str, env: Mapping[str, str] | None = None) -> Ran:
        """A call in this process, which spares a start of Python and makes every warning an error."""
        nothing: dict[str, str | None] = {name: None for name in os.environ if name.startswith("FLOWLEDGER_")}
        with chdir(self.folder), quiet_logging():
            done = CliRunner().invoke(app, arguments, env={**nothing, **self.env, **(env or {})})
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Ran(done.exit_code, done.stdout, done.stderr)

    def apart(self, *arguments: str, **more: Any) -> Ran:
        """A call in a process of its own, as people make it."""
        env = self.env | more.pop("env", {})
        done = subprocess.run(
            self.line(arguments),
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **more,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def into_closed_pipe(self, *arguments: str) -> Ran:
        """A call whose standard output nobody reads any more."""
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = subprocess.run(
                self.line(arguments),
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
                check=False,
            )
        finally:
            os.close(writer)
        return Ran(done.returncode, "", done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.line(arguments),
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def line(arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "flowledger", *arguments]

    def spec(self, *changes: tuple[str, str], name: str = "spec.yaml") -> str:
        """The example's spec with regular expressions replaced, and its secret, in the folder."""
        text = EXAMPLE.read_text()
        for pattern, replacement in changes:
            text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
            assert count, f"{pattern} is not in the example"
        secret = self.folder / "secrets" / "paypal-client-secret"
        secret.parent.mkdir(exist_ok=True)
        secret.write_text("a made-up secret\n")
        secret.chmod(0o600)
        (self.folder / name).write_text(text)
        return name


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

    @property
    def env(self) -> dict[str, str]:
        return {
            "FLOWLEDGER_BASE_URL": self.url,
            "FLOWLEDGER_CLIENT_ID": "local-client",
            "FLOWLEDGER_CLIENT_SECRET": "local-secret",
            "FLOWLEDGER_ORG_ID": "LOCAL@AdobeOrg",
            "FLOWLEDGER_SANDBOX": "prod",
        }


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
    program.env |= emulator.env
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
