"""What the crash tests share: the matrix's own folder, `crashmatrix`, which pyproject.toml puts on the path."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from crashmatrix.cells import Cell
from crashmatrix.living import run_cell


@pytest.fixture
def all_hold() -> Callable[[Iterable[Cell]], int]:
    """Runs cells, each in a world of its own; fails with all that did not hold, and returns how many there were."""

    def run_all(cells: Iterable[Cell]) -> int:
        failures: list[str] = []
        number = 0
        for number, cell in enumerate(cells, 1):  # noqa: B007 - the last number is the count
            try:
                run_cell(cell)
            except AssertionError as failure:
                failures.append(str(failure))
        assert number, "no cell was run"
        assert not failures, f"{len(failures)} of {number} cells do not hold:\n" + "\n".join(failures[:20])
        return number

    return run_all
