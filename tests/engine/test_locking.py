"""Waiting for the journal's lock hears a halt and a cancellation, and leaves no lock behind."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from flowledger.engine import api, fleet
from flowledger.engine.halt import Halt
from flowledger.engine.locking import open_journal
from flowledger.errors import Interrupted, JournalHeld
from flowledger.journal import Journal
from flowledger.steps.client.clock import SystemClock
from tests.bench import example


@pytest.fixture(params=["apply", "apply_many", "resume", "drift", "destroy"])
def verb(request: pytest.FixtureRequest) -> Any:
    given: dict[str, Any] = {"apply": example(), "apply_many": [example()]}
    return lambda **options: getattr(fleet if "many" in request.param else api, request.param)(
        given.get(request.param, "paypal-products"), **options
    )


async def test_a_halt_ends_the_wait_for_the_lock(tmp_path: Path, verb: Any, connected: None) -> None:
    halt = Halt()
    with Journal.open(tmp_path / "j"):
        asyncio.get_running_loop().call_soon(halt.request, "SIGTERM")
        with pytest.raises(Interrupted, match="SIGTERM"):
            await verb(journal=tmp_path / "j", lock_timeout=3600.0, halt=halt)


async def test_a_cancelled_wait_for_the_lock_ends_and_takes_no_lock(tmp_path: Path, verb: Any, connected: None) -> None:
    held = Journal.open(tmp_path / "j")
    waiting = asyncio.ensure_future(verb(journal=tmp_path / "j", lock_timeout=3600.0))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    held.close()
    Journal.open(tmp_path / "j").close()


async def test_a_caller_that_is_cancelled_while_the_journal_opens_leaves_no_lock_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, begun = asyncio.get_running_loop(), asyncio.Event()
    whole = Journal.open

    def slow(directory: Path) -> Journal:
        journal = whole(directory)
        loop.call_soon_threadsafe(begun.set)
        return journal

    monkeypatch.setattr(Journal, "open", slow)
    opening = asyncio.ensure_future(open_journal(tmp_path / "j", lock_timeout=0.0, halt=Halt(), clock=SystemClock()))
    await begun.wait()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    monkeypatch.undo()
    Journal.open(tmp_path / "j").close()


async def test_the_lock_is_waited_for_until_it_is_free(tmp_path: Path) -> None:
    held = Journal.open(tmp_path / "j")

    class Clock(SystemClock):
        async def sleep(self, seconds: float) -> None:
            held.close()

    book = await open_journal(tmp_path / "j", lock_timeout=3600.0, halt=Halt(), clock=Clock())
    book.close()


async def test_without_a_wait_a_held_lock_is_told_at_once(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j"), pytest.raises(JournalHeld):
        await open_journal(tmp_path / "j", lock_timeout=0.0, halt=Halt(), clock=SystemClock())


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "BASE_URL": "http://127.0.0.1:1", "CLIENT_ID": "a", "CLIENT_SECRET": "b" * 16, "ORG_ID": "o",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"FLOWLEDGER_{name}", value)
