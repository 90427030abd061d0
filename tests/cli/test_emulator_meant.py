"""Which emulator a verb means, and what it says when none is there, or something else is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from flowledger.cli import background
from flowledger.errors import TryLater

ASKING = [
    ("status",),
    ("advance", "30m"),
    ("logs",),
    ("faults", "list"),
    ("faults", "add", "drop", "* *"),
    ("faults", "clear"),
    ("reset", "--yes"),
]


class Other(BaseHTTPRequestHandler):
    """A service that is no emulator; `said` is what it answers to everything."""

    said = (404, b"not found")

    def do_GET(self) -> None:
        status, body = self.said
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_DELETE = do_GET  # noqa: N815 - names that http.server asks for

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def other() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("line", [line for line in ASKING if line[0] != "reset" and line[1:] != ("clear",)], ids=str)
@pytest.mark.parametrize(
    "said",
    [(404, b"not found"), (404, b'{"detail":"x"}'), (200, b"{}"), (200, b"[]"), (200, b"<html>"), (500, b"")],
    ids=str,
)
def test_what_answers_and_is_no_emulator_is_told_so(
    program: Any, other: HTTPServer, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...], said: tuple[int, bytes]
) -> None:
    monkeypatch.setattr(Other, "said", said)
    ran = program("emulator", *line, "--url", f"http://127.0.0.1:{other.server_port}")
    assert ran.code == 75, ran.err
    assert "is no emulator" in ran.err
    assert "next: flowledger emulator start" in ran.err
    assert "faults add --help" not in ran.err


@pytest.mark.parametrize("line", ASKING, ids=str)
def test_where_none_was_started_every_verb_says_how_to(program: Any, line: tuple[str, ...]) -> None:
    program.env.pop("FLOWLEDGER_BASE_URL", None)
    ran = program("emulator", *line)
    assert ran.code == 5, ran.err
    assert "flowledger emulator start -d" in ran.err


def test_faults_and_reset_find_the_emulator_in_the_background(program: Any) -> None:
    started = program.apart("emulator", "start", "-d", "--port", "0", "--state", "kept")
    assert started.code == 0, started.err
    try:
        program.env.pop("FLOWLEDGER_BASE_URL", None)
        assert program("emulator", "faults", "add", "drop", "GET /flows", "--state", "kept").code == 0
        assert "GET /flows" in program("emulator", "faults", "list", "--state", "kept").out
        assert program("emulator", "faults", "clear", "--state", "kept").code == 0
        assert program("emulator", "reset", "--yes", "--state", "kept").code == 0
        both = program("emulator", "reset", "--yes", "--state", "kept", "--url", "http://127.0.0.1:1")
        assert both.code == 2
    finally:
        first = program.apart("emulator", "stop", "--state", "kept")
    again = program.apart("emulator", "stop", "--state", "kept")
    assert (first.code, again.code) == (0, 0)
    assert "Nothing to stop" in again.out


def test_a_refusal_leads_to_the_help_of_the_verb_that_was_typed(program: Any, emulator: Any) -> None:
    ran = program("emulator", "advance", "4000d", "--url", emulator.url)
    assert ran.code == 2
    assert "next: flowledger emulator advance --help" in ran.err


def test_a_child_that_hangs_is_ended_and_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexec sleep 1000\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(background, "START_TIMEOUT", 0.05)

    with pytest.raises(TryLater, match="did not begin to serve"):
        background.start_apart([], state=tmp_path / "state", quiet=True)


def test_a_refusal_is_in_the_log_with_its_code_and_title(program: Any, emulator: Any) -> None:
    import urllib.error
    import urllib.request

    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{emulator.url}/data/foundation/flowservice/flows")
    ran = program("emulator", "logs", "--url", emulator.url)
    assert "Api Key is required" in ran.out
