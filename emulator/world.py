"""What a service is given: the world (objects, time, ids, options) and the one call it must answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from flowledger.emulator.options import Options
from flowledger.emulator.rate_limit import TokenBucket
from flowledger.emulator.store import Store
from flowledger.emulator.wire import Request, Response

if TYPE_CHECKING:
    from flowledger.emulator.data.landing import Lake
    from flowledger.emulator.data.sweep import Sweep
    from flowledger.emulator.data.tables import SourceFolder

DRAWN = "drawn"  # the note of how many ids may have been drawn
LATEST_YEAR: Final = 9000  # dates end with 9999; what is reckoned ahead from now must still have one
LATEST_MS: Final = int(datetime(LATEST_YEAR, 12, 31, tzinfo=UTC).timestamp() * 1000)
BLOCK = 1000  # ids are written down as drawn in blocks, before the first of a block is used: one write for many


class ClockEnds(ValueError):
    """The clock cannot be moved so far: dates end with the year 9999."""


class PlatformTime:
    """The emulator's time in milliseconds: the injected clock, or the due moment of a late commit being applied."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives seconds since the epoch."""
        self._clock = clock
        self._moment: int | None = None
        self.ahead_ms = 0  # how far the clock was moved

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return round(self._clock() * 1000) + self.ahead_ms if self._moment is None else self._moment

    def move(self, ms: int) -> None:
        """Move the clock forward by so many milliseconds. Raises ClockEnds, and ValueError for a step backwards."""
        if ms < 0:
            raise ValueError(f"the clock goes forward only, not by {ms} ms")
        if self.now_ms() + ms > LATEST_MS:
            raise ClockEnds(f"the clock stands at {self.now_ms()} ms and ends with the year {LATEST_YEAR}")
        self.ahead_ms += ms

    def take_up(self, ahead_ms: int) -> int:
        """Begin so far ahead, but no later than the clock may be. Returns how many milliseconds were left out."""
        self.ahead_ms = 0
        self.ahead_ms = max(0, min(ahead_ms, LATEST_MS - self.now_ms()))
        return max(0, ahead_ms - self.ahead_ms)

    @contextmanager
    def as_of(self, moment_ms: int) -> Iterator[None]:
        """Inside, it is `moment_ms`: what happens there is stamped as if it had happened then."""
        before, self._moment = self._moment, moment_ms
        try:
            yield
        finally:
            self._moment = before


class World:
    """What all services share. Ids come from a seed and a kept count: the same calls make the same ids."""

    def __init__(
        self, store: Store, options: Options, time: PlatformTime, *, seed: int = 0, lag_ms: Callable[[str], int]
    ) -> None:
        """`lag_ms` tells how many milliseconds lists of a kind run behind (U21)."""
        self.store = store
        self.options = options
        self.bucket = TokenBucket()
        self.sources: SourceFolder | None = None  # the tables of the user's own, with `--sources`
        self.lake: Lake | None = None  # where batches land, with `--sources`
        self.sweep: Sweep | None = None  # what removes files from the lake
        self._time = time
        self._seed = seed
        self._lag_ms = lag_ms
        self._next = 0
        self._remembered: dict[tuple[str, str], tuple[tuple[int, ...], Any]] = {}
        self.restart_ids()

    def restart_ids(self) -> None:
        """Go on after the last id that the store knows to be drawn."""
        self._next = self.store.note(DRAWN) or 0

    def now_ms(self) -> int:
        """Milliseconds since the epoch, by the emulator's clock."""
        return self._time.now_ms()

    def callers_now_ms(self) -> int:
        """The same without what the clock was moved by: nobody moved the clock of who calls."""
        return self._time.now_ms() - self._time.ahead_ms

    def new_uuid(self) -> str:
        """A fresh id that looks like a v4 UUID."""
        text = self._draw()
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}"

    def new_hex(self, n: int) -> str:
        """A fresh id of `n` hexadecimal digits (at most 128)."""
        return self._draw()[:n]

    def new_etag(self) -> str:
        """A fresh etag, its double quotes included, as Flow Service shows them."""
        text = self._draw()
        return f'"{text[:8]}-0000-0200-0000-{text[8:20]}"'

    def listed(self, kind: str, sandbox: str) -> list[dict[str, Any]]:
        """What lists of a kind show now, oldest first, lag included. To be read, never changed in place."""
        return self.store.as_listed(kind, sandbox, at_ms=self.now_ms(), lag_ms=self._lag_ms(kind))

    def remembered(self, name: str, kinds: Sequence[str], sandbox: str, make: Callable[[], Any]) -> Any:
        """What `make` makes of the objects of these kinds as lists show them, made again when one of them has changed.

        To be read, never changed. Nothing is remembered of lists that run behind: time changes those.
        """
        if any(self._lag_ms(kind) > 0 for kind in kinds):
            return make()
        version = self.store.version(kinds, sandbox)
        kept = self._remembered.get((name, sandbox))
        if kept is None or kept[0] != version:
            kept = self._remembered[name, sandbox] = (version, make())
        return kept[1]

    def _draw(self) -> str:
        number = self._next
        if number >= (self.store.note(DRAWN) or 0):
            self.store.write_note(DRAWN, number + BLOCK)
        self._next += 1
        return hashlib.sha512(f"{self._seed}:{number}".encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call that passed the gateway. `params` are the `{names}` of the route, percent-decoded."""

    request: Request
    sandbox: str
    org: str
    client_id: str
    params: Mapping[str, str]
    body: Any  # parsed JSON; None when there is no body, or none that is JSON
    world: World
    late: bool = False  # it was checked when it came, and takes effect only now


Handler = Callable[[Call], Response]
Route = tuple[str, str, Handler]  # ("GET", "/data/foundation/catalog/dataSets/{id}", read_dataset)
