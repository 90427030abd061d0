"""Show the line of a file that a fault names, with a mark under the place; never a secret that was typed there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from flowledger.cli.show import width

PLACE: Final = re.compile(r"^(?P<file>.+?):(?P<line>\d+):(?P<column>\d+) ")
PATH: Final = re.compile(r"[\w-]+")
KEY: Final = re.compile(r"""(?P<key>[\w.-]+)["']?\s*[:=]\s*""")
QUOTED: Final = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')(?=\s*(?:[,}\]#]|$))""")
WITHIN_BRACES: Final = re.compile(r"[^,}\]]*")
LARGEST: Final = 1024 * 1024  # bytes; a spec has no more


class Excerpts:
    """The lines of the files that faults name; each file is read once."""

    def __init__(self) -> None:
        self._files: dict[str, list[str]] = {}

    def of(self, fault: str) -> Iterable[str]:
        """Two lines under a fault that names a place: the file's line, and a mark under its column."""
        found = PLACE.match(fault)
        if found is None:
            return ()
        lines = self._lines(found["file"])
        number, column = int(found["line"]), int(found["column"])
        if not 0 < number <= len(lines):
            return ()
        path, _, what = fault[found.end() :].partition(":")
        # Which parameters are secrets their kind says, not their names; several may stand on one line.
        doubtful = "params" in lines[number - 1] or (
            "params" in PATH.findall(path) and ("{" in lines[number - 1] or "secret" in what)
        )
        line = without_values_of_secrets(lines[number - 1], all_values=doubtful)
        if line == lines[number - 1].replace("\t", " ") and _is_about_a_secret(path, what):
            return ()  # its key stands on another line, so that this one may be the secret
        room = width() - 11
        if not 0 < column <= room:
            return ()
        text = line if len(line) <= room else f"{line[: room - 1]}…"
        return (f"{number:>7} | {text}", f"{'':7} | {' ' * (column - 1)}^")

    def _lines(self, file: str) -> list[str]:
        if file not in self._files:
            try:
                if not Path(file).is_file():  # a pipe, which has been read
                    raise OSError
                with Path(file).open("rb") as handle:
                    self._files[file] = handle.read(LARGEST).decode("utf-8-sig").split("\n")
            except (OSError, ValueError):
                self._files[file] = []  # it could be read a moment ago; the fault says enough without its line
        return self._files[file]


def _is_about_a_secret(path: str, what: str) -> bool:
    from flowledger.steps.client.redact import is_secret_key

    parts = PATH.findall(path)
    return any(is_secret_key(part) for part in parts) or ("params" in parts and "secret" in what)


def without_values_of_secrets(line: str, *, all_values: bool = False) -> str:
    """The line with what stands behind a key of a secret left out, or behind any key: people type secrets there."""
    from flowledger.steps.client.redact import is_secret_key

    line = line.replace("\t", " ")
    shown, at = "", 0
    while (found := KEY.search(line, at)) is not None:
        shown, at = shown + line[at : found.end()], found.end()
        if (all_values or is_secret_key(found["key"])) and line[at : at + 1] not in (
            "",
            "{",
            "[",
        ):  # a mapping refers to a secret
            shown, at = shown + "…", _end_of_value(line, at)
    return shown + line[at:]


def _end_of_value(line: str, at: int) -> int:
    """Where the value ends that begins at `at`. Outside of braces a plain one has the rest of the line, commas too."""
    value = QUOTED.match(line, at)
    if value is None and "{" in line[:at]:
        value = WITHIN_BRACES.match(line, at)
    return len(line) if value is None else value.end()
