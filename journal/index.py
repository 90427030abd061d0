"""Where the records of one segment lie: kept in memory while it is written, stored beside it once it is worth it.

A stored index is a convenience and never trusted: a record of the segment (`_checkpoint` or `_seal`) holds its SHA-256,
and whatever is read through it is checked again (docs/journal.md, "The index").
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, Protocol

import orjson

from flowledger.journal.record import CLOSE, HEADER, NO_RECORD, PRUNED, Record

INDEX_FORMAT: Final = "flowledger-index"
INDEX_VERSION: Final = 1
_WORD: Final = "I"  # 4 bytes: positions and offsets
_MOST: Final = 2**32 - 1  # bytes of a segment whose offsets fit


class Located(Protocol):
    """What a reader asks of an index. A position counts the records of a segment, the header being 0."""

    @property
    def count(self) -> int:
        """Records, the header included."""
        ...

    def tables(self) -> list[str]:
        """Names of tables that have documents, oldest first."""
        ...

    def runs(self, table: str) -> list[str]:
        """Names of runs in a table, oldest first."""
        ...

    def positions(self, table: str, run: str) -> Sequence[int]:
        """Where a run's records of a table are, oldest first."""
        ...

    def all_positions(self, table: str) -> list[int]:
        """Where a table's records are, oldest first."""
        ...

    def size(self, table: str) -> int:
        """How many records a table has."""
        ...

    def seq(self, position: int) -> int:
        """The record's own number in its segment."""
        ...

    def position(self, seq: int) -> int | None:
        """Where the record with this number is; None if there is none."""
        ...

    def bounds_of(self, position: int) -> tuple[int, int, int]:
        """First byte of the record before, first byte of the record, and the byte after it."""
        ...


