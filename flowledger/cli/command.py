"""What every verb shares: the options for how loud to be, one way to fail, and help that reads like a manual page."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from flowledger.cli.logs import LogFormat
from flowledger.errors import DiskFull, FlowledgerError

_NO_THREAD = "can't start new thread"  # Python's words for what the operating system refused
Verb = Callable[..., "int | None"]
T = TypeVar("T")

JournalOption = Annotated[
    Path,
    typer.Option(
        "--journal",
        metavar="DIR",
        envvar="FLOWLEDGER_JOURNAL",
        show_envvar=True,
        readable=False,  # the journal's own words name the owner
        help="The journal's directory.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document (it has a schema_version) instead of text.")
]


def _run_names(incomplete: str) -> list[str]:
    from flowledger.cli.completion import run_names

    return run_names(incomplete)


RunArgument = Annotated[
    str,
    typer.Argument(metavar="RUN", help="The run's name, as in the spec and in `runs`.", autocompletion=_run_names),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Answer every question with yes; ask nothing.")]
DEFAULT_JOURNAL = Path(".flowledger/journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How loud a verb is. `verbose` counts the -v."""

    quiet: bool = False
    verbose: int = 0
    debug: bool = False
    log_format: LogFormat = LogFormat.TEXT


class Answered(Exception):
    """A verb failed and has already printed its JSON document; what is left is to tell the person and to exit."""

    def __init__(self, error: FlowledgerError) -> None:
        super().__init__(str(error))
        self.error = error


def command(
    app: typer.Typer, name: str, *, summary: str, example: str, exit_codes: str, notes: str = ""
) -> Callable[[Verb], Verb]:
    """Register a verb: `summary` is its line in lists of verbs, `notes`, `example` and `exit_codes` end its help.

    The verb gets -q, -v, --debug and --log-format without declaring them (as `voice`, if it has such a parameter), may
    return an exit code, and may raise any FlowledgerError: it is told on stderr and its exit code ends the program.
    """
    epilog = _paragraphs(notes=notes, example=example, exit_codes=exit_codes)

    def register(verb: Verb) -> Verb:
        wants_voice = "voice" in inspect.signature(verb).parameters

        @functools.wraps(verb)
        def run(*args: Any, quiet: bool, verbose: int, debug: bool, log_format: LogFormat, **given: Any) -> None:
            from flowledger.cli.hints import called_with
            from flowledger.cli.logs import configure_logs

            called_with(journal=given.get("journal"), local=bool(given.get("local")))
            voice = Voice(quiet=quiet, verbose=verbose, debug=debug, log_format=log_format)
            configure_logs(voice)
            if wants_voice:
                given["voice"] = voice

            def called() -> int | None:
                refuse_quotes(given.get("journal"))
                return verb(*args, **given)

            code = guarded(called, debug=debug, as_json=bool(given.get("as_json")))
            if code:
                raise typer.Exit(code)

        parameters = [
            parameter for parameter in inspect.signature(verb, eval_str=True).parameters.values()
            if parameter.name != "voice"
        ]  # fmt: skip
        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        signature = inspect.Signature([*parameters, *_VOICE])
        run.__signature__ = signature  # type: ignore[attr-defined]  # what typer reads
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in signature.parameters.values()}
        app.command(name, short_help=summary, epilog=epilog)(run)
        return verb

    return register


def refuse_quotes(journal: Path | None) -> None:
    """Raise UsageError for a journal in literal quotes: it would be a folder named by a quote, in a container's own."""
    from flowledger.errors import UsageError
    from flowledger.steps.client.quoting import LEAVE_THEM_OUT, in_quotes

    if journal is None:
        return
    if in_quotes(str(journal)):
        raise UsageError(f"the journal {journal} has quotes around its name", hint=LEAVE_THEM_OUT)
    if str(journal) != str(journal).strip():
        raise UsageError(
            f"the journal {str(journal)!r} has blanks or a line break around its name",
            hint="leave them out: a file of variables from Windows has a CR at the end of each line",
        )


def guarded(verb: Callable[[], int | None], *, debug: bool, as_json: bool) -> int:
    """Run a verb and return its exit code; every failure is told once, a traceback only if asked for."""
    from flowledger.cli.failure import error_document, no_thread, refusal_of, tell, tell_bug
    from flowledger.cli.show import drop_stdout, print_json

    code = 0
    try:
        code = verb() or 0
        sys.stdout.flush()
        return code
    except Answered as failed:
        tell(failed.error, debug=debug)
        return failed.error.exit_code
    except FlowledgerError as error:
        if as_json:
            try:
                print_json(error_document(error))
            except OSError:
                drop_stdout()  # there is no room for it; the error is told all the same
        tell(error, debug=debug)
        return error.exit_code
    except BrokenPipeError:
        drop_stdout()  # the reader (`| head`) has seen enough; what the verb has come to is so all the same
        return code
    except KeyboardInterrupt:
        return 130
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except OSError as error:
        refusal = refusal_of(error)
        if isinstance(refusal, DiskFull):
            drop_stdout()  # it may be stdout that has no room
        elif as_json:
            print_json(error_document(refusal))
        tell(refusal, debug=debug)
        return refusal.exit_code
    except RuntimeError as error:
        if str(error) != _NO_THREAD:
            tell_bug(error, debug=debug)
            return 1
        refusal = no_thread()
        if as_json:
            print_json(error_document(refusal))
        tell(refusal, debug=debug)
        return refusal.exit_code
    except Exception as error:  # noqa: BLE001 - the outermost frame: a person gets a sentence, not a traceback
        tell_bug(error, debug=debug)
        return 1


def sure(question: str, *, yes: bool, otherwise: str) -> None:
    """Ask before something is lost. Raises UsageError at a "no", and where there is nobody to ask.

    `otherwise` says what to type to go ahead without a question.
    """
    from flowledger.errors import UsageError

    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{question} There is no terminal to ask at.", hint=otherwise)
    if not typer.confirm(question, err=True):
        raise UsageError("you answered no: nothing was changed", hint=otherwise)


def _voice_parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


_VOICE = (
    _voice_parameter(
        "quiet", Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only errors on stderr.")], False
    ),
    _voice_parameter(
        "verbose",
        Annotated[
            int,
            typer.Option(
                "--verbose",
                "-v",
                count=True,
                metavar="",
                show_default=False,
                help="Log to stderr; -vv logs every call.",
            ),
        ],
        0,
    ),
    _voice_parameter("debug", Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")], False),
    _voice_parameter(
        "log_format",
        Annotated[
            LogFormat,
            typer.Option(
                "--log-format",
                envvar="FLOWLEDGER_LOG_FORMAT",
                show_envvar=True,
                help="What is written to stderr: text for people, or JSON lines.",
            ),
        ],
        LogFormat.TEXT,
    ),
)


def _paragraphs(*, notes: str, example: str, exit_codes: str) -> str:
    """Help text after the options. A paragraph that begins with \\b keeps its lines."""
    parts = [notes] if notes else []
    parts.append("\b\nExample:\n" + "\n".join(f"  $ {line}" for line in example.splitlines()))
    parts.append(f"Exit codes: {exit_codes}")
    return "\n\n".join(parts)


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; loads asyncio only then, which help can do without."""
    import asyncio

    return asyncio.run(work)
