"""Read JSON Lines in blocks of rows, whatever is broken in them.

A reading sees the file that it opened, as long as it was then: what is appended meanwhile is for the next one.
"""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import orjson
import pyarrow as pa

from flowledger.emulator.data.kinds import Column, Misfit, arrow_type, fitted_values, type_of_values
from flowledger.emulator.data.source_rows import (
    LONGEST_SHOWN,
    Broken,
    Names,
    Place,
    Places,
    Shape,
    SourceUnreadable,
    as_json,
    at_row,
    key_of,
)
from flowledger.emulator.values import Unfit, WrittenInteger, WrittenNumber, text_of

LINES: Final = 8 * 2**20  # bytes that are parsed at a time
LINES_OF_BLOCK: Final = 65_536
LONGEST_LINE: Final = 64 * 2**20  # bytes
LOOKED_AT: Final = 4 * 2**20  # bytes from which the types of columns are told
ROWS_LOOKED_AT: Final = 50_000
NESTED: Final = ("object", "array")


def _integer(text: str) -> int:
    value = int(text)
    if str(value) == text and -(2**63) <= value < 2**63:
        return value
    found = WrittenInteger(value)
    found.text = text
    return found


def _number(text: str) -> float:
    found = WrittenNumber(text)
    if str(float(found)) == text:
        return float(found)
    found.text = text
    return found


_EXACT: Final = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=Unfit)


def exact_object(line: bytes) -> Any:
    """The JSON of a line, its numbers with their digits, NaN as a text. Raises ValueError, RecursionError."""
    return _EXACT.decode(line.decode("utf-8", "surrogateescape").strip())


def _object(number: int, line: bytes) -> dict[str, Any] | Broken:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as fault:
        try:  # a value that orjson refuses is no reason to lose a row that does not use it
            found = exact_object(line)
        except (ValueError, RecursionError):
            shown = line[:LONGEST_SHOWN].decode("utf-8", "replace")
            return Broken(number, f"no JSON: {fault}: {shown!r}", key_of(number, line))
    if not isinstance(found, dict):
        return Broken(number, f"no JSON object but {str(found)[:LONGEST_SHOWN]!r}", key_of(number, line))
    return found


class JsonOrigin:
    """The rows of a block: their lines, read once more where the digits of a number are asked for."""

    def __init__(self, lines: list[bytes], shape: Shape) -> None:
        self._lines = lines
        self._types = {column.name: column.type for column in shape.columns}
        self._exact: list[dict[str, Any]] | None = None
        self._texts: dict[tuple[str, tuple[str, ...]], pa.Array] = {}

    def objects(self) -> list[dict[str, Any]]:
        """The rows with the digits of their numbers."""
        if self._exact is None:
            self._exact = [exact_object(line) for line in self._lines]
        return self._exact

    def texts(self, name: str, path: tuple[str, ...]) -> pa.Array | None:
        type_ = self._types.get(name)
        if type_ is None or (not path and type_ not in NESTED and arrow_type(type_) == pa.string()):
            return None
        if (name, path) not in self._texts:
            found = (_below(row.get(name), path) for row in self.objects())
            self._texts[name, path] = pa.array([_text(value) for value in found], pa.string())
        return self._texts[name, path]

    def exact(self, name: str, values: list[Any], places: Sequence[int]) -> list[Any]:
        type_ = self._types.get(name, "string")
        if type_ not in NESTED and arrow_type(type_) == pa.string():
            return values
        objects = self.objects()
        return [_overlaid(value, objects[place].get(name)) for value, place in zip(values, places, strict=True)]

    def whole(self, places: Sequence[int]) -> list[dict[str, Any]]:
        objects = self.objects()
        rows = ({name: objects[place].get(name) for name in self._types} for place in places)
        return [{name: _sound(as_json(value)) for name, value in row.items()} for row in rows]


