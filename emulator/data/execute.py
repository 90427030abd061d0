"""Flows run: what is due by the emulator's clock is begun, worked on away from the store, and made visible at once.

Three parts, so that whoever has an event loop can do the middle one in a thread: `begin_next` and `settle` touch the
store, `work_on` does not. `run_due` does all three, here and now.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flowledger.emulator.data.batches import make_visible, new_batch_id
from flowledger.emulator.data.collect import Collected, MapperOf, Source, Work, collect
from flowledger.emulator.data.due import Cursor, next_due, schedule_of, window_at
from flowledger.emulator.data.landing import Lake
from flowledger.emulator.flow_rules import connections_of, delta_column_of
from flowledger.emulator.flow_specs import CRM_TO_AEP
from flowledger.emulator.flow_state import OPERATION, presented
from flowledger.emulator.paths import resolved_schema, schema_of
from flowledger.emulator.row_filters import FilterInvalid, RowFilter, filter_of
from flowledger.emulator.run_records import (
    SCHEDULED,
    RunOutcome,
    Window,
    finish,
    first_of,
    schedule,
    status_of,
    window_of,
)
from flowledger.emulator.world import PlatformTime, World

Json = dict[str, Any]

CURSORS: Final = "flowCursors"  # by the flow's id: how far its schedule has come
EXECUTIONS: Final = "executions"  # by the run's id: begun, and not visible yet
OPEN: Final = "openWindows"  # windows of a schedule whose run failed, and that nothing has collected since
MADE_GOOD: Final = "runsMadeGood"  # by the id of a run on demand that failed: one that it was triggered again as landed
INTERRUPTED: Final = "inProgress"


class Impossible(ValueError):
    """A run cannot even begin to read; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """A run that is due: a record that waits, or the moment of a flow's schedule."""

    moment_ms: int
    sandbox: str
    flow: Mapping[str, Any] | None = None
    run: Mapping[str, Any] | None = None


