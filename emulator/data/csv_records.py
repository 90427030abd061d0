"""Where the rows of a CSV end: a reading takes the file in pieces that are whole rows, and never parts a CRLF.

A quote opens a quoted value only at the value's beginning; in the middle of a value it is a letter like others, as
Arrow's reader has it. What stands behind the quote that closes a value has no meaning: a quote was not doubled.
"""

from __future__ import annotations

import re
from typing import Final

_FIELD: Final = rb'(?:"(?:[^"]++|"")*+"[^,\r\n]*+|[^",\r\n][^,\r\n]*+|)'
_VALUES: Final = rb"%s(?:,%s)*+" % (_FIELD, _FIELD)
_RECORD: Final = re.compile(_VALUES)
_RECORDS: Final = re.compile(rb"(?:(?>%s(?:\r\n|\n|\r(?=[^\n])))*+)" % _VALUES)
_ENDED: Final = re.compile(rb"%s(?:\r\n|\n|\r|\Z)" % _VALUES)
_SOUND_FIELD: Final = rb'(?:"(?:[^"]++|"")*+"(?=[,\r\n]|\Z)|[^",\r\n][^,\r\n]*+|)'
_SOUND: Final = re.compile(rb"%s(?:,%s)*+(?=[\r\n]|\Z)" % (_SOUND_FIELD, _SOUND_FIELD))
_ENDS: Final = b",\r\n"


def whole_records(data: bytes) -> tuple[int, bool]:
    """How many bytes of `data`, which begins with a row, are whole rows; and whether all its quotes end values.

    A CR at the very end may be half a CRLF.
    """
    if b'"' not in data:
        return _last_end(data, 0), True
    pieces = data.split(b'"')
    if not _is_regular(pieces):
        found = _RECORDS.match(data)
        return (found.end() if found is not None else 0), False
    return _last_end_outside(data, pieces), True


def text_behind_quotes(data: bytes) -> dict[int, bytes]:
    """The rows with text behind a closing quote, of whole rows, by their number (empty lines have none)."""
    found: dict[int, bytes] = {}
    number = place = 0
    while place < len(data):
        record = _ENDED.match(data, place)
        if record is None or record.end() == place:
            break
        number += bool(record[0].strip(b"\r\n"))
        if _SOUND.match(data, place) is None:
            found[number] = record[0].rstrip(b"\r\n")
        place = record.end()
    return found


def _last_end_outside(data: bytes, pieces: list[bytes]) -> int:
    """Where the last row ends of data that is cut at its quotes; 0 when none does."""
    place = len(data)
    for number in range(len(pieces) - 1, -1, -1):
        place -= len(pieces[number])
        if number % 2 == 0:  # outside of quotes
            end = _last_end(pieces[number], place, final=number == len(pieces) - 1)
            if end:
                return end
        place -= 1
    return 0


def first_record(data: bytes) -> int | None:
    """How many bytes the first row that is not empty takes, without its end; None when it is not all there."""
    begin = len(data) - len(data.lstrip(b"\r\n"))
    found = _RECORD.match(data, begin)
    return None if found is None or data[found.end() : found.end() + 1] == b'"' else found.end()


def is_closed(record: bytes) -> bool:
    """False when a quote is opened in the row and never closed."""
    return _RECORD.fullmatch(record.rstrip(b"\r\n")) is not None


def _is_regular(pieces: list[bytes]) -> bool:
    """Whether every second piece between quotes stands outside of quotes: each quote is at an end of its value."""
    first, outside = pieces[0], set(pieces[2:-1:2])
    if first and first[-1] not in _ENDS:
        return False
    if len(pieces) % 2 and len(pieces) > 1 and pieces[-1] and pieces[-1][0] not in _ENDS:
        return False
    return all(not piece or (piece[0] in _ENDS and piece[-1] in _ENDS) for piece in outside)


def _last_end(data: bytes, begin: int, *, final: bool = True) -> int:
    """Where the last row that has its end in `data` ends, counted from `begin` before it; 0 when none does."""
    place = data.rfind(b"\n") + 1
    if not place:
        place = data.rfind(b"\r", 0, len(data) - 1 if final else len(data)) + 1
    return begin + place if place else 0
