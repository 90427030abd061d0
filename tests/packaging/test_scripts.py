"""A newcomer's first hour: the scripts set everything up, mend what was interrupted, and say what is missing."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

#: What every POSIX system has; no Python, git, make or compiler among them unless a test adds it.
PROGRAMS = ("sh", "dirname", "grep", "sed", "cat", "env", "mktemp", "rm")


class Newcomer:
    """Somebody with a fresh copy of the project, an empty home and few programs."""

    def __init__(self, tree: Path, tmp_path: Path) -> None:
        self.tree = tree
        self.bin = tmp_path / "bin"
        self.home = tmp_path / "home"
        self.bin.mkdir()
        self.home.mkdir()
        for name in PROGRAMS:
            found = shutil.which(name, path="/usr/bin:/bin")
            assert found, f"this system has no {name}"
            (self.bin / name).symlink_to(found)

    def has_program(self, name: str, source: str) -> None:
        """Put a program of our own on the newcomer's PATH."""
        path = self.bin / name
        path.write_text(source)
        path.chmod(0o755)

    def has_python(self, name: str = "python3") -> None:
        """Put the Python that runs this test on the newcomer's PATH."""
        self.has_program(name, f'#!/bin/sh\nexec "{interpreter()}" "$@"\n')

    def needs_little(self) -> None:
        """Have the project need no more than `demo --help` does: how much it needs is nothing to what is mended."""
        project = self.tree / "pyproject.toml"
        text = project.read_text()
        for extra, wanted in (("dependencies", '["pydantic", "typer"]'), ("data", "[]")):
            text, found = re.subn(rf"^{extra} = \[[^]]*\]", f"{extra} = {wanted}", text, count=1, flags=re.MULTILINE)
            assert found, extra
        project.write_text(text)

    def runs(self, script: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a script of the project with next to nothing in its environment."""
        return subprocess.run(
            [str(self.tree / script), *arguments],
            env=self.environment(**more),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def environment(self, **more: str) -> dict[str, str]:
        """PATH, an empty home, and how this machine reaches its package index."""
        index = {
            name: value for name, value in os.environ.items() if name.startswith("PIP_") or "PROXY" in name.upper()
        }
        cache = {"PIP_CACHE_DIR": str(pip_cache())}
        return {"PATH": str(self.bin), "HOME": str(self.home), **index, **cache, **more}

    @property
    def log(self) -> Path:
        """What pip and venv printed; written anew by each set-up."""
        return self.tree / ".venv.log"


def interpreter() -> str:
    """The real Python under the environment of this test."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def pip_cache() -> Path:
    """This user's cache of wheels, so that a proof does not download them again."""
    asked = subprocess.run([sys.executable, "-m", "pip", "cache", "dir"], capture_output=True, text=True)
    return Path(asked.stdout.strip()) if asked.returncode == 0 else Path.home() / ".cache" / "pip"


@pytest.fixture
def newcomer(copy_project: Callable[[Path], Path], tmp_path: Path) -> Newcomer:
    """A newcomer with a fresh copy of the project and no Python."""
    return Newcomer(copy_project(tmp_path / "a copy"), tmp_path)  # the scripts must survive a space in the path


#: The last thing a script does when all is set up; `--help` asks nothing of a platform.
DEMO = ("scripts/demo", "--help")


def test_without_any_python_the_scripts_say_what_to_install(newcomer: Newcomer) -> None:
    outcome = newcomer.runs(*DEMO)

    assert outcome.returncode == 1
    assert "Python 3.11 or newer" in outcome.stderr
    assert "apt-get install python3 python3-venv" in outcome.stderr
    assert not (newcomer.tree / ".venv").exists()


def test_a_shim_that_fails_and_a_python_too_old_are_passed_over(newcomer: Newcomer) -> None:
    newcomer.has_program("python3.13", "#!/bin/sh\necho 'python3.13: command not found' >&2\nexit 127\n")
    newcomer.has_program("python3.12", "#!/bin/sh\nexit 1\n")

    outcome = newcomer.runs(*DEMO)

    assert outcome.returncode == 1
    assert "command not found" not in outcome.stderr


@pytest.mark.parametrize("script", ["scripts/demo", "scripts/test"])
def test_a_python_without_venv_is_told_debian_s_package(newcomer: Newcomer, script: str) -> None:
    newcomer.has_program(
        "python3",
        f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\nexec "{interpreter()}" "$@"\n',
    )

    outcome = newcomer.runs(script)

    assert outcome.returncode == 1
    assert "apt-get install python3-venv" in outcome.stderr
    assert f"python3.{sys.version_info.minor}-venv" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_python_asked_for_that_is_not_there_is_named(newcomer: Newcomer) -> None:
    newcomer.has_python()

    outcome = newcomer.runs(*DEMO, FLOWLEDGER_PYTHON="/nowhere/python3.99")

    assert outcome.returncode == 1
    assert "FLOWLEDGER_PYTHON=/nowhere/python3.99" in outcome.stderr


@pytest.mark.long
def test_what_pip_prints_is_shown_when_the_set_up_fails(newcomer: Newcomer) -> None:
    newcomer.has_python()
    (newcomer.tree / "constraints.txt").write_text("aiohttp==0.0.0.dev0\n")

    outcome = newcomer.runs(*DEMO, PIP_NO_INDEX="1", PIP_RETRIES="0")

    assert outcome.returncode == 1
    assert "ERROR: " in outcome.stderr
    assert "`pip install` ended with 1; the whole log is .venv.log" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert not (newcomer.tree / ".venv" / "ready").exists()


def test_every_script_is_executable_and_plain_sh(root: Path) -> None:
    for name in ("scripts/demo", "scripts/test", ".ci/run"):
        assert (root / name).stat().st_mode & stat.S_IXUSR, name
        shell = "bash" if name == ".ci/run" else "sh"
        checked = subprocess.run([shell, "-n", str(root / name)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("failing", ["-m ruff check", "-m ruff format", "-m mypy", "-m pytest -q", "nothing"])
def test_the_checks_pass_only_if_each_of_them_does(newcomer: Newcomer, failing: str) -> None:
    """The environment is there, and its Python says what it is called with instead of doing it."""
    python = newcomer.tree / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "called: $*"\ncase "$*" in *"{failing}"*) exit 3 ;; esac\n')
    python.chmod(0o755)

    outcome = newcomer.runs("scripts/test", "-k", "some")

    assert outcome.returncode == (0 if failing == "nothing" else 3), outcome.stderr
    if "ruff" not in failing:
        assert "called: -m mypy\n" in outcome.stdout
        assert "-m not needs_system and not long -k some" in outcome.stdout


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_first_start_says_what_it_does_and_a_second_runs_no_pip(newcomer: Newcomer) -> None:
    newcomer.has_python()

    started = time.monotonic()
    first = newcomer.runs(*DEMO)
    print(f"first start: {time.monotonic() - started:.1f} s")
    assert first.returncode == 0, first.stderr
    said = first.stderr.splitlines()
    assert "setting up .venv with" in said[0], "the first line says what it does"
    assert all(re.fullmatch(r"flowledger: [0-9]+ s: .+", line) for line in said[1:]), "the others how far it is"
    assert "Successfully installed" in newcomer.log.read_text()

    newcomer.log.unlink()
    started = time.monotonic()
    second = newcomer.runs(*DEMO)
    print(f"second start: {time.monotonic() - started:.1f} s")
    assert (second.returncode, second.stderr) == (0, "")
    assert second.stdout == first.stdout
    assert not newcomer.log.exists(), "the second start ran venv or pip"

    provisioned = newcomer.runs("scripts/demo")
    assert provisioned.returncode == 0, provisioned.stderr
    assert "Journal: .flowledger/demo/journal" in provisioned.stdout
    again = newcomer.runs("scripts/demo")
    assert again.returncode == 0, again.stderr
    assert "nothing to do" in (again.stdout + again.stderr).lower()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_an_environment_that_has_lost_something_is_mended(newcomer: Newcomer) -> None:
    newcomer.has_python()
    newcomer.needs_little()
    assert newcomer.runs(*DEMO).returncode == 0
    environment = newcomer.tree / ".venv"
    package = next(environment.glob("lib/python*/site-packages/pydantic"))
    for lost in (
        environment / "ready",  # killed before the last step
        package,  # somebody tidied up
        environment / "bin" / "python",  # the Python below was removed
        environment / "lib",  # killed while venv was at work
    ):
        shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
        mended = newcomer.runs(*DEMO)
        assert mended.returncode == 0, mended.stderr
        assert package.is_dir()
        assert (environment / "ready").is_file()


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("everything", [True, False], ids=["with its programs", "alone, its programs live on"])
def test_a_set_up_that_was_killed_is_mended_by_the_next(newcomer: Newcomer, everything: bool) -> None:
    newcomer.has_python()
    newcomer.needs_little()
    with subprocess.Popen(
        [str(newcomer.tree / DEMO[0]), *DEMO[1:]],
        env=newcomer.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as killed:
        assert killed.stderr is not None
        assert "setting up" in killed.stderr.readline()
        if everything:
            os.killpg(killed.pid, signal.SIGKILL)
        else:
            killed.kill()
    assert killed.returncode == -signal.SIGKILL

    mended = newcomer.runs(*DEMO)

    assert mended.returncode == 0, mended.stderr
    assert mended.stdout != ""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_changed_pins_and_a_moved_checkout_are_noticed(newcomer: Newcomer, tmp_path: Path) -> None:
    newcomer.has_python()
    newcomer.needs_little()
    assert newcomer.runs(*DEMO).returncode == 0

    with (newcomer.tree / "constraints.txt").open("a") as pins:
        pins.write("# a new line\n")
    again = newcomer.runs(*DEMO)
    assert again.returncode == 0, again.stderr
    assert "setting up" in again.stderr

    newcomer.tree = newcomer.tree.rename(tmp_path / "elsewhere")
    moved = newcomer.runs(*DEMO)
    assert moved.returncode == 0, moved.stderr
    assert "setting up" in moved.stderr
    assert (newcomer.tree / ".venv" / "bin" / "flowledger").read_text().startswith(f"#!{newcomer.tree}")


@pytest.mark.long
@pytest.mark.timeout(600)
def test_two_first_starts_at_once_make_one_environment(newcomer: Newcomer) -> None:
    newcomer.has_python()
    newcomer.needs_little()
    both = [
        subprocess.Popen(
            [str(newcomer.tree / DEMO[0]), *DEMO[1:]],
            env=newcomer.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outcomes = [(*process.communicate(), process.returncode) for process in both]

    assert [code for _, _, code in outcomes] == [0, 0], outcomes
    assert sum("setting up .venv with" in stderr for _, stderr, _ in outcomes) == 1
    assert sum("waiting for it" in stderr for _, stderr, _ in outcomes) <= 1


@pytest.mark.long
def test_an_environment_that_somebody_else_made_is_moved_aside_not_removed(newcomer: Newcomer) -> None:
    newcomer.has_python()
    (newcomer.tree / ".venv").mkdir()
    (newcomer.tree / ".venv" / "precious").write_text("mine")

    outcome = newcomer.runs(
        *DEMO, PIP_NO_INDEX="1", PIP_FIND_LINKS="", PIP_RETRIES="0"
    )  # fails later, without an index

    assert "was not made by these scripts" in outcome.stderr
    assert [path.read_text() for path in newcomer.tree.glob(".venv.*/precious")] == ["mine"]
