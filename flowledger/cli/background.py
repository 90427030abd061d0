"""The verbs for an emulator in the background: emulator start -d, status, wait, logs, stop."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, Final

import typer

from flowledger.cli.command import JsonOption, command
from flowledger.cli.faults import ask
from flowledger.errors import FlowledgerError, NotThere, TryLater, Unreachable, UsageError

PLACE: Final = Path(".flowledger/emulator")  # of an emulator in the background, and of its state
CARD: Final = "serving.json"  # who serves there: pid and url
LOG: Final = "emulator.log"
START_TIMEOUT: Final = 30.0  # seconds
LOG_LENGTH: Final = 1000  # calls that an emulator keeps
POLL: Final = 0.1  # seconds

StateOption = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help=f"Of an emulator that was started with -d.  [default: {PLACE}]"),
]
UrlOption = Annotated[
    str, typer.Option("--url", metavar="URL", help="Any running emulator, as its Ready line names it.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Who serves in a folder, by what it wrote there when it was ready."""

    pid: int
    url: str


def start_apart(arguments: Sequence[str], *, state: Path, quiet: bool) -> int:
    """Start the emulator as a process of its own and return once it answers; it outlives this one and its terminal."""
    import orjson

    from flowledger.cli.files import writing_into
    from flowledger.cli.logs import warn

    log = state / LOG
    line = [sys.executable, "-m", "flowledger", "emulator", "start", "--state", str(state), *arguments]
    with writing_into(state):
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        stderr = log.open("ab")
        logged = log.stat().st_size
    with stderr:
        process = subprocess.Popen(  # noqa: S603 - ourselves, with the options that we were given
            line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True,
            env={**os.environ, **_import_path()},
        )  # fmt: skip
    assert process.stdout is not None
    # The first line is the only one that it ever prints; closing the pipe afterwards harms nothing.
    ready = _first_line(process.stdout, START_TIMEOUT)
    process.stdout.close()
    if ready is None or not ready.startswith("Ready. "):
        try:
            code = process.wait(0 if ready is None else START_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.wait()
            raise TryLater(
                f"the emulator did not begin to serve within {START_TIMEOUT:g} seconds, and was ended",
                hint=f"see {log}, and try again",
            ) from error
        told = log.read_text(errors="replace").strip().splitlines()
        hint = next((text.removeprefix("next: ") for text in reversed(told) if text.startswith("next: ")), f"see {log}")
        why = next((text.removeprefix("error: ") for text in reversed(told) if text.startswith("error: ")), "")
        raise _failed(code, f"the emulator did not start: {why or f'it ended with {code}'}", hint)
    url = ready.removeprefix("Ready. ")
    (state / CARD).write_bytes(orjson.dumps({"pid": process.pid, "url": url}))
    process.returncode = 0  # not to be waited for: it goes on without us
    its = "" if state == PLACE else f" --state {shlex.quote(str(state))}"
    for warning in [] if quiet else _warnings(log, logged):
        warn(warning)
    print(ready if quiet else f"{ready}  (process {process.pid}; flowledger emulator stop{its} ends it)")
    return 0


def _first_line(stream: IO[bytes], seconds: float) -> str | None:
    """The first line of a child's stdout, or what there is of it when the stream ends; None: nothing came in time."""
    import selectors

    until = time.monotonic() + seconds
    found = bytearray()
    with selectors.DefaultSelector() as waiting:
        waiting.register(stream, selectors.EVENT_READ)
        while b"\n" not in found:
            left = until - time.monotonic()
            if left <= 0 or not waiting.select(left):
                return None
            part = os.read(stream.fileno(), 4096)
            if not part:
                break
            found += part
    return found.partition(b"\n")[0].decode(errors="replace").strip()


def _warnings(log: Path, begin: int) -> list[str]:
    """What the emulator has warned of since the log had that many bytes."""
    with log.open("rb") as file:
        file.seek(begin)
        lines = file.read().decode("utf-8", "replace").splitlines()
    return [line.removeprefix("warning: ") for line in lines if line.startswith("warning: ")]


def _import_path() -> dict[str, str]:
    """The variables with which a new Python finds flowledger, where it is in an archive that only this one knows."""
    import sysconfig
    from zipimport import zipimporter

    import flowledger

    if not isinstance(getattr(flowledger.__spec__, "loader", None), zipimporter):
        return {}
    library = Path(sysconfig.get_path("stdlib"))
    places = [place for place in sys.path if place and not Path(place).is_relative_to(library.parent)]
    return {"PYTHONPATH": os.pathsep.join(places)}


def status(state: StateOption = None, url: UrlOption = "", as_json: JsonOption = False) -> int:
    """Say whether an emulator serves, where, what it has answered and what exists there."""
    from flowledger.cli.printable import printable
    from flowledger.cli.show import print_json, table

    base = where(state, url)
    health, counts = ask(base, "GET", "health"), ask(base, "GET", "counts")
    if as_json:
        print_json({"schema_version": 1, "url": base, "health": health, "counts": counts})
        return 0
    print(f"Serving at {base} (process {health['pid']}), {health['requests']} calls answered.")
    made = [(kind, str(count)) for kind, count in counts.items() if count]
    print("\n".join(table(made)) if made else "Nothing exists there yet.")
    for warning in health.get("warnings", []):
        print(f"warning: {printable(str(warning))}")
    print(f"Log of calls: {base}/_emulator/")
    return 0


def wait(
    state: StateOption = None,
    url: UrlOption = "",
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="How long, like 30s or 2m.")] = "30s",
) -> int:
    """Return once an emulator answers, for scripts that start one beside other things."""
    from flowledger.cli.provision import seconds_of

    until = time.monotonic() + seconds_of(timeout)
    while True:
        try:
            base = where(state, url)
            ask(base, "GET", "health")
        except (Unreachable, NotThere) as error:
            if time.monotonic() >= until:
                raise Unreachable(f"no emulator within {timeout}: {error.message}", hint=error.hint) from error
            time.sleep(POLL)
        else:
            print(f"Ready. {base}")
            return 0


