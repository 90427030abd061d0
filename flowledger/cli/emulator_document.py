"""The verb that prints what the emulator serves: emulator openapi."""

from __future__ import annotations

from typing import Annotated

import typer

from flowledger.cli.command import command


def openapi(
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="A choice of the emulator, as for start; repeat it."),
    ] = None,
) -> int:
    """Print the OpenAPI 3.1 document of everything that the emulator serves, as JSON.

    It describes this emulator, built from Adobe's documents; it is not Adobe's own document. A running emulator serves
    its own at /_emulator/openapi.json.
    """
    import json

    from flowledger.cli.emulator import further_options
    from flowledger.emulator.openapi import document
    from flowledger.emulator.options import Options

    print(json.dumps(document(Options(**further_options(option or []))), indent=2))
    return 0


def register(app: typer.Typer) -> None:
    """Put the verb below `emulator`."""
    command(
        app,
        "openapi",
        summary="Print the OpenAPI document of what it serves.",
        example="flowledger emulator openapi > emulator.openapi.json",
        exit_codes="0 printed, 2 an option is wrong.",
    )(openapi)
