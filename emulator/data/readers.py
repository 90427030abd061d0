"""Which reader is for a source file: by the ending of its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from flowledger.emulator.data import csv_tables, json_lines, parquet_tables
from flowledger.emulator.data.csv_tables import CsvFile
from flowledger.emulator.data.json_lines import JsonFile
from flowledger.emulator.data.parquet_tables import ParquetFile

SourceFile = CsvFile | JsonFile | ParquetFile

READERS: Final[dict[str, Callable[[Path], SourceFile]]] = {
    ".csv": csv_tables.opened,
    ".jsonl": json_lines.opened,
    ".parquet": parquet_tables.opened,
}
SUFFIXES: Final = tuple(READERS)


def opened(path: Path) -> SourceFile:
    """Open a file to be read as it is now, whatever becomes of it meanwhile. Raises SourceUnreadable."""
    return READERS[path.suffix](path)
