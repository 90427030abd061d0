"""What gateway, IMS and sandboxes decide where documents are silent, each in both worlds (platform-api.md §1, §15)."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, CONVERSION, FLOW, REGISTRY, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options
from flowledger.emulator.wire import Request

SANDBOXES = "/data/foundation/sandbox-management"


def with_options(**options: Any) -> Caller:
    return Caller(Emulator(options=Options(**options)))


def test_wrong_credentials_may_be_unauthorized(prod: Caller) -> None:
    """U1."""
    assert prod.ask_for_token(client_secret="wrong").status == 400

    reply = with_options(invalid_client_401=True).ask_for_token(client_secret="wrong")
    assert (reply.status, reply.json["error"]) == (401, "invalid_client")


def test_expiry_may_be_in_milliseconds_and_the_token_lives_as_long(clock: Any) -> None:
    caller = Caller(Emulator(clock=clock, options=Options(token_lifetime_s=60, token_lifetime_in_ms=True)))

    assert caller.ask_for_token().json["expires_in"] == 60_000
    assert caller.send("GET", f"{FLOW}/connections").status == 200
    clock.pass_ms(60_000)
    assert caller.send("GET", f"{FLOW}/connections").status == 401


def test_answers_may_lack_a_request_id(prod: Caller) -> None:
    """U2."""
    assert "x-request-id" in prod.send("GET", f"{FLOW}/connections").headers
    assert "x-request-id" not in with_options(request_ids=False).send("GET", f"{FLOW}/connections").headers


def test_the_checks_may_come_in_another_order() -> None:
    """U3."""
    order = "content_type,sandbox,org_allowed,org,rate,token_valid,key_known,token,key"
    caller = with_options(gateway_order=order)
    wrong = {"x-sandbox-name": "nowhere", "content-type": "text/plain", "x-gw-ims-org-id": "OTHER@AdobeOrg"}
    right = {name: value for name, value in caller.headers().items() if name in wrong}
    bad = {"authorization": "Bearer bad", "x-api-key": "unknown"}

    def code(headers: dict[str, str], without: tuple[str, ...] = ()) -> str:
        return caller.send("POST", f"{FLOW}/connections", b"", headers=headers, without=without).code

    assert code({**wrong, **bad}) == "CONNECTOR-1004-415"
    assert code({**wrong, **bad, "content-type": right["content-type"]}) == "FLOW-2100-404"
    assert code({**right, **bad, "x-gw-ims-org-id": "OTHER@AdobeOrg"}) == "403025"
    assert code({**right, **bad}) == "401013"
    assert code({**right, "x-api-key": "unknown"}) == "403003"
    assert code({}, ("authorization", "x-api-key")) == "403010"
    assert code({}, ("x-api-key",)) == "403000"
    assert code({}) == "FLOW-1405-400"


@pytest.mark.parametrize("order", ["key", "key,key", "nothing", f"{','.join(['key'] * 9)}"])
def test_an_order_that_leaves_a_check_out_is_refused_at_the_start(order: str) -> None:
    with pytest.raises(ValueError, match="gateway_order"):
        Emulator(options=Options(gateway_order=order))


def test_flow_service_may_fall_to_the_default_sandbox(prod: Caller) -> None:
    """U4: its reference marks the header optional."""
    assert prod.send("GET", f"{FLOW}/flows", without=["x-sandbox-name"]).code == "FLOW-2105-400"

    caller = with_options(lax_sandbox=True)
    assert caller.send("GET", f"{FLOW}/flows", without=["x-sandbox-name"]).status == 200


def test_a_sandbox_that_is_not_active_is_shown_and_not_to_be_used() -> None:
    """§1.4."""
    caller = with_options(inactive_sandboxes=("dev",))
    listed = caller.send("GET", f"{SANDBOXES}/").json["sandboxes"]
    dev = {"x-sandbox-name": "dev"}

    assert {found["name"]: found["state"] for found in listed} == {"prod": "active", "dev": "creating"}
    assert caller.send("GET", f"{SANDBOXES}/sandboxes/dev").json["state"] == "creating"
    assert caller.send("GET", f"{FLOW}/flows", headers=dev).code == "FLOW-2101-404"
    assert caller.send("GET", f"{CATALOG}/dataSets", headers=dev).code == "CATALOG-404"
    assert caller.send("GET", f"{FLOW}/flows").status == 200


def test_the_list_of_sandboxes_has_pages() -> None:
    caller = with_options(sandboxes=("prod", "a", "b"))

    def page(*query: tuple[str, str]) -> Any:
        return caller.send("GET", f"{SANDBOXES}/", query=query)

    first = page(("limit", "2")).json
    assert [found["name"] for found in first["sandboxes"]] == ["prod", "a"]
    assert (first["_page"], first["_links"]["next"]["href"]) == (
        {"limit": 2, "count": 2},
        f"{SANDBOXES}/?limit=2&offset=2",
    )
    last = page(("limit", "2"), ("offset", "2")).json
    assert ([found["name"] for found in last["sandboxes"]], last["_links"]) == (["b"], {})
    assert [page(("limit", text)).status for text in ("0", "201", "x", "-1")] == [400] * 4
    assert page(("offset", "x")).status == 400


def test_a_single_sandbox_may_be_for_administrators_only(prod: Caller) -> None:
    assert prod.send("GET", f"{SANDBOXES}/sandboxes/prod").status == 200

    reply = with_options(sandbox_admin=False).send("GET", f"{SANDBOXES}/sandboxes/prod")
    assert (reply.status, reply.code) == (403, "SMS-403")


@pytest.mark.parametrize(("path", "status"), [(f"{CATALOG}/dataSets", 414), (f"{FLOW}/connections", 414)])
def test_a_url_that_is_too_long_is_refused(prod: Caller, path: str, status: int) -> None:
    """§1.3: lengths count as they are sent, percent-encoded."""
    fits = "x" * (2000 - len(f"{path}?name="))

    assert prod.send("GET", path, query=[("name", fits)]).status != status
    for query in (fits + "x", " /" * 400 + "é" * 200):
        reply = prod.send("GET", path, query=[("name", query)])
        assert (reply.status, reply.code) == (status, "414000")


def test_how_long_a_url_may_be_is_an_option() -> None:
    caller = with_options(url_maximum=100)

    assert caller.send("GET", f"{CATALOG}/dataSets", query=[("name", "x" * 100)]).status == 414
    assert caller.send("GET", f"{CATALOG}/dataSets", query=[("name", "x")]).status == 200


def test_how_long_a_body_may_be_is_an_option() -> None:
    caller = with_options(body_maximum=1000)
    body = {"name": "x"}

    reply = caller.send("POST", f"{CATALOG}/dataSets", b"[" * 1001)
    assert (reply.status, reply.code) == (413, "413000")
    assert caller.send("POST", f"{CATALOG}/dataSets", body).status == 400


@pytest.mark.parametrize("path", [f"{CATALOG}/dataSets/absent", f"{CONVERSION}/mappingSets/absent"])
def test_services_without_documented_errors_may_answer_in_the_newer_shape(prod: Caller, path: str) -> None:
    """U7."""
    plain = prod.send("GET", path).json
    assert plain.keys() == {"type", "title", "status", "detail"}

    reply = with_options(error_chains=True).send("GET", path)
    assert (reply.status, reply.code) == (404, plain["type"].rpartition("/")[2])
    assert reply.json["report"]["detailed-message"] == plain["detail"]
    assert reply.json["report"]["tenantInfo"]["sandboxName"] == "prod"
    assert reply.json["error-chain"][0].keys() == {"serviceId", "errorCode", "invokingServiceId", "unixTimeStampMs"}


def test_the_newer_shape_leaves_the_other_services_alone() -> None:
    caller = with_options(error_chains=True)

    assert "errorMessage" in caller.send("GET", f"{FLOW}/flows/absent").json
    assert caller.send("GET", f"{CATALOG}/dataSets", without=["authorization"]).json["error_code"] == "403010"


def test_an_answer_later_than_the_gateway_waits_is_a_504_though_the_call_took_effect(a_pass: Any) -> None:
    """U18."""
    caller = with_options(gateway_timeout_ms=60_000)
    caller.emulator.faults.add("POST /connections", "slow", delay_ms=60_001)
    caller.emulator.faults.add("POST /connections", "slow", delay_ms=60_000)

    late = caller.send("POST", f"{FLOW}/connections", a_pass.paypal_body("late"))
    in_time = caller.send("POST", f"{FLOW}/connections", a_pass.paypal_body("in time"))

    assert (late.status, late.code, late.response.delay) == (504, "504000", 60.0)
    assert (in_time.status, in_time.response.delay) == (201, 60.0)
    assert caller.emulator.count("connections") == 2


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("PUT", "/connections", 405)])
def test_who_serves_nothing_may_say_nothing(prod: Caller, method: str, path: str, status: int) -> None:
    """U28."""
    assert prod.send(method, f"{FLOW}{path}", {}).code == f"{status}000"

    reply = with_options(bare_not_routed=True).send(method, f"{FLOW}{path}", {})
    assert (reply.status, reply.response.body) == (status, b"")


def test_conversion_writes_need_no_content_type_where_flow_service_needs_none(prod: Caller) -> None:
    """U27."""
    answers = [
        with_options(flow_content_type_status=status).send(
            "POST", f"{CONVERSION}/languages/el/validate", {"expression": "a"}, without=["content-type"]
        )
        for status in (415, 400, 0)
    ]

    assert [answer.status for answer in answers] == [415, 400, 200]


def test_the_last_field_of_the_query_does_not_win_over_the_form(emulator: Emulator) -> None:
    """§1.2: fields are taken from body and query together; the body is the advised place and wins."""
    request = Request(
        method="POST",
        raw_path="/ims/token/v2",
        query=(("client_secret", "wrong"), ("grant_type", "client_credentials"), ("scope", "openid")),
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=b"client_id=local-client&client_secret=local-secret",
    )

    assert emulator.handle(request).status == 200


@pytest.mark.parametrize("path", [f"{REGISTRY}/stats", f"{CATALOG}/dataSets", f"{CONVERSION}/mappingSets"])
def test_an_unknown_org_is_refused_by_every_service(prod: Caller, path: str) -> None:
    assert prod.send("GET", path, headers={"x-gw-ims-org-id": "OTHER@AdobeOrg"}).code == "403025"


def test_the_gateways_code_is_text_or_a_number(prod: Caller) -> None:
    """§1.3: the guides and one OpenAPI file disagree."""
    caller = with_options(integer_error_codes=True)

    def codes(of: Caller) -> list[Any]:
        answers = [of.send("GET", f"{FLOW}/flows", without=["x-api-key"]), of.send("GET", "/nothing")]
        return [answer.json["error_code"] for answer in answers]

    assert (codes(prod), codes(caller)) == (["403000", "404000"], [403000, 404000])
    assert caller.send("GET", f"{FLOW}/flows/absent").code == "FLOW-1439-404"
