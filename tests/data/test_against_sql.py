"""What is read in windows and mapped by column equals the same in SQL, by DuckDB over the same file."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from flowledger.emulator.data.columns import Mapper
from flowledger.emulator.data.generate import FIRST, generate
from flowledger.emulator.data.tables import Batch, SourceFolder

TABLE: Final = "PayPal.Transactions"
TEXT: Final = {"type": "string"}
TARGET: Final = {
    "properties": {
        "_id": TEXT,
        "payment": {
            "type": "object",
            "properties": {
                "amount": {"type": "number"},
                "net": {"type": "number"},
                "label": TEXT,
                "size": TEXT,
                "at": {"type": "string", "format": "date-time"},
            },
        },
        "payer": {"type": "object", "properties": {"email": TEXT, "short": TEXT, "known": {"type": "boolean"}}},
        "invoice": TEXT,
    },
    "required": ["_id"],
}
#: destination, expression, the same in SQL
PAIRS: Final = [
    ("_id", "Transaction_Id", "Transaction_Id"),
    ("payment.amount", "Amount", "CAST(Amount AS DOUBLE)"),
    ("payment.net", "Amount - Fee * 1", "CAST(Amount AS DOUBLE) - CAST(Fee AS DOUBLE)"),
    ("payment.label", "concat(Currency, ' / ', Status)", "Currency || ' / ' || Status"),
    ("payment.size", "iif(Amount > 100, 'large', 'small')", "if(CAST(Amount AS DOUBLE) > 100, 'large', 'small')"),
    ("payment.at", "date(Create_Time)", "epoch_us(CAST(Create_Time AS TIMESTAMPTZ))"),
    ("payer.email", "upper(coalesce(Payer_Email, 'nobody'))", "upper(coalesce(Payer_Email, 'nobody'))"),
    ("payer.short", "substr(Payer_Email, 0, 3)", "substring(Payer_Email, 1, 3)"),
    ("payer.known", "!is_empty(Payer_Email)", "Payer_Email IS NOT NULL AND Payer_Email <> ''"),
    ("invoice", "replacestr(Invoice_Number, '0', 'o')", "replace(Invoice_Number, '0', 'o')"),
]  # fmt: skip


def flat(row: dict[str, Any]) -> tuple[Any, ...]:
    """A mapped row as SQL has it: leaves by destination, moments in microseconds."""
    found = []
    for destination, _, _ in PAIRS:
        value: Any = row
        for name in destination.split("."):
            value = value[name] if value is not None else None
        if isinstance(value, datetime):
            value = round((value - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
        found.append(value)
    return tuple(found)


def in_sql(path: Path, start_ms: int, end_ms: int) -> list[tuple[Any, ...]]:
    """The same rows, computed by SQL."""
    fields = ", ".join(sql for _, _, sql in PAIRS)
    moment = "epoch_us(CAST(Create_Time AS TIMESTAMPTZ))"
    source = f"read_csv('{path}', all_varchar = true, header = true)"
    query = f"SELECT {fields} FROM {source} WHERE {moment} >= {start_ms * 1000} AND {moment} < {end_ms * 1000}"
    return duckdb.execute(query).fetchall()


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 400),
    edges=st.lists(st.integers(-7200, 26_000), min_size=2, max_size=4, unique=True),
    size=st.integers(1, 200),
)
def test_windows_and_mappings_give_what_sql_gives(seed: int, rows: int, edges: list[int], size: int) -> None:
    begin_ms = int(FIRST.timestamp() * 1000)
    bounds = [begin_ms + edge * 1000 for edge in sorted(edges)]
    mappings = [{"source": text, "sourceType": "EXPRESSION", "destination": to} for to, text, _ in PAIRS]
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / f"{TABLE}.csv"
        generate(TABLE, path, rows=rows, seed=seed)
        sources, mapper = SourceFolder(Path(made)), Mapper(mappings, TARGET)
        for start_ms, end_ms in pairwise(bounds):
            ours: list[tuple[Any, ...]] = []
            for batch in sources.batches(TABLE, delta="Create_Time", start_ms=start_ms, end_ms=end_ms, rows=size):
                assert isinstance(batch, Batch)
                mapped = mapper.map(batch)
                assert mapped.rejected == []
                assert mapped.nulled == []
                ours += [flat(row) for row in mapped.table.to_pylist()]

            assert ours == in_sql(path, start_ms, end_ms)
