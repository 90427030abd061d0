"""Join a core `handle(request) -> response` to the client in one process, in the injected clock's time.

What the network can do to a call is done here by a script: where a call is stopped, and what becomes of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import urlencode

from flowledger.steps.client import strictjson
from flowledger.steps.client.clock import Clock
from flowledger.steps.client.port import Answer, Reach, Request, sent_nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreRequest:
    """A call as a core sees it: header names in lower case, the path still percent-encoded, without the query."""

    method: str
    raw_path: str
    query: tuple[tuple[str, str], ...] = ()
    raw_query: str | None = None  # as it was sent; None: it was not sent over a socket
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def first(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), None)

    def every(self, name: str) -> list[str]:
        """All values of a query parameter."""
        return [value for key, value in self.query if key == name]


class CoreResponse(Protocol):
    """What a core answers. `delivery` is "whole", "dropped" or "cut"; `delay` is in seconds."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def delivery(self) -> str: ...
    @property
    def delay(self) -> float: ...


class Moment(StrEnum):
    """Where a call can be stopped, in order."""

    CONNECTED = "connected"  # before the deadline is checked
    CHECKED = "checked"  # the deadline is checked, nothing handed over
    HANDED_OVER = "handed_over"  # on its way, the core has not seen it
    COMMITTED = "committed"  # the core has handled it, the client has read nothing
    PARTLY_READ = "partly_read"  # the status is read, the body not yet


class Fate(StrEnum):
    """What becomes of a call."""

    ANSWERED = "answered"
    REFUSED = "refused"  # no connection: the core does not see it, and nothing is sent
    LOST = "lost"  # sent, and the core never sees it
    ANSWER_LOST = "answer_lost"  # the core handles it, and its answer is lost
    ANSWER_CUT = "answer_cut"  # the core handles it, and its answer ends in the middle of the body


class InProcessPort:
    """A port without sockets, with the semantics of `HttpPort`.

    `fate(request)` is asked once for each call. `at(moment, request)` is awaited at each moment that a call passes;
    it may wait (a process that stands still) or raise (a process that dies). What the core has handled stays handled
    when the client gives up or is cancelled: that is what makes a call in doubt.
    """

    def __init__(
        self,
        handle: Callable[[Any], CoreResponse],
        clock: Clock,
        *,
        fate: Callable[[Request], Fate] | None = None,
        at: Callable[[Moment, Request], Awaitable[None]] | None = None,
    ) -> None:
        self._handle = handle
        self._clock = clock
        self._fate = fate
        self._at = at
        self._closed = False

    async def send(self, request: Request) -> Answer:
        """Give `request` to the core once. Raises nothing but cancellation and what the hooks raise."""
        began = self._clock.monotonic()
        fate = self._fate(request) if self._fate else Fate.ANSWERED
        if self._closed or fate is Fate.REFUSED:
            return Answer(reach=Reach.NOT_SENT, trouble="the port is closed" if self._closed else "connection refused")
        try:
            core_request = _to_core(request)
            await self._pass(Moment.CONNECTED, request)
            if request.send_deadline is not None and self._clock.monotonic() > request.send_deadline:
                return Answer(reach=Reach.NOT_SENT, trouble="the send deadline had passed", deadline_missed=True)
            await self._pass(Moment.CHECKED, request)
        except BaseException as error:
            sent_nothing(error)
            raise
        await self._pass(Moment.HANDED_OVER, request)
        if fate is Fate.LOST:
            return await self._silent(began, "connection reset")
        response = self._handle(core_request)
        await self._pass(Moment.COMMITTED, request)
        if response.delay > request.timeout:
            return await self._silent(began, f"no answer within {request.timeout:g} s", wait=request.timeout)
        await self._clock.sleep(response.delay)
        if fate is Fate.ANSWER_LOST or response.delivery == "dropped":
            return await self._silent(began, "connection reset before the answer")
        await self._pass(Moment.PARTLY_READ, request)
        headers = {name.lower(): value for name, value in response.headers.items()}
        if fate is Fate.ANSWER_CUT or response.delivery == "cut":
            return Answer(
                reach=Reach.CUT,
                status=response.status,
                headers=headers,
                body=response.body[: len(response.body) // 2],
                trouble="connection reset in the middle of the body",
                duration=self._clock.monotonic() - began,
            )
        file = request.raw and 200 <= response.status < 300
        value, json_fault = (None, "") if file else strictjson.parse(response.body)
        return Answer(
            reach=Reach.ANSWERED,
            status=response.status,
            headers=headers,
            body=response.body,
            json=value,
            json_fault=json_fault,
            duration=self._clock.monotonic() - began,
        )

    async def close(self) -> None:
        """Calls after this answer NOT_SENT."""
        self._closed = True

    async def _pass(self, moment: Moment, request: Request) -> None:
        if self._at is not None:
            await self._at(moment, request)

    async def _silent(self, began: float, trouble: str, *, wait: float = 0.0) -> Answer:
        await self._clock.sleep(wait)
        return Answer(reach=Reach.SENT, trouble=trouble, duration=self._clock.monotonic() - began)


def _to_core(request: Request) -> CoreRequest:
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = b""
    if request.form is not None:
        body = urlencode(request.form).encode()
        headers.setdefault("content-type", "application/x-www-form-urlencoded")
    elif request.body is not None:
        body = strictjson.encode(request.body)
    return CoreRequest(method=request.method, raw_path=request.path, query=request.query, headers=headers, body=body)
