"""Writing all of some bytes, however little each call takes, and saying in our words what was refused."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from flowledger.errors import DiskFull, JournalError
from flowledger.journal.filesystem import File

# What the operating system says when there is no room or no right: nothing is wrong with what is on disk.
NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM})


def write_all(file: File, data: bytes, offset: int = 0) -> None:
    """Write all of `data` at `offset`. Raises OSError."""
    view, done = memoryview(data), 0
    while done < len(data):
        taken = file.write(view[done:], offset + done)
        if taken <= 0:
            raise OSError(errno.EIO, "the write took nothing")
        done += taken


@contextmanager
def os_errors(directory: Path, *, reading: bool = False) -> Iterator[None]:
    """Say in our words what the operating system refused. `reading`: nothing was to be written."""
    try:
        yield
    except OSError as error:
        where = error.filename or directory
        said = f"{error.strerror or error} ({where})"
        if reading:
            raise JournalError(
                f"the journal {directory} cannot be read: {said}",
                hint="run this as the user who writes it, or say with --journal DIR where another one is",
            ) from error
        if error.errno in NO_ROOM:
            raise DiskFull(
                f"the journal {directory} cannot be written: {said}",
                hint="make room or give the right to write, then the same again: another --journal would know nothing "
                "of the runs in this one, and make everything a second time",
            ) from error
        raise JournalError(
            f"the journal {directory} cannot be used: {said}", hint="choose another place with --journal DIR"
        ) from error
