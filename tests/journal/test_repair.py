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


TRANSFERS: dict[str, Callable[[bytes], bytes]] = {
    "CRLF": lambda text: text.replace(b"\n", b"\r\n"),
    "CR": lambda text: text.replace(b"\n", b"\r"),
    "CR CR LF": lambda text: text.replace(b"\n", b"\r\r\n"),
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "a byte order mark and CRLF": lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"),
    "blanks at line ends": lambda text: text.replace(b"\n", b" \t \n"),
    "empty lines": lambda text: text.replace(b"\n", b"\n\n"),
    "an empty line at the end": lambda text: text + b"\r\n",
}


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_a_repair_keeps_every_record_of_a_journal_that_was_transferred_as_text(
    transfer: str, directory: Path, segment: Path, tmp_path: Path
) -> None:
    documents = [{"run": f"run-{n % 2}", "n": n, "text": "ends in a blank \r\n "} for n in range(50)]
    with Journal.open(directory) as journal:
        journal.db.insert_multiple(documents)
    segment.write_bytes(TRANSFERS[transfer](segment.read_bytes()))
    assert verify(directory).damage is not None

    report = repair(directory, tmp_path / "new")

    assert (report.kept, report.dropped, report.missing) == (50, (), 0)
    with Journal.open(tmp_path / "new") as journal:
        assert [dict(doc) for doc in journal.db.all()] == documents
    assert verify(tmp_path / "new").sound


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.decode().encode("utf-16"),
        lambda text: b"\0" * len(text),
        lambda text: text.partition(b"\n")[0] + b"\n" + text.partition(b"\n")[2].replace(b'"', b"'"),
        lambda _: b"not a journal",
    ],
    ids=["UTF-16", "zeros", "only the header is good", "another text"],
)
def test_a_repair_that_can_keep_nothing_fails_and_makes_no_empty_journal(
    spoil: Callable[[bytes], bytes], directory: Path, segment: Path, tmp_path: Path
) -> None:
    with Journal.open(directory) as journal:
        journal.db.insert_multiple([{"n": n} for n in range(5)])
    segment.write_bytes(spoil(segment.read_bytes()))
    with pytest.raises(JournalCorrupt) as caught:
        repair(directory, tmp_path / "new")
    assert caught.value.exit_code == 9
    assert "a second time" in caught.value.hint
    assert not (tmp_path / "new").exists()


def test_a_journal_without_events_is_repaired_into_one_without_events(directory: Path, tmp_path: Path) -> None:
    Journal.open(directory).close()
    assert repair(directory, tmp_path / "new").kept == 0
    assert verify(tmp_path / "new").sound


def test_verify_counts_the_records_behind_a_changed_line_end(directory: Path, segment: Path) -> None:
    with Journal.open(directory) as journal:
        journal.db.insert_multiple([{"n": n} for n in range(5)])
    segment.write_bytes(segment.read_bytes().replace(b"\n", b"\r\n"))
    damage = verify(directory).damage
    assert damage is not None
    assert damage.later == 7  # the header, the events and the note of the end
