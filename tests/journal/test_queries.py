"""Any query answers as stock TinyDB does, with and without the index of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tinydb import Query, TinyDB, where
from tinydb.storages import MemoryStorage

from flowledger.journal import InlineCommitter, Journal, SimulatedFileSystem

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from(["", "a", "b", "é☃", '"\\\n', "\x00", "𝒳"]),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.lists(st.integers(0, 2), max_size=2),
    st.dictionaries(st.sampled_from("kl"), st.integers(0, 2), max_size=2),
)
documents = st.dictionaries(st.sampled_from(["run", "n", "run.x", "é"]), values, max_size=4)


def _leaf(key: str, value: Any, kind: int) -> Any:
    field = where(key)
    return [field == value, field != value, field.exists(), field.one_of([value]), Query().noop() & (field == value)][
        kind
    ]


leaves = st.builds(_leaf, st.sampled_from(["run", "n", "run.x"]), values, st.integers(0, 4))
queries = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | b, inner, inner),
        st.builds(lambda a: ~a, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(documents, max_size=12), st.lists(queries, min_size=1, max_size=4))
def test_every_query_answers_as_stock_tinydb_does(docs: list[dict[str, Any]], asked: list[Any]) -> None:
    stock = TinyDB(storage=MemoryStorage)
    stock.insert_multiple(docs)
    journal = Journal.open(Path("/j"), fs=SimulatedFileSystem(), committer=InlineCommitter())
    numbers = journal.db.insert_multiple(docs)

    assert numbers == [doc.doc_id for doc in stock]
    assert journal.db.all() == stock.all()
    for query in asked:
        ours, theirs = journal.db.search(query), stock.search(query)
        assert ours == theirs
        assert [doc.doc_id for doc in ours] == [doc.doc_id for doc in theirs]
        assert journal.db.count(query) == stock.count(query)
        assert journal.db.get(query) == stock.get(query)
        assert journal.db.contains(query) == stock.contains(query)
