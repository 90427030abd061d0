"""Catalog: lists of datasets, every filter, order and page (platform-api.md §3.2)."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, REGISTRY, Caller, Reply
from flowledger.emulator.core import Emulator

PROFILE = "https://ns.adobe.com/xdm/context/profile"

Json = dict[str, Any]


@pytest.fixture
def schema(prod: Caller) -> str:
    body = {"title": "s", "type": "object", "allOf": [{"$ref": PROFILE}]}
    return str(prod.send("POST", f"{REGISTRY}/tenant/schemas", body).json["$id"])


@pytest.fixture
def three(prod: Caller, schema: str, clock: Any) -> dict[str, str]:
    """Datasets a, b and ab*, by name; each made a millisecond after the one before."""
    tags = {"a": {"run": ["7f3a:dataset"]}, "b": {"run": ["7f3a:sink", "x"], "team": ["pay"]}, "ab*": {"team": ["ops"]}}
    made = {}
    for name, own in tags.items():
        made[name] = make(prod, schema, name, tags=own, enableErrorDiagnostics=name == "a", description=f"of {name}")
        clock.pass_ms(1)
    return made


def make(caller: Caller, schema: str, name: str, **more: Any) -> str:
    body = {"name": name, "schemaRef": {"id": schema}, **more}
    reply = caller.send("POST", f"{CATALOG}/dataSets", body, query=[("requestDataSource", "true")])
    assert reply.status == 201, reply.response
    return str(reply.json[0]).rpartition("/")[2]


def ask(caller: Caller, *query: tuple[str, str], **headers: str) -> Reply:
    return caller.send("GET", f"{CATALOG}/dataSets", query=query, headers=headers, without=["content-type"])


def names(caller: Caller, *query: tuple[str, str]) -> list[str]:
    reply = ask(caller, *query)
    assert reply.status == 200, reply.response
    return [found["name"] for found in reply.json.values()]


def test_a_list_is_a_map_keyed_by_id(prod: Caller, three: dict[str, str]) -> None:
    found = ask(prod).json

    assert {id: entry["name"] for id, entry in found.items()} == {id: name for name, id in three.items()}


def test_an_empty_list_is_an_empty_map(prod: Caller) -> None:
    reply = ask(prod)

    assert (reply.status, reply.json) == (200, {})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (("name", "a"), ["a"]),
        (("name", "a,b"), ["a", "b"]),
        (("name", "!a"), ["b", "ab*"]),
        (("name", "!a,b"), ["ab*"]),
        (("name", "a*"), ["a", "ab*"]),
        (("name", "ab**"), ["ab*"]),
        (("name", "!a*"), ["b"]),
        (("name", "A"), []),
        (("property", "name==b"), ["b"]),
        (("property", "name!=b"), ["a", "ab*"]),
        (("property", "name==*b"), ["b"]),
        (("property", "name~^a"), ["a", "ab*"]),
        (("property", "created>1700000000000"), ["b", "ab*"]),
        (("property", "created>=1700000000001"), ["b", "ab*"]),
        (("property", "created<1700000000001"), ["a"]),
        (("property", "created<=1700000000001"), ["a", "b"]),
        (("property", "enableErrorDiagnostics==true"), ["a"]),
        (("property", "name"), ["a", "b", "ab*"]),
        (("property", "lastBatchId"), []),
        (("property", "!lastBatchId"), ["a", "b", "ab*"]),
        (("tags", "run:7f3a:dataset"), ["a"]),
        (("tags", "run:7f3a:*"), ["a", "b"]),
        (("tags", "run:*"), ["a", "b"]),
        (("tags", "run:x"), ["b"]),
        (("tags", "run:7f3a"), []),
        (("tags", "run:*,team:pay"), ["b"]),
        (("tags", "team:*"), ["b", "ab*"]),
        (("description", "of b"), ["b"]),
        (("description", "of a,of b"), ["a", "b"]),
        (("description", "!of*"), []),
        (("enableErrorDiagnostics", "true"), ["a"]),
        (("enableErrorDiagnostics", "False"), ["b", "ab*"]),
        (("created", "1700000000001"), ["b"]),
        (("updated", "1700000000001"), ["b"]),
        (("createdAfter", "1700000000000"), ["b", "ab*"]),
        (("createdBefore", "1700000000001"), ["a"]),
        (("createdUser", "nobody"), []),
        (("createdClient", "local-client"), ["a", "b", "ab*"]),
        (("updatedUser", "!nobody"), ["a", "b", "ab*"]),
        (("version", "1.0.0"), ["a", "b", "ab*"]),
        (("version", "1.0.1"), []),
        (("connectionId", "x"), []),
        (("connectorId", "x"), []),
        (("orderBy", "desc:created"), ["ab*", "b", "a"]),
        (("orderBy", "asc:created"), ["a", "b", "ab*"]),
        (("orderBy", "name"), ["a", "ab*", "b"]),
        (("orderBy", "desc:enableErrorDiagnostics,desc:name"), ["a", "b", "ab*"]),
    ],
)
def test_every_filter_and_order(
    prod: Caller, three: dict[str, str], query: tuple[str, str], expected: list[str]
) -> None:
    assert names(prod, query) == expected


@pytest.mark.parametrize("collection", ["dataSets", "datasets", "dataSources", "batches", "dataSetFiles"])
@pytest.mark.parametrize("name", ["nonsense", "Name", "schemaRef", "orderby"])
def test_a_query_parameter_that_a_list_does_not_have_is_refused(prod: Caller, collection: str, name: str) -> None:
    reply = prod.send("GET", f"{CATALOG}/{collection}", query=[(name, "1")])

    assert (reply.status, reply.code) == (400, "CATALOG-400")
    assert name in reply.json["detail"]


def test_an_option_has_lists_ignore_parameters_that_they_do_not_have(prod: Caller, three: dict[str, str]) -> None:
    prod.emulator.options.unknown_queries_ignored = True

    assert names(prod, ("nonsense", "1"), ("name", "a")) == ["a"]


def test_filters_are_all_to_be_met(prod: Caller, three: dict[str, str]) -> None:
    assert names(prod, ("tags", "run:*"), ("tags", "team:*")) == ["b"]
    assert names(prod, ("tags", "run:*"), ("name", "a")) == ["a"]
    assert names(prod, ("property", "name>a"), ("property", "created<1700000000002")) == ["b"]


def test_only_the_properties_asked_for_are_shown(prod: Caller, three: dict[str, str]) -> None:
    found = ask(prod, ("properties", "name,description"), ("name", "a")).json

    assert found == {three["a"]: {"name": "a", "description": "of a"}}
    assert ask(prod, ("properties", "unheard-of"), ("name", "a")).json == {three["a"]: {}}


def test_pages_are_of_20_by_default_and_follow_by_offset(prod: Caller, schema: str) -> None:
    for number in range(23):
        make(prod, schema, f"{number:02}")

    assert len(names(prod)) == 20
    assert names(prod, ("start", "20")) == ["20", "21", "22"]
    assert names(prod, ("limit", "5"), ("start", "20")) == ["20", "21", "22"]
    assert names(prod, ("limit", "2"), ("start", "4")) == ["04", "05"]
    assert len(names(prod, ("limit", "100"))) == 23


@pytest.mark.parametrize(
    "query",
    [
        [("limit", "0")],
        [("limit", "101")],
        [("limit", "-1")],
        [("limit", "many")],
        [("start", "-1")],
        [("limit", "21"), ("properties", "observableSchema")],
        [("tags", "run")],
        [("orderBy", "up:created")],
        [("property", "name~(")],
        [("property", "==a")],
    ],
)
def test_a_query_that_makes_no_sense_is_refused(prod: Caller, query: list[tuple[str, str]]) -> None:
    reply = ask(prod, *query)

    assert (reply.status, reply.code) == (400, "CATALOG-400")


def test_20_is_enough_with_the_observable_schema(prod: Caller) -> None:
    assert ask(prod, ("limit", "20"), ("properties", "observableSchema")).status == 200


def test_limits_of_the_query_win_over_limits_of_headers(prod: Caller, three: dict[str, str]) -> None:
    assert len(ask(prod, limit="1").json) == 1
    assert len(ask(prod, ("limit", "2"), limit="1").json) == 2


def test_lists_belong_to_a_sandbox(dev: Caller, three: dict[str, str]) -> None:
    assert ask(dev).json == {}


def test_lists_may_lag_while_a_look_up_by_id_does_not(
    prod: Caller, emulator: Emulator, schema: str, clock: Any
) -> None:
    emulator.options.list_lag_ms = {"dataSets": 500}
    id = make(prod, schema, "late")

    assert names(prod) == []
    assert prod.send("GET", f"{CATALOG}/dataSets/{id}").status == 200
    clock.pass_ms(500)
    assert names(prod) == ["late"]
