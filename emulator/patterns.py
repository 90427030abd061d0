"""Regular expressions that come from outside: compiled once, refused in one way, never a warning."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache


@lru_cache(maxsize=256)
def compiled(text: str) -> re.Pattern[str]:
    """The pattern in Python's dialect, which differs little from Java's. Raises ValueError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sets that may mean something else one day
            return re.compile(text)
    except (re.error, OverflowError, RecursionError) as fault:
        raise ValueError(f"bad regular expression {text[:100]!r}: {fault}") from fault
