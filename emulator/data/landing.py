"""The lake: one folder of Parquet a batch, written so that a batch is whole or not there at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

LAKE: Final = "lake"
PART: Final = "part-0.parquet"
WRITING: Final = "."  # what is being written begins with it: readers of a folder of Parquet pass such names over
DIAGNOSTICS: Final = "_diagnostics"  # likewise


class Disk:
    """What the lake asks of the file system, in one place so that a test can let any of it fail."""

    def make_folder(self, folder: Path) -> None:
        """Make the folder and those above it."""
        folder.mkdir(parents=True, exist_ok=True)

    def open(self, path: Path) -> IO[bytes]:
        """A new file, to be written."""
        return path.open("wb")

    def sync(self, file: IO[bytes]) -> None:
        """Have what was written be on the disk."""
        file.flush()
        os.fsync(file.fileno())

    def rename(self, old: Path, new: Path) -> None:
        """Give a file its name, in place of whatever has it."""
        old.replace(new)

    def sync_folder(self, folder: Path) -> None:
        """Have the names in a folder be on the disk."""
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def remove(self, folder: Path) -> None:
        """Remove a folder with everything in it, if it is there."""
        if folder.exists():
            shutil.rmtree(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What was written for a batch: files by their name in its folder, with their sizes in bytes."""

    rows: int = 0
    parts: dict[str, int]
    diagnostics: dict[str, int]


class Lake:
    """`lake/<dataset>/<batch>/part-0.parquet` below a folder, and beside it the diagnostics of the batch."""

    def __init__(self, folder: Path, *, disk: Disk | None = None) -> None:
        """`folder` is that of the emulator's state; nothing is made before something lands."""
        self.folder = folder / LAKE
        self.disk = disk or Disk()

    def batch_folder(self, data_set: str, batch: str) -> Path:
        """Where a batch's files are."""
        return self.folder / data_set / batch

    def open_batch(self, data_set: str, batch: str) -> BatchWriter:
        """Begin to write a batch: what an unfinished attempt left of it is removed. The first row makes its folder."""
        folder = self.batch_folder(data_set, batch)
        self.disk.remove(folder)
        return BatchWriter(folder, self.disk)

    def remove_batch(self, data_set: str, batch: str) -> None:
        """Remove what is there of a batch."""
        self.disk.remove(self.batch_folder(data_set, batch))

    def remove_data_set(self, data_set: str) -> None:
        """Remove what is there of a data set."""
        self.disk.remove(self.folder / data_set)

    def data_sets(self) -> list[str]:
        """Every data set that has a folder, in order of name. Raises OSError."""
        return _folders_in(self.folder)

    def batches_of(self, data_set: str) -> list[str]:
        """Every batch of a data set that has a folder, finished or not, in order of name. Raises OSError."""
        return _folders_in(self.folder / data_set)

    def batches(self) -> Iterator[tuple[str, str]]:
        """Data set and id of every batch that has a folder, finished or not, in order of path. Raises OSError."""
        for data_set in self.data_sets():
            yield from ((data_set, batch) for batch in self.batches_of(data_set))


def _folders_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []


class BatchWriter:
    """Writes one batch; nothing of it has its name before `finish`."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        self._file: IO[bytes] | None = None
        self._parquet: Any = None
        self._notes: dict[str, IO[bytes]] = {}
        self._rows = 0
        self._is_there = False
        self._folders: tuple[Path, ...] = ()  # in which names are new

    def write(self, table: Any) -> None:
        """Append a table of pyarrow to the batch's Parquet file; all have one schema."""
        import pyarrow.parquet as pq

        if self._parquet is None:
            self._make_folder()
            self._file = self._disk.open(self._folder / f"{WRITING}{PART}")
            self._parquet = pq.ParquetWriter(self._file, table.schema, compression="snappy")
        self._parquet.write_table(table)
        self._rows += table.num_rows

    def note(self, name: str, line: bytes) -> None:
        """Append a line to a file of the batch's diagnostics."""
        file = self._notes.get(name)
        if file is None:
            self._make_folder()
            path = self._folder / DIAGNOSTICS / name
            self._disk.make_folder(path.parent)
            file = self._notes[name] = self._disk.open(path)
        file.write(line + b"\n")

    def drop_rows(self) -> None:
        """Land no rows after all, only the diagnostics."""
        if self._file is not None:
            self._parquet.close()
            self._file.close()
            (self._folder / f"{WRITING}{PART}").unlink()
        self._parquet, self._file, self._rows = None, None, 0

    def finish(self) -> Landed:
        """Close, sync and name everything; then the batch is whole on the disk, and nobody knows of it yet."""
        sizes: dict[str, int] = {}
        for name, file in sorted(self._notes.items()):
            self._disk.sync(file)
            sizes[name] = file.tell()
            file.close()
            self._disk.sync_folder((self._folder / DIAGNOSTICS / name).parent)
        parts: dict[str, int] = {}
        if self._parquet is not None and self._file is not None:
            self._parquet.close()
            self._disk.sync(self._file)
            parts[PART] = self._file.tell()
            self._file.close()
            self._disk.rename(self._folder / f"{WRITING}{PART}", self._folder / PART)
        for folder in self._folders:
            self._disk.sync_folder(folder)
        return Landed(rows=self._rows, parts=parts, diagnostics=sizes)

    def _make_folder(self) -> None:
        if not self._is_there:
            data_set = self._folder.parent
            self._folders = (self._folder, data_set, *(() if data_set.exists() else (data_set.parent,)))
            self._disk.make_folder(self._folder)
            self._is_there = True

    def abandon(self) -> None:
        """Give up: files are closed, and what was written goes."""
        try:
            for file in (self._file, *self._notes.values()):
                if file is not None:
                    file.close()
        finally:
            if self._is_there:
                self._disk.remove(self._folder)
