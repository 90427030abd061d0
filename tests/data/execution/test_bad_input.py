"""Bad input, from the spec to the rows: the run tells row and reason, `watch` shows it, nothing else is harmed.

Each case spoils the source between a dataflow's first run and its second, and mends it before the third.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowledger.cli.watch import seen_lines
from flowledger.emulator.caller import FLOW, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.data.landing import Disk
from flowledger.engine import api
from flowledger.engine.events import FlowRunSeen
from flowledger.engine.ledger import RunState
from flowledger.engine.watch import Until
from flowledger.journal import InlineCommitter, Journal, SimulatedFileSystem
from flowledger.testing import VirtualTime, platform_in_process, run_in_virtual_time

MINUTE = 60
TABLE = "shop.goods"
COLUMNS = ("id", "label", "amount", "updated_at")
LONG = 10_000_000  # characters of the long cell
SPEC = f"""
name: goods
style: current
source:
  kind: mysql
  connection: {{params: {{connectionString: {{env: SHOP}}}}}}
  table: {TABLE}
  delta: {{column: updated_at}}
target: {{fields: {{goods: {{label: string, amount: integer, share: number}}}}}}
mappings:
  - {{source: id, to: _id}}
  - {{source: label, to: goods.label}}
  - {{source: amount, to: goods.amount}}
