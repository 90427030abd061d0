"""What is asked of the whole journal is read in a thread, so that the calls of the runs under way go on."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from flowledger.engine.borrowers import borrowers, take_in
from flowledger.engine.fleet import resume_many
from flowledger.engine.share import share_of
from flowledger.journal import Journal
from tests.bench import Bench, example


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """In which threads the journal's events are read."""
    seen: list[int] = []
    events = Journal.events

    def noted(self: Journal, run: str, *, after: int = 0) -> Any:
        seen.append(threading.get_ident())
        return events(self, run, after=after)

    monkeypatch.setattr(Journal, "events", noted)
    return seen


@pytest.fixture
def journal(tmp_path: Path) -> Any:
    """A journal of several finished runs, on a disk."""
    bench = Bench()
    bench.apply()
    docs = [dict(doc) for doc in bench.documents()]
    with Journal.open(tmp_path / "journal") as journal:
        for number in range(5):
            journal.db.insert_multiple([{**doc, "run": f"run-{number}"} for doc in docs])
        yield journal


def test_the_survey_of_what_runs_share_is_made_in_a_thread_once_for_all_who_ask(
    journal: Journal, threads: list[int]
) -> None:
    async def survey() -> None:
        share = share_of(journal)
        await asyncio.gather(*(share._survey(journal) for _ in range(3)))

    asyncio.run(survey())
    assert len(threads) == 5
    assert threading.get_ident() not in threads


def test_who_borrows_an_object_is_read_in_a_thread_and_what_is_journaled_meanwhile_counts(
    journal: Journal, threads: list[int]
) -> None:
    settled = {"kind": "step_settled/1", "outputs": {"id": "an-object"}}

    async def ask() -> list[list[str]]:
        asked = [asyncio.ensure_future(borrowers(journal, "an-object")) for _ in range(3)]
        await asyncio.sleep(0)
        take_in(journal, "late", settled)
        found = [await one for one in asked]
        take_in(journal, "later", settled)
        return [*found, await borrowers(journal, "an-object")]

    assert asyncio.run(ask()) == [["late"]] * 3 + [["late", "later"]]
    assert len(threads) == 5
    assert threading.get_ident() not in threads


def test_a_reading_that_failed_or_was_cancelled_is_made_again(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancelled() -> None:
        task = asyncio.ensure_future(borrowers(journal, "x"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(cancelled())
    with monkeypatch.context() as broken:
        broken.setattr(Journal, "events", lambda self, run, after=0: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            asyncio.run(borrowers(journal, "x"))
    assert asyncio.run(borrowers(journal, "x")) == []


async def test_which_runs_are_unfinished_is_read_in_a_thread(journal: Journal, threads: list[int]) -> None:
    bench = Bench()
    report = await resume_many(journal=journal, platform=bench.connect())
    assert report.runs == ()
    assert threading.get_ident() not in threads


def test_what_a_run_did_while_the_journal_was_read_is_not_overwritten_by_what_was_read(journal: Journal) -> None:
    """It withdraws while the survey is under way: then nothing of it is lent."""

    async def survey() -> list[str]:
        share = share_of(journal)
        reading = asyncio.ensure_future(share._survey(journal))
        await asyncio.sleep(0)
        share.withdraw("run-0")
        await reading
        return [known.run for seat in share._seats.values() for known in seat.known.values()]

    assert example().name
    assert "run-0" not in asyncio.run(survey())
