"""What a crash costs: 1, 100 and 1,000 runs in one process, SIGKILLed when half of the effects are committed, resumed.

Beside flowledger a bare at-least-once script makes the same calls: it remembers what was answered in a JSON file a run,
and sends again what it has no answer for. Each talks to an emulator in a process of its own, over sockets. Prints a
table of duplicates, orphans, look-ups and times; asserts nothing.

    python benchmarks/crash.py [--runs 1,100,1000] [--settle 5]
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flowledger.emulator.control import COLLECTIONS
from flowledger.emulator.core import Emulator
from flowledger.engine.api import apply, read_ledgers
from flowledger.engine.sitting import draw_nonce
from flowledger.engine.specfile import load_spec
from flowledger.engine.table import table_of
from flowledger.journal import Journal, JournalReader
from flowledger.steps.client.clock import SystemClock
from flowledger.steps.client.config import platform_from_env
from flowledger.steps.client.judge import fault_of, title_holder
from flowledger.steps.client.platform import Platform
from flowledger.steps.client.port import Answer, Port, Request
from flowledger.steps.client.secrets import from_file
from flowledger.steps.spec import SecretRef, Spec
from flowledger.steps.step import Outputs, Settled, Step

EXAMPLE = Path(__file__).parents[1] / "examples" / "paypal-products.yaml"
EFFECTS = 11  # creates of one run


def specs(runs: int, settle: float) -> list[Spec]:
    """The example, once for each run. The emulator under load is slower than one alone: `settle` in seconds."""
    spec = load_spec(EXAMPLE).spec
    patient = {
        "settle": spec.settle.model_copy(update={"window": settle}),
        "retry": spec.retry.model_copy(update={"deadline": 3600.0}),
    }
    return [spec.model_copy(update={"name": f"run-{number:06d}", **patient}) for number in range(runs)]


# The children: each is told its folder and the platform's URL by arguments, and prints what it measured.


class FirstCall:
    """A port that notes when the first call goes out."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self.at: float | None = None

    async def send(self, request: Request) -> Answer:
        if self.at is None:
            self.at = time.perf_counter()
        return await self._port.send(request)

    async def close(self) -> None:
        await self._port.close()


def joined(url: str) -> tuple[Platform, FirstCall]:
    """The client of the emulator at `url`."""
    platform = platform_from_env(
        {
            "FLOWLEDGER_BASE_URL": url,
            "FLOWLEDGER_IMS_URL": url,
            "FLOWLEDGER_CLIENT_ID": "local-client",
            "FLOWLEDGER_CLIENT_SECRET": "local-secret",
            "FLOWLEDGER_ORG_ID": "LOCAL@AdobeOrg",
            "FLOWLEDGER_SANDBOX": "prod",
        },
        clock=SystemClock(),
    )
    first = FirstCall(platform._port)
    platform._port = first
    return platform, first


async def ours(url: str, folder: Path, wanted: list[Spec]) -> FirstCall:
    """Apply all at once, in one journal; what was begun is carried on."""
    platform, first = joined(url)
    with await asyncio.to_thread(Journal.open, folder / "journal") as journal:
        await asyncio.gather(*(apply(spec, journal=journal, platform=platform) for spec in wanted))
    await platform.close()
    return first


async def bare(url: str, folder: Path, wanted: list[Spec]) -> FirstCall:
    """Make all calls at once, run by run; skip what the JSON file of the run has an answer for."""
    platform, first = joined(url)
    await asyncio.gather(*(bare_run(platform, spec, folder / f"{spec.name}.json") for spec in wanted))
    await platform.close()
    return first


async def bare_run(platform: Platform, spec: Spec, file: Path) -> None:
    """One run of the bare script, its branches at the same time."""
    memory = remembered(file)
    table = table_of(spec.style)
    done = {row.step.name: asyncio.Event() for row in table.rows}

    async def branch(name: str) -> None:
        for row in table.rows_of(name):
            for need in row.needs:
                await done[need].wait()
            if row.step.name not in memory:
                memory[row.step.name] = dict(await bare_step(row.step, BareContext(platform, spec, memory)))
                remember(file, memory)
            done[row.step.name].set()

    await asyncio.gather(*(branch(name) for name in table.branches))


