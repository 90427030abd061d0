"""One segment as it is read: its file, where its records lie, and each record checked when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flowledger.errors import JournalCorrupt, JournalError, JournalUnavailable
from flowledger.journal.checkpoint import Mark, believed, read_stored, seal_of
from flowledger.journal.filesystem import File, FileSystem
from flowledger.journal.index import Index, Located, fingerprint
from flowledger.journal.layout import index_name, replace_file
from flowledger.journal.record import START, Record, parse
from flowledger.journal.refusal import PASSING, passing_hint
from flowledger.journal.scan import Damage, Header, Kind, Previous, empty_segment, extend
from flowledger.journal.writing import os_errors

_TOGETHER: Final = 16 * 1024  # bytes: a record and the one before it are read at once if both fit
_CRC: Final = slice(len(START), len(START) + 8)

Line = tuple[bytes, Record]  # without LF


class Segment:
    """A segment with its index in memory: the one that is written, or any that was read whole."""

    __slots__ = ("directory", "file", "header", "index", "name")

    index: Located

    def __init__(self, *, directory: Path, name: str, file: File, header: Header, index: Located) -> None:
        self.directory = directory
        self.name = name
        self.file = file
        self.header = header
        self.index = index

    @property
    def first(self) -> int:
        """The number of record 0."""
        return self.header.first

    def numbers(self, table: str) -> list[int]:
        """Numbers of a table's documents, oldest first."""
        return self._numbered(self.index.all_positions(table))

    def numbers_of(self, table: str, run: str) -> list[int]:
        """Numbers of a run's documents in a table, oldest first."""
        return self._numbered(list(self.index.positions(table, run)))

    def _numbered(self, positions: list[int]) -> list[int]:
        seq, first = self.index.seq, self.first
        return [first + seq(position) for position in positions]

    def line(self, number: int) -> Line | None:
        """The record with a number; None if the segment has none. Raises JournalCorrupt, JournalError."""
        position = self.index.position(number - self.first)
        return None if position is None else self.line_at(position)

    def line_at(self, position: int) -> Line:
        """The record at a position, with its checksum, its number and its predecessor checked.

        Raises JournalCorrupt if its bytes are no longer what they were, JournalError if the disk does not give them.
        """
        before, start, end = self.index.bounds_of(position)
        try:
            if end - before <= _TOGETHER:
                data = self.file.read(end - before, before)
                line, head = data[start - before :], data[: _CRC.stop]
            else:
                line, head = self.file.read(end - start, start), self.file.read(_CRC.stop, before)
        except OSError as error:
            said = f"{self.name} in {self.directory} cannot be read at byte {start}: {error.strerror or error}"
            if error.errno in PASSING:
                raise JournalUnavailable(said, hint=passing_hint(error.errno)) from None
            raise JournalError(said, hint="look at the disk; what was acknowledged is not touched by this") from None
        record = parse(line[:-1]) if len(line) == end - start and line.endswith(b"\n") else None
        if (
            record is None
            or record.seq != self.index.seq(position)
            or (position > 0 and record.prev.encode() != head[_CRC])
        ):
            raise self.damaged(start, position + 1, "the record is not what it was when the journal was opened")
        return line[:-1], record

    def damaged(self, offset: int, line: int, reason: str) -> JournalCorrupt:
        """The error for a bad record."""
        return JournalCorrupt(
            f"{self.name} is damaged at byte {offset} (line {line}): {reason}",
            file=self.name,
            offset=offset,
            line=line,
            reason=reason,
            hint=f"flowledger journal verify --journal {self.directory} says more",
        )

    def lines_of(self, table: str, run: str, *, after: int = 0) -> list[tuple[int, Line]]:
        """A run's records whose number is above `after`, with their numbers, oldest first. Raises as `line_at`."""
        positions = list(self.index.positions(table, run))
        numbered = zip(self._numbered(positions), positions, strict=True)
        return [(number, self.line_at(position)) for number, position in numbered if number > after]

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()


