"""Read a source file in batches of rows, whatever is broken in it: CSV, JSON Lines, Parquet.

A reader looks at the file as long as it was when the reading began: what is appended meanwhile is for the next one.
Rows are counted from 1, the first below a CSV's header; empty lines are not rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from flowledger.emulator.data.kinds import (
    Column,
    Misfit,
    arrow_type,
    fitted_texts,
    fitted_values,
    type_of_texts,
    type_of_values,
    utf8,
)

BLOCK: Final = 4 * 2**20  # bytes of a CSV that are parsed at a time
LONG_BLOCK: Final = 32 * 2**20  # the same where a row is longer than that; no row may be longer than this
HEADER: Final = 2**20  # bytes in which a CSV's names must be
LINES: Final = 8 * 2**20  # bytes of JSON Lines that are parsed at a time
LONGEST_LINE: Final = 64 * 2**20  # bytes
LOOKED_AT: Final = 4 * 2**20  # bytes from which the types of columns are told
ROWS_LOOKED_AT: Final = 50_000
LONGEST_SHOWN: Final = 60  # characters of a broken line in its reason


class SourceUnreadable(Exception):
    """A source file cannot be read, or not further. The text says which, where and why."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A row that cannot be read: its number, and why."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as they come from the file, `numbers` telling which ones."""

    table: pa.Table
    numbers: pa.Array


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of a file in its order, with the form of those that nest."""

    columns: tuple[Column, ...]
    nested: dict[str, pa.DataType]


def shape_of(path: Path) -> Shape:
    """The columns of a file, told from its first rows. Raises SourceUnreadable."""
    match path.suffix:
        case ".csv":
            return _csv_shape(path)
        case ".jsonl":
            return _lines_shape(path)
    return _parquet_shape(path)


def read(path: Path, shape: Shape, rows: int) -> Iterator[Rows | Broken]:
    """The file's rows, at most `rows` at a time, and what is broken between them. Raises SourceUnreadable."""
    match path.suffix:
        case ".csv":
            return _csv_rows(path, shape, rows)
        case ".jsonl":
            return _lines_rows(path, shape, rows)
    return _parquet_rows(path, shape, rows)


# ---- CSV


def _csv_header(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            start = file.read(HEADER)
    except OSError as fault:
        raise SourceUnreadable(f"{path.name}: {fault.strerror}") from fault
    if not start.strip():
        raise SourceUnreadable(f"{path.name} is empty: a CSV begins with a line of column names")
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


def _csv_tables(path: Path, names: Sequence[str], *, size: int) -> Iterator[pa.Table | Broken]:
    """Tables of bytes; what is broken comes before the table in which it would have been. Raises SourceUnreadable."""
    rows = broken = 0
    try:
        for part in _csv_blocks(path, names, size=size, block=BLOCK):
            yield part
            if isinstance(part, Broken):
                broken += 1
            else:
                rows += len(part)
        return
    except _RowTooLong:
        pass  # once more in longer blocks, and on from where this ended
    try:
        for part in _csv_blocks(path, names, size=size, block=LONG_BLOCK):
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


def _csv_blocks(path: Path, names: Sequence[str], *, size: int, block: int) -> Iterator[pa.Table | Broken]:
    broken: list[Broken] = []

    def told(row: Any) -> str:
        said = row.text[:LONGEST_SHOWN]
        reason = f"{row.actual_columns} values in a table of {row.expected_columns} columns: {said!r}"
        broken.append(Broken(row.number - 1, reason))
        return "skip"

    seen = 0
    try:
        with pa.OSFile(str(path), "rb") as whole, whole.get_stream(0, size) as file:
            reader = pacsv.open_csv(
                file,
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


def at_row(seen: int) -> str:
    """Where a reading broke off."""
    return f"after row {seen}"


def _csv_shape(path: Path) -> Shape:
    names = _csv_header(path)
    size = path.stat().st_size
    for table in _csv_tables(path, names, size=size):
        if isinstance(table, Broken):
            continue
        head = table.slice(0, ROWS_LOOKED_AT)
        found = []
        for name, column in zip(names, head.columns, strict=True):
            texts, misfits = utf8(column.combine_chunks(), name)
            found.append(Column(name, "string" if misfits else type_of_texts(texts)))
        return Shape(tuple(found), {})
    return Shape(tuple(Column(name, "string") for name in names), {})


def _csv_rows(path: Path, shape: Shape, rows: int) -> Iterator[Rows | Broken]:
    names = _csv_header(path)
    types = {column.name: column for column in shape.columns}
    columns = [types.get(name) or Column(name, "string") for name in names]
    next_row, skipped = 1, set[int]()
    size = path.stat().st_size
    for table in _closed(path, size, _csv_tables(path, names, size=size)):
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


def _closed(path: Path, size: int, found: Iterator[pa.Table | Broken]) -> Iterator[pa.Table | Broken]:
    """The same, but the last row as broken when its quote is never closed: it has taken all that follows."""
    rows = 0
    held: pa.Table | None = None
    for part in found:
        if held is not None and not isinstance(part, Broken):
            yield held
            held = None
        if isinstance(part, Broken):
            rows += 1
            yield part
        elif len(part):
            rows += len(part)
            held = part
    if held is None:
        return
    last = held.column(held.num_columns - 1)[-1].as_py() or b""
    if b"\n" in last and not _ends_with_quote(path, size):
        held = held.slice(0, len(held) - 1)
        shown = last[:LONGEST_SHOWN].decode("utf-8", "replace")
        yield held
        yield Broken(rows, f"a quote is never closed: everything below is one value {shown!r}")
    else:
        yield held


def _ends_with_quote(path: Path, size: int) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, size - 16))
        return file.read(size - file.tell()).rstrip(b"\r\n").endswith(b'"')


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


