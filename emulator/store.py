"""The objects of the platform: held in memory, and written through to SQLite when state is kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL, sandbox TEXT NOT NULL, id TEXT NOT NULL,
    place INTEGER NOT NULL, made_ms INTEGER NOT NULL, gone_ms INTEGER, body BLOB NOT NULL,
    PRIMARY KEY (kind, sandbox, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
"""

GRAVEYARD_MS = 3_600_000  # how long a deleted object is remembered, so that lagging lists can still show it


@dataclass(slots=True)
class Kept:
    """One object and when it came and went, in the emulator's milliseconds."""

    id: str
    place: int  # counts puts of new objects: creation order
    made_ms: int
    gone_ms: int | None
    body: dict[str, Any]


class StateInUse(Exception):
    """Another emulator holds the state directory."""


class Store:
    """Objects by kind, sandbox and id, in creation order.

    With a `path`, every change is in SQLite before the answer leaves (`transaction`), so the state outlives a
    `kill -9` of the emulator. It does not promise to outlive a power cut: durability of that kind would cost a
    disk flush an answer, and nobody tests it against a stand-in.
    """

    def __init__(self, path: Path | None = None, *, now_ms: Callable[[], int]) -> None:
        """Open or make the state at `path` (a file); None keeps everything in memory only.

        Raises StateInUse when another emulator holds it, sqlite3.Error when the file is no state of an emulator.
        """
        self._now_ms = now_ms
        self._kept: dict[tuple[str, str], dict[str, Kept]] = {}
        self._gone: dict[tuple[str, str], list[Kept]] = {}
        self._notes: dict[str, Any] = {}
        self._place = 0
        self._changed_notes: set[str] = set()
        self._in_transaction = False
        self.when_undone: Callable[[], None] = lambda: None  # told after a transaction came to nothing
        self._db: sqlite3.Connection | None = None
        if path is not None:
            self._db = _opened(path)
            self._load(self._db)

    def put(self, kind: str, sandbox: str, id: str, obj: dict[str, Any]) -> None:
        """Create the object, or replace what has this id (its place in the order stays)."""
        objects = self._kept.setdefault((kind, sandbox), {})
        kept = objects.get(id)
        if kept is None:
            self._place += 1
            kept = objects[id] = Kept(id=id, place=self._place, made_ms=self._now_ms(), gone_ms=None, body=obj)
        else:
            kept.body = obj
        self._write(kind, sandbox, kept)

    def get(self, kind: str, sandbox: str, id: str) -> dict[str, Any] | None:
        """A copy of the object, or None. Changing the copy changes nothing until it is put back."""
        found = self.peek(kind, sandbox, id)
        if found is None:
            return None
        copied: dict[str, Any] = orjson.loads(orjson.dumps(found))
        return copied

    def peek(self, kind: str, sandbox: str, id: str) -> dict[str, Any] | None:
        """The object itself, or None. Shared with the store: to be read, never changed in place."""
        kept = self._kept.get((kind, sandbox), {}).get(id)
        return None if kept is None else kept.body

    def delete(self, kind: str, sandbox: str, id: str) -> bool:
        """Remove the object. False when there is none."""
        kept = self._kept.get((kind, sandbox), {}).pop(id, None)
        if kept is None:
            return False
        kept.gone_ms = self._now_ms()
        horizon = kept.gone_ms - GRAVEYARD_MS
        graves = self._gone.setdefault((kind, sandbox), [])
        graves[:] = [grave for grave in graves if (grave.gone_ms or 0) > horizon]
        graves.append(kept)
        self._execute("DELETE FROM objects WHERE kind = ? AND sandbox = ? AND gone_ms <= ?", (kind, sandbox, horizon))
        self._write(kind, sandbox, kept)
        return True

    def all(self, kind: str, sandbox: str) -> list[dict[str, Any]]:
        """Every object of the kind, oldest first. Shared with the store: to be read, never changed in place."""
        return [kept.body for kept in self._kept.get((kind, sandbox), {}).values()]

    def count(self, kind: str, sandbox: str) -> int:
        """How many objects of the kind there are."""
        return len(self._kept.get((kind, sandbox), {}))

    def as_listed(self, kind: str, sandbox: str, *, at_ms: int, lag_ms: int) -> list[dict[str, Any]]:
        """What a list shows that runs `lag_ms` behind: creates come late, deletes leave late. Oldest first."""
        if lag_ms <= 0:
            return self.all(kind, sandbox)
        shown = [kept for kept in self._kept.get((kind, sandbox), {}).values() if kept.made_ms + lag_ms <= at_ms]
        shown += [
            grave
            for grave in self._gone.get((kind, sandbox), [])
            if grave.made_ms + lag_ms <= at_ms < (grave.gone_ms or 0) + lag_ms
        ]
        return [kept.body for kept in sorted(shown, key=lambda kept: kept.place)]

    def note(self, name: str) -> Any:
        """A value kept beside the objects (counters, late commits, faults), or None."""
        return self._notes.get(name)

    def write_note(self, name: str, value: Any) -> None:
        """Keep a JSON value under a name."""
        with self.transaction():
            self._notes[name] = value
            self._changed_notes.add(name)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything written inside is on disk together, or not at all. Costs nothing when nothing is written.

        When it fails (the disk is full, say), memory is again what the disk has: nothing is shown that a restart loses.
        """
        if self._in_transaction:
            yield
            return
        self._in_transaction = True
        try:
            yield
            self._write_notes()
            if self._db is not None and self._db.in_transaction:
                self._db.execute("COMMIT")
        except BaseException:
            if self._db is not None:
                self._undo(self._db)
            raise
        finally:
            self._in_transaction = False

    def clear(self) -> None:
        """Forget everything, on disk too."""
        self._kept.clear()
        self._gone.clear()
        self._notes.clear()
        self._changed_notes.clear()
        self._place = 0
        with self.transaction():
            self._execute("DELETE FROM objects")
            self._execute("DELETE FROM notes")

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _write(self, kind: str, sandbox: str, kept: Kept) -> None:
        if self._db is None:
            return
        body = orjson.dumps(kept.body)
        row = (kind, sandbox, kept.id, kept.place, kept.made_ms, kept.gone_ms, body)
        self._execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def _write_notes(self) -> None:
        if self._db is not None:
            for name in self._changed_notes:
                body = orjson.dumps(self._notes[name])
                self._execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, body))
        self._changed_notes.clear()

    def _execute(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        if self._db is None:
            return
        if self._in_transaction and not self._db.in_transaction:
            self._db.execute("BEGIN")
        self._db.execute(statement, values)

    def _undo(self, db: sqlite3.Connection) -> None:
        if db.in_transaction:  # SQLite has rolled back by itself after some failures
            db.execute("ROLLBACK")
        self._load(db)
        self._changed_notes.clear()
        self.when_undone()

    def _load(self, db: sqlite3.Connection) -> None:
        objects: dict[tuple[str, str], dict[str, Kept]] = {}
        gone: dict[tuple[str, str], list[Kept]] = {}
        last = 0
        rows = db.execute("SELECT kind, sandbox, id, place, made_ms, gone_ms, body FROM objects ORDER BY place")
        for kind, sandbox, key, place, made_ms, gone_ms, body in rows:
            kept = Kept(id=key, place=place, made_ms=made_ms, gone_ms=gone_ms, body=orjson.loads(body))
            if gone_ms is None:
                objects.setdefault((kind, sandbox), {})[key] = kept
            else:
                gone.setdefault((kind, sandbox), []).append(kept)
            last = max(last, place)
        self._kept, self._gone, self._place = objects, gone, last
        self._notes = {name: orjson.loads(body) for name, body in db.execute("SELECT name, body FROM notes")}


def _opened(path: Path) -> sqlite3.Connection:
    """The state file, held by this process alone until it closes it or dies."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.2)
    try:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=OFF")
        db.executescript(SCHEMA)
    except sqlite3.OperationalError as problem:
        db.close()
        if "locked" in str(problem):
            raise StateInUse(f"another emulator uses {path.parent}") from problem
        raise
    return db
