"""The verb watch: follow the runs of a dataflow, one line each time that something changes."""

from __future__ import annotations

import os
import re
import textwrap
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowledger.cli.command import DEFAULT_JOURNAL, JournalOption, RunArgument, Voice, command, run_async
from flowledger.cli.hints import as_typed
from flowledger.cli.logs import json_lines, say
from flowledger.cli.provision import LocalOption, seconds_of
from flowledger.errors import UsageError
from flowledger.words import counted, there_are

if TYPE_CHECKING:
    from flowledger.engine.events import FlowRunSeen
    from flowledger.engine.watch import OnDue, OnFlowRun, Until, WatchReport

SCHEMA_VERSION = 1
HEAD = ("SEEN", "STATE", "READ", "ARRIVED", "REJECTED", "TOOK", "FLOW RUN")
WIDTHS = (8, 9, 9, 9, 8, 9)  # of all columns but the last


def watch(
    run: RunArgument,
    journal: JournalOption = DEFAULT_JOURNAL,
    until: Annotated[
        list[str] | None,
        typer.Option(
            "--until",
            metavar="first|N runs|TIME",
            help='When to end: when the first run of the dataflow is over, when N are ("3 runs"), or after a time like '
            "30m. Given twice, what comes first. Without it: at Ctrl-C.",
        ),
    ] = None,
    every: Annotated[
        str,
        typer.Option(
            "--every",
            metavar="TIME",
            help="Time between two looks; up to four times as long while nothing is under way.",
        ),
    ] = "30s",
    local: LocalOption = False,
    lock_timeout: Annotated[
        str,
        typer.Option(
            "--lock-timeout",
            metavar="TIME",
            help="How long to wait, at the end, for another process to let go of the journal.",
        ),
    ] = "10s",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document a line (each has a schema_version) instead of text.")
    ] = False,
    voice: Voice = Voice(),
) -> int:
    """Follow the runs of a run's dataflow: state, rows in, out and rejected, how long each took.

    Prints a line whenever one is new or has changed, and writes it into the journal, which it holds only for that. What
    an earlier watch has told is not told again. A dataflow's first run shows two or three minutes after its start.
    """
    from flowledger.cli.show import print_json_line

    wanted = until_of(until or [])
    pause = seconds_of(every)
    if pause < 0.1:
        raise UsageError(f"--every {every} is too often", hint="write 1s or more; the platform asks for few calls")
    patience = seconds_of(lock_timeout)
    shown = Shown(run, as_json=as_json)
    on_due = None if voice.quiet else lambda moment: say(f"waiting for a flow run: {due_text(moment)}", run=run)
    report = run_async(_watch(run, journal, wanted, pause, shown.take, on_due, local=local, patience=patience))
    if json_lines() and not voice.quiet:
        say("watch ended", run=run, ended=report.ended, exit_code=report.exit_code)
    if as_json:
        print_json_line(report.to_json())
    else:
        print(last_words(report))
    return report.exit_code


async def _watch(
    run: str, journal: Path, until: Until, every: float, on_run: OnFlowRun, on_due: OnDue | None, *, local: bool,
    patience: float,
) -> WatchReport:  # fmt: skip
    from flowledger.cli.local import local_platform, state_beside
    from flowledger.cli.signals import stopping_on_signals
    from flowledger.engine import api
    from flowledger.engine.halt import Halt

    halt = Halt()
    async with AsyncExitStack() as stack:
        stack.enter_context(stopping_on_signals(halt, begun=lambda: True, run=run, verb="watch"))
        platform = None
        if local:
            platform = await stack.enter_async_context(local_platform(state_beside(journal), os.environ))
        return await api.watch(
            run, journal=journal, platform=platform, until=until, every=every, on_run=on_run, on_due=on_due,
            halt=halt, lock_timeout=patience,
        )  # fmt: skip


def until_of(texts: list[str]) -> Until:
    """The ends that were asked for: "first", "3 runs" and times, the nearest of each sort. Raises UsageError."""
    from flowledger.engine.watch import Until

    counts: list[int] = []
    times: list[float] = []
    for text in texts:
        found = re.fullmatch(r"([0-9]{1,6}) ?runs?", text.strip())
        if text.strip() == "first":
            counts.append(1)
        elif found and int(found[1]):
            counts.append(int(found[1]))
        else:
            try:
                times.append(seconds_of(text))
            except UsageError:
                hint = 'write first, "3 runs", or a time like 30m'
                raise UsageError(f"{text!r} is not an end of a watch", hint=hint) from None
    return Until(runs=min(counts, default=0), seconds=min(times, default=None))


