"""The life of a batch job: signals, closed streams, a parent that dies, a scheduler that is impatient."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import pytest

from flowledger.journal import Journal

RUN = "paypal-products"


# Signals


MET = [("POST", "/ims/token/v3"), ("GET", "/explore"), ("POST", "/connections"), ("POST", "/flows")]


@pytest.mark.parametrize(
    ("method", "path", "after_effect"),
    [
        ("POST", "/ims/token/v3", False),
        ("POST", "/flows", True),
        *(pytest.param(*call, after, marks=pytest.mark.long) for call in MET for after in (False, True)),
    ],
)
async def test_a_call_that_a_signal_meets_is_finished_and_journaled_and_no_other_is_begun(
    shell: Any, platform: Any, method: str, path: str, after_effect: bool
) -> None:
    gate = platform.hold(method, path, after_effect=after_effect)
    running = await shell.apply("--json")
    await gate.arrived.wait()
    running.send_signal(signal.SIGTERM)
    await shell.until_line(running, "SIGTERM: finishing what is in flight")
    calls = len(platform.calls)
    gate.opened.set()
    ended = await shell.end(running)
    assert ended.code == 75, ended
    assert json.loads(ended.out)["stopped"]["exit_code"] == 75
    if path in ("/ims/token/v3", "/flows"):  # elsewhere other branches have calls of their own in flight
        assert len(platform.calls) == calls, platform.calls[calls:]
    events = await shell.events()
    assert events[-1]["kind"] == "run_stopped/1"
    intents = sum(event["kind"] == "intent_recorded/1" for event in events)
    outcomes = [event["outcome"] for event in events if event["kind"] == "outcome_recorded/1"]
    assert outcomes == ["done"] * intents, "a call was left open although it could be finished"
    await shell.ends_provisioned()


@pytest.mark.long
@pytest.mark.parametrize(("first", "second", "code"), [("SIGINT", "SIGTERM", 143), ("SIGTERM", "SIGINT", 130)])
async def test_a_second_signal_of_the_other_kind_ends_at_once_too(
    shell: Any, platform: Any, first: str, second: str, code: int
) -> None:
    gate = platform.hold("POST", "/flows", after_effect=True)
    running = await shell.apply()
    await gate.arrived.wait()
    running.send_signal(signal.Signals[first])
    await shell.until_line(running, "finishing what is in flight")
    running.send_signal(signal.Signals[second])
    assert (await shell.end(running)).code == code
    gate.opened.set()
    await shell.ends_provisioned()


@pytest.mark.long
async def test_a_signal_before_the_run_is_begun_ends_without_a_traceback(shell: Any, platform: Any) -> None:
    """While Python still loads there is no handler of ours: the kernel's way of ending is as good."""
    for number in (signal.SIGTERM, signal.SIGINT):
        running = await shell.apply()
        running.send_signal(number)
        ended = await shell.end(running)
        assert ended.code in (-number, 128 + number, 75, 1), ended
    assert (await shell.run("apply", shell.environment["SPEC"])).code == 0
    await shell.ends_provisioned()


async def test_a_run_whose_parent_dies_goes_on_to_its_end(shell: Any, platform: Any) -> None:
    gate = platform.hold("POST", "/connections", after_effect=True)
    parent = await shell.sh("$FLOWLEDGER apply $SPEC; true")
    await gate.arrived.wait()
    parent.kill()
    gate.opened.set()
    await parent.wait()  # until the orphan, too, has let go of the pipes
    # Whoever has the lock next knows that the orphan has ended.
    await asyncio.to_thread(lambda: Journal.open(shell.journal, lock_timeout=60).close())
    told = await shell.run("status", RUN, "--json")
    assert json.loads(told.out)["state"] == "provisioned"
    await shell.ends_provisioned()


@pytest.mark.long
async def test_a_terminal_that_hangs_up_leaves_a_run_to_resume(shell: Any, platform: Any) -> None:
    gate = platform.hold("POST", "/flows", after_effect=True)
    running = await shell.apply()
    await gate.arrived.wait()
    running.send_signal(signal.SIGHUP)
    await shell.end(running)
    gate.opened.set()
    await shell.ends_provisioned()


# Streams


