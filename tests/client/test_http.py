"""The HTTP port on real sockets: what an answer holds, and how far each call got."""

from __future__ import annotations

import asyncio
import gzip
import socket
import zlib
from typing import Any

import aiohttp
import pytest

from flowledger.steps.client.clock import SystemClock
from flowledger.steps.client.http import HttpPort
from flowledger.steps.client.judge import Verdict, judge
from flowledger.steps.client.port import Host, Reach, Request

GET = Request(method="GET", path="/a")
POST = Request(method="POST", path="/a", body={"a": 1}, effect=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n" + b'{"id":1}'


# What a whole answer holds


async def test_a_whole_answer_holds_status_headers_and_json(net: Any) -> None:
    seen: list[tuple[str, bytes]] = []

    async def handler(peer: Any) -> None:
        seen.append(await peer.request())
        await peer.say(
            b'HTTP/1.1 201 Created\r\nX-Request-Id: r-1\r\nETag: "e"\r\nVary: a\r\nVARY: b\r\nX-Odd: \xff\r\n'
            b"Content-Length: 10\r\n\r\n" + b'{"id":"1"}'
        )

    query = (("property", 'name=="a b"'), ("start", "0"))
    answer = await net.answer_to(
        handler, Request(method="POST", path="/a%2Fb", query=query, body={"é": [1]}, effect=True)
    )
    assert (answer.reach, answer.status, answer.json, answer.ok) == (Reach.ANSWERED, 201, {"id": "1"}, True)
    assert answer.headers["x-request-id"] == "r-1"
    assert answer.headers["etag"] == '"e"'
    assert answer.headers["vary"] == "a, b"
    assert answer.headers["x-odd"].encode()  # text that can be written in UTF-8
    head, body = seen[0]
    assert head.startswith("POST /a%2Fb?property=name%3D%3D%22a%20b%22&start=0 HTTP/1.1\r\n")
    assert body == '{"é":[1]}'.encode()


async def test_a_get_has_no_content_type_and_no_body(net: Any) -> None:
    seen: list[tuple[str, bytes]] = []

    async def handler(peer: Any) -> None:
        seen.append(await peer.request())
        await peer.say(OK)

    await net.answer_to(handler)
    assert "content-type" not in seen[0][0].lower()
    assert seen[0][1] == b""


async def test_a_form_goes_to_ims_url_encoded(net: Any) -> None:
    seen: list[tuple[str, bytes]] = []

    async def handler(peer: Any) -> None:
        seen.append(await peer.request())
        await peer.say(OK)

    async def stranger(peer: Any) -> None:
        raise AssertionError("the platform was called")

    form = Request(method="POST", path="/ims/token/v3", host=Host.IMS, form={"client_secret": "a&b =c"})
    async with (
        net.serving(stranger) as platform,
        net.serving(handler) as ims,
        net.client_of(platform, ims_url=ims.url) as port,
    ):
        assert (await port.send(form)).ok
    assert "content-type: application/x-www-form-urlencoded" in seen[0][0].lower()
    assert seen[0][1] == b"client_secret=a%26b+%3Dc"


async def test_204_is_whole_without_a_body(net: Any) -> None:
    answer = await net.answer_to(net.saying(b"HTTP/1.1 204 No Content\r\n\r\n"), Request(method="DELETE", path="/a"))
    assert answer.ok
    assert answer.json is None


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b'{"a":1,"a":2}', b"NaN", b"\xff\xfe"])
async def test_a_body_that_is_no_json_is_an_answer_with_a_fault_and_no_exception(net: Any, body: bytes) -> None:
    head = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: %d\r\n\r\n" % len(body)
    answer = await net.answer_to(net.saying(head + body), POST)
    assert (answer.reach, answer.status, answer.json) == (Reach.ANSWERED, 502, None)
    assert answer.json_fault
    assert answer.body == body
    assert judge(answer) is Verdict.IN_DOUBT


async def test_a_gzip_body_is_unpacked(net: Any) -> None:
    packed = gzip.compress(b'{"id":', mtime=0) + gzip.compress(b'"1"}', mtime=0)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    answer = await net.answer_to(net.saying(head + packed))
    assert answer.json == {"id": "1"}


async def test_a_packing_that_was_not_asked_for_is_a_fault(net: Any) -> None:
    answer = await net.answer_to(net.saying(OK.replace(b"Content-Type: application/json", b"Content-Encoding: br")))
    assert (answer.reach, answer.json, answer.ok) == (Reach.ANSWERED, None, False)
    assert "br" in answer.json_fault


# Bodies that are broken or too large


