"""Base, source and target connections: create, read, test, explore, delete (platform-api.md §4.4-§4.6, §10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.emulator.caller import FLOW, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options

PAYPAL = "221c7626-58f6-4eec-8ee2-042b0226f03b"
SINK = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
COLLECTIONS = ["connections", "sourceConnections", "targetConnections"]


def body_for(a_pass: Any, collection: str) -> Any:
    makers = {"connections": a_pass.paypal_body, "sourceConnections": a_pass.source_body}
    return makers.get(collection, a_pass.target_body)()


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_create_answers_id_and_quoted_etag_and_says_where(prod: Caller, a_pass: Any, collection: str) -> None:
    a_pass.upto_flow()

    reply = prod.send("POST", f"{FLOW}/{collection}", body_for(a_pass, collection))

    assert reply.status == 201
    assert set(reply.json) == {"id", "etag"}
    assert reply.json["etag"][0] == reply.json["etag"][-1] == '"'
    assert reply.headers["location"].endswith(f"/{collection}/{reply.json['id']}")


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_read_gives_a_list_of_one_with_the_servers_fields(
    prod: Caller, a_pass: Any, clock: Any, collection: str
) -> None:
    a_pass.upto_flow()
    body = {**body_for(a_pass, collection), "description": "[mark:7f3a]"}
    made = prod.send("POST", f"{FLOW}/{collection}", body).json

    reply = prod.send("GET", f"{FLOW}/{collection}/{made['id']}")

    (item,) = reply.items
    assert reply.status == 200
    assert {key: item[key] for key in body if key != "auth"} == {key: body[key] for key in body if key != "auth"}
    assert item["createdAt"] == item["updatedAt"] == int(clock.now * 1000)
    assert item["etag"] == item["version"] == made["etag"]
    assert (item["state"], item["sandboxName"], item["imsOrgId"]) == ("enabled", "prod", "LOCAL@AdobeOrg")
    assert {"createdBy", "updatedBy", "createdClient", "updatedClient", "sandboxId"} <= set(item)


@pytest.mark.parametrize("collection", [*COLLECTIONS, "flows", "runs"])
def test_an_absent_id_is_404_with_the_new_and_the_old_keys(prod: Caller, collection: str) -> None:
    reply = prod.send("GET", f"{FLOW}/{collection}/no-such-id")

    assert (reply.status, reply.code) == (404, "FLOW-1439-404")
    assert reply.json["type"] == "https://ns.adobe.com/aep/errors/FLOW-1439-404"
    report = reply.json["report"]
    assert (reply.json["title"], reply.json["status"]) == ("Resource not found", 404)
    assert (report["id"], report["type"]) == ("no-such-id", collection)
    assert report["request-id"] == reply.headers["x-request-id"]
    assert report["detailed-message"] == reply.json["errorMessage"] == reply.json["errorDetails"]


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_the_ids_of_one_sandbox_are_404_in_another(prod: Caller, dev: Caller, a_pass: Any, collection: str) -> None:
    a_pass.upto_flow()
    key = prod.send("POST", f"{FLOW}/{collection}", body_for(a_pass, collection)).json["id"]

    assert prod.send("GET", f"{FLOW}/{collection}/{key}").status == 200
    for method in ("GET", "DELETE"):
        assert dev.send(method, f"{FLOW}/{collection}/{key}").status == 404
    assert dev.send("PATCH", f"{FLOW}/{collection}/{key}", [], headers={"if-match": '"x"'}).status == 404
    assert dev.send("GET", f"{FLOW}/{collection}").items == []


def test_a_base_connection_of_another_sandbox_cannot_be_built_upon(
    dev: Caller, a_pass: Any, pass_of: Callable[[Caller], Any]
) -> None:
    a_pass.upto_flow()
    elsewhere = pass_of(dev)
    elsewhere.base = a_pass.base

    reply = dev.send("POST", f"{FLOW}/sourceConnections", elsewhere.source_body())

    assert (reply.status, reply.code) == (404, "FLOW-1439-404")


def test_secrets_are_never_echoed(prod: Caller, a_pass: Any, emulator: Emulator) -> None:
    key = prod.send("POST", f"{FLOW}/connections", a_pass.paypal_body()).json["id"]

    answers = [
        prod.send("GET", f"{FLOW}/connections/{key}").response.body,
        prod.send("GET", f"{FLOW}/connections").response.body,
        str(emulator.objects("connections")).encode(),
    ]

    assert all(b"the-secret" not in answer and b"the-id" not in answer for answer in answers)
    (item,) = prod.send("GET", f"{FLOW}/connections/{key}").items
    assert item["auth"]["params"]["host"] == "api.sandbox.paypal.com"


def without(body: dict[str, Any], *path: str) -> dict[str, Any]:
    """The body lacking what the path leads to."""
    if len(path) == 1:
        return {key: value for key, value in body.items() if key != path[0]}
    return {**body, path[0]: without(body[path[0]], *path[1:])}


def with_param(body: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """The body of a base connection with another value for one parameter."""
    auth = body["auth"]
    return {**body, "auth": {**auth, "params": {**auth["params"], name: value}}}


def test_a_base_connection_needs_what_its_spec_asks_for(prod: Caller, a_pass: Any) -> None:
    good, sink = a_pass.paypal_body(), a_pass.sink_body()
    wrong: list[tuple[Any, int, str]] = [
        ({}, 400, "FLOW-1405-400"),
        ([good], 400, "FLOW-1405-400"),
        (b"{not json", 400, "FLOW-1405-400"),
        ({**good, "state": "enabled"}, 400, "FLOW-1410-400"),
        (without(good, "connectionSpec"), 400, "FLOW-1413-400"),
        ({**good, "connectionSpec": {"id": "nobody's", "version": "1.0"}}, 400, "FLOW-1413-400"),
        ({**good, "connectionSpec": {"id": PAYPAL, "version": "7.0"}}, 400, "FLOW-1413-400"),
        ({**good, "connectionSpec": None}, 400, "FLOW-1413-400"),
        ({**good, "connectionSpec": {"id": PAYPAL}}, 400, "CONNECTOR-1304-400"),
        ({**good, "connectionSpec": {"id": PAYPAL, "version": 1.0}}, 400, "FLOW-1413-400"),
        (without(good, "name"), 400, "CONNECTOR-1304-400"),
        ({**good, "name": 7}, 400, "CONNECTOR-1000-400"),
        (without(good, "auth"), 400, "CONNECTOR-1304-400"),
        (without(good, "auth", "params"), 400, "CONNECTOR-1304-400"),
        (without(good, "auth", "params", "clientSecret"), 400, "CONNECTOR-1304-400"),
        (with_param(good, "clientSecret", {"ref": "env"}), 400, "CONNECTOR-1000-400"),
        (with_param(good, "host", ["a", "b"]), 400, "CONNECTOR-1000-400"),
        ({**good, "auth": {**good["auth"], "specName": "Basic Authentication"}}, 400, "FLOW-1415-400"),
        ({**sink, "auth": good["auth"]}, 400, "FLOW-1415-400"),
    ]
    for body, status, code in wrong:
        reply = prod.send("POST", f"{FLOW}/connections", body)
        assert (reply.status, reply.code) == (status, code), body
    assert prod.send("GET", f"{FLOW}/connections").items == []
    assert prod.send("POST", f"{FLOW}/connections", without(good, "auth", "params", "host")).status == 201


def test_a_source_connection_needs_base_data_and_table(prod: Caller, a_pass: Any) -> None:
    a_pass.upto_flow()
    good = a_pass.source_body()
    wrong: list[tuple[Any, int, str]] = [
        (without(good, "name"), 400, "CONNECTOR-1304-400"),
        (without(good, "data"), 400, "CONNECTOR-1304-400"),
        (without(good, "baseConnectionId"), 400, "CONNECTOR-1304-400"),
        (without(good, "params"), 400, "CONNECTOR-1304-400"),
        (without(good, "connectionSpec"), 400, "FLOW-1413-400"),
        ({**good, "params": {"path": "PayPal.Catalog_Products"}}, 400, "CONNECTOR-1304-400"),
        ({**good, "data": {"format": "parquet_xdm"}}, 400, "CONNECTOR-1304-400"),
        ({**good, "params": {"tableName": 7}}, 400, "CONNECTOR-1304-400"),
        ({**good, "params": {**good["params"], "columns": {"name": "a"}}}, 400, "CONNECTOR-1000-400"),
        ({**good, "params": {**good["params"], "columns": [{"type": "string"}]}}, 400, "CONNECTOR-1000-400"),
        ({**good, "params": {**good["params"], "columns": [{"name": "a"}, "b"]}}, 400, "CONNECTOR-1000-400"),
        ({**good, "params": {**good["params"], "columns": [{"name": "a"}] * 2}}, 400, "CONNECTOR-1000-400"),
        ({**good, "baseConnectionId": "absent"}, 404, "FLOW-1439-404"),
        ({**good, "data": {"format": "delimited"}}, 400, "CONNECTOR-1327-400"),
        ({**good, "data": {}}, 400, "CONNECTOR-1327-400"),
        ({**good, "params": {**good["params"], "filters": {"type": "PQL"}}}, 400, "CONNECTOR-1353-400"),
    ]
    for body, status, code in wrong:
        reply = prod.send("POST", f"{FLOW}/sourceConnections", body)
        assert (reply.status, reply.code) == (status, code), body
    old_form = {**good, "data": {"format": "parquet_xdm"}, "params": {"path": "PayPal.Catalog_Products"}}
    assert prod.send("POST", f"{FLOW}/sourceConnections", old_form).status == 201


def test_a_target_connection_needs_data_and_a_dataset_that_exists(prod: Caller, a_pass: Any) -> None:
    """U11. The tutorial's wrong spec (T1) is taken here; the flow refuses it."""
    a_pass.upto_flow()
    good = a_pass.target_body()
    wrong: list[tuple[Any, int, str]] = [
        (without(good, "data"), 400, "CONNECTOR-1304-400"),
        ({**good, "data": {"format": "sheep"}}, 400, "CONNECTOR-1327-400"),
        ({**good, "params": {"dataSetId": "5e8918669cbbee18ad9771f3"}}, 400, "CONNECTOR-1325-400"),
        ({**good, "params": {"dataSetId": 7}}, 400, "CONNECTOR-1325-400"),
        ({**good, "baseConnectionId": "absent"}, 404, "FLOW-1439-404"),
        ({**good, "connectionSpec": {"id": "absent"}}, 400, "FLOW-1413-400"),
    ]
    for body, status, code in wrong:
        reply = prod.send("POST", f"{FLOW}/targetConnections", body)
        assert (reply.status, reply.code) == (status, code), body
    tutorials = {**good, "connectionSpec": {"id": PAYPAL, "version": "1.0"}}
    assert prod.send("POST", f"{FLOW}/targetConnections", tutorials).status == 201


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_equal_names_make_two_objects(prod: Caller, a_pass: Any, emulator: Emulator, collection: str) -> None:
    """U23."""
    a_pass.upto_flow()
    before = emulator.count(collection)

    replies = [prod.send("POST", f"{FLOW}/{collection}", body_for(a_pass, collection)) for _ in range(2)]

    assert {reply.status for reply in replies} == {201}
    assert len({reply.json["id"] for reply in replies}) == 2
    assert emulator.count(collection) == before + 2


