"""The verb demo: a whole dataflow on an emulator of its own, without credentials and without Adobe."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the verb."""
