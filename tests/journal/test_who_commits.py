"""A lone append on a quick disk is written by the loop itself, everything else by the thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from flowledger.journal import Journal, OsFileSystem, ThreadCommitter
from flowledger.journal.committer import _SURE
from flowledger.journal.filesystem import Access, OsFile
from flowledger.journal.writer import Entry, tell


class _Watched(OsFileSystem):
    """Notes which thread syncs, and lets each sync take as long as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.takes = 0.0005
        self.in_loop: list[bool] = []

    def open(self, path: Path, access: Access) -> OsFile:
        file = super().open(path, access)
        if access == "write":

            class Watching(OsFile):
                __slots__ = ()

                def sync(watching) -> None:  # noqa: N805 - self is the file system here
                    self.in_loop.append(threading.current_thread() is threading.main_thread())
                    self.now += self.takes  # and no real sync: what is asked here is who does it

            watching = Watching(file._fd)
            file._fd = -1
            return watching
        return file


@pytest.fixture
def disk() -> _Watched:
    return _Watched()


@pytest.fixture
def opened(disk: _Watched, directory: Path) -> Callable[[], Journal]:
    return lambda: Journal.open(directory, fs=disk, committer=ThreadCommitter(clock=lambda: disk.now))


async def _appended(journal: Journal, times: int) -> None:
    for n in range(times):
        await journal.append("a", {"n": n})


async def test_a_lone_append_is_written_in_the_loop_once_the_disk_has_shown_itself_quick(
    disk: _Watched, opened: Callable[[], Journal]
) -> None:
    with opened() as journal:
        disk.in_loop.clear()
        await _appended(journal, _SURE + 5)
        assert disk.in_loop == [False] * _SURE + [True] * 5
        assert [document["n"] for document in journal.events("a")] == list(range(_SURE + 5))


async def test_a_disk_that_gets_slow_is_left_to_the_thread_until_it_is_quick_again(
    disk: _Watched, opened: Callable[[], Journal]
) -> None:
    with opened() as journal:
        await _appended(journal, _SURE)
        disk.in_loop.clear()
        disk.takes = 0.02
        await _appended(journal, 4)
        disk.takes = 0.0005
        await _appended(journal, _SURE + 1)
        assert disk.in_loop == [True] + [False] * (3 + _SURE) + [True]


async def test_with_several_runs_at_work_the_loop_never_waits_for_the_disk(
    disk: _Watched, opened: Callable[[], Journal]
) -> None:
    with opened() as journal:
        await _appended(journal, _SURE)
        with journal.claim("a"), journal.claim("b"):
            disk.in_loop.clear()
            await _appended(journal, 5)
            assert disk.in_loop == [False] * 5
        with journal.claim("a"):
            await _appended(journal, 1)
            assert disk.in_loop[-1]


async def test_appends_of_one_tick_go_to_the_thread_in_one_batch(disk: _Watched, opened: Callable[[], Journal]) -> None:
    with opened() as journal:
        await _appended(journal, _SURE)
        disk.in_loop.clear()
        numbers = await asyncio.gather(*(journal.append(f"r{n}", {"n": n}) for n in range(1500)))
        assert numbers == sorted(numbers)
        assert disk.in_loop == [False] * 2  # a batch has at most a thousand records


async def test_an_append_while_the_thread_is_at_work_is_left_to_the_thread(
    disk: _Watched, opened: Callable[[], Journal]
) -> None:
    with opened() as journal:
        await _appended(journal, _SURE)
        writer = journal.db.storage.log  # type: ignore[attr-defined]  # the journal's own storage
        disk.in_loop.clear()
        commit, in_loop = writer.commit, []

        def watched() -> list[Entry]:
            in_loop.append(threading.current_thread() is threading.main_thread())
            return [] if in_loop[-1] else commit()  # the loop would wait for the lock that is held below

        writer.commit = watched
        with writer._committing:  # as if a batch were being written
            waiting = asyncio.create_task(journal.append("a", {"n": 100}))
            for _ in range(5):
                await asyncio.sleep(0)
            assert not waiting.done()  # and the loop goes on
            assert not any(in_loop)
        await asyncio.wait_for(waiting, 30)
        assert disk.in_loop == [False]
        writer.commit = commit


def test_a_loop_that_was_broken_off_before_its_commit_does_not_lose_the_append(
    disk: _Watched, opened: Callable[[], Journal], directory: Path
) -> None:
    journal = opened()
    asyncio.run(_appended(journal, _SURE))

    async def broken_off() -> None:
        appending = journal.append("a", {"n": 100})
        appending.send(None)
        appending.close()
        raise KeyboardInterrupt

    loop = asyncio.new_event_loop()
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(broken_off())
    loop.close()
    asyncio.run(asyncio.wait_for(_appended(journal, 1), 30))
    assert [document["n"] for document in journal.events("a")] == [*range(_SURE), 100, 0]
    journal.close()


async def test_the_thread_alone_can_be_asked_for(disk: _Watched, directory: Path) -> None:
    committer = ThreadCommitter(in_loop=0, clock=lambda: disk.now)
    with Journal.open(directory, fs=disk, committer=committer) as journal:
        disk.in_loop.clear()
        await _appended(journal, 3 * _SURE)
        assert not any(disk.in_loop)


async def test_an_append_behind_one_that_the_thread_took_along_is_not_left_lying(
    disk: _Watched, opened: Callable[[], Journal]
) -> None:
    with opened() as journal:
        await _appended(journal, _SURE)
        writer = journal.db.storage.log  # type: ignore[attr-defined]  # the journal's own storage
        first, second = journal.append("a", {"n": 100}), journal.append("a", {"n": 101})
        # In one tick: an append, the last round of a thread that was still at work, and another append.
        first.send(None)
        tell(writer.commit())
        waiting = second.send(None)
        told, _ = await asyncio.wait({waiting}, timeout=5)
        assert told == {waiting}
        first.close()
        second.close()
        assert [document["n"] for document in journal.events("a")] == [*range(_SURE), 100, 101]
