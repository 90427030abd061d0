"""An emulator whose clock the test owns, plain callers of it, and the bodies of one full pass (platform-api.md §16)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, CONVERSION, FLOW, REGISTRY, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options
from flowledger.emulator.server import Server, serve
from tests.contract.plain import Plain
from tests.contract.route_cases import World
from tests.serving import served_from_a_thread

START = 1_700_000_000.0
PAYPAL = "221c7626-58f6-4eec-8ee2-042b0226f03b"
SINK = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
CRM_TO_AEP = "14518937-270c-4525-bdec-c2ba7cce3860"
PROFILE = "https://ns.adobe.com/xdm/context/profile"
MEDIA_TYPE = "application/vnd.adobe.xed-full+json;version=1"


class HandClock:
    """Seconds since the epoch that pass only when told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def pass_ms(self, ms: int) -> None:
        self.now += ms / 1000


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def emulator(clock: HandClock) -> Iterator[Emulator]:
    emulator = Emulator(clock=clock)
    yield emulator
    emulator.close()


@pytest.fixture
def prod(emulator: Emulator) -> Caller:
    return Caller(emulator)


@pytest.fixture
def dev(emulator: Emulator) -> Caller:
    return Caller(emulator, sandbox="dev")


@pytest.fixture
async def served(emulator: Emulator) -> AsyncIterator[Server]:
    server = await serve(emulator)
    yield server
    await server.close()


def paypal_body(name: str = "paypal") -> dict[str, Any]:
    return {
        "name": name,
        "connectionSpec": {"id": PAYPAL, "version": "1.0"},
        "auth": {
            "specName": "Client-Id-Secret Based Authentication",
            "params": {"host": "api.sandbox.paypal.com", "clientId": "the-id", "clientSecret": "the-secret"},
        },
    }


class Pass:
    """Makes what a flow needs, by plain calls, and gives the bodies to send next."""

    def __init__(self, caller: Caller, clock: HandClock) -> None:
        self.caller = caller
        self.clock = clock
        self.schema = ""
        self.dataset = ""
        self.base = ""
        self.source = ""
        self.target = ""
        self.mapping_set = ""

    def paypal_body(self, name: str = "paypal") -> dict[str, Any]:
        return paypal_body(name)

    def sink_body(self, name: str = "sink") -> dict[str, Any]:
        return {"name": name, "connectionSpec": {"id": SINK, "version": "1.0"}}

    def source_body(self, name: str = "source") -> dict[str, Any]:
        return {
            "name": name,
            "baseConnectionId": self.base,
            "data": {"format": "tabular"},
            "params": {"tableName": "PayPal.Catalog_Products", "columns": [{"name": "Product_Id", "type": "string"}]},
            "connectionSpec": {"id": PAYPAL, "version": "1.0"},
        }

    def target_body(self, name: str = "target") -> dict[str, Any]:
        return {
            "name": name,
            "data": {"format": "parquet_xdm", "schema": {"id": self.schema, "version": MEDIA_TYPE}},
            "params": {"dataSetId": self.dataset},
            "connectionSpec": {"id": SINK, "version": "1.0"},
        }

    def mapping_body(self, destination: str = "person.name.firstName", schema: str = "") -> dict[str, Any]:
        return {
            "version": 0,
            "xdmSchema": schema or self.schema,
            "xdmVersion": "1.0",
            "id": None,
            "mappings": [
                {
                    "destinationXdmPath": destination,
                    "sourceAttribute": "Product_Name",
                    "identity": False,
                    "identityGroup": None,
                    "namespaceCode": None,
                    "version": 0,
                }
            ],
        }

    def flow_body(self, name: str = "flow") -> dict[str, Any]:
        return {
            "name": name,
            "flowSpec": {"id": CRM_TO_AEP, "version": "1.0"},
            "sourceConnectionIds": [self.source],
            "targetConnectionIds": [self.target],
            "transformations": [
                {"name": "Copy", "params": {"deltaColumn": {"name": "Create_Time"}}},
                {"name": "Mapping", "params": {"mappingId": self.mapping_set, "mappingVersion": 0}},
            ],
            "scheduleParams": {"startTime": int(self.clock.now) + 3600, "frequency": "minute", "interval": 30},
        }

    def make(self, path: str, body: Any) -> dict[str, Any]:
        reply = self.caller.send("POST", path, body)
        assert reply.status in (200, 201), reply.response
        made: dict[str, Any] = reply.json
        return made

    def make_schema(self, title: str) -> str:
        groups = [f"{PROFILE}-person-details", f"{PROFILE}-personal-details"]
        body = {"title": title, "type": "object", "allOf": [{"$ref": ref} for ref in (PROFILE, *groups)]}
        return str(self.make(f"{REGISTRY}/tenant/schemas", body)["$id"])

    def make_dataset(self, schema: str, name: str = "dataset") -> str:
        body = {"name": name, "schemaRef": {"id": schema, "contentType": MEDIA_TYPE}}
        reply = self.caller.send("POST", f"{CATALOG}/dataSets", body, query=[("requestDataSource", "true")])
        assert reply.status == 201, reply.response
        return str(reply.json[0]).rpartition("/")[2]

    def upto_flow(self) -> Pass:
        """Everything but the flow."""
        self.base = self.make(f"{FLOW}/connections", self.paypal_body())["id"]
        self.source = self.make(f"{FLOW}/sourceConnections", self.source_body())["id"]
        self.schema = self.make_schema("Target schema")
        self.dataset = self.make_dataset(self.schema)
        self.target = self.make(f"{FLOW}/targetConnections", self.target_body())["id"]
        self.mapping_set = self.make(f"{CONVERSION}/mappingSets", self.mapping_body())["id"]
        return self

    def make_flow(self) -> str:
        return str(self.make(f"{FLOW}/flows", self.flow_body())["id"])


@pytest.fixture
def a_pass(prod: Caller, clock: HandClock) -> Pass:
    return Pass(prod, clock)


@pytest.fixture
def pass_of(clock: HandClock) -> Callable[[Caller], Pass]:
    return lambda caller: Pass(caller, clock)


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Plain]:
    """A client that is not ours, connected to an emulator that serves a folder with one table."""
    with _plain(tmp_path / "sources", Options()) as client:
        yield client


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A tutorial that was made, where drafts are supported; shared, so that each case makes what it uses up."""
    with _plain(tmp_path_factory.mktemp("world") / "sources", Options(draft_mode_supported=True)) as client:
        yield World(client)


@contextmanager
def _plain(sources: Path, options: Options) -> Iterator[Plain]:
    sources.mkdir()
    rows = ["Product_Id,Product_Name,Create_Time", "P-1,Tea,2020-01-01T00:00:00Z", "P-2,Cup,2020-01-02T00:00:00Z"]
    rows.append("P-3,too,many,fields")
    (sources / "PayPal.Catalog_Products.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    with served_from_a_thread(Emulator(sources=sources, options=options)) as url:
        client = Plain(url)
        yield client
        client.close()
