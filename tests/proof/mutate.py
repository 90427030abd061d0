"""Break one rule after the other in a copy of the tree, and print which test catches it: scripts/mutate."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from tests.proof.mutations import MUTATIONS, Edit, Mutation

ROOT: Final = Path(__file__).resolve().parents[2]
LIMIT: Final = 180  # seconds for the tests of one mutation
LIMIT_UNBROKEN: Final = 600  # seconds for all of these tests in the copy as it is
WORDS: Final = 222  # characters of what a failing test said
LEFT_OUT: Final = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the tests in the copy ended."""

    caught_by: str  # the first failing test, "" if none
    seconds: float
    why: str = ""  # what that test said
    trouble: str = ""  # why this run proves nothing


def main() -> int:
    """Run the check and print the table; 0 only if all mutations are caught and the unbroken copy passes."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only mutations whose name contains one of these")
    names = parser.parse_args().names
    chosen = [mutation for mutation in MUTATIONS if not names or any(name in mutation.name for name in names)]
    if not chosen:
        parser.error(f"no mutation is called like that; there are: {', '.join(each.name for each in MUTATIONS)}")
    missed = 0
    with tempfile.TemporaryDirectory(prefix="flowledger-mutate-") as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, symlinks=True, ignore=LEFT_OUT)
        _assert_copy_is_tested(copy)
        tests = list(dict.fromkeys(test for mutation in chosen for test in mutation.tests))
        unbroken = _run(copy, tests, limit=LIMIT_UNBROKEN)
        if unbroken.caught_by or unbroken.trouble:
            print(f"The unbroken copy does not pass: {unbroken.caught_by or unbroken.trouble}")
            return 1
        print(f"Unbroken, these tests pass, in {unbroken.seconds:.0f} s. One rule broken at a time:\n", flush=True)
        for mutation in chosen:
            outcome = _broken(copy, mutation)
            missed += not outcome.caught_by
            print(f"{mutation.name}  (rule {mutation.rule}, {outcome.seconds:.0f} s)", flush=True)
            print(f"    {outcome.caught_by or f'NOT CAUGHT {outcome.trouble}'}", flush=True)
            if outcome.why:
                print(textwrap.indent(textwrap.fill(outcome.why, 74), "    "), flush=True)
    print(f"\n{len(chosen) - missed} of {len(chosen)} mutations were caught.")
    return 1 if missed else 0


def _broken(copy: Path, mutation: Mutation) -> Outcome:
    """Apply, run, put back."""
    before = {edit.file: (copy / edit.file).read_text() for edit in mutation.edits}
    try:
        _apply(copy, mutation.edits)
        return _run(copy, mutation.tests, limit=LIMIT)
    except (LookupError, SyntaxError) as error:
        return Outcome("", 0.0, trouble=f"it cannot be applied: {error}")
    finally:
        for file, text in before.items():
            (copy / file).write_text(text)


def _apply(copy: Path, edits: Sequence[Edit]) -> None:
    for edit in edits:
        edit.apply(copy)
    for edit in edits:
        compile((copy / edit.file).read_text(), edit.file, "exec")  # what cannot be read would be caught by anything


def _run(copy: Path, tests: Sequence[str], *, limit: float) -> Outcome:
    """Run the tests in the copy until the first that fails."""
    began = time.monotonic()
    report = copy.parent / "report.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=native", "-p", "no:cacheprovider"]
    command += [f"--junitxml={report}", *tests]
    try:
        ended = subprocess.run(
            command, cwd=copy, env=_environment(copy), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=limit, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Outcome("", time.monotonic() - began, trouble=f"(no end within {limit:.0f} s)")
    seconds = time.monotonic() - began
    if ended.returncode == 0:
        return Outcome("", seconds)
    failed, why = _first_failure(report) if ended.returncode == 1 else ("", "")
    if not failed:
        said = (ended.stdout + ended.stderr)[-1500:]
        return Outcome("", seconds, trouble=f"(pytest ended with {ended.returncode})\n{said}")
    return Outcome(failed, seconds, why)


def _first_failure(report: Path) -> tuple[str, str]:
    """The id of the first test that failed, and what it said."""
    for case in ElementTree.parse(report).iter("testcase"):
        for child in case:
            if child.tag in ("failure", "error"):
                test = f"{str(case.get('classname')).replace('.', '/')}.py::{case.get('name')}"
                return test, textwrap.shorten(child.get("message", ""), WORDS, placeholder=" ...")
    return "", ""


def _environment(copy: Path) -> dict[str, str]:
    # Children of tests must import the copy as well; and bytecode of the last mutation must not outlive it.
    return {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}


def _assert_copy_is_tested(copy: Path) -> None:
    """An editable installation points to the checkout: what is imported here must be the copy."""
    command = [sys.executable, "-c", "import flowledger.engine.attempt as found; print(found.__file__)"]
    seen = subprocess.run(command, cwd=copy, env=_environment(copy), capture_output=True, text=True, check=True)
    if not Path(seen.stdout.strip()).is_relative_to(copy):
        raise SystemExit(f"not the copy is imported, but {seen.stdout.strip()}")


if __name__ == "__main__":
    sys.exit(main())
