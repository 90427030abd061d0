"""Registry, Catalog and Conversion under bodies that no client should send: an answer each time, never a crash."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, CONVERSION, REGISTRY, Caller

PROFILE = "https://ns.adobe.com/xdm/context/profile"
ADHOC = "https://ns.adobe.com/xdm/data/adhoc"
JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    0.5,
    "",
    "x",
    [],
    {},
    [None],
    {"a": None},
    {"$ref": 1},
    {"$ref": "#/definitions/own"},
)
KEYS = ("$ref", "allOf", "properties", "items", "definitions", "type", "id", "meta:immutableTags", "schemaRef")

GROUP = {
    "title": "g",
    "type": "object",
    "meta:intendedToExtend": [PROFILE],
    "definitions": {
        "own": {"properties": {"_localtenant": {"type": "object", "properties": {"n": {"type": "string"}}}}}
    },
    "allOf": [{"$ref": "#/definitions/own"}],
}
COLUMNS = {"a": {"type": "string"}, "b": {"type": "array", "items": {"type": "integer", "minimum": 1}}}
CLASS = {
    "title": "c",
    "type": "object",
    "allOf": [{"$ref": ADHOC}, {"properties": {"_adhoc": {"type": "object", "properties": COLUMNS}}}],
}
DATA_TYPE = {"title": "t", "type": "object", "properties": COLUMNS, "allOf": [{"properties": COLUMNS}]}
SCHEMA = {"title": "s", "type": "object", "allOf": [{"$ref": PROFILE}, {"$ref": f"{PROFILE}-person-details"}]}
PATCH = [
    {"op": "add", "path": "/allOf/-", "value": {"$ref": f"{PROFILE}-personal-details"}},
    {"op": "copy", "from": "/title", "path": "/description"},
    {"op": "remove", "path": "/description"},
]

Json = Any


def spoilt(body: Json) -> Iterator[Json]:
    """The body in every way of one place removed, replaced by junk, or given a key that it should not have."""
    for place in places(body):
        node = body
        for key in place:
            node = node[key]
        if place:
            yield changed(body, place, None, remove=True)
            yield from (changed(body, place, junk) for junk in JUNK)
        if isinstance(node, dict):
            yield from (changed(body, (*place, key), junk) for key in KEYS for junk in JUNK)


def changed(body: Json, place: tuple[Any, ...], value: Json, *, remove: bool = False) -> Json:
    body = copy.deepcopy(body)
    node = body
    for key in place[:-1]:
        node = node[key]
    if remove:
        del node[place[-1]]
    else:
        node[place[-1]] = copy.deepcopy(value)
    return body


def places(node: Json, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inside:
        yield from places(value, (*here, key))


@pytest.mark.parametrize(
    ("kind", "body"), [("classes", CLASS), ("schemas", SCHEMA), ("fieldgroups", GROUP), ("datatypes", DATA_TYPE)]
)
def test_every_body_of_the_registry_gets_an_answer(prod: Caller, kind: str, body: Json) -> None:
    path = f"{REGISTRY}/tenant/{kind}"
    valid = prod.send("POST", path, {**body, "title": f"valid {kind}"}).json
    place = f"{path}/{valid['meta:altId']}"

    for number, bad in enumerate(spoilt(body)):
        if bad.get("title") == body["title"]:
            bad["title"] += str(number)
        method, target = (("POST", path), ("PUT", place))[number % 2]
        answer = prod.send(method, target, bad)
        assert answer.status in (200, 201, 400), bad
        if answer.status != 400:
            resource = f"{path}/{answer.json['meta:altId']}"
            headers = {"accept": "application/vnd.adobe.xed-full-notext+json; version=1"}
            assert prod.send("GET", resource, headers=headers).status == 200, bad


def test_every_descriptor_gets_an_answer(prod: Caller, schema: str) -> None:
    path = f"{REGISTRY}/tenant/descriptors"
    body = {"@type": "xdm:descriptorDeprecated", "xdm:sourceSchema": schema, "xdm:sourceProperty": "/person/name"}
    id = prod.send("POST", path, body).json["@id"]
    form = "application/vnd.adobe.xed-deprecatefield+json; version=1"

    for bad in spoilt(body):
        answers = [prod.send("PUT", f"{path}/{id}", bad), prod.send("POST", path, bad)]
        assert {answer.status for answer in answers} <= {201, 400}, bad
        place = f"{REGISTRY}/tenant/schemas/{schema.replace(':', '%3A').replace('/', '%2F')}"
        assert prod.send("GET", place, headers={"accept": form}).status == 200, bad


def test_every_json_patch_of_the_registry_gets_an_answer(prod: Caller) -> None:
    path = f"{REGISTRY}/tenant/schemas"
    place = f"{path}/{prod.send('POST', path, SCHEMA).json['meta:altId']}"

    for bad in spoilt(PATCH):
        assert prod.send("PATCH", place, bad).status in (200, 400), bad


@pytest.fixture
def schema(prod: Caller) -> str:
    return str(prod.send("POST", f"{REGISTRY}/tenant/schemas", SCHEMA).json["$id"])


def test_every_body_of_catalog_gets_an_answer(prod: Caller, schema: str) -> None:
    body = {"name": "d", "tags": {"a": ["b"]}, "schemaRef": {"id": schema}}
    with_source = [("requestDataSource", "true")]
    path = f"{CATALOG}/dataSets"
    id = prod.send("POST", path, body, query=with_source).json[0].rpartition("/")[2]
    calls = [{"id": "one", "resource": "/dataSets?requestDataSource=true", "method": "POST", "body": body}]
    calls += [
        {"id": "two", "resource": "/dataSets/<<one>>", "method": "PATCH", "body": {"name": "e"}, "headers": {"a": "b"}}
    ]
    patch = {"content-type": "application/json-patch+json"}

    for bad in spoilt(body):
        answers = [
            prod.send("POST", path, bad, query=with_source),
            prod.send("PUT", f"{path}/{id}", bad),
            prod.send("PATCH", f"{path}/{id}", bad),
            prod.send("PATCH", f"{CATALOG}/v2/dataSets/{id}", bad),
        ]
        assert {answer.status for answer in answers} <= {200, 201, 400}, bad
        assert prod.send("GET", path, query=[("tags", "a:*"), ("name", "!x"), ("orderBy", "tags")]).status == 200, bad
    for bad in spoilt(PATCH):
        assert prod.send("PATCH", f"{path}/{id}", bad, headers=patch).status in (200, 400), bad
    for bad in spoilt(calls):
        assert prod.send("POST", CATALOG, bad).status in (200, 400), bad


def test_every_body_of_conversion_gets_an_answer(prod: Caller, schema: str) -> None:
    body = {
        "xdmSchema": schema,
        "outputSchema": {"schemaRef": {"id": schema, "contentType": "application/vnd.adobe.xed-full+json;version=1"}},
        "inputSchema": {"schemaRef": {"id": "i"}},
        "mappings": [
            {"destinationXdmPath": "_id", "sourceAttribute": "concat(a)", "sourceType": "EXPRESSION"},
            {"destination": "person.name.firstName", "source": "b"},
        ],
    }
    path = f"{CONVERSION}/mappingSets"
    place = f"{path}/{prod.send('POST', path, body).json['id']}"

    for bad in spoilt(body):
        answers = [
            prod.send("POST", path, bad, query=[("validate", "true")]),
            prod.send("PUT", place, bad),
            prod.send("POST", f"{path}/validate", bad),
            prod.send("GET", place),
        ]
        assert {answer.status for answer in answers} <= {200, 400}, bad
    for bad in spoilt({"data": {"a": 1, "b": {"c": 2}}, "mappingSet": body}):
        assert prod.send("POST", f"{path}/preview", bad).status in (200, 400), bad
