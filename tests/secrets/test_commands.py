"""A program that gives a secret is waited for while everything else goes on, and nothing of it outlives the wait."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flowledger.errors import NotPermitted
from flowledger.steps.client.platform import Credentials, Platform
from flowledger.steps.client.port import Answer, Host, Reach, Request
from flowledger.steps.client.redact import Redactor
from flowledger.steps.client.secrets import from_command, resolve
from flowledger.steps.spec import SecretRef
from flowledger.testing import VirtualTime, run_in_virtual_time

SECRET = "a-secret-that-somebody-has-to-unlock"
WITHIN = 20.0  # seconds, after which a test that waits for a program has failed

# It says over the fifo that it is there, has a child that would live on and holds the fifo too, and ends never.
LINGERING = ("sh", "-c", 'exec 3>"$0"; sleep 1000 & echo up >&3; wait')


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@asynccontextmanager
async def listening(fifo: Path) -> AsyncIterator[asyncio.StreamReader]:
    """What is said over a fifo; its end comes when nobody holds it open any more."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    end = os.fdopen(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), end)
    try:
        async with asyncio.timeout(WITHIN):
            yield reader
    finally:
        transport.close()


async def test_other_tasks_go_on_while_a_command_waits(fifo: Path) -> None:
    """The command waits for what the other task does: were the loop held up, it would wait for ever."""
    end = os.open(fifo, os.O_RDWR)
    unlocking = f"print(open({str(fifo)!r}).readline(), end='')"

    async def unlock() -> None:
        os.write(end, SECRET.encode() + b"\n")

    try:
        ref = SecretRef(command=(sys.executable, "-S", "-c", unlocking))
        secret, _ = await asyncio.gather(resolve(ref, timeout=WITHIN), unlock())
    finally:
        os.close(end)
    assert secret == SECRET


async def test_a_command_whose_caller_is_cancelled_is_killed_with_its_children(fifo: Path) -> None:
    async with listening(fifo) as said:
        waiting = asyncio.create_task(from_command((*LINGERING, str(fifo)), os.environ))
        assert await said.readline() == b"up\n"
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await said.read() == b""


async def test_a_command_that_takes_too_long_is_killed_with_its_children(fifo: Path) -> None:
    async with listening(fifo) as said:
        with pytest.raises(NotPermitted, match="did not end within"):
            await from_command((*LINGERING, str(fifo)), os.environ, timeout=0.3)
        await said.read()


async def test_a_command_that_never_stops_talking_is_ended() -> None:
    with pytest.raises(NotPermitted, match="more than 65536 bytes"):
        await from_command(("sh", "-c", "while :; do echo 0123456789; done"), os.environ, timeout=WITHIN)


async def test_a_command_has_no_terminal_to_ask_at() -> None:
    alone = "import os; print(os.getsid(0) == os.getpid())"
    assert await from_command((sys.executable, "-S", "-c", alone), os.environ) == "True"


def test_in_virtual_time_a_command_is_waited_for_in_real_time() -> None:
    time = VirtualTime()
    before = time.monotonic()
    command = (sys.executable, "-S", "-c", f"print({SECRET!r})")
    assert run_in_virtual_time(time, from_command(command, {})) == SECRET
    assert time.monotonic() - before < WITHIN


# The client secret


class Ims:
    """A port to an IMS that knows one client secret, and a platform that answers anything."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    async def send(self, request: Request) -> Answer:
        self.asked.append(request)
        if request.host is Host.IMS:
            assert request.form is not None
            assert request.form["client_secret"] == SECRET
        return Answer(reach=Reach.ANSWERED, status=200, json={"access_token": "token-1", "expires_in": 1000})

    async def close(self) -> None:
        """Nothing is held."""


def platform_of(ims: Ims, source: Any) -> Platform:
    who = Credentials(client_id="local-client", client_secret=source, org="LOCAL@AdobeOrg")
    return Platform(ims, who, sandbox="dev", clock=VirtualTime(), redactor=Redactor())


async def test_the_command_of_the_client_secret_runs_once_when_the_first_token_is_asked_for() -> None:
    ran: list[str] = []

    async def source(*, withhold: Collection[str]) -> str:
        ran.append("ran")
        await asyncio.sleep(0)
        return SECRET

    ims = Ims()
    platform = platform_of(ims, source)
    assert ran == []
    await asyncio.gather(*(platform.ready() for _ in range(20)))
    platform.forget_token()
    await platform.ready()
    assert ran == ["ran"]
    assert len(ims.asked) == 2
    assert SECRET not in platform.redactor.redact_text(f"x{SECRET}y")
    assert SECRET not in repr(vars(platform))


async def test_a_client_secret_that_cannot_be_had_is_told_to_everybody_who_waits_and_tried_again_later() -> None:
    answers: list[str | NotPermitted] = [NotPermitted("the vault is locked", hint="unlock it"), SECRET]

    async def source(*, withhold: Collection[str]) -> str:
        answer = answers.pop(0)
        if isinstance(answer, NotPermitted):
            raise answer
        return answer

    ims = Ims()
    platform = platform_of(ims, source)
    told = await asyncio.gather(*(platform.ready() for _ in range(5)), return_exceptions=True)
    assert [str(error) for error in told] == ["the vault is locked"] * 5
    assert ims.asked == []
    await platform.ready()
    assert len(ims.asked) == 1


async def test_closing_the_platform_ends_the_command_that_was_waited_for(fifo: Path) -> None:
    platform = platform_of(Ims(), partial(from_command, (*LINGERING, str(fifo)), os.environ))
    async with listening(fifo) as said:
        waiting = asyncio.create_task(platform.ready())
        assert await said.readline() == b"up\n"
        await platform.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await said.read() == b""


# A run


async def test_a_run_that_is_stopped_does_not_wait_for_a_command(shell: Any, platform: Any, fifo: Path) -> None:
    spec = shell.spec("{command: [" + ", ".join(repr(word) for word in (*LINGERING, str(fifo))) + "]}")
    async with listening(fifo) as said:
        process = await shell.start("apply", spec)
        assert await said.readline() == b"up\n"
        process.send_signal(signal.SIGTERM)
        _, err = await process.communicate()
        assert process.returncode == 75, err.decode()
        assert b"resume" in err
        assert await said.read() == b""
    assert [one for one in platform.requests if one.method == "POST" and one.raw_path.endswith("/connections")] == []
