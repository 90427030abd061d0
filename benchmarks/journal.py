"""A durable append against a raw append + fdatasync and against stock TinyDB; resume, status and verify of a million.

    python benchmarks/journal.py [--dir DIR] [--appends N] [--most EVENTS] [--profile]
    python benchmarks/journal.py --whole [--dir DIR] [--events N]

The second form measures what reads a journal: resume of one run and its status (open, recover, read its events) in a
journal of N events (a million), and verify against `json.loads` of every line of the same bytes, at N, and at a hundred
thousand if N is more. Such a journal is filled with the real encoder and writer, without syncs.

All contenders are measured in turn, append by append and in changing order, so that the disk's moods meet them alike.
Medians; the ratios are to the raw append of the same row. Stock TinyDB rewrites its file at each insert, so at 10⁴ and
10⁵ only a handful of its inserts on a file that was filled beforehand is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tinydb import TinyDB

from flowledger.journal import InlineCommitter, Journal, JournalReader, OsFileSystem, verify
from flowledger.journal.filesystem import Access, OsFile

FLEET = 100  # runs that append at the same time
JSON_LINES = 100_000  # that are decoded; the rest of a larger journal is taken to be like them


def event(n: int) -> dict[str, Any]:
    """An event of about the size of an outcome: 700 bytes."""
    request_id = f"req-{n:08x}{'4f' * 12}"
    return {
        "kind": "outcome_recorded/1",
        "at": 1_600_000_000.5 + n,
        "mono": 1234.5 + n,
        "step": "create_source_connection",
        "attempt": 1,
        "outcome": "done",
        "answer": {
            "reach": "answered",
            "status": 201,
            "headers": {"content-type": "application/json", "x-request-id": request_id, "etag": '"0500abcd"'},
            "body": {"id": f"{n:08d}-1111-4222-8333-444455556666", "etag": '"0500abcd-0000-0200-0000-5e7bb8210000"'},
            "duration_ms": 187.25,
        },
        "outputs": {"id": f"{n:08d}-1111-4222-8333-444455556666", "note": "x" * 120},
        "code": "",
        "text": "",
        "request_id": request_id,
    }


class Raw:
    """The floor: the same bytes, one write, one fdatasync."""

    def __init__(self, place: Path, events: int) -> None:
        self.fd = os.open(place / "raw", os.O_RDWR | os.O_CREAT, 0o600)
        self.line = json.dumps({"run": "run-000001", "doc": event(0)}, separators=(",", ":")).encode() + b"\n"
        # As long as a record of the journal, of which head and checksum are a part.
        self.line = self.line[:-1] + b" " * 70 + b"\n"
        self.at = 0
        block = self.line * 1000
        for _ in range(events // 1000):
            self.at += os.pwrite(self.fd, block, self.at)
        for _ in range(events % 1000):
            self.at += os.pwrite(self.fd, self.line, self.at)
        os.fdatasync(self.fd)

    def append(self) -> None:
        self.at += os.pwrite(self.fd, self.line, self.at)
        os.fdatasync(self.fd)

    def close(self) -> None:
        os.close(self.fd)


def fill(journal: Journal, events: int) -> None:
    """Events of many runs, a thousand to a sync."""
    for start in range(0, events, 1000):
        journal.db.insert_multiple(
            [{"run": f"run-{n % 1000:06d}", **event(n)} for n in range(start, min(start + 1000, events))]
        )


def timed(append: Callable[[], object], times: int) -> list[float]:
    """Seconds of each call."""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        append()
        taken.append(time.perf_counter() - begin)
    return taken


async def in_turn(appends: Mapping[str, Callable[[], Any]], times: int) -> dict[str, list[float]]:
    """Seconds of each call (awaited if it is to be), one contender after another, each time in another order."""
    taken: dict[str, list[float]] = {name: [] for name in appends}
    order = list(appends)
    chance = random.Random(1)
    for _ in range(times):
        chance.shuffle(order)
        for name in order:
            begin = time.perf_counter()
            result = appends[name]()
            if asyncio.iscoroutine(result):
                await result
            taken[name].append(time.perf_counter() - begin)
    return taken


async def fleet(journal: Journal, doc: dict[str, Any]) -> float:
    """Seconds per append when many runs append at the same time."""
    begin = time.perf_counter()
    await asyncio.gather(*(journal.append(f"run-{n:06d}", doc) for n in range(FLEET)))
    return (time.perf_counter() - begin) / FLEET


def stock(place: Path, events: int) -> TinyDB:
    """Stock TinyDB on a file that has so many documents, synced as it does by itself at each insert."""
    table = {str(n + 1): {"run": f"run-{n % 1000:06d}", **event(n)} for n in range(events)}
    (place / "stock.json").write_text(json.dumps({"_default": table}))
    return TinyDB(place / "stock.json")


def measure(place: Path, events: int, appended: int) -> dict[str, float]:
    """Medians in seconds, at one size."""
    raw = Raw(place, events)
    by_thread = Journal.open(place / "thread")
    inline = Journal.open(place / "inline", committer=InlineCommitter())
    fill(by_thread, events)
    fill(inline, events)
    doc = event(events)
    in_run = {"run": "run-000001", **doc}
    loop = asyncio.new_event_loop()
    appends: dict[str, Callable[[], Any]] = {
        "raw": raw.append,
        "insert": lambda: by_thread.db.insert(in_run),
        "append": lambda: by_thread.append("run-000001", doc),
        "inline": lambda: inline.append("run-000001", doc),
    }
    taken = loop.run_until_complete(in_turn(appends, appended))
    taken["fleet"] = [loop.run_until_complete(fleet(by_thread, doc)) for _ in range(10)]
    loop.close()
    by_thread.close()
    inline.close()
    begin = time.perf_counter()
    Journal.open(place / "thread").close()
    taken["open"] = [time.perf_counter() - begin]
    database = stock(place, events)
    taken["tinydb"] = timed(lambda: database.insert(in_run), 25 if events <= 1000 else 3)
    database.close()
    raw.close()
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


class Unsynced(OsFileSystem):
    """A file system that syncs nothing, to fill a journal quickly."""

    def open(self, path: Path, access: Access) -> OsFile:
        file = super().open(path, access)
        fd, file._fd = file._fd, -1
        return UnsyncedFile(fd)

    def sync_directory(self, path: Path) -> None:
        """Nothing."""


class UnsyncedFile(OsFile):
    """A file of it."""

    def sync(self) -> None:
        """Nothing."""


def whole(place: Path, events: int, runs: int) -> dict[str, float]:
    """Medians in seconds of what reads a journal of so many events of so many runs, which take turns."""
    with Journal.open(place / "whole", fs=Unsynced(), committer=InlineCommitter()) as journal:
        for start in range(0, events, 1000):
            journal.db.insert_multiple(
                [{"run": f"run-{n % runs:06d}", **event(n)} for n in range(start, min(start + 1000, events))]
            )
    os.sync()
    asked = f"run-{runs // 2:06d}"

    def resume() -> None:
        with Journal.open(place / "whole") as journal:
            begun.append(time.perf_counter())
            assert len(journal.events(asked)) == events // runs
            begun.append(time.perf_counter())

    def status() -> None:
        with JournalReader.open(place / "whole") as reader:
            assert len(reader.events(asked)) == events // runs

    lines = [
        line for path in sorted((place / "whole").glob("segment-*.jsonl")) for line in path.read_bytes().splitlines()
    ][:JSON_LINES]

    def decode() -> None:
        for line in lines:
            json.loads(line)

    def check() -> None:
        assert verify(place / "whole").sound

    taken: dict[str, list[float]] = {name: [] for name in ("resume", "status", "verify", "json")}
    for _ in range(7):
        begun: list[float] = []
        begin = time.perf_counter()
        resume()
        taken["resume"].append(begun[1] - begin)  # up to its events being there; closing is not resuming
        taken["status"] += timed(status, 1)
        taken["verify"] += timed(check, 1)
        taken["json"].append(timed(decode, 1)[0] * (events / len(lines)))
    found = {name: statistics.median(seconds) for name, seconds in taken.items()}
    found["deep"] = timed(lambda: verify(place / "whole", deep=True), 1)[0]
    found["bytes"] = sum(path.stat().st_size for path in (place / "whole").glob("segment-*.jsonl"))
    return found


def measure_whole(place: Path, most: int) -> None:
    """Print the table of what reads a journal."""
    print("median ms; the ratio is to json.loads of each line of the same bytes, measured in turn")
    names = f"{'resume':>8} {'status':>8} {'verify':>16} {'verify --deep':>14} {'json':>8}"
    print(f"{'events':>9} {'runs':>7} {'MB':>6} {names}")
    sizes = [(most, 1000)] if most <= 100_000 else [(100_000, 1000), (most, 1000), (most, most // 40)]
    for number, (events, runs) in enumerate(sizes):
        (place / str(number)).mkdir()
        found = whole(place / str(number), events, runs)
        print(
            f"{events:>9} {runs:>7} {found['bytes'] / 1e6:>6,.0f} {found['resume'] * 1e3:>8,.0f} "
            f"{found['status'] * 1e3:>8,.0f} {found['verify'] * 1e3:>8,.0f} ({found['verify'] / found['json']:.3f}) "
            f"{found['deep'] * 1e3:>14,.0f} {found['json'] * 1e3:>8,.0f}"
        )
        shutil.rmtree(place / str(number))
    print(
        "resume: take the lock, recover, read one run's events. status: the same without a lock. Targets: resume in a"
    )
    print("million events at most 200 ms; verify of a hundred thousand at most 0.10 of json.loads.")


def profile(place: Path) -> None:
    """Where the time of an insert goes."""
    with Journal.open(place / "profiled") as journal:
        fill(journal, 10_000)
        doc = {"run": "run-000001", **event(1)}
        profiler = cProfile.Profile()
        profiler.enable()
        for _ in range(2000):
            journal.db.insert(doc)
        profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(14)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, help="where to write (a fresh directory within); default: the present one")
    parser.add_argument("--appends", type=int, default=500, help="appends of each contender that are timed")
    parser.add_argument("--most", type=int, default=100_000, help="the largest number of events")
    parser.add_argument("--whole", action="store_true", help="measure resume, status and verify instead")
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the journal for --whole")
    parser.add_argument("--profile", action="store_true", help="profile inserts instead")
    asked = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="bench-journal-", dir=asked.dir or Path.cwd()))
    try:
        if asked.profile:
            profile(place)
            return
        if asked.whole:
            measure_whole(place, asked.events)
            return
        columns = ("raw", "insert", "append", "inline", "fleet", "tinydb")
        print("median µs an append (ratio to raw append + fdatasync of the same row)")
        print(f"{'events':>8} " + " ".join(f"{name:>18}" for name in columns) + f" {'open, ms':>10}")
        events = 100
        while events <= asked.most:
            (place / str(events)).mkdir()
            found = measure(place / str(events), events, asked.appends)
            cells = (f"{found[name] * 1e6:,.0f} ({found[name] / found['raw']:,.2f})" for name in columns)
            print(f"{events:>8} " + " ".join(f"{cell:>18}" for cell in cells) + f" {found['open'] * 1e3:>10,.0f}")
            shutil.rmtree(place / str(events))
            events *= 10
        print(
            f"raw: the same bytes, one write, one fdatasync. insert: journal.db.insert. append: await journal.append, "
            f"one run.\ninline: the same without a thread. fleet: {FLEET} runs at once, per append. tinydb: stock, "
            "its own fsync. open: read it all."
        )
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
