"""Run the crash matrix, the real kills and the fuzz, and print one table of what was counted: scripts/prove."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import orjson

ROOT: Final = Path(__file__).resolve().parents[2]
CRASH: Final = ROOT / "tests" / "crash"
PROOFS: Final = ("tests/stateful", "tests/crash", "tests/acceptance")  # the longest first
ROWS: Final = {  # what a file of tests is called in the table; a file that is not here goes by its own name
    "tests/crash/test_single_deaths.py": "one death",
    "tests/crash/test_look_ups.py": "hostile look-ups",
    "tests/crash/test_more_deaths.py": "two and three deaths",
    "tests/crash/test_disk_calls.py": "at any disk or API call",
    "tests/crash/test_others.py": "what others do",
    "tests/crash/test_destroy.py": "destroy",
    "tests/crash/test_fleet.py": "several runs at once",
    "tests/crash/test_real_kills.py": "SIGKILL at each point",
    "tests/acceptance/test_killed_and_resumed.py": "SIGKILL of the CLI",
    "tests/acceptance/test_several_runs_killed.py": "SIGKILL of several runs",
    "tests/acceptance/test_current_style.py": "SIGKILL, style current",
    "tests/stateful/test_fuzz.py": "fuzz",
    "tests/stateful/test_regressions.py": "fuzz: regressions",
    "tests/stateful/test_reconciliation.py": "reconciliation",
    "tests/crash/test_third_parties.py": "third parties",
    "tests/acceptance/test_resume_plan.py": "resume --plan",
}
NEW_SEEDS: Final = "fuzz, new seeds"
SEARCH: Final = ("tests/stateful/test_fuzz.py", "-k", "whatever_happens or slower_than")
LINE: Final = "{:<25}{:>7}{:>9}{:>8}{:>12}{:>9}{:>7}"
WIDTH: Final = 78
LIMIT: Final = 1800  # seconds for one test


@dataclass(slots=True)
class Row:
    """One line of the table."""

    cells: int = 0
    crashes: int = 0
    faults: int = 0
    duplicates: int = 0
    orphans: int = 0
    lost: int = 0

    @property
    def numbers(self) -> tuple[int, ...]:
        return self.cells, self.crashes, self.faults, self.duplicates, self.orphans, self.lost


@dataclass(slots=True)
class Counted:
    """What tests/proof/tally.py has written."""

    rows: dict[str, Row] = field(default_factory=dict)
    cells: set[str] = field(default_factory=set)
    beyond_cells: int = 0
    beyond_twins: int = 0
    beyond_reported: int = 0
    in_flight: int = 0
    looked_up: int = 0

    def add(self, line: dict[str, Any], row: str = "") -> None:
        """Take in what one test has gone through."""
        file = line["test"].partition("::")[0]
        entry = self.rows.setdefault(row or ROWS.get(file, Path(file).stem), Row())
        entry.cells += len(line["cells"])
        entry.crashes += line["crashes"]
        entry.faults += line["faults"]
        entry.duplicates += line["within"]["duplicates"]
        entry.orphans += line["within"]["orphans"]
        entry.lost += line["within"]["lost"] + line["beyond"]["lost"]  # no limit excuses the loss of an event
        self.beyond_cells += line["beyond_cells"]
        self.beyond_twins += line["beyond"]["duplicates"]
        self.beyond_reported += line["beyond"]["reported"]
        self.in_flight += line["within"]["in_flight"] + line["beyond"]["in_flight"]
        self.looked_up += line["within"]["looked_up"] + line["beyond"]["looked_up"]
        if file.startswith("tests/crash/"):
            self.cells.update(line["cells"])

    @property
    def total(self) -> Row:
        return Row(*(sum(numbers) for numbers in zip(*(row.numbers for row in self.rows.values()), strict=True)))


@dataclass(slots=True)
class Verdicts:
    """How pytest's runs ended."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def read(self, report: Path, code: int) -> None:
        """Take in one run's JUnit report and exit code."""
        if not report.exists():
            self.failed.append(f"pytest ended with {code} before it ran anything")
            return
        before = len(self.failed)
        for case in ElementTree.parse(report).iter("testcase"):
            name = f"{case.get('classname')}::{case.get('name')}"
            kinds = {child.tag for child in case}
            if kinds & {"failure", "error"}:
                self.failed.append(name)
            elif "skipped" in kinds:
                self.skipped.append(name)
            else:
                self.passed += 1
        if code and len(self.failed) == before:
            self.failed.append(f"pytest ended with {code}")


