"""A folder of files as the tables of a source: `PayPal.Catalog_Products.csv` is the table PayPal.Catalog_Products.

Files may grow while the emulator runs: append whole lines to a CSV or JSON Lines file, each with its end.
To change a file otherwise, rename a new one over it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from flowledger.emulator.data.kinds import Column
from flowledger.emulator.data.readers import SUFFIXES, read, shape_of
from flowledger.emulator.data.source_rows import Broken, Rows, Shape, SourceUnreadable, without_misfits
from flowledger.emulator.data.windows import in_window

__all__ = ["Batch", "Broken", "Column", "SourceFolder", "SourceUnreadable", "TableUnknown"]

BATCH_ROWS: Final = 65_536


class TableUnknown(LookupError):
    """The folder has no such table. The text names it and those that there are."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a table. `numbers` are the rows' numbers in the file, 1 being its first; they may have gaps."""

    table: pa.Table
    first_row: int
    numbers: pa.Array


class SourceFolder:
    """The tables of a folder. Columns keep the type that they were first seen with for as long as this object lives."""

    def __init__(self, folder: Path) -> None:
        """`folder` is looked into anew at every call. Raises SourceUnreadable when it is no folder."""
        if not folder.is_dir():
            raise SourceUnreadable(f"{folder} is no folder")
        self._folder = folder
        self._types: dict[str, dict[str, tuple[Column, pa.DataType | None]]] = {}

    def names(self) -> list[str]:
        """The tables that are there now, in order of name."""
        return sorted({path.name.removesuffix(path.suffix) for path in self._files()})

    def columns(self, name: str) -> list[Column]:
        """The columns of a table as its file has them now. Raises TableUnknown, SourceUnreadable."""
        return list(self._shape(name, self._file(name)).columns)

    def preview(self, name: str, limit: int) -> list[dict[str, Any]]:
        """The first rows, as JSON has them; what is broken is left out. Raises TableUnknown, SourceUnreadable."""
        found: list[dict[str, Any]] = []
        for batch in self.batches(name, delta=None, start_ms=None, end_ms=None, rows=max(1, min(limit, BATCH_ROWS))):
            if isinstance(batch, Batch):
                found += batch.table.to_pylist()
            if len(found) >= limit:
                break
        return found[:limit]

    def batches(
        self, name: str, *, delta: str | None, start_ms: int | None, end_ms: int | None, rows: int = BATCH_ROWS
    ) -> Iterator[Batch | Broken]:
        """The rows of a table, in its order, at most `rows` at a time; what cannot be read comes as Broken.

        With `delta`, only rows of which that column is in the window: `start_ms` included, `end_ms` not, None open.
        Raises TableUnknown, SourceUnreadable; the latter also in the middle, when the file cannot be read further.
        """
        path = self._file(name)
        shape = self._shape(name, path)
        if delta is not None and delta not in [column.name for column in shape.columns]:
            raise SourceUnreadable(f"{path.name} has no column {delta!r}, by which new rows are told from old ones")
        return self._chosen(read(path, shape, rows), delta, start_ms, end_ms)

    def bytes_of(self, name: str) -> int:
        """How long the table's file is now. Raises TableUnknown."""
        return self._file(name).stat().st_size

    def _chosen(
        self, found: Iterator[Rows | Broken], delta: str | None, start_ms: int | None, end_ms: int | None
    ) -> Iterator[Batch | Broken]:
        for part in found:
            if isinstance(part, Broken):
                yield part
            elif delta is None:
                yield Batch(part.table, part.numbers[0].as_py(), part.numbers)
            else:
                column = part.table.column(delta).combine_chunks()
                chosen, misfits = in_window(column, delta, start_ms, end_ms)
                for misfit in misfits:
                    yield Broken(part.numbers[misfit.place].as_py(), misfit.reason)
                for rows in without_misfits(part.table.filter(chosen), part.numbers.filter(chosen), []):
                    if isinstance(rows, Rows):
                        yield Batch(rows.table, rows.numbers[0].as_py(), rows.numbers)

    def _shape(self, name: str, path: Path) -> Shape:
        """The file's columns; each with the type that it had when it was first seen."""
        seen = self._types.setdefault(name, {})
        found = shape_of(path)
        for column in found.columns:
            seen.setdefault(column.name, (column, found.nested.get(column.name)))
        kept = [seen[column.name] for column in found.columns]
        nested = {column.name: form for column, form in kept if form is not None}
        return Shape(tuple(column for column, _ in kept), nested)

    def _files(self) -> list[Path]:
        try:
            return sorted(p for p in self._folder.iterdir() if p.suffix in SUFFIXES and p.stem and p.is_file())
        except OSError as fault:
            raise SourceUnreadable(f"{self._folder}: {fault.strerror}") from fault

    def _file(self, name: str) -> Path:
        found = [path for path in self._files() if path.name.removesuffix(path.suffix) == name]
        if not found:
            known = ", ".join(self.names()) or "none"
            raise TableUnknown(f"there is no table {name!r}; there are: {known}")
        if len(found) > 1:
            raise SourceUnreadable(f"two files are the table {name}: {' and '.join(path.name for path in found)}")
        return found[0]
