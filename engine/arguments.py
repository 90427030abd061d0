"""What a program gives the verbs, judged before a journal is opened or a call is sent."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from flowledger.engine.specfault import Findings, echo
from flowledger.engine.specfile import start_in
from flowledger.errors import UsageError
from flowledger.journal import Journal


def need_asyncio() -> None:
    """Raise UsageError under another event loop than asyncio's, like trio's."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError(
            "the verbs that are awaited need asyncio's event loop, and none runs here",
            hint="call apply_sync and its siblings, in a thread",
        ) from None


def judged_start(start: Any, now: float) -> str | int | None:
    """A schedule's new start in the form in which it is journaled: "+10m" or seconds since the epoch.

    Takes what `schedule.start` of a spec takes. `now`: seconds since the epoch. Raises UsageError for anything else,
    and for a start that has passed.
    """
    if start is None:
        return None
    findings = Findings()
    found = start_in(start, now, findings)
    if findings.faults:
        fault = findings.faults[0]
        raise UsageError(f"start: {fault.what}", hint=fault.right)
    return found


def judged_kind(name: str, value: Any, *kinds: type) -> None:
    """See that an argument is of one of these types. Raises UsageError, before a journal is opened."""
    if isinstance(value, kinds):
        return
    wanted = " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)
    raise UsageError(f"{name} is a {wanted}, not {echo(value)}", hint=f"give {name} as a {wanted}")


def judged_several(name: str, values: Any) -> None:
    """See that an argument holds several things, and is not one of them. Raises UsageError."""
    if isinstance(values, Iterable) and not isinstance(values, str | bytes | Path | Mapping):
        return
    raise UsageError(f"{name} is a list, not {echo(values)}", hint=f"give {name} as a list, also of one")


def judged_journal(journal: Any) -> None:
    """See that a journal is an open one or a folder's name. Raises UsageError.

    An empty name would be the working folder: a variable that is not set would begin a second journal there.
    """
    judged_kind("journal", journal, Journal, Path, str)
    if isinstance(journal, str) and (not journal.strip() or "\0" in journal):
        raise UsageError(f"{echo(journal)} is no journal's folder", hint="is a variable not set?")


def judged_seconds(name: str, value: Any) -> float:
    """A duration in seconds. Raises UsageError for what is no number, is negative, or is not finite."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    raise UsageError(f"{name} is a number of seconds, not {echo(value)}", hint=f"give it like {name}=30")


def judged_truth(name: str, value: Any) -> bool:
    """True or False. Raises UsageError: another value would be journaled as it is, and "no" would mean yes."""
    if isinstance(value, bool):
        return value
    raise UsageError(f"{name} is True or False, not {echo(value)}", hint=f"give {name}=True or {name}=False")


def judged_callback(name: str, callback: Callable[..., Any] | None, *takes: str) -> None:
    """See that a callback can be called with these arguments. Raises UsageError before anything is done.

    A coroutine function is refused too: nothing would await it.
    """
    if callback is None:
        return
    those = ", ".join(takes)
    if not callable(callback):
        raise UsageError(f"{name} is a function of ({those}), not {echo(callback)}", hint=f"give a function ({those})")
    if inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(getattr(callback, "__call__", None)):  # noqa: B004 - an object whose __call__ is async
        raise UsageError(
            f"{name} is called and not awaited: it cannot be async", hint=f"give a plain function ({those})"
        )
    try:
        signature = inspect.signature(callback)
    except (TypeError, ValueError):  # a builtin that does not say what it takes
        return
    try:
        signature.bind(*takes)
    except TypeError:
        raise UsageError(
            f"{name} is called with ({those}), and this function takes {signature}",
            hint=f"give a function ({those})",
        ) from None
