"""What is wrong with a spec, and where: faults as values, collected so that all of them are reported at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

KeyPath = tuple[str | int, ...]  # keys and list positions from the top of the spec, like ("mappings", 2, "to")

MAX_FAULTS: Final = 200  # told at once; a file with more is no spec gone a little wrong
_LONGEST_ECHO: Final = 60  # characters of a value that a message repeats
_MOST_OPTIONS: Final = 500  # among which the nearest is looked for
_LONGEST_NUMBER: Final = 10**30


class TooManyFaults(Exception):
    """So many faults that looking for more helps nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong at `path`, and what would be right. `at_key`: the key itself is what is wrong."""

    path: KeyPath
    what: str
    right: str = ""
    at_key: bool = False

    def __str__(self) -> str:
        return f"{self.what}; {self.right}" if self.right else self.what


@dataclass(slots=True)
class Findings:
    """The faults and warnings met so far.

    `bad` paths hold stand-ins, so that no rule judges them again. `written` says where a path of the model is
    written, when that is elsewhere: short forms and misspelt keys. `references` says which environment variables the
    value at a path of the file comes from.
    """

    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    bad: set[KeyPath] = field(default_factory=set)
    written: dict[KeyPath, KeyPath] = field(default_factory=dict)
    references: dict[KeyPath, tuple[str, ...]] = field(default_factory=dict)

    def fault(self, path: KeyPath, what: str, right: str = "", *, at_key: bool = False) -> None:
        """Note a fault, and that the value at `path` is not to be judged further. Raises TooManyFaults."""
        self.faults.append(Fault(path=path, what=what, right=right, at_key=at_key))
        if not at_key:
            self.bad.add(path)
        if len(self.faults) >= MAX_FAULTS:
            raise TooManyFaults

    def warn(self, path: KeyPath, what: str, right: str = "") -> None:
        """Note something that is allowed and probably not meant."""
        self.warnings.append(Fault(path=path, what=what, right=right))

    def sound(self, *paths: KeyPath) -> bool:
        """Whether no fault was found at any of the paths or above them."""
        return not any(path[:length] in self.bad for path in paths for length in range(len(path) + 1))


def shown_path(path: KeyPath) -> str:
    """A key path as people read it: `mappings[2].to`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            part = part if len(part) <= _LONGEST_ECHO else part[: _LONGEST_ECHO - 3] + "..."
            text += f".{part}" if text else part
    return text or "(top of the spec)"


def echo(value: Any) -> str:
    """A value as a message may repeat it: quoted, on one line, cut short. Never call it with a secret."""
    if isinstance(value, int) and abs(value) >= _LONGEST_NUMBER:
        return "a huge number"  # Python refuses to print the largest
    text = repr(value[:_LONGEST_ECHO]) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_ECHO else text[: _LONGEST_ECHO - 3] + "..."


def one_of(options: Iterable[str]) -> str:
    """`a, b or c`."""
    words = list(options)
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def nearest(word: str, options: Sequence[str], *, cutoff: float = 0.6) -> str | None:
    """The option that `word` was probably meant to be, or None."""
    if len(options) > _MOST_OPTIONS:
        return None
    by_lower = {option.lower(): option for option in options}
    found = difflib.get_close_matches(word.lower()[:200], list(by_lower), n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, options: Sequence[str]) -> str:
    """`did you mean 'x'?`, or all the options when nothing is near."""
    near = nearest(word, options)
    return f"did you mean {near!r}?" if near else f"it is one of {one_of(options)}"
