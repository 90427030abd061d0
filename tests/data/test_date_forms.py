"""Date-times as sources export them are date-times everywhere; zones of Java's patterns by their names and offsets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from flowledger.emulator import dates
from flowledger.emulator.data.columns import Mapper
from flowledger.emulator.data.kinds import type_of_texts
from flowledger.emulator.data.tables import Batch, SourceFolder
from flowledger.emulator.row_filters import filter_of

EXPORTED = {
    "Shopify": ("2026-01-02 03:04:05 -0400", "2026-01-02T07:04:05Z"),
    "BigQuery": ("2026-01-02 03:04:05 UTC", "2026-01-02T03:04:05Z"),
    "BigQuery with a fraction": ("2026-01-02 03:04:05.123456 UTC", "2026-01-02T03:04:05.123456Z"),
    "PostgreSQL": ("2026-01-02 03:04:05+00", "2026-01-02T03:04:05Z"),
    "PostgreSQL in India": ("2026-01-02 03:04:05.5+0530", "2026-01-01T21:34:05.500000Z"),
    "GMT": ("2026-01-02 03:04 GMT", "2026-01-02T03:04:00Z"),
    "a colon behind a blank": ("2026-01-02T03:04:05 +02:00", "2026-01-02T01:04:05Z"),
    "nanoseconds": ("2026-01-02 03:04:05.123456789 UTC", "2026-01-02T03:04:05.123456Z"),
    "plain": ("2026-01-02 03:04:05", "2026-01-02T03:04:05Z"),
}


@pytest.mark.parametrize("name", EXPORTED)
def test_an_exported_date_time_is_one_in_types_windows_mappings_and_filters(
    folder: Path, sources: SourceFolder, name: str
) -> None:
    text, iso = EXPORTED[name]
    moment = datetime.fromisoformat(iso)
    (folder / "t.csv").write_text(f"id,at\nx,2020-01-01 00:00:00\na,{text}\n")

    assert [column.type for column in sources.columns("t")] == ["string", "date-time"]
    second = int(moment.timestamp()) * 1000
    [batch] = sources.batches("t", delta="at", start_ms=second, end_ms=second + 1000)
    assert isinstance(batch, Batch)
    assert batch.table.column("id").to_pylist() == ["a"]

    target = {"properties": {"at": {"type": "string", "format": "date-time"}, "text": {"type": "string"}}}
    pairs = (("ATTRIBUTE", "at", "at"), ("EXPRESSION", "date(at)", "at"), ("EXPRESSION", "at.date()", "at"))
    for kind, source, destination in pairs:
        mapper = Mapper([{"sourceType": kind, "source": source, "destination": destination}], target)
        mapped = mapper.map(batch)
        assert mapped.nulled == []
        assert mapped.table.column("at").to_pylist() == [moment.replace(microsecond=moment.microsecond // 1000 * 1000)]
    mapper = Mapper([{"sourceType": "ATTRIBUTE", "source": "at", "destination": "text"}], target)
    assert mapper.map(batch).table.column("text").to_pylist() == [text]

    for sign, value in ((">=", iso), ("<=", iso), ("=", iso), (">", "2026-01-01")):
        params = [{"nodeType": "fieldLookup", "fieldName": "at"}, {"nodeType": "literal", "value": value}]
        passes = filter_of({"nodeType": "fnApply", "fnName": sign, "params": params})
        if "." not in iso or sign == ">":
            assert "a" in [row["id"] for row in sources.preview("t", 5, passes)], (sign, value)


@pytest.mark.parametrize(
    "text", ["2026-02-30 00:00:00 UTC", "1/2/26", "2026-01-02 03:04:05 MARS", "٢٠٢٦-01-02", "soon"]
)
def test_what_is_no_date_is_none_and_says_so_in_words(text: str) -> None:
    assert not type_of_texts(pa.array([text])).startswith("date")
    with pytest.raises(ValueError, match="is no date of ISO 8601") as caught:
        dates.parsed_iso(text)
    assert "isoformat" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "pattern", "hours"),
    [
        ("6/21/2017 07:22:17 EDT", "M/d/yyyy HH:mm:ss z", -4),
        ("6/21/2017 07:22:17 PDT", "M/d/yyyy HH:mm:ss z", -7),
        ("12/21/2017 07:22:17 PST", "M/d/yyyy HH:mm:ss zzz", -8),
        ("6/21/2017 07:22:17 CEST", "M/d/yyyy HH:mm:ss z", 2),
        ("6/21/2017 07:22:17 GMT-07:00", "M/d/yyyy HH:mm:ss z", -7),
        ("6/21/2017 07:22:17 America/Port-au-Prince", "M/d/yyyy HH:mm:ss z", -4),
        ("6/21/2017 07:22:17 America/Port-au-Prince", "M/d/yyyy HH:mm:ss VV", -4),
        ("6/21/2017 07:22:17 Etc/GMT+5", "M/d/yyyy HH:mm:ss VV", -5),
        ("6/21/2017 07:22:17 America/Argentina/Buenos_Aires", "M/d/yyyy HH:mm:ss VV", -3),
        ("6/21/2017 07:22:17 Eastern Daylight Time", "M/d/yyyy HH:mm:ss zzzz", -4),
        ("6/21/2017 07:22:17 GMT+8", "M/d/yyyy HH:mm:ss O", 8),
        ("6/21/2017 07:22:17 GMT", "M/d/yyyy HH:mm:ss O", 0),
        ("6/21/2017 07:22:17 GMT-07:00", "M/d/yyyy HH:mm:ss OOOO", -7),
        ("6/21/2017 07:22:17-07", "M/d/yyyy HH:mm:ssX", -7),
        ("6/21/2017 07:22:17Z", "M/d/yyyy HH:mm:ssX", 0),
        ("6/21/2017 07:22:17-0700", "M/d/yyyy HH:mm:ssXX", -7),
        ("6/21/2017 07:22:17-07:00", "M/d/yyyy HH:mm:ssXXX", -7),
        ("6/21/2017 07:22:17-0700", "M/d/yyyy HH:mm:ssXXXX", -7),
        ("6/21/2017 07:22:17-07:00", "M/d/yyyy HH:mm:ssXXXXX", -7),
        ("6/21/2017 07:22:17+00", "M/d/yyyy HH:mm:ssx", 0),
        ("6/21/2017 07:22:17+02:00", "M/d/yyyy HH:mm:ssxxx", 2),
        ("6/21/2017 07:22:17 +0200", "M/d/yyyy HH:mm:ss Z", 2),
        ("6/21/2017 07:22:17 GMT+02:00", "M/d/yyyy HH:mm:ss ZZZZ", 2),
        ("6/21/2017 07:22:17 Z", "M/d/yyyy HH:mm:ss ZZZZZ", 0),
    ],
)
def test_a_zone_of_a_pattern_is_read_and_written_as_java_does(text: str, pattern: str, hours: int) -> None:
    moment = dates.parsed(text, pattern)

    offset = moment.utcoffset()
    assert offset is not None
    assert offset.total_seconds() == hours * 3600
    written = dates.formatted(moment, pattern)
    assert written == text or pattern.endswith(("z", "O"))
    assert dates.parsed(written, pattern) == moment


@pytest.mark.parametrize("name", ["Mars/Olympus", "XYZ", "GMT+25", "+99:00", "../etc/passwd", ""])
def test_a_zone_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="there is no"):
        dates.zone_of(name)


def test_digits_of_other_scripts_are_no_digits_of_a_pattern() -> None:
    with pytest.raises(ValueError, match="is no date of the form"):
        dates.parsed("٢٠١٧-01-02", "yyyy-MM-dd")
    assert dates.parsed("2017-01-02", "yyyy-MM-dd") == datetime(2017, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize("ms", [1e300, float("nan"), float("inf"), -(2**70), 10**16])
def test_a_number_that_is_no_moment_says_so_in_words(ms: float) -> None:
    with pytest.raises(ValueError, match="milliseconds are no moment between the years 1 and 9999"):
        dates.from_ms(ms)


def test_a_month_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="there is no month 'Mai'"):
        dates.parsed("3 Mai 2026", "d MMM yyyy")