schedule: {{frequency: minute, interval: 30, start: +10m}}
settle: 1s
"""
Row = tuple[str, str, str, str]


class FullDisk(Disk):
    """Has room for a few bytes of a batch more."""

    def sync(self, file: IO[bytes]) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Shop:
    """A dataflow over a table of four columns, in virtual time; its first run has collected `a` and `b`."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder = folder
        self.time = VirtualTime()
        self.disk = SimulatedFileSystem()
        self.emulator = Emulator(clock=self.time.wall, sources=folder, state=state)
        self.began = self.time.wall()
        self.first = [self.row("a", 1, -60), self.row("b", 2, -30)]
        self.second = [self.row("c", 3, 25 * MINUTE), self.row("d", 4, 26 * MINUTE)]
        self.third = [self.row("e", 5, 55 * MINUTE)]
        self.csv(self.first)
        self.seen: list[FlowRunSeen] = []

    def row(self, key: str, amount: int, seconds: int) -> Row:
        """A row, its time so many seconds after the beginning."""
        moment = pa.scalar(int(self.began) + seconds, pa.timestamp("s")).as_py()
        return (key, f"label of {key}", str(amount), f"{moment:%Y-%m-%d %H:%M:%S}")

    def csv(self, rows: list[Row], header: tuple[str, ...] = COLUMNS) -> None:
        """The table as a CSV of these rows."""
        (self.folder / f"{TABLE}.csv").write_text("".join(f"{','.join(row)}\n" for row in (header, *rows)))

    def parquet(self, rows: list[Row], *, cut: bool = False) -> None:
        """The table as a Parquet file, whole or cut short."""
        with suppress(FileNotFoundError):
            (self.folder / f"{TABLE}.csv").unlink()
        path = self.folder / f"{TABLE}.parquet"
        typed = [(key, label, int(amount), at) for key, label, amount, at in rows]
        pq.write_table(pa.table(dict(zip(COLUMNS, map(list, zip(*typed, strict=True)), strict=True))), path)
        if cut:
            path.write_bytes(path.read_bytes()[:-20])

    def change(self, kind: str, **more: Any) -> None:
        """Change the one object of a kind, as somebody would in Adobe's user interface."""
        store = self.emulator.world.store
        [kept] = store.all(kind, "prod")
        store.put(kind, "prod", kept["id"], {**kept, **more})

    def sit(self, verb: Callable[[Journal, Any], Awaitable[Any]]) -> Any:
        """Be one process."""

        async def sitting() -> Any:
            place = Path("/journal")
            journal = Journal.open(place, fs=self.disk, committer=InlineCommitter(), wall=self.time.wall)
            try:
                return await verb(journal, platform_in_process(self.emulator, self.time))
            finally:
                journal.close()

        return run_in_virtual_time(self.time, sitting())

    def apply(self, spec: Path) -> Any:
        chance = random.Random(7)
        options: dict[str, Any] = {"clock": self.time, "chance": chance}
        return self.sit(lambda journal, platform: api.apply(spec, journal=journal, platform=platform, **options))

    def rows(self) -> list[list[dict[str, Any]]]:
        """The rows of each batch, as flowledger reads them back."""

        async def reading(journal: Journal, platform: Any) -> list[list[dict[str, Any]]]:
            found = api.dataset("goods", journal=journal, platform=platform, clock=self.time, chance=random.Random(7))
            return [(await found.to_arrow(batches=[batch])).to_pylist() for batch in await found.batches()]

        found: list[list[dict[str, Any]]] = self.sit(reading)
        return found

    def read(self) -> list[list[str]]:
        """The ids of these."""
        return [[row["_id"] for row in rows] for rows in self.rows()]

    def run_at(self, minutes: int) -> int:
        """Let it be so many minutes after the beginning, and watch; returns what `watch` ends with."""
        self.time.advance(self.began + minutes * MINUTE - self.time.wall())
        options: dict[str, Any] = {"clock": self.time, "chance": random.Random(7), "on_run": self.seen.append}
        until = Until(seconds=1)
        report = self.sit(
            lambda journal, platform: api.watch("goods", journal=journal, platform=platform, until=until, **options)
        )
        return int(report.exit_code)

    def trigger_again(self, run: str) -> int:
        """Trigger a failed run again."""
        return Caller(self.emulator).send("POST", f"{FLOW}/runs/{run}/action", query=[("op", "re_trigger")]).status

    def outcome(self, run: str) -> dict[str, Any]:
        """The run's record as the platform gives it."""
        found: dict[str, Any] = Caller(self.emulator).send("GET", f"{FLOW}/runs/{run}").items[0]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is spoilt before the second run, what that says, and which of its rows land all the same."""

    name: str
    spoil: Callable[[Shop], None]
    says: tuple[str, ...]
    lands: tuple[str, ...] = ()  # ids, if some rows may fail
    always: bool = False  # they land also if none may: the bad row has a field less
    mend: Callable[[Shop], None] = lambda shop: shop.csv([*shop.first, *shop.second, *shop.third])


def _renamed(shop: Shop) -> None:
    shop.csv([*shop.first, *shop.second], ("id", "title", "amount", "updated_at"))


def _wider(shop: Shop) -> None:
    c, d = shop.second
    shop.csv([*shop.first, c, (*d, "blue")])  # type: ignore[list-item] # a value too many is the point


def _broken_line(shop: Shop) -> None:
    shop.csv([*shop.first, ("c", "no more"), shop.second[1]])  # type: ignore[list-item] # values are missing


def _cut_short(shop: Shop) -> None:
    shop.parquet([*shop.first, *shop.second], cut=True)


def _without_delta(shop: Shop) -> None:
    c, d = shop.second
    shop.csv([*shop.first, (*c[:3], ""), d])


def _delta_of_text(shop: Shop) -> None:
    c, d = shop.second
    shop.csv([*shop.first, c, (*d[:3], "yesterday")])


def _divides(shop: Shop) -> None:
    [kept] = shop.emulator.world.store.all("mappingSets", "prod")
    divided = {"sourceType": "EXPRESSION", "source": "10 / amount", "destination": "_localtenant.goods.share"}
    shop.change("mappingSets", mappings=[*kept["mappings"], divided])
    c, d = shop.second
    shop.csv([*shop.first, (c[0], c[1], "0", c[3]), d])


def _full(shop: Shop) -> None:
    shop.csv([*shop.first, *shop.second])
    assert shop.emulator.world.lake is not None
    shop.emulator.world.lake.disk = FullDisk()


def _roomy(shop: Shop) -> None:
    shop.csv([*shop.first, *shop.second, *shop.third])
    assert shop.emulator.world.lake is not None
    shop.emulator.world.lake.disk = Disk()


def _wide_rows(shop: Shop, *, short: bool) -> None:
    more = tuple(f"c{number}" for number in range(996))
    rows = [(*row, *("7" for _ in more)) for row in [*shop.first, *shop.second, *([] if short else shop.third)]]
    if short:
        rows[3] = rows[3][:-1]
    shop.csv(rows, (*COLUMNS, *more))  # type: ignore[arg-type] # a thousand columns are the point


def _long_number(shop: Shop) -> None:
    c, d = shop.second
    shop.csv([*shop.first, c, (d[0], d[1], "x" * LONG, d[3])])


def _long_label(shop: Shop) -> None:
    [e] = shop.third
    shop.csv([*shop.first, *shop.second, (e[0], "x" * LONG, e[2], e[3])])


CASES = [
    Case(name="a column was renamed", spoil=_renamed, says=("no column label", "goods.label")),
    Case(name="rows have a column more", spoil=_wider, says=("row 4", "5 values in a table of 4"), lands=("c",)),
    Case(name="a broken line", spoil=_broken_line, says=("row 3", "2 values in a table of 4"), lands=("d",)),
    Case(
        name="a Parquet file cut short",
        spoil=_cut_short,
        says=(f"{TABLE}.parquet",),
        mend=lambda shop: shop.parquet([*shop.first, *shop.second, *shop.third]),
    ),
    Case(name="no delta value", spoil=_without_delta, says=("row 3", "updated_at is empty"), lands=("d",)),
    Case(name="a text for delta value", spoil=_delta_of_text, says=("row 4", "'yesterday'"), lands=("c",)),
    Case(
        name="a division by zero",
        spoil=_divides,
        says=("row 3", "goods.share", "10 / amount", "zero"),
        lands=("c", "d"),
        always=True,
    ),
    Case(name="a full disk", spoil=_full, says=("No space left on device",), mend=_roomy),
    Case(
        name="a thousand columns",
        spoil=lambda shop: _wide_rows(shop, short=True),
        says=("row 4", "999 values in a table of 1000"),
        lands=("c",),
        mend=lambda shop: _wide_rows(shop, short=False),
    ),
    Case(  # a text is no number: its field is null, and that is reported
        name="a cell of 10 MB",
        spoil=_long_number,
        says=("row 4", "amount"),
        lands=("c", "d"),
        always=True,
        mend=_long_label,
    ),
]


@pytest.fixture
def shop(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("SHOP", "Server=localhost")
    spec = tmp_path / "goods.yaml"
    spec.write_text(SPEC)
    shop = Shop(folder, tmp_path / "state")
    assert shop.apply(spec).state is RunState.PROVISIONED
    yield shop
    shop.emulator.close()


@pytest.mark.parametrize("partial", [False, True], ids=["none may fail", "some may fail"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_told_with_row_and_reason_and_harms_no_other_run(shop: Shop, case: Case, partial: bool) -> None:
    if partial:
        shop.change("flows", options={"partialIngestionPercent": 50})
    assert shop.run_at(15) == 0
    assert shop.read() == [["a", "b"]]

    case.spoil(shop)
    ended = shop.run_at(45)

    seen = shop.seen[-1]
    lands = list(case.lands) if partial or case.always else []
    assert (seen.came, ended) == (("partial", 0) if lands else ("failed", 10))
    record = shop.outcome(seen.id)["metrics"]
    messages = [error["message"] for error in record["statusSummary"]["errors"]]
    assert all(any(said in message for message in messages) for said in case.says), messages
    assert record["recordSummary"]["outputRecordCount"] == len(lands)
    assert max(map(len, messages)) < 500  # a reason, and not the source
    shown = " ".join(" ".join(seen_lines(seen)).split())
    assert seen.came in shown
    assert all(said in shown for said in case.says), shown
    batches = [["a", "b"], *([lands] if lands else [])]
    assert shop.read() == batches

    case.mend(shop)
    assert shop.run_at(75) == 0
    assert shop.seen[-1].came == "success"
    assert shop.read() == [*batches, ["e"]]

    if not lands:
        assert shop.trigger_again(seen.id) == 200
        assert shop.read() == [*batches, ["e"], ["c", "d"]]


@pytest.mark.parametrize(
    "name", ["a broken line", "rows have a column more", "no delta value", "a text for delta value"]
)
def test_a_row_that_nobody_mends_fails_no_later_run(shop: Shop, name: str) -> None:
    shop.run_at(15)
    next(case for case in CASES if case.name == name).spoil(shop)
    assert shop.run_at(45) == 10
    with (shop.folder / f"{TABLE}.csv").open("a") as file:
        file.write(f"{','.join(shop.third[0])}\n")
    assert shop.run_at(75) == 0
    assert (shop.seen[-1].came, shop.seen[-1].rows_failed) == ("success", 0)
    assert shop.read() == [["a", "b"], ["e"]]


def test_a_field_that_is_divided_by_zero_is_null_and_all_others_of_the_run_are_right(shop: Shop) -> None:
    shop.run_at(15)
    _divides(shop)
    shop.run_at(45)
    [_, rows] = [[row["_localtenant"]["goods"] for row in batch] for batch in shop.rows()]
    assert rows == [
        {"label": "label of c", "amount": 0, "share": None},
        {"label": "label of d", "amount": 4, "share": 2.0},  # of integers
    ]


def test_a_cell_of_10_mb_lands_whole_where_the_schema_takes_it(shop: Shop) -> None:
    _long_label(shop)
    assert shop.run_at(75) == 0
    assert shop.rows()[-1][-1]["_localtenant"]["goods"]["label"] == "x" * LONG
