"""For tests of programs that embed flowledger, and for our own: virtual time, and the emulator joined in one process.

Nothing here sleeps: `run_in_virtual_time` jumps to the next timer whenever the loop has nothing else to do, so that a
settle window of 90 seconds takes microseconds, and a loop that waits for what can never happen is an error.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from flowledger.emulator.core import Emulator
    from flowledger.steps.client.platform import Platform
    from flowledger.steps.client.port import Port

T = TypeVar("T")
EPOCH = 1_800_000_000.0  # virtual wall time starts here, seconds since the Unix epoch


class VirtualTime:
    """A clock that is moved by the loop, or by hand; it outlives loops, so that a restart goes on where a crash was."""

    def __init__(self, boot_id: str = "virtual-boot") -> None:
        self._now = 1000.0
        self.boot_id = boot_id

    def monotonic(self) -> float:
        """Seconds of virtual time."""
        return self._now

    def wall(self) -> float:
        """Seconds since the epoch, in virtual time."""
        return EPOCH + self._now

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time; needs a loop made by `run_in_virtual_time` with this clock.

        A microsecond at least: what is below the precision of a float would never pass, and be waited for for ever.
        """
        await asyncio.sleep(max(1e-6, seconds) if seconds > 0 else 0.0)

    def advance(self, seconds: float) -> None:
        """Move the time forward."""
        self._now += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that never blocks: where it would wait for a timer, it moves the time there.

    While a program runs that the loop has started, a command that gives a secret, time passes as it really does.
    """

    time: VirtualTime
    programs: set[asyncio.SubprocessTransport]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.programs = {program for program in self.programs if program.get_returncode() is None}
        if self.programs:
            began = monotonic()
            arrived: list[tuple[selectors.SelectorKey, int]] = super().select(timeout)
            self.time.advance(monotonic() - began)
            return arrived
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            raise RuntimeError("the loop waits for something that can never happen")
        self.time.advance(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is a `VirtualTime`."""

    def __init__(self, time: VirtualTime) -> None:
        selector = _JumpingSelector()
        selector.time = time
        selector.programs = set()
        self._virtual = time
        self._programs = selector
        super().__init__(selector)

    def time(self) -> float:
        """Virtual monotonic seconds."""
        return self._virtual.monotonic()

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # noqa: ARG002 - the library's signature
        """Call it at once, in this thread: virtual time must not jump while another thread is at work."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is raised where it is awaited, as by a thread
            future.set_exception(error)
        return future

    async def subprocess_exec(self, *args: Any, **options: Any) -> tuple[Any, Any]:
        """Start a program, in whose life time is real."""
        transport, protocol = await super().subprocess_exec(*args, **options)
        self._programs.programs.add(transport)
        return transport, protocol


def run_in_virtual_time(time: VirtualTime, main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end on a loop of its own, in virtual time. Sockets do not belong in there; what is given to a
    thread is done at once."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(time)) as runner:
        return runner.run(main)


def emulator_in_virtual_time(time: VirtualTime, *, seed: int = 0) -> Emulator:
    """An emulator whose clock is `time` and whose ids follow from `seed`."""
    from flowledger.emulator.core import Emulator

    return Emulator(clock=time.wall, seed=seed)


def platform_in_process(
    emulator: Emulator,
    time: VirtualTime,
    *,
    sandbox: str = "prod",
    client_secret: str = "local-secret",  # noqa: S107 - the emulator's public default
    port: Port | None = None,
) -> Platform:
    """The authenticated client, joined to an emulator without a socket, with the emulator's default credentials."""
    from flowledger.steps.client.inprocess import InProcessPort
    from flowledger.steps.client.platform import Credentials, Platform
    from flowledger.steps.client.redact import Redactor

    return Platform(
        port or InProcessPort(emulator.handle, time),
        Credentials(client_id="local-client", client_secret=client_secret, org="LOCAL@AdobeOrg"),
        sandbox=sandbox,
        clock=time,
        redactor=Redactor(),
        base_url="http://127.0.0.1",
    )
