"""The shell around the core: HTTP on loopback, answers delivered as the core says (aiohttp.web)."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

from aiohttp import StreamReader, web

from flowledger.emulator.core import Emulator
from flowledger.emulator.loopback import authority_of, is_loopback
from flowledger.emulator.run_worker import Worker
from flowledger.emulator.wire import Delivery, Request, Response

LOG = logging.getLogger(__name__)
ADVANCE = "/_emulator/advance"
ADVANCE_PATIENCE_S = 5.0  # how long it waits for what became due; more goes on behind it, and health tells when it ends

LONGEST_LINE = 1 << 20  # bytes of a request line or a header: whether it is too long is the gateway's to say


class Server:
    """An emulator being served. `url` has no trailing slash."""

    def __init__(self, runner: web.ServerRunner, url: str, worker: Worker | None) -> None:
        self._runner = runner
        self._worker = worker
        self.url = url

    async def close(self) -> None:
        """Stop serving, at once: calls being delayed get no answer. The emulator stays open."""
        await self._runner.cleanup()
        if self._worker is not None:
            await self._worker.close()


async def serve(emulator: Emulator, *, port: int = 0, host: str = "127.0.0.1") -> Server:
    """Serve until the server is closed. Port 0 takes a free one.

    Raises ValueError for a host that is not loopback: the emulator knows no TLS and its secret is public.
    OSError when the port is taken.
    """
    if not is_loopback(f"[{host}]" if ":" in host else host):
        raise ValueError(f"the emulator serves on loopback only, not on {host}")
    worker = None if emulator.plane is None else Worker(emulator)
    server = web.Server(_handler(emulator, worker), max_line_size=LONGEST_LINE, max_field_size=LONGEST_LINE)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
    except OSError:
        await runner.cleanup()
        if worker is not None:
            await worker.close()
        raise
    address = runner.addresses[0]
    shown_host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return Server(runner, f"http://{shown_host}:{address[1]}", worker)


async def run_server(
    emulator: Emulator,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    stop: asyncio.Event,
    ready: Callable[[str], None],
) -> None:
    """Serve until `stop` is set; `ready` is told the URL once calls are answered. Closes server and emulator."""
    try:
        server = await serve(emulator, port=port, host=host)
        try:
            ready(server.url)
            await stop.wait()
        finally:
            await server.close()
    finally:
        emulator.close()


def _handler(
    emulator: Emulator, worker: Worker | None
) -> Callable[[web.BaseRequest], asyncio.Future[web.StreamResponse]]:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        call = _as_seen_by_core(request, await _body(request.content, emulator.options.body_maximum))
        try:
            if worker is not None:
                await worker.catch_up()
        except sqlite3.Error as problem:
            return await _delivered(request, emulator.not_kept(call, problem))
        # No await between here and the answer: a client that goes away cannot stop the call half-way.
        try:
            response = emulator.handle(call)
        except Exception as problem:
            LOG.exception("the emulator failed in %s %s", call.method, call.raw_path)
            return await _delivered(request, emulator.failed(problem))
        if worker is not None and request.path == ADVANCE:
            await worker.catch_up(patience=ADVANCE_PATIENCE_S)
        if response.delay > 0:
            await asyncio.sleep(response.delay)
        return await _delivered(request, response)

    return handle  # type: ignore[return-value] # aiohttp's type asks for an awaitable, which a coroutine is


async def _body(content: StreamReader, most: int) -> bytes:
    """The body, read no further than tells that it is too long: that is the gateway's to say."""
    body = bytearray()
    while len(body) <= most and (part := await content.read(most + 1 - len(body))):
        body += part
    return bytes(body)


def _as_seen_by_core(request: web.BaseRequest, body: bytes) -> Request:
    """The call, its path still as it was sent: an encoded slash is part of an id (platform-api.md §2).

    A header that came twice is one text with a comma, so that no check sees only one of its values. All hosts that the
    call names are in `host`: none becomes an empty text, which is refused as two are.
    """
    target = _text(request.raw_path)
    hosts = request.headers.getall("host", [""])
    if not target.startswith("/"):
        hosts = [*({authority_of(target)} - {"", *hosts}), *hosts]
        parts = urlsplit(target)  # absolute form, as sent to a proxy
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    path, _, query = target.partition("?")
    headers = {name.lower(): _text(", ".join(request.headers.getall(name))) for name in request.headers}
    return Request(
        method=request.method,
        raw_path=path,
        query=tuple(parse_qsl(query, keep_blank_values=True)) if query else (),
        raw_query=query,
        headers={**headers, "host": _text(", ".join(hosts))},
        body=body,
    )


def _text(value: str) -> str:
    """A header whose bytes are no UTF-8 as text that can be answered and logged."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


async def _delivered(request: web.BaseRequest, response: Response) -> web.StreamResponse:
    if response.delivery is Delivery.WHOLE:
        return web.Response(status=response.status, body=response.body or None, headers=response.headers)
    answer = web.StreamResponse(status=response.status or 500, headers=response.headers)
    if response.delivery is Delivery.CUT and len(response.body) > 1:
        answer.content_length = len(response.body)
        await answer.prepare(request)
        await answer.write(response.body[: len(response.body) // 2])
    if request.transport is not None:
        request.transport.abort()
    return answer
