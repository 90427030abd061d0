"""A journal that is written into memory only: what is below it is read, and stays as it was."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from flowledger.journal import InlineCommitter, Journal, JournalReader, OsFileSystem, OverlayFileSystem, verify
from flowledger.journal.filesystem import Access, FileSystem, OsFile
from flowledger.journal.tail import SEGMENT_SIZE


class ReadOnly:
    """The operating system's files, of which nothing can be changed: there are no calls for it."""

    def __init__(self) -> None:
        self._fs = OsFileSystem()

    def names(self, directory: Path) -> list[str]:
        return self._fs.names(directory)

    def open(self, path: Path, access: Access) -> OsFile:
        assert access == "read", f"{path} is opened to {access}"
        return self._fs.open(path, access)


def read_only() -> OverlayFileSystem:
    return OverlayFileSystem(cast("FileSystem", ReadOnly()))


def overlaid(directory: Path, *, segment_size: int = SEGMENT_SIZE) -> Journal:
    return Journal.open(directory, fs=read_only(), committer=InlineCommitter(), segment_size=segment_size)


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def filled(directory: Path, events: int = 20) -> None:
    with Journal.open(directory, segment_size=3000) as journal:
        for n in range(events):
            journal.db.insert({"run": f"run-{n % 2}", "n": n, "pad": "x" * 300})


def test_what_is_appended_is_read_back_and_the_disk_stays_as_it_was(directory: Path) -> None:
    filled(directory)
    before = content(directory)
    with overlaid(directory, segment_size=3000) as journal:
        for n in range(20, 40):  # over the edges of several segments
            journal.db.insert({"run": "run-0", "n": n, "pad": "y" * 300})
        assert [doc["n"] for doc in journal.db.all()] == [*range(40)]
        assert [doc["n"] for doc in journal.events("run-1")] == [*range(1, 20, 2)]
    assert content(directory) == before
    with JournalReader.open(directory) as reader:
        assert len(reader.all()) == 20


def test_a_torn_end_is_cut_off_in_memory_only(directory: Path) -> None:
    with Journal.open(directory) as journal:
        journal.db.insert({"n": 0})
        segment = directory / "segment-000001.jsonl"
        whole = segment.read_bytes()
    segment.write_bytes(whole + b'{"crc":"torn')
    before = content(directory)
    with overlaid(directory) as journal:
        assert journal.recovered is not None
        journal.db.insert({"n": 1})
        assert [doc["n"] for doc in journal.db.all()] == [0, 1]
    assert content(directory) == before


def test_a_journal_that_is_being_written_can_be_overlaid(directory: Path) -> None:
    with Journal.open(directory) as writer:
        writer.db.insert({"n": 0})
        with overlaid(directory) as journal:
            journal.db.insert({"n": "ours"})
            writer.db.insert({"n": 1})
            assert [doc["n"] for doc in journal.db.all()] == [0, "ours"]
        assert [doc["n"] for doc in writer.db.all()] == [0, 1]
    assert verify(directory).sound


@pytest.mark.parametrize("cut", [0, 3, 5, 8])
def test_a_file_reads_as_one_that_was_really_written(tmp_path: Path, cut: int) -> None:
    real, fs = tmp_path / "real", read_only()
    real.write_bytes(b"0123456789")
    file = fs.open(real, "write")
    told = bytearray(b"0123456789")
    file.truncate(cut)
    del told[cut:]
    for data, offset in ((b"abc", cut), (b"X", 1), (b"tail", 9)):
        assert file.write(data, offset) == len(data)
        told.extend(bytes(max(0, offset - len(told))))
        told[offset : offset + len(data)] = data
    for size in range(15):
        for offset in range(15):
            assert file.read(size, offset) == told[offset : offset + size]
    assert file.size() == len(told)
    assert real.read_bytes() == b"0123456789"
