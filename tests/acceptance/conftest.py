"""Real processes, real sockets, a real disk: an emulator in a thread of the test, and `flowledger` as a child process.

The emulator runs where the test can reach it, so that a child can be killed at an exact call instead of at a guessed
time: nothing here sleeps.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.core import Emulator
from flowledger.emulator.server import serve
from flowledger.emulator.wire import Request, Response
from tests.bench import MADE_ONCE
from tests.program import credentials

EXAMPLES = Path(__file__).parents[2] / "examples"


class LivePlatform:
    """An emulator served on loopback from a thread; `hook` sees every call before and after it takes effect."""

    def __init__(self) -> None:
        self.emulator = Emulator()
        self.hook: Callable[[str, int, Request], None] | None = None
        self.calls = 0
        self._handle = self.emulator.handle
        self.emulator.handle = self._hooked  # type: ignore[method-assign] # the test stands between shell and core
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        started.wait()

    def _serve(self, started: threading.Event) -> None:
        async def main() -> None:
            server = await serve(self.emulator)
            self.url = server.url
            self._loop = asyncio.get_running_loop()
            self._stop = asyncio.Event()
            started.set()
            await self._stop.wait()
            await server.close()

        asyncio.run(main())

    def _hooked(self, request: Request) -> Response:
        self.calls += 1
        number = self.calls
        if self.hook is not None:
            self.hook("before", number, request)
        response = self._handle(request)
        if self.hook is not None:
            self.hook("after", number, request)
        return response

    def counts(self) -> dict[str, int]:
        """How many objects of each kind there are."""
        return {kind: self.emulator.count(kind) for kind in MADE_ONCE}

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


class Console:
    """Somebody's shell: the environment of the README, and a folder of one's own."""

    def __init__(self, folder: Path, platform: LivePlatform) -> None:
        self.folder = folder
        self.platform = platform
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            **credentials(platform.url),
        }

    def start(self, *words: str, under: Sequence[str] = (), **changed: str) -> subprocess.Popen[str]:
        """Start `flowledger WORDS`, with its streams as pipes; `under`: the command that starts it, if any."""
        return subprocess.Popen(
            [*under, sys.executable, "-m", "flowledger", *words],
            cwd=self.folder,
            env={**self.environment, **changed},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, **changed: str) -> subprocess.CompletedProcess[str]:
        """Run `flowledger WORDS` to its end."""
        process = self.start(*words, **changed)
        out, err = process.communicate(timeout=100)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def json(self, *words: str) -> Any:
        """What `flowledger WORDS --json` prints."""
        return json.loads(self.run(*words, "--json").stdout)

    def kill_at(self, when: str, number: int, *words: str) -> int:
        """Run `flowledger WORDS` and SIGKILL it before or after its `number`-th call takes effect.

        Returns its exit code: -9, or what it ended with if it made fewer calls.
        """
        self.platform.calls = 0
        return self._kill_where(lambda moment, call, request: (moment, call) == (when, number), *words)

    def kill_when(self, path: str, within: str, *words: str) -> int:
        """Run `flowledger WORDS` and SIGKILL it once the POST to `path` whose body holds `within` was handled."""

        def is_it(moment: str, call: int, request: Request) -> bool:
            posted = request.method == "POST" and request.raw_path.endswith(path) and within.encode() in request.body
            return posted and moment == "after"

        return self._kill_where(is_it, *words)

    def kill_at_the_disk(self, call: str, number: int, *words: str) -> int:
        """Run `flowledger WORDS` and SIGKILL it as it enters the system call `call` for the `number`-th time."""
        strace = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={call}:signal=SIGKILL:when={number}")
        return self._kill_where(lambda moment, call, request: False, *words, under=strace)

    def _kill_where(self, here: Callable[[str, int, Request], bool], *words: str, under: Sequence[str] = ()) -> int:
        started = threading.Event()

        def kill(moment: str, call: int, request: Request) -> None:
            if here(moment, call, request):
                started.wait()
                process.send_signal(signal.SIGKILL)
                process.wait()

        self.platform.hook = kill
        process = self.start(*words, under=under)
        started.set()
        process.communicate(timeout=100)
        self.platform.hook = None
        return process.returncode


@pytest.fixture
def platform() -> Iterator[LivePlatform]:
    live = LivePlatform()
    yield live
    live.close()


@pytest.fixture
def console(tmp_path: Path, platform: LivePlatform) -> Console:
    return Console(tmp_path, platform)


def impatient(name: str, folder: Path) -> str:
    """The example of that name, in `folder`: what may be under way is waited for two seconds instead of six."""
    text = (EXAMPLES / f"{name}.yaml").read_text()
    for patient, quick in {
        "settle: 1s": "settle: {window: 1s, send_within: 1s}", "file: secrets": f"file: {EXAMPLES / 'secrets'}",
    }.items():  # fmt: skip
        assert patient in text
        text = text.replace(patient, quick)
    spec = folder / f"{name}.yaml"
    spec.write_text(text)
    return str(spec)


@pytest.fixture
def example(tmp_path: Path) -> str:
    """The README's spec, impatient."""
    return impatient("paypal-products", tmp_path)


@pytest.fixture
def current_example(tmp_path: Path) -> str:
    """The example of `style: current`, impatient."""
    return impatient("paypal-products-current", tmp_path)


@pytest.fixture
def made_once() -> dict[str, int]:
    """The platform when every step has made exactly one thing."""
    return dict(MADE_ONCE)
