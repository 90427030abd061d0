"""Requests and responses as the emulator's core sees them: plain values, no socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson


class Delivery(StrEnum):
    """What becomes of a response on its way to the client."""

    WHOLE = "whole"  # delivered as it is
    DROPPED = "dropped"  # the connection is closed before the first byte of the response
    CUT = "cut"  # the connection is closed in the middle of the body


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call. Header names are lower case. `raw_path` is still percent-encoded, without the query."""

    method: str
    raw_path: str
    query: tuple[tuple[str, str], ...] = ()
    raw_query: str | None = None  # as it was sent, still percent-encoded; None when it was not sent over a socket
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def first(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), None)

    def every(self, name: str) -> list[str]:
        """All values of a query parameter."""
        return [value for key, value in self.query if key == name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer. `delay` is how many seconds the client waits for it; nobody sleeps in the core."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delivery: Delivery = Delivery.WHOLE
    delay: float = 0.0


def json_response(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with a JSON body."""
    return Response(
        status=status, body=orjson.dumps(value), headers={"content-type": "application/json", **(headers or {})}
    )


class Refused(Exception):
    """A service's or the gateway's documented refusal; carries the response to send."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"{response.status} {response.body[:200]!r}")
        self.response = response
