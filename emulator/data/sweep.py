"""Removes from the lake what Catalog does not know: batches of deleted data sets, and what a dead emulator left.

What cannot be removed (a permission is missing) is reported, and tried again later. Needs no pyarrow: an emulator that
is served without sources sweeps the lake of an earlier start.
"""

from __future__ import annotations

import logging
from typing import Final

from flowledger.emulator.data.agenda import EXECUTIONS
from flowledger.emulator.data.landing import Lake
from flowledger.emulator.datasets import BATCHES
from flowledger.emulator.datasets import KIND as DATA_SETS
from flowledger.emulator.world import World

AGAIN_MS: Final = 1000  # by the emulator's clock: how soon what could not be removed is tried again

log = logging.getLogger(__name__)


class Sweep:
    """The lake's files that are to be removed."""

    def __init__(self, world: World, lake: Lake) -> None:
        """Nothing is wanted yet."""
        self.problems: dict[str, str] = {}  # by data set: why something of it could not be removed
        self._world = world
        self._lake = lake
        self._wanted: dict[str, None] = {}  # data sets to look at; a set that keeps its order
        self._everything = False
        self._tried_ms = 0

    def want(self, data_set: str) -> None:
        """Have a data set be looked at."""
        self._wanted[data_set] = None

    def want_everything(self) -> None:
        """Have the whole lake be looked at."""
        self._everything = True

    def run(self) -> None:
        """Remove what is wanted, and what could not be removed before. Call it outside of a transaction.

        Files of a run that is being worked on stay until it is over.
        """
        if not (self._everything or self._wanted or self.problems):
            return
        now_ms = self._world.now_ms()
        if not (self._everything or self._wanted) and abs(now_ms - self._tried_ms) < AGAIN_MS:
            return
        self._tried_ms = now_ms
        wanted = dict.fromkeys((*self._wanted, *self.problems))
        self._wanted.clear()
        self.problems.clear()
        if self._everything:
            try:
                wanted |= dict.fromkeys(self._lake.data_sets())
            except OSError as problem:
                self._report(".", problem)
            else:
                self._everything = False
        writing = self._being_written()
        for data_set in wanted:
            if data_set != ".":
                self._look_at(data_set, writing)

    def _look_at(self, data_set: str, writing: frozenset[str]) -> None:
        store, sandboxes = self._world.store, self._world.options.sandboxes
        exists = any(store.peek(DATA_SETS, one, data_set) is not None for one in sandboxes)
        left = exists
        try:
            for batch in self._lake.batches_of(data_set):
                if batch in writing or (exists and any(store.peek(BATCHES, one, batch) for one in sandboxes)):
                    left = True
                else:
                    self._lake.remove_batch(data_set, batch)
            if not left:
                self._lake.remove_data_set(data_set)
        except OSError as problem:
            self._report(data_set, problem)

    def _report(self, data_set: str, problem: OSError) -> None:
        self.problems[data_set] = f"{problem.filename or self._lake.folder}: {problem.strerror or problem}"
        log.warning("data of data set %s cannot be removed yet: %s", data_set, self.problems[data_set])

    def _being_written(self) -> frozenset[str]:
        """The batches of runs that were begun and not settled."""
        store, sandboxes = self._world.store, self._world.options.sandboxes
        return frozenset(str(begun["batch"]) for one in sandboxes for begun in store.all(EXECUTIONS, one))
