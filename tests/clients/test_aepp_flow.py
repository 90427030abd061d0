"""The community's client aepp works with dataflows, Catalog, Data Prep, Data Access and sandboxes of the emulator."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import aepp.catalog
import aepp.dataaccess
import aepp.dataprep
import aepp.flowservice
import aepp.sandboxes
import aepp.schema
import pytest

from flowledger.emulator.options import Options
from tests.clients.conftest import Served

PROFILE = "https://ns.adobe.com/xdm/context/profile"
PAYPAL = "221c7626-58f6-4eec-8ee2-042b0226f03b"
CRM_TO_AEP = "14518937-270c-4525-bdec-c2ba7cce3860"
TABLE = "PayPal.Catalog_Products"
FULL = "application/vnd.adobe.xed-full+json;version=1"
ROWS = (
    "Product_Id,Product_Name,Create_Time\nP-1,Tea,2020-01-01T00:00:00Z\nP-2,Cup,2020-01-02T00:00:00Z\nP-3,too,many,x\n"
)


@pytest.fixture
def options() -> Options:
    """Short pages, so that few objects fill several."""
    return Options(page_size=3, page_maximum=3)


@pytest.fixture
def tables() -> dict[str, str]:
    """One table of a source, its last row broken."""
    return {f"{TABLE}.csv": ROWS}


@pytest.fixture
def client(configured: Callable[[str], Any]) -> Client:
    """What of aepp people use for a dataflow, each configured."""
    return Client()


def advance(served: Served, *, hours: int) -> None:
    """Move the emulator's clock; returns when every run that became due is over."""
    body = json.dumps({"ms": hours * 3_600_000}).encode()
    url = f"{served.url}/_emulator/advance"
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"})):
        pass


class Client:
    """aepp's classes, and a dataflow that was made with them."""

    def __init__(self) -> None:
        self.flows = aepp.flowservice.FlowService()
        self.catalog = aepp.catalog.Catalog()
        self.prep = aepp.dataprep.DataPrep()
        self.access = aepp.dataaccess.DataAccess()
        self.sandboxes = aepp.sandboxes.Sandboxes()
        self.schemas = aepp.schema.Schema()

    def schema(self, title: str = "people") -> str:
        """The id of a schema of XDM Individual Profile with names."""
        parts = [{"$ref": PROFILE}, {"$ref": f"{PROFILE}-person-details"}]
        return str(self.schemas.createSchema({"title": title, "type": "object", "allOf": parts})["$id"])

    def data_set(self, name: str = "rows", schema: str = "") -> str:
        """The id of a dataset, made as aepp makes one: it asks for no data source."""
        (reference,) = self.catalog.createDataSet(name=name, schemaId=schema or self.schema())
        return str(reference).rpartition("/")[2]

    def connection(self, name: str = "paypal") -> str:
        """The id of a base connection."""
        params = {"host": "api.sandbox.paypal.com", "clientId": "the-id", "clientSecret": "the-secret"}
        auth = {"specName": "Client-Id-Secret Based Authentication", "params": params}
        spec = {"id": PAYPAL, "version": "1.0"}
        return str(self.flows.createConnection(name=name, auth=auth, connectionSpec=spec)["id"])

    def mapping_set(self, schema: str) -> str:
        """The id of a mapping set of two mappings."""
        rules = [
            {"sourceType": "ATTRIBUTE", "source": "Product_Id", "destination": "_id"},
            {"sourceType": "ATTRIBUTE", "source": "Product_Name", "destination": "person.name.firstName"},
        ]
        return str(self.prep.createMappingSet(schemaId=schema, mappingList=rules, validate=True)["id"])

    def provisioned(self, **schedule: Any) -> dict[str, str]:
        """Everything up to the flow; its schedule is due in an hour unless it says otherwise. Ids by name."""
        made = {"schema": self.schema()}
        made["data_set"] = self.data_set(schema=made["schema"])
        made["base"] = self.connection()
        source = {
            "name": "source",
            "baseConnectionId": made["base"],
            "data": {"format": "tabular"},
            "params": {"tableName": TABLE},
            "connectionSpec": {"id": PAYPAL, "version": "1.0"},
        }
        made["source"] = self.flows.createSourceConnection(source)["id"]
        target = self.flows.createTargetConnectionDataLake(
            name="target", datasetId=made["data_set"], schemaId=made["schema"]
        )
        made["target"] = target["id"]
        made["mapping_set"] = self.mapping_set(made["schema"])
        soon = {"startTime": int(time.time()) + 3600, "frequency": "minute", "interval": "15", **schedule}
        flow = {
            "name": "flow",
            "flowSpec": {"id": CRM_TO_AEP, "version": "1.0"},
            "sourceConnectionIds": [made["source"]],
            "targetConnectionIds": [made["target"]],
            "transformations": [
                {"name": "Copy", "params": {"deltaColumn": {"name": "Create_Time"}}},
                {"name": "Mapping", "params": {"mappingId": made["mapping_set"], "mappingVersion": 0}},
            ],
            "scheduleParams": soon,
            "options": {"errorDiagnosticsEnabled": True, "partialIngestionPercent": 50},
        }
        made["flow"] = self.flows.createFlow(CRM_TO_AEP, obj=flow)["id"]
        return made

    def landed(self, served: Served) -> dict[str, str]:
        """The same after its first run; the id of its batch too."""
        made = self.provisioned()
        advance(served, hours=2)
        runs: list[Any] = []
        while not runs or runs[-1]["metrics"]["statusSummary"]["status"] in ("scheduled", "inProgress"):
            runs = self.flows.getRuns(prop=[f"flowId=={made['flow']}"])
        (made["batch"],) = runs[0]["activities"][1]["targetInfo"][0]["reference"]["ids"]
        made["run"] = runs[0]["id"]
        return made


