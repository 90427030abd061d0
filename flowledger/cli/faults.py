"""The verbs that make a running emulator misbehave, or forget: emulator faults, emulator reset."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from flowledger.cli.command import JsonOption, YesOption, command, sure
from flowledger.errors import NotPermitted, NotServed, NotThere, Unreachable, UsageError

app = typer.Typer(
    help="Make a running emulator misbehave: by route or step, by count, reproducibly.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

UrlOption = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="URL",
        help="The running emulator, as its Ready line names it.  [env var: FLOWLEDGER_BASE_URL; else that of -d]",
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="Of an emulator that was started with -d."),
]
PATIENCE_S = 10  # how long an emulator may take to answer about itself

HELP = {  # the verb whose help says what a control route takes
    "faults": "flowledger emulator faults add --help",
    "reset": "flowledger emulator reset --help",
    "advance": "flowledger emulator advance --help",
    "requests": "flowledger emulator logs --help",
    "health": "flowledger emulator status --help",
    "counts": "flowledger emulator status --help",
}
ANSWERS = {  # what an emulator's answer has, by call
    ("GET", "health"): frozenset({"status", "pid", "now_ms", "requests"}),
    ("GET", "counts"): frozenset({"connections", "flows"}),
    ("GET", "requests"): frozenset({"requests"}),
    ("GET", "faults"): frozenset({"faults", "list_lag_ms", "latency_ms"}),
    ("POST", "faults"): frozenset({"ids"}),
    ("POST", "advance"): frozenset({"now_ms"}),
}

KINDS = """\b
KIND is one of
  answer     another answer: --status, --shape, --retry-after, --after
  drop       no answer, connection closed: before the commit, or --after
  cut        closed in the middle of the body; the call took effect
  late       closed without an answer; takes effect --after-ms later
  slow       answered --delay-ms late
  token      the token is revoked before the call
  twice      delivered twice, answered once
  etag_bump  somebody else touches the object just before the call
  latency    every answer takes --ms longer, until cleared
  list_lag   lists (of --collection) run --ms behind, until cleared

ROUTE is a method and a path or its end, like "POST /connections" or "* *";
--step says it by the step whose call is meant."""


def add(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What goes wrong (see below).")],
    route: Annotated[str | None, typer.Argument(metavar="ROUTE", help="Which calls it is for.")] = None,
    url: UrlOption = "",
    state: StateOption = None,
    step: Annotated[str | None, typer.Option("--step", metavar="STEP", help="The call of this step.")] = None,
    times: Annotated[int, typer.Option("--times", metavar="N", min=0, help="How often; 0 is for ever.")] = 1,
    skip: Annotated[int, typer.Option("--skip", metavar="N", min=0, help="Let N such calls pass first.")] = 0,
    after: Annotated[bool, typer.Option("--after", help="After the commit: the call takes effect.")] = False,
    status: Annotated[int | None, typer.Option("--status", metavar="N", help="HTTP status of the answer.")] = None,
    shape: Annotated[
        str | None,
        typer.Option("--shape", metavar="SHAPE", help="Body: gateway, service, html, empty, malformed or no_id."),
    ] = None,
    retry_after: Annotated[str | None, typer.Option("--retry-after", metavar="S", help="A Retry-After header.")] = None,
    after_ms: Annotated[int | None, typer.Option("--after-ms", metavar="MS", help="When it takes effect.")] = None,
    delay_ms: Annotated[int | None, typer.Option("--delay-ms", metavar="MS", help="How late the answer is.")] = None,
    where: Annotated[str | None, typer.Option("--where", metavar="TEXT", help="Only bodies that hold TEXT.")] = None,
    ms: Annotated[int | None, typer.Option("--ms", metavar="MS", help="For latency and list_lag.")] = None,
    collection: Annotated[
        str | None, typer.Option("--collection", metavar="KIND", help="For list_lag: connections, dataSets, ...")
    ] = None,
) -> int:
    """Add a fault to the end of its route's queue, and print its number."""
    from flowledger.emulator.faults import FaultKind
    from flowledger.engine.specfault import did_you_mean

    kinds = [*map(str, FaultKind), "latency", "list_lag"]
    if kind not in kinds:
        raise UsageError(
            f"there is no fault {kind!r}: {did_you_mean(kind, kinds)}", hint="flowledger emulator faults add --help"
        )
    fault: dict[str, Any] = {"kind": kind}
    if kind in ("latency", "list_lag"):
        if ms is None:
            raise UsageError(f"{kind} needs --ms", hint=f"flowledger emulator faults add {kind} --ms 100")
        fault |= {"ms": ms} | ({"collection": collection} if collection else {})
    else:
        fault |= _aim(route, step)
        fault |= {"times": times, "skip": skip, "when": "after" if after else "before"}
        given = {
            "status": status,
            "shape": shape,
            "retry_after": retry_after,
            "after_ms": after_ms,
            "delay_ms": delay_ms,
            "where": where,
        }
        fault |= {name: value for name, value in given.items() if value is not None}
    ids = ask(meant(url, state), "POST", "faults", fault)["ids"]
    print(f"Added fault {ids[0]}." if ids else f"Set {kind} to {ms} ms.")
    return 0


