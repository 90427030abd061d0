"""What a segment says of itself at a checkpoint and at its seal: how far it went, its digest, its stored index.

Both are records of the segment, so that the chain holds them; the stored index beside it is believed only if its
SHA-256 is the one that such a record names (docs/journal.md, "The index").
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from flowledger.journal.filesystem import File, FileSystem
from flowledger.journal.index import Index, StoredIndex, fingerprint
from flowledger.journal.layout import index_name
from flowledger.journal.record import CHECKPOINT, EVENTS, SEAL, Record, body_of, doc_of, encode_doc, parse

_TAIL: Final = 8192  # bytes at the end of a segment in which its seal is looked for
_PART: Final = 256 * 1024  # bytes that are digested at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The content of a `_checkpoint` or `_seal` record, and where that record stands."""

    table: str
    bytes: int  # of the segment before this record, and its offset
    records: int  # before this one
    events: int  # documents of the table of events
    runs: int
    digest: str  # CRC-32 of those bytes, in hex
    index: str | None  # SHA-256 of the stored index up to here; None if the segment is too large for one
    crc: str  # of this record
    prev: str
    size: int  # of this record, LF included


def mark(index: Index, table: str, segment: str) -> tuple[bytes, bytes | None]:
    """The record (from `"t"` on) that marks the end of `index`, and the stored index that it names."""
    stored = index.stored(segment)
    doc = {
        "bytes": index.end,
        "records": index.count,
        "events": index.size(EVENTS),
        "runs": len(index.runs(EVENTS)),
        "digest": f"{index.digest:08x}",
        "index": fingerprint(stored),
    }
    return body_of(table, None, encode_doc(doc)), stored


def mark_at(file: File, offset: int) -> Mark | None:
    """The mark that stands at `offset`, or None if there is none that verifies and is where it says."""
    line, lf, _ = file.read(_TAIL, offset).partition(b"\n")
    record = parse(line) if lf else None
    return None if record is None else _mark_of(line, record, offset)


def seal_of(file: File, size: int) -> Mark | None:
    """The seal at the end of a segment of `size` bytes, or None if it has none that verifies."""
    start = max(0, size - _TAIL)
    tail = file.read(size - start, start)
    if not tail.endswith(b"\n"):
        return None
    at = tail.rfind(b"\n", 0, -1) + 1
    record = parse(tail[at:-1])
    found = None if record is None else _mark_of(tail[at:-1], record, start + at)
    return found if found is not None and found.table == SEAL else None


def _mark_of(line: bytes, record: Record, offset: int) -> Mark | None:
    if record.table not in (CHECKPOINT, SEAL):
        return None
    doc: dict[str, Any] = doc_of(line, record)
    if doc["bytes"] != offset:
        return None
    return Mark(
        table=record.table,
        bytes=offset,
        records=doc["records"],
        events=doc["events"],
        runs=doc["runs"],
        digest=doc["digest"],
        index=doc["index"],
        crc=record.crc,
        prev=record.prev,
        size=len(line) + 1,
    )


def digest_of(file: File, size: int) -> str:
    """CRC-32 of the first `size` bytes, in hex; of fewer if there are not as many."""
    found = at = 0
    while at < size:
        part = file.read(min(_PART, size - at), at)
        if not part:
            break
        found = crc32(part, found)
        at += len(part)
    return f"{found:08x}"


def read_stored(fs: FileSystem, directory: Path, segment: str) -> tuple[bytes, StoredIndex] | str:
    """The stored index of the segment with that file name, or why there is none that can be read."""
    try:
        file = fs.open(directory / index_name(segment), "read")
        try:
            data = file.read(file.size(), 0)
        finally:
            file.close()
        return data, StoredIndex(data)
    except FileNotFoundError:
        return "there is none"
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        return f"it is damaged: {error}"


def believed(stored: tuple[bytes, StoredIndex] | str, found: Mark | None, segment: str) -> str:
    """Why a stored index is not to be used for the segment with that UUID, whose mark is given; "" if it is."""
    if isinstance(stored, str):
        return stored
    data, index = stored
    if found is None:
        return "the segment knows nothing of it"
    if (index.segment, index.bytes, index.count, index.prev) != (segment, found.bytes, found.records, found.prev):
        return "it belongs to another state of the segment"
    return "" if fingerprint(data) == found.index else "its bytes are not those that the segment names"


def resumed(fs: FileSystem, directory: Path, name: str, file: File, segment: str) -> Index | None:
    """The index of a segment up to its last checkpoint, for going on from there; None if every record must be read.

    All bytes before the checkpoint are digested and compared with what the checkpoint's record says, so that a flipped
    bit is noticed here as it is by reading record after record.
    """
    stored = read_stored(fs, directory, name)
    if isinstance(stored, str):
        return None
    found = mark_at(file, stored[1].bytes)
    if found is None or believed(stored, found, segment) or digest_of(file, found.bytes) != found.digest:
        return None
    return stored[1].live(synced=0, last_table="", digest=int(found.digest, 16))
