"""Progress: a line a branch on a terminal, a line a finished step elsewhere, and never a reason to stop."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console

from flowledger.cli.progress import LiveProgress, PlainProgress, Progress, progress_for
from flowledger.engine.ledger import Ledger
from flowledger.engine.table import TABLES

INTENT = {"kind": "intent_recorded/1", "step": "create_dataset", "attempt": 1, "mono": 10.0}
DONE = {
    "kind": "outcome_recorded/1",
    "step": "create_dataset",
    "attempt": 1,
    "outcome": "done",
    "outputs": {"id": "5c8c3c555033b814b69f947f"},
    "answer": {"status": 201},
    "mono": 10.25,
}
LOST = {
    "kind": "outcome_recorded/1",
    "step": "create_dataset",
    "outcome": "in_doubt",
    "answer": {"reach": "sent", "trouble": "connection reset"},
    "mono": 10.1,
}
SETTLE = {"kind": "wait_started/1", "step": "create_dataset", "why": "settle", "seconds": 5.6, "mono": 10.2}
ADOPTED = {"kind": "step_adopted/1", "step": "create_dataset", "outputs": {"id": "x"}, "mono": 15.8}


def feed(progress: Progress, *documents: Mapping[str, Any]) -> None:
    for number, document in enumerate(documents, 1):
        progress.on_event(number, document)


def test_a_finished_step_is_one_plain_line_with_how_id_and_duration() -> None:
    stream = io.StringIO()
    feed(PlainProgress(None, stream), {"kind": "run_started/1"}, INTENT, DONE)
    assert stream.getvalue().split() == ["create_dataset", "created", "250", "ms", "5c8c3c555033b814b69f947f"]


def test_doubt_and_its_wait_are_told_in_plain_lines() -> None:
    stream = io.StringIO()
    feed(PlainProgress(None, stream), INTENT, LOST, SETTLE, ADOPTED)
    told = [line.split(maxsplit=1)[1].strip() for line in stream.getvalue().splitlines()]
    assert told == ["in doubt: connection reset", "in doubt; looking again in 5.6 s", "adopted     5.8 s  x"]


def test_a_wait_is_told_with_its_reason_also_where_nobody_answers() -> None:
    stream = io.StringIO()
    no_token = {"kind": "token_fetched/1", "answer": {"reach": "not_sent", "trouble": "cannot connect"}}
    token = {"kind": "token_fetched/1", "answer": {"status": 200}}
    call = {"method": "GET", "path": "/data/foundation/schemaregistry/stats"}
    away = {"kind": "read_answered/1", "step": "read_tenant", "call": call, "answer": {"status": 503}}
    gone = {"kind": "read_answered/1", "step": "read_tenant", "call": call, "answer": {"status": 404}}
    back_off = {"kind": "wait_started/1", "step": "read_tenant", "why": "back_off", "seconds": 1.5}
    feed(PlainProgress(None, stream), no_token, no_token, back_off, token, away, back_off, gone)
    told = [" ".join(line.split()) for line in stream.getvalue().splitlines()]
    assert told == [
        "no token yet: cannot connect",
        "read_tenant backing off for 1.5 s",
        "read_tenant reading stats: HTTP 503",
        "read_tenant backing off for 1.5 s",
    ]


def test_the_duration_counts_from_before_the_first_call() -> None:
    stream = io.StringIO()
    read = {"kind": "read_answered/1", "step": "read_tenant", "answer": {"duration_ms": 40.0}, "mono": 1.0}
    settled = {"kind": "step_settled/1", "step": "read_tenant", "how": "read", "outputs": {"id": "t"}, "mono": 1.0}
    feed(PlainProgress(None, stream), read, settled)
    assert stream.getvalue().split() == ["read_tenant", "read", "40", "ms", "t"]


def test_a_closed_stderr_does_not_stop_the_run() -> None:
    class Closed(io.StringIO):
        tries = 0

        def write(self, text: str) -> int:
            self.tries += 1
            raise BrokenPipeError

    stream = Closed()
    progress = PlainProgress(None, stream)
    feed(progress, INTENT, DONE, {**DONE, "step": "create_flow"})
    assert progress.seen == 3
    assert stream.tries == 1


def picture(progress: LiveProgress, console: Console) -> list[str]:
    with console.capture() as capture:
        console.print(progress)
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize("width", [80, 60, 200])
def test_live_progress_is_one_line_a_branch_at_any_width(width: int) -> None:
    console = Console(width=width, no_color=True, file=io.StringIO())
    progress = LiveProgress(None, console, clock=lambda: 0.0)
    feed(progress, INTENT, LOST, SETTLE, {"kind": "drift_seen/1", "step": "create_flow", "differences": ["x" * 300]})
    lines = picture(progress, console)
    assert len(lines) == len(TABLES["tutorial"].branches)
    assert max(map(len, lines)) <= width


def test_live_progress_says_what_a_branch_does_and_what_it_waits_for() -> None:
    console = Console(width=80, no_color=True, file=io.StringIO())
    progress = LiveProgress(None, console, clock=lambda: 0.0)
    feed(progress, INTENT, LOST, SETTLE)
    lines = dict(zip(TABLES["tutorial"].branches, picture(progress, console), strict=True))
    assert "create_dataset: in doubt; looking again in 5.6 s" in lines["target"]
    assert "create_mapping_set waits for create_target_schema +1" in lines["mapping"]
    feed(progress, {**ADOPTED, "step": "find_or_create_sink"})
    assert " › source   0/5 create_base_connection…" in lines["source"]
    assert "✓ sink     1/1 find_or_create_sink" in picture(progress, console)[TABLES["tutorial"].branches.index("sink")]


def test_a_run_that_begins_shows_the_branches_of_its_style() -> None:
    progress = Progress(None)
    assert "sink" in progress.branches
    feed(progress, {"kind": "run_started/1", "spec": {"style": "current"}})
    assert tuple(progress.branches) == TABLES["current"].branches
    feed(progress, {"kind": "run_started/1", "spec": {"style": "of a later version"}})
    assert tuple(progress.branches) == TABLES["current"].branches


def test_a_resumed_run_begins_where_it_stood() -> None:
    ledger = Ledger(run="r")
    ledger.step("read_tenant").outputs = {"id": "t"}
    progress = Progress(ledger)
    assert progress.branches["tenant"].next == ""
    assert progress.branches["source"].next == "create_base_connection"


@pytest.mark.parametrize(
    ("terminal", "term", "quiet", "expected"),
    [
        (True, "xterm", False, LiveProgress),
        (True, "dumb", False, PlainProgress),
        (False, "xterm", False, PlainProgress),
        (True, "xterm", True, Progress),
    ],
)
def test_progress_is_live_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, term: str, quiet: bool, expected: type[Progress]
) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    monkeypatch.setattr(sys, "stderr", Stream())
    monkeypatch.setenv("TERM", term)
    with progress_for(None, run="r", quiet=quiet) as progress:
        assert type(progress) is expected
