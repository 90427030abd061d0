"""The HTTP port on real sockets: how far each call got, and that nothing is sent late, twice, or to others."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flowledger.errors import NotPermitted
from flowledger.steps.client.clock import SystemClock
from flowledger.steps.client.http import HttpPort, _Call
from flowledger.steps.client.judge import Verdict, judge
from flowledger.steps.client.port import Answer, Host, Reach, Request

GET = Request(method="GET", path="/a")
POST = Request(method="POST", path="/a", body={"a": 1}, effect=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n" + b'{"id":1}'

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


class ScriptedClock(SystemClock):
    """Monotonic readings from a list; the last one stays."""

    def __init__(self, *readings: float) -> None:
        super().__init__()
        self._readings = iter(readings)
        self._last = 0.0

    def monotonic(self) -> float:
        self._last = next(self._readings, self._last)
        return self._last


# What a whole answer holds


async def test_a_whole_answer_holds_status_headers_and_json() -> None:
    seen: list[tuple[str, bytes]] = []

    async def handler(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.say(
            b'HTTP/1.1 201 Created\r\nX-Request-Id: r-1\r\nETag: "e"\r\nVary: a\r\nVARY: b\r\nX-Odd: \xff\r\n'
            b"Content-Length: 10\r\n\r\n" + b'{"id":"1"}'
        )

    query = (("property", 'name=="a b"'), ("start", "0"))
    answer = await answer_to(handler, Request(method="POST", path="/a%2Fb", query=query, body={"é": [1]}, effect=True))
    assert (answer.reach, answer.status, answer.json, answer.ok) == (Reach.ANSWERED, 201, {"id": "1"}, True)
    assert answer.headers["x-request-id"] == "r-1"
    assert answer.headers["etag"] == '"e"'
    assert answer.headers["vary"] == "a, b"
    assert answer.headers["x-odd"].encode()  # text that can be written in UTF-8
    head, body = seen[0]
    assert head.startswith("POST /a%2Fb?property=name%3D%3D%22a%20b%22&start=0 HTTP/1.1\r\n")
    assert body == '{"é":[1]}'.encode()


async def test_a_get_has_no_content_type_and_no_body() -> None:
    seen: list[tuple[str, bytes]] = []

    async def handler(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.say(OK)

    await answer_to(handler)
    assert "content-type" not in seen[0][0].lower()
    assert seen[0][1] == b""


async def test_a_form_goes_to_ims_url_encoded() -> None:
    seen: list[tuple[str, bytes]] = []

    async def handler(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.say(OK)

    async def stranger(peer: Peer) -> None:
        raise AssertionError("the platform was called")

    form = Request(method="POST", path="/ims/token/v3", host=Host.IMS, form={"client_secret": "a&b =c"})
    async with serving(stranger) as platform, serving(handler) as ims, client_of(platform, ims_url=ims.url) as port:
        assert (await port.send(form)).ok
    assert "content-type: application/x-www-form-urlencoded" in seen[0][0].lower()
    assert seen[0][1] == b"client_secret=a%26b+%3Dc"


async def test_204_is_whole_without_a_body() -> None:
    answer = await answer_to(saying(b"HTTP/1.1 204 No Content\r\n\r\n"), Request(method="DELETE", path="/a"))
    assert answer.ok
    assert answer.json is None


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b'{"a":1,"a":2}', b"NaN", b"\xff\xfe"])
async def test_a_body_that_is_no_json_is_an_answer_with_a_fault_and_no_exception(body: bytes) -> None:
    head = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: %d\r\n\r\n" % len(body)
    answer = await answer_to(saying(head + body), POST)
    assert (answer.reach, answer.status, answer.json) == (Reach.ANSWERED, 502, None)
    assert answer.json_fault
    assert answer.body == body
    assert judge(answer) is Verdict.IN_DOUBT


async def test_a_gzip_body_is_unpacked() -> None:
    packed = gzip.compress(b'{"id":') + gzip.compress(b'"1"}')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    answer = await answer_to(saying(head + packed))
    assert answer.json == {"id": "1"}


async def test_a_packing_that_was_not_asked_for_is_a_fault() -> None:
    answer = await answer_to(saying(OK.replace(b"Content-Type: application/json", b"Content-Encoding: br")))
    assert (answer.reach, answer.json, answer.ok) == (Reach.ANSWERED, None, False)
    assert "br" in answer.json_fault


# Bodies that are broken or too large


async def test_a_gzip_bomb_ends_as_cut_and_is_not_unpacked_beyond_the_limit() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    bomb = packer.compress(bytes(50_000_000)) + packer.flush()
    head = b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    answer = await answer_to(saying(head + bomb), POST, largest_body=100_000)
    assert (answer.reach, answer.status) == (Reach.CUT, 201)
    assert len(answer.body) == 100_001
    assert "larger than 100000 bytes" in answer.trouble
    assert judge(answer) is Verdict.IN_DOUBT


async def test_an_endless_body_ends_as_cut_and_the_connection_is_dropped() -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await peer.say(b"5\r\naaaaa\r\n")

    answer = await answer_to(handler, largest_body=100_000)
    assert answer.reach is Reach.CUT
    assert "larger than 100000 bytes" in answer.trouble


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n" + b'{"id":"1"}',
        b'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n',
        b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n"
        + gzip.compress(b"{}" * 99)[:12],
        b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n" + b"not gzip at all"[:12],
    ],
)
async def test_a_body_that_ends_early_is_cut_whatever_its_status(said: bytes) -> None:
    answer = await answer_to(saying(said), POST)
    assert (answer.reach, answer.status, answer.json) == (Reach.CUT, 201, None)
    assert answer.trouble
    assert judge(answer) is Verdict.IN_DOUBT


# How far a call got


async def test_a_refused_connection_is_not_sent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        port = HttpPort(base_url=url, clock=SystemClock())
        answer = await port.send(POST)
        await port.close()
    assert answer.reach is Reach.NOT_SENT
    assert judge(answer) is Verdict.NOT_DONE


async def test_a_name_that_does_not_resolve_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_such_host(*args: Any, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_such_host)
    port = HttpPort(base_url="https://platform.invalid", clock=SystemClock())
    answer = await port.send(POST)
    await port.close()
    assert answer.reach is Reach.NOT_SENT
    assert "platform.invalid" in answer.trouble


async def test_a_server_that_speaks_no_tls_is_not_sent_anything() -> None:
    async def handler(peer: Peer) -> None:
        await peer.everything()

    async with serving(handler) as server:
        port = HttpPort(base_url=server.url.replace("http:", "https:"), clock=SystemClock())

        async def plain(peer: Peer) -> None:
            await peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        server._handler = plain
        answer = await port.send(POST)
        await port.close()
    assert answer.reach is Reach.NOT_SENT


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nContent-Type: appl", b"garbage\r\n\r\n"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
async def test_a_connection_that_ends_before_the_headers_do_was_sent(said: bytes, method: str) -> None:
    answer = await answer_to(saying(said), Request(method=method, path="/a", body={}, effect=method != "GET"))
    assert (answer.reach, answer.status) == (Reach.SENT, None)
    assert answer.trouble
    assert judge(answer) is Verdict.IN_DOUBT


async def test_a_reset_after_the_request_was_read_is_sent() -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    assert (await answer_to(handler, POST)).reach is Reach.SENT


async def test_no_answer_within_the_timeout_is_sent_and_resets_the_connection() -> None:
    ended: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def handler(peer: Peer) -> None:
        await peer.request()
        ended.set_result(await peer.everything())

    slow = Request(method="POST", path="/a", body={"a": 1}, effect=True, timeout=0.05)
    async with serving(handler) as server, client_of(server) as port:
        answer = await port.send(slow)
        assert await ended is None
    assert answer.reach is Reach.SENT
    assert "within 0.05 s" in answer.trouble


async def test_a_timeout_in_the_body_is_cut() -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK[:-3])
        await peer.everything()

    answer = await answer_to(handler, Request(method="POST", path="/a", body={}, effect=True, timeout=0.05))
    assert (answer.reach, answer.status, answer.body) == (Reach.CUT, 200, b'{"id"')


async def test_a_closed_port_sends_nothing() -> None:
    async with serving(saying(OK)) as server, client_of(server) as port:
        await port.close()
        assert (await port.send(GET)).reach is Reach.NOT_SENT
        assert server.connections == 0


async def test_a_path_that_is_not_encoded_is_not_sent() -> None:
    async with serving(saying(OK)) as server, client_of(server) as port:
        for path in ("/a b", "/a\r\nHost: evil", "/é"):
            assert (await port.send(Request(method="GET", path=path))).reach is Reach.NOT_SENT
        assert server.connections == 0


async def test_a_header_that_cannot_be_sent_is_an_answer_and_no_exception() -> None:
    answer = await answer_to(saying(OK), Request(method="GET", path="/a", headers={"X-A": "b\r\nEvil: 1"}))
    assert answer.reach in (Reach.NOT_SENT, Reach.SENT)
    assert answer.trouble


# The send deadline


@pytest.mark.parametrize("in_time", [1, 2], ids=["missed while connecting", "missed between send and first write"])
@pytest.mark.parametrize("body", [None, {"a": 1}])
async def test_after_its_deadline_not_one_byte_of_a_call_is_written(in_time: int, body: Any) -> None:
    """The first reading is the port's own; the second is at `send`, the third at the write itself."""
    received: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def handler(peer: Peer) -> None:
        received.set_result(await peer.everything())

    clock = ScriptedClock(*[0.0] * in_time, 6.0)
    late = Request(method="POST", path="/a", body=body, effect=True, send_deadline=5.0)
    async with serving(handler) as server, client_of(server, clock=clock) as port:
        answer = await port.send(late)
        assert server.connections == 1
        assert not await received
    assert answer.reach is Reach.NOT_SENT
    assert answer.deadline_missed
    assert judge(answer) is Verdict.NOT_DONE