def test_with_the_option_a_second_name_is_refused_naming_the_first(a_pass: Any) -> None:
    """U23, the other world."""
    caller = Caller(Emulator(options=Options(unique_flow_names=True)))
    first = caller.send("POST", f"{FLOW}/connections", a_pass.paypal_body()).json["id"]

    second = caller.send("POST", f"{FLOW}/connections", a_pass.paypal_body())

    assert second.status == 400
    assert first in second.json["errorMessage"]
    assert caller.send("POST", f"{FLOW}/connections", a_pass.paypal_body("another")).status == 201


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_deleted_connection_is_gone(prod: Caller, a_pass: Any, slash: str) -> None:
    key = prod.send("POST", f"{FLOW}/connections", a_pass.paypal_body()).json["id"]

    reply = prod.send("DELETE", f"{FLOW}/connections/{key}{slash}")

    assert (reply.status, reply.response.body) == (204, b"")
    assert prod.send("GET", f"{FLOW}/connections/{key}").status == 404
    assert prod.send("DELETE", f"{FLOW}/connections/{key}{slash}").code == "FLOW-1439-404"
    assert prod.send("GET", f"{FLOW}/connections").items == []


def test_what_a_flow_uses_cannot_be_deleted(prod: Caller, a_pass: Any) -> None:
    """U24 and 1418: in reverse order everything goes."""
    flow = a_pass.upto_flow().make_flow()
    parts = [
        (f"{FLOW}/sourceConnections/{a_pass.source}", "FLOW-1447-400"),
        (f"{FLOW}/targetConnections/{a_pass.target}", "FLOW-1447-400"),
        (f"{FLOW}/connections/{a_pass.base}", "FLOW-1418-400"),
    ]
    for path, code in parts:
        refused = prod.send("DELETE", path)
        assert (refused.status, refused.code) == (400, code)
        assert flow in refused.json["errorMessage"]

    assert prod.send("DELETE", f"{FLOW}/flows/{flow}").status == 204
    assert [prod.send("DELETE", path).status for path, _ in parts] == [204, 204, 204]


