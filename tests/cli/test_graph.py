"""The diagram in the docs is the machine that runs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from flowledger.engine.drawing import svg
from flowledger.engine.graph import mermaid, table
from flowledger.engine.table import TABLES, Table

DOCS = Path(__file__).resolve().parents[2] / "docs" / "machine.md"
SVG = "{http://www.w3.org/2000/svg}"


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


def test_graph_prints_every_form_and_refuses_others(program: Any) -> None:
    machine = TABLES["tutorial"]
    assert program("graph").out == mermaid(machine)
    assert program("graph", "--format", "table").out == table(machine)
    assert program("graph", "--format", "svg").out == svg(machine)
    assert program("graph", "--format", "png").code == 2


@pytest.mark.parametrize("style", TABLES)
def test_graph_draws_the_style_that_is_asked_for(program: Any, style: str) -> None:
    assert program("graph", "--style", style).out == mermaid(TABLES[style])


def test_graph_refuses_a_style_that_there_is_not(program: Any) -> None:
    refused = program("graph", "--style", "baroque")
    assert refused.code == 2
    assert "--style tutorial" in refused.err


@pytest.mark.parametrize("machine", TABLES.values(), ids=TABLES)
def test_the_picture_has_a_box_for_each_state_and_an_arrow_for_each_step_and_need(machine: Table) -> None:
    picture = ElementTree.fromstring(svg(machine))
    drawn = [element.get("class") for element in picture.iter()]
    words = [element.text for element in picture.iter(f"{SVG}text")]
    assert drawn.count("step") == len(machine.rows)
    assert drawn.count("waits") == sum(len(row.needs) for row in machine.rows)
    assert words.count("planned") == len(machine.branches)
    for row in machine.rows:
        assert row.step.name in words
        assert row.dest in words


@pytest.mark.parametrize("machine", TABLES.values(), ids=TABLES)
def test_no_two_boxes_of_the_picture_overlap(machine: Table) -> None:
    picture = ElementTree.fromstring(svg(machine))
    boxes = [box for box in picture.iter(f"{SVG}rect") if box.get("rx")]
    places = sorted((float(box.get("y") or 0), float(box.get("x") or 0), float(box.get("width") or 0)) for box in boxes)
    for (y, x, width), (next_y, next_x, _) in pairwise(places):
        assert y != next_y or x + width < next_x
