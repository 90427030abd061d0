"""A journal of each released format version stays readable, byte for byte as it was written."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest

from flowledger.journal import Journal, JournalReader, verify

GOLDEN = sorted(path for path in (Path(__file__).parent / "golden").iterdir() if path.is_dir())


def test_there_is_a_golden_journal_of_the_present_version() -> None:
    assert "v1" in [path.name for path in GOLDEN]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.name)
def test_a_golden_journal_reads_as_it_was_written_and_can_be_appended_to(golden: Path, tmp_path: Path) -> None:
    expected = orjson.loads((golden / "expected.json").read_bytes())
    written = (golden / "segment-000001.jsonl").read_bytes()
    (tmp_path / "journal").mkdir()
    shutil.copyfile(golden / "segment-000001.jsonl", tmp_path / "journal" / "segment-000001.jsonl")

    report = verify(tmp_path / "journal")
    assert report.damage is None
    assert report.closed
    with JournalReader.open(tmp_path / "journal") as reader:
        assert reader.db.tables() == set(expected["tables"])
        for table, documents in expected["tables"].items():
            assert [[doc.doc_id, dict(doc)] for doc in reader.db.table(table)] == documents
        assert reader.runs() == expected["runs"]
    with Journal.open(tmp_path / "journal") as journal:
        assert journal.recovered is None
        journal.db.insert({"run": "later", "n": 1})
        assert journal.runs() == [*expected["runs"], "later"]
    assert (tmp_path / "journal" / "segment-000001.jsonl").read_bytes().startswith(written)
