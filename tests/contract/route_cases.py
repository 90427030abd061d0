"""What every route is asked, rightly and wrongly, and what it must answer: a table, one function a service."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.contract.plain import CATALOG, CONVERSION, FLOW, REGISTRY, Heard, Json, Plain
from tests.contract.tutorial import PROFILE, STORED, Manner, Tutorial

UNKNOWN = "0af5e4a7-0000-4000-a000-000000000000"
RECORD = "https://ns.adobe.com/xdm/data/record"


class World:
    """A tutorial that was made up to its batches, and fresh objects for what a call would use up."""

    def __init__(self, plain: Plain) -> None:
        self.plain = plain
        self.made = Tutorial(plain, Manner(dialect="reference"))
        self.made.up_to_the_flow()
        self.made.flow()
        self.made.runs_and_batches()
        self._numbers = itertools.count()
        self._two = ""

    def kept(self, name: str) -> Any:
        """What the tutorial kept."""
        return self.made.kept[name]

    def fresh_name(self) -> str:
        """A name that nothing has."""
        return f"fresh {next(self._numbers)}"

    def created(self, path: str, body: Json, **how: Any) -> Json:
        """The answer to a create that must succeed."""
        heard = self.plain.call("POST", path, body, **how)
        assert heard.status in (200, 201), (path, heard)
        return heard.json

    def resource(self, kind: str) -> str:
        """The altId of a fresh resource of the registry."""
        return str(self.created(f"{REGISTRY}/tenant/{kind}", resource_body(self, kind))["meta:altId"])

    def exported(self) -> Json:
        """A fresh class as it is carried to another sandbox."""
        return self.plain.call("GET", f"{REGISTRY}/rpc/export/{self.resource('classes')}").json

    def descriptor_body(self) -> Json:
        """A descriptor on a schema of its own."""
        parts = [{"$ref": PROFILE}, {"$ref": f"{PROFILE}-personal-details"}]
        body = {"title": self.fresh_name(), "type": "object", "allOf": parts}
        schema = self.created(f"{REGISTRY}/tenant/schemas", body)
        return {
            "@type": "xdm:descriptorIdentity",
            "xdm:sourceSchema": schema["$id"],
            "xdm:sourceVersion": 1,
            "xdm:sourceProperty": "/personalEmail/address",
            "xdm:namespace": "Email",
            "xdm:property": "xdm:code",
            "xdm:isPrimary": True,
        }

    def descriptor(self) -> str:
        """The id of a fresh descriptor."""
        return str(self.created(f"{REGISTRY}/tenant/descriptors", self.descriptor_body())["@id"])

    def union(self) -> str:
        """The altId of a union that has a schema."""
        body = self.descriptor_body()
        self.created(f"{REGISTRY}/tenant/descriptors", body)
        schema = body["xdm:sourceSchema"].removeprefix("https://ns.adobe.com/").replace("/", ".")
        patch = [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}]
        assert self.plain.call("PATCH", f"{REGISTRY}/tenant/schemas/_{schema}", patch).status == 200
        heard = self.plain.call("GET", f"{REGISTRY}/tenant/unions", headers={"Accept": STORED["Accept"].split(";")[0]})
        return str(heard.json["results"][0]["meta:altId"])

    def data_set_body(self) -> Json:
        """A dataset of the tutorial's schema."""
        return {"name": self.fresh_name(), "schemaRef": {"id": self.kept("schema")["$id"]}}

    def data_set(self) -> str:
        """The id of a fresh dataset."""
        query = [("requestDataSource", "true")]
        (reference,) = self.created(f"{CATALOG}/dataSets", self.data_set_body(), query=query)
        return str(reference).rpartition("/")[2]

    def data_source(self) -> str:
        """The id of the tutorial's data source."""
        (found,) = self.plain.call("GET", f"{CATALOG}/dataSets/{self.kept('dataSet')}").json.values()
        return str(found["dataSourceId"])

    def mapping_set(self) -> str:
        """The id of a fresh mapping set."""
        return str(self.created(f"{CONVERSION}/mappingSets", self.made.mapping_body())["id"])

    def two_mappings(self) -> str:
        """The id of a fresh mapping set of two mappings, the first of which `one_of_two` is."""
        body = self.made.mapping_body()
        self._two = str(self.created(f"{CONVERSION}/mappingSets", {**body, "mappings": body["mappings"] * 2})["id"])
        return self._two

    def one_of_two(self) -> str:
        """The id of the first mapping of the set that `two_mappings` made last."""
        return str(self.plain.call("GET", f"{CONVERSION}/mappingSets/{self._two}").json["mappings"][0]["id"])

    def flow_body_of(self, kind: str) -> Json:
        """What a create of Flow Service is sent."""
        writers: dict[str, Callable[[str], Json]] = {
            "connections": self.made.connection_body,
            "sourceConnections": self.made.source_body,
            "targetConnections": self.made.target_body,
            "flows": self.made.flow_body,
        }
        return writers[kind](self.fresh_name())

    def flow_object(self, kind: str) -> str:
        """The id of a fresh object of Flow Service."""
        return str(self.created(f"{FLOW}/{kind}", self.flow_body_of(kind))["id"])

    def draft(self, kind: str) -> str:
        """The id of a fresh draft."""
        return str(self.created(f"{FLOW}/{kind}", self.flow_body_of(kind), query=[("mode", "draft")])["id"])

    def once(self) -> str:
        """The id of a fresh flow that runs on demand."""
        return str(self.created(f"{FLOW}/flows", self.made.flow_body(self.fresh_name(), once=True))["id"])

    def run_body(self, flow: str, **changed: Any) -> Json:
        """A run on demand."""
        params = {"startTime": 1, "windowStartTime": 1, "windowEndTime": 2, "deltaColumn": {"name": "Create_Time"}}
        return {"flowId": flow, "params": {**params, **changed}}

    def failed_run(self) -> str:
        """The id of a run that failed."""
        run = self.created("/_emulator/runs", {"flowId": self.flow_object("flows"), "window": {}})["id"]
        self.created(f"/_emulator/runs/{run}", {"outcome": {"status": "failed"}})
        return str(run)

    def etag_of(self, kind: str, id: str) -> str:
        """The etag that an object has now."""
        (item,) = self.plain.call("GET", f"{FLOW}/{kind}/{id}").json["items"]
        return str(item["etag"])


