"""The objects of the platform: held in memory, and written through to SQLite when state is kept."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL, sandbox TEXT NOT NULL, id TEXT NOT NULL,
    place INTEGER NOT NULL, made_ms INTEGER NOT NULL, gone_ms INTEGER, body BLOB NOT NULL,
    PRIMARY KEY (kind, sandbox, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
"""

FORMAT = 1  # of the tables, kept as `PRAGMA user_version`; a state of before it was counted says 0 and is the same
ABSENT: Final = object()  # of a note that did not exist
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


class StateNewer(Exception):
    """The state directory was written by a later version, in a format that this one does not know."""


class Store:
    """Objects by kind, sandbox and id, in creation order.

    With a `path`, every change is in SQLite before the answer leaves (`transaction`), so the state outlives a
    `kill -9` of the emulator. It does not promise to outlive a power cut: durability of that kind would cost a
    disk flush an answer, and nobody tests it against a stand-in.

    In memory only, a transaction that fails is undone just the same: each change notes how to take it back.
    """

    def __init__(self, path: Path | None = None, *, now_ms: Callable[[], int]) -> None:
        """Open or make the state at `path` (a file); None keeps everything in memory only.

        Raises StateInUse when another emulator holds it, StateNewer when a later version wrote it, sqlite3.Error when
        the file is no state of an emulator.
        """
        self._now_ms = now_ms
        self._kept: dict[tuple[str, str], dict[str, Kept]] = {}
        self._gone: dict[tuple[str, str], deque[Kept]] = {}  # graves, in the order in which they went
        self._notes: dict[str, Any] = {}
        self._place = 0
        self._changed_notes: set[str] = set()
        self._in_transaction = False
        self._undoing: list[Callable[[], None]] = []  # what takes back the changes of the transaction, oldest first
        self._versions: dict[tuple[str, str], int] = {}  # how often an object of a kind was put or removed
        self._rollbacks = 0
        self.when_changed: Callable[[str, str, str], None] = lambda *_: None  # kind, sandbox, id: put or deleted
        self.when_undone: Callable[[], None] = lambda: None  # called after a transaction was rolled back
        self._db: sqlite3.Connection | None = None
        if path is not None:
            self._db = _opened(path)
            self._load(self._db)

    def put(self, kind: str, sandbox: str, id: str, obj: dict[str, Any]) -> None:
        """Create the object, or replace what has this id (its place in the order stays)."""
        with self.transaction():
            objects = self._kept.setdefault((kind, sandbox), {})
            kept = objects.get(id)
            if kept is None:
                self._place += 1
                kept = objects[id] = Kept(id=id, place=self._place, made_ms=self._now_ms(), gone_ms=None, body=obj)
                self._undoing.append(lambda: self._unmake(kind, sandbox, id))
            else:
                self._undoing.append(partial(setattr, kept, "body", kept.body))
                kept.body = obj
            self._write(kind, sandbox, kept)
            self._note_change(kind, sandbox, id)

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
        with self.transaction():
            kept = self._kept.get((kind, sandbox), {}).pop(id, None)
            if kept is None:
                return False
            now_ms = self._now_ms()
            graves = self._gone.setdefault((kind, sandbox), deque())
            pruned = []
            while graves and (graves[0].gone_ms or 0) <= now_ms - GRAVEYARD_MS:
                pruned.append(graves.popleft())
            kept.gone_ms = now_ms
            graves.append(kept)
            self._undoing.append(lambda: self._unbury(kind, sandbox, kept, pruned))
            for grave in pruned:
                where = (kind, sandbox, grave.place)
                self._execute("DELETE FROM objects WHERE kind = ? AND sandbox = ? AND place = ?", where)
            self._write(kind, sandbox, kept)
            self._note_change(kind, sandbox, id)
            return True

    def drop(self, kind: str, sandbox: str, id: str) -> None:
        """Remove the object for good, if it is there: no list shows it any more, however far behind it runs."""
        with self.transaction():
            kept = self._kept.get((kind, sandbox), {}).pop(id, None)
            if kept is None:
                return
            self._undoing.append(lambda: self._put_back(kind, sandbox, kept))
            where = (kind, sandbox, kept.place)
            self._execute("DELETE FROM objects WHERE kind = ? AND sandbox = ? AND place = ?", where)
            self._note_change(kind, sandbox, id)

    def all(self, kind: str, sandbox: str) -> list[dict[str, Any]]:
        """Every object of the kind, oldest first. Shared with the store: to be read, never changed in place."""
        return [kept.body for kept in self._kept.get((kind, sandbox), {}).values()]

    def count(self, kind: str, sandbox: str) -> int:
        """How many objects of the kind there are."""
        return len(self._kept.get((kind, sandbox), {}))

    def version(self, kinds: Iterable[str], sandbox: str) -> tuple[int, ...]:
        """What changes whenever an object of these kinds does: what was made of them is out of date then."""
        return (self._rollbacks, *(self._versions.get((kind, sandbox), 0) for kind in kinds))

    def as_listed(self, kind: str, sandbox: str, *, at_ms: int, lag_ms: int) -> list[dict[str, Any]]:
        """What a list shows that runs `lag_ms` behind: creates come late, deletes leave late. Oldest first."""
        if lag_ms <= 0:
            return self.all(kind, sandbox)
        shown = [kept for kept in self._kept.get((kind, sandbox), {}).values() if kept.made_ms + lag_ms <= at_ms]
        shown += [
            grave
            for grave in self._gone.get((kind, sandbox), ())
            if grave.made_ms + lag_ms <= at_ms < (grave.gone_ms or 0) + lag_ms
        ]
        return [kept.body for kept in sorted(shown, key=lambda kept: kept.place)]

    def note(self, name: str) -> Any:
        """A value kept beside the objects (counters, late commits, faults), or None."""
        return self._notes.get(name)

    def write_note(self, name: str, value: Any) -> None:
        """Keep a JSON value under a name."""
        with self.transaction():
            before = self._notes.get(name, ABSENT)
            self._undoing.append(lambda: self._unwrite(name, before))
            self._notes[name] = value
            self._changed_notes.add(name)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything written inside is kept together, or not at all. One inside of another is part of it.

        When it fails (the disk is full, a handler raises), memory is again as it was, and as the disk has it: nothing
        is shown that a restart loses. Costs nothing when nothing is written.
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
            self._undo()
            raise
        finally:
            self._undoing.clear()
            self._in_transaction = False

    def clear(self) -> None:
        """Forget everything, on disk too."""
        with self.transaction():
            before = (self._kept, self._gone, self._notes, self._place)
            self._undoing.append(lambda: self._restore(*before))
            self._restore({}, {}, {}, 0)
            self._rollbacks += 1
            self._changed_notes.clear()
            self._execute("DELETE FROM objects")
            self._execute("DELETE FROM notes")

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _note_change(self, kind: str, sandbox: str, id: str) -> None:
        self._versions[kind, sandbox] = self._versions.get((kind, sandbox), 0) + 1
        self.when_changed(kind, sandbox, id)

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

    def _undo(self) -> None:
        if self._db is not None and self._db.in_transaction:  # SQLite has rolled back by itself after some failures
            self._db.execute("ROLLBACK")
        while self._undoing:
            self._undoing.pop()()
        self._changed_notes.clear()
        self._rollbacks += 1
        self.when_undone()

    def _unmake(self, kind: str, sandbox: str, id: str) -> None:
        """Undo the creation of an object: it was the last one, and its place is given out again."""
        self._place = self._kept[kind, sandbox].pop(id).place - 1

    def _unbury(self, kind: str, sandbox: str, kept: Kept, pruned: list[Kept]) -> None:
        """Undo the delete of an object: it is again where it was in the order, and so are the graves."""
        graves = self._gone[kind, sandbox]
        graves.pop()
        graves.extendleft(reversed(pruned))
        kept.gone_ms = None
        self._put_back(kind, sandbox, kept)

    def _put_back(self, kind: str, sandbox: str, kept: Kept) -> None:
        objects = self._kept[kind, sandbox]
        objects[kept.id] = kept
        self._kept[kind, sandbox] = dict(sorted(objects.items(), key=lambda item: item[1].place))

    def _unwrite(self, name: str, before: Any) -> None:
        if before is ABSENT:
            self._notes.pop(name, None)
        else:
            self._notes[name] = before

    def _restore(
        self,
        kept: dict[tuple[str, str], dict[str, Kept]],
        gone: dict[tuple[str, str], deque[Kept]],
        notes: dict[str, Any],
        place: int,
    ) -> None:
        self._kept, self._gone, self._notes, self._place = kept, gone, notes, place

    def _load(self, db: sqlite3.Connection) -> None:
        objects: dict[tuple[str, str], dict[str, Kept]] = {}
        graves: list[tuple[tuple[str, str], Kept]] = []
        last = 0
        rows = db.execute("SELECT kind, sandbox, id, place, made_ms, gone_ms, body FROM objects ORDER BY place")
        for kind, sandbox, key, place, made_ms, gone_ms, body in rows:
            kept = Kept(id=key, place=place, made_ms=made_ms, gone_ms=gone_ms, body=orjson.loads(body))
            if gone_ms is None:
                objects.setdefault((kind, sandbox), {})[key] = kept
            else:
                graves.append(((kind, sandbox), kept))
            last = max(last, place)
        gone: dict[tuple[str, str], deque[Kept]] = {}
        for where, grave in sorted(graves, key=lambda one: (one[1].gone_ms, one[1].place)):
            gone.setdefault(where, deque()).append(grave)
        self._kept, self._gone, self._place = objects, gone, last
        self._notes = {name: orjson.loads(body) for name, body in db.execute("SELECT name, body FROM notes")}


def _opened(path: Path) -> sqlite3.Connection:
    """The state file, held by this process alone until it closes it or dies."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.2)
    try:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=OFF")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise StateNewer(
                f"the state in {path.parent} has format {version}: a later version of flowledger wrote it, "
                f"and this one reads formats up to {FORMAT}"
            )
        db.executescript(SCHEMA)
        if version < FORMAT:
            db.execute(f"PRAGMA user_version = {FORMAT}")
    except StateNewer:
        db.close()
        raise
    except sqlite3.Error as problem:
        db.close()
        if "locked" in str(problem):
            raise StateInUse(f"another emulator uses {path.parent}") from problem
        raise
    return db
