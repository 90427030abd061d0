"""A mapping set over whole columns: rows of a source become rows of an XDM schema (platform-api.md §5).

The meaning is the evaluator's, as in validate and preview. What columns compute at once is computed so; flagged rows,
and expressions for which there is no column operation, are computed row by row over only the columns that they read.
A transformation that fails nulls its own field only; a row that the schema does not take is rejected with its reasons.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from flowledger.emulator import effort
from flowledger.emulator.data.leaves import Flagged, arrow_of, either, fitted, fitted_column, type_of
from flowledger.emulator.data.operands import Unsupported
from flowledger.emulator.data.operations import ColumnReader, texts_of
from flowledger.emulator.data.tables import Batch
from flowledger.emulator.data.trees import DestinationUnknown, tree_of
from flowledger.emulator.data.xdm_rows import INVALID, NOT_MAPPED, Fault, Faults, each_of, faults_of
from flowledger.emulator.effort import FREE_S, Effort
from flowledger.emulator.expressions import STEP, Malformed, Node, NotComputed, attribute, columns_of, parse, value_of
from flowledger.emulator.expressions import faults_of as expression_faults
from flowledger.emulator.functions import Surroundings
from flowledger.emulator.mapping_rules import ATTRIBUTE, EXPRESSION, STATIC, source_of, source_type_of
from flowledger.emulator.paths import destination_of

Json = Mapping[str, Any]

MOST_CHARACTERS: Final = 512 * 2**20  # of texts that expressions make row by row, in one batch
TOLD: Final = 100  # nulled values that are named, of one mapping in one batch
REJECTIONS: Final = pa.schema(
    [("row", pa.int64()), ("column", pa.string()), ("expression", pa.string()), ("reason", pa.string())]
)
WHOLE_ROW: Final = frozenset({"contains_key", "is_set"})  # functions that look at paths which are given as texts


class MappingInvalid(ValueError):
    """A mapping that no row can pass. The text names its destination, its source and what is wrong."""


class Rejected(NamedTuple):
    """A row that does not land: its number in the source, the field at fault, the mapping's source, all reasons."""

    row: int
    column: str
    expression: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Nulled:
    """A field that is null because its transformation failed: the source's row, the field, the source, and why."""

    row: int
    column: str
    expression: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """Rows in the shape of the target schema, and what did not become such."""

    table: pa.Table
    rejections: pa.Table  # a row each, in order: row, column, expression, reason
    nulled: list[Nulled] = field(default_factory=list)  # the first ones of each mapping
    nulled_count: int = 0  # all of them

    @property
    def rejected(self) -> list[Rejected]:
        """The rows that do not land, one by one."""
        return [Rejected(*values) for values in zip(*(part.to_pylist() for part in self.rejections), strict=True)]


@dataclass(frozen=True, slots=True)
class _Mapping:
    node: Node | None  # None: an attribute path that only `attribute` reads
    source: str
    destination: str
    field: Json


