"""A folder of sources that is away, replaced or unreadable costs the run that met it; nothing else notices."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flowledger.emulator.caller import FLOW, REGISTRY
from flowledger.emulator.data.batches import make_visible
from flowledger.emulator.run_records import schedule
from flowledger.emulator.run_worker import Worker
from flowledger.emulator.server import serve
from flowledger.emulator.wire import Request

MINUTE = 60
QUARTER = 15 * MINUTE
TABLE = "PayPal.Catalog_Products.csv"


def _nothing(folder: Path) -> None:
    """The folder was renamed, unmounted, or another branch was checked out."""


def _a_file(folder: Path) -> None:
    folder.write_text("no folder")


def _a_dangling_link(folder: Path) -> None:
    folder.symlink_to(folder.with_name("gone"))


def _a_loop_of_links(folder: Path) -> None:
    folder.symlink_to(folder)


def _an_empty_folder(folder: Path) -> None:
    folder.mkdir()


def _a_folder_of_damage(folder: Path) -> None:
    folder.mkdir()
    (folder / TABLE).write_bytes(b"\x00\xff\xfe" * 100)
    (folder / "PayPal.parquet").write_bytes(b"PAR1 and no more")
    (folder / "loop.csv").symlink_to(folder / "loop.csv")


def _a_link_for_the_table(folder: Path) -> None:
    folder.mkdir()
    (folder / TABLE).symlink_to(folder / "gone.csv")


REPLACEMENTS = [
    _nothing,
    _a_file,
    _a_dangling_link,
    _a_loop_of_links,
    _an_empty_folder,
    _a_folder_of_damage,
    _a_link_for_the_table,
]


@contextmanager
def replaced(folder: Path, replace: Callable[[Path], None]) -> Iterator[None]:
    """Something else is where the folder was; inside only."""
    aside = folder.with_name("aside")
    folder.rename(aside)
    replace(folder)
    try:
        yield
    finally:
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
        else:
            folder.unlink(missing_ok=True)
        aside.rename(folder)


@pytest.fixture(params=["memory", "state"])
def flowing(request: Any, folder: Path, tmp_path: Path, clock: Any, ingestion_class: Any) -> Iterator[Any]:
    """A flow with a row in each of three windows of 15 minutes."""
    state = tmp_path / "state" if request.param == "state" else None
    ingestion = ingestion_class(folder, state, clock)
    ingestion.write(("a", "A", 1), ("b", "B", 16 * MINUTE), ("c", "C", 31 * MINUTE))
    ingestion.provision()
    ingestion.flow()
    yield ingestion
    ingestion.emulator.close()


def control(ingestion: Any, method: str, path: str, body: Any = None) -> Any:
    response = ingestion.emulator.handle(
        Request(method=method, raw_path=f"/_emulator/{path}", body=b"" if body is None else json.dumps(body).encode())
    )
    assert response.status == 200, response
    return json.loads(response.body)


def trigger(ingestion: Any, run: str) -> None:
    reply = ingestion.caller.send("POST", f"{FLOW}/runs/{run}/action", query=[("op", "re_trigger")])
    assert reply.status == 200, reply.response
    ingestion.emulator.count("runs")


@pytest.mark.parametrize("replace", REPLACEMENTS, ids=lambda one: one.__name__.strip("_"))
def test_the_run_that_met_it_fails_and_says_why_and_the_next_one_is_right_without_a_restart(
    flowing: Any, replace: Callable[[Path], None]
) -> None:
    flowing.at(QUARTER)
    with replaced(flowing.folder, replace):
        control(flowing, "POST", "advance", {"ms": QUARTER * 1000})
        assert control(flowing, "GET", "health")["runs_waiting"] is False
        assert flowing.caller.send("GET", f"{REGISTRY}/stats").status == 200
        assert flowing.statuses() == ["success", "failed"]
        [message] = flowing.messages(flowing.runs()[1])
        assert "Catalog_Products" in message or str(flowing.folder) in message
    control(flowing, "POST", "advance", {"ms": QUARTER * 1000})
    assert flowing.statuses() == ["success", "failed", "success"]
    trigger(flowing, flowing.runs()[1]["id"])
    assert flowing.landed() == [["a"], ["c"], ["b"]]


def test_a_folder_of_which_the_permission_is_lost_fails_the_run_only(
    flowing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    flowing.at(QUARTER)
    look = Path.iterdir
    with monkeypatch.context() as denied:

        def iterdir(path: Path) -> Iterator[Path]:
            if path == flowing.folder:
                raise PermissionError(13, "Permission denied", str(path))
            return look(path)

        denied.setattr(Path, "iterdir", iterdir)
        flowing.at(2 * QUARTER)
    flowing.at(3 * QUARTER)
    assert flowing.statuses() == ["success", "failed", "success"]
    assert "Permission denied" in flowing.messages(flowing.runs()[1])[0]


@pytest.mark.parametrize("replace", [_nothing, _a_file], ids=["away", "a file"])
def test_explore_answers_that_the_source_cannot_be_reached(flowing: Any, replace: Callable[[Path], None]) -> None:
    def root() -> Any:
        return flowing.caller.send("GET", f"{FLOW}/connections/{flowing.base}/explore", query=[("objectType", "root")])

    with replaced(flowing.folder, replace):
        reply = root()
    assert (reply.status, reply.code) == (503, "FLOW-1103-503")
    assert root().status == 200


def test_a_file_whose_name_is_no_text_is_no_table(flowing: Any) -> None:
    try:
        (flowing.folder / b"\xff\xfe.csv".decode("utf-8", "surrogateescape")).write_text("a,b\n")
    except OSError:
        pytest.skip("this file system has names of text only")
    reply = flowing.caller.send("GET", f"{FLOW}/connections/{flowing.base}/explore", query=[("objectType", "root")])
    assert [table["name"] for table in reply.json] == [TABLE.removesuffix(".csv")]
    flowing.at(QUARTER)
    assert flowing.statuses() == ["success"]


@pytest.mark.parametrize("replace", [_nothing, _a_file], ids=["away", "a file"])
async def test_a_served_emulator_answers_and_closes_while_the_folder_is_away(
    flowing: Any, replace: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowledger.emulator.run_worker.POLL_S", 0.001)
    server = await serve(flowing.emulator)
    async with aiohttp.ClientSession(server.url, headers=flowing.caller.headers()) as session:
        with replaced(flowing.folder, replace):
            async with session.post("/_emulator/advance", json={"ms": QUARTER * 1000}) as answer:
                assert answer.status == 200
            for path in ("/_emulator/health", f"{REGISTRY}/stats", f"{FLOW}/runs"):
                async with session.get(path) as answer:
                    assert answer.status == 200
            async with session.get(f"{FLOW}/runs") as answer:
                [run] = (await answer.json())["items"]
            assert run["metrics"]["statusSummary"]["status"] == "failed"
        async with session.post("/_emulator/advance", json={"ms": QUARTER * 1000}) as answer:
            assert answer.status == 200
    flowing.folder.rename(flowing.folder.with_name("aside"))
    await server.close()
    flowing.folder.with_name("aside").rename(flowing.folder)
    assert flowing.statuses() == ["failed", "success"]


class Fault(Exception):
    """What nothing foresees."""


def _raise(*_: Any, **__: Any) -> Any:
    raise Fault("a bug")


@pytest.mark.parametrize("where", ["begin", "work", "settle"])
def test_an_unforeseen_fault_fails_its_run_and_the_flow_is_scheduled_on(
    flowing: Any, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flowing.at(QUARTER)
    with monkeypatch.context() as broken:
        target = {
            "begin": "flowledger.emulator.data.tables.SourceFolder.names",
            "work": "flowledger.emulator.data.execute.collect",
            "settle": "flowledger.emulator.data.execute.make_visible",
        }[where]
        calls: list[None] = []
        right = flowing.emulator.plane.execution  # the second writing of what came of a run is not broken
        if where == "settle":

            def once(*arguments: Any) -> Any:
                calls.append(None)
                return _raise() if len(calls) == 1 else make_visible(*arguments)

            broken.setattr(target, once)
        else:
            broken.setattr(target, _raise)
        flowing.at(2 * QUARTER)
        assert not right.is_busy(flowing.emulator.now_ms())
    flowing.at(3 * QUARTER)
    assert flowing.statuses() == ["success", "failed", "success"]
    assert "a bug" in flowing.messages(flowing.runs()[1])[0]
    assert flowing.landed() == [["a"], ["c"]]
    assert sorted(batch for _, batch in flowing.lake.batches()) == sorted(flowing.batches())  # nothing else lies there
    trigger(flowing, flowing.runs()[1]["id"])
    assert flowing.landed() == [["a"], ["c"], ["b"]]


def test_a_run_whose_outcome_can_never_be_kept_does_not_stop_its_flow(
    flowing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("flowledger.emulator.data.execute.make_visible", _raise)
        flowing.at(QUARTER)
    assert not flowing.emulator.plane.execution.is_busy(flowing.emulator.now_ms())
    flowing.at(2 * QUARTER)
    assert flowing.statuses()[1:] == ["success"]


def test_a_run_that_cannot_be_recorded_stops_no_other_flow_and_no_call(
    flowing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = flowing.emulator.objects("flows")[0]["id"]
    other = flowing.flow()

    def scheduled(world: Any, sandbox: str, flow: Any, **more: Any) -> Any:
        return _raise() if flow["id"] == odd else schedule(world, sandbox, flow, **more)

    monkeypatch.setattr("flowledger.emulator.data.execute.schedule", scheduled)
    flowing.at(2 * QUARTER)
    assert {run["flowId"] for run in flowing.runs()} == {other}
    assert control(flowing, "GET", "health")["runs_waiting"] is False


async def test_a_fault_of_a_run_is_not_raised_into_a_call_that_waits_for_it(
    flowing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(flowing.emulator)
    with monkeypatch.context() as broken:
        broken.setattr(flowing.emulator.plane.execution, "work_on", _raise)
        flowing.clock.now += QUARTER
        await worker.catch_up(patience=None)
    await worker.catch_up(patience=None)
    assert flowing.statuses() == ["success"]
    await asyncio.wait_for(worker.close(), 30)
