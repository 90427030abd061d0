"""Standard error whose reader may go away (`2>&1 | head`): a run, a signal and an exit code matter more than it."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


class UntilNobodyReads(io.TextIOWrapper):
    """A text stream that leads nowhere from the moment when nobody reads it any more."""

    def write(self, text: str, /) -> int:
        """Write a text; one that nobody reads counts as written."""
        try:
            return super().write(text)
        except BrokenPipeError:
            self._lead_nowhere()
            return len(text)

    def flush(self) -> None:
        """Hand over what was written, if there is still somebody who reads it."""
        try:
            super().flush()
        except BrokenPipeError:
            self._lead_nowhere()

    def _lead_nowhere(self) -> None:
        """Put nothing in the place of the closed pipe, so that what is left in the buffer goes there too."""
        instead = nowhere()
        os.dup2(instead, self.fileno())
        os.close(instead)


def nowhere() -> int:
    """A new descriptor that discards what is written to it: /dev/null, or memory where that is missing."""
    try:
        return os.open(os.devnull, os.O_RDWR)
    except OSError:
        if sys.platform != "linux":
            raise
        return os.memfd_create("nowhere")


def until_nobody_reads(stream: TextIO) -> TextIO:
    """The same stream, without the error when its reader goes away. A stream of another kind is left as it is."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    encoding, errors = stream.encoding, stream.errors
    return UntilNobodyReads(stream.detach(), encoding=encoding, errors=errors, line_buffering=True)
