"""The HTTP port over TLS and through proxies: credentials go to the platform and nowhere else."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

import pytest

from flowledger.errors import NotPermitted
from flowledger.steps.client.clock import SystemClock
from flowledger.steps.client.http import HttpPort
from flowledger.steps.client.port import Host, Reach, Request

GET = Request(method="GET", path="/a")
POST = Request(method="POST", path="/a", body={"a": 1}, effect=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n" + b'{"id":1}'


def linger_of(port: HttpPort) -> tuple[int, ...]:
    (transport,) = {id(holder): holder for holder in port._holders}.values()
    raw = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
    return struct.unpack("ii", raw)


CERTIFICATE = Path(__file__).with_name("loopback.pem")


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


async def test_a_certificate_that_nobody_vouches_for_gets_nothing(net: Any) -> None:
    async def handler(peer: Any) -> None:
        raise AssertionError("the handshake went through")

    async with net.serving(handler, ssl=server_tls()) as server, net.client_of(server) as port:
        answer = await port.send(POST)
    assert answer.reach is Reach.NOT_SENT
    assert "certificate" in answer.trouble.lower()


async def test_a_further_certificate_can_be_trusted_and_effects_over_tls_reset_when_given_up(net: Any) -> None:
    arrived = asyncio.Event()
    ended: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def handler(peer: Any) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()
        arrived.set()
        ended.set_result(await peer.everything())

    async with (
        net.serving(handler, ssl=server_tls()) as server,
        net.client_of(server, ca_file=str(CERTIFICATE)) as port,
    ):
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


async def test_a_proxy_gives_a_tunnel_and_sees_no_credentials(net: Any) -> None:
    tunnelled = bytearray()
    asked: list[str] = []
    seen: list[str] = []

    async def handler(peer: Any) -> None:
        seen.append((await peer.request())[0])
        await peer.say(OK)

    async def proxy(peer: Any) -> None:
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
    async with net.serving(handler, ssl=server_tls()) as server, net.serving(proxy) as between:
        via = between.url.replace("//", "//someone:pa55word@")
        options = {"ca_file": str(CERTIFICATE), "proxies": dict.fromkeys(Host, via)}
        async with net.client_of(server, **options) as port:
            assert (await port.send(secret)).ok
    assert asked[0].startswith("CONNECT 127.0.0.1:")
    assert "t0ken" not in asked[0]
    assert b"t0ken" not in tunnelled
    assert tunnelled
    assert "Authorization: Bearer t0ken" in seen[0]
    assert "proxy-authorization" not in seen[0].lower()


async def test_a_proxy_that_refuses_the_tunnel_means_not_sent_and_its_password_is_not_told(net: Any) -> None:
    async def proxy(peer: Any) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    async with net.serving(proxy) as between:
        via = between.url.replace("//", "//someone:pa55word@")
        port = HttpPort(base_url="https://platform.invalid", clock=SystemClock(), proxies=dict.fromkeys(Host, via))
        answer = await port.send(POST)
        await port.close()
    assert answer.reach is Reach.NOT_SENT
    assert "407" in answer.trouble
    assert "pa55word" not in repr(answer)


async def test_a_loopback_base_never_goes_through_a_proxy(net: Any) -> None:
    async def proxy(peer: Any) -> None:
        raise AssertionError("the proxy was asked")

    async with net.serving(proxy) as between:
        assert (await net.answer_to(net.saying(OK), proxies=dict.fromkeys(Host, between.url))).ok
        assert between.connections == 0
