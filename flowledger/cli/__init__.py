"""The command line: `main` is the entry point; verbs live one module a family, and load what they need in use."""

from __future__ import annotations


def main() -> None:
    """Run the command line on `sys.argv` and exit."""
    import io
    import sys

    _open_what_is_closed()
    from flowledger.cli.streams import until_nobody_reads

    sys.stderr = until_nobody_reads(sys.stderr)
    from flowledger.cli.app import app
    from flowledger.cli.completion import get_ready
    from flowledger.cli.coredumps import switch_off_core_dumps

    switch_off_core_dumps()
    get_ready()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an arrow must not end a run on a terminal without UTF-8
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(write_through=False)  # a verb is through before a closed pipe is noticed, also with -u
    app(prog_name="flowledger")


def _open_what_is_closed() -> None:
    """Point standard streams that the caller closed (`>&-`, some daemons) at nothing.

    Else the next files to be opened, the journal's among them, would get their numbers, and whatever is printed there
    would go into the journal.
    """
    import os
    import sys

    from flowledger.cli.streams import nowhere

    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            nowhere()  # takes the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
