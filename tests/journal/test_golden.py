"""A journal of each released format version stays readable, byte for byte as it was written."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest
from tinydb import TinyDB

from flowledger.journal import Journal, JournalReader, JournalStorage, repair, verify
from flowledger.journal.segment import SealedSegment

GOLDEN = sorted(path for path in (Path(__file__).parent / "golden").iterdir() if path.is_dir())


@pytest.fixture
def copied(golden: Path, tmp_path: Path) -> Path:
    """The golden journal at a place where it may be written."""
    place = tmp_path / "journal"
    shutil.copytree(golden, place, ignore=shutil.ignore_patterns("expected.json"))
    return place


def test_there_are_golden_journals_of_the_present_version() -> None:
    assert [path.name for path in GOLDEN] == ["v1", "v1-pruned", "v1-rotated"]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.name)
def test_a_golden_journal_reads_as_it_was_written_and_can_be_appended_to(golden: Path, copied: Path) -> None:
    expected = orjson.loads((golden / "expected.json").read_bytes())
    written = {path.name: path.read_bytes() for path in golden.glob("segment-*.jsonl")}

    for deep in (False, True):
        report = verify(copied, deep=deep)
        assert report.damage is None
        assert report.closed
        assert len(report.segments) == len(written)
        assert all(segment.index == "fits" for segment in report.segments if segment.sealed)
    with JournalReader.open(copied) as reader:
        assert reader.db.tables() == set(expected["tables"])
        for table, documents in expected["tables"].items():
            assert [[doc.doc_id, dict(doc)] for doc in reader.db.table(table)] == documents
        assert reader.runs() == expected["runs"]
        for run in reader.runs():
            numbers = [number for number, doc in expected["tables"]["events"] if doc.get("run") == run]
            assert [doc.doc_id for doc in reader.events(run)] == numbers
        assert reader.pruned() == expected.get("pruned", [])
        view = reader.db.storage.log.check_readable()  # type: ignore[attr-defined]  # the journal's own storage
        sealed = [segment for segment in view.segments if isinstance(segment, SealedSegment)]
        assert len(sealed) == len(written) - 1
        assert not any(segment.index_fault for segment in sealed)  # runs were found by the indexes as they are stored
    stock = TinyDB(copied, storage=JournalStorage)
    assert [[doc.doc_id, dict(doc)] for doc in stock] == expected["tables"]["events"]
    with Journal.open(copied) as journal:
        assert journal.recovered is None
        journal.db.insert({"run": "later", "n": 1})
        assert journal.runs() == [*expected["runs"], "later"]
    assert all((copied / name).read_bytes().startswith(content) for name, content in written.items())


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.name)
def test_a_golden_journal_is_indexed_anew_to_the_same_bytes_and_can_be_repaired(
    golden: Path, copied: Path, tmp_path: Path
) -> None:
    indexes = {path.name: path.read_bytes() for path in copied.glob("*.index")}
    for name in indexes:
        (copied / name).unlink()
    with Journal.open(copied) as journal:
        documents = [dict(doc) for doc in journal.db.all()]
    sealed = [path.name.replace(".jsonl", ".index") for path in sorted(golden.glob("segment-*.jsonl"))[:-1]]
    assert {name: (copied / name).read_bytes() for name in sealed} == {name: indexes[name] for name in sealed}
    assert repair(copied, tmp_path / "new").dropped == ()
    with JournalReader.open(tmp_path / "new") as reader:
        assert [dict(doc) for doc in reader.all()] == documents
