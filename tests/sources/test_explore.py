"""Every kind is explored by the path of its table: what is misspelt is refused with what is near, before anything is
built on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowledger.engine.specfile import load_spec
from flowledger.errors import SpecError
from flowledger.steps.sources import SOURCES

Begun = Callable[..., Path]


def misspelt(name: str) -> str:
    """The name without the letter in its middle."""
    return name[: len(name) // 2] + name[len(name) // 2 + 1 :]


def refused(place: Any, path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        place.apply(load_spec(path).spec)
    made = {kind: place.emulator.count(kind) for kind in ("classes", "sourceConnections", "flows")}
    assert made == {"classes": 0, "sourceConnections": 0, "flows": 0}
    return list(caught.value.faults)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_misspelt_table_is_answered_with_the_one_that_is_near(begun: Begun, place: Any, kind: str) -> None:
    path, table = begun(kind), SOURCES[kind].tables[0].path
    wrong = misspelt(table)

    [fault] = refused(place, path, path.read_text().replace(f"  table: {table}", f"  table: {wrong}"))

    assert fault.startswith(f"source.table: {wrong!r} is not there (near: ")
    assert table in fault


@pytest.mark.parametrize("kind", SOURCES)
def test_delta_and_mapped_columns_are_held_against_the_table(begun: Begun, place: Any, kind: str) -> None:
    path, table = begun(kind), SOURCES[kind].tables[0]
    text = next(name for name, of in table.columns.items() if of == "string")
    mapped = next(name for name in table.mappings if name != text)
    changed = path.read_text().replace(f"column: {table.delta} ", f"column: {text} ")
    changed = changed.replace(f"{{source: {mapped},", f"{{source: {misspelt(mapped)},")

    faults = refused(place, path, changed)

    assert len(faults) == 2
    assert f"column {misspelt(mapped)!r} is not in {table.path} (near: {mapped}" in faults[0]
    assert faults[1].startswith(f"source.delta.column: {text!r} is string, and must be date-time; {table.path} has ")
    assert table.delta in faults[1]
