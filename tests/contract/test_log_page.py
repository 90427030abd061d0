"""The log of calls as a page, for browsers of this machine and their own pages only."""

from __future__ import annotations

import re

import pytest

from flowledger.emulator.core import Emulator
from flowledger.emulator.wire import Request


def ask(emulator: Emulator, method: str, what: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    request = Request(method=method, raw_path=f"/_emulator/{what}", query=(), headers=headers, body=b"")
    answer = emulator.handle(request)
    return answer.status, answer.body.decode(), dict(answer.headers)


def test_the_page_loads_nothing_from_elsewhere() -> None:
    status, page, headers = ask(Emulator(), "GET", "")
    assert status == 200
    assert headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert not re.search(r"https?://", page)


def test_what_a_call_says_is_shown_as_text() -> None:
    """Paths are whatever a client sent: the page never makes markup of them."""
    _, page, _ = ask(Emulator(), "GET", "")
    assert "textContent" in page
    assert "innerHTML" not in page
    assert "insertAdjacentHTML" not in page


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example", "host": "127.0.0.1:8480"},
        {"origin": "null", "host": "127.0.0.1:8480"},
        {"origin": "http://127.0.0.1:9999", "host": "127.0.0.1:8480"},
        {"host": "evil.example:8480"},
        {"origin": "http://127.evil.example:8480", "host": "127.evil.example:8480"},
        {"host": "localhost.evil.example"},
    ],
    ids=[
        "another site",
        "a sandboxed page",
        "another port",
        "a name that was bound to this address",
        "such a name that looks like an address",
        "such a name that looks like localhost",
    ],
)
@pytest.mark.parametrize(("method", "what"), [("POST", "reset"), ("GET", "requests"), ("GET", "")])
def test_a_page_of_somebody_else_gets_nothing(headers: dict[str, str], method: str, what: str) -> None:
    assert ask(Emulator(), method, what, **headers)[0] == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8480", "localhost:8480", "[::1]:8480", "localhost"])
def test_its_own_page_and_programs_are_answered(host: str) -> None:
    emulator = Emulator()
    assert ask(emulator, "POST", "reset", host=host, origin=f"http://{host}")[0] == 204
    assert ask(emulator, "GET", "health", host=host)[0] == 200


@pytest.mark.parametrize(
    "limit", ["0", "-1", "x", "9" * 5000, "٣"], ids=["none", "less", "a word", "absurd", "no ascii"]
)
def test_a_limit_of_the_log_that_cannot_be_meant_is_refused(limit: str) -> None:
    request = Request(method="GET", raw_path="/_emulator/requests", query=(("limit", limit),), headers={}, body=b"")
    assert Emulator().handle(request).status == 400
