"""The verb read: the rows that a run's dataflow has brought."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowledger.cli.command import DEFAULT_JOURNAL, JournalOption, RunArgument, Voice, command, run_async
from flowledger.cli.logs import say
from flowledger.cli.provision import LocalOption
from flowledger.errors import UsageError
from flowledger.words import counted

if TYPE_CHECKING:
    from flowledger.engine.dataset import Dataset

FORMATS = ("table", "jsonl", "csv", "parquet")
IN_A_TABLE = 20  # rows, if no limit is given


def read(
    run: RunArgument,
    journal: JournalOption = DEFAULT_JOURNAL,
    batch: Annotated[
        list[str] | None, typer.Option("--batch", metavar="ID", help="Only this batch; may be given several times.")
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT", help="table, jsonl, csv; parquet: the files as they are, into --to."
        ),
    ] = "table",
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=1, help="Rows at most; 20 for a table if not given, else all."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Where --format parquet puts the files.")
    ] = None,
    local: LocalOption = False,
    voice: Voice = Voice(),
) -> int:
    """Read the rows that are in a run's dataset, the oldest batch first.

    Asks Catalog for the dataset's batches and Data Access for their files. Takes no lock and writes nothing into the
    journal. Rows need pyarrow (pip install 'pyarrow>=18'); --format parquet does without.
    """
    from flowledger.engine.api import read_ledger

    if form not in FORMATS:
        raise UsageError(f"there is no format {form!r}", hint=f"--format is one of {', '.join(FORMATS)}")
    if (form == "parquet") != (to is not None):
        raise UsageError(
            "--format parquet and --to DIR go together", hint=f"flowledger read {run} --format parquet --to rows"
        )
    if form == "parquet" and limit is not None:
        raise UsageError("--limit does not cut files", hint="leave it out, or take --format jsonl")
    read_ledger(run, journal)  # a name that is wrong is told before a platform is looked for
    return run_async(_read(run, journal, batch or [], form, limit, to, local=local, voice=voice))


async def _read(
    run: str, journal: Path, batches: list[str], form: str, limit: int | None, to: Path | None, *, local: bool,
    voice: Voice,
) -> int:  # fmt: skip
    from flowledger.cli.local import local_platform, state_beside
    from flowledger.cli.show import place, print_lines
    from flowledger.cli.signals import stopping_on_signals
    from flowledger.engine import api
    from flowledger.engine.halt import Halt

    halt = Halt()
    async with AsyncExitStack() as stack:
        stack.enter_context(stopping_on_signals(halt, begun=lambda: True, run=run, verb="read"))
        platform = None
        if local:
            platform = await stack.enter_async_context(local_platform(state_beside(journal), os.environ))
        dataset = api.dataset(run, journal=journal, platform=platform, halt=halt)
        if to is not None:
            try:
                saved = await dataset.save(to, batches=batches)
            except OSError as error:
                raise UsageError(f"{to} cannot be written: {error.strerror}", hint="give another --to") from error
            print_lines(place(path) for path in saved)
            return 0
        count = await _print(dataset, batches, form, limit)
    if not voice.quiet:
        say(f"{counted(count, 'row')} of dataset {dataset.id}", run=run, rows=count)
    return 0


async def _print(dataset: Dataset, batches: list[str], form: str, limit: int | None) -> int:
    from flowledger.cli.rowformats import print_csv, print_jsonl, print_table
    from flowledger.cli.show import width

    limit = IN_A_TABLE if limit is None and form == "table" else limit
    async with aclosing(dataset.rows(batches=batches, limit=limit)) as rows:
        if form == "jsonl":
            return await print_jsonl(rows)
        if form == "csv":
            return await print_csv(rows)
        return await print_table(rows, room=width())


def register(app: typer.Typer) -> None:
    """Add the verb."""
    command(
        app,
        "read",
        summary="Read the rows of a run's dataset.",
        example="flowledger read paypal-products --limit 5\n"
        "flowledger read paypal-products --format jsonl > rows.jsonl\n"
        "flowledger read paypal-products --format parquet --to rows",
        exit_codes="0 read, 2 no pyarrow, or a format that is none, 4 credentials, 5 no such run, dataset or batch, "
        "9 journal damaged, 75 stopped, or the platform out of reach.",
    )(read)
