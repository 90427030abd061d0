"""Writing all of some bytes, however little each call takes, and saying in our words what was refused."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowledger.journal.filesystem import File
from flowledger.journal.refusal import refused


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
    """Inside, an OSError becomes the error of ours that `refused` makes of it. `reading`: nothing was to be written."""
    try:
        yield
    except OSError as error:
        raise refused(error, directory, reading=reading) from error