class Mapper:
    """A mapping set, ready to map any number of batches."""

    def __init__(
        self,
        mappings: Sequence[Json],
        target: Json,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        new_uuid: Callable[[], str] = lambda: str(uuid.uuid4()),
        unpublished: bool = False,
    ) -> None:
        """`mappings` in either dialect, `target` a resolved schema. `unpublished` allows functions beyond Adobe's list.

        Raises MappingInvalid for what validation refuses: unknown destinations and functions, malformed expressions.
        """
        self._target = target
        self._effort = Effort(free_s=FREE_S)  # of all rows together, as far as patterns go
        self._now_ms, self._new_uuid = now_ms, new_uuid
        try:
            self._tree = tree_of([destination_of(mapping) for mapping in mappings], target)
        except DestinationUnknown as fault:
            raise MappingInvalid(str(fault)) from fault
        self._room = MOST_CHARACTERS
        self._mappings = [_compiled(mapping, target, unpublished) for mapping in mappings]
        self.schema = pa.schema([inner.schema_field(str(name)) for name, inner in self._tree.below.items()])

    def reads(self, column: str) -> bool:
        """Whether any mapping reads the source's column of that name."""
        return any(_reads(mapping, column) for mapping in self._mappings)

    def map(self, batch: Batch) -> Mapped:
        """Map a batch. The table has the rows that the target schema takes, in order, always of the same schema."""
        rows = batch.table.num_rows
        self._room = MOST_CHARACTERS
        now_ms = self._now_ms()
        reader = ColumnReader(batch.table, now_ms=now_ms, texts=batch.texts)
        leaves: list[pa.Array] = []
        failures: list[dict[int, str]] = []
        for mapping in self._mappings:
            leaf, failed = self._leaf(mapping, batch, reader, now_ms)
            leaves.append(leaf)
            failures.append(failed)
        columns = [inner.column(leaves, rows) for inner in self._tree.below.values()]
        table = pa.Table.from_arrays(columns, schema=self.schema)
        rejections = self._rejections(table, batch.numbers, failures)
        if len(rejections):
            gone = rejections.column("row").combine_chunks()
            table = table.filter(pc.invert(pc.is_in(batch.numbers, value_set=gone)))
        return Mapped(
            table=table,
            rejections=rejections,
            nulled=self._nulled(batch.numbers, failures),
            nulled_count=sum(map(len, failures)),
        )

    def _leaf(
        self, mapping: _Mapping, batch: Batch, reader: ColumnReader, now_ms: int
    ) -> tuple[pa.Array, dict[int, str]]:
        """The column that a mapping makes, and why it is null in the places where it failed."""
        try:
            node = mapping.node
            if node is None:
                raise Unsupported(mapping.source)
            holds_text = type_of(mapping.field) == "string"
            if holds_text and node.kind == "path" and node.value in batch.table.column_names:
                texts = batch.texts(node.value)
                if texts is not None:
                    return texts, {}  # character by character
            values = reader.values(node)
            if holds_text and values.written is not None:
                values = texts_of(values)
            column, more = fitted_column(values.array, mapping.field)
            flags = either(values.flags, more)
        except Unsupported:
            found, failed = self._by_row(mapping, batch, None, now_ms)
            return _array(found, mapping.field), failed
        places = [] if flags is None else pc.indices_nonzero(flags).to_pylist()
        if not places:
            return column, {}
        found, failed = self._by_row(mapping, batch, places, now_ms)
        return _patched(column, flags, _array(found, mapping.field)), {
            places[place]: reason for place, reason in failed.items()
        }

    def _by_row(
        self, mapping: _Mapping, batch: Batch, at: Sequence[int] | None, now_ms: int
    ) -> tuple[list[Any], dict[int, str]]:
        found: list[Any] = []
        failed: dict[int, str] = {}
        for place, row in enumerate(_rows(batch, mapping, at)):
            around = Surroundings(now_ms=now_ms, new_uuid=self._new_uuid, row=row)
            try:
                value = self._value(mapping, around)
                self._room -= len(value) if isinstance(value, str) else 0
                if self._room < 0:
                    raise NotComputed(f"the batch has more than {MOST_CHARACTERS} characters of such values")
                found.append(fitted(value, mapping.field))
            except (NotComputed, Flagged) as fault:
                found.append(None)
                failed[place] = str(fault)
        return found, failed

    def _value(self, mapping: _Mapping, around: Surroundings) -> Any:
        if mapping.node is None:
            return attribute(around.row, mapping.source)
        self._effort.renew()
        with effort.bounded(self._effort):
            return value_of(mapping.node, around)

    def _nulled(self, numbers: pa.Array, failures: Sequence[Mapping[int, str]]) -> list[Nulled]:
        return [
            Nulled(
                row=numbers[place].as_py(), column=mapping.destination, expression=mapping.source, reason=failed[place]
            )
            for mapping, failed in zip(self._mappings, failures, strict=True)
            for place in list(failed)[:TOLD]
        ]

    def _rejections(self, table: pa.Table, numbers: pa.Array, failures: Sequence[Mapping[int, str]]) -> pa.Table:
        found = faults_of(table, self._target)
        if not found:
            return REJECTIONS.empty_table()
        writers = {faults.path: self._writers_of(faults.path) for faults in found}
        places = pa.concat_arrays([faults.places for faults in found])
        alone = pc.count_distinct(places).as_py() == len(places)  # no row has two faults
        if alone and not any(faults.missing and any(failures[n] for n in writers[faults.path]) for faults in found):
            return self._rejections_at_once(found, places, numbers, writers)
        by_place: dict[int, list[Fault]] = {}
        for faults in found:
            for fault in each_of(faults):
                by_place.setdefault(fault.place, []).append(fault)
        rows = numbers.to_pylist()
        rejected = []
        for place in sorted(by_place):
            ours = by_place[place]
            expression = next((self._mappings[n].source for fault in ours for n in writers[fault.path]), "")
            reasons = [self._reason(fault, failures, writers[fault.path]) for fault in ours]
            rejected.append((rows[place], ours[0].path, expression, "; ".join(reasons)))
        arrays = [
            pa.array(values, one.type) for values, one in zip(zip(*rejected, strict=True), REJECTIONS, strict=True)
        ]
        return pa.Table.from_arrays(arrays, schema=REJECTIONS)

    def _rejections_at_once(
        self, found: Sequence[Faults], places: pa.Array, numbers: pa.Array, writers: Mapping[str, Sequence[int]]
    ) -> pa.Table:
        """Rows with one fault each, of which no mapping is the reason."""
        expressions = [next((self._mappings[n].source for n in writers[faults.path]), "") for faults in found]
        columns = [
            numbers.take(places),
            pa.concat_arrays([pa.repeat(faults.path, len(faults.places)) for faults in found]),
            pa.concat_arrays([pa.repeat(text, len(one.places)) for text, one in zip(expressions, found, strict=True)]),
            pc.binary_join_element_wise(f"{INVALID}: ", pa.concat_arrays([faults.reasons for faults in found]), ""),
        ]
        return pa.Table.from_arrays(columns, schema=REJECTIONS).take(pc.sort_indices(places))

    def _writers_of(self, path: str) -> list[int]:
        """The mappings that write the field at a path, or below it."""
        below = f"{path}."
        return [
            n for n, one in enumerate(self._mappings) if one.destination == path or one.destination.startswith(below)
        ]

    def _reason(self, fault: Fault, failures: Sequence[Mapping[int, str]], writers: Sequence[int]) -> str:
        if fault.missing:
            for number in writers:
                if fault.place in failures[number]:
                    said = f"{self._mappings[number].source}: {failures[number][fault.place]}"
                    return f"{NOT_MAPPED}: {fault.reason}: {said}"
        return f"{INVALID}: {fault.reason}"


