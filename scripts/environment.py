"""Make, mend or check the project's environment, `.venv`, so that a script can run in it.

The stamp `.venv/ready` is written last and says for which project, Python and pins the environment was made, and what
lies in it. No stamp, or one that no longer fits, and `.venv` is made anew. One process at a time works on it: the lock
is the kernel's, so it cannot outlive its holder. Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
ENVIRONMENT: Final = ROOT / ".venv"
STAMP: Final = ENVIRONMENT / "ready"
MARK: Final = ENVIRONMENT / "made-by-flowledger"
LOCK: Final = ROOT / ".venv.lock"
LOG: Final = ROOT / ".venv.log"
TELL_EVERY: Final = 10.0  # seconds between two lines about a set-up that takes long
LEVELS: Final = ("core", "data", "test")  # each holds the one before it
INPUTS: Final = ("pyproject.toml", "constraints.txt", "scripts/environment.py")


class SetupFailed(Exception):
    """The environment could not be made; the message says why and what to do."""


def fingerprint() -> str:
    """Return what an environment must have been made from to be of use here: place and inputs."""
    told = hashlib.sha256(os.fsencode(ROOT))
    for name in INPUTS:
        told.update((ROOT / name).read_bytes())
    return told.hexdigest()


def python_of(command: str) -> list[str]:
    """Return version and real path of the interpreter behind `command`, seen through environments and links."""
    source = (
        "import os, sys; print('%d.%d.%d' % sys.version_info[:3]);"
        "print(os.path.realpath(getattr(sys, '_base_executable', None) or sys.executable))"
    )
    seen = subprocess.run([command, "-I", "-c", source], check=True, capture_output=True, text=True)
    return seen.stdout.splitlines()


def contents() -> list[str]:
    """Return what lies at the top of the environment's library and of its programs."""
    folders = [next(ENVIRONMENT.glob("lib/python*/site-packages")), ENVIRONMENT / "bin"]
    return sorted(
        str(entry.relative_to(ENVIRONMENT))
        for folder in folders
        for entry in folder.iterdir()
        if entry.name != "__pycache__"
    )


def read_stamp() -> dict[str, Any] | None:
    """Return the stamp of a finished environment that was made here from today's inputs and is still whole."""
    try:
        stamp: dict[str, Any] = json.loads(STAMP.read_text())
        fits = stamp["fingerprint"] == fingerprint() and stamp["level"] in LEVELS
        whole = all((ENVIRONMENT / name).exists() for name in stamp["contents"])
        of_this_python = (ENVIRONMENT / "lib" / stamp["library"]).is_dir()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stamp if fits and whole and of_this_python else None


def is_ready(level: str) -> bool:
    """Tell whether the environment holds what `level` needs. Also for the Python asked for by FLOWLEDGER_PYTHON."""
    stamp = read_stamp()
    if stamp is None or LEVELS.index(stamp["level"]) < LEVELS.index(level):
        return False
    return right_python(stamp)


def right_python(stamp: dict[str, Any]) -> bool:
    """Tell whether the environment runs, and on the Python asked for when one was."""
    try:
        own = python_of(str(ENVIRONMENT / "bin" / "python"))
        asked = os.environ.get("FLOWLEDGER_PYTHON")
        return own[0].rsplit(".", 1)[0] == stamp["python"][0].rsplit(".", 1)[0] and (
            not asked or python_of(asked) == stamp["python"]
        )
    except (OSError, subprocess.CalledProcessError):
        return False


def run(arguments: list[str], lock: int) -> None:
    """Run one program of the set-up; what it prints goes to the log, and to stderr if it fails."""
    with LOG.open("ab") as log:
        log.write(f"$ {' '.join(arguments)}\n".encode())
        log.flush()
        started = log.tell()
        # The program inherits the lock: should this process be killed, nobody else starts before pip has ended too.
        with subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(lock,), cwd=ROOT
        ) as program:
            code = _waited_for(program, started)
    if code != 0:
        with LOG.open("rb") as log:
            log.seek(started)
            sys.stderr.write(log.read().decode(errors="replace"))
        what = " ".join([word for word in arguments[1:] if not word.startswith("-")][:2])
        raise SetupFailed(f"`{what}` ended with {code}; the whole log is {LOG.name}")


