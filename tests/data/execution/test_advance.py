"""A clock that follows real time or is moved, and runs while an emulator is served."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flowledger.emulator.caller import FLOW, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.server import serve
from flowledger.emulator.wire import Request

MINUTE = 60
HOUR = 3600
WEEK = 7 * 24 * HOUR


def advance(emulator: Emulator, seconds: Any) -> tuple[int, Any]:
    ms = seconds * 1000 if isinstance(seconds, int) else seconds
    body = json.dumps({"ms": ms}).encode()
    response = emulator.handle(Request(method="POST", raw_path="/_emulator/advance", body=body))
    return response.status, json.loads(response.body)


@pytest.fixture
def flowing(ingestion: Any) -> Any:
    """Three rows in three windows of 15 minutes."""
    ingestion.write(("a", "A", 1), ("b", "B", 16 * MINUTE), ("c", "C", 31 * MINUTE))
    ingestion.provision()
    ingestion.flow()
    return ingestion


def test_moving_the_clock_runs_what_becomes_due(flowing: Any) -> None:
    status, said = advance(flowing.emulator, 30 * MINUTE)
    assert (status, said) == (200, {"now_ms": (1_700_000_000 + 30 * MINUTE) * 1000})
    assert flowing.landed() == [["a"], ["b"]]


def test_a_week_of_runs_is_made_at_once_each_at_its_own_time(flowing: Any) -> None:
    advance(flowing.emulator, WEEK)
    flowing.emulator.count("runs")
    flowing.caller.forget_token()
    assert len(flowing.runs()) == WEEK // (15 * MINUTE)
    made = [run["createdAt"] for run in flowing.runs()]
    assert made == [1_700_000_000_000 + number * 900_000 for number in range(1, len(made) + 1)]
    assert flowing.landed() == [["a"], ["b"], ["c"]]


def test_the_clock_stays_ahead_over_a_restart_and_follows_time_from_there(flowing: Any, clock: Any) -> None:
    advance(flowing.emulator, HOUR)
    flowing.emulator.close()
    flowing.open()
    assert flowing.emulator.now_ms() == (1_700_000_000 + HOUR) * 1000
    clock.now += 5
    assert flowing.emulator.now_ms() == (1_700_000_005 + HOUR) * 1000


@pytest.mark.parametrize("ms", [0, -1, 1.5, "10", None, True, 10**15], ids=repr)
def test_a_clock_is_not_moved_by_anything_odd(flowing: Any, ms: Any) -> None:
    before = flowing.emulator.now_ms()
    response = flowing.emulator.handle(
        Request(method="POST", raw_path="/_emulator/advance", body=json.dumps({"ms": ms}).encode())
    )
    assert response.status == 400
    assert flowing.emulator.now_ms() == before


def test_a_reset_takes_runs_batches_files_and_the_moved_clock_away(flowing: Any) -> None:
    advance(flowing.emulator, HOUR)
    flowing.emulator.count("runs")
    assert list(flowing.lake.batches())
    flowing.emulator.handle(Request(method="POST", raw_path="/_emulator/reset"))
    assert flowing.runs() == []
    assert list(flowing.lake.batches()) == []
    assert flowing.emulator.now_ms() == 1_700_000_000_000


def test_a_late_commit_takes_effect_between_the_runs_around_it(flowing: Any) -> None:
    [flow] = flowing.emulator.objects("flows")
    fault = {"route": "POST /flows/{id}/action", "kind": "late", "after_ms": 20 * MINUTE * 1000}
    flowing.emulator.faults.add_from(fault)
    flowing.caller.send("POST", f"{FLOW}/flows/{flow['id']}/action", query=[("op", "disable")])
    advance(flowing.emulator, HOUR)
    assert flowing.landed() == [["a"]]


def test_moving_a_clock_without_sources_moves_the_clock_alone(clock: Any) -> None:
    emulator = Emulator(clock=clock)
    assert advance(emulator, HOUR)[0] == 200
    assert emulator.now_ms() == (1_700_000_000 + HOUR) * 1000
    emulator.close()


def test_a_lake_without_state_goes_with_its_emulator(folder: Path, clock: Any) -> None:
    emulator = Emulator(clock=clock, sources=folder)
    assert emulator.world.lake is not None
    place = emulator.world.lake.folder.parent
    assert place.is_dir()
    emulator.close()
    assert not place.exists()


async def test_a_served_emulator_runs_what_is_due_before_it_answers(flowing: Any, clock: Any) -> None:
    server = await serve(flowing.emulator)
    try:
        async with aiohttp.ClientSession(server.url) as session:
            clock.now += 15 * MINUTE
            headers = flowing.caller.headers()
            async with session.get(f"{FLOW}/runs", headers=headers) as answer:
                [run] = (await answer.json())["items"]
            assert run["metrics"]["statusSummary"]["status"] == "success"
            async with session.post("/_emulator/advance", json={"ms": 30 * MINUTE * 1000}) as answer:
                assert answer.status == 200
            async with session.get("/_emulator/health") as answer:
                health = await answer.json()
            assert (health["runs_executed"], health["runs_waiting"]) == (3, False)
            batch = run["activities"][1]["targetInfo"][0]["reference"]["ids"][0]
            path = f"/data/foundation/export/files/{batch}-1?path=part-0.parquet"
            async with session.head(path, headers=headers) as answer:
                length = int(answer.headers["content-length"])
            async with session.get(path, headers={**headers, "Range": "bytes=0-3"}) as answer:
                assert (answer.status, await answer.read()) == (206, b"PAR1")
            assert length == flowing.part(batch).stat().st_size
    finally:
        await server.close()
    assert flowing.landed() == [["a"], ["b"], ["c"]]


async def test_a_server_that_stops_in_the_middle_of_a_run_leaves_it_to_the_next_start(
    flowing: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await serve(flowing.emulator)
    execution = flowing.emulator.plane.execution
    monkeypatch.setattr(execution, "settle", lambda *_, **__: pytest.fail("settled after the stop"))
    clock.now += 15 * MINUTE
    work = execution.begin_next(flowing.emulator.now_ms())
    execution.work_on(work)
    await server.close()
    flowing.emulator.close()
    flowing.open()
    assert flowing.landed() == [["a"]]
    assert flowing.statuses() == ["success"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="is no folder"):
        Emulator(sources=tmp_path / "none")
    shutil.rmtree(tmp_path)


def test_another_caller_sees_the_same(flowing: Any) -> None:
    advance(flowing.emulator, HOUR)
    assert len(Caller(flowing.emulator).send("GET", f"{FLOW}/runs").items) == 4


def test_a_flow_made_after_the_clock_was_moved_may_start_by_the_callers_clock(ingestion: Any) -> None:
    ingestion.write(("a", "A", 1))
    ingestion.provision()
    advance(ingestion.emulator, HOUR + MINUTE)
    ingestion.flow()  # its start has passed by the moved clock: the first run is at the next turn
    ingestion.emulator.count("runs")
    assert ingestion.runs() == []
    advance(ingestion.emulator, 14 * MINUTE)
    assert ingestion.landed() == [["a"]]
