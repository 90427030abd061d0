"""The time zone and the date format of a delta column are honoured, or refused when the flow is made."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.emulator.caller import FLOW

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
