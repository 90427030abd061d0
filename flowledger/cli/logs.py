"""Logs go to stderr, as loud as was asked for."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flowledger.cli.printable import printable, printable_value

if TYPE_CHECKING:
    from flowledger.cli.command import Voice


def configure_logs(voice: Voice) -> None:
    """Send structlog's and the standard library's records to stderr: warnings, with -v news, with -vv every call."""
    import structlog

    level = logging.ERROR if voice.quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(voice.verbose, 2)]

    def to_stderr(*_: Any) -> structlog.PrintLogger:
        # Looked up at each bind: while branches are shown live, stderr is theirs, and lines go above them.
        return structlog.PrintLogger(file=_Stderr())  # type: ignore[arg-type] # write and flush are all it needs

    structlog.configure(
        processors=[
            _shown,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(colors=coloured(sys.stderr), pad_event_to=0),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=to_stderr,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Shown("%(asctime)s %(name)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=level)
    logging.getLogger("asyncio").setLevel(max(level, logging.WARNING))  # which selector it uses is no news


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


def coloured(stream: Any) -> bool:
    """Whether a stream is a terminal that may show colour (https://no-color.org)."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
