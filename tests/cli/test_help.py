"""Help that can be used without anything else, and that answers at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from flowledger.cli.app import app

VERBS = [
    "init", "validate", "plan", "apply", "resume", "status", "runs", "history", "explain", "graph", "watch",
    "read", "drift", "destroy", "schema", "doctor", "config show", "completion", "journal query",
    "journal verify", "journal export", "journal repair", "journal stats", "journal prune", "emulator start",
    "emulator status", "emulator wait", "emulator logs", "emulator stop", "emulator advance",
    "emulator generate", "emulator reset", "emulator openapi", "emulator faults add", "emulator faults list",
    "emulator faults clear", "demo",
]  # fmt: skip


def leaves(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


COMMANDS = dict(leaves(typer.main.get_command(app)))


def test_the_verbs_are_those_of_the_contract() -> None:
    assert sorted(COMMANDS) == sorted(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_what_it_does_with_an_example_and_its_exit_codes(verb: str) -> None:
    command = COMMANDS[verb]
    assert command.help.split(".")[0]
    assert command.short_help
    assert "Example:" in command.epilog
    assert f"flowledger {verb}" in command.epilog
    assert "Exit codes: 0" in command.epilog or "Exit codes: as apply" in command.epilog


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_has_a_sentence(verb: str) -> None:
    for parameter in COMMANDS[verb].params:
        assert parameter.help, f"{verb} {parameter.name}"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_can_be_quiet_verbose_and_debugged(verb: str) -> None:
    names = {option for parameter in COMMANDS[verb].params for option in parameter.opts}
    assert {"--quiet", "-q", "--verbose", "-v", "--debug"} <= names


@pytest.mark.parametrize(
    "verb", ["validate", "plan", "apply", "resume", "status", "runs", "history", "explain", "journal verify"]
)
def test_verbs_that_answer_a_program_have_json(verb: str) -> None:
    assert "--json" in {option for parameter in COMMANDS[verb].params for option in parameter.opts}


def test_the_top_help_names_environment_and_exit_codes(program: Any) -> None:
    ran = program("--help")
    assert ran.code == 0
    for word in ("FLOWLEDGER_JOURNAL", "FLOWLEDGER_CLIENT_SECRET", "NO_COLOR", "75", "130, 143", "flowledger demo"):
        assert word in ran.out
    assert max(map(len, ran.out.splitlines())) <= 100
    assert "..." not in ran.out.partition("Commands:")[2].partition("A first run")[0], "a verb's line is cut"


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("verb", ["", "journal", "config", "emulator", "emulator faults", *VERBS])
def test_help_fits_the_terminal(program: Any, verb: str, columns: int) -> None:
    ran = program(*verb.split(), "--help", env={"COLUMNS": str(columns)})
    assert ran.code == 0
    assert [line for line in ran.out.splitlines() if len(line) > columns] == []
    assert "[[" not in ran.out.partition("\n")[0], "an argument in two pairs of brackets"


def test_help_pays_for_no_library_but_typer() -> None:
    """What keeps `flowledger --help` below 300 ms; a time would depend on the machine."""
    code = (
        "import sys\n"
        "sys.argv = ['flowledger', '--help']\n"
        "from flowledger.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'aiohttp', 'pydantic', 'structlog', 'rich.console', 'tinydb', 'orjson', 'yaml', 'asyncio'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage: flowledger" in ran.stdout
    assert ran.stderr.strip() == "[]"


def test_the_version_is_printed(program: Any) -> None:
    ran = program.apart("--version")
    assert (ran.code, ran.out) == (0, "flowledger 0.1.0\n")


@pytest.mark.parametrize(
    "arguments",
    [("apply",), ("nonsense",), ("apply", "a.yaml", "--nonsense"), ("emulator", "start", "--port", "70000")],
)
def test_a_call_that_cannot_be_meant_exits_2_and_says_why(program: Any, arguments: tuple[str, ...]) -> None:
    ran = program(*arguments)
    assert ran.code == 2
    assert "Usage" in ran.err or "Usage" in ran.out
    assert "Traceback" not in ran.err


def test_a_pipe_that_closes_early_leaves_no_traceback(program: Any) -> None:
    ran = program.into_closed_pipe("graph")
    assert (ran.code, ran.err) == (0, "")
