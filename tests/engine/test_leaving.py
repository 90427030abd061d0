"""When a verb has returned or raised, nothing of it goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from flowledger.engine import api
from flowledger.engine.halt import Halt
from flowledger.errors import FlowledgerError, Interrupted, NotPermitted
from flowledger.steps.client.inprocess import Moment
from flowledger.steps.client.port import Request


def goes_on(bench: Any, act: Callable[..., Awaitable[Any]]) -> tuple[BaseException, list[str]]:
    """What a call raises on a slow disk, and what of it is still under way when it has."""
    bench.slow_disk = 0.5

    async def sitting(**options: Any) -> tuple[BaseException, list[str]]:
        before = asyncio.all_tasks()
        try:
            await act(**options)
        except (FlowledgerError, asyncio.CancelledError) as error:
            return error, sorted(map(repr, asyncio.all_tasks() - before))
        raise AssertionError("it was to fail")

    result: tuple[BaseException, list[str]] = bench.sit(sitting)
    return result


@pytest.mark.parametrize(
    ("verb", "route"),
    [
        (api.drift, "GET /dataSets/{id}"),
        (api.destroy, "GET /dataSets/{id}"),
        (api.resume, "POST /dataSets"),
    ],
    ids=["drift", "destroy", "resume"],
)
def test_a_call_that_fails_leaves_no_append_behind(bench: Any, verb: Any, route: str) -> None:
    bench.emulator.faults.add("POST /dataSets", "answer", status=403)
    with pytest.raises(NotPermitted):
        bench.apply()
    if verb is not api.resume:
        bench.resume()
    bench.emulator.faults.add(route, "answer", status=403, times=0)
    error, left = goes_on(bench, lambda **options: verb(bench.spec.name, **options))
    assert isinstance(error, NotPermitted)
    assert left == []


def test_a_drift_that_is_cancelled_twice_leaves_no_append_behind(bench: Any) -> None:
    bench.apply()

    async def cancelled_twice(**options: Any) -> None:
        task = asyncio.ensure_future(api.drift(bench.spec.name, **options))

        async def at(moment: Moment, request: Request) -> None:
            if moment is Moment.COMMITTED and "/flows/" in request.path and not task.cancelling():
                loop = asyncio.get_running_loop()
                loop.call_soon(task.cancel)
                loop.call_later(0.1, task.cancel)

        bench.at = at
        await task

    error, left = goes_on(bench, cancelled_twice)
    assert isinstance(error, asyncio.CancelledError)
    assert left == []


# A halt from elsewhere


def test_a_halt_can_be_asked_for_from_another_thread() -> None:
    """As by a program that calls `apply_sync` in one thread and is told to stop in another."""
    halt = Halt()

    async def run() -> tuple[str, int]:
        told: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
        halt.listen(lambda reason: told.set_result((reason, threading.get_ident())))
        asker = threading.Thread(target=halt.request, args=("the scheduler said so",))
        asker.start()
        try:
            return await asyncio.wait_for(told, 10)
        finally:
            asker.join()

    assert asyncio.run(run()) == ("the scheduler said so", threading.get_ident())


def test_a_halt_that_was_asked_for_before_is_told_at_once_and_once() -> None:
    halt = Halt()
    told: list[str] = []
    halt.request("early")

    async def run() -> None:
        halt.listen(told.append)
        assert told == ["early"]
        halt.request("late")
        await asyncio.sleep(0)

    asyncio.run(run())
    assert (told, halt.reason) == (["early"], "early")


def test_a_halt_from_another_thread_after_the_run_has_ended_harms_nobody() -> None:
    halt = Halt()

    async def run() -> None:
        halt.listen(lambda reason: None)  # and does not unlisten: its loop has gone when the halt comes

    asyncio.run(run())
    asker = threading.Thread(target=halt.request, args=("late",))
    asker.start()
    asker.join()
    assert halt.requested


def test_a_run_is_halted_from_another_thread(bench: Any) -> None:
    asked: list[threading.Thread] = []

    async def at(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED and request.method == "POST" and request.path.endswith("/classes"):
            asked.append(threading.Thread(target=bench.halt.request, args=("a thread",)))
            asked[-1].start()
            asked[-1].join()

    bench.at = at
    with pytest.raises(Interrupted, match="a thread"):
        bench.apply()
    bench.halt, bench.at = Halt(), None
    assert str(bench.resume().state) == "provisioned"
