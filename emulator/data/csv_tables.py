"""Read a CSV in blocks of rows, whatever is broken in it, however long a cell, also while it grows.

A reading sees the file that it opened, as long as it was then: what is appended meanwhile, or put in its place, is for
the next one.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from flowledger.emulator.data.csv_records import first_record, is_closed, text_behind_quotes, whole_records
from flowledger.emulator.data.json_texts import members, numbers_as_json, texts_as_json, values_as_json
from flowledger.emulator.data.kinds import Column, Misfit, arrow_type, fitted_texts, type_of_texts, utf8
from flowledger.emulator.data.source_rows import (
    LONGEST_SHOWN,
    Broken,
    Names,
    Place,
    Places,
    Shape,
    SourceUnreadable,
    at_row,
    key_of,
    overlaid,
    rows_of,
    taken,
)
from flowledger.emulator.values import shown, shown_number
from flowledger.emulator.values import written as marked

BLOCK: Final = 4 * 2**20  # bytes that are parsed at a time
LONG_BLOCK: Final = 32 * 2**20  # no row may be longer than this
HEADER: Final = 2**20  # bytes in which the names must be
BEHIND: Final = "text behind a closing quote: a quote in a quoted value is written twice"
ROWS_LOOKED_AT: Final = 50_000  # from which the types of columns are told
SEPARATORS: Final = {";": "';'", "\t": "a tab", "|": "'|'"}  # of files that are taken for a CSV


@dataclass(frozen=True, slots=True)
class Header:
    """The names of a CSV by column, None for a column without one; and where its rows begin, in bytes."""

    names: tuple[str | None, ...]
    end: int

    @property
    def named(self) -> list[str]:
        """The names that there are, in order."""
        return [name for name in self.names if name is not None]

    def key(self, name: str) -> str:
        """What Arrow calls the column of that name: two columns without a name are not one."""
        return str(self.names.index(name))


class CsvOrigin:
    """The rows of a block: texts of the columns that were read, and the bytes for all others."""

    def __init__(
        self, header: Header, chunk: bytes, read: pa.Table, columns: Sequence[Column], sound: pa.Array | None = None
    ) -> None:
        """`sound` says which rows of the chunk, of those that Arrow reads, are rows here; None: all of them."""
        self.header = header
        self.chunk = chunk
        self.sound = sound
        self.read = read
        self.columns = {column.name: column for column in columns}
        self._texts: dict[str, tuple[pa.Array, list[Misfit]]] = {}
        self._typed: dict[str, pa.Array] = {}

    def decoded(self, name: str) -> tuple[pa.Array, list[Misfit]]:
        """A column's texts, and what is no UTF-8."""
        if name not in self._texts:
            key = self.header.key(name)
            if key not in self.read.column_names:
                self.read, _ = _parsed(self.chunk, self.header, None)
                self.read = self.read if self.sound is None else self.read.filter(self.sound)
            self._texts[name] = utf8(self.read.column(key).combine_chunks(), name)
        return self._texts[name]

    def texts(self, name: str, path: tuple[str, ...]) -> pa.Array | None:
        if path or name not in self.columns or arrow_type(self.columns[name].type) == pa.string():
            return None
        return self.decoded(name)[0]

    def exact(self, name: str, values: list[Any], places: Sequence[int]) -> list[Any]:
        texts = self.texts(name, ())
        return values if texts is None else overlaid(values, texts.take(pa.array(places, pa.int64())).to_pylist())

    def members(self, places: Sequence[int]) -> pa.Array:
        at = pa.array(places, pa.int64())
        if any(self.decoded(name)[1] for name in self.columns):  # a value that is no UTF-8
            return pa.array([orjson.dumps(row)[1:-1].decode() for row in self.whole(places)], pa.string())
        return members(
            [(name, _as_json(self.decoded(name)[0].take(at), column)) for name, column in self.columns.items()]
        )

    def whole(self, places: Sequence[int]) -> list[dict[str, Any]]:
        at = pa.array(places, pa.int64())
        found: dict[str, list[Any]] = {}
        for name, column in self.columns.items():
            texts, misfits = self.decoded(name)
            if misfits:
                raw = self.read.column(self.header.key(name)).combine_chunks().take(at).to_pylist()
                found[name] = [None if one is None else one.decode("utf-8", "replace") for one in raw]
                continue
            found[name] = _shown(texts.take(at), column)
        return rows_of(found, len(places))


