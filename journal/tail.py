"""The end of the journal: the segment that is written, its checkpoints, and the next segment when it is full."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from zlib import crc32

from flowledger.errors import DiskFull, FlowledgerError
from flowledger.journal.checkpoint import mark, seal_of
from flowledger.journal.filesystem import File, FileSystem
from flowledger.journal.index import Index
from flowledger.journal.layout import TEMPORARY, fresh, header_line, index_name, replace_file, segment_name
from flowledger.journal.record import CHECKPOINT, CLOSE, HEADER, SEAL, seal
from flowledger.journal.refusal import NO_ROOM, NOT_WRITTEN, PASSING, refused, room_hint
from flowledger.journal.scan import Header
from flowledger.journal.segment import SealedSegment, Segment
from flowledger.journal.view import View
from flowledger.journal.writing import write_all

SEGMENT_SIZE: Final = 64 * 1024 * 1024  # bytes, by default, at which the next segment is begun
CHECKPOINT_EVERY: Final = 2 * 1024 * 1024  # bytes between two checkpoints of the segment that is written
_CHECKPOINT_AT_CLOSE: Final = 256 * 1024  # bytes that make one worth it when the writer ends
_AROUND: Final = 128  # bytes of a record around its body, at most

Item = tuple[str, str | None, bytes]  # table, run, and the record from `"t"` on


class Tail:
    """Appends batches, one at a time. `view` shows what is durable."""

    def __init__(
        self,
        *,
        fs: FileSystem,
        directory: Path,
        sealed: Sequence[SealedSegment],
        name: str,
        file: File,
        header: Header,
        index: Index,
        generation: int,
        checkpointed: int,
        segment_size: int,
        wall: Callable[[], float],
    ) -> None:
        """`name`, `file`, `header`, `index`: the last segment; `checkpointed`: its bytes up to the last checkpoint."""
        self.name = name
        self.index = index
        self.index_fault = ""  # why the last checkpoint was not kept
        self._fs = fs
        self._directory = directory
        self._file = file
        self._header = header
        self._generation = generation
        self._number = len(sealed) + 1
        self._checkpointed = checkpointed
        self._segment_size = segment_size
        # A small segment gets its checkpoints too, so that tests with small segments meet them.
        self._every = min(CHECKPOINT_EVERY, segment_size // 2)
        self._at_close = min(_CHECKPOINT_AT_CLOSE, segment_size // 4)
        self._wall = wall
        active = Segment(directory=directory, name=name, file=file, header=header, index=index)
        self.view = View((*sealed, active))

    def append(self, groups: Sequence[Sequence[Item]], size: int, *, changes: bool = False) -> list[int]:
        """Write and sync a batch, whose bodies have `size` bytes; the number of the first record of each group.

        `changes`: it needs a segment that names this feature, and begins one if the last does not.
        Raises DiskFull, JournalDenied or JournalUnavailable if the batch is certainly not on disk; OSError: it is
        unknown.
        """
        records = groups[0] if len(groups) == 1 else [item for group in groups for item in group]
        if self.index.last_table == SEAL:
            self._begin_next(changes=changes)
        elif changes and not self._header.changes:
            self.seal()
            self._begin_next(changes=True)
        elif self.index.count > 1 and self.index.end + size + _AROUND * len(records) > self._segment_size:
            self.seal()
            self._begin_next(changes=changes)
        marks = [] if self._header.gaps else self._checkpoint(closing=records[0][0] == CLOSE)
        first = self._header.first + self.index.next_seq + len(marks)
        self._write([*marks, *records] if marks else records)
        firsts = []
        for group in groups:
            firsts.append(first)
            first += len(group)
        return firsts

    def seal(self) -> None:
        """Close the segment for good; durable when this returns. Raises as `append`."""
        if self.index.last_table == SEAL:
            return
        body, stored = mark(self.index, SEAL, self._header.segment)
        self._keep(stored)
        self._write([(SEAL, None, body)])

    def _write(self, records: Sequence[Item]) -> None:
        index = self.index
        start, seq, prev = index.end, index.next_seq, index.prev
        lines: list[bytes] = []
        added: list[tuple[int, str, str, str | None, int]] = []
        end = start
        for table, run, body in records:
            # All that is before this batch has been synced, and nothing after it has.
            line, prev = seal(body, prev=prev, seq=seq, synced=start)
            end += len(line)
            lines.append(line)
            added.append((end, prev, table, run, seq))
            seq += 1
        data = b"".join(lines)
        self._put(data, start)
        for record in added:
            index.add(*record)
        index.digest = crc32(data, index.digest)
        index.synced = max(index.synced, start)

    def _put(self, data: bytes, start: int) -> None:
        try:
            write_all(self._file, data, start)
        except OSError as error:
            if error.errno not in NOT_WRITTEN:
                raise
            # Cut back, and sync that: else a record that was written whole before the room ran out could still
            # reach the medium, and "certainly not on disk" would be wrong.
            self._file.truncate(start)
            self._file.sync()
            raise self._not_written(error) from None
        self._file.sync()

    def _not_written(self, error: OSError) -> FlowledgerError:
        if error.errno not in NO_ROOM:
            return refused(error, self._directory)
        return DiskFull(
            f"{self.name} in {self._directory} could not be written: {error.strerror or error}. "
            "What was being written has been cut back, and nothing else is lost",
            hint=room_hint(self._directory, error.errno),
        )

    def _checkpoint(self, *, closing: bool) -> list[Item]:
        """Store the index if it is worth it; the record that names it, to be written with the batch that follows."""
        if self.index.end - self._checkpointed < (self._at_close if closing else self._every):
            return []
        body, stored = mark(self.index, CHECKPOINT, self._header.segment)
        self._checkpointed = self.index.end
        return [(CHECKPOINT, None, body)] if self._keep(stored) else []

    def _keep(self, stored: bytes | None) -> bool:
        """Put the stored index in place, unsynced: one that a crash spoils does not fit what the segment says of it."""
        if stored is None:
            self.index_fault = "the segment is too large for one"
            return False
        try:
            replace_file(self._fs, self._directory / index_name(self.name), stored)
        except OSError as error:
            # The journal is whole without it: it only takes longer to read the next time.
            self.index_fault = f"it could not be written: {error.strerror or error}"
            return False
        self.index_fault = ""
        return True

    def _begin_next(self, *, changes: bool) -> None:
        """Make the segment that follows the sealed one. Its name is given only once its header is durable."""
        index, header = self.index, self._header
        name = segment_name(self._number + 1, self._generation)
        line, crc, next_header = header_line(
            created=self._wall(),
            first=header.first + index.next_seq,
            previous=(header.segment, index.prev, index.end),
            changes=changes or header.changes,
        )
        path = self._directory / name
        temporary = self._directory / (name + TEMPORARY)
        try:
            file = fresh(self._fs, temporary)
            try:
                write_all(file, line)
                file.sync()
            except BaseException:
                file.close()
                raise
        except OSError as error:
            if error.errno not in NOT_WRITTEN | PASSING:  # a new file, which is not yet part of the journal
                raise
            raise self._not_written(error) from None
        try:
            self._fs.rename(temporary, path)
            self._fs.sync_directory(self._directory)
        except BaseException:
            file.close()
            raise
        found = seal_of(self._file, index.end)
        assert found is not None
        before = SealedSegment(
            fs=self._fs,
            directory=self._directory,
            name=self.name,
            file=self._file,
            header=header,
            seal=found,
            keep=True,
        )
        self.index = Index(synced=0)
        self.index.add(len(line), crc, HEADER, None, 0)
        self.index.digest = crc32(line)
        self.name, self._file, self._header, self._number = name, file, next_header, self._number + 1
        self._checkpointed = 0
        active = Segment(directory=self._directory, name=name, file=file, header=next_header, index=self.index)
        self.view.segments = (*self.view.segments[:-1], before, active)
