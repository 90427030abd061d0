"""Appends at the same time share a sync; a cancelled caller changes nothing; each caller is told of its own."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowledger.errors import AppendOnlyError, DiskFull, JournalPoisoned, UsageError
from flowledger.journal import (
    Committer,
    InlineCommitter,
    Journal,
    JournalReader,
    OsFileSystem,
    SimulatedFileSystem,
    ThreadCommitter,
    verify,
)
from flowledger.journal.filesystem import Access, OsFile

SEGMENT = Path("/j/segment-000001.jsonl")
OpenJournal = Callable[[], Journal]


def _syncs(disk: SimulatedFileSystem) -> int:
    return sum(call == f"sync {SEGMENT.name}" for call in disk.log)


async def test_appends_of_one_tick_share_one_write_and_one_sync(
    open_on_disk: OpenJournal, disk: SimulatedFileSystem
) -> None:
    journal = open_on_disk()
    disk.log.clear()

    numbers = await asyncio.gather(*(journal.append(f"r{n}", {"n": n}) for n in range(50)))

    assert numbers == list(range(1, 51))
    assert disk.log == [f"write {SEGMENT.name}", f"sync {SEGMENT.name}"]


class _SlowDisk(OsFileSystem):
    """Syncs of files that are written wait until the test lets them go on."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.syncing = threading.Event()
        self.syncs = 0

    def open(self, path: Path, access: Access) -> OsFile:
        file = super().open(path, access)
        return file if access == "read" else _SlowFile(file, self)


class _SlowFile(OsFile):
    def __init__(self, file: OsFile, disk: _SlowDisk) -> None:
        super().__init__(os.dup(file._fd))
        file.close()
        self._disk = disk

    def sync(self) -> None:
        self._disk.syncing.set()
        assert self._disk.gate.wait(30)
        self._disk.syncs += 1
        super().sync()


async def test_what_queues_during_a_sync_is_the_next_batch(directory: Path) -> None:
    slow_disk = _SlowDisk()
    journal = Journal.open(directory, fs=slow_disk)
    before = slow_disk.syncs
    slow_disk.gate.clear()
    slow_disk.syncing.clear()

    first = asyncio.create_task(journal.append("a", {"n": 0}))
    await asyncio.to_thread(slow_disk.syncing.wait, 30)
    others = [asyncio.create_task(journal.append("b", {"n": n})) for n in range(1, 200)]
    await asyncio.to_thread(lambda: None)
    assert not first.done()
    assert journal.events("a") == []  # not durable, so not there
    slow_disk.gate.set()

    assert await asyncio.gather(first, *others) == list(range(1, 201))
    assert slow_disk.syncs - before == 2
    journal.close()


async def test_a_batch_has_an_end(open_on_disk: OpenJournal, disk: SimulatedFileSystem) -> None:
    journal = open_on_disk()
    before = _syncs(disk)
    await asyncio.gather(*(journal.append("a", {"n": n}) for n in range(2500)))
    assert _syncs(disk) - before == 3
    before = _syncs(disk)
    await asyncio.gather(*(journal.append("a", {"pad": "x" * 1_500_000}) for n in range(4)))
    assert _syncs(disk) - before == 2


@pytest.mark.parametrize("make", [ThreadCommitter, InlineCommitter])
async def test_a_cancelled_append_is_written_all_the_same(make: Callable[[], Committer], directory: Path) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    journal = Journal.open(directory, committer=make())
    task = asyncio.create_task(journal.append("a", {"n": 1}))
    await asyncio.sleep(0)  # it is queued now
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await journal.append("a", {"n": 2}) == 2
    assert [doc["n"] for doc in journal.events("a")] == [1, 2]
    assert complaints == []
    journal.close()
    with JournalReader.open(directory) as reader:
        assert [doc["n"] for doc in reader.events("a")] == [1, 2]


@pytest.mark.parametrize("make", [ThreadCommitter, InlineCommitter])
async def test_closing_writes_what_is_queued_and_tells_who_waits(
    make: Callable[[], Committer], directory: Path
) -> None:
    journal = Journal.open(directory, committer=make())
    tasks = [asyncio.create_task(journal.append("a", {"n": n})) for n in range(3)]
    await asyncio.sleep(0)
    journal.close()

    assert await asyncio.gather(*tasks) == [1, 2, 3]
    assert verify(directory).closed
    assert verify(directory).events == 3


def test_a_loop_that_was_broken_off_with_a_commit_due_does_not_keep_the_next_from_committing(
    open_on_disk: OpenJournal,
) -> None:
    journal = open_on_disk()

    async def broken_off() -> None:
        appending = journal.append("a", {"n": 1})
        appending.send(None)  # it is queued, and its commit is due in the next tick, which never comes
        appending.close()
        raise KeyboardInterrupt

    loop = asyncio.new_event_loop()
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(broken_off())
    loop.close()

    assert asyncio.run(asyncio.wait_for(journal.append("a", {"n": 2}), 30)) == 2
    assert [doc["n"] for doc in journal.events("a")] == [1, 2]


async def test_inserts_of_other_threads_and_appends_mix(journal: Journal) -> None:
    async def append(run: str) -> list[int]:
        return [await journal.append(run, {"n": n}) for n in range(50)]

    def insert(run: str) -> list[int]:
        return [journal.db.insert({"run": run, "n": n}) for n in range(50)]

    results = await asyncio.gather(
        append("a"), append("b"), asyncio.to_thread(insert, "c"), asyncio.to_thread(insert, "d")
    )

    assert sorted(number for result in results for number in result) == list(range(1, 201))
    assert [[doc["n"] for doc in journal.events(run)] for run in "abcd"] == [list(range(50))] * 4