@dataclass(slots=True, kw_only=True)
class Index:
    """Where the good records of a segment are, as they are read or written.

    8 bytes a record and 4 more in its run: documents stay on disk.
    """

    gaps: bool = False  # a prune left records out: `seq` rises, but not by one
    bounds: array[int] = field(default_factory=lambda: array("q", [0]))
    seqs: array[int] = field(default_factory=lambda: array(_WORD))  # by position, if there are gaps
    keys: dict[tuple[str, str | None], array[int]] = field(default_factory=dict)  # positions by table and run
    prev: str = NO_RECORD
    synced: int = 0  # the largest frontier that a record claims
    last_table: str = ""
    digest: int = 0  # CRC-32 of all bytes up to `end`

    @property
    def end(self) -> int:
        """Bytes up to the end of the last good record."""
        return self.bounds[-1]

    @property
    def count(self) -> int:
        """Good records, the header included; where there are no gaps, the `seq` of the next."""
        return len(self.bounds) - 1

    @property
    def next_seq(self) -> int:
        """The smallest number that the next record may have."""
        return self.seqs[-1] + 1 if self.seqs else self.count

    def add(self, end: int, crc: str, table: str, run: str | None, seq: int) -> None:
        """Take in the next record, which ends at byte `end`. Its bounds are there before its number is, so that a
        reader in another thread never finds a number whose bytes it cannot find."""
        position = self.count
        if self.gaps:
            self.seqs.append(seq)
        self.bounds.append(end)
        self.prev = crc
        self.last_table = table
        if kept(table):
            self.keys.setdefault((table, run), array(_WORD)).append(position)

    def take(self, record: Record, size: int) -> str:
        """Take in a parsed record of `size` bytes if it is the next; else say why not."""
        awaited = self.next_seq
        if record.seq != awaited and not (self.gaps and record.seq > awaited):
            return f"record {record.seq} stands where record {awaited} should"
        if record.prev != self.prev:
            return f"record {record.seq} follows a record with checksum {record.prev}, but {self.prev} is before it"
        if (record.table == HEADER) is (self.count != 0):
            return "a header stands in the middle" if self.count else "the first record is not a header"
        self.add(self.end + size, record.crc, record.table, record.run, record.seq)
        self.synced = max(self.synced, record.synced)
        return ""

    @property
    def closed(self) -> bool:
        """The writer ended cleanly."""
        return self.last_table == CLOSE

    def tables(self) -> list[str]:
        """Names of tables that have documents, oldest first."""
        return list(dict.fromkeys(table for table, _ in list(self.keys) if not table.startswith("_")))

    def runs(self, table: str) -> list[str]:
        """Names of runs in a table, oldest first."""
        return [run for of, run in list(self.keys) if of == table and run is not None]

    def positions(self, table: str, run: str) -> Sequence[int]:
        """Where a run's records of a table are, oldest first."""
        held = self.keys.get((table, run))
        return () if held is None else held.tolist()

    def all_positions(self, table: str) -> list[int]:
        """Where a table's records are, oldest first."""
        until = self.count  # what another thread adds meanwhile is left out, else there could be holes
        held = [positions.tolist() for (of, _), positions in list(self.keys.items()) if of == table]
        found = sorted(chain.from_iterable(held))
        del found[bisect_left(found, until) :]
        return found

    def size(self, table: str) -> int:
        """How many records a table has."""
        return sum(len(positions) for (of, _), positions in list(self.keys.items()) if of == table)

    def seq(self, position: int) -> int:
        """The record's own number in its segment."""
        return self.seqs[position] if self.gaps else position

    def position(self, seq: int) -> int | None:
        """Where the record with this number is; None if there is none."""
        if not self.gaps:
            return seq if 0 <= seq < self.count else None
        return _found(self.seqs, seq)

    def bounds_of(self, position: int) -> tuple[int, int, int]:
        """First byte of the record before, first byte of the record, and the byte after it."""
        return (self.bounds[position - 1] if position else 0), self.bounds[position], self.bounds[position + 1]

    def stored(self, segment: str) -> bytes | None:
        """The bytes of the stored index of `segment` (its UUID) up to here; None for one of 4 GiB or more.

        They follow from the segment alone, so that they can be made again and compared.
        """
        if self.end > _MOST:
            return None
        arrays = [array(_WORD, self.bounds), self.seqs]
        tables: dict[str, dict[str, list[int]]] = {}
        free: dict[str, list[int]] = {}
        at = 0
        for (table, run), positions in self.keys.items():
            place = [at, len(positions)]
            if run is None:
                free[table] = place
            else:
                tables.setdefault(table, {})[run] = place
            at += len(positions)
            arrays.append(positions)
        head = {
            "format": INDEX_FORMAT,
            "version": INDEX_VERSION,
            "segment": segment,
            "bytes": self.end,
            "records": self.count,
            "prev": self.prev,
            "gaps": self.gaps,
            "order": list(dict.fromkeys(table for table, _ in self.keys)),
            "runs": tables,
            "free": free,
        }
        return orjson.dumps(head) + b"\n" + b"".join(map(_little, arrays))


