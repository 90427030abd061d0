"""What is good of a damaged journal is saved into a new one; the old one is never touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from tinydb import where

from flowledger.errors import DiskFull, JournalCorrupt, NotThere, UsageError
from flowledger.journal import Journal, JournalReader, SimulatedFileSystem, repair, verify


@pytest.fixture
def damaged(directory: Path, segment: Path) -> bytes:
    with Journal.open(directory) as journal:
        for n in range(10):
            journal.db.insert({"run": f"run-{n % 2}", "n": n})
        journal.db.table("notes").insert({"text": "kept too"})
    content = bytearray(segment.read_bytes())
    content[content.index(b'"n":4') + 4] ^= 1
    lines = bytes(content).splitlines(keepends=True)
    lines.insert(9, lines[7])  # a line twice
    segment.write_bytes(b"".join(lines) + b"torn")
    return segment.read_bytes()


def test_a_repair_keeps_all_good_records_and_names_what_it_dropped(
    damaged: bytes, directory: Path, segment: Path, tmp_path: Path
) -> None:
    with pytest.raises(JournalCorrupt):
        Journal.open(directory)

    report = repair(directory, tmp_path / "new" / "journal")

    assert segment.read_bytes() == damaged
    assert report.kept == 10
    assert report.missing == 1
    assert [place.reason for place in report.dropped] == ["does not verify", "record 7 once more", "does not verify"]
    assert [damaged[place.offset :][: place.size] for place in report.dropped] == [
        damaged.splitlines(keepends=True)[5],
        damaged.splitlines(keepends=True)[7],
        b"torn",
    ]
    with Journal.open(tmp_path / "new" / "journal") as journal:
        assert [doc["n"] for doc in journal.db.all()] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
        assert [doc["n"] for doc in journal.events("run-1")] == [1, 3, 5, 7, 9]
        assert journal.db.table("notes").all() == [{"text": "kept too"}]
    lines = (tmp_path / "new" / "journal" / segment.name).read_bytes().splitlines()
    (account,) = [orjson.loads(line)["doc"] for line in lines if b'"t":"_repair"' in line]
    assert account["source"] == str(directory)
    assert account["missing"] == 1
    assert [place["offset"] for place in account["dropped"]] == [place.offset for place in report.dropped]
    assert verify(tmp_path / "new" / "journal").damage is None


def test_a_repair_puts_records_back_in_order(directory: Path, segment: Path, tmp_path: Path) -> None:
    with Journal.open(directory) as journal:
        for n in range(5):
            journal.db.insert({"n": n})
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[2], lines[4] = lines[4], lines[2]
    segment.write_bytes(b"".join(lines))

    report = repair(directory, tmp_path / "new")

    assert report.dropped == ()
    with JournalReader.open(tmp_path / "new") as reader:
        assert [doc["n"] for doc in reader.all()] == [0, 1, 2, 3, 4]


def test_a_repair_saves_a_journal_whose_header_is_lost(directory: Path, segment: Path, tmp_path: Path) -> None:
    with Journal.open(directory) as journal:
        journal.db.insert_multiple([{"n": n} for n in range(2500)])
    content = segment.read_bytes()
    segment.write_bytes(b"#" + content[1:])
    assert repair(directory, tmp_path / "new").kept == 2500
    with JournalReader.open(tmp_path / "new") as reader:
        assert len(reader.db) == 2500


def test_a_repair_never_writes_in_place_or_over_something(directory: Path, segment: Path, tmp_path: Path) -> None:
    Journal.open(directory).close()
    before = segment.read_bytes()
    for place in (directory, directory.parent / "other" / ".." / directory.name):
        (directory.parent / "other").mkdir(exist_ok=True)
        with pytest.raises(UsageError, match="not empty"):
            repair(directory, place)
    assert segment.read_bytes() == before
    with pytest.raises(NotThere):
        repair(tmp_path / "nothing", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_repair_that_runs_out_of_room_says_what_to_do_before_the_next_one(
    disk: SimulatedFileSystem, open_on_disk: Callable[[], Journal]
) -> None:
    journal = open_on_disk()
    journal.db.insert_multiple([{"n": n, "pad": "x" * 500} for n in range(9)])
    journal.close()
    disk.capacity = disk._used() + 2000
    with pytest.raises(DiskFull) as caught:
        repair(Path("/j"), Path("/k"), fs=disk)
    assert caught.value.hint == "make room, remove /k, and repair again"
    assert JournalReader.open(Path("/j"), fs=disk).db.count(where("n") >= 0) == 9


def test_verify_tells_what_is_there(directory: Path) -> None:
    with Journal.open(directory) as journal:
        journal.db.insert_multiple([{"run": "a"}, {"run": "b"}, {}])
        report = verify(directory)
        assert (report.sound, report.closed, report.events, report.records) == (True, False, 3, 4)
    report = verify(directory)
    assert (report.sound, report.closed, report.events, report.records, report.runs) == (True, True, 3, 5, ("a", "b"))
    assert 0 < report.frontier < report.size
    with pytest.raises(NotThere):
        verify(directory / "nothing")


def test_verify_finds_a_document_that_is_no_json_under_a_good_checksum(directory: Path, segment: Path) -> None:
    from flowledger.journal.record import parse, seal

    with Journal.open(directory) as journal:
        journal.db.insert({"n": 1})
    first, second, _ = segment.read_bytes().splitlines()
    record = parse(second)
    assert record is not None
    body = second[record.body_at :].replace(b'"n":1', b'"n":?')
    segment.write_bytes(first + b"\n" + seal(body, prev=record.prev, seq=1, synced=record.synced)[0])

    report = verify(directory)

    assert not report.sound
    assert report.damage is not None
    assert "no JSON" in report.damage.reason
    assert report.damage.line == 2
