"""What the journal and the machine cost: flowledger beside a bare aiohttp script, same calls, same canned server.

Both provision the same spec 1, 100 and 1,000 times at once, in turn and in one run, with branches at the same time; the
bare script keeps nothing and looks nothing up. Prints medians and ratios; asserts no time.

    python benchmarks/overhead.py [--runs 1,100,1000] [--repeats 5]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp

from flowledger.engine.api import apply
from flowledger.engine.fleet import apply_many
from flowledger.engine.specfile import load_spec
from flowledger.engine.table import TABLES
from flowledger.journal import Journal
from flowledger.steps.client.clock import SystemClock
from flowledger.steps.client.config import platform_from_env
from flowledger.steps.client.platform import Platform
from flowledger.steps.client.port import Answer, Host, Port, Request
from flowledger.steps.spec import Spec

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.canned import canned_server

EXAMPLE = Path(__file__).parents[1] / "examples" / "paypal-products.yaml"
TABLE = TABLES["tutorial"]  # the example's style
STEPS = len(TABLE.rows)


def environment(url: str) -> dict[str, str]:
    """The environment in which flowledger talks to the canned server."""
    return {
        **os.environ,
        "FLOWLEDGER_BASE_URL": url,
        "FLOWLEDGER_IMS_URL": url,
        "FLOWLEDGER_CLIENT_ID": "local-client",
        "FLOWLEDGER_CLIENT_SECRET": "local-secret",
        "FLOWLEDGER_ORG_ID": "LOCAL@AdobeOrg",
        "FLOWLEDGER_SANDBOX": "prod",
    }


class Recorder:
    """A port that keeps what went through it, so that the bare script can send the very same."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.sent: list[Request] = []

    async def send(self, request: Request) -> Answer:
        if request.host is Host.PLATFORM:
            self.sent.append(request)
        return await self.port.send(request)

    async def close(self) -> None:
        await self.port.close()


async def recorded(spec: Spec, url: str, folder: Path) -> dict[str, list[Request]]:
    """The calls of one run, by step, as its journal and its port have them."""
    platform = platform_from_env(environment(url), clock=SystemClock())
    recorder = Recorder(platform._port)
    platform._port = recorder
    by_step: dict[str, list[Request]] = {row.step.name: [] for row in TABLE.rows}
    journal = await asyncio.to_thread(Journal.open, folder)
    await apply(spec, journal=journal, platform=platform)
    unclaimed = list(recorder.sent)
    for doc in journal.events(spec.name):
        call = doc.get("call")
        if call is None:
            continue
        request = next(one for one in unclaimed if (one.method, one.path) == (call["method"], call["path"]))
        unclaimed.remove(request)
        by_step[doc["step"]].append(request)
    journal.close()
    await platform.close()
    return by_step


async def bare(url: str, calls: dict[str, list[Request]], runs: int) -> None:
    """The same calls by a script that keeps nothing: one session, one token, branches at the same time."""
    prepared = {
        step: [
            (one.method, url + one.path, list(one.query), dict(one.headers), json.dumps(one.body).encode()
             if one.body is not None else None)
            for one in requests
        ]
        for step, requests in calls.items()
    }  # fmt: skip
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/ims/token/v3", data={"grant_type": "client_credentials"}) as response:
            token = (await response.json())["access_token"]

        async def one_run() -> None:
            done = {row.step.name: asyncio.Event() for row in TABLE.rows}

            async def lane(branch: str) -> None:
                for row in TABLE.rows_of(branch):
                    for need in row.needs:
                        await done[need].wait()
                    for method, target, query, headers, body in prepared[row.step.name]:
                        headers = {**headers, "Authorization": f"Bearer {token}"}
                        async with session.request(
                            method, target, params=query, headers=headers, data=body
                        ) as response:
                            json.loads(await response.read())
                    done[row.step.name].set()

            await asyncio.gather(*(lane(branch) for branch in TABLE.branches))

        await asyncio.gather(*(one_run() for _ in range(runs)))


async def ours(url: str, spec: Spec, folder: Path, runs: int) -> None:
    """The same by flowledger: one journal, one platform, `runs` runs in one loop, so many at a time as it sees fit.

    Nothing is shared, so that both sides make the same calls. What is loaded is frozen first, as the command line does.
    """
    gc.freeze()
    platform: Platform = platform_from_env(environment(url), clock=SystemClock())
    journal = await asyncio.to_thread(Journal.open, folder)
    specs = [spec.model_copy(update={"name": f"run-{number:06d}"}) for number in range(runs)]
    try:
        report = await apply_many(specs, journal=journal, platform=platform, share=False)
        assert report.exit_code == 0, report.summary()
    finally:
        gc.unfreeze()
        journal.close()
        await platform.close()


@dataclass(frozen=True, slots=True)
class Measure:
    """One measurement: seconds of wall time and of CPU time (all threads)."""

    wall: float
    cpu: float


def measured(work: Callable[[], Coroutine[None, None, None]]) -> Measure:
    """Run a coroutine function once in a loop of its own."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    asyncio.run(work())
    return Measure(time.perf_counter() - wall, time.process_time() - cpu)


def sync_time(folder: Path, tries: int = 200) -> float:
    """Median seconds of one small append + fdatasync on the journal's disk."""
    path = folder / "sync"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(tries):
            began = time.perf_counter()
            file.write(b"x" * 600)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    path.unlink()
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default="1,100,1000", help="how many runs at once, comma-separated")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each, taken in turn")
    parser.add_argument("--folder", type=Path, default=Path(), help="where the journals go: the disk to measure on")
    options = parser.parse_args()
    spec = load_spec(EXAMPLE).spec
    base = Path(tempfile.mkdtemp(prefix="overhead-", dir=options.folder))
    try:
        with canned_server() as url:
            calls = asyncio.run(recorded(spec, url, base / "recorded"))
            total = sum(len(requests) for requests in calls.values())
            print(f"flowledger: {STEPS} steps and {total} calls a run, {options.repeats} repeats")
            header = ("runs", "bare steps/s", "ours steps/s", "ours/bare", "overhead ms/step", "fdatasync ms",
                      "CPU ms/step", "bare CPU")  # fmt: skip
            print("  ".join(f"{name:>16}" for name in header))
            for runs in (int(text) for text in options.runs.split(",")):
                syncs, bares, mine = [], [], []
                for repeat in range(options.repeats):
                    syncs.append(sync_time(base))
                    bares.append(measured(partial(bare, url, calls, runs)))
                    folder = base / f"journal-{runs}-{repeat}"
                    mine.append(measured(partial(ours, url, spec, folder, runs)))
                    shutil.rmtree(folder)
                steps = STEPS * runs
                bare_wall, our_wall = (statistics.median(one.wall for one in side) for side in (bares, mine))
                bare_cpu, our_cpu = (statistics.median(one.cpu for one in side) for side in (bares, mine))
                row = (
                    f"{runs}", f"{steps / bare_wall:.0f}", f"{steps / our_wall:.0f}", f"{bare_wall / our_wall:.2f}",
                    f"{(our_wall - bare_wall) / steps * 1000:.2f}", f"{statistics.median(syncs) * 1000:.2f}",
                    f"{our_cpu / steps * 1000:.2f}", f"{bare_cpu / steps * 1000:.2f}",
                )  # fmt: skip
                print("  ".join(f"{cell:>16}" for cell in row), flush=True)
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
