"""The verbs that only read the journal: status, runs, history, explain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowledger.cli.command import DEFAULT_JOURNAL, JournalOption, JsonOption, RunArgument, command

if TYPE_CHECKING:
    from tinydb.table import Document

    from flowledger.engine.history import Entry


def status(run: RunArgument, journal: JournalOption = DEFAULT_JOURNAL, as_json: JsonOption = False) -> int:
    """Show what the journal says of a run: its state, each resource with its id, and why it stopped.

    Needs no lock and no network, and can be asked while the run is being driven. Exits 0 whatever the state is.
    """
    from flowledger.cli.hints import as_typed, named
    from flowledger.cli.printable import printable
    from flowledger.cli.show import ago, moment, place, print_json, report_lines
    from flowledger.engine.api import read_status

    report = read_status(run, journal)
    if as_json:
        print_json(report.to_json())
        return 0
    for line in report_lines(report.to_json()):
        print(line)
    if report.stopped is not None:
        stop = report.stopped
        asked = f" (request id {stop.request_id})" if stop.request_id else ""
        print(printable(f"Stopped: {stop.message.removeprefix('stopped: ')}{asked}"))
        print(printable(f"Next: {as_typed(named(stop.hint, run) or f'flowledger explain {run}')}"))
    elif report.exit_code:
        verb = "destroy" if report.state == "destroying" else "resume"
        print(as_typed(f"Unfinished. Next: flowledger {verb} {run}"))
    print(f"Changed: {moment(report.changed_at)} ({ago(report.changed_at)})")
    print(f"Journal: {place(report.journal)}  ({report.events} events)")
    return 0


def runs(journal: JournalOption = DEFAULT_JOURNAL, as_json: JsonOption = False) -> int:
    """List the runs of a journal: state, last change, sandbox, how far each one is."""
    from flowledger.cli.printable import printable
    from flowledger.cli.show import ago, place, print_json, table
    from flowledger.engine.api import read_ledgers
    from flowledger.engine.report import report_of

    ledgers = read_ledgers(journal)
    if as_json:
        listed = [
            {
                "run": ledger.run,
                "state": str(ledger.state),
                "sandbox": ledger.sandbox,
                "org": ledger.org,
                "nonce": ledger.nonce,
                "started_at": ledger.started_at,
                "changed_at": ledger.changed_at,
                "steps_done": sum(record.done for record in ledger.steps.values()),
                "steps": len(ledger.table.rows),
                "duplicates": len(ledger.duplicates),
                "unreadable": ledger.unreadable or None,
                "exit_code": report_of(ledger, str(journal)).exit_code,
            }
            for ledger in ledgers
        ]
        print_json({"schema_version": 1, "journal": str(journal), "runs": listed})
        return 0
    if not ledgers:
        print(
            f"No runs in {place(journal)}."
            if journal.exists()
            else f"No runs: there is no journal at {place(journal)}."
        )
        return 0
    rows = [
        (
            ledger.run,
            str(ledger.state),
            f"{sum(record.done for record in ledger.steps.values())}/{len(ledger.table.rows)}",
            ledger.sandbox,
            ago(ledger.changed_at),
        )
        for ledger in ledgers
    ]
    print("\n".join(table(rows, head=("RUN", "STATE", "STEPS", "SANDBOX", "CHANGED"), indent=0)))
    for ledger in ledgers:
        if ledger.unreadable:
            print(
                printable(
                    f"{ledger.run} cannot be read by this version: {ledger.unreadable}. Use {ledger.writer} for it."
                )
            )
    return 0


def history(
    run: RunArgument,
    journal: JournalOption = DEFAULT_JOURNAL,
    event: Annotated[
        int | None, typer.Option("--event", metavar="N", help="Show one event whole: its request and its response.")
    ] = None,
    step: Annotated[str | None, typer.Option("--step", metavar="STEP", help="Only the events of this step.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Show the numbered events of a run: when, branch, step, attempt, what happened, how long it took."""
    from flowledger.cli.show import print_json
    from flowledger.cli.showhistory import entry_lines, history_lines
    from flowledger.engine.history import entry_of, history_of

    documents, place = _documents(run, journal, as_text=not as_json)
    if event is None:
        entries = _of_step(history_of(documents), step)
        if as_json:
            print_json(
                {"schema_version": 1, "run": run, "journal": place, "events": [entry.to_json() for entry in entries]}
            )
        else:
            print("\n".join(history_lines(entries)))
        return 0
    entry = entry_of(run, documents, event)
    if as_json:
        print_json({"schema_version": 1, "run": run, "journal": place, **entry.to_json()})
    else:
        print("\n".join(entry_lines(entry)))
    return 0


def _of_step(entries: list[Entry], step: str | None) -> list[Entry]:
    """The entries of one step, or all. Raises UsageError for what is no step of any run."""
    from flowledger.engine.specfault import did_you_mean
    from flowledger.engine.table import TABLES
    from flowledger.errors import UsageError

    if step is None:
        return entries
    known = list(dict.fromkeys(row.step.name for table in TABLES.values() for row in table.rows))
    if step not in known:
        raise UsageError(f"there is no step {step!r}: {did_you_mean(step, known)}", hint="flowledger graph draws them")
    return [entry for entry in entries if entry.step == step]


def explain(run: RunArgument, journal: JournalOption = DEFAULT_JOURNAL, as_json: JsonOption = False) -> int:
    """Say why a run is not provisioned: the step, what was sent, what came back, what is known, what to type.

    Reads the journal only. Works as well for a run that was killed, and for drift.
    """
    from flowledger.cli.show import print_json
    from flowledger.cli.showplan import explanation_lines
    from flowledger.engine.explain import explain as explain_run
    from flowledger.steps.client.clock import SystemClock

    documents, place = _documents(run, journal, as_text=not as_json)
    explanation = explain_run(run, documents, SystemClock())
    if as_json:
        print_json({**explanation.to_json(), "journal": place})
    else:
        print("\n".join(explanation_lines(explanation)))
    return 0


def _documents(run: str, journal: Path, *, as_text: bool) -> tuple[list[Document], str]:
    """The numbered events of a run, oldest first, and the journal's place; `as_text`: as a terminal may show them.

    Raises NotThere.
    """
    from flowledger.cli.show import shown_documents
    from flowledger.engine.api import read_ledger
    from flowledger.journal import JournalReader

    _, place = read_ledger(run, journal)
    with JournalReader.open(journal) as reader:
        found = reader.events(run)
    return (shown_documents(found) if as_text else found), place


def register(app: typer.Typer) -> None:
    """Add this family's verbs."""
    command(
        app,
        "status",
        summary="Show a run's state and its resources.",
        example="flowledger status paypal-products --json | jq -r '.resources[].id'",
        exit_codes="0 shown, 5 the journal has no such run, 9 journal damaged.",
    )(status)
    command(
        app,
        "runs",
        summary="List the runs of a journal.",
        example="flowledger runs",
        exit_codes="0 shown, 9 journal damaged.",
    )(runs)
    command(
        app,
        "history",
        summary="Show a run's numbered events.",
        example="flowledger history paypal-products\nflowledger history paypal-products --step create_flow\n"
        "flowledger history paypal-products --event 12",
        exit_codes="0 shown, 2 no such step, 5 no such run or event, 9 journal damaged.",
    )(history)
    command(
        app,
        "explain",
        summary="Say why a run is not provisioned.",
        example="flowledger explain paypal-products",
        exit_codes="0 shown, 5 no such run, 9 journal damaged.",
    )(explain)