class Execution:
    """Runs the flows of one emulator over the tables of a source."""

    def __init__(self, world: World, time: PlatformTime, *, source: Source, mapper_of: MapperOf, lake: Lake) -> None:
        """Takes up what an emulator that died has left: see `recover`."""
        self.lake = lake
        self.inline = True  # False: somebody else calls begin_next, work_on and settle
        self.executed = 0  # runs settled since this start
        self._world = world
        self._time = time
        self._source = source
        self._mapper_of = mapper_of
        self._looked_at: dict[str, int] = {}  # runs of a sandbox that were looked at: records are only ever added
        self._waiting: list[_Due] = []
        self.recover()

    def recover(self) -> None:
        """Remove what no batch of a data set knows of, and note every run that was begun: it is executed again."""
        store, sandboxes = self._world.store, self._world.options.sandboxes
        self._looked_at.clear()
        self._waiting.clear()
        for data_set, batch in list(self.lake.batches()):
            known = ((store.peek("batches", one, batch), store.peek("dataSets", one, data_set)) for one in sandboxes)
            if not any(its_batch and its_data_set for its_batch, its_data_set in known):
                self.lake.remove_batch(data_set, batch)
        for sandbox in sandboxes:
            for begun in store.all(EXECUTIONS, sandbox):
                record = store.peek("runs", sandbox, begun["id"])
                if record is not None:
                    self._waiting.append(_Due(moment_ms=begun["moment_ms"], sandbox=sandbox, run=record))

    def run_due(self, until_ms: int) -> int:
        """Execute, in order, everything that is due by then. Returns how many runs that were."""
        count = 0
        try:
            while (work := self.begin_next(until_ms)) is not None:
                self.settle(work, self.work_on(work))
                count += 1
        except sqlite3.Error:  # nothing of it was kept: it is executed again
            self.recover()
            raise
        return count

    def begin_next(self, until_ms: int) -> Work | None:
        """Begin the earliest run that is due by then: its record says so from now on. None when nothing is due."""
        due = self._earliest(until_ms)
        if due is None:
            return None
        if due.run is not None:
            self._waiting.remove(due)
        with self._world.store.transaction(), self._time.as_of(due.moment_ms):
            return self._begin(due)

    def is_due(self, until_ms: int) -> bool:
        """Whether anything is due by then."""
        return self._earliest(until_ms) is not None

    def is_busy(self, until_ms: int) -> bool:
        """Whether anything is due by then, or begun and not settled."""
        under_way = any(self._world.store.count(EXECUTIONS, sandbox) for sandbox in self._world.options.sandboxes)
        return under_way or self.is_due(until_ms)

    def work_on(self, work: Work) -> Collected:
        """Read, map and land, without the store."""
        return collect(work, self._source, self._mapper_of, self.lake)

    def settle(self, work: Work, done: Collected, *, took_ms: int = 0) -> None:
        """Make batch, run, flow and cursor tell of it, all at once."""
        store = self._world.store
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
            self._note_window(work, failed=failed)
            store.delete(EXECUTIONS, work.sandbox, work.run)
        self.executed += 1

    def _move_cursor(self, work: Work, done: Collected) -> None:
        begun = self._world.store.peek(EXECUTIONS, work.sandbox, work.run)
        if begun is not None and begun["scheduled"]:
            cursor = {
                "id": begun["flow"],
                "ran_ms": begun["moment_ms"],
                "taken_ms": work.end_ms,
                "told_to_row": max(work.told_to_row, done.broken_row),
            }
            self._world.store.put(CURSORS, work.sandbox, begun["flow"], cursor)

    def _note_window(self, work: Work, *, failed: bool) -> None:
        store, key = self._world.store, _window_key(work.flow, work.start_ms, work.end_ms)
        if work.on_demand:
            first = first_of(self._world, work.sandbox, work.run)
            if not failed and first != work.run:
                store.put(MADE_GOOD, work.sandbox, first, {"id": first, "by": work.run})
            return
        if failed:
            store.put(OPEN, work.sandbox, key, {"id": key, "run": work.run})
        else:
            store.delete(OPEN, work.sandbox, key)

    def _earliest(self, until_ms: int) -> _Due | None:
        self._look_for_records()
        found = [due for due in self._waiting if due.moment_ms <= until_ms]
        for sandbox in self._world.options.sandboxes:
            begun = {one["flow"] for one in self._world.store.all(EXECUTIONS, sandbox) if one["scheduled"]}
            for flow in self._world.store.all("flows", sandbox):
                if flow["id"] in begun:
                    continue  # a run of the schedule is being worked on; the next one begins where it ends
                moment = self._next_of(sandbox, flow)
                if moment is not None and moment <= until_ms:
                    found.append(_Due(moment_ms=moment, sandbox=sandbox, flow=flow))
        if not found:
            return None
        return min(found, key=lambda one: one.moment_ms)

    def _look_for_records(self) -> None:
        """Runs on demand and re-triggered ones wait as records that are scheduled."""
        store = self._world.store
        for sandbox in self._world.options.sandboxes:
            seen, count = self._looked_at.get(sandbox, 0), store.count("runs", sandbox)
            if count == seen:
                continue
            for record in store.all("runs", sandbox)[seen:]:
                if status_of(record) == SCHEDULED:
                    self._waiting.append(_Due(moment_ms=record["createdAt"], sandbox=sandbox, run=record))
            self._looked_at[sandbox] = count

    def _next_of(self, sandbox: str, flow: Json) -> int | None:
        if flow.get("state") != "enabled" or (flow.get("flowSpec") or {}).get("id") != CRM_TO_AEP:
            return None
        plan = schedule_of(flow)
        if plan is None:
            return None
        active_ms = (flow.get(OPERATION) or {}).get("until", 0)
        moment = next_due(plan, self._cursor_of(sandbox, flow["id"]), active_ms=active_ms)
        if moment is None or presented("flows", flow, moment)["state"] != "enabled":
            return None
        return moment

    def _cursor_of(self, sandbox: str, flow: str) -> Cursor | None:
        kept = self._world.store.peek(CURSORS, sandbox, flow)
        return None if kept is None else Cursor(ran_ms=kept["ran_ms"], taken_ms=kept["taken_ms"])

    def _begin(self, due: _Due) -> Work:
        world, store = self._world, self._world.store
        if due.run is not None:
            record = due.run
        else:
            assert due.flow is not None
            plan = schedule_of(due.flow)
            assert plan is not None
            window = window_at(
                plan,
                self._cursor_of(due.sandbox, due.flow["id"]),
                due.moment_ms,
                end_inclusive=world.options.delta_end_inclusive,
            )
            client = str(due.flow.get("createdClient") or world.options.client_id)
            record = schedule(world, due.sandbox, due.flow, window=window, client_id=client)
        begun = store.peek(EXECUTIONS, due.sandbox, record["id"])
        if begun is None:
            begun = {
                "id": record["id"],
                "flow": record["flowId"],
                "batch": new_batch_id(world),
                "moment_ms": due.moment_ms,
                "scheduled": due.run is None,
            }
            store.put(EXECUTIONS, due.sandbox, record["id"], begun)
        finish(world, due.sandbox, record["id"], RunOutcome(status=INTERRUPTED, started_ms=due.moment_ms))
        return self._work_of(due.sandbox, record, begun)

    def _work_of(self, sandbox: str, record: Mapping[str, Any], begun: Mapping[str, Any]) -> Work:
        window = window_of(record)
        end_ms = window.end_ms
        inclusive = self._world.options.delta_end_inclusive and end_ms is not None
        known: Json = {
            "run": record["id"],
            "sandbox": sandbox,
            "moment_ms": begun["moment_ms"],
            "start_ms": window.start_ms,
            "end_ms": end_ms,
            "batch": begun["batch"],
            "flow": record["flowId"],
            "on_demand": record.get("params") is not None,
        }
        if not begun["scheduled"] and not known["on_demand"]:  # triggered again
            key = _window_key(record["flowId"], window.start_ms, end_ms)
            known["collected"] = self._world.store.peek(OPEN, sandbox, key) is None
        if known["on_demand"]:  # each takes its own window, but the failed one's lands once
            first = first_of(self._world, sandbox, record["id"])
            known["collected"] = self._world.store.peek(MADE_GOOD, sandbox, first) is not None
        kept = self._world.store.peek(CURSORS, sandbox, begun["flow"]) if begun["scheduled"] else None
        known["told_to_row"] = (kept or {}).get("told_to_row", 0)
        try:
            found = self._parts_of(sandbox, record, window)
        except Impossible as problem:
            nothing: Json = {"table": "", "delta": None, "passes": None, "mappings": (), "target": None}
            nothing |= {"data_set": "", "percent": None, "diagnostics": False}
            return Work(**known, **nothing, reach_ms=None, impossible=str(problem))
        reach = end_ms + 1 if inclusive and end_ms is not None else end_ms
        return Work(**known, **found, reach_ms=reach)

    def _parts_of(self, sandbox: str, record: Mapping[str, Any], window: Window) -> Json:
        world, store = self._world, self._world.store
        flow = store.peek("flows", sandbox, record["flowId"])
        if flow is None:
            raise Impossible(f"the flow {record['flowId']} is not there any more")
        source = self._connection(sandbox, flow, "source")
        target = self._connection(sandbox, flow, "target")
        data_set = store.peek("dataSets", sandbox, str(target.get("params", {}).get("dataSetId")))
        if data_set is None:
            raise Impossible("the data set of the flow is not there any more")
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
        return {
            "table": table,
            "delta": _delta_of(record, flow) if bounded else None,
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
        return found

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


def _window_key(flow: str, start_ms: int | None, end_ms: int | None) -> str:
    return f"{flow}/{start_ms}/{end_ms}"


def _delta_of(record: Mapping[str, Any], flow: Json) -> str:
    named = ((record.get("params") or {}).get("deltaColumn") or {}).get("name")
    found = str(named or delta_column_of(flow))
    if not found:
        raise Impossible("the run has a window, and neither it nor the flow names a delta column")
    return found


def _filter_of(written: Any) -> RowFilter | None:
    try:
        return filter_of(written) if written else None
    except FilterInvalid as problem:
        raise Impossible(f"params.filters of the source connection: {problem}") from problem
