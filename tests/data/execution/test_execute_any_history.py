"""Any history of a growing table, a schedule, restarts, switches and deaths collects each row as computed apart."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MINUTE = 60
QUARTER = 15 * MINUTE
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(1, 4 * QUARTER)),
        st.tuples(st.just("append"), st.lists(st.integers(-QUARTER, 2 * QUARTER), min_size=1, max_size=4)),
        st.tuples(st.just("switch"), st.none()),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=14,
)


class Model:
    """What is collected, computed from the words of decision 22 and nothing of the emulator's."""

    def __init__(self, interval: int, backfill: bool, inclusive: bool) -> None:
        self.period, self.backfill, self.inclusive = interval * MINUTE, backfill, inclusive
        self.rows: list[tuple[str, int]] = []
        self.taken_to: int | None = None if backfill else QUARTER
        self.first = True
        self.batches: list[list[str]] = []
        self.next = QUARTER if backfill else QUARTER + self.period

    def passes_until(self, after: int, enabled: bool) -> None:
        while self.next <= after:
            if enabled:
                self._run(self.next)
            self.next += self.period

    def _run(self, moment: int) -> None:
        low, again = (
            self.taken_to,
            self.first or not self.inclusive,
        )  # a row that stands at the last end: still to take?
        batch = [
            key
            for key, when in self.rows
            if (low is None or when > low or (when == low and again))
            and (when <= moment if self.inclusive else when < moment)
        ]
        if batch:
            self.batches.append(batch)
        self.taken_to, self.first = moment, False


@pytest.mark.parametrize("inclusive", [False, True], ids=["end outside", "end inside"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(steps=STEPS, interval=st.sampled_from([15, 20, 45]), backfill=st.booleans())
def test_every_row_is_collected_as_computed_apart(
    ingestion_class: Any, hand_clock: Any, inclusive: bool, steps: Any, interval: int, backfill: bool
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "sources"
        folder.mkdir()
        clock = hand_clock()
        ingestion = ingestion_class(folder, Path(place) / "state", clock, delta_end_inclusive=inclusive)
        model = Model(interval, backfill, inclusive)
        ingestion.write(("first", "N", 0))
        model.rows.append(("first", 0))
        ingestion.provision()
        flow = ingestion.flow(interval=interval, backfill=backfill)
        now, enabled = 0, True
        for number, (what, value) in enumerate(steps):
            if what == "pass":
                model.passes_until(now + value, enabled)
                now += value
                ingestion.at(now)
            elif what == "append":
                rows = [(f"{number}.{place}", now + offset) for place, offset in enumerate(value)]
                ingestion.write(*((key, "N", when) for key, when in rows))
                model.rows += rows
            elif what == "switch":
                ingestion.act(flow, "disable" if enabled else "enable")
                enabled = not enabled
            else:
                ingestion.emulator.close()
                ingestion.open()
        landed = ingestion.landed()
        ingestion.emulator.close()
    assert landed == model.batches
    flat = [key for batch in landed for key in batch]
    assert len(flat) == len(set(flat))
