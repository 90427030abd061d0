"""What is refused before a verb runs: an argument that is empty; and how that is told to a program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

_PATHS = ("--journal", "--state", "--folder", "--to", "--kinds", "--sources")


class Verbs(TyperGroup):
    """The group of all verbs."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # of typer's click
        """Take the call apart. Raises BadParameter for an empty argument, which pathlib takes for the current folder.

        So `apply "$SPEC"` without such a variable does not provision whatever lies where it is called.
        """
        ctx.meta[__name__] = "--json" in args
        with _told(ctx):
            for before, argument in zip(["", *args], args, strict=False):
                if not argument and (before in _PATHS or not before.startswith("-")):
                    raise typer.BadParameter("an argument is empty: is a variable not set?", ctx=ctx)
            return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # of typer's click
        """Call the verb."""
        with _told(ctx):
            return super().invoke(ctx)


@contextmanager
def _told(ctx: typer.Context) -> Iterator[None]:
    """Print the document that a program waits for when a call is wrong; a person is told by what is raised."""
    try:
        yield
    except Exception as error:
        message = getattr(error, "format_message", None)  # of a usage error of click, whichever typer brings
        if message is not None and ctx.meta[__name__]:
            from flowledger.cli.failure import error_document
            from flowledger.cli.show import print_json
            from flowledger.errors import UsageError

            where = getattr(error, "ctx", None) or ctx
            print_json(error_document(UsageError(message(), hint=f"{where.command_path} -h")))
        raise
