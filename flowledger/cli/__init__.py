"""The command line: `main` is the entry point; verbs live one module a family, and load what they need in use."""

from __future__ import annotations


def main() -> None:
    """Run the command line on `sys.argv` and exit."""
    import io
    import sys

    from flowledger.cli.app import app
    from flowledger.cli.coredumps import switch_off_core_dumps

    switch_off_core_dumps()

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an arrow must not end a run on a terminal without UTF-8
    app(prog_name="flowledger")
