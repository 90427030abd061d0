"""The first rows of a batch, as JSON has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq


def first_rows(folder: Path, limit: int) -> list[dict[str, Any]]:
    """Rows of the batch's Parquet files, in order, without the fields that are null."""
    found: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=limit):
                found += batch.to_pylist()
                if len(found) >= limit:
                    break
        if len(found) >= limit:
            break
    rows: list[dict[str, Any]] = orjson.loads(orjson.dumps([_without_nulls(row) for row in found[:limit]], default=str))
    return rows


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value
