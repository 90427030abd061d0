"""Connection specs and flow specs: one of every kind of platform-api.md §7, and kinds of the user's own (§4.3)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from flowledger.emulator.caller import FLOW, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options
from flowledger.emulator.source_kinds import SourceKind, SourceKindInvalid, known_kinds, source_kind
from tests.contract.kinds import base_body, source_body, the

SINK = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
STRIPE = "cc2c31d6-7b8c-4581-b49f-5c8698aa3ab3"
CRM_TO_AEP = "14518937-270c-4525-bdec-c2ba7cce3860"
CLOUD_STORAGE_TO_AEP = "9753525b-82c7-4dce-8a9b-5ccfce2b9876"
STREAMING = "c1a19761-d2c7-4702-b9fa-fe91f0613e81"
CONTRACT_IDS = {  # platform-api.md §7, written down a second time
    "PayPal": "221c7626-58f6-4eec-8ee2-042b0226f03b",
    "Square": "2acf109f-9b66-4d5e-bc18-ebb2adcff8d5",
    "Stripe": STRIPE,
    "Salesforce": "cfc0fee1-7dc0-40ef-b73e-d8b134c436f5",
    "Microsoft Dynamics": "38ad80fe-8b06-4938-94f4-d4ee80266b07",
    "Veeva CRM": "fcad62f3-09b0-41d3-be11-449d5a621b69",
    "Zoho CRM": "929e4450-0237-4ed2-9404-b7e1e0a00309",
    "Amazon Redshift": "3416976c-a9ca-4bba-901a-1f08f66978ff",
    "Apache Cassandra": "a8f4d393-1a6b-43f3-931f-91a16ed857f4",
    "Apache Hive on HDInsight": "aac9bbd4-6c01-46ce-b47e-51c6f0f6db3f",
    "Apache Spark on HDInsight": "6a8d82bc-1caf-45d1-908d-cadabc9d63a6",
    "Azure Data Explorer": "0479cc14-7651-4354-b233-7480606c2ac3",
    "Azure Synapse Analytics": "a49bcc7d-8038-43af-b1e4-5a7a089a7d79",
    "Azure Table Storage": "ecde33f2-c56f-46cc-bdea-ad151c16cd69",
    "Couchbase": "1fe283f6-9bec-11ea-bb37-0242ac130002",
    "Google BigQuery": "3c9b37f8-13a6-43d8-bad3-b863b941fedd",
    "Greenplum": "37b6bf40-d318-4655-90be-5cd6f65d334b",
    "HP Vertica": "a8b6a1a4-5735-42b4-952c-85dce0ac38b5",
    "IBM DB2": "09182899-b429-40c9-a15a-bf3ddbc8ced7",
    "MariaDB": "3000eb99-cd47-43f3-827c-43caf170f015",
    "Microsoft SQL Server": "1f372ff9-38a4-4492-96f5-b9a4e4bd00ec",
    "MySQL": "26d738e0-8963-47ea-aadf-c60de735468a",
    "Oracle DB": "d6b52d86-f0f8-475f-89d4-ce54c8527328",
    "Phoenix": "102706fb-a5cd-42ee-afe0-bc42f017ff43",
    "PostgreSQL": "74a1c565-4e59-48d7-9d67-7c03b8a13137",
    "Snowflake": "b2e08744-4f1a-40ce-af30-7abac3e23cf3",
    "Teradata Vantage": "2fa8af9c-2d1a-43ea-a253-f00a00c74412",
    "Shopify": "4f63aa36-bd48-4e33-bb83-49fbcd11c708",
    "HubSpot": "cc6a4487-9e91-433e-a3a3-9cf6626c1806",
    "Salesforce Marketing Cloud": "ea1c2a08-b722-11eb-8529-0242ac130003",
    "Oracle Eloqua": "35d6c4d8-c9a9-11eb-b8bc-0242ac130003",
    "Oracle Responsys": "ff4274f2-c9a9-11eb-b8bc-0242ac130003",
    "Salesforce Service Cloud": "cb66ab34-8619-49cb-96d1-39b37ede86ea",
    "ServiceNow": "eb13cb25-47ab-407f-ba89-c0125281c563",
    "Oracle Service Cloud": "ba5126ec-c9ac-11eb-b8bc-0242ac130003",
    "Google Ads": "d771e9c1-4f26-40dc-8617-ce58c4b53702",
    "Generic OData": "8e6b41a8-d998-4545-ad7d-c6a9fff406c3",
}
TABLE_KINDS = [kind for kind in known_kinds() if "table" in kind.explores]
EVERY_TABLE_KIND = pytest.mark.parametrize("kind", TABLE_KINDS, ids=lambda kind: kind.label)


def test_there_is_a_connection_spec_for_every_kind_of_the_contract(prod: Caller) -> None:
    shown = {spec["id"] for spec in prod.send("GET", f"{FLOW}/connectionSpecs").items}

    assert set(CONTRACT_IDS.values()) < shown
    assert {kind.label: kind.id for kind in known_kinds() if kind.label in CONTRACT_IDS} == CONTRACT_IDS
    assert SINK in shown


def test_crm_to_aep_takes_every_table_like_kind_and_not_stripe(prod: Caller) -> None:
    (spec,) = prod.send("GET", f"{FLOW}/flowSpecs", query=[("property", 'name=="CRMToAEP"')]).items

    assert set(spec["sourceConnectionSpecIds"]) == set(CONTRACT_IDS.values()) - {STRIPE}
    assert prod.send("GET", f"{FLOW}/connectionSpecs/{STRIPE}").items[0]["name"] == "Stripe"


def test_the_flow_specs_are_tables_files_and_streams(prod: Caller) -> None:
    specs = {spec["id"]: spec for spec in prod.send("GET", f"{FLOW}/flowSpecs").items}

    assert set(specs) == {CRM_TO_AEP, CLOUD_STORAGE_TO_AEP, STREAMING}
    assert specs[CLOUD_STORAGE_TO_AEP]["name"] == "CloudStorageToAEP"
    assert [part["name"] for part in specs[CLOUD_STORAGE_TO_AEP]["transformationSpecs"]] == ["Mapping"]
    assert (specs[STREAMING]["attributes"]["frequency"], "scheduleSpec" in specs[STREAMING]) == ("streaming", False)
    assert all(spec["targetConnectionSpecIds"] == [SINK] for spec in specs.values())
    assert not set(specs[CLOUD_STORAGE_TO_AEP]["sourceConnectionSpecIds"]) & set(CONTRACT_IDS.values())


def test_every_connection_spec_has_its_parts_and_right_schemas(prod: Caller) -> None:
    for spec in prod.send("GET", f"{FLOW}/connectionSpecs").items:
        assert {"id", "name", "providerId", "version", "type", "authSpec", "attributes", "permissionsInfo"} <= set(spec)
        assert ("targetSpec" in spec) == (spec["id"] == SINK) != ("sourceSpec" in spec)
        schemas = [auth["spec"] for auth in spec["authSpec"]]
        schemas += [spec["targetSpec"]["spec"]] if spec["id"] == SINK else [spec["exploreSpec"]["requestSpec"]]
        for schema in schemas:
            jsonschema.Draft7Validator.check_schema(schema)
            assert set(schema.get("required", [])) <= set(schema["properties"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('name=="google-big-query"', {CONTRACT_IDS["Google BigQuery"]}),
        ("name==PayPal,Square", {CONTRACT_IDS["PayPal"], CONTRACT_IDS["Square"]}),
        ("attributes.category==ecommerce", {CONTRACT_IDS["Shopify"]}),
        (
            "attributes.filterAtSource.enabled==true",
            {CONTRACT_IDS[name] for name in ("Google BigQuery", "Microsoft Dynamics", "Salesforce", "Snowflake")},
        ),
        ("name==nobody", set()),
    ],
)
def test_connection_specs_are_found_by_their_properties(prod: Caller, text: str, found: set[str]) -> None:
    reply = prod.send("GET", f"{FLOW}/connectionSpecs", query=[("property", text)])

    assert {spec["id"] for spec in reply.items} == found


@EVERY_TABLE_KIND
def test_a_source_of_every_kind_is_connected_explored_and_read(prod: Caller, a_pass: Any, kind: SourceKind) -> None:
    base = a_pass.make(f"{FLOW}/connections", base_body(kind))["id"]
    path = f"{FLOW}/connections/{base}/explore"
    tables = [entry["path"] for entry in prod.send("GET", path, query=[("objectType", "root")]).json]
    (shown,) = prod.send("GET", f"{FLOW}/connections/{base}").items

    assert tables == list(kind.tables)
    assert any(column.type == "date-time" for column in kind.tables[tables[0]])
    for table in tables:
        query = [("objectType", "table"), ("object", table), ("preview", "true")]
        answer = prod.send("GET", path, query=query).json
        assert [column["name"] for column in answer["schema"]["columns"]] == list(answer["data"][0])
        assert len(answer["data"]) == 100
    assert prod.send("POST", f"{FLOW}/sourceConnections", source_body(kind, base)).status == 201
    secrets = [param.name for auth in kind.auths for param in auth.params if param.secret]
    assert all(shown["auth"]["params"].get(name, "xxxx") == "xxxx" for name in secrets)


@EVERY_TABLE_KIND
def test_every_kind_misses_what_it_needs_and_refuses_other_auth(
    prod: Caller, kind: SourceKind, emulator: Emulator
) -> None:
    good = base_body(kind)
    first = next(iter(good["auth"]["params"]))
    lacking = {**good, "auth": {**good["auth"], "params": {}}}
    other = {**good, "auth": {"specName": "Any", "params": {first: "x"}}}

    assert prod.send("POST", f"{FLOW}/connections", lacking).code == "CONNECTOR-1304-400"
    answer = prod.send("POST", f"{FLOW}/connections", other)
    assert (answer.status, answer.code) == ((201, "") if kind.open_auth else (400, "FLOW-1415-400"))


@pytest.mark.parametrize(
    "auth",
    [
        {"specName": "", "params": {"a": "b"}},
        {"specName": 7, "params": {"a": "b"}},
        {"specName": "Any", "params": {}},
        {"specName": "Any", "params": {"a": 7}},
        {"specName": "Any", "params": ["a"]},
    ],
)
def test_credentials_that_nobody_documents_must_at_least_look_right(prod: Caller, auth: Any) -> None:
    body = {**base_body(the("Google Ads")), "auth": auth}

    assert prod.send("POST", f"{FLOW}/connections", body).code in ("CONNECTOR-1304-400", "FLOW-1415-400")


def test_a_stripe_resource_is_connected_but_no_source_of_crm_to_aep(prod: Caller, a_pass: Any) -> None:
    a_pass.upto_flow()
    base = a_pass.make(f"{FLOW}/connections", base_body(the("Stripe")))["id"]
    body = {**source_body(the("Stripe"), base), "data": {"format": "json"}, "params": {"resourcePath": "charges"}}
    tabular = prod.send("POST", f"{FLOW}/sourceConnections", {**body, "data": {"format": "tabular"}})
    placeless = prod.send("POST", f"{FLOW}/sourceConnections", {**body, "params": {"tableName": "charges"}})
    source = prod.send("POST", f"{FLOW}/sourceConnections", body)
    flow = {**a_pass.flow_body(), "sourceConnectionIds": [source.json["id"]]}

    assert tabular.code == "CONNECTOR-1327-400"
    assert placeless.code == "CONNECTOR-1304-400"
    assert source.status == 201
    assert prod.send("POST", f"{FLOW}/flows", flow).code == "FLOW-1413-400"


def test_a_file_flows_without_a_delta_column(prod: Caller, a_pass: Any) -> None:
    a_pass.upto_flow()
    kind = the("Amazon S3")
    base = a_pass.make(f"{FLOW}/connections", base_body(kind))["id"]
    body = {
        **source_body(kind, base),
        "data": {"format": "delimited"},
        "params": {"path": "/payments", "type": "folder"},
    }
    flow = a_pass.flow_body()
    flow.update(
        flowSpec={"id": CLOUD_STORAGE_TO_AEP, "version": "1.0"},
        sourceConnectionIds=[a_pass.make(f"{FLOW}/sourceConnections", body)["id"]],
        transformations=flow["transformations"][1:],
    )

    assert prod.send("POST", f"{FLOW}/sourceConnections", {**body, "params": {}}).code == "CONNECTOR-1304-400"
    assert prod.send("POST", f"{FLOW}/flows", {**flow, "scheduleParams": {}}).code == "CONNECTOR-1317-400"
    assert prod.send("POST", f"{FLOW}/flows", flow).status == 201


def test_a_stream_flows_without_a_schedule(prod: Caller, a_pass: Any) -> None:
    a_pass.upto_flow()
    kind = the("HTTP API")
    base = a_pass.make(f"{FLOW}/connections", base_body(kind))["id"]
    body = {
        "name": "stream",
        "baseConnectionId": base,
        "data": {"format": "raw"},
        "connectionSpec": {"id": kind.id, "version": "1.0"},
    }
    flow = a_pass.flow_body()
    del flow["scheduleParams"]
    flow.update(
        flowSpec={"id": STREAMING, "version": "1.0"},
        sourceConnectionIds=[a_pass.make(f"{FLOW}/sourceConnections", body)["id"]],
        transformations=[],
    )

    made = prod.send("POST", f"{FLOW}/flows", flow)
    rename = [{"op": "replace", "path": "/name", "value": "renamed"}]
    etag = {"if-match": made.json["etag"]}
    assert made.status == 201
    assert prod.send("PATCH", f"{FLOW}/flows/{made.json['id']}", rename, headers=etag).status == 200
    mapped = {**flow, "transformations": [{"name": "Mapping", "params": {"mappingId": "0" * 32}}]}
    assert prod.send("POST", f"{FLOW}/flows", mapped).code == "FLOW-1419-400"


OWN = {
    "label": "Our Ledger",
    "id": "11111111-2222-4333-8444-555555555555",
    "rowFilters": True,
    "tables": {
        "books.entries": {"entry": "integer", "note": {"type": "string", "values": ["x", "y"]}, "at": "date-time"}
    },
}


def test_a_kind_of_the_users_own_is_served_like_adobes(clock: Any, pass_of: Callable[[Caller], Any]) -> None:
    caller = Caller(Emulator(clock=clock, options=Options(extra_sources=(OWN,))))
    ready = pass_of(caller).upto_flow()
    kind = source_kind(OWN)
    base = ready.make(f"{FLOW}/connections", base_body(kind))["id"]
    source = ready.make(f"{FLOW}/sourceConnections", source_body(kind, base))["id"]
    query = [("objectType", "table"), ("object", "books.entries"), ("preview", "true")]
    row = caller.send("GET", f"{FLOW}/connections/{base}/explore", query=query).json["data"][0]
    plain = Caller(Emulator(clock=clock))

    assert row == {"entry": 1, "note": "x", "at": "2024-01-01T00:00:00Z"}
    assert caller.send("POST", f"{FLOW}/flows", {**ready.flow_body(), "sourceConnectionIds": [source]}).status == 201
    assert caller.send("GET", f"{FLOW}/connectionSpecs/{kind.id}").items[0]["name"] == "Our Ledger"
    assert plain.send("GET", f"{FLOW}/connectionSpecs/{kind.id}").status == 404


SECRETIVE = {
    **OWN,
    "auths": [{"name": "Pin", "required": {"pin": {"secret": True}, "user": {}}, "optional": {"realm": {}}}],
}


@pytest.mark.parametrize(
    ("own", "spec_name", "shown"),
    [
        (SECRETIVE, "Pin", {"pin": "xxxx", "user": "ada"}),
        (OWN, "Anything", {"pin": "xxxx", "user": "xxxx"}),  # nobody says which of them are secrets
    ],
)
def test_the_secrets_of_a_users_own_kind_are_neither_kept_nor_echoed(
    clock: Any, own: Any, spec_name: str, shown: dict[str, str], tmp_path: Path
) -> None:
    emulator = Emulator(clock=clock, options=Options(extra_sources=(own,)), state=tmp_path)
    caller = Caller(emulator)
    body = {
        "name": "own",
        "connectionSpec": {"id": OWN["id"], "version": "1.0"},
        "auth": {"specName": spec_name, "params": {"pin": "very-private", "user": "ada"}},
    }
    key = caller.send("POST", f"{FLOW}/connections", body).json["id"]
    (item,) = caller.send("GET", f"{FLOW}/connections/{key}").items
    patch = [{"op": "replace", "path": "/auth/params/pin", "value": "as-private"}]
    etag = {"if-match": item["etag"]}
    emulator.faults.add("PATCH /connections/{id}", "late", after_ms=1000)
    emulator.faults.add("POST /connections", "late", after_ms=1000)
    caller.send("PATCH", f"{FLOW}/connections/{key}", patch, headers=etag)
    caller.send("POST", f"{FLOW}/connections", body)
    waiting = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    clock.pass_ms(1000)
    (patched,) = caller.send("GET", f"{FLOW}/connections/{key}").items
    emulator.close()

    assert item["auth"] == {"specName": spec_name, "params": shown}
    assert patched["etag"] != item["etag"]
    assert patched["auth"] == item["auth"]
    assert emulator.count("connections") == 2
    for private in (b"very-private", b"as-private"):
        assert private not in waiting
        assert not any(private in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    "auth",
    ["private", ["private"], {"params": "private"}, {"params": [{"x": "private"}]}],
    ids=["text", "list", "in", "deep"],
)
def test_credentials_in_no_form_that_is_documented_are_not_kept_either(clock: Any, auth: Any) -> None:
    caller = Caller(Emulator(clock=clock, options=Options(draft_mode_supported=True)))
    body = {"name": "draft", "connectionSpec": {"id": CONTRACT_IDS["PayPal"], "version": "1.0"}, "auth": auth}

    made = caller.send("POST", f"{FLOW}/connections", body, query=[("mode", "draft")])

    assert made.status == 201
    assert b"private" not in caller.send("GET", f"{FLOW}/connections/{made.json['id']}").response.body


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"label": "x"}, "label and the id"),
        ({**OWN, "colour": "red"}, "unknown: colour"),
        ({**OWN, "explores": ["sheep"]}, "explores may hold"),
        ({**OWN, "tables": {"t": {}}}, "t: a table maps"),
        ({**OWN, "tables": {"t": {"c": "sheep"}}}, "t.c: a type is one of"),
        ({**OWN, "auths": ["Basic"]}, "each of auths"),
        ({**OWN, "auths": 7}, "auths is a list"),
        ({**OWN, "tables": ["t"]}, "tables maps paths"),
        ({**OWN, "auths": [{"name": "Basic", "required": ["user"]}]}, "required and optional map"),
        ({**OWN, "auths": [{"name": "Basic", "required": {"user": "text"}}]}, "user: a parameter is"),
    ],
)
def test_a_kind_that_is_wrong_is_refused_with_its_place(wrong: Any, says: str) -> None:
    with pytest.raises(SourceKindInvalid, match=says):
        source_kind(wrong)


@pytest.mark.parametrize(("own", "says"), [({**OWN, "flowSpec": "Nobody's"}, "no flow spec"), ({"id": 7}, "label and")])
def test_an_emulator_of_a_wrong_kind_does_not_start(own: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Emulator(options=Options(extra_sources=(own,)))


def test_the_list_of_kinds_is_packaged() -> None:
    import flowledger.emulator.source_kinds as module

    assert Path(module.__file__).with_name("source_kinds.json").is_file()
