"""What has really happened to the calls of a world, by the words of a search's statistics."""

from __future__ import annotations

from collections import Counter
from typing import Any

from flowledger.emulator.core import Emulator
from flowledger.emulator.faults import Fault, FaultKind

USUAL = ("0", "3", "59")  # what a Retry-After may be expected to say


def note_strikes(emulator: Emulator, met: Counter[str]) -> None:
    """Count in `met` each fault that a call meets on this platform."""
    strike = emulator.faults.strike

    def noted(*call: Any) -> Fault | None:
        fault = strike(*call)
        if fault is not None:
            met.update(named(fault))
        return fault

    emulator.faults.strike = noted  # type: ignore[method-assign,assignment] # stands between the platform and its faults


def named(fault: Fault) -> list[str]:
    """A fault in words: its kind, or what it answers and whether the call took effect."""
    if fault.kind is not FaultKind.ANSWER:
        return [f"met: {fault.kind}"]
    words = [f"met: a body that is {fault.shape}"]
    if fault.status == 429:
        asked = fault.retry_after
        words.append(f"met: 429, {'no' if asked is None else 'a usual' if asked in USUAL else 'an absurd'} Retry-After")
    if fault.status >= 500:
        words.append(f"met: 5xx {fault.when} the commit")
    return words
