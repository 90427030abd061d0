"""Real processes against a platform that holds a call until a test lets it go: nobody waits for a guessed time."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from flowledger.emulator.core import Emulator
from flowledger.emulator.wire import Request
from tests.bench import EXAMPLE, MADE_ONCE
from tests.program import Ran, credentials

RUN = "paypal-products"


@dataclass(eq=False)
class Gate:
    """Holds the first call to a route, before or after it has taken effect."""

    method: str
    path: str
    after_effect: bool
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def pass_through(self, request: Request, *, after: bool) -> None:
        fits = request.method == self.method and request.raw_path.endswith(self.path) and after is self.after_effect
        if fits and not self.arrived.is_set():
            self.arrived.set()
            await self.opened.wait()


class HoldingPlatform:
    """An emulator over HTTP; `hold` puts a gate on a route."""

    def __init__(self) -> None:
        self.emulator = Emulator()
        self.calls: list[str] = []
        self._gates: list[Gate] = []

    def hold(self, method: str, path: str, *, after_effect: bool) -> Gate:
        gate = Gate(method, path, after_effect)
        self._gates.append(gate)
        return gate

    def made(self) -> dict[str, int]:
        return {kind: self.emulator.count(kind) for kind in MADE_ONCE}

    def sent(self, call: str) -> int:
        """How often "METHOD path-end" was called."""
        method, path = call.split(" ")
        return sum(seen.startswith(method) and seen.endswith(path) for seen in self.calls)

    async def start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        for gate in self._gates:
            gate.opened.set()
        await self._runner.cleanup()
        self.emulator.close()

    async def _handle(self, call: web.BaseRequest) -> web.StreamResponse:
        path, _, query = call.raw_path.partition("?")
        request = Request(
            method=call.method,
            raw_path=path,
            query=tuple(parse_qsl(query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in call.headers.items()},
            body=await call.content.read(),
        )
        self.calls.append(f"{call.method} {path}")
        for gate in self._gates:
            await gate.pass_through(request, after=False)
        right = self.emulator.handle(request)
        for gate in self._gates:
            await gate.pass_through(request, after=True)
        await asyncio.sleep(right.delay)
        return web.Response(status=right.status, body=right.body or None, headers=right.headers)


class Shell:
    """Somebody's shell in a folder of one's own."""

    def __init__(self, folder: Path, platform: HoldingPlatform) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        self.platform = platform
        self.environment = {
            "PYTHONDONTWRITEBYTECODE": "1",  # some calls meet a full disk, and half a .pyc would outlive them
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "FLOWLEDGER_JOURNAL": str(self.journal),
            **credentials(platform.url),
            "SPEC": str(EXAMPLE),
            "FLOWLEDGER": f"{sys.executable} -m flowledger",
        }
        self.started: list[asyncio.subprocess.Process] = []

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        """Start `flowledger WORDS`."""
        return await self.program(sys.executable, "-m", "flowledger", *words)

    async def sh(self, script: str) -> asyncio.subprocess.Process:
        """Start a script of the shell; `$FLOWLEDGER` is the program, `$SPEC` the example."""
        return await self.program("bash", "-c", script)

    async def program(self, *line: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *line, cwd=self.folder, env=self.environment, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self.started.append(process)
        return process

    async def apply(self, *more: str) -> asyncio.subprocess.Process:
        """Start `flowledger apply` of the example."""
        return await self.start("apply", str(EXAMPLE), *more)

    @staticmethod
    async def end(process: asyncio.subprocess.Process) -> Ran:
        """Wait for a process to end."""
        out, err = await process.communicate()
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())

    async def run(self, *words: str) -> Ran:
        """Run `flowledger WORDS` to its end."""
        return await self.end(await self.start(*words))

    async def until_line(self, process: asyncio.subprocess.Process, text: str) -> str:
        """Read a process's stderr up to the line that holds `text`."""
        assert process.stderr is not None
        read = ""
        while line := await process.stderr.readline():
            read += line.decode()
            if text in read:
                return read
        raise AssertionError(f"{text!r} never came; what came is: {read}")

    async def events(self) -> list[Any]:
        """The run's events, as `history --json` gives them. The journal is sound."""
        verified = await self.run("journal", "verify")
        assert verified.code == 0, verified
        told = await self.run("history", RUN, "--json")
        assert told.code == 0, told
        return [event["event"] for event in json.loads(told.out)["events"]]

    async def ends_provisioned(self) -> None:
        """One more `resume` leaves exactly one of everything."""
        resumed = await self.run("resume", RUN)
        assert resumed.code == 0, resumed.err
        assert self.platform.made() == MADE_ONCE


@pytest.fixture
async def platform() -> AsyncIterator[HoldingPlatform]:
    holding = HoldingPlatform()
    await holding.start()
    yield holding
    await holding.close()


@pytest.fixture
async def shell(tmp_path: Path, platform: HoldingPlatform) -> AsyncIterator[Shell]:
    someone = Shell(tmp_path, platform)
    yield someone
    for process in someone.started:
        if process.returncode is None:
            process.kill()
            await process.communicate()
