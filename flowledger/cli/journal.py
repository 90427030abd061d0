"""The verbs of the journal: query, verify, export, repair; stats and prune are beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowledger.cli import journalcare
from flowledger.cli.command import DEFAULT_JOURNAL, JournalOption, JsonOption, command
from flowledger.cli.logs import say

if TYPE_CHECKING:
    from tinydb.queries import QueryLike

    from flowledger.engine.history import Entry
    from flowledger.journal import JournalReader

app = typer.Typer(
    help="Look into a journal, check it, copy it out, make it smaller, save what is good of a damaged one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

OneRunOption = Annotated[str | None, typer.Option("--run", metavar="RUN", help="Only events of this run.")]


def query(
    journal: JournalOption = DEFAULT_JOURNAL,
    run: OneRunOption = None,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KIND", help="Only this kind, with or without its version.")
    ] = None,
    step: Annotated[str | None, typer.Option("--step", metavar="STEP", help="Only this step.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="PATH==VALUE",
            help="Only events whose value at a dotted path is this (JSON, or else text); repeat it to narrow further.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each event whole, as JSON, one a line.")] = False,
) -> int:
    """Find events, across runs or of one; needs no lock.

    Fields: run, kind, at, step, attempt, outcome, code, call.method, call.path, answer.status and so on, as
    `history RUN --event N --json` shows them.
    """
    from flowledger.cli.show import print_json_line
    from flowledger.cli.showhistory import history_lines
    from flowledger.journal import JournalReader

    wanted = query_of(run=run, kind=kind, step=step, where=where or [])
    with JournalReader.open(journal) as reader:
        if as_json:
            for document in reader.each(wanted):
                print_json_line({"number": document.doc_id, **document})
            return 0
        entries = _entries(reader, wanted)
    if entries:
        print("\n".join(history_lines(entries, name_runs=run is None)))
    else:
        print(" ".join(["No such events.", *_meant(journal, run=run, kind=kind, step=step)]))
    return 0


def _entries(reader: JournalReader, wanted: QueryLike | None) -> list[Entry]:
    """What was found, told as `history` does: an intent's outcome counts also where only the intent was asked for."""
    from tinydb import where

    from flowledger.cli.show import shown_documents
    from flowledger.engine.history import history_of

    found: dict[str | None, set[int]] = {}
    for document in reader.each(wanted):
        run = document.get("run")
        found.setdefault(run if isinstance(run, str) else None, set()).add(document.doc_id)
    entries: list[Entry] = []
    for run, numbers in found.items():
        of_run = (lambda doc: not isinstance(doc.get("run"), str)) if run is None else where("run") == run
        entries += [entry for entry in history_of(shown_documents(reader.each(of_run))) if entry.number in numbers]
    return sorted(entries, key=lambda entry: entry.number)


def _meant(journal: Path, *, run: str | None, kind: str | None, step: str | None) -> list[str]:
    """What was probably meant by names that nothing has."""
    from flowledger.engine.events import KINDS
    from flowledger.engine.specfault import nearest
    from flowledger.engine.table import TABLES
    from flowledger.journal import JournalReader

    with JournalReader.open(journal) as reader:
        runs = reader.runs()
    kinds = [known for full in KINDS for known in (full.partition("/")[0], full)]
    steps = list(dict.fromkeys(row.step.name for table in TABLES.values() for row in table.rows))
    told = []
    for option, word, known in (("--run", run, runs), ("--kind", kind, kinds), ("--step", step, steps)):
        near = nearest(word, known) if word is not None and word not in known else None
        told += [f"Did you mean {option} {near}?"] if near else []
    return told


def query_of(*, run: str | None, kind: str | None, step: str | None, where: list[str]) -> QueryLike | None:
    """The TinyDB query that the options ask for; None asks for everything. Raises UsageError."""
    from tinydb import where as field

    parts: list[Any] = []
    if run is not None:
        parts.append(field("run") == run)
    if kind is not None:
        # Kinds carry their version, as in intent_recorded/1; a person may leave it out.
        parts.append(field("kind").test(lambda value: kind in (str(value), str(value).partition("/")[0])))
    if step is not None:
        parts.append(field("step") == step)
    for condition in where:
        path, value = _condition(condition)
        query = field(path[0])
        for name in path[1:]:
            query = query[name]
        parts.append(query == value)
    if not parts:
        return None
    whole = parts[0]
    for part in parts[1:]:
        whole &= part
    return whole  # type: ignore[no-any-return]  # TinyDB's & loses the type


def _condition(text: str) -> tuple[list[str], Any]:
    import orjson

    from flowledger.errors import UsageError

    path, equals, value = text.partition("==")
    names = path.strip().split(".")
    if not equals or not all(names):
        raise UsageError(f"{text!r} is no condition", hint="write it like --where answer.status==429")
    try:
        return names, orjson.loads(value)
    except orjson.JSONDecodeError:
        return names, value.strip()


