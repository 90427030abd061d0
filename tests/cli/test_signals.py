"""The first signal ends a run after journaling, the second at once; neither loses anything."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from flowledger.cli import signals

WaitForLine = Callable[[Any, str], str]
SLOW = 60000  # ms: far longer than the grace that a call in flight gets


def held_at_the_flow(connected: Any, emulator: Any, *more: str) -> subprocess.Popen[str]:
    """An apply whose last create is under way and is not answered for a long time."""
    emulator.fault("POST /flows", "slow", delay_ms=SLOW)
    process: subprocess.Popen[str] = connected.start("apply", connected.spec(), *more)
    emulator.wait_for_call("POST", "/flows")
    return process


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_first_signal_journals_what_was_in_flight_and_exits_75(connected: Any, emulator: Any, name: str) -> None:
    process = held_at_the_flow(connected, emulator, "--json")
    process.send_signal(signal.Signals[name])
    out, err = process.communicate(timeout=30)
    assert process.returncode == 75, err
    assert err.count(f"{name}: ") == 1
    assert "Traceback" not in err
    assert '"exit_code": 75' in out
    assert "next: flowledger resume paypal-products" in err
    assert connected("journal", "verify").code == 0
    stopped = connected("history", "paypal-products").out.splitlines()[-1]
    assert "stopped" in stopped
    resumed = connected("resume", "paypal-products")
    assert resumed.code == 0, resumed.err
    assert emulator.counts["flows"] == 1


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_the_second_signal_ends_at_once(
    connected: Any, emulator: Any, wait_for_line: WaitForLine, name: str, code: int
) -> None:
    process = held_at_the_flow(connected, emulator)
    process.send_signal(signal.Signals[name])
    wait_for_line(process.stderr, f"{name}: finishing what is in flight")
    process.send_signal(signal.Signals[name])
    process.communicate(timeout=4)  # less than the grace that the first signal gives the call
    assert process.returncode == code
    assert connected("resume", "paypal-products").code == 0
    assert emulator.counts["flows"] == 1


def test_a_signal_while_waiting_for_the_lock_ends_with_75(connected: Any, wait_for_line: WaitForLine) -> None:
    from flowledger.journal import Journal

    spec = connected.spec()
    with Journal.open(connected.journal):
        process = connected.start("apply", spec, "--lock-timeout", "1h", "-v")
        wait_for_line(process.stderr, "waiting")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 75, err
    assert "nothing was begun" in err


def test_the_emulator_serves_until_a_signal_and_ends_with_0(program: Any) -> None:
    process = program.start("emulator", "start", "--port", "0", "--state", "kept")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Ready. http://127.0.0.1:")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")


def test_an_end_at_once_does_not_wait_for_a_stream_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    ended: list[int] = []
    monkeypatch.setattr(sys, "stdout", Closed())
    monkeypatch.setattr(os, "_exit", ended.append)
    signals._end_at_once(143)
    assert ended == [143]
