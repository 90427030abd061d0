"""How many cells there are, and why that is all of them: `PYTHONPATH=tests/crash python -m crashmatrix.count [--dry]`.

`--dry` also counts what only a dry run can tell (pairs, and deaths in look-ups); that takes a minute.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from crashmatrix.cells import (
    EACH,
    Cell,
    Of,
    look_up_cells,
    pair_fates,
    per_step_points,
    reboot_cells,
    single_cells,
    triple_cells,
)
from crashmatrix.fates import FATES, REQUEST_FATES
from crashmatrix.living import look_up_deaths, pair_cells
from crashmatrix.points import CrashPoint
from crashmatrix.styles import STYLES


def singles_at(point: CrashPoint) -> int:
    """Cells with one death at this point, of one step."""
    return len(list(single_cells(EACH[0], point)))


def table() -> list[str]:
    """The counts that follow from the lists alone, as lines of a Markdown table."""
    rows = ["| point | fates it can meet | ways to die | cells a step |", "|---|---|---|---|"]
    for point in per_step_points():
        cells = singles_at(point)
        rows.append(f"| {point} | {cells // len(point.deaths)} | {len(point.deaths)} | {cells} |")
    rows.append(f"| all | {len(REQUEST_FATES)} | | {sum(map(singles_at, per_step_points()))} |")
    return rows


def static_cells() -> dict[str, list[Cell]]:
    """Cells by kind, as far as they follow from the lists alone."""
    points = per_step_points()
    unnamed = [Of(style, "create_mapping_set") for style in STYLES]
    return {
        "without a death": [Cell(step=of.step, style=of.style, fate=fate) for of in EACH for fate in REQUEST_FATES],
        "one death": [cell for of in EACH for point in points for cell in single_cells(of, point)],
        "one death, mapping set without a name": [
            cell for of in unnamed for point in points for cell in single_cells(of, point, echo_names=False)
        ],
        "one death of the machine": [cell for of in EACH for point in points for cell in reboot_cells(of, point)],
        "two or three deaths in sends": [cell for of in EACH for cell in triple_cells(of)],
        "look-ups without a death": [cell for of in EACH for cell in look_up_cells(of)],
    }


def static_counts() -> dict[str, int]:
    """How many these are."""
    return {kind: len(cells) for kind, cells in static_cells().items()}


def summary() -> list[str]:
    """These counts as lines of a Markdown list."""
    counts = static_counts()
    return [*(f"- {kind}: {count:,}" for kind, count in counts.items()), f"- in all: {sum(counts.values()):,}"]


def dry_counts() -> Iterator[tuple[str, int]]:
    """Cells by kind that a dry run must enumerate, because only it tells what is passed."""
    deaths = (cell for of in EACH for cell in look_up_deaths(of))
    yield "a death during look-ups", _length(deaths)
    for of in EACH:
        named = of.step != "create_mapping_set"
        pairs = (cell for name in pair_fates(of) for cell in pair_cells(of, FATES[name], echo_names=named))
        yield f"pairs of {of}", _length(pairs)


def _length(cells: Iterable[Any]) -> int:
    return sum(1 for _ in cells)


def main() -> None:
    """Print the counts."""
    print(f"{len(EACH)} steps x {len(per_step_points())} crash points x {len(REQUEST_FATES)} fates, ", end="")
    print("less what cannot happen (asserted by running it), times the ways to die that leave different disks:")
    print("\n".join(table()))
    total = 0
    for kind, count in [*static_counts().items(), *(dry_counts() if "--dry" in sys.argv else ())]:
        total += count
        print(f"{count:6}  {kind}")
    print(f"{total:6}  in all")


if __name__ == "__main__":
    main()
