"""Watching the runs of a dataflow: what is told, what is kept, when it ends, and with what."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from flowledger.engine import api
from flowledger.engine.ledger import RunState
from flowledger.errors import NotPermitted, NotThere, Unreachable, UsageError
from flowledger.journal import Journal
from flowledger.steps.client.inprocess import Fate

GOOD = {"status": "success", "input_records": 715, "output_records": 715, "batches": ["01EF"]}
PARTIAL = {
    "status": "success",
    "input_records": 715,
    "output_records": 712,
    "failed_records": 3,
    "errors": [{"code": "INGEST-1212-400", "message": "a required field is missing"}],
}
FAILED = {"status": "failed", "errors": [{"code": "CONNECTOR-1001-500", "message": "copy failed"}]}


def test_each_change_of_a_flow_run_is_told_and_kept(provisioned: Any) -> None:
    bench = provisioned
    told: list[Any] = []
    runs: list[str] = []
    bench.before_look[2] = lambda: runs.append(bench.put_run())
    bench.before_look[4] = lambda: bench.put_run(runs[0], status="inProgress")
    bench.before_look[5] = lambda: bench.put_run(runs[0], **GOOD)

    report = bench.watch(told, runs=1)

    assert [(seen.came, seen.status, seen.rows_out) for seen in told] == [
        ("under_way", "scheduled", None),
        ("under_way", "inProgress", None),
        ("success", "success", 715),
    ]
    assert (report.ended, report.exit_code, report.failed) == ("enough", 0, ())
    assert [seen.batches for seen in told] == [[], [], ["01EF"]]
    ledger = bench.ledger()
    assert ledger.flow_runs == {runs[0]: told[-1]}
    assert ledger.state is RunState.PROVISIONED
    assert bench.kinds_of_events()[-3:] == ["flow_run_seen/1"] * 3


def test_the_run_that_is_due_next_comes_after_those_that_were_seen(provisioned: Any) -> None:
    bench = provisioned
    bench.emulator.advance(3 * 3600 * 1000)  # the emulator's clock goes on, the one here does not
    bench.put_run(**GOOD)

    report = bench.watch(runs=1)

    assert report.due is not None
    assert report.due > report.flow_runs[0].created_ms / 1000 > bench.clock.wall() + 3600


def test_what_was_seen_is_not_told_again_after_a_restart(provisioned: Any) -> None:
    bench = provisioned
    first = bench.put_run(**GOOD)
    bench.watch(runs=1)
    told: list[Any] = []
    bench.before_look[3] = lambda: bench.put_run(**PARTIAL)

    report = bench.watch(told, runs=2)

    assert [seen.came for seen in told] == ["partial"]
    assert report.flow_runs[0].id == first
    assert bench.watch(told, runs=2).exit_code == 0
    assert len(told) == 1


def test_a_failed_run_ends_with_a_code_of_its_own_also_when_an_earlier_watch_saw_it(provisioned: Any) -> None:
    failed = provisioned.put_run(**FAILED)
    told: list[Any] = []

    report = provisioned.watch(told, runs=1)

    assert (report.exit_code, report.failed) == (10, (failed,))
    assert (told[0].rows_in, told[0].completed_ms) == (0, None)
    assert told[0].errors == [["CONNECTOR-1001-500", "copy failed"]]
    assert provisioned.watch(runs=1).exit_code == 10


def test_success_with_rejected_rows_is_partial_and_no_failure(provisioned: Any) -> None:
    told: list[Any] = []
    provisioned.put_run(**PARTIAL)
    assert provisioned.watch(told, runs=1).exit_code == 0
    assert (told[0].came, told[0].rows_failed) == ("partial", 3)


def test_rejected_rows_alone_and_errors_alone_are_partial_too(provisioned: Any) -> None:
    provisioned.put_run(**{**PARTIAL, "errors": []})
    provisioned.put_run(**{**GOOD, "errors": PARTIAL["errors"]})
    told: list[Any] = []
    provisioned.watch(told, runs=2)
    assert [seen.came for seen in told] == ["partial", "partial"]


def test_both_spellings_and_statuses_that_nobody_knows_are_read(provisioned: Any) -> None:
    provisioned.emulator.options.run_reference_spelling = True
    run = provisioned.put_run(**GOOD)
    told: list[Any] = []
    provisioned.watch(told, runs=1)
    assert told[0].batches == ["01EF"]
    store = provisioned.emulator.world.store
    record = store.get("runs", "prod", run)
    record["metrics"]["statusSummary"]["status"] = "pondering"
    store.put("runs", "prod", run, record)
    assert provisioned.watch(told, seconds=1).exit_code == 0
    assert (told[1].came, told[1].status) == ("under_way", "pondering")


def test_looks_are_patient_and_more_so_while_nothing_happens(provisioned: Any) -> None:
    provisioned.watch(seconds=600, every=30)
    looks = provisioned.looks
    assert [round(after - before) for before, after in pairwise(looks)] == [60, 90, 120, 120, 120, 90]


def test_looks_are_as_often_as_asked_while_a_run_is_under_way(provisioned: Any) -> None:
    provisioned.put_run()
    provisioned.watch(seconds=100, every=30)
    looks = provisioned.looks
    assert [round(after - before) for before, after in pairwise(looks)] == [30, 30, 30, 10]


def test_a_time_ends_it_with_0_unless_runs_were_waited_for(provisioned: Any) -> None:
    alone, both = provisioned.watch(seconds=60), provisioned.watch(seconds=60, runs=1)
    assert (alone.ended, alone.exit_code) == ("time", 0)
    assert (both.ended, both.exit_code) == ("time", 75)


def test_a_watch_that_dies_before_it_wrote_loses_nothing(provisioned: Any, died: type[BaseException]) -> None:
    provisioned.put_run(**GOOD)
    told: list[Any] = []

    def tell(seen: Any) -> None:
        told.append(seen)
        raise died

    with pytest.raises(died):
        provisioned.sit(api.watch, provisioned.spec.name, on_run=tell)
    assert provisioned.ledger().flow_runs == {}
    provisioned.watch(told, runs=1)
    assert [seen.id for seen in told] == [told[0].id] * 2


def test_a_halt_ends_it_at_once_and_what_was_seen_is_kept(provisioned: Any) -> None:
    bench = provisioned
    bench.put_run(**GOOD)
    bench.before_look[3] = lambda: bench.halt.request("SIGINT")
    told: list[Any] = []

    report = bench.watch(told)

    assert (report.ended, report.exit_code) == ("stopped", 0)
    assert len(bench.looks) == 3
    assert list(bench.ledger().flow_runs) == [told[0].id]


def test_a_platform_that_is_away_for_a_while_is_waited_for(provisioned: Any) -> None:
    bench = provisioned
    bench.fate = lambda request: Fate.LOST if 1 < len(bench.looks) < 20 else Fate.ANSWERED
    bench.before_look[21] = lambda: bench.put_run(**GOOD)
    assert bench.watch(runs=1).ended == "enough"


def test_a_platform_that_stays_away_ends_it(provisioned: Any) -> None:
    bench = provisioned
    bench.fate = lambda request: Fate.LOST if request.path.endswith("/runs") else Fate.ANSWERED
    with pytest.raises(Unreachable, match="gave no usable answer"):
        bench.watch()
    assert bench.looks[-1] - bench.looks[0] > bench.spec.retry.deadline


def test_retry_after_is_obeyed(provisioned: Any) -> None:
    bench = provisioned
    bench.emulator.faults.add(route="GET /runs", kind="answer", status=429, retry_after=20, times=1)
    bench.put_run(**GOOD)
    bench.watch(runs=1)
    assert bench.looks[1] - bench.looks[0] >= 20


def test_a_run_without_a_dataflow_a_dataflow_that_is_gone_and_a_destroyed_run_are_refused(bench: Any) -> None:
    bench.fate = lambda request: Fate.LOST if request.method == "POST" and "/flows" in request.path else Fate.ANSWERED
    with pytest.raises(Exception, match=r"would outlast|times without success"):
        bench.apply()
    with pytest.raises(NotThere, match="has no dataflow yet"):
        bench.watch()
    bench.fate = lambda request: Fate.ANSWERED
    bench.apply()
    bench.emulator.world.store.delete("flows", "prod", bench.flow_id)
    with pytest.raises(NotThere, match="FLOW-1439-404"):
        bench.watch()
    bench.sit(api.destroy, bench.spec.name)
    with pytest.raises(UsageError, match="is destroyed"):
        bench.watch()


def test_a_revoked_token_is_renewed_once_and_a_missing_right_is_told(provisioned: Any) -> None:
    bench = provisioned
    bench.put_run(**GOOD)
    bench.emulator.faults.add(route="GET /runs", kind="answer", status=401, times=1)
    assert bench.watch(runs=1).ended == "enough"
    bench.emulator.faults.add(route="GET /runs", kind="answer", status=403, times=5)
    with pytest.raises(NotPermitted):
        bench.watch(runs=2)


def runs_read(bench: Any) -> int:
    """How many requests for flow runs there were since this was asked last."""
    count: int = sum(request.method == "GET" and request.path.endswith("/runs") for request in bench.requests)
    bench.requests.clear()
    return count


def test_of_a_dataflow_with_many_runs_only_what_can_be_new_is_read_again(provisioned: Any) -> None:
    bench = provisioned
    bench.emulator.options.page_size = 5
    for _ in range(40):
        bench.time.advance(60)
        bench.put_run(**GOOD)
    bench.watch(seconds=0)
    assert runs_read(bench) >= 8
    told: list[Any] = []
    assert len(bench.watch(told, seconds=0).flow_runs) == 40
    assert (runs_read(bench), told) == (1, [])
    bench.time.advance(60)
    late = bench.put_run(**PARTIAL)
    bench.watch(told, seconds=0)
    assert (runs_read(bench), [seen.id for seen in told]) == (2, [late])


def test_a_run_that_was_under_way_is_read_again_however_many_came_after_it(provisioned: Any) -> None:
    bench = provisioned
    bench.emulator.options.page_size = 5
    slow = bench.put_run()
    for _ in range(30):
        bench.time.advance(60)
        bench.put_run(**GOOD)
    bench.watch(seconds=0)
    bench.put_run(slow, **PARTIAL)
    told: list[Any] = []
    bench.watch(told, seconds=0)
    assert [(seen.id, seen.came) for seen in told] == [(slow, "partial")]


def test_a_service_that_does_not_answer_with_the_newest_first_is_read_to_its_end(provisioned: Any) -> None:
    bench = provisioned
    bench.emulator.options.page_size = 5
    for _ in range(12):
        bench.time.advance(60)
        bench.put_run(**GOOD)
    handle = bench.emulator.handle

    def oldest_first(request: Any) -> Any:
        query = tuple(pair for pair in request.query if pair[0] != "orderby")
        return handle(type(request)(**{**vars_of(request), "query": query}))

    bench.emulator.handle = oldest_first
    bench.watch(seconds=0)
    bench.time.advance(60)
    late = bench.put_run(**PARTIAL)
    told: list[Any] = []
    bench.watch(told, seconds=0)
    assert [seen.id for seen in told] == [late]


def vars_of(request: Any) -> dict[str, Any]:
    return {name: getattr(request, name) for name in ("method", "raw_path", "query", "headers", "body")}


def test_a_watch_reads_each_event_of_its_run_once_however_often_it_writes(
    provisioned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = provisioned
    read: list[int] = []
    events = Journal.events

    def counted(self: Journal, run: str, after: int = 0) -> Any:
        found = events(self, run, after=after)
        read.append(len(found))
        return found

    for look in range(2, 12):
        bench.before_look[look] = lambda: bench.put_run(**GOOD)
    before = len(bench.documents())
    monkeypatch.setattr(Journal, "events", counted)
    assert len(bench.watch(runs=10).flow_runs) == 10
    assert sum(read) <= 2 * (before + 10)  # once for what the watch begins with, once for what it writes


def test_a_run_that_is_pruned_while_it_is_watched_gets_no_event_any_more(
    provisioned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    provisioned.put_run(**GOOD)

    def prune(seen: Any) -> None:
        monkeypatch.setattr(Journal, "events", lambda self, run, after=0: [])
        monkeypatch.setattr(Journal, "runs", lambda self: [])

    with pytest.raises(NotThere, match="not in the journal"):
        provisioned.sit(api.watch, provisioned.spec.name, on_run=prune)
    monkeypatch.undo()
    assert "flow_run_seen/1" not in provisioned.kinds_of_events()
