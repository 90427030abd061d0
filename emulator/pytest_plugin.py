"""A pytest plugin: the platform as a fixture, for the tests of programs that talk to Adobe Experience Platform.

Name it in a `conftest.py`: `pytest_plugins = ["flowledger.emulator.pytest_plugin"]`.
"""

from __future__ import annotations

import asyncio
import copy
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options
from flowledger.emulator.server import run_server

MARKER = "flowledger_emulator"
START_TIMEOUT = 30.0  # seconds
POLL = 0.02  # seconds


class ServedEmulator:
    """An emulator on a loopback port of its own, in a thread of its own: for tests with and without an event loop."""

    def __init__(self, options: Options, *, seed: int = 0, sources: Path | None = None) -> None:
        """Serve at once. `options` are the emulator's choices, `seed` decides the ids that it gives out.

        With `sources`, a folder of tables, flows run over them; `advance` lets their time come.
        """
        self.options = options
        self.url = ""
        self._core = Emulator(options=options, seed=seed, sources=sources)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="flowledger-emulator", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT):
            raise RuntimeError("the emulator did not begin to serve")

    @property
    def env(self) -> dict[str, str]:
        """The FLOWLEDGER_* variables that point here, with credentials that are let in."""
        return {
            "FLOWLEDGER_BASE_URL": self.url,
            "FLOWLEDGER_IMS_URL": self.url,
            "FLOWLEDGER_CLIENT_ID": self.options.client_id,
            "FLOWLEDGER_CLIENT_SECRET": self.options.client_secret,
            "FLOWLEDGER_ORG_ID": self.options.org,
            "FLOWLEDGER_SANDBOX": self.options.default_sandbox,
        }

    def count(self, kind: str, sandbox: str | None = None) -> int:
        """How many objects of a kind exist, like "flows" or "dataSets", whatever lists show."""
        return len(self.objects(kind, sandbox))

    def objects(self, kind: str, sandbox: str | None = None) -> list[dict[str, Any]]:
        """The objects of a kind as they are stored, oldest first. Deep copies: changing them changes nothing."""
        found: list[dict[str, Any]] = self._in_its_thread(
            lambda: copy.deepcopy(self._core.objects(kind, sandbox or self.options.default_sandbox))
        )
        return found

    def requests(self) -> list[dict[str, Any]]:
        """The latest calls, oldest first, without anything secret."""
        calls: list[dict[str, Any]] = self._in_its_thread(self._core.requests)
        return calls

    def fault(self, kind: str, route: str, **details: Any) -> int:
        """Have something go wrong at the next call of `route`, like `fault("drop", "POST /flows", when="after")`.

        `kind` and `details` as for `flowledger emulator faults add`; returns the fault's number. Raises ValueError.
        """
        number: int = self._in_its_thread(lambda: self._core.faults.add_from({"kind": kind, "route": route, **details}))
        return number

    def advance(self, seconds: float) -> None:
        """Move the emulator's clock forward, and return when every run that became due is over."""
        self._in_its_thread(lambda: self._core.advance(round(seconds * 1000)))
        plane = self._core.plane
        while plane is not None and self._in_its_thread(lambda: plane.execution.is_busy(self._core.now_ms())):
            time.sleep(POLL)

    def reset(self) -> None:
        """Forget everything: objects, tokens, faults, the log."""
        self._in_its_thread(self._core.reset)

    def close(self) -> None:
        """Stop serving."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_TIMEOUT)

    def _in_its_thread(self, work: Any) -> Any:
        """The core is not for two threads at once: whatever touches it is done between two calls."""

        async def do() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result(START_TIMEOUT)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._stop = asyncio.Event()

        def ready(url: str) -> None:
            self.url = url
            self._ready.set()

        try:
            self._loop.run_until_complete(run_server(self._core, stop=self._stop, ready=ready))
        finally:
            self._loop.close()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", f"{MARKER}(**options): choices of the emulator that the fixture of the same name serves"
    )


@pytest.fixture(name="flowledger_emulator")
def served_emulator(request: pytest.FixtureRequest) -> Iterator[ServedEmulator]:
    """An empty emulator for this test; `@pytest.mark.flowledger_emulator(latency_ms=5)` sets its options."""
    marker = request.node.get_closest_marker(MARKER)
    chosen = dict(marker.kwargs) if marker else {}
    sources = chosen.pop("sources", None)
    served = ServedEmulator(Options(**chosen), sources=None if sources is None else Path(sources))
    try:
        yield served
    finally:
        served.close()


@pytest.fixture
def flowledger_env(flowledger_emulator: ServedEmulator, monkeypatch: pytest.MonkeyPatch) -> ServedEmulator:
    """The same, with the FLOWLEDGER_* variables of this process pointing there."""
    for name, value in flowledger_emulator.env.items():
        monkeypatch.setenv(name, value)
    return flowledger_emulator
