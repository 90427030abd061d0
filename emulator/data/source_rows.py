"""What reading a source file gives, whatever its format: rows with their numbers, and what is broken between them.

Rows are counted from 1, the first below a CSV's header; empty lines are not rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from flowledger.emulator.data.kinds import Column, Misfit

LONGEST_SHOWN: Final = 60  # characters of a broken line in its reason


class SourceUnreadable(Exception):
    """A source file cannot be read, or not further. The text says which, where and why."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A row that cannot be read: its number, and why."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as they come from the file, `numbers` telling which ones."""

    table: pa.Table
    numbers: pa.Array


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of a file in its order, with the form of those that nest."""

    columns: tuple[Column, ...]
    nested: dict[str, pa.DataType]


def at_row(seen: int) -> str:
    """Where a reading broke off."""
    return f"after row {seen}"


def without_misfits(table: pa.Table, numbers: pa.Array, misfits: list[Misfit]) -> Iterator[Rows | Broken]:
    """The rows that are whole, each of the others as broken, with every reason."""
    if misfits:
        reasons: dict[int, list[str]] = {}
        for misfit in misfits:
            reasons.setdefault(misfit.place, []).append(misfit.reason)
        for place in sorted(reasons):
            yield Broken(numbers[place].as_py(), "; ".join(reasons[place]))
        whole = pa.array([place not in reasons for place in range(len(table))], pa.bool_())
        table, numbers = table.filter(whole), numbers.filter(whole)
    if len(table):
        yield Rows(table, numbers)