def verify(
    journal: JournalOption = DEFAULT_JOURNAL,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Look at every record one by one, whatever the digests say; takes much longer."),
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Read every byte of a journal and check it. Needs no lock; changes nothing.

    What a seal or a checkpoint vouches for is compared with its digest; every other record, and every record where a
    digest disagrees, is looked at: checksum, chain, numbering, JSON.
    """
    from dataclasses import asdict

    from flowledger.cli.failure import SCHEMA_VERSION
    from flowledger.cli.show import place, print_json
    from flowledger.journal.verify import verify as verify_journal

    found = verify_journal(journal, deep=deep)
    if as_json:
        document = asdict(found)
        print_json({"schema_version": SCHEMA_VERSION, "sound": found.sound, **document, "runs": list(found.runs)})
        return 0 if found.sound else 9
    runs = f"{len(found.runs)} run{'' if len(found.runs) == 1 else 's'}"
    if found.sound:
        print(f"{place(found.directory)} is sound: {found.events} events of {runs}, {found.size} bytes.")
        digested = sum(segment.digested for segment in found.segments)
        if digested:
            print(f"{digested} bytes fit the digests in the journal; the records after them were looked at one by one.")
        for segment in found.segments:
            if segment.sealed and segment.index != "fits":
                print(f"The stored index of {segment.file} is not used: {segment.index}. It will be made again.")
        if found.damage is not None:
            print(
                f"{found.file} is whole up to byte {found.damage.offset}; after that a batch is being written, or a "
                "crash cut one off. It was never acknowledged: the next writer cuts it off and keeps it aside."
            )
        for name in found.kept_aside:
            print(f"An earlier recovery kept aside: {name}")
        return 0
    assert found.damage is not None
    error = found.damage.error(found.file, found.directory)
    from flowledger.cli.command import Answered

    print(f"{place(found.directory)} is damaged; {found.events} events of {runs} are good before that.")
    raise Answered(error)


def export(
    target: Annotated[str, typer.Argument(metavar="FILE", help='Where to write; "-" is stdout.')],
    journal: JournalOption = DEFAULT_JOURNAL,
    run: OneRunOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it is there.")] = False,
) -> int:
    """Copy events out as JSON lines, oldest first: each with its number. Needs no lock."""
    import orjson
    from tinydb import where

    from flowledger.cli.files import write_new
    from flowledger.cli.printable import printable_json
    from flowledger.cli.show import print_json_line
    from flowledger.engine.specfault import nearest
    from flowledger.errors import NotThere
    from flowledger.journal import JournalReader

    with JournalReader.open(journal) as reader:
        if run is not None and run not in reader.runs():
            near = nearest(run, reader.runs())
            meant = f"; did you mean {near!r}?" if near else ""
            raise NotThere(f"the journal at {journal} has no run {run!r}{meant}", hint="flowledger runs")
        documents = reader.each(None if run is None else where("run") == run)
        if target == "-":
            for document in documents:
                print_json_line({"number": document.doc_id, **document})
            return 0
        written = 0

        def lines() -> Iterator[str]:
            nonlocal written
            for document in documents:
                yield printable_json(orjson.dumps({"number": document.doc_id, **document})).decode() + "\n"
                written += 1

        write_new(Path(), {target: (lines(), 0o600)}, force=force)
    say(f"wrote {written} events to {target}")
    return 0


def repair(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="A new directory for what is good.")],
    journal: JournalOption = DEFAULT_JOURNAL,
    as_json: JsonOption = False,
) -> int:
    """Write what is good of a damaged journal into a new one; the damaged one stays as it is.

    Events are numbered anew, and a record names what was lost. A lost outcome is found again by `resume`, which asks
    the platform for the marker; a lost intent cannot be.
    """
    from dataclasses import asdict

    from flowledger.cli.failure import SCHEMA_VERSION
    from flowledger.cli.show import print_json
    from flowledger.journal.repair import repair as repair_journal

    done = repair_journal(journal, to)
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, **asdict(done)})
        return 0
    print(f"Kept {done.kept} records in {to}.")
    for dropped in done.dropped:
        print(f"Dropped {dropped.size} bytes of {dropped.file} at offset {dropped.offset}: {dropped.reason}")
    if done.missing:
        print(f"{done.missing} record{' was' if done.missing == 1 else 's were'} found nowhere.")
    print(f"Next: flowledger runs --journal {to}")
    return 0


command(
    app,
    "query",
    summary="Find events, across runs or of one.",
    example="flowledger journal query --step create_flow --where answer.status==429\n"
    "flowledger journal query --run paypal-products --json | jq -r .kind",
    exit_codes="0 (also when nothing was found), 5 no journal, 9 journal damaged.",
)(query)
command(
    app,
    "verify",
    summary="Check every byte of a journal.",
    example="flowledger journal verify\nflowledger journal verify --deep",
    exit_codes="0 sound, 5 no journal, 9 damaged.",
)(verify)
command(
    app,
    "export",
    summary="Copy events out as JSON lines.",
    example="flowledger journal export --run paypal-products events.jsonl",
    exit_codes="0 written, 2 FILE is there already, 5 no journal or no such run, 9 journal damaged.",
)(export)
command(
    app,
    "repair",
    summary="Save what is good of a damaged journal.",
    example="flowledger journal repair --to .flowledger/journal-2",
    exit_codes="0 written, 2 DIR is not empty, 5 no journal, 9 no event can be read.",
)(repair)
journalcare.register(app)
