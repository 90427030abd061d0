"""Many runs at once on the command line: which specs are meant, driving them, and a table of what came of each."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowledger.cli.command import Voice, run_async
from flowledger.cli.hints import as_typed, named
from flowledger.cli.logs import say, warn
from flowledger.errors import SpecError, UsageError
from flowledger.words import counted

if TYPE_CHECKING:
    from flowledger.engine.fleet import FleetReport, RunOutcome
    from flowledger.engine.specfile import LoadedSpec

ParallelOption = Annotated[
    int,
    typer.Option("--parallel", metavar="N", min=1, help="How many runs at a time, where there are several."),
]
SUFFIXES = (".yaml", ".yml", ".toml")
NO_SPECS = ("flowledger.toml", "pyproject.toml")  # which may lie in a folder of specs
STDIN = Path("-")  # the spec comes from standard input
TOLD = 10  # failures that are told in full
NAME_WIDTH = 26
Drive = Callable[..., Coroutine[Any, Any, "FleetReport"]]


def spec_files(given: Sequence[Path]) -> list[Path]:
    """The spec files that are meant: files as they are, folders as their *.yaml, *.yml and *.toml, by name.

    Hidden files are left out. Raises UsageError for a folder without any, SpecError for a link of such a name that
    leads to nothing, and for a folder or a pipe.
    """
    from flowledger.engine.folders import files_in

    if given.count(STDIN) > 1:
        raise UsageError("`-` stands for one spec, and is given twice", hint="give a file for each spec")
    files: list[Path] = []
    for path in given:
        if not path.is_dir():
            files.append(path)
            continue
        try:
            inside = files_in(path, SUFFIXES, besides=NO_SPECS)
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}", hint="check its mode") from None
        if not inside:
            raise UsageError(
                f"there is no *.yaml, *.yml or *.toml in {path}", hint="flowledger init paypal writes a spec"
            )
        files += inside
    return files


def apply_files(
    files: Sequence[Path],
    *,
    journal: Path,
    local: bool,
    parallel: int,
    patience: float,
    base_url: str,
    as_json: bool,
    voice: Voice,
) -> int:
    """Provision several specs, and tell what came of each. Raises SpecError with the faults of all of them."""
    from flowledger.cli.kinds import remember
    from flowledger.cli.local import state_beside
    from flowledger.engine.fleet import apply_many

    specs = load_all(files, journal, base_url=base_url, quiet=voice.quiet)
    if local:
        remember(state_beside(journal), [loaded.spec for loaded in specs])

    def drive(**options: Any) -> Coroutine[Any, Any, FleetReport]:
        return apply_many(specs, **options)

    return _provision(
        drive, total=len(specs), journal=journal, local=local, parallel=parallel, patience=patience, as_json=as_json,
        voice=voice,
    )  # fmt: skip


def resume_all(*, journal: Path, local: bool, parallel: int, patience: float, as_json: bool, voice: Voice) -> int:
    """Carry on every unfinished run of a journal, and tell what came of each."""
    from flowledger.engine.fleet import resume_many

    return _provision(
        resume_many, total=None, journal=journal, local=local, parallel=parallel, patience=patience, as_json=as_json,
        voice=voice,
    )  # fmt: skip


def load_all(files: Sequence[Path], journal: Path, *, base_url: str, quiet: bool) -> list[LoadedSpec]:
    """Read and judge every file. Raises one SpecError that names all faults of all files.

    A start in the past is a fault before a run begins, and history after it.
    """
    from flowledger.engine.specfile import load_spec

    begun = _runs_of(journal)
    named: dict[str, Path] = {}
    specs: list[LoadedSpec] = []
    faults: list[str] = []
    for file in files:
        try:
            loaded = load_spec(file, base_url=base_url)
            if loaded.spec.name not in begun:
                loaded.refuse_passed(time.time())
        except SpecError as error:
            faults += error.faults or (error.message,)
            continue
        name = loaded.spec.name
        if name in named:
            faults.append(f"{file}: name: {name} is the name of {named[name]} too; a run needs a name of its own")
        named.setdefault(name, file)
        for warning in () if quiet else loaded.warnings:
            warn(warning, run=name)
        specs.append(loaded)
    if faults:
        raise SpecError(
            f"{counted(len(faults), 'fault')} in {counted(len(files), 'spec')}; nothing was sent",
            faults=tuple(faults),
            hint="correct the files; flowledger validate SPEC judges one of them offline",
        )
    return specs


def _runs_of(journal: Path) -> frozenset[str]:
    from flowledger.journal import JournalReader
    from flowledger.journal.reading import is_there

    if not is_there(journal):
        return frozenset()
    with JournalReader.open(journal) as reader:
        return frozenset(reader.runs())


def _provision(
    drive: Drive,
    *,
    total: int | None,
    journal: Path,
    local: bool,
    parallel: int,
    patience: float,
    as_json: bool,
    voice: Voice,
) -> int:
    from flowledger.cli.show import print_json, print_lines

    report = run_async(
        _drive(drive, total=total, journal=journal, local=local, parallel=parallel, patience=patience, voice=voice)
    )
    if as_json:
        print_json(report.to_json())
    else:
        print_lines(fleet_lines(report))
    if not voice.quiet:
        tell_failures(report)
    return report.exit_code


async def _drive(
    drive: Drive, *, total: int | None, journal: Path, local: bool, parallel: int, patience: float, voice: Voice
) -> FleetReport:
    from flowledger.cli.fleetprogress import fleet_progress
    from flowledger.cli.local import local_platform, state_beside
    from flowledger.cli.signals import stopping_on_signals
    from flowledger.engine.halt import Halt

    halt = Halt()
    # What is loaded by now stays: the collector need not walk it again for each of a thousand runs.
    gc.collect()
    gc.freeze()
    async with AsyncExitStack() as stack:
        progress = stack.enter_context(fleet_progress(total, quiet=voice.quiet))
        stack.enter_context(stopping_on_signals(halt, begun=lambda: progress.seen > 0, run="--all"))
        platform = None
        if local:
            platform = await stack.enter_async_context(local_platform(state_beside(journal), os.environ))
        if patience > 1 and not voice.quiet:
            import asyncio

            def tell_of_waiting() -> None:
                if not progress.seen:
                    say(f"waiting for the journal {journal}: another process holds it")

            stack.callback(asyncio.get_running_loop().call_later(1.0, tell_of_waiting).cancel)
        return await drive(
            journal=journal, platform=platform, parallel=parallel, on_event=progress.on_event, on_run=progress.on_run,
            halt=halt, lock_timeout=patience,
        )  # fmt: skip


def fleet_lines(report: FleetReport) -> list[str]:
    """A table of the runs: state, steps done, seconds, and what to type next; then the sums."""
    from flowledger.cli.printable import printable
    from flowledger.cli.show import fitted, lasting, on_terminal, place, table, width

    if not report.runs:
        return ["Nothing to do: no run of this journal is unfinished."]
    rows = [
        (
            fitted(outcome.run, NAME_WIDTH),
            str(outcome.state),
            f"{outcome.steps_done}/{outcome.steps}",
            f"{outcome.seconds:.1f}",
            next_verb(outcome),
        )
        for outcome in report.runs
    ]
    lines = table(rows, head=("RUN", "STATE", "STEPS", "SECONDS", "NEXT: flowledger"), indent=0)
    if on_terminal():
        lines = [lines[0], *(fitted(line, width()) for line in lines[1:])]
    sums = report.summary()
    found, created = sums["resources"]["found"], sums["resources"]["created"] + sums["resources"]["adopted"]
    lines += [
        "",
        f"{sums['runs']} runs in {lasting(report.seconds)}: {sums['provisioned']} provisioned, "
        f"{sums['failed']} failed, {sums['unfinished']} unfinished",
        f"{created} objects made, {found} shared or found"
        + (f"; told {sums['throttled']} times to slow down" if sums["throttled"] else ""),
    ]
    if sums["duplicates"]:
        names = as_typed("flowledger status RUN")
        lines.append(f"{sums['duplicates']} duplicates carry these runs' markers: {names} names them")
    if sums["unfinished"]:
        lines.append(as_typed("Next: flowledger resume --all"))
    lines.append(f"Journal: {place(report.journal)}")
    return [printable(line, keep="\x1b") for line in lines]


def next_verb(outcome: RunOutcome) -> str:
    """What to type next, without the program's name; "" if nothing is left to do."""
    if outcome.exit_code == 0:
        return ""
    if outcome.state == "provisioned":  # in another place than this call points at: the error says what helps
        return f"status {outcome.run}"
    if outcome.exit_code == 75:
        return f"resume {outcome.run}" if outcome.report.events else "apply again"
    return f"explain {outcome.run}"


def tell_failures(report: FleetReport) -> None:
    """Say on stderr why runs are not provisioned, the final failures first; the first few in full."""
    from flowledger.cli.printable import printable

    failed = [outcome for outcome in report.runs if outcome.stopped is not None]
    failed.sort(key=lambda outcome: outcome.exit_code == 75)
    for outcome in failed[:TOLD]:
        stop = outcome.stopped
        assert stop is not None
        asked = f" (request id {stop.request_id})" if stop.request_id else ""
        say(printable(f"error: {outcome.run}: {stop.message}{asked}"), level="error", run=outcome.run)
        if stop.hint:
            say(printable(f"next: {as_typed(named(stop.hint, outcome.run))}"), run=outcome.run)
    if len(failed) > TOLD:
        say(as_typed(f"and {len(failed) - TOLD} more: flowledger explain RUN"))
