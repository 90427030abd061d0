"""Each benchmark runs to its end at its smallest size, and prints the figures that its first sentences promise."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

#: What is called, and the row that must come, with its figures.
SMALLEST = {
    "overhead": ("overhead.py --runs 1 --repeats 1", r"^ +1 +[1-9]\d* +[1-9]\d* +0\.\d\d +"),
    "fleet": ("fleet.py --runs 2:20 --repeats 1", r"^ +2 +20 +[1-9]\d* +\d+\.\d\d +\d+\.\d% "),
    "journal": ("journal.py --most 100 --appends 20", r"^ +100 +[\d,]+ \(1\.00\) +[\d,]+ \(\d+\.\d\d\) "),
    "whole journal": ("journal.py --whole --events 2000", r"^ +2000 +1000 +[1-9]\d* +\d+ +\d+ +\d+ \(\d\.\d+\) "),
    "emulator": ("emulator.py --calls 80 --repeats 1", r"^POST  emulator with --state +[1-9]\d* +\d+\.\d\d "),
    "data plane": ("data_plane.py --rows 2000 --repeats 1 --memory 0", r"^flowledger .* rows/s .* ratio \d+\.\d\d$"),
    "calls": (
        "data_plane.py --rows 2000 --repeats 1 --memory 0 --flows 20",
        r"^GET health +10 flows .* ms, 20 flows .* ms +ratio \d+\.\d\d$",
    ),
    "crash": ("crash.py --runs 1 --settle 1", r"^ +1 +ours +[1-9]\d* +0 +0 +"),
}


@pytest.mark.long
@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark_runs_and_prints_its_figures(name: str, tmp_path: Path) -> None:
    words, row = SMALLEST[name]
    program, *options = words.split()
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / program), *options], cwd=tmp_path, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    assert re.search(row, done.stdout, re.MULTILINE), done.stdout
    assert list(tmp_path.iterdir()) == []  # and it takes away what it wrote


def test_no_benchmark_is_left_out() -> None:
    programs = {path.name for path in BENCHMARKS.glob("*.py") if '__name__ == "__main__"' in path.read_text()}
    assert programs == {words.split()[0] for words, _ in SMALLEST.values()}
