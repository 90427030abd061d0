"""Which files of a directory are the journal: segments in order, of the newest complete generation."""

from __future__ import annotations

import os
import re
import socket
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from flowledger.errors import JournalCorrupt
from flowledger.journal.filesystem import File, FileSystem
from flowledger.journal.record import FORMAT, HEADER, NO_RECORD, VERSION, body_of, encode_doc, seal
from flowledger.journal.scan import CHAINED, CHANGES, GAPS, Header, header_of
from flowledger.journal.writing import write_all

TEMPORARY: Final = ".new"
_SEGMENT: Final = re.compile(r"segment-(?:p([1-9][0-9]*)-)?([0-9]{6})\.jsonl")


def segment_name(number: int, generation: int = 0) -> str:
    """The file name of a segment, counted from 1. A prune begins a new generation."""
    return f"segment-{f'p{generation}-' if generation else ''}{number:06d}.jsonl"


def index_name(segment: str) -> str:
    """The file name of the stored index of a segment."""
    return segment.removesuffix(".jsonl") + ".index"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The segments of a journal, oldest first, and what else lies there."""

    generation: int
    segments: tuple[str, ...]  # empty: there is no journal yet
    leftovers: tuple[str, ...] = ()  # files of other generations, and those that were never given their name
    indexes: frozenset[str] = frozenset()  # stored indexes of these segments

    @property
    def last_number(self) -> int:
        """The number in the name of the last segment; 0 if there is none."""
        return int(self.segments[-1][-len("000001.jsonl") : -len(".jsonl")]) if self.segments else 0


def layout_of(names: Sequence[str], directory: Path, *, lenient: bool = False) -> Layout:
    """Sort the names in a directory. Raises JournalCorrupt if a segment is missing, unless `lenient`.

    The newest generation whose first segment is there is the journal: a prune gives the first segment its name last.
    """
    by_generation: dict[int, dict[int, str]] = {}
    others: list[str] = []
    for name in names:
        match = _SEGMENT.fullmatch(name)
        if match is not None:
            by_generation.setdefault(int(match[1] or 0), {})[int(match[2])] = name
        elif name.endswith(TEMPORARY) and name.startswith("segment-"):
            others.append(name)
    complete = [generation for generation, found in by_generation.items() if 1 in found]
    if not complete:
        if by_generation and not lenient:
            raise _missing(segment_name(1, max(by_generation)), directory)
        complete = sorted(by_generation)
    if not complete:
        return Layout(generation=0, segments=(), leftovers=tuple(sorted(others)))
    generation = max(complete)
    found = by_generation[generation]
    for number in range(1, max(found) + 1):
        if number not in found and not lenient:
            raise _missing(segment_name(number, generation), directory)
    for other, stale in by_generation.items():
        if other != generation:
            others += stale.values()
    mine = {index_name(name) for name in found.values()}
    others += [
        name
        for name in names
        if name.endswith(".index") and name not in mine and _SEGMENT.fullmatch(name.removesuffix(".index") + ".jsonl")
    ]
    return Layout(
        generation=generation,
        segments=tuple(found[number] for number in sorted(found)),
        leftovers=tuple(sorted(others)),
        indexes=frozenset(mine.intersection(names)),
    )


def _missing(name: str, directory: Path) -> JournalCorrupt:
    return JournalCorrupt(
        f"{name} is missing in {directory}, and later segments are there",
        file=name,
        offset=0,
        line=1,
        reason="the segment is missing",
        hint=f"put it back, or flowledger journal repair --journal {directory} --to NEW_DIR keeps what is there",
    )


def header_line(
    *,
    created: float,
    first: int = 0,
    previous: tuple[str, str, int] | None = None,
    gaps: bool = False,
    changes: bool,
) -> tuple[bytes, str, Header]:
    """The first record of a new segment, its crc, and what it says.

    `created`: wall seconds; `first`: the number of this record; `previous`: UUID, last crc and bytes of the one before;
    `changes`: it may hold what versions without that feature must not carry on.
    """
    segment = uuid.uuid4().hex
    before = None if previous is None else dict(zip(("segment", "crc", "size"), previous, strict=True))
    doc: dict[str, object] = {
        "format": FORMAT,
        "version": VERSION,
        "segment": segment,
        "previous": before,
        "created": datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds"),
        "writer": {"pid": os.getpid(), "host": socket.gethostname(), "boot_id": boot_id()},
        "features": [*([CHAINED] if before else []), *([GAPS] if gaps else []), *([CHANGES] if changes else [])],
    }
    if first:
        doc["first"] = first
    line, crc = seal(body_of(HEADER, None, encode_doc(doc)), prev=NO_RECORD, seq=0, synced=0)
    return line, crc, header_of(doc)


def create_segment(fs: FileSystem, path: Path, line: bytes) -> None:
    """Make a segment under another name first, so that a segment always has a whole and durable header."""
    temporary = path.with_name(path.name + TEMPORARY)
    file = fresh(fs, temporary)
    try:
        write_all(file, line)
        file.sync()
    finally:
        file.close()
    fs.rename(temporary, path)
    fs.sync_directory(path.parent)


def replace_file(fs: FileSystem, path: Path, data: bytes) -> None:
    """Put a file in place by a rename, without a sync: for what can be made again. Raises OSError."""
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        file = fresh(fs, temporary)
        try:
            write_all(file, data)
        finally:
            file.close()
        fs.rename(temporary, path)
    except OSError:
        with suppress(OSError):  # what is left of it is in nobody's way: the next writer removes it
            fs.remove(temporary)
        raise


def fresh(fs: FileSystem, path: Path) -> File:
    """A new file of that name; what an earlier try left of it goes first. Raises OSError."""
    try:
        return fs.open(path, "create")
    except FileExistsError:
        fs.remove(path)
        return fs.open(path, "create")


def boot_id() -> str:
    """The kernel's name for this boot; empty where there is none."""
    source = Path("/proc/sys/kernel/random/boot_id")
    return source.read_text().strip() if source.exists() else ""