async def test_a_reader_that_has_seen_enough_is_no_error(shell: Any, platform: Any) -> None:
    first = await shell.end(await shell.sh("set -o pipefail; $FLOWLEDGER apply $SPEC -q | true"))
    assert (first.code, first.err) == (0, "")
    for script in (
        "$FLOWLEDGER history paypal-products | head -1",
        "$FLOWLEDGER history paypal-products --json | head -1",
        "$FLOWLEDGER journal query --json | head -1",
        "$FLOWLEDGER journal export - | head -c 10",
        "$FLOWLEDGER explain paypal-products | true",
        "$FLOWLEDGER apply $SPEC 2>&1 | true",
    ):
        ended = await shell.end(await shell.sh(f"set -o pipefail; {script}"))
        assert (ended.code, ended.err) == (0, ""), script
    await shell.ends_provisioned()


async def test_a_reader_of_the_progress_that_goes_away_does_not_stop_the_run(shell: Any, platform: Any) -> None:
    await shell.end(await shell.sh("$FLOWLEDGER apply $SPEC -vv 2>&1 | head -1"))
    assert (await shell.events())[-1]["kind"] == "run_provisioned/1"
    await shell.ends_provisioned()


async def test_an_exit_code_does_not_depend_on_whether_somebody_reads_the_error(shell: Any, platform: Any) -> None:
    for script, code in (
        ("$FLOWLEDGER apply $SPEC", 0),  # while it is driven
        ("$FLOWLEDGER status nobody", 5),
        ("$FLOWLEDGER apply nothing.yaml", 3),
        ("$FLOWLEDGER status", 2),
    ):
        ended = await shell.end(await shell.sh(f"{{ {script}; echo $? >code; }} 2>&1 | true; cat code"))
        assert (ended.out.strip(), ended.err) == (str(code), ""), script


async def test_a_signal_stops_a_run_whose_progress_nobody_reads(shell: Any, platform: Any) -> None:
    gate = platform.hold("POST", "/flows", after_effect=True)
    running = await shell.sh(
        "{ $FLOWLEDGER apply $SPEC & echo $! >pid; wait $!; echo $? >code; } 2>&1 | true; cat code"
    )
    await gate.arrived.wait()
    os.kill(int((shell.folder / "pid").read_text()), signal.SIGTERM)
    ended = await shell.end(running)
    gate.opened.set()
    assert ended.out.strip() == "75"
    await shell.ends_provisioned()


CLOSED = ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-"]


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", *(pytest.param(which, marks=pytest.mark.long) for which in CLOSED)])
async def test_a_run_without_standard_streams_is_a_run_and_its_journal_holds_nothing_else(
    shell: Any, platform: Any, closed: str
) -> None:
    """Else the journal's files would get the numbers of the missing streams, and whatever prints there goes in."""
    assert (await shell.end(await shell.sh(f"$FLOWLEDGER apply $SPEC -vv {closed}"))).code == 0
    assert (await shell.end(await shell.sh(f"$FLOWLEDGER status no-such-run {closed}"))).code == 5
    assert (await shell.events())[-1]["kind"] == "run_provisioned/1"
    await shell.ends_provisioned()


async def test_a_disk_that_takes_no_output_is_said_and_the_run_is_done(shell: Any, platform: Any) -> None:
    ended = await shell.end(await shell.sh("$FLOWLEDGER apply $SPEC > /dev/full"))
    assert ended.code != 0
    assert "Traceback" not in ended.err
    assert "No space left" in ended.err
    await shell.ends_provisioned()


# Schedulers


@pytest.mark.long
@pytest.mark.parametrize("how", ["timeout 5", "timeout -s KILL 5", "timeout -s INT 5"])
async def test_an_impatient_scheduler_gets_there_with_exactly_one_of_everything(
    shell: Any, platform: Any, how: str
) -> None:
    """`until timeout 5 flowledger apply …; do :; done`, with a platform too slow for one sitting."""
    platform.emulator.faults.set_latency(700)
    loop = f"n=1; until {how} $FLOWLEDGER apply $SPEC; do n=$((n+1)); done; echo $n"
    ended = await shell.end(await shell.sh(loop))
    assert ended.code == 0, ended
    assert int(ended.out.splitlines()[-1]) > 1, "one sitting was enough, so nothing was tried"
    assert "Traceback" not in ended.err
    platform.emulator.faults.clear()
    assert (await shell.events())[-1]["kind"] == "run_provisioned/1"
    await shell.ends_provisioned()