async def test_a_full_disk_refuses_the_batch_cuts_it_back_and_goes_on_when_there_is_room(
    open_on_disk: OpenJournal, disk: SimulatedFileSystem
) -> None:
    journal = open_on_disk()
    await journal.append("a", {"n": 0})
    before = disk.content(SEGMENT)
    disk.capacity = disk._used() + 150  # room for one record of two, and a bit

    results = await asyncio.gather(journal.append("a", {"n": 1}), journal.append("b", {"n": 2}), return_exceptions=True)

    assert [type(result) for result in results] == [DiskFull, DiskFull]
    assert results[0] is not results[1]
    assert disk.content(SEGMENT) == before
    disk.capacity = None
    assert await journal.append("a", {"n": 3}) == 2
    disk.cut_power(lambda n: 0)
    assert [doc["n"] for doc in open_on_disk().db.all()] == [0, 3]


async def test_a_failed_sync_poisons_the_journal_for_good(open_on_disk: OpenJournal, disk: SimulatedFileSystem) -> None:
    journal = open_on_disk()
    await journal.append("a", {"n": 0})
    disk.fail(1)

    with pytest.raises(JournalPoisoned, match="unknown until the next start"):
        await journal.append("a", {"n": 1})
    disk.log.clear()
    with pytest.raises(JournalPoisoned, match="this was not written"):
        await journal.append("a", {"n": 2})
    with pytest.raises(JournalPoisoned):
        journal.db.insert({"n": 3})
    assert disk.log == []
    assert [doc["n"] for doc in journal.events("a")] == [0]
    journal.close()
    assert [doc["n"] for doc in open_on_disk().events("a")] == [0, 1]


async def test_what_queued_behind_a_failed_sync_is_told_that_it_was_not_written(
    open_on_disk: OpenJournal, disk: SimulatedFileSystem
) -> None:
    journal = open_on_disk()
    disk.fail(1)
    appends = [journal.append("a", {"pad": "x" * 3_000_000}) for _ in range(3)]
    results = await asyncio.gather(*appends, return_exceptions=True)
    assert ["unknown" in str(result) for result in results] == [True, False, False]
    assert all(isinstance(result, JournalPoisoned) for result in results)


async def test_a_write_that_fails_otherwise_than_for_room_poisons(
    open_on_disk: OpenJournal, disk: SimulatedFileSystem
) -> None:
    journal = open_on_disk()
    disk.fail(0, errno.EIO)
    with pytest.raises(JournalPoisoned, match="unknown"):
        await journal.append("a", {})


async def test_a_cut_back_that_fails_poisons_because_the_record_may_be_there(
    open_on_disk: OpenJournal, disk: SimulatedFileSystem
) -> None:
    journal = open_on_disk()
    disk.capacity = disk._used() + 20
    disk.fail(2)  # a short write, one that finds no room, and then the cut
    with pytest.raises(JournalPoisoned, match="unknown"):
        await journal.append("a", {"n": 1})


@pytest.mark.parametrize(
    "doc",
    [
        {"n": float("nan")},
        {"deep": [{"n": float("-inf")}]},
        {"n": 2**63},
        {"n": -(2**63) - 1},
        {"n": 2**64},
        {"list": [1, 2**63]},
        {"list": [-(2**63) - 1, 0]},
        {"tuple": ({"x": float("nan")},)},
        {1: "key"},
        {"b": b"bytes"},
        {"text": "\ud800"},
        {"set": {1}},
        {"object": object()},
        {"large": "x" * (16 * 1024 * 1024)},
    ],
    ids=lambda doc: next(iter(map(str, doc))),
)
async def test_what_would_not_read_back_as_it_was_is_refused_before_anything_is_written(
    open_on_disk: OpenJournal, disk: SimulatedFileSystem, doc: dict[Any, Any]
) -> None:
    journal = open_on_disk()
    before = disk.content(SEGMENT)
    with pytest.raises(UsageError, match="cannot be journaled"):
        await journal.append("a", doc)
    assert disk.content(SEGMENT) == before
    assert await journal.append("a", {"edge": [2**63 - 1, -(2**63), None, 1e308, 0.1]}) == 1
    assert journal.events("a")[0]["edge"] == [2**63 - 1, -(2**63), None, 1e308, 0.1]


async def test_an_append_that_comes_too_late_is_refused_not_forgotten(journal: Journal) -> None:
    writer = journal.db.storage.log  # type: ignore[attr-defined]  # the journal's own storage
    check = writer._check_usable
    writer._check_usable = lambda: None  # the journal is closed by another thread just after the check
    journal.close()
    with pytest.raises(AppendOnlyError, match="closed"):
        await asyncio.wait_for(journal.append("a", {}), 30)
    with pytest.raises(AppendOnlyError, match="closed"):
        journal.db.insert({})
    writer._check_usable = check


async def test_a_commit_that_is_broken_off_leaves_nobody_waiting(
    open_on_disk: OpenJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = open_on_disk()
    waiting = asyncio.create_task(journal.append("a", {"n": 1}))
    await asyncio.sleep(0)  # it is queued, and its commit is due in the next tick

    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("flowledger.journal.simulated.SimulatedFile.write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            journal.db.insert({"n": 2})

    with pytest.raises(JournalPoisoned, match="broken off by KeyboardInterrupt"):
        await asyncio.wait_for(waiting, 30)
    with pytest.raises(JournalPoisoned):
        await journal.append("a", {"n": 3})
