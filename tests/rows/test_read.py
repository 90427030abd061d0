"""Reading a dataset back: over Data Access as the platform documents it, against an emulator that collects rows."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowledger.engine import api
from flowledger.errors import NotThere, Unreachable, UsageError
from flowledger.steps.client.port import Answer, Port, Reach, Request
from flowledger.testing import platform_in_process, run_in_virtual_time

ROWS = [{"_id": f"p-{number}", "product": {"name": "Ü", "type": None}, "sizes": [1, number]} for number in range(5)]


def parquet(rows: list[Any]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


class Shelf:
    """A port that answers Data Access from `files` (batch to parts by name) and all else as `below` does."""

    def __init__(self, below: Port) -> None:
        self.below = below
        self.files: dict[str, dict[str, bytes]] = {}
        self.asked: list[Request] = []
        self.ranges = True
        self.limit = 100
        self.lose: set[int] = set()  # numbers of the calls whose answer is lost, from 1
        self.spoil: Callable[[Answer], Answer] = lambda answer: answer

    async def send(self, request: Request) -> Answer:
        if not request.path.startswith("/data/foundation/export/"):
            return await self.below.send(request)
        self.asked.append(request)
        if len(self.asked) in self.lose:
            return Answer(reach=Reach.SENT, trouble="connection reset")
        query = dict(request.query)
        words = request.path.split("/")
        if words[4] == "batches":
            start = int(query["start"])
            listed = [{"dataSetFileId": f"{words[5]}-{name}"} for name in self.files[words[5]]]
            page = listed[start : start + min(int(query["limit"]), self.limit)]
            return self.spoil(answered({"data": page, "_page": {"limit": self.limit, "count": len(page)}}))
        batch, _, name = words[5].partition("-")
        body = self.files[batch][name]
        if "path" not in query:
            return answered({"data": [{"name": name, "length": str(len(body))}], "_page": {"limit": 100, "count": 1}})
        if not self.ranges:
            return Answer(reach=Reach.ANSWERED, status=200, body=body)
        first, last = map(int, request.headers["Range"].removeprefix("bytes=").split("-"))
        last = min(last, len(body) - 1)
        headers = {"content-range": f"bytes {first}-{last}/{len(body)}"}
        return self.spoil(Answer(reach=Reach.ANSWERED, status=206, headers=headers, body=body[first : last + 1]))

    async def close(self) -> None:
        await self.below.close()


def answered(body: Any) -> Answer:
    return Answer(reach=Reach.ANSWERED, status=200, body=orjson.dumps(body), json=body)


class Reading:
    """A provisioned run, and a shelf with what its dataset holds."""

    def __init__(self, bench: Any) -> None:
        from flowledger.steps.client.inprocess import InProcessPort

        self.bench = bench
        self.shelf = Shelf(InProcessPort(bench.emulator.handle, bench.time))
        (self.data_set,) = (one["id"] for one in bench.emulator.world.store.all("dataSets", "prod"))

    def put(self, batch: str, *parts: bytes, created: int = 1, status: str = "success", of: str = "") -> None:
        record = {
            "id": batch,
            "status": status,
            "created": created,
            "relatedObjects": [{"type": "dataSet", "id": of or self.data_set}],
        }
        self.bench.emulator.world.store.put("batches", "prod", batch, record)
        self.shelf.files[batch] = {f"part{number}.parquet": part for number, part in enumerate(parts)}

    def __call__(self, verb: str, *args: Any, **options: Any) -> Any:
        """Call a method of the run's dataset in virtual time; lists what it yields."""
        journal = self.bench.open_journal()
        platform = platform_in_process(self.bench.emulator, self.bench.time, port=self.shelf)

        async def call() -> Any:
            dataset = api.dataset(
                self.bench.spec.name, journal=journal, platform=platform, clock=self.bench.time,
                chance=self.bench.chance,
            )  # fmt: skip
            found = getattr(dataset, verb)(*args, **options)
            return await found if asyncio.iscoroutine(found) else [one async for one in found]

        try:
            return run_in_virtual_time(self.bench.time, call())
        finally:
            journal.close()


@pytest.fixture
def reading(provisioned: Any) -> Reading:
    return Reading(provisioned)


def test_rows_come_from_every_batch_the_oldest_first(reading: Reading) -> None:
    reading.put("B2", parquet(ROWS[3:]), created=2)
    reading.put("B1", parquet(ROWS[:1]), parquet(ROWS[1:3]), created=1)
    assert reading("batches") == ["B1", "B2"]
    assert reading("rows") == ROWS
    assert reading("to_arrow").to_pylist() == ROWS


def test_a_limit_takes_so_many_rows_and_fetches_no_further_file(reading: Reading) -> None:
    reading.put("B1", parquet(ROWS[:3]), parquet(ROWS[3:]))
    assert reading("rows", limit=2) == ROWS[:2]
    assert sum("path" in dict(request.query) for request in reading.shelf.asked) == 1