class Shown:
    """Tells of flow runs on stdout, a line each time; and on stderr too, where a collector reads JSON lines."""

    def __init__(self, run: str, *, as_json: bool) -> None:
        self._run = run
        self._as_json = as_json
        self._began = False

    def take(self, seen: FlowRunSeen) -> None:
        """Tell of one."""
        from flowledger.cli.show import dim, print_json_line

        if json_lines():
            level = "error" if seen.came == "failed" else "warning" if seen.came == "partial" else "info"
            say("flow run seen", level=level, run=self._run, **fields_of(seen))
        if self._as_json:
            print_json_line(
                {"schema_version": SCHEMA_VERSION, "watch": "flow_run", "run": self._run, **fields_of(seen)}
            )
            return
        if not self._began:
            self._began = True
            print(dim(_line(HEAD)))
        print("\n".join(seen_lines(seen)), flush=True)


def fields_of(seen: FlowRunSeen) -> dict[str, Any]:
    """A flow run for programs."""
    return {
        "id": seen.id,
        "state": seen.came,
        "status": seen.status,
        "rows_in": seen.rows_in,
        "rows_out": seen.rows_out,
        "rows_failed": seen.rows_failed,
        "seconds": took(seen),
        "created_ms": seen.created_ms,
        "started_ms": seen.started_ms,
        "completed_ms": seen.completed_ms,
        "errors": [{"code": code, "message": message} for code, message in seen.errors],
        "batches": list(seen.batches),
    }


def took(seen: FlowRunSeen) -> float | None:
    """Seconds that a flow run took; None while that cannot be told (a failed one may never say when it ended)."""
    if seen.started_ms is None or seen.completed_ms is None:
        return None
    return max(0, seen.completed_ms - seen.started_ms) / 1000


def seen_lines(seen: FlowRunSeen) -> list[str]:
    """A flow run for people, at most 80 columns wide, its errors below it."""
    import time

    from flowledger.cli.printable import printable
    from flowledger.cli.show import lasting

    seconds = took(seen)
    counts = ("-" if count is None else str(count) for count in (seen.rows_in, seen.rows_out, seen.rows_failed))
    lasted = "-" if seconds is None else lasting(seconds)
    lines = [_line((time.strftime("%H:%M:%S"), seen.came.replace("_", " "), *counts, lasted, seen.id))]
    for code, message in seen.errors:
        text = printable(" ".join(part for part in (code, message) if part))
        lines += textwrap.wrap(text, 78, initial_indent="  ", subsequent_indent="    ", max_lines=4) or ["  ?"]
    return lines


def _line(cells: tuple[str, ...]) -> str:
    from flowledger.cli.printable import printable
    from flowledger.cli.show import fitted

    told = "  ".join(
        cell.ljust(wide) if at < 2 else cell.rjust(wide)
        for at, (cell, wide) in enumerate(zip(cells, WIDTHS, strict=False))
    )
    return printable(f"{told}  {fitted(cells[-1], max(8, 78 - len(told)))}".rstrip())


def due_text(moment: float) -> str:
    """When the next flow run is due, in words."""
    import time

    from flowledger.cli.show import lasting
    from flowledger.cli.show import moment as date_of

    left = moment - time.time()
    when = f"in {lasting(left)}" if left >= 1 else "now"
    return f"the next is due {when}, at {date_of(moment)}"


def last_words(report: WatchReport) -> str:
    """How the watch ended, in a line or two."""
    over = [seen for seen in report.flow_runs if seen.came != "under_way"]
    arrived = sum(seen.rows_out or 0 for seen in over)
    rejected = sum(seen.rows_failed or 0 for seen in over)
    told = f"{there_are(len(over), 'flow run')} over: {counted(arrived, 'row')} arrived, {rejected} rejected"
    if not over and report.due is not None:
        told += f"; {due_text(report.due)}"
    if report.failed:
        told += f"; {len(report.failed)} failed"
    if report.waited_for:
        again = as_typed(f"flowledger watch {report.run}")
        told += f"\nNot yet what was waited for. Next: {again} --until first"
    return told


def register(app: typer.Typer) -> None:
    """Add the verb."""
    command(
        app,
        "watch",
        summary="Follow the runs of a run's dataflow.",
        example="flowledger watch paypal-products\nflowledger watch paypal-products --until first --until 30m --json",
        exit_codes="0 ended and none failed, 4 credentials, 5 no such run, or no dataflow yet, 6 journal held, "
        "9 journal damaged, 10 a flow run failed, 75 what was waited for has not come.",
    )(watch)
