"""Progress on stderr: one line a branch on a terminal, one line a finished step elsewhere, fed by a run's events."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from flowledger.cli.logs import json_lines
from flowledger.cli.printable import printable
from flowledger.cli.show import fitted, lasting

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from flowledger.engine.ledger import Ledger
    from flowledger.engine.table import Table as Machine

Event = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Branch:
    """What one line shows."""

    name: str
    steps: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]]  # of each step, from other branches
    done: list[str] = field(default_factory=list)
    doing: str = ""
    note: str = ""
    since: float = 0.0  # reading of `clock` at the first event of the step in hand
    took: float = 0.0  # seconds spent so far on finished steps

    @property
    def next(self) -> str:
        """The step in hand or ahead; "" once the branch is at its end."""
        return next((step for step in self.steps if step not in self.done), "")


class Progress:
    """Folds events into branches. `seen` counts them: above 0, this process drives the run."""

    def __init__(self, ledger: Ledger | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        from flowledger.engine.table import TABLES

        self.seen = 0
        self._silent = False
        self._missing = ""  # why there is no token, as it was told last
        self.clock = clock
        self._began: dict[str, float] = {}
        self._walk(ledger.table if ledger else TABLES["tutorial"])
        for record in ledger.steps.values() if ledger else ():
            if record.done and record.name in self._branch_of:
                self._branch_of[record.name].done.append(record.name)

    def _walk(self, machine: Machine) -> None:
        """Show the branches of this machine, none of them begun."""
        self.branches = {
            name: Branch(
                name=name,
                steps=tuple(row.step.name for row in machine.rows_of(name)),
                needs={row.step.name: row.needs for row in machine.rows_of(name)},
            )
            for name in machine.branches
        }
        self._branch_of = {step: branch for branch in self.branches.values() for step in branch.steps}

    def on_event(self, number: int, doc: Event) -> None:  # noqa: ARG002 - the engine's callback gives both
        """Take an event in. Never raises: a closed terminal must not stop a run."""
        self.seen += 1
        if str(doc.get("kind", "")).startswith("run_started/"):
            self._begin(doc)
        if str(doc.get("kind", "")).startswith("token_fetched/"):
            self._take_token(doc.get("answer") or {})
        branch = self._branch_of.get(str(doc.get("step", "")))
        if branch is None:
            return
        step = str(doc["step"])
        now = self.clock()
        mono = float(doc.get("mono") or 0.0)
        took = float((doc.get("answer") or {}).get("duration_ms") or 0.0) / 1000
        began = self._began.setdefault(step, mono - took)  # an answer is journaled when its call has ended
        kind = str(doc.get("kind", "")).partition("/")[0]
        if completes(doc):
            seconds = max(0.0, mono - began)
            branch.done.append(step)
            branch.doing, branch.note, branch.took = "", "", branch.took + seconds
            self._tell(lambda: self.finished(step, doc, seconds))
            return
        if branch.doing != step:
            branch.doing, branch.since = step, now
        branch.note = printable(note_of(kind, doc))
        self._tell(lambda: self.noticed(step, kind, doc))

    def _take_token(self, answer: Event) -> None:
        """Tell once why there is no token: every step waits for one, and none of them can say it."""
        missing = "" if answer.get("status") == 200 else f"no token yet: {came_of(answer)}"
        if missing and missing != self._missing:
            self._tell(lambda: self.kept_waiting(printable(missing)))
        self._missing = missing

    def _begin(self, doc: Event) -> None:
        """Walk the machine of the spec that a run begins with: before its first event nobody has told its style."""
        from flowledger.engine.table import TABLES, TABLES_WITH_ROWS

        spec = doc.get("spec") or {}
        machine = (TABLES if spec.get("verify_rows") is None else TABLES_WITH_ROWS).get(str(spec.get("style")))
        if machine is not None:
            self._walk(machine)

    def finished(self, step: str, doc: Event, seconds: float) -> None:
        """A step is done."""

    def noticed(self, step: str, kind: str, doc: Event) -> None:
        """Something else became known of a step."""

    def kept_waiting(self, why: str) -> None:
        """Something that every step waits for did not come."""

    def _tell(self, telling: Callable[[], None]) -> None:
        if self._silent:
            return
        try:
            telling()
        except OSError:
            self._silent = True  # stderr is gone (a closed pipe or terminal): the run matters more than its progress


class PlainProgress(Progress):
    """A line for each finished step, and for each wait that a person may wonder about."""

    def __init__(self, ledger: Ledger | None, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(ledger, clock=clock)
        self._stream = stream
        self._wide = max(len(step) for step in self._branch_of)

    def finished(self, step: str, doc: Event, seconds: float) -> None:
        id = str((doc.get("outputs") or {}).get("id", ""))
        self._say(f"{step:{self._wide}}  {how_of(doc):8}  {lasting(seconds):>7}  {id}")

    def noticed(self, step: str, kind: str, doc: Event) -> None:
        if worth_a_line(kind, doc):
            self._say(f"{step:{self._wide}}  {note_of(kind, doc)}")

    def kept_waiting(self, why: str) -> None:
        self._say(why)

    def _say(self, line: str) -> None:
        print(printable(line.rstrip()), file=self._stream, flush=True)


class LoggedProgress(Progress):
    """The same as log records with the run and the step bound, for a collector of JSON lines."""

    def __init__(self, ledger: Ledger | None, run: str) -> None:
        from flowledger.engine.log import logger_of

        super().__init__(ledger)
        self._log = logger_of(run=run)

    def finished(self, step: str, doc: Event, seconds: float) -> None:
        id = str((doc.get("outputs") or {}).get("id", ""))
        self._log.info("step done", step=step, how=how_of(doc), id=id, seconds=round(seconds, 3))

    def noticed(self, step: str, kind: str, doc: Event) -> None:
        if worth_a_line(kind, doc):
            attempt = {"attempt": doc["attempt"]} if "attempt" in doc else {}
            self._log.info(note_of(kind, doc), step=step, **attempt)

    def kept_waiting(self, why: str) -> None:
        self._log.info(why)


class LiveProgress(Progress):
    """One line a branch, redrawn in place."""

    def __init__(self, ledger: Ledger | None, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(ledger, clock=clock)
        self._console = console
        modern = "utf" in (console.encoding or "").lower()
        self._marks = ("✓", "›", "·", "…") if modern else ("+", ">", ".", "...")

    def kept_waiting(self, why: str) -> None:
        self._console.print(why, markup=False, highlight=False)  # above the branches

    def __rich__(self) -> Table:
        return self.picture()

    def picture(self) -> Table:
        """The branches as they stand now."""
        from rich.table import Table
        from rich.text import Text

        room = max(20, self._console.width - 28)
        grid = Table.grid(padding=(0, 1))
        for branch in self.branches.values():
            mark, words, seconds = self.line_of(branch)
            style = {"✓": "green", "+": "green", "›": "cyan", ">": "cyan"}.get(mark, "dim")
            grid.add_row(
                Text(f" {mark}", style=style),
                Text(branch.name.ljust(8)),
                Text(f"{len(branch.done)}/{len(branch.steps)}", style="dim"),
                Text(fitted(words, room).ljust(room), no_wrap=True, overflow="crop"),
                Text(seconds.rjust(8), style="dim"),
            )
        return grid

    def line_of(self, branch: Branch) -> tuple[str, str, str]:
        """Mark, words and time of a branch."""
        done, doing, waiting, dots = self._marks
        if not branch.next:
            return done, branch.done[-1], lasting(branch.took) if branch.took else ""
        if branch.doing:
            note = f": {branch.note}" if branch.note else ""
            return doing, f"{branch.doing}{note}", lasting(self.clock() - branch.since)
        open_needs = [need for need in branch.needs[branch.next] if not self._is_done(need)]
        if open_needs:
            more = f" +{len(open_needs) - 1}" if len(open_needs) > 1 else ""
            return waiting, f"{branch.next} waits for {open_needs[0]}{more}", ""
        # Reads are journaled when they are answered, so a step may be at work without an event of its own.
        return (doing if self.seen else waiting), f"{branch.next}{dots}", ""

    def _is_done(self, step: str) -> bool:
        return step in self._branch_of[step].done


@contextmanager
def progress_for(ledger: Ledger | None, *, run: str, quiet: bool) -> Iterator[Progress]:
    """The progress that suits stderr: live on a terminal, plain elsewhere, none if it is to be quiet."""
    if quiet:
        yield Progress(ledger)
        return
    if json_lines():
        yield LoggedProgress(ledger, run)
        return
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield PlainProgress(ledger, sys.stderr)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    progress = LiveProgress(ledger, console)
    # Where stdout is the same terminal, the report that follows says it all once more.
    with Live(progress, console=console, refresh_per_second=10, transient=sys.stdout.isatty(), redirect_stdout=False):
        yield progress


def worth_a_line(kind: str, doc: Event) -> bool:
    """Whether somebody who reads along may wonder about this event."""
    return (
        (kind == "wait_started" and float(doc.get("seconds", 0)) >= 1)
        or (kind == "outcome_recorded" and doc.get("outcome") != "done")
        or (kind == "read_answered" and comes_to_nothing(doc.get("answer") or {}))
        or kind == "drift_seen"
    )


def comes_to_nothing(answer: Event) -> bool:
    """Whether a read will have to be made again: nobody answered, or the platform could not now."""
    status = int(answer.get("status") or 0)
    return answer.get("reach", "answered") != "answered" or status in (401, 408, 429) or status >= 500


def came_of(answer: Event) -> str:
    """What came of a call, in a few words."""
    return f"HTTP {answer['status']}" if "status" in answer else str(answer.get("trouble") or "no answer")


def completes(doc: Event) -> bool:
    """Whether an event completes its step."""
    kind = str(doc.get("kind", ""))
    if kind.startswith(("step_adopted/", "step_settled/")):
        return True
    return kind.startswith("outcome_recorded/") and doc.get("outputs") is not None


def how_of(doc: Event) -> str:
    """How a completing event's step came to its outputs."""
    kind = str(doc.get("kind", ""))
    if kind.startswith("step_adopted/"):
        return "adopted"
    return str(doc.get("how", "created"))


