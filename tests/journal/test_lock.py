"""One writer a journal: the second is told who has it, or waits; a fork is no second writer; death frees the lock."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

import pytest

from flowledger.errors import AppendOnlyError, JournalError, JournalHeld, JournalUnavailable, TryLater
from flowledger.journal import InlineCommitter, Journal, OsFileSystem, SimulatedFileSystem
from flowledger.journal.opening import open_writer

HOLD = """
import sys
from pathlib import Path
from flowledger.journal import Journal
journal = Journal.open(Path(sys.argv[1]))
number = journal.db.insert({"run": "theirs", "n": 1})
print(f"holding {number}", flush=True)
sys.stdin.readline()
journal.db.insert({"run": "theirs", "n": 2})
journal.close()
print("closed", flush=True)
"""


class Holder:
    """Another process that has the journal open."""

    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.out.readline() == "holding 1\n"

    @property
    def out(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def let_go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@pytest.fixture
def holder(directory: Path) -> Iterator[Holder]:
    held = Holder(directory)
    yield held
    held.process.kill()
    held.process.communicate()


def test_the_second_process_is_told_who_has_the_journal(holder: Holder, directory: Path) -> None:
    with pytest.raises(JournalHeld) as caught:
        Journal.open(directory)
    assert f"process {holder.process.pid} on {socket.gethostname()} since 20" in caught.value.holder
    assert caught.value.holder in str(caught.value)
    assert "--lock-timeout" in caught.value.hint
    assert caught.value.exit_code == 6


def test_the_second_process_waits_and_then_reads_what_the_first_wrote_at_the_end(
    holder: Holder, directory: Path
) -> None:
    with pytest.raises(JournalHeld):
        Journal.open(directory, lock_timeout=0.2)
    holder.let_go()
    with Journal.open(directory, lock_timeout=60) as journal:
        # The lock is taken before the journal is read: reading first would have missed the second event.
        assert [doc["n"] for doc in journal.events("theirs")] == [1, 2]
        assert journal.db.insert({"n": 3}) == 4  # number 3 is the note of the clean end


def test_a_killed_holder_leaves_no_lock_behind(holder: Holder, directory: Path) -> None:
    holder.process.send_signal(signal.SIGKILL)
    holder.process.wait()
    with Journal.open(directory) as journal:
        assert journal.recovered is None
        assert [doc["n"] for doc in journal.events("theirs")] == [1]


def test_waiting_for_the_lock_takes_as_long_as_was_said(disk: SimulatedFileSystem) -> None:
    held = Journal.open(Path("/j"), fs=disk, committer=InlineCommitter())
    now = [100.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    with pytest.raises(JournalHeld):
        open_writer(
            Path("/j"),
            fs=disk,
            committer=InlineCommitter(),
            lock_timeout=0.12,
            wall=lambda: 0.0,
            monotonic=lambda: now[0],
            sleep=sleep,
        )
    assert sum(slept) == pytest.approx(0.12)
    held.close()


@pytest.mark.parametrize("error", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_without_locks_is_refused_in_words(error: int, disk: SimulatedFileSystem) -> None:
    disk.fail(1, error)  # the call after the one that makes the directory
    with pytest.raises(JournalError, match="cannot be used") as caught:
        Journal.open(Path("/j"), fs=disk, committer=InlineCommitter())
    assert disk.log[-1] == "lock /j/lock"
    assert caught.value.exit_code == 1
    assert "--journal DIR" in caught.value.hint  # there is no journal yet, so a new one makes nothing twice


class WithoutLocks(OsFileSystem):
    def __init__(self, error: int) -> None:
        super().__init__()
        self._error = error

    def lock(self, path: Path) -> NoReturn:
        raise OSError(self._error, os.strerror(self._error), str(path))


@pytest.mark.parametrize("error", [errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_journal_with_runs_on_a_file_system_without_locks_is_to_be_copied_whole(error: int, directory: Path) -> None:
    Journal.open(directory).close()
    with pytest.raises(JournalError) as caught:
        Journal.open(directory, fs=WithoutLocks(error))
    assert caught.value.exit_code == 1
    assert "copy the whole journal folder" in caught.value.hint
    assert "--journal DIR" not in caught.value.hint


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (errno.ENOLCK, "lock service"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENFILE, "descriptors"),
        (errno.EIO, "dmesg"),
        (errno.ESTALE, "mount"),
        (errno.ENOTCONN, "mount"),
        (errno.EINTR, "later"),
        (errno.ETIMEDOUT, "mount"),
        (errno.ENOMEM, "memory"),
    ],
)
@pytest.mark.parametrize("begun", [True, False])
def test_a_lock_or_descriptor_that_is_missing_for_a_moment_is_tried_again_later(
    error: int, hint: str, directory: Path, *, begun: bool
) -> None:
    if begun:
        Journal.open(directory).close()
    with pytest.raises(JournalUnavailable, match=os.strerror(error)) as caught:
        Journal.open(directory, fs=WithoutLocks(error))
    assert isinstance(caught.value, TryLater)
    assert caught.value.exit_code == 75
    assert hint in caught.value.hint
    assert "--journal" not in caught.value.hint


def test_a_failed_opening_lets_go_of_the_lock(disk: SimulatedFileSystem) -> None:
    segment = Path("/j/segment-000001.jsonl")
    Journal.open(Path("/j"), fs=disk, committer=InlineCommitter()).close()
    good = disk.content(segment)
    disk.replace_content(segment, b"x" + good[1:])
    with pytest.raises(Exception, match="damaged"):
        Journal.open(Path("/j"), fs=disk, committer=InlineCommitter())
    disk.replace_content(segment, good)
    Journal.open(Path("/j"), fs=disk, committer=InlineCommitter()).close()


FORK = """
import asyncio, gc, os, signal, sys
from pathlib import Path
from flowledger.errors import AppendOnlyError, JournalHeld
from flowledger.journal import Journal
directory = Path(sys.argv[1])
journal = Journal.open(directory)
journal.db.insert({"run": "a", "n": 1})
child = os.fork()
if child == 0:
    try:
        journal.db.insert({"run": "a", "n": 2})
    except AppendOnlyError as error:
        assert "forked" in str(error), error
    else:
        os._exit(1)
    try:
        asyncio.run(journal.append("a", {"n": 2}))
    except AppendOnlyError:
        pass
    else:
        os._exit(2)
    if [doc["n"] for doc in journal.events("a")] != [1]:
        os._exit(3)
    journal.close()
    del journal
    gc.collect()
    try:
        Journal.open(directory)
    except JournalHeld:
        os._exit(0)
    os._exit(4)
