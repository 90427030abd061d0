"""No route answers a web page of another origin, neither by a name bound to this address nor across origins."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flowledger.emulator.caller import FLOW, Caller
from flowledger.emulator.core import ROUTES, Emulator
from flowledger.emulator.options import Options
from flowledger.emulator.server import Server, serve
from flowledger.emulator.wire import Request

OURS = [
    "localhost",
    "localhost:8480",
    "LOCALHOST:8480",
    "localhost.",
    "localhost.:8480",
    "127.0.0.1",
    "127.0.0.1:65535",
    "127.255.1.9:80",
    "[::1]",
    "[::1]:8480",
    "[0:0:0:0:0:0:0:1]:8480",
    "[::ffff:127.0.0.1]:8480",
]
OTHERS = [
    "",
    "evil.example",
    "evil.example:8480",
    "localhost.evil.example",
    "127.0.0.1.evil.example:8480",
    "127.evil.example",
    "evil.example@localhost",
    "localhost@evil.example",
    "localhost/evil.example",
    "localhost#.evil.example",
    "localhost:80:80",
    "localhost:evil",
    "localhost:99999",
    "localhost, evil.example",
    "evil.example, localhost",
    "0.0.0.0",
    "0.0.0.0:8480",
    "[::]:8480",
    "192.168.0.7:8480",
    "::1",
    "[::1",
    "[::1]evil",
    "[fe80::1]",
    "[::ffff:192.168.0.7]",
    "xn--localhost",
    "local host",
    "localhost\tx",
    "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3",
    "localhost..",
    ".localhost",
    "a" * 70_000,
]


def ask(emulator: Emulator, path: str, **headers: str) -> int:
    return emulator.handle(Request(method="GET", raw_path=path, headers=headers)).status


@pytest.mark.parametrize("host", OURS)
def test_a_host_of_loopback_is_answered(host: str) -> None:
    emulator = Emulator()
    assert ask(emulator, "/_emulator/health", host=host) == 200
    assert ask(emulator, f"{FLOW}/flows", host=host) == 403
    assert emulator.requests()[-1]["status"] == 403
    assert Caller(emulator).send("GET", f"{FLOW}/flows", headers={"host": host}).status == 200


@pytest.mark.parametrize("host", OTHERS)
def test_any_other_host_is_refused(host: str) -> None:
    emulator = Emulator()
    caller = Caller(emulator)
    reply = caller.send("GET", f"{FLOW}/flows", headers={"host": host})
    assert (reply.status, reply.code) == (403, "403027")
    assert "allowed_hosts" in reply.json["message"]
    assert ask(emulator, "/_emulator/health", host=host) == 403


def test_every_route_refuses_a_rebound_name_before_it_does_anything() -> None:
    emulator = Emulator()
    caller = Caller(emulator)
    assert caller.token
    emulator.faults.add("* *", "answer", status=200, times=0)
    served = [(method, template) for method, template, _ in ROUTES]
    served += [("POST", "/_emulator/reset"), ("GET", "/_emulator/"), ("DELETE", "/_emulator/faults"), ("GET", "/x")]
    for method, template in served:
        reply = caller.send(method, template, {}, headers={"host": "evil.example:8480"})
        assert reply.status == 403, (method, template)
    assert [fault["struck"] for fault in emulator.faults.described()["faults"]] == [0]
    assert emulator.count("connections") == 0


@pytest.mark.parametrize(
    "claimed",
    [
        {"x-forwarded-host": "localhost"},
        {"forwarded": "host=localhost"},
        {"x-forwarded-server": "localhost", "x-original-host": "localhost", "x-host": "localhost"},
        {":authority": "localhost"},
    ],
)
def test_what_a_proxy_header_claims_counts_for_nothing(claimed: dict[str, str]) -> None:
    emulator = Emulator()
    assert ask(emulator, "/_emulator/health", host="evil.example", **claimed) == 403
    turned = {name: "evil.example" for name in claimed if name != "forwarded"}
    assert ask(emulator, "/_emulator/health", host="localhost", **turned) == 200


@pytest.mark.parametrize("path", ["/_emulator/health", f"{FLOW}/flows", "/ims/token/v3"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", "https://localhost", "x"])
def test_a_page_of_another_origin_is_refused_everywhere(path: str, origin: str) -> None:
    emulator = Emulator()
    caller = Caller(emulator)
    assert caller.send("POST", path, {}, headers={"host": "localhost", "origin": origin}).status == 403
    assert caller.send("POST", path, {}, headers={"origin": origin}).status == 403
    assert emulator.world.store.count("tokens", "") == 1  # the caller's own


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("emulator.internal", 200),
        ("EMULATOR.internal.:443", 200),
        ("gate:8443", 200),
        ("gate:8444", 403),
        ("gate", 403),
        ("x.emulator.internal", 403),
        ("emulator.internal, evil.example", 403),
        ("evil.example", 403),
        ("localhost:1", 200),
        ("", 403),
    ],
)
def test_the_hosts_of_a_proxy_are_let_in_by_name(host: str, status: int) -> None:
    emulator = Emulator(options=Options(allowed_hosts=("Emulator.Internal", "gate:8443")))
    assert ask(emulator, "/_emulator/health", host=host) == status


def test_a_page_behind_an_allowed_proxy_may_ask(emulator: Emulator) -> None:
    emulator.options.allowed_hosts = ("gate.internal",)
    for origin in ("https://gate.internal", "http://gate.internal"):
        assert ask(emulator, "/_emulator/health", host="gate.internal", origin=origin) == 200
    assert ask(emulator, "/_emulator/health", host="gate.internal", origin="https://evil.example") == 403


async def exchange(url: str, raw: bytes) -> bytes:
    """The status line that comes back on a connection of its own, b"" when there is none."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(raw)
    await writer.drain()
    try:
        return await reader.readline()
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /_emulator/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"200"),
        (b"GET http://localhost/_emulator/health HTTP/1.1\r\nHost: localhost\r\n\r\n", b"200"),
        (b"GET /_emulator/health HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"403"),
        (b"GET /_emulator/health HTTP/1.1\r\n\r\n", b"400"),  # aiohttp itself insists on one
        (b"GET /_emulator/health HTTP/1.0\r\n\r\n", b"403"),
        (b"GET /_emulator/health HTTP/1.1\r\nHost:\r\n\r\n", b"403"),
        (b"GET http://evil.example/_emulator/health HTTP/1.1\r\nHost: localhost\r\n\r\n", b"403"),
        (b"GET http://localhost/_emulator/health HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"403"),
        (b"GET http://evil@localhost/_emulator/health HTTP/1.1\r\nHost: localhost\r\n\r\n", b"403"),
        (b"POST /ims/token/v3 HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n", b"403"),
    ],
)
async def test_over_http_exactly_one_host_of_ours_is_asked_for(served: Server, raw: bytes, status: bytes) -> None:
    assert (await exchange(served.url, raw)).split()[1] == status


