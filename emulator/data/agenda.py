"""What is due next: the earliest run of all flows and of all run records that wait.

The store reports each change of a flow or a run record; only what has changed is looked at again, so that a call costs
the same with ten flows and with a thousand.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from flowledger.emulator.data.due import Cursor, next_due, schedule_of
from flowledger.emulator.flow_specs import CRM_TO_AEP
from flowledger.emulator.flow_state import OPERATION, presented
from flowledger.emulator.run_records import KIND as RUNS
from flowledger.emulator.run_records import SCHEDULED, status_of
from flowledger.emulator.world import World

CURSORS: Final = "flowCursors"  # by the flow's id: how far its schedule has come
EXECUTIONS: Final = "executions"  # by the run's id: begun, and not visible yet
FLOWS: Final = "flows"

Key = tuple[str, str, str]  # FLOWS or RUNS, the sandbox, the id

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """A run that is due: a record that waits (`kind` is RUNS), or the next moment of a flow's schedule (FLOWS)."""

    moment_ms: int
    rank: tuple[int, int, int]  # records first, then by sandbox, then by age
    kind: str = field(compare=False)
    sandbox: str = field(compare=False)
    id: str = field(compare=False)

    @property
    def key(self) -> Key:
        """What it is due of."""
        return (self.kind, self.sandbox, self.id)


class Agenda:
    """The due moments of one emulator's flows and waiting runs, the earliest first."""

    def __init__(self, world: World) -> None:
        """Everything in the store is looked at once, at the first question."""
        self._world = world
        self._heap: list[Due] = []
        self._current: dict[Key, Due] = {}  # entries of the heap that hold; all others there are out of date
        self._ages: dict[Key, int] = {}
        self._age = count()
        self._changed: dict[Key, None] = {}  # a set that keeps its order
        self._all_changed = True
        self._held: set[Key] = set()  # runs that are being worked on now
        self._passed_over: set[Key] = set()

    def changed(self, kind: str, sandbox: str, id: str) -> None:
        """Note that an object of the store was put or deleted."""
        if kind in (FLOWS, RUNS):
            self._changed[kind, sandbox, id] = None
            self._passed_over.discard((kind, sandbox, id))

    def look_anew(self) -> None:
        """Note that anything in the store may have changed: a transaction was rolled back, or all was cleared."""
        self._all_changed = True

    def hold(self, sandbox: str, run: str) -> None:
        """Note that a run is being worked on: it does not wait meanwhile."""
        self._held.add((RUNS, sandbox, run))
        self.changed(RUNS, sandbox, run)

    def release(self, sandbox: str, run: str) -> None:
        """Note that a run is not worked on any more."""
        self._held.discard((RUNS, sandbox, run))
        self.changed(RUNS, sandbox, run)

    def release_all(self) -> None:
        """Note that nothing is worked on."""
        self._held.clear()
        self.look_anew()

    def pass_over(self, due: Due) -> None:
        """Leave out what cannot even begin, until it changes."""
        self._passed_over.add(due.key)
        self._changed[due.key] = None

    def earliest(self, until_ms: int) -> Due | None:
        """What is due first, and by then; None when nothing is."""
        self._bring_up_to_date()
        while self._heap:
            first = self._heap[0]
            if self._current.get(first.key) is first:
                return first if first.moment_ms <= until_ms else None
            heapq.heappop(self._heap)
        return None

    def _bring_up_to_date(self) -> None:
        if self._all_changed:
            store, sandboxes = self._world.store, self._world.options.sandboxes
            self._all_changed = False
            self._current.clear()
            self._changed = {
                (kind, sandbox, one["id"]): None
                for sandbox in sandboxes
                for kind in (FLOWS, RUNS)
                for one in store.all(kind, sandbox)
            }
        while self._changed:
            key = next(iter(self._changed))
            del self._changed[key]
            try:
                self._look_at(key)
            except Exception:
                log.exception("%s %s cannot be scheduled; it is left out until it changes", key[0], key[2])
                self._current.pop(key, None)
        if len(self._heap) > 2 * len(self._current) + 64:  # mostly out of date
            self._heap = sorted(self._current.values())

    def _look_at(self, key: Key) -> None:
        kind, sandbox, id = key
        moment_ms = self._moment_of_flow(sandbox, id) if kind == FLOWS else self._moment_of_run(sandbox, id)
        moment_ms = None if key in self._passed_over else moment_ms
        before = self._current.get(key)
        if moment_ms is None:
            self._current.pop(key, None)
            if self._world.store.peek(kind, sandbox, id) is None or kind == RUNS:
                self._ages.pop(key, None)
        elif before is None or before.moment_ms != moment_ms:
            if key not in self._ages:
                self._ages[key] = next(self._age)
            sandboxes = self._world.options.sandboxes
            rank = (int(kind == FLOWS), sandboxes.index(sandbox), self._ages[key])
            due = self._current[key] = Due(moment_ms, rank, kind, sandbox, id)
            heapq.heappush(self._heap, due)

    def _moment_of_run(self, sandbox: str, id: str) -> int | None:
        """When a run that waits is due: one asked for as it was made, one that was interrupted as it was begun."""
        store = self._world.store
        record, begun = store.peek(RUNS, sandbox, id), store.peek(EXECUTIONS, sandbox, id)
        if record is None or (RUNS, sandbox, id) in self._held:
            return None
        if begun is not None:
            return int(begun["moment_ms"])
        return int(record["createdAt"]) if status_of(record) == SCHEDULED else None

    def _moment_of_flow(self, sandbox: str, id: str) -> int | None:
        store = self._world.store
        flow = store.peek(FLOWS, sandbox, id)
        if flow is None or any(one["flow"] == id and one["scheduled"] for one in store.all(EXECUTIONS, sandbox)):
            return None  # while a run of the schedule is worked on, the next one begins where it ends
        return moment_of(flow, cursor_of(self._world, sandbox, id))


def moment_of(flow: Mapping[str, Any], cursor: Cursor | None) -> int | None:
    """When the flow's next run is due, in milliseconds; None when it has none: it is disabled, a stream, or over."""
    if flow.get("state") != "enabled" or (flow.get("flowSpec") or {}).get("id") != CRM_TO_AEP:
        return None
    plan = schedule_of(flow)
    if plan is None:
        return None
    moment = next_due(plan, cursor, active_ms=(flow.get(OPERATION) or {}).get("until", 0))
    if moment is None or presented(FLOWS, dict(flow), moment)["state"] != "enabled":
        return None
    return moment


def cursor_of(world: World, sandbox: str, flow: str) -> Cursor | None:
    """How far the schedule of a flow has come; None when it has not run."""
    kept = world.store.peek(CURSORS, sandbox, flow)
    return None if kept is None else Cursor(ran_ms=kept["ran_ms"], taken_ms=kept["taken_ms"])
