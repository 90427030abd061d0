"""A folder of files as the tables of a source: `PayPal.Catalog_Products.csv` is the table PayPal.Catalog_Products.

Files may grow while the emulator runs: append whole lines to a CSV or JSON Lines file, each with its end.
To change a file otherwise, rename a new one over it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from flowledger.emulator.data.kinds import Column
from flowledger.emulator.data.readers import SUFFIXES, SourceFile, opened
from flowledger.emulator.data.source_rows import (
    Batch,
    Broken,
    Names,
    SourceUnreadable,
    batches_of,
    indices,
)
from flowledger.emulator.data.table_index import MOST_MOMENTS, Known, column_of, known_of, placed, stretches_of
from flowledger.emulator.data.windows import Delta, in_window
from flowledger.emulator.row_filters import NotComparable, RowFilter

__all__ = ["Batch", "Broken", "Column", "SourceFolder", "SourceUnreadable", "TableUnknown"]

BATCH_ROWS: Final = 65_536
MOST_TABLES: Final = 1000  # that are remembered
MOST_NAMED: Final = 10  # files that are no tables, in an error
TRIES: Final = 5  # to open a file in the state in which it was looked at


class TableUnknown(LookupError):
    """The folder has no such table. The text names it and those that there are."""


def _every(_: str) -> bool:
    return True


def _passing(batch: Batch, passes: RowFilter, count: int) -> list[int]:
    """The places of the rows that pass, of the first `count`; a row that cannot be judged does not."""
    found = []
    names = [name for name in batch.table.column_names if name in passes.fields]
    for place, row in enumerate(batch.rows(names, range(count))):
        try:
            if passes(row):
                found.append(place)
        except NotComparable:
            continue
    return found


class SourceFolder:
    """The tables of a folder. What was read of a file is remembered for as long as it is that file."""

    def __init__(self, folder: Path, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        """`folder` is looked into anew at every call. `now_ns` is the clock by which files have their times.

        Raises SourceUnreadable when it is no folder.
        """
        if not folder.is_dir():
            raise SourceUnreadable(f"{folder} is no folder")
        self._folder = folder
        self._now_ns = now_ns
        self._known: dict[str, Known] = {}

    def names(self) -> list[str]:
        """The tables that are there now, in order of name. Raises SourceUnreadable."""
        return sorted({path.name.removesuffix(path.suffix) for path in self._files()})

    def others(self) -> list[str]:
        """What else lies in the folder and is not hidden, with why it is no table. Raises SourceUnreadable."""
        tables = set(self._files())
        found = []
        for path in self._entries():
            if path not in tables:
                is_folder = path.is_dir()
                found.append(f"{path.name} ({'a folder' if is_folder else 'no .csv, .jsonl or .parquet'})")
        return found

    def notice(self) -> str:
        """What to say of the folder at the start: files that are no tables, and links that lead nowhere; "" if none."""
        try:
            gone = [f"{path.name} (a link to what is not there)" for path in self._files() if not path.exists()]
            others = [*self.others(), *gone]
        except SourceUnreadable as problem:
            return str(problem)
        if not others:
            return ""
        more = len(others) - MOST_NAMED
        named = ", ".join(others[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        return f"no tables of {self._folder}: {named}; a table is a file NAME.csv, NAME.jsonl or NAME.parquet"

    def columns(self, name: str) -> list[Column]:
        """The columns of a table as its file has them now. Raises TableUnknown, SourceUnreadable."""
        return list(self._known_of(self._file(name)).shape.columns)

    def preview(self, name: str, limit: int, passes: RowFilter | None = None) -> list[dict[str, Any]]:
        """The first rows, those of them that pass the filter, as JSON has them; what is broken is left out.

        A number or boolean that JSON would write otherwise than the file does is its text.
        Raises TableUnknown, SourceUnreadable.
        """
        fields = passes.fields if passes is not None else frozenset[str]()
        found: list[dict[str, Any]] = []
        left, rows = limit, max(1, min(limit, BATCH_ROWS))
        for batch in self.batches(name, delta=None, start_ms=None, end_ms=None, rows=rows, named=fields.__contains__):
            if isinstance(batch, Batch):
                count = min(left, len(batch.numbers))
                at = range(count) if passes is None else _passing(batch, passes, count)
                found += batch.whole_rows(at)
                left -= count
            if left <= 0:
                break
        return found

    def batches(
        self,
        name: str,
        *,
        delta: str | None,
        start_ms: int | None,
        end_ms: int | None,
        delta_format: str | None = None,
        rows: int = BATCH_ROWS,
        named: Names = _every,
    ) -> Iterator[Batch | Broken]:
        """The rows of a table, in its order, at most `rows` at a time; what cannot be read comes as Broken.

        With `delta`, only rows of which that column is in the window: `start_ms` included, `end_ms` not, None open.
        `delta_format` is the Java pattern of its dates, None where they are ISO 8601.
        `named` says which columns are read: what another column holds makes no row Broken.
        Raises TableUnknown, SourceUnreadable; the latter also in the middle, when the file cannot be read further.
        """
        path = self._file(name)
        known = self._known_of(path)
        if delta is None:
            return self._all_rows(path, known, rows, named)
        column = column_of(known.shape, delta)
        if column is None:
            raise SourceUnreadable(f"{path.name} has no column {delta!r}, by which new rows are told from old ones")
        return self._rows_of_window(path, known, Delta(column, delta_format), start_ms, end_ms, rows, named)

    def bytes_of(self, name: str) -> int:
        """How long the table's file is now. Raises TableUnknown."""
        return self._file(name).stat().st_size

    def _rows_of_window(
        self, path: Path, known: Known, delta: Delta, start_ms: int | None, end_ms: int | None, rows: int,
        named: Names,
    ) -> Iterator[Batch | Broken]:  # fmt: skip
        read = known.stretches.get(delta.key, [])
        if known.is_read_by(delta) and not any(one.may_hold(start_ms, end_ms) for one in read):
            for stretch in read:
                yield from stretch.broken  # nothing is opened for a window without rows
            return
        file, known = self._opened(path, known)
        with closing(file):
            if column_of(known.shape, delta.column.name) != delta.column:
                raise SourceUnreadable(f"{path.name} was replaced while it was read: it has other columns now")
            columns = [column for column in known.shape.columns if named(column.name)]

            def wanted(name: str) -> bool:
                return name == delta.column.name or named(name)

            for stretch in known.stretches.get(delta.key, []):
                yield from stretch.broken
                if stretch.may_hold(start_ms, end_ms):
                    for again in file.blocks(stretch.begin, wanted, stretch.end.offset):
                        chosen = indices(in_window(placed(again, delta)[0], start_ms, end_ms))
                        yield from batches_of(again, columns, chosen, rows, placed=True)
            if not known.is_read_by(delta):
                for stretch, block in stretches_of(file, known, delta, wanted):
                    yield from stretch.broken
                    if stretch.may_hold(start_ms, end_ms) and stretch.moments is not None:
                        chosen = indices(in_window(stretch.moments, start_ms, end_ms))
                        yield from batches_of(block, columns, chosen, rows, placed=True)
                self._bound()

    def _all_rows(self, path: Path, known: Known, rows: int, named: Names) -> Iterator[Batch | Broken]:
        file, known = self._opened(path, known)
        with closing(file):
            columns = [column for column in known.shape.columns if named(column.name)]
            for block in file.blocks(file.start(), named):
                yield from block.broken
                yield from batches_of(block, columns, range(len(block.numbers)), rows, placed=True)

    def _known_of(self, path: Path) -> Known:
        known = known_of(path, self._known.pop(path.name, None), self._now_ns())
        self._known[path.name] = known
        return known

    def _opened(self, path: Path, known: Known) -> tuple[SourceFile, Known]:
        """The file, open, in the state that is known; what was appended since is for the next reading."""
        for _ in range(TRIES):
            file = opened(path)
            if file.hold(known.stamp.device, known.stamp.inode, known.stamp.size):
                file.shape = known.shape
                return file, known
            file.close()
            known = self._known_of(path)
        raise SourceUnreadable(f"{path.name} is replaced faster than it can be read")

    def _bound(self) -> None:
        """Forget what was used longest ago, so that the memory for moments is bounded."""
        count = sum(known.count for known in self._known.values())
        for known in list(self._known.values()):
            if count <= MOST_MOMENTS:
                break
            count -= known.count
            known.forget_moments()
        while len(self._known) > MOST_TABLES:
            del self._known[next(iter(self._known))]

    def _entries(self) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if not path.name.startswith("."))
        except OSError as fault:
            raise SourceUnreadable(f"{self._folder}: {fault.strerror}") from fault

    def _files(self) -> list[Path]:
        """Files that are tables; a link whose target is gone is one too, and its reading says so."""
        return [
            path
            for path in self._entries()
            if path.suffix in SUFFIXES and (path.is_file() or (path.is_symlink() and not path.exists()))
        ]

    def _file(self, name: str) -> Path:
        files = self._files()
        found = [path for path in files if path.name.removesuffix(path.suffix) == name]
        if not found:
            known = ", ".join(sorted({path.name.removesuffix(path.suffix) for path in files})) or "none"
            others = self.others()
            more = f"; no tables are: {', '.join(others[:MOST_NAMED])}" if others else ""
            raise TableUnknown(f"there is no table {name!r}; there are: {known}{more}")
        if len(found) > 1:
            raise SourceUnreadable(f"two files are the table {name}: {' and '.join(path.name for path in found)}")
        if found[0].is_symlink() and not found[0].exists():
            raise SourceUnreadable(f"{found[0].name} is a link to {found[0].readlink()}, which is not there")
        return found[0]
