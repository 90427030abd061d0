"""The logger of a run: structlog as the program configured it, else the standard library's, quiet in a library."""

from __future__ import annotations

import logging
from typing import Any

import structlog


def logger_of(**fields: Any) -> Any:
    """A logger with those fields bound: at least the run, where there is one.

    structlog prints everything to standard output until somebody configures it, and a batch job's standard output is
    data. So without a configuration the records go to `logging.getLogger("flowledger")`, with the fields as extras.
    """
    if structlog.is_configured():
        return structlog.get_logger("flowledger").bind(**fields)
    quiet = structlog.wrap_logger(
        logging.getLogger("flowledger"),
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return quiet.bind(**fields)
