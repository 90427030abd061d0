"""The verb that moves a running emulator's clock: emulator advance."""

from __future__ import annotations

import time
from typing import Annotated, Final

import typer

from flowledger.cli.background import StateOption, UrlOption, where
from flowledger.cli.command import JsonOption, command
from flowledger.cli.faults import ask
from flowledger.errors import TryLater, UsageError

POLL: Final = 0.2  # seconds
LONGEST_WAIT: Final = 600.0  # seconds


def advance(
    by: Annotated[str, typer.Argument(metavar="TIME", help="How far, like 30m, 2h or 7d.")],
    state: StateOption = None,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> int:
    """Move the emulator's clock forward, and return when every run that became due is over.

    Without sources only the clock moves. It never goes back; tokens and whatever else has a time age with it.
    """
    from flowledger.cli.provision import seconds_of
    from flowledger.cli.show import print_json

    ms = round(seconds_of(by) * 1000)
    if ms < 1:
        raise UsageError(f"{by!r} moves nothing", hint="flowledger emulator advance 30m")
    base = where(state, url)
    before = ask(base, "GET", "health")
    ask(base, "POST", "advance", {"ms": ms})
    until = time.monotonic() + LONGEST_WAIT
    while (health := ask(base, "GET", "health")).get("runs_waiting"):
        if time.monotonic() >= until:
            raise TryLater("runs that became due are not over yet", hint="flowledger emulator status --json")
        time.sleep(POLL)
    runs = health.get("runs_executed", 0) - before.get("runs_executed", 0)
    if as_json:
        print_json({"schema_version": 1, "now_ms": health["now_ms"], "runs_executed": runs})
        return 0
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(health["now_ms"] / 1000))
    told = (
        f"{runs} run{'' if runs == 1 else 's'} executed." if "runs_executed" in health else "No sources: nothing runs."
    )
    print(f"It is {moment} there now. {told}")
    return 0


def register(emulator: typer.Typer) -> None:
    """Add the verb to `emulator`."""
    command(
        emulator,
        "advance",
        summary="Move the clock forward; runs that become due are executed.",
        example="flowledger emulator advance 30m\nflowledger emulator advance 7d --json",
        exit_codes="0 moved and executed, 5 none was started here, 75 it does not answer, or runs are not over.",
    )(advance)