Made = Callable[[World], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One call and what it must be answered. Whatever depends on the world is a function of it."""

    method: str
    template: str
    why: str
    status: int
    code: str = ""
    ids: Mapping[str, str | Made] = field(default_factory=dict)
    body: Any = None
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str | Made] = field(default_factory=dict)
    happy: bool = False

    @property
    def name(self) -> str:
        """What the test is called."""
        return f"{self.method} {self.template.removeprefix('/data/foundation/')}: {self.why}"

    def ask(self, world: World) -> Heard:
        """Make the call."""
        ids = {name: made(world) if callable(made) else made for name, made in self.ids.items()}
        body = self.body(world) if callable(self.body) else self.body
        fixed = {name: made for name, made in self.headers.items() if isinstance(made, str)}
        later = {
            name: str(made(world, ids["id"]) if name == "If-Match" else made(world))  # type: ignore[call-arg] # If-Match is of the object
            for name, made in self.headers.items()
            if callable(made)
        }
        path = self.template.format(**ids)
        return world.plain.call(self.method, path, body, query=self.query, headers=fixed | later)


def kept(name: str) -> Made:
    """What the tutorial kept under a name."""
    return lambda world: world.kept(name)


def right(method: str, template: str, *, status: int = 200, why: str = "right", **how: Any) -> Case:
    """A call that succeeds."""
    return Case(method=method, template=template, why=why, status=status, happy=True, **how)


def wrong(method: str, template: str, why: str, status: int, code: str, **how: Any) -> Case:
    """A call that is refused."""
    return Case(method=method, template=template, why=why, status=status, code=code, **how)


def resource_body(world: World, kind: str) -> Json:
    """What a create of the registry is sent."""
    body: Json = {"title": world.fresh_name(), "type": "object"}
    fields = {"properties": {"_localtenant": {"type": "object", "properties": {"note": {"type": "string"}}}}}
    match kind:
        case "classes":
            return {**body, "allOf": [{"$ref": RECORD}]}
        case "schemas":
            return {**body, "allOf": [{"$ref": PROFILE}]}
        case "datatypes":
            return {**body, "properties": {"note": {"type": "string"}}}
    return {**body, "meta:intendedToExtend": [PROFILE], "allOf": [fields]}


def every(*tables: Callable[[], Iterator[Case]]) -> list[Case]:
    """All cases of the tables, each under a name of its own."""
    cases = [case for table in tables for case in table()]
    assert len({case.name for case in cases}) == len(cases), "two cases of one name"
    return cases
