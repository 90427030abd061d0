"""The data plane of an emulator that has sources: made only then, because only it needs pyarrow."""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowledger.emulator.world import PlatformTime, World

if TYPE_CHECKING:
    from flowledger.emulator.data.execute import Execution
    from flowledger.emulator.data.landing import Lake


class DataPlaneMissing(Exception):
    """What executing flows needs is not installed; the text says what to install."""


def open_lake_of(world: World, state: Path | None) -> None:
    """Take up the lake of an earlier start with sources, if anything ever landed: it is read and swept without any."""
    from flowledger.emulator.data.landing import LAKE, Lake

    if state is not None and (state / LAKE).is_dir():
        use_lake(world, Lake(state))


def use_lake(world: World, lake: Lake) -> None:
    """Have batches be read from this lake; what it holds and Catalog does not know is removed at the next sweep."""
    from flowledger.emulator.data.sweep import Sweep

    world.lake = lake
    world.sweep = Sweep(world, lake)
    world.sweep.want_everything()


class Plane:
    """The tables, the lake and what runs flows from the ones into the other."""

    execution: Execution

    def __init__(self, world: World, time: PlatformTime, *, sources: Path, state: Path | None) -> None:
        """`sources` is the folder of tables; batches land in `state`, or in a folder of our own that goes with us.

        Raises DataPlaneMissing without pyarrow, OSError when a folder cannot be used.
        """
        try:
            import pyarrow  # noqa: F401 - asked for here, where its absence can be told in plain words
        except ImportError as error:
            raise DataPlaneMissing("sources need pyarrow: pip install 'pyarrow>=18'") from error
        from flowledger.emulator.data.columns import Mapper
        from flowledger.emulator.data.execute import Execution
        from flowledger.emulator.data.landing import Lake
        from flowledger.emulator.data.tables import SourceFolder

        if not sources.is_dir():
            raise NotADirectoryError(f"{sources} is no folder")
        self._own = None if state is not None else Path(tempfile.mkdtemp(prefix="flowledger-lake-"))
        self._world = world
        world.sources = SourceFolder(sources)
        self.notice = world.sources.notice()  # what lay in the folder at the start and is no table
        lake = Lake(state if state is not None else self._own_folder())
        use_lake(world, lake)
        unpublished = world.options.unpublished_functions
        mapper_of = partial(Mapper, now_ms=world.now_ms, unpublished=unpublished)
        self.execution = Execution(world, time, source=world.sources, mapper_of=mapper_of, lake=lake)

    def health(self, now_ms: int) -> dict[str, Any]:
        """How many runs were executed since this start, and whether any is due or under way."""
        return {"runs_executed": self.execution.executed, "runs_waiting": self.execution.is_busy(now_ms)}

    def forget(self) -> None:
        """Forget what was executed: the batches' files go at the next sweep, as the emulator's objects have."""
        self.execution.recover()

    def close(self) -> None:
        """Let go of a lake of our own."""
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)

    def _own_folder(self) -> Path:
        assert self._own is not None
        return self._own
