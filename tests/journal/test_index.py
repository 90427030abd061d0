"""A stored index says the same as the one in memory, whatever runs and tables are called, and can be gone on from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flowledger.journal.index import Index, StoredIndex

odd = st.sampled_from(
    ["a", '"a', '{"a', ',"a', 'x,"a', 'a":[1,2],"b', "a\\", '\\"a', "", "é", "\x00", "[", "1,2", "ab"]
)
names = st.one_of(odd, st.text(st.characters(exclude_categories=["Cs"]), max_size=6))
records = st.lists(
    st.tuples(st.sampled_from(["events", "notes", "_close", "_pruned"]), st.one_of(st.none(), names)), max_size=40
)
GAPS = st.booleans()


def filled(index: Index, adding: list[tuple[str, str | None]]) -> Index:
    for table, run in adding:
        seq = index.next_seq + (2 if index.gaps else 0)
        index.add(index.end + 100 + len(table), f"{index.count:08x}", table, run, seq)
    return index


@given(records, records, GAPS, names)
def test_what_is_stored_is_what_is_in_memory(
    first: list[tuple[str, str | None]], later: list[tuple[str, str | None]], gaps: bool, other: str
) -> None:
    live = filled(Index(gaps=gaps), first)
    stored_bytes = live.stored("segment")
    assert stored_bytes is not None
    stored = StoredIndex(stored_bytes)

    assert (stored.segment, stored.bytes, stored.count, stored.prev) == ("segment", live.end, live.count, live.prev)
    assert set(stored.tables()) == set(live.tables())
    for table in ("events", "notes", "_pruned", "unknown"):
        assert stored.runs(table) == live.runs(table)
        assert stored.size(table) == live.size(table)
        assert stored.all_positions(table) == live.all_positions(table)
        for run in {other, *live.runs("events"), *live.runs("notes")}:
            assert list(stored.positions(table, run)) == list(live.positions(table, run))
    for position in range(live.count):
        assert stored.bounds_of(position) == live.bounds_of(position)
        assert stored.seq(position) == live.seq(position)
    for seq in range(-1, live.next_seq + 2):
        assert stored.position(seq) == live.position(seq)

    gone_on = filled(stored.live(synced=0, last_table="", digest=0), later)
    assert gone_on.stored("segment") == filled(live, later).stored("segment")  # byte for byte


def test_a_name_that_is_not_unicode_is_nobodys() -> None:
    """A command line gives bytes that are no UTF-8 as lone surrogates."""
    index = filled(Index(), [("events", "a")])
    assert StoredIndex(index.stored("segment") or b"").positions("events", "\udcff") == ()
    assert index.positions("events", "\udcff") == ()


def test_a_name_that_ends_like_another_with_a_quotation_mark_is_not_taken_for_it() -> None:
    index = filled(Index(), [("events", '"a'), ("events", '{"a'), ("events", ',"a'), ("events", "a")])
    stored_bytes = index.stored("segment")
    assert stored_bytes is not None
    stored = StoredIndex(stored_bytes)
    assert [list(stored.positions("events", run)) for run in ('"a', '{"a', ',"a', "a")] == [[0], [1], [2], [3]]
    assert StoredIndex(filled(Index(), [("events", '"a')]).stored("segment") or b"").positions("events", "a") == ()
