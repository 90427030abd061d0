"""A batch is whole or not there: whatever dies, whenever, every row of the source is in exactly one batch."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import aiohttp
import pyarrow.parquet as pq
import pytest

from flowledger.emulator.caller import FLOW
from flowledger.emulator.data.landing import Disk
from flowledger.emulator.server import serve
from flowledger.emulator.wire import Request

MINUTE = 60


class Death(BaseException):
    """The process is gone: nothing that catches errors sees it."""


class DyingDisk(Disk):
    """Dies at its n-th operation: before it, or right after it took effect."""

    def __init__(self, number: int, *, after: bool) -> None:
        self.left = number
        self.after = after
        self.opened: list[IO[bytes]] = []

    def open(self, path: Path) -> IO[bytes]:
        self._count(before=True)
        file = super().open(path)
        self.opened.append(file)
        self._count(before=False)
        return file

    def make_folder(self, folder: Path) -> None:
        self._around(lambda: super(DyingDisk, self).make_folder(folder))

    def sync(self, file: IO[bytes]) -> None:
        self._around(lambda: super(DyingDisk, self).sync(file))

    def rename(self, old: Path, new: Path) -> None:
        self._around(lambda: super(DyingDisk, self).rename(old, new))

    def sync_folder(self, folder: Path) -> None:
        self._around(lambda: super(DyingDisk, self).sync_folder(folder))

    def remove(self, folder: Path) -> None:
        self._around(lambda: super(DyingDisk, self).remove(folder))

    def _around(self, work: Callable[[], None]) -> None:
        self._count(before=True)
        work()
        self._count(before=False)

    def _count(self, *, before: bool) -> None:
        if before != self.after:
            self.left -= 1
            if self.left < 0:
                for file in self.opened:
                    file.close()  # as the system does for a dead process
                raise Death


def fill(ingestion: Any) -> list[str]:
    """Rows in three windows; returns their ids."""
    rows = [(f"row {number}", "N", number * 5 * MINUTE) for number in range(9)]
    ingestion.write(*rows)
    return [key for key, _, _ in rows]


def restarted_is_right(ingestion: Any, ids: list[str]) -> None:
    """After a restart every row is in one batch, every batch is whole, and nothing else lies in the lake."""
    ingestion.emulator.close()
    ingestion.open()
    ingestion.at(60 * MINUTE)
    landed = ingestion.landed()
    assert sorted(key for batch in landed for key in batch) == sorted(ids)
    assert len(landed) == 3
    assert ingestion.statuses() == ["success"] * 4
    assert sorted(batch for _, batch in ingestion.lake.batches()) == sorted(ingestion.batches())
    assert [path.name for path in sorted(ingestion.lake.folder.rglob("*")) if path.is_file()] == ["part-0.parquet"] * 3


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(9))
def test_death_at_any_operation_of_the_disk_loses_and_repeats_nothing(ingestion: Any, number: int, after: bool) -> None:
    ids = fill(ingestion)
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    ingestion.lake.disk = DyingDisk(number, after=after)
    with pytest.raises(Death):
        ingestion.at(45 * MINUTE)
    restarted_is_right(ingestion, ids)


@pytest.mark.parametrize("number", range(11))  # a run makes so many
def test_death_at_any_write_to_the_store_loses_and_repeats_nothing(
    ingestion: Any, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(ingestion)
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    store, left = ingestion.emulator.world.store, [number]
    put = store.put

    def dying_put(*what: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Death
        put(*what)

    monkeypatch.setattr(store, "put", dying_put)
    with pytest.raises(Death):
        ingestion.at(30 * MINUTE)
    restarted_is_right(ingestion, ids)


def full_from(number: int, monkeypatch: pytest.MonkeyPatch, store: Any) -> None:
    """Let the disk of the store be full from its n-th write on."""
    left, put = [number], store.put

    def refusing_put(*what: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise sqlite3.OperationalError("database or disk is full")
        put(*what)

    monkeypatch.setattr(store, "put", refusing_put)


@pytest.mark.parametrize("number", range(11))  # a run makes so many
def test_a_store_that_is_full_at_any_write_loses_and_repeats_nothing_without_a_restart(
    ingestion: Any, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ingestion)
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    with monkeypatch.context() as full:
        full_from(number, full, ingestion.emulator.world.store)
        with pytest.raises(sqlite3.OperationalError):
            ingestion.at(30 * MINUTE)
        assert ingestion.emulator.handle(Request(method="GET", raw_path=f"{FLOW}/runs")).status == 500

    ingestion.at(60 * MINUTE)

    assert ingestion.landed() == [[f"row {number}" for number in range(first, first + 3)] for first in (0, 3, 6)]
    assert ingestion.statuses() == ["success"] * 4
    assert sorted(batch for _, batch in ingestion.lake.batches()) == sorted(ingestion.batches())


async def test_a_served_emulator_whose_store_is_full_says_so_and_goes_on_when_there_is_room(
    ingestion: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ingestion)
    ingestion.provision()
    ingestion.flow()
    headers = ingestion.caller.headers()
    server = await serve(ingestion.emulator)
    try:
        async with aiohttp.ClientSession(server.url, headers=headers) as session:
            with monkeypatch.context() as full:
                full_from(5, full, ingestion.emulator.world.store)
                ingestion.clock.now += 15 * MINUTE
                async with session.get(f"{FLOW}/runs") as answer:
                    assert (answer.status, (await answer.json())["error_code"]) == (500, "500001")
                async with session.get("/_emulator/health") as answer:
                    assert (answer.status, (await answer.json())["runs_waiting"]) == (200, True)
            async with session.get(f"{FLOW}/runs") as answer:
                [run] = (await answer.json())["items"]
    finally:
        await server.close()
    assert run["metrics"]["statusSummary"]["status"] == "success"
    assert ingestion.landed() == [["row 0", "row 1", "row 2"]]


def test_a_run_that_was_interrupted_is_the_same_run_again(ingestion: Any) -> None:
    fill(ingestion)
    ingestion.provision()
    ingestion.flow()
    ingestion.lake.disk = DyingDisk(4, after=True)
    with pytest.raises(Death):
        ingestion.at(15 * MINUTE)
    ingestion.emulator.close()
    ingestion.open()
    [begun] = ingestion.emulator.world.store.all("executions", "prod")
    ingestion.at(15 * MINUTE)
    [run] = ingestion.runs()
    [batch] = ingestion.batches()
    assert (run["id"], batch) == (begun["id"], begun["batch"])
    assert run["createdAt"] == 1_700_000_900_000


def test_what_a_dead_emulator_left_is_never_shown(ingestion: Any) -> None:
    fill(ingestion)
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    ingestion.emulator.close()
    stray = ingestion.lake.batch_folder(ingestion.data_set, "01STRAY")
    stray.mkdir()
    (stray / ".part-0.parquet").write_bytes(b"half")
    ingestion.open()
    assert not stray.exists()
    assert len(ingestion.landed()) == 1


def test_a_full_disk_fails_the_run_and_harms_no_other(ingestion: Any) -> None:
    class FullDisk(Disk):
        def sync(self, file: IO[bytes]) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    fill(ingestion)
    ingestion.provision()
    ingestion.flow()
    ingestion.at(15 * MINUTE)
    ingestion.lake.disk = FullDisk()
    ingestion.at(30 * MINUTE)
    ingestion.lake.disk = Disk()
    ingestion.at(45 * MINUTE)
    assert ingestion.statuses() == ["success", "failed", "success"]
    assert "No space left on device" in ingestion.messages(ingestion.runs()[1])[0]
    assert ingestion.landed() == [["row 0", "row 1", "row 2"], ["row 6", "row 7", "row 8"]]
    failed = ingestion.runs()[1]["id"]
    reply = ingestion.caller.send("POST", f"{FLOW}/runs/{failed}/action", query=[("op", "re_trigger")])
    assert reply.status == 200
    ingestion.emulator.count("runs")
    assert ingestion.landed()[-1] == ["row 3", "row 4", "row 5"]


def test_any_reader_of_parquet_opens_the_folder_of_a_data_set(ingestion: Any) -> None:
    ids = fill(ingestion)
    ingestion.provision()
    ingestion.flow(options={"partialIngestionPercent": 90, "errorDiagnosticsEnabled": True})
    ingestion.write(("broken", "x,y", 1))
    ingestion.at(45 * MINUTE)
    table = pq.read_table(ingestion.lake.folder / ingestion.data_set)
    assert sorted(row["_id"] for row in table.to_pylist()) == sorted(ids)
