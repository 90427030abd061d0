"""How fast rows land: CSV read, mapped, checked and written as Parquet, beside DuckDB's COPY of the same file.

Both read 12 columns and write 8 fields, 3 of them computed, some nested, in turn and in one run; DuckDB checks nothing.
Prints medians, the ratio, where the time goes, and the peak memory of a process of its own. Asserts no time.

    python benchmarks/data_plane.py [--rows 1000000] [--repeats 5] [--memory 10000000]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Final

import duckdb

from flowledger.emulator.data.columns import Mapper
from flowledger.emulator.data.landing import Lake
from flowledger.emulator.data.tables import Batch, SourceFolder

TABLE: Final = "PayPal.Payments"
COLUMNS: Final = "id,name,email,amount,currency,status,quantity,created,updated,country,refunded,note"
TEXT: Final = {"type": "string"}
TARGET: Final = {
    "properties": {
        "_id": TEXT,
        "email": TEXT,
        "country": {"type": "string", "pattern": "^[A-Z]{2}$"},
        "payment": {
            "type": "object",
            "properties": {
                "amount": {"type": "number", "minimum": 0},
                "quantity": {"type": "integer", "minimum": 0, "maximum": 1000},
                "created": {"type": "string", "format": "date-time"},
                "label": TEXT,
                "size": {"type": "string", "enum": ["large", "small"]},
            },
        },
    },
    "required": ["_id"],
}
MAPPINGS: Final = [
    {"sourceType": kind, "source": source, "destination": destination}
    for kind, source, destination in (
        ("ATTRIBUTE", "id", "_id"),
        ("ATTRIBUTE", "country", "country"),
        ("ATTRIBUTE", "amount", "payment.amount"),
        ("ATTRIBUTE", "quantity", "payment.quantity"),
        ("ATTRIBUTE", "created", "payment.created"),
        ("EXPRESSION", "lower(email)", "email"),
        ("EXPRESSION", 'concat(name, " ", currency)', "payment.label"),
        ("EXPRESSION", 'iif(amount > 500, "large", "small")', "payment.size"),
    )
]
COPY: Final = """
COPY (
    SELECT id AS _id, country, lower(email) AS email,
           {{'amount': amount, 'quantity': quantity, 'created': created, 'label': concat(name, ' ', currency),
             'size': CASE WHEN amount > 500 THEN 'large' ELSE 'small' END}} AS payment
    FROM read_csv('{source}')
) TO '{target}' (FORMAT parquet)
"""


def write_source(path: Path, rows: int) -> None:
    """A CSV of payments, its values drawn from a seed."""
    random = Random(1)
    with path.open("w") as file:
        file.write(COLUMNS + "\n")
        for n in range(rows):
            currency = ("USD", "EUR", "JPY")[n % 3]
            day = n % 28 + 1
            file.write(
                f"TX{n:010d},Name {n % 997},User{n % 5000}@Example.com,{random.random() * 1000:.2f},{currency},"
                f"{('paid', 'open')[n % 2]},{n % 12 + 1},2024-01-{day:02d} 10:{n % 60:02d}:00,"
                f"2024-02-{day:02d}T00:00:00Z,{('FR', 'US')[n % 2]},{('true', 'false')[n % 2]},note {n % 100}\n"
            )


class Stages:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Count what is done inside."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - start


def ours(folder: Path, lake: Path, stages: Stages) -> int:
    """Collect the table as a run does; return how many rows landed."""
    mapper = Mapper(MAPPINGS, TARGET)
    writer = Lake(lake).open_batch("dataset", "batch")
    found = SourceFolder(folder).batches(TABLE, delta=None, start_ms=None, end_ms=None, named=mapper.reads)
    while True:
        with stages.of("read"):
            batch = next(found, None)
        if batch is None:
            break
        assert isinstance(batch, Batch)
        with stages.of("map and check"):
            mapped = mapper.map(batch)
        assert not mapped.rejected
        with stages.of("write"):
            writer.write(mapped.table)
    with stages.of("write"):
        return writer.finish().rows


def peak_mb(folder: Path, lake: Path) -> tuple[int, float]:
    """Rows and peak memory, in MB, of a process of its own that collects the table."""
    call = [sys.executable, __file__, "--collect", str(folder), str(lake)]
    rows, peak = subprocess.run(call, check=True, capture_output=True, text=True).stdout.split()
    return int(rows), float(peak)


def collect_once(folder: Path, lake: Path) -> None:
    """What that process does."""
    rows = ours(folder, lake, Stages())
    print(rows, own_peak_mb())


def own_peak_mb() -> float:
    """This process's peak. Linux counts its parent's into ru_maxrss, but not into VmHWM."""
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10


def measure(base: Path, rows: int, repeats: int) -> None:
    """Print rows per second of both, and where the time of ours goes."""
    write_source(base / f"{TABLE}.csv", rows)
    mine, theirs, stages = list[float](), list[float](), Stages()
    for _ in range(repeats):
        start = time.perf_counter()
        duckdb.sql(COPY.format(source=base / f"{TABLE}.csv", target=base / "theirs.parquet"))
        theirs.append(time.perf_counter() - start)
        start = time.perf_counter()
        assert ours(base, base, stages) == rows
        mine.append(time.perf_counter() - start)
    landed = base / "lake" / "dataset" / "batch" / "part-0.parquet"
    differing = duckdb.execute(
        f"SELECT count(*) FROM (SELECT _id, email, country, payment.label, payment.size, payment.amount FROM '{landed}'"
        f" EXCEPT SELECT _id, email, country, payment.label, payment.size, payment.amount FROM '{base}/theirs.parquet')"
    ).fetchall()[0][0]
    assert differing == 0, f"{differing} rows differ from DuckDB's"
    our, their = statistics.median(mine), statistics.median(theirs)
    size = (base / f"{TABLE}.csv").stat().st_size / 2**20
    print(f"{rows:,} rows x {len(COLUMNS.split(','))} columns, {size:.0f} MB of CSV, {repeats} repeats, medians")
    print(f"DuckDB COPY  {rows / their:12,.0f} rows/s  {their:7.2f} s")
    print(f"flowledger   {rows / our:12,.0f} rows/s  {our:7.2f} s   ratio {their / our:.2f}")
    for stage, seconds in stages.seconds.items():
        print(f"    {stage:<14} {seconds / repeats:7.2f} s a run")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each, taken in turn")
    parser.add_argument("--memory", type=int, default=10_000_000, help="rows of the larger memory measurement; 0: none")
    parser.add_argument("--folder", type=Path, default=Path(), help="where the files go: the disk to measure on")
    parser.add_argument("--collect", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.collect:
        collect_once(*options.collect)
        return
    with tempfile.TemporaryDirectory(prefix="data-plane-", dir=options.folder) as made:
        base = Path(made)
        measure(base, options.rows, options.repeats)
        for rows in (options.memory // 10, options.memory) if options.memory else ():
            write_source(base / f"{TABLE}.csv", rows)
            landed, peak = peak_mb(base, base)
            print(f"peak memory of {landed:,} rows: {peak:.0f} MB")


if __name__ == "__main__":
    main()
