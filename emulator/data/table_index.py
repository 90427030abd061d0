"""What is known of a file since it was last read: when each of its rows is, so that a window reads only its rows.

A file is known by its device, inode, length and times. It may grow by lines that are appended: then only these are
read. Anything else makes it another file, which is read from the start. A change in place is seen by the times; where
the file has grown as well, by its first and last bytes and a sample between (up to a megabyte: by all of them).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from flowledger.emulator.data.kinds import Column
from flowledger.emulator.data.readers import SourceFile, opened
from flowledger.emulator.data.source_rows import Block, Broken, Names, Place, Shape, SourceUnreadable, key_of
from flowledger.emulator.data.windows import Delta, Key, in_window, moments_of

LOOKED_AT: Final = 5 * 2**20  # bytes: what is appended to a longer file changes no column's type
TOGETHER: Final = 2**20  # bytes: files up to that long are compared as a whole
SAMPLE: Final = 2**16  # bytes at both ends of a longer file
SAMPLES: Final = 16  # of 4 kB between them
SETTLED_NS: Final = 20_000_000  # how coarse the times of a file may be
MOST_MOMENTS: Final = 8_000_000  # rows of all tables whose moments are kept: 64 MB
MOST_BROKEN: Final = 100_000  # rows of a table that cannot be read and are remembered


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells a state of a file from others."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


@dataclass(slots=True)
class Stretch:
    """A part of a file that was read: the moments of its rows, or only the first and the last of them."""

    begin: Place
    end: Place
    is_final: bool
    low: int | None  # microseconds; None: there is no row with a moment
    high: int | None
    moments: pa.Array | None
    broken: list[Broken]

    def may_hold(self, start_ms: int | None, end_ms: int | None) -> bool:
        """Whether a row of it lies in the window, or may do so where the moments are forgotten."""
        if self.low is None or self.high is None:
            return False
        if (end_ms is not None and self.low >= end_ms * 1000) or (start_ms is not None and self.high < start_ms * 1000):
            return False
        return self.moments is None or bool(pc.any(in_window(self.moments, start_ms, end_ms)).as_py())


@dataclass(slots=True)
class Known:
    """A file as it was read last."""

    stamp: Stamp
    is_settled: bool  # False: it was changed so shortly before that a change since need not show in its times
    proof: bytes
    shape: Shape
    stretches: dict[Key, list[Stretch]] = field(default_factory=dict)  # by delta column
    complete: set[Key] = field(default_factory=set)  # delta columns of which all rows were read

    def is_read_by(self, delta: Delta) -> bool:
        """Whether the moments of the delta column are known to the end of the file."""
        return delta.key in self.complete

    def forget_moments(self) -> None:
        """Keep only the first and the last moment of each part."""
        for found in self.stretches.values():
            for stretch in found:
                stretch.moments = None

    @property
    def count(self) -> int:
        """How many moments are kept."""
        every = (one for found in self.stretches.values() for one in found)
        return sum(len(one.moments) for one in every if one.moments is not None)


def stamp_of(path: Path) -> Stamp:
    """The state of a file now. Raises SourceUnreadable."""
    try:
        return _stamp(path.stat())
    except OSError as fault:
        raise SourceUnreadable(f"{path.name}: {fault.strerror}") from fault


def _stamp(found: os.stat_result) -> Stamp:
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def known_of(path: Path, before: Known | None, now_ns: int) -> Known:
    """The file as it is now, with what `before` knows of it that still holds. Raises SourceUnreadable."""
    stamp = stamp_of(path)
    if before is not None and before.stamp == stamp and before.is_settled:
        return before
    try:
        with path.open("rb") as file:
            stamp = _stamp(os.fstat(file.fileno()))
            proof = _proof(file, stamp.size)
            grown = before is not None and _continues(before, stamp, file, path)
    except OSError as fault:
        raise SourceUnreadable(f"{path.name}: {fault.strerror}") from fault
    is_settled = now_ns - max(stamp.modified_ns, stamp.changed_ns) > SETTLED_NS
    if before is not None and before.stamp == stamp and before.proof == proof:
        before.is_settled = is_settled
        return before
    if before is None or not grown:
        return Known(stamp, is_settled, proof, _shape_of(path))
    shape = before.shape if before.stamp.size > LOOKED_AT else _shape_of(path)
    kept = {
        delta: [one for one in found if not one.is_final]
        for delta, found in before.stretches.items()
        if column_of(shape, delta[0]) == column_of(before.shape, delta[0])
    }
    return Known(stamp, is_settled, proof, shape, kept)


def _continues(before: Known, stamp: Stamp, file: IO[bytes], path: Path) -> bool:
    """Whether the file is the one before with more at its end."""
    same = (before.stamp.device, before.stamp.inode) == (stamp.device, stamp.inode)
    if not same or stamp.size <= before.stamp.size or path.suffix == ".parquet":
        return False
    return _proof(file, before.stamp.size) == before.proof


def _proof(file: IO[bytes], size: int) -> bytes:
    """A digest of the first `size` bytes: of all, or of the ends and a sample."""
    digest = hashlib.blake2b(digest_size=16)
    parts = [(0, size)]
    if size > TOGETHER:
        step = (size - 2 * SAMPLE) // SAMPLES
        parts = [(0, SAMPLE), (size - SAMPLE, SAMPLE), *((SAMPLE + step * n + step // 2, 4096) for n in range(SAMPLES))]
    for place, count in parts:
        file.seek(place)
        digest.update(file.read(count))
    return digest.digest()


def _shape_of(path: Path) -> Shape:
    file = opened(path)
    try:
        return file.look()
    finally:
        file.close()


def column_of(shape: Shape, name: str) -> Column | None:
    """The column of that name."""
    return next((column for column in shape.columns if column.name == name), None)


def stretches_of(file: SourceFile, known: Known, delta: Delta, wanted: Names) -> Iterator[tuple[Stretch, Block]]:
    """Read on from where the index ends: each part with its block. They are kept when all are read."""
    found = list(known.stretches.get(delta.key, ()))
    for block in file.blocks(found[-1].end if found else file.start(), wanted):
        found.append(_stretch(block, *placed(block, delta)))
        yield found[-1], block
    if sum(len(one.broken) for one in found) <= MOST_BROKEN:
        known.stretches[delta.key] = found
        known.complete.add(delta.key)


def placed(block: Block, delta: Delta) -> tuple[pa.Array, list[Broken]]:
    """When each row of a block is, in microseconds; and its rows that belong to no window, in order."""
    table, unreadable = block.typed([delta.column], range(len(block.numbers)))
    column = table.column(0).combine_chunks() if table.column(0).num_chunks != 1 else table.column(0).chunk(0)
    moments, undated = moments_of(column, block.origin.texts(delta.column.name, ()), delta)
    reasons = {misfit.place: misfit.reason for misfit in undated} | {one.place: one.reason for one in unreadable}
    if not reasons:
        return moments, block.broken
    places = sorted(reasons)
    rows = block.origin.whole(places)
    numbers = block.numbers.take(pa.array(places, pa.int64())).to_pylist()
    broken = [
        Broken(number, reasons[place], key_of(number, orjson.dumps(row, default=str)))
        for number, place, row in zip(numbers, places, rows, strict=True)
    ]
    return moments, sorted([*block.broken, *broken], key=lambda one: one.row)


def _stretch(block: Block, moments: pa.Array, broken: list[Broken]) -> Stretch:
    ends = pc.min_max(moments).as_py()
    return Stretch(block.begin, block.end, block.is_final, ends["min"], ends["max"], moments, broken)
