"""Shells complete verbs, options and the names of runs."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest


def complete(program: Any, *words: str) -> list[str]:
    env = {"_FLOWLEDGER_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    ran = program.apart(env=env)
    assert ran.code == 0, ran.err
    return [line for line in ran.out.splitlines() if line]


def test_verbs_and_options_are_completed(program: Any) -> None:
    assert complete(program, "flowledger", "pl") == ["plan"]
    assert "--detailed-exitcode" in complete(program, "flowledger", "plan", "--det")
    assert complete(program, "flowledger", "journal", "ver") == ["verify"]


def test_the_names_of_runs_are_completed(provisioned: Any) -> None:
    assert complete(provisioned, "flowledger", "status", "pay") == ["paypal-products"]
    assert complete(provisioned, "flowledger", "explain", "x") == []


def test_without_a_journal_nothing_is_completed_and_nothing_is_said(program: Any) -> None:
    assert complete(program, "flowledger", "status", "p") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_there_is_a_script_for_each_shell(program: Any, shell: str) -> None:
    ran = program("completion", shell)
    assert ran.code == 0
    assert "_FLOWLEDGER_COMPLETE" in ran.out


def test_bash_can_read_its_script(program: Any) -> None:
    bash = shutil.which("bash")
    assert bash
    script = program("completion", "bash").out
    assert subprocess.run([bash, "-n"], input=script, text=True, check=False).returncode == 0


def test_another_shell_is_refused_with_those_that_are(program: Any) -> None:
    ran = program("completion", "csh")
    assert ran.code == 2
    assert "bash, zsh, fish" in ran.err
