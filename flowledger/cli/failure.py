"""Tell a person, or a program that reads `--json`, what went wrong, to what, and what to type next."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

from flowledger.cli.excerpt import Excerpts
from flowledger.cli.hints import as_typed
from flowledger.cli.logs import coloured, json_lines, say
from flowledger.cli.printable import printable
from flowledger.errors import (
    DiskFull,
    Drifted,
    FlowledgerError,
    JournalCorrupt,
    JournalHeld,
    SpecError,
    StepError,
    TryLater,
    UsageError,
)

SCHEMA_VERSION = 1


def tell(error: FlowledgerError, *, debug: bool = False) -> None:
    """Print an error to stderr: a sentence, each fault on its own line, and the next thing to do."""
    if json_lines():
        run = {"run": error.run} if isinstance(error, StepError) else {}
        told = {name: value for name, value in stop_of(error).items() if name != "message" and value != ""}
        say(error.message, level="error", **run, **told, faults=list(faults_of(error)), **_traceback(error, debug))
        return
    if debug:
        _say(_shown("".join(traceback.format_exception(error)).rstrip()))
    _say(f"{_red('error:')} {_shown(str(error))}")
    excerpts = Excerpts()
    for fault in faults_of(error):
        if fault not in str(error):
            _say(f"  - {_shown(fault)}")
        if isinstance(error, SpecError):
            for line in excerpts.of(fault):
                _say(_shown(line))
    if error.hint:
        _say(f"next: {_shown(as_typed(error.hint))}")


def tell_bug(error: Exception, *, debug: bool = False) -> None:
    """Print an error that nobody foresaw. The journal is readable after it, as after a kill."""
    if json_lines():
        what = f"flowledger has a fault of its own: {type(error).__name__}: {error}"
        say(what, level="error", error=type(error).__name__, exit_code=1, **_traceback(error, debug))
        return
    if debug:
        _say(_shown("".join(traceback.format_exception(error)).rstrip()))
    _say(f"{_red('error:')} flowledger has a fault of its own: {type(error).__name__}: {_shown(str(error))}")
    _say("next: run it again with --debug for the traceback, and report it; what was journaled is safe to resume")


def refusal_of(error: OSError) -> FlowledgerError:
    """The error of ours for what the operating system refused to a verb: it is the caller's to change."""
    from flowledger.journal.refusal import NO_RIGHT, NO_ROOM, PASSING, passing_hint, without_working_folder

    what = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    if gone := without_working_folder(Path("the path")):
        return UsageError("the working folder was removed, and this verb needs one", hint=gone.hint)
    if error.errno in NO_ROOM:
        return DiskFull(f"not all of it could be written: {what}", hint="make room, then the same again")
    if error.errno in PASSING:
        return TryLater(f"the operating system refused it: {what}", hint=passing_hint(error.errno))
    if error.errno in NO_RIGHT:
        hint = f"give user {os.geteuid()} the right to use it, then the same again; --debug shows where it was needed"
    else:
        hint = "see that it is there and of the right kind, then the same again; --debug shows where it was needed"
    return UsageError(f"the operating system refused it: {what}", hint=hint)


def no_thread() -> TryLater:
    """The error for a limit of threads or memory that a verb has met."""
    return TryLater(
        "the operating system gave no further thread",
        hint="raise the limit of processes (ulimit -u, or the container's) or of memory, then the same again",
    )


def faults_of(error: FlowledgerError) -> tuple[str, ...]:
    """The places that an error names one by one."""
    if isinstance(error, SpecError):
        return error.faults
    return error.differences if isinstance(error, Drifted) else ()


def stop_of(error: FlowledgerError) -> dict[str, Any]:
    """An error as the `stopped` part of a report."""
    step, code, asked = (error.step, error.code, error.request_id) if isinstance(error, StepError) else ("", "", "")
    return {
        "error": type(error).__name__,
        "message": error.message,
        "step": step,
        "code": code,
        "request_id": asked,
        "hint": error.hint,
        "exit_code": error.exit_code,
    }


def error_document(error: FlowledgerError) -> dict[str, Any]:
    """What `--json` prints when a verb has failed."""
    told: dict[str, Any] = {**stop_of(error), "faults": list(faults_of(error))}
    if isinstance(error, JournalHeld):
        told["holder"] = error.holder
    if isinstance(error, JournalCorrupt):
        told |= {"file": error.file, "offset": error.offset, "line": error.line, "reason": error.reason}
    return {"schema_version": SCHEMA_VERSION, "error": told}


def run_document(error: FlowledgerError, run: str, journal: Path) -> dict[str, Any]:
    """What `apply --json` and `resume --json` print when they have failed: the run's report, and why it stopped."""
    from flowledger.engine.api import read_status

    try:
        document = read_status(run, journal).to_json()
    except FlowledgerError:  # no such run yet, or its journal cannot be read: the error at hand says more
        document = {
            "schema_version": SCHEMA_VERSION,
            "run": run,
            "state": "planned",
            "resources": [],
            "duplicates": [],
            "journal": str(journal),
        }
    document["stopped"] = stop_of(error)
    if faults_of(error):
        document["stopped"]["faults"] = list(faults_of(error))
    return document


def _traceback(error: Exception, debug: bool) -> dict[str, str]:
    return {"traceback": "".join(traceback.format_exception(error))} if debug else {}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _shown(text: str) -> str:
    return printable(text, keep="\n")


def _red(text: str) -> str:
    return f"\x1b[1;31m{text}\x1b[0m" if coloured(sys.stderr) else text
