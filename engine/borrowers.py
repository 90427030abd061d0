"""Which runs of a journal build on an object that they found: asked before it is deleted.

The platform knows of such a run only once it has made something that refers to the object; its journal knows before.
"""

from __future__ import annotations

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

    def fold(self, run: str, doc: Mapping[str, Any]) -> None:
        if doc.get("kind") == RunDestroyed.kind:
            self._destroyed.add(run)
        elif doc.get("kind") == StepSettled.kind and (id := (doc.get("outputs") or {}).get("id")):
            self._of.setdefault(str(id), {})[run] = None

    def of(self, id: str) -> list[str]:
        return [run for run in list(self._of.get(id, ())) if run not in self._destroyed]


_BORROWERS: Final[WeakKeyDictionary[Journal, _Borrowers]] = WeakKeyDictionary()


def borrowers(journal: Journal, id: str) -> list[str]:
    """The runs of an open journal that took the object `id` as found and are not destroyed, oldest first.

    Whoever asks first has every event of the journal read, once: what comes later is taken in by `take_in`.
    """
    known = _BORROWERS.get(journal)
    if known is None:
        known = _Borrowers()
        for run in journal.runs():
            for doc in journal.events(run):
                known.fold(run, doc)
        _BORROWERS[journal] = known
    return known.of(id)


def take_in(journal: Journal, run: str, doc: Mapping[str, Any]) -> None:
    """Take in an event that is durable by now, if anybody has asked about this journal."""
    known = _BORROWERS.get(journal)
    if known is not None:
        known.fold(run, doc)