def _as_json(texts: pa.Array, column: Column) -> pa.Array:
    """The same as `_shown`, as JSON."""
    wanted = arrow_type(column.type)
    if wanted == pa.string():
        return texts_as_json(texts)
    found = None if wanted == pa.bool_() else numbers_as_json(texts)
    return found if found is not None else values_as_json(_shown(texts, column))


def _shown(texts: pa.Array, column: Column) -> list[Any]:
    """A column for a document of JSON: typed values where JSON writes them as the file does, else the texts."""
    written: list[Any] = texts.to_pylist()
    wanted = arrow_type(column.type)
    if wanted == pa.string():
        return written
    typed = fitted_texts(texts, column)
    values: list[Any] = typed.to_pylist()
    if wanted != pa.float64() and typed.null_count == texts.null_count:
        is_plain = pc.all(pc.equal(pc.cast(typed, pa.string()), texts)).as_py() is not False
        if is_plain:
            return values
    if wanted == pa.float64():
        return [
            text if value is None else shown_number(value, text) for value, text in zip(values, written, strict=True)
        ]
    return [text if value is None else shown(marked(value, text)) for value, text in zip(values, written, strict=True)]


@dataclass(slots=True)
class CsvBlock:
    """Whole rows of a CSV (see source_rows.Block)."""

    begin: Place
    end: Place
    is_final: bool
    numbers: pa.Array
    broken: list[Broken]
    origin: CsvOrigin

    def typed(self, columns: Sequence[Column], places: Places) -> tuple[pa.Table, list[Misfit]]:
        arrays, misfits = [], list[Misfit]()
        for column in columns:
            texts, wrong = self.origin.decoded(column.name)
            if wrong:
                bad = {misfit.place: misfit for misfit in wrong}
                wanted = places if isinstance(places, range) else places.to_pylist()
                misfits += [Misfit(at, bad[place].reason) for at, place in enumerate(wanted) if place in bad]
            arrays.append(fitted_texts(taken(texts, places), column))
        if not columns:
            return pa.table({"": pa.nulls(len(places))}), misfits
        return pa.Table.from_arrays(arrays, [column.name for column in columns]), misfits


