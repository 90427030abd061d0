"""The delta column of a flow or of a run on demand: its time zone, and the form of its dates (platform-api.md §11)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from flowledger.emulator import dates
from flowledger.emulator.flow_fault import fault

UTC_NAMES: Final = frozenset({"UTC", "ETC/UTC", "GMT", "Z"})  # however they are capitalised
ISO_FORMAT: Final = re.compile(  # what is read as ISO 8601: the documented formats, T and Z in quotes or not, and T11
    r"(?:yyyy|uuuu|YYYY)-MM-(?:dd|DD)(?:(?:'T'|T| )HH:mm(?::ss(?:[.,]S+)?)?(?:'Z'|Z{1,5}|X{1,5})?)?"
)
PROBE: Final = datetime(2024, 11, 23, 14, 15, 16, 123_456, tzinfo=UTC)


def delta_problem(delta: Any) -> str:
    """Why rows cannot be placed by this `deltaColumn`; "" when they can: its time zone is UTC, its format a date's."""
    if not isinstance(delta, dict):
        return ""
    zone = delta.get("timezone")
    if zone is not None and (not isinstance(zone, str) or zone.upper() not in UTC_NAMES):
        return f"deltaColumn.timezone must be UTC, the time zone of a source, not {zone!r}"
    pattern = delta.get("dateFormat")
    if pattern is not None and (not isinstance(pattern, str) or not pattern):
        return f"deltaColumn.dateFormat must be a pattern of dates, not {pattern!r}"
    known = delta_format_of(delta)
    if known is None:
        return ""
    try:
        found = dates.parsed(dates.formatted(PROBE, known), known)
    except ValueError as problem:
        return f"deltaColumn.dateFormat: {problem}"
    whole = found.date() == PROBE.date()
    return "" if whole else f"deltaColumn.dateFormat: the pattern {known!r} has no year, month and day"


def check_delta_column(delta: Any) -> None:
    """Refuse with 1000 what `delta_problem` finds."""
    problem = delta_problem(delta)
    if problem:
        fault(400, "CONNECTOR-1000", problem)


def delta_format_of(delta: Any) -> str | None:
    """The Java pattern of the column's dates; None where they are ISO 8601, which is read without a pattern."""
    pattern = delta.get("dateFormat") if isinstance(delta, dict) else None
    return None if not isinstance(pattern, str) or ISO_FORMAT.fullmatch(pattern) else pattern
