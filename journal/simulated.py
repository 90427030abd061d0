"""A file system in memory that loses what was not synced, tears what was half written, and fails when told to.

Shipped because crash tests need it: ours, and those of programs that embed flowledger.

What it models: a write reaches the medium when it is synced; before that any of its blocks may or may not survive a
power cut, in any order, and the file's size may have grown without its content (a hole reads as zeros). A failed sync
forgets what it was to write, as Linux does: a later one that succeeds says nothing about it. Names are made, renamed
and removed in order, and those after the last sync of the directory may be lost from the end. A process that is killed
loses nothing that it had handed over.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flowledger.journal.filesystem import Access

Choose = Callable[
    [int], int
]  # choose(n) picks a number in range(n); the outcome of a power cut depends on nothing else


@dataclass(slots=True, eq=False)
class _Change:
    """A write or a cut that may not have reached the medium."""

    offset: int
    data: bytes  # empty for a cut, which sets the size to `offset`
    cut: bool = False


@dataclass(slots=True, eq=False)
class _Node:
    """A file: what programs see, what is on the medium, and what lies between."""

    seen: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    pending: list[_Change] = field(default_factory=list)
    forgotten: dict[int, tuple[int, int]] = field(default_factory=dict)  # by block: start and end of what a sync lost
    locked: bool = False

    def cut_forgotten(self, size: int) -> None:
        """What lies beyond `size` is gone for good."""
        self.forgotten = {
            block: (start, min(end, size)) for block, (start, end) in self.forgotten.items() if start < size
        }


@dataclass(slots=True, eq=False)
class _Names:
    """A directory, the same three ways. `pending` holds (name, node or None for removed)."""

    seen: dict[str, _Node] = field(default_factory=dict)
    durable: dict[str, _Node] = field(default_factory=dict)
    pending: list[dict[str, _Node]] = field(default_factory=list)  # the whole directory after each change


@dataclass(slots=True, kw_only=True)
class _Failure:
    at: int  # the number of the call
    error: int
    done: bool  # the call takes effect all the same
    kept: float  # for a write: the share of it that is taken


class SimulatedFileSystem:
    """A `FileSystem` for tests. `calls` counts every call made through it, so that the n-th can be made to fail."""

    def __init__(self, *, block: int = 512, capacity: int | None = None) -> None:
        """`block`: bytes that survive or vanish together. `capacity`: bytes of all files before ENOSPC."""
        self.block: Final = block
        self.capacity = capacity
        self.calls = 0
        self.log: list[str] = []
        self._directories: dict[str, _Names] = {}
        self._failure: _Failure | None = None
        self._stopped_at: int | None = None
        self._generation = 0

    # -- faults ------------------------------------------------------------------------------------------------

    def fail(self, after: int, error: int = errno.EIO, *, done: bool = False, kept: float = 0.5) -> None:
        """Let the call after the next `after` ones fail with `error`, once.

        `done`: it takes effect and fails all the same. A write takes the share `kept` of its bytes before it fails.
        """
        self._failure = _Failure(at=self.calls + after + 1, error=error, done=done, kept=kept)

    def stop(self, after: int) -> None:
        """From the call after the next `after` ones on, every call fails without effect, until the power is cut."""
        self._stopped_at = self.calls + after + 1

    @contextmanager
    def reliable(self) -> Iterator[None]:
        """Within this block calls are not counted and do not fail, so that a test can look at what is there."""
        held = self.calls, self._failure, self._stopped_at
        self._failure = self._stopped_at = None
        try:
            yield
        finally:
            self.calls, self._failure, self._stopped_at = held

    def kill(self) -> None:
        """The process dies: its files are closed and its locks are free; all that it wrote is there."""
        self._generation += 1
        for names in self._directories.values():
            for node in names.seen.values():
                node.locked = False

    def cut_power(self, choose: Choose) -> None:
        """The machine dies: of what was not synced, `choose` decides what survives. `choose(n)` is in range(n)."""
        self.kill()
        self._failure = self._stopped_at = None
        for names in self._directories.values():
            states = [names.durable, *names.pending]
            names.seen = dict(states[choose(len(states))])
            names.durable, names.pending = dict(names.seen), []
            for node in names.seen.values():
                self._settle(node, choose)

    def _settle(self, node: _Node, choose: Choose) -> None:
        """Blocks survive one by one; sizes follow from what survived, holes are zeros."""
        content = node.durable
        forgotten = [_Change(start, bytes(node.seen[start:end])) for start, end in node.forgotten.values()]
        for change in forgotten + node.pending:
            if change.cut:
                if choose(2):
                    del content[change.offset :]
                continue
            for start, end in self._blocks(change.offset, change.offset + len(change.data)).values():
                if choose(2):
                    _put(content, start, change.data[start - change.offset : end - change.offset])
            missing = change.offset + len(change.data) - len(content)
            if missing > 0 and choose(2):
                content.extend(bytes(missing))
        node.seen, node.durable, node.pending, node.forgotten = bytearray(content), bytearray(content), [], {}

    def _blocks(self, start: int, end: int) -> dict[int, tuple[int, int]]:
        """The part of `start:end` that lies in each block."""
        return {
            block: (max(start, block * self.block), min(end, (block + 1) * self.block))
            for block in range(start // self.block, -(-end // self.block))
        }

    # -- the port ----------------------------------------------------------------------------------------------

    def make_directory(self, path: Path) -> None:
        with self._call(f"make_directory {path}") as effect:
            if effect:
                self._directories.setdefault(str(path), _Names())

    def names(self, directory: Path) -> list[str]:
        with self._call(f"names {directory}"):
            return sorted(self._names(directory).seen)

    def open(self, path: Path, access: Access) -> SimulatedFile:
        with self._call(f"open {path} {access}"):
            names = self._names(path.parent)
            node = names.seen.get(path.name)
            if access == "create":
                if node is not None:
                    raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
                node = self._create(path)
            if node is None:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            return SimulatedFile(self, node, path.name, self._generation)

    def lock(self, path: Path) -> SimulatedFile | None:
        with self._call(f"lock {path}"):
            node = self._names(path.parent).seen.get(path.name) or self._create(path)
            if node.locked:
                return None
            node.locked = True
            return SimulatedFile(self, node, path.name, self._generation, holds_lock=True)

    def rename(self, old: Path, new: Path) -> None:
        with self._call(f"rename {old} {new}") as effect:
            if effect:
                names = self._names(old.parent)
                self._must_exist(names, old)
                names.seen[new.name] = names.seen.pop(old.name)
                names.pending.append(dict(names.seen))

    def remove(self, path: Path) -> None:
        with self._call(f"remove {path}") as effect:
            if effect:
                names = self._names(path.parent)
                self._must_exist(names, path)
                del names.seen[path.name]
                names.pending.append(dict(names.seen))

    def sync_directory(self, path: Path) -> None:
        with self._call(f"sync_directory {path}") as effect:
            if effect:
                names = self._names(path)
                names.durable, names.pending = dict(names.seen), []

    # -- for tests ---------------------------------------------------------------------------------------------

    def content(self, path: Path) -> bytes:
        """What a program would read from a file."""
        return bytes(self._names(path.parent).seen[path.name].seen)

    def replace_content(self, path: Path, data: bytes) -> None:
        """Put other bytes on the medium, as rot or a careless hand would."""
        node = self._names(path.parent).seen[path.name]
        node.seen, node.durable, node.pending, node.forgotten = bytearray(data), bytearray(data), [], {}

    # -- within ------------------------------------------------------------------------------------------------

    def _names(self, directory: Path) -> _Names:
        names = self._directories.get(str(directory))
        if names is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), str(directory))
        return names

    def _must_exist(self, names: _Names, path: Path) -> None:
        if path.name not in names.seen:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    def _create(self, path: Path) -> _Node:
        names = self._names(path.parent)
        node = names.seen[path.name] = _Node()
        names.pending.append(dict(names.seen))
        return node

    def _used(self) -> int:
        return sum(len(node.seen) for names in self._directories.values() for node in names.seen.values())

    def _call(self, what: str) -> _Call:
        self.calls += 1
        self.log.append(what)
        if self._stopped_at is not None and self.calls >= self._stopped_at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        failure = self._failure
        if failure is None or failure.at != self.calls:
            return _Call(None)
        self._failure = None
        return _Call(failure)


class _Call:
    """One call: says whether it takes effect, and fails afterwards if it is to."""

    __slots__ = ("failure",)

    def __init__(self, failure: _Failure | None) -> None:
        self.failure = failure

    def __enter__(self) -> bool:
        if self.failure is not None and not self.failure.done:
            raise OSError(self.failure.error, os.strerror(self.failure.error))
        return True

    def __exit__(self, *_: object) -> None:
        if self.failure is not None and self.failure.done:
            raise OSError(self.failure.error, os.strerror(self.failure.error))


class SimulatedFile:
    """An open file of the simulated file system. One that outlived its process can do nothing any more."""

    def __init__(
        self, fs: SimulatedFileSystem, node: _Node, name: str, generation: int, *, holds_lock: bool = False
    ) -> None:
        self._fs = fs
        self._node = node
        self._name = name
        self._generation = generation
        self._holds_lock = holds_lock
        self._closed = False

    def size(self) -> int:
        with self._call("size"):
            return len(self._node.seen)

    def read(self, size: int, offset: int) -> bytes:
        with self._call("read"):
            return bytes(self._node.seen[offset : offset + size])

    def write(self, data: bytes | memoryview, offset: int) -> int:
        taken = bytes(data)
        call = self._call("write")
        fs = self._fs
        if call.failure is not None:
            # The share that was taken is in the file, and nobody was told how much it is.
            self._apply(taken if call.failure.done else taken[: int(len(taken) * call.failure.kept)], offset)
            raise OSError(call.failure.error, os.strerror(call.failure.error))
        if fs.capacity is not None:
            room = fs.capacity - fs._used() + max(0, len(self._node.seen) - offset)
            if room <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            taken = taken[:room]  # a short write; the next one finds no room at all
        self._apply(taken, offset)
        return len(taken)

    def truncate(self, size: int) -> None:
        with self._call("truncate"):
            del self._node.seen[size:]
            self._node.pending.append(_Change(size, b"", cut=True))
            self._node.cut_forgotten(size)

    def sync(self) -> None:
        call = self._call("sync")
        node = self._node
        if call.failure is not None and not call.failure.done:
            self._forget()
            raise OSError(call.failure.error, os.strerror(call.failure.error))
        with call:
            for change in node.pending:
                if change.cut:
                    del node.durable[change.offset :]
                else:
                    _put(node.durable, change.offset, change.data)
            node.pending = []

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            if self._holds_lock and self._generation == self._fs._generation:
                self._node.locked = False

    def __del__(self) -> None:
        self.close()

    def _apply(self, data: bytes, offset: int) -> None:
        node = self._node
        if not data:
            return
        _put(node.seen, offset, data)
        start, end = offset, offset + len(data)
        for block in self._fs._blocks(offset, end):
            if block in node.forgotten:  # touched again, it will be written whole
                first, last = node.forgotten.pop(block)
                start, end = min(start, first), max(end, last)
        node.pending.append(_Change(start, bytes(node.seen[start:end])))

    def _forget(self) -> None:
        """A sync failed: what it was to write counts as clean from now on. A change of size is not forgotten."""
        node = self._node
        for change in node.pending:
            if change.cut:
                node.cut_forgotten(change.offset)
                continue
            for block, (start, end) in self._fs._blocks(change.offset, change.offset + len(change.data)).items():
                first, last = node.forgotten.get(block, (start, end))
                node.forgotten[block] = min(start, first), max(end, last)
        node.pending = [change for change in node.pending if change.cut]

    def _call(self, what: str) -> _Call:
        if self._closed or self._generation != self._fs._generation:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._fs._call(f"{what} {self._name}")


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data
