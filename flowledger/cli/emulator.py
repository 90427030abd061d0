"""The verbs of the local platform: emulator start, reset, faults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from flowledger.cli import faults
from flowledger.cli.command import command, run_async

app = typer.Typer(
    help="A local stand-in for Adobe: IMS, Schema Registry, Catalog, Flow Service and Conversion on one loopback port.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def start(
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Loopback port; 0 takes a free one.")
    ] = 8480,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="DIR", help="Keep everything in DIR over a restart; without it, in memory."),
    ] = None,
    latency: Annotated[int, typer.Option("--latency", metavar="MS", min=0, help="Add to every answer, in ms.")] = 0,
    list_lag: Annotated[
        int, typer.Option("--list-lag", metavar="MS", min=0, help="How far lists run behind, in ms.")
    ] = 0,
    flow_ready: Annotated[
        int, typer.Option("--flow-ready", metavar="MS", min=0, help="How long a new flow stays pending, in ms.")
    ] = 0,
    tenant: Annotated[str, typer.Option("--tenant", metavar="ID", help="The tenant id.")] = "localtenant",
    org: Annotated[str, typer.Option("--org", metavar="ORG", help="The organisation.")] = "LOCAL@AdobeOrg",
    sandbox: Annotated[
        list[str] | None,
        typer.Option("--sandbox", metavar="NAME", help="A sandbox that exists; repeat it. The first is the default."),
    ] = None,
    token_lifetime: Annotated[
        int, typer.Option("--token-lifetime", metavar="S", min=1, help="How long a token lives, in seconds.")
    ] = 86399,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Decides the ids that are given out.")] = 0,
) -> int:
    """Serve until SIGTERM or SIGINT. Prints one line, "Ready. URL", once calls are answered.

    Binds 127.0.0.1 only. Client id local-client, secret local-secret, organisation LOCAL@AdobeOrg, sandboxes prod and
    dev, unless options say otherwise.
    """
    from flowledger.emulator.options import Options

    options = Options(
        latency_ms=latency,
        list_lag_ms={"*": list_lag} if list_lag else {},
        flow_ready_ms=flow_ready,
        tenant=tenant,
        org=org,
        sandboxes=tuple(sandbox) if sandbox else ("prod", "dev"),
        token_lifetime_s=token_lifetime,
    )
    return run_async(_serve(options, port=port, state=state, seed=seed))


async def _serve(options: object, *, port: int, state: Path | None, seed: int) -> int:
    from flowledger.cli.signals import first_signal
    from flowledger.emulator.core import Emulator
    from flowledger.emulator.options import Options
    from flowledger.emulator.server import serve
    from flowledger.emulator.store import StateInUse
    from flowledger.errors import JournalHeld, UsageError

    assert isinstance(options, Options)
    try:
        emulator = Emulator(options=options, state=state, seed=seed)
    except StateInUse as error:
        raise JournalHeld(
            f"another emulator keeps its state in {state}: {error}", hint="give another --state"
        ) from error
    try:
        try:
            server = await serve(emulator, port=port)
        except OSError as error:
            raise UsageError(
                f"port {port} cannot be bound: {os.strerror(error.errno or 0)}", hint="give another --port, or 0"
            ) from error
        try:
            # Before the line is printed: whoever reads it may stop us at once.
            with first_signal() as came:
                print(f"Ready. {server.url}", flush=True)
                await came
        finally:
            await server.close()
    finally:
        emulator.close()
    return 0


command(
    app,
    "start",
    summary="Serve until SIGTERM or SIGINT.",
    example="flowledger emulator start --port 8480 --state .flowledger/emulator",
    exit_codes="0 stopped by a signal, 2 the port is taken, 6 the state is in use.",
)(start)
faults.register(app)
