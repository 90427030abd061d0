"""docs/commands.md is about the verbs that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from flowledger.cli.app import EPILOG, app

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "commands.md").read_text()


def commands(group: Any, path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= commands(command, f"{path}{name} ")
        else:
            found[f"{path}{name}"] = command
    return found


COMMANDS = commands(typer.main.get_command(app))
EVERYWHERE = {"--quiet", "--verbose", "--debug", "--log-format", "--journal", "--help"}


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_and_every_option_of_its_own_is_in_the_reference(verb: str) -> None:
    spelled = verb.removeprefix("emulator ") if verb in ("emulator faults list", "emulator faults clear") else verb
    sections = {part.splitlines()[0]: part for part in DOCS.split("\n### ")[1:]}
    found = [part for heading, part in sections.items() if re.search(rf"`{spelled}[ `]", heading)]
    assert len(found) == 1, verb
    section = found[0]
    if verb == "emulator faults add":
        return  # its help lists them, and the reference says so
    for parameter in COMMANDS[verb].params:
        long = [option for option in parameter.opts if option.startswith("--") and option not in EVERYWHERE]
        for option in long:
            assert option in section, f"{verb} {option}"


def test_the_reference_names_every_exit_code_and_variable_that_the_help_names() -> None:
    for variable in re.findall(r"FLOWLEDGER_\w+|NO_COLOR", EPILOG):
        assert variable in DOCS, variable
    for code in ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "75", "130, 143"):
        assert f"| {code} |" in DOCS, code


def test_the_exit_codes_of_the_reference_are_those_of_the_errors() -> None:
    from flowledger import errors

    codes = {
        value.exit_code
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.FlowledgerError)
    }
    for code in codes:
        assert f"| {code} |" in DOCS, code
