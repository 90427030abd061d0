"""The verbs that change the platform: apply and resume."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowledger.cli.command import (
    DEFAULT_JOURNAL,
    Answered,
    JournalOption,
    JsonOption,
    Voice,
    command,
    run_async,
)
from flowledger.cli.fleet import ParallelOption, apply_files, resume_all, spec_files
from flowledger.cli.hints import as_typed, called_with, named
from flowledger.cli.logs import json_lines, say, warn
from flowledger.cli.planning import show_resume_plan, show_resume_plans
from flowledger.errors import FlowledgerError, NotPermitted, UsageError

if TYPE_CHECKING:
    from flowledger.engine.audience import OnEvent
    from flowledger.engine.halt import Halt
    from flowledger.engine.ledger import Ledger
    from flowledger.engine.report import Report
    from flowledger.steps.client.platform import Platform

SpecArgument = Annotated[
    Path, typer.Argument(metavar="SPEC", help="The spec: a YAML file, as `init` writes one, or TOML.")
]
SpecsArgument = Annotated[
    list[Path],
    typer.Argument(metavar="SPEC", help="Specs: YAML or TOML files, or folders of them."),
]
LocalOption = Annotated[
    bool,
    typer.Option("--local", help="Run against an emulator of its own, whose state is kept beside the journal."),
]
LockOption = Annotated[
    str,
    typer.Option(
        "--lock-timeout",
        metavar="TIME",
        help="How long to wait for another process to let go of the journal, like 30s, 5m or 1h.",
    ),
]
MaybeRunArgument = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="The run's name, as in the spec and in `runs`.", show_default=False),
]
DEFAULT_PARALLEL = 50  # as of flowledger.engine.fleet, which help does without; a test compares them
Drive = Callable[["Platform | None", "OnEvent", "Halt"], Coroutine[Any, Any, "Report"]]


def apply(
    specs: SpecsArgument,
    journal: JournalOption = DEFAULT_JOURNAL,
    local: LocalOption = False,
    parallel: ParallelOption = DEFAULT_PARALLEL,
    lock_timeout: LockOption = "0s",
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done now, as `plan` does; change and write nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accepted for scripts; apply asks nothing.")] = False,  # noqa: ARG001 - see its help
    as_json: JsonOption = False,
    voice: Voice = Voice(),
) -> int:
    """Provision a spec, or several: carry on if a run has begun, do nothing if it is provisioned.

    Several run at a time, share what is equal between them, and fail each on its own.

    Every call is journaled before it is sent. If the program or the machine dies, type the same command again: what
    was sent and not answered is looked for on the platform and adopted, never repeated blindly.
    """
    from flowledger.cli.kinds import remember
    from flowledger.cli.local import state_beside
    from flowledger.engine import api
    from flowledger.engine.specfile import load_spec

    seconds = seconds_of(lock_timeout)
    files = spec_files(specs)
    if dry:
        from flowledger.cli.planning import dry_run

        return dry_run(files, journal=journal, local=local, as_json=as_json, quiet=voice.quiet)
    if len(files) > 1:
        return apply_files(
            files, journal=journal, local=local, parallel=parallel, patience=seconds,
            base_url=aimed_at(local=local), as_json=as_json, voice=voice,
        )  # fmt: skip
    (spec,) = files
    loaded = load_spec(spec, base_url=aimed_at(local=local))
    run = loaded.spec.name
    ledger = known_ledger(run, journal)
    if ledger is None:  # a start in the past is a fault before the run begins, and history after it
        loaded.refuse_passed(time.time())
    for warning in () if voice.quiet else loaded.warnings:
        warn(warning, run=run)
    if local:
        remember(state_beside(journal), [loaded.spec])

    def drive(platform: Platform | None, on_event: OnEvent, halt: Halt) -> Coroutine[Any, Any, Report]:
        return api.apply(loaded, journal=journal, platform=platform, on_event=on_event, halt=halt, lock_timeout=seconds)

    return provision(run, ledger, drive, journal=journal, local=local, patience=seconds, as_json=as_json, voice=voice)


def resume(
    run: MaybeRunArgument = None,
    journal: JournalOption = DEFAULT_JOURNAL,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            "--dry-run",
            help="Print what would be asked, adopted and sent, from the journal only; send nothing.",
        ),
    ] = False,
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            metavar="TIME",
            help='A new start of the schedule: "+10m" from when the flow is created, or seconds since the epoch.',
        ),
    ] = None,
    local: LocalOption = False,
    every: Annotated[bool, typer.Option("--all", help="Every unfinished run of the journal.")] = False,
    parallel: ParallelOption = DEFAULT_PARALLEL,
    lock_timeout: LockOption = "0s",
    as_json: JsonOption = False,
    voice: Voice = Voice(),
) -> int:
    """Carry on an unfinished run from its journal, or all of them; needs no spec file.

    What was sent and not answered is looked for on the platform first; what was completed is checked for drift before
    anything is built on it. Resuming a provisioned run does nothing.
    """
    from flowledger.engine import api

    if every or run is None:
        if run is not None or not every or start is not None:
            raise UsageError(
                "resume takes one RUN, or --all without RUN and --start",
                hint="flowledger runs lists them; flowledger resume --all",
            )
        if plan:
            return show_resume_plans(journal, local=local, as_json=as_json)
        return resume_all(
            journal=journal, local=local, parallel=parallel, patience=seconds_of(lock_timeout), as_json=as_json,
            voice=voice,
        )  # fmt: skip
    if plan:
        return show_resume_plan(run, journal, local=local, as_json=as_json)
    seconds = seconds_of(lock_timeout)
    ledger, _ = api.read_ledger(run, journal)
    when = start_of(start)

    def drive(platform: Platform | None, on_event: OnEvent, halt: Halt) -> Coroutine[Any, Any, Report]:
        return api.resume(
            run, journal=journal, platform=platform, start=when, on_event=on_event, halt=halt, lock_timeout=seconds
        )

    return provision(run, ledger, drive, journal=journal, local=local, patience=seconds, as_json=as_json, voice=voice)


def register(app: typer.Typer) -> None:
    """Add this family's verbs."""
    command(
        app,
        "apply",
        summary="Provision a spec, or carry on with its run.",
        example="flowledger apply paypal-products.yaml --local\n"
        "flowledger apply paypal-products.yaml --dry-run\n"
        "flowledger apply paypal-products.yaml --json | jq .state\n"
        "flowledger apply flows/ --parallel 20",
        exit_codes="0 provisioned, 3 spec invalid or changed, 4 credentials, 5 not there, 6 journal held, "
        "7 rejected or conflict, 8 drift, 9 journal damaged, 10 rows did not arrive, 75 resume "
        "later; of several runs the worst.",
    )(apply)
    command(
        app,
        "resume",
        summary="Carry on an unfinished run from its journal.",
        example="flowledger resume paypal-products --plan\nflowledger resume paypal-products\nflowledger resume --all\n"
        "flowledger resume --all --dry-run",
        exit_codes="as apply; 5 when the journal has no such run.",
    )(resume)


