"""From a CSV of one's own to its rows read back: the emulator collects, apply waits, watch tells, read shows."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import flowledger
from tests.program import credentials

RUN = "paypal-products"
TABLE = (
    "Product_Id,Product_Name,Description,Type,Create_Time\n"
    "P-1,Tea,green,PHYSICAL,2024-11-01 10:00:00\n"
    "P-2,Coffee,\x1b[31mblack,PHYSICAL,2024-11-02 10:00:00\n"
    'P-3,Über,"a, ""b""",DIGITAL,2024-11-03 10:00:00\n'
)


@pytest.fixture
def collecting(program: Any, tmp_path: Path) -> Iterator[Any]:
    """The program beside an emulator of its own that reads a folder of tables; `advance` moves its clock."""
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "PayPal.Catalog_Products.csv").write_text(TABLE)
    process = subprocess.Popen(
        [sys.executable, "-m", "flowledger", "emulator", "start", "--port", "0", "--state", str(tmp_path / "state"),
         "--sources", str(tables)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip().removeprefix("Ready. ")
        program.env |= credentials(url)
        program.advance = lambda time: program("emulator", "advance", time, "--url", url)
        yield program
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.long
def test_from_a_table_to_its_rows(collecting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = collecting.spec((r"^settle: .*$", "settle: 1s\nverify_rows: {wait: 1s, least: 3}"),
                           (r"start: .*$", "start: +1m"))  # fmt: skip
    process = collecting.start("apply", spec, "--json")
    try:
        while "create_flow" not in (line := process.stderr.readline()):
            assert line, process.communicate()
        assert collecting.advance("2m").code == 0
    finally:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["flow_run"]["rows_out"] == 3

    watched = collecting("watch", RUN, "--until", "first")
    assert watched.code == 0
    assert "1 flow run is over: 3 rows arrived, 0 rejected" in watched.out

    shown = collecting("read", RUN)
    assert (shown.code, shown.err) == (0, shown.err)
    lines = shown.out.splitlines()
    assert lines[0].split() == ["_id", "name", "description", "type"]
    assert lines[1].split() == ["P-1", "Tea", "green", "PHYSICAL"]
    assert "\x1b" not in shown.out
    assert max(map(len, lines)) <= 80
    assert "3 rows of dataset" in shown.err

    lines = collecting("read", RUN, "--format", "jsonl").out.splitlines()
    assert [json.loads(line)["_id"] for line in lines] == ["P-1", "P-2", "P-3"]
    assert json.loads(lines[1])["_localtenant"]["product"]["description"] == "\x1b[31mblack"
    assert len(collecting("read", RUN, "--format", "jsonl", "--limit", "2").out.splitlines()) == 2

    rows = list(csv.DictReader(io.StringIO(collecting("read", RUN, "--format", "csv").out)))
    assert rows[2] == {
        "_id": "P-3",
        "_localtenant.product.name": "Über",
        "_localtenant.product.description": 'a, "b"',
        "_localtenant.product.type": "DIGITAL",
    }

    saved = collecting("read", RUN, "--format", "parquet", "--to", "rows")
    (file,) = saved.out.splitlines()
    assert pq.read_table(collecting.folder / file).num_rows == 3
    batch = Path(file).name.rpartition("-")[0]
    assert len(collecting("read", RUN, "--format", "jsonl", "--batch", batch).out.splitlines()) == 3
    assert collecting("read", RUN, "--batch", "nothing").code == 5

    for name, value in collecting.env.items():
        if name.startswith("FLOWLEDGER_"):
            monkeypatch.setenv(name, value)
    table = asyncio.run(flowledger.dataset(RUN, journal=collecting.journal).to_arrow())
    assert table.column("_id").to_pylist() == ["P-1", "P-2", "P-3"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "xml"), "there is no format 'xml'"),
        (("--format", "parquet"), "--format parquet and --to DIR go together"),
        (("--to", "rows"), "--format parquet and --to DIR go together"),
        (("--format", "parquet", "--to", "rows", "--limit", "3"), "--limit does not cut files"),
    ],
)
def test_a_call_that_cannot_be_meant_says_what_would_be(program: Any, arguments: tuple[str, ...], said: str) -> None:
    ran = program("read", RUN, *arguments)
    assert ran.code == 2
    assert said in ran.err


def test_without_pyarrow_the_extra_is_named(provisioned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    ran = provisioned("read", RUN)
    assert ran.code == 2
    assert "pip install 'pyarrow>=18'" in ran.err


def test_a_dataset_without_rows_is_told_as_such(provisioned: Any) -> None:
    ran = provisioned("read", RUN)
    assert (ran.code, ran.out) == (0, "")
    assert "0 rows of dataset" in ran.err


def test_a_run_that_is_not_there_ends_with_5(program: Any) -> None:
    assert program("read", "nothing").code == 5
