"""Equal source connections are one base connection, and the sandbox has one sink, whatever becomes of the leader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from flowledger.engine import api
from flowledger.engine.fleet import apply_many
from flowledger.engine.ledger import Ledger, RunState
from flowledger.engine.share import share_of
from flowledger.errors import Interrupted
from flowledger.steps.client.inprocess import Fate
from flowledger.steps.client.port import Request
from flowledger.steps.step import How

Counts = Callable[[int], dict[str, int]]


def found_from(yard: Any, run: str, step: str) -> tuple[Any, str]:
    record = yard.ledger(run).step(step)
    return record.how, record.shared_from


def test_equal_connections_are_made_once_and_found_by_the_others(yard: Any, shared_by: Counts) -> None:
    report = yard.apply_all(yard.specs(10))
    assert report.exit_code == 0
    assert {outcome.state for outcome in report.runs} == {RunState.PROVISIONED}
    assert yard.counts() == shared_by(10)
    assert yard.sent("POST", "/token/v3") == 1
    for step in ("create_base_connection", "find_or_create_sink"):
        ids = {str(yard.ledger(outcome.run).step(step).outputs["id"]) for outcome in report.runs}
        assert len(ids) == 1
        hows = [found_from(yard, outcome.run, step) for outcome in report.runs]
        assert hows.count((How.CREATED, "")) == 1
        leader = next(run.run for run, how in zip(report.runs, hows, strict=True) if how[0] is How.CREATED)
        assert hows.count((How.FOUND, leader)) == 9


def test_the_leaders_lost_answer_is_adopted_while_the_others_wait(yard: Any, shared_by: Counts) -> None:
    lost: list[Request] = []

    def lose_the_first(request: Request) -> Fate:
        if request.method == "POST" and request.path.endswith("/connections") and not lost:
            lost.append(request)
            return Fate.ANSWER_LOST
        return Fate.ANSWERED

    yard.fate = lose_the_first
    report = yard.apply_all(yard.specs(5))
    assert report.exit_code == 0
    assert yard.counts() == shared_by(5)
    assert lost


def test_other_connections_are_not_shared(yard: Any) -> None:
    first, second, third = yard.specs(3)
    connection = second.source.connection
    params = {**connection.params, "clientId": "somebody else's"}
    second = second.model_copy(
        update={
            "source": second.source.model_copy(update={"connection": connection.model_copy(update={"params": params})})
        }
    )
    assert yard.apply_all([first, second, third]).exit_code == 0
    ids = [str(yard.ledger(spec.name).step("create_base_connection").outputs["id"]) for spec in (first, second, third)]
    assert ids[0] == ids[2] != ids[1]
    assert yard.emulator.count("connections") == 3  # two base connections and the sink


def test_a_run_applied_alone_has_a_connection_of_its_own_and_lends_it_to_later_fleets(yard: Any) -> None:
    first, second, third, fourth = yard.specs(4)
    for alone in (first, second):
        yard.sit(api.apply, alone)
    assert yard.emulator.count("connections") == 3  # two base connections and the sink, which is always shared
    assert yard.apply_all([third, fourth]).exit_code == 0
    assert yard.emulator.count("connections") == 3
    assert found_from(yard, "run-02", "create_base_connection") == (How.FOUND, "run-00")
    assert found_from(yard, "run-03", "create_base_connection") == (How.FOUND, "run-00")


def test_without_sharing_each_run_has_a_connection_of_its_own(yard: Any) -> None:
    assert yard.apply_all(yard.specs(3), share=False).exit_code == 0
    hows = [yard.ledger(spec.name).step("create_base_connection").how for spec in yard.specs(3)]
    assert hows == [How.CREATED] * 3


def test_what_is_gone_is_not_shared_and_the_next_run_makes_a_new_one(yard: Any) -> None:
    yard.emulator.faults.add("POST /tenant/classes", "answer", status=400, shape="service")
    assert yard.apply_all(yard.specs(1)).exit_code == 7
    id = str(yard.ledger("run-00").step("create_base_connection").outputs["id"])
    yard.time.advance(1000)
    yard.remove(f"/data/foundation/flowservice/connections/{id}")
    report = yard.apply_all(yard.specs(3)[1:])
    assert report.exit_code == 0
    ids = {str(yard.ledger(name).step("create_base_connection").outputs["id"]) for name in ("run-01", "run-02")}
    assert len(ids) == 1
    assert id not in ids


def test_what_is_found_is_not_drift_although_it_carries_another_runs_name(yard: Any, died: type[BaseException]) -> None:
    def die(run: str, number: int, doc: Any) -> None:
        if doc["kind"] == "outcome_recorded/1" and doc["step"] == "create_dataset":
            raise died

    yard.on_fleet_event = die
    with pytest.raises(died):
        yard.apply_all(yard.specs(3))
    yard.on_fleet_event = None
    assert any(found_from(yard, spec.name, "create_base_connection")[0] is How.FOUND for spec in yard.specs(3))
    assert yard.resume_all().exit_code == 0
    assert not [doc for spec in yard.specs(3) for doc in yard.documents(spec.name) if doc["kind"] == "drift_seen/1"]


def test_runs_that_are_resumed_at_the_same_time_by_a_program_meet_too(yard: Any, died: type[BaseException]) -> None:
    """Two tasks, two calls of `resume`, one open journal: they share as a fleet does."""

    def die(run: str, number: int, doc: Any) -> None:
        if doc["kind"] == "intent_recorded/1":
            raise died

    yard.on_fleet_event = die
    with pytest.raises(died):
        yard.apply_all(yard.specs(3))
    yard.on_fleet_event = None
    begun = [spec.name for spec in yard.specs(3) if yard.documents(spec.name)]

    async def all_of_them(**options: Any) -> list[Any]:
        return list(await asyncio.gather(*(api.resume(name, **options) for name in begun)))

    reports = yard.sit(all_of_them)
    assert {report.state for report in reports} == {RunState.PROVISIONED}
    assert yard.emulator.count("connections") == 2


def test_what_does_not_show_yet_when_asked_for_by_id_is_asked_for_again(yard: Any, shared_by: Counts) -> None:
    yard.emulator.faults.add("GET /connections/{id}", "answer", status=404, shape="service", times=1)
    assert yard.apply_all(yard.specs(3)).exit_code == 0
    assert yard.counts() == shared_by(3)


def test_a_run_that_is_being_destroyed_lends_nothing(yard: Any, died: type[BaseException]) -> None:
    def die(number: int, doc: Any) -> None:
        if doc["kind"] == "destroy_begun/1":
            raise died

    yard.apply_all(yard.specs(1))
    with pytest.raises(died):
        yard.sit(api.destroy, "run-00", on_event=die)
    assert yard.apply_all(yard.specs(2)[1:]).exit_code == 0
    assert found_from(yard, "run-01", "create_base_connection")[0] is How.CREATED


def test_what_is_being_destroyed_in_the_same_process_is_lent_to_nobody(yard: Any) -> None:
    async def story(**options: Any) -> None:
        begun = asyncio.Event()

        def told(number: int, doc: Any) -> None:
            if doc["kind"] == "destroy_begun/1":
                begun.set()

        await apply_many(yard.specs(1), **options)
        destroying = asyncio.create_task(api.destroy("run-00", on_event=told, **options))
        await begun.wait()
        assert (await apply_many(yard.specs(2)[1:], **options)).exit_code == 0
        await destroying

    yard.sit(story)
    for step in ("create_base_connection", "find_or_create_sink"):
        assert found_from(yard, "run-01", step)[0] is How.CREATED
    assert yard.ledger("run-00").left == []


def test_a_long_lived_program_shares_what_a_run_alone_has_made_in_between(yard: Any) -> None:
    first, alone, last = yard.specs(3)
    params = {**alone.source.connection.params, "clientId": "somebody else's"}
    connection = alone.source.connection.model_copy(update={"params": params})
    alone, last = (
        spec.model_copy(update={"source": spec.source.model_copy(update={"connection": connection})})
        for spec in (alone, last)
    )

    async def story(**options: Any) -> None:
        await apply_many([first], **options)
        await api.apply(alone, **options)
        await apply_many([last], **options)

    yard.sit(story)
    assert found_from(yard, "run-02", "create_base_connection") == (How.FOUND, "run-01")


def test_a_run_that_is_stopped_before_it_takes_its_place_in_the_queue_holds_up_nobody(yard: Any) -> None:
    """What it would have shared was gone, and it was stopped while it asked for it."""

    async def story(**options: Any) -> None:
        share = share_of(options["journal"])
        runs = [_Waiting(), _Waiting(stopping=True), _Waiting()]
        seat = share._seat(Ledger(run="any"), "key")
        order: list[int] = []

        async def take(number: int) -> None:
            async with seat.turn(runs[number]):  # type: ignore[arg-type]  # what a turn asks of a run
                order.append(number)
                await asyncio.sleep(0)

        ended = await asyncio.gather(*(take(number) for number in range(3)), return_exceptions=True)
        assert order == [0, 2]
        assert [type(one) for one in ended] == [type(None), Interrupted, type(None)]

    yard.sit(story)


class _Waiting:
    """As much of a run as waits for its turn."""

    def __init__(self, *, stopping: bool = False) -> None:
        self.stopping = stopping

    async def until(self, future: asyncio.Future[None]) -> None:
        if self.stopping:
            raise Interrupted("stopped")
        await future