async def bare_step(step: Step, ctx: BareContext) -> Outputs:
    """Make a step's calls. A title that is taken is taken for our own of an earlier try."""
    settled: Settled | None = await step.prepare(ctx)
    if settled is not None:
        return settled.outputs
    while True:
        answer = await ctx.send(step.request(ctx))
        if answer.ok:
            return step.read(answer)
        holder = title_holder(fault_of(answer))
        if holder is not None:
            return step.outputs(await step.fetch(ctx, holder))
        await asyncio.sleep(0.5)


def remembered(file: Path) -> dict[str, Any]:
    """What the file knows; a new run's identity if there is none."""
    if file.exists():
        return dict(json.loads(file.read_text()))
    memory = {"nonce": draw_nonce(random.SystemRandom())}
    remember(file, memory)
    return memory


def remember(file: Path, memory: Mapping[str, Any]) -> None:
    """Replace the file, durably."""
    new = file.with_suffix(".new")
    with new.open("w") as out:
        json.dump(memory, out)
        out.flush()
        os.fdatasync(out.fileno())
    new.replace(file)


class BareContext:
    """What a step may know and ask, without a journal and without retries of its own."""

    def __init__(self, platform: Platform, spec: Spec, memory: Mapping[str, Any]) -> None:
        self.spec = spec
        self.run = spec.name
        self.nonce = str(memory["nonce"])
        self.sandbox = platform.sandbox
        self.facts: dict[str, Any] = {}
        self._platform = platform
        self._memory = memory

    def outputs_of(self, step: type[Step]) -> Outputs:
        outputs: Outputs = self._memory[step.name]
        return outputs

    def marker(self, step: Step) -> str:
        return f"fl-{self.nonce}-{step.slug}"

    def lendable(self, live: Any) -> bool:  # noqa: ARG002 - the contract names it
        return True

    def wall(self) -> float:
        return time.time()

    def secret(self, ref: SecretRef) -> str:
        assert ref.file is not None  # as the example has it
        return from_file(ref.file, folder=self.spec.folder)

    def put_aside(self, **facts: Any) -> None:
        self.facts.update(facts)

    async def wait(self, seconds: float, why: str) -> None:  # noqa: ARG002 - the contract names it
        await asyncio.sleep(seconds)

    async def send(self, request: Request) -> Answer:
        await self._platform.ready()
        return await self._platform.send(request)

    async def ask(self, request: Request, *, allow: tuple[int, ...] = ()) -> Answer:
        while True:
            answer = await self.send(request)
            if answer.ok or answer.status in allow:
                return answer
            await asyncio.sleep(0.5)


def child(side: str, url: str, folder: Path, runs: int, settle: float) -> None:
    """Be one process of one side, and print its times in seconds."""
    wanted = specs(runs, settle)
    began = time.perf_counter()
    first = asyncio.run({"ours": ours, "bare": bare}[side](url, folder, wanted))
    assert first.at is not None
    print(json.dumps({"first_call": first.at - began, "all_done": time.perf_counter() - began}))


# The parent


