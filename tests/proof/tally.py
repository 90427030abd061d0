"""Counts, beside the tests and by other means than theirs, what scripts/prove prints: a pytest plugin.

The tests of tests/crash, tests/stateful and tests/acceptance assert for themselves. This looks once more at the world
in which each of their cells ended, and writes a line for each test into the file that FLOWLEDGER_TALLY names. It needs
tests/crash on PYTHONPATH: pytest has not read pyproject.toml's `pythonpath` when it loads plugins.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tests.proof.found import Found, Tally, taken
from tests.proof.inside import watch_faults, watch_fuzz, watch_matrix
from tests.proof.outside import look_at_kills, watch_kills, watch_kills_at_points

FILE: Final = "FLOWLEDGER_TALLY"


def pytest_collection_finish(session: pytest.Session) -> None:
    """The folders' own conftest modules are there now."""
    watchers: dict[str, Callable[[Any], None]] = {"stateful": watch_fuzz, "acceptance": watch_kills}
    tests = Path(__file__).resolve().parents[1]
    for module in session.config.pluginmanager.get_plugins():
        path = Path(getattr(module, "__file__", None) or "/")
        watch = (
            watchers.pop(path.parent.name, None) if path.name == "conftest.py" and path.parents[1] == tests else None
        )
        if watch is not None:
            watch(module)
    at_points = {id(item.module): item.module for item in session.items if isinstance(item, pytest.Function)}
    for module in at_points.values():
        if hasattr(module, "Nursery"):
            watch_kills_at_points(module)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Before the test's platform is closed."""
    look_at_kills(item)


@pytest.hookimpl(trylast=True)
def pytest_runtest_logfinish(nodeid: str) -> None:
    """Write what the test went through."""
    done = taken()
    if not done.cells and not done.crashes and not done.faults:
        return  # nothing that is counted here; or this is the process that only hands tests to workers
    line = orjson.dumps({"test": nodeid, **_plain(done)}) + b"\n"
    # One write at the end of the file: several workers share it.
    target = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(target, line)
    finally:
        os.close(target)


def _plain(tally: Tally) -> dict[str, Any]:
    fields = tuple(field.name for field in dataclass_fields(Found))
    return {
        "cells": tally.cells,
        "crashes": tally.crashes,
        "faults": tally.faults,
        "beyond_cells": tally.beyond_cells,
        "within": {name: getattr(tally.within, name) for name in fields},
        "beyond": {name: getattr(tally.beyond, name) for name in fields},
    }


if FILE in os.environ:  # before conftest modules take what is watched by name
    watch_matrix()
    watch_faults()
