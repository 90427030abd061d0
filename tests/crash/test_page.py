"""The page on crash points says what the lists say."""

from __future__ import annotations

from pathlib import Path

from crashmatrix.count import summary, table
from crashmatrix.page import page
from crashmatrix.points import POINTS

PAGE = Path(__file__).parents[2] / "docs" / "crash-points.md"


def test_the_page_is_what_the_lists_make_of_it() -> None:
    text = PAGE.read_text()
    for block in page():
        assert block in text, f"docs/crash-points.md should hold:\n{block}"
    assert "\n".join(table()) in text
    assert "\n".join(summary()) in text


def test_every_point_has_a_number_of_its_own_and_none_is_missing() -> None:
    assert sorted(point.number for point in POINTS) == list(range(1, 27))
    assert len({point.name for point in POINTS}) == len(POINTS)
