"""Embedding: several runs in one loop, events as they come, and no global state."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
import structlog

from flowledger.engine import api
from flowledger.engine.fleet import resume_many
from flowledger.engine.ledger import RunState
from flowledger.errors import FlowledgerError, JournalHeld, NotThere, SpecError
from flowledger.steps.client.inprocess import InProcessPort, Moment
from flowledger.steps.client.port import Request
from flowledger.testing import platform_in_process, run_in_virtual_time
from tests.bench import NOTHING


def test_two_runs_in_one_loop_share_journal_token_and_platform_and_each_is_whole(bench: Any) -> None:
    requests: list[Request] = []

    async def count(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED:
            requests.append(request)

    async def both() -> list[Any]:
        journal = bench.open_journal()
        platform = platform_in_process(
            bench.emulator, bench.time, port=InProcessPort(bench.emulator.handle, bench.time, at=count)
        )
        specs = [bench.spec.model_copy(update={"name": name}) for name in ("first", "second")]
        reports = await asyncio.gather(
            *(
                api.apply(one, journal=journal, platform=platform, chance=random.Random(seed))
                for seed, one in enumerate(specs)
            )
        )
        journal.close()
        return list(reports)

    first, second = run_in_virtual_time(bench.time, both())
    assert first.state is second.state is RunState.PROVISIONED
    assert first.nonce != second.nonce
    mine = [{resource.id for resource in report.resources} for report in (first, second)]
    assert not mine[0] & mine[1]
    assert bench.emulator.count("flows") == 2
    assert sum(request.path.endswith("/token/v3") for request in requests) == 1


def test_one_run_is_not_driven_by_two_tasks_of_a_process(bench: Any, made_once: dict[str, int]) -> None:
    async def both() -> list[Any]:
        journal = bench.open_journal()
        platform = platform_in_process(bench.emulator, bench.time)
        results = await asyncio.gather(
            *(api.apply(bench.spec, journal=journal, platform=platform) for _ in range(2)), return_exceptions=True
        )
        journal.close()
        return list(results)

    results = run_in_virtual_time(bench.time, both())
    assert sorted(isinstance(result, JournalHeld) for result in results) == [False, True]
    assert bench.counts() == made_once


def test_events_are_told_in_order_once_they_are_durable(bench: Any) -> None:
    told: list[tuple[int, str]] = []
    bench.on_event = lambda number, doc: told.append((number, doc["kind"]))
    bench.apply()
    kept = [(doc.doc_id, doc["kind"]) for doc in bench.documents()]
    assert told == kept
    assert told[0][1] == "run_started/1"
    assert told[-1][1] == "run_provisioned/1"


def test_status_needs_no_lock_and_no_platform(bench: Any) -> None:
    bench.apply()
    journal = bench.open_journal()
    report = asyncio.run(api.status(bench.spec.name, journal=journal))
    journal.close()
    assert report.state is RunState.PROVISIONED
    assert report.to_json()["schema_version"] == 1


def test_a_new_start_for_a_dataflow_that_exists_is_warned_of_and_left_out(bench: Any, caplog: Any) -> None:
    structlog.reset_defaults()  # as in a program that configures nothing
    bench.apply()
    events = bench.ledger().events
    assert bench.resume(start="+1h").state is RunState.PROVISIONED
    assert "start stays as it is" in caplog.text
    assert bench.ledger().events == events


def test_a_run_that_no_journal_has_is_not_there(bench: Any, tmp_path: Path) -> None:
    bench.apply()
    with pytest.raises(NotThere, match="paypal-products"):
        bench.sit(api.resume, "nobody")
    with pytest.raises(NotThere, match="no journal"):
        api.read_status("nobody", tmp_path / "nowhere")
    for verb in (api.resume, api.destroy, api.drift):
        with pytest.raises(NotThere, match="no journal"):
            asyncio.run(verb("nobody", journal=tmp_path))
    with pytest.raises(NotThere, match="no journal"):
        asyncio.run(resume_many(journal=tmp_path))
    assert list(tmp_path.iterdir()) == [], "what only carries on begins no journal"
    assert api.read_ledgers(tmp_path / "nowhere") == []


def test_a_cancelled_apply_is_journaled_and_carried_on(bench: Any, made_once: dict[str, int]) -> None:
    async def cancelled() -> None:
        journal = bench.open_journal()
        begun = asyncio.Event()

        async def hang(moment: Moment, request: Request) -> None:
            if moment is Moment.COMMITTED and request.path.endswith("/dataSets"):
                begun.set()
                await asyncio.sleep(1000)

        port = InProcessPort(bench.emulator.handle, bench.time, at=hang)
        platform = platform_in_process(bench.emulator, bench.time, port=port)
        task = asyncio.ensure_future(api.apply(bench.spec, journal=journal, platform=platform))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        journal.close()

    run_in_virtual_time(bench.time, cancelled())
    assert bench.ledger().stopped is not None
    assert bench.ledger().state is RunState.IN_DOUBT
    assert bench.resume().state is RunState.PROVISIONED
    assert bench.counts() == made_once


@pytest.mark.parametrize(
    "kind",
    ["run_started/1", "run_taken_up/1", "intent_recorded/1", "step_settled/1", "read_answered/1", "run_provisioned/1"],
)
def test_an_error_of_a_callback_is_raised_once_the_run_has_ended_in_order(
    bench: Any, made_once: dict[str, int], kind: str
) -> None:
    def fail(number: int, doc: Any) -> None:
        if doc["kind"] == kind:
            raise ValueError("the program's own fault")

    bench.on_event = fail
    with pytest.raises(ValueError, match="own fault"):
        bench.apply()
    ledger = bench.ledger()
    if kind == "run_provisioned/1":
        assert ledger.state is RunState.PROVISIONED
    else:
        assert ledger.state is RunState.PROVISIONING, "no call is left in doubt"
        assert "on_event raised an error" in ledger.stopped.message
    if kind in ("run_started/1", "run_taken_up/1"):
        assert bench.requests == [], "it was known before anything was asked"
    bench.on_event = None
    assert bench.resume().state is RunState.PROVISIONED
    assert bench.counts() == made_once


def test_an_error_of_a_callback_ends_a_destroy_in_order_and_the_next_one_finishes_it(bench: Any) -> None:
    def fail(number: int, doc: Any) -> None:
        if doc["kind"] == "delete_intended/1":
            raise ValueError("the program's own fault")

    bench.apply()
    with pytest.raises(ValueError, match="own fault"):
        bench.sit(api.destroy, bench.spec.name, on_event=fail)
    assert bench.ledger().state is RunState.DESTROYING
    assert "on_event raised an error" in bench.ledger().stopped.message
    assert bench.sit(api.destroy, bench.spec.name).state is RunState.DESTROYED
    assert bench.counts() == NOTHING


def test_every_error_is_of_one_tree() -> None:
    from flowledger import errors

    ours = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, Exception)]
    assert len(ours) > 15
    assert all(issubclass(item, FlowledgerError) for item in ours)


def test_a_spec_that_a_program_built_is_judged_before_anything_is_journaled(bench: Any) -> None:
    twice = bench.spec.model_copy(update={"mappings": (*bench.spec.mappings, bench.spec.mappings[0])})
    with pytest.raises(SpecError):
        bench.apply(twice)
    assert bench.documents() == []
