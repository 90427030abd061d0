"""A golden pair: a journal and the emulator's state that belongs to it, both as an earlier commit left them.

The bench joins engine, journal and emulator in one process and in virtual time, as `tests/bench.py` does, but on a real
disk: what one version wrote, another can open.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options
from flowledger.journal import InlineCommitter, Journal
from flowledger.testing import VirtualTime
from tests.bench import Bench

JOURNAL: Final = "journal"
STATE: Final = "emulator"
DAY: Final = 86_400.0


class Pair(Bench):
    """The bench, with its journal and the emulator's state in `folder`."""

    def __init__(self, folder: Path, *, days: float = 0.0, boot_id: str = "golden-boot", **options: Any) -> None:
        """`days` have passed since the golden pairs were made, and `boot_id` names the boot since."""
        super().__init__()
        self.folder = folder
        self.time = VirtualTime(boot_id)
        self.time.advance(days * DAY)
        self.clock = self.time
        self.death: Callable[[], Any] = lambda: None  # a killed process closes nothing; the files stay as they are
        self.emulator = Emulator(clock=self.time.wall, options=Options(**options), state=folder / STATE)

    def open_journal(self) -> Journal:
        return Journal.open(self.folder / JOURNAL, committer=InlineCommitter(), wall=self.time.wall)

    def close(self) -> None:
        """Close the emulator, so that its state is whole on the disk."""
        self.emulator.close()