class SealedSegment(Segment):
    """A segment that nothing is added to any more. Its index is read when it is first asked for something.

    A stored index that is missing, stale, damaged or wrong is made again from the segment, and put in its place if
    `keep`; why is in `index_fault`.
    """

    __slots__ = ("_fs", "_index", "_keep", "index_fault", "seal")

    def __init__(
        self,
        *,
        fs: FileSystem,
        directory: Path,
        name: str,
        file: File,
        header: Header,
        seal: Mark,
        keep: bool,
    ) -> None:
        self.directory = directory
        self.name = name
        self.file = file
        self.header = header
        self.seal = seal
        self.index_fault = ""
        self._fs = fs
        self._keep = keep
        self._index: Located | None = None

    @property
    def index(self) -> Located:  # type: ignore[override]  # read when it is needed, where the base has it at once
        """Where the records lie. Raises JournalCorrupt if the segment must be read for that, and is damaged."""
        if self._index is None:
            with os_errors(self.directory, reading=True):
                self._index = self._load()
        return self._index

    @property
    def size(self) -> int:
        """Bytes, the seal included."""
        return self.seal.bytes + self.seal.size

    def lines_of(self, table: str, run: str, *, after: int = 0) -> list[tuple[int, Line]]:
        """As of any segment. An index that names other records than the run's is made again."""
        try:
            found = super().lines_of(table, run, after=after)
        except JournalCorrupt:
            self._distrust("a record is not where it says")  # if it is the record's fault, the scan will name it
        else:
            if all((record.table, record.run) == (table, run) for _, (_, record) in found):
                return found
            self._distrust("it names records of another run")
        return super().lines_of(table, run, after=after)

    def _load(self) -> Located:
        stored = read_stored(self._fs, self.directory, self.name)
        self.index_fault = believed(stored, self.seal, self.header.segment)
        if not self.index_fault and not isinstance(stored, str):
            return stored[1]
        return self._rebuilt()

    def _distrust(self, why: str) -> None:
        self.index_fault = why
        with os_errors(self.directory, reading=True):
            self._index = self._rebuilt()

    def _rebuilt(self) -> Index:
        index = scanned(self.file, self.name, self.directory, self.header, size=self.seal.bytes)
        stored = index.stored(self.header.segment)
        if self._keep and stored is not None and fingerprint(stored) == self.seal.index:
            try:
                replace_file(self._fs, self.directory / index_name(self.name), stored)
            except OSError as error:
                # The journal is whole without it: it only takes longer to read the next time.
                self.index_fault += f"; it could not be written anew: {error.strerror or error}"
        return index


def scanned(file: File, name: str, directory: Path, header: Header | None, *, size: int) -> Index:
    """The index of durable bytes, by reading them record after record. Raises JournalCorrupt."""
    index = Index(gaps=header is not None and header.gaps)
    damage = extend(index, file, size=size) if size else empty_segment()
    if damage is not None:
        raise durable(damage).error(name, str(directory))
    return index


def durable(damage: Damage) -> Damage:
    """The same damage in a segment that has a successor: nothing of it can be a torn end."""
    return Damage(
        kind=Kind.CORRUPT,
        offset=damage.offset,
        line=damage.line,
        reason=damage.reason,
        frontier=damage.size,
        size=damage.size,
        later=damage.later,
        runs=damage.runs,
    )


def open_sealed(
    fs: FileSystem, directory: Path, name: str, file: File, header: Header | None, *, keep: bool
) -> SealedSegment:
    """A segment that has a successor: its seal is checked now, records when they are read. Raises JournalCorrupt."""
    size = file.size()
    seal = seal_of(file, size)
    if header is None or seal is None:
        scanned(file, name, directory, header, size=size)
        reason = "the header cannot be read" if header is None else "it has a successor, but does not end with a seal"
        raise JournalCorrupt(
            f"{name} is damaged at byte {size}: {reason}",
            file=name,
            offset=size,
            line=1,
            reason=reason,
            hint=f"flowledger journal repair --journal {directory} --to NEW_DIR keeps what is good in a new journal",
        )
    return SealedSegment(fs=fs, directory=directory, name=name, file=file, header=header, seal=seal, keep=keep)


def check_follows(before: SealedSegment | None, name: str, directory: Path, header: Header | None) -> None:
    """Raise JournalCorrupt unless a segment says that it follows the one before it. A lost header is the scan's."""
    if header is None:
        return
    said = header.previous
    is_so = None if before is None else Previous(segment=before.header.segment, crc=before.seal.crc, size=before.size)
    numbered = before is None or header.first > before.header.first
    if said != is_so or not numbered:
        reason = (
            f"it follows {said.segment if said else 'nothing'}, but {before.name if before else 'nothing'} is before it"
        )
        raise JournalCorrupt(
            f"{name} is not what follows: {reason}",
            file=name,
            offset=0,
            line=1,
            reason=reason,
            hint=f"a segment was lost or exchanged; flowledger journal repair --journal {directory} --to NEW_DIR "
            "keeps what is there",
        )
