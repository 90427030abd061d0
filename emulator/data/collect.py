"""One run's work away from the store: rows of a window read, mapped and landed as a batch on the disk."""

from __future__ import annotations

import hashlib
import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson

from flowledger.emulator.data.landing import BatchWriter, Lake, Landed
from flowledger.emulator.mapping_rules import ATTRIBUTE, source_of, source_type_of
from flowledger.emulator.paths import destination_of
from flowledger.emulator.row_filters import NotComparable, RowFilter

Json = dict[str, Any]

FAULTY: Final = "CONNECTOR-2001-500"  # the code that §11's example of a run shows
TOLD: Final = 20  # how many rows' reasons the run record and the samples name
TOGETHER: Final = 16_384  # failed rows that are noted at once
FAILED_ROWS: Final = "failed/part-0.json"
CONVERSION: Final = "row_errors/conversion_errors_0.json"
PARSING: Final = "row_errors/parsing_errors_0.json"
SAMPLES: Final = "row_error_samples.json"
INPUT_FILES: Final = "input_files/fileMetaData1.json"


class Source(Protocol):
    """The tables that can be read: `flowledger.emulator.data.tables.SourceFolder`."""

    def names(self) -> list[str]:
        """The tables that are there."""

    def batches(
        self,
        name: str,
        *,
        delta: str | None,
        start_ms: int | None,
        end_ms: int | None,
        delta_format: str | None = ...,
        rows: int = ...,
        named: Callable[[str], bool] = ...,
    ) -> Iterator[Any]:
        """The rows of a window, many at a time; only columns that are named can make a row broken."""


class MapperOf(Protocol):
    """Makes what maps batches: `flowledger.emulator.data.columns.Mapper`."""

    def __call__(
        self,
        mappings: Sequence[Mapping[str, Any]],
        target: Any,
        *,
        now_ms: Callable[[], int],
        new_uuid: Callable[[], str],
    ) -> Any:
        """Raises ValueError for mappings that no row can pass."""


class ColumnGone(ValueError):
    """The table lacks a column that the mapping set takes as it is. The text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Everything that a run needs to know while nobody looks into the store."""

    run: str
    flow: str
    sandbox: str
    moment_ms: int  # when the run is, by the emulator's clock
    table: str
    delta: str | None
    start_ms: int | None
    end_ms: int | None  # as the run tells it
    reach_ms: int | None  # where reading stops, exclusive: the end, or just behind it (U25)
    passes: RowFilter | None
    mappings: tuple[Mapping[str, Any], ...]
    target: Any  # the schema, resolved
    data_set: str
    batch: str
    percent: float | None  # of rows that may fail; None: none may
    diagnostics: bool
    reported: frozenset[str] = frozenset()  # keys of broken rows that failed an earlier run, and fail no other
    reports_only: frozenset[str] | None = (
        None  # keys of the broken rows that are this run's to report; None: all others
    )
    delta_format: str | None = None  # the Java pattern of the delta column's dates; None: ISO 8601
    on_demand: bool = False
    collected: bool = False  # another run has landed the window since: there is nothing left to do
    impossible: str = ""  # why there is no work to do: the run fails with it

    def reports(self, key: str) -> bool:
        """Whether a row that belongs to no window is this run's to report."""
        return key not in self.reported if self.reports_only is None else key in self.reports_only


@dataclass(slots=True, kw_only=True)
class Collected:
    """What came of it."""

    input_records: int = 0
    input_bytes: int = 0
    output_records: int = 0
    failed_records: int = 0
    broken: set[str] = field(default_factory=set)  # keys of the rows that belong to no window and cannot be read
    is_read: bool = False  # the table was read to its end
    nulled: int = 0  # fields that are null because their mapping failed; their rows land
    warned: list[str] = field(default_factory=list)  # the first reasons of these
    told: list[str] = field(default_factory=list)  # the first reasons, each with its row
    failure: str = ""  # why the run failed; "" when it did not
    landed: Landed | None = None

    @property
    def errors(self) -> tuple[Json, ...]:
        """As a run record lists them."""
        more = self.failed_records - len(self.told)
        texts = [*([self.failure] if self.failure else []), *self.told]
        texts += [f"and {more} more rows"] if more > 0 else []
        texts += self.warned
        texts += [f"and {self.nulled - len(self.warned)} more fields"] if self.nulled > len(self.warned) else []
        return tuple({"code": FAULTY, "message": text} for text in texts)


