"""Bytes that are put aside for a moment: in memory up to a bound, then in a temporary file."""

from __future__ import annotations

import tempfile
from typing import Any, Final

from flowledger.errors import DiskFull, FlowledgerError, UsageError
from flowledger.journal.refusal import NO_ROOM

IN_MEMORY: Final = 32 * 1024 * 1024  # bytes


class Aside(tempfile.SpooledTemporaryFile[bytes]):
    """A file for rows that needs a temporary folder only beyond `in_memory` bytes.

    `write` and `flush` raise UsageError where there is no temporary folder, DiskFull where it has no room.
    """

    def __init__(self, *, in_memory: int = IN_MEMORY) -> None:
        super().__init__(max_size=in_memory, prefix="flowledger-")

    def write(self, data: Any, /) -> int:
        """Write bytes at the file's position."""
        try:
            return super().write(data)
        except OSError as error:
            raise _refused(error) from error

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        try:
            super().flush()
        except OSError as error:
            raise _refused(error) from error


def _refused(error: OSError) -> FlowledgerError:
    said = error.strerror or str(error)
    if error.errno in NO_ROOM:
        return DiskFull(
            f"the temporary folder {tempfile.gettempdir()} has no room for the rows: {said}",
            hint="make room there, or set TMPDIR to a folder that has some; then the same again",
        )
    return UsageError(
        f"there is no temporary folder for rows beyond {IN_MEMORY // 2**20} MiB: {said}",
        hint="set TMPDIR to a folder that this user may write into, then the same again",
    )
