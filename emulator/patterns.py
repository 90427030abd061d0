"""Regular expressions that come from outside: compiled once, matched with a time limit, refused in one way.

They are the package `regex`'s, which has what Java's have and Python's lack (possessive quantifiers, atomic groups,
`\\p{...}`, `(?<name>...)`, look-behind of more than one length) and can be stopped. Left out is what only `regex` has:
fuzzy matching (a brace that is no count is a plain character), recursion, verbs, named lists. Other than in Java:
`\\w`, `\\d` and `\\b` know all scripts, `$` is the end or before a final line feed only, and `\\Q...\\E` and `[a&&[b]]`
have no meaning of their own.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import regex

from flowledger.emulator import effort
from flowledger.emulator.effort import MOST_ENTRIES, TooMuch

LONGEST_PATTERN: Final = 500  # characters; the time limit is looked at between steps, which grow with the pattern
LARGEST_PATTERN: Final = 20_000  # characters when every counted repeat is written out, as `regex` does
COUNT: Final = re.compile(r"\{(\d{1,6})(,(\d{0,6}))?\}", re.ASCII)
BRACED_ESCAPE: Final = re.compile(r"\\[pPxNuk]\{[^{}]*\}")
NAMED_AGAIN: Final = re.compile(r"\\k<([^\W\d]\w*)>")  # as Java has it: what the group of that name has matched
GROUP: Final = re.compile(r"\(\?(?::|=|!|>|#|<[=!]|P?<[^\W\d]\w*>|P=[^\W\d]\w*\)|[aimsux]*(?:-[imsx]+)?[:)])")


class Pattern:
    """A compiled pattern. Every use spends of the current effort, and raises TooMuch (a ValueError) beyond it."""

    def __init__(self, found: Any) -> None:
        self._found = found

    def search(self, text: str) -> Any:
        """The first match anywhere in the text, or None."""
        return _within(lambda timeout: self._found.search(text, timeout=timeout, concurrent=True))

    def fullmatch(self, text: str) -> Any:
        """The match of the whole text, or None."""
        return _within(lambda timeout: self._found.fullmatch(text, timeout=timeout, concurrent=True))

    def split(self, text: str) -> list[Any]:
        """The parts between the matches. Raises TooMuch for more than MOST_ENTRIES parts."""
        most = MOST_ENTRIES // (1 + self._found.groups) + 1  # one more than there may be
        found: list[Any] = _within(
            lambda timeout: self._found.split(text, maxsplit=most, timeout=timeout, concurrent=True)
        )
        if len(found) > MOST_ENTRIES:
            raise TooMuch(f"the text has more than {MOST_ENTRIES} parts")
        return found


@lru_cache(maxsize=256)
def compiled(text: str) -> Pattern:
    """The pattern, ready to be used. Raises ValueError."""
    if len(text) > LONGEST_PATTERN:
        raise ValueError(f"a regular expression has at most {LONGEST_PATTERN} characters, not {len(text)}")
    try:
        checked = _checked(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sets that may mean something else one day
            _read_by_python(checked)
            return Pattern(regex.compile(checked, regex.VERSION0))
    except (re.error, regex.error, ValueError, ArithmeticError, RecursionError, LookupError) as fault:
        raise ValueError(f"bad regular expression {text[:100]!r}: {fault}") from fault


def like(pieces: Sequence[str], *, any_one: str = "") -> Callable[[str], bool]:
    """Tells whether a whole text is these pieces with anything between them, in time that does not explode.

    `any_one` stands for one character of any kind; all others stand for themselves.
    """
    first, last, middle = pieces[0], pieces[-1], pieces[1:-1]
    if len(pieces) == 1:
        return lambda text: len(text) == len(first) and _stands(text, 0, first, any_one)

    def fits(text: str) -> bool:
        if len(text) < len(first) + len(last) or not _stands(text, 0, first, any_one):
            return False
        end, place = len(text) - len(last), len(first)
        for piece in middle:
            place = _found(text, place, end, piece, any_one)
            if place < 0:
                return False
            place += len(piece)
        return _stands(text, end, last, any_one)

    return fits


def _stands(text: str, place: int, piece: str, any_one: str) -> bool:
    if not any_one or any_one not in piece:
        return text.startswith(piece, place)
    parts = text[place : place + len(piece)]
    return len(parts) == len(piece) and all(want in (any_one, got) for want, got in zip(piece, parts, strict=True))


def _found(text: str, place: int, end: int, piece: str, any_one: str) -> int:
    """Where the piece stands first between two places, -1 when nowhere."""
    if not any_one or any_one not in piece:
        return text.find(piece, place, end)
    if len(piece) > LONGEST_PATTERN:
        raise TooMuch(f"a pattern has at most {LONGEST_PATTERN} characters between two wildcards")
    form = regex.compile("".join("." if letter == any_one else regex.escape(letter) for letter in piece), regex.DOTALL)
    met = _within(lambda timeout: form.search(text, place, end, timeout=timeout))
    return -1 if met is None else int(met.start())


def _within(run: Callable[[float], Any]) -> Any:
    try:
        return effort.current().match(run)
    except MemoryError as fault:
        raise TooMuch("the regular expression needs too much memory on this text") from fault


def _read_by_python(text: str) -> None:
    """Raises re.error, whose words are better than `regex`'s, unless only Python lacks what the pattern has."""
    try:
        re.compile(text)
    except re.error as fault:
        lacking = ("bad escape \\p", "bad escape \\P", "bad escape \\h", "bad escape \\R")
        if not fault.msg.startswith((*lacking, "look-behind requires", "unknown extension ?<")):
            raise


