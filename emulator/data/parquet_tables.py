"""Read a Parquet file in blocks of rows, its values as the other formats hold them."""

from __future__ import annotations

import decimal
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowledger.emulator.data.kinds import Column, Misfit, arrow_type, utf8
from flowledger.emulator.data.source_rows import (
    Broken,
    Names,
    Place,
    Places,
    Shape,
    SourceUnreadable,
    as_json,
    at_row,
    overlaid,
    rows_of,
    taken,
)
from flowledger.emulator.values import WrittenNumber, text_of

ROWS_OF_BLOCK: Final = 65_536
NESTED: Final = ("object", "array")


def _type_of_arrow(type_: pa.DataType) -> str:
    if pa.types.is_dictionary(type_):
        return _type_of_arrow(type_.value_type)
    if isinstance(type_, pa.BaseExtensionType):
        return _type_of_arrow(type_.storage_type)
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


def _has_text(type_: pa.DataType) -> bool:
    """Whether a value of that type is written otherwise than the value that it is held as."""
    narrow = pa.types.is_floating(type_) and type_ != pa.float64()
    return bool(narrow or pa.types.is_decimal(type_) or pa.types.is_uint64(type_))


def plain_number(value: decimal.Decimal) -> WrittenNumber:
    """A decimal as a number with all its digits."""
    found = WrittenNumber(value)
    found.text = f"{value:f}"
    return found


def _texts_of(values: pa.Array) -> pa.Array:
    """Numbers with all their digits, without an exponent where the type has none."""
    if pa.types.is_decimal(values.type):
        texts = pc.cast(values, pa.string())
        if pc.any(pc.match_substring(texts, "E")).as_py() is not True:
            return texts
        return pa.array([None if one is None else f"{one:f}" for one in values.to_pylist()], pa.string())
    if pa.types.is_floating(values.type) and values.type != pa.float64():
        short = pc.cast(pc.cast(values, pa.float32()), pa.string()).to_pylist()
        return pa.array([None if one is None else str(float(one)) for one in short], pa.string())
    return pc.cast(values, pa.string())


class ParquetOrigin:
    """The rows of a block, as Arrow reads them."""

    def __init__(self, file: ParquetFile, group: int, offset: int, rows: pa.Table) -> None:
        self._from, self._group, self._offset = file, group, offset
        self.rows = rows
        self._columns: dict[str, pa.Array] = {}
        self._texts: dict[tuple[str, tuple[str, ...]], pa.Array | None] = {}

    def column(self, name: str) -> pa.Array:
        """A column of the block."""
        if name not in self._columns:
            self._columns[name] = _unwrapped(self.rows.column(name).combine_chunks())
        return self._columns[name]

    def texts(self, name: str, path: tuple[str, ...]) -> pa.Array | None:
        if (name, path) not in self._texts:
            values = self.column(name)
            for step in path:
                values = pc.struct_field(values, step)
            self._texts[name, path] = _texts_of(values) if _has_text(values.type) else None
        return self._texts[name, path]

    def exact(self, name: str, values: list[Any], places: Sequence[int]) -> list[Any]:
        type_ = self.column(name).type
        if _type_of_arrow(type_) in NESTED:
            return [_exact(value, type_) for value in values]
        texts = self.texts(name, ())
        return values if texts is None else overlaid(values, texts.take(pa.array(places, pa.int64())).to_pylist())

    def whole(self, places: Sequence[int]) -> list[dict[str, Any]]:
        at = pa.array(places, pa.int64())
        every = self._from.table_at(self._group, self._offset, len(self.rows))
        found = {}
        for name in every.column_names:
            values = _unwrapped(every.column(name).combine_chunks()).take(at)
            column = Column(name, _type_of_arrow(values.type))
            if _is_bytes(values.type):
                found[name] = [None if one is None else one.decode("utf-8", "replace") for one in values.to_pylist()]
            elif column.type in NESTED:
                found[name] = [_exact(value, values.type) for value in values.to_pylist()]
            else:
                texts = _texts_of(values).to_pylist() if _has_text(values.type) else None
                shown = _plain(values, column)[0].to_pylist()
                found[name] = shown if texts is None else overlaid(shown, texts)
        return rows_of({name: [as_json(value) for value in values] for name, values in found.items()}, len(places))


