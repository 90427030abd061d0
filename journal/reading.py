"""Following a segment that somebody else may be writing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from flowledger.errors import AppendOnlyError, JournalError
from flowledger.journal.filesystem import FileSystem
from flowledger.journal.opening import SEGMENT, open_segment_to_read
from flowledger.journal.record import parse
from flowledger.journal.scan import Damage, Index, Kind, check_header, empty_segment, extend
from flowledger.journal.view import View
from flowledger.journal.writer import Item


class Follower:
    """A read-only segment and how far it has been read. Takes the writer's place under a read-only `JournalDB`."""

    def __init__(self, directory: Path, fs: FileSystem) -> None:
        self.directory = str(directory)
        self._file = open_segment_to_read(fs, directory)
        self._closed = False
        self.tail: Damage | None = None  # bytes after the last good record: a batch under way, or a torn one
        self.view = View(index=Index(), file=self._file, name=SEGMENT, directory=self.directory)
        try:
            check_header(self._file, SEGMENT, to_write=False)
            self.refresh()
        except BaseException:
            self._file.close()
            raise

    def refresh(self) -> int:
        """Read on from the last good record; how many records came. Raises JournalCorrupt."""
        before = self.check_readable().index.count
        if not self._last_record_stands():
            self.view.index = Index()  # the writer cut records back that were never acknowledged: read anew
        damage = self._extend()
        if damage is not None and damage.kind is Kind.CORRUPT:
            # A batch that was cut back and written anew between two of our reads looks like damage, once.
            self.view.index = Index()
            damage = self._extend()
            if damage is not None and damage.kind is Kind.CORRUPT:
                raise damage.error(SEGMENT, self.directory)
        self.tail = damage
        return self.view.index.count - before

    def insert(self, items: Sequence[Item]) -> NoReturn:
        """Refuse. Raises AppendOnlyError."""
        raise AppendOnlyError(
            f"the journal {self.directory} is open for reading only: {len(items)} documents were not written",
            hint="Journal.open opens it for appending",
        )

    @property
    def closed(self) -> bool:
        """Nothing can be read any more."""
        return self._closed

    def check_readable(self) -> View:
        """The view, unless it is closed. Raises JournalError."""
        if self._closed:
            raise JournalError(f"the journal {self.directory} is closed", hint="open it again to read")
        return self.view

    def close(self) -> None:
        """Let go of the file."""
        self._closed = True
        self._file.close()

    def _extend(self) -> Damage | None:
        size = self._file.size()
        return extend(self.view.index, self._file, size=size) if size else empty_segment()

    def _last_record_stands(self) -> bool:
        index = self.view.index
        if index.count == 0:
            return True
        start, end = index.bounds[-2], index.bounds[-1]
        line = self._file.read(end - start, start)
        record = parse(line[:-1])
        return record is not None and record.crc == index.prev
