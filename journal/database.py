"""TinyDB's document and query interface on the log: insert and query as ever, but nothing can be changed or removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol, cast

from tinydb import TinyDB
from tinydb.queries import QueryInstance, QueryLike
from tinydb.storages import Storage
from tinydb.table import Document, Table

from flowledger.errors import AppendOnlyError, UsageError
from flowledger.journal.filesystem import OsFileSystem
from flowledger.journal.reading import Follower
from flowledger.journal.record import EVENTS, body_of, encode_doc
from flowledger.journal.tail import Item
from flowledger.journal.view import View

_UNCHANGED: Final = "append a new event that corrects the old one"


class Log(Protocol):
    """What the tables stand on: a `Writer`, or a `Follower` when only reading."""

    @property
    def directory(self) -> str: ...

    def insert(self, items: list[Item]) -> int: ...

    def check_readable(self) -> View: ...

    def close(self) -> None: ...


def item_of(table: str, doc: Mapping[str, Any], *, run: str | None = None) -> Item:
    """A document ready to be written: strict JSON, its run taken out of it and put beside it.

    Without `run`, a document's own key `run` counts if it is a string. Raises UsageError for what is not JSON.
    """
    if not isinstance(doc, Mapping):
        raise UsageError(f"a journal takes documents (mappings), not {type(doc).__name__}")
    if isinstance(doc, Document):
        raise UsageError(
            f"this document is event {doc.doc_id} already, and the journal gives numbers itself",
            hint="insert dict(document) to append its content as a new event",
        )
    own = doc.get("run")
    if run is None:
        run = own if isinstance(own, str) else None
    elif "run" in doc and own != run:
        raise UsageError(f"the document says run {own!r}, but is to be appended to run {run!r}")
    if run is not None and "run" in doc:
        doc = {key: value for key, value in doc.items() if key != "run"}
    return table, run, body_of(table, run, encode_doc(doc))


def run_asked_for(query: QueryLike) -> str | None:
    """The one run that all hits of a query must be of, or None if the query does not say so.

    Reads the private `_hash` by which TinyDB tells queries apart (pinned: tinydb >=4.8,<5): `where("run") == "x"` has
    ("==", ("run",), "x"), and `a & b` has ("and", {hash of a, hash of b}). Anything else means a scan.
    """
    return _run_in(getattr(query, "_hash", None)) if type(query) is QueryInstance else None


def _run_in(told: object) -> str | None:
    match told:
        case ("==", ("run",), str(run)):
            return run
        case ("and", frozenset() as parts):
            return next((run for run in map(_run_in, sorted(parts, key=repr)) if run is not None), None)
        case _:
            return None


def _refuse(what: str) -> NoReturn:
    raise AppendOnlyError(f"a journal is append-only: it has no {what}", hint=_UNCHANGED)


class JournalStorage(Storage):
    """A journal as a read-only storage of any TinyDB: `TinyDB(directory, storage=JournalStorage)`.

    Reads everything at each call, as TinyDB's storages do. TinyDB's default table and `events` are the same here.
    Writing raises AppendOnlyError. Survives a writer at the same time, and any crash of it.
    """

    def __init__(self, source: Log | str | PathLike[str]) -> None:
        """`source`: the directory of a journal. Raises NotThere, JournalCorrupt."""
        self.log: Log = Follower(Path(fspath(source)), OsFileSystem()) if isinstance(source, str | PathLike) else source

    def read(self) -> dict[str, dict[str, Any]] | None:
        """All tables, anew from the file."""
        if isinstance(self.log, Follower):
            self.log.refresh()
        view = self.log.check_readable()
        tables: dict[str, dict[str, Any]] = {
            name: {str(doc.doc_id): dict(doc) for doc in view.documents(view.numbers(name))} for name in view.tables()
        }
        if EVENTS in tables:
            tables[TinyDB.default_table_name] = tables[EVENTS]
        return tables

    def write(self, data: dict[str, dict[str, Any]]) -> NoReturn:
        """Refuse. Raises AppendOnlyError."""
        _refuse(f"writing of whole tables ({', '.join(data)})")

    def close(self) -> None:
        """Close the log under it."""
        self.log.close()


class JournalTable(Table):
    """One table of a journal. `insert` returns once the document is durable."""

    def __init__(self, storage: Storage, name: str, cache_size: int = 0, persist_empty: bool = False) -> None:
        """`cache_size` is TinyDB's and has no effect, because nothing is cached; `persist_empty` is refused."""
        if not isinstance(storage, JournalStorage):
            raise UsageError("a journal's table needs a journal's storage", hint="use JournalDB")
        if name.startswith("_"):
            raise UsageError(f"table names that begin with an underscore are the journal's own: {name}")
        super().__init__(storage, name, cache_size, persist_empty)
        self._log = storage.log

    def insert(self, document: Mapping[str, Any]) -> int:
        """Append a document; returns its number once it is durable.

        Raises UsageError (not JSON: nothing was written), DiskFull, JournalPoisoned, AppendOnlyError (closed).
        """
        return self._log.insert([item_of(self.name, document)])

    def insert_multiple(self, documents: Iterable[Mapping[str, Any]]) -> list[int]:
        """Append documents with one sync; returns their numbers. All or none are refused; a crash may keep some."""
        items = [item_of(self.name, document) for document in documents]
        if not items:
            return []
        first = self._log.insert(items)
        return list(range(first, first + len(items)))

    def search(self, cond: QueryLike) -> list[Document]:
        """Documents that match, oldest first. `where("run") == x`, alone or in an `&`, reads that run only."""
        return list(self.each(cond))

    def each(self, cond: QueryLike | None = None) -> Iterator[Document]:
        """What `search` finds (`all`, without a query), one after another: each is read when it is asked for."""
        if cond is None:
            return iter(self)
        view = self._log.check_readable()
        run = run_asked_for(cond)
        documents = view.of_run(self.name, run) if run is not None else view.documents(view.numbers(self.name))
        return filter(cond, documents)

    def get(  # type: ignore[override]  # TinyDB overloads it by which arguments are given; this takes the same
        self, cond: QueryLike | None = None, doc_id: int | None = None, doc_ids: list[int] | None = None
    ) -> Document | list[Document] | None:
        """The document with a number, those with several, or the first that matches; None if there is none."""
        view = self._log.check_readable()
        if doc_id is not None:
            return view.get(self.name, doc_id)
        if doc_ids is not None:
            found = (view.get(self.name, number) for number in sorted(set(doc_ids)))
            return [document for document in found if document is not None]
        if cond is not None:
            return next(self.each(cond), None)
        raise RuntimeError("You have to pass either cond or doc_id or doc_ids")

    def __len__(self) -> int:
        return self._log.check_readable().count(self.name)

    def __iter__(self) -> Iterator[Document]:
        view = self._log.check_readable()
        return view.documents(view.numbers(self.name))

    def _read_table(self) -> dict[str, Mapping[str, Any]]:
        return {str(document.doc_id): document for document in self}

    def _update_table(self, updater: Callable[[dict[int, Mapping[str, Any]]], None]) -> NoReturn:  # noqa: ARG002 - TinyDB's own call
        _refuse("changing of what is written")

    def update(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse. Raises AppendOnlyError."""
        _refuse("update")

    def update_multiple(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse. Raises AppendOnlyError."""
        _refuse("update_multiple")

    def upsert(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse. Raises AppendOnlyError."""
        _refuse("upsert")

    def remove(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse. Raises AppendOnlyError."""
        _refuse("remove")

    def truncate(self) -> NoReturn:
        """Refuse. Raises AppendOnlyError."""
        _refuse("truncate")


class JournalDB(TinyDB):
    """A journal as a TinyDB. `Journal.db` and `JournalReader.db` are ones; `JournalDB(directory)` only reads.

    The default table is `events`. A document's key `run`, if it is a string, says which run it is of.
    """

    table_class = JournalTable
    default_table_name = EVENTS
    default_storage_class = JournalStorage  # type: ignore[assignment]  # TinyDB forgot to widen it to type[Storage]

    def tables(self) -> set[str]:
        """Names of the tables that have documents."""
        return set(cast(JournalStorage, self.storage).log.check_readable().tables())

    def drop_table(self, name: str) -> NoReturn:
        """Refuse. Raises AppendOnlyError."""
        _refuse(f"drop_table({name!r})")

    def drop_tables(self) -> NoReturn:
        """Refuse. Raises AppendOnlyError."""
        _refuse("drop_tables")
