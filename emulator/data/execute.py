"""Schedules and executes flow runs, in three phases: begin (store), work (any thread), settle (store, one transaction).

`begin_next` and `settle` touch the store, `work_on` does not, so that an event loop can give it to a thread. `run_due`
does all three at once. A fault of a run ends that run as failed: none of these calls raises for it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from flowledger.emulator.data.agenda import CURSORS, EXECUTIONS, FLOWS, Agenda, Due, cursor_of
from flowledger.emulator.data.batches import make_visible, new_batch_id
from flowledger.emulator.data.collect import Collected, MapperOf, Source, Work, collect, reason_of
from flowledger.emulator.data.due import schedule_of, window_at
from flowledger.emulator.data.landing import Lake
from flowledger.emulator.data.pruning import MADE_GOOD, OPEN, REPORTED, Pruning, window_key
from flowledger.emulator.data.source_rows import SourceUnreadable
from flowledger.emulator.datasets import BATCHES
from flowledger.emulator.datasets import KIND as DATA_SETS
from flowledger.emulator.delta_columns import delta_format_of, delta_problem
from flowledger.emulator.flow_rules import connections_of, delta_column_of, delta_of
from flowledger.emulator.flow_state import PAIR
from flowledger.emulator.paths import resolved_schema, schema_of
from flowledger.emulator.row_filters import FilterInvalid, RowFilter, filter_of
from flowledger.emulator.run_records import KIND as RUNS
from flowledger.emulator.run_records import (
    TRIGGERED_AGAIN,
    RunOutcome,
    Window,
    finish,
    first_of,
    has_read_nothing,
    is_triggered_again,
    records_of,
    schedule,
    window_of,
)
from flowledger.emulator.world import PlatformTime, World

Json = dict[str, Any]

NO_DATA_SET: Final = "the data set of the flow is not there any more"
MOST_REPORTED: Final = 100_000  # broken rows of a table that are remembered; more are reported again
INTERRUPTED: Final = "inProgress"

log = logging.getLogger(__name__)


class Impossible(ValueError):
    """A run cannot even begin to read; the text says why."""


class Execution:
    """Runs the flows of one emulator over the tables of a source."""

    def __init__(self, world: World, time: PlatformTime, *, source: Source, mapper_of: MapperOf, lake: Lake) -> None:
        """Takes up what an emulator that died has left: see `recover`. Raises sqlite3.Error."""
        self.lake = lake
        self.inline = True  # False: a server calls begin_next, work_on and settle
        self.executed = 0  # runs settled since this start
        self._world = world
        self._time = time
        self._source = source
        self._mapper_of = mapper_of
        self._agenda = Agenda(world)
        world.store.when_changed = self._agenda.changed
        self._pruning = Pruning(world)
        self._begun_again: set[str] = set()  # runs that an emulator which died had begun
        self._drop_lost()
        self.recover()

    def _drop_lost(self) -> None:
        """Forget runs that were begun and have no record any more."""
        store = self._world.store
        with store.transaction():
            for sandbox in self._world.options.sandboxes:
                for begun in store.all(EXECUTIONS, sandbox):
                    if store.peek(RUNS, sandbox, begun["id"]) is None:
                        store.drop(EXECUTIONS, sandbox, begun["id"])

    def recover(self) -> None:
        """Note every run that was begun: it is executed again. What no batch of a data set knows of goes."""
        self._agenda.release_all()
        if self._world.sweep is not None:
            self._world.sweep.want_everything()

    def look_anew(self) -> None:
        """Note that anything in the store may have changed."""
        self._agenda.look_anew()

    def run_due(self, until_ms: int) -> int:
        """Execute, in order, everything that is due by then. Returns how many runs that were.

        Raises sqlite3.Error when the state cannot be written; what was begun then is executed again.
        """
        count = 0
        try:
            while (work := self.begin_next(until_ms)) is not None:
                self.settle(work, self.work_on(work))
                count += 1
        except sqlite3.Error:  # nothing of it was kept
            self.recover()
            raise
        return count

    def begin_next(self, until_ms: int) -> Work | None:
        """Begin the earliest run that is due by then: its record says so from now on. None when nothing is due."""
        while (due := self._agenda.earliest(until_ms)) is not None:
            try:
                with self._world.store.transaction(), self._time.as_of(due.moment_ms):
                    work = self._begin(due)
            except sqlite3.Error:
                raise
            except Exception:
                log.exception("a run of %s could not be begun; it is left out until that changes", due.id)
                self._agenda.pass_over(due)
                continue
            self._agenda.hold(work.sandbox, work.run)
            return work
        return None

    def is_due(self, until_ms: int) -> bool:
        """Whether anything is due by then."""
        return self._agenda.earliest(until_ms) is not None

    def is_busy(self, until_ms: int) -> bool:
        """Whether anything is due by then, or begun and not settled."""
        under_way = any(self._world.store.count(EXECUTIONS, sandbox) for sandbox in self._world.options.sandboxes)
        return under_way or self.is_due(until_ms)

    def work_on(self, work: Work) -> Collected:
        """Read, map and land, without the store. What goes wrong is in the result: it never raises."""
        try:
            return collect(work, self._source, self._mapper_of, self.lake)
        except Exception as problem:
            log.exception("run %s failed in an unforeseen way", work.run)
            return Collected(failure=f"{work.table}: {reason_of(problem)}")

    def settle(self, work: Work, done: Collected, *, took_ms: int = 0) -> None:
        """Make batch, run, flow and cursor show what came of it, all at once.

        Raises sqlite3.Error when the state cannot be written. When anything else fails, the run does.
        """
        try:
            self._settle(work, done, took_ms)
        except sqlite3.Error:
            raise
        except Exception as problem:
            log.exception("what came of run %s could not be kept", work.run)
            self._settle_as_failed(work, f"what the run landed could not be kept: {reason_of(problem)}", took_ms)
        self._agenda.release(work.sandbox, work.run)
        self.executed += 1
        try:
            self._pruning.after_run(work.sandbox)
            self._sweep_after(work)
        except sqlite3.Error:
            raise
        except Exception:
            log.exception("old records and files could not be removed after run %s", work.run)

    def _sweep_after(self, work: Work) -> None:
        """Remove what a run wrote and no batch knows: its data set is gone, it failed, an attempt before it died."""
        store, sweep = self._world.store, self._world.sweep
        if sweep is None:
            return
        if work.run in self._begun_again:
            self._begun_again.discard(work.run)
            sweep.want_everything()
        elif (
            work.data_set
            and store.peek(BATCHES, work.sandbox, work.batch) is None
            and self.lake.batch_folder(work.data_set, work.batch).exists()
        ):
            sweep.want(work.data_set)
        sweep.run()

    def _settle_as_failed(self, work: Work, failure: str, took_ms: int) -> None:
        done = Collected(failure=failure)
        try:
            self._settle(work, done, took_ms)
        except sqlite3.Error:
            raise
        except Exception:  # its record cannot be written at all: the flow goes on without
            log.exception("run %s stays without an outcome", work.run)
            with self._world.store.transaction():
                self._move_cursor(work, done)
                self._world.store.drop(EXECUTIONS, work.sandbox, work.run)

    def _settle(self, work: Work, done: Collected, took_ms: int) -> None:
        store = self._world.store
        if store.peek(EXECUTIONS, work.sandbox, work.run) is None:
            return  # the emulator was reset meanwhile: nothing knows of the run any more
        if done.landed is not None and store.peek(DATA_SETS, work.sandbox, work.data_set) is None:
            done = replace(done, failure=NO_DATA_SET, landed=None, output_records=0)
        with store.transaction(), self._time.as_of(work.moment_ms + took_ms):
            batch = make_visible(self._world, work, done)
            failed = bool(done.failure)
            outcome = RunOutcome(
                status="failed" if failed else "success",
                input_records=done.input_records,
                output_records=0 if failed else done.output_records,
                failed_records=done.failed_records,
                input_bytes=done.input_bytes,
                output_bytes=sum(done.landed.parts.values()) if done.landed else 0,
                output_files=len(done.landed.parts) if done.landed else 0,
                errors=done.errors,
                counters={"warningRecordCount": done.nulled} if done.nulled else None,
                batches=(batch,) if batch else (),
                started_ms=work.moment_ms,
                completed_ms=work.moment_ms + took_ms,
            )
            finish(self._world, work.sandbox, work.run, outcome)
            self._move_cursor(work, done)
            self._note_window(work, done)
            store.drop(EXECUTIONS, work.sandbox, work.run)

    def _move_cursor(self, work: Work, done: Collected) -> None:
        begun = self._world.store.peek(EXECUTIONS, work.sandbox, work.run)
        if begun is not None and begun["scheduled"]:
            cursor = {
                "id": begun["flow"],
                "ran_ms": begun["moment_ms"],
                "taken_ms": work.end_ms,
            }
            self._world.store.put(CURSORS, work.sandbox, begun["flow"], cursor)
            self._note_reported(work, done)

    def _note_reported(self, work: Work, done: Collected) -> None:
        """Keep which broken rows of the table were reported: those that are still there, and at most so many."""
        keys = done.broken if done.is_read else work.reported | done.broken
        if keys != work.reported:
            kept = {"id": work.flow, "rows": sorted(keys)[:MOST_REPORTED]}
            self._world.store.put(REPORTED, work.sandbox, work.flow, kept)

    def _note_window(self, work: Work, done: Collected) -> None:
        """Keep which window is still to be collected, and which broken rows were the failed run's to report."""
        store, key = self._world.store, window_key(work.flow, work.start_ms, work.end_ms)
        first = first_of(self._world, work.sandbox, work.run)
        if not done.failure:
            if work.on_demand and first != work.run:
                store.put(MADE_GOOD, work.sandbox, first, {"id": first, "by": work.run})
                store.drop(OPEN, work.sandbox, first)
            elif not work.on_demand:
                store.drop(OPEN, work.sandbox, key)
        elif first == work.run:
            reports = sorted(done.broken - work.reported)[:MOST_REPORTED]
            window: Json = {"id": work.run if work.on_demand else key, "run": work.run, "reports": reports}
            store.put(OPEN, work.sandbox, window["id"], window)

    def _begin(self, due: Due) -> Work:
        world, store = self._world, self._world.store
        scheduled = due.kind == FLOWS
        record = self._scheduled(due) if scheduled else store.peek(RUNS, due.sandbox, due.id)
        assert record is not None
        begun = store.peek(EXECUTIONS, due.sandbox, record["id"])
        if begun is None:
            begun = {
                "id": record["id"],
                "flow": record["flowId"],
                "batch": new_batch_id(world),
                "moment_ms": due.moment_ms,
                "scheduled": scheduled,
            }
            store.put(EXECUTIONS, due.sandbox, record["id"], begun)
        else:
            self._begun_again.add(record["id"])
        finish(world, due.sandbox, record["id"], RunOutcome(status=INTERRUPTED, started_ms=due.moment_ms))
        return self._work_of(due.sandbox, record, begun)

    def _scheduled(self, due: Due) -> Json:
        """A new record of the run that the flow's schedule has now."""
        world = self._world
        flow = world.store.peek(FLOWS, due.sandbox, due.id)
        assert flow is not None
        plan = schedule_of(flow)
        assert plan is not None
        cursor = cursor_of(world, due.sandbox, due.id)
        window = window_at(plan, cursor, due.moment_ms, end_inclusive=world.options.delta_end_inclusive)
        client = str(flow.get("createdClient") or world.options.client_id)
        return schedule(world, due.sandbox, flow, window=window, client_id=client)

    def _work_of(self, sandbox: str, record: Mapping[str, Any], begun: Mapping[str, Any]) -> Work:
        window = window_of(record)
        end_ms = window.end_ms
        known: Json = {
            "run": record["id"],
            "sandbox": sandbox,
            "moment_ms": begun["moment_ms"],
            "start_ms": window.start_ms,
            "end_ms": end_ms,
            "batch": begun["batch"],
            "flow": record["flowId"],
            "on_demand": record.get("params") is not None,
            **self._left_to_collect(sandbox, record, window),
        }
        try:
            found = self._parts_of(sandbox, record, window)
        except Exception as problem:
            if not isinstance(problem, Impossible | SourceUnreadable):
                log.exception("run %s cannot begin, in an unforeseen way", record["id"])
            nothing: Json = {
                "table": "",
                "delta": None,
                "delta_format": None,
                "passes": None,
                "mappings": (),
                "target": None,
            }
            nothing |= {"data_set": "", "percent": None, "diagnostics": False}
            return Work(**known, **nothing, reach_ms=None, impossible=reason_of(problem))
        inclusive = self._world.options.delta_end_inclusive and end_ms is not None
        reach = end_ms + 1 if inclusive and end_ms is not None else end_ms
        return Work(**known, **found, reach_ms=reach)

    def _left_to_collect(self, sandbox: str, record: Mapping[str, Any], window: Window) -> Json:
        """Whether the window has landed since the run was asked for, and which broken rows are the run's to report.

        A broken row belongs to no window: the first run of the schedule that meets it reports it. A run that was
        triggered again reports only those that the failed run had to.
        """
        world, store = self._world, self._world.store
        if not is_triggered_again(world, sandbox, record["id"]):
            kept = store.peek(REPORTED, sandbox, record["flowId"]) or {}
            return {"reported": frozenset(kept.get("rows", ()))}
        first = first_of(world, sandbox, record["id"])
        if has_read_nothing(store.peek(RUNS, sandbox, first)):  # its window lands once, as that of a failed run does
            again = [one["id"] for one in store.all(TRIGGERED_AGAIN, sandbox) if one["of"] == first]
            landed = any(records_of(store.peek(RUNS, sandbox, run)) for run in again)
            return {"collected": landed, "reports_only": frozenset()}
        if record.get("params") is not None:  # each run on demand takes its own window, but the failed one's lands once
            failed = store.peek(OPEN, sandbox, first)
            collected = store.peek(MADE_GOOD, sandbox, first) is not None
        else:
            failed = store.peek(OPEN, sandbox, window_key(record["flowId"], window.start_ms, window.end_ms))
            collected = failed is None
        return {"collected": collected, "reports_only": frozenset((failed or {}).get("reports", ()))}

    def _parts_of(self, sandbox: str, record: Mapping[str, Any], window: Window) -> Json:
        world, store = self._world, self._world.store
        flow = store.peek("flows", sandbox, record["flowId"])
        if flow is None:
            raise Impossible(f"the flow {record['flowId']} is not there any more")
        source = self._connection(sandbox, flow, "source")
        target = self._connection(sandbox, flow, "target")
        data_set = store.peek("dataSets", sandbox, str((target.get("params") or {}).get("dataSetId")))
        if data_set is None:
            raise Impossible(NO_DATA_SET)
        params = source.get("params") or {}
        table = params.get("tableName") or params.get("path")
        if not isinstance(table, str) or not table:
            raise Impossible("the source connection names no table: params.tableName")
        if table not in self._source.names():
            raise Impossible(f"there is no table {table} among the sources: NAME.csv, NAME.jsonl or NAME.parquet")
        mapping_set = self._mapping_set(sandbox, flow)
        schema = resolved_schema(world, sandbox, schema_of(mapping_set) or "")
        if schema is None:
            raise Impossible(f"the schema {schema_of(mapping_set)} of the mapping set cannot be resolved")
        options = flow.get(world.options.flow_options_name) or {}
        bounded = window.start_ms is not None or window.end_ms is not None
        delta, delta_format = _delta_of(record, flow) if bounded else (None, None)
        return {
            "table": table,
            "delta": delta,
            "delta_format": delta_format,
            "passes": _filter_of(params.get("filters")),
            "mappings": tuple(mapping_set["mappings"]),
            "target": schema,
            "data_set": data_set["id"],
            "percent": options.get("partialIngestionPercent"),
            "diagnostics": bool(options.get("errorDiagnosticsEnabled", False)),
        }

    def _connection(self, sandbox: str, flow: Json, side: str) -> Json:
        ids = connections_of(flow, side)
        found = self._world.store.peek(f"{side}Connections", sandbox, ids[0]) if ids else None
        if found is None:
            raise Impossible(f"the {side} connection of the flow is not there any more")
        kept = flow.get(PAIR) or {}  # as it was when the flow was made: later changes are not picked up (§4.2)
        return {**found, "params": kept[side]} if side in kept else found

    def _mapping_set(self, sandbox: str, flow: Json) -> Json:
        store = self._world.store
        params: Json = next(
            (part.get("params") or {} for part in flow.get("transformations") or () if part.get("name") == "Mapping"),
            {},
        )
        key, version = str(params.get("mappingId")), params.get("mappingVersion")
        current = store.peek("mappingSets", sandbox, key)
        if current is not None and version is not None and str(current["version"]) != str(version):
            current = store.peek("mappingSetVersions", sandbox, f"{key}/{version}")
        if current is None:
            raise Impossible(f"the mapping set {key} is not there in version {version}")
        return current


def _delta_of(record: Mapping[str, Any], flow: Json) -> tuple[str, str | None]:
    """The delta column by which the run's rows are placed, and the pattern of its dates; None: they are ISO 8601."""
    asked, of_flow = (record.get("params") or {}).get("deltaColumn") or {}, delta_of(flow)
    name = str(asked.get("name") or delta_column_of(flow))
    if not name:
        raise Impossible("the run has a window, and neither it nor the flow names a delta column")
    problem = delta_problem(of_flow)
    if problem:  # the flow of an older state: no flow is made with it now
        raise Impossible(problem)
    return name, delta_format_of(asked if asked.get("dateFormat") else of_flow)


def _filter_of(written: Any) -> RowFilter | None:
    try:
        return filter_of(written) if written else None
    except FilterInvalid as problem:
        raise Impossible(f"params.filters of the source connection: {problem}") from problem
