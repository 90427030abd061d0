"""What a run leaves in Catalog: batch, files, the data set's latest batch and counts (platform-api.md §3.2, §3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowledger.emulator.data.collect import Collected, Work
from flowledger.emulator.datasets import BATCHES, FILES
from flowledger.emulator.datasets import KIND as DATA_SETS
from flowledger.emulator.identity import sandbox_id, user_of
from flowledger.emulator.world import World

Json = dict[str, Any]

COUNTS: Final = ("recordCount", "fileCount", "batchCount", "sizeInBytes")


def new_batch_id(world: World) -> str:
    """A fresh id of the form that the platform's have: 26 digits and capitals, like 01EF..."""
    return f"01{world.new_hex(24).upper()}"


def make_visible(world: World, work: Work, done: Collected) -> str:
    """Put the batch into Catalog; part of the transaction that finishes the run. "" when there is no batch."""
    if done.landed is None or not (done.landed.parts or done.landed.diagnostics):
        return ""
    data_set = world.store.get(DATA_SETS, work.sandbox, work.data_set)
    if data_set is None:
        return ""  # deleted meanwhile: nobody can ask for the batch, and the next start removes its files
    now_ms, size = world.now_ms(), sum(done.landed.parts.values())
    status = "failed" if done.failure else "success"
    user = user_of(world.options.client_id)
    batch: Json = {
        "id": work.batch,
        "imsOrg": world.options.org,
        "sandboxId": sandbox_id(work.sandbox),
        "status": status,
        "relatedObjects": [{"type": "dataSet", "id": work.data_set}],
        "inputFormat": {"format": "parquet"},
        "version": "1.0.0",
        "created": now_ms,
        "createdClient": world.options.client_id,
        "createdUser": user,
        "started": work.moment_ms,
        "completed": now_ms,
        "updated": now_ms,
        "updatedUser": user,
        "tags": {"flowRunId": [work.run]},
        "metrics": {
            "startTime": work.moment_ms,
            "endTime": now_ms,
            "inputRecordCount": done.input_records,
            "outputRecordCount": done.output_records,
            "failedRecordCount": done.failed_records,
            "inputByteSize": done.input_bytes,
            "outputByteSize": size,
        },
        "errors": [{"code": error["code"], "description": error["message"]} for error in done.errors],
    }
    world.store.put(BATCHES, work.sandbox, work.batch, batch)
    if done.landed.parts:
        _put_file(world, work, done, data_set)
    _tell_data_set(world, work, done, data_set, status)
    return work.batch


def _put_file(world: World, work: Work, done: Collected, data_set: Mapping[str, Any]) -> None:
    assert done.landed is not None
    now_ms, key = world.now_ms(), f"{work.batch}-1"
    written = {
        "id": key,
        "dataSetId": work.data_set,
        "dataSetViewId": data_set["viewId"],
        "batchId": work.batch,
        "version": "1.0.0",
        "created": now_ms,
        "updated": now_ms,
        "isValid": True,
        "records": done.landed.rows,
        "parts": [{"name": name, "length": length} for name, length in done.landed.parts.items()],
    }
    world.store.put(FILES, work.sandbox, key, written)


def _tell_data_set(world: World, work: Work, done: Collected, data_set: Json, status: str) -> None:
    assert done.landed is not None
    data_set.update(lastBatchId=work.batch, lastBatchStatus=status)
    if status == "success":
        before = data_set.get("statsCache") or dict.fromkeys(COUNTS, 0)
        gained = (done.landed.rows, len(done.landed.parts), 1, sum(done.landed.parts.values()))
        data_set["lastSuccessfulBatch"] = work.batch
        data_set["statsCache"] = {name: before[name] + more for name, more in zip(COUNTS, gained, strict=True)}
    world.store.put(DATA_SETS, work.sandbox, work.data_set, data_set)
