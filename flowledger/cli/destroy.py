"""The verb destroy: delete what a run has made, after asking."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowledger.cli.command import (
    DEFAULT_JOURNAL,
    Answered,
    JournalOption,
    JsonOption,
    RunArgument,
    Voice,
    YesOption,
    command,
    sure,
)
from flowledger.cli.provision import LocalOption, LockOption, seconds_of
from flowledger.errors import FlowledgerError

if TYPE_CHECKING:
    from flowledger.engine.audience import OnEvent
    from flowledger.engine.destroy import DestroyPlan
    from flowledger.engine.halt import Halt
    from flowledger.engine.report import Report
    from flowledger.steps.client.platform import Platform


def destroy(
    run: RunArgument,
    journal: JournalOption = DEFAULT_JOURNAL,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", "--dry-run", help="Print what would be deleted, from the journal only; send and write nothing."
        ),
    ] = False,
    keep_dataset: Annotated[
        bool,
        typer.Option(
            "--keep-dataset", help="Leave the dataset with its data, its schema and its field group, from now on."
        ),
    ] = False,
    yes: YesOption = False,
    local: LocalOption = False,
    lock_timeout: LockOption = "0s",
    as_json: JsonOption = False,
    voice: Voice = Voice(),
) -> int:
    """Delete everything that a run has made on the platform, the dataset with all data in it included.

    Shows what will go and asks; without a terminal it refuses unless --yes is given. What the run found or shares
    stays, and so does what somebody else's objects refer to: both are reported. Each delete is journaled before it is
    sent, so that a destroy that was stopped or killed is carried on by the same command. From its first event on the
    run can only be destroyed. Destroying a destroyed run looks again at what was left because it was in use.
    """
    from flowledger.cli.failure import run_document
    from flowledger.cli.hints import as_typed
    from flowledger.cli.removing import driven
    from flowledger.cli.show import place, print_json, print_lines
    from flowledger.cli.showremoval import destroy_lines, destroy_plan_lines
    from flowledger.engine import api
    from flowledger.engine.destroy import destroy_plan, left_for_now

    seconds = seconds_of(lock_timeout)
    ledger, where = api.read_ledger(run, journal)
    planned = destroy_plan(ledger, keep_dataset=keep_dataset)
    if plan:
        if as_json:
            print_json({**planned.to_json(), "journal": where})
        else:
            print_lines(destroy_plan_lines(planned))
        return 0
    was_done = ledger.destroyed and not left_for_now(ledger)
    if not was_done:
        _ask(run, planned, yes=yes)

    def drive(platform: Platform | None, on_event: OnEvent, halt: Halt) -> Coroutine[Any, Any, Report]:
        return api.destroy(
            run,
            journal=journal,
            platform=platform,
            keep_dataset=keep_dataset,
            on_event=on_event,
            halt=halt,
            lock_timeout=seconds,
        )

    labels = {row.step.name: row.step.label for row in ledger.table.rows}
    try:
        report = driven(
            run, drive, verb="destroy", journal=journal, local=local and not was_done, labels=labels, voice=voice
        )
    except FlowledgerError as error:
        error.hint = error.hint.replace("`flowledger destroy`", f"flowledger destroy {run}")
        error.hint = error.hint or f"flowledger destroy {run}"
        if as_json:
            print_json(run_document(error, run, journal))
        raise Answered(error) from error
    if as_json:
        print_json(report.to_json())
        return report.exit_code
    print_lines(destroy_lines(report, labels))
    if was_done:
        print("Nothing to do: the run is destroyed.")
    print(f"Journal: {place(report.journal)}  ({report.events} events; {as_typed(f'flowledger history {run}')})")
    return report.exit_code


def _ask(run: str, planned: DestroyPlan, *, yes: bool) -> None:
    """Show what will go and ask for a yes. Raises UsageError where there is none."""
    import sys

    from flowledger.cli.showremoval import destroy_plan_lines

    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        for line in destroy_plan_lines(planned, about_to=True):
            typer.echo(line, err=True)
    data = any(one.kind == "dataSets" for one in planned.deletes)
    count, left = len(planned.deletes), planned.state == "destroyed"
    sure(
        f"Delete the {count} object{'' if count == 1 else 's'} {'left by' if left else 'of'} run {run}"
        + (", with all data in its dataset?" if data else "?"),
        yes=yes,
        otherwise=f"flowledger destroy {run} --plan shows what would go, flowledger destroy {run} --yes goes ahead"
        + (f", flowledger destroy {run} --keep-dataset --yes leaves the data" if data else ""),
    )


def register(app: typer.Typer) -> None:
    """Add the verb."""
    command(
        app,
        "destroy",
        summary="Delete everything that a run has made.",
        example="flowledger destroy paypal-products --plan\nflowledger destroy paypal-products --keep-dataset --yes",
        exit_codes="0 destroyed, 2 no answer to the question, 4 credentials, 5 no such run, 6 journal held, "
        "7 a delete was rejected, 9 journal damaged, 75 call it again later.",
    )(destroy)
