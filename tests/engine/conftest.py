"""A bench on which a disk can be slow or lose its power, and a client secret can be wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flowledger.journal import InlineCommitter, Journal
from flowledger.journal.writer import tell
from flowledger.steps.client.platform import Platform
from tests.bench import JOURNAL, MADE_ONCE, Bench, Died


class SlowCommitter:
    """A disk that takes its time: what is queued is written so many seconds of virtual time later."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def queued(self, entry: Any) -> None:
        asyncio.get_running_loop().call_later(self._seconds, lambda: tell(entry.writer.commit()))

    def stop(self) -> None:
        """Nothing of it is left: a loop that is closed writes nothing any more."""


class FaultyBench(Bench):
    """The bench, with a disk and a client secret that tests choose."""

    def __init__(self) -> None:
        super().__init__()
        self.client_secret = "local-secret"
        self.slow_disk = 0.0  # seconds that a write takes

    def open_journal(self) -> Journal:
        committer = SlowCommitter(self.slow_disk) if self.slow_disk else InlineCommitter()
        return Journal.open(JOURNAL, fs=self.disk, committer=committer, wall=self.time.wall)

    def connect(self, **options: Any) -> Platform:
        return super().connect(client_secret=self.client_secret, **options)

    def on_the_medium(self) -> bytes:
        """What a power cut now would leave of the journal."""
        names = self.disk._directories[str(JOURNAL)].seen
        return b"".join(bytes(names[name].durable) for name in sorted(names) if name.endswith(".jsonl"))

    def cut_power_at_death(self) -> None:
        """Let the machine die with the process: nothing that was not synced survives."""
        self.death = lambda: self.disk.cut_power(lambda outcomes: 0)


@pytest.fixture
def bench() -> FaultyBench:
    return FaultyBench()


@pytest.fixture
def made_once() -> dict[str, int]:
    """The platform when every step has made exactly one thing."""
    return dict(MADE_ONCE)


@pytest.fixture
def died() -> type[BaseException]:
    """What a test raises where the process is to die."""
    return Died
