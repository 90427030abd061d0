"""Shell completion: the verb that prints the script for a shell, and what a word may be completed to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from flowledger.cli.command import command

VARIABLE = "_FLOWLEDGER_COMPLETE"  # set by a shell that asks for completions
SHELLS = ("bash", "zsh", "fish", "powershell")


def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh, fish or powershell.")],
) -> int:
    """Print the script that makes a shell complete verbs, options and names of runs."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # its public home is there

    from flowledger.engine.specfault import did_you_mean
    from flowledger.errors import UsageError

    if shell not in SHELLS:
        raise UsageError(
            f"there is no completion for {shell!r}: {did_you_mean(shell, SHELLS)}", hint=f"one of {', '.join(SHELLS)}"
        )
    print(get_completion_script(prog_name="flowledger", complete_var=VARIABLE, shell=shell).strip())
    return 0


def get_ready() -> None:
    """Load what answers a shell's question, if this start of the program is one."""
    if VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]  # its public home is there

        completion_init()


def run_names(incomplete: str) -> list[str]:
    """The names of the journal's runs that begin so; none if the journal cannot be read: a shell shows no errors."""
    from flowledger.cli.command import DEFAULT_JOURNAL
    from flowledger.errors import FlowledgerError
    from flowledger.journal import JournalReader

    directory = Path(os.environ.get("FLOWLEDGER_JOURNAL") or DEFAULT_JOURNAL)
    try:
        names = JournalReader.open(directory).runs()
    except FlowledgerError:
        names = []
    return [name for name in names if name.startswith(incomplete)]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    command(
        app,
        "completion",
        summary="Print the script that makes a shell complete.",
        example='eval "$(flowledger completion bash)"\n'
        "flowledger completion fish > ~/.config/fish/completions/flowledger.fish",
        exit_codes="0 printed, 2 no such shell.",
    )(completion)
