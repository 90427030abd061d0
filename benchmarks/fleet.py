"""Many runs against a server that allows so many requests a second: how much of that is used, and what a run costs.

Each measurement is one `apply_many` in a process of its own against a canned server in another, whose token bucket
lets R requests a second through, a tenth of a second's worth of them at once (two at least), and answers 429 to the
others. R is chosen such that each takes 20 to 40 seconds. Prints medians: the part of R that was used over all (from
the call of `apply_many` to its return: all that a user waits for) and in the steady state (without the first two
seconds and the last one), the part of the requests that was answered 429, and how much memory a run takes (growth of
the peak, over runs). Asserts nothing.

    python benchmarks/fleet.py [--runs 10:8,100:70,1000:500] [--repeats 3] [--parallel 50] [--burst 0.1]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowledger.engine.fleet import DEFAULT_PARALLEL, apply_many
from flowledger.engine.specfile import load_spec
from flowledger.journal import Journal
from flowledger.steps.client.clock import SystemClock
from flowledger.steps.client.config import platform_from_env
from flowledger.steps.spec import Spec

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.canned import canned_server
from benchmarks.overhead import EXAMPLE, environment

LEAST_BURST = 2.0  # requests: a bucket of one is full, and loses calls, whenever one comes a little late
WARM_UP = 20  # runs in another journal before anything is measured: what is loaded once is no run's memory
SKIPPED = 2.0  # seconds at the start that are not the steady state
TAIL = 1.0  # seconds at the end that are not: fewer and fewer runs are left


def specs(runs: int) -> list[Spec]:
    """The example, once for each run; patient, since the pace is the server's."""
    spec = load_spec(EXAMPLE).spec
    patient = {"retry": spec.retry.model_copy(update={"deadline": 3600.0})}
    return [spec.model_copy(update={"name": f"run-{number:06d}", **patient}) for number in range(runs)]


def peak() -> int:
    """The largest resident set so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def child(url: str, unlimited: str, folder: Path, runs: int, parallel: int) -> None:
    """Be the process that is measured, and print what was measured."""

    async def main() -> dict[str, Any]:
        for name, count, server in (("warm-up", WARM_UP, unlimited), ("journal", runs, url)):
            platform = platform_from_env(environment(server), clock=SystemClock())
            with await asyncio.to_thread(Journal.open, folder / name) as journal:
                gc.collect()
                gc.freeze()
                before, began, cpu = peak(), time.perf_counter(), time.process_time()
                report = await apply_many(specs(count), journal=journal, platform=platform, parallel=parallel)
                seconds, busy, after = time.perf_counter() - began, time.process_time() - cpu, peak()
            await platform.close()
            assert report.exit_code == 0, report.summary()
        counted = await asyncio.to_thread(taken, url)
        return {
            "seconds": seconds,
            "cpu": busy,
            "memory": (after - before) / runs,
            "throttled": report.throttled,
            "found": report.summary()["resources"]["found"],
            "counted": counted,
        }

    print(json.dumps(asyncio.run(main())))


def taken(url: str) -> list[list[int]]:
    """What the server has counted since the last time: tenth of a second, let through, refused."""
    with urllib.request.urlopen(f"{url}/_counted") as response:
        counted: list[list[int]] = json.load(response)
    return counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measurement."""

    used: float  # part of R, over all
    steady: float  # part of R in the steady state; nan if there was none
    refused: float  # part of the requests
    memory: float  # bytes a run
    seconds: float
    cpu: float
    requests: int


def measure(url: str, unlimited: str, rate: float, runs: int, parallel: int, folder: Path) -> Measure:
    """Begin with empty journals, drive all of them, and take the figures."""
    folder.mkdir()
    words = [sys.executable, __file__, "--child", url, unlimited, "--runs", str(runs), "--parallel", str(parallel)]
    done = subprocess.run([*words, "--folder", str(folder)], stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout)
    bins = told["counted"]
    through, refused = sum(one[1] for one in bins), sum(one[2] for one in bins)
    first, last = bins[0][0], bins[-1][0]
    within = [one for one in bins if first + SKIPPED * 10 <= one[0] < last - TAIL * 10]
    length = (last - first) / 10 - SKIPPED - TAIL
    return Measure(
        used=through / (rate * told["seconds"]),
        steady=sum(one[1] for one in within) / (rate * length) if length >= 1 else float("nan"),
        refused=refused / (through + refused),
        memory=told["memory"],
        seconds=told["seconds"],
        cpu=told["cpu"],
        requests=through + refused,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default="10:8,100:70,1000:500", help="runs:requests a second, comma-separated")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each")
    parser.add_argument("--parallel", type=int, default=DEFAULT_PARALLEL, help="runs at a time")
    parser.add_argument("--burst", type=float, default=0.1, help="seconds' worth of requests that may come at once")
    parser.add_argument("--retry-after", action="store_true", help="the 429s say Retry-After: 1")
    parser.add_argument("--folder", type=Path, default=Path(), help="where journals go: the disk to measure on")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        url, unlimited = options.child
        child(url, unlimited, options.folder, int(options.runs), options.parallel)
        return
    base = Path(tempfile.mkdtemp(prefix="fleet-", dir=options.folder)).resolve()
    header = ("runs", "R", "requests", "seconds", "of R, all", "of R, steady", "429", "KB a run", "CPU ms/req")
    print("  ".join(f"{name:>12}" for name in header))
    try:
        for pair in options.runs.split(","):
            runs, rate = (int(part) for part in pair.split(":"))
            burst = max(LEAST_BURST, rate * options.burst)
            limited = canned_server(rate, burst, retry_after=options.retry_after)
            with limited as url, canned_server() as unlimited:
                all_of = [
                    measure(url, unlimited, rate, runs, options.parallel, base / f"{runs}-{repeat}")
                    for repeat in range(options.repeats)
                ]
            row = (
                runs, rate, f"{statistics.median(one.requests for one in all_of):.0f}",
                f"{statistics.median(one.seconds for one in all_of):.2f}",
                f"{statistics.median(one.used for one in all_of):.1%}",
                f"{statistics.median(one.steady for one in all_of):.1%}",
                f"{statistics.median(one.refused for one in all_of):.2%}",
                f"{statistics.median(one.memory for one in all_of) / 1000:.1f}",
                f"{statistics.median(one.cpu / one.requests for one in all_of) * 1000:.2f}",
            )  # fmt: skip
            print("  ".join(f"{cell!s:>12}" for cell in row), flush=True)
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