@dataclass(slots=True)
class CsvFile:
    """A CSV that is open, as long as it was when it was opened. Close it."""

    path: Path
    file: IO[bytes]
    size: int
    header: Header
    shape: Shape | None = field(default=None)

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def hold(self, device: int, inode: int, size: int) -> bool:
        """Take it for as long as `size`; False when it is another file, or shorter."""
        now = os.fstat(self.file.fileno())
        if (now.st_dev, now.st_ino) != (device, inode) or now.st_size < size:
            return False
        self.size = size
        return True

    def start(self) -> Place:
        """Where its first row begins."""
        return Place(self.header.end, 0)

    def look(self) -> Shape:
        """The columns, told from the first rows. Raises SourceUnreadable."""
        for block in self.blocks(self.start(), lambda _: True):
            if not len(block.numbers):
                continue
            found = []
            for name in self.header.named:
                texts, misfits = block.origin.decoded(name)
                found.append(Column(name, "string" if misfits else type_of_texts(texts.slice(0, ROWS_LOOKED_AT))))
            return Shape(tuple(found), {})
        return Shape(tuple(Column(name, "string") for name in self.header.named), {})

    def blocks(self, begin: Place, named: Names, stop: int | None = None) -> Iterator[CsvBlock]:
        """The rows from a place on, up to byte `stop` (None: the end), of the columns that are named.

        Raises SourceUnreadable, also in the middle.
        """
        place, end, data = begin, self.size if stop is None else stop, b""
        unread = begin.offset
        while True:
            wanted = min(BLOCK, end - unread)
            more = self._bytes(unread, wanted, place.row)
            data, unread = (data + more if data else more), unread + len(more)
            is_last = unread >= end
            cut, is_regular = whole_records(data)
            if is_last and stop is not None:
                cut = len(data)
            if cut:
                block = self._block(data[:cut], place, named, is_final=False, is_regular=is_regular)
                place = block.end
                yield block
                data = data[cut:]
            if is_last:
                break
            if len(data) > LONG_BLOCK:
                raise SourceUnreadable(
                    f"{self.path.name}: {at_row(place.row)}: a row is longer than {LONG_BLOCK / 2**20:g} MB, "
                    "or a quote is never closed"
                )
        if data.strip(b"\r\n"):
            yield self._last(data, place, named)
        if stop is None and _length(self.file) < self.size:
            raise SourceUnreadable(f"{self.path.name}: {at_row(place.row)}: the file became shorter while it was read")

    def _last(self, data: bytes, place: Place, named: Names) -> CsvBlock:
        """The last row, which has no end: a row of a file at rest, and none of one that is being written."""
        row, reason = place.row + 1, ""
        shown = data[:LONGEST_SHOWN].decode("utf-8", "replace")
        if not is_closed(data):
            reason = f"a quote is never closed: everything below is one value {shown!r}"
        elif _length(self.file) > self.size and not data.endswith(b"\r"):
            reason = "it was being written while it was read: the line had no end yet"
        if not reason:
            return self._block(data, place, named, is_final=True, is_regular=whole_records(data)[1])
        end = Place(place.offset + len(data), row)
        origin = CsvOrigin(self.header, b"", _parsed(b"", self.header, None)[0], ())
        broken = [Broken(row, reason, key_of(row, data))]
        return CsvBlock(place, end, True, pa.array([], pa.int64()), broken, origin)

    def _block(self, chunk: bytes, place: Place, named: Names, *, is_final: bool, is_regular: bool) -> CsvBlock:
        names = [name for name in self.header.named if named(name)]
        try:
            table, wrong = _parsed(chunk, self.header, [self.header.key(name) for name in names])
        except pa.ArrowInvalid as fault:
            raise SourceUnreadable(f"{self.path.name}: {at_row(place.row)}: {fault}") from fault
        broken = [
            Broken(place.row + row.number, _width(row), key_of(place.row + row.number, row.text.encode()))
            for row in wrong
        ]
        numbers = range(place.row + 1, place.row + 1 + len(table) + len(broken))
        skipped = {one.row for one in broken}
        sound = pa.array([number for number in numbers if number not in skipped] if skipped else numbers, pa.int64())
        kept = None
        odd = {} if is_regular else text_behind_quotes(chunk)
        behind = [
            Broken(place.row + number, f"{BEHIND}: {_shown_row(row)}", key_of(place.row + number, row))
            for number, row in odd.items()
            if place.row + number not in skipped
        ]
        if behind:
            kept = pc.invert(pc.is_in(sound, pa.array([one.row for one in behind], pa.int64())))
            table, sound = table.filter(kept), sound.filter(kept)
            broken = sorted([*broken, *behind], key=lambda one: one.row)
        columns = self.shape.columns if self.shape is not None else ()
        end = Place(place.offset + len(chunk), numbers.stop - 1)
        return CsvBlock(place, end, is_final, sound, broken, CsvOrigin(self.header, chunk, table, columns, kept))

    def _bytes(self, offset: int, count: int, row: int) -> bytes:
        try:
            self.file.seek(offset)
            found = self.file.read(count)
        except OSError as fault:
            raise SourceUnreadable(f"{self.path.name}: {at_row(row)}: {fault.strerror}") from fault
        if len(found) < count:
            raise SourceUnreadable(f"{self.path.name}: {at_row(row)}: the file became shorter while it was read")
        return found


def opened(path: Path) -> CsvFile:
    """Open a CSV and read its names. Raises SourceUnreadable."""
    try:
        file = path.open("rb")
    except OSError as fault:
        raise SourceUnreadable(f"{path.name}: {fault.strerror}") from fault
    try:
        size = _length(file)
        return CsvFile(path, file, size, _header(path, file, size))
    except BaseException:
        file.close()
        raise