class StoredIndex:
    """An index as it was read from its file. The caller has compared its SHA-256 with what the segment says."""

    __slots__ = ("_bounds", "_free", "_order", "_places", "_runs", "_seqs", "bytes", "count", "prev", "segment")

    def __init__(self, data: bytes) -> None:
        """Raises ValueError, KeyError or TypeError if these bytes are no stored index."""
        stop = data.index(b"\n")
        head: dict[str, Any] = orjson.loads(data[:stop])
        if (head["format"], head["version"]) != (INDEX_FORMAT, INDEX_VERSION):
            raise ValueError(f"index version {head['version']} is unknown")
        self.segment: str = head["segment"]
        self.bytes: int = head["bytes"]
        self.count: int = head["records"]
        self.prev: str = head["prev"]
        self._order: list[str] = head["order"]
        self._runs: dict[str, dict[str, list[int]]] = head["runs"]
        self._free: dict[str, list[int]] = head["free"]
        words = _native(memoryview(data)[stop + 1 :])
        after_bounds = self.count + 1
        after_seqs = after_bounds + (self.count if head["gaps"] else 0)
        self._bounds = words[:after_bounds]
        self._seqs = words[after_bounds:after_seqs] if head["gaps"] else None
        self._places = words[after_seqs:]
        if len(self._bounds) != self.count + 1 or self._bounds[-1] != self.bytes:
            raise ValueError("the index is not as long as it says")

    def tables(self) -> list[str]:
        """Names of tables that have documents, oldest first."""
        return [table for table in self._order if not table.startswith("_")]

    def runs(self, table: str) -> list[str]:
        """Names of runs in a table, oldest first."""
        return list(self._runs.get(table, ()))

    def positions(self, table: str, run: str) -> Sequence[int]:
        """Where a run's records of a table are, oldest first."""
        start, size = self._runs.get(table, {}).get(run, (0, 0))
        return self._places[start : start + size].tolist()

    def all_positions(self, table: str) -> list[int]:
        """Where a table's records are, oldest first."""
        return sorted(chain.from_iterable(self._places[at : at + size] for at, size in self._held(table)))

    def size(self, table: str) -> int:
        """How many records a table has."""
        return sum(size for _, size in self._held(table))

    def seq(self, position: int) -> int:
        """The record's own number in its segment."""
        return position if self._seqs is None else self._seqs[position]

    def position(self, seq: int) -> int | None:
        """Where the record with this number is; None if there is none."""
        if self._seqs is None:
            return seq if 0 <= seq < self.count else None
        return _found(self._seqs, seq)

    def bounds_of(self, position: int) -> tuple[int, int, int]:
        """First byte of the record before, first byte of the record, and the byte after it."""
        return (self._bounds[position - 1] if position else 0), self._bounds[position], self._bounds[position + 1]

    def live(self, *, synced: int, last_table: str, digest: int) -> Index:
        """The same as an index that can be added to."""
        keys: dict[tuple[str, str | None], array[int]] = {}
        for table, runs in self._runs.items():
            for run, (start, size) in runs.items():
                keys[table, run] = array(_WORD, self._places[start : start + size].tobytes())
        for table, (start, size) in self._free.items():
            keys[table, None] = array(_WORD, self._places[start : start + size].tobytes())
        return Index(
            gaps=self._seqs is not None,
            bounds=array("q", self._bounds.tolist()),
            seqs=array(_WORD) if self._seqs is None else array(_WORD, self._seqs.tobytes()),
            keys=dict(sorted(keys.items(), key=lambda item: item[1][0])),  # oldest first, as they were added
            prev=self.prev,
            synced=synced,
            last_table=last_table,
            digest=digest,
        )

    def _held(self, table: str) -> list[tuple[int, int]]:
        held = [*self._runs.get(table, {}).values(), *([self._free[table]] if table in self._free else [])]
        return [(start, size) for start, size in held]


def fingerprint(stored: bytes | None) -> str | None:
    """What the segment says of its stored index: the SHA-256 in hex."""
    return None if stored is None else hashlib.sha256(stored).hexdigest()


def kept(table: str) -> bool:
    """Whether an index lists the records of a table. The journal's own are not, but for what a prune left behind."""
    return not table.startswith("_") or table == PRUNED


def _found(seqs: Sequence[int], seq: int) -> int | None:
    place = bisect_left(seqs, seq)
    return place if place < len(seqs) and seqs[place] == seq else None


def _little(words: array[int]) -> bytes:
    if sys.byteorder == "big":
        words = words[:]
        words.byteswap()
    return words.tobytes()


def _native(data: memoryview) -> memoryview[int]:
    if sys.byteorder == "big":
        words = array(_WORD, data.tobytes())
        words.byteswap()
        data = memoryview(words).cast("B")
    return data.cast(_WORD)
