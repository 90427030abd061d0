"""What reading a source file gives, whatever its format: rows with their numbers, and what is broken between them.

Rows are counted from 1, the first below a CSV's header; empty lines are not rows. Beside the typed values of a column
are the texts that the file has (`Origin`), because a field of text takes these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from flowledger.emulator.data.kinds import Column, Misfit
from flowledger.emulator.values import Unfit, shown, written

LONGEST_SHOWN: Final = 60  # characters of a broken line in its reason

Names = Callable[[str], bool]  # which columns are read, by their names
Places: TypeAlias = range | pa.Array  # which rows of a block, 0 being its first


class SourceUnreadable(Exception):
    """A source file cannot be read, or not further. The text says which, where and why."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A row that cannot be read: its number, and why.

    `key` tells it from other rows, also from one that takes its place later. `placed`: its delta value lies in the
    window that was asked for; a row that is not placed belongs to no window.
    """

    row: int
    reason: str
    key: str = field(default="", compare=False)
    placed: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of a file in its order, with the form of those that nest."""

    columns: tuple[Column, ...]
    nested: dict[str, pa.DataType]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block begins or ends: how far into the file (bytes, row groups), and how many rows are before it."""

    offset: int
    row: int


class Origin(Protocol):
    """The rows of a block as the file has them."""

    def texts(self, name: str, path: tuple[str, ...]) -> pa.Array | None:
        """The texts of a column, or of a value nested in it, for every row; None where the values are texts already."""

    def exact(self, name: str, values: list[Any], places: Sequence[int]) -> list[Any]:
        """Values of a column, as Arrow gives them for these places, with the texts that they are written as."""

    def whole(self, places: Sequence[int]) -> list[dict[str, Any]]:
        """Every column of the rows at these places, named by a mapping or not; what is no UTF-8 is replaced."""


@runtime_checkable
class WritesMembers(Protocol):
    """An origin that writes many rows at once."""

    def members(self, places: Sequence[int]) -> pa.Array:
        """Every column of the rows at these places, as `whole` has them, as members of an object of JSON."""


class Block(Protocol):
    """Some rows of a file that are read at once."""

    @property
    def begin(self) -> Place:
        """Where it begins."""

    @property
    def end(self) -> Place:
        """Where the next block begins."""

    @property
    def is_final(self) -> bool:
        """The file ends in it without the end of a line: what is appended may belong to it."""

    @property
    def numbers(self) -> pa.Array:
        """The numbers of the rows that are not broken."""

    @property
    def broken(self) -> list[Broken]:
        """The others."""

    @property
    def origin(self) -> Origin:
        """The rows as the file has them."""

    def typed(self, columns: Sequence[Column], places: Places) -> tuple[pa.Table, list[Misfit]]:
        """Columns as typed values for the rows at these places, and values that cannot be read at all."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a table. `numbers` are the rows' numbers in the file, 1 being its first; they may have gaps.

    `table` has the typed columns. `places` says which rows of `origin` these are.
    """

    table: pa.Table
    first_row: int
    numbers: pa.Array
    origin: Origin | None = None
    places: Places | None = None

    def texts(self, name: str, *path: str) -> pa.Array | None:
        """The texts of a column, or of a value nested in it, as the file has them; None where the values say it all."""
        found = None if self.origin is None else self.origin.texts(name, path)
        return found if found is None else taken(found, self._all_places())

    def rows(self, names: Sequence[str], at: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """The columns of these names as rows, all or those `at` places; numbers and booleans remember their texts."""
        table = self.table.select(list(names))
        count = self.table.num_rows if at is None else len(at)
        if at is not None:
            table = table.take(pa.array(at, pa.int64()))
        columns = {name: table.column(name).to_pylist() for name in names}
        if self.origin is not None:
            places = self._places(at)
            columns = {name: self.origin.exact(name, values, places) for name, values in columns.items()}
        return rows_of(columns, count)

    def whole_rows(self, at: Sequence[int]) -> list[dict[str, Any]]:
        """Every column of the rows `at` these places, for a document of JSON."""
        if self.origin is not None:
            return self.origin.whole(self._places(at))
        found: list[dict[str, Any]] = self.table.take(pa.array(at, pa.int64())).to_pylist()
        return found

    def members(self, at: Sequence[int]) -> pa.Array:
        """Every column of the rows `at` these places as members of an object of JSON."""
        if isinstance(self.origin, WritesMembers):
            return self.origin.members(self._places(at))
        return pa.array([orjson.dumps(row, default=str)[1:-1].decode() for row in self.whole_rows(at)], pa.string())

    def places_of(self, numbers: Sequence[int] | pa.Array) -> list[int]:
        """Where in the batch the rows of these numbers are."""
        wanted = numbers if isinstance(numbers, pa.Array) else pa.array(numbers, pa.int64())
        found: list[int] = pc.index_in(wanted, value_set=self.numbers).to_pylist()
        return found

    def without(self, kept: pa.Array) -> Batch:
        """The rows for which `kept` is true."""
        places = pa.array(self._all_places(), pa.int64()).filter(kept) if self.origin is not None else None
        numbers = self.numbers.filter(kept)
        first = numbers[0].as_py() if len(numbers) else self.first_row
        return Batch(self.table.filter(kept), first, numbers, self.origin, places)

    def _all_places(self) -> Places:
        return range(len(self.numbers)) if self.places is None else self.places

    def _places(self, at: Sequence[int] | None) -> Sequence[int]:
        places = self._all_places()
        every: Sequence[int] = places if isinstance(places, range) else places.to_pylist()
        return every if at is None else [every[place] for place in at]


def at_row(seen: int) -> str:
    """Where a reading broke off."""
    return f"after row {seen}"


def key_of(row: int, content: bytes) -> str:
    """What tells a broken row from others: its number and what it holds."""
    return hashlib.blake2b(b"%d:%b" % (row, content), digest_size=8).hexdigest()


def overlaid(values: list[Any], texts: Sequence[str | None]) -> list[Any]:
    """Typed values with the texts that they are written as."""
    return [written(value, text) for value, text in zip(values, texts, strict=True)]


def rows_of(columns: dict[str, list[Any]], count: int) -> list[dict[str, Any]]:
    """Columns as rows; `count` of them, also where there is no column."""
    if not columns:
        return [{} for _ in range(count)]
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def as_json(value: Any) -> Any:
    """A value of a row for a document of JSON: a number that JSON would write otherwise is shown as its text."""
    return str(value) if isinstance(value, Unfit) else shown(value)


def taken(values: pa.Array, places: Places) -> pa.Array:
    """The values at these places."""
    return values.slice(places.start, len(places)) if isinstance(places, range) else values.take(places)


def batches_of(
    block: Block, columns: Sequence[Column], chosen: Places, rows: int, *, placed: bool
) -> Iterator[Batch | Broken]:
    """The rows of a block at the places `chosen`, at most `rows` at a time.

    A row with a value that cannot be read is Broken, and `placed` says whether it lies in the window that is read.
    """
    for start in range(0, len(chosen), rows):
        places = chosen[start : start + rows]
        table, misfits = block.typed(columns, places)
        numbers = taken(block.numbers, places)
        if misfits:
            reasons: dict[int, list[str]] = {}
            for misfit in misfits:
                reasons.setdefault(misfit.place, []).append(misfit.reason)
            for place in sorted(reasons):
                row, reason = numbers[place].as_py(), "; ".join(reasons[place])
                yield Broken(row, reason, key_of(row, reason.encode("utf-8", "replace")), placed)
            sound = pa.array([place not in reasons for place in range(len(places))], pa.bool_())
            table, numbers = table.filter(sound), numbers.filter(sound)
            places = pa.array(places, pa.int64()).filter(sound)
        if len(numbers):
            yield Batch(table, numbers[0].as_py(), numbers, block.origin, places)


def indices(mask: pa.Array) -> Places:
    """The places at which a mask is true."""
    if mask.true_count == len(mask):
        return range(len(mask))
    return pc.cast(pc.indices_nonzero(pc.fill_null(mask, False)), pa.int64())