def test_aepp_finds_specs_by_the_names_that_it_knows(client: Client) -> None:
    flows = client.flows

    assert flows.getConnectionSpecIdFromName("datalake") == "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
    assert flows.getConnectionSpecIdFromName("activation-datalake") == "23598e46-f560-407b-88d5-ea6207e49db0"
    assert flows.getConnectionSpecIdFromName("Streaming Connection") == "bc7b00d6-623a-4dfc-9fdb-f1240aeadaeb"
    assert flows.getConnectionSpec(PAYPAL)["items"][0]["name"] == "PayPal"
    assert flows.getFlowSpecIdFromNames("CRMToAEP", "PayPal", "datalake") == CRM_TO_AEP
    assert flows.getFlowSpec(CRM_TO_AEP)["attributes"]["frequency"] == "batch"
    assert len(flows.getFlowSpecs()) == 3


def test_aepp_makes_reads_changes_and_deletes_a_dataflow(client: Client) -> None:
    flows, made = client.flows, client.provisioned()

    assert flows.connectionTest(made["base"]) == {"result": True}
    assert flows.getConnection(made["base"])["name"] == "paypal"
    rename = [{"op": "Replace", "path": "/name", "value": "renamed"}]
    assert flows.patchConnection(made["base"], rename)["id"] == made["base"]
    assert [one["name"] for one in flows.getConnections()] == ["renamed"]
    for kind, read, listed, update in (
        ("source", flows.getSourceConnection, flows.getSourceConnections, flows.updateSourceConnection),
        ("target", flows.getTargetConnection, flows.getTargetConnections, flows.updateTargetConnection),
        ("flow", flows.getFlow, flows.getFlows, flows.updateFlow),
    ):
        one = read(made[kind])
        assert update(made[kind], one["etag"], rename)["id"] == made[kind]
        assert [found["name"] for found in listed()] == ["renamed"]
    assert flows.getFlows(onlySources=True)[0]["id"] == made["flow"]
    assert flows.getFlows(onlyDestinations=True) == []
    assert flows.getFlows(filterMappingSetIds=[made["mapping_set"]])[0]["id"] == made["flow"]
    assert flows.getFlows(filterSourceIds=[made["source"]], filterTargetIds=[made["target"]])[0]["id"] == made["flow"]
    assert flows.getUPSFlows() == []
    assert flows.postFlowAction(made["flow"], "disable")["id"] == made["flow"]
    assert flows.getFlow(made["flow"])["state"] == "disabled"
    for delete, kind in (
        (flows.deleteFlow, "flow"),
        (flows.deleteSourceConnection, "source"),
        (flows.deleteTargetConnection, "target"),
        (flows.deleteConnection, "base"),
    ):
        assert delete(made[kind]) == 204, kind
    assert flows.getFlows() == []


