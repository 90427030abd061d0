"""Deleting a data set deletes its data: files, batches and entries of Catalog, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.data.landing import Disk
from flowledger.emulator.run_worker import Worker
from flowledger.emulator.wire import Request

MINUTE = 60
QUARTER = 15 * MINUTE
EXPORT = "/data/foundation/export"


class DenyingDisk(Disk):
    """Lets nothing be removed."""

    def remove(self, folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))


class DyingDisk(Disk):
    """The process dies when something is to be removed."""

    def remove(self, folder: Path) -> None:
        raise Death


class Death(BaseException):
    """Nothing that catches errors sees it."""


def files_in(ingestion: Any) -> list[Path]:
    return [path for path in ingestion.lake.folder.rglob("*") if path.is_file()]


def delete(ingestion: Any, data_set: str) -> None:
    reply = ingestion.caller.send("DELETE", f"{CATALOG}/dataSets/{data_set}")
    assert reply.status == 200, reply.response


def health(ingestion: Any) -> Any:
    return json.loads(ingestion.emulator.handle(Request(method="GET", raw_path="/_emulator/health")).body)


@pytest.fixture(params=["memory", "state"])
def landed(request: Any, folder: Path, tmp_path: Path, clock: Any, ingestion_class: Any) -> Iterator[Any]:
    """Two data sets with a batch in each; `deleted` is the one to be deleted."""
    ingestion = ingestion_class(folder, tmp_path / "state" if request.param == "state" else None, clock)
    ingestion.write(("a", "A", 1), ("b", "B", 16 * MINUTE))
    ingestion.provision()
    ingestion.flow()
    ingestion.deleted = ingestion.data_set
    ingestion.provision(title="More people")
    ingestion.flow()
    ingestion.at(QUARTER)
    assert len(files_in(ingestion)) == 2
    yield ingestion
    ingestion.emulator.close()


def test_its_batches_and_files_go_and_those_of_other_data_sets_stay(landed: Any) -> None:
    [batch] = [one for one in landed.emulator.objects("batches") if one["relatedObjects"][0]["id"] == landed.deleted]
    delete(landed, landed.deleted)
    assert [path.relative_to(landed.lake.folder).parts[0] for path in files_in(landed)] == [landed.data_set]
    assert list(landed.lake.data_sets()) == [landed.data_set]
    assert landed.caller.send("GET", f"{CATALOG}/batches", query=[("dataSet", landed.deleted)]).json == {}
    assert landed.caller.send("GET", f"{CATALOG}/dataSetFiles", query=[("dataSetId", landed.deleted)]).json == {}
    for path in (f"{CATALOG}/batches/{batch['id']}", f"{EXPORT}/batches/{batch['id']}/files"):
        assert landed.caller.send("GET", path).status == 404
    assert landed.landed() == [["a"]]


def test_later_runs_into_it_fail_and_leave_nothing(landed: Any) -> None:
    delete(landed, landed.deleted)
    landed.at(2 * QUARTER)
    assert sorted(landed.statuses()) == ["failed", "success", "success", "success"]
    assert list(landed.lake.data_sets()) == [landed.data_set]


def test_what_cannot_be_removed_is_reported_and_removed_as_soon_as_it_can_be(landed: Any) -> None:
    landed.lake.disk = DenyingDisk()
    delete(landed, landed.deleted)
    assert "Permission denied" in health(landed)["not_removed"][landed.deleted]
    assert len(files_in(landed)) == 2
    landed.lake.disk = Disk()
    landed.clock.now += 2
    health(landed)
    assert "not_removed" not in health(landed)
    assert list(landed.lake.data_sets()) == [landed.data_set]


def test_a_delete_that_a_refused_call_of_its_batch_undoes_deletes_no_data(landed: Any) -> None:
    calls = [
        {"id": "1", "resource": f"/dataSets/{landed.deleted}", "method": "DELETE"},
        {"id": "2", "resource": "/dataSets", "method": "POST", "body": {}},
    ]
    reply = landed.caller.send("POST", f"{CATALOG}/", calls)
    assert [one["code"] for one in reply.json] == [424, 400]
    assert len(files_in(landed)) == 2
    assert len(landed.emulator.objects("batches")) == len(landed.emulator.objects("dataSetFiles")) == 2


def test_a_reset_deletes_all_data(landed: Any) -> None:
    landed.emulator.handle(Request(method="POST", raw_path="/_emulator/reset"))
    assert list(landed.lake.data_sets()) == []


@pytest.mark.parametrize("sources", [True, False], ids=["with sources", "without sources"])
def test_a_death_before_the_files_are_removed_leaves_them_to_the_next_start(
    ingestion: Any, clock: Any, sources: bool
) -> None:
    ingestion.write(("a", "A", 1))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(QUARTER)
    ingestion.lake.disk = DyingDisk()
    with pytest.raises(Death):
        delete(ingestion, ingestion.data_set)
    assert len(files_in(ingestion)) == 1
    ingestion.emulator.close()
    emulator = Emulator(clock=clock, state=ingestion.state, sources=ingestion.folder if sources else None)
    assert emulator.world.lake is not None
    assert list(emulator.world.lake.data_sets()) == []
    assert Caller(emulator).send("GET", f"{CATALOG}/batches").json == {}
    emulator.close()
    ingestion.open()


class Held:
    """A source whose rows come only when they are let go."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.asked, self.go = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def batches(self, name: str, **window: Any) -> Iterator[Any]:
        self.asked.set()
        assert self.go.wait(30)
        yield from self.source.batches(name, **window)


async def test_a_run_that_is_under_way_leaves_nothing_of_a_data_set_that_is_deleted(
    ingestion: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingestion.write(("a", "A", 1), ("b", "B", 16 * MINUTE))
    ingestion.provision()
    ingestion.flow()
    ingestion.at(QUARTER)
    held = Held(ingestion.emulator.world.sources)
    monkeypatch.setattr(ingestion.emulator.plane.execution, "_source", held)
    clock.now += QUARTER
    worker = Worker(ingestion.emulator)
    await worker.catch_up(patience=0.01)
    await asyncio.to_thread(held.asked.wait, 30)
    delete(ingestion, ingestion.data_set)
    held.go.set()
    await worker.catch_up(patience=None)
    await worker.close()
    assert ingestion.statuses() == ["success", "failed"]
    assert "data set of the flow is not there" in ingestion.messages(ingestion.runs()[1])[0]
    assert list(ingestion.lake.data_sets()) == []
    assert ingestion.emulator.objects("batches") == []


def test_what_a_run_is_writing_stays_when_other_files_of_its_data_set_go(landed: Any) -> None:
    written, stray = (landed.lake.batch_folder(landed.data_set, batch) for batch in ("01WRITTEN", "01STRAY"))
    for folder in (written, stray):
        folder.mkdir()
    begun = {"id": "run", "flow": "flow", "batch": "01WRITTEN", "moment_ms": 0, "scheduled": False}
    landed.emulator.world.store.put("executions", "prod", "run", begun)
    landed.emulator.world.sweep.want(landed.data_set)
    landed.emulator.world.sweep.run()
    assert (written.exists(), stray.exists()) == (True, False)
    landed.emulator.world.store.drop("executions", "prod", "run")
