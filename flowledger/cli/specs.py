"""The verbs of a spec before it is provisioned: init, validate, plan, graph."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from flowledger.cli.command import DEFAULT_JOURNAL, Answered, JournalOption, JsonOption, Voice, command, run_async
from flowledger.cli.logs import warn
from flowledger.cli.provision import LocalOption, SpecArgument, aimed_at, known_ledger
from flowledger.words import counted


def init(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="The kind of source (--list shows all); paypal if left out.")
    ] = "",
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write.")] = Path(),
    listed: Annotated[bool, typer.Option("--list", help="List the kinds of sources and write nothing.")] = False,
    style: Annotated[
        str, typer.Option("--style", metavar="STYLE", help="tutorial (the shapes of 2020) or current.")
    ] = "tutorial",
    auth: Annotated[
        str | None,
        typer.Option("--auth", metavar="NAME", help="The way to authenticate; left out: the kind's first."),
    ] = None,
    kind_file: Annotated[
        Path | None, typer.Option("--kind-file", metavar="FILE", help="A file that defines a kind of your own.")
    ] = None,
    emulator: Annotated[
        bool, typer.Option("--emulator", help="Tune the spec for the emulator: a settle window of one second.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Write a commented spec that works as it is, and print the next command to type.

    Never overwrites a file unless told so.
    """
    from flowledger.cli.files import write_new
    from flowledger.cli.show import place
    from flowledger.engine.starter import starter
    from flowledger.errors import UsageError

    if listed:
        return _list_kinds(kind_file, as_json=as_json)
    if as_json:
        raise UsageError("--json goes with --list", hint="flowledger init --list --json")
    name = kind or ("" if kind_file is not None else "paypal")
    files = starter(name, folder, emulator=emulator, style=style, auth=auth, kind_file=kind_file)
    written = write_new(folder, files, force=force)
    for path in written:
        print(f"Wrote {place(path)}")
    _keep_out_of_git(folder)
    spec = place(written[0])
    print(f"Next: flowledger validate {spec}, then flowledger apply {spec} --local")
    return 0


IGNORED = ("secrets/", ".flowledger/")  # what no repository should hold: secrets, and the journal of one machine


def _keep_out_of_git(folder: Path) -> None:
    """Write a .gitignore where there is none; where there is one, say which lines it lacks."""
    from flowledger.cli.files import write_text, writing_into
    from flowledger.cli.show import place

    path = folder / ".gitignore"
    try:
        known = path.read_text(encoding="utf-8", errors="replace").split()
    except FileNotFoundError:
        with writing_into(folder):
            write_text(path, "\n".join(IGNORED) + "\n", mode=0o644, force=False)
        print(f"Wrote {place(path)}")
        return
    except OSError:
        known = []
    missing = [name for name in IGNORED if not {name, name.rstrip("/"), f"/{name}", f"/{name}*"} & {*known}]
    if missing:
        print(f"Add to {place(path)}: {' and '.join(missing)}")


def _list_kinds(kind_file: Path | None, *, as_json: bool) -> int:
    from itertools import groupby

    from flowledger.cli.failure import SCHEMA_VERSION
    from flowledger.cli.printable import printable
    from flowledger.cli.show import bold, print_json, table
    from flowledger.engine.kindfile import load_kind
    from flowledger.engine.starter import kinds_there_are
    from flowledger.steps.sources import REFUSED

    kinds = list(kinds_there_are(os.environ).values())
    if kind_file is not None:
        kinds.append(load_kind(kind_file))
    if as_json:
        print_json(
            {
                "schema_version": SCHEMA_VERSION,
                "kinds": [
                    {
                        "kind": kind.kind,
                        "label": kind.label,
                        "family": kind.family,
                        "connection_spec_id": kind.connection_spec_id,
                        "auths": [auth.name for auth in kind.auths],
                        "row_filters": kind.row_filters,
                        "delta_format": kind.delta_format,
                        "tables": list(kind.sample_tables),
                        "ends": None if kind.ends is None else kind.ends.model_dump(),
                        "auths_that_end": {
                            way.name: way.ends.model_dump() for way in kind.auths if way.ends is not None
                        },
                    }
                    for kind in kinds
                ],
                "refused": [{"kind": kind, "why": f"{kind} {why}"} for kind, why in REFUSED.items()],
            }
        )
        return 0
    for family, members in groupby(kinds, key=lambda kind: kind.family):
        print(bold(family))
        rows = [
            (
                kind.kind,
                printable(kind.label),
                "row filters" if kind.row_filters else "",
                f"ends {kind.ends.when}" if kind.ends is not None else "",
                printable(
                    ", ".join(f"{way.name} (ends {way.ends.when})" if way.ends else way.name for way in kind.auths)
                ),
            )
            for kind in members
        ]
        print("\n".join(table(rows)))
    if any(kind.announced_ends() for kind in kinds):
        print("\nends: the month for which Adobe has announced the end of the source, or of a way to authenticate.")
    print("\nNext: flowledger init KIND. docs/sources.md says what each needs, and how sure that is.")
    return 0