def test_aepp_reads_every_page_of_every_list(client: Client, served: Served) -> None:
    """It cuts a continuation token at its first `=`."""
    made = client.provisioned(startTime=int(time.time()) + 3600)
    for number in range(6):
        client.connection(f"c{number}")
    source = client.flows.getSourceConnection(made["source"])
    copied = ("name", "baseConnectionId", "data", "params", "connectionSpec")
    for _ in range(6):
        client.flows.createSourceConnection({name: source[name] for name in copied})
    flow = client.flows.getFlow(made["flow"])
    written = ("name", "flowSpec", "sourceConnectionIds", "targetConnectionIds", "transformations", "scheduleParams")
    for _ in range(6):
        client.flows.createFlow(CRM_TO_AEP, obj={name: flow[name] for name in written})
    advance(served, hours=2)

    assert len(client.flows.getConnections(limit=10)) == 7
    assert len(client.flows.getSourceConnections()) == 7
    assert len({one["id"] for one in client.flows.getFlows(limit=10)}) == 7
    runs = client.flows.getRuns(limit=10)
    assert len({one["id"] for one in runs}) == len(runs) >= 7


def test_aepp_makes_a_run_on_demand(client: Client) -> None:
    made = client.provisioned()
    flow = client.flows.getFlow(made["flow"])
    names = ("name", "flowSpec", "sourceConnectionIds", "targetConnectionIds")
    once = {name: flow[name] for name in names} | {"transformations": flow["transformations"][1:]}
    once["scheduleParams"] = {"startTime": int(time.time()) + 7200, "frequency": "once"}
    on_demand = client.flows.createFlow(CRM_TO_AEP, obj=once)["id"]
    window = {"startTime": 1, "windowStartTime": 1_577_836_800, "windowEndTime": 1_577_923_200}

    first = client.flows.createRun(on_demand, params={**window, "deltaColumn": {"name": "Create_Time"}})
    second = client.flows.createRun(on_demand, params=window)

    assert [client.flows.getRun(run["id"])[0]["flowId"] for run in (first, second)] == [on_demand, on_demand]
    assert client.flows.createRun(made["flow"], params=window)["status"] == 400  # a periodic one


def test_aepp_describes_a_flow_and_points_it_at_another_mapping(client: Client) -> None:
    made = client.provisioned()
    manager = aepp.flowservice.FlowManager(made["flow"])

    assert manager.datasetId == made["data_set"]
    assert (manager.name, manager.frequency, manager.flowType) == ("flow", "batch", "source")
    assert manager.flowTargetConnection["params"]["datasetName"] == "rows"
    assert manager.flowTargetConnection["data"]["schema"]["name"] == "people"
    assert manager.getMapping()["id"] == made["mapping_set"]
    assert manager.getRuns() == []
    assert manager.summary()["id"] == made["flow"]
    other = client.mapping_set(made["schema"])
    manager.updateFlowMapping(other)
    copy, mapping = client.flows.getFlow(made["flow"])["transformations"]
    assert copy["name"] == "Copy"
    assert mapping["params"] == {"mappingId": other, "mappingVersion": 0}