@contextmanager
def emulator(state: Path) -> Iterator[str]:
    """An emulator in a process of its own; yields its URL."""
    words = [sys.executable, "-m", "flowledger", "emulator", "start", "--port", "0", "--state", str(state)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        ready = process.stdout.readline()
        if not ready.startswith("Ready. "):
            sys.exit(f"the emulator did not start: {ready}")
        yield ready.removeprefix("Ready. ").strip()
    finally:
        process.terminate()
        process.wait()


class Asked:
    """The emulator's own routes, over one connection."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc)

    def get(self, name: str) -> Any:
        self._connection.request("GET", f"/_emulator/{name}")
        return json.loads(self._connection.getresponse().read())

    def made(self) -> int:
        """How many objects there are."""
        return sum(self.get("counts").values())

    def handled(self) -> int:
        """How many calls were answered."""
        return int(self.get("health")["requests"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one side came to after its crash."""

    killed_at: int  # objects made
    duplicates: int
    orphans: int
    look_ups: int
    calls: int  # after the crash
    first_call: float  # seconds from the process's main to its first call
    started: float  # the same, from before the interpreter started
    all_done: float


def crash(side: str, runs: int, settle: float, folder: Path) -> Outcome:
    """Begin, kill at half, begin again, look at what is there."""
    folder.mkdir()
    words = [sys.executable, __file__, "--child", side, "--runs", str(runs), "--settle", str(settle)]
    words += ["--folder", str(folder)]
    with emulator(folder / "platform") as url:
        asked = Asked(url)
        victim = subprocess.Popen([*words, "--url", url], stdout=subprocess.DEVNULL)
        while asked.made() < runs * EFFECTS // 2:
            if victim.poll() is not None:
                sys.exit(f"{side} ended before it could be killed")
            time.sleep(0.0005 if runs == 1 else 0.01)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        killed_at, before = asked.made(), asked.handled()
        launched = time.perf_counter()
        resumed = subprocess.run([*words, "--url", url], stdout=subprocess.PIPE, text=True, check=True)
        whole = time.perf_counter() - launched
        times = json.loads(resumed.stdout)
        calls = asked.handled() - before
    known, look_ups = known_to(side, folder)
    with_state = Emulator(state=folder / "platform")
    objects = [item for kind in COLLECTIONS for item in with_state.objects(kind)]
    with_state.close()
    names = Counter(str(item.get("title") or item.get("name")) for item in objects)
    return Outcome(
        killed_at=killed_at,
        duplicates=sum(names.values()) - len(names),
        orphans=sum(str(item.get("$id") or item.get("id")) not in known for item in objects),
        look_ups=look_ups,
        calls=calls,
        first_call=times["first_call"],
        started=whole - times["all_done"] + times["first_call"],
        all_done=times["all_done"],
    )


def known_to(side: str, folder: Path) -> tuple[set[str], int]:
    """The ids that a side remembers, and how often it looked for an object instead of sending again."""
    if side == "bare":
        memories = [json.loads(file.read_text()) for file in folder.glob("run-*.json")]
        outputs = [part for memory in memories for part in memory.values() if isinstance(part, dict)]
        return {str(part["id"]) for part in outputs if "id" in part}, 0
    records = [record for ledger in read_ledgers(folder / "journal") for record in ledger.steps.values()]
    with JournalReader.open(folder / "journal") as journal:
        look_ups = sum(doc["kind"] == "looked_up/1" for doc in journal.all())
    return {str(record.outputs["id"]) for record in records if record.outputs and "id" in record.outputs}, look_ups


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default="1,100,1000", help="how many runs at once, comma-separated")
    parser.add_argument("--settle", type=float, default=5.0, help="the settle window in seconds")
    parser.add_argument("--folder", type=Path, default=Path(), help="where journals go: the disk to measure on")
    parser.add_argument("--child", choices=["ours", "bare"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.url, options.folder, int(options.runs), options.settle)
        return
    base = Path(tempfile.mkdtemp(prefix="crash-", dir=options.folder)).resolve()
    header = ("runs", "side", "killed at", "duplicates", "orphans", "look-ups", "calls after", "first call s",
              "with start s", "all done s")  # fmt: skip
    print("  ".join(f"{name:>12}" for name in header))
    try:
        for runs in (int(text) for text in options.runs.split(",")):
            for side in ("ours", "bare"):
                one = crash(side, runs, options.settle, base / f"{side}-{runs}")
                row = (
                    runs, side, one.killed_at, one.duplicates, one.orphans, one.look_ups, one.calls,
                    f"{one.first_call:.3f}", f"{one.started:.3f}", f"{one.all_done:.2f}",
                )  # fmt: skip
                print("  ".join(f"{cell:>12}" for cell in row), flush=True)
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
