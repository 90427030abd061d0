"""What the platform calls a batch becomes part of paths and names of files: it is judged first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flowledger.engine.dataset import Dataset
from flowledger.errors import NotThere, Unreachable
from flowledger.steps.client.port import Answer, Reach, Request
from flowledger.steps.flow_run import flow_run_of


def answered(json: Any = None, body: bytes = b"") -> Answer:
    return Answer(reach=Reach.ANSWERED, status=200, json=json, body=body)


class OneBatch:
    """A platform with one batch of one file, whose id is what a test says."""

    def __init__(self, batch: str) -> None:
        self.batch = batch
        self.asked: list[str] = []

    async def ask(self, request: Request, *, allow: tuple[int, ...] = ()) -> Answer:
        self.asked.append(request.path)
        if request.path.endswith("/catalog/batches"):
            return answered({self.batch: {"status": "success", "created": 1}})
        if "/catalog/batches/" in request.path:
            return answered({self.batch: {"status": "success", "created": 1}})
        if request.path.endswith("/files"):
            return answered({"data": [{"dataSetFileId": "f1"}]})
        if not request.query:
            return answered({"data": [{"name": "a.parquet", "length": 4}]})
        return answered(body=b"PAR1")


def dataset_of(platform: OneBatch) -> Dataset:
    dataset = object.__new__(Dataset)
    dataset.id, dataset.run = "set1", "a-run"

    @asynccontextmanager
    async def reading() -> AsyncIterator[Any]:
        yield platform

    dataset._reading = reading  # type: ignore[method-assign]  # the platform of this test
    return dataset


ODD = [
    "../../outside/evil", "a/b", "/etc/x", ".", "..", ".hidden", "-rf", "a\\b", "a b", "a\n", "a%2fb", "", "\ud800",
    "x" * 1001, "a\u2028b", "CON:\x00",
]  # fmt: skip


@pytest.mark.parametrize("batch", ODD)
def test_an_odd_id_of_a_batch_writes_nothing_and_says_which_it_is(tmp_path: Path, batch: str) -> None:
    folder = tmp_path / "a" / "b"
    platform = OneBatch(batch)
    with pytest.raises(Unreachable, match="is no id of a batch"):
        asyncio.run(dataset_of(platform).save(folder))
    assert list(tmp_path.rglob("*")) == []
    assert platform.asked == ["/data/foundation/catalog/batches"]


@pytest.mark.parametrize("batch", [odd for odd in ODD if odd])
def test_a_batch_that_a_person_names_is_judged_as_one_of_the_platform(tmp_path: Path, batch: str) -> None:
    platform = OneBatch(batch)
    with pytest.raises(NotThere, match="is no id of a batch"):
        asyncio.run(dataset_of(platform).save(tmp_path / "a", batches=[batch]))
    assert list(tmp_path.rglob("*")) == []
    assert platform.asked == []


def test_an_ordinary_id_is_the_name_of_the_file(tmp_path: Path) -> None:
    (path,) = asyncio.run(dataset_of(OneBatch("01EF-b_2~3")).save(tmp_path))
    assert path.name == "01EF-b_2~3-0000.parquet"
    assert path.read_bytes() == b"PAR1"


@pytest.mark.parametrize("batch", ODD)
def test_an_odd_batch_of_a_flow_run_is_left_out(batch: str) -> None:
    info = {"reference": {"type": "BATCH", "ids": [batch, "good"]}}
    run = flow_run_of({"id": "r", "activities": [{"targetInfo": [info]}]})
    assert run is not None
    assert run.batches == ("good",)
