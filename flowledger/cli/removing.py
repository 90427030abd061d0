"""What destroy and drift share: a call with signals and a line of progress for each thing that happens to an object."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from flowledger.cli.command import Voice, run_async
from flowledger.cli.logs import json_lines, say

if TYPE_CHECKING:
    from flowledger.engine.audience import OnEvent
    from flowledger.engine.halt import Halt
    from flowledger.steps.client.platform import Platform

T = TypeVar("T")
Drive = Callable[["Platform | None", "OnEvent", "Halt"], Coroutine[Any, Any, T]]


class RemovalProgress:
    """Tells of deletions, of what is left, and of waits. `seen` counts events: above 0, this process is at work."""

    def __init__(self, run: str, labels: Mapping[str, str], *, quiet: bool) -> None:
        """`labels`: what each step's object is called."""
        self.seen = 0
        self._run = run
        self._labels = labels
        self._quiet = quiet

    def on_event(self, number: int, doc: Mapping[str, Any]) -> None:  # noqa: ARG002 - the engine's callback gives both
        """Take an event in. Never raises: a closed terminal must not stop what is under way."""
        from flowledger.cli.printable import printable

        self.seen += 1
        text = self._text(doc)
        if text and not self._quiet:
            try:
                say(printable(text), run=self._run, step=str(doc.get("step", "")), id=str(doc.get("id", "")))
            except OSError:
                self._quiet = True

    def _text(self, doc: Mapping[str, Any]) -> str:
        """A line about an event, "" for one that is not worth it."""
        from flowledger.cli.show import lasting

        what = f"{self._labels.get(str(doc.get('step')), str(doc.get('step')))} {doc.get('id', '')}"
        match str(doc.get("kind", "")).partition("/")[0]:
            case "delete_answered" if doc.get("outcome") == "done":
                return f"{what}: {'deleted' if doc.get('op') == 'delete' else str(doc.get('op')) + 'd'}"
            case "delete_answered":
                answer = doc.get("answer") or {}
                came = f"HTTP {answer['status']}" if "status" in answer else str(answer.get("trouble") or "no answer")
                said = str(doc.get("outcome")).replace("_", " ")
                return f"{what}: {doc.get('op')} {said}: {came} {doc.get('code', '')}".rstrip()
            case "object_gone":
                return f"{what}: is gone"
            case "object_left":
                return f"{what}: left, {doc.get('why')}"
            case "drift_seen" if json_lines():  # for people, what drift prints at its end says it
                return f"{what}: " + "; ".join(map(str, doc.get("differences") or []))
            case "wait_started" if float(doc.get("seconds") or 0) >= 1:
                return f"waiting {lasting(float(doc['seconds']))} ({WAITS.get(str(doc['why']), str(doc['why']))})"
        return ""


WAITS = {
    "settle": "a create without an answer may still take effect, or show only later",
    "back_off": "backing off",
    "lag": "it may show only later",
}


def driven(
    run: str,
    drive: Drive[T],
    *,
    verb: str,
    journal: Path,
    local: bool,
    labels: Mapping[str, str],
    voice: Voice,
) -> T:
    """Call the engine with signals, progress and, if asked for, an emulator of its own."""

    async def drive_it() -> T:
        from flowledger.cli.local import local_platform, state_beside
        from flowledger.cli.signals import stopping_on_signals
        from flowledger.engine.halt import Halt

        halt, progress = Halt(), RemovalProgress(run, labels, quiet=voice.quiet)
        async with AsyncExitStack() as stack:
            begun = lambda: progress.seen > 0  # noqa: E731 - one expression, read where it is used
            stack.enter_context(stopping_on_signals(halt, begun=begun, run=run, verb=verb))
            platform = None
            if local:
                platform = await stack.enter_async_context(local_platform(state_beside(journal), os.environ))
            return await drive(platform, progress.on_event, halt)

    return run_async(drive_it())
