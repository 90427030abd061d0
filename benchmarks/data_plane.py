"""How fast rows land: CSV read, mapped, checked and written as Parquet, beside DuckDB's COPY of the same file.

Both read 12 columns and write 8 fields, 3 of them computed, some nested, in turn and in one run; DuckDB checks nothing.
Prints medians, the ratio, where the time goes, and the peak memory of a process of its own. Then what a call costs an
emulator with many flows over such a table, beside one with ten. Asserts no time.

    python benchmarks/data_plane.py [--rows 1000000] [--repeats 5] [--memory 10000000] [--flows 1000]
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
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import duckdb

from flowledger.emulator.caller import CATALOG, CONVERSION, FLOW, REGISTRY, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.data.collect import Collected, Work, collect
from flowledger.emulator.data.columns import Mapper
from flowledger.emulator.data.landing import Lake
from flowledger.emulator.data.tables import Batch, SourceFolder

TABLE: Final = "PayPal.Payments"
COLUMNS: Final = "id,name,email,amount,currency,status,quantity,created,updated,country,refunded,note"
TEXT: Final = {"type": "string"}
TARGET: Final[dict[str, Any]] = {
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


def run_of(name: str, *, table: str, target: dict[str, Any], **more: Any) -> Work:
    """A flow's run over a table, its rows by `created`."""
    known: dict[str, Any] = {"run": name, "flow": "flow", "sandbox": "prod", "moment_ms": 0, "passes": None}
    known |= {"start_ms": None, "end_ms": None, "reach_ms": None, "delta": None, "data_set": "runs", "batch": name}
    known |= {"percent": 100, "diagnostics": True, "mappings": tuple(MAPPINGS), "table": table, "target": target}
    return Work(**{**known, **more})


def seconds_of(work: Work, sources: SourceFolder, lake: Path) -> tuple[float, Collected]:
    """How long a run takes that lands, or rejects, its rows; and what came of it."""
    start = time.perf_counter()
    done = collect(work, sources, Mapper, Lake(lake))
    return time.perf_counter() - start, done


def measure_rejected(base: Path, rows: int, repeats: int) -> None:
    """Print how much longer rows take that the schema does not take."""
    folder = base / "rejected"
    folder.mkdir()
    write_source(folder / f"{TABLE}.csv", rows)
    amount = {"type": "number", "maximum": -1}
    payment = {**TARGET["properties"]["payment"]}
    payment["properties"] = {**payment["properties"], "amount": amount}
    strict = {**TARGET, "properties": {**TARGET["properties"], "payment": payment}}
    seconds: dict[str, list[float]] = {"good": [], "rejected": []}
    for number in range(repeats):
        for name, target in (("good", TARGET), ("rejected", strict)):
            work = run_of(f"{name}-{number}", table=TABLE, target=target)
            took, done = seconds_of(work, SourceFolder(folder), base)
            assert done.failed_records == (rows if name == "rejected" else 0), done.failure
            seconds[name].append(took)
    good, rejected = (statistics.median(seconds[name]) for name in ("good", "rejected"))
    print(f"{rows:,} rejected rows: {rejected / good:.1f} times as long as good ones ({rejected:.2f} s, {good:.2f} s)")


def measure_windows(base: Path, rows: int, repeats: int) -> None:
    """Print how long a window without rows takes, and one with a row that was appended."""
    folder = base / "windows"
    folder.mkdir()
    path = folder / f"{TABLE}.csv"
    write_source(path, rows)
    sources = SourceFolder(folder)
    later = 1_800_000_000_000  # milliseconds, after every row
    window: dict[str, Any] = {"table": TABLE, "target": TARGET, "delta": "created"}
    whole, _ = seconds_of(run_of("first", **window, reach_ms=later), sources, base)
    empty, appended = list[float](), list[float]()
    for number in range(repeats):
        begin = later + number * 60_000
        since = {**window, "start_ms": begin, "reach_ms": begin + 60_000}
        took, done = seconds_of(run_of(f"empty-{number}", **since), sources, base)
        assert (done.input_records, done.failure) == (0, "")
        empty.append(took)
        moment = f"{datetime.fromtimestamp(begin / 1000, UTC):%Y-%m-%d %H:%M:%S}"
        with path.open("a") as file:
            file.write(f"TX-{number},New,New@Example.com,1.00,USD,open,1,{moment},{moment},FR,true,new\n")
        took, done = seconds_of(run_of(f"appended-{number}", **since), sources, base)
        assert done.output_records == 1, done
        appended.append(took)
    none, one = statistics.median(empty) * 1000, statistics.median(appended) * 1000
    print(
        f"a window of {rows:,} rows: {whole:.1f} s with all, {none:.1f} ms with none, {one:.1f} ms with one that is new"
    )


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


FEW: Final = 10  # flows
CALLS: Final = 200  # of each kind and emulator, in turn
PROFILE: Final = "https://ns.adobe.com/xdm/context/profile"
MEDIA_TYPE: Final = "application/vnd.adobe.xed-full+json;version=1"
SPECS: Final = {
    "base": {"id": "221c7626-58f6-4eec-8ee2-042b0226f03b", "version": "1.0"},
    "sink": {"id": "c604ff05-7f1a-43c0-8e18-33bf874cb11c", "version": "1.0"},
    "flow": {"id": "14518937-270c-4525-bdec-c2ba7cce3860", "version": "1.0"},
}


