"""Requests with the habits of Adobe's Postman collections: headers on every call, slashes at ends, etags in queries."""

from __future__ import annotations

import pytest

from tests.contract.plain import CATALOG, CONVERSION, EXPORT, FLOW, SANDBOXES, Json
from tests.contract.route_cases import World

HABITS = {
    "Accept": "application/json",
    "Content-Type": "application/json",
    "Accept-Encoding": "gzip",
    "x-user-token": "x",
}
READS: list[tuple[str, list[tuple[str, str]]]] = [
    *((f"{FLOW}/{kind}", [("count", "false")]) for kind in ("connections", "flows", "runs")),
    *(
        (f"{FLOW}/{kind}", [("limit", "5"), ("orderby", "-name"), ("count", "false")])
        for kind in ("connections", "flows")
    ),
    (f"{FLOW}/connections", [("continuationToken", ""), ("count", "false")]),
    (f"{FLOW}/flows", [("property", 'name=="flow"'), ("limit", "5"), ("count", "false")]),
    (f"{FLOW}/connectionSpecs", [("property", 'name=="PayPal"')]),
    (f"{FLOW}/flowSpecs", [("property", 'name=="CRMToAEP"')]),
    (f"{CATALOG}/batches", [("status", "success"), ("createdAfter", "1"), ("limit", "5")]),
    (f"{CATALOG}/batches", [("connection", "c"), ("connector", "c"), ("startAfter", "1")]),
    (f"{CATALOG}/dataSets", [("connectorId", "c"), ("connectionId", "c"), ("enableErrorDiagnostics", "false")]),
    (f"{CATALOG}/dataSets/", [("properties", "name,created"), ("orderBy", "asc:created,updated")]),
    (f"{CONVERSION}/mappingSets", [("limit", "10"), ("start", "0"), ("orderBy", "lastUpdateDate"), ("name", "n")]),
    (f"{CONVERSION}/languages/el/functions", []),
    (f"{CONVERSION}/languages/el/operators", []),
    (f"{SANDBOXES}/", []),
    (f"{SANDBOXES}/sandboxTypes", []),
    (f"{SANDBOXES}/sandboxes", [("property", "name==prod"), ("orderBy", "asc:name")]),
    (f"{SANDBOXES}/sandboxes/prod", []),
]


@pytest.mark.parametrize(("path", "query"), READS, ids=[f"{path} {query}" for path, query in READS])
def test_a_read_may_say_the_type_of_a_body_that_it_does_not_have(
    world: World, path: str, query: list[tuple[str, str]]
) -> None:
    heard = world.plain.call("GET", path, query=query, headers=HABITS)

    assert heard.status == 200, heard


@pytest.mark.parametrize("kind", ["connections", "sourceConnections", "targetConnections", "flows"])
def test_an_object_is_changed_under_an_etag_in_the_query_and_deleted_with_a_slash_at_the_end(
    world: World, kind: str
) -> None:
    id = world.flow_object(kind)
    path, body = f"{FLOW}/{kind}/{id}/", [{"op": "replace", "path": "/name", "value": "changed"}]

    changed = world.plain.call("PATCH", path, body, query=[("if-match", world.etag_of(kind, id))], headers=HABITS)
    deleted = world.plain.call("DELETE", path, headers=HABITS)

    assert (changed.status, deleted.status) == (200, 204), (changed, deleted)


def test_the_mapping_set_of_a_flow_is_read_at_its_version(world: World) -> None:
    path = f"{CONVERSION}/mappingSets/{world.mapping_set()}"

    heard = world.plain.call("GET", path, query=[("expandSchema", "false"), ("version", "0")], headers=HABITS)

    assert (heard.status, heard.json["version"]) == (200, 0)


def test_a_batch_is_read_with_its_files_and_what_failed(world: World) -> None:
    batch, file = world.kept("batch"), world.kept("file")
    paged = [("start", "0"), ("limit", "10")]
    reads: list[tuple[str, str, list[tuple[str, str]]]] = [
        ("GET", f"{CATALOG}/batches/{batch}", [("aggregate", "true")]),
        ("GET", f"{EXPORT}/batches/{batch}/files", paged),
        ("GET", f"{EXPORT}/batches/{batch}/failed", paged),
        ("GET", f"{EXPORT}/batches/{batch}/meta", paged),
        ("GET", f"{EXPORT}/files/{file}", paged),
        ("HEAD", f"{EXPORT}/files/{file}", [("path", "part-0.parquet")]),
        ("GET", f"{EXPORT}/datasets/{world.kept('dataSet')}/preview", []),
    ]
    for method, path, query in reads:
        assert world.plain.call(method, path, query=query, headers=HABITS).status == 200, path


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_dataset_is_made_with_nothing_in_the_query(world: World, slash: str) -> None:
    body: Json = world.data_set_body()

    assert world.plain.call("POST", f"{CATALOG}/dataSets{slash}", body, headers=HABITS).status == 201
