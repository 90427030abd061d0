"""A file's bytes pass both ports as they are; what is no success is read as any other answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flowledger.steps.client.inprocess import InProcessPort
from flowledger.steps.client.port import Reach, Request
from flowledger.testing import VirtualTime

FILE = Request(method="GET", path="/a", raw=True)
BYTES = b'PAR1\x00\xff{"clientSecret": "x"}'
GONE = b'{"error_code":"404000","message":"gone"}'


@dataclass
class Response:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    delivery: str = "whole"


async def test_over_http(net: Any) -> None:
    head = f"HTTP/1.1 206 Partial Content\r\nContent-Length: {len(BYTES)}\r\n\r\n".encode()
    answer = await net.answer_to(net.saying(head + BYTES), FILE)
    assert (answer.ok, answer.body, answer.json) == (True, BYTES, None)
    head = f"HTTP/1.1 404 Not Found\r\nContent-Length: {len(GONE)}\r\n\r\n".encode()
    answer = await net.answer_to(net.saying(head + GONE), FILE)
    assert (answer.ok, answer.json["message"]) == (False, "gone")


async def test_a_body_that_ends_early_is_cut_over_http(net: Any) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BYTES) + 1}\r\n\r\n".encode()
    answer = await net.answer_to(net.saying(head + BYTES), FILE)
    assert (answer.ok, answer.reach) == (False, Reach.CUT)


async def test_in_one_process() -> None:
    time = VirtualTime()
    answer = await InProcessPort(lambda request: Response(206, BYTES), time).send(FILE)
    assert (answer.ok, answer.body, answer.json) == (True, BYTES, None)
    answer = await InProcessPort(lambda request: Response(404, GONE), time).send(FILE)
    assert (answer.ok, answer.json["message"]) == (False, "gone")
