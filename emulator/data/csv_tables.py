"""Read a CSV in blocks of rows, whatever is broken in it, however long a cell, also while it grows.

A reading sees the file that it opened, as long as it was then: what is appended meanwhile, or put in its place, is for
the next one.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.csv as pacsv

from flowledger.emulator.data.kinds import Column, Misfit, fitted_texts, type_of_texts, utf8
from flowledger.emulator.data.source_rows import (
    LONGEST_SHOWN,
    Broken,
    Rows,
    Shape,
    SourceUnreadable,
    at_row,
    without_misfits,
)

BLOCK: Final = 4 * 2**20  # bytes that are parsed at a time
LONG_BLOCK: Final = 32 * 2**20  # the same where a row is longer than that; no row may be longer than this
HEADER: Final = 2**20  # bytes in which the names must be
ROWS_LOOKED_AT: Final = 50_000  # from which the types of columns are told


def shape_of(path: Path) -> Shape:
    """The columns of a CSV, told from its first rows. Raises SourceUnreadable."""
    with _opened(path) as file:
        names = _header(path, file)
        for table in _tables(path, file, names, size=_length(file)):
            if isinstance(table, Broken):
                continue
            head = table.slice(0, ROWS_LOOKED_AT)
            found = []
            for name, column in zip(names, head.columns, strict=True):
                texts, misfits = utf8(column.combine_chunks(), name)
                found.append(Column(name, "string" if misfits else type_of_texts(texts)))
            return Shape(tuple(found), {})
    return Shape(tuple(Column(name, "string") for name in names), {})


def read(path: Path, shape: Shape, rows: int) -> Iterator[Rows | Broken]:
    """The rows of a CSV, at most `rows` at a time, and what is broken between them. Raises SourceUnreadable."""
    types = {column.name: column for column in shape.columns}
    next_row, skipped = 1, set[int]()
    with _opened(path) as file:
        names = _header(path, file)
        columns = [types.get(name) or Column(name, "string") for name in names]
        size = _length(file)
        for table in _ended(path, file, size, _tables(path, file, names, size=size)):
            if isinstance(table, Broken):
                skipped.add(table.row)
                yield table
                continue
            for start in range(0, len(table), rows):
                part = table.slice(start, rows)
                numbers: list[int] | range = range(next_row, next_row + len(part))
                if skipped:
                    numbers = _without(next_row, len(part), skipped)
                next_row = (numbers[-1] + 1) if len(part) else next_row
                yield from _fitted(part, columns, pa.array(numbers, pa.int64()))


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as fault:
        raise SourceUnreadable(f"{path.name}: {fault.strerror}") from fault


def _length(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _header(path: Path, file: IO[bytes]) -> list[str]:
    try:
        start = file.read(HEADER)
    except OSError as fault:
        raise SourceUnreadable(f"{path.name}: {fault.strerror}") from fault
    if not start.strip():
        raise SourceUnreadable(f"{path.name} is empty: a CSV begins with a line of column names")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SourceUnreadable(f"{path.name} is written in UTF-16: save it as UTF-8")
    try:
        text = start.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
        names = next(line for line in csv.reader(io.StringIO(text, newline="")) if line)
    except (csv.Error, StopIteration) as fault:
        raise SourceUnreadable(f"{path.name}: line 1: no line of column names: {fault}") from fault
    for place, name in enumerate(names):
        if not name.strip() or not name.isprintable():
            raise SourceUnreadable(f"{path.name}: line 1: column {place + 1} has no printable name")
        if name in names[:place]:
            raise SourceUnreadable(f"{path.name}: line 1: two columns are called {name!r}")
    return names


class _RowTooLong(Exception):
    """A row does not fit into a block."""


def _tables(path: Path, file: IO[bytes], names: Sequence[str], *, size: int) -> Iterator[pa.Table | Broken]:
    """Tables of bytes; what is broken comes before the table in which it would have been. Raises SourceUnreadable."""
    rows = broken = 0
    try:
        for part in _blocks(path, file, names, size=size, block=BLOCK):
            yield part
            if isinstance(part, Broken):
                broken += 1
            else:
                rows += len(part)
        return
    except _RowTooLong:
        pass  # once more in longer blocks, and on from where this ended
    try:
        for part in _blocks(path, file, names, size=size, block=LONG_BLOCK):
            if isinstance(part, Broken):
                broken -= 1
                if broken < 0:
                    yield part
            else:
                table = part.slice(min(rows, len(part)))
                rows -= len(part) - len(table)
                yield table
    except _RowTooLong as fault:
        longest = f"{LONG_BLOCK / 2**20:g} MB"
        raise SourceUnreadable(
            f"{path.name}: {fault}: a row is longer than {longest}, or a quote is never closed"
        ) from fault


def _blocks(path: Path, file: IO[bytes], names: Sequence[str], *, size: int, block: int) -> Iterator[pa.Table | Broken]:
    broken: list[Broken] = []

    def told(row: Any) -> str:
        said = row.text[:LONGEST_SHOWN]
        reason = f"{row.actual_columns} values in a table of {row.expected_columns} columns: {said!r}"
        broken.append(Broken(row.number - 1, reason))
        return "skip"

    seen = 0
    try:
        with pa.PythonFile(file, mode="r").get_stream(0, size) as stream:
            reader = pacsv.open_csv(
                stream,
                read_options=pacsv.ReadOptions(use_threads=False, block_size=block, column_names=list(names)),
                parse_options=pacsv.ParseOptions(newlines_in_values=True, invalid_row_handler=told),
                convert_options=pacsv.ConvertOptions(
                    column_types={name: pa.binary() for name in names},
                    strings_can_be_null=True,
                    null_values=[""],
                    quoted_strings_can_be_null=False,
                ),
            )
            for number, block_read in enumerate(reader):
                table = pa.Table.from_batches([block_read])
                table = table.slice(1) if number == 0 else table  # the header, which is not told apart
                yield from broken
                seen += len(table) + len(broken)
                broken.clear()
                yield table
            yield from broken
    except pa.ArrowInvalid as fault:
        yield from broken
        seen += len(broken)
        if "straddling" in str(fault):
            raise _RowTooLong(at_row(seen)) from fault
        raise SourceUnreadable(f"{path.name}: {at_row(seen)}: {fault}") from fault
    except OSError as fault:
        raise SourceUnreadable(f"{path.name}: {at_row(seen)}: {fault}") from fault


def _ended(path: Path, file: IO[bytes], size: int, found: Iterator[pa.Table | Broken]) -> Iterator[pa.Table | Broken]:
    """The same, but the last row as broken when it is not whole, and told so."""
    rows = broken = 0
    held: pa.Table | None = None
    for part in found:
        if held is not None and not isinstance(part, Broken):
            yield held
            held = None
        if isinstance(part, Broken):
            rows += 1
            broken = part.row
            yield part
        elif len(part):
            rows += len(part)
            held = part
    now = _length(file)
    if now < size:
        raise SourceUnreadable(f"{path.name}: {at_row(rows)}: the file became shorter while it was read")
    if held is None:
        return
    last = held.column(held.num_columns - 1)[-1].as_py() or b""
    ending = _ending(file, size)
    reason = ""
    if b"\n" in last and not ending.rstrip(b"\r\n").endswith(b'"'):
        shown = last[:LONGEST_SHOWN].decode("utf-8", "replace")
        reason = f"a quote is never closed: everything below is one value {shown!r}"
    elif now > size and broken != rows and not ending.endswith((b"\n", b"\r")):
        reason = "it was being written while it was read: the line had no end yet"
    if reason:
        held = held.slice(0, len(held) - 1)
        yield held
        yield Broken(rows, reason)
    else:
        yield held


def _ending(file: IO[bytes], size: int) -> bytes:
    """The last bytes of the file as long as it was."""
    file.seek(max(0, size - 16))
    return file.read(size - file.tell())


def _without(first: int, count: int, skipped: set[int]) -> list[int]:
    """The numbers of `count` rows from `first` on, those that were broken left out."""
    found: list[int] = []
    number = first
    while len(found) < count:
        if number in skipped:
            skipped.discard(number)
        else:
            found.append(number)
        number += 1
    return found


def _fitted(part: pa.Table, columns: Sequence[Column], numbers: pa.Array) -> Iterator[Rows | Broken]:
    """A part of bytes as typed columns, without the rows in which a value does not fit."""
    arrays, misfits = [], list[Misfit]()
    for column, raw in zip(columns, part.columns, strict=True):
        texts, wrong = utf8(raw.combine_chunks(), column.name)
        values, more = fitted_texts(texts, column)
        arrays.append(values)
        misfits += [*wrong, *more]
    table = pa.Table.from_arrays(arrays, [column.name for column in columns])
    yield from without_misfits(table, numbers, misfits)
