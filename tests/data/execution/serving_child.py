"""Emulators that can be killed: this process forks one for each order on its stdin, a line of JSON {state, sources}.

The fork serves on a port of its own and says `PID URL`; when it has ended, this process says how. Forked, because a
fresh interpreter would take a second each time.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pyarrow.parquet  # noqa: F401 - loaded once, before the forks

from flowledger.emulator.core import Emulator
from flowledger.emulator.data import collect, columns, execute, tables  # noqa: F401 - likewise
from flowledger.emulator.server import run_server


def serve(state: Path, sources: Path) -> None:
    """Serve until killed."""
    emulator = Emulator(state=state, sources=sources)

    async def serving() -> None:
        await run_server(
            emulator, stop=asyncio.Event(), ready=lambda url: print(f"{os.getpid()} {url}", flush=True)
        )  # fmt: skip

    asyncio.run(serving())


def main() -> None:
    """Serve orders until stdin ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            try:
                serve(Path(order["state"]), Path(order["sources"]))
            finally:
                os._exit(70)  # a fork must never return into its parent's code
        _, status = os.waitpid(pid, 0)
        print(f"ended {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    main()
