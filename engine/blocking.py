"""The verbs for programs without an event loop of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flowledger.errors import UsageError
from flowledger.steps.client.platform import Platform

P = ParamSpec("P")
T = TypeVar("T")


def blocking(verb: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """The verb as a plain function of the same arguments, which has a loop of its own for as long as it runs.

    Raises what the verb raises, and UsageError where a loop runs already: there the verb itself can be awaited.
    """

    @wraps(verb)
    def call(*args: P.args, **options: P.kwargs) -> T:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(_whole(verb(*args, **options), options.get("platform")))
        raise UsageError(
            f"{call.__name__} waits for its end, and an event loop runs in this thread",
            hint=f"await {verb.__name__}(...) instead",
        )

    call.__name__ = call.__qualname__ = f"{verb.__name__}_sync"
    call.__doc__ = f"`{verb.__name__}` for programs without a loop of their own; same arguments.\n\n{verb.__doc__}"
    return call


async def _whole(work: Coroutine[Any, Any, T], platform: object) -> T:
    """The work; a platform that was given lets go of this loop at its end, so that the next call can have its own."""
    try:
        return await work
    finally:
        if isinstance(platform, Platform):
            await platform.rest()
