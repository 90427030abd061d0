"""The HTTP port sends once, before its deadline, to nobody else, and nothing after it gave up."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flowledger.steps.client.clock import SystemClock
from flowledger.steps.client.http import HttpPort, _Call
from flowledger.steps.client.judge import Verdict, judge
from flowledger.steps.client.port import Reach, Request, reach_of

GET = Request(method="GET", path="/a")
POST = Request(method="POST", path="/a", body={"a": 1}, effect=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n" + b'{"id":1}'


class ScriptedClock(SystemClock):
    """Monotonic readings from a list; the last one stays."""

    def __init__(self, *readings: float) -> None:
        super().__init__()
        self._readings = iter(readings)
        self._last = 0.0

    def monotonic(self) -> float:
        self._last = next(self._readings, self._last)
        return self._last


# The send deadline


@pytest.mark.parametrize("in_time", [1, 2], ids=["missed while connecting", "missed between send and first write"])
@pytest.mark.parametrize("body", [None, {"a": 1}])
async def test_after_its_deadline_not_one_byte_of_a_call_is_written(net: Any, in_time: int, body: Any) -> None:
    """The first reading is the port's own; the second is at `send`, the third at the write itself."""
    received: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def handler(peer: Any) -> None:
        received.set_result(await peer.everything())

    clock = ScriptedClock(*[0.0] * in_time, 6.0)
    late = Request(method="POST", path="/a", body=body, effect=True, send_deadline=5.0)
    async with net.serving(handler) as server, net.client_of(server, clock=clock) as port:
        answer = await port.send(late)
        assert server.connections == 1
        assert not await received
    assert answer.reach is Reach.NOT_SENT
    assert answer.deadline_missed
    assert judge(answer) is Verdict.NOT_DONE


async def test_a_deadline_missed_while_waiting_for_a_connection_of_the_pool_sends_nothing(net: Any) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()
    requests: list[str] = []

    async def handler(peer: Any) -> None:
        while True:
            requests.append((await peer.request())[0])
            arrived.set()
            await go_on.wait()
            await peer.say(OK)

    clock = ScriptedClock(0.0)
    async with net.serving(handler) as server, net.client_of(server, clock=clock, connections=1) as port:
        first = asyncio.create_task(port.send(GET))
        await arrived.wait()
        second = asyncio.create_task(port.send(Request(method="POST", path="/b", effect=True, send_deadline=5.0)))
        await asyncio.sleep(0)
        clock._readings = iter([6.0])
        go_on.set()
        assert (await first).ok
        assert (await second).deadline_missed
    assert len(requests) == 1


async def test_a_call_at_its_deadline_is_sent(net: Any) -> None:
    on_time = Request(method="POST", path="/a", body={}, effect=True, send_deadline=5.0)
    assert (await net.answer_to(net.saying(OK), on_time, clock=ScriptedClock(0.0, 5.0))).ok


async def test_a_call_that_was_given_up_before_its_first_byte_never_writes_it() -> None:
    call = _Call(request=POST, clock=SystemClock(), holders={}, began=0.0)
    call.give_up()
    with pytest.raises(Exception, match="too late"):
        call.check_deadline()
    assert call.too_late


async def test_a_call_that_is_cancelled_says_whether_a_byte_of_it_may_have_left(net: Any) -> None:
    arrived = asyncio.Event()

    async def handler(peer: Any) -> None:
        await peer.request()
        arrived.set()
        await peer.everything()

    async def ended(port: Any, call: Request, once: asyncio.Event) -> Reach:
        task = asyncio.create_task(port.send(call))
        await once.wait()
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            return reach_of(error)
        raise AssertionError("it was not cancelled")

    connecting = asyncio.Event()
    async with net.serving(handler) as server, net.client_of(server, connections=1) as port:
        assert await ended(port, POST, arrived) is Reach.SENT
        port._session.connector._create_connection = _never(connecting)
        assert await ended(port, POST, connecting) is Reach.NOT_SENT


def _never(begun: asyncio.Event) -> Callable[..., Any]:
    """A connection that never stands."""

    async def connect(*args: Any, **options: Any) -> Any:
        begun.set()
        await asyncio.get_running_loop().create_future()

    return connect


async def test_a_body_that_is_no_json_says_that_nothing_was_sent() -> None:
    port = HttpPort(base_url="http://127.0.0.1:1", clock=SystemClock())
    with pytest.raises(TypeError) as failed:
        await port.send(Request(method="POST", path="/a", body={"a": object()}, effect=True))
    await port.close()
    assert reach_of(failed.value) is Reach.NOT_SENT


# Once, and to nobody else


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "PATCH"])
async def test_a_call_on_a_reused_connection_that_drops_is_not_repeated(net: Any, method: str) -> None:
    """aiohttp would send GET, PUT and DELETE again: `_retry_connection` keeps it from that."""
    requests: list[str] = []

    async def handler(peer: Any) -> None:
        requests.append((await peer.request())[0])
        await peer.say(OK)
        requests.append((await peer.request())[0])

    async with net.serving(handler) as server, net.client_of(server) as port:
        assert (await port.send(GET)).ok
        answer = await port.send(Request(method=method, path="/b", body={"a": 1}, effect=True))
        assert server.connections == 1
    assert answer.reach is Reach.SENT
    assert len(requests) == 2


