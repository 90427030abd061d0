"""A file system whose writes stay in memory: what a dry run writes into a journal is forgotten, whatever its rights."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from flowledger.journal.filesystem import Access, File, FileSystem


class OverlayFileSystem:
    """Reads go to `below`; everything that is written, made, renamed or removed exists here only.

    Nothing is asked of `below` but to read, so that a read-only disk or another user's journal will do. The lock is not
    taken: a writer at work goes on undisturbed, and what it appends after a file was opened is not seen.
    """

    def __init__(self, below: FileSystem) -> None:
        self._below = below
        self._files: dict[Path, OverlayFile | None] = {}  # None: removed

    def make_directory(self, path: Path) -> None:
        self._below.names(path)

    def names(self, directory: Path) -> list[str]:
        names = dict.fromkeys(self._below.names(directory))
        for path, file in self._files.items():
            if path.parent != directory:
                continue
            if file is None:
                names.pop(path.name, None)
            else:
                names[path.name] = None
        return list(names)

    def open(self, path: Path, access: Access) -> File:
        if access == "create":
            if path.name in self.names(path.parent):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
            file = OverlayFile(None)
            self._files[path] = file
            return file
        if path in self._files:
            known = self._files[path]
            if known is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            return known
        file = OverlayFile(self._below.open(path, "read"))
        if access == "write":
            self._files[path] = file
        return file

    def lock(self, path: Path) -> File | None:  # noqa: ARG002 - the port's signature: no lock is taken
        return OverlayFile(None)

    def rename(self, old: Path, new: Path) -> None:
        self._files[new] = self._files.get(old) or OverlayFile(self._below.open(old, "read"))
        self._files[old] = None

    def remove(self, path: Path) -> None:
        self._files[path] = None

    def sync_directory(self, path: Path) -> None:
        """Nothing is to outlive the process."""


class OverlayFile:
    """The first `_kept` bytes of a file that is only read, and what was written after them."""

    def __init__(self, below: File | None) -> None:
        self._below = below
        self._kept = 0 if below is None else below.size()
        self._written = bytearray()

    def size(self) -> int:
        return self._kept + len(self._written)

    def read(self, size: int, offset: int) -> bytes:
        data = b""
        if offset < self._kept and self._below is not None:
            data = self._below.read(min(size, self._kept - offset), offset)
            if offset + len(data) < self._kept:
                return data
        at = offset + len(data) - self._kept
        return data + bytes(self._written[at : at + size - len(data)])

    def write(self, data: bytes | memoryview, offset: int) -> int:
        self._take_from(min(offset, self._kept))
        at = offset - self._kept
        if at > len(self._written):
            self._written.extend(bytes(at - len(self._written)))
        self._written[at : at + len(data)] = data
        return len(data)

    def truncate(self, size: int) -> None:
        self._take_from(min(size, self._kept))
        del self._written[size - self._kept :]
        self._written.extend(bytes(size - self.size()))

    def sync(self) -> None:
        """Nothing is to outlive the process."""

    def close(self) -> None:
        """The journal opens what it has closed again; the descriptor goes with the last reference."""

    def _take_from(self, offset: int) -> None:
        """Hold the bytes from `offset` on in memory."""
        if self._below is not None and offset < self._kept:
            self._written[:0] = _all_of(self._below, offset, self._kept - offset)
            self._kept = offset


def _all_of(file: File, offset: int, size: int) -> bytes:
    """`size` bytes from `offset`, however few a read returns; what the file has lost meanwhile reads as zeros."""
    data = bytearray()
    while len(data) < size and (part := file.read(size - len(data), offset + len(data))):
        data += part
    return bytes(data.ljust(size, b"\0"))
