"""How deeply a body may nest: what is stored must be serialisable, and rules walk bodies recursively."""

from __future__ import annotations

from typing import Any, Final

DEEPEST: Final = 100  # levels; no documented limit comes near


def too_deep(body: Any) -> bool:
    """Whether a JSON value nests deeper than DEEPEST levels. Does not recurse itself."""
    level = [body]
    for _ in range(DEEPEST):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True
