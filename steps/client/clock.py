"""Time and chance, injected everywhere so that tests own both."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds for deadlines and windows, wall time for people, sleeping for waits."""

    @property
    def boot_id(self) -> str:
        """Names the boot that `monotonic` counts from; readings of two boots do not compare."""
        ...

    def monotonic(self) -> float:
        """Seconds that neither jump nor run on during suspend (protocol rule 13)."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch, UTC: for people and for the platform's schedule, never for deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        """`proc` is where Linux tells of the boot and of this process."""
        try:
            self._boot_id = (proc / "sys/kernel/random/boot_id").read_text().strip() + _offset(proc)
        except OSError:
            # Elsewhere than Linux the boot is named by its time, to the minute: a clock step between two
            # processes then only restarts a window, which is the safe side.
            self._boot_id = f"boot-{round((time.time() - time.monotonic()) / 60)}"

    @property
    def boot_id(self) -> str:
        return self._boot_id

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


def _offset(proc: Path) -> str:
    """What names this process's time namespace: the offset of its monotonic clock (time_namespaces(7)); "" for none.

    Readings of two namespaces of one boot do not compare.
    """
    try:
        lines = (proc / "self/timens_offsets").read_text().splitlines()
    except OSError:  # a kernel before 5.6, or one without time namespaces
        return ""
    for line in lines:
        clock, *offset = line.split()
        if clock in ("monotonic", "1") and any(part.strip("-0") for part in offset):
            return f"+{'.'.join(offset)}"
    return ""


def fresh_random() -> random.Random:
    """A generator seeded by the operating system, for nonces and jitter."""
    return random.Random(random.SystemRandom().getrandbits(128))  # noqa: S311 - identity, not secrecy
