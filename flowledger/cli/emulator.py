"""The verbs of the local platform: emulator start, reset, faults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowledger.cli import advance, background, emulator_document, faults, generate
from flowledger.cli.command import Voice, command, run_async
from flowledger.cli.emulator_options import DEFAULTS

if TYPE_CHECKING:
    from flowledger.emulator.options import Options

app = typer.Typer(
    help="A local stand-in for Adobe: IMS, Schema Registry, Catalog, Flow Service and Conversion on one loopback port.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


# What has an option of its own, or (the secret) is never taken from a flag.
OWN = (
    "extra_sources",
    "latency_ms",
    "flow_ready_ms",
    "tenant",
    "org",
    "token_lifetime_s",
    "client_secret",
    "sandboxes",
)


def start(
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Loopback port; 0 takes a free one.")
    ] = 8480,
    host: Annotated[
        str, typer.Option("--host", metavar="IP", help="Loopback address to serve at, like ::1.")
    ] = "127.0.0.1",
    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            metavar="DIR",
            help="Keep everything in DIR over a restart; without it, in memory (with -d: .flowledger/emulator).",
        ),
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
    kinds: Annotated[
        list[Path] | None,
        typer.Option("--kinds", metavar="FILE", help="A source kind of your own, or a folder of them; repeat it."),
    ] = None,
    sources: Annotated[
        Path | None,
        typer.Option(
            "--sources",
            metavar="DIR",
            help="Tables that flows read: NAME.csv, NAME.jsonl, NAME.parquet in DIR. Needs pyarrow.",
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="Any other choice of the emulator (see below); repeat it."),
    ] = None,
    apart: Annotated[
        bool, typer.Option("-d", "--detach", help="Serve in the background; return once calls are answered.")
    ] = False,
    voice: Voice = Voice(),
) -> int:
    """Serve until SIGTERM or SIGINT. Prints one line, "Ready. URL", once calls are answered.

    Binds loopback only. Client id local-client, secret local-secret, organisation LOCAL@AdobeOrg, sandboxes prod and
    dev, unless options say otherwise.
    """
    from flowledger.cli.kinds import kinds_in
    from flowledger.emulator.options import Options

    options = Options(
        extra_sources=kinds_in(kinds or [], os.environ),
        latency_ms=latency,
        list_lag_ms={"*": list_lag} if list_lag else {},
        flow_ready_ms=flow_ready,
        tenant=tenant,
        org=org,
        sandboxes=tuple(sandbox) if sandbox else ("prod", "dev"),
        token_lifetime_s=token_lifetime,
        **further_options(option or []),
    )
    if apart:
        said = ["--port", str(port), "--host", host, "--latency", str(latency), "--list-lag", str(list_lag)]
        said += ["--flow-ready", str(flow_ready), "--tenant", tenant, "--org", org]
        said += ["--token-lifetime", str(token_lifetime), "--seed", str(seed)]
        said += ["--sources", str(sources)] if sources else []
        for name, values in (("--sandbox", sandbox), ("--kinds", kinds), ("--option", option)):
            said += [word for value in values or [] for word in (name, str(value))]
        return background.start_apart(said, state=state or background.PLACE, quiet=voice.quiet)
    return run_async(_serve(options, port=port, host=host.strip("[]"), state=state, seed=seed, sources=sources))


def further_options(wanted: list[str]) -> dict[str, Any]:
    """NAME=VALUE pairs as fields of the emulator's Options. Raises UsageError."""
    from dataclasses import fields

    from flowledger.emulator.options import Options
    from flowledger.engine.specfault import nearest
    from flowledger.errors import UsageError

    defaults = {field.name: getattr(Options(), field.name) for field in fields(Options) if field.name not in OWN}
    plain = {name: type(value) for name, value in defaults.items() if isinstance(value, (bool, int, str, tuple))}
    chosen: dict[str, Any] = {}
    for text in wanted:
        name, equals, value = text.partition("=")
        kind = plain.get(name)
        values = {"true": True, "false": False}
        if not equals or kind is None:
            near = nearest(name, sorted(plain))
            meant = f": did you mean {near}?" if near and name not in plain else ""
            raise UsageError(
                f"{text!r} is no option of the emulator{meant}", hint=f"NAME is one of {', '.join(sorted(plain))}"
            )
        if (kind is bool and value not in values) or (kind is int and not value.isdecimal()):
            raise UsageError(f"{name} is not {value!r}", hint="true or false" if kind is bool else "a whole number")
        if kind is tuple:
            chosen[name] = tuple(part.strip() for part in value.split(",") if part.strip())
            continue
        chosen[name] = values[value] if kind is bool else kind(value)
    return chosen


async def _serve(options: Options, *, port: int, host: str, state: Path | None, seed: int, sources: Path | None) -> int:
    import errno
    import socket

    from flowledger.cli.local import open_emulator
    from flowledger.cli.logs import warn
    from flowledger.cli.printable import printable
    from flowledger.cli.signals import first_signal
    from flowledger.emulator.server import serve
    from flowledger.errors import UsageError

    emulator = open_emulator(state, options=options, seed=seed, sources=sources)
    for warning in emulator.warnings:
        warn(printable(warning))
    try:
        try:
            server = await serve(emulator, port=port, host=host)
        except ValueError as error:
            raise UsageError(str(error), hint="--host 127.0.0.1, or --host ::1") from error
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) or isinstance(error, socket.gaierror):
                raise UsageError(
                    f"this machine has no address {host}: {error.strerror}", hint="--host 127.0.0.1, or --host ::1"
                ) from error
            raise UsageError(
                f"port {port} cannot be bound at {host}: {error.strerror}", hint="give another --port, or 0"
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


NOTES = f"""\b
--option takes what has no option of its own; here with its default, and the
number that docs/emulator.md has of the point that Adobe leaves open. A list
has commas.
{DEFAULTS}"""

command(
    app,
    "start",
    notes=NOTES,
    summary="Serve until SIGTERM or SIGINT.",
    example="flowledger emulator start --port 8480 --state .flowledger/emulator\n"
    "flowledger emulator start -d --sources tables",
    exit_codes="0 stopped by a signal, 2 the port is taken, 6 the state is in use.",
)(start)
background.register(app)
advance.register(app)
generate.register(app)
faults.register(app)
emulator_document.register(app)