def _length(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _header(path: Path, file: IO[bytes], size: int) -> Header:
    try:
        start = file.read(min(HEADER, size))
    except OSError as fault:
        raise SourceUnreadable(f"{path.name}: {fault.strerror}") from fault
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SourceUnreadable(f"{path.name} is written in UTF-16: save it as UTF-8")
    mark = len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0
    text = start[mark:]
    if not text.strip():
        raise SourceUnreadable(f"{path.name} is empty: a CSV begins with a line of column names")
    if text.lower().startswith(b"sep="):
        raise SourceUnreadable(
            f"{path.name}: line 1 says sep=, as Excel writes it: remove that line, and part the columns with commas"
        )
    end = first_record(text)
    if end is None:
        raise SourceUnreadable(f"{path.name}: line 1: no line of column names: a quote is never closed")
    line = text[:end]
    try:
        names = next(row for row in csv.reader(io.StringIO(line.decode("utf-8", "surrogateescape"), newline="")) if row)
    except (csv.Error, StopIteration) as fault:
        raise SourceUnreadable(f"{path.name}: line 1: no line of column names: {fault}") from fault
    found = [name if name.strip() else None for name in names]
    for place, name in enumerate(found):
        if name is None:
            continue
        if any(unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\t\r\n" for letter in name):
            raise SourceUnreadable(f"{path.name}: line 1: column {place + 1} has no printable name")
        if name in found[:place]:
            raise SourceUnreadable(f"{path.name}: line 1: two columns are called {name!r}")
    if not any(found):
        raise SourceUnreadable(f"{path.name}: line 1: no column has a name")
    other = next((named for sign, named in SEPARATORS.items() if len(names) == 1 and sign in names[0]), None)
    if other is not None:
        raise SourceUnreadable(
            f"{path.name}: line 1 parts the columns with {other}: a CSV is read with commas; save the file with commas"
        )
    if len(found) > 1 and found[-1] is None and _width_of_first_row(text[end:]) == len(found) - 1:
        found.pop()  # only the line of names ends in a comma
    after = text[end:]
    return Header(tuple(found), mark + end + len(after) - len(after.lstrip(b"\r\n")))


def _width_of_first_row(text: bytes) -> int:
    """How many values the first row has; 0 when there is none, or it is longer than what was read."""
    end = first_record(text)
    row = b"" if end is None else text[:end].strip(b"\r\n")
    found = next(csv.reader(io.StringIO(row.decode("utf-8", "surrogateescape"), newline="")), []) if row else []
    return len(found)


def _shown_row(row: bytes) -> str:
    return repr(row[:LONGEST_SHOWN].decode("utf-8", "replace"))


def _width(row: Any) -> str:
    said = row.text[:LONGEST_SHOWN]
    return f"{row.actual_columns} values in a table of {row.expected_columns} columns: {said!r}"


def _parsed(chunk: bytes, header: Header, wanted: Sequence[str] | None) -> tuple[pa.Table, list[Any]]:
    """Whole rows as a table of bytes, its columns called by their places; and the rows of another width.

    Raises ArrowInvalid.
    """
    wrong: list[Any] = []

    def note(row: Any) -> str:
        wrong.append(row)
        return "skip"

    keys = [str(place) for place in range(len(header.names))]
    chosen = keys if wanted is None else list(wanted) or keys[:1]
    if chunk[:1] in b"\r\n" and not chunk.strip(b"\r\n"):
        return pa.table({key: pa.array([], pa.binary()) for key in chosen}), []
    table = pacsv.read_csv(
        pa.BufferReader(chunk),
        read_options=pacsv.ReadOptions(use_threads=False, block_size=len(chunk) + 2, column_names=keys),
        parse_options=pacsv.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
        convert_options=pacsv.ConvertOptions(
            column_types={key: pa.binary() for key in keys},
            include_columns=chosen,
            strings_can_be_null=True,
            null_values=[""],
            quoted_strings_can_be_null=False,
        ),
    )
    return table, wrong
