"""Real processes that die by SIGKILL at a crash point: this one forks one for each order on its stdin.

An order is a line of JSON: the style, the journal's directory, the platform's URL, whether to destroy, and where to
die: a crash of the matrix, or a stage ("opening", "closing") with the number of a call to the disk in it, or neither
(live to the end). The answer is a line of JSON too: how the child ended, and which call it died before. Forked, because
a fresh interpreter would take a second each time.
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

from crashmatrix.machine import SEGMENT, WatchedFile
from crashmatrix.points import Crash, Death
from crashmatrix.styles import SPECS
from crashmatrix.traps import WAIT, Doc, Phase, Trap
from flowledger.engine import api
from flowledger.engine.ledger import RunState
from flowledger.errors import FlowledgerError
from flowledger.journal import Journal
from flowledger.journal.filesystem import Access, File, OsFileSystem
from flowledger.steps.client.clock import SystemClock
from flowledger.steps.client.http import HttpPort
from flowledger.steps.client.inprocess import Moment
from flowledger.steps.client.platform import Credentials, Platform
from flowledger.steps.client.port import Answer, Port, Request
from flowledger.steps.client.redact import Redactor
from flowledger.steps.spec import Settle

# Short, because here time is real; S > G + L holds, since the emulator's G is what a fault says and its L is 0.
SETTLE: Final = Settle(window=0.4, send_within=0.3)
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

    def enter(self, stage: str) -> None:
        """The journal has been opened: from here on records are new ones."""
        self._opened = stage == "running"

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


class CountingFile:
    """A file each of whose calls is counted."""

    def __init__(self, disk: CountingDisk, file: File, name: str) -> None:
        self._disk, self._file, self._name = disk, file, name
        self.size = file.size

    def read(self, size: int, offset: int) -> bytes:
        self._disk.count(f"read {self._name}")
        return self._file.read(size, offset)

    def write(self, data: bytes | memoryview, offset: int) -> int:
        if self._disk.count(f"write {self._name}", torn=True):
            self._file.write(bytes(data)[: len(data) // 2], offset)
            die()
        return self._file.write(data, offset)

    def truncate(self, size: int) -> None:
        self._disk.count(f"truncate {self._name}")
        self._file.truncate(size)

    def sync(self) -> None:
        self._disk.count(f"sync {self._name}")
        self._file.sync()

    def close(self) -> None:
        self._disk.count(f"close {self._name}")
        self._file.close()


class CountingDisk(OsFileSystem):
    """The real disk; the process dies before its n-th call in a stage. A write is two: before it, and half way."""

    def __init__(self, stage: str, number: int, told: int, at: str = "") -> None:
        """`told`: the descriptor to which the name of that call is written. `at`: count only calls of this name."""
        super().__init__()
        self._wanted, self._left, self._told, self._at = stage, number, told, at
        self._stage = "opening"

    def enter(self, stage: str) -> None:
        """What the process does from here on."""
        self._stage = stage

    def count(self, what: str, *, torn: bool = False) -> bool:
        """Note a call; dies if it is the one. True: it is to be broken off half way."""
        if self._stage != self._wanted or self._at not in ("", what):
            return False
        for half in (False, True) if torn else (False,):
            self._left -= 1
            if self._left == 0:
                os.write(self._told, f"{what}{', half way' if half else ''}".encode())
                if half:
                    return True
                die()
        return False

    def make_directory(self, path: Path) -> None:
        self.count("make directory")
        super().make_directory(path)

    def names(self, directory: Path) -> list[str]:
        self.count("list names")
        return super().names(directory)

    def open(self, path: Path, access: Access) -> Any:
        self.count(f"open {path.name} to {access}")
        return CountingFile(self, super().open(path, access), path.name)

    def lock(self, path: Path) -> Any:
        self.count("lock")
        lock = super().lock(path)
        return lock and CountingFile(self, lock, path.name)

    def rename(self, old: Path, new: Path) -> None:
        self.count("rename")
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self.count("remove")
        super().remove(path)

    def sync_directory(self, path: Path) -> None:
        self.count("sync directory")
        super().sync_directory(path)


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
        if self._trap.crash.point == 24 and self._trap.deletes(request):
            die()
        if self._trap.crash.point in ENDED_BY_FAULT and self._trap.effect.is_in(request):
            die()
        return answer

    async def close(self) -> None:
        await self._port.close()


def live(order: dict[str, Any], told: int) -> int:
    """`flowledger apply` in this process. Returns its exit code, if it lives to have one."""
    found = order.get("crash")
    trap = Trap(Crash(point=found["point"], step=found["step"], death=Death(found["death"]))) if found else None
    disk: KillingDisk | CountingDisk | None = None
    if trap:
        disk = KillingDisk(trap)
    elif order.get("stage"):
        disk = CountingDisk(order["stage"], order["call"], told, order.get("at", ""))
    clock, url = SystemClock(), order["url"]
    spec = SPECS[order["style"]].model_copy(update={"settle": SETTLE})

    async def apply(book: Journal) -> int:
        http = HttpPort(base_url=url, clock=clock)
        credentials = Credentials(client_id="local-client", client_secret="local-secret", org="LOCAL@AdobeOrg")
        platform = Platform(
            KillingPort(http, trap) if trap else http,
            credentials, sandbox="prod", clock=clock, redactor=Redactor(), base_url=url,
        )  # fmt: skip
        try:
            if order.get("destroy"):
                gone = await api.destroy(spec.name, journal=book, platform=platform, clock=clock)
                return 0 if gone.state is RunState.DESTROYED and not gone.left else 1
            report = await api.apply(spec, journal=book, platform=platform, clock=clock)
        except FlowledgerError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return error.exit_code
        finally:
            await platform.close()
        return 0 if report.state is RunState.PROVISIONED and not report.duplicates else 1

    journal = Journal.open(Path(order["journal"]), fs=disk)
    if disk:
        disk.enter("running")
    try:
        return asyncio.run(apply(journal))
    finally:
        if disk:
            disk.enter("closing")
        journal.close()


def _live_in_a_fork(order: dict[str, Any]) -> dict[str, Any]:
    reading, told = os.pipe()
    pid = os.fork()
    if pid:
        os.close(told)
        _, status = os.waitpid(pid, 0)
        with os.fdopen(reading, "rb") as pipe:
            return {"ended": os.waitstatus_to_exitcode(status), "before": pipe.read().decode()}
    code = 70
    try:
        code = live(order, told)
    except Exception as error:  # noqa: BLE001 - a fork must never return into its parent's code
        print(repr(error), file=sys.stderr)
    finally:
        os._exit(code)


def main() -> None:
    """Serve orders until stdin ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        print(orjson.dumps(_live_in_a_fork(orjson.loads(line))).decode(), flush=True)


if __name__ == "__main__":
    main()
