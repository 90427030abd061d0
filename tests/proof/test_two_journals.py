"""Identity is the nonce, not the name: a second journal with the same spec takes nothing that the first has made."""

from __future__ import annotations

import random

import pytest

from crashmatrix.cells import EACH, Of
from crashmatrix.machine import DIRECTORY
from crashmatrix.styles import EFFECTS, SPECS, TUTORIAL
from flowledger.emulator.core import Emulator
from flowledger.engine import api
from flowledger.engine.report import Report
from flowledger.journal import InlineCommitter, Journal, SimulatedFileSystem
from flowledger.steps.client.inprocess import Fate, InProcessPort
from flowledger.steps.client.port import Request
from flowledger.testing import VirtualTime, emulator_in_virtual_time, platform_in_process, run_in_virtual_time


def _apply(emulator: Emulator, time: VirtualTime, *, style: str = TUTORIAL, lose: str = "", seed: int) -> Report:
    """Apply the example from a journal of its own; the first call of the step `lose` never arrives."""
    lost: list[Request] = []

    def fate(request: Request) -> Fate:
        if lose and not lost and EFFECTS[lose].is_in(request):
            lost.append(request)
            return Fate.LOST
        return Fate.ANSWERED

    journal = Journal.open(DIRECTORY, fs=SimulatedFileSystem(), committer=InlineCommitter(), wall=time.wall)
    platform = platform_in_process(emulator, time, port=InProcessPort(emulator.handle, time, fate=fate))
    with journal:
        return run_in_virtual_time(
            time,
            api.apply(SPECS[style], journal=journal, platform=platform, clock=time, chance=random.Random(seed)),
        )


@pytest.mark.parametrize("of", [of for of in EACH if of.step != "find_or_create_sink"], ids=str)
def test_a_second_journal_with_the_same_spec_adopts_nothing_of_the_first(of: Of) -> None:
    """A call of the second run is lost; what its look-up could find by name is the first run's."""
    time = VirtualTime()
    emulator = emulator_in_virtual_time(time)
    first = _apply(emulator, time, style=of.style, seed=1)
    time.advance(1_000)
    second = _apply(emulator, time, style=of.style, lose=of.step, seed=2)
    ids = [{made.id for made in report.resources if made.step != "find_or_create_sink"} for report in (first, second)]
    assert not ids[0] & ids[1]
    assert emulator.count("dataSets") == emulator.count("flows") == 2
