"""A platform, a disk and virtual time in one process, and a source kind of somebody's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options
from flowledger.engine.starter import starter
from tests.bench import JOURNAL, Bench

OWN: dict[str, Any] = {
    "kind": "our-ledger",
    "label": "Our Ledger",
    "connection_spec_id": "11111111-2222-4333-8444-555555555555",
    "row_filters": True,
    "auths": [
        {
            "name": "Basic Authentication",
            "params": [
                {"name": "host", "meaning": "host of the ledger"},
                {"name": "port", "meaning": "its port", "type": "integer", "default": "8080"},
                {"name": "password", "meaning": "password of the account", "secret": True},
            ],
        }
    ],
    "tables": [
        {
            "path": "books.entries",
            "delta": "booked_at",
            "columns": {"entry": "string", "amount": "number", "note": "string", "booked_at": "date-time"},
        }
    ],
}


class Place(Bench):
    """The bench, with an emulator that can serve kinds of somebody's own."""

    def serve(self, *kinds: dict[str, Any]) -> None:
        """Begin anew with an emulator that serves these kinds too."""
        self.emulator = Emulator(clock=self.time.wall, options=Options(extra_sources=kinds))

    def written(self) -> bytes:
        """Every byte of the journal."""
        found = []
        for name in self.disk.names(JOURNAL):
            file = self.disk.open(JOURNAL / name, "read")
            found.append(file.read(file.size(), 0))
            file.close()
        return b"".join(found)

    def stored(self, kind: str) -> list[dict[str, Any]]:
        """The objects of a collection, as the platform has them."""
        return self.emulator.world.store.all(kind, "prod")


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def own() -> dict[str, Any]:
    """A kind of somebody's own, as its file has it; to be changed at will."""
    copied: dict[str, Any] = yaml.safe_load(yaml.safe_dump(OWN))
    return copied


@pytest.fixture
def begun(tmp_path: Path) -> Callable[..., Path]:
    """Write the spec to begin with for a kind; returns where it is."""

    def write(kind: str, **options: Any) -> Path:
        files = starter(kind, tmp_path, environ={}, **options)
        for name, (text, mode) in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            path.chmod(mode)
        return tmp_path / next(iter(files))

    return write
