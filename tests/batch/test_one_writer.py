"""One process writes a journal: the second is told who, or waits and then reads; a frozen owner stays the owner."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest


async def test_the_second_apply_is_told_who_has_the_journal_and_calls_nobody(shell: Any, platform: Any) -> None:
    gate = platform.hold("POST", "/flows", after_effect=True)
    first = await shell.apply()
    await gate.arrived.wait()
    calls = len(platform.calls)
    second = await shell.run("apply", shell.environment["SPEC"], "--json")
    assert second.code == 6
    who = f"process {first.pid} on {socket.gethostname()} since 20"
    assert who in second.err
    assert "--lock-timeout" in second.err
    assert json.loads(second.out)["stopped"]["exit_code"] == 6
    assert len(platform.calls) == calls
    gate.opened.set()
    assert (await shell.end(first)).code == 0
    await shell.ends_provisioned()


async def test_the_second_apply_waits_and_then_knows_what_the_first_did_meanwhile(shell: Any, platform: Any) -> None:
    """Had it acted on what it read before it had the lock, it would make everything again (protocol rule 7)."""
    gate = platform.hold("POST", "/connections", after_effect=False)
    first = await shell.apply()
    await gate.arrived.wait()
    second = await shell.apply("--lock-timeout", "60s")
    await shell.until_line(second, "another process holds it")
    gate.opened.set()
    assert (await shell.end(first)).code == 0
    calls = len(platform.calls)
    waited = await shell.end(second)
    assert waited.code == 0, waited.err
    assert len(platform.calls) == calls
    await shell.ends_provisioned()


async def test_a_stopped_owner_keeps_the_journal_and_finishes_when_it_goes_on(shell: Any, platform: Any) -> None:
    gate = platform.hold("POST", "/flows", after_effect=True)
    first = await shell.apply()
    await gate.arrived.wait()
    first.send_signal(signal.SIGSTOP)
    second = await shell.run("apply", shell.environment["SPEC"], "--lock-timeout", "300ms")
    assert second.code == 6
    assert f"process {first.pid} " in second.err
    gate.opened.set()
    first.send_signal(signal.SIGCONT)
    assert (await shell.end(first)).code == 0
    await shell.ends_provisioned()


@pytest.mark.long
@pytest.mark.parametrize("after_effect", [False, True])
async def test_a_stopped_owner_that_is_killed_leaves_a_run_to_resume(
    shell: Any, platform: Any, after_effect: bool
) -> None:
    gate = platform.hold("POST", "/flows", after_effect=after_effect)
    first = await shell.apply()
    await gate.arrived.wait()
    first.send_signal(signal.SIGSTOP)
    first.send_signal(signal.SIGKILL)
    assert (await shell.end(first)).code == -signal.SIGKILL
    if after_effect:
        gate.opened.set()
    await shell.ends_provisioned()


FROZEN = """
import asyncio, os, signal, sys
from pathlib import Path
from flowledger.engine import api
from flowledger.errors import FlowledgerError
from flowledger.steps.client.clock import SystemClock
from flowledger.steps.client.config import platform_from_env

class LateClock(SystemClock):
    def monotonic(self):
        late = Path("late")
        return super().monotonic() + (float(late.read_text()) if late.exists() else 0.0)

platform = platform_from_env(os.environ, clock=LateClock())
send, stopped = platform._port.send, []

async def send_after_a_stop(request):
    if request.path.endswith(sys.argv[1]) and request.method == "POST" and not stopped:
        stopped.append(True)
        os.kill(os.getpid(), signal.SIGSTOP)  # the intent is on disk, nothing is sent yet
    return await send(request)

platform._port.send = send_after_a_stop

async def main():
    try:
        print((await api.apply(os.environ["SPEC"], journal="journal", platform=platform)).state, flush=True)
    finally:
        await platform.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("path", [pytest.param("/connections", marks=pytest.mark.long), "/flows"])
