"""The version of flowledger, read by pyproject.toml too: a zipapp has no package metadata to look it up in."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