def list_faults(url: UrlOption = "", state: StateOption = None, as_json: JsonOption = False) -> int:
    """Show the faults in force, in the order in which they strike, and how often they have."""
    from flowledger.cli.show import print_json, table

    found = ask(meant(url, state), "GET", "faults")
    if as_json:
        print_json({"schema_version": 1, **found})
        return 0
    rows = [
        (
            str(fault["id"]),
            fault["kind"],
            fault["route"],
            f"{fault['struck']}/{fault['times'] or 'ever'}",
            " ".join(
                f"{name}={fault[name]}"
                for name in ("when", "status", "shape", "skip", "retry_after", "after_ms", "delay_ms", "where")
                if fault.get(name)
            ),
        )
        for fault in found["faults"]
    ]
    lines = table(rows, head=("ID", "KIND", "ROUTE", "STRUCK", "HOW"), indent=0) if rows else ["No faults."]
    lines += [f"Lists of {kind} run {lag} ms behind." for kind, lag in found["list_lag_ms"].items()]
    if found["latency_ms"]:
        lines.append(f"Every answer takes {found['latency_ms']} ms longer.")
    print("\n".join(lines))
    return 0


def clear(
    number: Annotated[int | None, typer.Argument(metavar="ID", help="Only this one.")] = None,
    url: UrlOption = "",
    state: StateOption = None,
) -> int:
    """Take faults back: one, or all of them with list lag and latency."""
    ask(meant(url, state), "DELETE", "faults" if number is None else f"faults/{number}")
    print("Cleared." if number is None else f"Cleared fault {number}.")
    return 0


def reset(url: UrlOption = "", state: StateOption = None, yes: YesOption = False) -> int:
    """Make a running emulator forget everything: objects, tokens, faults.

    Runs whose objects were on it can then only report drift.
    """
    base = _base(meant(url, state))
    sure(f"Forget everything in the emulator at {base}?", yes=yes, otherwise="flowledger emulator reset --yes")
    ask(base, "POST", "reset")
    print(f"The emulator at {base} is empty.")
    return 0


def register(emulator: typer.Typer) -> None:
    """Add these verbs to `emulator`."""
    command(
        emulator,
        "reset",
        summary="Make a running emulator forget everything.",
        example="flowledger emulator reset --url http://127.0.0.1:8480 --yes",
        exit_codes="0 empty, 2 not confirmed, 5 none was started here, 75 no emulator answers.",
    )(reset)
    emulator.add_typer(app, name="faults", short_help="Make a running emulator misbehave.")
    command(
        app,
        "add",
        summary="Add a fault.",
        notes=KINDS,
        example="flowledger emulator faults add drop --step create_dataset --after\n"
        'flowledger emulator faults add answer "* *" --status 429 --retry-after 2\n'
        "flowledger emulator faults add late --step create_flow --after-ms 2000",
        exit_codes="0 added, 2 no such fault, 5 none was started here, 75 no emulator answers.",
    )(add)
    command(
        app,
        "list",
        summary="Show the faults in force.",
        example="flowledger emulator faults list",
        exit_codes="0 shown, 5 none was started here, 75 no emulator answers.",
    )(list_faults)
    command(
        app,
        "clear",
        summary="Take faults back.",
        example="flowledger emulator faults clear",
        exit_codes="0 cleared, 5 no such fault, or none was started here, 75 no emulator answers.",
    )(clear)


