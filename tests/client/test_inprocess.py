"""The in-process port does to a call what a network can, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from flowledger.steps.client.clock import Clock
from flowledger.steps.client.inprocess import CoreRequest, Fate, InProcessPort, Moment
from flowledger.steps.client.port import Answer, Reach, Request

POST = Request(method="POST", path="/a%2Fb", query=(("q", "1 2"),), body={"a": 1}, effect=True)


class HandClock(Clock):
    """Sleeping moves it at once."""

    def __init__(self) -> None:
        self.now = 0.0

    @property
    def boot_id(self) -> str:
        return "boot"

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


@dataclass(frozen=True, kw_only=True)
class Response:
    status: int = 201
    body: bytes = b'{"id":"1"}'
    headers: Mapping[str, str] = field(default_factory=lambda: {"ETag": '"e"'})
    delivery: str = "whole"
    delay: float = 0.0


class Core:
    """Keeps what it was given; every request has an effect."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.handled: list[CoreRequest] = []

    def handle(self, request: Any) -> Response:
        self.handled.append(request)
        return self.response


async def sent(request: Request = POST, response: Response | None = None, **options: Any) -> tuple[Answer, Core]:
    core = Core(response or Response())
    clock = options.pop("clock", None) or HandClock()
    return await InProcessPort(core.handle, clock, **options).send(request), core


async def test_the_core_sees_the_call_as_a_server_would() -> None:
    answer, core = await sent(
        Request(method="POST", path="/a%2Fb", query=(("q", "1 2"),), headers={"X-A": "b"}, body=[])
    )
    (request,) = core.handled
    assert (request.method, request.raw_path, request.body) == ("POST", "/a%2Fb", b"[]")
    assert request.headers["x-a"] == "b"
    assert request.first("q") == "1 2"
    assert request.every("q") == ["1 2"]
    assert (answer.reach, answer.status, answer.json, answer.headers) == (
        Reach.ANSWERED, 201, {"id": "1"}, {"etag": '"e"'},
    )  # fmt: skip


async def test_a_form_is_url_encoded() -> None:
    _, core = await sent(Request(method="POST", path="/ims/token/v3", form={"a": "b c"}))
    assert core.handled[0].body == b"a=b+c"
    assert core.handled[0].headers["content-type"] == "application/x-www-form-urlencoded"


async def test_a_call_after_its_deadline_does_not_reach_the_core() -> None:
    clock = HandClock()

    async def stand_still(moment: Moment, request: Request) -> None:
        if moment is Moment.CONNECTED:
            await clock.sleep(6)

    late = Request(method="POST", path="/a", effect=True, send_deadline=5.0)
    answer, core = await sent(late, clock=clock, at=stand_still)
    assert answer.reach is Reach.NOT_SENT
    assert answer.deadline_missed
    assert not core.handled


async def test_a_pause_after_the_check_is_not_noticed_as_in_real_life() -> None:
    clock = HandClock()

    async def stand_still(moment: Moment, request: Request) -> None:
        if moment is Moment.CHECKED:
            await clock.sleep(600)

    late = Request(method="POST", path="/a", effect=True, send_deadline=5.0)
    answer, core = await sent(late, clock=clock, at=stand_still)
    assert answer.reach is Reach.ANSWERED
    assert len(core.handled) == 1


@pytest.mark.parametrize(
    ("fate", "reach", "handled"),
    [
        (Fate.ANSWERED, Reach.ANSWERED, 1),
        (Fate.REFUSED, Reach.NOT_SENT, 0),
        (Fate.LOST, Reach.SENT, 0),
        (Fate.ANSWER_LOST, Reach.SENT, 1),
        (Fate.ANSWER_CUT, Reach.CUT, 1),
    ],
)
async def test_each_fate_has_its_reach_and_its_effect(fate: Fate, reach: Reach, handled: int) -> None:
    answer, core = await sent(fate=lambda request: fate)
    assert answer.reach is reach
    assert len(core.handled) == handled
    assert answer.status == (201 if reach in (Reach.ANSWERED, Reach.CUT) else None)


@pytest.mark.parametrize(("delivery", "reach"), [("dropped", Reach.SENT), ("cut", Reach.CUT)])
async def test_the_cores_own_delivery_is_honoured(delivery: str, reach: Reach) -> None:
    answer, core = await sent(response=Response(delivery=delivery))
    assert answer.reach is reach
    assert answer.trouble
    assert len(core.handled) == 1


async def test_a_slow_answer_takes_virtual_time_and_a_slower_one_is_given_up() -> None:
    clock = HandClock()
    answer, _ = await sent(response=Response(delay=30.0), clock=clock)
    assert (answer.reach, answer.duration, clock.now) == (Reach.ANSWERED, 30.0, 30.0)
    answer, core = await sent(response=Response(delay=71.0), clock=clock)
    assert (answer.reach, answer.duration, clock.now) == (Reach.SENT, 70.0, 100.0)
    assert len(core.handled) == 1


async def test_moments_come_in_order_and_a_death_at_one_leaves_the_effect_as_it_was() -> None:
    passed: list[Moment] = []

    class Died(BaseException):
        pass

    async def note(moment: Moment, request: Request) -> None:
        passed.append(moment)

    await sent(at=note)
    assert passed == list(Moment)

    for last, handled in ((Moment.CHECKED, 0), (Moment.HANDED_OVER, 0), (Moment.COMMITTED, 1), (Moment.PARTLY_READ, 1)):
        core = Core(Response())

        async def die(moment: Moment, request: Request, last: Moment = last) -> None:
            if moment is last:
                raise Died

        with pytest.raises(Died):
            await InProcessPort(core.handle, HandClock(), at=die).send(POST)
        assert len(core.handled) == handled


async def test_cancelling_leaves_the_effect_done() -> None:
    core = Core(Response(delay=5.0))
    stopped = asyncio.Event()

    class Waits(HandClock):
        async def sleep(self, seconds: float) -> None:
            stopped.set()
            await asyncio.Event().wait()

    call = asyncio.create_task(InProcessPort(core.handle, Waits()).send(POST))
    await stopped.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(core.handled) == 1


async def test_a_body_that_is_no_json_is_a_fault_and_a_closed_port_sends_nothing() -> None:
    answer, _ = await sent(response=Response(status=502, body=b"<html>"))
    assert answer.json_fault
    core = Core(Response())
    port = InProcessPort(core.handle, HandClock())
    await port.close()
    assert (await port.send(POST)).reach is Reach.NOT_SENT
    assert not core.handled
