"""Reads for those who only look: repeated, authenticated, at the platform's pace, ended by a halt, never journaled."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

from flowledger.engine.halt import Halt
from flowledger.engine.retry import back_off
from flowledger.engine.together import unless
from flowledger.errors import Interrupted, NotServed, TryLater, Unreachable
from flowledger.steps.client.clock import Clock
from flowledger.steps.client.judge import Verdict, fault_of, judge, not_served, refusal, retry_after
from flowledger.steps.client.platform import Platform
from flowledger.steps.client.port import Answer, Reach, Request
from flowledger.steps.spec import Retry

T = TypeVar("T")


class Reader:
    """Asks a platform. A context manager: inside, a halt ends what is being read or waited for."""

    def __init__(self, platform: Platform, *, retry: Retry, clock: Clock, chance: random.Random, halt: Halt) -> None:
        self._platform = platform
        self._retry = retry
        self._chance = chance
        self._halt = halt
        self._halted = asyncio.Event()
        self.clock = clock

    def __enter__(self) -> Self:
        self._unlisten = self._halt.listen(lambda _: self._halted.set())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unlisten()

    async def ask(self, request: Request, *, allow: tuple[int, ...] = ()) -> Answer:
        """Make a read, as `flowledger.steps.step.Context.ask` does, without a journal.

        Raises what a final answer means (NotPermitted, NotThere, Rejected), Unreachable when `retry.attempts` are over,
        Interrupted at a halt.
        """
        attempt, renewed = 1, False
        request = replace(request, timeout=self._retry.timeout)
        while True:
            answer, trouble = await self.unless_halted(self._send(request))
            if answer is not None:
                whole = answer.reach is Reach.ANSWERED
                if answer.ok or (whole and answer.status in allow):
                    return answer
                if whole and judge(answer) is Verdict.NOT_DONE and answer.status != 429:
                    if answer.status == 401 and not renewed:
                        renewed = True
                        continue
                    raise refusal(answer, f"{request.method} {request.path}")
                if answer.hopeless:
                    raise not_served(answer)
                trouble = answer.trouble or str(fault_of(answer)) or answer.json_fault or f"HTTP {answer.status}"
            if attempt >= self._retry.attempts:
                raise Unreachable(
                    f"{request.method} {request.path} gave no usable answer {attempt} times; the last one: {trouble}",
                    hint="check the network and FLOWLEDGER_BASE_URL, then type the command again",
                )
            asked = retry_after(answer, self.clock.wall()) if answer is not None else None
            await self.nap(back_off(self._retry, attempt, asked, self._chance))
            attempt += 1

    async def nap(self, seconds: float) -> None:
        """Wait. Raises Interrupted at a halt."""
        await self.unless_halted(self.clock.sleep(seconds))

    async def unless_halted(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something that may be given up at any moment, as a read may. Raises Interrupted at a halt."""
        ended = await unless(self._halted, work)
        if ended.cancelled():
            raise Interrupted(f"stopped: {self._halt.reason}", hint="type the same command again to go on")
        return ended.result()

    async def _send(self, request: Request) -> tuple[Answer | None, str]:
        """One call, or why there could be none."""
        try:
            await self._platform.ready()
        except NotServed:
            raise
        except TryLater as error:
            return None, error.message
        async with self._platform.slots:
            return await self._platform.send(request), ""
