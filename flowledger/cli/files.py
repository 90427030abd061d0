"""Write files for people without ever losing one of theirs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flowledger.errors import UsageError


def write_new(folder: Path, files: Mapping[str, tuple[str | Iterable[str], int]], *, force: bool) -> list[Path]:
    """Write `files` (relative path to text and mode) below `folder`, all or none; returns where they are.

    Raises UsageError when a file is there already and `force` is not given, or when the folder cannot be written.
    """
    paths = {folder / name: content for name, content in files.items()}
    there = [str(path) for path in paths if path.exists() or path.is_symlink()]
    if there and not force:
        raise UsageError(
            f"{' and '.join(there)} {'is' if len(there) == 1 else 'are'} there already; nothing was written",
            hint="give another folder, or --force to overwrite",
        )
    with writing_into(folder):
        for path, (text, mode) in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text, mode=mode, force=force)
    return list(paths)


@contextmanager
def writing_into(folder: Path) -> Iterator[None]:
    """Inside, a folder that cannot be written is the caller's to change: raises UsageError instead of OSError.

    A full disk, and a descriptor that is missing for a moment, are DiskFull and TryLater.
    """
    from flowledger.cli.failure import refusal_of
    from flowledger.journal.refusal import NO_ROOM, PASSING, without_working_folder

    try:
        yield
    except OSError as error:
        if gone := without_working_folder(folder):
            raise gone from error
        if error.errno in NO_ROOM | PASSING:
            raise refusal_of(error) from error
        raise UsageError(
            f"{error.filename or folder} cannot be written: {error.strerror or error}", hint="give another folder"
        ) from error


def write_text(path: Path, text: str | Iterable[str], *, mode: int, force: bool) -> None:
    """Write one file, or none, with this mode from its first byte on; parts of a text are taken one after another.

    Raises FileExistsError unless `force`.
    """
    if force:
        path.unlink(missing_ok=True)  # a link is replaced, not followed
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.writelines([text] if isinstance(text, str) else text)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
