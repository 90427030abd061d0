"""The platform over HTTP: aiohttp, made to send once, before its deadline, and to say how far a call got.

Five things of aiohttp's insides are relied on, each with a test of its own: a session's `_retry_connection` keeps it
from repeating a call on a new connection; `ClientRequest.send` is called once the connection stands; requests are
written through the `transport` of the connection's protocol, whose `should_close` says that there is something left to
read; and `ClientResponse.start` reads up to the headers.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
import struct
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from aiohttp import hdrs
from aiohttp.client_reqrep import ClientRequest, ClientResponse
from aiohttp.connector import Connection
from yarl import URL

from flowledger.errors import NotPermitted
from flowledger.steps.client import body as bodies
from flowledger.steps.client import strictjson
from flowledger.steps.client.clock import Clock
from flowledger.steps.client.kernel import give_up_option
from flowledger.steps.client.paths import is_loopback
from flowledger.steps.client.port import Answer, Host, Reach, Request, sent_nothing
from flowledger.steps.client.trouble import advice_for

CONNECT_TIMEOUT: Final = 10.0  # seconds for one TCP and TLS handshake
CONNECTIONS: Final = 128

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_NORMAL_CLOSE: Final = struct.pack("ii", 0, 0)


class _TooLate(Exception):
    """The send deadline has passed, or the call was given up, before the first byte was written."""


@dataclass(slots=True, eq=False)
class _Call:
    """How far one call got."""

    request: Request
    clock: Clock
    holders: dict[Any, _Call]  # whose each connection is
    began: float
    transport: Any = None  # once the connection stands
    too_late: bool = False  # certain: the gate let nothing through, and will not
    deadline_missed: bool = False
    given_up: bool = False
    handed_over: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    unpacking: bodies.Unpacking | None = None

    def check_deadline(self) -> None:
        """Nothing may be written after the deadline, nor once the call was given up. Raises _TooLate."""
        deadline = self.request.send_deadline
        self.deadline_missed = deadline is not None and self.clock.monotonic() > deadline
        if self.deadline_missed or self.given_up:
            self.too_late = True
            raise _TooLate("it was too late to send")

    def take(self, transport: Any) -> None:
        """The connection stands. While an effect is out, closing it resets it, and the kernel gives up after U.

        Otherwise bytes that wait in the kernel could still arrive, and take effect, long after we gave up or died.
        """
        before = self.holders.get(transport)
        self.transport = transport
        self.holders[transport] = self
        if self.request.effect:
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            option = give_up_option()
            if option is not None:
                sock.setsockopt(socket.IPPROTO_TCP, *option)
        elif before is not None:
            before.close_normally()

    def give_up(self) -> None:
        """Let nothing more of this call leave: drop what is buffered and reset the connection.

        Not if its connection has gone back to the pool and to another call, in the moment between the last byte of
        the answer and the cancellation.
        """
        self.given_up = True
        if self.transport is not None and self.holders.get(self.transport) is self:
            with suppress(AttributeError):  # CPython 3.11.2: a TLS transport that is closed has nothing left to abort
                self.transport.abort()

    def leave(self) -> None:
        """The call is over: let go of the connection, unless the next call holds it already."""
        if self.transport is not None and self.holders.get(self.transport) is self:
            del self.holders[self.transport]
            if not self.given_up:
                self.close_normally()

    def close_normally(self) -> None:
        """Restore the socket of an effect that was answered."""
        sock = self.transport.get_extra_info("socket") if self.request.effect else None
        if sock is not None and sock.fileno() >= 0:
            with suppress(OSError):  # closed by the other side meanwhile: there is nothing to restore
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NORMAL_CLOSE)


_CALL: ContextVar[_Call] = ContextVar("flowledger_call")


class _Gate:
    """Stands in for the transport until the first write: checks the deadline there, then steps aside.

    aiohttp may write a turn of the event loop after `send`, so a check in `send` alone is not the last thing.
    """

    def __init__(self, call: _Call, protocol: Any, transport: Any) -> None:
        self._call = call
        self._protocol = protocol
        self._transport = transport

    def write(self, data: Any) -> None:
        self._open().write(data)

    def writelines(self, data: Any) -> None:
        self._open().writelines(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _open(self) -> Any:
        self._call.check_deadline()
        self._protocol.transport = self._transport
        self._call.handed_over = True
        return self._transport


class _OnceRequest(ClientRequest):
    """A request whose first byte is written before its deadline or not at all."""

    async def send(self, conn: Connection) -> ClientResponse:
        call = _CALL.get()
        protocol: Any = conn.protocol
        if protocol is None or protocol.transport is None or protocol.transport.is_closing():
            raise aiohttp.ClientConnectionError("the connection closed before it was used")
        if protocol.should_close:  # something came over it between two calls, and aiohttp would take it for our answer
            raise aiohttp.ClientConnectionError("the server spoke before it was asked")
        call.take(protocol.transport)
        call.check_deadline()
        protocol.transport = _Gate(call, protocol, protocol.transport)
        try:
            return await super().send(conn)
        except BaseException:
            call.give_up()
            raise


class _AbandonedAtOnce(ClientResponse):
    """A response that is aborted, not closed, when it fails: aiohttp would first say goodbye to a TLS peer."""

    async def start(self, connection: Connection) -> ClientResponse:
        try:
            return await super().start(connection)
        except BaseException:
            _CALL.get().give_up()
            raise


class HttpPort:
    """The port over HTTP/1.1. `base_url` and `ims_url` have no slash at the end; `clock` reads the send deadlines.

    Certificates are checked against the system's store and, if given, `ca_file`. `proxies` are asked for a tunnel to
    an https base, inside which TLS is ours end to end, so that a proxy sees host names and no credentials; a plain
    http base never goes through one. Raises NotPermitted if `ca_file` cannot be used.
    """

    def __init__(
        self,
        *,
        base_url: str,
        ims_url: str | None = None,
        clock: Clock,
        ca_file: str | None = None,
        proxies: Mapping[Host, str] | None = None,
        connections: int = CONNECTIONS,
        largest_body: int = bodies.LARGEST,
    ) -> None:
        self._bases = {Host.PLATFORM: base_url.rstrip("/"), Host.IMS: (ims_url or base_url).rstrip("/")}
        self._clock = clock
        self._proxies = {host: url for host, url in (proxies or {}).items() if self._bases[host].startswith("https:")}
        self._tls = _tls(ca_file) if any(base.startswith("https:") for base in self._bases.values()) else None
        self._connections = connections
        self._largest_body = largest_body
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # the session's
        self._closed = False
        self._calls: set[_Call] = set()
        self._holders: dict[Any, _Call] = {}
        self._gate_works = False  # until a call was seen to pass it, "nothing passed the gate" proves nothing

    async def send(self, request: Request) -> Answer:
        """Send `request` once. Raises nothing but cancellation (and TypeError for a body that is not JSON)."""
        began = self._clock.monotonic()
        if self._closed:
            return Answer(reach=Reach.NOT_SENT, trouble="the port is closed")
        try:
            url, headers, data = self._wire(request)
        except Exception as error:
            sent_nothing(error)
            raise
        if not url.isascii() or not url.isprintable() or " " in url:
            return Answer(reach=Reach.NOT_SENT, trouble="the path is not percent-encoded")
        call = _Call(request=request, clock=self._clock, holders=self._holders, began=began)
        self._calls.add(call)
        mark = _CALL.set(call)
        try:
            async with asyncio.timeout(request.timeout):
                return await self._exchange(call, URL(url, encoded=True), headers, data)
        except asyncio.CancelledError as error:
            call.give_up()
            if self._broken_off(call, "").reach is Reach.NOT_SENT:
                sent_nothing(error)
            raise
        except TimeoutError as error:
            call.give_up()
            return self._broken_off(call, str(error) or f"no whole answer within {request.timeout:g} s")
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the caller must learn how far the call got
            call.give_up()
            if _refused_on_loopback(error):
                return Answer(
                    reach=Reach.NOT_SENT,
                    trouble=f"nothing listens at {self._bases[request.host]} (connection refused)",
                    unserved=self._bases[request.host],
                    duration=self._clock.monotonic() - began,
                )
            answer = self._broken_off(call, _words(error))
            advice = advice_for(
                error, host=request.host, base=self._bases[request.host], proxied=request.host in self._proxies
            )
            return replace(answer, advice=advice.text, final=advice.final and answer.reach is Reach.NOT_SENT)
        finally:
            _CALL.reset(mark)  # else the task's context would keep the last call alive as long as the task
            self._calls.discard(call)
            call.leave()

    async def close(self) -> None:
        """Abort what is in flight and let go of connections. Calls after this answer NOT_SENT."""
        self._closed = True
        for call in tuple(self._calls):
            call.give_up()
        if self._session is not None:
            await self._session.close()

    async def rest(self) -> None:
        """Let go of the connections, which belong to the running loop. The next call opens others in its own."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _exchange(self, call: _Call, url: URL, headers: Mapping[str, str], data: bytes | None) -> Answer:
        if self._session is not None and self._loop is not asyncio.get_running_loop():
            await self.rest()  # of a loop that has ended
        session = self._session or self._open()
        async with session.request(
            call.request.method,
            url,
            headers=headers,
            data=data,
            allow_redirects=False,
            proxy=self._proxies.get(call.request.host),
        ) as response:
            self._gate_works = self._gate_works or call.handed_over
            call.headers = _headers_of(response)
            call.status = response.status
            call.unpacking = bodies.Unpacking(call.headers.get("content-encoding", ""), limit=self._largest_body)
            try:
                body = await call.unpacking.read(response.content.iter_any())
            except BaseException:
                call.give_up()
                raise
        if call.unpacking.unknown_encoding:
            value, json_fault = None, f"packed as {call.unpacking.unknown_encoding}, which was not asked for"
        elif call.request.raw and 200 <= call.status < 300:
            value, json_fault = None, ""
        else:
            value, json_fault = strictjson.parse(body)
        return Answer(
            reach=Reach.ANSWERED,
            status=call.status,
            headers=call.headers,
            body=body,
            json=value,
            json_fault=json_fault,
            duration=self._clock.monotonic() - call.began,
        )

    def _broken_off(self, call: _Call, trouble: str) -> Answer:
        if call.status is not None:
            reach = Reach.CUT
        elif call.too_late or call.transport is None or (self._gate_works and not call.handed_over):
            reach = Reach.NOT_SENT
        else:
            reach = Reach.SENT
        return Answer(
            reach=reach,
            status=call.status,
            headers=call.headers,
            body=bytes(call.unpacking.bytes) if call.unpacking else b"",
            trouble="the send deadline had passed" if call.deadline_missed else trouble,
            deadline_missed=call.deadline_missed,
            duration=self._clock.monotonic() - call.began,
        )

    def _wire(self, request: Request) -> tuple[str, dict[str, str], bytes | None]:
        url = self._bases[request.host] + request.path
        if request.query:
            url += "?" + urlencode(request.query, quote_via=quote, safe="")
        headers = dict(request.headers)
        if request.form is not None:
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
            return url, headers, urlencode(request.form).encode()
        return url, headers, None if request.body is None else strictjson.encode(request.body)

    def _open(self) -> aiohttp.ClientSession:
        self._loop = asyncio.get_running_loop()
        self._session = session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._tls if self._tls is not None else True),
            request_class=_OnceRequest,
            response_class=_AbandonedAtOnce,
            cookie_jar=aiohttp.DummyCookieJar(),  # a balancer's cookie would tie runs to each other
            headers={hdrs.USER_AGENT: "flowledger", hdrs.ACCEPT_ENCODING: "gzip"},
            skip_auto_headers=(hdrs.CONTENT_TYPE,),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
        )
        session._retry_connection = False  # aiohttp repeats PUT and DELETE on a reused connection (protocol rule 7)
        return session


