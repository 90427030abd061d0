"""scripts/prove says "not proved" for whatever is not: a twin, a failure, a skip, a row that counted nothing."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from crashmatrix.count import static_counts
from tests.proof.prove import CRASH, ROOT, Counted, Verdicts, not_run, problems, static_cells

CLEAN = {"duplicates": 0, "orphans": 0, "lost": 0, "reported": 0, "in_flight": 0, "looked_up": 0}


def _line(**changed: Any) -> dict[str, Any]:
    line = {
        "test": "tests/crash/test_single_deaths.py::test_some", "cells": ["a cell"], "crashes": 1, "faults": 1,
        "beyond_cells": 0, "within": CLEAN, "beyond": CLEAN,
    }  # fmt: skip
    return {**line, **changed}


def _said(line: dict[str, Any], verdicts: Verdicts | None = None) -> list[str]:
    counted = Counted()
    counted.add(line)
    return list(problems(counted, verdicts or Verdicts(passed=1)))


def test_a_clean_run_has_no_problem() -> None:
    assert _said(_line()) == []


@pytest.mark.parametrize("kind", ["duplicates", "orphans", "lost"])
def test_one_of_what_must_be_0_is_a_problem(kind: str) -> None:
    [said] = _said(_line(within={**CLEAN, kind: 1}))
    assert said.startswith("1 ")


def test_a_lost_event_is_a_problem_even_beyond_the_limits() -> None:
    assert _said(_line(beyond={**CLEAN, "lost": 1})) == ["1 lost events"]


def test_twins_beyond_the_limits_are_counted_apart() -> None:
    counted = Counted()
    counted.add(_line(beyond_cells=1, beyond={**CLEAN, "duplicates": 2, "reported": 1}))
    assert (counted.total.duplicates, counted.beyond_twins, counted.beyond_reported) == (0, 2, 1)


def test_zeros_of_nothing_say_nothing() -> None:
    assert _said(_line(cells=[])) == ["one death: no cell was counted, so its zeros say nothing"]
    assert list(problems(Counted(), Verdicts())) == ["nothing was counted"]


def test_a_failed_or_skipped_test_is_a_problem(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite><testcase classname="a" name="good"/>'
        '<testcase classname="a" name="bad"><failure message="no"/></testcase>'
        '<testcase classname="a" name="absent"><skipped/></testcase></testsuite></testsuites>'
    )
    verdicts = Verdicts()
    verdicts.read(report, 1)
    assert verdicts.passed == 1
    assert _said(_line(), verdicts) == ["failed: a::bad", "left out: a::absent"]


def test_a_run_that_ended_before_its_tests_is_a_problem(tmp_path: Path) -> None:
    verdicts = Verdicts()
    verdicts.read(tmp_path / "none.xml", 4)
    assert len(_said(_line(), verdicts)) == 1


def test_a_cell_of_the_matrix_that_was_not_run_is_a_problem() -> None:
    counted = Counted()
    counted.cells = set().union(*static_cells().values())
    assert list(not_run(counted)) == []
    counted.cells.remove(next(iter(static_cells()["one death"])))
    [said] = not_run(counted)
    assert said.startswith("one death: 1 of ")


def test_all_cells_are_those_that_the_crash_tests_count() -> None:
    assert sum(map(len, static_cells().values())) == sum(static_counts().values())


def test_what_the_tests_went_through_is_counted_while_they_run(tmp_path: Path) -> None:
    tally = tmp_path / "tally.jsonl"
    test = "tests/crash/test_more_deaths.py::test_three_sends_that_each_end_in_a_death_make_exactly_one"
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.proof.tally", "-p", "no:cacheprovider",
         f"{test}[create_base_connection]"],
        cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "FLOWLEDGER_TALLY": str(tally), "PYTHONPATH": str(CRASH)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout
    [line] = map(orjson.loads, tally.read_bytes().splitlines())
    assert len(line["cells"]) == len(set(line["cells"])) > 20
    assert line["crashes"] > 2 * len(line["cells"]), "each of these cells has two or three deaths"
    assert 0 < line["beyond_cells"] < len(line["cells"])
    assert line["within"]["in_flight"] == line["within"]["looked_up"] > 0
    assert {**line["within"], "in_flight": 0, "looked_up": 0} == CLEAN


@pytest.mark.parametrize("name", ["prove", "mutate"])
def test_the_scripts_are_executable_and_plain_sh(name: str) -> None:
    script = ROOT / "scripts" / name
    assert script.stat().st_mode & stat.S_IXUSR
    assert subprocess.run(["sh", "-n", str(script)], capture_output=True).returncode == 0
