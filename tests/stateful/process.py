"""What a process has, a clock that may be set wrong and a disk at which it can die, and what one has come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from flowledger.engine.fleet import FleetReport
from flowledger.engine.report import Report
from flowledger.errors import FlowledgerError
from flowledger.journal import SimulatedFileSystem
from flowledger.steps.client.inprocess import Moment
from flowledger.testing import VirtualTime


class Died(SystemExit):
    """The process is dead from here on: asyncio stops its loop for it at once, and nothing catches it."""


class ProcessClock:
    """What a process sees of the time: it may be set wrong, and it begins anew with each boot."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.boots = 1
        self.booted_at = 0.0
        self.wrong_by = 0.0

    @property
    def boot_id(self) -> str:
        return f"boot-{self.boots}"

    def monotonic(self) -> float:
        return self.time.monotonic() - self.booted_at

    def wall(self) -> float:
        return self.time.wall() + self.wrong_by

    async def sleep(self, seconds: float) -> None:
        await self.time.sleep(seconds)

    def boot(self) -> None:
        """Begin a new boot: readings of the last one mean nothing any more."""
        self.boots += 1
        self.booted_at = self.time.monotonic() - 10.0


class Disk(SimulatedFileSystem):
    """A disk on which a process can die at any call."""

    on_call: Callable[[], None] | None = None

    def _call(self, what: str) -> Any:
        if self.on_call is not None:
            self.on_call()
        return super()._call(what)

    @contextmanager
    def looked_at(self) -> Iterator[None]:
        """Within this block the disk has room and does not fail."""
        capacity, self.capacity = self.capacity, None
        with self.reliable():
            yield
        self.capacity = capacity


@dataclass
class Sitting:
    """What one process came to."""

    report: Report | None = None
    fleet: FleetReport | None = None  # of a process that drove several runs
    error: FlowledgerError | None = None
    died: bool = False
    halted_at: float | None = None
    moments: int = 0
    disk_calls: int = 0
    tokens: int = 0
    alive: bool = True
    actions: dict[int, Callable[[], Any]] = field(default_factory=dict)  # by the number of the moment
    call_actions: dict[tuple[str, Moment], Callable[[], Any]] = field(default_factory=dict)  # by the call; once
    disk_actions: dict[int, Callable[[], None]] = field(default_factory=dict)  # by the number of the call

    @property
    def done(self) -> bool:
        """Nothing is left to do for what it was to do."""
        return self.report is not None or (self.fleet is not None and self.fleet.exit_code == 0)

    @property
    def ends(self) -> list[str]:
        """How it ended, in a word for each run."""
        if self.died:
            return ["died"]
        if self.error is not None:
            return [type(self.error).__name__]
        if self.fleet is not None:
            return [run.stopped.error if run.stopped else str(run.state) for run in self.fleet.runs]
        return [str(self.report.state)] if self.report is not None else []
