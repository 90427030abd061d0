"""Progress of many runs on stderr: a line for each run that has ended; on a terminal a line of sums below, live."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from flowledger.cli.logs import json_lines, say
from flowledger.cli.printable import printable
from flowledger.cli.show import lasting

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from flowledger.engine.fleet import RunOutcome


class FleetProgress:
    """Counts events and ended runs. `seen` above 0: this process drives the runs."""

    def __init__(self, total: int | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.seen = 0
        self.ended: Counter[str] = Counter()
        self.under_way: set[str] = set()
        self.answers = 0
        self.throttled = 0
        self.clock = clock
        self.began = clock()
        self._silent = False

    def on_event(self, run: str, number: int, doc: Mapping[str, Any]) -> None:  # noqa: ARG002 - the engine gives all
        """Take a run's event in."""
        self.seen += 1
        self.under_way.add(run)
        answer = doc.get("answer")
        if isinstance(answer, Mapping):
            self.answers += 1
            self.throttled += answer.get("status") == 429

    def on_run(self, outcome: RunOutcome) -> None:
        """Take in that a run has ended. Never raises: a closed terminal must not stop the others."""
        self.under_way.discard(outcome.run)
        self.ended[str(outcome.state)] += 1
        if self._silent:
            return
        try:
            self.tell(outcome)
        except OSError:
            self._silent = True  # stderr is gone: the runs matter more than their progress

    def tell(self, outcome: RunOutcome) -> None:
        """A run has ended."""

    @property
    def count(self) -> str:
        """How many have ended, of how many where that is known."""
        done = sum(self.ended.values())
        return f"{done}/{self.total}" if self.total is not None else str(done)

    def line_of(self, outcome: RunOutcome) -> str:
        """One ended run."""
        why = f"  {outcome.stopped.error}" if outcome.stopped is not None else ""
        return printable(
            f"[{self.count}] {outcome.run}  {outcome.state}  {outcome.steps_done}/{outcome.steps} steps  "
            f"{lasting(outcome.seconds)}{why}"
        )

    def sums(self) -> str:
        """All runs in one line."""
        spent = max(self.clock() - self.began, 0.001)
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.ended.items()))
        slowed = f", {self.throttled} times told to slow down" if self.throttled else ""
        return (
            f"[{self.count}] {len(self.under_way)} under way{', ' if states else ''}{states}; "
            f"{self.answers / spent:.0f} answers/s{slowed}"
        )


class PlainFleetProgress(FleetProgress):
    """A line for each run that has ended."""

    def __init__(self, total: int | None, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(total, clock=clock)
        self._stream = stream

    def tell(self, outcome: RunOutcome) -> None:
        print(self.line_of(outcome), file=self._stream, flush=True)


class LinesFleetProgress(FleetProgress):
    """A JSON line for each run that has ended."""

    def tell(self, outcome: RunOutcome) -> None:
        say(
            "run ended", run=outcome.run, state=str(outcome.state), steps_done=outcome.steps_done,
            steps=outcome.steps, seconds=round(outcome.seconds, 3), exit_code=outcome.exit_code,
        )  # fmt: skip


class LiveFleetProgress(FleetProgress):
    """The sums in one line, redrawn in place; above it a line for each run that is not provisioned."""

    def __init__(self, total: int | None, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(total, clock=clock)
        self._console = console

    def __rich__(self) -> Text:
        from rich.text import Text

        return Text(self.sums(), no_wrap=True, overflow="ellipsis")

    def tell(self, outcome: RunOutcome) -> None:
        if outcome.exit_code:
            self._console.print(self.line_of(outcome), markup=False, soft_wrap=True)


@contextmanager
def fleet_progress(total: int | None, *, quiet: bool) -> Iterator[FleetProgress]:
    """The progress that suits stderr. `total`: how many runs there are, if that is known beforehand."""
    if quiet:
        yield FleetProgress(total)
        return
    if json_lines():
        yield LinesFleetProgress(total)
        return
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield PlainFleetProgress(total, sys.stderr)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    progress = LiveFleetProgress(total, console)
    with Live(progress, console=console, refresh_per_second=10, transient=True, redirect_stdout=False):
        yield progress
