"""An emulator in the background: started, asked, read along, stopped."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.program import credentials


@pytest.fixture
def started(program: Any) -> Iterator[Any]:
    """A program whose emulator serves in the background."""
    ran = program.apart("emulator", "start", "-d", "--port", "0", "--tenant", "acme", "--sandbox", "prod")
    assert ran.code == 0, ran.err
    yield program
    program.apart("emulator", "stop")


def test_it_serves_until_it_is_stopped_and_keeps_its_state(started: Any) -> None:
    first = started("emulator", "status", "--json")
    assert first.code == 0
    assert first.json["health"]["status"] == "ok"
    url = first.json["url"]
    started.env |= credentials(url)
    assert started("apply", started.spec()).code == 0
    assert "flows  " in started("emulator", "status").out
    assert started("emulator", "stop").code == 0
    assert started("emulator", "status").code == 5
    assert started.apart("emulator", "start", "-d", "--port", "0").code == 0
    assert started("emulator", "status", "--json").json["counts"]["flows"] == 1


def test_it_says_how_to_end_it_where_it_keeps_its_state(program: Any) -> None:
    ready = program.apart("emulator", "start", "-d", "--port", "0", "--state", "my state")
    assert "flowledger emulator stop --state 'my state' ends it" in ready.out
    assert program("emulator", "stop", "--state", "my state").code == 0


def test_what_the_emulator_warns_of_at_its_start_is_shown(program: Any) -> None:
    tables = program.folder / "tables"
    tables.mkdir()
    (tables / "orders.csv.gz").write_bytes(b"x")
    for _ in range(2):  # what an earlier start warned of is in the log too, and shown once
        ran = program.apart("emulator", "start", "-d", "--port", "0", "--sources", "tables")
        program("emulator", "stop")
        assert ran.code == 0
        assert ran.err.count("warning: no tables of tables: orders.csv.gz") == 1


def test_what_was_said_at_the_start_is_what_serves(started: Any) -> None:
    started.env |= credentials(started("emulator", "status", "--json").json["url"])
    ran = started("apply", started.spec(), "--json")
    assert any("/acme/" in resource["id"] for resource in ran.json["resources"])
    assert started("emulator", "status", "--json").json["health"]["sandboxes"] == ["prod"]


def test_wait_returns_when_it_answers_and_gives_up_in_time(started: Any) -> None:
    ready = started("emulator", "wait")
    assert ready.code == 0
    assert ready.out.startswith("Ready. http://127.0.0.1:")
    late = started("emulator", "wait", "--url", "http://127.0.0.1:1", "--timeout", "0s")
    assert late.code == 75
    assert "no emulator within 0s" in late.err


def test_logs_show_the_latest_calls_and_what_happened_to_them(started: Any) -> None:
    url = started("emulator", "status", "--json").json["url"]
    started.env |= credentials(url)
    started("emulator", "faults", "add", "drop", "--step", "create_dataset", "--after")
    assert started("apply", started.spec()).code == 0
    text = started("emulator", "logs", "-n", "500").out
    assert "---  POST   /data/foundation/catalog/dataSets?requestDataSource=true  (fault 1, dropped)" in text
    lines = [json.loads(line) for line in started("emulator", "logs", "-n", "3", "--json").out.splitlines()]
    assert [line["number"] for line in lines] == sorted(line["number"] for line in lines)
    assert len(lines) == 3
    assert "local-secret" not in started("emulator", "logs", "-n", "500", "--json").out


def test_a_start_that_fails_says_why_and_ends_as_it_did(started: Any) -> None:
    port = started("emulator", "status", "--json").json["url"].rpartition(":")[2]
    taken = started.apart("emulator", "start", "-d", "--port", port, "--state", "elsewhere")
    assert taken.code == 2
    assert f"port {port} cannot be bound" in taken.err
    held = started.apart("emulator", "start", "-d", "--port", "0")
    assert held.code == 6
    assert "another" in held.err


def test_stop_leaves_a_process_alone_that_is_not_its_emulator(started: Any, emulator: Any) -> None:
    card = started.folder / ".flowledger" / "emulator" / "serving.json"
    kept = card.read_text()
    card.write_text(json.dumps({"pid": 1, "url": emulator.url}))
    ran = started("emulator", "stop")
    assert ran.code == 0
    assert "Nothing to stop" in ran.out
    assert emulator.ask("GET", "health")["status"] == "ok"
    card.write_text(kept)


@pytest.mark.parametrize("verb", [["status"], ["logs"], ["advance", "1m"], ["wait", "--timeout", "0s"]])
def test_another_emulator_on_the_port_of_one_that_has_ended_is_not_taken_for_it(
    program: Any, emulator: Any, verb: list[str]
) -> None:
    """The card of a process that was killed stays, and the default port soon has another one."""
    card = program.folder / ".flowledger" / "emulator" / "serving.json"
    card.parent.mkdir(parents=True)
    card.write_text(json.dumps({"pid": 1, "url": emulator.url}))
    before = emulator.ask("GET", "health")["now_ms"]

    ran = program("emulator", *verb)

    assert ran.code == (75 if verb[0] == "wait" else 5)
    assert f"another process answers at {emulator.url}" in ran.err
    assert emulator.ask("GET", "health")["now_ms"] - before < 60_000


def test_a_stop_that_is_not_answered_forgets_nothing(started: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that stands still is not gone: the next stop finds it by the card."""
    card = started.folder / ".flowledger" / "emulator" / "serving.json"
    pid = json.loads(card.read_text())["pid"]
    monkeypatch.setattr("flowledger.cli.faults.PATIENCE_S", 0.2)
    os.kill(pid, signal.SIGSTOP)
    try:
        ran = started("emulator", "stop")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (ran.code, card.exists()) == (75, True)
    assert f"kill {pid}" in ran.err
    assert "Stopped." in started("emulator", "stop").out


@pytest.mark.parametrize("verb", ["status", "logs", "stop"])
def test_where_none_was_started_that_is_said(program: Any, verb: str) -> None:
    ran = program("emulator", verb)
    assert ran.code == 5
    assert "flowledger emulator start -d" in ran.err
