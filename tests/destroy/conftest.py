"""A bench for removing things: its processes may die at any moment of any call, and the machine may boot anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.steps.client.inprocess import Moment
from flowledger.steps.client.port import Request
from flowledger.testing import VirtualTime
from tests.bench import NOTHING, Bench, Died


class RebootableTime:
    """The clock that a process sees: each boot has readings of its own."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.boots = 1
        self.booted_at = 0.0

    @property
    def boot_id(self) -> str:
        return f"boot-{self.boots}"

    def monotonic(self) -> float:
        return self.time.monotonic() - self.booted_at

    def wall(self) -> float:
        return self.time.wall()

    async def sleep(self, seconds: float) -> None:
        await self.time.sleep(seconds)

    def boot(self) -> None:
        self.boots += 1
        self.booted_at = self.time.monotonic() - 10.0


class MortalBench(Bench):
    """The bench, with an example that waits 90 seconds where it is in doubt, and deaths by number."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = self.spec.model_copy(update={"settle": self.spec.settle.model_copy(update={"window": 90.0})})
        self.clock = RebootableTime(self.time)
        self.moments = 0
        self.die_at = 0  # the number of the moment at which the process dies; 0: never
        self.disk_fails: tuple[int, bool] | None = None  # after so many calls of the next process; done all the same

    async def _at(self, moment: Moment, request: Request) -> None:
        self.moments += 1
        if self.moments == self.die_at:
            raise Died
        await super()._at(moment, request)

    def sit(self, *args: Any, **options: Any) -> Any:
        """Be one process that calls a verb of the API."""
        self.moments = 0
        return super().sit(*args, **options)

    def connect(self, **options: Any) -> Any:
        """The client of a process whose journal is open: from here on its disk may fail."""
        if self.disk_fails is not None:
            call, done = self.disk_fails
            self.disk.fail(call, done=done)
            self.disk_fails = None
        return super().connect(**options)

    def died(self, act: Callable[[], Any], at: int) -> bool:
        """Call, and die at the moment of that number. False if it ended before."""
        self.die_at = at
        try:
            act()
        except Died:
            return True
        finally:
            self.die_at = 0
        return False

    def id_of(self, step: str, run: str = "") -> str:
        outputs = self.ledger(run).step(step).outputs
        assert outputs is not None
        return str(outputs["id"])

    def deletes(self) -> list[str]:
        """The paths of the DELETEs sent so far."""
        return [request.path for request in self.requests if request.method == "DELETE"]

    def twin_of(self, kind: str, id: str, **changes: Any) -> str:
        """Put a copy of an object beside it, as a call that is delivered twice does."""
        store = self.emulator.world.store
        twin = store.get(kind, "prod", id)
        assert twin is not None
        other = id[:-4] + "beef"
        twin.update({"id": other, **changes})
        if "createdAt" in twin:
            twin["createdAt"] += 1
        store.put(kind, "prod", other, twin)
        return other

    def is_there(self, kind: str, id: str) -> bool:
        return self.emulator.world.store.peek(kind, "prod", id) is not None


@pytest.fixture
def bench() -> MortalBench:
    return MortalBench()


@pytest.fixture
def nothing() -> dict[str, int]:
    """A platform on which nothing of ours is left."""
    return dict(NOTHING)


@pytest.fixture
def dead() -> type[BaseException]:
    """What the death of a process looks like from outside."""
    return Died


@pytest.fixture
def make_bench() -> type[MortalBench]:
    """Benches for tests that need one after another."""
    return MortalBench
