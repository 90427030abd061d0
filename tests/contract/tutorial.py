"""The tutorial as somebody makes it by hand: the calls of platform-api.md §16, row by row, and §10 back again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.contract.plain import CATALOG, CONVERSION, EXPORT, FLOW, REGISTRY, Heard, Json, Plain

TABLE = "PayPal.Catalog_Products"
PAYPAL = "221c7626-58f6-4eec-8ee2-042b0226f03b"
SINK = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
CRM_TO_AEP = "14518937-270c-4525-bdec-c2ba7cce3860"
ADHOC = "https://ns.adobe.com/xdm/data/adhoc"
PROFILE = "https://ns.adobe.com/xdm/context/profile"
FULL = "application/vnd.adobe.xed-full+json;version=1"
NOTEXT = "application/vnd.adobe.xed-full-notext+json; version=1"
IDS = {"Accept": "application/vnd.adobe.xed-id+json"}
STORED = {"Accept": "application/vnd.adobe.xed+json; version=1"}
RESOLVED = {"Accept": "application/vnd.adobe.xed-full+json; version=1"}
FIRST_RUN_S = 60  # how far ahead a flow starts, in seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How somebody makes it: in shapes of 2020 or of now, old or new spellings, this dialect of mappings or that."""

    current: bool = False
    groups: str = "fieldgroups"  # or mixins
    data_sets: str = "dataSets"  # or datasets
    dialect: str = "tutorial"  # or reference
    encoded_ids: bool = False  # the percent-encoded `$id` in paths, not `meta:altId`


