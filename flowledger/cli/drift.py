"""The verb drift: compare a run with the platform, and remove twins if asked to."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowledger.cli.command import (
    DEFAULT_JOURNAL,
    JournalOption,
    JsonOption,
    RunArgument,
    Voice,
    YesOption,
    command,
    sure,
)
from flowledger.cli.provision import LocalOption, LockOption, seconds_of
from flowledger.errors import FlowledgerError
from flowledger.words import counted

if TYPE_CHECKING:
    from flowledger.engine.audience import OnEvent
    from flowledger.engine.driftcheck import DriftReport
    from flowledger.engine.halt import Halt
    from flowledger.journal import Journal
    from flowledger.steps.client.platform import Platform


def drift(
    run: RunArgument,
    journal: JournalOption = DEFAULT_JOURNAL,
    remove_twins: Annotated[
        bool,
        typer.Option(
            "--remove-twins",
            help="Delete further objects with the run's markers that nothing refers to; what the journal names stays.",
        ),
    ] = False,
    dry: Annotated[
        bool,
        typer.Option("--dry-run", help="Compare and say which twins would go; delete nothing, write nothing."),
    ] = False,
    yes: YesOption = False,
    local: LocalOption = False,
    lock_timeout: LockOption = "0s",
    as_json: JsonOption = False,
    voice: Voice = Voice(),
) -> int:
    """Compare a run with the platform: is everything still there, unedited, and once?

    Reads each object by its id and looks every marker up, so that a call which something delivered twice is noticed
    too. Takes the journal's lock and writes what it saw. Exits 8 when anything differs, or a twin is left.
    """
    from flowledger.cli.removing import driven
    from flowledger.cli.show import print_json, print_lines
    from flowledger.cli.showremoval import drift_lines
    from flowledger.engine import api
    from flowledger.journal import Journal, OsFileSystem, OverlayFileSystem

    seconds = seconds_of(lock_timeout)
    ledger, _ = api.read_ledger(run, journal)
    if remove_twins and not yes and not dry:
        _need_a_terminal(run)
    labels = {row.step.name: row.step.label for row in ledger.table.rows}

    def compared(*, remove: bool, book: Journal | Path = journal) -> DriftReport:
        def drive(platform: Platform | None, on_event: OnEvent, halt: Halt) -> Coroutine[Any, Any, DriftReport]:
            return api.drift(
                run,
                journal=book,
                platform=platform,
                remove_twins=remove,
                on_event=on_event,
                halt=halt,
                lock_timeout=seconds,
            )

        try:
            return driven(run, drive, verb="drift", journal=journal, local=local, labels=labels, voice=voice)
        except FlowledgerError as error:
            error.hint = error.hint.replace("`flowledger drift`", f"flowledger drift {run}")
            raise

    if dry:
        # What the comparison saw is to be forgotten, and the journal may be one that is only to be read.
        with Journal.open(journal, fs=OverlayFileSystem(OsFileSystem())) as forgetful:
            report = compared(remove=False, book=forgetful)
    else:
        report = compared(remove=remove_twins and yes)
    if remove_twins and not yes and not dry and report.removable:
        for line in drift_lines(report, labels):
            typer.echo(line, err=True)
        sure(
            f"Delete {counted(len(report.removable), 'twin')} that nothing refers to?",
            yes=False,
            otherwise=_goes_ahead(run),
        )
        report = compared(remove=True)
    if as_json:
        print_json(report.to_json())
    else:
        print_lines(drift_lines(report, labels))
        if dry:
            print("Dry run: nothing was changed and nothing was written.")
    return report.exit_code


def _need_a_terminal(run: str) -> None:
    """Refuse before anything is asked of the platform. Raises UsageError."""
    import sys

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        sure("Delete twins that nothing refers to?", yes=False, otherwise=_goes_ahead(run))


def _goes_ahead(run: str) -> str:
    return f"flowledger drift {run} shows them, flowledger drift {run} --remove-twins --yes goes ahead"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    command(
        app,
        "drift",
        summary="Compare a run with the platform.",
        example="flowledger drift paypal-products --json | jq .differences\n"
        "flowledger drift paypal-products --remove-twins",
        exit_codes="0 all as it was made, 2 the run is destroyed, or no answer to the question, 4 credentials, "
        "5 no such run, 6 journal held, 7 a delete was rejected, 8 drift or twins, 9 journal damaged, 75 later.",
    )(drift)
