"""What schemathesis found once, each as a call of its own, so that it stays found without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, CONVERSION, FLOW, REGISTRY, Caller
from flowledger.emulator.core import Emulator


@pytest.fixture
def caller() -> Iterator[Caller]:
    emulator = Emulator()
    yield Caller(emulator)
    emulator.close()


@pytest.mark.parametrize("limit", ["501", "-1", "many"])
@pytest.mark.parametrize("kind", ["schemas", "descriptors"])
def test_a_limit_that_no_page_can_have_is_refused_also_where_it_would_not_count(
    caller: Caller, kind: str, limit: str
) -> None:
    accept = {"accept": f"application/vnd.adobe.{'xdm' if kind == 'descriptors' else 'xed'}+json"}
    reply = caller.send("GET", f"{REGISTRY}/tenant/{kind}", query=[("limit", limit)], headers=accept)
    assert (reply.status, reply.code) == (400, "XDM-1500-400")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", f"{CONVERSION}/mappingSets/validate", "POST"),
        ("DELETE", f"{CONVERSION}/mappingSets/preview", "POST"),
        ("GET", f"{FLOW}/connections/search", "POST"),
    ],
)
def test_a_fixed_name_is_no_id(caller: Caller, method: str, path: str, allowed: str) -> None:
    reply = caller.send(method, path, {})
    assert (reply.status, reply.headers["allow"]) == (405, allowed)


def test_several_calls_to_catalog_are_refused_in_its_own_words(caller: Caller) -> None:
    reply = caller.send("POST", CATALOG, [], headers={"content-type": "text/plain"})
    assert (reply.status, reply.code) == (400, "CATALOG-400")
    reply = caller.send("POST", CATALOG, [], headers={"x-sandbox-name": "nowhere"})
    assert (reply.status, reply.code) == (404, "CATALOG-404")


@pytest.mark.parametrize("headers", [False, 0, "", [], {"a": 1}])
def test_headers_of_a_call_in_a_batch_are_an_object_of_strings(caller: Caller, headers: Any) -> None:
    part = {"id": "a", "resource": "/dataSets", "method": "GET", "headers": headers}
    assert caller.send("POST", CATALOG, [part]).code == "CATALOG-400"
    part["headers"] = None
    assert caller.send("POST", CATALOG, [part]).status == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"mappings": [{"source": "a", "destination": ["b"]}]},
        {"mappings": [{"source": "a", "destination": 5}]},
        {"outputSchema": {"schemaRef": {"contentType": {}}}},
    ],
)
def test_a_mapping_set_with_a_part_of_the_wrong_kind_is_refused(caller: Caller, changed: dict[str, Any]) -> None:
    body = {"mappings": [{"source": "a", "destination": "b"}]}
    assert caller.send("POST", f"{CONVERSION}/mappingSets/validate", body).status == 200
    assert caller.send("POST", f"{CONVERSION}/mappingSets/validate", {**body, **changed}).code == "MAPPER-400"


def test_a_number_without_a_fraction_is_whole_however_it_is_written(caller: Caller) -> None:
    assert caller.send("POST", f"{FLOW}/flows/search", {"limit": 20.0}).status == 200
    assert caller.send("POST", f"{FLOW}/flows/search", {"limit": 20.5}).code == "FLOW-1452-400"
