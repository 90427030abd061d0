"""The command line as people run it: a program, an environment, and a folder of its own."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from typer.testing import CliRunner

from flowledger.cli.app import app
from tests.bench import EXAMPLE

COLUMNS: Final = 80  # of a terminal


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one call of the program."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def credentials(url: str) -> dict[str, str]:
    """The variables that point to an emulator, with credentials that it lets in."""
    return {
        "FLOWLEDGER_BASE_URL": url,
        "FLOWLEDGER_CLIENT_ID": "local-client",
        "FLOWLEDGER_CLIENT_SECRET": "local-secret",
        "FLOWLEDGER_ORG_ID": "LOCAL@AdobeOrg",
        "FLOWLEDGER_SANDBOX": "prod",
    }


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

    def on_terminal(self, *arguments: str, answer: str = "", **env: str) -> tuple[int, str]:
        """A call whose three streams are one terminal; `answer` is typed once a question mark is shown.

        Returns its exit code and everything that was shown.
        """
        inner, outer = pty.openpty()
        fcntl.ioctl(outer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        env = {**self.env, "TERM": "xterm", **env}
        with subprocess.Popen(
            self.line(arguments), cwd=self.folder, env=env, stdin=outer, stdout=outer, stderr=outer
        ) as process:
            os.close(outer)
            shown = b""
            try:
                while piece := _read(inner):
                    shown += piece
                    if answer and b"?" in shown:
                        os.write(inner, answer.encode())
                        answer = ""
            finally:
                os.close(inner)
            return process.wait(timeout=60), shown.decode()


def _read(terminal: int) -> bytes:
    """What a terminal shows next; nothing once nobody has it open any more."""
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's word for the end
        return b""
