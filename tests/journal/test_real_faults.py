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

from flowledger.errors import (
    DiskFull,
    FlowledgerError,
    JournalCorrupt,
    JournalDenied,
    JournalError,
    JournalUnavailable,
    UsageError,
)
from flowledger.journal import InlineCommitter, Journal, JournalReader, OsFileSystem, SimulatedFileSystem, verify
from flowledger.journal.filesystem import Access, OsFile
from flowledger.journal.refusal import unwritable

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


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (errno.ENOSPC, DiskFull, 75),
        (errno.EDQUOT, DiskFull, 75),
        (errno.EFBIG, DiskFull, 75),
        (errno.EROFS, JournalDenied, 1),
        (errno.EACCES, JournalDenied, 1),
        (errno.EPERM, JournalDenied, 1),
        (errno.EMFILE, JournalUnavailable, 75),
        (errno.EIO, JournalUnavailable, 75),
    ],
)
def test_what_is_missing_at_opening_is_said_in_words_whichever_call_meets_it(
    error: int, kind: type[FlowledgerError], code: int
) -> None:
    place = Path("/j")
    whole = SimulatedFileSystem()
    Journal.open(place, fs=whole, committer=InlineCommitter())
    for n in range(whole.calls):
        disk = SimulatedFileSystem()
        disk.fail(n, error)
        with pytest.raises(kind, match=os.strerror(error)) as caught:
            Journal.open(place, fs=disk, committer=InlineCommitter())
        assert caught.value.exit_code == code
        assert caught.value.hint
        assert "--journal DIR" not in caught.value.hint  # a new journal would make everything a second time
        Journal.open(place, fs=disk, committer=InlineCommitter()).close()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_in_the_middle_of_a_run_is_no_reason_for_an_empty_journal(error: int) -> None:
    disk = SimulatedFileSystem()
    with Journal.open(Path("/j"), fs=disk, committer=InlineCommitter()) as journal:
        disk.fail(0, error)
        with pytest.raises(DiskFull) as caught:
            journal.db.insert({"n": 1})
        assert "copy the whole journal folder (/j) to a larger disk, then --journal THERE" in caught.value.hint
        assert journal.db.insert({"n": 2}) == 1


@pytest.mark.parametrize(
    ("error", "kind"), [(errno.EACCES, JournalDenied), (errno.EROFS, JournalDenied), (errno.EMFILE, JournalUnavailable)]
)
def test_what_is_lost_between_two_segments_refuses_the_append_and_loses_nothing(
    error: int, kind: type[FlowledgerError], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_new_segment(fs: OsFileSystem, path: Path, access: Access) -> OsFile:
        if path.name.endswith(".jsonl.new"):
            raise OSError(error, os.strerror(error), str(path))
        return opened(fs, path, access)

    opened = OsFileSystem.open
    with Journal.open(directory, segment_size=2000) as journal:
        journal.db.insert({"pad": "x" * 1500})
        with monkeypatch.context() as patch:
            patch.setattr(OsFileSystem, "open", no_new_segment)
            with pytest.raises(kind):
                journal.db.insert({"pad": "y" * 1500})
        journal.db.insert({"pad": "z"})
        assert [doc["pad"][0] for doc in journal.db.all()] == ["x", "z"]
    assert verify(directory).sound


def test_a_journal_of_another_user_names_the_user_and_both_ways_out(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Journal.open(directory).close()
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    with pytest.raises(JournalDenied) as caught:
        Journal.open(directory)
    assert caught.value.exit_code == 1
    assert f"sudo -u '#{me}'" in caught.value.hint
    assert f"chown -R {me + 1} {directory}" in caught.value.hint
    assert "--journal" not in caught.value.hint


def test_who_could_not_write_a_journal_is_known_without_a_try(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Journal.open(directory).close()
    assert unwritable(directory) is None
    monkeypatch.setattr(os, "access", lambda *_: False)
    denied = unwritable(directory)
    assert denied is not None
    assert f"chmod -R u+rwX {directory}" in denied.hint
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    denied = unwritable(directory)
    assert denied is not None
    assert f"belongs to user {me}" in denied.message


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
