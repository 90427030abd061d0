"""Documents of a journal by number: where they lie is in memory, what they say is read from the files each time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

from tinydb.table import Document

from flowledger.journal.record import PRUNED, doc_of
from flowledger.journal.segment import Line, Segment


class View:
    """A journal's documents. Each read decodes anew, so that nobody can change the journal through a result.

    `segments` is replaced, never changed, so that a reader in another thread sees one state or another.
    """

    __slots__ = ("segments",)

    def __init__(self, segments: tuple[Segment, ...]) -> None:
        self.segments = segments

    def tables(self) -> list[str]:
        """Names of tables that have documents."""
        return list(dict.fromkeys(table for segment in self.segments for table in segment.index.tables()))

    def runs(self, table: str) -> list[str]:
        """Names of runs in a table, oldest first."""
        return list(dict.fromkeys(run for segment in self.segments for run in segment.index.runs(table)))

    def count(self, table: str) -> int:
        """How many documents a table has."""
        return sum(segment.index.size(table) for segment in self.segments)

    def numbers(self, table: str) -> list[int]:
        """Numbers of a table's documents, oldest first."""
        return [number for segment in self.segments for number in segment.numbers(table)]

    def get(self, table: str, number: int) -> Document | None:
        """The document with a number, if it is of the table. Raises JournalCorrupt, JournalError."""
        segments = self.segments
        found = _holder(segments, number)
        line = None if found is None else found.line(number)
        return None if line is None or line[1].table != table else _document(line, number)

    def document(self, number: int) -> Document:
        """Read one document that is there. Raises JournalCorrupt if its bytes are no longer what they were,
        JournalError if the disk does not give them, KeyError if there is no such number."""
        segment = _holder(self.segments, number)
        line = None if segment is None else segment.line(number)
        if line is None:
            raise KeyError(number)
        return _document(line, number)

    def documents(self, numbers: Iterable[int]) -> Iterator[Document]:
        """Read documents one after another."""
        return map(self.document, numbers)

    def of_run(self, table: str, run: str, *, after: int = 0) -> Iterator[Document]:
        """A run's documents in a table, oldest first; only those whose number is above `after` are read."""
        for segment in self.segments:
            for number, line in segment.lines_of(table, run, after=after):
                yield _document(line, number)

    def pruned(self) -> list[dict[str, Any]]:
        """What prunes left behind: their records, oldest first."""
        return [
            dict(doc_of(*segment.line_at(position)))
            for segment in self.segments
            for position in segment.index.all_positions(PRUNED)
        ]

    def close(self) -> None:
        """Let go of all files."""
        for segment in self.segments:
            segment.close()


def _holder(segments: tuple[Segment, ...], number: int) -> Segment | None:
    place = bisect_right(segments, number, key=lambda segment: segment.first) - 1
    return segments[place] if place >= 0 else None


def _document(line: Line, number: int) -> Document:
    return Document(doc_of(*line), number)