def validate(spec: SpecArgument, as_json: JsonOption = False, voice: Voice = Voice()) -> int:
    """Judge a spec offline: every fault at once, each with file, line, key path and what would be right."""
    from flowledger.cli.failure import SCHEMA_VERSION, stop_of
    from flowledger.cli.printable import printable
    from flowledger.cli.show import print_json
    from flowledger.engine.specchange import complete
    from flowledger.engine.specfile import load_spec
    from flowledger.errors import SpecError

    try:
        loaded = load_spec(spec, now=time.time(), base_url=aimed_at(local=False))
    except SpecError as error:
        if not as_json:
            raise
        print_json(
            {
                "schema_version": SCHEMA_VERSION,
                "valid": False,
                "file": str(spec),
                "faults": list(error.faults) or [error.message],
                "warnings": [],
                "error": stop_of(error),
            }
        )
        raise Answered(error) from error
    if as_json:
        print_json(
            {
                "schema_version": SCHEMA_VERSION,
                "valid": True,
                "file": str(spec),
                "run": loaded.spec.name,
                "faults": [],
                "warnings": list(loaded.warnings),
                "spec": complete(loaded.spec),
            }
        )
        return 0
    for warning in () if voice.quiet else loaded.warnings:
        warn(warning, run=loaded.spec.name)
    print(printable(f"{spec} is valid: run {loaded.spec.name}, {counted(len(loaded.spec.mappings), 'mapping')}."))
    print(printable(f"Next: flowledger plan {shlex.quote(str(spec))}"))
    return 0


def plan(
    spec: SpecArgument,
    journal: JournalOption = DEFAULT_JOURNAL,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask the journal only, not the platform, what exists already.")
    ] = False,
    local: LocalOption = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 when an apply would do something, 0 when not.")
    ] = False,
    as_json: JsonOption = False,
    voice: Voice = Voice(),
) -> int:
    """Show every call that apply would make: in which branch and order, which change something, what exists.

    Reads the journal, and (unless --offline) asks the platform for what would be shared; changes nothing anywhere.
    """
    from flowledger.cli.local import state_beside
    from flowledger.cli.planning import planned, refuse_changed, refuse_elsewhere
    from flowledger.cli.show import print_json
    from flowledger.cli.showplan import plan_lines
    from flowledger.engine.ledger import RunState
    from flowledger.engine.plan import plan_of
    from flowledger.engine.specfile import load_spec

    loaded = load_spec(spec, base_url=aimed_at(local=local))
    ledger = known_ledger(loaded.spec.name, journal)
    refuse_elsewhere([ledger], local=local, begins=True)
    refuse_changed(loaded.spec, ledger)
    for warning in () if voice.quiet else loaded.warnings:
        warn(warning, run=loaded.spec.name)
    if offline or (ledger is not None and ledger.state is RunState.PROVISIONED):
        found = plan_of(loaded.spec, ledger)
    else:
        state = state_beside(journal) if local else None
        (found,) = run_async(planned([(loaded.spec, ledger)], local=state))
    if as_json:
        print_json({**found.to_json(), "journal": str(journal)})
    else:
        print("\n".join(plan_lines(found)))
    return 2 if detailed_exitcode and found.changes else 0


def graph(
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="mermaid, table (Markdown) or svg.")
    ] = "mermaid",
    style: Annotated[str, typer.Option("--style", metavar="STYLE", help="Whose machine: a spec's style.")] = "tutorial",
    verify_rows: Annotated[
        bool, typer.Option("--verify-rows", help="With the steps of a spec that has verify_rows.")
    ] = False,
) -> int:
    """Draw the state machine that a run walks, from the table that runs it."""
    from flowledger.engine.drawing import svg
    from flowledger.engine.graph import mermaid, table
    from flowledger.engine.specfault import did_you_mean
    from flowledger.engine.table import TABLES, TABLES_WITH_ROWS
    from flowledger.errors import UsageError

    drawings = {"mermaid": mermaid, "table": table, "svg": svg}
    if form not in drawings:
        raise UsageError(
            f"there is no format {form!r}: {did_you_mean(form, tuple(drawings))}",
            hint=" or ".join(f"--format {one}" for one in drawings),
        )
    if style not in TABLES:
        raise UsageError(
            f"there is no style {style!r}: {did_you_mean(style, tuple(TABLES))}",
            hint=" or ".join(f"--style {known}" for known in TABLES),
        )
    print(drawings[form]((TABLES_WITH_ROWS if verify_rows else TABLES)[style]), end="")
    return 0


def register(app: typer.Typer) -> None:
    """Add this family's verbs."""
    command(
        app,
        "init",
        summary="Write a commented spec that works as it is.",
        example="flowledger init --list\nflowledger init paypal\nflowledger init salesforce flows --style current\n"
        "flowledger init --kind-file my-kind.yaml",
        exit_codes="0 written or listed, 2 a file is there already or the kind is unknown, 3 the kind's file is wrong.",
    )(init)
    command(
        app,
        "validate",
        summary="Judge a spec offline; every fault at once.",
        example="flowledger validate paypal-products.yaml",
        exit_codes="0 valid, 3 not valid.",
    )(validate)
    command(
        app,
        "plan",
        summary="Show every call that apply would make.",
        example="flowledger plan paypal-products.yaml --offline",
        exit_codes="0 shown, 2 with --detailed-exitcode: changes, 3 spec invalid or changed, 4 credentials, "
        "5 a named base connection is not there, 75 the platform cannot be reached.",
    )(plan)
    command(
        app,
        "graph",
        summary="Draw the state machine.",
        example="flowledger graph > machine.mmd\nflowledger graph --style current --format svg > machine.svg",
        exit_codes="0 drawn.",
    )(graph)
