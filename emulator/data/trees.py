"""Where mappings write, as a tree: leaves are columns, branches are objects, and `[n]` makes arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flowledger.emulator.data.leaves import arrow_of
from flowledger.emulator.mapping_rules import steps_of

Json = Mapping[str, Any]


class DestinationUnknown(ValueError):
    """The target schema has no such path. The text names it."""


@dataclasses.dataclass(slots=True)
class Branch:
    """One place of the tree: what the schema says of it, what is below it, and which mapping writes it whole."""

    field: Json
    path: str
    below: dict[str | int, Branch] = dataclasses.field(default_factory=dict)
    mapping: int | None = None

    def schema_field(self, name: str) -> pa.Field:
        """The place as a field of an Arrow schema."""
        return pa.field(name, self.arrow_type())

    def arrow_type(self) -> pa.DataType:
        """The type of what `column` makes."""
        if not self.below or (self.mapping is not None and not self.is_list):
            return arrow_of(self.field)
        if self.is_list:
            return pa.list_(next(iter(self.below.values())).arrow_type())
        return pa.struct([inner.schema_field(str(name)) for name, inner in self.below.items()])

    @property
    def is_list(self) -> bool:
        """Whether what is below are the entries of an array."""
        return any(isinstance(step, int) for step in self.below)

    def column(self, leaves: Sequence[pa.Array], rows: int) -> pa.Array:
        """The place's values, made of the mappings' columns. An object of nothing but nulls is null."""
        if not self.below:
            assert self.mapping is not None
            return leaves[self.mapping]
        if self.is_list:
            return self._list(leaves, rows)
        parts = {str(name): inner.column(leaves, rows) for name, inner in self.below.items()}
        if self.mapping is not None:
            whole = leaves[self.mapping]
            wanted = self.arrow_type()
            parts = {
                inner.name: parts[inner.name].cast(inner.type) if inner.name in parts else pc.struct_field(whole, place)
                for place, inner in enumerate(wanted)
            }
        empty: pa.Array | None = None
        for part in parts.values():
            if part.null_count == 0:
                empty = None
                break
            nothing = pc.is_null(part)
            empty = nothing if empty is None else pc.and_(empty, nothing)
        arrays = list(parts.values())
        fields = [pa.field(name, part.type) for name, part in parts.items()]
        return pa.StructArray.from_arrays(arrays, fields=fields, mask=empty)

    def _list(self, leaves: Sequence[pa.Array], rows: int) -> pa.Array:
        entries = {int(place): inner.column(leaves, rows) for place, inner in self.below.items()}
        size = max(entries) + 1
        type_ = next(iter(self.below.values())).arrow_type()
        parts = [entries[place].cast(type_) if place in entries else pa.nulls(rows, type_) for place in range(size)]
        there: pa.Array = pa.repeat(pa.scalar(False), rows)
        for part in parts:
            there = pc.or_(there, pc.is_valid(part))
        order = pa.array([part * rows + row for row in range(rows) for part in range(size)], pa.int64())
        values = pa.concat_arrays(parts).take(order)
        offsets = pa.array(range(0, rows * size + 1, size), pa.int32())
        return pa.ListArray.from_arrays(offsets, values, mask=pc.invert(there))


def tree_of(destinations: Sequence[str], target: Json) -> Branch:
    """The tree of all destinations, in their order; of two mappings of one place the later counts.

    Raises DestinationUnknown.
    """
    root = Branch(target, "")
    for number, destination in enumerate(destinations):
        node = root
        for step in _steps(destination, target):
            node = node.below.setdefault(step, Branch(_field_below(node.field, step), _path(node.path, step)))
        node.mapping = number
    return root


def _steps(destination: str, target: Json) -> list[str | int]:
    """The steps to a destination; an array that is stepped into without a number means its first entry."""
    found: list[str | int] = []
    node = target
    for step in steps_of(destination):
        if isinstance(step, str) and node.get("type") == "array":
            found.append(0)
            node = _field_below(node, 0)
        try:
            node = _field_below(node, step)
        except KeyError:
            raise DestinationUnknown(f"the path {destination} is not in the target schema") from None
        found.append(step)
    return found


def _field_below(node: Json, step: str | int) -> Json:
    if isinstance(step, int):
        if node.get("type") != "array":
            raise KeyError(step)
        items = node.get("items")
        return items if isinstance(items, Mapping) else {"type": "string"}
    found: Json = (node.get("properties") or {})[step]
    return found


def _path(path: str, step: str | int) -> str:
    if isinstance(step, int):
        return f"{path}[{step}]"
    return f"{path}.{step}" if path else step