async def test_a_deadline_missed_while_waiting_for_a_connection_of_the_pool_sends_nothing() -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()
    requests: list[str] = []

    async def handler(peer: Peer) -> None:
        while True:
            requests.append((await peer.request())[0])
            arrived.set()
            await go_on.wait()
            await peer.say(OK)

    clock = ScriptedClock(0.0)
    async with serving(handler) as server, client_of(server, clock=clock, connections=1) as port:
        first = asyncio.create_task(port.send(GET))
        await arrived.wait()
        second = asyncio.create_task(port.send(Request(method="POST", path="/b", effect=True, send_deadline=5.0)))
        await asyncio.sleep(0)
        clock._readings = iter([6.0])
        go_on.set()
        assert (await first).ok
        assert (await second).deadline_missed
    assert len(requests) == 1


async def test_a_call_at_its_deadline_is_sent() -> None:
    on_time = Request(method="POST", path="/a", body={}, effect=True, send_deadline=5.0)
    assert (await answer_to(saying(OK), on_time, clock=ScriptedClock(0.0, 5.0))).ok


async def test_a_call_that_was_given_up_before_its_first_byte_never_writes_it() -> None:
    call = _Call(request=POST, clock=SystemClock(), holders={}, began=0.0)
    call.give_up()
    with pytest.raises(Exception, match="too late"):
        call.check_deadline()
    assert call.too_late


