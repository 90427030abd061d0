"""An emulator with many flows that runs for long: a call costs what it cost, and old records go."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from flowledger.emulator.caller import CATALOG, FLOW, REGISTRY
from flowledger.emulator.data.landing import Disk
from flowledger.emulator.wire import Request

MINUTE = 60
QUARTER = 15 * MINUTE
TABLE = "PayPal.Catalog_Products.csv"


@contextmanager
def counted(store: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many objects are taken out of the store inside, as the only number of the list."""
    seen = [0]

    def counting(method: Callable[..., Any], size: Callable[[Any], int]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            found = method(*arguments, **named)
            seen[0] += size(found)
            return found

        return wrapped

    with monkeypatch.context() as patched:
        for name in ("all", "as_listed"):
            patched.setattr(store, name, counting(getattr(store, name), len))
        for name in ("peek", "get"):
            patched.setattr(store, name, counting(getattr(store, name), lambda found: int(found is not None)))
        yield seen


def with_flows(ingestion: Any, count: int, **more: Any) -> Any:
    ingestion.write(("a", "A", 1))
    ingestion.provision()
    for _ in range(count):
        ingestion.flow(**more)
    ingestion.emulator.count("flows")
    return ingestion


@pytest.mark.parametrize("call", ["health", "read", "advance", "disable"])
def test_a_call_looks_at_as_many_objects_with_many_flows_as_with_few(
    folder: Path, tmp_path: Path, clock: Any, ingestion_class: Any, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    looked_at = []
    for count in (3, 300):
        ingestion = with_flows(ingestion_class(folder, tmp_path / f"state{count}", clock), count)
        flow = ingestion.emulator.objects("flows")[0]["id"]
        with counted(ingestion.emulator.world.store, monkeypatch) as seen:
            match call:
                case "health":
                    ingestion.emulator.handle(Request(method="GET", raw_path="/_emulator/health"))
                case "read":
                    assert ingestion.caller.send("GET", f"{FLOW}/connections/{ingestion.base}").status == 200
                case "advance":
                    body = json.dumps({"ms": 1000}).encode()
                    ingestion.emulator.handle(Request(method="POST", raw_path="/_emulator/advance", body=body))
                case "disable":
                    ingestion.act(flow, "disable")
                    ingestion.emulator.count("flows")
        looked_at.append(seen[0])
        ingestion.emulator.close()
    assert looked_at[0] == looked_at[1] < 20


def test_statistics_of_the_registry_are_made_again_only_when_it_has_changed(
    ingestion: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stats() -> tuple[Any, int]:
        with counted(ingestion.emulator.world.store, monkeypatch) as seen:
            reply = ingestion.caller.send("GET", f"{REGISTRY}/stats")
        assert reply.status == 200
        return reply.json, seen[0]

    for number in range(30):
        ingestion.provision(title=f"People {number}")
    first, _ = stats()
    again, looked_at = stats()
    assert (again, first["counts"]["schemas"]) == (first, 30)
    assert looked_at < 5
    ingestion.clock.now += 1
    ingestion.provision(title="More people")
    changed, _ = stats()
    assert changed["counts"]["schemas"] == 31
    assert changed["recentlyCreatedResources"] != first["recentlyCreatedResources"]
    store = ingestion.emulator.world.store
    [*_, latest] = store.all("schemas", "prod")

    def undone() -> None:
        with store.transaction():
            store.delete("schemas", "prod", latest["$id"])
            assert stats()[0]["counts"]["schemas"] == 30
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        undone()
    assert stats()[0] == changed
    ingestion.emulator.reset()
    ingestion.caller.forget_token()
    assert stats()[0]["counts"]["schemas"] == 0


def test_a_run_looks_at_as_many_objects_with_many_flows_as_with_few(
    folder: Path, tmp_path: Path, clock: Any, ingestion_class: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = []
    for count in (3, 300):
        clock.now = 1_700_000_000.0
        ingestion = ingestion_class(folder, tmp_path / f"state{count}", clock)
        with_flows(ingestion, count, frequency="week", start=1_700_000_000 + 99 * QUARTER)
        ingestion.flow()
        ingestion.emulator.count("flows")
        with counted(ingestion.emulator.world.store, monkeypatch) as seen:
            ingestion.at(QUARTER)
        assert ingestion.statuses() == ["success"]
        looked_at.append(seen[0])
        ingestion.emulator.close()
    assert looked_at[0] == looked_at[1]


def test_the_newest_runs_stay_and_older_ones_go(ingestion_with: Callable[..., Any]) -> None:
    ingestion = with_flows(ingestion_with(runs_kept=10), 1)
    ingestion.at(40 * QUARTER)
    kept = [run["createdAt"] // 1000 - 1_700_000_000 for run in ingestion.runs()]
    assert 10 <= len(kept) <= 11
    assert kept == [number * QUARTER for number in range(41 - len(kept), 41)]
    ingestion.emulator.close()
    ingestion.open()
    assert len(ingestion.runs()) == len(kept)


def test_the_latest_run_of_each_flow_stays_however_old_it_is(ingestion_with: Callable[..., Any]) -> None:
    ingestion = with_flows(ingestion_with(runs_kept=5), 1, frequency="once")
    [once] = ingestion.emulator.objects("flows")
    ingestion.flow()
    ingestion.at(40 * QUARTER)
    assert len(ingestion.runs()) <= 6
    assert ingestion.runs()[0]["flowId"] == once["id"]
    reply = ingestion.caller.send("GET", f"{FLOW}/runs", query=[("property", f"flowId=={once['id']}")])
    assert [run["metrics"]["statusSummary"]["status"] for run in reply.items] == ["success"]


def test_all_runs_stay_where_the_option_says_so(ingestion_with: Callable[..., Any]) -> None:
    ingestion = with_flows(ingestion_with(runs_kept=0), 1)
    ingestion.at(40 * QUARTER)
    assert len(ingestion.runs()) == 40


def test_rows_and_batches_stay_when_their_runs_go(ingestion_with: Callable[..., Any]) -> None:
    ingestion = ingestion_with(runs_kept=2)
    ingestion.write(*((f"r{number}", "N", number * QUARTER + 1) for number in range(10)))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(12 * QUARTER)
    assert len(ingestion.runs()) <= 3
    assert ingestion.landed() == [[f"r{number}"] for number in range(10)]


def away(ingestion: Any, *, until: int) -> None:
    """Let time pass while the table is away."""
    (ingestion.folder / TABLE).rename(ingestion.folder / "aside")
    ingestion.at(until)
    (ingestion.folder / "aside").rename(ingestion.folder / TABLE)


def trigger(ingestion: Any, run: str) -> Any:
    reply = ingestion.caller.send("POST", f"{FLOW}/runs/{run}/action", query=[("op", "re_trigger")])
    ingestion.emulator.count("runs")
    return reply


def test_what_is_noted_of_failed_runs_goes_with_them(ingestion_with: Callable[..., Any]) -> None:
    ingestion = with_flows(ingestion_with(runs_kept=3), 1)
    away(ingestion, until=20 * QUARTER)
    for run in ingestion.runs():
        trigger(ingestion, run["id"])
    ingestion.at(60 * QUARTER)
    for kind in ("openWindows", "runsTriggeredAgain", "runsMadeGood", "executions"):
        assert ingestion.emulator.objects(kind) == [], kind


def test_a_failed_run_that_is_left_of_a_chain_can_still_be_made_good(ingestion_with: Callable[..., Any]) -> None:
    ingestion = with_flows(ingestion_with(runs_kept=4), 1)
    away(ingestion, until=QUARTER)
    [first] = ingestion.runs()
    ingestion.at(4 * QUARTER)
    (ingestion.folder / TABLE).rename(ingestion.folder / "aside")
    again = trigger(ingestion, first["id"]).json["id"]
    (ingestion.folder / "aside").rename(ingestion.folder / TABLE)
    ingestion.at(7 * QUARTER)
    assert trigger(ingestion, first["id"]).status == 404
    assert trigger(ingestion, again).status == 200
    assert ingestion.landed() == [["a"]]


def test_cursors_of_deleted_flows_go(ingestion_with: Callable[..., Any]) -> None:
    ingestion = with_flows(ingestion_with(runs_kept=3), 2)
    ingestion.at(QUARTER)
    gone, _ = ingestion.emulator.objects("flows")
    assert ingestion.caller.send("DELETE", f"{FLOW}/flows/{gone['id']}").status == 204
    ingestion.at(20 * QUARTER)
    assert [one["id"] for one in ingestion.emulator.objects("flowCursors")] != []
    assert gone["id"] not in [one["id"] for one in ingestion.emulator.objects("flowCursors")]
    assert gone["id"] not in [run["flowId"] for run in ingestion.runs()]


def test_old_batches_go_with_their_rows_where_the_option_says_so(ingestion_with: Callable[..., Any]) -> None:
    ingestion = ingestion_with(batches_kept=3)
    ingestion.write(*((f"r{number}", "N", number * QUARTER + 1) for number in range(10)))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(12 * QUARTER)
    landed = ingestion.landed()
    assert landed == [[f"r{number}"] for number in range(10 - len(landed), 10)]
    assert 3 <= len(landed) <= 4
    assert len(list(ingestion.lake.batches())) == len(ingestion.emulator.objects("dataSetFiles")) == len(landed)
    counts = ingestion.caller.send("GET", f"{CATALOG}/dataSets/{ingestion.data_set}").json[ingestion.data_set]
    assert counts["statsCache"]["recordCount"] == counts["statsCache"]["batchCount"] == len(landed)


def test_the_latest_good_batch_stays_however_many_failed_since(ingestion_with: Callable[..., Any]) -> None:
    ingestion = with_flows(ingestion_with(batches_kept=2), 1)
    ingestion.at(QUARTER)
    for number in range(2, 9):
        ingestion.write((f"odd{number}", "N,odd", number * QUARTER - 1))
        ingestion.at(number * QUARTER)
    assert ingestion.statuses() == ["success", *["failed"] * 7]
    assert ingestion.landed() == [["a"]]
    assert len(ingestion.batches()) <= 4


class QuickDisk(Disk):
    """Syncs nothing: how fast a disk syncs is not what is proved here."""

    def sync(self, file: IO[bytes]) -> None:
        file.flush()

    def sync_folder(self, folder: Path) -> None:
        pass


def resident_mb() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="says how much memory a process has, on Linux")
def test_of_a_thousand_flows_and_ten_thousand_runs_state_and_memory_are_bounded(ingestion: Any) -> None:
    def size() -> tuple[float, float]:
        state = sum(path.stat().st_size for path in ingestion.state.rglob("*") if path.is_file()) / 2**20
        return resident_mb(), state

    ingestion.lake.disk = QuickDisk()
    ingestion.write(*((f"r{number}", "N", number * QUARTER + 1) for number in range(10)))
    ingestion.provision()
    for _ in range(1000):
        ingestion.flow()
    ingestion.at(QUARTER)
    memory, state = size()
    assert ingestion.emulator.plane.execution.executed == 1000
    for number in range(2, 11):
        ingestion.at(number * QUARTER)
    assert ingestion.emulator.plane.execution.executed == 10_000
    more_memory, more_state = size()
    assert set(ingestion.statuses()) == {"success"}
    assert len(ingestion.emulator.objects("batches")) == 10_000  # rows stay, unless the option batches_kept says else
    assert more_memory - memory < 50
    assert more_state - state < 50
