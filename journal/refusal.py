"""What the operating system refused, by its error number: what it means for a journal, and what to do next."""

from __future__ import annotations

import errno
import os
import shlex
from pathlib import Path
from typing import Final

from flowledger.errors import DiskFull, FlowledgerError, JournalDenied, JournalError, JournalUnavailable, UsageError

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NO_RIGHT: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
# A write that ends with one of these left what is on disk as it was.
NOT_WRITTEN: Final = NO_ROOM | NO_RIGHT
# Nothing is wrong with the call: a descriptor, a lock or a medium is missing, and may be there again in a minute.
PASSING: Final = frozenset(
    {
        errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EINTR, errno.EAGAIN, errno.EBUSY, errno.EDEADLK,
        errno.ENOLCK, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.ECONNREFUSED, errno.ECONNRESET,
        errno.ECONNABORTED, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH,
    }
)  # fmt: skip
_NO_SUCH_PATH: Final = frozenset(
    {errno.EEXIST, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR, errno.EILSEQ}
)
_NO_NEW_JOURNAL: Final = "a new journal knows nothing of the runs in this one, and makes everything a second time"


def refused(error: OSError, directory: Path, *, reading: bool = False) -> FlowledgerError:
    """The error of ours for an operating system's error that a journal in `directory` met.

    `reading`: nothing was to be written. DiskFull and JournalUnavailable may pass by themselves (exit code 75);
    JournalDenied and JournalError do not.
    """
    said = f"{error.strerror or error} ({error.filename or directory})"
    done = "read" if reading else "written"
    if error.errno in PASSING:
        return JournalUnavailable(
            f"the journal {directory} cannot be used at the moment: {said}", hint=passing_hint(error.errno)
        )
    if error.errno in NO_RIGHT:
        return JournalDenied(
            f"the journal {directory} cannot be {done}: {said}", hint=_right_hint(error, directory, reading=reading)
        )
    if error.errno in NO_ROOM:
        return DiskFull(f"the journal {directory} cannot be written: {said}", hint=room_hint(directory, error.errno))
    if error.errno in _NO_SUCH_PATH:
        return JournalError(
            f"the journal {directory} cannot be used: {said}",
            hint="correct the path: --journal or FLOWLEDGER_JOURNAL names the folder that holds the journal",
        )
    if error.errno == errno.ENOENT:
        return without_working_folder(directory) or JournalError(
            f"the journal {directory} cannot be used: {said}",
            hint="a folder above it was removed meanwhile: the same again if that was meant",
        )
    return JournalError(
        f"the journal {directory} cannot be used: {said}",
        hint="choose a folder on a local disk with --journal DIR"
        if _has_no_segments(directory)
        else "copy the whole journal folder to a local disk, then the same with --journal THERE; " + _NO_NEW_JOURNAL,
    )


def _has_no_segments(directory: Path) -> bool:
    """True if the folder certainly holds no journal."""
    try:
        return not any(path.name.startswith("segment-") for path in directory.iterdir())
    except FileNotFoundError:
        return True
    except OSError:
        return False


def without_working_folder(path: Path) -> UsageError | None:
    """The error for a path that counts from a working folder which was removed; None for any other."""
    if path.is_absolute():
        return None
    try:
        Path.cwd()
    except FileNotFoundError:
        return UsageError(
            f"{path} counts from the working folder, which was removed",
            hint="change into a folder that is there (cd), then the same again; or write the whole path",
        )
    return None


def room_hint(directory: Path | str, number: int | None) -> str:
    """What to do when the disk of a journal is full, or a limit is reached: an error number of NO_ROOM."""
    first = {
        errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
        errno.EDQUOT: "have the quota raised",
    }.get(number or 0, "make room")
    return (
        f"{first}, then the same again; or copy the whole journal folder ({directory}) to a larger disk, then "
        f"--journal THERE. Do not begin an empty one: {_NO_NEW_JOURNAL}"
    )


def passing_hint(number: int | None) -> str:
    """What to do about an error number of PASSING."""
    if number == errno.EMFILE:
        return "this process has used all of its descriptors: raise the limit (ulimit -n 1024), then the same again"
    if number in (errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
        return "this machine has no descriptors or no memory left: end what takes them, then the same again"
    if number == errno.ENOLCK:
        return "the file system's lock service does not answer: look at its mount, then the same again later"
    if number in (errno.EINTR, errno.EAGAIN, errno.EBUSY, errno.EDEADLK):
        return "the same again later"
    return "look at the disk or the mount (its errors are in `dmesg`), then the same again later"


def owned_by_another(path: Path, owner: int) -> JournalDenied:
    """The refusal to write a file of another user."""
    return JournalDenied(
        f"{path} belongs to user {owner}, and a journal is only written by its owner, not by user {os.geteuid()}",
        hint=_as_owner(path.parent, owner),
    )


def unwritable(directory: Path) -> JournalDenied | None:
    """Why this user could not write the journal in `directory`, without trying; None if nothing speaks against it."""
    lock = directory / "lock"
    if lock.exists() and (owner := lock.stat().st_uid) != os.geteuid():
        return owned_by_another(lock, owner)
    if os.access(directory, os.W_OK | os.X_OK):
        return None
    number = errno.EROFS if os.statvfs(directory).f_flag & os.ST_RDONLY else errno.EACCES
    error = refused(OSError(number, os.strerror(number)), directory)
    assert isinstance(error, JournalDenied)
    return error


def _right_hint(error: OSError, directory: Path, *, reading: bool) -> str:
    if error.errno == errno.EROFS:
        return (
            "mount the disk with the right to write, or copy the whole journal folder to another disk, then the same "
            f"with --journal THERE; {_NO_NEW_JOURNAL}"
        )
    try:
        owner = directory.stat().st_uid
    except OSError:
        return _made_first(directory)
    if owner != os.geteuid():
        return _as_owner(directory, owner)
    right = "u+rX" if reading else "u+rwX"
    return f"chmod -R {right} {shlex.quote(str(directory))}, then the same again"


def _made_first(directory: Path) -> str:
    """For a folder that is not there, or in a folder that this user may not enter."""
    return (
        f"run it as the user who owns the journal; if there is none in {directory} yet, give user {os.geteuid()} the "
        "right to write in the folder above it"
    )


def _as_owner(directory: Path, owner: int) -> str:
    return (
        f"run it as user {owner} (sudo -u '#{owner}'), or make the journal yours: chown -R {os.geteuid()} "
        f"{shlex.quote(str(directory))} (as root); {_NO_NEW_JOURNAL}"
    )
