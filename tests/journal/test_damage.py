"""Every cut and every flipped bit of a small journal: a torn end opens, damage to what was durable is always found."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowledger.errors import JournalCorrupt
from flowledger.journal import InlineCommitter, Journal, JournalReader, SimulatedFileSystem, verify

OpenJournal = Callable[[], Journal]
SEGMENT = Path("/j/segment-000001.jsonl")


@pytest.fixture
def written(disk: SimulatedFileSystem, open_on_disk: OpenJournal) -> bytes:
    """A journal of a few batches whose writer was killed: its last batch has two records and nothing after it."""
    journal = open_on_disk()
    journal.db.insert({"run": "orders", "kind": "started", "text": "é\n"})
    journal.db.insert_multiple([{"run": "refunds", "n": n} for n in range(3)])
    journal.db.insert({"free": "note"})
    journal.db.insert_multiple([{"run": "orders", "n": 7}, {"run": "orders", "n": 8}])
    disk.kill()
    return disk.content(SEGMENT)


def _frontier(content: bytes) -> int:
    return max(int(number) for number in re.findall(rb'"synced":(\d+)', content))


def _reopened(content: bytes) -> list[dict[str, Any]]:
    disk = SimulatedFileSystem()
    disk.make_directory(Path("/j"))
    disk.open(SEGMENT, "create")
    disk.replace_content(SEGMENT, content)
    return list(Journal.open(Path("/j"), fs=disk, committer=InlineCommitter()).db.all())


def test_every_truncation_opens_with_all_that_is_whole(written: bytes) -> None:
    documents = _reopened(written)
    ends = [match.end() for match in re.finditer(rb"\n", written)]
    assert len(ends) == len(documents) + 1

    for length in range(len(written) + 1):
        if length < ends[0]:
            with pytest.raises(JournalCorrupt):
                _reopened(written[:length])
        else:
            whole = sum(end <= length for end in ends) - 1
            assert _reopened(written[:length]) == documents[:whole], length


def test_every_single_bit_flip_below_the_frontier_is_found(written: bytes) -> None:
    frontier = _frontier(written)
    assert 0.6 * len(written) < frontier < len(written)
    for position in range(frontier * 8):
        damaged = bytearray(written)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(JournalCorrupt) as caught:
            _reopened(bytes(damaged))
        assert caught.value.offset <= position // 8


def test_a_bit_flip_above_the_frontier_never_invents_or_reorders_anything(written: bytes) -> None:
    documents = _reopened(written)
    for position in range(_frontier(written) * 8, len(written) * 8):
        damaged = bytearray(written)
        damaged[position // 8] ^= 1 << position % 8
        try:
            found = _reopened(bytes(damaged))
        except JournalCorrupt:
            continue
        assert found == documents[: len(found)]
        assert len(found) >= len(documents) - 2


def test_after_a_clean_end_every_bit_flip_below_the_closing_note_is_found(open_on_disk: OpenJournal, disk: Any) -> None:
    with open_on_disk() as journal:
        journal.db.insert({"n": 1})
    content = disk.content(SEGMENT)
    note = content.rindex(b'{"crc"')

    for position in range(note * 8):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(JournalCorrupt):
            _reopened(bytes(damaged))


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("lost", "stands where"),
        ("doubled", "stands where"),
        ("swapped", "stands where"),
        ("spliced", "follows a record with checksum"),
    ],
)
def test_lost_doubled_swapped_and_spliced_lines_are_found(
    written: bytes, disk: SimulatedFileSystem, what: str, reason: str
) -> None:
    lines = written.splitlines(keepends=True)
    if what == "lost":
        del lines[3]
    elif what == "doubled":
        lines.insert(3, lines[3])
    elif what == "swapped":
        lines[2], lines[3] = lines[3], lines[2]
    else:  # the same number from another journal
        other = SimulatedFileSystem()
        journal = Journal.open(Path("/j"), fs=other, committer=InlineCommitter())
        journal.db.insert_multiple([{"n": n} for n in range(4)])
        lines[3] = other.content(SEGMENT).splitlines(keepends=True)[3]

    with pytest.raises(JournalCorrupt, match=reason) as caught:
        _reopened(b"".join(lines))
    assert caught.value.line in (3, 4, 5)


def test_corruption_is_told_with_its_place_and_what_to_do_and_nothing_is_changed(
    written: bytes, disk: SimulatedFileSystem, open_on_disk: OpenJournal
) -> None:
    damaged = written.replace(b'"n":1', b'"n":5')
    disk.replace_content(SEGMENT, damaged)

    with pytest.raises(JournalCorrupt) as caught:
        open_on_disk()

    assert caught.value.file == SEGMENT.name
    assert caught.value.line == 4
    assert caught.value.offset == sum(len(line) for line in written.splitlines(keepends=True)[:3])
    assert "journal repair --journal /j --to" in caught.value.hint
    assert disk.content(SEGMENT) == damaged
    assert disk.names(Path("/j")) == ["lock", SEGMENT.name]
    with pytest.raises(JournalCorrupt):
        JournalReader.open(Path("/j"), fs=disk)
    report = verify(Path("/j"), fs=disk)
    assert not report.sound
    assert report.damage is not None
    assert (report.damage.offset, report.records, report.damage.later) == (caught.value.offset, 3, 4)


def test_a_torn_end_is_kept_aside_and_named(
    written: bytes, disk: SimulatedFileSystem, open_on_disk: OpenJournal
) -> None:
    torn_at = written.rindex(b'{"crc"')
    disk.replace_content(SEGMENT, written[:-4])
    assert verify(Path("/j"), fs=disk).sound

    journal = open_on_disk()

    recovered = journal.recovered
    assert recovered is not None
    assert (recovered.offset, recovered.size, recovered.runs) == (torn_at, len(written) - 4 - torn_at, ("orders",))
    assert recovered.kept_in == f"{SEGMENT.name}.torn-{torn_at}"
    assert disk.content(Path("/j") / recovered.kept_in) == written[torn_at:-4]
    assert "orders" in str(recovered)
    disk.cut_power(lambda n: 0)  # what was kept is on the medium before the segment is cut
    assert disk.content(Path("/j") / recovered.kept_in) == written[torn_at:-4]
    journal = open_on_disk()
    assert journal.db.insert({"n": 9}) == 7
    disk.kill()
    assert open_on_disk().recovered is None
    assert verify(Path("/j"), fs=disk).kept_aside == (recovered.kept_in,)


def test_a_torn_batch_with_a_hole_is_cut_at_the_hole(disk: SimulatedFileSystem, open_on_disk: OpenJournal) -> None:
    journal = open_on_disk()
    journal.db.insert({"n": 0})
    journal.db.insert_multiple([{"run": f"r{n}", "pad": "x" * 100} for n in range(5)])
    disk.kill()
    content = bytearray(disk.content(SEGMENT))
    hole = content.index(b'"run":"r2"') + 60
    content[hole : hole + 64] = bytes(64)
    disk.replace_content(SEGMENT, bytes(content))

    again = open_on_disk()

    assert [doc.get("run") for doc in again.db.all()] == [None, "r0", "r1"]
    assert again.recovered is not None
    assert again.recovered.runs == ("r2", "r3", "r4")


def test_two_torn_ends_at_one_place_are_both_kept(disk: SimulatedFileSystem, open_on_disk: OpenJournal) -> None:
    kept = []
    for text in ("first", "second"):
        open_on_disk()
        disk.kill()
        disk.replace_content(SEGMENT, disk.content(SEGMENT) + text.encode())
        journal = open_on_disk()
        assert journal.recovered is not None
        kept.append(disk.content(Path("/j") / journal.recovered.kept_in))
        disk.kill()
    assert kept == [b"first", b"second"]


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b'"version":2', "format version 2"),
        (b'"features":["sealed"]', "features"),
        (b'"format":"something-else"', "no flowledger journal"),
    ],
)
def test_a_format_of_the_future_is_refused_before_anything_is_cut(
    disk: SimulatedFileSystem, open_on_disk: OpenJournal, header: bytes, says: str
) -> None:
    from flowledger.errors import JournalError
    from flowledger.journal.record import parse, seal

    open_on_disk().close()
    line = disk.content(SEGMENT).splitlines()[0]
    record = parse(line)
    assert record is not None
    key = header.partition(b":")[0]
    body = re.sub(key + rb":(\[\]|[^,}]+)", header, line[record.body_at :])
    changed = seal(body, prev=record.prev, seq=0, synced=0)[0] + b"a torn end"
    disk.replace_content(SEGMENT, changed)

    with pytest.raises(JournalError, match=says):
        open_on_disk()
    assert disk.content(SEGMENT) == changed


def test_an_empty_segment_is_damage_not_a_new_journal(disk: SimulatedFileSystem, open_on_disk: OpenJournal) -> None:
    open_on_disk().close()
    disk.replace_content(SEGMENT, b"")
    with pytest.raises(JournalCorrupt, match="empty"):
        open_on_disk()
    with pytest.raises(JournalCorrupt, match="empty"):
        JournalReader.open(Path("/j"), fs=disk)
    assert not verify(Path("/j"), fs=disk).sound


def test_a_record_that_rots_while_the_journal_is_open_is_found_when_it_is_read(
    disk: SimulatedFileSystem, open_on_disk: OpenJournal
) -> None:
    journal = open_on_disk()
    journal.db.insert({"text": "hello"})
    disk.replace_content(SEGMENT, disk.content(SEGMENT).replace(b"hello", b"jello"))
    with pytest.raises(JournalCorrupt, match="not what it was"):
        journal.db.all()
