"""Real processes that die by SIGKILL at a crash point: this one forks one for each order on its stdin.

An order is a line of JSON: the journal's directory, the platform's URL, and the crash (null: live to the end). The
answer is a line too: how the child ended. Forked, because a fresh interpreter would take a second each time.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Final, NoReturn

import orjson

from crashmatrix.points import Crash, Death
from crashmatrix.traps import WAIT, Doc, Phase, Trap
from crashmatrix.world import EXAMPLE, SEGMENT, WatchedFile
from flowledger.engine import api
from flowledger.engine.ledger import RunState
from flowledger.errors import FlowledgerError
from flowledger.journal import Journal
from flowledger.journal.filesystem import Access, OsFileSystem
from flowledger.steps.client.clock import SystemClock
from flowledger.steps.client.http import HttpPort
from flowledger.steps.client.inprocess import Moment
from flowledger.steps.client.platform import Credentials, Platform
from flowledger.steps.client.port import Answer, Port, Request
from flowledger.steps.client.redact import Redactor
from flowledger.steps.spec import Settle

# Short, because here time is real; S > G + L holds, since the emulator's G is what a fault says and its L is 0.
SPEC: Final = EXAMPLE.model_copy(update={"settle": Settle(window=0.4, send_within=0.3)})
# From outside, a call whose answer the client never saw and one that it was killed in are the same: the faults let the
# call end there, and the process is killed before it can note that.
ENDED_BY_FAULT: Final = (8, 9, 10, 11)


def die() -> NoReturn:
    """As the kernel's out-of-memory killer would have it."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL cannot be outlived")


class KillingDisk(OsFileSystem):
    """The real disk; the process dies at what the trap waits for."""

    def __init__(self, trap: Trap) -> None:
        super().__init__()
        self._trap = trap
        self._opened = False
        self._fail_sync = False

    def open(self, path: Path, access: Access) -> Any:
        file = super().open(path, access)
        return WatchedFile(self, file) if path.name == SEGMENT and access == "write" else file

    def armed(self) -> None:
        """The journal has been opened: from here on records are new ones."""
        self._opened = True

    def on_batch(self, phase: Phase, docs: list[Doc], file: WatchedFile) -> None:
        if not self._opened:
            return
        if phase is Phase.SYNCED and self._fail_sync:
            raise OSError(errno.EIO, os.strerror(errno.EIO))  # it is on the medium, and failure is reported
        position = self._trap.record(phase, docs)
        if position is not None:
            if self._trap.crash.death is Death.FAILED_KEPT:
                self._fail_sync = True
                return
            if self._trap.crash.death is Death.TORN:
                file.tear(position)
            die()
        if phase is Phase.SYNCED:
            for doc in docs:
                if doc.get("kind") == WAIT and self._trap.wait(doc):
                    threading.Timer(doc["seconds"] / 2, die).start()


class KillingPort:
    """The real client; the process dies before or after the call that the trap waits for."""

    def __init__(self, port: Port, trap: Trap) -> None:
        self._port = port
        self._trap = trap

    async def send(self, request: Request) -> Answer:
        if self._trap.moment(Moment.CONNECTED, request, late=False):
            die()
        if self._trap.crash.point == 7 and self._trap.effect.is_in(request):
            die()
        answer = await self._port.send(request)
        if self._trap.crash.point in ENDED_BY_FAULT and self._trap.effect.is_in(request):
            die()
        return answer

    async def close(self) -> None:
        await self._port.close()


def live(journal: Path, url: str, crash: Crash | None) -> int:
    """`flowledger apply` in this process. Returns its exit code, if it lives to have one."""
    trap = Trap(crash) if crash else None
    clock = SystemClock()

    async def apply() -> int:
        disk = KillingDisk(trap) if trap else OsFileSystem()
        with Journal.open(journal, fs=disk) as book:
            if isinstance(disk, KillingDisk):
                disk.armed()
            http = HttpPort(base_url=url, clock=clock)
            credentials = Credentials(client_id="local-client", client_secret="local-secret", org="LOCAL@AdobeOrg")
            platform = Platform(
                KillingPort(http, trap) if trap else http,
                credentials, sandbox="prod", clock=clock, redactor=Redactor(), base_url=url,
            )  # fmt: skip
            try:
                report = await api.apply(SPEC, journal=book, platform=platform, clock=clock)
            except FlowledgerError as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                return error.exit_code
            finally:
                await platform.close()
            return 0 if report.state is RunState.PROVISIONED and not report.duplicates else 1

    return asyncio.run(apply())


def _live_in_a_fork(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)
    code = 70
    try:
        found = order["crash"]
        crash = Crash(point=found["point"], step=found["step"], death=Death(found["death"])) if found else None
        code = live(Path(order["journal"]), order["url"], crash)
    except Exception as error:  # noqa: BLE001 - a fork must never return into its parent's code
        print(repr(error), file=sys.stderr)
    finally:
        os._exit(code)


def main() -> None:
    """Serve orders until stdin ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        print(_live_in_a_fork(orjson.loads(line)), flush=True)


if __name__ == "__main__":
    main()
