"""The verbs of the journal: query, verify, export, repair."""

from __future__ import annotations
import typer

app = typer.Typer(help="Query, verify, export and repair a journal.", no_args_is_help=True, rich_markup_mode=None)
