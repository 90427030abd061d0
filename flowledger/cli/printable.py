"""Text of a platform, as it may be shown: what could steer a terminal, or hide text in it, is spelt out instead."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

# Control characters, invisible ones (which turn the direction of text, too), lone surrogates, odd line ends.
_STEERING: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_TO_LOOK_AT: Final = re.compile(r"[^\x20-\x7e]")


def printable(text: str, *, keep: str = "") -> str:
    r"""The text with every character that a terminal acts upon instead of showing it spelt as `\x1b` or `\u202e`.

    `keep`: characters to leave as they are, like "\n" in what has lines.
    """

    def spelt(found: re.Match[str]) -> str:
        char = found[0]
        if char in keep or unicodedata.category(char) not in _STEERING:
            return char
        return char.encode("ascii", "backslashreplace").decode() if char > "\x7f" else repr(char)[1:-1]

    return _TO_LOOK_AT.sub(spelt, text)


def printable_value(value: Any) -> Any:
    """A JSON value whose texts, names too, are `printable`: in a copy."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(str(name)): printable_value(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [printable_value(inner) for inner in value]
    return value


def printable_json(data: bytes) -> bytes:
    r"""A JSON text that means the same and holds no such character: JSON has `\u009b` for them.

    orjson writes control characters above 0x7e, and invisible ones, as they are.
    """
    if data.isascii() and b"\x7f" not in data:
        return data

    def spelt(found: re.Match[str]) -> str:
        char = found[0]
        if char == "\n" or unicodedata.category(char) not in _STEERING:
            return char
        units = char.encode("utf-16-be")
        return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))

    return _TO_LOOK_AT.sub(spelt, data.decode()).encode()