def collect(work: Work, source: Source, mapper_of: MapperOf, lake: Lake) -> Collected:
    """Read, map and land. Never raises for what a file, a mapping or a disk does: that is the run's failure."""
    done = Collected()
    if work.impossible:
        done.failure = work.impossible
        return done
    if work.collected:
        return done
    writer: BatchWriter | None = None
    try:
        writer = lake.open_batch(work.data_set, work.batch)
        _read_all(work, source, mapper_of, writer, done)
        done.failure = _too_many(work, done)
        if done.failure:
            writer.drop_rows()
            done.output_records = 0
        if done.failed_records and work.diagnostics:
            entry = {"path": work.table, "records": done.input_records, "failed": done.failed_records}
            writer.note(INPUT_FILES, orjson.dumps(entry))
        if done.output_records or done.failed_records:
            done.landed = writer.finish()
        else:
            writer.abandon()  # an empty window makes no batch
    except Exception as problem:  # noqa: BLE001 - a file, a mapping or a disk fails its run, never the emulator
        done.failure = f"{work.table}: {reason_of(problem)}"
        done.landed, done.output_records = None, 0
        _give_up(writer, done)
    return done


def reason_of(problem: Exception) -> str:
    """What went wrong, in one line."""
    text = str(problem).strip().splitlines()
    return text[0] if text else type(problem).__name__


def uuids_of(run: str) -> Callable[[], str]:
    """What `uuid()` gives in a run's mappings, one after the other.

    They follow from the run, whose id follows from the emulator's seed: a run that is executed again, because the
    emulator died in the middle of it, lands the same rows. The store's own ids are not drawn: nobody holds it here.
    """
    numbers = itertools.count()

    def new_uuid() -> str:
        drawn = hashlib.sha256(f"{run}:{next(numbers)}".encode()).digest()
        return str(uuid.UUID(bytes=drawn[:16], version=4))

    return new_uuid


def _give_up(writer: BatchWriter | None, done: Collected) -> None:
    try:
        if writer is not None:
            writer.abandon()
    except OSError as problem:  # the next start removes what is left
        done.told.append(f"what was written could not be removed: {reason_of(problem)}")


def _read_all(work: Work, source: Source, mapper_of: MapperOf, writer: BatchWriter, done: Collected) -> None:
    mapper = mapper_of(
        work.mappings, work.target, now_ms=lambda: work.moment_ms, new_uuid=uuids_of(f"{work.sandbox}/{work.run}")
    )
    fields = work.passes.fields if work.passes is not None else frozenset()

    def named(column: str) -> bool:
        return column == work.delta or column in fields or mapper.reads(column)

    for batch in source.batches(
        work.table,
        delta=work.delta,
        delta_format=work.delta_format,
        start_ms=work.start_ms,
        end_ms=work.reach_ms,
        named=named,
    ):
        table = getattr(batch, "table", None)
        if table is None:
            if not batch.placed:
                done.broken.add(batch.key)
                if not work.reports(batch.key):
                    continue  # another run of the schedule reports it
            done.input_records += 1
            _fail_rows(work, writer, done, PARSING, [{"row": batch.row, "reason": batch.reason}], [{}])
            continue
        if work.passes is not None:
            batch = _filtered(work, writer, done, batch, work.passes)
            table = batch.table
        _check_columns(work, table.column_names)
        done.input_records += table.num_rows
        done.input_bytes += table.nbytes
        mapped = mapper.map(batch)
        if mapped.table.num_rows:
            writer.write(mapped.table)
            done.output_records += mapped.table.num_rows
        _warn(work, done, mapped)
        for start in range(0, len(mapped.rejections), TOGETHER):
            _reject(work, writer, done, batch, mapped.rejections.slice(start, TOGETHER))
    done.is_read = True


def _check_columns(work: Work, names: Sequence[str]) -> None:
    """A column that is mapped as it is and has gone would land as nulls, silently: the run fails instead."""
    for mapping in work.mappings:
        if source_type_of(mapping) != ATTRIBUTE:
            continue
        source = str(source_of(mapping)).removeprefix("${").removesuffix("}")
        first = source.partition(".")[0].partition("[")[0]
        if "\\" not in source and source not in names and first not in names:
            raise ColumnGone(f"there is no column {source}, which {destination_of(mapping)} is mapped from")


def _warn(work: Work, done: Collected, mapped: Any) -> None:
    done.nulled += mapped.nulled_count
    for nulled in mapped.nulled[: TOLD - len(done.warned)]:
        where = f"row {nulled.row}, column {nulled.column}, expression {nulled.expression}"
        done.warned.append(f"{work.table}, {where}: {nulled.reason}; the field is null")