@pytest.mark.parametrize(
    "stale", [b"HTTP/1.1 408 Request Time-out\r\nContent-Length: 0\r\n\r\n", OK.replace(b"1}", b"7}")]
)
async def test_what_a_server_says_between_two_calls_is_not_taken_for_the_answer_to_the_second(
    net: Any, stale: bytes
) -> None:
    """Balancers say 408 to a connection that is idle; another call's answer would be another object's id."""
    between, said = asyncio.Event(), asyncio.Event()

    async def handler(peer: Any) -> None:
        await peer.request()
        await peer.say(OK)
        await between.wait()
        await peer.say(stale)
        said.set()
        await peer.everything()

    async with net.serving(handler) as server, net.client_of(server) as port:
        assert (await port.send(GET)).ok
        between.set()
        await said.wait()
        for _ in range(5):
            await asyncio.sleep(0)  # what stands in our socket's buffer is read
        answer = await port.send(POST)
        assert server.connections == 1, "the connection is the same, or nothing was tried"
    assert answer.reach is Reach.NOT_SENT
    assert judge(answer) is Verdict.NOT_DONE


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_carries_no_credentials_on(net: Any, status: int) -> None:
    async def thief(peer: Any) -> None:
        raise AssertionError("a redirect was followed")

    async with net.serving(thief) as other:
        said = f"HTTP/1.1 {status} Moved\r\nLocation: {other.url}/x\r\nContent-Length: 0\r\n\r\n".encode()
        answer = await net.answer_to(net.saying(said), Request(
            method="POST", path="/a", headers={"Authorization": "Bearer t"}, body={}, effect=True
        ))  # fmt: skip
        assert other.connections == 0
    assert (answer.reach, answer.status) == (Reach.ANSWERED, status)
    assert judge(answer) is Verdict.IN_DOUBT


async def test_cookies_are_not_kept(net: Any) -> None:
    heads: list[str] = []

    async def handler(peer: Any) -> None:
        while True:
            heads.append((await peer.request())[0])
            await peer.say(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n"))

    async with net.serving(handler) as server, net.client_of(server) as port:
        await port.send(GET)
        await port.send(GET)
    assert len(heads) == 2
    assert "cookie" not in heads[1].lower()


async def test_proxies_and_netrc_of_the_environment_are_not_used(net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def proxy(peer: Any) -> None:
        raise AssertionError("a proxy was asked for a loopback address")

    async with net.serving(proxy) as other:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, other.url)
        assert (await net.answer_to(net.saying(OK))).ok
        assert other.connections == 0


# Giving up


def linger_of(port: HttpPort) -> tuple[int, ...]:
    (transport,) = {id(holder): holder for holder in port._holders}.values()
    raw = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
    return struct.unpack("ii", raw)


async def test_a_socket_resets_on_close_while_an_effect_is_out_and_not_before_or_after(net: Any) -> None:
    seen: list[tuple[int, ...]] = []
    timeouts: list[int] = []

    async def handler(peer: Any) -> None:
        while True:
            await peer.request()
            seen.append(linger_of(port))
            (transport,) = port._holders
            sock = transport.get_extra_info("socket")
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                timeouts.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
            await peer.say(OK)

    async with net.serving(handler) as server, net.client_of(server) as port:
        for request in (GET, POST, GET, POST):
            assert (await port.send(request)).ok
            assert not port._holders
        assert server.connections == 1
    assert seen == [(0, 0), (1, 0), (0, 0), (1, 0)]
    assert timeouts in ([], [0, 10_000, 10_000, 10_000])


async def test_cancelling_an_effect_propagates_and_resets_the_connection(net: Any) -> None:
    arrived = asyncio.Event()
    ended: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def handler(peer: Any) -> None:
        await peer.request()
        arrived.set()
        ended.set_result(await peer.everything())

    async with net.serving(handler) as server, net.client_of(server) as port:
        call = asyncio.create_task(port.send(POST))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await ended is None
        assert not port._calls
        assert not port._holders


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # that the body is large is the point
async def test_what_is_still_buffered_of_an_abandoned_effect_never_arrives(net: Any) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()
    total = 0
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def handler(peer: Any) -> None:
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
    async with net.serving(handler) as server, net.client_of(server) as port:
        call = asyncio.create_task(port.send(large))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        go_on.set()
        assert await ended < size / 2  # only what the kernel of either side had taken by then


async def test_closing_the_port_resets_effects_that_are_out(net: Any) -> None:
    arrived = asyncio.Event()
    ended: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def handler(peer: Any) -> None:
        await peer.request()
        arrived.set()
        ended.set_result(await peer.everything())

    async with net.serving(handler) as server, net.client_of(server) as port:
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


async def test_the_gate_sees_the_first_write_of_this_aiohttp(net: Any) -> None:
    async def handler(peer: Any) -> None:
        while True:
            await peer.request()
            await peer.say(OK)

    async with net.serving(handler) as server, net.client_of(server) as port:
        for request in (GET, POST, Request(method="DELETE", path="/a", effect=True)):
            port._gate_works = False
            assert (await port.send(request)).ok
            assert port._gate_works