def _tls(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            why = error.strerror or "not a file of certificates"
            raise NotPermitted(f"FLOWLEDGER_CA_FILE {ca_file}: {why}", hint="give a PEM file, or unset it") from None
    return context


def _headers_of(response: ClientResponse) -> dict[str, str]:
    """Header values as text that any journal can hold; several of one name are joined as RFC 9110 says."""
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        text = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        key = name.lower()
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _refused_on_loopback(error: Exception) -> bool:
    """True where a port of this machine refused the connection: the emulator is not running."""
    return (
        isinstance(error, aiohttp.ClientConnectorError)
        and not isinstance(error, aiohttp.ClientProxyConnectionError)
        and error.os_error.errno == errno.ECONNREFUSED
        and is_loopback(f"//[{error.host}]" if ":" in error.host else f"//{error.host}")
    )


def _words(error: BaseException) -> str:
    """An error in words, with what caused it; aiohttp's outer errors alone often say nothing."""
    said = str(error)
    cause = error.__cause__
    inner = str(cause) if cause is not None and str(cause) not in said else ""
    words = f"{type(error).__name__}: {'; '.join(part for part in (said, inner) if part)}".rstrip(": ")
    return re.sub(r"//[^/@\s]+@", "//", words)  # a proxy's URL may hold a password