async def test_a_gzip_bomb_ends_as_cut_and_is_not_unpacked_beyond_the_limit(net: Any) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    bomb = packer.compress(bytes(50_000_000)) + packer.flush()
    head = b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    answer = await net.answer_to(net.saying(head + bomb), POST, largest_body=100_000)
    assert (answer.reach, answer.status) == (Reach.CUT, 201)
    assert len(answer.body) == 100_001
    assert "larger than 100000 bytes" in answer.trouble
    assert judge(answer) is Verdict.IN_DOUBT


async def test_an_endless_body_ends_as_cut_and_the_connection_is_dropped(net: Any) -> None:
    async def handler(peer: Any) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await peer.say(b"5\r\naaaaa\r\n")

    answer = await net.answer_to(handler, largest_body=100_000)
    assert answer.reach is Reach.CUT
    assert "larger than 100000 bytes" in answer.trouble


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n" + b'{"id":"1"}',
        b'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n',
        b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n"
        + gzip.compress(b"{}" * 99, mtime=0)[:12],
        b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n" + b"not gzip at all"[:12],
    ],
)
async def test_a_body_that_ends_early_is_cut_whatever_its_status(net: Any, said: bytes) -> None:
    answer = await net.answer_to(net.saying(said), POST)
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


async def test_a_server_that_speaks_no_tls_is_not_sent_anything(net: Any) -> None:
    async def handler(peer: Any) -> None:
        await peer.everything()

    async with net.serving(handler) as server:
        port = HttpPort(base_url=server.url.replace("http:", "https:"), clock=SystemClock())

        async def plain(peer: Any) -> None:
            await peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        server._handler = plain
        answer = await port.send(POST)
        await port.close()
    assert answer.reach is Reach.NOT_SENT


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nContent-Type: appl", b"garbage\r\n\r\n"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
async def test_a_connection_that_ends_before_the_headers_do_was_sent(net: Any, said: bytes, method: str) -> None:
    answer = await net.answer_to(net.saying(said), Request(method=method, path="/a", body={}, effect=method != "GET"))
    assert (answer.reach, answer.status) == (Reach.SENT, None)
    assert answer.trouble
    assert judge(answer) is Verdict.IN_DOUBT


async def test_a_reset_after_the_request_was_read_is_sent(net: Any) -> None:
    async def handler(peer: Any) -> None:
        await peer.request()
        peer.reset()

    assert (await net.answer_to(handler, POST)).reach is Reach.SENT


async def test_no_answer_within_the_timeout_is_sent_and_resets_the_connection(net: Any) -> None:
    ended: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def handler(peer: Any) -> None:
        await peer.request()
        ended.set_result(await peer.everything())

    slow = Request(method="POST", path="/a", body={"a": 1}, effect=True, timeout=0.05)
    async with net.serving(handler) as server, net.client_of(server) as port:
        answer = await port.send(slow)
        assert await ended is None
    assert answer.reach is Reach.SENT
    assert "within 0.05 s" in answer.trouble


async def test_a_timeout_in_the_body_is_cut(net: Any) -> None:
    async def handler(peer: Any) -> None:
        await peer.request()
        await peer.say(OK[:-3])
        await peer.everything()

    answer = await net.answer_to(handler, Request(method="POST", path="/a", body={}, effect=True, timeout=0.05))
    assert (answer.reach, answer.status, answer.body) == (Reach.CUT, 200, b'{"id"')


async def test_a_closed_port_sends_nothing(net: Any) -> None:
    async with net.serving(net.saying(OK)) as server, net.client_of(server) as port:
        await port.close()
        assert (await port.send(GET)).reach is Reach.NOT_SENT
        assert server.connections == 0


async def test_a_path_that_is_not_encoded_is_not_sent(net: Any) -> None:
    async with net.serving(net.saying(OK)) as server, net.client_of(server) as port:
        for path in ("/a b", "/a\r\nHost: evil", "/é"):
            assert (await port.send(Request(method="GET", path=path))).reach is Reach.NOT_SENT
        assert server.connections == 0


async def test_a_header_that_cannot_be_sent_is_an_answer_and_no_exception(net: Any) -> None:
    answer = await net.answer_to(net.saying(OK), Request(method="GET", path="/a", headers={"X-A": "b\r\nEvil: 1"}))
    assert answer.reach in (Reach.NOT_SENT, Reach.SENT)
    assert answer.trouble


async def test_a_connection_that_closed_before_it_was_used_is_not_sent(
    net: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(peer: Any) -> None:
        await peer.everything()

    connect = aiohttp.TCPConnector.connect

    async def connect_and_lose(self: Any, *args: Any, **options: Any) -> Any:
        connection = await connect(self, *args, **options)
        assert connection.transport is not None
        connection.transport.abort()
        return connection

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", connect_and_lose)
    answer = await net.answer_to(handler, POST)
    assert answer.reach is Reach.NOT_SENT
    assert "closed before it was used" in answer.trouble
