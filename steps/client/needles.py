"""Many texts looked for in another one: what that costs must not grow with how many secrets a process has."""

from __future__ import annotations

from collections.abc import Callable
from typing import AnyStr, Final, Generic

FEW: Final = 40  # so many are looked for one after another, which is quicker for them


class Needles(Generic[AnyStr]):
    """A growing set of texts, none of them empty. At each place the longest that stands there counts."""

    def __init__(self) -> None:
        self._all: set[AnyStr] = set()
        self._shortest = 0
        self._by_head: dict[AnyStr, list[AnyStr]] = {}  # what begins with these characters, the longest first

    def add(self, needle: AnyStr) -> None:
        """Look for this one too from now on."""
        if needle in self._all:
            return
        self._all.add(needle)
        if len(self._all) == 1 or len(needle) < self._shortest:
            self._shortest = len(needle)
            self._by_head.clear()
            for known in self._all:
                self._file(known)
        else:
            self._file(needle)

    def are_in(self, text: AnyStr) -> bool:
        """Whether one of them is part of the text."""
        if len(self._all) > FEW:
            return self._next(text, 0) is not None
        for needle in self._all:  # noqa: SIM110 - asked many times a call, a generator costs twice that
            if needle in text:
                return True
        return False

    def replaced(self, text: AnyStr, instead: Callable[[AnyStr], AnyStr]) -> AnyStr:
        """The text with `instead(needle)` in the place of each, from left to right."""
        if not self.are_in(text):
            return text
        new, done = text[:0], 0
        while (found := self._next(text, done)) is not None:
            at, needle = found
            new += text[done:at] + instead(needle)
            done = at + len(needle)
        return new + text[done:]

    def _file(self, needle: AnyStr) -> None:
        alike = self._by_head.setdefault(needle[: self._shortest], [])
        alike.append(needle)
        alike.sort(key=len, reverse=True)

    def _next(self, text: AnyStr, start: int) -> tuple[int, AnyStr] | None:
        by_head, length = self._by_head, self._shortest
        for at in range(start, len(text) - length + 1):
            for needle in by_head.get(text[at : at + length], ()):
                if text.startswith(needle, at):
                    return at, needle
        return None