def _compiled(mapping: Json, target: Json, unpublished: bool) -> _Mapping:
    source, destination, kind = str(source_of(mapping)), destination_of(mapping), source_type_of(mapping)
    leaf = tree_of([destination], target)
    while leaf.below:
        leaf = next(iter(leaf.below.values()))
    node: Node | None = None
    if kind == STATIC:
        node = Node("literal", source)
    elif kind == ATTRIBUTE:
        name = source[2:-1] if source.startswith("${") and source.endswith("}") else source
        node = Node("path", name) if "\\" not in name else None
    elif kind == EXPRESSION:
        try:
            node = parse(source)
        except Malformed as fault:
            raise MappingInvalid(f"{destination}: {source}: {fault}") from fault
        wrong = expression_faults(node, unpublished=unpublished)
        if wrong:
            raise MappingInvalid(f"{destination}: {source}: {'; '.join(wrong)}")
    return _Mapping(node, source, destination, leaf.field)


def _rows(batch: Batch, mapping: _Mapping, at: Sequence[int] | None) -> list[dict[str, Any]]:
    """The batch's rows, all or those `at` places, of the columns that the mapping reads."""
    return batch.rows([name for name in batch.table.column_names if _reads(mapping, name)], at)


def _reads(mapping: _Mapping, column: str) -> bool:
    """Whether the mapping reads the column of that name."""
    if mapping.node is None:
        step = STEP.match(mapping.source)
        return column == mapping.source or step is None or re.sub(r"\\(.)", r"\1", step[0]) == column
    return _looks_at_all(mapping.node) or any(_leads_through(path, column) for path in columns_of(mapping.node))


def _leads_through(path: str, column: str) -> bool:
    return path == column or path.startswith((f"{column}.", f"{column}["))


def _looks_at_all(node: Node) -> bool:
    return (node.kind == "call" and node.value in WHOLE_ROW) or any(_looks_at_all(part) for part in node.parts)


def _patched(column: pa.Array, flags: pa.Array, found: pa.Array) -> pa.Array:
    """The column with the values that were found, in order, in its flagged places."""
    if not pa.types.is_nested(column.type):
        return pc.replace_with_mask(column, pc.fill_null(flags, False), found)
    after = iter(range(len(column), len(column) + len(found)))  # Arrow replaces no arrays and objects: take them
    places = [next(after) if flag else place for place, flag in enumerate(flags.to_pylist())]
    return pa.concat_arrays([column, found]).take(pa.array(places, pa.int64()))


def _array(values: list[Any], leaf: Json) -> pa.Array:
    return pa.array(values, arrow_of(leaf))
