"""The verb demo: a whole dataflow on an emulator of its own, without credentials and without Adobe."""

from __future__ import annotations

import shutil
import sys
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowledger.cli.command import Voice, command, run_async
from flowledger.cli.logs import say

if TYPE_CHECKING:
    from flowledger.engine.ledger import Ledger
    from flowledger.engine.report import Report
    from flowledger.steps.spec import Spec

DEMO_FOLDER = Path(".flowledger/demo")


def demo(
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="Where the demo keeps its journal and its emulator.")
    ] = DEMO_FOLDER,
    voice: Voice = Voice(),
) -> int:
    """Provision a PayPal dataflow on an emulator of its own, over a real socket on this machine.

    Needs no credentials, and nothing leaves the machine. With pyarrow it goes on until the dataflow's first two runs
    have collected rows. The second time it says that there is nothing to do.
    """
    from flowledger.cli.provision import known_ledger
    from flowledger.cli.show import place, print_lines, report_lines
    from flowledger.engine.ledger import RunState
    from flowledger.engine.specfile import load_spec

    journal = folder / "journal"
    path = demo_spec(folder)
    spec = load_spec(path).spec
    ledger = known_ledger(spec.name, journal)
    was_done = ledger is not None and ledger.state is RunState.PROVISIONED
    if not was_done and not voice.quiet:
        say(f"Provisioning {place(path)} on an emulator of its own ({place(folder / 'emulator')}).")
    report = run_async(_provision(spec, ledger, journal=journal, folder=folder, was_done=was_done, voice=voice))
    if was_done:
        print_lines(report_lines(report.to_json()))
        print("Nothing to do: the run is provisioned, and the platform was not asked.")
    print(f"Journal: {place(report.journal)}  ({report.events} events)")
    print("\nTry next:")
    at = f"--journal {place(journal)}"
    command = command_to_type()
    print(f"  {command} history {spec.name} {at}")
    print(f"  {command} history {spec.name} --event {min(report.events, 12)} {at}")
    print(f"  {command} journal verify {at}")
    return report.exit_code


def command_to_type() -> str:
    """`flowledger` where the shell would find it, else the one beside this Python: a newcomer has only scripts/demo."""
    from flowledger.cli.show import place

    beside = Path(sys.executable).parent / "flowledger"
    return "flowledger" if shutil.which("flowledger") or not beside.exists() else place(beside)


def demo_spec(folder: Path) -> Path:
    """The example of the checkout that this program runs from; without one, the spec to begin with, in `folder`."""
    import flowledger
    from flowledger.cli.files import write_text, writing_into
    from flowledger.engine.starter import starter

    example = Path(flowledger.__file__).resolve().parent.parent / "examples" / "paypal-products.yaml"
    if example.is_file():
        return example
    files = starter("paypal", folder, emulator=True)
    paths = [folder / name for name in files]
    with writing_into(folder):
        for path, (text, mode) in zip(paths, files.values(), strict=True):
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_text(path, text, mode=mode, force=False)
    return paths[0]


async def _provision(
    spec: Spec, ledger: Ledger | None, *, journal: Path, folder: Path, was_done: bool, voice: Voice
) -> Report:
    from flowledger.cli.demorows import collect, demo_tables
    from flowledger.cli.local import local_platform
    from flowledger.cli.progress import progress_for
    from flowledger.cli.show import print_lines, report_lines
    from flowledger.cli.signals import stopping_on_signals
    from flowledger.engine import api
    from flowledger.engine.halt import Halt

    halt = Halt()
    async with AsyncExitStack() as stack:
        showing = stack.enter_context(ExitStack())  # ends before anything else is printed to the same terminal
        progress = showing.enter_context(progress_for(ledger, run=spec.name, quiet=voice.quiet))
        stack.enter_context(stopping_on_signals(halt, begun=lambda: progress.seen > 0, run=spec.name))
        if was_done:
            return await api.apply(spec, journal=journal, on_event=progress.on_event, halt=halt)
        tables = demo_tables(spec, folder)
        platform = await stack.enter_async_context(local_platform(folder / "emulator", {}, sources=tables))
        report = await api.apply(spec, journal=journal, platform=platform, on_event=progress.on_event, halt=halt)
        showing.close()
        print_lines(report_lines(report.to_json()))
        if tables is not None:
            await collect(spec, platform, tables, journal=journal, halt=halt, quiet=voice.quiet)
        else:
            print("With pyarrow (pip install 'pyarrow>=18') the demo goes on until rows have arrived.")
        return report


def register(app: typer.Typer) -> None:
    """Add the verb."""
    command(
        app,
        "demo",
        summary="Provision a dataflow on an emulator of its own.",
        example="flowledger demo",
        exit_codes="0 provisioned, otherwise as apply.",
    )(demo)
