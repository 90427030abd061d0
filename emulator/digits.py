"""Whole numbers as callers write them in queries and paths: digits, and not too many."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 15  # no limit, offset or index comes near; Python itself refuses to read thousands


def number_of(text: str) -> int | None:
    """The number that the digits say; None for any other text."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST else None
