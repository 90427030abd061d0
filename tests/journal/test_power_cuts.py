"""Whatever fails, whenever the power goes: acknowledged ⊆ recovered ⊆ attempted, in order, and refused is not there."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flowledger.errors import DiskFull, FlowledgerError, JournalPoisoned, JournalUnavailable
from flowledger.journal import InlineCommitter, Journal, JournalReader, SimulatedFileSystem, verify
from flowledger.journal.tail import SEGMENT_SIZE

DIRECTORY = Path("/j")
SEGMENT = DIRECTORY / "segment-000001.jsonl"


class Model:
    """What a journal on a bad disk was asked for, and what it said."""

    def __init__(self, disk: SimulatedFileSystem, *, segment_size: int = SEGMENT_SIZE) -> None:
        self.disk = disk
        self.segment_size = segment_size
        self.journal: Journal | None = None
        self.attempted: list[int] = []
        self.acknowledged: set[int] = set()
        self.refused: set[int] = set()

    def open(self) -> None:
        """Open until it works: a failure that was injected is over after one try."""
        try:
            self.journal = self._opened()
        except FlowledgerError:
            self.disk.capacity = None
            self.journal = self._opened()
        self.check()

    def _opened(self) -> Journal:
        return Journal.open(
            DIRECTORY,
            fs=self.disk,
            committer=InlineCommitter(),
            wall=lambda: 0.0,
            segment_size=self.segment_size,
        )

    def append(self, sizes: list[int]) -> None:
        """Append several events at the same time."""
        assert self.journal is not None
        journal, numbers = self.journal, []
        for _ in sizes:
            numbers.append(len(self.attempted))
            self.attempted.append(numbers[-1])

        async def all_at_once() -> list[int | BaseException]:
            appends = (
                journal.append(f"run-{n % 2}", {"n": n, "pad": "x" * size})
                for n, size in zip(numbers, sizes, strict=True)
            )
            return await asyncio.gather(*appends, return_exceptions=True)

        for n, result in zip(numbers, asyncio.run(all_at_once()), strict=True):
            if isinstance(result, int):
                self.acknowledged.add(n)
            elif isinstance(result, DiskFull | JournalUnavailable):
                self.refused.add(n)
            else:
                assert isinstance(result, JournalPoisoned), result

    def check(self) -> None:
        """The promise."""
        assert self.journal is not None
        with self.disk.reliable():
            events = self.journal.db.all()
            by_run = [doc["n"] for run in self.journal.runs() for doc in self.journal.events(run)]
            assert verify(DIRECTORY, fs=self.disk).sound
            assert verify(DIRECTORY, fs=self.disk, deep=True).sound
            with JournalReader.open(DIRECTORY, fs=self.disk) as reader:
                assert reader.all() == events
        recovered = [doc["n"] for doc in events]
        assert recovered == sorted(set(recovered)) == sorted(by_run)
        assert self.acknowledged <= set(recovered) <= set(self.attempted)
        assert not self.refused & set(recovered)
        numbers = [doc.doc_id for doc in events]
        assert numbers == sorted(set(numbers))


class BadDisk(RuleBasedStateMachine):
    """The system is a journal on a disk that fails; the model is a list of numbers."""

    @initialize(block=st.sampled_from([16, 64, 512]), segment_size=st.sampled_from([700, 1500, SEGMENT_SIZE]))
    def begin(self, block: int, segment_size: int) -> None:
        self.model = Model(SimulatedFileSystem(block=block), segment_size=segment_size)
        self.model.open()

    @rule(sizes=st.lists(st.integers(0, 300), min_size=1, max_size=5))
    def append(self, sizes: list[int]) -> None:
        self.model.append(sizes)

    @rule(
        after=st.integers(0, 4),
        error=st.sampled_from([errno.EIO, errno.ENOSPC]),
        done=st.booleans(),
        kept=st.floats(0, 1),
    )
    def a_call_will_fail(self, after: int, error: int, done: bool, kept: float) -> None:
        self.model.disk.fail(after, error, done=done, kept=kept)

    @rule(room=st.integers(0, 800))
    def the_disk_fills(self, room: int) -> None:
        self.model.disk.capacity = self.model.disk._used() + room

    @precondition(lambda self: self.model.disk.capacity is not None)
    @rule()
    def there_is_room_again(self) -> None:
        self.model.disk.capacity = None

    @rule()
    def close_and_open(self) -> None:
        assert self.model.journal is not None
        self.model.journal.close()
        self.model.open()

    @rule()
    def kill_and_open(self) -> None:
        self.model.disk.kill()
        self.model.open()

    @rule(chance=st.randoms(use_true_random=False), mercy=st.sampled_from([0.0, 0.5, 0.9, 1.0]))
    def cut_power_and_open(self, chance: random.Random, mercy: float) -> None:
        self.model.disk.cut_power(lambda n: n - 1 if chance.random() < mercy else chance.randrange(n))
        self.model.open()

    @invariant()
    def acknowledged_is_there(self) -> None:
        journal = self.model.journal
        assert journal is not None
        with self.model.disk.reliable():
            assert self.model.acknowledged <= {doc["n"] for doc in journal.db.all()}


TestBadDisk = BadDisk.TestCase
TestBadDisk.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class BadDiskForLonger(BadDisk):
    """The same with more stories, and longer ones."""


TestBadDiskForLonger = pytest.mark.long(BadDiskForLonger.TestCase)
TestBadDiskForLonger.settings = settings(
    max_examples=200, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def _story(model: Model) -> None:
    """Opens, appends, ends cleanly, opens again, appends, dies."""
    model.open()
    model.append([10])
    model.append([100, 5, 40])
    assert model.journal is not None
    model.journal.close()
    model.open()
    model.append([200, 1])
    model.append([3])


def _fates(seed: int) -> Callable[[int], int]:
    chance = random.Random(seed)
    return [lambda n: 0, lambda n: n - 1, chance.randrange][min(seed, 2)]


SEGMENT_SIZES = pytest.mark.parametrize(
    "segment_size", [SEGMENT_SIZE, pytest.param(700, marks=pytest.mark.long)], ids=["one segment", "many segments"]
)


@SEGMENT_SIZES
@pytest.mark.parametrize("done", [False, True], ids=["without effect", "with effect"])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_the_nth_call_fails_for_every_n_and_then_the_power_goes(error: int, done: bool, segment_size: int) -> None:
    whole = Model(SimulatedFileSystem(block=32), segment_size=segment_size)
    _story(whole)
    with whole.disk.reliable():
        assert sum(name.endswith(".jsonl") for name in whole.disk.names(DIRECTORY)) == (
            1 if segment_size == SEGMENT_SIZE else 5
        )
    calls = whole.disk.calls
    assert calls > 40

    for n in range(calls):
        for seed in range(5 if segment_size == SEGMENT_SIZE else 3):
            model = Model(SimulatedFileSystem(block=32), segment_size=segment_size)
            model.disk.fail(n, error, done=done, kept=(0.0, 0.3, 1.0)[n % 3])
            _story(model)
            model.disk.cut_power(_fates(seed))
            model.open()
            model.append([1])
            model.disk.cut_power(_fates(seed))
            model.open()


@pytest.mark.parametrize("segment_size", [SEGMENT_SIZE, 700], ids=["one segment", "many segments"])
def test_the_power_goes_after_every_call_of_the_story(segment_size: int) -> None:
    whole = Model(SimulatedFileSystem(block=32), segment_size=segment_size)
    _story(whole)

    for n in range(whole.disk.calls):
        for seed in range(6 if segment_size == SEGMENT_SIZE else 3):
            model = Model(SimulatedFileSystem(block=32), segment_size=segment_size)
            model.disk.stop(n)
            try:
                _story(model)
            except FlowledgerError:
                assert model.disk.calls > n
            model.disk.cut_power(_fates(seed))
            model.open()
            model.append([20, 20])
            model.check()


def test_a_failed_sync_is_never_followed_by_a_success_that_means_nothing() -> None:
    """The page cache shows what a failed sync never wrote; the next writer must not take it for durable."""
    model = Model(SimulatedFileSystem(block=32))
    model.open()
    model.append([10])
    model.disk.fail(1, errno.EIO)  # the write passes, the sync fails
    model.append([50])
    model.append([50])  # and from here on the journal refuses
    assert model.acknowledged == {0}
    model.disk.kill()
    model.open()
    assert [doc["n"] for doc in model.journal.db.all()] == [0, 1]  # type: ignore[union-attr]  # it is open
    model.append([5])
    model.disk.cut_power(lambda n: 0)

    model.open()

    assert [doc["n"] for doc in model.journal.db.all()] == [0, 1, 3]  # type: ignore[union-attr]  # it is open
