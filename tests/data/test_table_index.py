"""What is remembered of a file: a window reads its rows only, and no change of the file is missed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowledger.emulator.data import csv_tables, readers, table_index
from flowledger.emulator.data.tables import Batch, Broken, SourceFolder, SourceUnreadable

DAY = 1_767_225_600_000  # 2026-01-01 in milliseconds
MINUTE = 60_000


def line(key: str, minute: int) -> str:
    """A row at so many minutes of the day."""
    return f"{key},2026-01-01 {minute // 60:02d}:{minute % 60:02d}:00\n"


def rows(sources: SourceFolder, start: int | None, end: int | None, name: str = "t") -> list[str]:
    """The ids of a window in minutes, and `!ROW` for each row that is broken."""
    start_ms, end_ms = (None if one is None else DAY + one * MINUTE for one in (start, end))
    found: list[str] = []
    for part in sources.batches(name, delta="at", start_ms=start_ms, end_ms=end_ms):
        found += [f"!{part.row}"] if isinstance(part, Broken) else part.table.column("id").to_pylist()
    return found


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each opening of a table has read."""
    counts: list[int] = []
    plain = csv_tables.CsvFile._bytes

    def counted(self: Any, offset: int, count: int, row: int) -> bytes:
        counts[-1] += count
        return plain(self, offset, count, row)

    def opening(path: Path) -> Any:
        counts.append(0)
        return csv_tables.opened(path)

    monkeypatch.setattr(csv_tables.CsvFile, "_bytes", counted)
    monkeypatch.setitem(readers.READERS, ".csv", opening)
    return counts


def test_a_window_without_rows_opens_no_file_and_a_file_that_has_grown_is_read_from_where_it_ended(
    folder: Path, sources: SourceFolder, opened: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_tables, "BLOCK", 2**16)
    monkeypatch.setattr(table_index, "LOOKED_AT", 2**16)
    path = folder / "t.csv"
    path.write_text("id,at\n" + "".join(line(f"r{n}", n % 600) for n in range(20_000)))
    assert len(rows(sources, None, 600)) == 20_000
    opened.clear()

    assert rows(sources, 600, 700) == []
    assert rows(sources, 700, 800) == []
    assert sum(opened) == 0

    with path.open("a") as file:
        file.write(line("new", 900))
    assert rows(sources, 800, 1000) == ["new"]
    assert sum(opened) == len(line("new", 900))
    assert rows(sources, 800, 1000) == ["new"]  # once more, from what is remembered
    assert len(rows(sources, None, 1000)) == 20_001