def test_a_batch_alone_can_be_read_and_one_that_is_not_of_the_dataset_cannot(reading: Reading) -> None:
    reading.put("B1", parquet(ROWS[:3]))
    reading.put("B2", parquet(ROWS[3:]))
    reading.put("B3", parquet(ROWS), of="another")
    reading.put("B4", parquet(ROWS), status="failed")
    assert reading("rows", batches=["B2"]) == ROWS[3:]
    assert reading("rows") == ROWS
    for batch, said in (("B3", "has no batch B3"), ("B4", "is failed"), ("B5", "has no batch B5")):
        with pytest.raises(NotThere, match=said):
            reading("rows", batches=[batch])


def test_a_file_is_fetched_by_ranges_and_a_lost_piece_alone_is_asked_for_again(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = parquet(ROWS)
    reading.put("B1", body)
    monkeypatch.setitem(pieces_of(), "piece", 1000)
    reading.shelf.lose = {4}
    assert reading("rows") == ROWS
    ranges = [request.headers["Range"] for request in reading.shelf.asked if "Range" in request.headers]
    wanted = [f"bytes={first}-{first + 999}" for first in range(0, len(body), 1000)]
    assert list(dict.fromkeys(ranges)) == wanted
    assert len(ranges) == len(wanted) + 1


def pieces_of() -> dict[str, Any]:
    from flowledger.steps import data_access

    defaults = data_access.bytes_of.__kwdefaults__
    assert defaults is not None
    return defaults


def test_a_platform_without_ranges_is_heard_too(reading: Reading) -> None:
    reading.put("B1", parquet(ROWS))
    reading.shelf.ranges = False
    assert reading("rows") == ROWS


def test_files_come_page_by_page(reading: Reading) -> None:
    reading.put("B1", *(parquet([row]) for row in ROWS))
    reading.shelf.limit = 2
    assert reading("rows") == ROWS


@pytest.mark.parametrize(
    ("headers", "cut"),
    [({}, 0), ({"content-range": "bytes 5-9/10"}, 0), ({"content-range": "bytes 0-9/1000000"}, 0), (None, 3)],
    ids=["no-range", "other-piece", "other-length", "short"],
)
def test_pieces_that_do_not_fit_together_are_no_rows(reading: Reading, headers: Any, cut: int) -> None:
    reading.put("B1", parquet(ROWS))

    def spoilt(answer: Answer) -> Answer:
        if answer.status != 206:
            return answer
        body = answer.body[: len(answer.body) - cut]
        return Answer(
            reach=Reach.ANSWERED, status=206, body=body, headers=answer.headers if headers is None else headers
        )

    reading.shelf.spoil = spoilt
    with pytest.raises(Unreachable, match="could not be read"):
        reading("rows")


def test_a_file_that_is_no_parquet_is_told_with_its_batch(reading: Reading) -> None:
    reading.put("B1", b"not parquet, but long enough to look at twice")
    with pytest.raises(Unreachable, match="of batch B1 is no Parquet file"):
        reading("rows")


def test_a_secret_that_stands_in_the_data_is_data(reading: Reading) -> None:
    rows = [{"_id": "clientSecret: local-secret", "note": "Bearer abcdefghijklmnop"}]
    reading.put("B1", parquet(rows))
    assert reading("rows") == rows


def test_files_are_saved_as_they_are_without_pyarrow(
    reading: Reading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, other = parquet(ROWS[:2]), parquet(ROWS[2:])
    reading.put("B1", body, other)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UsageError, match="needs pyarrow"):
        reading("rows")
    paths = reading("save", tmp_path / "rows")
    assert [path.read_bytes() for path in paths] == [body, other]
    assert sorted(path.name for path in (tmp_path / "rows").iterdir()) == ["B1-0000.parquet", "B1-0001.parquet"]


def test_a_file_that_could_not_be_fetched_whole_is_not_there(reading: Reading, tmp_path: Path) -> None:
    reading.put("B1", parquet(ROWS))
    reading.shelf.lose = set(range(3, 100))
    with pytest.raises(Unreachable):
        reading("save", tmp_path / "rows")
    assert list((tmp_path / "rows").iterdir()) == []


def test_batches_of_different_columns_make_one_table(reading: Reading) -> None:
    reading.put("B1", parquet([{"_id": "a"}]), created=1)
    reading.put("B2", parquet([{"_id": "b", "name": "B"}]), created=2)
    assert reading("to_arrow").to_pylist() == [{"_id": "a", "name": None}, {"_id": "b", "name": "B"}]


def test_a_dataset_without_rows_is_an_empty_table(reading: Reading) -> None:
    assert reading("to_arrow").num_rows == 0
    assert reading("rows") == []


def test_a_run_without_a_dataset_and_a_destroyed_one_are_told(provisioned: Any) -> None:
    reading = Reading(provisioned)
    provisioned.sit(api.destroy, provisioned.spec.name)
    with pytest.raises(UsageError, match="is destroyed"):
        reading("batches")
