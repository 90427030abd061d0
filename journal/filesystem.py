"""The calls that the journal makes to the file system, as a port, and the operating system's own adapter."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Final, Literal, Protocol

from flowledger.errors import JournalError, UsageError
from flowledger.journal.refusal import owned_by_another

Access = Literal["read", "write", "create"]  # create: must not exist yet

FILE_MODE: Final = 0o600
DIRECTORY_MODE: Final = 0o700


class File(Protocol):
    """An open file. All positions are bytes from its start."""

    def size(self) -> int:
        """Bytes in the file."""
        ...

    def read(self, size: int, offset: int) -> bytes:
        """At most `size` bytes from `offset`; empty at the end."""
        ...

    def write(self, data: bytes | memoryview, offset: int) -> int:
        """Write at `offset`; returns how many bytes were taken, which may be fewer than given."""
        ...

    def truncate(self, size: int) -> None:
        """Cut (or extend with zeros) to `size` bytes."""
        ...

    def sync(self) -> None:
        """Return once content and size are on the medium."""
        ...

    def close(self) -> None:
        """Let go of the file, and of a lock on it. Nothing is synced by this."""
        ...


class FileSystem(Protocol):
    """What the journal needs of a file system. Every failure is an OSError."""

    def make_directory(self, path: Path) -> None:
        """Make a directory and its missing parents, durably; one that is there stays as it is."""
        ...

    def names(self, directory: Path) -> list[str]:
        """The names in a directory."""
        ...

    def open(self, path: Path, access: Access) -> File:
        """Open a file. Symbolic links are refused, and so are others' files unless they are only read."""
        ...

    def lock(self, path: Path) -> File | None:
        """Open (or create) a lock file and lock it; None if another holds it. The kernel unlocks it at death."""
        ...

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name in the same directory, replacing what has it."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Return once the names in a directory are on the medium."""
        ...


class OsFile:
    """A file descriptor."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def read(self, size: int, offset: int) -> bytes:
        return os.pread(self._fd, size, offset)

    def write(self, data: bytes | memoryview, offset: int) -> int:
        return os.pwrite(self._fd, data, offset)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)

    def sync(self) -> None:
        if sys.platform == "darwin":
            # macOS's fsync leaves the data in the drive's cache; only this call reaches the medium.
            import fcntl

            fcntl.fcntl(self._fd, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(self._fd)

    def close(self) -> None:
        # The number may be another file's by the time of a second close, so it is forgotten first.
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        # A journal that was dropped without `close` lets go of its lock as soon as nothing refers to it.
        self.close()


class OsFileSystem:
    """The operating system's files: Linux and macOS."""

    def __init__(self) -> None:
        if sys.platform == "win32":
            raise UsageError(
                "the journal cannot be kept on Windows: it needs flock, fdatasync and directories that can be synced",
                hint="run flowledger on Linux or macOS (WSL 2 will do), with the journal on its own file system",
            )

    def make_directory(self, path: Path) -> None:
        missing = []
        at = path
        while not at.is_dir():
            missing.append(at)
            at = at.parent
        for directory in reversed(missing):
            try:
                directory.mkdir(mode=DIRECTORY_MODE)
            except FileExistsError:
                if not directory.is_dir():
                    raise
                continue  # another process made it between the look and the call
            directory.chmod(DIRECTORY_MODE)  # whatever the umask said
            self.sync_directory(directory.parent)

    def names(self, directory: Path) -> list[str]:
        return os.listdir(directory)  # noqa: PTH208 - names are wanted, not paths

    def open(self, path: Path, access: Access) -> OsFile:
        flags = {"read": os.O_RDONLY, "write": os.O_RDWR, "create": os.O_RDWR | os.O_CREAT | os.O_EXCL}[access]
        # O_NONBLOCK: a pipe that lies there is refused below, where opening it would wait for somebody to write.
        fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, FILE_MODE)
        return self._admit(fd, path, own=access != "read", created=access == "create")

    def lock(self, path: Path) -> OsFile | None:
        import fcntl  # here, so that importing the package on Windows ends in the refusal above

        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        file = self._admit(fd, path, own=True, created=True)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError:
            file.close()
            raise
        return file

    def rename(self, old: Path, new: Path) -> None:
        old.replace(new)

    def remove(self, path: Path) -> None:
        path.unlink()

    def sync_directory(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _admit(self, fd: int, path: Path, *, own: bool, created: bool) -> OsFile:
        """Take the descriptor if the file is one that we may trust, with our mode if we made it."""
        file = OsFile(fd)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise JournalError(f"{path} is not a regular file, so it is not used as part of a journal")
            if own and found.st_uid != os.geteuid():
                raise owned_by_another(path, found.st_uid)
            if created:
                os.fchmod(fd, FILE_MODE)  # whatever the umask said
        except BaseException:
            file.close()
            raise
        return file