def _below(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str | None:
    """A value as text; null where it is null, or no UTF-8."""
    text = None if value is None else text_of(value)
    return text if text is None or _is_sound(text) else None


def _is_sound(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _sound(value: Any) -> Any:
    """A value for a document of JSON: what was no UTF-8 is replaced."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {str(_sound(name)): _sound(inner) for name, inner in value.items()}
    return [_sound(inner) for inner in value] if isinstance(value, list) else value


def _overlaid(value: Any, exact: Any) -> Any:
    """A typed value, made of what the line has where that is a number with digits of its own, or of another type."""
    if isinstance(value, dict) and isinstance(exact, dict):
        return {name: _overlaid(inner, exact.get(name)) for name, inner in value.items()}
    if isinstance(value, list) and isinstance(exact, list):
        return [_overlaid(*pair) for pair in zip(value, exact, strict=True)]
    if value is None and exact is not None:
        return Unfit(text_of(exact)) if isinstance(exact, str) else exact
    if isinstance(exact, WrittenInteger | WrittenNumber) or type(exact) is int:
        return exact
    return value


def _shape_of(values: list[Any]) -> pa.DataType:
    """What holds all these values; where they are of no one type within an object or array, their texts are held."""
    try:
        return pa.array(values).type
    except UnicodeEncodeError:
        raise
    except (pa.ArrowException, OverflowError, ValueError):
        seen = [value for value in values if value is not None]
    if all(isinstance(value, dict) for value in seen):
        names = dict.fromkeys(name for value in seen for name in value)
        return pa.struct([(name, _shape_of([value.get(name) for value in seen])) for name in names])
    if all(isinstance(value, list) for value in seen):
        return pa.list_(_shape_of([entry for value in seen for entry in value]))
    return pa.string()


def _held(value: Any, shape: pa.DataType) -> Any:
    """A value of a line as its shape holds it: a text where others in its place are of another type."""
    if value is None or isinstance(value, str):
        return value
    if pa.types.is_string(shape):
        return text_of(value)
    if pa.types.is_struct(shape) and isinstance(value, dict):
        return {inner.name: _held(value.get(inner.name), inner.type) for inner in shape}
    if pa.types.is_list(shape) and isinstance(value, list):
        return [_held(entry, shape.value_type) for entry in value]
    return value


@dataclass(slots=True)
class JsonBlock:
    """Lines of a file (see source_rows.Block)."""

    begin: Place
    end: Place
    is_final: bool
    numbers: pa.Array
    broken: list[Broken]
    origin: JsonOrigin
    rows: list[dict[str, Any]]
    nested: dict[str, pa.DataType]

    def typed(self, columns: Sequence[Column], places: Places) -> tuple[pa.Table, list[Misfit]]:
        wanted = places if isinstance(places, range) else places.to_pylist()
        rows = [self.rows[place] for place in wanted]
        arrays, misfits = [], list[Misfit]()
        for column in columns:
            values = [row.get(column.name) for row in rows]
            if column.type == "string" and not all(value is None or isinstance(value, str) for value in values):
                exact = self.origin.objects()
                values = [exact[place].get(column.name) for place in wanted]
            shape = self.nested.get(column.name)
            found, wrong = fitted_values(values, column, shape)
            if wrong and shape is not None:
                exact = self.origin.objects()
                values = [_held(exact[place].get(column.name), shape) for place in wanted]
                found, wrong = fitted_values(values, column, shape)
            arrays.append(found)
            misfits += [
                one for one in wrong if column.type in NESTED or not _is_sound(text_of(values[one.place]))
            ]  # of a plain column the text is the value
        if not columns:
            return pa.table({"": pa.nulls(len(rows))}), misfits
        return pa.Table.from_arrays(arrays, [column.name for column in columns]), misfits


@dataclass(slots=True)
class JsonFile:
    """A file of JSON Lines that is open, as long as it was when it was opened. Close it."""

    path: Path
    file: IO[bytes]
    size: int
    shape: Shape = field(default_factory=lambda: Shape((), {}))

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
        """Where its first row begins: behind a byte order mark."""
        self.file.seek(0)
        mark = self.file.read(len(codecs.BOM_UTF8))
        if mark.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise SourceUnreadable(f"{self.path.name} is written in UTF-16: save it as UTF-8")
        return Place(len(mark) if mark == codecs.BOM_UTF8 else 0, 0)

    def look(self) -> Shape:
        """The columns, told from the first rows. Raises SourceUnreadable."""
        seen: dict[str, list[Any]] = {}
        begin = self.start()
        number = 0
        for end, line in self._lines(begin):
            if not line.strip():
                continue
            number += 1
            found = _object(number, line)
            if isinstance(found, dict):
                for name, value in found.items():
                    if _is_sound(name):
                        seen.setdefault(name, []).append(value)
            if number >= ROWS_LOOKED_AT or end - begin.offset > LOOKED_AT:
                break
        if not seen:
            raise SourceUnreadable(f"{self.path.name} has no row: its columns are not known")
        columns, nested = [], {}
        for name, values in seen.items():
            type_ = type_of_values(values)
            if type_ in NESTED:
                try:
                    nested[name] = _shape_of(values)
                except (UnicodeEncodeError, RecursionError):
                    type_ = "string"  # no shape can hold it: its JSON, as text
            columns.append(Column(name, type_))
        return Shape(tuple(columns), nested)

    def blocks(self, begin: Place, named: Names, stop: int | None = None) -> Iterator[JsonBlock]:
        """The rows from a place on, up to byte `stop` (None: the end). Raises SourceUnreadable, also in the middle."""
        del named  # a line is read whole
        number, at = begin.row, begin
        rows: list[dict[str, Any]] = []
        lines: list[bytes] = []
        numbers: list[int] = []
        broken: list[Broken] = []
        line, end = b"\n", begin.offset
        for end, line in self._lines(begin, stop):
            if line.strip():
                number += 1
                found = _object(number, line)
                if isinstance(found, Broken):
                    broken.append(found)
                else:
                    rows.append(found)
                    lines.append(line)
                    numbers.append(number)
            if end - at.offset > LINES or len(numbers) >= LINES_OF_BLOCK:
                yield self._block(at, Place(end, number), line, lines, rows, numbers, broken)
                at, rows, lines, numbers, broken = Place(end, number), [], [], [], []
        if rows or broken:
            yield self._block(at, Place(end, number), line, lines, rows, numbers, broken)

    def _block(
        self, begin: Place, end: Place, last: bytes, lines: list[bytes], rows: list[dict[str, Any]],
        numbers: list[int], broken: list[Broken],
    ) -> JsonBlock:  # fmt: skip
        origin = JsonOrigin(lines, self.shape)
        is_final = not last.endswith(b"\n")
        return JsonBlock(begin, end, is_final, pa.array(numbers, pa.int64()), broken, origin, rows, self.shape.nested)

    def _lines(self, begin: Place, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Each line, and where it ends in the file, of the file as long as it was."""
        number, place, end = begin.row, begin.offset, self.size if stop is None else stop
        try:
            self.file.seek(place)
            while place < end:
                line = self.file.readline(min(end - place, LONGEST_LINE))
                if not line:
                    raise SourceUnreadable(
                        f"{self.path.name}: {at_row(number)}: the file became shorter while it was read"
                    )
                place += len(line)
                if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                    raise SourceUnreadable(
                        f"{self.path.name}: {at_row(number)}: a line is longer than {LONGEST_LINE // 2**20} MB"
                    )
                number += bool(line.strip())
                yield place, line
        except OSError as fault:
            raise SourceUnreadable(f"{self.path.name}: {at_row(number)}: {fault.strerror}") from fault


def opened(path: Path) -> JsonFile:
    """Open a file of JSON Lines. Raises SourceUnreadable."""
    try:
        file = path.open("rb", buffering=2**20)
        return JsonFile(path, file, os.fstat(file.fileno()).st_size)
    except OSError as fault:
        raise SourceUnreadable(f"{path.name}: {fault.strerror}") from fault
