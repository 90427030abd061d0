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
        tables: list[dict[str, object]] = []
        names: list[bytes] = []
        at = 0
        for table in self._tables_by_age():
            start = at
            runs: dict[str, list[int]] = {}
            for (of, run), positions in self.keys.items():
                if of == table and run is not None:
                    runs[run] = [at, len(positions)]
                    arrays.append(positions)
                    at += len(positions)
            free = self.keys.get((table, None), array(_WORD))
            arrays.append(free)
            at += len(free)
            tables.append({"table": table, "start": start, "records": at - start, "of_no_run": len(free)})
            names.append(orjson.dumps(runs))
        head = {
            "format": INDEX_FORMAT,
            "version": INDEX_VERSION,
            "segment": segment,
            "bytes": self.end,
            "records": self.count,
            "prev": self.prev,
            "gaps": self.gaps,
            "tables": tables,
        }
        return b"".join([orjson.dumps(head), b"\n", *(line + b"\n" for line in names), *map(_little, arrays)])

    def _tables_by_age(self) -> list[str]:
        oldest: dict[str, int] = {}
        for (table, _), positions in self.keys.items():
            oldest[table] = min(positions[0], oldest.get(table, positions[0]))
        return sorted(oldest, key=oldest.__getitem__)


@dataclass(frozen=True, slots=True)
class _Table:
    """Where a stored index has the records of one table."""

    names: bytes  # JSON: by run, where its positions begin and how many there are
    start: int
    records: int
    of_no_run: int  # at the end


class StoredIndex:
    """An index as it was read from its file. The caller has compared its SHA-256 with what the segment says."""

    __slots__ = ("_bounds", "_places", "_seqs", "_tables", "bytes", "count", "prev", "segment")

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
        self._tables: dict[str, _Table] = {}
        for table in head["tables"]:
            begin, stop = stop + 1, data.index(b"\n", stop + 1)
            self._tables[table["table"]] = _Table(
                data[begin:stop], table["start"], table["records"], table["of_no_run"]
            )
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
        return [table for table in self._tables if not table.startswith("_")]

    def runs(self, table: str) -> list[str]:
        """Names of runs in a table, oldest first."""
        held = self._tables.get(table)
        return [] if held is None else list(orjson.loads(held.names))

    def positions(self, table: str, run: str) -> Sequence[int]:
        """Where a run's records of a table are, oldest first."""
        held = self._tables.get(table)
        if held is None:
            return ()
        # Looked for in the JSON as it stands: decoding thousands of names for one takes longer than all the rest. A
        # key is what stands between a brace or a comma and a colon; quotation marks within names are escaped.
        try:
            key = orjson.dumps(run) + b":["
        except orjson.JSONEncodeError:
            return ()  # a name that is not Unicode, which no journal holds: an argument of a command line may be one
        at = held.names.find(key)
        while at >= 0 and held.names[at - 1] not in b"{,":
            at = held.names.find(key, at + 1)
        if at < 0:
            return ()
        begin = at + len(key)
        start, size = map(int, held.names[begin : held.names.index(b"]", begin)].split(b","))
        return self._places[start : start + size].tolist()

    def all_positions(self, table: str) -> list[int]:
        """Where a table's records are, oldest first."""
        held = self._tables.get(table)
        return [] if held is None else sorted(self._places[held.start : held.start + held.records])

    def size(self, table: str) -> int:
        """How many records a table has."""
        held = self._tables.get(table)
        return 0 if held is None else held.records

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
        places = array(_WORD, self._places.tobytes())
        for table, held in self._tables.items():
            for run, (start, size) in orjson.loads(held.names).items():
                keys[table, run] = places[start : start + size]
            if held.of_no_run:
                end = held.start + held.records
                keys[table, None] = places[end - held.of_no_run : end]
        return Index(
            gaps=self._seqs is not None,
            bounds=array("q", self._bounds.tolist()),
            seqs=array(_WORD) if self._seqs is None else array(_WORD, self._seqs.tobytes()),
            keys=keys,
            prev=self.prev,
            synced=synced,
            last_table=last_table,
            digest=digest,
        )


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
