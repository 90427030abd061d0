"""What the tests of the data plane share: a folder of source files."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowledger.emulator.data.tables import SourceFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for source files."""
    found = tmp_path / "sources"
    found.mkdir()
    return found


@pytest.fixture
def sources(folder: Path) -> SourceFolder:
    """The tables of that folder."""
    return SourceFolder(folder)
