"""What an answer proves, what it says, and which error it becomes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from flowledger.errors import NotPermitted, NotThere, Rejected, Unreachable
from flowledger.steps.client.judge import (
    Fault,
    Verdict,
    clock_fault,
    fault_of,
    judge,
    refusal,
    retry_after,
    title_holder,
)
from flowledger.steps.client.port import Answer, Reach

GATEWAY = {"error_code": "429050", "message": "Too many requests"}
SERVICE = {"type": "http://ns.adobe.com/aep/errors/XDM-1521-400", "title": "Title not unique", "status": 400}
OLD_FLOW = {"errorMessage": "connections not found with id = [1]", "errorDetails": "same"}
PLACEHOLDER = {"type": "/placeholder/type/uri", "status": 400, "title": "BadRequestError", "detail": "content-type"}
STRANGER = {"message": "blocked by policy", "status": 403}
IMS = {"error": "invalid_client", "error_description": "invalid client_secret parameter"}


def answered(status: int, body: Any = None, **headers: str) -> Answer:
    raw = b"" if body is None else orjson.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(reach=Reach.ANSWERED, status=status, json=body, body=raw, headers=named)


def html(status: int) -> Answer:
    return Answer(reach=Reach.ANSWERED, status=status, body=b"<html>", json_fault="not JSON")


@pytest.mark.parametrize("body", [GATEWAY, SERVICE, OLD_FLOW, PLACEHOLDER, {"error_code": 403010, "message": "x"}])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 415, 422, 429])
def test_a_refusal_in_the_platforms_own_body_proves_that_nothing_was_done(status: int, body: Any) -> None:
    assert judge(answered(status, body)) is Verdict.NOT_DONE


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 429])
@pytest.mark.parametrize("body", [STRANGER, IMS, None, [], "no", {"type": "about:blank"}, {"error_code": None}])
def test_a_refusal_in_anybody_elses_body_proves_nothing(status: int, body: Any) -> None:
    assert judge(answered(status, body)) is Verdict.IN_DOUBT
    assert judge(html(status)) is Verdict.IN_DOUBT


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 599, 301, 302, 304, 307, 308, 101])
def test_timeouts_server_errors_and_redirects_are_in_doubt_whoever_signed_them(status: int) -> None:
    for body in (GATEWAY, SERVICE, OLD_FLOW, STRANGER, None):
        assert judge(answered(status, body)) is Verdict.IN_DOUBT


def test_a_lookalike_of_adobes_error_type_is_a_strangers_body() -> None:
    for kind in (
        "https://ns.adobe.com.evil.example/aep/errors/X-1-400",
        "https://proxy.example/?https://ns.adobe.com/aep/errors/X-1-400",
        "ftp://ns.adobe.com/aep/errors/X-1-400",
        "https://ns.adobe.com/aep/errors/",
    ):
        assert judge(answered(400, {"type": kind})) is Verdict.IN_DOUBT


def test_a_whole_readable_2xx_is_accepted_and_an_unreadable_one_is_in_doubt() -> None:
    assert judge(answered(201, {"id": "1"})) is Verdict.ACCEPTED
    assert judge(answered(204)) is Verdict.ACCEPTED
    assert judge(html(200)) is Verdict.IN_DOUBT


def test_how_far_a_call_got_outranks_its_status() -> None:
    assert judge(Answer(reach=Reach.NOT_SENT)) is Verdict.NOT_DONE
    assert judge(Answer(reach=Reach.SENT)) is Verdict.IN_DOUBT
    assert judge(Answer(reach=Reach.CUT, status=201, json={"id": "1"})) is Verdict.IN_DOUBT
    assert judge(Answer(reach=Reach.CUT, status=400, json=GATEWAY)) is Verdict.IN_DOUBT


def test_faults_are_read_by_the_parser_rule() -> None:
    flow = {
        "type": "https://ns.adobe.com/aep/errors/FLOW-1439-404",
        "title": "Resource not found",
        "report": {"detailed-message": "flow is not found", "request-id": "r-1"},
        "errorMessage": "other",
    }
    fault = fault_of(answered(404, flow))
    assert (fault.layer, fault.code, fault.text, fault.request_id) == (
        "service", "FLOW-1439-404", "flow is not found", "r-1",
    )  # fmt: skip
    assert fault_of(answered(404, flow, x_request_id="h-1")).request_id == "h-1"
    assert fault_of(answered(400, {**SERVICE, "report": {"registryRequestId": "g-1"}})).request_id == "g-1"
    assert fault_of(answered(403, {"error_code": 403010})).code == "403010"
    assert fault_of(answered(400, PLACEHOLDER)) == Fault(
        layer="service", status=400, code="", text="content-type", request_id="", detail="content-type"
    )
    assert fault_of(answered(401, IMS)).layer == "ims"
    assert fault_of(answered(400, OLD_FLOW)).text == "connections not found with id = [1]"


@pytest.mark.parametrize(
    "body", [None, 1, "x", [1], {}, {"report": []}, {"type": 7, "report": {"request-id": 5}}, {"detail": {"a": 1}}]
)
def test_no_body_is_too_odd_to_read(body: Any) -> None:
    fault = fault_of(answered(400, body))
    assert fault.code == ""
    assert fault.text == ""


def test_a_faults_text_cannot_steer_a_terminal() -> None:
    assert "\x1b" not in fault_of(answered(400, {"errorMessage": "\x1b[2Jgone\nnext"})).text


def test_the_titles_holder_is_taken_from_the_text_of_a_title_fault_only() -> None:
    id = "https://ns.adobe.com/acme/classes/ab12"
    said = f"The resource {id} already exists with the same title"
    deep = {**SERVICE, "report": {"detailed-message": said}, "detail": "taken"}
    shallow = {**SERVICE, "report": {"detailed-message": "already exists"}, "detail": said}
    other = {"type": "http://ns.adobe.com/aep/errors/XDM-1010-404", "detail": said}
    assert title_holder(fault_of(answered(400, deep))) == id
    assert title_holder(fault_of(answered(400, shallow))) == id
    assert title_holder(fault_of(answered(404, other))) is None
    assert title_holder(fault_of(answered(400, SERVICE))) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0), ("0", 0.0), ("-3", 0.0), ("2.5", 2.5), ("1e400", 86_400.0), ("99999999999999", 86_400.0),
        ("nan", None), ("soon", None), ("", None), ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
        ("Thu, 01 Jan 1970 00:01:40", 40.0), ("Wed, 31 Dec 1969 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0), ("Fri, 99 Foo 12345 99:99:99 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_both_forms_and_never_absurd(value: str, seconds: float | None) -> None:
    assert retry_after(answered(429, GATEWAY, retry_after=value), wall=60.0) == seconds


def test_a_final_answer_becomes_the_error_that_its_caller_can_act_on() -> None:
    sandbox = {"type": "https://ns.adobe.com/aep/errors/FLOW-2100-404", "errorMessage": "sandbox not found"}
    wanted: list[tuple[Answer, type[Exception], str]] = [
        (answered(401, {"error_code": "401013", "message": "m"}), NotPermitted, "FLOWLEDGER_CLIENT_SECRET"),
        (answered(403, {"error_code": "403025", "message": "m"}), NotPermitted, "FLOWLEDGER_ORG_ID"),
        (answered(404, {"type": "https://ns.adobe.com/aep/errors/FLOW-1439-404"}), NotThere, "sandbox"),
        (answered(404, sandbox), NotThere, "FLOWLEDGER_SANDBOX"),
        (answered(400, sandbox), NotThere, "FLOWLEDGER_SANDBOX"),
        (answered(400, SERVICE), Rejected, "title"),
        (answered(429, GATEWAY), Unreachable, "resume"),
        (answered(503, SERVICE), Unreachable, "resume"),
        (answered(302), Unreachable, "resume"),
        (Answer(reach=Reach.SENT, trouble="reset"), Unreachable, "resume"),
        (answered(400, STRANGER), Unreachable, "resume"),
    ]
    for answer, error, hint in wanted:
        refused = refusal(answer, "creating the dataset", run="orders", step="create_dataset")
        assert type(refused) is error, answer
        assert hint in refused.hint
        assert "creating the dataset" in str(refused)


def test_a_refusal_names_code_text_and_request_id_once() -> None:
    error = refusal(answered(400, {**SERVICE, "detail": "taken"}, x_request_id="r-9"), "creating the class")
    assert isinstance(error, Rejected)
    assert (error.code, error.request_id) == ("XDM-1521-400", "r-9")
    assert str(error) == "creating the class: 400 XDM-1521-400 taken (request id r-9)"
    assert str(refusal(answered(403, STRANGER, x_request_id="r-9"), "listing")).count("r-9") == 1


@pytest.mark.parametrize(
    ("wall", "said"),
    [(1_700_000_000.0, ""), (1_699_996_400.0, "3600 s behind"), (1_700_003_600.0, "3600 s ahead of")],
)
def test_a_start_that_a_wrong_clock_made_is_blamed_on_the_clock(wall: float, said: str) -> None:
    answer = Answer(
        reach=Reach.ANSWERED,
        status=400,
        headers={"date": "Tue, 14 Nov 2023 22:13:20 GMT"},
        json={
            "type": "https://ns.adobe.com/aep/errors/CONNECTOR-1360-400",
            "title": "Invalid start time",
            "status": 400,
        },
    )
    hint = clock_fault(answer, wall)
    assert said in hint
    assert bool(said) == ("set it" in hint)
    assert clock_fault(Answer(reach=Reach.ANSWERED, status=400, headers=answer.headers), wall) == ""
