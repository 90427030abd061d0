"""Values in literal quotes: what is left where a program takes an env file's lines as they are."""

from __future__ import annotations

from typing import Final

LEAVE_THEM_OUT: Final = "docker's --env-file keeps the quotes of a value: leave them out"


def in_quotes(text: str) -> bool:
    """Whether a value begins and ends with the same quote, as no id, path or URL does."""
    text = text.strip()
    return len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'"
