"""What a test has gone through, and what is wrong with the worlds in which its cells ended.

What a test has asserted is not believed here: if it asserted too little, the numbers say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from crashmatrix.styles import EFFECTS
from flowledger.emulator.core import Emulator
from flowledger.engine.ledger import Ledger

_MARKER: Final = re.compile(r"fl-([a-z0-9]{10})-([a-z-]+)(?![\w-])")
_STEP_OF: Final = {effect.slug: step for step, effect in EFFECTS.items()}
KINDS: Final = tuple(dict.fromkeys(effect.kind for effect in EFFECTS.values()))


@dataclass(slots=True)
class Found:
    """What is wrong with the world in which a cell ended, as seen from outside."""

    duplicates: int = 0  # objects for a step beyond its first, those that were cleaned up included
    orphans: int = 0  # objects with a run's marker that no journal names, though no call of theirs is in doubt
    lost: int = 0  # events that were acknowledged and are not on the disk
    reported: int = 0  # of the objects beyond the first, those that the run itself reported
    in_flight: int = 0  # calls that nobody had heard of at a death, by step, as the next process found them
    looked_up: int = 0  # steps that these processes looked up for it

    def __add__(self, other: Found) -> Found:
        return Found(
            self.duplicates + other.duplicates,
            self.orphans + other.orphans,
            self.lost + other.lost,
            self.reported + other.reported,
            self.in_flight + other.in_flight,
            self.looked_up + other.looked_up,
        )


@dataclass(slots=True)
class Tally:
    """What one test has gone through."""

    cells: list[str] = field(default_factory=list)
    crashes: int = 0
    faults: int = 0
    within: Found = field(default_factory=Found)  # of what is promised
    beyond_cells: int = 0
    beyond: Found = field(default_factory=Found)  # outside of what can be promised: twins may be, and are reported


#: What the test that runs now has gone through.
_now = Tally()
_looking_ahead = 0  # more than 0 while the matrix only finds out what could happen


def taken() -> Tally:
    """What the test that has just ended went through; the next one begins with nothing."""
    global _now
    done, _now = _now, Tally()
    return done


@contextmanager
def looking_ahead() -> Iterator[None]:
    """Within this block the matrix only finds out what could happen: nothing is counted."""
    global _looking_ahead
    _looking_ahead += 1
    try:
        yield
    finally:
        _looking_ahead -= 1


def is_counted() -> bool:
    """Whether what happens now is counted."""
    return not _looking_ahead


def struck(times: int = 1) -> None:
    """So many calls met a fault."""
    if is_counted():
        _now.faults += times


def died() -> None:
    """A process died."""
    if is_counted():
        _now.crashes += 1


def ended(cell: str, found: Found, promised: Found | None = None, *, beyond: bool = False) -> None:
    """A cell has come to its end. `beyond`: outside of what can be promised, but for what is in `promised`."""
    _now.cells.append(cell)
    _now.within += promised or Found()
    if beyond:
        _now.beyond_cells += 1
        _now.beyond += found
    else:
        _now.within += found


def cells_so_far() -> int:
    """How many cells of the test that runs now have ended."""
    return len(_now.cells)


def markers_of(item: dict[str, Any]) -> set[tuple[str, str]]:
    """Nonce and step of every marker that an object carries."""
    texts = [item.get("name"), item.get("title"), item.get("description"), str(item.get("tags"))]
    found = {match for text in texts if isinstance(text, str) for match in _MARKER.findall(text)}
    return {(nonce, _STEP_OF[slug]) for nonce, slug in found if slug in _STEP_OF}


def id_of(item: dict[str, Any]) -> str:
    """The id by which the journal knows an object."""
    return str(item.get("$id") or item["id"])


def look(emulator: Emulator, ledgers: Iterable[Ledger], theirs: frozenset[str] = frozenset()) -> Found:
    """Compare what is on the platform with what journals say of it. `theirs`: ids that somebody else has made."""
    by_nonce = {ledger.nonce: ledger for ledger in ledgers if ledger.nonce}
    ours: dict[tuple[str, str], set[str]] = {}
    for kind in KINDS:
        for item in emulator.objects(kind):
            if id_of(item) not in theirs:
                for owner in markers_of(item):
                    ours.setdefault(owner, set()).add(id_of(item))
    found = Found()
    named = {id for ledger in by_nonce.values() for id in _named(ledger)}
    for (nonce, step), ids in ours.items():
        found.duplicates += len(ids) - 1
        ledger = by_nonce.get(nonce)
        found.reported += len(ids & set(ledger.duplicates)) if ledger else 0
        record = ledger.step(step) if ledger and not ledger.destroyed else None
        open_still = record is not None and not record.done and bool(record.unanswered)
        if not open_still:  # what an open intent may have made is found by the next resume: it is not lost
            found.orphans += len(ids - named)
    return found


def _named(ledger: Ledger) -> set[str]:
    """What a journal says is there of a run: once it is destroyed, what it has left."""
    if ledger.destroyed:
        return {one["id"] for one in ledger.left}
    made = {str((record.outputs or {}).get("id")) for record in ledger.steps.values()}
    return made | {removal.id for removal in ledger.removals.values()} | set(ledger.duplicates)