def logs(
    state: StateOption = None,
    url: UrlOption = "",
    number: Annotated[int, typer.Option("-n", "--number", metavar="N", min=1, help="The latest N calls.")] = 20,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Show the latest calls that an emulator has answered, the oldest first; with --json one document a line."""
    from flowledger.cli.logs import warn

    base = where(state, url)
    found = ask(base, "GET", f"requests?limit={number}")
    while True:
        for call in found["requests"]:
            _print_call(call, as_json=as_json)
        if not follow:
            return 0
        seen = found.get("last", 0)
        try:
            time.sleep(POLL)
            found = ask(base, "GET", f"requests?limit={LOG_LENGTH}&after={seen}")
            if found.get("last", 0) < seen:  # it was started anew, and counts from the beginning
                found = ask(base, "GET", f"requests?limit={LOG_LENGTH}")
        except KeyboardInterrupt:
            return 0
        if found.get("missed"):
            warn(f"{found['missed']} calls are not shown: they came faster than they were read")


def stop(state: StateOption = None) -> int:
    """End an emulator that was started with -d, and wait until it has let go of its state."""
    import signal

    place = state or PLACE
    if not (place / CARD).exists() and (place / LOG).exists():
        print(f"Nothing to stop: the emulator of {place} has been stopped.")
        return 0
    card = _card(place)
    try:
        _check_own(card, place)
    except (Unreachable, NotThere) as error:
        if _timed_out(error):
            raise TryLater(
                f"the emulator of {place} (process {card.pid}) does not answer",
                hint=f"try again; or, if it is stuck: kill {card.pid}",
            ) from error
        (place / CARD).unlink(missing_ok=True)
        print(f"Nothing to stop: no emulator of {place} answers at {card.url}.")
        return 0
    with suppress(ProcessLookupError):  # it ends by itself, or another `stop` was quicker
        os.kill(card.pid, signal.SIGTERM)
    until = time.monotonic() + START_TIMEOUT
    while _lives(card.pid):
        if time.monotonic() >= until:
            raise TryLater(f"process {card.pid} has not ended yet", hint="flowledger emulator stop")
        time.sleep(POLL)
    (place / CARD).unlink(missing_ok=True)
    print(f"Stopped. What was in {place} stays there.")
    return 0


def where(state: Path | None, url: str) -> str:
    """The base URL of the emulator that is meant. Raises NotThere if none was started where it is looked for."""
    if url:
        if state is not None:
            raise UsageError("--url and --state name two emulators", hint="give one of them")
        return url.rstrip("/")
    card = _card(state or PLACE)
    _check_own(card, state or PLACE)
    return card.url


def _check_own(card: Card, place: Path) -> None:
    """Raises NotThere when the emulator of the folder has ended and another process has its port; Unreachable."""
    health = ask(card.url, "GET", "health")
    if not isinstance(health, dict) or health.get("pid") != card.pid:
        raise NotThere(
            f"the emulator of {place} has ended; another process answers at {card.url}",
            hint="flowledger emulator start -d, or give --url",
        )


def _timed_out(error: FlowledgerError) -> bool:
    """Whether somebody took the call and does not answer it: it may well be there."""
    cause = error.__cause__
    return isinstance(getattr(cause, "reason", cause), TimeoutError)


def _card(place: Path) -> Card:
    import orjson

    try:
        card = orjson.loads((place / CARD).read_bytes())
        return Card(pid=int(card["pid"]), url=str(card["url"]))
    except OSError:
        raise NotThere(
            f"no emulator was started in the background in {place}", hint="flowledger emulator start -d, or give --url"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise NotThere(f"{place / CARD} cannot be read", hint="flowledger emulator start -d") from None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that has ended and whose parent has not looked yet has let go of everything.
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def _print_call(call: dict[str, Any], *, as_json: bool) -> None:
    from flowledger.cli.printable import printable
    from flowledger.cli.show import print_json_line

    if as_json:
        print_json_line(call)
        return
    clock = time.strftime("%H:%M:%S", time.localtime(call["at_ms"] / 1000))
    query = "&".join(f"{name}={value}" for name, value in call["query"])
    notes = [f"fault {call['fault']}"] if call["fault"] is not None else []
    notes += ["took effect late"] if call["late"] else []
    notes += [call["delivery"]] if call["delivery"] != "whole" else []
    notes += [call["reason"]] if call.get("reason") else []
    path = call["path"] + (f"?{query}" if query else "")
    told = f"  ({', '.join(notes)})" if notes else ""
    print(printable(f"{clock}  {call['status'] or '---'}  {call['method']:6} {path}{told}"), flush=True)


def _failed(code: int, message: str, hint: str) -> FlowledgerError:
    """The child's own end, told by us: what it ended with is what we end with."""
    known = {kind.exit_code: kind for kind in (UsageError, Unreachable)}
    if code in known:
        return known[code](message, hint=hint)
    from flowledger.errors import JournalHeld

    return JournalHeld(message, hint=hint) if code == JournalHeld.exit_code else FlowledgerError(message, hint=hint)


def register(emulator: typer.Typer) -> None:
    """Add these verbs to `emulator`."""
    command(
        emulator,
        "status",
        summary="Say whether an emulator serves, and what is there.",
        example="flowledger emulator status --json",
        exit_codes="0 it serves, 5 none was started here, 75 it does not answer.",
    )(status)
    command(
        emulator,
        "wait",
        summary="Return once an emulator answers.",
        example="flowledger emulator wait --url http://127.0.0.1:8480 --timeout 1m",
        exit_codes="0 it answers, 75 it did not in time.",
    )(wait)
    command(
        emulator,
        "logs",
        summary="Show the calls that an emulator has answered.",
        example="flowledger emulator logs -f\nflowledger emulator logs --json | jq 'select(.status >= 400)'",
        exit_codes="0 shown, 5 none was started here, 75 it does not answer.",
    )(logs)
    command(
        emulator,
        "stop",
        summary="End an emulator in the background.",
        example="flowledger emulator stop",
        exit_codes="0 it has ended, or did not run, 5 none was started here, 75 it has not ended yet.",
    )(stop)