def test_aepp_makes_a_stream_and_a_connection_to_profile(client: Client) -> None:
    flows, data_set = client.flows, client.data_set()

    base = flows.createConnectionStreaming(name="stream", sourceId="s-1", paramName="stream", dataType="xdm")["id"]
    source = flows.createSourceConnectionStreaming(base, "stream")["id"]
    lake = flows.createSourceConnectionDataLake("export", dataset_ids=[data_set])["id"]
    profile = flows.createConnectionToUPS("to Profile")["id"]

    assert len({base, source, lake, profile}) == 4


def test_aepp_makes_a_dataflow_from_the_landing_zone(client: Client) -> None:
    flows, schema = client.flows, client.schema()
    data_set = client.data_set(schema=schema)
    source = flows.createSourceConnectionDataLandingZone("files", path="in/rows.csv")["id"]
    target = flows.createTargetConnectionDataLake("lake", datasetId=data_set, schemaId=schema)["id"]

    made = flows.createFlowDataLandingZoneToDataLake(
        "files to lake",
        source,
        target,
        schedule_start_time=str(int(time.time()) + 3600),
        transformation_mapping_id=client.mapping_set(schema),
        transformation_name="Mapping",
    )

    assert flows.getFlow(made["id"])["inheritedAttributes"]["sourceConnections"][0]["id"] == source


def test_aepp_makes_reads_and_changes_datasets(client: Client) -> None:
    catalog, schema = client.catalog, client.schema()
    first = client.data_set("Loyalty 2024", schema)
    second = str(catalog.createDataSet(name="b", schemaId=schema, profileEnabled=True, tags={"own": ["x"]})[0])[-24:]

    every = catalog.getDataSets()
    assert {found["name"] for found in every.values()} == {"Loyalty 2024", "b"}
    assert catalog.data.table_names["Loyalty 2024"][0].startswith("loyalty_2024_")
    infos = catalog.getDatasetsInfos().set_index("name")
    assert list(infos["dataBehavior"]) == ["record", "record"]
    assert [bool(flag) for flag in infos["profileEnabled"]] == [False, True]
    assert list(catalog.getDataSets(name="b")) == [second]
    assert list(catalog.getDataSets(property="name~^Loy")) == [first]
    assert list(catalog.getDataSets(state="DRAFT", version="1.0.0")) == [first, second]
    assert catalog.getDataSets(createdUser="nobody") == {}
    assert catalog.getDataSetObservableSchema(first, appendDatasetInfo=True) == {"datasetId": first}
    assert catalog.getProfileSnapshotDatasets() == {}

    for change in (catalog.enableDatasetProfile, catalog.enableDatasetUpsert, catalog.enableDatasetIdentity):
        assert change(first) == [f"@/dataSets/{first}"]
    tags = catalog.getDataSet(first)[first]["tags"]
    assert (tags["unifiedProfile"], tags["unifiedIdentity"]) == (["enabled:true", "isUpsert:true"], ["enabled:true"])
    for change in (catalog.disableDatasetProfile, catalog.disableDatasetIdentity):
        assert change(first) == [f"@/dataSets/{first}"]
    assert catalog.setDatasetTTL(first, "P3M") == [f"@/dataSets/{first}"]
    assert catalog.patchDataset(first, {"description": "d"}) == [f"@/dataSets/{first}"]
    whole = {**catalog.getDataSet(first)[first], "name": "Loyalty"}
    assert catalog.putDataset(first, whole) == [f"@/dataSets/{first}"]
    found = catalog.getDataSet(first)[first]
    assert (found["name"], found["description"]) == ("Loyalty", "d")
    assert found["extensions"]["adobe_lakeHouse"]["rowExpiration"]["ttlValue"] == "P3M"
    catalog.deleteDataSet(first)
    assert catalog.getDataSet(first)["status"] == 404


