"""Counts what happens to the real processes of tests/acceptance and tests/crash/test_real_kills.py, from outside.

They acknowledge to nobody: what can be seen is what lies on the platform, and that each call which the platform got has
its intent on the disk.
"""

from __future__ import annotations

from collections import Counter
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import orjson
import pytest

from crashmatrix.styles import EFFECTS, MADE_ONCE, TUTORIAL
from flowledger.engine.ledger import Ledger, ledger_of
from flowledger.journal import JournalReader
from tests.proof.found import KINDS, Found, died, ended, look, struck


def watch_kills(module: Any) -> None:
    """`module`: tests/acceptance/conftest.py."""
    kill, hooked = module.Console._kill_where, module.LivePlatform._hooked

    @wraps(kill)
    def counted_kill(self: Any, *args: Any, **kwargs: Any) -> Any:
        code = kill(self, *args, **kwargs)
        if code == -9:
            died()
        return code

    @wraps(hooked)
    def counted_call(self: Any, request: Any) -> Any:
        if _is_create(request.method, request.raw_path):
            self.creates = getattr(self, "creates", 0) + 1
        return hooked(self, request)

    module.Console._kill_where, module.LivePlatform._hooked = counted_kill, counted_call


def look_at_kills(item: pytest.Item) -> None:
    fixtures = getattr(item, "funcargs", {})
    console, platform = fixtures.get("console"), fixtures.get("platform")
    if console is None or platform is None:
        return
    journal = console.folder / ".flowledger" / "journal"
    if not journal.exists():
        return
    ledgers = _ledgers_in(journal)
    found = look(platform.emulator, ledgers)
    intents = sum(len(record.attempts) for ledger in ledgers for record in ledger.steps.values())
    found.lost = max(0, getattr(platform, "creates", 0) - intents)
    ended(item.name, found)


def watch_kills_at_points(module: Any) -> None:
    """`module`: tests/crash/test_real_kills.py, whose emulator is a process of its own and is asked over HTTP."""
    live, ask = module.Nursery.live, module.Emulator.ask
    killed: list[str] = []
    journals: dict[Path, None] = {}  # of everybody who called the emulator since it was emptied: a stranger's, too

    @wraps(ask)
    def counted_ask(self: Any, method: str, what: str, *args: Any, **kwargs: Any) -> Any:
        if (method, what) == ("POST", "reset"):
            journals.clear()
        return ask(self, method, what, *args, **kwargs)

    @wraps(live)
    def counted_live(self: Any, journal: Path, url: str, **how: Any) -> tuple[int, str]:
        outcome: tuple[int, str] = live(self, journal, url, **how)
        journals[journal] = None
        where = how.get("crash") or (f"{how['stage']} at call {how['call']}: {outcome[1]}" if outcome[1] else None)
        if where is not None:
            died()  # by SIGKILL, or by itself after an append that failed
            killed.append(str(where))
        elif killed:  # the first process after the one that died
            name = f"real: {how.get('style', TUTORIAL)}: {', then '.join(killed)}"
            killed.clear()
            ended(name, _look_from_outside(url, journal, list(journals)))
        return outcome

    module.Nursery.live, module.Emulator.ask = counted_live, counted_ask


def _look_from_outside(url: str, journal: Path, journals: list[Path]) -> Found:
    """`journal` is ours; `journals` are those of everybody who called the emulator."""
    ledgers = _ledgers_in(journal)
    kind_of = {step: effect.kind for step, effect in EFFECTS.items()}
    style = next((ledger.spec.style for ledger in ledgers if ledger.spec), TUTORIAL)
    known = Counter(
        kind_of[record.name]
        for ledger in ledgers
        for record in ledger.steps.values()
        if record.done and record.name in kind_of
    )
    there: dict[str, int] = _ask(url, "counts")
    calls = _ask(url, "requests?limit=1000")["requests"]  # one that takes effect late is in there a second time
    sent = sum(_is_create(call["method"], call["path"]) and not call["late"] for call in calls)
    struck(sum(fault["struck"] for fault in _ask(url, "faults")["faults"]))
    everybody = [ledger for one in journals for ledger in _ledgers_in(one)]
    intents = sum(len(record.attempts) for ledger in everybody for record in ledger.steps.values())
    return Found(
        duplicates=sum(max(0, count - MADE_ONCE[style].get(kind, 0)) for kind, count in there.items()),
        orphans=sum(max(0, count - known[kind]) for kind, count in there.items()),
        lost=max(0, sent - intents),
    )


def _ledgers_in(journal: Path) -> list[Ledger]:
    with JournalReader.open(journal) as reader:
        return [ledger_of(run, reader.events(run)) for run in reader.runs()]


def _ask(url: str, what: str) -> Any:
    with urlopen(f"{url}/_emulator/{what}", timeout=30) as answer:  # the test's own emulator, on loopback
        return orjson.loads(answer.read())


def _is_create(method: str, path: str) -> bool:
    return method == "POST" and path.rpartition("/")[2] in KINDS