@pytest.mark.parametrize("works", [True, False])
def test_a_connection_can_be_tested(a_pass: Any, works: bool) -> None:
    """U10."""
    caller = Caller(Emulator(options=Options(connection_test_result=works)))
    key = caller.send("POST", f"{FLOW}/connections", a_pass.paypal_body()).json["id"]

    reply = caller.send("GET", f"{FLOW}/connections/{key}/test")

    assert (reply.status, reply.json) == (200, {"result": works})
    assert caller.send("GET", f"{FLOW}/connections/absent/test").status == 404


@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_explore_shows_tables_columns_and_rows(prod: Caller, a_pass: Any, spelling: Callable[[str], str]) -> None:
    key = prod.send("POST", f"{FLOW}/connections", a_pass.paypal_body()).json["id"]
    path = f"{FLOW}/connections/{key}/explore"

    root = prod.send("GET", path, query=[("objectType", spelling("root"))])
    table = [("objectType", spelling("table")), ("object", "PayPal.Catalog_Products")]
    columns = prod.send("GET", path, query=table)
    preview = prod.send("GET", path, query=[*table, ("preview", "true")])

    assert root.json[0] == {
        "type": "table",
        "name": "PayPal.Catalog_Products",
        "path": "PayPal.Catalog_Products",
        "canPreview": True,
        "canFetchSchema": True,
    }
    assert columns.json["format"] == "flat"
    shown = columns.json["schema"]["columns"]
    assert [column["name"] for column in shown] == [
        *("Product_Id", "Product_Name", "Description", "Type", "Create_Time")
    ]
    assert shown[-1] == {
        "name": "Create_Time",
        "type": "string",
        "meta:xdmType": "date-time",
        "xdm": {"type": "string", "format": "date-time"},
    }
    assert "data" not in columns.json
    assert preview.json["schema"] == columns.json["schema"]
    assert len(preview.json["data"]) == 100
    assert set(preview.json["data"][0]) == {column["name"] for column in shown}