def without_misfits(table: pa.Table, numbers: pa.Array, misfits: list[Misfit]) -> Iterator[Rows | Broken]:
    """The rows that are whole, each of the others as broken, with every reason."""
    if misfits:
        reasons: dict[int, list[str]] = {}
        for misfit in misfits:
            reasons.setdefault(misfit.place, []).append(misfit.reason)
        for place in sorted(reasons):
            yield Broken(numbers[place].as_py(), "; ".join(reasons[place]))
        whole = pa.array([place not in reasons for place in range(len(table))], pa.bool_())
        table, numbers = table.filter(whole), numbers.filter(whole)
    if len(table):
        yield Rows(table, numbers)


# ---- JSON Lines


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Row number and text of each line that is not empty, of the file as long as it is now."""
    number = 0
    try:
        left = path.stat().st_size
        with path.open("rb", buffering=2**20) as file:
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


def _lines_shape(path: Path) -> Shape:
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


def _lines_rows(path: Path, shape: Shape, rows: int) -> Iterator[Rows | Broken]:
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


# ---- Parquet


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, pre_buffer=False)
    except (pa.ArrowException, OSError) as fault:
        raise SourceUnreadable(
            f"{path.name} is no whole Parquet file: cut short, or still being written ({str(fault)[:200]})"
        ) from fault


def _parquet_shape(path: Path) -> Shape:
    with _parquet(path) as file:
        fields = list(file.schema_arrow)
    names = [field.name for field in fields]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SourceUnreadable(f"{path.name}: two columns are called {twice!r}")
    columns = tuple(Column(field.name, _type_of_arrow(field.type)) for field in fields)
    nested = {
        column.name: field.type
        for column, field in zip(columns, fields, strict=True)
        if column.type in ("object", "array")
    }
    return Shape(columns, nested)


def _type_of_arrow(type_: pa.DataType) -> str:
    if pa.types.is_dictionary(type_):
        return _type_of_arrow(type_.value_type)
    for holds, name in (
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "number"),
        (pa.types.is_decimal, "number"),
        (pa.types.is_date, "date"),
        (pa.types.is_timestamp, "date-time"),
        (pa.types.is_struct, "object"),
        (pa.types.is_list, "array"),
        (pa.types.is_large_list, "array"),
    ):
        if holds(type_):
            return name
    return "string"


def _parquet_rows(path: Path, shape: Shape, rows: int) -> Iterator[Rows | Broken]:
    types = {column.name: column for column in shape.columns}
    next_row = 1
    with _parquet(path) as file:
        names = [field.name for field in file.schema_arrow]
        try:
            for block in file.iter_batches(batch_size=rows, use_threads=False):
                arrays, misfits = [], list[Misfit]()
                for name, values in zip(names, block.columns, strict=True):
                    fitted, wrong = _plain(values, types.get(name) or Column(name, _type_of_arrow(values.type)))
                    arrays.append(fitted)
                    misfits += wrong
                numbers = pa.array(range(next_row, next_row + len(block)), pa.int64())
                next_row += len(block)
                yield from without_misfits(pa.Table.from_arrays(arrays, names), numbers, misfits)
        except (pa.ArrowException, OSError) as fault:
            raise SourceUnreadable(f"{path.name}: {at_row(next_row - 1)}: {str(fault)[:200]}") from fault


def _plain(values: pa.Array, column: Column) -> tuple[pa.Array, list[Misfit]]:
    """A Parquet column as the other formats hold it: dates as ISO texts, every number as the widest of its kind."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if column.type in ("object", "array"):
        return values, []
    if pa.types.is_timestamp(values.type):
        moments = pc.cast(values, pa.timestamp(values.type.unit, tz="UTC"))
        texts = pc.strftime(moments, format="%Y-%m-%dT%H:%M:%SZ")
        return pc.replace_substring_regex(texts, r"\.0+Z$", "Z"), []
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        return utf8(pc.cast(values, pa.binary()), column.name)
    wanted = arrow_type(column.type)
    if values.type == wanted:
        return values, []
    try:
        return pc.cast(values, wanted), []
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return fitted_values(values.to_pylist(), column, None)
