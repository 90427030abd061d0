"""Killed anywhere while runs share: after any resume there is one base connection, one sink, and one of everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from flowledger.engine import api
from flowledger.engine.ledger import RunState
from flowledger.steps.client.inprocess import Fate, Moment
from flowledger.steps.client.port import Request
from flowledger.steps.step import How

Counts = Callable[[int], dict[str, int]]
CONNECTIONS = "/connections"


def die_at(yard: Any, died: type[BaseException], moment: Moment, number: int) -> None:
    """Kill the process when its call number `number` passes `moment`."""
    passed = 0

    async def at(now: Moment, request: Request) -> None:
        nonlocal passed
        if now is moment:
            passed += 1
            if passed == number:
                raise died

    yard.at = at


def check(yard: Any, counts: dict[str, int], runs: int) -> None:
    names = [spec.name for spec in yard.specs(runs)]
    assert yard.counts() == counts
    for step in ("create_base_connection", "find_or_create_sink"):
        assert len({str(yard.ledger(name).step(step).outputs["id"]) for name in names}) == 1
    assert all(yard.ledger(name).state is RunState.PROVISIONED for name in names)
    assert not [id for name in names for id in yard.ledger(name).duplicates]


def killed_and_resumed(yard: Any, died: type[BaseException], moment: Moment, number: int) -> bool:
    """Three runs killed at one place, then applied anew. False: the call was never made."""
    specs = yard.specs(3)
    die_at(yard, died, moment, number)
    try:
        yard.apply_all(specs)
    except died:
        yard.at = None
        yard.resume_all()
        yard.apply_all(specs)
        return True
    return False


MOMENTS = (Moment.CHECKED, Moment.COMMITTED, Moment.PARTLY_READ)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", [2, 3, 4, 5, 6, 9, 14])
def test_killed_at_a_call_then_resumed_there_is_one_of_everything(
    yard: Any, died: type[BaseException], shared_by: Counts, moment: Moment, number: int
) -> None:
    assert killed_and_resumed(yard, died, moment, number)
    check(yard, shared_by(3), 3)


@pytest.mark.long
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_call_then_resumed_there_is_one_of_everything(
    died: type[BaseException], shared_by: Counts, make_yard: Callable[[], Any], moment: Moment
) -> None:
    number = 1
    while killed_and_resumed(yard := make_yard(), died, moment, number):
        check(yard, shared_by(3), 3)
        number += 1
    assert number > 45


@pytest.mark.parametrize("number", range(1, 40, 3))
def test_killed_at_an_event_then_only_one_run_is_resumed_it_makes_no_second_of_what_is_shared(
    yard: Any, died: type[BaseException], shared_by: Counts, number: int
) -> None:
    specs = yard.specs(3)

    def die(run: str, event: int, doc: Any) -> None:
        if event == number:
            raise died

    yard.on_fleet_event = die
    with pytest.raises(died):
        yard.apply_all(specs)
    yard.on_fleet_event = None
    begun = [spec for spec in specs if yard.documents(spec.name)]
    for spec in reversed(begun):
        yard.resume(spec.name)
        assert yard.emulator.count("connections") == 2
    yard.apply_all(specs)
    check(yard, shared_by(3), 3)


def doubtful(yard: Any) -> str:
    """The one run whose base connection is in doubt."""
    names = [str(spec.name) for spec in yard.specs(3)]
    (leader,) = [name for name in names if yard.ledger(name).step("create_base_connection").unanswered]
    return leader


def in_doubt_leader(yard: Any, died: type[BaseException]) -> str:
    """The process dies when the base connection is committed, its answer unread. Returns the leader's name."""

    async def at(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED and request.method == "POST" and "auth" in str(request.body):
            raise died

    yard.at = at
    with pytest.raises(died):
        yard.apply_all(yard.specs(3))
    yard.at = None
    return doubtful(yard)


def test_a_follower_that_is_resumed_alone_finds_what_the_dead_leader_made(
    yard: Any, died: type[BaseException], shared_by: Counts
) -> None:
    leader = in_doubt_leader(yard, died)
    follower = next(spec.name for spec in yard.specs(3) if spec.name != leader)
    assert yard.resume(follower).state is RunState.PROVISIONED
    record = yard.ledger(follower).step("create_base_connection")
    assert (record.how, record.shared_from) == (How.FOUND, leader)
    yard.resume(leader)
    assert yard.ledger(leader).step("create_base_connection").how is How.ADOPTED
    yard.resume_all()
    check(yard, shared_by(3), 3)


def test_a_follower_takes_over_when_the_dead_leader_made_nothing_and_the_leader_finds_that(
    yard: Any, died: type[BaseException], shared_by: Counts
) -> None:
    async def at(moment: Moment, request: Request) -> None:
        if moment is Moment.HANDED_OVER and request.method == "POST" and "auth" in str(request.body):
            raise died  # and the platform never sees it

    yard.at = at
    with pytest.raises(died):
        yard.apply_all(yard.specs(3))
    yard.at = None
    leader = doubtful(yard)
    follower = next(spec.name for spec in yard.specs(3) if spec.name != leader)
    began = yard.time.monotonic()
    assert yard.resume(follower).state is RunState.PROVISIONED
    assert yard.time.monotonic() - began >= yard.spec.settle.window  # it waited before it made one of its own
    assert yard.ledger(follower).step("create_base_connection").how is How.CREATED
    yard.resume(leader)
    record = yard.ledger(leader).step("create_base_connection")
    assert (record.how, record.shared_from) == (How.FOUND, follower)
    yard.resume_all()
    check(yard, shared_by(3), 3)
    twin = late_twin(yard, leader, record.outputs["id"])
    assert [(one.id, one.why) for one in yard.sit(api.drift, leader).twins] == [(twin, "")]
    assert yard.ledger(leader).duplicates == [twin]
    assert [one.removed for one in yard.sit(api.drift, leader, remove_twins=True).twins] == [True]
    check(yard, shared_by(3), 3)


def late_twin(yard: Any, leader: str, shared: str) -> str:
    """What the leader gave up for lost takes effect after all, later than any window."""
    store, marker = yard.emulator.world.store, f"fl-{yard.ledger(leader).nonce}-base-connection"
    twin = store.get("connections", "prod", shared)
    twin.update(id="0" * 36, name=f"late {marker}", description=marker)
    store.put("connections", "prod", twin["id"], twin)
    return str(twin["id"])


def test_when_the_leader_is_refused_the_next_one_makes_it_and_only_the_first_fails(yard: Any) -> None:
    yard.emulator.faults.add("POST /connections", "answer", status=400, shape="service", where='"auth"')
    report = yard.apply_all(yard.specs(3))
    assert sorted(outcome.exit_code for outcome in report.runs) == [0, 0, 7]
    assert report.exit_code == 7
    assert yard.emulator.count("connections") == 2


def test_a_leader_that_stays_in_doubt_keeps_nobody_from_finding_what_it_made(yard: Any) -> None:
    lost: list[str] = []

    def lose(request: Request) -> Fate:
        if request.method == "POST" and request.path.endswith(CONNECTIONS) and "auth" in str(request.body):
            lost.append(request.path)
            return Fate.ANSWER_LOST
        return Fate.ANSWERED

    yard.fate = lose
    report = yard.apply_all(yard.specs(3))
    assert report.exit_code == 0
    assert lost == [lost[0]]
    assert yard.emulator.count("connections") == 2


def test_a_run_that_is_stopped_while_it_waits_for_the_leader_ends_at_once(yard: Any) -> None:
    async def hang(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED and request.method == "POST" and "auth" in str(request.body):
            yard.halt.request("SIGTERM")
            await asyncio.sleep(1000)

    yard.at = hang
    began = yard.time.monotonic()
    report = yard.apply_all(yard.specs(3))
    assert report.exit_code == 75
    assert yard.time.monotonic() - began < 10
    assert [outcome.stopped.error for outcome in report.runs] == ["Interrupted"] * 3
    stops = [doc["mono"] - began for spec in yard.specs(3) for doc in yard.documents(spec.name)[-1:]]
    assert sorted(stops)[1] < 1  # those that only waited did not wait for the grace that the call in flight has
