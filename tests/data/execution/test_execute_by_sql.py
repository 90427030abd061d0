"""What lands equals, row by row, what plain SQL computes over the same files."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

QUARTER = 15 * 60
TABLE = "PayPal.Catalog_Products"
HEAD = ["Product_Id", "Product_Name", "Kind", "Create_Time"]
TEXTS = st.one_of(st.just(""), st.text(alphabet="abzÄé✓ ,\"'-", min_size=1, max_size=6).map(lambda text: f"t{text}x"))
ROWS = st.lists(st.tuples(TEXTS, TEXTS, st.integers(-QUARTER, 4 * QUARTER)), max_size=8)
SQL = """
SELECT {columns} FROM read_csv(?, header = true, all_varchar = true, delim = ',', quote = '"', escape = '"')
WHERE CAST(Create_Time AS TIMESTAMP) < CAST(? AS TIMESTAMP)
AND (? IS NULL OR CAST(Create_Time AS TIMESTAMP) >= CAST(? AS TIMESTAMP))
"""
MAPPINGS = {  # Data Prep's expression -> destination, and the same in SQL
    "Product_Name": ("person.name.firstName", "Product_Name"),
    "upper(Product_Name)": ("person.name.lastName", "upper(Product_Name)"),
    'coalesce(Kind, "none")': ("person.name.middleName", "coalesce(Kind, 'none')"),
    'iif(Kind == "tax", "odd", "even")': (
        "personalEmail.address",
        "if(Kind IS NOT DISTINCT FROM 'tax', 'odd', 'even')",
    ),
    'concat(Product_Id, "/", Product_Name)': ("mobilePhone.number", "concat(Product_Id, '/', Product_Name)"),
}


def value_at(row: dict[str, Any], path: str) -> Any:
    """What a row holds at a dotted path."""
    found: Any = row
    for name in path.split("."):
        found = None if found is None else found[name]
    return found


CHOSEN = st.sets(st.sampled_from(sorted(MAPPINGS)), min_size=1)
STAGES = st.lists(ROWS, min_size=1, max_size=3)
SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=8, deadline=None, suppress_health_check=SLOW, derandomize=True)
@given(chosen=CHOSEN, stages=STAGES)
def test_what_lands_is_what_sql_computes(
    ingestion_class: Any, hand_clock: Any, moment_of: Any, chosen: set[str], stages: Any
) -> None:
    landed, expected = both_ways(ingestion_class, hand_clock, moment_of, chosen, stages)
    assert landed == expected


@pytest.mark.long
@settings(max_examples=120, deadline=None, suppress_health_check=SLOW, derandomize=True)
@given(chosen=CHOSEN, stages=STAGES)
def test_what_lands_is_what_sql_computes_many_times_over(
    ingestion_class: Any, hand_clock: Any, moment_of: Any, chosen: set[str], stages: Any
) -> None:
    landed, expected = both_ways(ingestion_class, hand_clock, moment_of, chosen, stages)
    assert landed == expected


def both_ways(
    ingestion_class: Any, hand_clock: Any, moment_of: Any, chosen: set[str], stages: Any
) -> tuple[list[list[Any]], list[list[Any]]]:
    """The rows of each batch as the emulator lands them, and as SQL has them."""
    wanted = [(source, *MAPPINGS[source]) for source in sorted(chosen)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "sources"
        folder.mkdir()
        path = folder / f"{TABLE}.csv"
        append(path, [HEAD, ["r0", "tFirst", "tKind", moment_of(0)]])
        ingestion = ingestion_class(folder, Path(place) / "state", hand_clock())
        ingestion.provision(("Product_Id", "_id"), *((source, path) for source, path, _ in wanted))
        ingestion.flow()
        expected: list[list[Any]] = []
        low: str | None = None
        for number, rows in enumerate(stages, start=1):
            append(path, [[f"r{number}.{at}", name, kind, moment_of(s)] for at, (name, kind, s) in enumerate(rows)])
            high = moment_of(number * QUARTER)
            statement = SQL.format(columns=", ".join(["Product_Id", *(sql for _, _, sql in wanted)]))
            found = duckdb.execute(statement, [str(path), high, low, low]).fetchall()
            expected += [sorted(found)] if found else []
            ingestion.at(number * QUARTER)
            low = high
        landed = [
            sorted((row["_id"], *(value_at(row, path) for _, path, _ in wanted)) for row in rows)
            for rows in ingestion.rows_of_batches()
        ]
        ingestion.emulator.close()
    return landed, expected


def append(path: Path, rows: list[list[str]]) -> None:
    with path.open("a", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
