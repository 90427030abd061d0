"""Errors a caller can act on, one tree, split by what the caller can do.

FlowledgerError                 exit code
├── UsageError          2       the call itself is wrong: change the command or the arguments
├── SpecError           3       the spec is wrong, or changed since its run began: fix the file
├── NotPermitted        4       credentials missing, wrong or without the right: fix them, then resume
├── NotThere            5       something the spec names does not exist on the platform, or no such run
├── StepError           1       one platform call went wrong for good
│   ├── InternalError   1       a fault in flowledger itself: report it; the journal is safe to resume
│   └── Rejected        7       the platform said no, or a title is somebody else's: repeating cannot help
│       └── Conflict    7       an object with our marker or title disagrees with what this run needs
├── Drifted             8       what was provisioned is gone or was edited
├── TryLater            75      resuming later can help
│   ├── InDoubt         75      sent, but no answer, and the look-ups have not settled it
│   ├── Unreachable     75      the platform could not be reached, or kept throttling
│   │   └── NotServed   75      nothing listens at the platform's URL on this machine: start the emulator
│   ├── DiskFull        75      there was no room to write the journal
│   └── Interrupted     75      a signal stopped the run; what was in flight is journaled
└── JournalError        1       the journal cannot be used
    ├── JournalHeld     6       another process writes it
    ├── JournalCorrupt  9       durable bytes are damaged
    ├── JournalPoisoned 75      an append failed: whether it is on disk is unknown until the next start
    ├── JournalUnavailable 75   a lock, a descriptor or the disk is missing at the moment
    ├── JournalDenied   1       no right to read or write the journal: another owner, its mode, a read-only disk
    └── AppendOnlyError 1       something tried to change an event

This module imports nothing of ours, so that every package can raise from the same tree.
"""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlsplit

_NEXT = "next: "


class FlowledgerError(Exception):
    """Something the caller can act on.

    `hint` is the next command to type or the thing to change; the CLI prints it on a line of its own.
    `exit_code` is what the CLI ends with.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def hint(self) -> str:
        """What to type or to change next; a traceback shows it as a note, also that of a notebook."""
        return self._hint

    @hint.setter
    def hint(self, hint: str) -> None:
        self._hint = hint
        others = [note for note in getattr(self, "__notes__", ()) if not note.startswith(_NEXT)]
        self.__notes__ = [*others, f"{_NEXT}{hint}"] if hint else others


class UsageError(FlowledgerError):
    """The call itself is wrong."""

    exit_code = 2


class SpecError(FlowledgerError):
    """The spec is wrong, or not the one its run began with. `faults` names each place."""

    exit_code = 3

    def __init__(self, message: str, *, faults: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.faults = faults


class NotPermitted(FlowledgerError):
    """Credentials are missing, wrong, or lack a right."""

    exit_code = 4


class NotThere(FlowledgerError):
    """Something that was named does not exist."""

    exit_code = 5


class StepError(FlowledgerError):
    """One step went wrong for good. Says which, so that a log line is enough to find it."""

    def __init__(
        self,
        message: str,
        *,
        run: str = "",
        step: str = "",
        request_id: str = "",
        code: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.run = run
        self.step = step
        self.request_id = request_id
        self.code = code

    def __str__(self) -> str:
        where = "/".join(part for part in (self.run, self.step) if part)
        asked = f" (request id {self.request_id})" if self.request_id else ""
        return f"{where}: {self.message}{asked}" if where else f"{self.message}{asked}"


class InternalError(StepError):
    """An error that flowledger did not expect: a fault in flowledger. `__cause__` is that error.

    It ends one run only. What was journaled is safe to resume.
    """


class RowsMissing(StepError):
    """The dataflow stands and ran, and its rows did not arrive as the spec wants them to."""

    exit_code = 10


class Rejected(StepError):
    """The platform said no; repeating the call cannot help."""

    exit_code = 7


class Conflict(Rejected):
    """An object with our title or marker is not the one this run needs."""


class Drifted(FlowledgerError):
    """What was provisioned is gone or was edited. `differences` names each place."""

    exit_code = 8

    def __init__(self, message: str, *, differences: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.differences = differences


class TryLater(FlowledgerError):
    """The run is not finished; `flowledger resume` later can carry it on."""

    exit_code = 75


class InDoubt(TryLater):
    """A call was sent and not answered, and look-ups have not settled what became of it."""


class Unreachable(TryLater):
    """The platform could not be reached, answered only errors, or kept throttling."""


class NotServed(Unreachable):
    """Nothing listens at `url`, an address of this machine: the emulator is not running.

    `then` is what to type once it runs.
    """

    def __init__(self, url: str, *, port: int | None = None, then: str = "type the command again") -> None:
        host = urlsplit(url).hostname or ""
        start = "flowledger emulator start -d" + (f" --port {port}" if port else "")
        start += f" --host {host}" if host not in ("", "127.0.0.1", "localhost") else ""
        super().__init__(f"nothing listens at {url}: is the emulator running?", hint=f"{start}, then {then}")
        self.url = url
        self.port = port


class DiskFull(TryLater):
    """There was no room to write the journal; nothing that was acknowledged is lost."""


class Interrupted(TryLater):
    """A signal or a cancellation stopped the run."""


class JournalError(FlowledgerError):
    """The journal cannot be used."""


class JournalHeld(JournalError):
    """Another process writes this journal. `holder` says who and since when."""

    exit_code = 6

    def __init__(self, message: str, *, holder: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.holder = holder


class JournalCorrupt(JournalError):
    """Durable bytes of the journal are damaged: which file, where and why, and how to repair it."""

    exit_code = 9

    def __init__(self, message: str, *, file: str, offset: int, line: int, reason: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.offset = offset
        self.line = line
        self.reason = reason


class JournalPoisoned(JournalError, TryLater):
    """An append failed: whether it is on disk is unknown until the next start reads the journal."""

    exit_code = 75


class JournalUnavailable(JournalError, TryLater):
    """The journal cannot be used at the moment: no lock, no descriptor, or the disk does not answer."""

    exit_code = 75


class JournalDenied(JournalError):
    """The right to read or write the journal is missing. No later try helps until a person gives it."""


class AppendOnlyError(JournalError):
    """Something tried to change or remove an event. A correction is a new event."""
