"""The segments of a journal, opened one after another: sealed ones by their seals, the last one by its records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flowledger.journal.checkpoint import resumed
from flowledger.journal.filesystem import File, FileSystem
from flowledger.journal.index import Index
from flowledger.journal.layout import Layout, index_name
from flowledger.journal.scan import Damage, Header, empty_segment, extend, read_header
from flowledger.journal.segment import SealedSegment, check_follows, open_sealed


@dataclass(slots=True, kw_only=True)
class Chain:
    """Sealed segments, and the last one as far as it is good."""

    sealed: list[SealedSegment]
    name: str  # of the last segment, as are the rest
    file: File
    header: Header | None  # None: it is damaged
    index: Index
    checkpointed: int  # bytes that its last usable checkpoint vouches for
    damage: Damage | None

    def close(self) -> None:
        """Let go of all files."""
        for segment in self.sealed:
            segment.close()
        self.file.close()


def open_chain(fs: FileSystem, directory: Path, layout: Layout, *, to_write: bool) -> Chain:
    """Open the segments of `layout`, which has at least one. Raises JournalCorrupt, JournalError, OSError."""
    sealed: list[SealedSegment] = []
    try:
        for name in layout.segments[:-1]:
            file = fs.open(directory / name, "read")
            try:
                header = read_header(file, name, to_write=to_write)
                segment = open_sealed(fs, directory, name, file, header, keep=to_write)
                check_follows(sealed[-1] if sealed else None, name, directory, header)
            except BaseException:
                file.close()
                raise
            sealed.append(segment)
        name = layout.segments[-1]
        file = fs.open(directory / name, "write" if to_write else "read")
        try:
            return _with_last(fs, directory, layout, sealed, file, to_write=to_write)
        except BaseException:
            file.close()
            raise
    except BaseException:
        for segment in sealed:
            segment.close()
        raise


def _with_last(
    fs: FileSystem, directory: Path, layout: Layout, sealed: list[SealedSegment], file: File, *, to_write: bool
) -> Chain:
    name = layout.segments[-1]
    header = read_header(file, name, to_write=to_write)
    check_follows(sealed[-1] if sealed else None, name, directory, header)
    size = file.size()
    index = None
    if header is not None and index_name(name) in layout.indexes:
        index = resumed(fs, directory, name, file, header.segment)
    checkpointed = 0 if index is None else index.end
    if index is None:
        index = Index(gaps=header is not None and header.gaps)
    return Chain(
        sealed=sealed,
        name=name,
        file=file,
        header=header,
        index=index,
        checkpointed=checkpointed,
        damage=extend(index, file, size=size) if size else empty_segment(),
    )