async def test_an_owner_that_thaws_after_its_send_deadline_sends_nothing_under_the_old_intent(
    shell: Any, platform: Any, path: str
) -> None:
    process = subprocess.Popen(  # noqa: ASYNC220 - asyncio has no wait for a stop
        [sys.executable, "-c", FROZEN, path],
        cwd=shell.folder,
        env=shell.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        _, how = await asyncio.to_thread(os.waitpid, process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(how), how
        assert platform.sent(f"POST {path}") == 0 or path == "/connections"
        assert (await shell.run("apply", shell.environment["SPEC"])).code == 6
        (shell.folder / "late").write_text("5.5")  # the deadline is 5 s after the intent
        process.send_signal(signal.SIGCONT)
        out, _ = await asyncio.to_thread(process.communicate)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out) == (0, "provisioned\n")
    events = await shell.events()
    outcomes = [event for event in events if event["kind"] == "outcome_recorded/1"]
    late = [event for event in outcomes if event["answer"]["reach"] == "not_sent"]
    assert late, "nothing was late, so nothing was tried"
    assert all(event["outcome"] == "not_done" for event in late)
    for event in late:  # a new intent, with a deadline of its own
        again = [one for one in outcomes if one["step"] == event["step"] and one["outcome"] == "done"]
        assert [one["attempt"] for one in again] == [event["attempt"] + 1]
    (shell.folder / "late").unlink()
    await shell.ends_provisioned()


@pytest.mark.parametrize(
    "card",
    [
        b'{"pid":%d,"host":"%s","since":"2020-01-01T00:00:00+00:00"}\n',
        *(pytest.param(card, marks=pytest.mark.long) for card in (b"no card \x00\xff\x1b[2J", b"", b"[]" * 10_000)),
    ],
    ids=["this very pid", "garbage", "empty", "long"],
)
async def test_what_an_earlier_holder_wrote_into_the_lock_holds_nobody_up(
    shell: Any, platform: Any, card: bytes
) -> None:
    """A restarted container has the same host name and pid: the lock is the kernel's, the text is for people."""
    shell.journal.mkdir()
    if b"%d" in card:
        card %= (os.getpid(), socket.gethostname().encode())
    (shell.journal / "lock").write_bytes(card)
    first = await shell.run("apply", shell.environment["SPEC"])
    assert first.code == 0, first.err
    await shell.ends_provisioned()


@pytest.mark.long
async def test_a_holder_whose_card_is_garbage_is_shown_without_it(shell: Any, platform: Any) -> None:
    gate = platform.hold("POST", "/flows", after_effect=True)
    first = await shell.apply()
    await gate.arrived.wait()
    for card in (b"\x1b[2J", b"[]", b"5", b'{"pid":"\\u001b[2J","host":5,"since":null}', b'"\xff'):
        (shell.journal / "lock").write_bytes(card)
        second = await shell.run("apply", shell.environment["SPEC"])
        assert second.code == 6, second.err
        assert "\x1b" not in second.err
    gate.opened.set()
    assert (await shell.end(first)).code == 0


@pytest.mark.long
async def test_many_applies_at_once_that_wait_for_each_other_make_everything_once(shell: Any, platform: Any) -> None:
    all_of_them = [await shell.apply("--lock-timeout", "100s") for _ in range(6)]
    ended = await asyncio.gather(*(shell.end(process) for process in all_of_them))
    assert [one.code for one in ended] == [0] * 6, ended
    await shell.ends_provisioned()


CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


@pytest.mark.needs_system
@pytest.mark.parametrize("after_effect", [False, True])
async def test_a_restarted_container_whose_process_has_the_same_pid_takes_the_lock_at_once(
    shell: Any, platform: Any, after_effect: bool
) -> None:
    """The owner is process 1 of its own process namespace and dies; so is the successor. The journal names process 1
    both times: who holds it is the kernel's to say. (`unshare` needs the right to make a namespace: root has it.)"""
    gate = platform.hold("POST", "/flows", after_effect=after_effect)
    line = (*CONTAINER, sys.executable, "-m", "flowledger", "apply", shell.environment["SPEC"])
    first = await shell.program(*line)
    first_line = asyncio.ensure_future(first.stderr.read())
    arrived = asyncio.ensure_future(gate.arrived.wait())
    await asyncio.wait({first_line, arrived}, return_when=asyncio.FIRST_COMPLETED)
    assert arrived.done(), f"it did not come to call the platform: {first_line.result().decode()}"
    card = json.loads((shell.journal / "lock").read_bytes())
    assert card["pid"] == 1, f"not process 1 of its namespace, so nothing was tried: {card}"
    refused = await shell.run("apply", shell.environment["SPEC"])
    assert refused.code == 6, "the journal was given to a second process while the first lives"
    first.kill()  # `--kill-child`: process 1 goes with it, by SIGKILL, as when a container is killed
    await first.wait()
    await first_line
    gate.opened.set()
    second = await shell.end(await shell.program(*line, "--lock-timeout", "5s"))
    assert second.code == 0, second.err
    assert json.loads((shell.journal / "lock").read_bytes())["pid"] == 1
    takers = [event for event in await shell.events() if event["kind"] == "run_taken_up/1"]
    assert [taker["pid"] for taker in takers] == [1, 1]
    await shell.ends_provisioned()
