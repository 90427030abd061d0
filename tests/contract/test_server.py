"""The shell: real sockets, loopback only, answers delivered, delayed, dropped and cut as the core says."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from flowledger.emulator.caller import FLOW, REGISTRY, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.server import Server, run_server, serve
from flowledger.emulator.wire import Request, Response

PATH = f"{FLOW}/connections"
TOKEN_FORM = {
    "grant_type": "client_credentials",
    "client_id": "local-client",
    "client_secret": "local-secret",
    "scope": "openid,session,AdobeID,read_organizations,additional_info.projectedProductContext",
}


async def headers_from(session: aiohttp.ClientSession, url: str) -> dict[str, str]:
    async with session.post(f"{url}/ims/token/v3", data=TOKEN_FORM) as answer:
        token = (await answer.json())["access_token"]
    return {
        "Authorization": f"Bearer {token}",
        "x-api-key": "local-client",
        "x-gw-ims-org-id": "LOCAL@AdobeOrg",
        "x-sandbox-name": "prod",
    }


async def test_a_stranger_makes_reads_and_deletes_over_a_socket(served: Server, a_pass: Any) -> None:
    async with aiohttp.ClientSession() as session:
        headers = await headers_from(session, served.url)
        async with session.post(served.url + PATH, json=a_pass.paypal_body(), headers=headers) as answer:
            assert (answer.status, answer.content_type) == (201, "application/json")
            assert answer.headers["x-request-id"]
            key = (await answer.json())["id"]
        query = {"property": 'name=="paypal"'}
        async with session.get(served.url + PATH, params=query, headers=headers) as answer:
            assert [item["id"] for item in (await answer.json())["items"]] == [key]
        async with session.delete(f"{served.url}{PATH}/{key}/", headers=headers) as answer:
            assert (answer.status, await answer.read()) == (204, b"")


async def test_an_encoded_slash_in_an_id_arrives_encoded(served: Server, prod: Caller) -> None:
    """§2: a registry path takes the URL-encoded `$id`."""
    accept = {"Accept": "application/vnd.adobe.xed+json; version=1"}
    key = quote("https://ns.adobe.com/xdm/context/profile", safe="")
    async with aiohttp.ClientSession() as session:
        headers = {**await headers_from(session, served.url), **accept}
        url = URL(f"{served.url}{REGISTRY}/global/classes/{key}", encoded=True)
        async with session.get(url, headers=headers) as answer:
            assert answer.status == 200
            assert (await answer.json())["$id"] == "https://ns.adobe.com/xdm/context/profile"


async def exchange(url: str, raw: bytes) -> bytes:
    """Everything that comes back on a connection of its own until it is closed."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(raw)
    await writer.drain()
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def raw_create(caller: Caller, a_pass: Any) -> bytes:
    body = json.dumps(a_pass.paypal_body()).encode()
    head = [f"POST {PATH} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    head += [f"{name}: {value}" for name, value in caller.headers().items()]
    return "\r\n".join([*head, "", ""]).encode() + body


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
async def test_a_dropped_answer_closes_the_connection_without_a_byte(
    served: Server, prod: Caller, a_pass: Any, emulator: Emulator, when: str, made: int
) -> None:
    raw = raw_create(prod, a_pass)
    emulator.faults.add("POST /connections", "drop", when=when)

    assert await exchange(served.url, raw) == b""
    assert emulator.count("connections") == made


async def test_a_cut_answer_ends_before_its_body_does(
    served: Server, prod: Caller, a_pass: Any, emulator: Emulator
) -> None:
    raw = raw_create(prod, a_pass)
    emulator.faults.add("POST /connections", "cut")

    head, _, body = (await exchange(served.url, raw)).partition(b"\r\n\r\n")

    announced = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")).split()[1])
    assert head.startswith(b"HTTP/1.1 201")
    assert 0 < len(body) < announced
    assert emulator.count("connections") == 1


async def test_a_call_takes_effect_though_its_client_has_gone(
    served: Server, prod: Caller, a_pass: Any, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = raw_create(prod, a_pass)
    emulator.faults.add("POST /connections", "slow", delay_ms=60_000)
    handled, handle = asyncio.Event(), emulator.handle

    def tell(request: Request) -> Response:
        handled.set()
        return handle(request)

    monkeypatch.setattr(emulator, "handle", tell)
    host, port = served.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(raw)
    await writer.drain()
    writer.transport.abort()

    await handled.wait()
    assert emulator.count("connections") == 1


async def test_a_call_whose_body_never_arrives_has_no_effect(
    served: Server, prod: Caller, a_pass: Any, emulator: Emulator
) -> None:
    raw = raw_create(prod, a_pass)
    host, port = served.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(raw[:-5])
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    async with aiohttp.ClientSession() as session:  # the server has read the end of the other connection by now
        await headers_from(session, served.url)
    assert emulator.count("connections") == 0


async def test_an_answer_is_delayed_as_long_as_the_core_says(
    served: Server, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def no_sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("flowledger.emulator.server.asyncio.sleep", no_sleep)
    emulator.faults.set_latency(100)
    async with aiohttp.ClientSession() as session:
        await headers_from(session, served.url)

    assert slept == [0.1]


async def test_many_calls_at_once_are_all_answered(served: Server, a_pass: Any, emulator: Emulator) -> None:
    async with aiohttp.ClientSession() as session:
        headers = await headers_from(session, served.url)

        async def create(number: int) -> str:
            body = a_pass.paypal_body(f"n{number}")
            async with session.post(served.url + PATH, json=body, headers=headers) as answer:
                return str((await answer.json())["id"])

        ids = await asyncio.gather(*(create(number) for number in range(60)))

    assert len(set(ids)) == emulator.count("connections") == 60


async def test_a_body_of_some_megabytes_is_read_whole(served: Server, a_pass: Any) -> None:
    body = {**a_pass.sink_body(), "description": "x" * 5_000_000}
    async with aiohttp.ClientSession() as session:
        headers = {**await headers_from(session, served.url), "Content-Type": "application/json"}
        raw = io.BytesIO(json.dumps(body).encode())
        async with session.post(served.url + PATH, data=raw, headers=headers) as answer:
            assert answer.status == 201


async def test_a_body_that_is_too_long_is_the_gateways_to_refuse_and_is_not_read_whole(
    served: Server, emulator: Emulator
) -> None:
    emulator.options.body_maximum = 1000
    async with aiohttp.ClientSession() as session:
        headers = {**await headers_from(session, served.url), "Content-Type": "application/json"}
        async with session.post(served.url + PATH, data=io.BytesIO(b" " * 100_000), headers=headers) as answer:
            assert answer.status == 413
            assert (await answer.json())["error_code"] == "413000"
    assert emulator.count("connections") == 0


async def test_bytes_that_are_no_text_spoil_neither_the_answer_nor_the_log(served: Server) -> None:
    """A header may hold any byte above 0x7f; the log of calls is JSON and shows it as what cannot be read."""
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    headers = b"Host: \xff\r\nx-request-id: \xff\xfe\r\nx-sandbox-name: \xff\r\nConnection: close\r\n\r\n"
    writer.write(b"GET " + PATH.encode() + b" HTTP/1.1\r\n" + headers)
    assert (await reader.readline()).split()[1] == b"403"  # no key
    writer.close()
    async with aiohttp.ClientSession() as session, session.get(f"{served.url}/_emulator/requests") as answer:
        (call,) = (await answer.json())["requests"]
    assert (call["request_id"], call["sandbox"]) == ("\ufffd\ufffd", "\ufffd")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.com", ""])
async def test_only_loopback_is_served(emulator: Emulator, host: str) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        await serve(emulator, host=host)


async def test_a_taken_port_is_told(served: Server, emulator: Emulator) -> None:
    with pytest.raises(OSError, match="address already in use"):
        await serve(emulator, port=int(served.url.rpartition(":")[2]))


async def test_it_serves_until_it_is_told_to_stop(emulator: Emulator) -> None:
    stop, ready = asyncio.Event(), asyncio.Event()
    urls: list[str] = []

    def on_ready(url: str) -> None:
        urls.append(url)
        ready.set()

    serving = asyncio.create_task(run_server(emulator, stop=stop, ready=on_ready))
    await ready.wait()
    async with aiohttp.ClientSession() as session, session.get(f"{urls[0]}/_emulator/health") as answer:
        assert (await answer.json())["status"] == "ok"
    stop.set()
    await serving

    with pytest.raises(aiohttp.ClientConnectorError):
        async with aiohttp.ClientSession() as session, session.get(f"{urls[0]}/_emulator/health"):
            pass


@pytest.mark.parametrize(("sent", "status"), [("/", 200), ("%2F", 414)])
async def test_a_url_is_as_long_as_it_was_sent(served: Server, sent: str, status: int) -> None:
    """§1.3: 700 slashes are 700 characters, or 2100 when they come encoded."""
    async with aiohttp.ClientSession() as session:
        headers = await headers_from(session, served.url)
        url = f"{served.url}{PATH}?property=name=={sent * 700}"
        async with session.get(URL(url, encoded=True), headers=headers) as answer:
            assert answer.status == status


@pytest.mark.parametrize("length", [9_000, 100_000])
async def test_a_url_that_is_far_too_long_is_the_gateways_to_refuse(served: Server, length: int) -> None:
    """§1.3: 414 in the gateway's words, not the shell's, however long the request line."""
    async with aiohttp.ClientSession() as session:
        headers = await headers_from(session, served.url)
        url = f"{served.url}{PATH}?property=name=={'x' * length}"
        async with session.get(URL(url, encoded=True), headers=headers) as answer:
            assert answer.status == 414
            assert (await answer.json())["error_code"] == "414000"