def test_every_table_of_the_root_can_be_explored_and_looks_the_same_everywhere(prod: Caller, a_pass: Any) -> None:
    key = prod.send("POST", f"{FLOW}/connections", a_pass.paypal_body()).json["id"]
    other = Caller(Emulator(seed=99))
    other_key = other.send("POST", f"{FLOW}/connections", a_pass.paypal_body()).json["id"]
    tables = [
        entry["path"]
        for entry in prod.send("GET", f"{FLOW}/connections/{key}/explore", query=[("objectType", "root")]).json
    ]

    assert {"PayPal.Transactions", "PayPal.Disputes", "PayPal.Payouts"} <= set(tables)
    for table in tables:
        query = [("objectType", "table"), ("object", table), ("preview", "true")]
        here = prod.send("GET", f"{FLOW}/connections/{key}/explore", query=query)
        there = other.send("GET", f"{FLOW}/connections/{other_key}/explore", query=query)
        assert here.status == 200
        assert here.json == there.json


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ([], "CONNECTOR-1358-400"),
        ([("objectType", "sheep")], "CONNECTOR-1337-400"),
        ([("objectType", "folder"), ("object", "/")], "CONNECTOR-1337-400"),
        ([("objectType", "table")], "CONNECTOR-1359-400"),
        ([("objectType", "table"), ("object", "PayPal.Nothing")], "CONNECTOR-1330-400"),
        (
            [("objectType", "table"), ("object", "PayPal.Payouts"), ("preview", "true"), ("filters", "e30=")],
            "CONNECTOR-1353-400",
        ),
    ],
)
def test_a_wrong_exploration_is_refused(prod: Caller, a_pass: Any, query: list[tuple[str, str]], code: str) -> None:
    key = prod.send("POST", f"{FLOW}/connections", a_pass.paypal_body()).json["id"]

    reply = prod.send("GET", f"{FLOW}/connections/{key}/explore", query=query)

    assert (reply.status, reply.code) == (400, code)


