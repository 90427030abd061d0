"""The gateway's checks, in the order of U3 (platform-api.md §1.3, §15)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from flowledger.emulator.caller import CATALOG, CONVERSION, FLOW, REGISTRY, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options
from flowledger.emulator.wire import Request

LISTS = [
    (f"{FLOW}/connections", {}),
    (f"{REGISTRY}/tenant/schemas", {"accept": "application/vnd.adobe.xed-id+json"}),
    (f"{CATALOG}/dataSets", {}),
]


@pytest.mark.parametrize(("path", "headers"), LISTS)
@pytest.mark.parametrize(
    ("missing", "status", "code", "message"),
    [
        ("x-api-key", 403, "403000", "Api Key is required"),
        ("authorization", 403, "403010", "Oauth token is missing."),
        ("x-gw-ims-org-id", 400, "400003", "Missing header"),
    ],
)
def test_a_missing_header_is_refused_with_its_code(
    prod: Caller, path: str, headers: dict[str, str], missing: str, status: int, code: str, message: str
) -> None:
    reply = prod.send("GET", path, headers=headers, without=[missing])

    assert (reply.status, reply.json) == (status, {"error_code": code, "message": message})


@pytest.mark.parametrize(("path", "headers"), LISTS)
@pytest.mark.parametrize(
    ("name", "value", "status", "code"),
    [
        ("x-api-key", "somebody-else", 403, "403003"),
        ("authorization", "Bearer never-issued", 401, "401013"),
        ("authorization", "Basic bG9jYWw6bG9jYWw=", 401, "401013"),
        ("x-gw-ims-org-id", "OTHER@AdobeOrg", 403, "403025"),
    ],
)
def test_a_wrong_header_is_refused_with_its_code(
    prod: Caller, path: str, headers: dict[str, str], name: str, value: str, status: int, code: str
) -> None:
    reply = prod.send("GET", path, headers={**headers, name: value})

    assert (reply.status, reply.code) == (status, code)


def test_the_checks_come_in_a_fixed_order(prod: Caller) -> None:
    """U3: each call below has all the faults that are checked later than its own."""
    wrong = {"x-sandbox-name": "nowhere", "content-type": "text/plain"}
    calls: list[tuple[list[str], dict[str, str]]] = [
        (["x-api-key", "authorization", "x-gw-ims-org-id"], {}),
        (["authorization", "x-gw-ims-org-id"], {"x-api-key": "unknown"}),
        (["x-gw-ims-org-id"], {"x-api-key": "unknown", "authorization": "Bearer bad"}),
        (["x-gw-ims-org-id"], {"authorization": "Bearer bad"}),
        (["x-gw-ims-org-id"], {}),
        ([], {"x-gw-ims-org-id": "OTHER@AdobeOrg"}),
        ([], {}),
        ([], {"x-sandbox-name": "prod"}),
        ([], {"x-sandbox-name": "prod", "content-type": "application/json"}),
    ]
    codes = [
        prod.send("POST", f"{FLOW}/connections", b"", headers={**wrong, **headers}, without=without).code
        for without, headers in calls
    ]

    assert codes == [
        *("403000", "403010", "403003", "401013", "400003", "403025"),
        *("FLOW-2100-404", "CONNECTOR-1004-415", "FLOW-1405-400"),
    ]


def test_every_answer_has_a_request_id_and_a_given_one_is_echoed(prod: Caller, emulator: Emulator) -> None:
    """U2."""
    generated = [
        prod.send("GET", f"{FLOW}/connections"),
        prod.send("GET", f"{FLOW}/connections/absent"),
        prod.send("GET", "/nothing/here"),
        prod.send("GET", f"{FLOW}/connections", without=["authorization"]),
        prod.ask_for_token(),
        prod.ask_for_token(client_secret="wrong"),
    ]
    echoed = prod.send("GET", f"{FLOW}/connections/absent", headers={"x-request-id": "mine"})

    ids = [reply.headers["x-request-id"] for reply in generated]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    assert echoed.headers["x-request-id"] == "mine"
    assert echoed.json["report"]["request-id"] == "mine"


def test_flow_service_insists_on_a_sandbox_and_the_others_fall_to_the_default(prod: Caller, dev: Caller) -> None:
    """U4."""
    missing = prod.send("GET", f"{FLOW}/connections", without=["x-sandbox-name"])
    assert (missing.status, missing.code) == (400, "FLOW-2105-400")
    assert missing.json["errorMessage"] == missing.json["report"]["detailed-message"]

    body = {"name": "d", "schemaRef": {"id": _schema(prod), "contentType": "application/vnd.adobe.xed+json;version=1"}}
    made = prod.send(
        "POST", f"{CATALOG}/dataSets", body, query=[("requestDataSource", "true")], without=["x-sandbox-name"]
    )
    assert made.status == 201
    path = f"{CATALOG}/dataSets/{made.json[0].rpartition('/')[2]}"
    assert prod.send("GET", path).status == 200
    assert dev.send("GET", path).status == 404


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"{CATALOG}/dataSets", "CATALOG-400"),
        (f"{REGISTRY}/stats", "XDM-400"),
        (f"{CONVERSION}/mappingSets", "MAPPER-400"),
    ],
)
def test_with_the_option_every_service_insists_on_a_sandbox(path: str, code: str) -> None:
    """U4, strictSandbox."""
    caller = Caller(Emulator(options=Options(strict_sandbox=True)))

    reply = caller.send("GET", path, without=["x-sandbox-name"])

    assert (reply.status, reply.code) == (400, code)


@pytest.mark.parametrize(("path", "code"), [(f"{FLOW}/flows", "FLOW-2100-404"), (f"{CATALOG}/dataSets", "CATALOG-404")])
def test_an_unknown_sandbox_is_not_found(prod: Caller, path: str, code: str) -> None:
    reply = prod.send("GET", path, headers={"x-sandbox-name": "nowhere"})

    assert (reply.status, reply.code) == (404, code)


def test_flow_service_refuses_a_sandbox_id(prod: Caller) -> None:
    reply = prod.send("GET", f"{FLOW}/flows", headers={"x-sandbox-id": "1bd86660-c5da-11e9-93d4-6d5fc3a66a8e"})

    assert (reply.status, reply.code) == (400, "FLOW-2110-400")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{FLOW}/connections", 415, "CONNECTOR-1004-415"),
        (f"{CONVERSION}/mappingSets", 415, "CONNECTOR-1004-415"),
        (f"{REGISTRY}/tenant/classes", 400, "uri"),
        (f"{CATALOG}/dataSets", 400, "CATALOG-400"),
    ],
)
@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_write_needs_json_as_its_content_type(
    prod: Caller, path: str, status: int, code: str, content_type: str | None
) -> None:
    """U27; the registry still answers in its 2020 shape (§8.2)."""
    without = ["content-type"] if content_type is None else []
    headers = {"content-type": content_type} if content_type else {}

    reply = prod.send("POST", path, {"name": "x"}, headers=headers, without=without)

    assert (reply.status, reply.code) == (status, code)
    assert "A valid content-type must be specified" in reply.response.body.decode()


def test_a_charset_does_not_make_json_another_type(prod: Caller, a_pass: Any) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}

    assert prod.send("POST", f"{FLOW}/connections", a_pass.paypal_body(), headers=headers).status == 201


def test_an_unknown_path_is_404_and_a_wrong_method_405(prod: Caller) -> None:
    """U28."""
    unknown = prod.send("GET", f"{FLOW}/nothing")
    wrong = prod.send("PUT", f"{FLOW}/connections", {})

    assert (unknown.status, unknown.code) == (404, "404000")
    assert (wrong.status, wrong.code, wrong.headers["allow"]) == (405, "405000", "GET, POST")


@pytest.mark.parametrize("named", ["", "nowhere", "dev"])
def test_looking_sandboxes_up_ignores_the_sandbox_that_the_call_names(named: str) -> None:
    emulator = Emulator(options=Options(inactive_sandboxes=("dev",)))
    caller = Caller(emulator, sandbox=named)

    listed = caller.send("GET", "/data/foundation/sandbox-management/")
    one = caller.send("GET", "/data/foundation/sandbox-management/sandboxes/prod")

    assert [found["name"] for found in listed.json["sandboxes"]] == ["prod", "dev"]
    assert (one.status, one.json["name"]) == (200, "prod")
    emulator.close()


def test_sandboxes_can_be_listed_and_read_without_naming_one(prod: Caller) -> None:
    """§1.4."""
    base = "/data/foundation/sandbox-management"
    listed = prod.send("GET", f"{base}/", without=["x-sandbox-name"])

    sandboxes = {sandbox["name"]: sandbox for sandbox in listed.json["sandboxes"]}
    assert listed.status == 200
    assert (sandboxes["prod"]["type"], sandboxes["prod"]["isDefault"]) == ("production", True)
    assert (sandboxes["dev"]["type"], sandboxes["dev"]["isDefault"]) == ("development", False)
    assert {sandbox["state"] for sandbox in sandboxes.values()} == {"active"}
    assert prod.send("GET", f"{base}/sandboxes/dev").json == sandboxes["dev"]
    assert prod.send("GET", f"{base}/sandboxes/nowhere").status == 404
    assert prod.send("GET", f"{base}/", without=["authorization"]).code == "403010"


@pytest.mark.parametrize("path", ["", "/sandboxes"])
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ([("property", "name==dev")], ["dev"]),
        ([("property", "name!=dev")], ["prod"]),
        ([("property", "type==production")], ["prod"]),
        ([("property", "isDefault==false")], ["dev"]),
        ([("property", "state==active"), ("property", "name~^p")], ["prod"]),
        ([("property", "state==deleted")], []),
        ([("orderBy", "name")], ["dev", "prod"]),
        ([("orderBy", "asc:state,desc:name")], ["prod", "dev"]),
        ([("property", "nothing==x")], None),
        ([("property", "")], None),
        ([("orderBy", "up:name")], None),
        ([("orderBy", "asc:nothing")], None),
        ([("nonsense", "x")], None),
    ],
)
def test_sandboxes_are_filtered_and_ordered_or_the_call_is_refused(
    prod: Caller, path: str, query: list[tuple[str, str]], names: list[str] | None
) -> None:
    reply = prod.send("GET", f"/data/foundation/sandbox-management{path}", query=query)

    if names is None:
        assert (reply.status, reply.code) == (400, "SMS-400")
    else:
        assert [found["name"] for found in reply.json["sandboxes"]] == names


def test_the_next_page_of_sandboxes_keeps_filter_and_order(prod: Caller) -> None:
    base = "/data/foundation/sandbox-management"
    query = [("limit", "1"), ("property", "state==active"), ("orderBy", "name")]

    href = urlsplit(prod.send("GET", f"{base}/", query=query).json["_links"]["next"]["href"])
    following = prod.send("GET", href.path, query=parse_qsl(href.query)).json

    assert [found["name"] for found in following["sandboxes"]] == ["prod"]
    assert following["_links"] == {}


def test_the_types_of_sandboxes_are_listed(prod: Caller) -> None:
    found = prod.send("GET", "/data/foundation/sandbox-management/sandboxTypes").json

    assert [one["id"] for one in found["sandboxTypes"]] == ["production", "development"]


def test_the_gateway_is_not_asked_about_tokens(emulator: Emulator) -> None:
    reply = emulator.handle(Request(method="GET", raw_path="/ims/token/v3"))

    assert reply.status == 405


def _schema(caller: Caller) -> str:
    body = {"title": "t", "type": "object", "allOf": [{"$ref": "https://ns.adobe.com/xdm/context/profile"}]}
    return str(caller.send("POST", f"{REGISTRY}/tenant/schemas", body).json["$id"])
