"""The examples of docs/journal.md work as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tinydb import where

from flowledger.journal import Journal, JournalReader

PAGE = Path(__file__).parents[2] / "docs" / "journal.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 2


@pytest.mark.parametrize("example", EXAMPLES, ids=["tinydb", "simulated"])
def test_an_example_runs(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Journal.open(Path(".flowledger/journal")) as journal:
        journal.db.insert({"run": "paypal-products", "kind": "outcome_recorded/1", "outcome": "in_doubt"})

    exec(compile(example, str(PAGE), "exec"), {})

    with JournalReader.open(Path(".flowledger/journal")) as reader:
        assert reader.db.count(where("kind") == "note/1") in (0, 1)
