"""Read a Parquet file in blocks of rows, its values as the other formats hold them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowledger.emulator.data.kinds import Column, Misfit, arrow_type, fitted_values, utf8
from flowledger.emulator.data.source_rows import Broken, Rows, Shape, SourceUnreadable, at_row, without_misfits


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, pre_buffer=False)
    except (pa.ArrowException, OSError) as fault:
        raise SourceUnreadable(
            f"{path.name} is no whole Parquet file: cut short, or still being written ({str(fault)[:200]})"
        ) from fault


def shape_of(path: Path) -> Shape:
    """The columns of a file. Raises SourceUnreadable."""
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


def read(path: Path, shape: Shape, rows: int) -> Iterator[Rows | Broken]:
    """The file's rows, at most `rows` at a time, and what is broken between them. Raises SourceUnreadable."""
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
