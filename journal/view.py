"""Documents of a segment by number: where they lie is in memory, what they say is read from the file each time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tinydb.table import Document

from flowledger.errors import JournalCorrupt, JournalError
from flowledger.journal.filesystem import File
from flowledger.journal.record import doc_of, parse
from flowledger.journal.scan import Index


class View:
    """A segment's documents. Each read decodes anew, so that nobody can change the journal through a result."""

    __slots__ = ("directory", "file", "index", "name")

    def __init__(self, *, index: Index, file: File, name: str, directory: str) -> None:
        self.index = index
        self.file = file
        self.name = name
        self.directory = directory

    def tables(self) -> list[str]:
        """Names of tables that have documents."""
        return list(self.index.tables)

    def runs(self, table: str) -> list[str]:
        """Names of runs in a table, oldest first."""
        return [run for of, run in list(self.index.runs) if of == table]

    def numbers(self, table: str, run: str | None = None) -> list[int]:
        """Numbers of a table's documents, or of one run's in it, oldest first."""
        held = self.index.tables.get(table) if run is None else self.index.runs.get((table, run))
        return [] if held is None else held.tolist()

    def holds(self, table: str, number: int) -> bool:
        """Whether document `number` is in the table."""
        held = self.index.tables.get(table)
        if held is None:
            return False
        low, high = 0, len(held)
        while low < high:
            middle = (low + high) // 2
            if held[middle] < number:
                low = middle + 1
            else:
                high = middle
        return low < len(held) and held[low] == number

    def document(self, number: int) -> Document:
        """Read one document. Raises JournalCorrupt if its bytes are no longer what they were, JournalError if the disk
        does not give them."""
        start, end = self.index.bounds[number], self.index.bounds[number + 1]
        try:
            line = self.file.read(end - start, start)
        except OSError as error:
            raise JournalError(
                f"{self.name} in {self.directory} cannot be read at byte {start}: {error.strerror or error}",
                hint="look at the disk; what was acknowledged is not touched by this",
            ) from None
        record = parse(line[:-1]) if len(line) == end - start and line.endswith(b"\n") else None
        if record is None or record.seq != number:
            reason = "the record is not what it was when the journal was opened"
            raise JournalCorrupt(
                f"{self.name} is damaged at byte {start} (line {number + 1}): {reason}",
                file=self.name,
                offset=start,
                line=number + 1,
                reason=reason,
                hint=f"flowledger journal verify --journal {self.directory} says more",
            )
        return Document(doc_of(line[:-1], record), number)

    def documents(self, numbers: Iterable[int]) -> Iterator[Document]:
        """Read documents one after another."""
        return map(self.document, numbers)
