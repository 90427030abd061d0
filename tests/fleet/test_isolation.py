"""One run's failure leaves the others alone; what concerns all of them stops all of them, in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from flowledger.engine.fleet import DEFAULT_PARALLEL, WORST_FIRST
from flowledger.engine.ledger import RunState
from flowledger.errors import NotThere, SpecError, UsageError
from flowledger.steps.client.inprocess import Moment
from flowledger.steps.client.port import Request

Counts = Callable[[int], dict[str, int]]


def refuse(yard: Any, run: str, path: str = "/targetConnections", status: int = 400, **more: Any) -> None:
    """The platform refuses what carries the run's name."""
    yard.emulator.faults.add(f"POST {path}", "answer", status=status, shape="service", where=f"{run} ", **more)


def test_a_refused_run_leaves_the_others_alone_and_its_code_is_the_fleets(yard: Any) -> None:
    refuse(yard, "run-02")
    report = yard.apply_all(yard.specs(5))
    assert [outcome.exit_code for outcome in report.runs] == [0, 0, 7, 0, 0]
    assert report.exit_code == 7
    failed = report.runs[2]
    assert failed.stopped is not None
    assert failed.stopped.error == "Rejected"
    assert failed.stopped.step == "create_target_connection"
    assert failed.next
    assert yard.emulator.count("flows") == 4
    again = yard.resume_all()
    assert [outcome.run for outcome in again.runs] == ["run-02"]
    assert again.exit_code == 0
    assert yard.emulator.count("flows") == 5


def test_the_document_says_of_each_run_what_apply_says_and_sums_up(yard: Any) -> None:
    refuse(yard, "run-01")
    document = json.loads(json.dumps(yard.apply_all(yard.specs(3)).to_json()))
    assert document["schema_version"] == 1
    assert [run["run"] for run in document["runs"]] == ["run-00", "run-01", "run-02"]
    assert {"state", "resources", "duplicates", "org", "sandbox", "nonce", "events", "stopped"} <= set(
        document["runs"][0]
    )
    assert document["runs"][0]["steps_done"] == document["runs"][0]["steps"] == 15
    assert document["runs"][1]["stopped"]["exit_code"] == document["runs"][1]["exit_code"] == 7
    summary = document["summary"]
    assert (summary["runs"], summary["provisioned"], summary["failed"], summary["unfinished"]) == (3, 2, 1, 0)
    assert summary["exit_code"] == 7
    assert summary["resources"]["found"] >= 2 * 2


def test_all_faults_of_all_specs_are_told_before_anything_is_sent(yard: Any) -> None:
    twice = yard.spec.model_copy(update={"mappings": (*yard.spec.mappings, yard.spec.mappings[0])})
    broken = yard.spec.model_copy(update={"name": "broken", "mappings": (*yard.spec.mappings, yard.spec.mappings[0])})
    with pytest.raises(SpecError) as told:
        yard.apply_all([*yard.specs(2), twice, broken, yard.specs(1)[0]])
    assert len(told.value.faults) >= 3
    assert any("run-00" in fault for fault in told.value.faults)
    assert yard.requests == []
    assert yard.events == []


def test_a_spec_that_changed_is_told_before_anything_is_sent(yard: Any) -> None:
    yard.apply_all(yard.specs(1))
    sent = len(yard.requests)
    changed = yard.specs(1)[0].model_copy(update={"retry": yard.spec.retry.model_copy(update={"attempts": 2})})
    with pytest.raises(SpecError, match="changed") as told:
        yard.apply_all([changed, *yard.specs(3)[1:]])
    assert all("run-00" in fault for fault in told.value.faults)
    assert len(yard.requests) == sent


def test_no_more_runs_than_asked_for_are_under_way(yard: Any) -> None:
    begun: list[str] = []
    ended: list[str] = []
    most = 0

    def watch(run: str, number: int, doc: Any) -> None:
        nonlocal most
        if doc["kind"] == "run_started/1":
            begun.append(run)
        if doc["kind"] == "run_provisioned/1":
            ended.append(run)
        most = max(most, len(begun) - len(ended))

    yard.on_fleet_event = watch
    assert yard.apply_all(yard.specs(9), parallel=3).exit_code == 0
    assert most == 3