def _edited(path: Path) -> None:
    """The same length, in place, with the times that it had."""
    before = path.stat()
    data = path.read_bytes()
    with path.open("r+b") as file:
        file.write(data.replace(b"r10,", b"X10,"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replaced(path: Path) -> None:
    new = path.with_name("new")
    new.write_text("id,at\n" + line("X10", 10))
    new.replace(path)


def _shrunk(path: Path) -> None:
    path.write_text("id,at\n" + line("X10", 10))


def _rewritten_and_longer(path: Path) -> None:
    """In place, with more at its end, as an editor does."""
    with path.open("r+") as file:
        file.write(path.read_text().replace("r10,", "X10,") + line("more", 59))


def _retyped(path: Path) -> None:
    path.write_text("at,id,more\n" + f"{DAY + 10 * MINUTE},X10,1\n")


@pytest.mark.parametrize("change", [_edited, _replaced, _shrunk, _rewritten_and_longer, _retyped])
def test_a_file_that_is_changed_is_read_anew(
    folder: Path, sources: SourceFolder, change: Callable[[Path], None]
) -> None:
    path = folder / "t.csv"
    path.write_text("id,at\n" + "".join(line(f"r{n}", n) for n in range(50)))
    assert rows(sources, 10, 11) == ["r10"]

    change(path)

    assert rows(sources, 10, 11) == ["X10"]


def test_half_a_line_is_read_anew_when_the_rest_has_come(folder: Path, sources: SourceFolder) -> None:
    path = folder / "t.csv"
    path.write_text("id,at\n" + line("a", 1) + line("bee", 2).rstrip())
    assert rows(sources, 0, 10) == ["a", "bee"]
    path.write_text("id,at\n" + line("a", 1) + "be")
    assert rows(sources, 0, 10) == ["a", "!2"]

    with path.open("a") as file:
        file.write(line("e", 2))

    assert rows(sources, 0, 10) == ["a", "bee"]


def test_broken_rows_are_remembered_with_the_others(folder: Path, sources: SourceFolder, opened: list[int]) -> None:
    path = folder / "t.csv"
    path.write_text("id,at\n" + line("a", 1) + "x\n" + "b,never\n" + "c,\n")
    assert rows(sources, 0, 10) == ["!2", "!3", "!4", "a"]
    opened.clear()

    assert rows(sources, 10, 20) == ["!2", "!3", "!4"]
    assert opened == []


def test_a_broken_row_is_told_from_another_one_in_its_place(folder: Path, sources: SourceFolder) -> None:
    def key() -> str:
        [broken] = [one for one in sources.batches("t", delta="at", start_ms=0, end_ms=1) if isinstance(one, Broken)]
        return broken.key

    path = folder / "t.csv"
    path.write_text("id,at\na,\n")
    first = key()
    path.write_text("id,at\na,\n" + line("b", 1))
    assert key() == first
    path.write_text("id,at\nc,\n")
    assert key() != first


def test_what_is_remembered_is_bounded(folder: Path, sources: SourceFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowledger.emulator.data.tables.MOST_MOMENTS", 100)
    monkeypatch.setattr("flowledger.emulator.data.tables.MOST_TABLES", 2)
    for name in ("t", "u", "v"):
        (folder / f"{name}.csv").write_text("id,at\n" + "".join(line(f"r{n}", n) for n in range(80)))
        assert len(rows(sources, 0, 80, name)) == 80

    assert sum(known.count for known in sources._known.values()) <= 100
    assert len(sources._known) == 2
    for name in ("t", "u", "v"):
        assert rows(sources, 10, 12, name) == ["r10", "r11"]  # what is forgotten is read again


def test_a_parquet_file_is_read_by_the_parts_that_hold_the_window(folder: Path, sources: SourceFolder) -> None:
    moments = pa.array([DAY + n * MINUTE for n in range(200)], pa.timestamp("ms", tz="UTC"))
    pq.write_table(
        pa.table({"id": [f"r{n}" for n in range(200)], "at": moments}), folder / "t.parquet", row_group_size=30
    )

    for _ in range(2):
        assert rows(sources, 28, 33) == ["r28", "r29", "r30", "r31", "r32"]
        assert rows(sources, 500, 600) == []
        assert rows(sources, None, None) == [f"r{n}" for n in range(200)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.sampled_from(["csv", "jsonl"]))
def test_whatever_becomes_of_a_file_a_reading_gives_what_a_new_emulator_would_give(
    tmp_path_factory: pytest.TempPathFactory, seed: int, ending: str
) -> None:
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("sources")
    path, sources = folder / f"t.{ending}", SourceFolder(folder)
    lines: list[str] = []
    for step in range(8):
        for _ in range(chance.randrange(4)):
            minute = chance.randrange(20)
            kind = chance.choice(["fine", "fine", "fine", "undated", "broken"])
            at = "never" if kind == "undated" else f"2026-01-01 00:{minute:02d}:00"
            whole = f"k{step},{at}\n" if ending == "csv" else f'{{"id": "k{step}", "at": "{at}"}}\n'
            lines.append(whole if kind != "broken" else "x\n")
        if lines and chance.random() < 0.3:
            lines.pop(chance.randrange(len(lines)))
        lines = lines or [
            '{"id": "z", "at": "2026-01-01 00:00:00"}\n' if ending == "jsonl" else "z,2026-01-01 00:00:00\n"
        ]
        text = ("id,at\n" if ending == "csv" else "") + "".join(lines)
        if chance.random() < 0.5:
            path.write_text(text)
        else:
            new = folder / "new"
            new.write_text(text)
            new.replace(path)
        start, end = sorted(chance.sample(range(21), 2))
        try:
            expected = rows(SourceFolder(folder), start, end)
        except SourceUnreadable:
            with pytest.raises(SourceUnreadable):
                rows(sources, start, end)
            continue
        found = rows(sources, start, end)
        assert [one for one in found if one[0] != "!"] == [one for one in expected if one[0] != "!"]
        assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("name", [".hidden.csv", "._t.csv", ".t.jsonl"])
def test_hidden_files_are_no_tables(folder: Path, sources: SourceFolder, name: str) -> None:
    (folder / name).write_bytes(b"\0\5\026\a")
    assert sources.names() == []
    assert sources.others() == []


def test_a_link_whose_target_is_gone_is_named(folder: Path, sources: SourceFolder) -> None:
    (folder / "t.csv").symlink_to("../moved/t.csv")

    assert sources.names() == ["t"]
    with pytest.raises(SourceUnreadable, match=r"t\.csv is a link to \.\./moved/t\.csv, which is not there"):
        sources.columns("t")


def test_what_is_no_table_is_named_where_a_table_is_missing(folder: Path, sources: SourceFolder) -> None:
    (folder / "big.parquet").mkdir()
    for name in ("gz.csv.gz", "x.tsv", "UP.CSV"):
        (folder / name).write_text("a\n1\n")

    with pytest.raises(
        LookupError, match=r"there is no table 'gz'; .* no tables are: UP\.CSV .*big\.parquet \(a folder\)"
    ):
        sources.columns("gz")


def first_of(sources: SourceFolder) -> Iterator[Batch | Broken]:
    return sources.batches("t", delta="at", start_ms=None, end_ms=None)


def test_a_file_that_is_replaced_between_looking_and_reading_is_read_as_the_new_one(
    folder: Path, sources: SourceFolder
) -> None:
    path = folder / "t.csv"
    path.write_text("id,at\n" + line("old", 1))
    found = first_of(sources)  # looked at, and not read yet
    _replaced(path)

    assert [row for part in found if isinstance(part, Batch) for row in part.table.column("id").to_pylist()] == ["X10"]