def test_aepp_reads_batches_their_files_and_what_failed(client: Client, served: Served) -> None:
    made = client.landed(served)
    catalog, access, batch = client.catalog, client.access, made["batch"]

    assert list(catalog.getBatches(dataSet=made["data_set"], status="success")) == [batch]
    assert list(catalog.getBatches(limit=1, n_results="inf", orderBy="desc:created")) == [batch]
    assert catalog.getBatches(createdUser="nobody", createdAfter=1) == {}
    assert list(catalog.getBatches(output="dataframe").index) == [batch]
    assert catalog.getBatch(batch)[batch]["metrics"]["failedRecordCount"] == 1
    assert catalog.getFailedBatchesDF().empty
    (file,) = access.getBatchFiles(batch, limit=10, start=0)
    (part,) = access.getFiles(file["dataSetFileId"])["data"]
    rows = access.transformDataToDataFrame(access.getFiles(file["dataSetFileId"], path=part["name"]))
    assert list(rows["_id"]) == ["P-1", "P-2"]
    (failed,) = access.getBatchFailed(batch)
    assert "P-3" in access.getResource(f"{access.endpoint}/batches/{batch}/failed", {"path": failed["name"]}, "txt")
    assert access.getBatchMeta(batch, path="row_errors")["data"]
    assert access.getBatchMeta(batch, path="row_errors_sample.json")
    assert len(access.getPreview(made["data_set"])) == 2
    assert client.flows.getRun(made["run"])[0]["metrics"]["recordSummary"]["inputRecordCount"] == 3


def test_aepp_makes_reads_and_changes_mapping_sets(client: Client, served: Served) -> None:
    prep, schema = client.prep, client.schema()
    first, second = client.mapping_set(schema), client.mapping_set(schema)

    assert [found["id"] for found in prep.getMappingSets(limit=100)] == [first, second]
    assert [found["id"] for found in prep.getMappingSets(prop=f"xdmSchema=={schema}")] == [first, second]
    more = {"sourceType": "ATTRIBUTE", "source": "Last", "destination": "person.name.lastName"}
    added = prep.createMappingSetMapping(first, more)["id"]
    assert prep.getMappingSetMapping(first, added)["destination"] == "person.name.lastName"
    prep.updateMappingSetMapping(first, added, {**more, "source": "Surname"})
    assert [one["source"] for one in prep.getMappingSetMappings(first)["data"]][2] == "Surname"
    prep.deleteMappingSetMapping(first, added)
    assert len(prep.getMappingSetMappings(first)["data"]) == 2
    assert prep.updateMappingSet(second, [more])["version"] == 1
    assert len(prep.getMappingSet(second)["mappings"]) == 2  # version 0
    served.emulator.options.mapping_version_latest = True
    assert len(prep.getMappingSet(second)["mappings"]) == 1
    prep.deleteMappingSet(second)
    assert [found["id"] for found in prep.getMappingSets()] == [first]


def test_aepp_tries_expressions_and_previews(client: Client) -> None:
    prep = client.prep

    assert "concat" in [one["function"] for one in prep.getMappingSetFunctions()]
    assert "+" in [one["operatorSymbol"] for one in prep.getMappingSetOperators()]
    assert prep.validateExpression("concat(a, b)") is True
    assert prep.validateExpression("concat(") is False
    rule = {"sourceType": "EXPRESSION", "source": "upper(Name)", "destination": "person.name.firstName"}
    shown = prep.previewDataOutput(data={"Name": "Ann"}, mappingSet={"mappings": [rule]})
    assert shown["data"] == {"person": {"name": {"firstName": "ANN"}}}


def test_aepp_reads_sandboxes(client: Client) -> None:
    sandboxes = client.sandboxes

    assert [one["name"] for one in sandboxes.getSandboxes()] == ["prod", "dev"]
    assert sandboxes.getSandbox("dev")["type"] == "development"
    assert sandboxes.getSandboxId("dev") != sandboxes.getSandboxId("prod")
    assert [one["id"] for one in sandboxes.getSandboxTypes()] == ["production", "development"]