def provision(
    run: str,
    ledger: Ledger | None,
    drive: Drive,
    *,
    journal: Path,
    local: bool,
    patience: float,
    as_json: bool,
    voice: Voice,
) -> int:
    """Drive a run with signals and progress, tell what came of it, and return the exit code.

    `patience`: seconds that the run may wait for the journal's lock.
    """
    from flowledger.cli.failure import run_document
    from flowledger.cli.show import place, print_json, report_lines
    from flowledger.engine.ledger import RunState

    was_done = ledger is not None and ledger.state is RunState.PROVISIONED
    try:
        report = run_async(
            _drive(run, ledger, drive, journal=journal, local=local, was_done=was_done, patience=patience, voice=voice)
        )
    except FlowledgerError as error:
        error.hint = named(error.hint, run) or f"flowledger explain {run}"
        if (
            isinstance(error, NotPermitted)
            and "flowledger" not in error.hint
            and known_ledger(run, journal) is not None
        ):
            error.hint += f", then flowledger resume {run}"
        called_with(journal=journal, local=local)
        if as_json:
            print_json(run_document(error, run, journal))
        raise Answered(error) from error
    if json_lines() and not voice.quiet:
        say("run ended", run=run, state=str(report.state), exit_code=report.exit_code)
    if as_json:
        print_json(report.to_json())
        return report.exit_code
    for line in report_lines(report.to_json()):
        print(line)
    if was_done:
        print("Nothing to do: the run is provisioned.")
    called_with(journal=journal, local=local)
    print(f"Journal: {place(report.journal)}  ({report.events} events; {as_typed(f'flowledger history {run}')})")
    if local and report.state == "provisioned" and not was_done:
        print("Rows come when they are due. With a folder of tables, DIR:")
        print("  flowledger emulator start -d --sources DIR")
        print("  flowledger emulator advance 11m             lets time pass there")
    return report.exit_code