def _exact(value: Any, type_: pa.DataType) -> Any:
    """A nested value with the digits that its numbers have in the file."""
    if value is None:
        return None
    if pa.types.is_struct(type_):
        return {inner.name: _exact(value.get(inner.name), inner.type) for inner in type_}
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return [_exact(one, type_.value_type) for one in value]
    if isinstance(value, decimal.Decimal):
        return plain_number(value)
    if pa.types.is_float32(type_):
        return overlaid([value], _texts_of(pa.array([value], type_)).to_pylist())[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


@dataclass(slots=True)
class ParquetBlock:
    """Rows of a row group (see source_rows.Block)."""

    begin: Place
    end: Place
    numbers: pa.Array
    origin: ParquetOrigin
    is_final: bool = False
    broken: list[Broken] = field(default_factory=list)

    def typed(self, columns: Sequence[Column], places: Places) -> tuple[pa.Table, list[Misfit]]:
        arrays, misfits = [], list[Misfit]()
        for column in columns:
            values = self.origin.column(column.name)
            found, wrong = _plain(taken(values, places), column)
            arrays.append(found)
            misfits += wrong
        if not columns:
            return pa.table({"": pa.nulls(len(places))}), misfits
        return pa.Table.from_arrays(arrays, [column.name for column in columns]), misfits


class ParquetFile:
    """A Parquet file that is open. Close it."""

    def __init__(self, path: Path) -> None:
        """Raises SourceUnreadable."""
        self.path = path
        self.shape: Shape | None = None
        try:
            # Spark's moments of 96 bits do not fit into 64 bits of nanoseconds: 9999-12-31 would become 1816-03-30.
            self._file = pq.ParquetFile(path, pre_buffer=False, coerce_int96_timestamp_unit="us")
        except (pa.ArrowException, OSError) as fault:
            raise SourceUnreadable(
                f"{path.name} is no whole Parquet file: cut short, or still being written ({str(fault)[:200]})"
            ) from fault

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def hold(self, device: int, inode: int, size: int) -> bool:
        """False when another file, or one of another length, has its name by now."""
        now = self.path.stat()
        return (now.st_dev, now.st_ino, now.st_size) == (device, inode, size)

    def start(self) -> Place:
        """Where its first row is; places are counted in rows."""
        return Place(0, 0)

    def look(self) -> Shape:
        """The columns of the file. Raises SourceUnreadable."""
        fields = list(self._file.schema_arrow)
        names = [one.name for one in fields]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise SourceUnreadable(f"{self.path.name}: two columns are called {twice!r}")
        columns = tuple(Column(one.name, _type_of_arrow(one.type)) for one in fields)
        nested = {one.name: one.type for column, one in zip(columns, fields, strict=True) if column.type in NESTED}
        return Shape(columns, nested)

    def blocks(self, begin: Place, named: Names, stop: int | None = None) -> Iterator[ParquetBlock]:
        """The rows from a place on, up to row `stop`, of the columns that are named. Raises SourceUnreadable."""
        every = self._file.schema_arrow.names
        names = [name for name in every if named(name)] or every[:1]
        row = 0
        try:
            for group in range(self._file.num_row_groups):
                count = self._file.metadata.row_group(group).num_rows
                if row + count <= begin.offset:
                    row += count
                    continue
                offset = 0
                for batch in self._file.iter_batches(
                    batch_size=ROWS_OF_BLOCK, row_groups=[group], columns=names, use_threads=False
                ):
                    at = Place(row, row)
                    row += batch.num_rows
                    if at.offset >= begin.offset:
                        numbers = pa.array(range(at.row + 1, row + 1), pa.int64())
                        origin = ParquetOrigin(self, group, offset, pa.Table.from_batches([batch]))
                        yield ParquetBlock(at, Place(row, row), numbers, origin)
                    offset += batch.num_rows
                    if stop is not None and row >= stop:
                        return
        except (pa.ArrowException, OSError) as fault:
            raise SourceUnreadable(f"{self.path.name}: {at_row(row)}: {str(fault)[:200]}") from fault

    def table_at(self, group: int, offset: int, count: int) -> pa.Table:
        """Every column of some rows of a row group. Raises SourceUnreadable."""
        try:
            return self._file.read_row_group(group, use_threads=False).slice(offset, count)
        except (pa.ArrowException, OSError) as fault:
            raise SourceUnreadable(f"{self.path.name}: row group {group + 1}: {str(fault)[:200]}") from fault


def opened(path: Path) -> ParquetFile:
    """Open a Parquet file. Raises SourceUnreadable."""
    return ParquetFile(path)


def _unwrapped(values: pa.Array) -> pa.Array:
    """A column without dictionary, extension or views around its values, which Arrow cannot all take.

    Inside of objects, arrays and maps moments, days, times and durations are their texts: Python has no value for all.
    """
    type_ = values.type
    if isinstance(values, pa.ExtensionArray):
        if type_.extension_name == "arrow.uuid":
            return pa.array([_uuid_text(raw) for raw in values.storage.to_pylist()], pa.string())
        return _unwrapped(values.storage)
    if pa.types.is_dictionary(type_):
        return _unwrapped(values.dictionary_decode())
    if pa.types.is_string_view(type_) or pa.types.is_binary_view(type_):
        return pc.cast(values, pa.large_string() if pa.types.is_string_view(type_) else pa.large_binary())
    if pa.types.is_struct(type_) and type_.num_fields:
        parts = [_inner(pc.struct_field(values, [number])) for number in range(type_.num_fields)]
        return pa.StructArray.from_arrays(parts, [inner.name for inner in type_], mask=values.is_null())
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        array = pa.ListArray if pa.types.is_list(type_) else pa.LargeListArray
        return array.from_arrays(_offsets(values), _inner(values.values))
    if pa.types.is_map(type_):
        return pa.MapArray.from_arrays(_offsets(values), _inner(values.keys), _inner(values.items))
    return values


def _offsets(values: pa.Array) -> pa.Array:
    """Where each array or map begins in all their entries, null for one that is null; and where the last one ends."""
    begins = pc.if_else(values.is_valid(), values.offsets[:-1], pa.scalar(None, values.offsets.type))
    return pa.concat_arrays([begins, values.offsets[-1:]])


def _inner(values: pa.Array) -> pa.Array:
    """The same for what stands inside of another column."""
    found = _unwrapped(values)
    return _texts_in_time(found) if pa.types.is_temporal(found.type) else found


def _texts_in_time(values: pa.Array) -> pa.Array:
    """Moments, days, times and durations as texts."""
    if pa.types.is_duration(values.type):
        return pc.cast(pc.cast(values, pa.int64()), pa.string())
    if not pa.types.is_timestamp(values.type):
        return pc.cast(values, pa.string())
    moments = pc.cast(values, pa.timestamp(values.type.unit, tz="UTC"))
    texts = pc.strftime(moments, format="%Y-%m-%dT%H:%M:%SZ")
    return pc.replace_substring_regex(texts, r"\.0+Z$", "Z")


def _uuid_text(raw: bytes | None) -> str | None:
    return None if raw is None else str(uuid.UUID(bytes=raw))


def _is_bytes(type_: pa.DataType) -> bool:
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_))


def _plain(values: pa.Array, column: Column) -> tuple[pa.Array, list[Misfit]]:
    """A Parquet column as the other formats hold it: dates as ISO texts, every number as the widest of its kind."""
    if column.type in NESTED:
        return values, []
    if pa.types.is_timestamp(values.type):
        return _texts_in_time(values), []
    if _is_bytes(values.type):
        return utf8(pc.cast(values, pa.binary()), column.name)
    wanted = arrow_type(column.type)
    if values.type == wanted:
        return values, []
    try:
        return pc.cast(values, wanted), []
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        found = [_fitted(value, wanted) for value in values.to_pylist()]
        return pa.array(found, wanted), []


def _fitted(value: Any, wanted: pa.DataType) -> Any:
    """A value of a type that Arrow does not turn into the wanted one; null where it does not fit."""
    if value is None:
        return None
    if wanted == pa.string():
        return text_of(value)
    if wanted == pa.int64():
        return value if -(2**63) <= value < 2**63 else None
    return float(value)
