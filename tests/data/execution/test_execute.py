"""Flows run when they are due, each row of the source in exactly one batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, FLOW

MINUTE = 60
HOUR = 3600
PERIODS = [("minute", 15 * MINUTE), ("hour", HOUR), ("day", 24 * HOUR), ("week", 7 * 24 * HOUR)]


def test_a_flow_that_runs_once_takes_everything_at_its_start(ingestion: Any) -> None:
    ingestion.write(("a", "Ann", -100), ("b", "Bob", 100), ("c", "Cy", 10_000))
    ingestion.provision()
    ingestion.flow(frequency="once", start=1_700_000_000 + HOUR)
    ingestion.at(HOUR - 1)
    assert ingestion.runs() == []
    ingestion.at(HOUR)
    ingestion.at(100 * HOUR)
    assert ingestion.landed() == [["a", "b", "c"]]
    assert ingestion.statuses() == ["success"]


def test_a_run_tells_what_it_did_and_where_it_is(ingestion: Any) -> None:
    ingestion.write(("a", "Ann", 0), ("b", "Bob", 1))
    ingestion.provision()
    flow = ingestion.flow()
    ingestion.at(15 * MINUTE)
    [run] = ingestion.runs()
    [(batch, told)] = ingestion.batches().items()
    assert run["metrics"]["recordSummary"] == {"inputRecordCount": 2, "outputRecordCount": 2, "failedRecordCount": 0}
    assert run["metrics"]["sizeSummary"]["outputBytes"] == ingestion.part(batch).stat().st_size
    assert run["metrics"]["durationSummary"] == {
        "startedAtUTC": 1_700_000_900_000,
        "completedAtUTC": 1_700_000_900_000,
    }
    copy, promotion = run["activities"]
    assert copy["durationSummary"]["extensions"] == {"windowEnd": 1_700_000_900_000}
    assert promotion["targetInfo"] == [
        {"id": ingestion.target, "type": "TargetConnection", "reference": {"type": "Batch", "ids": [batch]}}
    ]
    assert told["status"] == "success"
    assert told["metrics"]["outputRecordCount"] == 2
    data_set = ingestion.caller.send("GET", f"{CATALOG}/dataSets/{ingestion.data_set}").json[ingestion.data_set]
    assert data_set["lastSuccessfulBatch"] == batch
    assert data_set["statsCache"]["recordCount"] == 2
    shown = ingestion.caller.send("GET", f"{FLOW}/flows/{flow}").items[0]
    assert (shown["lastRunDetails"]["id"], shown["lastRunDetails"]["state"]) == (run["id"], "success")


@pytest.mark.parametrize(("frequency", "period"), PERIODS, ids=[name for name, _ in PERIODS])
def test_each_run_takes_what_lies_between_the_run_before_and_itself(
    ingestion: Any, frequency: str, period: int
) -> None:
    first = 15 * MINUTE
    ingestion.write(("early", "E", -9999), ("at the start", "S", first), ("within", "W", first + 1))
    ingestion.write(
        ("same 1", "X", first + period), ("same 2", "X", first + period), ("later", "L", first + period + 7)
    )
    ingestion.provision()
    ingestion.flow(frequency=frequency)
    ingestion.at(first + 2 * period)
    assert ingestion.landed() == [["early"], ["at the start", "within"], ["same 1", "same 2", "later"]]
    starts = [run["createdAt"] // 1000 - 1_700_000_000 for run in ingestion.runs()]
    assert starts == [first, first + period, first + 2 * period]


def test_without_backfill_only_what_appears_after_the_start_is_taken(ingestion: Any) -> None:
    ingestion.write(("before", "B", 0), ("after", "A", 16 * MINUTE), ("much later", "M", 31 * MINUTE))
    ingestion.provision()
    ingestion.flow(backfill=False)
    ingestion.at(45 * MINUTE)
    assert ingestion.landed() == [["after"], ["much later"]]


def test_what_is_appended_between_two_runs_is_taken_by_the_next(ingestion: Any) -> None:
    ingestion.write(("a", "Ann", 1))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    ingestion.write(("b", "Bob", 20 * MINUTE))
    ingestion.at(30 * MINUTE)
    ingestion.at(45 * MINUTE)
    assert ingestion.landed() == [["a"], ["b"]]
    assert ingestion.statuses() == ["success"] * 3


def test_a_run_that_finds_nothing_succeeds_and_makes_no_batch(ingestion: Any) -> None:
    ingestion.write(("late", "L", 99 * HOUR))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    [run] = ingestion.runs()
    assert ingestion.statuses() == ["success"]
    assert run["metrics"]["recordSummary"]["outputRecordCount"] == 0
    assert run["activities"][1]["targetInfo"] == [{"id": ingestion.target, "type": "TargetConnection"}]
    assert ingestion.batches() == {}
    assert list(ingestion.lake.batches()) == []


@pytest.mark.parametrize("inclusive", [False, True], ids=["end outside", "end inside"])
def test_a_row_at_the_very_end_of_a_window_is_taken_once(ingestion_with: Callable[..., Any], inclusive: bool) -> None:
    ingestion = ingestion_with(delta_end_inclusive=inclusive)
    ingestion.write(("at the end", "E", 15 * MINUTE), ("next", "N", 15 * MINUTE + 1))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(45 * MINUTE)
    wanted = [["at the end"], ["next"]] if inclusive else [["at the end", "next"]]
    assert ingestion.landed() == wanted


def test_a_disabled_flow_does_not_run_and_loses_nothing(ingestion: Any) -> None:
    ingestion.write(("a", "A", 1), ("b", "B", 16 * MINUTE), ("c", "C", 46 * MINUTE))
    ingestion.provision()
    flow = ingestion.flow()
    ingestion.at(20 * MINUTE)
    ingestion.act(flow, "disable")
    ingestion.at(50 * MINUTE)
    assert ingestion.landed() == [["a"]]
    ingestion.act(flow, "enable")
    ingestion.at(60 * MINUTE)
    assert ingestion.landed() == [["a"], ["b", "c"]]
    assert [run["createdAt"] // 1000 - 1_700_000_000 for run in ingestion.runs()] == [15 * MINUTE, 60 * MINUTE]


def test_a_deleted_flow_runs_no_more(ingestion: Any) -> None:
    ingestion.write(("a", "A", 1), ("b", "B", 16 * MINUTE))
    ingestion.provision()
    flow = ingestion.flow()
    ingestion.at(20 * MINUTE)
    assert ingestion.caller.send("DELETE", f"{FLOW}/flows/{flow}").status == 204
    ingestion.at(100 * MINUTE)
    assert len(ingestion.runs()) == 1


def test_a_flow_that_is_not_ready_yet_runs_when_it_is(ingestion_with: Callable[..., Any]) -> None:
    ingestion = ingestion_with(flow_ready_ms=20 * MINUTE * 1000)
    ingestion.write(("a", "A", 1))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(20 * MINUTE - 1)
    assert ingestion.runs() == []
    ingestion.at(30 * MINUTE)
    assert ingestion.landed() == [["a"]]


def test_a_restart_goes_on_where_the_schedule_was(ingestion: Any, clock: Any) -> None:
    ingestion.write(("a", "A", 1), ("b", "B", 16 * MINUTE), ("c", "C", 31 * MINUTE))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    ingestion.emulator.close()
    clock.now += 40 * MINUTE  # nobody serves: two runs become due meanwhile
    ingestion.open()
    assert ingestion.landed() == [["a"], ["b"], ["c"]]


def test_a_run_on_demand_takes_its_own_window(ingestion: Any) -> None:
    ingestion.write(("a", "A", 10), ("b", "B", 20), ("c", "C", 30))
    ingestion.provision()
    flow = ingestion.flow(frequency="once")
    ingestion.at(15 * MINUTE)
    params = {
        "startTime": 1_700_000_900,
        "windowStartTime": 1_700_000_010,
        "windowEndTime": 1_700_000_030,
        "deltaColumn": {"name": "Create_Time"},
    }
    made = ingestion.make(f"{FLOW}/runs", {"flowId": flow, "params": params})
    shown = ingestion.caller.send("GET", f"{FLOW}/runs/{made['id']}").items[0]
    assert shown["metrics"]["statusSummary"]["status"] == "success"
    assert ingestion.landed() == [["a", "b", "c"], ["a", "b"]]


def test_a_row_filter_of_the_source_connection_holds(ingestion: Any) -> None:
    ingestion.write(("a", "Ann", 1), ("b", "Bob", 2), ("c", "Ann", 3))
    look_up = {"nodeType": "fieldLookup", "fieldName": "Product_Name"}
    wanted = {"nodeType": "fnApply", "fnName": "=", "params": [look_up, {"nodeType": "literal", "value": "Ann"}]}
    ingestion.provision()
    source = ingestion.emulator.world.store.get("sourceConnections", "prod", ingestion.source)
    source["params"]["filters"] = {"type": "PQL", "format": "pql/json", "value": wanted}
    ingestion.emulator.world.store.put("sourceConnections", "prod", ingestion.source, source)
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    assert ingestion.landed() == [["a", "c"]]
