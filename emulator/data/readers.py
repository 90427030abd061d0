"""Which reader is for a source file: by the ending of its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flowledger.emulator.data import csv_tables, json_lines, parquet_tables
from flowledger.emulator.data.source_rows import Broken, Rows, Shape

READERS = {
    ".csv": (csv_tables.shape_of, csv_tables.read),
    ".jsonl": (json_lines.shape_of, json_lines.read),
    ".parquet": (parquet_tables.shape_of, parquet_tables.read),
}
SUFFIXES = tuple(READERS)


def shape_of(path: Path) -> Shape:
    """The columns of a file, told from its first rows. Raises SourceUnreadable."""
    return READERS[path.suffix][0](path)


def read(path: Path, shape: Shape, rows: int) -> Iterator[Rows | Broken]:
    """The file's rows, at most `rows` at a time, and what is broken between them. Raises SourceUnreadable."""
    return READERS[path.suffix][1](path, shape, rows)
