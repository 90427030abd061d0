"""Read JSON Lines in blocks of rows, whatever is broken in them.

A reading sees the file that it opened, as long as it was then: what is appended meanwhile is for the next one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa

from flowledger.emulator.data.kinds import Column, Misfit, fitted_values, type_of_values
from flowledger.emulator.data.source_rows import (
    LONGEST_SHOWN,
    Broken,
    Rows,
    Shape,
    SourceUnreadable,
    at_row,
    without_misfits,
)

LINES: Final = 8 * 2**20  # bytes that are parsed at a time
LONGEST_LINE: Final = 64 * 2**20  # bytes
LOOKED_AT: Final = 4 * 2**20  # bytes from which the types of columns are told
ROWS_LOOKED_AT: Final = 50_000


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Row number and text of each line that is not empty, of the file as long as it is now."""
    number = 0
    try:
        with path.open("rb", buffering=2**20) as file:
            left = os.fstat(file.fileno()).st_size
            while left > 0:
                line = file.readline(min(left, LONGEST_LINE))
                if not line:
                    return
                left -= len(line)
                if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                    raise SourceUnreadable(
                        f"{path.name}: {at_row(number)}: a line is longer than {LONGEST_LINE // 2**20} MB"
                    )
                if line.strip():
                    number += 1
                    yield number, line
    except OSError as fault:
        raise SourceUnreadable(f"{path.name}: {at_row(number)}: {fault.strerror}") from fault


def _object(number: int, line: bytes) -> dict[str, Any] | Broken:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as fault:
        shown = line[:LONGEST_SHOWN].decode("utf-8", "replace")
        return Broken(number, f"no JSON: {fault}: {shown!r}")
    if not isinstance(found, dict):
        return Broken(number, f"no JSON object but {str(found)[:LONGEST_SHOWN]!r}")
    return found


def shape_of(path: Path) -> Shape:
    """The columns of a file, told from its first rows. Raises SourceUnreadable."""
    seen: dict[str, list[Any]] = {}
    size = 0
    for number, line in _lines(path):
        found = _object(number, line)
        size += len(line)
        if isinstance(found, dict):
            for name, value in found.items():
                seen.setdefault(name, []).append(value)
        if size > LOOKED_AT or number >= ROWS_LOOKED_AT:
            break
    if not seen:
        raise SourceUnreadable(f"{path.name} has no row: its columns are not known")
    columns, nested = [], {}
    for name, values in seen.items():
        type_ = type_of_values(values)
        if type_ in ("object", "array"):
            try:
                nested[name] = pa.array(values).type
            except (pa.ArrowException, OverflowError):
                type_ = "string"  # of no one shape: its JSON, as text
        columns.append(Column(name, type_))
    return Shape(tuple(columns), nested)


def read(path: Path, shape: Shape, rows: int) -> Iterator[Rows | Broken]:
    """The file's rows, at most `rows` at a time, and what is broken between them. Raises SourceUnreadable."""
    waiting: list[tuple[int, dict[str, Any]]] = []
    size = 0
    for number, line in _lines(path):
        found = _object(number, line)
        if isinstance(found, Broken):
            yield found
            continue
        waiting.append((number, found))
        size += len(line)
        if len(waiting) == rows or size > LINES:
            yield from _columned(waiting, shape)
            waiting, size = [], 0
    if waiting:
        yield from _columned(waiting, shape)


def _columned(waiting: list[tuple[int, dict[str, Any]]], shape: Shape) -> Iterator[Rows | Broken]:
    """Objects as typed columns; columns that the first rows did not have are not known and left out."""
    arrays, misfits = [], list[Misfit]()
    for column in shape.columns:
        values, wrong = fitted_values(
            [row.get(column.name) for _, row in waiting], column, shape.nested.get(column.name)
        )
        arrays.append(values)
        misfits += wrong
    table = pa.Table.from_arrays(arrays, [column.name for column in shape.columns])
    yield from without_misfits(table, pa.array([number for number, _ in waiting], pa.int64()), misfits)
