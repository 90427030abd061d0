"""What is on the medium when: intents before their calls, outcomes before their use, nothing after a failed append."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import structlog.testing

from flowledger.engine.ledger import RunState
from flowledger.errors import (
    DiskFull,
    JournalError,
    TryLater,
)
from flowledger.steps.client.inprocess import Fate, Moment
from flowledger.steps.client.port import Request
from flowledger.steps.step import How


def is_effect_of(request: Request, path: str, within: str) -> bool:
    return request.effect and request.method == "POST" and request.path.endswith(path) and within in str(request.body)


def once(path: str, within: str, fate: Fate) -> Callable[[Request], Fate]:
    """Give that fate to the first such request only."""
    left = [fate]

    def decide(request: Request) -> Fate:
        return left.pop() if left and is_effect_of(request, path, within) else Fate.ANSWERED

    return decide


@pytest.mark.parametrize("moment", [Moment.HANDED_OVER, Moment.COMMITTED])
def test_nothing_is_sent_before_its_intent_is_on_the_medium(
    bench: Any, made_once: dict[str, int], died: type[BaseException], moment: Moment
) -> None:
    """Neither while the machine dies again and again, nor because the disk is slow."""
    sent = 0

    async def die(here: Moment, request: Request) -> None:
        nonlocal sent
        if here is Moment.HANDED_OVER and request.effect:
            sent += 1
            intents = bench.on_the_medium().count(b'"kind":"intent_recorded/1"')
            assert intents >= sent, f"{sent} calls were sent, and {intents} intents are on the medium"
        if here is moment and request.effect:
            raise died

    bench.cut_power_at_death()
    bench.slow_disk = 0.5
    for _ in range(4):
        bench.at = die
        with pytest.raises(died):
            bench.apply()
        bench.at = None
        assert bench.ledger().state is RunState.IN_DOUBT
    assert bench.resume().state is RunState.PROVISIONED
    assert bench.counts() == made_once


def test_what_was_made_is_on_the_medium_before_it_is_used(
    bench: Any, made_once: dict[str, int], died: type[BaseException]
) -> None:
    """The machine dies in the flow's call: all that the flow refers to is known after."""

    async def die(here: Moment, request: Request) -> None:
        if here is Moment.HANDED_OVER and is_effect_of(request, "/flows", ""):
            raise died

    bench.cut_power_at_death()
    bench.at = die
    with pytest.raises(died):
        bench.apply()
    bench.at = None
    hows = {record.how for record in bench.ledger().steps.values() if record.done}
    assert How.CREATED in hows
    assert sum(record.done for record in bench.ledger().steps.values()) == len(bench.ledger().table.rows) - 2
    assert bench.resume().state is RunState.PROVISIONED
    assert bench.counts() == made_once


def test_a_full_disk_ends_the_sitting_and_sends_nothing_more(bench: Any, made_once: dict[str, int]) -> None:
    sent_after: list[Request] = []

    async def fill(moment: Moment, request: Request) -> None:
        if bench.disk.capacity is not None and moment is Moment.HANDED_OVER and request.effect:
            sent_after.append(request)
        if moment is Moment.COMMITTED and is_effect_of(request, "/tenant/schemas", "target-schema"):
            bench.disk.capacity = 0

    bench.at = fill
    ended: BaseException | None = None
    try:
        bench.apply()
    except Exception as error:  # noqa: BLE001 - whatever it is, it should have been this one
        ended = error
    assert isinstance(ended, DiskFull), f"the failed append was passed over: the sitting ended with {ended!r}"
    assert ended.exit_code == 75
    bench.disk.capacity = None
    bench.at = None
    intents = [doc["call"]["path"] for doc in bench.documents() if doc["kind"] == "intent_recorded/1"]
    # Only what had its intent on disk before the disk was full may still have gone out.
    assert {request.path for request in sent_after} <= set(intents)
    assert bench.emulator.count("dataSets") == 0
    assert bench.resume().state is RunState.PROVISIONED
    assert bench.counts() == made_once


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("call", range(0, 130, 3))
def test_whichever_call_to_the_disk_fails_the_next_sitting_reads_what_is_there_and_carries_on(
    bench: Any, made_once: dict[str, int], call: int, done: bool
) -> None:
    for _ in range(2):
        bench.disk.fail(call, done=done)
        with suppress(JournalError, TryLater):
            bench.apply()
    bench.disk.fail(1_000_000)  # the disk is well again
    assert bench.apply().state is RunState.PROVISIONED
    assert bench.counts() == made_once


def test_a_full_disk_is_said_once(bench: Any) -> None:
    """The error says it; the log does not say the same beside it."""

    async def fill(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED and is_effect_of(request, "/tenant/schemas", "target-schema"):
            bench.disk.capacity = 0

    bench.at = fill
    with structlog.testing.capture_logs() as lines, pytest.raises(DiskFull) as caught:
        bench.apply()
    assert [line for line in lines if str(caught.value) in str(line)] == []
