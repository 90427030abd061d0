"""JSON Patch as every service takes it: operations in any case, and equality that is JSON's (RFC 6902)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from flowledger.emulator.caller import CATALOG, FLOW, REGISTRY, Caller
from flowledger.emulator.jsonpatch import PatchFault, apply_patch


@pytest.mark.parametrize("spelled", [str.lower, str.upper, str.capitalize])
def test_operations_are_taken_in_any_case(spelled: Any) -> None:
    operations = [
        {"op": spelled("add"), "path": "/b", "value": 2},
        {"op": spelled("replace"), "path": "/a", "value": 1},
        {"op": spelled("test"), "path": "/a", "value": 1},
        {"op": spelled("copy"), "from": "/a", "path": "/c"},
        {"op": spelled("move"), "from": "/c", "path": "/d"},
        {"op": spelled("remove"), "path": "/b"},
    ]

    assert apply_patch({"a": 0}, operations) == {"a": 1, "d": 1}


@pytest.mark.parametrize("op", ["ADDED", "", " add", "ADD\u0130", None, 1, ["add"], {"add": 1}])
def test_an_operation_of_another_name_is_refused(op: Any) -> None:
    with pytest.raises(PatchFault, match="op is one of"):
        apply_patch({}, [{"op": op, "path": "/a", "value": 1}])


@pytest.mark.parametrize(
    ("here", "wanted"), [(1, 1), (1, 1.0), (True, True), (None, None), ([1, {"a": "b"}], [1.0, {"a": "b"}])]
)
def test_a_test_holds_for_what_is_equal_in_json(here: Any, wanted: Any) -> None:
    assert apply_patch({"a": here}, [{"op": "test", "path": "/a", "value": wanted}]) == {"a": here}


@pytest.mark.parametrize(
    ("here", "wanted"),
    [(1, True), (True, 1), (0, False), (False, 0.0), ([1], [True]), ({"a": 0}, {"a": False}), ([1], [1, 2]), ({}, [])],
)
def test_a_test_fails_for_what_is_equal_in_python_only(here: Any, wanted: Any) -> None:
    with pytest.raises(PatchFault, match="test failed at /a"):
        apply_patch({"a": here}, [{"op": "test", "path": "/a", "value": wanted}])


@pytest.mark.parametrize("op", ["add", "Add", "ADD"])
def test_registry_catalog_and_flow_service_take_operations_in_any_case(prod: Caller, a_pass: Any, op: str) -> None:
    a_pass.upto_flow()
    described = [{"op": op, "path": "/description", "value": "changed"}]
    base = f"{FLOW}/connections/{a_pass.base}"
    etag = prod.send("GET", base).json["items"][0]["etag"]
    as_patch = {"content-type": "application/json-patch+json"}

    schema = prod.send("PATCH", f"{REGISTRY}/tenant/schemas/{quote(a_pass.schema, safe='')}", described)
    data_set = prod.send("PATCH", f"{CATALOG}/dataSets/{a_pass.dataset}", described, headers=as_patch)
    connection = prod.send("PATCH", base, described, headers={"if-match": etag})

    assert [reply.status for reply in (schema, data_set, connection)] == [200, 200, 200]
    assert schema.json["description"] == "changed"
    assert prod.send("GET", base).json["items"][0]["description"] == "changed"
