"""How things look on a page, and how words become values."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from flowledger.cli import show
from flowledger.cli.provision import seconds_of, start_of
from flowledger.cli.showhistory import history_lines
from flowledger.engine.history import history_of
from flowledger.errors import UsageError


class Doc(dict[str, Any]):
    """A document with its number, as TinyDB hands it out."""

    def __init__(self, number: int, /, **fields: Any) -> None:
        super().__init__(fields)
        self.doc_id = number


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("1.5m", 90), ("2h", 7200), ("250ms", 0.25), ("10", 10), ("0s", 0)]
)
def test_durations_are_read_with_their_units(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1s", "10 days", "nan", "inf", "1e99s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        seconds_of(text)


def test_starts_are_read_as_the_spec_holds_them() -> None:
    assert start_of(None) is None
    assert start_of("4000000000") == 4000000000
    assert start_of("+10m") == "+10m"
    for text in ("10m", "+m", "+1x", "-5", ""):
        with pytest.raises(UsageError):
            start_of(text)


def test_tables_align_and_let_their_last_column_run() -> None:
    assert show.table([("a", "bb", "c"), ("aaa", "b", "cc")], head=("X", "Y", "Z"), indent=0) == [
        "X    Y   Z",
        "a    bb  c",
        "aaa  b   cc",
    ]
    assert show.table([]) == []


def test_long_text_keeps_both_ends() -> None:
    assert (
        show.fitted("https://ns.adobe.com/t/classes/0123456789abcdef", 20) == "https://ns…89abcdef"[0:10] + "…789abcdef"
    )
    assert show.fitted("short", 20) == "short"
    for room in range(8, 40):
        assert len(show.fitted("x" * 100, room)) == room


def test_moments_and_durations_are_for_people() -> None:
    assert [show.ago(0, now=now) for now in (1, 59, 60, 7200, 200000)] == [
        "just now", "59 seconds ago", "1 minute ago", "2 hours ago", "2 days ago",
    ]  # fmt: skip
    assert [show.lasting(seconds) for seconds in (0.0004, 0.25, 2, 61)] == ["0 ms", "250 ms", "2.0 s", "1 min 1 s"]


REPORT = {
    "run": "r",
    "state": "provisioned",
    "sandbox": "prod",
    "org": "LOCAL@AdobeOrg",
    "duplicates": [],
    "resources": [
        {"step": "create_source_connection", "how": "created", "id": "2c48a152-3d49-43cb-88a1-523d49e3cbcb"},
        {"step": "create_adhoc_class", "how": "adopted", "id": "https://ns.adobe.com/acme/classes/" + "5" * 48},
    ],
}


@pytest.mark.parametrize("terminal", [True, False])
def test_ids_are_whole_in_a_pipe_and_fit_on_a_terminal(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    lines = show.report_lines(REPORT)
    assert all("\x1b" not in line for line in lines)
    whole = any("5" * 48 in line for line in lines)
    assert whole is not terminal
    if terminal:
        assert max(map(len, lines)) <= 80
        assert any("status r --json" in line for line in lines)


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert show.bold("x") == "\x1b[1mx\x1b[0m"
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(name, value)
            assert show.bold("x") == "x"


EVENTS = [
    Doc(7, kind="run_taken_up/1", at=1.0, pid=1, host="h"),
    Doc(8, kind="intent_recorded/1", at=2.0, step="create_dataset", attempt=1, call={"method": "POST", "path": "/p"}),
    Doc(9, kind="from_the_future/3", at=2.5, step="create_dataset"),
    Doc(
        12,
        kind="outcome_recorded/1",
        at=3.0,
        step="create_dataset",
        attempt=1,
        outcome="done",
        outputs={"id": "abc"},
        answer={"status": 201, "duration_ms": 12.5},
    ),
]


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_history_fits_the_terminal_and_loses_no_column(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    lines = history_lines(history_of(EVENTS))
    assert max(map(len, lines)) <= max(columns, 66)
    outcome = next(line for line in lines if line.lstrip().startswith("12 "))
    assert {"target", "create_dataset", "201"} <= set(outcome.split())


def test_history_tells_events_of_a_later_version_without_failing() -> None:
    entries = history_of(EVENTS)
    assert entries[2].text == "an event of a kind that this version does not know"
    assert [(entry.number, entry.pair) for entry in entries] == [(7, 0), (8, 12), (9, 0), (12, 8)]


def test_a_locale_without_utf_8_loses_an_arrow_and_nothing_else(program: Any) -> None:
    spec = program.spec((r"title: PayPal products", "title: Käufe →"))
    env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    page = program.apart("plan", spec, "--offline", env=env)
    assert page.code == 0, page.err
    assert "token \\u2192 create_base_connection" in page.out
    assert program.apart("validate", spec, "--json", env=env).json["spec"]["target"]["dataset"]["title"] == "Käufe →"
