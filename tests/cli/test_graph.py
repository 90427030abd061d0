"""The diagram in the docs is the machine that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowledger.engine.graph import mermaid, table
from flowledger.engine.table import ROWS, row_of

DOCS = Path(__file__).resolve().parents[2] / "docs" / "machine.md"


def test_the_docs_show_the_machine_that_runs() -> None:
    text = DOCS.read_text()
    assert f"```mermaid\n{mermaid()}```\n" in text, "regenerate it: flowledger graph"
    assert table() in text, "regenerate it: flowledger graph --format table"


def test_every_step_and_every_need_is_drawn_once() -> None:
    lines = mermaid().splitlines()
    for row in ROWS:
        assert sum(f"-->|{row.step.name}| {row.dest}[" in line for line in lines) == 1, row.step.name
        for need in row.needs:
            arrow = f"{row_of(need).dest} -.->|before {row.step.name}| {row.dest}"
            assert sum(arrow in line for line in lines) == 1, arrow
    assert sum("-.->" in line for line in lines) == sum(len(row.needs) for row in ROWS)


def test_nodes_of_branches_are_told_apart() -> None:
    """Mermaid would draw two nodes of one id as one: only `planned` is a state of every branch."""
    states = [row.dest for row in ROWS]
    assert len(set(states)) == len(states)
    assert "planned" not in states


def test_graph_prints_both_forms_and_refuses_others(program: Any) -> None:
    assert program("graph").out == mermaid()
    assert program("graph", "--format", "table").out == table()
    assert program("graph", "--format", "svg").code == 2
