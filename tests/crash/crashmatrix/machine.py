"""The machine that processes run on: a clock that can be started anew or set wrong, and a disk that is watched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from crashmatrix.traps import Doc, Phase
from flowledger.journal import SimulatedFileSystem
from flowledger.journal.filesystem import Access, File
from flowledger.testing import EPOCH, VirtualTime

DIRECTORY: Final = Path("/journal")
SEGMENT: Final = "segment-000001.jsonl"
_PREFIX: Final = b',"doc":'


class Died(SystemExit):
    """The process died here. A SystemExit, because asyncio lets nothing else out of its loop at once."""


class MachineTime(VirtualTime):
    """Virtual time of a machine that may be started anew: wall time goes on, the monotonic clock begins again."""

    def __init__(self) -> None:
        super().__init__()
        self._booted = 0.0
        self._boots = 1
        self.wrong_by = 0.0  # seconds that the machine's wall clock is ahead of the platform's

    def wall(self) -> float:
        return self.true_wall() + self.wrong_by

    def true_wall(self) -> float:
        """What the platform's clock says."""
        return EPOCH + self._now

    def monotonic(self) -> float:
        return self._now - self._booted

    def reboot(self) -> None:
        """Another boot id, and a monotonic clock that begins at a few seconds."""
        self._boots += 1
        self.boot_id = f"virtual-boot-{self._boots}"
        self._booted = self._now - 3.0


class Watching(Protocol):
    """Wants to know of every batch of records."""

    @property
    def on_batch(self) -> Callable[[Phase, list[Doc], WatchedFile], None]: ...


class WatchedDisk(SimulatedFileSystem):
    """A simulated disk that tells of every call made to it, and of every batch of records."""

    def __init__(self) -> None:
        super().__init__()
        self.on_call: Callable[[str], None] = lambda what: None
        self.on_batch: Callable[[Phase, list[Doc], WatchedFile], None] = lambda phase, docs, file: None

    def open(self, path: Path, access: Access) -> Any:
        file = super().open(path, access)
        return WatchedFile(self, file) if path.name == SEGMENT and access == "write" else file

    def unsynced(self) -> bool:
        """Whether a power cut now would leave another journal than a kill."""
        names = self._directories.get(str(DIRECTORY))
        return names is not None and any(node.pending for name, node in names.seen.items() if name != "lock")

    def durable(self) -> bytes:
        """What of the segment is on the medium."""
        names = self._directories[str(DIRECTORY)]
        return bytes(names.seen[SEGMENT].durable) if SEGMENT in names.seen else b""

    def _call(self, what: str) -> Any:
        self.on_call(what)
        return super()._call(what)


class WatchedFile:
    """The segment, open for writing."""

    def __init__(self, disk: Watching, file: File) -> None:
        self._disk = disk
        self._file = file
        self._batch: list[Doc] = []
        self.size, self.read, self.truncate, self.close = file.size, file.read, file.truncate, file.close

    def write(self, data: bytes | memoryview, offset: int) -> int:
        self._data, self._offset = bytes(data), offset
        self._batch = [_doc(line) for line in self._data.splitlines()]
        self._disk.on_batch(Phase.BEFORE, self._batch, self)
        taken = self._file.write(data, offset)
        self._disk.on_batch(Phase.WRITTEN, self._batch, self)
        return taken

    def sync(self) -> None:
        self._file.sync()
        self._disk.on_batch(Phase.SYNCED, self._batch, self)
        self._batch = []

    def tear(self, position: int) -> None:
        """Cut what was written in the middle of the record at that position of the batch."""
        lines = self._data.splitlines(keepends=True)
        kept = sum(map(len, lines[:position])) + len(lines[position]) // 2
        self._file.truncate(self._offset + kept)


def _doc(line: bytes) -> Doc:
    _, _, rest = line.partition(_PREFIX)
    try:
        found: Doc = orjson.loads(rest[:-1])
    except orjson.JSONDecodeError:
        return {}  # a part of a record: journals are written again in parts when they are opened
    return found
