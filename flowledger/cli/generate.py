"""The verb that makes source files for the emulator: emulator generate."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from flowledger.cli.command import JsonOption, command


def generate(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The table, like PayPal.Transactions.")],
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE", help="A .csv, .jsonl or .parquet file; a folder gets TABLE.csv.")
    ],
    rows: Annotated[int, typer.Option("--rows", metavar="N", min=0, help="How many rows.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same seed makes the same rows.")] = 0,
    begin: Annotated[
        str, typer.Option("--begin", metavar="TIME", help="Time of the first row, in ISO 8601; UTC if it does not say.")
    ] = "2024-01-01T00:00:00Z",
    every: Annotated[str, typer.Option("--every", metavar="TIME", help="From row to row, about.")] = "60s",
    append: Annotated[
        bool, typer.Option("--append", help="Add to the file the rows that follow those it has; not for Parquet.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Write made-up rows of a table of payments to a file that the emulator can serve.

    The data is awkward on purpose: nulls, many scripts, line ends and quotes inside of texts, currencies of no and of
    three decimals, several time zones, equal times, rows that come late, numbers as text. Row n is the same whatever
    the number of rows, so that a file that was appended to equals one that was made at once.
    """
    from flowledger.cli.provision import seconds_of
    from flowledger.cli.show import print_json
    from flowledger.emulator.data.generate import TableInvalid
    from flowledger.emulator.data.generate import generate as write
    from flowledger.errors import DiskFull, UsageError

    path = to / f"{table}.csv" if to.is_dir() else to
    try:
        moment = datetime.fromisoformat(begin)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except ValueError as error:
        raise UsageError(f"--begin: {begin!r} is no time", hint="write it like 2024-01-01T00:00:00Z") from error
    try:
        made = write(table, path, rows=rows, seed=seed, begin=moment, every_s=seconds_of(every), append=append)
    except TableInvalid as error:
        raise UsageError(str(error), hint="flowledger emulator generate --help") from error
    except OverflowError as error:
        raise UsageError(
            "the rows' times would leave the calendar", hint="an earlier --begin or a shorter --every"
        ) from error
    except ImportError as error:
        raise UsageError("Parquet needs pyarrow", hint="pip install 'pyarrow>=18', or write .csv") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(f"{path}: {error.strerror}", hint="make room and generate it again") from error
        raise UsageError(f"{path}: {error.strerror}", hint="give another --to FILE") from error
    if as_json:
        print_json({"schema_version": 1, "table": table, "file": str(path), "rows": made.rows, "total": made.total})
        return 0
    told = f", {made.total:,} in all" if made.total != made.rows else ""
    print(f"{made.rows:,} row{'' if made.rows == 1 else 's'} of {table} in {path}{told}.")
    return 0


NOTES = """\b
Tables: PayPal.Catalog_Products, PayPal.Transactions, PayPal.Disputes,
PayPal.Payouts, Square.Payments, public.orders."""


def register(emulator: typer.Typer) -> None:
    """Add the verb to `emulator`."""
    command(
        emulator,
        "generate",
        summary="Make a source file of made-up payments.",
        notes=NOTES,
        example="flowledger emulator generate PayPal.Transactions --rows 5000 --to tables\n"
        "flowledger emulator generate public.orders --append --to tables",
        exit_codes="0 written, 2 no such table or no such file, 75 the disk is full.",
    )(generate)
