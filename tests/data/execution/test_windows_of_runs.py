"""What a run that was made by hand or triggered again takes: its window, and no row of another one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flowledger.emulator.caller import FLOW
from flowledger.emulator.wire import Request

MINUTE = 60
QUARTER = 15 * MINUTE
START_MS = 1_700_000_000_000
TABLE = "PayPal.Catalog_Products.csv"


def made_by_control(ingestion: Any, flow: str, **window: Any) -> str:
    body = json.dumps({"flowId": flow, "window": window}).encode()
    response = ingestion.emulator.handle(Request(method="POST", raw_path="/_emulator/runs", body=body))
    assert response.status == 200, response
    ingestion.emulator.count("runs")
    return str(json.loads(response.body)["id"])


def trigger(ingestion: Any, run: str) -> None:
    reply = ingestion.caller.send("POST", f"{FLOW}/runs/{run}/action", query=[("op", "re_trigger")])
    assert reply.status == 200, reply.response
    ingestion.emulator.count("runs")


def broken(ingestion: Any, key: str) -> None:
    """Append a row that belongs to no window."""
    with (ingestion.folder / TABLE).open("a") as file:
        file.write(f"{key},N,no date\n")


@pytest.fixture
def flowing(ingestion: Any) -> Any:
    ingestion.write(("a", "A", 1), ("b", "B", 16 * MINUTE), ("c", "C", 31 * MINUTE))
    ingestion.provision()
    ingestion.made = ingestion.flow()
    return ingestion


@pytest.mark.parametrize(
    ("window", "wanted"),
    [
        ({"start_ms": 0, "end_ms": START_MS + 20 * MINUTE * 1000}, ["a", "b"]),
        ({"start_ms": START_MS + 20 * MINUTE * 1000, "end_ms": START_MS + 40 * MINUTE * 1000}, ["c"]),
        ({"end_ms": START_MS + 2000}, ["a"]),
        ({"start_ms": START_MS + 20 * MINUTE * 1000}, ["c"]),
        ({}, ["a", "b", "c"]),
    ],
    ids=str,
)
def test_a_run_that_the_control_route_makes_collects_its_window(flowing: Any, window: Any, wanted: list[str]) -> None:
    made_by_control(flowing, flowing.made, **window)
    assert flowing.landed() == [wanted]
    flowing.at(QUARTER)
    assert flowing.landed() == [wanted, ["a"]]  # the schedule goes on as if it had not been


def test_a_run_that_the_control_route_made_and_that_failed_lands_once_when_triggered_again(flowing: Any) -> None:
    (flowing.folder / TABLE).rename(flowing.folder / "aside")
    run = made_by_control(flowing, flowing.made, end_ms=START_MS + 20 * MINUTE * 1000)
    (flowing.folder / "aside").rename(flowing.folder / TABLE)
    assert flowing.statuses() == ["failed"]
    trigger(flowing, run)
    trigger(flowing, run)
    assert flowing.landed() == [["a", "b"]]
    assert flowing.statuses() == ["failed", "success", "success"]


def test_a_run_of_the_control_route_with_an_outcome_is_not_executed(flowing: Any) -> None:
    body = json.dumps({"flowId": flowing.made, "outcome": {"status": "success", "input_records": 7}}).encode()
    assert flowing.emulator.handle(Request(method="POST", raw_path="/_emulator/runs", body=body)).status == 200
    flowing.emulator.count("runs")
    assert flowing.landed() == []
    assert flowing.runs()[0]["metrics"]["recordSummary"]["inputRecordCount"] == 7


def test_broken_rows_that_an_earlier_run_reported_do_not_fail_a_run_that_is_triggered_again(flowing: Any) -> None:
    broken(flowing, "x")
    flowing.at(QUARTER)  # it reports row 4
    (flowing.folder / TABLE).rename(flowing.folder / "aside")
    flowing.at(2 * QUARTER)
    (flowing.folder / "aside").rename(flowing.folder / TABLE)
    assert flowing.statuses() == ["failed", "failed"]
    trigger(flowing, flowing.runs()[1]["id"])
    assert flowing.statuses() == ["failed", "failed", "success"]
    assert flowing.landed() == [["b"]]


def test_broken_rows_that_came_after_a_failed_run_are_the_next_runs_to_report(flowing: Any) -> None:
    flowing.at(QUARTER)
    (flowing.folder / TABLE).rename(flowing.folder / "aside")
    flowing.at(2 * QUARTER)
    (flowing.folder / "aside").rename(flowing.folder / TABLE)
    broken(flowing, "x")
    trigger(flowing, flowing.runs()[1]["id"])
    flowing.at(3 * QUARTER)
    assert flowing.statuses() == ["success", "failed", "success", "failed"]
    assert any("row 4" in message for message in flowing.messages(flowing.runs()[3]))


def test_a_run_that_failed_for_a_broken_row_fails_again_until_the_row_is_mended(flowing: Any) -> None:
    broken(flowing, "x")
    flowing.at(QUARTER)
    run = flowing.runs()[0]["id"]
    trigger(flowing, run)
    assert flowing.statuses() == ["failed", "failed"]
    path = flowing.folder / TABLE
    path.write_text(path.read_text().replace("no date", "2023-01-01 00:00:00"))
    trigger(flowing, run)
    assert flowing.statuses() == ["failed", "failed", "success"]
    assert flowing.landed() == [["a", "x"]]


def on_demand(ingestion: Any, flow: str) -> None:
    params = {
        "startTime": START_MS // 1000 + QUARTER,
        "windowStartTime": START_MS // 1000,
        "windowEndTime": START_MS // 1000 + 10,
        "deltaColumn": {"name": "Create_Time"},
    }
    ingestion.make(f"{FLOW}/runs", {"flowId": flow, "params": params})
    ingestion.emulator.count("runs")


def test_a_run_on_demand_passes_over_the_broken_rows_that_the_schedule_reported_and_reports_others(
    ingestion: Any,
) -> None:
    ingestion.write(("a", "A", 1), ("b", "B,surplus", 2))
    ingestion.provision()
    flow = ingestion.flow(frequency="once")
    ingestion.at(QUARTER)
    assert ingestion.statuses() == ["failed"]
    on_demand(ingestion, flow)
    assert ingestion.landed() == [["a"]]
    broken(ingestion, "x")
    on_demand(ingestion, flow)
    assert ingestion.statuses() == ["failed", "success", "failed"]
    assert any("row 3" in message for message in ingestion.messages(ingestion.runs()[2]))
