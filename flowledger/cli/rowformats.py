"""Rows of a dataset as people and programs read them: a table that fits the terminal, JSON Lines, CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

WIDEST: Final = 24  # columns of a table's cell

Row = Mapping[str, Any]


async def print_jsonl(rows: AsyncIterator[Row]) -> int:
    """One JSON object a line, without the fields that are null. Returns how many rows there were."""
    from flowledger.cli.show import print_json_line

    count = 0
    async for row in rows:
        print_json_line(plain(row))
        count += 1
    return count


async def print_csv(rows: AsyncIterator[Row]) -> int:
    """CSV with a header: nested fields by their dotted path, lists as JSON; columns without any value are left out.

    Which columns there are is known only at the end, so rows are put aside until then.
    """
    import orjson

    from flowledger.cli.printable import printable
    from flowledger.cli.show import on_terminal
    from flowledger.engine.aside import Aside

    columns: dict[str, None] = {}
    count = 0
    with Aside() as aside:
        async for row in rows:
            flat = flattened(plain(row))
            columns |= dict.fromkeys(flat)
            aside.write(orjson.dumps(flat) + b"\n")
            count += 1
        aside.seek(0)
        writer = csv.writer(sys.stdout, lineterminator="\n")
        show = printable if on_terminal() else str
        if columns:
            writer.writerow([show(column) for column in columns])
        for line in aside:
            flat = orjson.loads(line)
            writer.writerow([show(cell_of(flat.get(column))) for column in columns])
    sys.stdout.flush()
    return count


async def print_table(rows: AsyncIterator[Row], *, room: int) -> int:
    """A table of the columns that fit into `room`, which says what it leaves out."""
    from flowledger.cli.printable import printable
    from flowledger.cli.show import fitted, table

    flats = [flattened(plain(row)) async for row in rows]
    columns = list(dict.fromkeys(column for flat in flats for column in flat))
    cells = {column: [fitted(printable(cell_of(flat.get(column))), WIDEST) for flat in flats] for column in columns}
    heads = {column: fitted(printable(head), WIDEST) for column, head in headed(columns).items()}
    shown: list[str] = []
    used = 0
    for column in columns:
        wide = max(map(len, (heads[column], *cells[column])))
        if shown and used + wide > room:
            break
        shown.append(column)
        used += wide + 2
    body = [tuple(cells[column][at] for column in shown) for at in range(len(flats))]
    if shown:
        print("\n".join(table(body, head=tuple(heads[column] for column in shown), indent=0)))
    left = len(columns) - len(shown)
    if left:
        print(f"({left} more column{'s' if left > 1 else ''}: --format jsonl)")
    return len(flats)


def headed(columns: list[str]) -> dict[str, str]:
    """What stands above each column: the end of its path, as long as it must be to be one column's alone."""
    heads = {}
    for column in columns:
        words, others = column.split("."), [other for other in columns if other != column]
        ends = [".".join(words[-length:]) for length in range(1, len(words) + 1)]
        heads[column] = next((end for end in ends if not any(_ends_so(other, end) for other in others)), column)
    return heads


def _ends_so(column: str, end: str) -> bool:
    return column == end or column.endswith(f".{end}")


def plain(value: Any) -> Any:
    """A value as JSON has it: without null fields, moments as ISO 8601 texts, what JSON has not as text."""
    import base64
    import datetime
    import math

    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value)


def flattened(row: Row, above: str = "") -> dict[str, Any]:
    """A row's values by their dotted path; what is empty has none."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{path}.")
        else:
            flat[path] = value
    return flat


def cell_of(value: Any) -> str:
    """A value as the text of a cell."""
    import orjson

    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return orjson.dumps(value).decode() if isinstance(value, list) else str(value)
