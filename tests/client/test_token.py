"""The token is fetched once for everybody, renewed early, forgotten once, and shown nowhere."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from flowledger.errors import NotPermitted, TryLater, Unreachable
from flowledger.steps.client.platform import Credentials, Platform
from flowledger.steps.client.port import Answer, Host, Reach, Request
from flowledger.steps.client.redact import Redactor

SECRET = "s3cr3t/of-the+client"
READ = Request(method="GET", path="/data/foundation/catalog/dataSets")


class HandClock:
    """A clock that a test moves by hand."""

    boot_id = "boot"

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + 1e9

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def body(status: int, value: Any, **headers: str) -> Answer:
    return Answer(reach=Reach.ANSWERED, status=status, json=value, body=orjson.dumps(value), headers=headers)


class ScriptedPort:
    """Answers IMS and the platform from functions; waits at `hold` if it is set."""

    def __init__(self) -> None:
        self.tokens = 0
        self.ims: Callable[[], Answer] = self.next_token
        self.platform: Callable[[Request], Answer] = lambda request: body(200, {})
        self.sent: list[Request] = []
        self.hold: asyncio.Event | None = None
        self.expires_in: Any = 86_399
        self.closed = False

    def next_token(self) -> Answer:
        return body(
            200, {"access_token": f"token-{self.tokens}", "token_type": "bearer", "expires_in": self.expires_in}
        )

    async def send(self, request: Request) -> Answer:
        self.sent.append(request)
        if request.host is Host.IMS:
            self.tokens += 1
            if self.hold is not None:
                await self.hold.wait()
            return self.ims()
        return self.platform(request)

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def port() -> ScriptedPort:
    return ScriptedPort()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def platform(port: ScriptedPort, clock: HandClock) -> Platform:
    credentials = Credentials(client_id="local-client", client_secret=SECRET, org="LOCAL@AdobeOrg")
    return Platform(port, credentials, sandbox="dev", clock=clock, redactor=Redactor(salt=b"s"))


async def test_fifty_callers_at_once_share_one_request_to_ims(platform: Platform, port: ScriptedPort) -> None:
    told: list[Answer] = []

    async def on_token(answer: Answer) -> None:
        told.append(answer)

    await asyncio.gather(*(platform.ready(on_token) for _ in range(50)))
    assert port.tokens == 1
    assert len(told) == 1


async def test_the_token_request_is_oauth_server_to_server(platform: Platform, port: ScriptedPort) -> None:
    await platform.ready()
    (request,) = port.sent
    assert (request.method, request.path, request.effect) == ("POST", "/ims/token/v3", False)
    assert request.form is not None
    assert request.form["grant_type"] == "client_credentials"
    assert request.form["client_secret"] == SECRET
    assert "authorization" not in {name.lower() for name in request.headers}


async def test_every_call_carries_what_the_gateway_wants_and_a_get_no_content_type(
    platform: Platform, port: ScriptedPort
) -> None:
    await platform.ready()
    await platform.send(READ)
    await platform.send(Request(method="PATCH", path="/x", body=[], headers={"If-Match": '"e"'}, effect=True))
    get, patch = port.sent[1:]
    assert get.headers == {
        "Authorization": "Bearer token-1",
        "x-api-key": "local-client",
        "x-gw-ims-org-id": "LOCAL@AdobeOrg",
        "x-sandbox-name": "dev",
    }
    assert patch.headers["Content-Type"] == "application/json"
    assert patch.headers["If-Match"] == '"e"'


async def test_a_token_is_renewed_before_its_end(platform: Platform, port: ScriptedPort, clock: HandClock) -> None:
    await platform.ready()
    clock.now += 86_399 - 501
    await platform.ready()
    assert port.tokens == 1
    clock.now += 2
    await platform.ready()
    assert port.tokens == 2


async def test_milliseconds_are_recognised(platform: Platform, port: ScriptedPort, clock: HandClock) -> None:
    port.expires_in = 86_399_992
    await platform.ready()
    clock.now += 86_399 - 400
    await platform.ready()
    assert port.tokens == 2


@pytest.mark.parametrize("odd", [None, "soon", -5, 0, [], float("nan"), "300"])
async def test_an_odd_lifetime_neither_keeps_a_token_for_ever_nor_asks_at_every_call(
    platform: Platform, port: ScriptedPort, clock: HandClock, odd: Any
) -> None:
    port.expires_in = odd
    await platform.ready()
    await platform.ready()
    assert port.tokens == 1
    clock.now += 3601
    await platform.ready()
    assert port.tokens == 2


async def test_a_failing_early_renewal_is_no_error_while_the_token_lives(
    platform: Platform, port: ScriptedPort, clock: HandClock
) -> None:
    await platform.ready()
    port.ims = lambda: Answer(reach=Reach.SENT, trouble="reset")
    clock.now += 86_000
    await platform.ready()
    clock.now += 400
    with pytest.raises(Unreachable):
        await platform.ready()


async def test_a_failing_early_renewal_is_not_tried_again_at_every_call(
    platform: Platform, port: ScriptedPort, clock: HandClock
) -> None:
    await platform.ready()
    port.ims = lambda: Answer(reach=Reach.SENT, trouble="reset")
    clock.now += 86_000
    for _ in range(5):
        await platform.ready()
    assert port.tokens == 2
    clock.now += 31
    await platform.ready()
    assert port.tokens == 3


async def test_a_refusal_says_why_and_not_with_what(platform: Platform, port: ScriptedPort) -> None:
    port.ims = lambda: body(
        400,
        {"error": "invalid_client", "error_description": f"wrong client_secret parameter {SECRET}"},
        **{"x-request-id": "r-1"},
    )
    told: list[Answer] = []

    async def on_token(answer: Answer) -> None:
        told.append(answer)

    with pytest.raises(NotPermitted) as caught:
        await platform.ready(on_token)
    assert "invalid_client" in str(caught.value)
    assert "r-1" in str(caught.value)
    assert "FLOWLEDGER_CLIENT_SECRET" in caught.value.hint
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert [answer.status for answer in told] == [400]
    assert SECRET not in repr(told)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(reach=Reach.NOT_SENT, trouble="refused"),
        Answer(reach=Reach.ANSWERED, status=503),
        Answer(reach=Reach.ANSWERED, status=429),
        Answer(reach=Reach.ANSWERED, status=200, body=b"<html>", json_fault="not JSON"),
        Answer(reach=Reach.ANSWERED, status=200, json={"access_token": ""}),
        Answer(reach=Reach.ANSWERED, status=200, json={"access_token": "a\nb"}),
        Answer(reach=Reach.ANSWERED, status=302),
    ],
)
async def test_no_usable_answer_from_ims_is_worth_a_later_try(
    platform: Platform, port: ScriptedPort, answer: Answer
) -> None:
    port.ims = lambda: answer
    with pytest.raises(TryLater):
        await platform.ready()
    assert (await platform.send(READ)).reach is Reach.NOT_SENT


async def test_a_cancelled_caller_does_not_take_the_token_from_the_others(
    platform: Platform, port: ScriptedPort
) -> None:
    port.hold = asyncio.Event()
    first = asyncio.create_task(platform.ready())
    await asyncio.sleep(0)
    second = asyncio.create_task(platform.ready())
    await asyncio.sleep(0)
    first.cancel()
    port.hold.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    assert port.tokens == 1
    assert (await platform.send(READ)).status == 200


async def test_many_calls_that_fail_together_cost_one_new_token(platform: Platform, port: ScriptedPort) -> None:
    await platform.ready()
    port.platform = lambda request: body(
        401 if request.headers["Authorization"] == "Bearer token-1" else 200, {"error_code": "401013"}
    )

    async def call() -> int | None:
        await platform.ready()
        answer = await platform.send(READ)
        if answer.status == 401:
            platform.forget_token()
            await platform.ready()
            # Another late 401 of the old token, forgotten after the new one is there.
            platform.forget_token()
            await platform.ready()
            answer = await platform.send(READ)
        return answer.status

    assert await asyncio.gather(*(call() for _ in range(20))) == [200] * 20
    assert port.tokens == 2


async def test_forget_token_makes_the_next_ready_ask_again(platform: Platform, port: ScriptedPort) -> None:
    await platform.ready()
    platform.forget_token("another")
    await platform.ready()
    assert port.tokens == 1
    platform.forget_token()
    await platform.ready()
    assert port.tokens == 2


async def test_a_refused_call_is_not_repeated_by_the_client(platform: Platform, port: ScriptedPort) -> None:
    await platform.ready()
    port.platform = lambda request: body(401, {"error_code": "401013"})
    answer = await platform.send(Request(method="POST", path="/x", body={}, effect=True))
    assert answer.status == 401
    assert len(port.sent) == 2


async def test_secrets_show_in_no_repr_text_or_log(
    platform: Platform, port: ScriptedPort, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[Answer] = []

    async def on_token(answer: Answer) -> None:
        told.append(answer)

    await platform.ready(on_token)
    await platform.send(Request(method="POST", path="/x", body={"password": "pw-of-the-source"}, effect=True))
    shown = "\n".join([
        repr(platform), str(platform), repr(vars(platform)), repr(told), told[0].body.decode(), repr(port.sent),
        caplog.text, platform.redactor.redact_text(f"Bearer token-1 {SECRET}"),
    ])  # fmt: skip
    assert SECRET not in shown
    assert "token-1" not in shown
    assert "pw-of-the-source" not in shown


async def test_closing_lets_go_of_a_token_request_under_way(platform: Platform, port: ScriptedPort) -> None:
    port.hold = asyncio.Event()
    waiting = asyncio.create_task(platform.ready())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await platform.close()
    assert port.closed
    with pytest.raises(asyncio.CancelledError):
        await waiting
