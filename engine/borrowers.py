"""Which runs of a journal build on an object that they found: asked before it is deleted.

The platform knows of such a run only once it has made something that refers to the object; its journal knows before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from flowledger.engine.events import RunDestroyed, StepSettled
from flowledger.journal import Journal


class _Borrowers:
    """A fold of one journal's runs: who has settled a step with which object, and who is destroyed."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, None]] = {}  # names of runs, oldest first, by the object's id
        self._destroyed: set[str] = set()
        self.reading: asyncio.Future[_Borrowers] | None = None  # of what was journaled before

    def fold(self, run: str, doc: Mapping[str, Any]) -> None:
        if doc.get("kind") == RunDestroyed.kind:
            self._destroyed.add(run)
        elif doc.get("kind") == StepSettled.kind:
            outputs = doc.get("outputs")
            if isinstance(outputs, Mapping) and outputs.get("id"):
                self._of.setdefault(str(outputs["id"]), {})[run] = None

    def of(self, id: str) -> list[str]:
        return [run for run in list(self._of.get(id, ())) if run not in self._destroyed]

    @property
    def broken_off(self) -> bool:
        """The loop that had the journal read is gone, and what it read with it."""
        reading = self.reading
        return reading is not None and (reading.cancelled() or reading.get_loop() is not asyncio.get_running_loop())

    def put_before(self, older: _Borrowers) -> None:
        """Take in what an earlier part of the journal says."""
        self._destroyed |= older._destroyed
        for id, runs in older._of.items():
            self._of[id] = {**runs, **self._of.get(id, {})}


_BORROWERS: Final[WeakKeyDictionary[Journal, _Borrowers]] = WeakKeyDictionary()


async def borrowers(journal: Journal, id: str) -> list[str]:
    """The runs of an open journal that took the object `id` as found and are not destroyed, oldest first.

    Who asks first has every event of the journal read, once, in a thread; what comes meanwhile and later is taken in by
    `take_in`.
    """
    known = _BORROWERS.get(journal)
    if known is None or known.broken_off:
        known = _BORROWERS[journal] = _Borrowers()
        known.reading = asyncio.ensure_future(asyncio.to_thread(_of_journal, journal))
    if known.reading is not None:
        try:
            older = await asyncio.shield(known.reading)
        except Exception:
            _BORROWERS.pop(journal, None)  # a read that failed must not be taken for all of it
            raise
        if known.reading is not None:  # the first of those who waited
            known.reading = None
            known.put_before(older)
    return known.of(id)


def _of_journal(journal: Journal) -> _Borrowers:
    found = _Borrowers()
    for run in journal.runs():
        for doc in journal.events(run):
            found.fold(run, doc)
    return found


def take_in(journal: Journal, run: str, doc: Mapping[str, Any]) -> None:
    """Take in an event that is durable by now, if anybody has asked about this journal."""
    known = _BORROWERS.get(journal)
    if known is not None:
        known.fold(run, doc)
