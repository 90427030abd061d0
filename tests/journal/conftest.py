"""What the journal's tests share: a simulated disk, and a way to open the journal on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flowledger.journal import InlineCommitter, Journal, SimulatedFileSystem

OpenJournal = Callable[[], Journal]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def segment(directory: Path) -> Path:
    return directory / "segment-000001.jsonl"


@pytest.fixture
def journal(directory: Path) -> Iterator[Journal]:
    with Journal.open(directory) as opened:
        yield opened


@pytest.fixture
def disk() -> SimulatedFileSystem:
    return SimulatedFileSystem(block=64)


@pytest.fixture
def open_on_disk(disk: SimulatedFileSystem) -> OpenJournal:
    """Opens the journal of the simulated disk, at a fixed wall time, with no thread."""
    return lambda: Journal.open(Path("/j"), fs=disk, committer=InlineCommitter(), wall=lambda: 1_600_000_000.0)
