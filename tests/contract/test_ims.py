"""IMS tokens (platform-api.md §1.2, U1)."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.emulator import ims
from flowledger.emulator.caller import FLOW, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options
from flowledger.emulator.wire import Request

FIELDS = (
    ("grant_type", "client_credentials"),
    ("client_id", "local-client"),
    ("client_secret", "local-secret"),
    ("scope", "openid,session,AdobeID,read_organizations,additional_info.projectedProductContext"),
)


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_a_token_is_issued_in_seconds_and_opens_the_gateway(prod: Caller, version: str) -> None:
    reply = prod.ask_for_token(version=version)

    assert reply.status == 200
    assert set(reply.json) == {"access_token", "token_type", "expires_in"}
    assert (reply.json["token_type"], reply.json["expires_in"]) == ("bearer", 86399)
    token = {"authorization": f"Bearer {reply.json['access_token']}"}
    assert prod.send("GET", f"{FLOW}/connections", headers=token).status == 200


def test_the_fields_may_come_in_the_query(emulator: Emulator) -> None:
    reply = emulator.handle(Request(method="POST", raw_path="/ims/token/v3", query=FIELDS))

    assert reply.status == 200


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "unsupported_grant_type"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_secret": ""}, "invalid_client"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "openid,everything"}, "invalid_scope"),
    ],
)
def test_a_wrong_field_is_refused_in_oauths_shape(prod: Caller, fields: dict[str, str], error: str) -> None:
    reply = prod.ask_for_token(**fields)

    assert (reply.status, reply.json["error"]) == (400, error)
    assert set(reply.json) == {"error", "error_description"}


def test_json_is_no_form(emulator: Emulator) -> None:
    body = b'{"grant_type":"client_credentials","client_id":"local-client","client_secret":"local-secret"}'
    headers = {"content-type": "application/json"}

    reply = emulator.handle(Request(method="POST", raw_path="/ims/token/v3", headers=headers, body=body))

    assert reply.status == 400


def test_a_token_dies_when_its_time_is_over(clock: Any) -> None:
    emulator = Emulator(clock=clock, options=Options(token_lifetime_s=60))
    caller = Caller(emulator)
    assert caller.send("GET", f"{FLOW}/connections").status == 200

    clock.pass_ms(59_999)
    assert caller.send("GET", f"{FLOW}/connections").status == 200
    clock.pass_ms(1)
    expired = caller.send("GET", f"{FLOW}/connections")

    assert (expired.status, expired.json) == (401, {"error_code": "401013", "message": "Oauth token is not valid"})
    caller.forget_token()
    assert caller.send("GET", f"{FLOW}/connections").status == 200


def test_tokens_that_have_expired_are_not_kept_and_those_that_live_are(prod: Caller, clock: Any) -> None:
    store = prod.emulator.world.store
    for _ in range(3 * ims.PRUNED_EVERY):
        assert prod.ask_for_token().status == 200
        clock.pass_ms(86_400_000)
    assert store.count(ims.TOKENS, ims.EVERYWHERE) <= ims.PRUNED_EVERY

    living = [prod.ask_for_token().json["access_token"] for _ in range(2 * ims.PRUNED_EVERY)]
    assert all(ims.client_of(prod.emulator.world, token) for token in living)


def test_an_earlier_token_stays_good_beside_a_later_one(prod: Caller) -> None:
    earlier = prod.token
    prod.forget_token()

    assert prod.token != earlier
    assert prod.send("GET", f"{FLOW}/connections", headers={"authorization": f"Bearer {earlier}"}).status == 200
