"""How many cells there are, and why that is all of them: `PYTHONPATH=tests/crash python -m crashmatrix.count [--dry]`.

`--dry` also counts what only a dry run can tell (pairs, and deaths in look-ups); that takes a minute.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from crashmatrix.cells import (
    ONE_OF_EACH_KIND,
    PAIR_FATES,
    look_up_deaths,
    pair_cells,
    per_step_points,
    reboot_cells,
    single_cells,
    triple_cells,
)
from crashmatrix.fates import FATES, LOOK_UP_FATES, REQUEST_FATES
from crashmatrix.points import CrashPoint
from crashmatrix.traps import STEPS


def singles_at(point: CrashPoint) -> int:
    """Cells with one death at this point, of one step."""
    return len(list(single_cells(STEPS[0], point)))


def table() -> list[str]:
    """The counts that follow from the lists alone, as lines of a Markdown table."""
    rows = ["| point | fates it can meet | ways to die | cells a step |", "|---|---|---|---|"]
    for point in per_step_points():
        cells = singles_at(point)
        rows.append(f"| {point} | {cells // len(point.deaths)} | {len(point.deaths)} | {cells} |")
    rows.append(f"| all | {len(REQUEST_FATES)} | | {sum(map(singles_at, per_step_points()))} |")
    return rows


def static_counts() -> dict[str, int]:
    """Cells by kind, as far as the lists alone tell."""
    singles = sum(map(singles_at, per_step_points()))
    return {
        "without a death": len(REQUEST_FATES) * len(STEPS),
        "one death": singles * len(STEPS),
        "one death, mapping set without a name": singles,
        "one death of the machine": sum(
            _length(reboot_cells(step, point)) for step in ONE_OF_EACH_KIND for point in per_step_points()
        ),
        "two or three deaths in sends": sum(len(list(triple_cells(step))) for step in STEPS),
        "look-ups without a death": len(LOOK_UP_FATES) * len(STEPS),
    }


def summary() -> list[str]:
    """These counts as lines of a Markdown list."""
    counts = static_counts()
    return [*(f"- {kind}: {count:,}" for kind, count in counts.items()), f"- in all: {sum(counts.values()):,}"]


def dry_counts() -> Iterator[tuple[str, int]]:
    """Cells by kind that a dry run must enumerate, because only it tells what is passed."""
    deaths = (cell for step in STEPS for cell in look_up_deaths(step))
    yield "a death during look-ups", _length(deaths)
    for step in ONE_OF_EACH_KIND:
        named = step != "create_mapping_set"
        pairs = (cell for name in PAIR_FATES for cell in pair_cells(step, FATES[name], echo_names=named))
        yield f"pairs of {step}", _length(pairs)


def _length(cells: Iterable[Any]) -> int:
    return sum(1 for _ in cells)


def main() -> None:
    """Print the counts."""
    print(f"{len(STEPS)} steps x {len(per_step_points())} crash points x {len(REQUEST_FATES)} fates, ", end="")
    print("less what cannot happen (asserted by running it), times the ways to die that leave different disks:")
    print("\n".join(table()))
    total = 0
    for kind, count in [*static_counts().items(), *(dry_counts() if "--dry" in sys.argv else ())]:
        total += count
        print(f"{count:6}  {kind}")
    print(f"{total:6}  in all")


if __name__ == "__main__":
    main()