_, status = os.waitpid(child, 0)
print("child", os.waitstatus_to_exitcode(status), flush=True)
journal.db.insert({"run": "a", "n": 3})
if os.fork() == 0:
    signal.pause()
print("dying", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_forked_child_refuses_and_neither_frees_nor_keeps_the_lock(directory: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", FORK, str(directory)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "child 0\n"
        assert process.stdout.readline() == "dying\n"
        assert process.wait() == -signal.SIGKILL
        # The second child is alive and has inherited everything, yet its parent's lock died with the parent.
        with Journal.open(directory, lock_timeout=10) as journal:
            assert [doc["n"] for doc in journal.events("a")] == [1, 3]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()


FORK_WHILE_SYNCING = """
import os, signal, sys, threading
from pathlib import Path
from flowledger.journal import Journal, OsFileSystem
from flowledger.journal.filesystem import OsFile
syncing, go_on = threading.Event(), threading.Event()
class Slow(OsFile):
    def sync(self):
        syncing.set()
        assert go_on.wait(30)
class SlowDisk(OsFileSystem):
    def open(self, path, access):
        file = super().open(path, access)
        if access != "write":
            return file
        slow, file._fd = Slow(file._fd), -1
        return slow
go_on.set()
journal = Journal.open(Path(sys.argv[1]), fs=SlowDisk())
go_on.clear()
syncing.clear()
inserting = threading.Thread(target=journal.db.insert, args=({"n": 1},))
inserting.start()
assert syncing.wait(30)
child = os.fork()
if child == 0:
    signal.alarm(10)  # what would wait for ever ends by this
    journal.close()
    os._exit(0)
print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
go_on.set()
inserting.join()
print(len(journal.db), flush=True)
"""


def test_a_child_that_was_forked_while_a_batch_was_being_written_can_let_go_of_the_journal(directory: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK_WHILE_SYNCING, str(directory)], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("child 0\n1\n", "")


def test_the_lock_says_nothing_of_a_holder_that_cannot_be_read(tmp_path: Path) -> None:
    fs = OsFileSystem()
    lock = fs.lock(tmp_path / "lock")
    assert lock is not None
    with pytest.raises(JournalHeld, match="another process, which has not yet said who it is"):
        Journal.open(tmp_path)
    lock.close()
    Journal.open(tmp_path).close()


def test_the_forked_childs_refusal_names_the_process_that_owns_the_journal(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.getpid()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: owner + 1)
        with pytest.raises(AppendOnlyError, match=f"belongs to process {owner}"):
            journal.db.insert({})
