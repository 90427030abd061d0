"""Which files of a folder are meant: those of its kinds of names, and nothing hidden; the working folder."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from flowledger.errors import SpecError
from flowledger.journal.refusal import without_working_folder


def files_in(folder: Path, suffixes: Collection[str], *, besides: Collection[str] = ()) -> list[Path]:
    """The files of `folder` with one of `suffixes`, by name, without those in `besides` and hidden ones (`._x.yaml`).

    Raises SpecError that names everything of such a name that is no file, like a link whose target is gone: left out
    without a word, it would hide that a spec was not read. Raises OSError for a folder that cannot
    be read.
    """
    found: list[Path] = []
    faults: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.suffix not in suffixes or path.name.startswith(".") or path.name in besides:
            continue
        if path.is_file():
            found.append(path)
        else:
            faults.append(f"{path}: {_what_it_is(path)}")
    if faults:
        raise SpecError(
            f"{folder} holds what is no file", faults=tuple(faults), hint="mend it, or take it out of the folder"
        )
    return found


def working_folder(what: str) -> Path:
    """The working folder, from which the path `what` counts. Raises UsageError where it was removed."""
    if gone := without_working_folder(Path(what)):
        raise gone
    return Path.cwd()


def _what_it_is(path: Path) -> str:
    if path.is_symlink() and not path.exists():
        return "the link leads to nothing"
    return "is a folder" if path.is_dir() else "is no regular file"