# Once, and to nobody else


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "PATCH"])
async def test_a_call_on_a_reused_connection_that_drops_is_not_repeated(method: str) -> None:
    """aiohttp would send GET, PUT and DELETE again: `_retry_connection` keeps it from that."""
    requests: list[str] = []

    async def handler(peer: Peer) -> None:
        requests.append((await peer.request())[0])
        await peer.say(OK)
        requests.append((await peer.request())[0])

    async with serving(handler) as server, client_of(server) as port:
        assert (await port.send(GET)).ok
        answer = await port.send(Request(method=method, path="/b", body={"a": 1}, effect=True))
        assert server.connections == 1
    assert answer.reach is Reach.SENT
    assert len(requests) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_carries_no_credentials_on(status: int) -> None:
    async def thief(peer: Peer) -> None:
        raise AssertionError("a redirect was followed")

    async with serving(thief) as other:
        said = f"HTTP/1.1 {status} Moved\r\nLocation: {other.url}/x\r\nContent-Length: 0\r\n\r\n".encode()
        answer = await answer_to(saying(said), Request(
            method="POST", path="/a", headers={"Authorization": "Bearer t"}, body={}, effect=True
        ))  # fmt: skip
        assert other.connections == 0
    assert (answer.reach, answer.status) == (Reach.ANSWERED, status)
    assert judge(answer) is Verdict.IN_DOUBT


async def test_cookies_are_not_kept() -> None:
    heads: list[str] = []

    async def handler(peer: Peer) -> None:
        while True:
            heads.append((await peer.request())[0])
            await peer.say(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n"))

    async with serving(handler) as server, client_of(server) as port:
        await port.send(GET)
        await port.send(GET)
    assert len(heads) == 2
    assert "cookie" not in heads[1].lower()


async def test_proxies_and_netrc_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def proxy(peer: Peer) -> None:
        raise AssertionError("a proxy was asked for a loopback address")

    async with serving(proxy) as other:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, other.url)
        assert (await answer_to(saying(OK))).ok
        assert other.connections == 0


# Giving up


def linger_of(port: HttpPort) -> tuple[int, ...]:
    (transport,) = {id(holder): holder for holder in port._holders}.values()
    raw = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
    return struct.unpack("ii", raw)