def test_the_sink_cannot_be_explored(prod: Caller, a_pass: Any) -> None:
    key = prod.send("POST", f"{FLOW}/connections", a_pass.sink_body()).json["id"]

    reply = prod.send("GET", f"{FLOW}/connections/{key}/explore", query=[("objectType", "root")])

    assert (reply.status, reply.code) == (400, "CONNECTOR-1337-400")


def test_a_connection_may_take_a_while_and_has_no_etag_until_then(clock: Any, a_pass: Any) -> None:
    """§4.4: asynchronous on some clouds."""
    caller = Caller(Emulator(clock=clock, options=Options(connection_ready_ms=500)))
    made = caller.send("POST", f"{FLOW}/connections", a_pass.paypal_body())
    path = f"{FLOW}/connections/{made.json['id']}"

    assert set(made.json) == {"id"}
    (early,) = caller.send("GET", path).items
    clock.pass_ms(500)
    (late,) = caller.send("GET", path).items

    assert (early["state"], "etag" in early) == ("initializing", False)
    assert (late["state"], "etag" in late) == ("enabled", True)


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_drafts_are_refused_unless_the_spec_supports_them(prod: Caller, a_pass: Any, collection: str) -> None:
    a_pass.upto_flow()

    reply = prod.send("POST", f"{FLOW}/{collection}", body_for(a_pass, collection), query=[("mode", "draft")])

    assert (reply.status, reply.code) == (400, "CONNECTOR-1368-400")


def test_a_draft_may_lack_parts_and_is_published_when_it_is_whole() -> None:
    """§4.2, with specs that say isDraftModeSupported."""
    caller = Caller(Emulator(options=Options(draft_mode_supported=True)))
    body = {"name": "d", "connectionSpec": {"id": PAYPAL, "version": "1.0"}}
    made = caller.send("POST", f"{FLOW}/connections", body, query=[("mode", "draft")])
    path = f"{FLOW}/connections/{made.json['id']}"
    assert caller.send("GET", path).items[0]["state"] == "draft"

    early = caller.send("POST", f"{path}/action", query=[("op", "publish")])
    auth = {
        "specName": "Client-Id-Secret Based Authentication",
        "params": {"clientId": "i", "clientSecret": "s"},
    }
    patch = [{"op": "add", "path": "/auth", "value": auth}]
    caller.send("PATCH", path, patch, headers={"if-match": made.json["etag"]})
    published = caller.send("POST", f"{path}/action", query=[("op", "publish")])
    again = caller.send("POST", f"{path}/action", query=[("op", "publish")])

    assert (early.status, early.code) == (400, "CONNECTOR-1304-400")
    assert published.status == 200
    assert caller.send("GET", path).items[0]["state"] == "enabled"
    assert (again.status, again.code) == (400, "FLOW-1422-400")