def note_of(kind: str, doc: Event) -> str:
    """A few words about an event that does not complete its step."""
    match kind:
        case "intent_recorded":
            attempt = int(doc.get("attempt", 1))
            return "sent" if attempt == 1 else f"sent, attempt {attempt}"
        case "outcome_recorded":
            came = came_of(doc.get("answer") or {})
            return f"{str(doc.get('outcome', '')).replace('_', ' ')}: {came} {doc.get('code', '')}".rstrip()
        case "looked_up":
            return f"looked for its marker: {len(doc.get('hits') or [])} found"
        case "wait_started":
            return f"{WAITS.get(str(doc.get('why')), str(doc.get('why')))} {lasting(float(doc.get('seconds', 0)))}"
        case "read_answered":
            call, answer = doc.get("call") or {}, doc.get("answer") or {}
            what = f"reading {str(call.get('path', '')).rpartition('/')[2]}"
            return f"{what}: {came_of(answer)}" if comes_to_nothing(answer) else what
        case "drift_seen":
            return "drift: " + "; ".join(map(str, doc.get("differences") or []))
        case "last_look_taken":
            return "last look taken"
    return kind.replace("_", " ")


WAITS = {
    "settle": "in doubt; looking again in",
    "back_off": "backing off for",
    "last_look": "last look in",
    "lag": "not there; it may show only later, reading again in",
    "flow": "reading again in",
    "first_run": "waiting for the dataflow's first run; looking again in",
    "batch": "its batch is under way; looking again in",
}
