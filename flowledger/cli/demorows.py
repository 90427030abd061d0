"""The end of the demo: the dataflow's first run collects rows, and its second one only what is new."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowledger.cli.logs import say
from flowledger.errors import TryLater

if TYPE_CHECKING:
    from flowledger.engine.halt import Halt
    from flowledger.engine.watch import WatchReport
    from flowledger.steps.client.platform import Platform
    from flowledger.steps.spec import Spec

ROWS: Final = 700  # that are there from the beginning
NEW: Final = 12  # that come between the first run and the second
SHOWN: Final = 5
LOOKS: Final = 600  # at the emulator, a tenth of a second apart, until its runs are over


def demo_tables(spec: Spec, folder: Path) -> Path | None:
    """A folder with the spec's table, made up, for the emulator to serve; None without the extra `data`."""
    if find_spec("pyarrow") is None:
        return None
    from flowledger.cli.files import writing_into
    from flowledger.emulator.data.generate import generate

    tables = folder / "tables"
    table = tables / f"{spec.source.table}.csv"
    if not table.exists():
        with writing_into(tables):
            tables.mkdir(parents=True, exist_ok=True)
            generate(spec.source.table, table, rows=ROWS)
    return tables


async def collect(spec: Spec, platform: Platform, tables: Path, *, journal: Path, halt: Halt, quiet: bool) -> None:
    """Let time pass on the emulator until two runs are over; print what they have brought."""
    from flowledger.engine import api

    dataset = api.dataset(spec.name, journal=journal, platform=platform, halt=halt)
    if not quiet:
        say("Letting ten minutes pass on the emulator: the dataflow's first run is due.")
    now_ms = await _advance(platform, timedelta(minutes=11))
    first = await _watched(spec, platform, 1, journal=journal, halt=halt)
    table = await dataset.to_arrow()
    print(f"First run: {_told(first, 0)}. {table.num_rows} rows are in the dataset; {SHOWN} of them:\n")
    await _show(dataset.rows(limit=SHOWN))
    if not quiet:
        say(f"\n{NEW} more rows come in; letting another half hour pass.")
    await asyncio.to_thread(_append, tables / f"{spec.source.table}.csv", spec.source.table, now_ms)
    await _advance(platform, timedelta(minutes=30))
    second = await _watched(spec, platform, 2, journal=journal, halt=halt)
    print(f"\nSecond run: {_told(second, 1)}, only what is new.")


def _append(path: Path, table: str, now_ms: int) -> None:
    """Add rows whose times lie in the minutes after `now_ms`."""
    from flowledger.emulator.data.generate import generate

    every = 60.0
    first = datetime.fromtimestamp(now_ms / 1000, UTC) + timedelta(seconds=every)
    generate(table, path, rows=NEW, begin=first - ROWS * timedelta(seconds=every), every_s=every, append=True)


async def _advance(platform: Platform, by: timedelta) -> int:
    """Move the emulator's clock, and return the time there in milliseconds once what became due is over."""
    from flowledger.cli.faults import ask

    await asyncio.to_thread(ask, platform.base_url, "POST", "advance", {"ms": round(by.total_seconds() * 1000)})
    for _ in range(LOOKS):
        health = await asyncio.to_thread(ask, platform.base_url, "GET", "health")
        if not health.get("runs_waiting"):
            return int(health["now_ms"])
        await asyncio.sleep(0.1)
    raise TryLater("the emulator's runs are not over yet", hint="flowledger demo --folder another/folder")


async def _watched(spec: Spec, platform: Platform, runs: int, *, journal: Path, halt: Halt) -> WatchReport:
    from flowledger.engine import api
    from flowledger.engine.watch import Until

    until = Until(runs=runs, seconds=60)
    return await api.watch(spec.name, journal=journal, platform=platform, until=until, every=0.5, halt=halt)


def _told(report: WatchReport, number: int) -> str:
    if len(report.flow_runs) <= number:
        return "not there yet"
    seen = report.flow_runs[number]
    return f"{seen.came.replace('_', ' ')}, {seen.rows_out} rows arrived, {seen.rows_failed} rejected"


async def _show(rows: Any) -> None:
    from flowledger.cli.rowformats import print_table
    from flowledger.cli.show import width

    async with aclosing(rows) as found:
        await print_table(found, room=width())
