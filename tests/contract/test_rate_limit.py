"""The gateway's rate limit: a token bucket by the emulator's clock (platform-api.md §8.5, U20)."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, FLOW, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options


def limited(clock: Any, **options: Any) -> Caller:
    caller = Caller(Emulator(clock=clock, options=Options(**options)))
    assert caller.token
    return caller


def statuses(caller: Caller, count: int) -> list[int]:
    return [caller.send("GET", f"{FLOW}/connections").status for _ in range(count)]


def test_without_the_option_nothing_is_limited(prod: Caller) -> None:
    assert set(statuses(prod, 500)) == {200}


def test_more_calls_than_a_second_allows_are_turned_away_and_have_no_effect(clock: Any, pass_of: Any) -> None:
    caller = limited(clock, rate_limit_per_s=3)
    body = pass_of(caller).paypal_body()

    replies = [caller.send("POST", f"{FLOW}/connections", body) for _ in range(5)]

    assert [reply.status for reply in replies] == [201, 201, 201, 429, 429]
    assert replies[-1].json == {"error_code": "429050", "message": "Too many requests"}
    assert caller.emulator.count("connections") == 3


def test_tokens_come_back_evenly_and_are_kept_up_to_a_seconds_worth(clock: Any) -> None:
    caller = limited(clock, rate_limit_per_s=4)
    assert statuses(caller, 5) == [200, 200, 200, 200, 429]

    clock.pass_ms(249)
    assert statuses(caller, 1) == [429]
    clock.pass_ms(1)
    assert statuses(caller, 2) == [200, 429]
    clock.pass_ms(60_000)
    assert statuses(caller, 5) == [200, 200, 200, 200, 429]


def test_over_a_long_time_exactly_the_rate_gets_through(clock: Any) -> None:
    caller = limited(clock, rate_limit_per_s=7, rate_limit_burst=2)
    through = 0

    for _ in range(1000):
        clock.pass_ms(10)
        through += statuses(caller, 1) == [200]

    assert 69 <= through <= 71


def test_the_burst_may_be_larger_or_smaller_than_a_seconds_worth(clock: Any) -> None:
    assert statuses(limited(clock, rate_limit_per_s=1, rate_limit_burst=3), 4) == [200, 200, 200, 429]
    assert statuses(limited(clock, rate_limit_per_s=10, rate_limit_burst=1), 2) == [200, 429]


@pytest.mark.parametrize(("per_s", "expected"), [(1, "1"), (10, "1")])
def test_the_answer_says_how_many_seconds_to_wait(clock: Any, per_s: int, expected: str) -> None:
    caller = limited(clock, rate_limit_per_s=per_s, rate_limit_burst=1)
    assert statuses(caller, 1) == [200]

    turned_away = caller.send("GET", f"{FLOW}/connections")
    assert turned_away.headers["retry-after"] == expected
    clock.pass_ms(int(expected) * 1000)
    assert statuses(caller, 1) == [200]


def test_the_answer_may_leave_the_seconds_out(clock: Any) -> None:
    caller = limited(clock, rate_limit_per_s=1, rate_limit_retry_after=False)
    assert statuses(caller, 1) == [200]

    turned_away = caller.send("GET", f"{FLOW}/connections")

    assert turned_away.status == 429
    assert "retry-after" not in turned_away.headers


def test_one_limit_holds_for_all_services_and_tokens_are_free(clock: Any) -> None:
    caller = limited(clock, rate_limit_per_s=2)

    assert caller.send("GET", f"{CATALOG}/dataSets").status == 200
    assert statuses(caller, 2) == [200, 429]
    assert caller.ask_for_token().status == 200


def test_a_caller_without_a_good_token_takes_nothing_from_the_others(clock: Any) -> None:
    caller = limited(clock, rate_limit_per_s=1)

    for _ in range(5):
        assert caller.send("GET", f"{FLOW}/connections", headers={"authorization": "Bearer bad"}).status == 401
    assert statuses(caller, 2) == [200, 429]


def test_the_limit_may_change_while_it_serves_and_a_reset_fills_the_bucket(clock: Any) -> None:
    caller = limited(clock)
    assert set(statuses(caller, 10)) == {200}

    caller.emulator.options.rate_limit_per_s = 2
    assert statuses(caller, 3) == [200, 200, 429]
    caller.emulator.reset()
    caller.forget_token()
    assert statuses(caller, 3) == [200, 200, 429]
    caller.emulator.options.rate_limit_per_s = 0
    assert set(statuses(caller, 10)) == {200}


def test_a_clock_that_is_set_back_brings_no_tokens_and_takes_none(clock: Any) -> None:
    caller = limited(clock, rate_limit_per_s=1)
    assert statuses(caller, 2) == [200, 429]

    clock.pass_ms(-5000)
    assert statuses(caller, 1) == [429]
    clock.pass_ms(1000)
    assert statuses(caller, 2) == [200, 429]
