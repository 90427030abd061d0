"""A reader needs no lock, follows a writer at work, and stops at the last whole record."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tinydb import where

from flowledger.errors import DiskFull, JournalError, JournalUnavailable
from flowledger.journal import Journal, JournalReader, SimulatedFileSystem, stats, verify

OpenJournal = Callable[[], Journal]
SEGMENT = Path("/j/segment-000001.jsonl")


async def test_a_reader_follows_a_writer_at_work(journal: Journal, directory: Path) -> None:
    with JournalReader.open(directory) as reader:
        assert reader.all() == []
        assert reader.runs() == []
        for n in range(5):
            await journal.append(f"run-{n % 2}", {"n": n})
            assert reader.refresh() == 1
        assert reader.refresh() == 0
        assert reader.runs() == ["run-0", "run-1"]
        assert reader.events("run-1") == journal.events("run-1")
        assert [doc.doc_id for doc in reader.all()] == [1, 2, 3, 4, 5]
        assert reader.db.all() == reader.all()
    with pytest.raises(JournalError, match="closed"):
        reader.all()


WRITE = """
import sys
from pathlib import Path
from flowledger.journal import Journal
with Journal.open(Path(sys.argv[1])) as journal:
    for n in range(400):
        journal.db.insert_multiple([{"run": "a", "n": n, "part": part, "pad": "x" * 3000} for part in range(5)])
"""


def test_a_reader_of_a_journal_written_by_another_process_sees_only_whole_records_in_order(directory: Path) -> None:
    Journal.open(directory).close()
    process = subprocess.Popen([sys.executable, "-c", WRITE, str(directory)])
    seen: list[tuple[int, int]] = []
    with JournalReader.open(directory) as reader:
        while True:
            running = process.poll() is None
            reader.refresh()
            seen, before = [(doc["n"], doc["part"]) for doc in reader.events("a")], seen
            assert seen[: len(before)] == before
            assert seen == [(n, part) for n in range(400) for part in range(5)][: len(seen)]
            if not running:
                break
    assert process.returncode == 0
    assert len(JournalReader.open(directory).all()) == 2000


def test_a_reader_stops_before_a_batch_that_is_half_written(
    disk: SimulatedFileSystem, open_on_disk: OpenJournal
) -> None:
    journal = open_on_disk()
    journal.db.insert({"n": 1})
    whole = disk.content(SEGMENT)
    journal.db.insert({"n": 2})
    later = disk.content(SEGMENT)
    reader = JournalReader.open(Path("/j"), fs=disk)

    for length in range(len(whole), len(later)):
        disk.replace_content(SEGMENT, later[:length])
        assert [doc["n"] for doc in JournalReader.open(Path("/j"), fs=disk).all()] == [1]
    disk.replace_content(SEGMENT, later)
    reader.refresh()
    assert [doc["n"] for doc in reader.all()] == [1, 2]


def test_a_reader_forgets_records_that_the_writer_cut_back(
    disk: SimulatedFileSystem, open_on_disk: OpenJournal
) -> None:
    journal = open_on_disk()
    journal.db.insert({"n": 1})
    seen_mid_write: list[JournalReader] = []
    truncate = type(disk.open(SEGMENT, "write")).truncate

    def look_then_truncate(file: object, size: int) -> None:
        with disk.reliable():
            seen_mid_write.append(JournalReader.open(Path("/j"), fs=disk))
        truncate(file, size)  # type: ignore[arg-type]  # it is the file that the writer holds

    disk.capacity = disk._used() + 150
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flowledger.journal.simulated.SimulatedFile.truncate", look_then_truncate)
        with pytest.raises(DiskFull):
            journal.db.insert_multiple([{"n": 2}, {"n": 3, "pad": "x" * 100}])
    disk.capacity = None
    (reader,) = seen_mid_write
    assert len(reader.db) == 2  # the first record of the batch that was refused
    each = reader.each()
    assert next(each)["n"] == 1

    journal.db.insert({"n": 4, "pad": "y" * 300})

    assert [doc["n"] for doc in each] == [4]
    assert [doc["n"] for doc in reader.all()] == [1, 4]
    reader.refresh()
    assert [doc["n"] for doc in reader.all()] == [1, 4]


def test_a_reader_ignores_records_of_a_kind_that_it_does_not_know(
    disk: SimulatedFileSystem, open_on_disk: OpenJournal
) -> None:
    from flowledger.journal.record import body_of

    journal = open_on_disk()
    journal.db.insert({"n": 1})
    journal.db.storage.log.insert([("_checkpoint", None, body_of("_checkpoint", None, b"{}"))])  # type: ignore[attr-defined]  # the journal's own storage
    journal.db.insert({"n": 2})
    reader = JournalReader.open(Path("/j"), fs=disk)
    assert [doc["n"] for doc in reader.all()] == [1, 2]
    assert reader.db.tables() == {"events"}
    disk.kill()
    assert [doc["n"] for doc in open_on_disk().db.all()] == [1, 2]


@pytest.mark.parametrize("look", [JournalReader.open, verify, stats], ids=["open", "verify", "stats"])
def test_who_may_not_read_a_journal_is_told_that_and_not_that_there_is_no_room(
    look: Callable[..., object], open_on_disk: OpenJournal, disk: SimulatedFileSystem
) -> None:
    open_on_disk().close()
    disk.fail(0, errno.EACCES)
    with pytest.raises(JournalError, match="cannot be read: Permission denied") as caught:
        look(Path("/j"), fs=disk)
    assert caught.value.exit_code == 1  # 75 would say that a later try can help
    assert "the user who owns the journal" in caught.value.hint


@pytest.mark.parametrize("look", [JournalReader.open, verify, stats], ids=["open", "verify", "stats"])
@pytest.mark.parametrize("error", [errno.EMFILE, errno.EIO, errno.ESTALE])
def test_a_reader_that_lacks_a_descriptor_or_the_disk_is_not_told_of_another_user(
    look: Callable[..., object], error: int, open_on_disk: OpenJournal, disk: SimulatedFileSystem
) -> None:
    open_on_disk().close()
    disk.fail(0, error)
    with pytest.raises(JournalUnavailable, match=os.strerror(error)) as caught:
        look(Path("/j"), fs=disk)
    assert caught.value.exit_code == 75
    assert "user" not in caught.value.hint


def test_events_are_read_one_after_another_when_they_are_asked_for(
    disk: SimulatedFileSystem, open_on_disk: OpenJournal
) -> None:
    journal = open_on_disk()
    journal.db.insert_multiple([{"run": f"run-{n % 2}", "n": n} for n in range(100)])
    with JournalReader.open(Path("/j"), fs=disk) as reader:
        disk.log.clear()
        each = reader.each()
        assert [next(each)["n"] for _ in range(3)] == [0, 1, 2]
        assert len(disk.log) == 3
        assert [document["n"] for document in each] == list(range(3, 100))
        assert list(reader.each(where("n") > 97)) == reader.db.search(where("n") > 97)
        assert list(reader.each(where("run") == "run-1")) == reader.events("run-1")
