"""Each command that an error, a hint or a page names is one that the command line takes, with options that it has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from flowledger.cli.app import app

ROOT = Path(__file__).parents[2]
FOLDERS = ("engine", "steps", "journal", "emulator", "flowledger/cli", "flowledger")
NAMED = re.compile(r"\bflowledger((?: [a-z][a-z-]*)+)([^,;`\n|&]*)")
OPTION = re.compile(r"(?<=\s)--?[a-z][a-z-]*")
TREE = typer.main.get_command(app)
#: Words after the program's name in prose about it.
PROSE = {
    "and",
    "are",
    "create",
    "did",
    "does",
    "has",
    "is",
    "itself",
    "knows",
    "makes",
    "on",
    "spec",
    "that",
    "to",
    "wrote",
}


def texts_of(file: Path) -> Iterator[tuple[int, str]]:
    """Every text of a module, with X where a value is put in."""
    tree = ast.parse(file.read_text())
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.lineno, node.value


def fault_of(named: str, rest: str) -> str:
    """Why what is named is no command, or "" if it is one. `rest`: what follows the words, with its options."""
    command: Any = TREE
    words = named.split()
    while words and hasattr(command, "commands"):
        if words[0] not in command.commands:
            return f"there is no {words[0]!r} in {command.name}"
        command = command.commands[words.pop(0)]
    if hasattr(command, "commands"):
        return f"{command.name} needs a verb" if OPTION.search(rest) else ""
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help", "-h"}
    unknown = [option for option in OPTION.findall(rest) if option not in known and option != "--profile"]
    return f"{command.name} has no {', '.join(unknown)}" if unknown else ""


def commands() -> list[tuple[str, str, str]]:
    """Every command that a text of the program names: where, its words, and what follows them."""
    found = []
    files = sorted({file for folder in FOLDERS for file in (ROOT / folder).glob("*.py")})
    for file in files:
        for line, text in texts_of(file):
            for match in NAMED.finditer(text):
                if match[1].split()[0] not in PROSE:
                    found.append((f"{file.relative_to(ROOT)}:{line}", match[1], match[2]))
    return found


def test_every_command_that_the_program_names_is_one() -> None:
    wrong = [
        (where, f"flowledger{words}{rest}", fault)
        for where, words, rest in commands()
        if (fault := fault_of(words, rest))
    ]

    assert wrong == []
    assert len(commands()) > 100  # it looks where commands are


@pytest.mark.parametrize(("words", "rest", "said"), [
    (" nonsense", "", "no 'nonsense'"), (" emulator nonsense", "", "no 'nonsense'"),
    (" doctor", " --nonsense", "doctor has no --nonsense"), (" status orders", " --json", ""),
])  # fmt: skip
def test_a_command_that_is_none_would_be_noticed(words: str, rest: str, said: str) -> None:
    assert said in fault_of(words, rest)
