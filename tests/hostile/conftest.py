"""A platform that is hostile on purpose: an emulator behind a socket whose every byte a test can choose."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import lru_cache
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import typer
import typer.main

from flowledger.cli.app import app
from flowledger.emulator.core import Emulator
from flowledger.emulator.wire import Request, Response
from flowledger.engine import api
from flowledger.engine.report import Report
from flowledger.engine.specfile import load_spec
from flowledger.errors import FlowledgerError, InternalError
from flowledger.steps.client.config import platform_from_env
from tests.bench import EXAMPLE, MADE_ONCE
from tests.program import credentials

RUN = "paypal-products"
Raw = Callable[[asyncio.StreamWriter], Awaitable[None]]
Twist = Callable[[Request, Response], "Response | Raw | None"]


class HostilePlatform:
    """Passes calls to an emulator; `twist` may change an answer (a Response), or write its bytes itself (a Raw)."""

    def __init__(self) -> None:
        self.emulator = Emulator()
        self.twist: Twist | None = None
        self.seen: list[bytes] = []  # every request as it came, head and body
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.emulator.close()

    def once(self, method: str, path: str, answer: Any, *, times: int = 1) -> None:
        """Give `answer` (a Response, a Raw, or a function of the right Response) to so many calls that end in `path`.

        The call has taken effect. `times=0`: to every such call.
        """
        left = [times]

        def twist(request: Request, right: Response) -> Response | Raw | None:
            if request.method != method or not request.raw_path.endswith(path) or left == [-1]:
                return None
            if times:
                left[0] = left[0] - 1 or -1
            made: Response | Raw = answer(right) if getattr(answer, "of_the_right_one", False) else answer
            return made

        self.twist = twist

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client went away, as it should from a platform like this
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.seen.append(head + body)
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        request = Request(
            method=method,
            raw_path=path,
            query=tuple(parse_qsl(query, keep_blank_values=True)),
            headers=headers,
            body=body,
        )
        answer: Response | Raw = self.emulator.handle(request)
        assert isinstance(answer, Response)
        answer = (self.twist(request, answer) if self.twist else None) or answer
        if not isinstance(answer, Response):
            await answer(writer)
            return False
        said = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        writer.write(f"HTTP/1.1 {answer.status} Said\r\n{said}Content-Length: {len(answer.body)}\r\n\r\n".encode())
        writer.write(answer.body)
        await writer.drain()
        return True


@lru_cache
def _command() -> Any:
    """The command line, built once."""
    return typer.main.get_command(app)


class Story:
    """One run against the hostile platform, and what people see of it afterwards."""

    def __init__(self, folder: Path, platform: HostilePlatform) -> None:
        self.journal = folder / "journal"
        self.platform = platform
        self.error: FlowledgerError | None = None

    async def apply(self, **retry: Any) -> Report | None:
        """Provision the example, impatiently. What it raises is kept in `error`; anything but our errors comes out."""
        spec = load_spec(EXAMPLE).spec
        patience = {"attempts": 3, "first_wait": 0.001, "longest_wait": 0.001, "timeout": 5.0, **retry}
        spec = spec.model_copy(
            update={
                "retry": spec.retry.model_copy(update=patience),
                "settle": spec.settle.model_copy(update={"window": 0.05, "send_within": 0.2}),
            }
        )
        client = platform_from_env(self.environment)
        self.error = None
        try:
            return await api.apply(spec, journal=self.journal, platform=client)
        except InternalError:
            raise
        except FlowledgerError as error:
            self.error = error
            return None
        finally:
            await client.close()

    @property
    def environment(self) -> dict[str, str]:
        return credentials(self.platform.url)

    def made(self) -> dict[str, int]:
        """How many objects there are of the kinds that a run makes."""
        return {kind: self.platform.emulator.count(kind) for kind in MADE_ONCE}

    def cli(self, *words: str) -> tuple[int, bytes]:
        """What `flowledger WORDS` prints on both streams, in this process, and what it ends with."""
        raw = BytesIO()
        stream = TextIOWrapper(raw, encoding="utf-8", write_through=True)
        with redirect_stdout(stream), redirect_stderr(stream):
            try:
                code = _command()(
                    [*words, "--journal", str(self.journal)], prog_name="flowledger", standalone_mode=False
                )
            except typer.Exit as ended:
                code = ended.exit_code
        return int(code or 0), raw.getvalue()

    def readable(self) -> bytes:
        """Everything that people can ask of the journal: each must work. Returns all that was printed as text."""
        shown = b""
        code, text = self.cli("journal", "verify")
        assert code == 0, text
        code, listed = self.cli("history", RUN, "--json")
        assert code == 0, listed
        for event in json.loads(listed)["events"]:
            code, text = self.cli("history", RUN, "--event", str(event["number"]))
            assert code == 0, text
            shown += text
        for verb in ("history", "explain", "status"):
            code, text = self.cli(verb, RUN)
            assert code == 0, text
            shown += text
            code, text = self.cli(verb, RUN, "--json")
            assert code == 0, text
            json.loads(text)
        return shown


@pytest.fixture
async def platform() -> AsyncIterator[HostilePlatform]:
    hostile = HostilePlatform()
    await hostile.start()
    yield hostile
    await hostile.close()


@pytest.fixture
def story(tmp_path: Path, platform: HostilePlatform) -> Story:
    return Story(tmp_path, platform)


@pytest.fixture
def changed() -> Callable[[Callable[[Any], Any]], Any]:
    """`changed(f)`: an answer made from the right one by giving its JSON to `f`, which returns the JSON or bytes."""

    def of(change: Callable[[Any], Any]) -> Any:
        def answer(right: Response) -> Response:
            new = change(json.loads(right.body))
            body = new if isinstance(new, bytes) else json.dumps(new).encode()
            return Response(status=right.status, body=body, headers=right.headers)

        answer.of_the_right_one = True  # type: ignore[attr-defined] # how `once` knows
        return answer

    return of


@pytest.fixture
def made_once() -> dict[str, int]:
    """The platform when every step has made exactly one thing."""
    return dict(MADE_ONCE)
