"""The TinyDB that people know works on a journal; what would change or remove an event is refused."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tinydb import Query, TinyDB, where
from tinydb.table import Document

from flowledger.errors import AppendOnlyError, JournalError, NotThere, UsageError
from flowledger.journal import Journal, JournalDB, JournalReader, JournalStorage
from flowledger.journal.database import run_asked_for
from flowledger.journal.segment import Line, Segment


def test_inserted_documents_are_found_in_every_way_tinydb_offers(journal: Journal) -> None:
    db = journal.db
    first = db.insert({"run": "orders", "kind": "started", "n": 1})
    rest = db.insert_multiple([{"run": "orders", "kind": "step", "n": n} for n in (2, 3)] + [{"kind": "note"}])

    assert [first, *rest] == [1, 2, 3, 4]
    assert db.all() == list(db) == [{"run": "orders", "kind": "started", "n": 1}, *db.get(doc_ids=[2, 3, 4])]
    assert [doc.doc_id for doc in db.search(where("n") > 1)] == [2, 3]
    assert db.get(where("kind") == "step") == {"run": "orders", "kind": "step", "n": 2}
    assert db.get(doc_id=4) == {"kind": "note"}
    assert db.get(doc_id=0) is None
    assert db.get(doc_id=5) is None
    assert db.get(where("n") == 9) is None
    assert db.contains(where("n") == 3)
    assert db.contains(doc_id=1)
    assert not db.contains(doc_id=77)
    assert db.count(where("run") == "orders") == 3
    assert len(db) == 4
    assert db.search(lambda doc: doc.get("n") == 3) == [{"run": "orders", "kind": "step", "n": 3}]
    assert db.search(Query().n.test(lambda n: n == 1)) == [db.get(doc_id=1)]
    assert db.tables() == {"events"}
    assert "events=4" in repr(db)


def test_asking_for_nothing_is_refused_as_tinydb_does(journal: Journal) -> None:
    with pytest.raises(RuntimeError, match="cond or doc_id"):
        journal.db.get()


def test_another_table_is_kept_apart_and_survives(journal: Journal, directory: Path) -> None:
    journal.db.insert({"n": 1})
    notes = journal.db.table("notes")
    number = notes.insert({"run": "orders", "text": "checked by hand"})
    assert journal.db.get(doc_id=number) is None
    assert notes.get(doc_id=number) == {"run": "orders", "text": "checked by hand"}
    assert journal.runs() == []
    journal.close()

    with JournalReader.open(directory) as reader:
        assert reader.db.tables() == {"events", "notes"}
        assert reader.db.table("notes").search(where("run") == "orders") == [
            {"run": "orders", "text": "checked by hand"}
        ]


def test_the_journals_own_records_are_no_tables(journal: Journal) -> None:
    with pytest.raises(UsageError, match="underscore"):
        journal.db.table("_header")


@pytest.mark.parametrize(
    "change",
    [
        lambda db: db.update({"n": 2}),
        lambda db: db.update({"n": 2}, where("n") == 1),
        lambda db: db.update_multiple([({"n": 2}, where("n") == 1)]),
        lambda db: db.upsert({"n": 2}, where("n") == 1),
        lambda db: db.remove(doc_ids=[1]),
        lambda db: db.truncate(),
        lambda db: db.drop_table("events"),
        lambda db: db.drop_tables(),
        lambda db: db.storage.write({}),
        lambda db: db.table("events")._update_table(lambda table: table.clear()),
    ],
)
def test_what_would_change_an_event_is_refused(
    journal: Journal, segment: Path, change: Callable[[JournalDB], Any]
) -> None:
    journal.db.insert({"n": 1})
    before = segment.read_bytes()

    with pytest.raises(AppendOnlyError):
        change(journal.db)

    assert segment.read_bytes() == before
    assert journal.db.all() == [{"n": 1}]


def test_stock_tinydb_reads_a_journal_while_it_is_written(journal: Journal, directory: Path) -> None:
    journal.db.insert_multiple([{"run": "a", "n": 1}, {"run": "b", "n": 2}])
    stock = TinyDB(directory, storage=JournalStorage)

    assert stock.search(where("run") == "b") == [{"run": "b", "n": 2}]
    assert stock.get(doc_id=1) == {"run": "a", "n": 1}
    assert stock.table("events").all() == stock.all() == journal.db.all()
    journal.db.insert({"run": "b", "n": 3})
    assert len(stock) == 3
    with pytest.raises(AppendOnlyError):
        stock.insert({"n": 4})
    stock.close()


def test_a_database_over_a_directory_only_reads(journal: Journal, directory: Path) -> None:
    journal.db.insert({"n": 1})
    with JournalDB(directory) as db:
        assert db.all() == [{"n": 1}]
        with pytest.raises(AppendOnlyError, match="reading only"):
            db.insert({"n": 2})


def test_reading_where_there_is_no_journal_says_so_and_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotThere, match="no journal"):
        JournalReader.open(tmp_path / "nothing")
    with pytest.raises(NotThere):
        JournalReader.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_after_close_nothing_is_appended_or_read(journal: Journal) -> None:
    journal.db.insert({"n": 1})
    journal.close()
    journal.close()

    with pytest.raises(AppendOnlyError, match="closed"):
        journal.db.insert({"n": 2})
    with pytest.raises(AppendOnlyError, match="closed"):
        await journal.append("a", {})
    with pytest.raises(JournalError, match="closed"):
        journal.db.all()


def test_a_result_is_a_copy_that_cannot_change_the_journal(journal: Journal) -> None:
    mine: dict[str, Any] = {"list": [1]}
    journal.db.insert(mine)
    mine["list"].append(2)
    journal.db.all()[0]["list"].append(3)
    assert journal.db.all() == [{"list": [1]}]


def test_a_document_that_has_a_number_is_not_inserted_again(journal: Journal) -> None:
    journal.db.insert({"n": 1})
    with pytest.raises(UsageError, match="event 1 already"):
        journal.db.insert(journal.db.all()[0])
    with pytest.raises(UsageError):
        journal.db.insert(Document({"n": 2}, 99))


def test_a_refused_document_leaves_the_others_of_its_call_out_too(journal: Journal) -> None:
    with pytest.raises(UsageError):
        journal.db.insert_multiple([{"n": 1}, {"n": float("nan")}])
    assert journal.db.all() == []
    assert journal.db.insert_multiple([]) == []
    assert journal.db.insert({"n": 2}) == 1


async def test_a_document_of_another_run_is_refused(journal: Journal) -> None:
    with pytest.raises(UsageError, match="says run 'b'"):
        await journal.append("a", {"run": "b"})
    assert await journal.append("a", {"run": "a", "n": 1}) == 1
    assert journal.events("a") == [{"run": "a", "n": 1}]


def test_a_query_for_one_run_reads_that_run_only(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.db.insert_multiple([{"run": f"r{n % 10}", "n": n} for n in range(100)])
    read: list[int] = []
    original = Segment.line_at

    def line_at(segment: Segment, position: int) -> Line:
        read.append(position)
        return original(segment, position)

    monkeypatch.setattr(Segment, "line_at", line_at)

    assert len(journal.db.search((where("n") > 50) & (where("run") == "r3"))) == 5
    assert len(read) == 10


@pytest.mark.parametrize(
    ("query", "run"),
    [
        (where("run") == "a", "a"),
        ((where("n") == 1) & (where("run") == "a"), "a"),
        (((where("n") == 1) & (where("run") == "a")) & (where("m") == 1), "a"),
        ((where("run") == "a") | (where("n") == 1), None),
        (~(where("run") == "a"), None),
        (where("run") == 1, None),
        (where("run") != "a", None),
        (where("other") == "a", None),
        (where("run").one_of(["a"]), None),
        (Query().run.deeper == "a", None),
        ((where("run") == "a") & where("n").test(lambda n: bool(n)), "a"),
        (lambda doc: doc["run"] == "a", None),
    ],
)
def test_the_run_that_a_query_asks_for_is_recognised_or_everything_is_scanned(query: Any, run: str | None) -> None:
    found = run_asked_for(query)
    assert found == run or (found is None and not query.is_cacheable())


def test_a_dropped_journal_lets_go_of_its_lock(directory: Path) -> None:
    journal = Journal.open(directory)
    journal.db.insert({"n": 1})
    del journal
    gc.collect()

    with Journal.open(directory) as again:
        assert again.db.all() == [{"n": 1}]


async def test_a_journal_dropped_after_asynchronous_appends_lets_go_of_lock_and_thread(directory: Path) -> None:
    journal = Journal.open(directory)
    await journal.append("a", {"n": 1})
    del journal
    gc.collect()

    with Journal.open(directory) as again:
        assert again.events("a") == [{"run": "a", "n": 1}]


def test_a_run_is_driven_by_one_task_at_a_time(journal: Journal) -> None:
    with journal.claim("a"), pytest.raises(JournalError, match="already"), journal.claim("a"):
        pass
    with journal.claim("a"):
        pass
