"""A journal that cannot be written: the run stops at once, sends nothing more, and carries on when it can."""

from __future__ import annotations

import resource
import stat
import sys
from typing import Any

import pytest

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="prlimit(2) and capabilities are Linux's")
SEGMENT = "segment-000001.jsonl"

# Root may write whatever a mode forbids; a batch job in a container often is root, and a read-only file system
# forbids it to root as well. Without this capability modes count for root too.
AS_ANYBODY = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: linux/capability.h
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; refused to those who have it not anyway
os.execv(sys.executable, [sys.executable, "-m", "flowledger", *sys.argv[1:]])
"""


@linux_only
@pytest.mark.parametrize(
    ("method", "path", "room"),
    [
        ("POST", "/flows", 100),
        *(
            pytest.param("POST", path, room, marks=pytest.mark.long)
            for path in ("/ims/token/v3", "/connections", "/flows")
            for room in (0, 100, 2000)
        ),
    ],
)
async def test_a_disk_that_fills_up_during_a_call_ends_in_75_and_loses_nothing(
    shell: Any, platform: Any, method: str, path: str, room: int
) -> None:
    gate = platform.hold(method, path, after_effect=True)
    running = await shell.apply("--json")
    await gate.arrived.wait()
    full = (shell.journal / SEGMENT).stat().st_size + room
    resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (full, full))
    effects = platform.made()
    gate.opened.set()
    ended = await shell.end(running)
    assert ended.code == 75, ended
    assert "File too large" in ended.err
    assert "raise the limit of a file's size" in " ".join(ended.err.split())
    assert "Traceback" not in ended.err
    if room == 0:
        assert sum(platform.made().values()) <= sum(effects.values()) + 6  # what the branches had in flight
    events = await shell.events()
    assert events[0]["kind"] == "run_started/1"
    assert (await shell.run("explain", "paypal-products")).code == 0
    await shell.ends_provisioned()


@linux_only
async def test_a_disk_without_any_room_lets_no_run_begin(shell: Any, platform: Any) -> None:
    script = "ulimit -f 0; exec $FLOWLEDGER apply $SPEC"
    ended = await shell.end(await shell.sh(script))
    assert ended.code == 75, ended
    assert "File too large" in ended.err
    assert platform.calls == []
    assert (await shell.run("apply", shell.environment["SPEC"])).code == 0


@linux_only
async def test_a_place_that_may_not_be_written_is_said_in_words_before_anything_is_sent(
    shell: Any, platform: Any
) -> None:
    shell.journal.mkdir(mode=0o555)
    ended = await shell.end(
        await shell.program(sys.executable, "-c", AS_ANYBODY, "apply", shell.environment["SPEC"], "--json")
    )
    assert ended.code == 1, ended  # no later start can help, so that no batch job tries again
    assert "Permission denied" in ended.err
    assert "next: " in ended.err
    assert "--journal" not in ended.err.partition("next: ")[2]
    assert platform.calls == []


@linux_only
async def test_a_journal_that_became_read_only_is_shown_and_not_resumed(shell: Any, platform: Any) -> None:
    gate = platform.hold("POST", "/flows", after_effect=True)
    running = await shell.apply()
    await gate.arrived.wait()
    running.kill()
    await shell.end(running)
    gate.opened.set()
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (*shell.journal.iterdir(), shell.journal)}
    for path, mode in modes.items():
        path.chmod(mode & 0o555)
    calls = len(platform.calls)
    for words, code in {
        ("status", "paypal-products"): 0,
        ("history", "paypal-products"): 0,
        ("explain", "paypal-products"): 0,
        ("runs",): 0,
        ("journal", "verify"): 0,
        ("resume", "paypal-products", "--plan"): 0,
        ("resume", "paypal-products"): 1,
        ("apply", shell.environment["SPEC"]): 1,
    }.items():
        ended = await shell.end(await shell.program(sys.executable, "-c", AS_ANYBODY, *words))
        assert ended.code == code, (words, ended)
        assert "Traceback" not in ended.err
    assert len(platform.calls) == calls
    for path, mode in reversed(modes.items()):
        path.chmod(mode)
    await shell.ends_provisioned()
