"""The first thing that a newcomer types."""

from __future__ import annotations

import re
import shutil
from typing import Any


def test_the_demo_provisions_and_the_second_time_there_is_nothing_to_do(program: Any) -> None:
    first = program.apart("demo")
    assert first.code == 0, first.err
    assert "create_flow" in first.out
    assert ".flowledger/demo/journal" in first.out
    assert len(re.findall(r"^  \S*flowledger ", first.out, re.MULTILINE)) == 3
    assert not program.journal.exists(), "the demo must not write into the user's journal"
    shutil.rmtree(program.folder / ".flowledger" / "demo" / "emulator")
    second = program.apart("demo")
    assert second.code == 0, second.err
    assert "Nothing to do" in second.out
    assert not (program.folder / ".flowledger" / "demo" / "emulator").exists(), "no emulator was started"


def test_what_the_demo_tells_to_type_works(program: Any) -> None:
    shown = program("demo").out
    told = [line.split()[1:] for line in shown.splitlines() if re.match(r"  \S*flowledger ", line)]
    assert len(told) == 3
    for arguments in told:
        ran = program(*arguments)
        assert ran.code == 0, ran.err


def test_the_demo_needs_no_environment_and_heeds_none(program: Any) -> None:
    program.env |= {"FLOWLEDGER_BASE_URL": "https://127.0.0.1:1", "FLOWLEDGER_SANDBOX": "nowhere"}
    assert program("demo", "-q").code == 0


def test_without_a_checkout_the_demo_writes_the_spec_to_begin_with(program: Any, monkeypatch: Any) -> None:
    import flowledger
    from flowledger.cli.demo import demo_spec
    from flowledger.engine.specfile import load_spec

    monkeypatch.setattr(flowledger, "__file__", str(program.folder / "lib" / "flowledger" / "__init__.py"))
    path = demo_spec(program.folder / "demo")
    assert path.parent == program.folder / "demo"
    assert load_spec(path).spec.settle.window == 1
    assert demo_spec(program.folder / "demo") == path


def test_the_demo_ends_with_the_rows_of_two_runs(program: Any) -> None:
    ran = program("demo", "-q")
    assert ran.code == 0, ran.err
    assert "First run: success, 700 rows arrived, 0 rejected. 700 rows are in the dataset; 5 of them:" in ran.out
    assert len(re.findall(r"^PROD-0000000[1-5] ", ran.out, re.MULTILINE)) == 5
    assert "Second run: success, 12 rows arrived, 0 rejected, only what is new." in ran.out


def test_without_pyarrow_the_demo_says_what_more_there_is(program: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("flowledger.cli.demorows.find_spec", lambda name: None)
    ran = program("demo", "-q")
    assert ran.code == 0, ran.err
    assert "pip install 'pyarrow>=18'" in ran.out
    assert "First run" not in ran.out
