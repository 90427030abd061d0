"""The page that puts our steps beside the tutorial's calls leaves none out."""

from __future__ import annotations

import re
from pathlib import Path

from flowledger.engine.table import VERIFYING
from flowledger.steps.step import Step

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")


def test_the_page_names_every_step_under_the_heading_that_the_step_belongs_to(all_steps: list[Step]) -> None:
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    for step in all_steps:
        assert step.tutorial
        section = next(section for section in sections if section.splitlines()[0].startswith(step.tutorial))
        assert f"**{step.name}**" in section, step.name


def test_the_page_names_the_steps_that_wait_for_rows_and_where_to_ask_for_them() -> None:
    [section] = re.findall(r"^## And then: the rows\n(.+?)^## ", PAGE, flags=re.MULTILINE | re.DOTALL)
    for written in VERIFYING:
        assert f"**{written[0].name}**" in section
    assert "(spec.md#whether-rows-arrive)" in section


def test_the_page_says_what_becomes_of_every_mistake_of_the_tutorial() -> None:
    rows = re.findall(r"^\| T(\d+) \| .+ \| .+ \|$", PAGE, flags=re.MULTILINE)
    assert [int(number) for number in rows] == list(range(1, 23))