def _filtered(work: Work, writer: BatchWriter, done: Collected, batch: Any, passes: RowFilter) -> Any:
    """The batch without the rows that the source connection's filter leaves out; what it cannot judge fails."""
    import pyarrow as pa

    names = [name for name in batch.table.column_names if name in passes.fields]
    kept: list[bool] = []
    failed: list[tuple[int, str]] = []
    for number, row in zip(batch.numbers.to_pylist(), batch.rows(names), strict=True):
        try:
            kept.append(passes(row))
        except NotComparable as problem:
            kept.append(False)
            failed.append((number, f"the filter cannot judge it: {problem}"))
    done.input_records += len(failed)
    rows = _rows_of(batch, [number for number, _ in failed])
    _fail_rows(work, writer, done, PARSING, [{"row": number, "reason": reason} for number, reason in failed], rows)
    return batch.without(pa.array(kept, pa.bool_()))


def _rows_of(batch: Any, numbers: Sequence[int]) -> list[Json]:
    """The source's rows of these numbers, whole, for a document of JSON."""
    if not numbers:
        return []
    found: list[Json] = batch.whole_rows(batch.places_of(numbers))
    return found


def _fail_rows(
    work: Work, writer: BatchWriter, done: Collected, name: str, told: Sequence[Json], rows: Sequence[Json]
) -> None:
    """Count rows as failed, and note each with its reason: in the file of failed rows, and in the file `name`."""
    if not told:
        return
    lines: list[bytes] = []
    for one, row in zip(told, rows, strict=True):
        where = f"row {one['row']}"
        if one.get("column"):
            where += f", column {one['column']}"
        if one.get("expression"):
            where += f", expression {one['expression']}"
        error = {"code": FAULTY, "message": f"{where}: {one['reason']}", **one}
        lines.append(orjson.dumps({**row, "_errors": [error], "_filename": work.table}, default=str))
        if len(done.told) < TOLD:
            done.told.append(f"{work.table}, {where}: {one['reason']}")
            if work.diagnostics:
                writer.note(SAMPLES, lines[-1])
    done.failed_records += len(lines)
    written = b"\n".join(lines)
    writer.note(FAILED_ROWS, written)
    if work.diagnostics:
        writer.note(name, written)


def _reject(work: Work, writer: BatchWriter, done: Collected, batch: Any, rejections: Any) -> None:
    """Count and note rows that the schema does not take, as `_fail_rows` does, many at once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from flowledger.emulator.data.json_texts import escaped, escaped_names

    rows, columns, expressions, reasons = (part.combine_chunks() for part in rejections)
    for row, column, expression, reason in zip(*(part.slice(0, TOLD).to_pylist() for part in rejections), strict=True):
        if len(done.told) < TOLD:
            where = f"row {row}, column {column}" + (f", expression {expression}" if expression else "")
            done.told.append(f"{work.table}, {where}: {reason}")
    numbers, path, source, why = (
        pc.cast(rows, pa.string()), escaped_names(columns), escaped_names(expressions), escaped(reasons),
    )  # fmt: skip
    by = pc.if_else(pc.equal(source, ""), "", pc.binary_join_element_wise(", expression ", source, ""))
    lines = pc.binary_join_element_wise(
        "{", batch.members(batch.places_of(rows)),
        f',"_errors":[{{"code":"{FAULTY}","message":"row ', numbers, ", column ", path, by, ": ", why,
        '","row":', numbers, ',"column":"', path, '","expression":"', source, '","reason":"', why,
        f'"}}],"_filename":{orjson.dumps(work.table).decode()}}}', "",
    ).to_pylist()  # fmt: skip
    if work.diagnostics:
        for line in lines[: max(0, TOLD - done.failed_records)]:
            writer.note(SAMPLES, line.encode())
    done.failed_records += len(lines)
    written = "\n".join(lines).encode()
    writer.note(FAILED_ROWS, written)
    if work.diagnostics:
        writer.note(CONVERSION, written)


def _too_many(work: Work, done: Collected) -> str:
    """Why so many failed rows fail the run; "" when they do not (partial ingestion, platform-api.md §4.7, §11)."""
    failed, all_rows = done.failed_records, done.input_records
    if not failed:
        return ""
    if work.percent is None:
        return f"{failed} of {all_rows} rows failed, and the flow has no partialIngestionPercent"
    share = 100 * failed / all_rows
    if share > work.percent:
        return f"{failed} of {all_rows} rows failed: {share:.4g}% is more than partialIngestionPercent {work.percent:g}"
    return ""
