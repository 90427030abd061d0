"""Servers on loopback that say exactly what a test wants, and clients of them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from flowledger.steps.client.clock import SystemClock
from flowledger.steps.client.http import HttpPort
from flowledger.steps.client.port import Answer, Request

GET = Request(method="GET", path="/a")

Handler = Callable[["Peer"], Awaitable[None]]


class Peer:
    """One connection as the server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request(self) -> tuple[str, bytes]:
        """Read one request: its head as text, and its body."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0)
        return head, await self._reader.readexactly(length)

    async def everything(self) -> bytes | None:
        """All bytes until the client closes; None if it resets the connection."""
        try:
            return await self._reader.read()
        except ConnectionResetError:
            return None

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def reset(self) -> None:
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        self._writer.close()


class Server:
    """A server on loopback that counts connections and runs one handler for each."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.connections = 0
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._handler(Peer(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client went away, which is what many of these tests are about
        finally:
            writer.close()
            self._tasks.discard(task)

    async def end(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def serving(handler: Handler, **options: Any) -> AsyncIterator[Server]:
    server = Server(handler)
    listening = await asyncio.start_server(server.accept, "127.0.0.1", 0, **options)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"{'https' if 'ssl' in options else 'http'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listening.close()
        await server.end()


@asynccontextmanager
async def client_of(server: Server, **options: Any) -> AsyncIterator[HttpPort]:
    port = HttpPort(base_url=server.url, **{"clock": SystemClock(), **options})
    try:
        yield port
    finally:
        await port.close()


async def answer_to(handler: Handler, request: Request = GET, **options: Any) -> Answer:
    async with serving(handler) as server, client_of(server, **options) as port:
        return await port.send(request)


def saying(data: bytes) -> Handler:
    """A server that reads one request, says `data`, and closes."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(data)

    return handler


@pytest.fixture
def net() -> SimpleNamespace:
    """`serving(handler)` a server, `client_of(server)` a port to it, `answer_to(handler)` both for one call."""
    return SimpleNamespace(serving=serving, client_of=client_of, answer_to=answer_to, saying=saying)
