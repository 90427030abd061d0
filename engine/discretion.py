"""Make errors fit to be printed and journaled: without secrets, and in our own words where they are not ours."""

from __future__ import annotations

from typing import Any

from flowledger.errors import InternalError
from flowledger.steps.client.redact import Redactor


def internal_error(error: Exception, run: str, step: str = "") -> InternalError:
    """The error that ends a run, and no other, because of one that flowledger did not expect; to be raised from it."""
    said = str(error)
    return InternalError(
        f"internal error: {type(error).__name__}{': ' if said else ''}{said}",
        run=run,
        step=step,
        hint=f"report it with what flowledger history {run} shows; what was journaled is safe: flowledger resume {run}",
    )


def without_secrets(error: BaseException, redactor: Redactor) -> None:
    """Redact the texts of `error`, of its causes and contexts, and of the members of groups, in place.

    A platform may echo what it was sent, and steps quote what they found, so any text here may hold a secret; a
    traceback shows the text of every error in the chain.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.args = tuple(_redacted(argument, redactor) for argument in one.args)
        for name, value in list(vars(one).items()):
            setattr(one, name, _redacted(value, redactor))
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions


def _redacted(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, str):
        return redactor.redact_text(value)
    if isinstance(value, tuple):
        return tuple(_redacted(item, redactor) for item in value)
    if isinstance(value, list):
        return [_redacted(item, redactor) for item in value]
    return redactor.redact(value) if isinstance(value, dict) else value