def with_flows(base: Path, flows: int) -> tuple[Emulator, Caller, dict[str, str]]:
    """An emulator over the table in `base` with so many flows of it, and the paths of calls to it."""
    emulator = Emulator(sources=base, state=base / f"state-{flows}")
    caller = Caller(emulator)

    def make(path: str, body: dict[str, Any], query: tuple[tuple[str, str], ...] = ()) -> str:
        reply = caller.send("POST", path, body, query=query)
        assert reply.status in (200, 201), reply.response
        made = reply.json
        return str(made[0]).rpartition("/")[2] if isinstance(made, list) else str(made.get("id") or made["$id"])

    schema = make(f"{REGISTRY}/tenant/schemas", {"title": "People", "type": "object", "allOf": [{"$ref": PROFILE}]})
    reference = {"id": schema, "contentType": MEDIA_TYPE}
    data_set = make(f"{CATALOG}/dataSets", {"name": "rows", "schemaRef": reference}, (("requestDataSource", "true"),))
    secrets = {"host": "api.sandbox.paypal.com", "clientId": "the-id", "clientSecret": "the-secret"}
    auth = {"specName": "Client-Id-Secret Based Authentication", "params": secrets}
    connection = make(f"{FLOW}/connections", {"name": "base", "connectionSpec": SPECS["base"], "auth": auth})
    table = {"data": {"format": "tabular"}, "params": {"tableName": TABLE}, "connectionSpec": SPECS["base"]}
    source = make(f"{FLOW}/sourceConnections", {"name": "source", "baseConnectionId": connection, **table})
    held = {"format": "parquet_xdm", "schema": {"id": schema, "version": MEDIA_TYPE}}
    sink = {"data": held, "params": {"dataSetId": data_set}, "connectionSpec": SPECS["sink"]}
    target = make(f"{FLOW}/targetConnections", {"name": "target", **sink})
    mapping = {"sourceType": "ATTRIBUTE", "source": "id", "destination": "_id"}
    mapped = {"outputSchema": {"schemaRef": reference}, "mappings": [mapping]}
    mapping_set = make(f"{CONVERSION}/mappingSets", mapped)
    transformations = [
        {"name": "Copy", "params": {"deltaColumn": {"name": "created"}}},
        {"name": "Mapping", "params": {"mappingId": mapping_set, "mappingVersion": 0}},
    ]
    flow: dict[str, Any] = {
        "flowSpec": SPECS["flow"],
        "sourceConnectionIds": [source],
        "targetConnectionIds": [target],
        "transformations": transformations,
        "scheduleParams": {"startTime": int(time.time()) + 86_400, "frequency": "minute", "interval": 15},
    }
    made = [make(f"{FLOW}/flows", {"name": f"flow {number}", **flow}) for number in range(flows)]
    paths = {"GET health": "/_emulator/health", "GET stats": f"{REGISTRY}/stats", "GET flow": f"{FLOW}/flows/{made[0]}"}
    return emulator, caller, paths


def measure_calls(base: Path, flows: int) -> None:
    """Print what a call costs with few flows and with many; both emulators are asked in turn."""
    emulators = [with_flows(base, count) for count in (FEW, flows)]
    for name in emulators[0][2]:
        took: list[list[float]] = [[], []]
        for _ in range(CALLS):
            for place, (_, caller, paths) in enumerate(emulators):
                start = time.perf_counter()
                status = caller.send("GET", paths[name]).status
                took[place].append(time.perf_counter() - start)
                assert status == 200, paths[name]
        few, many = (statistics.median(one) * 1000 for one in took)
        print(f"{name:<11} {FEW} flows {few:7.3f} ms, {flows} flows {many:7.3f} ms   ratio {many / few:.2f}")
    for emulator, _, _ in emulators:
        emulator.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each, taken in turn")
    parser.add_argument("--memory", type=int, default=10_000_000, help="rows of the larger memory measurement; 0: none")
    parser.add_argument("--flows", type=int, default=1000, help="of the larger emulator; 0: no calls are measured")
    parser.add_argument("--folder", type=Path, default=Path(), help="where the files go: the disk to measure on")
    parser.add_argument("--collect", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.collect:
        collect_once(*options.collect)
        return
    with tempfile.TemporaryDirectory(prefix="data-plane-", dir=options.folder) as made:
        base = Path(made)
        measure(base, options.rows, options.repeats)
        measure_rejected(base, min(options.rows, 60_000), options.repeats)
        measure_windows(base, options.rows, options.repeats)
        if options.flows:
            measure_calls(base, options.flows)
        for rows in (options.memory // 10, options.memory) if options.memory else ():
            write_source(base / f"{TABLE}.csv", rows)
            landed, peak = peak_mb(base, base)
            print(f"peak memory of {landed:,} rows: {peak:.0f} MB")


if __name__ == "__main__":
    main()
