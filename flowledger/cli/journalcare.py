"""The journal's verbs for its size: stats and prune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowledger.cli.command import DEFAULT_JOURNAL, JournalOption, JsonOption, YesOption, command, sure
from flowledger.cli.hints import as_typed
from flowledger.cli.provision import LockOption, seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowledger.engine.retention import Verdict


def stats(journal: JournalOption = DEFAULT_JOURNAL, as_json: JsonOption = False) -> int:
    """Count what is in a journal: segments, bytes, events by kind, runs by state, the largest runs. Needs no lock."""
    from collections import Counter
    from dataclasses import asdict

    from flowledger.cli.failure import SCHEMA_VERSION
    from flowledger.cli.show import moment, place, print_json, print_lines, table
    from flowledger.engine.api import read_ledgers
    from flowledger.journal.stats import stats as stats_of

    found = stats_of(journal)
    states = dict(Counter(str(ledger.state) for ledger in read_ledgers(journal)).most_common())
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, **asdict(found), "states": states})
        return 0
    many = f"{len(found.segments)} segment{'' if len(found.segments) == 1 else 's'}"
    lines = [f"{place(found.directory)}: {found.events} events of {_runs(found.runs)}, {found.size} bytes in {many}."]
    if found.oldest is not None and found.newest is not None:
        lines.append(f"From {moment(found.oldest)} to {moment(found.newest)}.")
    if found.pruned_runs:
        lines.append(f"Pruned before: {found.pruned_events} events of {found.pruned_runs} runs.")
    lines += ["", *table(((state, str(count)) for state, count in states.items()), head=("STATE", "RUNS"))]
    lines += ["", *table(((kind, str(count)) for kind, count in found.kinds.items()), head=("KIND", "EVENTS"))]
    lines += ["", *table(
        ((run.run, str(run.events), str(run.size)) for run in found.largest), head=("LARGEST RUNS", "EVENTS", "BYTES")
    )]  # fmt: skip
    lines += ["", *table(
        (
            (part.file, str(part.records), str(part.size), "sealed" if part.sealed else "written", part.index)
            for part in found.segments
        ),
        head=("SEGMENT", "RECORDS", "BYTES", "STATE", "INDEX"),
    )]  # fmt: skip
    print_lines(lines)
    return 0


def prune(
    journal: JournalOption = DEFAULT_JOURNAL,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="Only runs without an event for so long, like 30d.")
    ] = "0s",
    keep: Annotated[
        int, typer.Option("--keep", metavar="N", min=0, help="Keep the N runs that changed last, of those that may go.")
    ] = 0,
    provisioned: Annotated[
        bool,
        typer.Option(
            "--provisioned",
            help="Drop runs that have something on the platform too. Then destroy, drift and status know them no more.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; change nothing.")] = False,
    yes: YesOption = False,
    lock_timeout: LockOption = "0s",
    as_json: JsonOption = False,
) -> int:
    """Drop the events of destroyed runs, and make the journal as small as what is left.

    What is unfinished, failed or in doubt stays always, and provisioned runs stay unless they are asked for: `destroy`
    and `drift` find a run's objects by its events. For the same reason a destroyed run stays that has left what was in
    use. Of each run that goes, its name, its nonce (by which its objects can be told on the platform) and its state
    are kept. Events keep their numbers. The journal is written anew beside the old one, which needs as much room
    again, and then replaces it at once; a kill leaves the one or the other.
    """
    import time

    from flowledger.cli.failure import SCHEMA_VERSION
    from flowledger.cli.show import ago, place, print_json, print_lines, table

    verdicts, last = _judge(
        journal, older_than=seconds_of(older_than), keep=keep, provisioned=provisioned, wall=time.time
    )
    going = [verdict for verdict in verdicts if verdict.drop]
    lock = seconds_of(lock_timeout)
    if going and not dry_run and not as_json:
        print_lines(
            table(((one.run, one.state, ago(one.changed_at)) for one in going), head=("RUN", "STATE", "CHANGED"))
        )
    if going and not dry_run:
        question = f"Drop {_runs(len(going))} from {place(journal)} for good?"
        sure(question, yes=yes, otherwise="flowledger journal prune --yes; --dry-run says what would go")
    document = {
        "schema_version": SCHEMA_VERSION,
        "journal": str(journal),
        "dry_run": dry_run,
        "pruned": [one.run for one in going],
        "kept": [{"run": one.run, "state": one.state, "why": one.why} for one in verdicts if not one.drop],
        "events": 0,
        "size_before": None,
        "size_after": None,
    }
    if going and not dry_run:
        from flowledger.journal.pruning import prune as prune_journal

        done = prune_journal(
            journal,
            {
                one.run: {
                    "nonce": one.nonce,
                    "state": one.state,
                    "changed_at": one.changed_at,
                    "left": list(one.left),
                }
                for one in going
            },
            last={one.run: last[one.run] for one in going},
            lock_timeout=lock,
        )
        document |= {"events": done.events, "size_before": done.size_before, "size_after": done.size_after}
    if as_json:
        print_json(document)
        return 0
    if dry_run:
        print_lines(
            table(((one.run, "goes" if one.drop else "stays", one.why) for one in verdicts), head=("RUN", "", "WHY"))
            if verdicts
            else [f"No runs in {place(journal)}."]
        )
    elif going:
        size = f"{document['size_before']} bytes before, {document['size_after']} now"
        print(f"Dropped {document['events']} events of {_runs(len(going))}: {size}.")
    else:
        print(as_typed("Nothing to drop: flowledger journal prune --dry-run says why each run stays."))
    return 0


def _judge(
    journal: Path, *, older_than: float, keep: int, provisioned: bool, wall: Callable[[], float]
) -> tuple[Sequence[Verdict], dict[str, int]]:
    """What becomes of each run, and the number of the last event that was looked at for that."""
    from flowledger.engine.ledger import ledger_of
    from flowledger.engine.retention import verdicts
    from flowledger.journal import JournalReader

    last: dict[str, int] = {}
    ledgers = []
    with JournalReader.open(journal) as reader:
        for run in reader.runs():
            events = reader.events(run)
            last[run] = events[-1].doc_id
            ledgers.append(ledger_of(run, events))
    return verdicts(ledgers, now=wall(), older_than=older_than, keep=keep, provisioned=provisioned), last


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


def register(app: typer.Typer) -> None:
    """Add this family's verbs."""
    command(
        app,
        "stats",
        summary="Count what is in a journal.",
        example="flowledger journal stats\nflowledger journal stats --json | jq .states",
        exit_codes="0 counted, 5 no journal, 9 journal damaged.",
    )(stats)
    command(
        app,
        "prune",
        summary="Drop the events of destroyed runs.",
        example="flowledger journal prune --older-than 30d --dry-run\nflowledger journal prune --older-than 30d --yes",
        exit_codes="0 done (also when there was nothing to drop), 2 not confirmed, or a run has gone on meanwhile, "
        "5 no journal, 6 journal held, 9 journal damaged, 75 disk full.",
    )(prune)
