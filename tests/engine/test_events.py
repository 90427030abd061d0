"""Events are a contract: documented, round, and skipped when unknown."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from tinydb.table import Document

from flowledger.engine.events import KINDS, RunTakenUp, event_of
from flowledger.engine.ledger import RunState, ledger_of

DOCS = Path(__file__).parents[2] / "docs" / "events.md"


def test_every_kind_and_every_field_is_documented_and_none_else() -> None:
    rows = re.findall(r"^\| `([a-z_]+/\d+)` \| ([^|]*) \|", DOCS.read_text(), re.MULTILINE)
    documented = {kind: re.findall(r"`(\w+)`", names) for kind, names in rows}
    assert documented == {kind: [field.name for field in fields(cls)] for kind, cls in KINDS.items()}


def test_an_event_comes_back_from_its_document() -> None:
    event = RunTakenUp(pid=1, host="here", boot_id="boot", version="0", start="+5m")
    assert event_of(event.doc(at=1.0, mono=2.0)) == event


def test_an_event_of_an_earlier_version_without_a_field_is_read() -> None:
    doc = RunTakenUp(pid=1, host="here", boot_id="boot", version="0").doc(at=1.0, mono=2.0)
    del doc["start"]
    assert event_of(doc) == RunTakenUp(pid=1, host="here", boot_id="boot", version="0")


def test_a_kind_that_is_not_known_is_counted_and_skipped() -> None:
    ledger = ledger_of("a-run", [Document({"kind": "wish_made/7", "at": 1.0}, 1), Document({"kind": 3}, 2)])
    assert ledger.events == 2
    assert ledger.state is RunState.PLANNED