def _checked(text: str) -> str:
    """The pattern with braces that are no counts as plain characters. Raises ValueError for what Java does not have.

    Also for one that gets too large when its counted repeats are written out: `(?:a{9999}){9999}` takes gigabytes.
    """
    written: list[str] = []
    sizes, last = [0], 0  # the size so far of each open group, and of what a repeat would repeat
    place = 0
    while place < len(text):
        letter = text[place]
        step, size = letter, 1
        if letter == "\\":
            braced = BRACED_ESCAPE.match(text, place)
            step = braced[0] if braced else text[place : place + 2]
            named = NAMED_AGAIN.match(text, place)
            if named:
                written.append(f"(?P={named[1]})")
                place += len(named[0])
                continue
            if step in ("\\L", "\\K", "\\G", "\\m", "\\M"):
                raise ValueError(f"{step} is not known at position {place}")
        elif letter == "[":
            step = _set_of(text, place)
        elif letter == "(":
            step = _opening(text, place)
            sizes.append(0)
            size = 0
        elif letter == ")":
            size = sizes.pop() if len(sizes) > 1 else 0
        elif letter == "{":
            counted = COUNT.match(text, place)
            step = counted[0] if counted else "\\{"
            if counted:
                times = max(1, int(counted[1]), int(counted[3] or 0))
                size = last * (times - 1)
        if sum(sizes) + size > LARGEST_PATTERN:
            raise ValueError(f"its repeats make it longer than {LARGEST_PATTERN} characters")
        sizes[-1] += size
        last = size + (last if letter == "{" else 0)
        written.append(step)
        place += len(step) if step != "\\{" or letter == "\\" else 1
    return "".join(written)


def _opening(text: str, place: int) -> str:
    """The beginning of a group at a place. Raises ValueError for a kind of group that Java does not have."""
    if text.startswith("(*", place):
        raise ValueError(f"nothing to repeat at position {place + 1}")
    if not text.startswith("(?", place):
        return "("
    if GROUP.match(text, place) is None:
        raise ValueError(f"unknown extension {text[place + 1 : place + 4]} at position {place + 1}")
    return "(?"


def _set_of(text: str, place: int) -> str:
    """The set that begins at a place, brackets included; only the bracket when it does not end."""
    end = place + 1
    if text.startswith("^", end):
        end += 1
    if text.startswith("]", end):
        end += 1
    while end < len(text) and text[end] != "]":
        end += 2 if text[end] == "\\" else 1
    return text[place : end + 1] if end < len(text) else "["
