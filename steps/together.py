"""Several reads at the same time, none of which outlives the step that asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def together(*reads: Coroutine[Any, Any, T]) -> AsyncIterator[tuple[asyncio.Task[T], ...]]:
    """Begin all reads and give one task for each, to be awaited in the order in which their answers matter.

    Whatever is still under way at the end of the block is cancelled and waited for: once one answer has refused the
    step, nothing must go on asking, and retrying, behind its back.
    """
    tasks = tuple(asyncio.create_task(read) for read in reads)
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
