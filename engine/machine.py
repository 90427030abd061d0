"""`transitions`' asynchronous machine, cured of two habits that would lose requests."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from inspect import isawaitable
from typing import Any

from transitions.extensions.asyncio import AsyncMachine

# It prints ERROR for every exception that passes through; ours says it once, where it is known what to do.
logging.getLogger("transitions").setLevel(logging.CRITICAL)


class RunMachine(AsyncMachine):
    """A flat machine for one branch, whose triggers are called plainly and in order.

    The library's own `process_context` turns a cancellation into a quiet `False`, which breaks timeouts, task groups
    and Ctrl-C; and its `cancel_running_transitions` cancels whatever the same model was doing when a second trigger
    arrives, so that a request in flight is dropped. Here a cancellation passes through and leaves the state
    untouched, callbacks run one after another, and nobody is cancelled.
    """

    async def process_context(self, func: Callable[[], Awaitable[Any]], model: object) -> Any:  # noqa: ARG002 - the library's signature
        return await func()

    async def cancel_running_transitions(self, model: object, msg: str | None = None) -> None:
        """Cancel nothing: one task owns a lane, and a second caller is refused by the lane itself."""

    async def callbacks(self, funcs: Iterable[Any], event_data: Any) -> None:  # type: ignore[override]  # the library overrides a plain method by a coroutine itself
        for func in funcs:
            await self.callback(func, event_data)

    @staticmethod
    async def await_all(callables: Iterable[Callable[[], Any]]) -> list[Any]:
        results = []
        for func in callables:
            result = func()
            results.append(await result if isawaitable(result) else result)
        return results
