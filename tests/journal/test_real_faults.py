"""What the operating system really does: short writes, kills, links, modes, and systems that are not ours."""

from __future__ import annotations

import errno
import os
import random
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from flowledger.errors import DiskFull, FlowledgerError, JournalCorrupt, JournalError, UsageError
from flowledger.journal import InlineCommitter, Journal, JournalReader, OsFileSystem, SimulatedFileSystem, verify
from flowledger.journal.filesystem import OsFile

SHORT_WRITE = """
import resource, sys
from pathlib import Path
from flowledger.errors import DiskFull
from flowledger.journal import Journal
directory = Path(sys.argv[1])
journal = Journal.open(directory)
journal.db.insert({"n": 0})
segment = directory / "segment-000001.jsonl"
before = segment.read_bytes()
resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 300, resource.RLIM_INFINITY))
try:
    journal.db.insert_multiple([{"n": n, "pad": "x" * 100} for n in range(1, 4)])
except DiskFull as error:
    print(error.exit_code, error.message)
assert segment.read_bytes() == before
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(journal.db.insert({"n": 9}))
journal.close()
"""


def test_a_short_write_is_cut_back_and_the_journal_goes_on(directory: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHORT_WRITE, str(directory)], capture_output=True, text=True, check=True
    )
    told, number = done.stdout.splitlines()
    assert told.startswith("75 ")
    assert os.strerror(errno.EFBIG) in told
    assert number == "2"
    with JournalReader.open(directory) as reader:
        assert reader.all() == [{"n": 0}, {"n": 9}]


KILLED = """
import asyncio, sys
from pathlib import Path
from flowledger.journal import Journal
async def main():
    journal = Journal.open(Path(sys.argv[1]))
    async def work(run):
        n = len(journal.events(run))
        while True:
            await journal.append(run, {"n": n, "pad": "x" * (n * 37 % 5000)})
            sys.stdout.write(f"{run} {n}\\n")
            sys.stdout.flush()
            n += 1
    await asyncio.gather(*(work(f"run-{n}") for n in range(4)))
asyncio.run(main())
"""


def test_killed_in_the_middle_of_appends_everything_acknowledged_is_there(directory: Path) -> None:
    chance = random.Random(7)
    acknowledged: set[tuple[str, int]] = set()
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(directory)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        told = b"".join(process.stdout.readline() for _ in range(chance.randrange(1, 120)))
        process.send_signal(signal.SIGKILL)
        told += process.stdout.read()
        process.wait()
        process.stdout.close()
        for line in told[: told.rindex(b"\n")].decode().splitlines():
            run, n = line.split()
            acknowledged.add((run, int(n)))
        with Journal.open(directory, lock_timeout=10) as journal:
            recovered = {run: [doc["n"] for doc in journal.events(run)] for run in journal.runs()}
        assert all(numbers == list(range(len(numbers))) for numbers in recovered.values())
        assert acknowledged <= {(run, n) for run, numbers in recovered.items() for n in numbers}
    assert len(acknowledged) > 200
    assert verify(directory).sound


@pytest.mark.needs_system
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_an_injected_input_output_error_poisons(call: str, directory: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom flowledger.errors import JournalPoisoned\n"
        "from flowledger.journal import Journal\n"
        "journal = Journal.open(Path(sys.argv[1]))\n"
        "for n in range(20):\n"
        "    try:\n        journal.db.insert({'n': n})\n"
        "    except JournalPoisoned as error:\n        print('poisoned', error)\n        break\n"
        "    print('acknowledged', n)\n"
    )
    done = subprocess.run(
        ["strace", "-f", "-o", "/dev/null", "-e", f"inject={call}:error=EIO:when=8"]  # noqa: RUF005 - two commands
        + [sys.executable, "-c", script, str(directory)],
        capture_output=True,
        text=True,
        check=True,
    )
    *acknowledged, last = done.stdout.splitlines()
    assert last.startswith("poisoned")
    with Journal.open(directory) as journal:
        assert len(acknowledged) <= len(journal.db) <= len(acknowledged) + 1


