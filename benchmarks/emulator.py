"""How many calls a second the emulator answers, beside a bare aiohttp.web server that answers the same bodies.

Both are served by processes of their own and asked by the same client, in turn and in one run; the bare one checks
nothing and keeps nothing. Prints medians, and how many times the bare one's they are; asserts no time.

    python benchmarks/emulator.py [--calls 4000] [--connections 8] [--repeats 5]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import multiprocessing.connection
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from aiohttp import web

from flowledger.emulator.core import Emulator
from flowledger.emulator.server import serve

PATH = "/data/foundation/flowservice/connections"
SINK = {"id": "c604ff05-7f1a-43c0-8e18-33bf874cb11c", "version": "1.0"}
BODY = json.dumps({"name": "bench", "description": "[mark:bench]", "connectionSpec": SINK}).encode()
FORM = urlencode(
    {
        "grant_type": "client_credentials",
        "client_id": "local-client",
        "client_secret": "local-secret",
        "scope": "openid,session,AdobeID,read_organizations,additional_info.projectedProductContext",
    }
).encode()
SERVERS = ("bare", "emulator in memory", "emulator with --state")


@dataclass(frozen=True)
class Measured:
    """One series of calls to one server."""

    calls_a_second: float
    cpu_us: float  # the server's processor time a call


def serve_for_ever(kind: str, answers: dict[str, bytes], ready: multiprocessing.connection.Connection) -> None:
    """What a server's process runs: tells its port and its own processor clock whenever it is asked."""
    asyncio.run(_serve(kind, answers, ready))


async def _serve(kind: str, answers: dict[str, bytes], ready: multiprocessing.connection.Connection) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if kind == "bare":
            port = await _serve_bare(answers)
        else:
            emulator = Emulator(state=Path(folder) if "--state" in kind else None)
            port = int((await serve(emulator)).url.rpartition(":")[2])
        ready.send(port)
        asked = asyncio.Event()
        asyncio.get_running_loop().add_reader(ready.fileno(), asked.set)
        while True:
            await asked.wait()
            asked.clear()
            while ready.poll():
                if ready.recv() == "stop":
                    return
                ready.send(time.process_time())


async def _serve_bare(answers: dict[str, bytes]) -> int:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        status = 201 if request.method == "POST" else 200
        return web.Response(status=status, body=answers[request.method], content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return int(runner.addresses[0][1])


class Client:
    """A connection that stays open, as thin as can be: what is measured is the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, raw: bytes) -> bytes:
        self.writer.write(raw)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        start = head.index(b"content-length:") + len(b"content-length:")
        return await self.reader.readexactly(int(head[start : head.index(b"\r", start)]))


def raw(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def prepare(port: int) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The calls to make of an emulator, and what it answers to each, by method."""
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    token = json.loads(await client.ask(raw("POST", "/ims/token/v3", form, FORM)))["access_token"]
    headers = {
        "Authorization": f"Bearer {token}",
        "x-api-key": "local-client",
        "x-gw-ims-org-id": "LOCAL@AdobeOrg",
        "x-sandbox-name": "prod",
        "Content-Type": "application/json",
    }
    create = raw("POST", PATH, headers, BODY)
    created = await client.ask(create)
    read = raw("GET", f"{PATH}/{json.loads(created)['id']}", headers)
    answers = {"POST": created, "GET": await client.ask(read)}
    client.writer.close()
    return {"POST": create, "GET": read}, answers


async def measure(
    port: int, control: multiprocessing.connection.Connection, calls: int, clients: int, call: bytes
) -> Measured:
    """Make the call again and again over several connections at once."""

    async def one() -> None:
        client = Client(*await asyncio.open_connection("127.0.0.1", port))
        for _ in range(calls // clients):
            await client.ask(call)
        client.writer.close()

    def processor_time() -> float:
        control.send("clock")
        return float(control.recv())

    before, began = processor_time(), time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    took = time.perf_counter() - began
    made = calls // clients * clients
    return Measured(made / took, (processor_time() - before) / made * 1e6)


def main() -> None:
    """Start the servers, measure them in turn, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    wanted = parser.parse_args()

    context = multiprocessing.get_context("spawn")
    started: dict[str, tuple[int, multiprocessing.connection.Connection]] = {}
    requests: dict[str, dict[str, bytes]] = {}
    answers: dict[str, bytes] = {}
    for kind in reversed(SERVERS):  # the bare one last: it repeats what the others answered
        ours, theirs = context.Pipe()
        context.Process(target=serve_for_ever, args=(kind, answers, theirs), daemon=True).start()
        started[kind] = (ours.recv(), ours)
        if kind != "bare":
            requests[kind], answers = asyncio.run(prepare(started[kind][0]))
    requests["bare"] = requests[SERVERS[1]]

    found: dict[tuple[str, str], list[Measured]] = {}
    for _ in range(wanted.repeats):
        for method in ("POST", "GET"):
            for kind in SERVERS:
                port, control = started[kind]
                series = measure(port, control, wanted.calls, wanted.connections, requests[kind][method])
                found.setdefault((method, kind), []).append(asyncio.run(series))
    for _, control in started.values():
        control.send("stop")

    print(f"{'call':6}{'server':24}{'calls/s':>10}{'x bare':>9}{'CPU/call':>12}{'x bare':>9}")
    for method in ("POST", "GET"):
        rates = {kind: statistics.median(one.calls_a_second for one in found[method, kind]) for kind in SERVERS}
        costs = {kind: statistics.median(one.cpu_us for one in found[method, kind]) for kind in SERVERS}
        for kind in SERVERS:
            rate, cost = rates[kind], costs[kind]
            print(
                f"{method:6}{kind:24}{rate:10.0f}{rate / rates['bare']:9.2f}{cost:9.0f} us{cost / costs['bare']:9.2f}"
            )


if __name__ == "__main__":
    main()
