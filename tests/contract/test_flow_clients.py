"""Flow Service as its reference, its collections of requests and a client in use call it (platform-api.md §4)."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.emulator.caller import FLOW, Caller

SINK = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
CRM_TO_AEP = "14518937-270c-4525-bdec-c2ba7cce3860"
PROFILE_STORE = "8a9c3494-9708-43d7-ae3f-cda01e5030e1"
DATA_LAKE_SOURCE = "23598e46-f560-407b-88d5-ea6207e49db0"
LANDING_ZONE = "26f526f2-58f4-4712-961d-e41bf1ccc0e8"
S3 = "ecadc60c-7455-4d87-84dc-2a0e293d997b"
RENAMED = [{"op": "replace", "path": "/name", "value": "renamed"}]


def read(caller: Caller, path: str) -> dict[str, Any]:
    """The one object at a path."""
    (item,) = caller.send("GET", path).items
    return item


@pytest.mark.parametrize("version", [{}, {"version": None}])
def test_flows_and_target_connections_may_leave_the_version_of_their_spec_out(
    prod: Caller, a_pass: Any, version: dict[str, Any]
) -> None:
    """The latest is meant."""
    a_pass.upto_flow()
    target = {**a_pass.target_body(), "connectionSpec": {"id": SINK, **version}}
    a_pass.target = a_pass.make(f"{FLOW}/targetConnections", target)["id"]
    flow = a_pass.make(f"{FLOW}/flows", {**a_pass.flow_body(), "flowSpec": {"id": CRM_TO_AEP, **version}})["id"]

    assert read(prod, f"{FLOW}/targetConnections/{a_pass.target}")["connectionSpec"] == {"id": SINK, "version": "1.0"}
    assert read(prod, f"{FLOW}/flows/{flow}")["flowSpec"] == {"id": CRM_TO_AEP, "version": "1.0"}


@pytest.mark.parametrize("kind", ["connections", "sourceConnections"])
def test_connections_and_source_connections_say_the_version_of_their_spec(prod: Caller, a_pass: Any, kind: str) -> None:
    a_pass.upto_flow()
    body = a_pass.paypal_body() if kind == "connections" else a_pass.source_body()

    reply = prod.send("POST", f"{FLOW}/{kind}", {**body, "connectionSpec": {"id": body["connectionSpec"]["id"]}})

    assert reply.code == "CONNECTOR-1304-400"


@pytest.mark.parametrize("kind", ["flows", "targetConnections"])
def test_a_version_that_does_not_exist_is_refused_everywhere(prod: Caller, a_pass: Any, kind: str) -> None:
    a_pass.upto_flow()
    body = a_pass.flow_body() if kind == "flows" else a_pass.target_body()
    spec = "flowSpec" if kind == "flows" else "connectionSpec"

    reply = prod.send("POST", f"{FLOW}/{kind}", {**body, spec: {**body[spec], "version": "2.0"}})

    assert reply.code == "FLOW-1413-400"


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("datalake", SINK),
        ("activation-datalake", DATA_LAKE_SOURCE),
        ("landing-zone", LANDING_ZONE),
        ("Streaming Connection", "bc7b00d6-623a-4dfc-9fdb-f1240aeadaeb"),
        ("PayPal", "221c7626-58f6-4eec-8ee2-042b0226f03b"),
    ],
)
def test_connection_specs_are_found_by_the_names_that_clients_use(prod: Caller, name: str, id: str) -> None:
    every = {spec["name"]: spec["id"] for spec in prod.send("GET", f"{FLOW}/connectionSpecs").items}

    assert every[name] == id
    (one,) = prod.send("GET", f"{FLOW}/connectionSpecs", query=[("property", f'name=="{name}"')]).items
    assert one["id"] == id


def test_a_connection_to_the_profile_store_needs_no_credentials(prod: Caller, a_pass: Any) -> None:
    body = {"name": "to Profile", "connectionSpec": {"id": PROFILE_STORE, "version": "1.0"}}

    made = a_pass.make(f"{FLOW}/connections", body)["id"]
    source = a_pass.make(
        f"{FLOW}/sourceConnections", {**body, "baseConnectionId": made, "data": {"format": "json"}, "params": {}}
    )["id"]

    shown = read(prod, f"{FLOW}/sourceConnections/{source}")
    assert shown["inheritedAttributes"]["baseConnection"]["connectionSpec"]["id"] == PROFILE_STORE


def test_a_source_connection_of_the_data_lake_names_datasets_that_are_there(prod: Caller, a_pass: Any) -> None:
    a_pass.upto_flow()
    body = {
        "name": "datasets",
        "data": {"format": "delimited"},
        "connectionSpec": {"id": DATA_LAKE_SOURCE, "version": "1.0"},
        "params": {"datasets": [{"dataSetId": a_pass.dataset}]},
    }

    assert prod.send("POST", f"{FLOW}/sourceConnections", body).status == 201

    absent = {**body, "params": {"datasets": [{"dataSetId": "0" * 24}]}}
    assert prod.send("POST", f"{FLOW}/sourceConnections", absent).code == "CONNECTOR-1325-400"
    wrong: list[Any] = [{}, {"datasets": []}, {"datasets": "x"}, {"datasets": ["x"]}]
    for params in wrong:
        assert prod.send("POST", f"{FLOW}/sourceConnections", {**body, "params": params}).code == "CONNECTOR-1304-400"
    sink = {**body, "connectionSpec": {"id": SINK, "version": "1.0"}}
    assert prod.send("POST", f"{FLOW}/sourceConnections", sink).code == "FLOW-1413-400"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, ""),
        ({"baseConnectionId": "x"}, "CONNECTOR-1332-400"),
        ({"params": {}}, "CONNECTOR-1304-400"),
        ({"data": {"format": "tabular"}}, "CONNECTOR-1327-400"),
    ],
)
def test_a_source_connection_of_the_landing_zone_names_a_path_and_no_base(
    prod: Caller, changed: dict[str, Any], code: str
) -> None:
    body = {
        "name": "files",
        "data": {"format": "delimited"},
        "connectionSpec": {"id": LANDING_ZONE, "version": "1.0"},
        "params": {"path": "folder/rows.csv", "type": "file", "recursive": False},
    }

    reply = prod.send("POST", f"{FLOW}/sourceConnections", {**body, **changed})

    assert (reply.status, reply.code) == ((400, code) if code else (201, ""))


@pytest.mark.parametrize("name", ["fileType", "FileType"])
@pytest.mark.parametrize("value", ["delimited", "Delimited", "JSON"])
def test_explore_takes_the_type_of_a_file_in_each_spelling(prod: Caller, a_pass: Any, name: str, value: str) -> None:
    base, path = _s3(a_pass), _a_file_of_s3(prod)

    query = [("objectType", "FILE"), ("object", path), (name, value), ("CompressionType", "gzip")]
    reply = prod.send("GET", f"{FLOW}/connections/{base}/explore", query=query)

    assert (reply.status, reply.json["format"]) == (200, "flat")


@pytest.mark.parametrize("name", ["fileType", "FileType", "compressionType", "CompressionType"])
def test_explore_refuses_a_type_of_file_or_compression_that_is_none(prod: Caller, a_pass: Any, name: str) -> None:
    base, path = _s3(a_pass), _a_file_of_s3(prod)

    query = [("objectType", "file"), ("object", path), (name, "papyrus")]
    reply = prod.send("GET", f"{FLOW}/connections/{base}/explore", query=query)

    assert reply.code == "CONNECTOR-1327-400"
    assert name in reply.json["errorMessage"]


def _s3(a_pass: Any) -> str:
    auth = {"specName": "Access Key", "params": {"s3AccessKey": "k", "s3SecretKey": "s"}}
    body = {"name": "files", "connectionSpec": {"id": S3, "version": "1.0"}, "auth": auth}
    return str(a_pass.make(f"{FLOW}/connections", body)["id"])


def _a_file_of_s3(caller: Caller) -> str:
    """The path of the first file that the sample of Amazon S3 has."""
    (base, *_) = (item["id"] for item in caller.send("GET", f"{FLOW}/connections").items)
    entries = caller.send("GET", f"{FLOW}/connections/{base}/explore", query=[("objectType", "root")]).json
    while entries[0]["type"] == "folder":
        query = [("objectType", "folder"), ("object", entries[0]["path"])]
        entries = caller.send("GET", f"{FLOW}/connections/{base}/explore", query=query).json
    return str(entries[0]["path"])


def test_the_etag_may_come_in_the_query_as_adobes_collection_sends_it(prod: Caller, a_pass: Any) -> None:
    path = f"{FLOW}/flows/{a_pass.upto_flow().make_flow()}"
    etag = read(prod, path)["etag"]

    assert prod.send("PATCH", f"{path}/", RENAMED, query=[("if-match", etag)]).status == 200
    assert prod.send("PATCH", path, RENAMED, query=[("if-match", etag)]).code == "FLOW-1404-412"
    now = read(prod, path)["etag"]
    both = prod.send("PATCH", path, RENAMED, query=[("if-match", now)], headers={"if-match": etag})
    assert both.code == "FLOW-1404-412"  # the header counts


@pytest.mark.parametrize("kind", ["sourceConnections", "targetConnections"])
def test_a_changed_connection_is_answered_in_a_list_by_option(prod: Caller, a_pass: Any, kind: str) -> None:
    prod.emulator.options.connection_patch_listed = True
    a_pass.upto_flow()
    path = f"{FLOW}/{kind}/{a_pass.source if kind == 'sourceConnections' else a_pass.target}"

    reply = prod.send("PATCH", path, RENAMED, headers={"if-match": read(prod, path)["etag"]})

    assert reply.json == {"items": [read(prod, path)]}
    assert reply.items[0]["name"] == "renamed"


def test_a_flow_with_labels_is_hidden_and_cannot_be_changed_by_option(prod: Caller, a_pass: Any) -> None:
    """404 to be read, 403 to be changed: its 404 does not say that it is gone."""
    flow = a_pass.upto_flow().make_flow()
    path = f"{FLOW}/flows/{flow}"
    etag = read(prod, path)["etag"]
    labels = [{"op": "add", "path": "/labels", "value": ["core/C12"]}]
    etag = prod.send("PATCH", path, labels, headers={"if-match": etag}).json["etag"]
    assert read(prod, path)["labels"] == ["core/C12"]

    prod.emulator.options.labelled_flows_hidden = True

    for hidden in (path, f"{path}/runs"):
        assert prod.send("GET", hidden).code == "FLOW-1439-404"
    assert prod.send("GET", f"{FLOW}/flows").items == []
    assert prod.send("POST", f"{FLOW}/flows/search", {}).items == []
    assert prod.send("PATCH", path, RENAMED, headers={"if-match": etag}).code == "FLOW-2120-403"
    assert prod.send("POST", f"{path}/action", query=[("op", "disable")]).code == "FLOW-2120-403"
    assert prod.send("DELETE", path).code == "FLOW-2120-403"
    assert prod.send("DELETE", f"{FLOW}/sourceConnections/{a_pass.source}").code == "FLOW-1447-400"
    assert prod.emulator.count("flows") == 1


@pytest.mark.parametrize("end", [0, -1, "soon", 1.5, True])
def test_the_end_of_a_schedule_is_a_moment_after_its_start(prod: Caller, a_pass: Any, end: Any) -> None:
    body = a_pass.upto_flow().flow_body()
    body["scheduleParams"]["endTime"] = body["scheduleParams"]["startTime"] + end if type(end) is int else end

    assert prod.send("POST", f"{FLOW}/flows", body).code == "CONNECTOR-1312-400"

    body["scheduleParams"]["endTime"] = str(body["scheduleParams"]["startTime"] + 1)  # U26
    assert prod.send("POST", f"{FLOW}/flows", body).status == 201
