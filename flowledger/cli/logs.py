"""Logs go to stderr, as loud and in the form that was asked for: text for people, JSON lines for a log collector."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from flowledger.cli.printable import printable, printable_json, printable_value

if TYPE_CHECKING:
    from flowledger.cli.command import Voice


class LogFormat(StrEnum):
    """What is written to stderr."""

    TEXT = "text"
    JSON = "json"  # one JSON object a line, whoever wrote it: logs, progress, warnings and the error at the end


_format = LogFormat.TEXT  # of this process, as its verb was called


def json_lines() -> bool:
    """Whether everything on stderr is to be JSON lines."""
    return _format is LogFormat.JSON


def say(text: str, *, level: str = "info", **fields: Any) -> None:
    """Tell a person on stderr, whatever the log level; as a JSON line with `fields` where those are wanted.

    `level` is the line's level there: a name that structlog knows, like "warning".
    """
    if not json_lines():
        print(text, file=sys.stderr, flush=True)
        return
    import structlog

    line = structlog.get_logger("flowledger").bind(**fields)
    getattr(line, level)(text)


def warn(text: str, **fields: Any) -> None:
    """Tell a person on stderr of something unwise, whatever the log level."""
    say(text if json_lines() else f"warning: {text}", level="warning", **fields)


def configure_logs(voice: Voice) -> None:
    """Send structlog's and the standard library's records to stderr.

    Warnings; with -v news; with -vv every call. As JSON lines news too, since there they are the progress.
    """
    import structlog

    global _format
    _format = voice.log_format
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    level = logging.ERROR if voice.quiet else levels[min(voice.verbose + json_lines(), 2)]

    def to_stderr(*_: Any) -> structlog.PrintLogger:
        # Looked up at each bind: while branches are shown live, stderr is theirs, and lines go above them.
        return structlog.PrintLogger(file=_Stderr())  # type: ignore[arg-type] # write and flush are all it needs

    ending: list[Any] = [
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(colors=coloured(sys.stderr), pad_event_to=0),
    ]
    if json_lines():
        ending = [
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json_line),
        ]
    structlog.configure(
        processors=[_shown, structlog.processors.add_log_level, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=to_stderr,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    if json_lines():
        stamped = [structlog.stdlib.add_logger_name, structlog.processors.add_log_level, _shown, ending[0], ending[1]]
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=stamped,
                processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, ending[-1]],
            )
        )
    else:
        handler.setFormatter(_Shown("%(asctime)s %(name)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=level)
    logging.getLogger("asyncio").setLevel(max(level, logging.WARNING))  # which selector it uses is no news
    # An emulator in this process (`--local`) has a request log of its own; here its lines are for -vv.
    logging.getLogger("aiohttp.access").setLevel(logging.NOTSET if level <= logging.DEBUG else logging.WARNING)


class _Stderr:
    """Standard error as it is now. Whoever read it may have gone (`2>&1 | head`): a run matters more than its log."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


class _Shown(logging.Formatter):
    """What a platform put into a record cannot steer the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), keep="\n")


def _shown(logger: Any, name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001 - structlog's signature
    shown: Mapping[str, Any] = printable_value(event)
    return shown


def _json_line(event: Any, **_: Any) -> str:
    import orjson

    try:
        line = orjson.dumps(event, default=str)
    except TypeError:  # a path of bytes that are no UTF-8
        line = orjson.dumps(printable_value(event), default=str)
    return printable_json(line).decode()


def coloured(stream: Any) -> bool:
    """Whether a stream is a terminal that may show colour (https://no-color.org)."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