async def test_a_socket_resets_on_close_while_an_effect_is_out_and_not_before_or_after() -> None:
    seen: list[tuple[int, ...]] = []
    timeouts: list[int] = []

    async def handler(peer: Peer) -> None:
        while True:
            await peer.request()
            seen.append(linger_of(port))
            (transport,) = port._holders
            sock = transport.get_extra_info("socket")
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                timeouts.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
            await peer.say(OK)

    async with serving(handler) as server, client_of(server) as port:
        for request in (GET, POST, GET, POST):
            assert (await port.send(request)).ok
            assert not port._holders
        assert server.connections == 1
    assert seen == [(0, 0), (1, 0), (0, 0), (1, 0)]
    assert timeouts in ([], [0, 10_000, 10_000, 10_000])


async def test_cancelling_an_effect_propagates_and_resets_the_connection() -> None:
    arrived = asyncio.Event()
    ended: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def handler(peer: Peer) -> None:
        await peer.request()
        arrived.set()
        ended.set_result(await peer.everything())

    async with serving(handler) as server, client_of(server) as port:
        call = asyncio.create_task(port.send(POST))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await ended is None
        assert not port._calls
        assert not port._holders


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # that the body is large is the point
async def test_what_is_still_buffered_of_an_abandoned_effect_never_arrives() -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()
    total = 0
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def handler(peer: Peer) -> None:
        nonlocal total
        arrived.set()
        await go_on.wait()
        try:
            while data := await peer._reader.read(65_536):
                total += len(data)
        except ConnectionResetError:
            ended.set_result(total)
        else:
            ended.set_exception(AssertionError("closed gracefully"))

    size = 32_000_000
    large = Request(method="POST", path="/a", body={"a": "x" * size}, effect=True)
    async with serving(handler) as server, client_of(server) as port:
        call = asyncio.create_task(port.send(large))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        go_on.set()
        assert await ended < size / 2  # only what the kernel of either side had taken by then


async def test_closing_the_port_resets_effects_that_are_out() -> None:
    arrived = asyncio.Event()
    ended: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def handler(peer: Peer) -> None:
        await peer.request()
        arrived.set()
        ended.set_result(await peer.everything())

    async with serving(handler) as server, client_of(server) as port:
        call = asyncio.create_task(port.send(POST))
        await arrived.wait()
        await port.close()
        assert (await call).reach is Reach.SENT
        assert await ended is None


class Socket:
    """What a transport has for a socket: keeps the options set on it."""

    def __init__(self) -> None:
        self.linger: tuple[int, ...] = (0, 0)

    def setsockopt(self, level: int, name: int, value: Any) -> None:
        if name == socket.SO_LINGER:
            self.linger = struct.unpack("ii", value)

    def fileno(self) -> int:
        return 3


class Transport:
    def __init__(self) -> None:
        self.socket = Socket()
        self.aborted = False

    def get_extra_info(self, name: str) -> Socket:
        return self.socket

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def calls() -> Iterator[Callable[[Request], _Call]]:
    holders: dict[Any, _Call] = {}
    yield lambda request: _Call(request=request, clock=SystemClock(), holders=holders, began=0.0)
    assert not holders


async def test_giving_up_late_does_not_reset_the_connection_that_the_next_call_has_taken(
    calls: Callable[[Request], _Call],
) -> None:
    """Between the last byte of an answer and the cancellation, the pool may have given the connection on."""
    transport, first, second = Transport(), calls(POST), calls(POST)
    first.take(transport)
    second.take(transport)
    first.give_up()
    first.leave()
    assert not transport.aborted
    assert transport.socket.linger == (1, 0)
    second.leave()
    assert transport.socket.linger == (0, 0)


async def test_a_read_that_takes_an_effects_connection_at_once_has_a_normal_socket(
    calls: Callable[[Request], _Call],
) -> None:
    transport, effect, read = Transport(), calls(POST), calls(GET)
    effect.take(transport)
    read.take(transport)
    assert transport.socket.linger == (0, 0)
    effect.leave()
    read.leave()


async def test_nothing_passed_the_gate_proves_nothing_until_the_gate_was_seen_to_work() -> None:
    port = HttpPort(base_url="http://127.0.0.1:1", clock=SystemClock())
    call = _Call(request=POST, clock=SystemClock(), holders=port._holders, began=0.0, transport=Transport())
    assert port._broken_off(call, "x").reach is Reach.SENT
    port._gate_works = True
    assert port._broken_off(call, "x").reach is Reach.NOT_SENT
    await port.close()


