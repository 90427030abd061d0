"""Every kind of source that `init --list` shows: the spec that `init` writes collects a table of that kind.

In one process and in virtual time. The table is a file with the sample table's columns, its times as the kind writes
them.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from flowledger.cli.app import app
from flowledger.emulator.core import Emulator
from flowledger.engine import api
from flowledger.engine.ledger import RunState
from flowledger.engine.specfile import load_spec
from flowledger.engine.starter import starter
from flowledger.engine.table import TABLES
from flowledger.journal import InlineCommitter, Journal, SimulatedFileSystem
from flowledger.steps.source_kind import SampleTable
from flowledger.steps.sources import SOURCES
from flowledger.steps.spec import Spec
from flowledger.testing import VirtualTime, platform_in_process, run_in_virtual_time

MINUTE = 60
DAY = 24 * 3600
WHEN = (-9 * DAY, -2 * DAY, -1, 20 * MINUTE, 21 * MINUTE)  # of the rows, in seconds from now: the first run is at +10m
IN_TIME = {"yyyy-MM-dd HH:mm:ss": "%Y-%m-%d %H:%M:%S", "yyyy-MM-ddTHH:mm:ssZ": "%Y-%m-%dT%H:%M:%SZ"}
KINDS = list(SOURCES)
OWN = "_localtenant"


def row_of(table: SampleTable, number: int, moment: str) -> dict[str, str]:
    """A row such as the table has, as texts."""
    values = {
        "string": f'{{}} {number} é, "quoted"',
        "number": f"{number}.25",
        "integer": str(number * 7),
        "boolean": "true" if number % 2 else "false",
        "date": f"2024-02-0{number + 1}",
        "date-time": moment,
    }
    return {column: values[kind].replace("{}", column) for column, kind in table.columns.items()}


def write(folder: Path, kind: str, now: float) -> list[dict[str, str]]:
    """The file of the kind's sample table; returns its rows."""
    known = SOURCES[kind]
    table = known.tables[0]
    moments = [datetime.fromtimestamp(now + seconds, UTC).strftime(IN_TIME[known.delta_format]) for seconds in WHEN]
    rows = [row_of(table, number, moment) for number, moment in enumerate(moments)]
    with (folder / f"{table.path}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table.columns))
        writer.writeheader()
        writer.writerows(rows)
    return rows


def begun(folder: Path, kind: str, style: str) -> Spec:
    """The spec that `init` writes for a kind, with made-up secrets beside it."""
    files = starter(kind, folder, style=style, emulator=True, environ={})
    for name, (text, mode) in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
    return load_spec(folder / next(iter(files))).spec


def apply(spec: Spec, emulator: Emulator, time: VirtualTime) -> Any:
    async def sitting() -> Any:
        disk = SimulatedFileSystem()
        journal = Journal.open(Path("/journal"), fs=disk, committer=InlineCommitter(), wall=time.wall)
        platform = platform_in_process(emulator, time)
        try:
            return await api.apply(spec, journal=journal, platform=platform, clock=time, chance=random.Random(7))
        finally:
            journal.close()

    return run_in_virtual_time(time, sitting())


def texts_of(row: dict[str, Any], spec: Spec) -> dict[str, str]:
    """A landed row by the source's columns, as the source has written it."""
    found = {}
    for mapping in spec.mappings:
        path = mapping.to.split(".")
        value: Any = row if path[0] in row else row[OWN]
        for name in path:
            value = value[name]
        found[mapping.source] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


@pytest.fixture
def places(tmp_path: Path, folder: Path) -> Iterator[tuple[Emulator, VirtualTime]]:
    time = VirtualTime()
    emulator = Emulator(clock=time.wall, sources=folder, state=tmp_path / "state")
    yield emulator, time
    emulator.close()


@pytest.mark.parametrize("style", TABLES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_init_writes_collects_every_row_into_exactly_one_batch(
    places: tuple[Emulator, VirtualTime], folder: Path, tmp_path: Path, kind: str, style: str
) -> None:
    emulator, time = places
    rows = write(folder, kind, time.wall())
    spec = begun(tmp_path, kind, style)

    assert apply(spec, emulator, time).state is RunState.PROVISIONED
    assert emulator.objects("runs") == []
    landed: list[list[dict[str, Any]]] = []
    for minutes, runs in ((11, 1), (30, 2), (30, 3)):
        time.advance(minutes * MINUTE)
        assert [run["metrics"]["statusSummary"]["status"] for run in emulator.objects("runs")] == ["success"] * runs

    [data_set] = emulator.objects("dataSets")
    batches = [batch for batch in emulator.objects("batches") if batch["status"] == "success"]
    assert emulator.world.lake is not None
    for batch in batches:
        part = emulator.world.lake.batch_folder(data_set["id"], batch["id"]) / "part-0.parquet"
        landed.append(pq.read_table(part).to_pylist())
    wanted = {mapping.source for mapping in spec.mappings}
    in_source = [{column: text for column, text in row.items() if column in wanted} for row in rows]
    assert [[texts_of(row, spec) for row in batch] for batch in landed] == [in_source[:3], in_source[3:]]
    assert [run["metrics"]["recordSummary"]["outputRecordCount"] for run in emulator.objects("runs")] == [3, 2, 0]


def test_the_kinds_are_those_that_init_lists() -> None:
    listed = json.loads(CliRunner().invoke(app, ["init", "--list", "--json"]).output)
    assert [kind["kind"] for kind in listed["kinds"]] == KINDS
    assert len(KINDS) == 36