def _waited_for(program: subprocess.Popen[bytes], started: int) -> int:
    """Wait for a program and return its exit code; every few seconds say on stderr how far it is.

    `started`: the byte of the log at which its output begins.
    """
    began = time.monotonic()
    while True:
        try:
            return program.wait(timeout=TELL_EVERY)
        except subprocess.TimeoutExpired:
            said = LOG.read_bytes()[started:]
            looked_up = said.count(b"Collecting ")
            doing = f"{looked_up} packages looked up or downloaded" if looked_up else "preparing"
            if b"Installing collected packages" in said:
                doing = "installing them"
            print(f"flowledger: {time.monotonic() - began:.0f} s: {doing}", file=sys.stderr, flush=True)


def requirements(level: str) -> list[str]:
    """Return what pyproject.toml asks for: the core's dependencies, and the extra that is called like the level."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted: list[str] = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    more: list[str] = project["project"]["optional-dependencies"].get(level, [])
    return [*wanted, *more]


def clear_the_way() -> None:
    """Remove an environment of ours that is of no use; move aside a `.venv` that somebody else made."""
    folder = ENVIRONMENT.is_dir() and not ENVIRONMENT.is_symlink()
    if folder and (MARK.exists() or not any(ENVIRONMENT.iterdir())):
        shutil.rmtree(ENVIRONMENT)
    elif ENVIRONMENT.exists() or ENVIRONMENT.is_symlink():
        aside = ROOT / f".venv.{time.strftime('%Y%m%d-%H%M%S')}"
        ENVIRONMENT.rename(aside)
        print(f"flowledger: .venv was not made by these scripts; it is now {aside.name}", file=sys.stderr)


def make(level: str, lock: int) -> None:
    """Bring the environment to `level`, anew unless a finished one can be added to."""
    stamp = read_stamp()
    LOG.write_bytes(b"")
    program = str(ENVIRONMENT / "bin" / "python")
    pip = [program, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    if stamp is not None and right_python(stamp):
        base: list[str] = stamp["python"]
        STAMP.unlink()  # from here on an interruption means: from the beginning
        print("flowledger: adding what more is needed to .venv", file=sys.stderr)
    else:
        base = python_of(sys.executable)
        clear_the_way()
        print(f"flowledger: setting up .venv with Python {base[0]}; this takes a minute or two", file=sys.stderr)
        ENVIRONMENT.mkdir()
        MARK.write_text("scripts/environment.py made this folder, and removes it when it has to make a new one.\n")
        # The real interpreter, not an environment's: an environment can be thrown away under ours.
        run([base[1], "-I", "-m", "venv", str(ENVIRONMENT)], lock)
    run([*pip, "install", "--only-binary=:all:", "-c", "constraints.txt", *requirements(level)], lock)
    run([*pip, "install", "--no-deps", "--no-build-isolation", "-e", "."], lock)
    run([*pip, "check"], lock)
    stamp = {
        "fingerprint": fingerprint(),
        "level": level,
        "python": base,
        "library": next(ENVIRONMENT.glob("lib/python*")).name,
        "contents": contents(),
    }
    unfinished = STAMP.with_suffix(".new")
    unfinished.write_text(json.dumps(stamp, indent=1))
    unfinished.replace(STAMP)


def main(arguments: list[str]) -> int:
    """`environment.py [--check] core|data|test`: exit 0 when the environment is ready, 1 when it is not."""
    level = arguments[-1]
    if arguments[0] == "--check":
        return 0 if is_ready(level) else 1
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("flowledger: another process is setting up .venv; waiting for it", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_ready(level):
            try:
                make(level, lock.fileno())
            except (SetupFailed, OSError) as failure:
                print(f"flowledger: .venv could not be set up: {failure}", file=sys.stderr)
                return 1
            except KeyboardInterrupt:
                print("flowledger: interrupted; the next start sets .venv up from the beginning", file=sys.stderr)
                return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