class Tutorial:
    """One pass. Every step asserts what the contract says of its answer, and keeps what §16 says to keep."""

    def __init__(self, plain: Plain, manner: Manner | None = None, mark: str = "7f3a") -> None:
        self.plain = plain
        self.manner = manner or Manner()
        self.mark = mark
        self.columns: list[Json] = []
        self.ahead_s = 0  # how far the platform's clock was moved
        self.kept: dict[str, Any] = {}

    def up_to_the_flow(self) -> None:
        """Rows 0 to 12."""
        self.plain.log_in()
        self.kept["tenant"] = self._ok("GET", f"{REGISTRY}/stats").json["tenantId"]
        self._base_connection()
        self._look_into_the_source()
        if not self.manner.current:
            self._ad_hoc_class_and_schema()
        self._source_connection()
        self._target_schema()
        self._data_set()
        if not self.manner.current:
            self._sink()
        self._target_connection()
        self._mapping_set()
        self._flow_spec()

    def flow(self) -> None:
        """Rows 13 and 14."""
        body = self.flow_body(f"payments flow {self.mark}")
        made = self._created(f"{FLOW}/flows", body)
        self.kept["flow"] = made["id"]
        (item,) = self._ok("GET", f"{FLOW}/flows/{made['id']}").json["items"]
        assert item["etag"] == made["etag"]
        assert (item["state"], item["lastOperation"]["status"]["value"]) == ("enabled", "completed")
        assert item["scheduleParams"] == body["scheduleParams"]  # strings stay strings (§4.7)

    def runs_and_batches(self) -> None:
        """Rows 15 and 16: time passes, the flow runs, and the batch holds as many rows as the run says."""
        self.ahead_s += FIRST_RUN_S + 60
        assert self.plain.call("POST", "/_emulator/advance", {"ms": (FIRST_RUN_S + 60) * 1000}).status == 200
        query = [("property", f"flowId=={self.kept['flow']}"), ("orderby", "-createdAt")]
        (run,) = self._ok("GET", f"{FLOW}/runs", query=query).json["items"]
        assert run["metrics"]["statusSummary"]["status"] == "success", run
        records = run["metrics"]["recordSummary"]
        assert (records["inputRecordCount"], records["failedRecordCount"]) == (3, 1)  # partial ingestion (§11)
        (batch,) = run["activities"][1]["targetInfo"][0]["reference"]["ids"]
        self.kept.update(run=run["id"], batch=batch)
        (found,) = self._ok("GET", f"{CATALOG}/batches/{batch}").json.values()
        assert found["status"] == "success"
        (file,) = self._ok("GET", f"{EXPORT}/batches/{batch}/files").json["data"]
        self.kept["file"] = file["dataSetFileId"]
        parts = self._ok("GET", f"{EXPORT}/files/{file['dataSetFileId']}").json["data"]
        self.kept["part"] = parts[0]["name"]
        whole = self._ok("GET", f"{EXPORT}/files/{file['dataSetFileId']}", query=[("path", parts[0]["name"])])
        assert (len(whole.body), whole.body[:4]) == (int(parts[0]["length"]), b"PAR1")
        rows = self._ok("GET", f"{EXPORT}/datasets/{self.kept['dataSet']}/preview").json["data"]
        assert len(rows) == records["outputRecordCount"] == 2

    def undo(self) -> None:
        """§10: what refers goes before what it refers to, and what is gone is 404."""
        kept, flow = self.kept, f"{FLOW}/flows/{self.kept['flow']}"
        assert self.plain.call("DELETE", f"{FLOW}/targetConnections/{kept['target']}").code == "FLOW-1447-400"
        assert self.plain.call("DELETE", f"{FLOW}/connections/{kept['base']}").code == "FLOW-1418-400"
        assert self.plain.call("DELETE", f"{CONVERSION}/mappingSets/{kept['mappingSet']}").status == 400
        assert self.plain.call("DELETE", self.resource("schemas", "schema")).code == "XDM-1599-400"
        assert self.plain.call("POST", f"{flow}/action", query=[("op", "disable")]).status == 200
        gone = [flow, f"{FLOW}/targetConnections/{kept['target']}", f"{FLOW}/sourceConnections/{kept['source']}"]
        gone += [f"{FLOW}/connections/{kept[name]}" for name in ("base", "sink") if name in kept]
        gone.append(f"{CONVERSION}/mappingSets/{kept['mappingSet']}")
        for path in gone:
            assert self.plain.call("DELETE", path).status == 204, path
            assert self.plain.call("GET", path).status == 404, path
        data_set = f"{CATALOG}/{self.manner.data_sets}/{kept['dataSet']}"
        assert self.plain.call("DELETE", data_set).json == [f"@/dataSets/{kept['dataSet']}"]
        assert self.plain.call("DELETE", data_set).json == []
        assert self.plain.call("GET", data_set).status == 404
        order = [("schemas", "schema"), ("schemas", "adhocSchema"), ("classes", "adhocClass")]
        for kind, name in [*order, (self.manner.groups, "group")]:
            if name not in kept:
                continue
            assert self.plain.call("DELETE", self.resource(kind, name)).status == 204, name
            assert self.plain.call("GET", self.resource(kind, name), headers=STORED).status == 404, name

    def resource(self, kind: str, name: str) -> str:
        """The path of a registry resource that was kept."""
        found = self.kept[name]
        id = quote(found["$id"], safe="") if self.manner.encoded_ids else found["meta:altId"]
        return f"{REGISTRY}/tenant/{kind}/{id}"

    def flow_body(self, name: str, *, once: bool = False) -> Json:
        """A flow over what was made. In 2020 numbers were sent as strings (T2, T12)."""
        start = int(time.time()) + self.ahead_s + FIRST_RUN_S
        schedule: Json = {"startTime": start, "frequency": "minute", "interval": 15}
        version: Json = 0
        if not self.manner.current:
            schedule, version = {"startTime": str(start), "frequency": "minute", "interval": "15"}, "0"
        if once:
            schedule = {"startTime": start, "frequency": "once"}
        copy = {"name": "Copy", "params": {"deltaColumn": {"name": "Create_Time"}}}
        mapping = {
            "name": "Mapping",
            "params": {"mappingId": self.kept["mappingSet"], "mappingVersion": version},
        }
        return {
            "name": name,
            "description": f"[mark:{self.mark}]",
            "flowSpec": {"id": CRM_TO_AEP, "version": "1.0"},
            "sourceConnectionIds": [self.kept["source"]],
            "targetConnectionIds": [self.kept["target"]],
            "transformations": [mapping] if once else [copy, mapping],
            "scheduleParams": schedule,
            "options": {"errorDiagnosticsEnabled": True, "partialIngestionPercent": 50},
        }

    def connection_body(self, name: str) -> Json:
        """A base connection to PayPal (§4.4)."""
        return {
            "name": name,
            "description": f"[mark:{self.mark}]",
            "connectionSpec": {"id": PAYPAL, "version": "1.0"},
            "auth": {
                "specName": "Client-Id-Secret Based Authentication",
                "params": {"host": "api.sandbox.paypal.com", "clientId": "the-id", "clientSecret": "the-secret"},
            },
        }

    def source_body(self, name: str) -> Json:
        """A source connection: a path and an ad hoc schema in 2020, a table and its columns now (§4.5)."""
        data: Json = {"format": "tabular"}
        params: Json = {"tableName": TABLE, "columns": self.columns}
        if not self.manner.current:
            data = {"format": "parquet_xdm", "schema": {"id": self.kept["adhocSchema"]["$id"], "version": NOTEXT}}
            params = {"path": TABLE}
        return {
            "name": name,
            "description": f"[mark:{self.mark}]",
            "baseConnectionId": self.kept["base"],
            "data": data,
            "params": params,
            "connectionSpec": {"id": PAYPAL, "version": "1.0"},
        }

    def target_body(self, name: str) -> Json:
        """A target connection; with the sink's base connection in 2020 (§4.6)."""
        return {
            "name": name,
            "description": f"[mark:{self.mark}]",
            **({} if self.manner.current else {"baseConnectionId": self.kept["sink"]}),
            "data": {"format": "parquet_xdm", "schema": {"id": self.kept["schema"]["$id"], "version": FULL}},
            "params": {"dataSetId": self.kept["dataSet"]},
            "connectionSpec": {"id": SINK, "version": "1.0"},
        }

    def mapping_body(self) -> Json:
        """A mapping set in the dialect of the guides or of the reference (§5)."""
        pairs = [("Product_Id", "_id"), ("Product_Name", f"_{self.kept['tenant']}.product.name")]
        if self.manner.dialect == "tutorial":
            fixed = {"identity": False, "identityGroup": None, "namespaceCode": None, "version": 0}
            listed = [{"destinationXdmPath": path, "sourceAttribute": name, **fixed} for name, path in pairs]
            schema = self.kept["schema"]["$id"]
            return {"version": 0, "xdmSchema": schema, "xdmVersion": "1.0", "id": None, "mappings": listed}
        listed = [{"sourceType": "ATTRIBUTE", "source": name, "destination": path} for name, path in pairs]
        reference = {"id": self.kept["schema"]["$id"], "contentType": FULL}
        return {"name": f"set {self.mark}", "outputSchema": {"schemaRef": reference}, "mappings": listed}

    def _base_connection(self) -> None:
        self.kept["base"] = self._created(f"{FLOW}/connections", self.connection_body(f"paypal {self.mark}"))["id"]

    def _look_into_the_source(self) -> None:
        base = f"{FLOW}/connections/{self.kept['base']}"
        assert self._ok("GET", f"{base}/test").json == {"result": True}
        tables = self._ok("GET", f"{base}/explore", query=[("objectType", "root")]).json
        assert TABLE in [table["path"] for table in tables]
        found = self._ok("GET", f"{base}/explore", query=[("objectType", "table"), ("object", TABLE)]).json
        self.columns = found["schema"]["columns"]
        assert "Create_Time" in [column["name"] for column in self.columns]

    def _ad_hoc_class_and_schema(self) -> None:
        fields = {column["name"]: column["xdm"] for column in self.columns}
        own = {"properties": {"_adhoc": {"type": "object", "properties": fields}}}
        made = self._created(
            f"{REGISTRY}/tenant/classes",
            {"title": f"raw {self.mark}", "type": "object", "allOf": [{"$ref": ADHOC}, own]},
        )
        namespace = f"_{made['$id'].rpartition('/')[2]}"
        assert made["meta:datasetNamespace"] == namespace
        assert list(made["allOf"][1]["properties"]) == [namespace]
        self.kept["adhocClass"] = made
        body = {"title": f"raw schema {self.mark}", "type": "object", "allOf": [{"$ref": made["$id"]}]}
        self.kept["adhocSchema"] = self._created(f"{REGISTRY}/tenant/schemas", body)
        assert self.kept["adhocSchema"]["meta:class"] == made["$id"]
        seen = self._ok("GET", self.resource("schemas", "adhocSchema"), headers=RESOLVED).json
        assert set(seen["properties"][namespace]["properties"]) == set(fields)

    def _source_connection(self) -> None:
        self.kept["source"] = self._created(f"{FLOW}/sourceConnections", self.source_body(f"source {self.mark}"))["id"]

    def _target_schema(self) -> None:
        fields = {"product": {"type": "object", "properties": {"name": {"type": "string"}}}}
        own = {"properties": {f"_{self.kept['tenant']}": {"type": "object", "properties": fields}}}
        self.kept["group"] = self._created(
            f"{REGISTRY}/tenant/{self.manner.groups}",
            {
                "title": f"product {self.mark}",
                "type": "object",
                "meta:intendedToExtend": [PROFILE],
                "definitions": {"f": own},
                "allOf": [{"$ref": "#/definitions/f"}],
            },
        )
        details = f"{PROFILE}-person-details", f"{PROFILE}-personal-details"
        parts = [{"$ref": ref} for ref in (PROFILE, *details, self.kept["group"]["$id"])]
        body = {"title": f"people {self.mark}", "type": "object", "allOf": parts}
        self.kept["schema"] = self._created(f"{REGISTRY}/tenant/schemas", body)
        assert self.kept["schema"]["version"] == "1.0"

    def _data_set(self) -> None:
        heard = self.plain.call(
            "POST",
            f"{CATALOG}/{self.manner.data_sets}",
            {
                "name": f"target {self.mark}",
                "tags": {"provisioner": [f"{self.mark}:dataset"]},
                "schemaRef": {"id": self.kept["schema"]["$id"], "contentType": NOTEXT},
            },
            query=[("requestDataSource", "true")],
        )
        assert heard.status == 201, heard
        (reference,) = heard.json
        self.kept["dataSet"] = reference.rpartition("/")[2]
        assert heard.headers["location"].endswith(self.kept["dataSet"])
        one = self._ok("GET", f"{CATALOG}/{self.manner.data_sets}/{self.kept['dataSet']}").json
        assert list(one) == [self.kept["dataSet"]]

    def _sink(self) -> None:
        query = [("property", f'name=="sink {self.mark}"')]
        assert self._ok("GET", f"{FLOW}/connections", query=query).json["items"] == []
        body = {"name": f"sink {self.mark}", "connectionSpec": {"id": SINK, "version": "1.0"}}
        self.kept["sink"] = self._created(f"{FLOW}/connections", body)["id"]
        (found,) = self._ok("GET", f"{FLOW}/connections", query=query).json["items"]
        assert found["id"] == self.kept["sink"]

    def _target_connection(self) -> None:
        self.kept["target"] = self._created(f"{FLOW}/targetConnections", self.target_body(f"target {self.mark}"))["id"]

    def _mapping_set(self) -> None:
        body = self.mapping_body()
        judged = self._ok("POST", f"{CONVERSION}/mappingSets/validate", body).json["validationResponse"]
        assert [entry["status"] for entry in judged] == ["SUCCESS", "SUCCESS"]
        made = self._ok("POST", f"{CONVERSION}/mappingSets", body).json  # 200, not 201
        assert made["version"] == 0
        self.kept["mappingSet"] = made["id"]
        read = self._ok("GET", f"{CONVERSION}/mappingSets/{made['id']}").json["mappings"][0]
        assert read["source"] == read["sourceAttribute"] == "Product_Id"
        assert read["destination"] == read["destinationXdmPath"] == "_id"
        self.kept["mapping"] = read["id"]

    def _flow_spec(self) -> None:
        (spec,) = self._ok("GET", f"{FLOW}/flowSpecs", query=[("property", 'name=="CRMToAEP"')]).json["items"]
        assert spec["id"] == CRM_TO_AEP
        assert PAYPAL in spec["sourceConnectionSpecIds"]
        assert spec["targetConnectionSpecIds"] == [SINK]

    def _created(self, path: str, body: Json) -> Json:
        heard = self.plain.call("POST", path, body)
        assert heard.status == 201, (path, heard)
        if path.startswith(FLOW):
            assert set(heard.json) == {"id", "etag"}
            assert heard.headers["location"].endswith(heard.json["id"])
        return heard.json

    def _ok(self, method: str, path: str, body: Json = None, **how: Any) -> Heard:
        heard = self.plain.call(method, path, body, **how)
        assert heard.status == 200, (method, path, heard)
        assert heard.headers["x-request-id"]
        return heard
