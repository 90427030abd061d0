"""The time zone and the date format of a delta column are honoured, or refused when the flow is made."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from flowledger.emulator.caller import FLOW
from flowledger.emulator.data.windows import micros_of_integers

MINUTE = 60
START = 1_700_000_000
NO_ZONES = ["America/New_York", "Europe/Paris", "CET", "+01:00", "", 0, ["UTC"], "UTC "]
ZONES = ["UTC", "utc", "Etc/UTC", "GMT"]
NO_FORMATS = ["", "dd/qq/yyyy", "yyyy-MM-DD HH", "HH:mm:ss", "MM/yyyy", "yyyy-MM-dd yyyy", "'yyyy", 7, ["yyyy"]]
FORMATS = [
    "yyyy-MM-dd HH:mm:ss",
    "yyyy-MM-ddTHH:mm:ssZ",
    "yyyy-MM-dd'T'HH:mm:ss'Z'",
    "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "YYYY-MM-DD",
    "dd/MM/yyyy",
    "MM/dd/yy h:mm a",
    "d MMM yyyy HH:mm",
]


def ask_for_flow(ingestion: Any, delta: dict[str, Any]) -> Any:
    body = {
        "name": "flow",
        "flowSpec": {"id": "14518937-270c-4525-bdec-c2ba7cce3860", "version": "1.0"},
        "sourceConnectionIds": [ingestion.source],
        "targetConnectionIds": [ingestion.target],
        "transformations": [
            {"name": "Copy", "params": {"deltaColumn": {"name": "Create_Time", **delta}}},
            {"name": "Mapping", "params": {"mappingId": ingestion.mapping_set, "mappingVersion": 0}},
        ],
        "scheduleParams": {"startTime": START + 15 * MINUTE, "frequency": "minute", "interval": 15},
    }
    return ingestion.caller.send("POST", f"{FLOW}/flows", body)


@pytest.fixture
def provisioned(ingestion: Any) -> Any:
    ingestion.write(("a", "A", 1))
    ingestion.provision()
    return ingestion


@pytest.mark.parametrize(
    "delta", [*({"timezone": zone} for zone in NO_ZONES), *({"dateFormat": one} for one in NO_FORMATS)], ids=str
)
def test_a_time_zone_that_is_not_utc_and_a_format_of_no_date_are_refused(provisioned: Any, delta: Any) -> None:
    reply = ask_for_flow(provisioned, delta)
    assert (reply.status, reply.code) == (400, "CONNECTOR-1000-400")
    assert provisioned.emulator.count("flows") == 0


@pytest.mark.parametrize("delta", [*({"timezone": zone} for zone in ZONES), {"timezone": None}, {"dateFormat": None}])
def test_utc_is_taken_under_its_names(provisioned: Any, delta: Any) -> None:
    assert ask_for_flow(provisioned, delta).status == 201


@pytest.mark.parametrize("format", FORMATS)
def test_the_formats_of_documents_and_those_of_sources_are_taken(provisioned: Any, format: str) -> None:
    assert ask_for_flow(provisioned, {"dateFormat": format}).status == 201


def test_a_run_on_demand_is_judged_alike(provisioned: Any) -> None:
    flow = provisioned.flow(frequency="once")
    params = {
        "startTime": START,
        "windowStartTime": START,
        "windowEndTime": START + 10,
        "deltaColumn": {"name": "Create_Time", "timezone": "Asia/Tokyo"},
    }
    reply = provisioned.caller.send("POST", f"{FLOW}/runs", {"flowId": flow, "params": params})
    assert (reply.status, reply.code) == (400, "CONNECTOR-1000-400")


def test_a_flow_of_an_older_state_with_another_zone_says_so_in_its_runs(provisioned: Any) -> None:
    flow = provisioned.flow()
    store = provisioned.emulator.world.store
    kept = store.get("flows", "prod", flow)
    kept["transformations"][0]["params"]["deltaColumn"]["timezone"] = "America/New_York"
    store.put("flows", "prod", flow, kept)
    provisioned.at(15 * MINUTE)
    provisioned.at(30 * MINUTE)
    assert provisioned.statuses() == ["failed", "failed"]
    assert "must be UTC" in provisioned.messages(provisioned.runs()[0])[0]


def put_rows(ingestion: Any, *rows: tuple[str, str]) -> None:
    """The table with these rows: an id, and the delta value as the source writes it."""
    lines = "".join(f'{key},N,"{value}"\n' for key, value in rows)
    (ingestion.folder / "PayPal.Catalog_Products.csv").write_text(f"Product_Id,Product_Name,Create_Time\n{lines}")


@pytest.mark.parametrize(
    ("format", "rows"),
    [
        ("dd/MM/yyyy HH:mm", [("a", "14/11/2023 22:14"), ("b", "14/11/2023 22:30")]),
        ("MM/dd/yy h:mm a", [("a", "11/14/23 10:14 PM"), ("b", "11/14/23 10:30 PM")]),
        ("d MMM yyyy HH:mm:ss", [("a", "14 Nov 2023 22:14:00"), ("b", "14 Nov 2023 22:30:00")]),
        ("yyyyMMddHHmm", [("a", "202311142214"), ("b", "202311142230")]),
        ("yyyy-dd-MM HH:mm", [("a", "2023-14-11 22:14"), ("b", "2023-14-11 22:30")]),
        ("yyyy-MM-dd'T'HH:mm:ssXXX", [("a", "2023-11-14T23:14:00+01:00"), ("b", "2023-11-14T22:30:00Z")]),
    ],
)
def test_rows_are_placed_by_the_format_of_the_delta_column(
    ingestion: Any, format: str, rows: list[tuple[str, str]]
) -> None:
    put_rows(ingestion, *rows)
    ingestion.provision()
    ingestion.flow(delta={"dateFormat": format})
    ingestion.at(15 * MINUTE)
    assert ingestion.landed() == [["a"]]
    ingestion.at(30 * MINUTE)
    assert ingestion.landed() == [["a"], ["b"]]


def test_a_day_that_the_format_puts_first_is_not_taken_for_a_month(ingestion: Any) -> None:
    put_rows(ingestion, ("a", "2023-05-11"), ("b", "2023-11-30"), ("c", "2023-14-11"))
    ingestion.provision()
    ingestion.flow(delta={"dateFormat": "yyyy-dd-MM"}, options={"partialIngestionPercent": 50})
    ingestion.at(15 * MINUTE)
    assert ingestion.landed() == [["a", "c"]]
    assert any(
        "row 2" in one and "no date of the form yyyy-dd-MM" in one for one in ingestion.messages(ingestion.runs()[0])
    )


def test_two_flows_read_one_column_each_in_its_own_format(ingestion: Any) -> None:
    put_rows(ingestion, ("a", "2023-11-10 00:00:00"), ("b", "2023-10-11 00:00:00"))
    ingestion.provision()
    ingestion.flow(start=START + 15 * MINUTE)
    ingestion.flow(delta={"dateFormat": "yyyy-dd-MM HH:mm:ss"})
    ingestion.at(15 * MINUTE)
    assert ingestion.landed() == [["a", "b"]] * 2
    put_rows(ingestion, ("c", "2023-11-14 22:40:00"), ("d", "2023-14-11 22:40:00"))
    ingestion.at(30 * MINUTE)
    by_flow = {run["flowId"]: ingestion.messages(run) for run in ingestion.runs()[2:]}
    first, second = (one["id"] for one in ingestion.emulator.objects("flows"))
    assert any("row 2" in message for message in by_flow[first])
    assert any("row 1" in message for message in by_flow[second])


UNITS = {"seconds": 1, "milliseconds": 1000, "microseconds": 10**6, "nanoseconds": 10**9}


@pytest.mark.parametrize("factor", UNITS.values(), ids=UNITS)
def test_whole_numbers_count_from_the_epoch_in_the_unit_that_their_size_says(ingestion: Any, factor: int) -> None:
    moments = [START + 60, START + 15 * MINUTE, START + 31 * MINUTE]
    put_rows(ingestion, *((f"r{number}", str(moment * factor)) for number, moment in enumerate(moments)))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    assert ingestion.landed() == [["r0"]]
    ingestion.at(45 * MINUTE)
    assert ingestion.landed() == [["r0"], ["r1"], ["r2"]]


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 2**63, 2**64, 10**18, 10**17, 10**14, 10**11, -1, 0])
def test_a_number_is_a_moment_or_reported_and_never_wraps_around(ingestion: Any, number: int) -> None:
    put_rows(ingestion, ("odd", str(number)), ("a", str(START)))
    ingestion.provision()
    ingestion.flow(options={"partialIngestionPercent": 60})
    ingestion.at(15 * MINUTE)
    size = abs(number)
    seconds = number / (1 if size < 10**11 else 10**3 if size < 10**14 else 10**6 if size < 10**17 else 10**9)
    placed, reported = seconds < START + 15 * MINUTE, bool(ingestion.messages(ingestion.runs()[0]))
    assert ingestion.landed() == [["odd", "a"] if placed and not reported else ["a"]]
    assert reported == (number not in range(-(2**63), 2**63))


@pytest.mark.parametrize("type_", [pa.int64(), pa.int32(), pa.uint64()], ids=str)
def test_whole_numbers_of_every_width_are_counted_without_overflow(type_: pa.DataType) -> None:
    wanted = {START: START * 10**6, 0: 0}
    if type_ != pa.int32():
        wanted |= {START * 1000: START * 10**6, START * 10**6: START * 10**6, START * 10**9: START * 10**6}
        wanted |= {2**63 - 1: (2**63 - 1) // 1000}
    column = pa.array([*wanted, None], type_)
    assert micros_of_integers(column).to_pylist() == [*wanted.values(), None]


def test_a_number_beyond_64_bits_is_no_moment() -> None:
    assert micros_of_integers(pa.array([2**64 - 1, START], pa.uint64())).to_pylist() == [None, START * 10**6]
