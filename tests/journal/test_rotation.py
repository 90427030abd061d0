"""A full segment is sealed and the next one begun: numbers go on, readers follow, stored indexes are never trusted."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from tinydb import TinyDB, where

from flowledger.errors import DiskFull, JournalCorrupt, JournalPoisoned
from flowledger.journal import (
    InlineCommitter,
    Journal,
    JournalReader,
    JournalStorage,
    OsFileSystem,
    SimulatedFileSystem,
    repair,
    verify,
)
from flowledger.journal.index import Index
from flowledger.journal.layout import index_name, segment_name
from flowledger.journal.record import parse, seal
from flowledger.journal.scan import extend
from flowledger.journal.segment import SealedSegment

PLACE = Path("/j")
SMALL = 1500  # bytes of a segment
Opener = Callable[[], Journal]


@pytest.fixture
def reopen(disk: SimulatedFileSystem) -> Opener:
    return lambda: Journal.open(
        PLACE, fs=disk, committer=InlineCommitter(), wall=lambda: 1_600_000_000.0, segment_size=SMALL
    )


@pytest.fixture
def rotated(disk: SimulatedFileSystem, reopen: Opener) -> list[dict[str, Any]]:
    """A journal of several segments, whose writer was killed; its documents."""
    journal = reopen()
    for n in range(20):
        journal.db.insert({"run": f"run-{n % 3}", "n": n, "pad": "x" * 100})
    documents = [dict(document) for document in journal.db.all()]
    disk.kill()
    assert len(segments(disk)) > 3
    return documents


def segments(disk: SimulatedFileSystem) -> list[str]:
    with disk.reliable():
        return [name for name in disk.names(PLACE) if name.endswith(".jsonl")]


def opened_sealed(journal: Journal | JournalReader) -> list[SealedSegment]:
    view = journal.db.storage.log.check_readable()  # type: ignore[attr-defined]  # the journal's own storage
    return [segment for segment in view.segments if isinstance(segment, SealedSegment)]


def test_numbers_rise_over_segments_and_every_way_to_read_finds_all(
    disk: SimulatedFileSystem, reopen: Opener, rotated: list[dict[str, Any]]
) -> None:
    journal = reopen()
    reader = JournalReader.open(PLACE, fs=disk)
    for found in (journal.db.all(), reader.all(), list(journal.db)):
        assert [dict(document) for document in found] == rotated
        numbers = [document.doc_id for document in found]
        assert numbers == sorted(set(numbers))
    assert [document["n"] for document in reader.events("run-1")] == list(range(1, 20, 3))
    assert journal.events("run-1") == reader.events("run-1") == journal.db.search(where("run") == "run-1")
    assert journal.runs() == reader.runs() == ["run-0", "run-1", "run-2"]
    assert len(journal.db) == 20
    assert journal.db.count(where("n") > 9) == 10
    for document in journal.db.all():
        assert journal.db.get(doc_id=document.doc_id) == document
    assert all(journal.db.get(doc_id=n) is None for n in range(-1, 40) if n not in {d.doc_id for d in journal.db})
    assert journal.db.insert({"n": 20}) > journal.db.all()[-2].doc_id


def test_no_segment_is_larger_than_was_asked_for_but_for_its_seal(disk: SimulatedFileSystem, rotated: Any) -> None:
    sizes = [len(disk.content(PLACE / name)) for name in segments(disk)]
    assert all(size <= SMALL + 400 for size in sizes), sizes
    assert all(size > SMALL / 2 for size in sizes[:-1])


def test_a_record_larger_than_a_segment_has_one_for_itself(disk: SimulatedFileSystem, reopen: Opener) -> None:
    journal = reopen()
    for n in range(3):
        journal.db.insert({"n": n, "pad": "x" * 5000})
    assert [document["n"] for document in journal.db.all()] == [0, 1, 2]
    assert len(segments(disk)) == 3


def test_the_next_segment_names_the_one_before_with_its_last_checksum_and_its_length(
    disk: SimulatedFileSystem, rotated: Any
) -> None:
    names = segments(disk)
    for before, after in pairwise(names):
        content = disk.content(PLACE / before)
        lines = content.splitlines()
        header = orjson.loads(disk.content(PLACE / after).splitlines()[0])["doc"]
        assert header["previous"] == {
            "segment": orjson.loads(lines[0])["doc"]["segment"],
            "crc": orjson.loads(lines[-1])["crc"],
            "size": len(content),
        }
        assert header["features"] == ["segments", "changes"]
        assert header["first"] == orjson.loads(lines[0])["doc"].get("first", 0) + len(lines)
        assert orjson.loads(lines[-1])["t"] == "_seal"


async def test_appends_at_the_same_time_still_share_one_write_and_one_sync_beside_the_rotation(
    disk: SimulatedFileSystem, reopen: Opener
) -> None:
    journal = reopen()
    journal.db.insert({"pad": "x" * 900})
    disk.log.clear()
    numbers = await asyncio.gather(*(journal.append(f"r{n}", {"n": n, "pad": "x" * 50}) for n in range(5)))
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    second = segment_name(2)
    assert [call for call in disk.log if call.endswith((second, f"{second}.new")) and call.startswith(("w", "s"))] == [
        f"write {second}.new", f"sync {second}.new", f"write {second}.new", f"sync {second}.new",
    ]  # fmt: skip


async def test_a_reader_follows_a_writer_over_rotations(directory: Path) -> None:
    with Journal.open(directory, segment_size=SMALL) as journal, JournalReader.open(directory) as reader:
        for n in range(60):
            await journal.append(f"run-{n % 2}", {"n": n, "pad": "x" * 100})
            reader.refresh()
            assert [document["n"] for document in reader.all()] == list(range(n + 1))
        assert reader.all() == journal.db.all()
        assert reader.events("run-1") == journal.events("run-1")
        assert len(opened_sealed(reader)) > 8
    late = JournalReader.open(directory)
    assert len(late.all()) == 60


def test_stock_tinydb_reads_over_segments(directory: Path) -> None:
    with Journal.open(directory, segment_size=SMALL) as journal:
        stock = TinyDB(directory, storage=JournalStorage)
        for n in range(30):
            journal.db.insert({"run": "a", "n": n, "pad": "x" * 100})
            assert len(stock) == n + 1
        assert stock.all() == journal.db.all()


def test_opening_to_write_reads_no_sealed_record(
    disk: SimulatedFileSystem, reopen: Opener, rotated: list[dict[str, Any]]
) -> None:
    first = PLACE / segment_name(1)
    content = disk.content(first)
    disk.replace_content(first, content.replace(b'"n":1', b'"n":7'))

    journal = reopen()  # another run's record has rotted: this run is not kept from going on

    assert [document["n"] for document in journal.events("run-2")] == list(range(2, 20, 3))
    with pytest.raises(JournalCorrupt, match=segment_name(1)):
        journal.events("run-1")
    with pytest.raises(JournalCorrupt):
        journal.db.all()
    assert not verify(PLACE, fs=disk).sound


def test_a_rotten_sealed_record_is_found_when_its_run_is_read(disk: SimulatedFileSystem, rotated: Any) -> None:
    first = PLACE / segment_name(1)
    disk.replace_content(first, disk.content(first).replace(b'"n":1', b'"n":7'))
    report = verify(PLACE, fs=disk)
    assert (report.sound, report.file) == (False, segment_name(1))
    assert report.damage is not None
    assert report.damage.line == 3


def test_a_sealed_record_that_was_spliced_in_is_found_when_it_is_read(disk: SimulatedFileSystem, rotated: Any) -> None:
    """It verifies alone, with the right number and length, but its `prev` is not the record before it."""
    path = PLACE / segment_name(1)
    content = disk.content(path)
    lines = content.splitlines(keepends=True)
    record = parse(lines[2][:-1])
    assert record is not None
    lines[2], _ = seal(lines[2][record.body_at : -1], prev="0badcafe", seq=record.seq, synced=record.synced)
    disk.replace_content(path, b"".join(lines))
    assert len(disk.content(path)) == len(content)
    with JournalReader.open(PLACE, fs=disk) as reader, pytest.raises(JournalCorrupt, match=segment_name(1)):
        reader.events("run-1")


SPOILED: dict[str, Callable[[bytes], bytes]] = {
    "missing": lambda _: b"",
    "cut": lambda data: data[:-4],
    "zeros": lambda data: bytes(len(data)),
    "flipped": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "of no run": lambda data: data.replace(b"run-1", b"run-9"),
    "no JSON": lambda data: b"{" + data,
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_stored_index_that_is_wrong_is_noticed_and_made_again(
    how: str, disk: SimulatedFileSystem, reopen: Opener, rotated: list[dict[str, Any]]
) -> None:
    stored = {index_name(name): disk.content(PLACE / index_name(name)) for name in segments(disk)[:-1]}
    for name, content in stored.items():
        disk.replace_content(PLACE / name, SPOILED[how](content))

    with JournalReader.open(PLACE, fs=disk) as reader:
        assert [document["n"] for document in reader.events("run-1")] == list(range(1, 20, 3))
        assert all(segment.index_fault for segment in opened_sealed(reader))
    assert verify(PLACE, fs=disk).sound
    assert disk.content(PLACE / index_name(segments(disk)[0])) != stored[index_name(segments(disk)[0])]
    journal = reopen()
    assert [document["n"] for document in journal.events("run-1")] == list(range(1, 20, 3))
    assert journal.runs() == ["run-0", "run-1", "run-2"]
    assert [dict(document) for document in journal.db.all()] == rotated
    for name, content in stored.items():
        assert disk.content(PLACE / name) == content  # byte for byte
    journal = reopen_after_kill(disk, reopen)
    assert [document["n"] for document in journal.events("run-1")] == list(range(1, 20, 3))
    assert not any(segment.index_fault for segment in opened_sealed(journal))


def reopen_after_kill(disk: SimulatedFileSystem, reopen: Opener) -> Journal:
    disk.kill()
    return reopen()


def test_the_index_of_another_segment_is_not_taken(disk: SimulatedFileSystem, rotated: Any) -> None:
    first, second = (PLACE / index_name(name) for name in segments(disk)[:2])
    disk.replace_content(first, disk.content(second))
    with JournalReader.open(PLACE, fs=disk) as reader:
        assert [document["n"] for document in reader.events("run-1")] == list(range(1, 20, 3))
        assert [bool(segment.index_fault) for segment in opened_sealed(reader)][:2] == [True, False]


def test_an_index_that_lies_under_a_seal_that_vouches_for_it_is_noticed_when_it_is_read(directory: Path) -> None:
    """A lie that even the seal tells: records of one run under the name of another."""
    with Journal.open(directory, segment_size=SMALL) as journal:
        for n in range(12):
            journal.db.insert({"run": f"run-{n % 2}", "n": n, "pad": "x" * 100})
    with Journal.open(directory, segment_size=SMALL) as journal:
        first = opened_sealed(journal)[0]
        index = first.index
        honest = index.positions("events", "run-0")
        lying = Index()
        assert extend(lying, first.file, size=first.seal.bytes) is None
        for key in (("events", "run-0"), ("events", "run-1")):
            lying.keys[key] = lying.keys[key][::-1]
        lying.keys["events", "run-0"], lying.keys["events", "run-1"] = (
            lying.keys["events", "run-1"],
            lying.keys["events", "run-0"],
        )
        first._index = lying
        assert [document["n"] for document in journal.events("run-0")] == list(range(0, 12, 2))
        assert first.index_fault == "it names records of another run"
        assert first.index.positions("events", "run-0") == honest


def test_a_checkpoint_spares_reading_what_is_before_it_and_a_flip_there_is_found_all_the_same(
    disk: SimulatedFileSystem,
) -> None:
    def opened() -> Journal:
        return Journal.open(PLACE, fs=disk, committer=InlineCommitter(), wall=lambda: 0.0, segment_size=20_000)

    journal = opened()
    for n in range(60):
        journal.db.insert({"run": f"run-{n % 2}", "n": n, "pad": "x" * 100})
    disk.kill()
    content = disk.content(PLACE / segment_name(1))
    last = content.rindex(b'"t":"_checkpoint"')
    assert last > 10_000
    report = verify(PLACE, fs=disk)
    assert 10_000 < report.segments[0].digested < last
    assert (report.sound, report.events, report.segments[0].index) == (True, 60, "fits")
    assert verify(PLACE, fs=disk, deep=True).segments[0].digested == 0
    for position in range(0, last, 97):
        damaged = bytearray(content)
        damaged[position] ^= 4
        disk.replace_content(PLACE / segment_name(1), bytes(damaged))
        with pytest.raises(JournalCorrupt) as caught:
            opened()
        assert caught.value.offset <= position
        assert not verify(PLACE, fs=disk).sound
        assert not verify(PLACE, fs=disk, deep=True).sound
    disk.replace_content(PLACE / segment_name(1), content)
    assert [document["n"] for document in opened().events("run-1")] == list(range(1, 60, 2))


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.long)])
def test_every_single_bit_flip_in_every_segment_is_found_by_verify(
    disk: SimulatedFileSystem, reopen: Opener, step: int
) -> None:
    journal = reopen()
    for n in range(7):
        journal.db.insert({"run": f"run-{n % 2}", "n": n, "pad": "x" * 100})
    journal.close()
    names = segments(disk)
    assert len(names) == 2
    for name in names:
        path = PLACE / name
        content = disk.content(path)
        frontier = max(map(int, re.findall(rb'"synced":([0-9]+)', content)))  # nothing after it says it was durable
        until = frontier if name == names[-1] else len(content)
        assert until > 0.7 * len(content)
        for position in range(0, until * 8, step):
            damaged = bytearray(content)
            damaged[position // 8] ^= 1 << position % 8
            disk.replace_content(path, bytes(damaged))
            report = verify(PLACE, fs=disk)
            assert not report.sound, (name, position)
            assert report.file in (name, names[-1])
        disk.replace_content(path, content)
    for name in (index_name(name) for name in names[:-1]):
        content = disk.content(PLACE / name)
        for position in range(0, len(content) * 8, 7 * step):
            damaged = bytearray(content)
            damaged[position // 8] ^= 1 << position % 8
            disk.replace_content(PLACE / name, bytes(damaged))
            report = verify(PLACE, fs=disk)
            assert report.sound
            assert report.segments[0].index != "fits"
        disk.replace_content(PLACE / name, content)
    assert verify(PLACE, fs=disk).segments[0].index == "fits"


def test_a_seal_whose_digest_was_written_wrong_is_found(disk: SimulatedFileSystem, rotated: Any) -> None:
    path = PLACE / segment_name(1)
    content = disk.content(path)
    at = content.rindex(b'{"crc"')
    record = parse(content[at:-1])
    assert record is not None
    body = content[at + record.body_at : -2] + b"}"
    digest = orjson.loads(content[at:])["doc"]["digest"].encode()
    wrong, _ = seal(body.replace(digest, b"00000000"), prev=record.prev, seq=record.seq, synced=record.synced)
    disk.replace_content(path, content[:at] + wrong)
    report = verify(PLACE, fs=disk)
    assert report.damage is not None
    assert "digest" in report.damage.reason


@pytest.mark.parametrize("lost", [1, 2])
def test_a_segment_that_is_missing_is_named(disk: SimulatedFileSystem, reopen: Opener, rotated: Any, lost: int) -> None:
    disk.remove(PLACE / segment_name(lost))
    for opening in (reopen, lambda: JournalReader.open(PLACE, fs=disk), lambda: verify(PLACE, fs=disk)):
        with pytest.raises(JournalCorrupt, match=f"{segment_name(lost)} is missing"):
            opening()


def test_a_segment_that_was_exchanged_is_found(disk: SimulatedFileSystem, reopen: Opener, rotated: Any) -> None:
    other = SimulatedFileSystem()
    journal = Journal.open(PLACE, fs=other, committer=InlineCommitter(), wall=lambda: 0.0, segment_size=SMALL)
    for n in range(20):
        journal.db.insert({"run": f"run-{n % 3}", "n": n, "pad": "x" * 100})
    disk.replace_content(PLACE / segment_name(2), other.content(PLACE / segment_name(2)))
    with pytest.raises(JournalCorrupt, match="not what follows"):
        reopen()
    assert not verify(PLACE, fs=disk).sound


def test_repair_goes_through_all_segments_and_names_where_it_left_something_out(directory: Path) -> None:
    with Journal.open(directory, segment_size=SMALL) as journal:
        for n in range(20):
            journal.db.insert({"run": f"run-{n % 3}", "n": n, "pad": "x" * 100})
    second = directory / segment_name(2)
    content = second.read_bytes()
    gone = int(re.findall(rb'"n":([0-9]+)', content)[1])
    second.write_bytes(content.replace(b'"n":%d' % gone, b'"n":?'))
    (directory / segment_name(3)).unlink()

    report = repair(directory, directory.parent / "new")

    assert [(place.file, place.reason) for place in report.dropped] == [
        (segment_name(2), "does not verify"),
        (segment_name(3), "the segment is missing"),
    ]
    with JournalReader.open(directory.parent / "new") as reader:
        numbers = [document["n"] for document in reader.all()]
    assert gone not in numbers
    assert numbers == sorted(numbers)
    assert numbers[:gone] == list(range(gone))
    assert numbers[-1] == 19
    assert verify(directory.parent / "new").sound


async def test_no_room_for_the_next_segment_refuses_the_batch_and_goes_on_when_there_is_room(
    disk: SimulatedFileSystem, reopen: Opener
) -> None:
    journal = reopen()
    n = 0
    while len(segments(disk)) == 1:
        disk.capacity = disk._used() + 500  # room for a seal, and then for no header
        try:
            await journal.append("a", {"n": n, "pad": "x" * 100})
        except DiskFull:
            disk.capacity = None
            assert [document["n"] for document in journal.events("a")] == list(range(n))
        else:
            n += 1
    await journal.append("a", {"n": n})
    disk.cut_power(lambda _: 0)
    assert [document["n"] for document in reopen().events("a")] == list(range(n + 1))


async def test_a_failed_sync_of_the_next_segments_name_poisons(disk: SimulatedFileSystem, reopen: Opener) -> None:
    journal = reopen()
    await journal.append("a", {"pad": "x" * 1000})
    disk.log.clear()
    await journal.append("a", {"pad": "x" * 1000})
    calls = disk.log.index(f"sync_directory {PLACE}")
    await journal.append("a", {"pad": "x" * 10})
    disk.fail(calls)
    with pytest.raises(JournalPoisoned):
        await journal.append("a", {"pad": "x" * 1000})
    with pytest.raises(JournalPoisoned):
        await journal.append("a", {})
    disk.kill()
    assert len(reopen().events("a")) == 3


def test_an_index_that_cannot_be_written_stops_nobody(directory: Path) -> None:
    class NoIndexes(OsFileSystem):
        def open(self, path: Path, access: Any) -> Any:
            if ".index" in path.name and access != "read":
                raise PermissionError(13, "Permission denied", str(path))
            return super().open(path, access)

    with Journal.open(directory, fs=NoIndexes(), segment_size=SMALL) as journal:
        for n in range(20):
            journal.db.insert({"run": "a", "n": n, "pad": "x" * 100})
        assert [document["n"] for document in journal.events("a")] == list(range(20))
    assert list(directory.glob("*.index*")) == []
    assert verify(directory).sound
    with Journal.open(directory, segment_size=SMALL) as journal:
        assert len(journal.events("a")) == 20
    assert len(list(directory.glob("*.index"))) >= len(list(directory.glob("*.jsonl"))) - 1


def test_the_stored_index_is_what_the_seal_names(disk: SimulatedFileSystem, rotated: Any) -> None:
    for name in segments(disk)[:-1]:
        seal = orjson.loads(disk.content(PLACE / name).splitlines()[-1])["doc"]
        assert seal["index"] == hashlib.sha256(disk.content(PLACE / index_name(name))).hexdigest()
        assert seal["events"] == disk.content(PLACE / name).count(b'"t":"events"')
