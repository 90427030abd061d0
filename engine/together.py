"""Several works at the same time, of which nothing goes on once the caller has gone on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def unless(event: asyncio.Event, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Do something until it has ended or `event` is set: then it is cancelled. Returns its task, which has ended."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
    return working


async def all_of(works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all works at the same time and return their results in order.

    When one raises, the others are cancelled and have ended before its error is raised, as it is (a bare gather would
    leave them running). What others raised beside it stands in its notes.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as several:
        first, *others = several.exceptions
        for other in others:
            first.add_note(f"at the same time: {type(other).__name__}: {other}")
        raise first from None
    return [task.result() for task in tasks]