def test_a_stop_ends_all_runs_in_order_and_begins_no_further_one(yard: Any, shared_by: Counts) -> None:
    async def stop(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED and request.path.endswith("/dataSets"):
            yard.halt.request("SIGTERM")

    yard.at = stop
    report = yard.apply_all(yard.specs(6), parallel=3)
    assert report.exit_code == 75
    assert {outcome.exit_code for outcome in report.runs} == {75}
    assert [outcome.state for outcome in report.runs[3:]] == [RunState.PLANNED] * 3
    assert all(outcome.report.events == 0 for outcome in report.runs[3:])
    assert all(yard.ledger(outcome.run).stopped is not None for outcome in report.runs[:3])
    yard.at = None
    yard.halt = type(yard.halt)()
    assert yard.apply_all(yard.specs(6)).exit_code == 0
    assert yard.counts() == shared_by(6)


@pytest.mark.parametrize("call", [60, 150])
def test_a_journal_that_fails_ends_all_runs_and_the_next_start_carries_on(
    yard: Any, shared_by: Counts, call: int
) -> None:
    yard.disk.fail(call)
    report = yard.apply_all(yard.specs(8), parallel=3)
    yard.disk.fail(1_000_000)  # the disk is well again
    assert report.exit_code == 75
    assert all(outcome.exit_code in (0, 75) for outcome in report.runs)
    assert report.runs[-1].stopped is None  # it was not even begun
    assert yard.apply_all(yard.specs(8)).exit_code == 0
    assert yard.counts() == shared_by(8)


def test_an_error_of_the_embedding_program_is_raised_once_every_run_has_ended(yard: Any, shared_by: Counts) -> None:
    def fail(run: str, number: int, doc: Any) -> None:
        if number == 60:
            raise ValueError("the program's own fault")

    yard.on_fleet_event = fail
    with pytest.raises(ValueError, match="own fault"):
        yard.apply_all(yard.specs(3))
    yard.on_fleet_event = None
    assert yard.apply_all(yard.specs(3)).exit_code == 0
    assert yard.counts() == shared_by(3)


def test_a_cancelled_fleet_journals_every_stop(yard: Any, shared_by: Counts) -> None:
    async def cancel(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED and request.path.endswith("/flows"):
            yard.main.cancel()
            await asyncio.sleep(1000)

    yard.at = cancel
    with pytest.raises(asyncio.CancelledError):
        yard.apply_all(yard.specs(3))
    yard.at = None
    assert all(yard.ledger(spec.name).stopped is not None for spec in yard.specs(3))
    assert yard.resume_all().exit_code == 0
    assert yard.counts() == shared_by(3)


def test_resuming_all_leaves_out_what_is_at_an_end_and_needs_a_journal(yard: Any, tmp_path: Any) -> None:
    from flowledger.engine.fleet import resume_many

    yard.apply_all(yard.specs(2))
    assert yard.resume_all().runs == ()
    assert yard.resume_all().exit_code == 0
    with pytest.raises(NotThere, match="no journal"):
        asyncio.run(resume_many(journal=tmp_path / "nowhere"))
    with pytest.raises(NotThere, match="nobody"):
        yard.resume_all(runs=["nobody"])


def test_the_worst_code_is_a_final_failure_before_one_that_a_resume_can_help() -> None:
    assert WORST_FIRST[-2:] == (75, 0)
    assert sorted(WORST_FIRST) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 75]
    assert DEFAULT_PARALLEL > 1


def test_the_platforms_429_slows_every_run_and_all_are_provisioned(make_yard: Callable[..., Any]) -> None:
    yard = make_yard(rate_limit_per_s=50, rate_limit_burst=10)
    began = yard.time.monotonic()
    report = yard.apply_all(yard.specs(20))
    assert report.exit_code == 0
    spent = yard.time.monotonic() - began
    answered = len(yard.requests)
    assert report.throttled / answered <= 0.05
    assert spent >= (answered - report.throttled - 10) / 50 - 1


def test_lists_that_lag_do_not_make_a_second_sink(make_yard: Callable[..., Any], shared_by: Counts) -> None:
    yard = make_yard(list_lag_ms={"*": 500})
    assert yard.apply_all(yard.specs(4)).exit_code == 0
    yard.apply_all(yard.specs(6))
    assert yard.counts() == shared_by(6)


def test_no_secret_is_in_the_journal_of_a_fleet(yard: Any) -> None:
    yard.apply_all(yard.specs(3))
    whole = b"".join(yard.disk.content(path) for path in yard.journal_files())
    assert len(whole) > 10_000
    for secret in (b"local-secret", yard.source_secret()):
        assert secret not in whole


def test_a_number_of_runs_at_once_that_is_none_is_refused_before_anything_is_sent(yard: Any) -> None:
    with pytest.raises(UsageError, match="parallel is a number of runs, not 0"):
        yard.apply_all(yard.specs(2), parallel=0)
    assert yard.requests == []
