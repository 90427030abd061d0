"""The diagram in the docs is the machine that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowledger.engine.graph import mermaid, table
from flowledger.engine.table import TABLES, Table

DOCS = Path(__file__).resolve().parents[2] / "docs" / "machine.md"


def test_the_docs_show_the_machine_that_runs() -> None:
    text = DOCS.read_text()
    for style, machine in TABLES.items():
        assert f"```mermaid\n{mermaid(machine)}```\n" in text, f"regenerate it: flowledger graph --style {style}"
        assert table(machine) in text, f"regenerate it: flowledger graph --style {style} --format table"


@pytest.mark.parametrize("machine", TABLES.values(), ids=TABLES)
def test_every_step_and_every_need_is_drawn_once(machine: Table) -> None:
    lines = mermaid(machine).splitlines()
    for row in machine.rows:
        assert sum(f"-->|{row.step.name}| {row.dest}[" in line for line in lines) == 1, row.step.name
        for need in row.needs:
            arrow = f"{machine.row_of(need).dest} -.->|before {row.step.name}| {row.dest}"
            assert sum(arrow in line for line in lines) == 1, arrow
    assert sum("-.->" in line for line in lines) == sum(len(row.needs) for row in machine.rows)


@pytest.mark.parametrize("machine", TABLES.values(), ids=TABLES)
def test_nodes_of_branches_are_told_apart(machine: Table) -> None:
    """Mermaid would draw two nodes of one id as one: only `planned` is a state of every branch."""
    states = [row.dest for row in machine.rows]
    assert len(set(states)) == len(states)
    assert "planned" not in states


def test_graph_prints_both_forms_and_refuses_others(program: Any) -> None:
    machine = TABLES["tutorial"]
    assert program("graph").out == mermaid(machine)
    assert program("graph", "--format", "table").out == table(machine)
    assert program("graph", "--format", "svg").code == 2


@pytest.mark.parametrize("style", TABLES)
def test_graph_draws_the_style_that_is_asked_for(program: Any, style: str) -> None:
    assert program("graph", "--style", style).out == mermaid(TABLES[style])


def test_graph_refuses_a_style_that_there_is_not(program: Any) -> None:
    refused = program("graph", "--style", "baroque")
    assert refused.code == 2
    assert "--style tutorial" in refused.err
