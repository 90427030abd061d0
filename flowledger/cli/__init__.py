"""The command line: `main` is the entry point; verbs live one module a family, and load what they need in use."""

from __future__ import annotations


def main() -> None:
    """Run the command line on `sys.argv` and exit."""
    from flowledger.cli.app import app

    app(prog_name="flowledger")