async def _drive(
    run: str,
    ledger: Ledger | None,
    drive: Drive,
    *,
    journal: Path,
    local: bool,
    was_done: bool,
    patience: float,
    voice: Voice,
) -> Report:
    from flowledger.cli.local import local_platform, state_beside, unasked_platform
    from flowledger.cli.progress import progress_for
    from flowledger.cli.signals import stopping_on_signals
    from flowledger.engine.halt import Halt

    halt = Halt()
    async with AsyncExitStack() as stack:
        progress = stack.enter_context(progress_for(ledger, run=run, quiet=voice.quiet))
        stack.enter_context(stopping_on_signals(halt, begun=lambda: progress.seen > 0, run=run))
        platform = None
        if local and was_done:  # there is nothing to ask it: it only says where the command points
            platform = unasked_platform(os.environ)
            stack.push_async_callback(platform.close)
        elif local:
            platform = await stack.enter_async_context(local_platform(state_beside(journal), os.environ))
        if patience > 1 and not voice.quiet:
            import asyncio

            def tell_of_waiting() -> None:
                if not progress.seen:
                    say(f"waiting for the journal {journal}: another process holds it", run=run)

            stack.callback(asyncio.get_running_loop().call_later(1.0, tell_of_waiting).cancel)
        return await drive(platform, progress.on_event, halt)


def aimed_at(*, local: bool) -> str:
    """The platform that a run would go to: what is unwise against Adobe is told before it happens."""
    from flowledger.steps.client.config import ADOBE

    return "" if local else os.environ.get("FLOWLEDGER_BASE_URL", "").strip() or ADOBE


def known_ledger(run: str, journal: Path) -> Ledger | None:
    """What the journal says of a run so far; None if it says nothing."""
    from flowledger.engine.api import read_ledger
    from flowledger.errors import NotThere

    try:
        return read_ledger(run, journal)[0]
    except NotThere:
        return None


def seconds_of(text: str) -> float:
    """A duration like "30s", "1.5m", "2h", "30d" or "90" in seconds. Raises UsageError."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    number, scale = text.strip(), 1.0
    for unit, factor in units.items():
        if number.endswith(unit):
            number, scale = number.removesuffix(unit), factor
            break
    try:
        seconds = float(number) * scale
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 10**9:
        raise UsageError(f"{text!r} is not a duration", hint="write it like 30s, 5m or 1h")
    return seconds


def start_of(text: str | None) -> str | int | None:
    """A schedule start as the journal holds it: "+10m" or seconds since the epoch. Raises UsageError."""
    from flowledger.engine.arguments import judged_start

    return judged_start(text, time.time())
