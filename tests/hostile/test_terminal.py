"""What a platform says is shown as text: it neither steers a terminal nor is taken for markup."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowledger.cli.printable import printable, printable_json, printable_value
from flowledger.emulator.wire import Response
from tests.bench import EXAMPLE

STEER = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe\r\n[red]not a colour[/red] [link=http://x]y[/link] [/] {x!r} %s"
HARMLESS = "[red]not a colour[/red] [link=http://x]y[/link] [/] {x!r} %s"
RAW = [b"\x1b[2J", b"\x1b]0;", b"\x07", "\x9b".encode(), "\u202e".encode()]


def refusal(status: int) -> Response:
    """A service's own refusal, whose every text is meant to be shown."""
    body = {
        "type": "https://ns.adobe.com/aep/errors/FLOW-1400-400",
        "title": STEER,
        "status": status,
        "detail": STEER,
        "report": {"request-id": STEER, "detailed-message": STEER},
        STEER: STEER,
    }
    return Response(status=status, body=json.dumps(body, ensure_ascii=False).encode())


async def test_no_verb_prints_an_escape_sequence_of_the_platform(story: Any, platform: Any) -> None:
    platform.once("POST", "/connections", refusal(400))
    await story.apply()
    assert story.error is not None
    assert story.error.exit_code == 7
    shown = story.readable() + story.cli("journal", "query", "--json")[1] + story.cli("journal", "export", "-")[1]
    assert HARMLESS.encode() in shown
    assert not any(raw in shown for raw in RAW)


async def test_a_body_that_is_no_json_is_shown_without_its_escapes(story: Any, platform: Any) -> None:
    page = f"<html>{STEER}\x00</html>".encode()
    platform.once("POST", "/connections", Response(status=502, body=page, headers={"Content-Type": "text/html"}))
    await story.apply()
    shown = story.readable()
    assert b"not a colour" in shown
    assert not any(raw in shown for raw in RAW)


@pytest.mark.parametrize(
    "more", [(), *(pytest.param((flag,), marks=pytest.mark.long) for flag in ("-vv", "--debug", "--json"))]
)
async def test_a_terminal_is_not_steered_while_a_run_fails_before_it(
    tmp_path: Path, story: Any, platform: Any, more: tuple[str, ...]
) -> None:
    """A real terminal, with rich's live view on it: in-doubt answers are noted there while the run goes on."""
    platform.once("POST", "/connections", refusal(400))
    terminal, ours = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "flowledger", "apply", str(EXAMPLE), "--journal", str(story.journal), *more,
        stdin=asyncio.subprocess.DEVNULL, stdout=ours, stderr=ours, cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": "300", **story.environment},
    )  # fmt: skip
    os.close(ours)

    def everything() -> bytes:
        read = b""
        while True:
            try:
                part = os.read(terminal, 65536)
            except OSError:  # Linux says so when the last one who had the terminal open has ended
                part = b""
            if not part:
                return read
            read += part

    shown = await asyncio.to_thread(everything)
    os.close(terminal)
    assert await process.wait() == 7, shown.decode()
    assert b"not a colour" in shown
    assert b"[red]" in shown
    if more == ():
        assert b"\x1b[" in shown, "there was no live view, so nothing was tried"
    assert not any(raw in shown for raw in (b"\x1b[2J", b"\x1b]0;", b"\x07", "\x9b".encode(), "\u202e".encode()))


# The rule itself


@given(st.text())
def test_what_is_printable_holds_nothing_that_steers_and_can_be_written(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert all(char.isprintable() or char in "\xa0" or not char.isascii() for char in shown)
    assert not set(shown) & set("\x1b\r\n\t\x7f\x85\x9b\u2028\u202e\ufeff")
    assert printable(shown) == shown


@pytest.mark.parametrize("text", ["", "plain [red]", "Création d’un jeu de données", "数据集", "emoji 🎉", "a\xa0b"])
def test_text_of_people_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_lines_are_kept_where_they_are_asked_for() -> None:
    assert printable("a\nb\x1b", keep="\n") == "a\nb\\x1b"
    assert printable("a\nb") == "a\\nb"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_json_means_the_same_and_holds_no_such_character(value: Any) -> None:
    import orjson

    for data in (orjson.dumps(value), orjson.dumps(value, option=orjson.OPT_INDENT_2)):
        shown = printable_json(data)
        assert json.loads(shown) == value
        assert not set(shown.decode()) & set("\x1b\r\t\x7f\x85\x9b\u2028\u202e\ufeff\U000e0001")


def test_names_are_texts_too() -> None:
    assert printable_value({"a\x1b": ["\x07", 1, None, ("\x9b",)]}) == {"a\\x1b": ["\\x07", 1, None, ["\\x9b"]]}
