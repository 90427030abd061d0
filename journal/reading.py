"""Following a journal that somebody else may be writing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn, TypeVar

from flowledger.errors import AppendOnlyError, JournalCorrupt, JournalError, NotThere
from flowledger.journal.chain import Chain, open_chain
from flowledger.journal.filesystem import FileSystem
from flowledger.journal.index import Index
from flowledger.journal.layout import Layout, layout_of
from flowledger.journal.record import SEAL, parse
from flowledger.journal.refusal import without_working_folder
from flowledger.journal.scan import Damage, Header, Kind, empty_segment, extend
from flowledger.journal.segment import Segment
from flowledger.journal.tail import Item
from flowledger.journal.view import View
from flowledger.journal.writing import os_errors

T = TypeVar("T")
_TRIES: Final = 5  # to open all segments while a prune replaces them


def open_to_read(fs: FileSystem, directory: Path) -> Chain:
    """The segments of a journal, for reading. Raises NotThere if the directory holds none, JournalCorrupt."""
    return with_layout(fs, directory, lambda layout: open_chain(fs, directory, layout, to_write=False))


def with_layout(fs: FileSystem, directory: Path, look: Callable[[Layout], T]) -> T:
    """What `look` finds in the files of a journal; it looks again if a prune takes them away meanwhile.

    Raises NotThere if the directory holds no journal, and what `look` raises.
    """
    with os_errors(directory, reading=True):
        for left in reversed(range(_TRIES)):
            layout = layout_to_read(fs, directory)
            try:
                return look(layout)
            except FileNotFoundError:
                # A prune put other segments in their place between our two looks.
                if not left:
                    raise
    raise AssertionError("unreachable")


def layout_to_read(fs: FileSystem, directory: Path) -> Layout:
    """Which files are the journal. Raises NotThere if there is none."""
    try:
        layout = layout_of(fs.names(directory), directory)
    except NotADirectoryError:
        raise NotThere(
            f"there is no journal in {directory}, which is no folder",
            hint="correct the path: --journal or FLOWLEDGER_JOURNAL names the folder that holds the journal",
        ) from None
    except FileNotFoundError:
        layout = None
    if layout is None or not layout.segments:
        raise without_working_folder(directory) or NotThere(
            f"there is no journal in {directory}",
            hint="say with --journal DIR (or FLOWLEDGER_JOURNAL) where it is; if there never was one, "
            "flowledger apply SPEC begins it",
        )
    return layout


def is_there(directory: Path) -> bool:
    """True if there is something at the path. Raises JournalError where this user may not look."""
    with os_errors(directory, reading=True):
        try:
            directory.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
    return True


class Follower:
    """A journal that is only read, and how far. Takes the writer's place under a read-only `JournalDB`."""

    def __init__(self, directory: Path, fs: FileSystem) -> None:
        self.directory = str(directory)
        self._place = directory
        self._fs = fs
        self._closed = False
        self.tail: Damage | None = None  # bytes after the last good record: a batch under way, or a torn one
        self.view = View(())
        self._open()

    def refresh(self) -> int:
        """Read on from the last good record; how many records came. Raises JournalCorrupt."""
        before = _records(self.check_readable())
        with os_errors(self._place, reading=True):
            self._refresh()
        return _records(self.view) - before

    def _refresh(self) -> None:
        if not self._last_record_stands():
            self._read_anew()  # the writer cut records back that were never acknowledged
        damage = self._extend()
        if damage is not None and damage.kind is Kind.CORRUPT:
            # A batch that was cut back and written anew between two of our reads looks like damage, once.
            self._read_anew()
            damage = self._extend()
            if damage is not None and damage.kind is Kind.CORRUPT:
                raise damage.error(self._active.name, self.directory)
        self.tail = damage
        if self._index.last_table == SEAL and self._active.name != (layout_to_read(self._fs, self._place).segments[-1]):
            # The writer has begun another segment, or a prune has replaced them all.
            held = self.view
            self._open()
            held.close()

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
        """Let go of the files."""
        self._closed = True
        self.view.close()

    def _open(self) -> None:
        chain = open_to_read(self._fs, self._place)
        try:
            if chain.damage is not None and (chain.header is None or chain.damage.kind is Kind.CORRUPT):
                # Perhaps only what a writer was just cutting back: once more before it is called damage.
                chain.index = Index()
                size = chain.file.size()
                chain.damage = extend(chain.index, chain.file, size=size) if size else empty_segment()
                if chain.damage is not None and chain.damage.kind is Kind.CORRUPT:
                    raise chain.damage.error(chain.name, self.directory)
            header: Header | None = chain.header
            if header is None:
                raise JournalCorrupt(
                    f"the header of {chain.name} cannot be read",
                    file=chain.name,
                    offset=0,
                    line=1,
                    reason="the header cannot be read",
                )
        except BaseException:
            chain.close()
            raise
        self.tail = chain.damage
        self._take(
            Segment(directory=self._place, name=chain.name, file=chain.file, header=header, index=chain.index),
            chain.index,
            chain.sealed,
        )

    def _take(self, active: Segment, index: Index, sealed: Sequence[Segment]) -> None:
        self._active, self._index = active, index
        self.view = View((*sealed, active))

    def _read_anew(self) -> None:
        self._index = self._active.index = Index(gaps=self._active.header.gaps)

    def _extend(self) -> Damage | None:
        size = self._active.file.size()
        return extend(self._index, self._active.file, size=size) if size else empty_segment()

    def _last_record_stands(self) -> bool:
        index = self._index
        if index.count == 0:
            return True
        start, end = index.bounds[-2], index.bounds[-1]
        line = self._active.file.read(end - start, start)
        record = parse(line[:-1])
        return record is not None and record.crc == index.prev


def _records(view: View) -> int:
    """How many records a view has, without reading anything for it."""
    return view.segments[-1].first + view.segments[-1].index.count if view.segments else 0
