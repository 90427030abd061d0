"""Removes old run records and old batches, so that an emulator that runs for long does not grow without end.

Only what nothing asks for goes: runs that are over, never the latest of a flow; batches only where the option
`batches_kept` says so, never the latest good one of a data set. It is done from time to time, a tenth at once, because
each time looks at every record.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, Final

from flowledger.emulator.data.agenda import CURSORS, FLOWS
from flowledger.emulator.datasets import BATCHES, FILES
from flowledger.emulator.datasets import KIND as DATA_SETS
from flowledger.emulator.run_records import KIND as RUNS
from flowledger.emulator.run_records import TRIGGERED_AGAIN, UNDER_WAY, first_of, status_of, window_of
from flowledger.emulator.world import World

OPEN: Final = "openWindows"  # windows of a schedule whose run failed, and that nothing has collected since
REPORTED: Final = "reportedRows"  # by the flow's id: keys of the table's broken rows that its runs have reported
MADE_GOOD: Final = "runsMadeGood"  # by the id of a run on demand that failed: one that it was triggered again as landed

Json = dict[str, Any]


def window_key(flow: str, start_ms: int | None, end_ms: int | None) -> str:
    """By what a window of a flow's schedule is kept as open."""
    return f"{flow}/{start_ms}/{end_ms}"


class Pruning:
    """Keeps the number of records of one emulator within its options `runs_kept` and `batches_kept`."""

    def __init__(self, world: World) -> None:
        """Nothing is removed yet."""
        self._world = world
        self._limits: dict[tuple[str, str], int] = {}  # by kind and sandbox: above so many records it is looked again

    def after_run(self, sandbox: str) -> None:
        """Remove what is too old, when there is enough of it. Raises sqlite3.Error when the state cannot be written."""
        options = self._world.options
        for kind, kept, prune in (
            (RUNS, options.runs_kept, self._prune_runs),
            (BATCHES, options.batches_kept, self._prune_batches),
        ):
            if kept <= 0:
                continue
            count = self._world.store.count(kind, sandbox)
            if count > self._limits.get((kind, sandbox), kept):
                with self._world.store.transaction():
                    prune(sandbox, kept)
                left = self._world.store.count(kind, sandbox)
                self._limits[kind, sandbox] = max(kept, left) + max(1, kept // 10)

    def _prune_runs(self, sandbox: str, kept: int) -> None:
        store = self._world.store
        records = store.all(RUNS, sandbox)
        latest = {record["flowId"]: record["id"] for record in records}
        surplus = len(records) - kept
        gone: list[Json] = []
        for record in records:
            if len(gone) >= surplus:
                break
            of_flow = store.peek(FLOWS, sandbox, record["flowId"]) is not None
            if status_of(record) in UNDER_WAY or (of_flow and latest[record["flowId"]] == record["id"]):
                continue
            gone.append(record)
        roots = {first_of(self._world, sandbox, record["id"]): record for record in gone}
        for record in gone:
            store.drop(RUNS, sandbox, record["id"])
            store.drop(TRIGGERED_AGAIN, sandbox, record["id"])
        followers = Counter(one["of"] for one in store.all(TRIGGERED_AGAIN, sandbox))
        for root, record in roots.items():
            if followers[root] or store.peek(RUNS, sandbox, root) is not None:
                continue  # a run is left that can be triggered again
            store.drop(MADE_GOOD, sandbox, root)
            window = window_of(record)
            for key in (window_key(record["flowId"], window.start_ms, window.end_ms), root):
                if (store.peek(OPEN, sandbox, key) or {}).get("run") == root:
                    store.drop(OPEN, sandbox, key)
        for cursor in store.all(CURSORS, sandbox):
            if store.peek(FLOWS, sandbox, cursor["id"]) is None:
                store.drop(CURSORS, sandbox, cursor["id"])
                store.drop(REPORTED, sandbox, cursor["id"])

    def _prune_batches(self, sandbox: str, kept: int) -> None:
        store = self._world.store
        by_data_set: defaultdict[str, list[Json]] = defaultdict(list)
        for batch in store.all(BATCHES, sandbox):
            by_data_set[batch["relatedObjects"][0]["id"]].append(batch)
        for id, batches in by_data_set.items():
            data_set = store.get(DATA_SETS, sandbox, id) or {}
            gone = [one for one in batches[:-kept] if one["id"] != data_set.get("lastSuccessfulBatch")]
            for batch in gone:
                store.drop(BATCHES, sandbox, batch["id"])
                self._drop_file(sandbox, data_set, f"{batch['id']}-1")
            if gone and data_set:
                store.put(DATA_SETS, sandbox, id, data_set)
            if gone and self._world.sweep is not None:
                self._world.sweep.want(id)

    def _drop_file(self, sandbox: str, data_set: Json, key: str) -> None:
        """Drop a batch's file, and what it counted for in the data set's statistics."""
        file = self._world.store.peek(FILES, sandbox, key)
        counted = data_set.get("statsCache")
        if file is not None and counted is not None:
            counted["recordCount"] -= file["records"]
            counted["fileCount"] -= len(file["parts"])
            counted["batchCount"] -= 1
            counted["sizeInBytes"] -= sum(part["length"] for part in file["parts"])
        self._world.store.drop(FILES, sandbox, key)
