"""A platform that misuses the wire: redirects elsewhere, answers without end, headers that carry more than a value."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from flowledger.emulator.wire import Response


class Elsewhere:
    """Another host, which nobody may call."""

    url = ""
    calls = 0


@pytest.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    place = Elsewhere()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place.calls += 1
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    place.url = f"http://localhost:{server.sockets[0].getsockname()[1]}"
    yield place
    server.close()


@pytest.mark.parametrize(
    "status", [307, *(pytest.param(code, marks=pytest.mark.long) for code in (301, 302, 303, 308))]
)
async def test_a_redirected_create_is_followed_nowhere_and_settled(
    story: Any, platform: Any, made_once: dict[str, int], elsewhere: Elsewhere, status: int
) -> None:
    away = Response(status=status, headers={"Location": f"{elsewhere.url}/take-it"})
    platform.once("POST", "/connections", away)
    await story.apply()
    assert story.error is None
    assert story.made() == made_once
    assert elsewhere.calls == 0
    assert f"HTTP {status}".encode() in story.readable()


@pytest.mark.parametrize(("method", "path"), [("POST", "/ims/token/v3"), ("GET", "/stats")])
async def test_no_credentials_follow_a_redirect(
    story: Any, platform: Any, elsewhere: Elsewhere, method: str, path: str
) -> None:
    away = Response(status=307, headers={"Location": f"{elsewhere.url}/take-it", "Refresh": f"0; url={elsewhere.url}"})
    platform.once(method, path, away, times=0)
    await story.apply(attempts=2)
    assert story.error is not None
    assert story.error.exit_code == 75
    assert "307" in str(story.error)
    assert elsewhere.calls == 0
    story.readable()


async def test_the_next_page_of_a_list_is_never_fetched_from_another_host(
    story: Any, platform: Any, elsewhere: Elsewhere
) -> None:
    page = f'{{"items":[],"_links":{{"next":{{"href":"{elsewhere.url}/next?continuationToken=t"}}}}}}'
    platform.once("GET", "/flowSpecs", Response(status=200, body=page.encode()), times=0)
    await story.apply(attempts=2)
    assert story.error is not None
    assert elsewhere.calls == 0


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n")
    part = b"%x\r\n%b\r\n" % (1 << 20, b" " * (1 << 20))
    while True:
        writer.write(part)
        await writer.drain()


async def head_without_end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\n")
    while True:
        writer.write(b"X-More: " + b"a" * 4000 + b"\r\n")
        await writer.drain()


async def one_header_line_without_end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\nX-More: ")
    while True:
        writer.write(b"a" * 65536)
        await writer.drain()


async def early_hints_without_end(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0)


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def drop_by_drop(data: bytes) -> Callable[[asyncio.StreamWriter], Any]:
    """A slow-loris answer: always a byte more, never the end."""

    async def say(writer: asyncio.StreamWriter) -> None:
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.01)
        await asyncio.Event().wait()

    return say


async def garbage(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x01\x02 SSH-2.0-OpenSSH_9.6\r\n\r\n")
    await writer.drain()


async def two_lengths(writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 5\r\nContent-Length: 10\r\n\r\n{"id":"x"}')
    await writer.drain()


async def length_and_chunks(writer: asyncio.StreamWriter) -> None:
    writer.write(
        b'HTTP/1.1 201 Created\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\na\r\n{"id":"x"}\r\n0\r\n\r\n'
    )
    await writer.drain()


async def a_second_answer_behind(writer: asyncio.StreamWriter) -> None:
    """Half an answer to this call, and one to the next call on this connection."""
    evil = b'{"items":[{"id":"evil","name":"evil"}]}'
    writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(evil) + evil)
    await writer.drain()


WIRES = {
    "an endless body": endless, "endless headers": head_without_end, "an endless header": one_header_line_without_end,
    "endless early hints": early_hints_without_end, "silence": silence,
    "a body drop by drop": drop_by_drop(b"HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n" + b"a" * 99),
    "garbage": garbage, "two lengths": two_lengths, "a length and chunks": length_and_chunks,
    "an answer to the next call": a_second_answer_behind,
}  # fmt: skip


SLOWER = ("an endless body", "endless headers", "an endless header", "endless early hints", "garbage", "two lengths")


@pytest.mark.parametrize(
    "say",
    [pytest.param(say, id=name, marks=pytest.mark.long if name in SLOWER else ()) for name, say in WIRES.items()],
)
async def test_a_create_that_is_answered_by_misuse_of_the_wire_is_settled(
    story: Any, platform: Any, made_once: dict[str, int], say: Any
) -> None:
    platform.once("POST", "/flows", say)
    await story.apply(timeout=1.0)
    assert story.error is None, story.error
    assert story.made() == made_once
    assert b"evil" not in story.readable()


@pytest.mark.long
@pytest.mark.parametrize("path", ["/ims/token/v3", "/stats"])
async def test_a_platform_that_never_finishes_an_answer_ends_in_try_later(story: Any, platform: Any, path: str) -> None:
    method = "POST" if "ims" in path else "GET"
    platform.once(method, path, endless, times=0)
    await story.apply(timeout=0.5, attempts=2)
    assert story.error is not None
    assert story.error.exit_code == 75, repr(story.error)
    story.readable()


# Headers


VALUES = {
    "control": '"\x00\x01\x7f"', "escape": '"\x1b[2J"', "latin": '"é"', "long": f'"{"a" * 7000}"',
    "direction": '"\u202e"',
}  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        '"a"\r\nX-Evil: from-the-etag',
        *(pytest.param(value, id=name, marks=pytest.mark.long) for name, value in VALUES.items()),
    ],
)
async def test_what_an_etag_holds_reaches_no_header_of_ours(
    story: Any, platform: Any, made_once: dict[str, int], changed: Any, value: str
) -> None:
    """Etags come back in bodies too (platform-api.md §4.1), where nothing keeps their bytes in check."""
    for path in ("/flows", "/connections"):
        platform.once("POST", path, changed(lambda right: {**right, "etag": value}), times=0)
        await story.apply()
        assert story.error is None
    assert story.made() == made_once
    heads = b"".join(request.partition(b"\r\n\r\n")[0] for request in platform.seen)
    assert b"Evil" not in heads
    assert not any(byte > 126 or (byte < 32 and byte not in b"\r\n") for byte in heads)
    shown = story.readable()
    assert b"\x1b" not in shown
    assert "\u202e".encode() not in shown


async def test_headers_of_an_answer_can_steer_neither_the_journal_nor_the_terminal(
    story: Any, platform: Any, made_once: dict[str, int]
) -> None:
    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(
            b'HTTP/1.1 201 Created\r\nETag: "\xff\xfe\xc2\x9b2J\xe2\x80\xae"\r\nX-Request-Id: \xc2\x9b31m[red]r\r\n'
            b"Location: http://elsewhere.example/\r\nRetry-After: 1e999\r\nContent-Length: 2\r\n\r\n{}"
        )
        await writer.drain()

    platform.once("POST", "/flows", say)
    await story.apply()
    assert story.error is None
    assert story.made() == made_once
    shown = story.readable()
    assert b"[red]r" in shown
    assert "\x9b".encode() not in shown
    assert "\u202e".encode() not in shown