@pytest.mark.parametrize("second", [b"Host: localhost", b"Host: evil.example", b"hOST: evil.example"])
async def test_two_hosts_are_none(served: Server, second: bytes) -> None:
    raw = b"GET /_emulator/health HTTP/1.1\r\nHost: localhost\r\n" + second + b"\r\n\r\n"
    answered = await exchange(served.url, raw)
    assert answered.split()[1] in (b"400", b"403")


async def test_a_fault_of_the_emulator_is_a_500_in_words_and_in_the_log(
    served: Server, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any) -> None:
        raise KeyError("half-way")

    monkeypatch.setattr(emulator.faults, "strike", fails)
    raw = f"GET {FLOW}/flows HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    assert (await exchange(served.url, raw)).split()[1] == b"500"
    assert "the emulator failed" in caplog.text
    assert emulator.requests()[-1]["status"] == 500


@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
async def test_an_emulator_answers_at_the_address_that_it_serves(emulator: Emulator, host: str) -> None:
    try:
        server = await serve(emulator, host=host)
    except OSError:
        pytest.skip("this machine has no such address")
    url = server.url
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET /_emulator/health HTTP/1.1\r\nHost: {url.removeprefix('http://')}\r\n\r\n".encode())
    assert (await reader.readline()).split()[1] == b"200"
    writer.close()
    await server.close()
