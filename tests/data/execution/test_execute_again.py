"""What is executed again: a run that was interrupted lands the same rows, one that failed lands them once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.caller import FLOW
from flowledger.emulator.data.landing import Disk

MINUTE = 60
START = 1_700_000_000
WITH_IDS = (("Product_Id", "_id"), ("uuid()", "person.name.firstName"), ("uuid()", "person.name.lastName"))


class Death(BaseException):
    """The process is gone: nothing that catches errors sees it."""


class DyingDisk(Disk):
    """Dies when a batch was written, and is to have its name."""

    def rename(self, old: Path, new: Path) -> None:
        raise Death


class FullDisk(Disk):
    """Has no room for anything."""

    def make_folder(self, folder: Path) -> None:
        raise OSError(28, "No space left on device")


def ask_for_run(ingestion: Any, flow: str) -> str:
    """A run on demand over the first ten minutes; returns its id."""
    params = {
        "startTime": START + 15 * MINUTE,
        "windowStartTime": START,
        "windowEndTime": START + 10 * MINUTE,
        "deltaColumn": {"name": "Create_Time"},
    }
    made = ingestion.make(f"{FLOW}/runs", {"flowId": flow, "params": params})
    ingestion.emulator.count("runs")
    return str(made["id"])


def trigger(ingestion: Any, run: str) -> Any:
    """Trigger a failed run again; returns what was answered. It is executed before the next call."""
    return ingestion.caller.send("POST", f"{FLOW}/runs/{run}/action", query=[("op", "re_trigger")])


@pytest.fixture
def failed(ingestion: Any) -> tuple[Any, str, str]:
    """A flow that has landed everything once, and a run of it on demand that found the disk full: (…, flow, run)."""
    ingestion.write(("a", "Ann", 1), ("b", "Bob", 2))
    ingestion.provision()
    flow = ingestion.flow(frequency="once")
    ingestion.at(15 * MINUTE)
    ingestion.lake.disk = FullDisk()
    run = ask_for_run(ingestion, flow)
    assert ingestion.statuses() == ["success", "failed"]
    ingestion.lake.disk = Disk()
    return ingestion, flow, run


def test_a_run_that_is_executed_again_lands_the_same_rows_also_where_the_mapping_draws_ids(
    folder: Path, tmp_path: Path, clock: Any, ingestion_class: Callable[..., Any]
) -> None:
    whole, broken = (ingestion_class(folder, tmp_path / name, clock) for name in ("whole", "broken"))
    whole.write(*((f"r{number}", "N", number) for number in range(5)))
    for one in (whole, broken):
        clock.now = START
        one.provision(*WITH_IDS)
        one.flow()
    broken.lake.disk = DyingDisk()
    with pytest.raises(Death):
        broken.at(15 * MINUTE)
    broken.emulator.close()
    broken.open()
    for one in (whole, broken):
        one.at(15 * MINUTE)
    [rows], [again] = whole.rows_of_batches(), broken.rows_of_batches()
    assert rows == again
    drawn = [name for row in rows for name in row["person"]["name"].values()]
    assert len(set(drawn)) == 10
    for one in (whole, broken):
        one.emulator.close()


def test_ids_that_mappings_draw_are_others_in_the_next_run(ingestion: Any) -> None:
    ingestion.write(("a", "A", 1), ("b", "B", 20 * MINUTE))
    ingestion.provision(*WITH_IDS)
    ingestion.flow()
    ingestion.at(30 * MINUTE)
    drawn = [name for [row] in ingestion.rows_of_batches() for name in row["person"]["name"].values()]
    assert len(set(drawn)) == 4


def test_a_failed_run_on_demand_that_is_triggered_twice_lands_once(failed: tuple[Any, str, str]) -> None:
    ingestion, _, run = failed
    replies = [trigger(ingestion, run) for _ in range(2)]
    ingestion.emulator.count("runs")
    assert [reply.status for reply in replies] == [200, 200]
    assert ingestion.statuses() == ["success", "failed", "success", "success"]
    assert ingestion.landed() == [["a", "b"], ["a", "b"]]
    assert [one["metrics"]["recordSummary"]["outputRecordCount"] for one in ingestion.runs()[2:]] == [2, 0]


def test_a_run_that_was_triggered_again_and_failed_again_lands_once_however_it_is_triggered(
    failed: tuple[Any, str, str],
) -> None:
    ingestion, _, run = failed
    ingestion.lake.disk = FullDisk()
    second = trigger(ingestion, run).json["id"]
    ingestion.emulator.count("runs")
    ingestion.lake.disk = Disk()
    for one in (second, run, second):
        assert trigger(ingestion, one).status == 200
    ingestion.emulator.count("runs")
    assert ingestion.landed() == [["a", "b"], ["a", "b"]]
    good = ingestion.runs()[-1]["id"]
    assert trigger(ingestion, good).status == 200  # it read nothing, since another one had the window's rows
    ingestion.emulator.count("runs")
    assert ingestion.landed() == [["a", "b"], ["a", "b"]]


def test_it_lands_once_also_when_the_emulator_was_restarted_in_between(failed: tuple[Any, str, str]) -> None:
    ingestion, _, run = failed
    for _ in range(2):
        assert trigger(ingestion, run).status == 200
        ingestion.emulator.close()
        ingestion.open()
    ingestion.emulator.count("runs")
    assert ingestion.landed() == [["a", "b"], ["a", "b"]]


def test_another_run_on_demand_of_that_window_lands_for_itself(failed: tuple[Any, str, str]) -> None:
    ingestion, flow, run = failed
    assert trigger(ingestion, run).status == 200
    ask_for_run(ingestion, flow)
    assert ingestion.landed() == [["a", "b"]] * 3


def test_the_rows_that_came_late_into_the_window_of_an_empty_run_land_once(ingestion: Any) -> None:
    ingestion.write(("a", "A", 1))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(30 * MINUTE)
    ingestion.write(("late", "L", 16 * MINUTE))
    ingestion.at(45 * MINUTE)
    empty = ingestion.runs()[1]["id"]
    assert ingestion.landed() == [["a"]]

    for _ in range(3):
        assert trigger(ingestion, empty).status == 200
    ingestion.emulator.count("runs")

    assert ingestion.landed() == [["a"], ["late"]]
    assert set(ingestion.statuses()) == {"success"}


def test_an_empty_run_can_be_triggered_again_until_its_rows_are_there(ingestion: Any) -> None:
    ingestion.write(("a", "A", 1))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(30 * MINUTE)
    empty = ingestion.runs()[1]["id"]

    trigger(ingestion, empty)
    ingestion.emulator.count("runs")
    ingestion.write(("late", "L", 16 * MINUTE))
    trigger(ingestion, empty)
    ingestion.emulator.count("runs")

    assert ingestion.landed() == [["a"], ["late"]]
