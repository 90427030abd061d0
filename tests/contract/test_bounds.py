"""What the emulator keeps does not grow with its age: tokens that have expired go."""

from __future__ import annotations

from typing import Any

from flowledger.emulator import ims
from flowledger.emulator.caller import Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options


def test_expired_tokens_are_removed(clock: Any) -> None:
    emulator = Emulator(clock=clock, options=Options(token_lifetime_s=60))
    caller = Caller(emulator)
    for _ in range(10):
        for _ in range(ims.PRUNED_EVERY):
            assert caller.ask_for_token().status == 200
        clock.pass_ms(60_000)

    assert emulator.world.store.count(ims.TOKENS, ims.EVERYWHERE) <= 2 * ims.PRUNED_EVERY


def test_tokens_that_have_not_expired_stay(clock: Any) -> None:
    emulator = Emulator(clock=clock, options=Options(token_lifetime_s=60))
    caller = Caller(emulator)
    headers = {"authorization": f"Bearer {caller.token}"}
    clock.pass_ms(59_999)
    for _ in range(3 * ims.PRUNED_EVERY):
        caller.ask_for_token()

    assert caller.send("GET", "/data/foundation/flowservice/flows", headers=headers).status == 200
