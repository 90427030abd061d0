"""A HOME, a configuration or a working folder that a verb does not need cannot make it fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from flowledger.cli.app import app
from flowledger.cli.settings import config_files, profile_of
from flowledger.cli.streams import nowhere
from flowledger.errors import UsageError
from tests.program import Program, Ran, credentials, quiet_logging

# Verbs that need neither a home nor a journal that is there, and what each ends with.
NEED_NO_HOME: Final = (
    ("validate", "spec.yaml"),
    ("plan", "spec.yaml", "--offline"),
    ("runs",),
    ("doctor", "--offline"),
    ("config", "show"),
    ("init", "--list"),
    ("graph",),
)
# What a verb does in a folder that was removed under it.
IN_NO_FOLDER: Final = (
    ("validate", "spec.yaml"),
    ("plan", "spec.yaml"),
    ("apply", "spec.yaml"),
    ("apply", "spec.yaml", "--local"),
    ("apply", "spec.yaml", "--dry-run"),
    ("resume", "a"),
    ("resume", "--all"),
    ("resume", "a", "--plan"),
    ("status", "a"),
    ("history", "a"),
    ("explain", "a"),
    ("watch", "a"),
    ("read", "a"),
    ("drift", "a"),
    ("drift", "a", "--dry-run"),
    ("destroy", "a"),
    ("destroy", "a", "--plan"),
    ("journal", "query"),
    ("journal", "verify"),
    ("journal", "stats"),
    ("journal", "prune"),
    ("journal", "export", "x"),
    ("journal", "repair", "--to", "x"),
    ("init",),
    ("demo",),
)


@pytest.fixture
def homes(tmp_path: Path) -> dict[str, str]:
    """Homes that are of no use, by what is wrong with them."""
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    return {
        "gone": str(tmp_path / "gone"),
        "a file": str(tmp_path / "file"),
        "a loop of links": str(tmp_path / "loop"),
        "a dangling link": str(tmp_path / "dangling"),
        "not UTF-8": os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"),
        "relative": "somewhere",
        "empty": "",
        "too long": "/" + "x" * 300,
        "a device": "/dev/null",
    }


@pytest.mark.parametrize("variable", ["HOME", "XDG_CONFIG_HOME"])
def test_no_verb_fails_because_of_a_home_that_it_does_not_need(
    program: Program, homes: dict[str, str], variable: str
) -> None:
    program.spec()
    for what, home in homes.items():
        for verb in NEED_NO_HOME:
            ran = program(*verb, env={variable: home})
            assert ran.code == 0, (what, verb, ran.err)


def test_without_a_home_a_named_profile_is_looked_for_and_refused_in_words(
    program: Program, homes: dict[str, str]
) -> None:
    for what, home in homes.items():
        ran = program("--profile", "dev", "runs", env={"HOME": home})
        assert ran.code == 2, (what, ran.err)
        assert "there is no profile 'dev'" in ran.err


def test_a_home_that_may_not_be_entered_has_no_profile_and_says_so_when_one_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    closed = {"HOME": str(tmp_path / "closed")}
    found = Path.stat

    def refused(path: Path, **more: Any) -> os.stat_result:
        if "closed" in path.parts:
            raise PermissionError(13, "Permission denied", str(path))
        return found(path, **more)

    monkeypatch.setattr(Path, "stat", refused)
    assert profile_of(closed, tmp_path) is None
    with pytest.raises(UsageError, match=r"config\.toml \(Permission denied\)"):
        profile_of(closed, tmp_path, "dev")


def test_a_relative_home_names_no_configuration(tmp_path: Path) -> None:
    own = [tmp_path / "flowledger.toml"]
    assert config_files({"HOME": "x", "XDG_CONFIG_HOME": "y"}, tmp_path) == own
    users = Path("/h/.config/flowledger/config.toml")
    assert config_files({"HOME": "/h", "XDG_CONFIG_HOME": "y"}, tmp_path) == [users, *own]
    assert config_files({}, None) == []


def test_a_file_of_profiles_that_is_no_file_is_refused_in_words(program: Program) -> None:
    place = program.folder / ".config" / "flowledger" / "config.toml"
    place.mkdir(parents=True)
    ran = program("runs")
    assert (ran.code, "Is a directory" in ran.err) == (2, True)
    assert program("runs", env={"FLOWLEDGER_CONFIG": "/dev/null"}).code == 0  # as the hint says
    place.rmdir()
    os.mkfifo(place)
    ran = program("runs")
    assert (ran.code, "is a pipe" in ran.err) == (2, True)


@pytest.mark.parametrize("variable", ["FLOWLEDGER_CONFIG", "FLOWLEDGER_KINDS"])
def test_a_home_folder_of_no_user_is_refused_in_words(program: Program, variable: str) -> None:
    ran = program("init", "--list", env={variable: "~no-such-user/x"})
    assert ran.code in (2, 3)
    assert f"{variable}: ~no-such-user/x: there is no such home folder" in ran.err


@pytest.fixture
def in_no_folder(program: Program) -> Callable[..., Ran]:
    """The program in a folder that is removed before it begins."""
    program.env["FLOWLEDGER_JOURNAL"] = "journal"

    def run(*verb: str) -> Ran:
        gone = program.folder / "gone"
        gone.mkdir()
        nothing: dict[str, str | None] = {name: None for name in os.environ if name.startswith("FLOWLEDGER_")}
        with chdir(gone), quiet_logging():
            gone.rmdir()
            done = CliRunner().invoke(app, verb, env={**nothing, **program.env})
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Ran(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.mark.parametrize("verb", IN_NO_FOLDER, ids=" ".join)
def test_a_verb_that_needs_the_working_folder_says_that_it_was_removed(
    in_no_folder: Callable[..., Ran], verb: tuple[str, ...]
) -> None:
    ran = in_no_folder(*verb)
    assert ran.code == 2, ran.err
    assert "working folder" in ran.err
    assert "cd" in ran.err
    assert "fault of its own" not in ran.err


@pytest.mark.parametrize("verb", [("runs",), ("config", "show"), ("init", "--list"), ("graph",)], ids=" ".join)
def test_a_verb_that_needs_no_working_folder_works_without_one(
    in_no_folder: Callable[..., Ran], verb: tuple[str, ...]
) -> None:
    ran = in_no_folder(*verb)
    assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    ("error", "code"),
    [("EMFILE", 75), ("EIO", 75), ("EACCES", 2), ("EROFS", 2), ("ENOENT", 2), ("ENOTSUP", 2)],
)
def test_what_the_operating_system_refuses_is_never_called_a_fault_of_the_program(
    program: Program, monkeypatch: pytest.MonkeyPatch, error: str, code: int
) -> None:
    import errno

    def refuse(*_: Any) -> None:
        number = getattr(errno, error)
        raise OSError(number, os.strerror(number), "/some/where")

    monkeypatch.setattr("flowledger.engine.api.read_ledgers", refuse)
    for form in ((), ("--json",)):
        ran = program("runs", *form)
        assert ran.code == code
        assert "fault of its own" not in ran.err
        assert "/some/where" in ran.err
        assert "next: " in ran.err
    assert ran.json["error"]["exit_code"] == code


def test_what_nobody_reads_has_a_place_where_there_is_no_dev_null(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "devnull", str(tmp_path / "null"))
    descriptor = nowhere()
    try:
        assert os.write(descriptor, b"dropped") == 7
    finally:
        os.close(descriptor)
    assert not (tmp_path / "null").exists()


def test_a_limit_of_threads_may_be_lifted_later_and_is_no_fault_of_the_program(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("flowledger.engine.api.read_ledgers", refuse)
    ran = program("runs", "--json")
    assert ran.code == ran.json["error"]["exit_code"] == 75
    assert "ulimit -u" in ran.err


# -- as another user ------------------------------------------------------------------------------------------------


class Service:
    """The program as user 11111, who has no entry in passwd and no HOME that could be entered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {"PATH": os.environ["PATH"]}

    def __call__(self, *arguments: str, **env: str) -> Ran:
        done = subprocess.run(
            ["setpriv", "--reuid", "11111", "--regid", "11111", "--clear-groups", sys.executable, "-m", "flowledger",
             *arguments],
            cwd=self.folder, env={**self.env, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory, program: Program) -> Iterator[Service]:
    import tempfile

    # pytest's own folders are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="service-"))
    folder.chmod(0o755)
    (folder / "work").mkdir()
    shutil.copy(program.folder / program.spec(), folder / "work" / "spec.yaml")
    shutil.copytree(program.folder / "secrets", folder / "work" / "secrets")
    for path in (folder / "work", *(folder / "work").rglob("*")):
        os.chown(path, 11111, 11111)
    (folder / "closed" / "svc").mkdir(parents=True)
    (folder / "closed").chmod(0)
    yield Service(folder / "work")
    shutil.rmtree(folder)


@pytest.mark.needs_system
@pytest.mark.parametrize("home", ["/root", "../closed/svc", "/nonexistent"])
def test_a_service_with_a_home_that_it_may_not_enter_provisions(service: Service, home: str) -> None:
    place = str((service.folder / home).absolute()) if home.startswith("..") else home
    ran = service("apply", "spec.yaml", "--local", HOME=place)
    assert ran.code == 0, ran.err
    for verb in (*NEED_NO_HOME, ("status", "paypal-products"), ("journal", "verify"), ("doctor", "--offline")):
        ran = service(*verb, HOME=place)
        assert ran.code == 0, (verb, ran.err)


@pytest.mark.needs_system
def test_a_file_of_profiles_of_another_user_is_passed_over_with_a_warning(service: Service) -> None:
    theirs = service.folder / "home" / ".config" / "flowledger"
    theirs.mkdir(parents=True)
    (theirs / "config.toml").write_text("[profiles.default]\nsandbox = 'theirs'\n")
    (theirs / "config.toml").chmod(0o600)
    ran = service("config", "show", HOME=str(service.folder / "home"))
    assert ran.code == 0
    assert "belongs to user 0" in ran.err
    assert "theirs" not in ran.out
    assert service("--profile", "default", "config", "show", HOME=str(service.folder / "home")).code == 2


@pytest.mark.needs_system
def test_a_journal_of_another_user_is_refused_with_a_hint_that_works(service: Service) -> None:
    assert service("apply", "spec.yaml", "--local").code == 0
    journal = service.folder / ".flowledger" / "journal"
    for path in (journal, *journal.iterdir()):
        os.chown(path, 0, 0)
    for verb in (("apply", "spec.yaml", "--local"), ("status", "paypal-products"), ("runs",), ("journal", "verify")):
        ran = service(*verb)
        assert ran.code == 1, ran.err
        assert "sudo -u '#0'" in ran.err
        assert "--journal DIR" not in ran.err
    for path in (journal, *journal.iterdir()):
        os.chown(path, 11111, 11111)  # as the hint says
    assert service("apply", "spec.yaml", "--local").code == 0


@pytest.mark.needs_system
def test_every_dry_run_and_reader_works_on_a_journal_that_may_only_be_read(service: Service, served: Any) -> None:
    served.ask("POST", "reset")
    env = credentials(served.url)
    assert service("apply", "spec.yaml", **env).code == 0
    journal = service.folder / ".flowledger" / "journal"
    for path in journal.iterdir():
        path.chmod(0o440)
    journal.chmod(0o550)
    for verb in (
        ("drift", "paypal-products", "--dry-run"),
        ("destroy", "paypal-products", "--dry-run"),
        ("resume", "paypal-products", "--dry-run"),
        ("apply", "spec.yaml", "--dry-run"),
        ("status", "paypal-products"),
        ("journal", "verify"),
    ):
        ran = service(*verb, **env, TMPDIR="/nonexistent")
        assert ran.code == 0, (verb, ran.err)
    ran = service("drift", "paypal-products", **env)
    assert ran.code == 1
    assert f"chmod -R u+rwX {journal.relative_to(service.folder)}" in ran.err
    subprocess.run(["chmod", "-R", "u+rwX", str(journal)], check=True)
    assert service("drift", "paypal-products", **env).code == 0


@pytest.mark.needs_system
def test_a_container_with_a_read_only_root_and_no_temporary_folder_provisions_and_reads(
    service: Service, served: Any
) -> None:
    served.ask("POST", "reset")
    (service.folder / "data").mkdir()
    os.chown(service.folder / "data", 11111, 11111)
    # The root and the temporary folders are read-only, one volume is not; HOME is /root, as images have it.
    script = (
        "mount --make-rprivate / && mount -o remount,ro,bind / && "
        "for m in /tmp /var/tmp; do mount --bind $m $m && mount -o remount,ro,bind $m || exit 99; done; "
        'cd "$0" && mount --bind data data && mount -o remount,rw,bind data && '
        'exec setpriv --reuid 11111 --regid 11111 --clear-groups "$@"'
    )
    env = {
        **service.env,
        **credentials(served.url),
        "HOME": "/root",
        "FLOWLEDGER_JOURNAL": str(service.folder / "data" / "journal"),
    }

    def run(*verb: str) -> Ran:
        line = ["unshare", "-m", "bash", "-c", script, str(service.folder), sys.executable, "-m", "flowledger", *verb]
        done = subprocess.run(
            line, cwd=service.folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90,
            check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    for verb in (
        ("apply", "spec.yaml"),
        ("status", "paypal-products"),
        ("drift", "paypal-products", "--dry-run"),
        ("read", "paypal-products", "--format", "csv"),
        ("read", "paypal-products", "--format", "jsonl"),
        ("destroy", "paypal-products", "--yes"),
    ):
        ran = run(*verb)
        assert ran.code == 0, (verb, ran.err)
