"""An emulator over a folder of tables whose clock the test owns, and a flow over a table of it, by plain calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flowledger.emulator.caller import CATALOG, CONVERSION, FLOW, REGISTRY, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.data.landing import Disk, Lake
from flowledger.emulator.options import Options

START = 1_700_000_000  # seconds since the epoch
MINUTE = 60
TABLE = "PayPal.Catalog_Products"
PAYPAL = "221c7626-58f6-4eec-8ee2-042b0226f03b"
SINK = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
CRM_TO_AEP = "14518937-270c-4525-bdec-c2ba7cce3860"
PROFILE = "https://ns.adobe.com/xdm/context/profile"
MEDIA_TYPE = "application/vnd.adobe.xed-full+json;version=1"
EXPORT = "/data/foundation/export"


class HandClock:
    """Seconds since the epoch that pass only when told."""

    def __init__(self) -> None:
        self.now = float(START)

    def __call__(self) -> float:
        return self.now


class Ingestion:
    """An emulator over `folder`, with everything that a flow over TABLE needs; state in `state`, so it can restart."""

    def __init__(self, folder: Path, state: Path, clock: HandClock, **options: Any) -> None:
        self.folder, self.state, self.clock = folder, state, clock
        self.options = options
        self.disk: Disk | None = None
        self.open()
        self.target_params: dict[str, Any] = {}
        self.source_params: dict[str, Any] = {}

    def open(self) -> None:
        """Start the emulator; again after `close` or a death."""
        options = Options(**self.options)
        self.emulator = Emulator(clock=self.clock, options=options, state=self.state, sources=self.folder)
        self.caller = Caller(self.emulator)

    def write(self, *rows: tuple[str, str, int], header: bool = False) -> None:
        """Append rows to the table: id, name, and when, in seconds after START."""
        path = self.folder / f"{TABLE}.csv"
        lines = [f"{key},{name},{at(seconds)}" for key, name, seconds in rows]
        if header or not path.exists():
            lines.insert(0, "Product_Id,Product_Name,Create_Time")
        with path.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def make(self, path: str, body: Any, query: tuple[tuple[str, str], ...] = ()) -> Any:
        """A create; returns what was answered."""
        reply = self.caller.send("POST", path, body, query=query)
        assert reply.status in (200, 201), reply.response
        return reply.json

    def provision(self, *mappings: tuple[str, str], title: str = "People") -> None:
        """Everything but the flow."""
        groups = [f"{PROFILE}-person-details", f"{PROFILE}-personal-details"]
        schema = {"title": title, "type": "object", "allOf": [{"$ref": ref} for ref in (PROFILE, *groups)]}
        self.schema = str(self.make(f"{REGISTRY}/tenant/schemas", schema)["$id"])
        body = {"name": "rows", "schemaRef": {"id": self.schema, "contentType": MEDIA_TYPE}}
        made = self.make(f"{CATALOG}/dataSets", body, (("requestDataSource", "true"),))
        self.data_set = str(made[0]).rpartition("/")[2]
        auth = {
            "specName": "Client-Id-Secret Based Authentication",
            "params": {"host": "api.sandbox.paypal.com", "clientId": "the-id", "clientSecret": "the-secret"},
        }
        base = {"name": "paypal", "connectionSpec": {"id": PAYPAL, "version": "1.0"}, "auth": auth}
        self.base = self.make(f"{FLOW}/connections", base)["id"]
        source = {
            "name": "source",
            "baseConnectionId": self.base,
            "data": {"format": "tabular"},
            "params": {"tableName": TABLE, **self.source_params},
            "connectionSpec": {"id": PAYPAL, "version": "1.0"},
        }
        self.source = self.make(f"{FLOW}/sourceConnections", source)["id"]
        target = {
            "name": "target",
            "data": {"format": "parquet_xdm", "schema": {"id": self.schema, "version": MEDIA_TYPE}},
            "params": {"dataSetId": self.data_set},
            "connectionSpec": {"id": SINK, "version": "1.0"},
        }
        self.target = self.make(f"{FLOW}/targetConnections", target)["id"]
        wanted = mappings or (("Product_Id", "_id"), ("Product_Name", "person.name.firstName"))
        listed = [{"sourceType": "ATTRIBUTE", "source": left, "destination": right} for left, right in wanted]
        listed = [
            {**one, "sourceType": "EXPRESSION"} if "(" in one["source"] or "/" in one["source"] else one
            for one in listed
        ]
        mapping_set = {"outputSchema": {"schemaRef": {"id": self.schema, "contentType": MEDIA_TYPE}}}
        self.mapping_set = self.make(f"{CONVERSION}/mappingSets", {**mapping_set, "mappings": listed})["id"]

    def flow(self, *, frequency: str = "minute", start: int = START + 15 * MINUTE, **more: Any) -> str:
        """A flow; periodic ones every 15 minutes unless told otherwise. `start` in seconds since the epoch."""
        schedule = {"startTime": start, "frequency": frequency}
        options, delta = more.pop("options", None), {"name": "Create_Time", **more.pop("delta", {})}
        if frequency != "once":
            schedule |= {"interval": 15 if frequency == "minute" else 1, **more}
        copy = [] if frequency == "once" else [{"name": "Copy", "params": {"deltaColumn": delta}}]
        body = {
            "name": f"flow {self.emulator.count('flows')}",
            "flowSpec": {"id": CRM_TO_AEP, "version": "1.0"},
            "sourceConnectionIds": [self.source],
            "targetConnectionIds": [self.target],
            "transformations": [
                *copy,
                {"name": "Mapping", "params": {"mappingId": self.mapping_set, "mappingVersion": 0}},
            ],
            "scheduleParams": schedule,
            **({"options": options} if options else {}),
        }
        return str(self.make(f"{FLOW}/flows", body)["id"])

    def act(self, flow: str, operation: str) -> None:
        """Enable or disable the flow."""
        reply = self.caller.send("POST", f"{FLOW}/flows/{flow}/action", query=[("op", operation)])
        assert reply.status == 200, reply.response

    def at(self, seconds: int) -> None:
        """Let it be so many seconds after START, and have the emulator notice."""
        self.clock.now = float(START + seconds)
        self.emulator.count("runs")
        self.caller.forget_token()  # it may have expired

    def runs(self) -> list[dict[str, Any]]:
        """The records of all runs, oldest first, as they are kept."""
        return self.emulator.objects("runs")

    def statuses(self) -> list[str]:
        """The state of each run."""
        return [run["metrics"]["statusSummary"]["status"] for run in self.runs()]

    def messages(self, run: dict[str, Any]) -> list[str]:
        """What a run says of its errors."""
        return [error["message"] for error in run["metrics"]["statusSummary"]["errors"]]

    def batches(self) -> dict[str, dict[str, Any]]:
        """The batches of the data set as Catalog lists them."""
        found: dict[str, dict[str, Any]] = self.caller.send("GET", f"{CATALOG}/batches", query=[("limit", "100")]).json
        return found

    def landed(self) -> list[list[str]]:
        """The ids of the rows of each batch that Catalog shows as a success, oldest first."""
        return [[row["_id"] for row in rows] for rows in self.rows_of_batches()]

    def rows_of_batches(self) -> list[list[dict[str, Any]]]:
        """The rows of each batch that Catalog shows as a success, oldest first."""
        return [
            pq.read_table(self.part(batch)).to_pylist()
            for batch, told in self.batches().items()
            if told["status"] == "success"
        ]

    def part(self, batch: str) -> Path:
        """The Parquet file of a batch."""
        return self.lake.batch_folder(self.data_set, batch) / "part-0.parquet"

    @property
    def lake(self) -> Lake:
        """Where batches land."""
        assert self.emulator.world.lake is not None
        return self.emulator.world.lake


def at(seconds: int) -> str:
    """The moment so many seconds after START, as a source has it."""
    return f"{datetime.fromtimestamp(START + seconds, UTC):%Y-%m-%d %H:%M:%S}"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def ingestion_with(folder: Path, tmp_path: Path, clock: HandClock) -> Iterator[Callable[..., Ingestion]]:
    """Makes an ingestion with options of the emulator."""
    made: list[Ingestion] = []

    def make(**options: Any) -> Ingestion:
        made.append(Ingestion(folder, tmp_path / "state", clock, **options))
        return made[-1]

    yield make
    for one in made:
        one.emulator.close()


@pytest.fixture
def ingestion(ingestion_with: Callable[..., Ingestion]) -> Ingestion:
    return ingestion_with()


@pytest.fixture
def ingestion_class() -> type[Ingestion]:
    return Ingestion


@pytest.fixture
def hand_clock() -> type[HandClock]:
    return HandClock


@pytest.fixture
def moment_of() -> Callable[[int], str]:
    return at
