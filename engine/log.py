"""The logger of a run: structlog as the program configured it, else the standard library's, quiet in a library.

Logging decides nothing about a run: what a processor, a filter or a record factory of the embedding program raises is
kept away from it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from inspect import iscoroutine
from typing import Any, Final

import structlog

NAME: Final = "flowledger"


class RunLog:
    """A logger with fields bound, whose methods never raise."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = dict(fields)

    def debug(self, event: str, **fields: Any) -> None:
        """What happens, call by call."""
        self._log("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """What a run does that is not usual."""
        self._log("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """What a person should look at."""
        self._log("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """What went wrong beside the error that is raised."""
        self._log("error", event, fields)

    def _log(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        fields = {**self._fields, **fields}
        with suppress(Exception):  # the program's own logging: it is said below, in another way
            said = getattr(_logger(), level)(event, **fields)
            if not iscoroutine(said):
                return
            said.close()  # a logger that wants to be awaited, which no line of ours can wait for
        # A record factory that sets `run` or `step` refuses them as extras: then they go into the message.
        words = " ".join((event, *(f"{name}={value!r}" for name, value in fields.items())))
        with suppress(Exception):  # there is no third way, and the run goes on
            logging.getLogger(NAME).log(logging.getLevelNamesMapping()[level.upper()], "%s", words)


def _logger() -> Any:
    """As it is configured now.

    structlog prints everything to standard output until somebody configures it, and a batch job's standard output is
    data. So without a configuration the records go to `logging.getLogger("flowledger")`, with the fields as extras.
    """
    if structlog.is_configured():
        logger = structlog.get_logger(NAME).bind()
        return getattr(logger, "sync_bl", logger)  # of an AsyncBoundLogger, whose own methods are to be awaited
    return structlog.wrap_logger(
        logging.getLogger(NAME),
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def logger_of(**fields: Any) -> RunLog:
    """A logger with those fields bound: at least the run, where there is one."""
    return RunLog(fields)
