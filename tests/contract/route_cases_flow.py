"""The cases of Conversion and Flow Service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.contract.plain import CONVERSION, FLOW
from tests.contract.route_cases import UNKNOWN, Case, World, kept, right, wrong
from tests.contract.tutorial import CRM_TO_AEP, SINK, TABLE

RENAMED = [{"op": "replace", "path": "/name", "value": "renamed"}]
USED = {"connections": "base", "sourceConnections": "source", "targetConnections": "target", "flows": "flow"}
IN_USE = {"connections": "FLOW-1418-400", "sourceConnections": "FLOW-1447-400", "targetConnections": "FLOW-1447-400"}


def conversion() -> Iterator[Case]:
    """Mapping sets and expressions; every refusal is MAPPER-400 or MAPPER-404 (U7)."""
    sets, one = f"{CONVERSION}/mappingSets", f"{CONVERSION}/mappingSets/{{id}}"
    bad, absent, fresh, unknown = "MAPPER-400", "MAPPER-404", {"id": World.mapping_set}, {"id": UNKNOWN}

    def sent(world: World, **changed: Any) -> Any:
        return {**world.made.mapping_body(), **changed}

    def mapped(**changed: Any) -> list[dict[str, Any]]:
        return [{"source": "Product_Id", "destination": "_id", "sourceType": "ATTRIBUTE", **changed}]

    yield right("POST", sets, body=sent)
    for why, changed in (
        ("no mappings", {"mappings": []}),
        ("an unknown schema", {"xdmSchema": "none"}),
        ("an unknown source type", {"mappings": mapped(sourceType="GUESS")}),
        ("a destination that is no text", {"mappings": mapped(destination=["_id"])}),
    ):
        yield wrong("POST", sets, why, 400, bad, body=lambda w, c=changed: sent(w, **c))
    unmapped = {"mappings": mapped(destination="no.such.path")}
    asked = (("validate", "true"),)
    yield wrong("POST", sets, "a path of no field", 400, bad, body=lambda w: sent(w, **unmapped), query=asked)
    paged = (("limit", "10"), ("start", "0"))
    yield right("GET", sets, query=paged)
    yield right("GET", sets, why="no start", query=(("limit", "10"),))
    yield wrong("GET", sets, "no limit", 400, bad)
    yield wrong("GET", sets, "a parameter that it lacks", 400, bad, query=(*paged, ("nonsense", "x")))
    yield wrong("GET", sets, "another filter", 400, bad, query=(*paged, ("property", "name==x")))
    yield wrong("GET", sets, "another order", 400, bad, query=(*paged, ("orderBy", "colour")))
    yield right("GET", one, ids=fresh)
    yield wrong("GET", one, "unknown", 404, absent, ids=unknown)
    yield wrong("GET", one, "a version to come", 404, absent, ids=fresh, query=(("version", "7"),))
    yield wrong("GET", one, "a version that is none", 400, bad, ids=fresh, query=(("version", "x"),))
    yield right("PUT", one, ids=fresh, body=sent)
    yield wrong("PUT", one, "unknown", 404, absent, ids=unknown, body=sent)
    yield wrong("PUT", one, "another id in the body", 400, bad, ids=fresh, body=lambda w: sent(w, id=UNKNOWN))
    yield right("DELETE", one, ids=fresh, status=204)
    yield wrong("DELETE", one, "unknown", 404, absent, ids=unknown)
    yield wrong("DELETE", one, "in use", 400, bad, ids={"id": kept("mappingSet")})
    yield right("GET", f"{one}/mappings", ids=fresh)
    yield wrong("GET", f"{one}/mappings", "unknown", 404, absent, ids=unknown)
    two = {"id": kept("mappingSet"), "mid": kept("mapping")}
    yield right("GET", f"{one}/mappings/{{mid}}", ids=two)
    yield wrong("GET", f"{one}/mappings/{{mid}}", "unknown", 404, absent, ids={**two, "mid": UNKNOWN})
    (lone,) = mapped()
    yield right("POST", f"{one}/mappings", ids=fresh, body=lone)
    yield wrong("POST", f"{one}/mappings", "unknown", 404, absent, ids=unknown, body=lone)
    yield wrong("POST", f"{one}/mappings", "no mapping", 400, bad, ids=fresh, body={"source": "x"})
    below = f"{one}/mappings/{{mid}}"
    yield right("PUT", below, ids=two, body=lone)
    yield wrong("PUT", below, "unknown", 404, absent, ids={**two, "mid": UNKNOWN}, body=lone)
    yield right("DELETE", below, ids={"id": World.two_mappings, "mid": World.one_of_two}, status=204)
    yield wrong("DELETE", below, "unknown", 404, absent, ids={**two, "mid": UNKNOWN})
    for what in ("functions", "operators"):
        listed, nowhere = f"{CONVERSION}/languages/el/{what}", {"x-sandbox-name": "nowhere"}
        yield right("GET", listed)
        yield wrong("GET", listed, "unknown sandbox", 404, absent, headers=nowhere)
    yield right("POST", f"{sets}/validate", body=sent)
    yield wrong("POST", f"{sets}/validate", "no mappings", 400, bad, body={})
    row = {"Product_Id": "P-1", "Product_Name": "Tea"}
    yield right("POST", f"{sets}/preview", body=lambda w: {"data": row, "mappingSet": sent(w)})
    yield wrong("POST", f"{sets}/preview", "no data", 400, bad, body=lambda w: {"mappingSet": sent(w)})
    tried = f"{CONVERSION}/languages/el/validate"
    yield right("POST", tried, body={"expression": {"expression": "concat(a, b)"}})
    yield wrong("POST", tried, "no expression", 400, bad, body={"expression": 1})


def flow_service() -> Iterator[Case]:
    """Connections, flows, specs, searches, runs."""
    for kind in USED:
        yield from _objects(kind)
    yield from _creates()
    for kind, id in (("connectionSpecs", SINK), ("flowSpecs", CRM_TO_AEP)):
        yield right("GET", f"{FLOW}/{kind}", query=(("property", f"id=={id}"),))
        yield wrong("GET", f"{FLOW}/{kind}", "an unknown field", 400, "FLOW-1449-400", query=(("property", "no==x"),))
        yield right("GET", f"{FLOW}/{kind}/{{id}}", ids={"id": id})
        yield wrong("GET", f"{FLOW}/{kind}/{{id}}", "unknown", 404, "FLOW-1439-404", ids={"id": UNKNOWN})
    for kind in ("connections", "flows", "flowSpecs"):
        search = f"{FLOW}/{kind}/search"
        yield right("POST", search, body={"limit": 5, "count": True})
        yield wrong("POST", search, "a query, undocumented", 400, "FLOW-1452-400", body={"queryString": "a"})
        yield wrong("POST", search, "a limit too large", 400, "FLOW-1452-400", body={"limit": 1001})
        yield wrong("POST", search, "no object", 400, "FLOW-1405-400", body=[])
    yield from _explore()
    yield from _runs()


def _objects(kind: str) -> Iterator[Case]:
    base, one = f"{FLOW}/{kind}", f"{FLOW}/{kind}/{{id}}"
    unknown, absent = {"id": UNKNOWN}, "FLOW-1439-404"

    def fresh(world: World) -> str:
        return world.flow_object(kind)

    def etag(world: World, id: str = "") -> str:
        return world.etag_of(kind, id)

    yield right("POST", base, body=lambda w: w.flow_body_of(kind), status=201)
    spec = "flowSpec" if kind == "flows" else "connectionSpec"
    for why, code, changed in (
        ("a state", "FLOW-1410-400", {"state": "enabled"}),
        ("an unknown spec", "FLOW-1413-400", {spec: {"id": UNKNOWN, "version": "1.0"}}),
        ("another version of the spec", "FLOW-1413-400", {spec: {"id": SINK, "version": "9.0"}}),
    ):
        yield wrong("POST", base, why, 400, code, body=lambda w, c=changed: {**w.flow_body_of(kind), **c})
    yield wrong("POST", base, "an empty body", 400, "FLOW-1405-400", body={})
    mode = (("mode", "live"),)
    yield wrong(
        "POST", base, "another mode", 400, "CONNECTOR-1368-400", body=lambda w: w.flow_body_of(kind), query=mode
    )
    yield from _listed(base)
    yield right("GET", one, ids={"id": fresh})
    yield wrong("GET", one, "unknown", 404, absent, ids=unknown)
    changing: dict[str, Any] = {"ids": {"id": fresh}, "headers": {"If-Match": etag}}
    yield right("PATCH", one, body=RENAMED, **changing)
    yield wrong("PATCH", one, "unknown", 404, absent, ids=unknown, body=RENAMED, headers={"If-Match": '"x"'})
    yield wrong("PATCH", one, "no If-Match", 400, "FLOW-1403-400", ids={"id": fresh}, body=RENAMED)
    stale = {"If-Match": '"stale"'}
    yield wrong("PATCH", one, "a stale etag", 412, "FLOW-1404-412", ids={"id": fresh}, body=RENAMED, headers=stale)
    unquoted = {"If-Match": lambda w, id: etag(w, id).strip('"')}
    yield wrong("PATCH", one, "no quotes", 412, "FLOW-1404-412", ids={"id": fresh}, body=RENAMED, headers=unquoted)
    for why, code, patch in (
        ("an empty body", "FLOW-1405-400", []),
        ("another operation", "FLOW-1434-400", [{"op": "move", "path": "/name", "from": "/description"}]),
        ("a path that is not there", "FLOW-1455-400", [{"op": "remove", "path": "/none"}]),
        ("the state", "FLOW-1410-400", [{"op": "replace", "path": "/state", "value": "enabled"}]),
    ):
        yield wrong("PATCH", one, why, 400, code, body=patch, **changing)
    yield right("DELETE", one, ids={"id": fresh}, status=204)
    yield wrong("DELETE", one, "unknown", 404, absent, ids=unknown)
    if kind in IN_USE:
        yield wrong("DELETE", one, "in use", 400, IN_USE[kind], ids={"id": kept(USED[kind])})
    act = f"{one}/action"
    operation = "disable" if kind == "flows" else "publish"
    acted = fresh if kind == "flows" else lambda w: w.draft(kind)
    yield right("POST", act, ids={"id": acted}, query=(("op", operation),))
    illegal = "enable" if kind == "flows" else "publish"
    yield wrong("POST", act, "not in this state", 400, "FLOW-1422-400", ids={"id": fresh}, query=(("op", illegal),))
    yield wrong("POST", act, "no operation", 400, "FLOW-1409-400", ids={"id": fresh})
    yield wrong("POST", act, "unknown", 404, absent, ids=unknown, query=(("op", operation),))


def _listed(base: str, **how: Any) -> Iterator[Case]:
    yield right("GET", base, query=(("limit", "1"), ("orderby", "-createdAt")), **how)
    for why, code, query in (
        ("count with limit", "FLOW-1401-400", (("count", "true"), ("limit", "1"))),
        ("a pattern", "FLOW-1440-400", (("property", "name~x"),)),
        ("several values, unequal", "FLOW-1443-400", (("property", "name!=a,b"),)),
        ("a range of names", "FLOW-1448-400", (("property", "name>a"),)),
        ("an unknown field", "FLOW-1449-400", (("property", "colour==a"),)),
        ("no value", "FLOW-1452-400", (("property", "name=="),)),
        ("a range of no number", "FLOW-1453-400", (("property", "createdAt>a"),)),
        ("an order by nothing", "FLOW-1432-400", (("orderby", "-"),)),
        ("another order", "FLOW-1433-400", (("orderby", "colour"),)),
        ("limit 0", "FLOW-1452-400", (("limit", "0"),)),
        ("a token of nobody", "FLOW-1452-400", (("continuationToken", "x"),)),
    ):
        yield wrong("GET", base, why, 400, code, query=query, **how)


def _creates() -> Iterator[Case]:
    """§4.4 to §4.7: what each create is refused for."""
    auth = {"specName": "None", "params": {}}
    listed: list[tuple[str, str, int, str, dict[str, Any]]] = [
        ("connections", "another way to authenticate", 400, "FLOW-1415-400", {"auth": auth}),
        ("connections", "no credentials", 400, "CONNECTOR-1304-400", {"auth": None}),
        ("connections", "no name", 400, "CONNECTOR-1304-400", {"name": ""}),
        ("sourceConnections", "another format", 400, "CONNECTOR-1327-400", {"data": {"format": "csv"}}),
        ("sourceConnections", "no such base", 404, "FLOW-1439-404", {"baseConnectionId": UNKNOWN}),
        ("sourceConnections", "no table", 400, "CONNECTOR-1304-400", {"params": {}}),
        ("sourceConnections", "filters", 400, "CONNECTOR-1353-400", {"params": {"path": TABLE, "filters": {}}}),
        ("targetConnections", "no such dataset", 400, "CONNECTOR-1325-400", {"params": {"dataSetId": UNKNOWN}}),
        ("targetConnections", "no data", 400, "CONNECTOR-1304-400", {"data": None}),
        ("flows", "no sources", 400, "CONNECTOR-1338-400", {"sourceConnectionIds": []}),
        ("flows", "no such source", 400, "CONNECTOR-1320-400", {"sourceConnectionIds": [UNKNOWN]}),
        ("flows", "two sources", 400, "CONNECTOR-1321-400", {"sourceConnectionIds": ["a", "b"]}),
        ("flows", "no targets", 400, "CONNECTOR-1324-400", {"targetConnectionIds": []}),
        ("flows", "a null target", 400, "CONNECTOR-1322-400", {"targetConnectionIds": [None]}),
        ("flows", "no mapping", 400, "CONNECTOR-1328-400", {"transformations": []}),
        ("flows", "no params of it", 400, "CONNECTOR-1370-400", {"transformations": [{"name": "Mapping"}]}),
        ("flows", "no schedule", 400, "CONNECTOR-1317-400", {"scheduleParams": {}}),
        ("flows", "a start that has passed", 400, "CONNECTOR-1360-400", _schedule(startTime=1)),
        ("flows", "another frequency", 400, "CONNECTOR-1397-400", _schedule(frequency="month")),
        ("flows", "too often", 400, "CONNECTOR-1362-400", _schedule(interval=14)),
        ("flows", "an interval with once", 400, "CONNECTOR-1361-400", _schedule(frequency="once")),
    ]
    for kind, why, status, code, changed in listed:
        sent = lambda w, k=kind, c=changed: {**w.flow_body_of(k), **c}  # noqa: E731 - one line says it
        yield wrong("POST", f"{FLOW}/{kind}", why, status, code, body=sent)


def _schedule(**changed: Any) -> dict[str, Any]:
    return {"scheduleParams": {"startTime": 4_000_000_000, "frequency": "minute", "interval": 15, **changed}}


def _explore() -> Iterator[Case]:
    one = f"{FLOW}/connections/{{id}}"
    base, unknown = {"id": kept("base")}, {"id": UNKNOWN}
    yield right("GET", f"{one}/test", ids=base)
    yield wrong("GET", f"{one}/test", "unknown", 404, "FLOW-1439-404", ids=unknown)
    table = (("objectType", "TABLE"), ("object", TABLE))
    yield right("GET", f"{one}/explore", ids=base, query=(*table, ("preview", "true")))
    yield wrong("GET", f"{one}/explore", "unknown", 404, "FLOW-1439-404", ids=unknown, query=table)
    for why, code, query in (
        ("no type", "CONNECTOR-1358-400", ()),
        ("another type", "CONNECTOR-1337-400", (("objectType", "planet"),)),
        ("no object", "CONNECTOR-1359-400", (("objectType", "table"),)),
        ("no such table", "CONNECTOR-1330-400", (("objectType", "table"), ("object", "none"))),
        ("filters", "CONNECTOR-1353-400", (*table, ("preview", "true"), ("filters", "e30="))),
    ):
        yield wrong("GET", f"{one}/explore", why, 400, code, ids=base, query=query)


def _runs() -> Iterator[Case]:
    base = f"{FLOW}/runs"
    yield from _listed(base)
    yield from _listed(f"{FLOW}/flows/{{id}}/runs", ids={"id": kept("flow")})
    yield wrong("GET", f"{FLOW}/flows/{{id}}/runs", "unknown", 404, "FLOW-1439-404", ids={"id": UNKNOWN})
    yield right("GET", f"{base}/{{id}}", ids={"id": kept("run")})
    yield wrong("GET", f"{base}/{{id}}", "unknown", 404, "FLOW-1439-404", ids={"id": UNKNOWN})
    yield right("POST", base, body=lambda w: w.run_body(w.once()), status=201)
    yield wrong("POST", base, "an empty body", 400, "FLOW-1405-400", body={})
    yield wrong("POST", base, "no flow", 400, "FLOW-1430-400", body={"params": {}})
    yield wrong("POST", base, "no such flow", 400, "FLOW-1446-400", body=lambda w: w.run_body(UNKNOWN))
    yield wrong("POST", base, "a periodic flow", 400, "CONNECTOR-1386-400", body=lambda w: w.run_body(w.kept("flow")))
    yield wrong("POST", base, "no params", 400, "CONNECTOR-1384-400", body=lambda w: {"flowId": w.once()})
    for why, code, changed in (
        ("a window reversed", "CONNECTOR-1381-400", {"windowEndTime": 0}),
        ("no delta column", "CONNECTOR-1383-400", {"deltaColumn": None}),
        ("no start", "CONNECTOR-1304-400", {"startTime": None}),
    ):
        yield wrong("POST", base, why, 400, code, body=lambda w, c=changed: w.run_body(w.once(), **c))
    act, again = f"{base}/{{id}}/action", (("op", "re_trigger"),)
    yield right("POST", act, ids={"id": World.failed_run}, query=again)
    yield wrong("POST", act, "a run that did not fail", 400, "CONNECTOR-1387-400", ids={"id": kept("run")}, query=again)
    yield wrong(
        "POST", act, "another operation", 400, "FLOW-1409-400", ids={"id": kept("run")}, query=(("op", "stop"),)
    )
    yield wrong("POST", act, "unknown", 404, "FLOW-1439-404", ids={"id": UNKNOWN}, query=again)