def main() -> int:
    """Run everything and print the table; 0 only if all of it holds."""
    parser = argparse.ArgumentParser(prog="scripts/prove", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out the tests marked `long`")
    parser.add_argument("--minutes", type=int, default=0, help="then search on with new seeds for so long")
    chosen = parser.parse_args()
    began = time.monotonic()
    counted, verdicts = Counted(), Verdicts()
    with tempfile.TemporaryDirectory(prefix="flowledger-prove-") as folder:
        for line in _run(verdicts, Path(folder) / "all", *PROOFS, *(("-m", "not long") if chosen.quick else ())):
            counted.add(line)
        until, seed = time.monotonic() + 60 * chosen.minutes, int(time.time())
        while time.monotonic() < until and not verdicts.failed:
            seed += 1
            print(f"searching on with seed {seed}", flush=True)
            for line in _run(verdicts, Path(folder) / str(seed), *SEARCH, seed=seed):
                counted.add(line, NEW_SEEDS)
    found = [*problems(counted, verdicts), *([] if chosen.quick else not_run(counted))]
    _print(counted, verdicts, seconds=time.monotonic() - began, quick=chosen.quick)
    for problem in found:
        print(f"NOT PROVED: {problem}")
    return 1 if found else 0


def _run(verdicts: Verdicts, folder: Path, *arguments: str, seed: int | None = None) -> Iterator[dict[str, Any]]:
    """One run of pytest with the tally beside it; yields what the tally wrote."""
    folder.mkdir()
    tally, report = folder / "tally.jsonl", folder / "report.xml"
    path = os.pathsep.join([str(CRASH), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "FLOWLEDGER_TALLY": str(tally), "PYTHONPATH": path}
    if seed is not None:
        environment["FLOWLEDGER_FUZZ_SEED"] = str(seed)
    # A busy machine is no counterexample: the limit on a test is here for what hangs.
    workers = ["-n", str(os.cpu_count() or 1), "--dist", "worksteal", f"--timeout={LIMIT}"]
    command = [sys.executable, "-m", "pytest", "-p", "tests.proof.tally", "-q", "-p", "no:cacheprovider", *workers]
    ended = subprocess.run([*command, f"--junitxml={report}", *arguments], cwd=ROOT, env=environment, check=False)
    verdicts.read(report, ended.returncode)
    if tally.exists():
        yield from map(orjson.loads, tally.read_bytes().splitlines())


# -- judging -------------------------------------------------------------------------------------------------------


def problems(counted: Counted, verdicts: Verdicts) -> Iterator[str]:
    """Why this proves nothing, in words; none if it proves everything that was run."""
    for name in verdicts.failed[:20]:
        yield f"failed: {name}"
    for name in verdicts.skipped[:20]:
        yield f"left out: {name}"
    if not counted.rows:
        yield "nothing was counted"
        return
    total = counted.total
    for what, number in (
        ("duplicates", total.duplicates), ("orphans", total.orphans), ("lost events", total.lost),
    ):  # fmt: skip
        if number:
            yield f"{number} {what}"
    if counted.looked_up > counted.in_flight:
        yield f"{counted.looked_up} look-ups for {counted.in_flight} calls in flight at the deaths"
    for name, row in counted.rows.items():
        if not row.cells:
            yield f"{name}: no cell was counted, so its zeros say nothing"


def static_cells() -> dict[str, set[str]]:
    """Every cell that follows from the lists of steps, points, deaths and fates alone, by kind."""
    from crashmatrix.count import static_cells as cells_by_kind

    return {kind: set(map(str, cells)) for kind, cells in cells_by_kind().items()}


def not_run(counted: Counted) -> Iterator[str]:
    """Which cells of the matrix were never run, by kind."""
    for kind, cells in static_cells().items():
        missing = cells - counted.cells
        if missing:
            yield f"{kind}: {len(missing)} of {len(cells)} cells were not run, like {min(missing)}"


# -- printing ------------------------------------------------------------------------------------------------------


def _print(counted: Counted, verdicts: Verdicts, *, seconds: float, quick: bool) -> None:
    print()
    print(LINE.format("", "cells", "crashes", "faults", "duplicates", "orphans", "lost"))
    print(LINE.format("", "", "", "", "", "", "events"))
    order = [*ROWS.values(), *counted.rows, NEW_SEEDS]
    for name, row in sorted(counted.rows.items(), key=lambda item: order.index(item[0])):
        print(LINE.format(name, *row.numbers))
    if counted.rows:
        print("-" * WIDTH)
        print(LINE.format("all", *counted.total.numbers))
    print()
    _say(
        f"{verdicts.passed} tests passed, {len(verdicts.failed)} failed, {len(verdicts.skipped)} were left out, in "
        f"{seconds:.0f} s. A cell is one world: a platform, a disk, and the processes that died and lived there."
    )
    if counted.in_flight:
        _say(
            f"At the deaths of the crash matrix {counted.in_flight} calls were in flight, as the processes after them "
            f"found; for these, {counted.looked_up} look-ups were begun. (Where there are fewer, the process after a "
            "death died too before it came to look.)"
        )
    if counted.beyond_cells:
        _say(
            f"Of these, {counted.beyond_cells} cells lie outside of what any client can prevent, and their twins are "
            "not in the table: the platform is slower than the settle window allows, or delivers one call twice. They "
            f"have {counted.beyond_twins} twins, of which the runs reported {counted.beyond_reported}. The others are "
            "of calls that were delivered twice and answered once, which nothing within a run can notice. (A twin of a "
            "slow platform that was not reported would be in the table, as an orphan.)"
        )
    _print_why(counted, quick=quick)


def _print_why(counted: Counted, *, quick: bool) -> None:
    from crashmatrix.cells import EACH, per_step_points
    from crashmatrix.fates import REQUEST_FATES

    static = static_cells()
    _say(
        f"Why these are all cells: {len(EACH)} steps of both styles have an effect; "
        f"{len(per_step_points())} crash points are all places between two things that a process does to disk or "
        "platform (deaths at every single such call, which need no list, are the row beside it); "
        f"{len(REQUEST_FATES)} fates are all that can become of a call. A "
        "combination is left out only if it cannot happen, which is itself a test; each is taken once for each way "
        "to die that leaves another disk. From the lists alone follow:"
    )
    for kind, cells in static.items():
        done = len(cells & counted.cells)
        print(f"{len(cells):8} {kind:<40} {done:6} run")
    alone = sum(map(len, static.values()))
    others = len(counted.cells - set().union(*static.values()))
    print(f"{alone:8} in all")
    _say(
        f"and {others} different cells more were run that only a dry run or a real process can enumerate: pairs of "
        "deaths, deaths within look-ups, and deaths at each call to the disk."
        + (" This was the quick proof: it runs a slice of the matrix." if quick else "")
    )


def _say(text: str) -> None:
    print(textwrap.fill(text, WIDTH))


if __name__ == "__main__":
    sys.path.insert(0, str(CRASH))
    sys.exit(main())