def test_missing_parents_are_made_and_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b" / "journal"
    umask = os.umask(0)
    try:
        Journal.open(directory).close()
    finally:
        os.umask(umask)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a", directory)] == [0o700, 0o700]
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {
        "lock": 0o600,
        "segment-000001.jsonl": 0o600,
    }


def test_a_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    Journal.open(tmp_path).close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


@pytest.mark.parametrize("name", ["segment-000001.jsonl", "lock"])
def test_a_symbolic_link_is_not_followed(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "journal"
    Journal.open(directory).close()
    (directory / name).rename(tmp_path / "elsewhere")
    (directory / name).symlink_to(tmp_path / "elsewhere")
    before = (tmp_path / "elsewhere").read_bytes()
    with pytest.raises(JournalError, match="symbolic link"):
        Journal.open(directory)
    assert (tmp_path / "elsewhere").read_bytes() == before


def test_somebody_elses_segment_is_not_written(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Journal.open(directory).close()
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    with pytest.raises(JournalError, match="only written by its owner"):
        Journal.open(directory)


def test_a_segment_that_is_no_file_is_refused(directory: Path) -> None:
    directory.mkdir()
    (directory / "segment-000001.jsonl").mkdir()
    with pytest.raises(JournalError):
        Journal.open(directory)


def test_a_pipe_in_the_place_of_a_segment_is_refused_and_not_waited_for(directory: Path) -> None:
    directory.mkdir()
    os.mkfifo(directory / "segment-000001.jsonl")
    with pytest.raises(JournalError, match="not a regular file"):
        JournalReader.open(directory)


def test_a_journal_whose_place_is_a_file_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "journal"):
        with pytest.raises(JournalError, match="cannot be used"):
            Journal.open(place)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_segment_that_nothing_leads_to_is_damage(directory: Path) -> None:
    Journal.open(directory).close()
    (directory / "segment-000002.jsonl").write_text("")
    for opening in (Journal.open, JournalReader.open):
        with pytest.raises(JournalCorrupt, match="does not end with a seal"):
            opening(directory)
    assert not verify(directory).sound


@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES])
def test_no_room_or_no_right_at_opening_is_said_in_words_whichever_call_meets_it(error: int) -> None:
    place = Path("/j")
    whole = SimulatedFileSystem()
    Journal.open(place, fs=whole, committer=InlineCommitter())
    for n in range(whole.calls):
        disk = SimulatedFileSystem()
        disk.fail(n, error)
        with pytest.raises(DiskFull, match=os.strerror(error)) as caught:
            Journal.open(place, fs=disk, committer=InlineCommitter())
        assert caught.value.exit_code == 75
        assert "--journal" in caught.value.hint
        Journal.open(place, fs=disk, committer=InlineCommitter()).close()


def test_a_read_only_place_is_said_in_words() -> None:
    with pytest.raises(FlowledgerError, match="/proc"):
        Journal.open(Path("/proc/flowledger-journal"))


def test_a_creation_that_was_broken_off_is_begun_anew(directory: Path) -> None:
    directory.mkdir()
    (directory / "segment-000001.jsonl.new").write_text('{"crc":"')
    with Journal.open(directory) as journal:
        assert journal.db.insert({"n": 1}) == 1
    assert sorted(path.name for path in directory.iterdir()) == ["lock", "segment-000001.jsonl"]


def test_windows_is_refused_in_words(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UsageError, match="Windows"):
        Journal.open(directory)
    assert not directory.exists()


def test_on_macos_a_sync_reaches_the_medium_not_only_the_drive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import fcntl

    asked: list[int] = []
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda fd, command: asked.append(command))
    monkeypatch.delattr(os, "fdatasync", raising=False)
    file = OsFileSystem().open(tmp_path / "file", "create")
    assert isinstance(file, OsFile)
    file.sync()
    assert asked == [51]
    file.close()
