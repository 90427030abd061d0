"""Finished runs are left out by writing the journal anew: at any kill either the old or the new one is the journal."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from flowledger.errors import FlowledgerError, JournalCorrupt, JournalHeld, NotThere, UsageError
from flowledger.journal import (
    InlineCommitter,
    Journal,
    JournalReader,
    PruneReport,
    SimulatedFileSystem,
    prune,
    verify,
)
from flowledger.journal.layout import segment_name

PLACE = Path("/j")
SMALL = 2500
GONE = {"run-1": {"nonce": "abcdefghij", "state": "destroyed"}}


def opened(disk: SimulatedFileSystem) -> Journal:
    return Journal.open(PLACE, fs=disk, committer=InlineCommitter(), wall=lambda: 1_600_000_000.0, segment_size=SMALL)


def pruned(disk: SimulatedFileSystem) -> PruneReport:
    return prune(PLACE, GONE, fs=disk, wall=lambda: 1_600_000_000.0, segment_size=SMALL)


def filled(disk: SimulatedFileSystem) -> dict[int, dict[str, Any]]:
    """A journal of three runs over several segments; its documents by number."""
    journal = opened(disk)
    for n in range(24):
        journal.db.insert({"run": f"run-{n % 3}", "n": n, "pad": "x" * 100})
    journal.db.table("notes").insert({"text": "kept"})
    journal.close()
    return everything(disk)


def everything(disk: SimulatedFileSystem) -> dict[int, dict[str, Any]]:
    with disk.reliable(), JournalReader.open(PLACE, fs=disk) as reader:
        return {document.doc_id: dict(document) for document in reader.all()}


def without_run(documents: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {number: document for number, document in documents.items() if document["run"] != "run-1"}


def test_what_is_kept_keeps_its_numbers_and_what_went_is_named(disk: SimulatedFileSystem) -> None:
    before = filled(disk)

    report = pruned(disk)

    assert (report.runs, report.events) == (("run-1",), 8)
    assert report.size_after < report.size_before
    assert everything(disk) == without_run(before)
    with JournalReader.open(PLACE, fs=disk) as reader:
        assert reader.runs() == ["run-0", "run-2"]
        assert reader.events("run-1") == []
        assert [document["n"] for document in reader.events("run-2")] == list(range(2, 24, 3))
        assert reader.db.table("notes").all() == [{"text": "kept"}]
        numbers = [number for number, document in before.items() if document["run"] == "run-1"]
        assert reader.pruned() == [
            {
                "pruned_at": "2020-09-13T12:26:40+00:00",
                "runs": [{"run": "run-1", **GONE["run-1"], "events": 8, "first": min(numbers), "last": max(numbers)}],
            }
        ]
        for number, document in before.items():
            found = reader.db.get(doc_id=number)
            assert found == (None if document["run"] == "run-1" else document)
    assert verify(PLACE, fs=disk).sound
    assert verify(PLACE, fs=disk, deep=True).sound
    assert all(name.startswith(("segment-p1-", "lock")) for name in disk.names(PLACE))
    journal = opened(disk)
    assert journal.db.insert({"run": "run-1", "n": 0}) > max(before)
    assert [document["n"] for document in journal.events("run-1")] == [0]


def test_a_second_prune_keeps_what_the_first_one_said(disk: SimulatedFileSystem) -> None:
    before = filled(disk)
    pruned(disk)
    prune(PLACE, {"run-2": {"nonce": "klmnopqrst"}}, fs=disk, segment_size=SMALL)
    assert everything(disk) == {number: doc for number, doc in before.items() if doc["run"] == "run-0"}
    with JournalReader.open(PLACE, fs=disk) as reader:
        said = [run for record in reader.pruned() for run in record["runs"]]
    assert [run["nonce"] for run in said] == ["abcdefghij", "klmnopqrst"]
    assert verify(PLACE, fs=disk, deep=True).sound


def test_what_is_left_of_small_segments_is_put_together(disk: SimulatedFileSystem) -> None:
    journal = opened(disk)
    for n in range(40):
        journal.db.insert({"run": "run-1" if n % 10 else "kept", "n": n, "pad": "x" * 200})
    journal.close()
    before = sum(name.endswith(".jsonl") for name in disk.names(PLACE))
    pruned(disk)
    names = [name for name in disk.names(PLACE) if name.endswith(".jsonl")]
    assert len(names) < before / 2
    assert all(len(disk.content(PLACE / name)) < SMALL + 500 for name in names)
    assert [document["n"] for document in everything(disk).values()] == [0, 10, 20, 30]


def test_a_reader_at_work_goes_on_with_what_was_left(disk: SimulatedFileSystem) -> None:
    before = filled(disk)
    reader = JournalReader.open(PLACE, fs=disk)
    assert len(reader.all()) == 24
    pruned(disk)
    assert len(reader.all()) == 24  # the files that it has open are still there
    reader.refresh()
    assert {document.doc_id: dict(document) for document in reader.all()} == without_run(before)
    journal = opened(disk)
    journal.db.insert({"run": "later"})
    reader.refresh()
    assert [document["run"] for document in reader.events("later")] == ["later"]


def test_a_reader_that_opens_while_the_old_segments_go_looks_again(
    disk: SimulatedFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = filled(disk)
    old = disk.names(PLACE)
    stale = [old]
    pruned(disk)
    names = disk.names

    def first_as_it_was(directory: Path) -> list[str]:
        return stale.pop() if stale else names(directory)

    monkeypatch.setattr(disk, "names", first_as_it_was)
    with JournalReader.open(PLACE, fs=disk) as reader:
        assert {document.doc_id: dict(document) for document in reader.all()} == without_run(before)
    assert stale == []
    stale.append(old)
    report = verify(PLACE, fs=disk)
    assert (report.damage, report.events) == (None, len(without_run(before)) + 1)
    assert stale == []


def test_a_run_that_is_not_there_is_refused_and_nothing_is_changed(disk: SimulatedFileSystem) -> None:
    before = filled(disk)
    with pytest.raises(NotThere, match="nobody"):
        prune(PLACE, {"run-1": {}, "nobody": {}}, fs=disk, segment_size=SMALL)
    assert everything(disk) == before
    with pytest.raises(NotThere):
        prune(Path("/elsewhere"), {}, fs=disk)


def test_a_journal_that_is_held_or_damaged_is_not_pruned(disk: SimulatedFileSystem) -> None:
    before = filled(disk)
    journal = opened(disk)
    with pytest.raises(JournalHeld):
        pruned(disk)
    journal.close()
    content = disk.content(PLACE / segment_name(1))
    disk.replace_content(PLACE / segment_name(1), content.replace(b'"n":3', b'"n":9'))
    with pytest.raises(JournalCorrupt, match=segment_name(1)):
        pruned(disk)
    disk.replace_content(PLACE / segment_name(1), content)
    assert everything(disk) == before


def test_records_that_changed_places_stop_a_prune(disk: SimulatedFileSystem) -> None:
    filled(disk)
    path = PLACE / segment_name(1)
    content = disk.content(path)
    lines = content.splitlines(keepends=True)
    one, other = next((a, b) for a in range(1, 9) for b in range(a + 1, 9) if len(lines[a]) == len(lines[b]))
    lines[one], lines[other] = lines[other], lines[one]
    disk.replace_content(path, b"".join(lines))
    with pytest.raises(JournalCorrupt, match="stands where"):
        pruned(disk)


def test_a_run_that_has_gone_on_since_it_was_judged_stops_the_prune(disk: SimulatedFileSystem) -> None:
    before = filled(disk)
    last = max(number for number, document in before.items() if document["run"] == "run-1")
    with pytest.raises(UsageError, match="run-1 has gone on"):
        prune(PLACE, GONE, last={"run-1": last - 1}, fs=disk, segment_size=SMALL)
    assert everything(disk) == before
    assert prune(PLACE, GONE, last={"run-1": last}, fs=disk, segment_size=SMALL).events == 8


def _fates(seed: int) -> Callable[[int], int]:
    return [lambda _: 0, lambda n: n - 1, lambda n: n // 2][seed]


def calls_of_a_prune() -> tuple[int, int]:
    whole = SimulatedFileSystem(block=64)
    filled(whole)
    before = whole.calls
    pruned(whole)
    return before, whole.calls - before


def the_old_or_the_new(disk: SimulatedFileSystem, before: dict[int, dict[str, Any]]) -> bool:
    """Which of the two is the journal now; it must be one of them, whole, and go on."""
    opened(disk).db.insert({"run": "later", "n": 99})
    found = everything(disk)
    *rest, (number, last) = found.items()
    assert last == {"run": "later", "n": 99}
    assert number > max(before)
    kept = dict(rest)
    assert kept in (before, without_run(before))
    with disk.reliable():
        assert verify(PLACE, fs=disk, deep=True).sound
        disk.kill()
        opened(disk).close()
        assert not [name for name in disk.names(PLACE) if name.endswith(".new")]
    return kept == before


@pytest.mark.parametrize("seed", range(3), ids=["nothing survives", "all survives", "half survives"])
def test_the_power_goes_after_every_call_of_a_prune(seed: int) -> None:
    _, calls = calls_of_a_prune()
    assert calls > 60
    outcomes = []
    for n in range(calls):
        disk = SimulatedFileSystem(block=64)
        before = filled(disk)
        disk.stop(n)
        with suppress(FlowledgerError):  # removing the old files may fail once the new ones are in place
            pruned(disk)
        disk.cut_power(_fates(seed))
        outcomes.append(the_old_or_the_new(disk, before))
    assert outcomes == sorted(outcomes, reverse=True)  # the old one up to one call, the new one from there on
    assert len(set(outcomes)) == 2


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("done", [False, True], ids=["without effect", "with effect"])
def test_any_one_call_of_a_prune_fails(error: int, done: bool) -> None:
    _, calls = calls_of_a_prune()
    for n in range(calls):
        disk = SimulatedFileSystem(block=64)
        before = filled(disk)
        disk.fail(n, error, done=done)
        try:
            pruned(disk)
        except FlowledgerError:
            disk.kill()
        the_old_or_the_new(disk, before)


def test_a_prune_is_done_even_if_an_old_file_cannot_be_removed() -> None:
    whole = SimulatedFileSystem(block=64)
    filled(whole)
    before = len(whole.log)
    pruned(whole)
    removals = [n for n, call in enumerate(whole.log[before:]) if call.startswith("remove ")]
    assert len(removals) > 5
    for n in removals:
        disk = SimulatedFileSystem(block=64)
        documents = filled(disk)
        disk.fail(n, errno.EIO)
        assert pruned(disk).events == 8
        assert everything(disk) == without_run(documents)
        opened(disk).close()
        assert all(name.startswith(("segment-p1-", "lock")) for name in disk.names(PLACE))


def test_what_a_killed_prune_had_replaced_stays_until_the_new_segments_have_been_found_good() -> None:
    whole = SimulatedFileSystem(block=64)
    filled(whole)
    before = len(whole.log)
    pruned(whole)
    disk = SimulatedFileSystem(block=64)
    filled(disk)
    disk.stop(next(n for n, call in enumerate(whole.log[before:]) if call.startswith("remove ")))
    with suppress(FlowledgerError):
        pruned(disk)
    disk.kill()
    disk._stopped_at = None
    old = [name for name in disk.names(PLACE) if name.startswith("segment-0")]
    assert len(old) > 5
    new = PLACE / segment_name(1, 1)
    good = disk.content(new)
    disk.replace_content(new, good[:-20] + b"x" + good[-19:])
    with pytest.raises(JournalCorrupt):
        opened(disk)
    assert [name for name in disk.names(PLACE) if name.startswith("segment-0")] == old
    disk.replace_content(new, good)
    opened(disk).close()
    assert not [name for name in disk.names(PLACE) if name.startswith("segment-0")]


def test_killed_after_every_call_of_a_prune(disk: SimulatedFileSystem) -> None:
    _, calls = calls_of_a_prune()
    for n in range(0, calls, 2):
        disk = SimulatedFileSystem(block=64)
        before = filled(disk)
        disk.stop(n)
        with suppress(FlowledgerError):  # removing the old files may fail once the new ones are in place
            pruned(disk)
        disk.kill()
        disk._stopped_at = None
        the_old_or_the_new(disk, before)


def test_the_header_of_a_pruned_segment_says_that_numbers_have_gaps(disk: SimulatedFileSystem) -> None:
    filled(disk)
    pruned(disk)
    first = disk.content(PLACE / segment_name(1, 1)).splitlines()
    assert orjson.loads(first[0])["doc"]["features"] == ["gaps", "changes"]
    assert [orjson.loads(line)["t"] for line in first][-1] == "_seal"