async def test_the_gate_sees_the_first_write_of_this_aiohttp() -> None:
    async def handler(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(OK)

    async with serving(handler) as server, client_of(server) as port:
        for request in (GET, POST, Request(method="DELETE", path="/a", effect=True)):
            port._gate_works = False
            assert (await port.send(request)).ok
            assert port._gate_works


async def test_a_connection_that_closed_before_it_was_used_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(peer: Peer) -> None:
        await peer.everything()

    connect = aiohttp.TCPConnector.connect

    async def connect_and_lose(self: Any, *args: Any, **options: Any) -> Any:
        connection = await connect(self, *args, **options)
        assert connection.transport is not None
        connection.transport.abort()
        return connection

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", connect_and_lose)
    answer = await answer_to(handler, POST)
    assert answer.reach is Reach.NOT_SENT
    assert "closed before it was used" in answer.trouble


# TLS and proxies


CERTIFICATE = Path(__file__).with_name("loopback.pem")


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


async def test_a_certificate_that_nobody_vouches_for_gets_nothing() -> None:
    async def handler(peer: Peer) -> None:
        raise AssertionError("the handshake went through")

    async with serving(handler, ssl=server_tls()) as server, client_of(server) as port:
        answer = await port.send(POST)
    assert answer.reach is Reach.NOT_SENT
    assert "certificate" in answer.trouble.lower()


async def test_a_further_certificate_can_be_trusted_and_effects_over_tls_reset_when_given_up() -> None:
    arrived = asyncio.Event()
    ended: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()
        arrived.set()
        ended.set_result(await peer.everything())

    async with serving(handler, ssl=server_tls()) as server, client_of(server, ca_file=str(CERTIFICATE)) as port:
        assert (await port.send(POST)).ok
        call = asyncio.create_task(port.send(POST))
        await arrived.wait()
        assert linger_of(port) == (1, 0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await ended is None


def test_a_certificate_file_that_cannot_be_used_is_said_by_name(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    for name in (str(empty), str(tmp_path / "absent.pem")):
        with pytest.raises(NotPermitted, match="FLOWLEDGER_CA_FILE"):
            HttpPort(base_url="https://platform.invalid", clock=SystemClock(), ca_file=name)


async def test_a_proxy_gives_a_tunnel_and_sees_no_credentials() -> None:
    tunnelled = bytearray()
    asked: list[str] = []
    seen: list[str] = []

    async def handler(peer: Peer) -> None:
        seen.append((await peer.request())[0])
        await peer.say(OK)

    async def proxy(peer: Peer) -> None:
        head, _ = await peer.request()
        asked.append(head)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        await peer.say(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def back() -> None:
            while data := await reader.read(65_536):
                await peer.say(data)

        answering = asyncio.create_task(back())
        try:
            while data := await peer._reader.read(65_536):
                tunnelled.extend(data)
                writer.write(data)
        finally:
            answering.cancel()
            writer.close()

    secret = Request(method="POST", path="/a", headers={"Authorization": "Bearer t0ken"}, body={}, effect=True)
    async with serving(handler, ssl=server_tls()) as server, serving(proxy) as between:
        via = between.url.replace("//", "//someone:pa55word@")
        options = {"ca_file": str(CERTIFICATE), "proxies": dict.fromkeys(Host, via)}
        async with client_of(server, **options) as port:
            assert (await port.send(secret)).ok
    assert asked[0].startswith("CONNECT 127.0.0.1:")
    assert "t0ken" not in asked[0]
    assert b"t0ken" not in tunnelled
    assert tunnelled
    assert "Authorization: Bearer t0ken" in seen[0]
    assert "proxy-authorization" not in seen[0].lower()


async def test_a_proxy_that_refuses_the_tunnel_means_not_sent_and_its_password_is_not_told() -> None:
    async def proxy(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    async with serving(proxy) as between:
        via = between.url.replace("//", "//someone:pa55word@")
        port = HttpPort(base_url="https://platform.invalid", clock=SystemClock(), proxies=dict.fromkeys(Host, via))
        answer = await port.send(POST)
        await port.close()
    assert answer.reach is Reach.NOT_SENT
    assert "407" in answer.trouble
    assert "pa55word" not in repr(answer)


async def test_a_loopback_base_never_goes_through_a_proxy() -> None:
    async def proxy(peer: Peer) -> None:
        raise AssertionError("the proxy was asked")

    async with serving(proxy) as between:
        assert (await answer_to(saying(OK), proxies=dict.fromkeys(Host, between.url))).ok
        assert between.connections == 0
