"""Queries, headers and expressions that nobody should send: an answer in the platform's own words each time."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, CONVERSION, REGISTRY, Caller
from flowledger.emulator.functions import FUNCTIONS
from flowledger.emulator.wire import Request

PROFILE = "https://ns.adobe.com/xdm/context/profile"
IDS = {"accept": "application/vnd.adobe.xed-id+json"}
WHOLE = {"accept": "application/vnd.adobe.xed+json"}
DESCRIPTORS = {"accept": "application/vnd.adobe.xdm-v2+json"}
JUNK = (
    "", " ", "0", "-1", "1.5", "9" * 500, "٣", "x", "!", "!!x", "*", "**", "==", "a==", "==b", "~(", "a~(", "a~(a+)+$",
    "name~[[a]", "a!=b", "a<", "a<=1", "name>5", "tags==x", "!tags", "name:x", ":x", "a:", "asc:", "up:name", "-", ",",
    "-,-", "title", "-title,updated", "meta:extends", "true", "\x00", "é%2F", "a" * 900, "{}", "[]", "%",
)  # fmt: skip
LISTS = [
    (f"{REGISTRY}/tenant/schemas", IDS, ("orderby", "limit", "start", "property")),
    (f"{REGISTRY}/global/fieldgroups", WHOLE, ("orderby", "limit", "start", "property")),
    (f"{REGISTRY}/tenant/descriptors", DESCRIPTORS, ("orderby", "limit", "start", "property")),
    (f"{REGISTRY}/stats", {}, ("property",)),
    (f"{CATALOG}/dataSets", {}, ("limit", "start", "properties", "name", "property", "tags", "orderBy")),
    (f"{CATALOG}/batches", {}, ("dataSet", "status", "createdAfter", "createdBefore", "orderBy", "property")),
    (f"{CATALOG}/dataSetFiles", {}, ("dataSetId", "limit", "property")),
    (f"{CONVERSION}/mappingSets", {}, ("limit", "start", "name", "orderBy", "property", "expandSchema")),
    ("/data/foundation/sandbox-management/", {}, ("limit", "offset")),
]


@pytest.fixture
def filled(prod: Caller) -> Caller:
    body = {"title": "title", "type": "object", "allOf": [{"$ref": PROFILE}, {"$ref": f"{PROFILE}-personal-details"}]}
    schema = prod.send("POST", f"{REGISTRY}/tenant/schemas", body).json["$id"]
    data_set = {"name": "name", "tags": {"a": ["aaa"]}, "schemaRef": {"id": schema}}
    prod.send("POST", f"{CATALOG}/dataSets", data_set, query=[("requestDataSource", "true")])
    mappings = {"xdmSchema": schema, "mappings": [{"destinationXdmPath": "_id", "sourceAttribute": "a"}]}
    prod.send("POST", f"{CONVERSION}/mappingSets", mappings)
    descriptor = {"@type": "xdm:descriptorIdentity", "xdm:sourceSchema": schema, "xdm:sourceProperty": "/_id"}
    prod.send("POST", f"{REGISTRY}/tenant/descriptors", descriptor)
    return prod


@pytest.mark.parametrize(("path", "headers", "names"), LISTS, ids=[path for path, _, _ in LISTS])
def test_every_query_of_a_list_gets_an_answer(
    filled: Caller, path: str, headers: dict[str, str], names: tuple[str, ...]
) -> None:
    needed = [("limit", "5"), ("start", "0")] if path.endswith("mappingSets") else []
    for name, value in itertools.product(names, JUNK):
        others = [pair for pair in needed if pair[0] != name]
        for more in ([], [("orderby", "title")], [(name, "x")]):
            reply = filled.send("GET", path, query=[(name, value), *more, *others], headers=headers)
            assert reply.status in (200, 400, 414), (name, value)
            assert isinstance(reply.json, dict)


@pytest.mark.parametrize("name", ["x-api-key", "authorization", "x-gw-ims-org-id", "x-sandbox-name", "x-request-id"])
def test_every_header_gets_an_answer(prod: Caller, name: str) -> None:
    for value in JUNK:
        reply = prod.send("GET", f"{CATALOG}/dataSets", headers={name: value})
        assert reply.status in (200, 400, 401, 403, 404), value


def test_every_accept_gets_an_answer(filled: Caller) -> None:
    schema = filled.emulator.objects("schemas")[0]["meta:altId"]
    some = ("xed+json", "xed-full+json;version=1", "xed+json;version=x", "xed+json;version=" + "9" * 400, "xdm+json")
    accepts = [*JUNK, *(f"application/vnd.adobe.{form}" for form in some), "a;b;c=d", "*/*", "x;q=9", "x;q=é"]

    for accept, end in itertools.product(accepts, ("schemas", f"schemas/{schema}", "descriptors", "descriptors/x")):
        reply = filled.send("GET", f"{REGISTRY}/tenant/{end}", headers={"accept": accept})
        assert reply.status in (200, 400, 404, 406), (accept, end)


def test_every_form_of_a_token_request_gets_an_answer(prod: Caller) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    right = b"grant_type=client_credentials&client_id=local-client&client_secret=local-secret&scope="

    for junk in JUNK:
        for body in (junk.encode(), right + junk.encode(), b"\xff\xfe" + junk.encode(), b"grant_type=%FF&" + right):
            request = Request(method="POST", raw_path="/ims/token/v3", headers=form, body=body)
            assert prod.emulator.handle(request).status in (200, 400)


VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 10**18, "", "x", "12", "-5", "(", "(a", "[[a]", "yyyy", "'", "2019-10-23", "UTC", "http://[",
    [], [None, 1, "a", {"b": [2]}], {}, {"k": {"v": 1}},
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_takes_every_argument_or_says_why_not(prod: Caller, name: str) -> None:
    prod.emulator.options.unpublished_functions = True
    function = FUNCTIONS[name]
    row = {f"v{number}": value for number, value in enumerate(VALUES)}
    mappings: list[dict[str, str]] = []
    for count in range(function.least, min(function.most, max(3, function.least)) + 1):
        for number in range(len(VALUES) ** min(count, 2)):
            chosen = [f"v{(number + place * (number // len(VALUES) + place)) % len(VALUES)}" for place in range(count)]
            expression = f"{name}({', '.join(chosen)})"
            mappings.append({"sourceType": "EXPRESSION", "source": expression, "destination": f"d{len(mappings)}"})

    reply = prod.send("POST", f"{CONVERSION}/mappingSets/preview", {"data": row, "mappingSet": {"mappings": mappings}})

    assert reply.status == 200
    assert len(reply.json["data"]) == len(mappings)
    assert all(error["exception"].startswith(error["columnName"] + ": ") for error in reply.json["errors"])


def test_every_operator_takes_every_argument_or_says_why_not(prod: Caller) -> None:
    row = {f"v{number}": value for number, value in enumerate(VALUES)}
    signs = ("||", "&&", "==", "!=", "<", ">", "<=", ">=", "+", "-", "*", "/", "%")
    texts = [f"{one} {sign} {other}" for sign in signs for one, other in itertools.product(row, row)]
    texts += [f"{sign}{one}" for sign in ("!", "-") for one in row] + [f"{one} ? 1 : 2" for one in row]
    mappings = [{"sourceType": "EXPRESSION", "source": text, "destination": f"d{n}"} for n, text in enumerate(texts)]

    reply = prod.send("POST", f"{CONVERSION}/mappingSets/preview", {"data": row, "mappingSet": {"mappings": mappings}})

    assert (reply.status, len(json.loads(reply.response.body)["data"])) == (200, len(texts))
