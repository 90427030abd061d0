"""The verbs of a spec before it is provisioned: init, validate, plan, graph."""

from __future__ import annotations
import typer


def register(app: typer.Typer) -> None:
    """Add this family's verbs."""
