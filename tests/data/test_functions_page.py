"""docs/functions.md tells the truth: every cell of its table is computed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from flowledger.emulator.data.operations import OPERATIONS
from flowledger.emulator.dates import iso
from flowledger.emulator.expressions import NotComputed, parse, value_of
from flowledger.emulator.functions import FUNCTIONS, Surroundings

PAGE: Final = Path(__file__).parents[2] / "docs" / "functions.md"
ROWS: Final = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
CELLS: Final = re.findall(r"(?<=\| )`([^`|]+)` (is `[^`|]*`|fails: [^|]*?)(?= +\|)", PAGE.read_text())
ROW: Final = {"none": None, "nested": {"inner": {"city": "Paris"}}, "orders": [{"price": 2}, {"price": 3}]}
BY_NAME: Final = {"now", "timestamp", "nullify"}  # constants: whole columns without an operation


def test_every_function_has_a_row_and_no_other_has() -> None:
    assert [row[0].strip("`* ") for row in ROWS] == list(FUNCTIONS)
    assert len(CELLS) > 2 * len(ROWS)


@pytest.mark.parametrize(("expression", "said"), CELLS)
def test_a_cell_is_what_the_evaluator_gives(expression: str, said: str) -> None:
    around = Surroundings(now_ms=1_571_829_875_123, new_uuid=lambda: "an-id", row={"name": "Ada", "count": 7, **ROW})
    try:
        found = value_of(parse(expression), around)
        told = f"is `{json.dumps(iso(found) if hasattr(found, 'tzinfo') else found, ensure_ascii=False)}`"
    except NotComputed as fault:
        told = f"fails: {fault}"

    assert told == said


def test_the_page_says_what_is_computed_by_column_and_what_is_not_in_adobes_list() -> None:
    for row in ROWS:
        name = row[0].strip("`* ")
        assert (row[-1].strip() == "yes") == (name in OPERATIONS or name in BY_NAME), row
        assert row[0].endswith("*") == (not FUNCTIONS[name].published), row