def _aim(route: str | None, step: str | None) -> dict[str, str]:
    """The route of a fault; a step's is that of its effect, told from others on the same route by its marker."""
    if (route is None) == (step is None):
        raise UsageError(
            "a fault is for a ROUTE or for a --step", hint='like "POST /connections", or --step create_flow'
        )
    if route is not None:
        return {"route": route}
    from flowledger.engine.specfault import did_you_mean
    from flowledger.engine.table import TABLES

    # A step has the same route and the same marker in every style that takes it.
    rows = {row.step.name: row for table in TABLES.values() for row in table.rows}
    for row in rows.values():
        if row.step.name == step:
            made = {
                "connections": "/connections",
                "classes": "/tenant/classes",
                "schemas": "/tenant/schemas",
                "fieldgroups": "/tenant/fieldgroups",
            }.get(row.step.kind, f"/{row.step.kind}")
            if row.step.kind:
                return {"route": f"POST {made}", "where": f"-{row.step.slug}"}
    making = ", ".join(row.step.name for row in rows.values() if row.step.kind)
    meant = did_you_mean(str(step), [row.step.name for row in rows.values() if row.step.kind])
    raise UsageError(f"{step!r} is no step that makes something: {meant}", hint=f"the steps are {making}")


def meant(url: str, state: Path | None) -> str:
    """The base URL of the emulator that is meant: --url, else --state, else FLOWLEDGER_BASE_URL, else the one of -d.

    Raises NotThere if none was started where it is looked for, Unreachable if it has ended, UsageError.
    """
    from flowledger.cli.background import where

    named = os.environ.get("FLOWLEDGER_BASE_URL", "").strip()
    if url and state is not None:
        return where(state, url)
    return url or (named if state is None else "") or where(state, "")


def _base(url: str) -> str:
    from flowledger.steps.client.config import base_url
    from flowledger.steps.client.paths import is_loopback

    if not url.startswith("http://") or not is_loopback(url):
        raise UsageError(f"{url} is no emulator: those serve on loopback only", hint="--url http://127.0.0.1:8480")
    try:
        return base_url("the emulator's URL", url)
    except NotPermitted as error:
        raise UsageError(error.message, hint="--url http://127.0.0.1:8480") from None


def ask(url: str, method: str, path: str, body: Any = None) -> Any:
    """Ask a running emulator's control route. Raises UsageError, NotThere or Unreachable.

    Unreachable, too, when what answers is no emulator: its answer does not have what an emulator's has.
    """
    import urllib.error
    import urllib.request
    from http.client import HTTPException
    from urllib.parse import urlsplit

    import orjson

    base = _base(url)
    none = f"what answers at {base} is no emulator"
    request = urllib.request.Request(  # noqa: S310 - `_base` has let http on loopback pass, nothing else
        f"{base}/_emulator/{path}",
        method=method,
        data=orjson.dumps(body) if body is not None else None,
        headers={"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PATIENCE_S) as response:
            answered = response.read()
    except urllib.error.HTTPError as error:
        try:
            message = str(orjson.loads(error.read())["error"])
        except (ValueError, KeyError, TypeError, OSError, HTTPException):
            raise Unreachable(f"{none}: it says HTTP {error.code}", hint="flowledger emulator start -d") from error
        if error.code == 404 and path.startswith("faults/"):
            raise NotThere(message, hint="flowledger emulator faults list") from error
        verb = path.partition("?")[0].partition("/")[0]
        raise UsageError(f"the emulator refused: {message}", hint=HELP[verb]) from error
    except HTTPException as error:
        raise Unreachable(f"{none}: {type(error).__name__}", hint="flowledger emulator start -d") from error
    except OSError as error:
        why = getattr(error, "reason", error)
        if isinstance(why, ConnectionRefusedError):
            raise NotServed(base, port=urlsplit(base).port) from error
        raise Unreachable(f"no emulator answers at {base}: {why}", hint="flowledger emulator start -d") from error
    try:
        found = orjson.loads(answered) if answered else None
    except ValueError as error:
        raise Unreachable(none, hint="flowledger emulator start -d") from error
    expected = ANSWERS.get((method, path.partition("?")[0]), frozenset())
    if expected and not (isinstance(found, dict) and expected <= set(found)):
        raise Unreachable(none, hint="flowledger emulator start -d")
    return found
