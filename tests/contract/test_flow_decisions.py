"""Every undocumented decision of Flow Service in both worlds; its bodies, codes and search (§8, §15)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from flowledger.emulator.caller import FLOW, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.flow_fault import TITLES
from flowledger.emulator.options import Options

PassOf = Callable[[Caller], Any]
DOCUMENTED_CODES = re.findall(
    r"[\d-]+",
    """
    1100-400 1101-404 1102-500 1103-503 1104-504 1400-500 1401-400 1402-400 1403-400 1404-412 1405-400 1406-400
    1407-400 1408-400 1409-400 1410-400 1412-400 1413-400 1414-400 1415-400 1416-400 1417-400 1418-400 1419-400
    1420-400 1421-400 1422-400 1425-400 1427-400 1430-400 1432-400 1433-400 1434-400 1435-400 1436-400 1437-400
    1439-404 1440-400 1443-400 1444-400 1445-400 1446-400 1447-400 1448-400 1449-400 1450-400 1451-400 1452-400
    1453-400 1455-400 1456-400 1457-400 1458-400 2000-401 2001-401 2002-401 2100-404 2101-404 2103-404 2105-400
    2110-400 2118-403 2120-403 2121-403 2200-500 2250-500
    """,
)
SOURCES_CODES = re.findall(
    r"[\d-]+",
    """
    1000-400 1001-401 1002-403 1003-404 1004-415 1005-500 1006-408 1011-503 1012-504 1013-412 1300-400 1301-400
    1302-400 1304-400 1307-400 1312-400 1332-400 1333-400 1365-400 1380-400 1385-400 1398-400 1401-400 1600-400 1601-500
    1602-404 1603-503 1604-504 1605-401 1606-403 1607-412 1317-400 1320-400 1321-400 1322-400 1324-400 1325-400
    1327-400 1328-400 1329-400 1330-400 1337-400 1338-400 1353-400 1358-400 1359-400 1360-400 1361-400 1362-400
    1363-400 1364-400 1366-400 1367-400 1368-400 1369-400 1370-400 1381-400 1382-400 1383-400 1384-400 1386-400
    1387-400 1388-400 1397-400 1403-400 1404-400
    """,
)


def both(clock: Any, **options: Any) -> tuple[Caller, Caller]:
    """A caller of the world as it is by default, and of the other one."""
    return Caller(Emulator(clock=clock)), Caller(Emulator(clock=clock, options=Options(**options)))


def test_every_documented_code_has_a_title() -> None:
    expected = {f"FLOW-{code[:4]}" for code in DOCUMENTED_CODES} | {f"CONNECTOR-{code[:4]}" for code in SOURCES_CODES}

    assert set(TITLES) == expected | {"FLOW-1499"}


@pytest.mark.parametrize(
    "code", [*(f"FLOW-{code}" for code in DOCUMENTED_CODES), *(f"CONNECTOR-{code}" for code in SOURCES_CODES)]
)
def test_every_documented_code_can_be_had_by_a_fault(prod: Caller, emulator: Emulator, code: str) -> None:
    """Those of providers, permissions and services behind (2200, 2250) among them: nobody provokes them by a call."""
    emulator.faults.add("POST /flows", "answer", code=code)

    reply = prod.send("POST", f"{FLOW}/flows", {})

    assert (reply.code, reply.status) == (code, int(code.rpartition("-")[2]))
    assert reply.json["title"] == TITLES[code.rpartition("-")[0]]
    assert prod.send("POST", f"{FLOW}/flows", {}).code == "FLOW-1405-400"


@pytest.mark.parametrize("wrong", [{"code": "2200"}, {"code": "FLOW-2200"}, {"code": "FLOW-2200-500", "status": 400}])
def test_a_fault_with_a_code_that_cannot_be_is_refused(emulator: Emulator, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="ends with its status"):
        emulator.faults.add("POST /flows", "answer", **wrong)


def test_filters_are_of_every_field_or_of_the_documented_ones(clock: Any) -> None:
    """U9."""
    texts = ["connectionSpec.id==x", "params.tableName==x", "description==x"]
    ordinary, strict = both(clock, documented_filters_only=True)
    for text in texts:
        path = f"{FLOW}/sourceConnections"
        assert ordinary.send("GET", path, query=[("property", text)]).status == 200
        assert strict.send("GET", path, query=[("property", text)]).code == "FLOW-1449-400"
    for path, text in [
        ("flows", "name==x"),
        ("flows", "lastRunDetails.startedAtUTC>1"),
        ("flows", "inheritedAttributes.properties.isSourceFlow==true"),
        ("runs", "flowId==x"),
        ("connectionSpecs", "name==x"),
    ]:
        assert strict.send("GET", f"{FLOW}/{path}", query=[("property", text)]).status == 200


def test_a_failing_test_is_a_false_result_or_a_refusal(clock: Any, a_pass: Any) -> None:
    """U10."""
    for refused, status, code in [(False, 200, ""), (True, 400, "FLOW-1100-400")]:
        options = Options(connection_test_result=False, connection_test_refused=refused)
        caller = Caller(Emulator(clock=clock, options=options))
        made = caller.send("POST", f"{FLOW}/connections", a_pass.paypal_body()).json["id"]
        reply = caller.send("GET", f"{FLOW}/connections/{made}/test")
        assert (reply.status, reply.code) == (status, code)


@pytest.mark.parametrize(("tested", "works", "status"), [(False, False, 201), (True, False, 400), (True, True, 201)])
def test_creating_a_connection_tests_its_credentials_or_not(
    clock: Any, a_pass: Any, tested: bool, works: bool, status: int
) -> None:
    options = Options(connection_create_tested=tested, connection_test_result=works)
    caller = Caller(Emulator(clock=clock, options=options))

    reply = caller.send("POST", f"{FLOW}/connections", a_pass.paypal_body())

    assert (reply.status, reply.code) == (status, "" if status == 201 else "FLOW-1100-400")
    assert caller.emulator.count("connections") == (status == 201)
    assert caller.send("POST", f"{FLOW}/connections", a_pass.sink_body()).status == 201


def test_what_a_connection_refers_to_fits_it_or_nobody_looks(clock: Any, pass_of: PassOf) -> None:
    """§4.5, §4.6: which base and which schema belong to a connection is plain; that they are looked at is not said."""
    for caller, lax in zip(both(clock, lax_references=True), (False, True), strict=True):
        ready = pass_of(caller).upto_flow()
        other = ready.make_schema("Another schema")
        sink = ready.make(f"{FLOW}/connections", ready.sink_body())["id"]
        source, target = ready.source_body(), ready.target_body()
        named = {"id": "https://ns.adobe.com/localtenant/schemas/absent", "version": "1.0"}
        of_2020 = {"data": {"format": "parquet_xdm", "schema": named}, "params": {"path": "PayPal.Catalog_Products"}}
        wrong: list[tuple[str, dict[str, Any], str]] = [
            ("sourceConnections", {**source, "baseConnectionId": sink}, "FLOW-1413-400"),
            ("sourceConnections", {**source, **of_2020}, "CONNECTOR-1000-400"),
            ("targetConnections", {**target, "data": {"schema": named}}, "CONNECTOR-1000-400"),
            ("targetConnections", {**target, "data": {"schema": {"id": other}}}, "CONNECTOR-1000-400"),
            ("targetConnections", {**target, "data": {"schema": other}}, "CONNECTOR-1000-400"),
        ]
        for collection, body, code in wrong:
            reply = caller.send("POST", f"{FLOW}/{collection}", body)
            assert (reply.status, reply.code) == ((201, "") if lax else (400, code)), body


def test_a_dataset_must_be_there_for_the_target_connection_or_for_the_flow(clock: Any, pass_of: PassOf) -> None:
    """U11."""
    for caller, status in zip(both(clock, lax_target_dataset=True), (400, 201), strict=True):
        ready = pass_of(caller).upto_flow()
        body = {**ready.target_body(), "params": {"dataSetId": "5e8918669cbbee18ad9771f3"}}
        made = caller.send("POST", f"{FLOW}/targetConnections", body)
        assert made.status == status
        if status == 201:
            flow = {**ready.flow_body(), "targetConnectionIds": [made.json["id"]]}
            assert caller.send("POST", f"{FLOW}/flows", flow).code == "CONNECTOR-1325-400"


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"errorDiagnosticsEnabled": "yes"},
        {"partialIngestionPercent": 0},
        {"partialIngestionPercent": "5"},
        {"partialIngestionPercent": True},
    ],
)
def test_a_flows_options_are_in_one_wrapper_or_the_other(clock: Any, pass_of: PassOf, wrong: Any) -> None:
    """U12."""
    names = ("options", "optionSpec")
    for caller, name, other in zip(both(clock, flow_options_name="optionSpec"), names, reversed(names), strict=True):
        flow = pass_of(caller).upto_flow().flow_body()
        right = {"errorDiagnosticsEnabled": True, "partialIngestionPercent": 5}
        assert caller.send("POST", f"{FLOW}/flows", {**flow, other: right}).code == "CONNECTOR-1000-400"
        assert caller.send("POST", f"{FLOW}/flows", {**flow, name: wrong}).code == "CONNECTOR-1000-400"
        made = caller.send("POST", f"{FLOW}/flows", {**flow, name: right})
        assert caller.send("GET", f"{FLOW}/flows/{made.json['id']}").items[0][name] == right


def test_the_sources_catalogue_has_its_own_prefix_or_flow_services(clock: Any, a_pass: Any) -> None:
    """U19."""
    body = {**a_pass.paypal_body(), "name": ""}
    ordinary, other = both(clock, sources_prefix="FLOW-")

    assert ordinary.send("POST", f"{FLOW}/connections", body).code == "CONNECTOR-1304-400"
    assert other.send("POST", f"{FLOW}/connections", body).code == "FLOW-1304-400"
    assert other.send("GET", f"{FLOW}/connections/absent").code == "FLOW-1439-404"


def test_a_used_connection_stays_or_goes(clock: Any, pass_of: PassOf) -> None:
    """U24."""
    for caller, codes in zip(both(clock, lax_connection_delete=True), ("FLOW-1447-400", ""), strict=True):
        ready = pass_of(caller).upto_flow()
        flow = ready.make_flow()
        for side, key in (("source", ready.source), ("target", ready.target)):
            assert caller.send("DELETE", f"{FLOW}/{side}Connections/{key}").code == codes
        if not codes:
            (item,) = caller.send("GET", f"{FLOW}/flows/{flow}").items
            assert item["inheritedAttributes"]["sourceConnections"] == []


def test_numbers_as_strings_are_taken_or_refused(clock: Any, pass_of: PassOf) -> None:
    """U26."""
    for caller, taken in zip(both(clock, numeric_strings=False), (True, False), strict=True):
        flow = pass_of(caller).upto_flow().flow_body()
        start = flow["scheduleParams"]["startTime"]
        as_text = {**flow, "scheduleParams": {**flow["scheduleParams"], "startTime": str(start)}}
        interval = {**flow, "scheduleParams": {**flow["scheduleParams"], "interval": "30"}}
        replies = [caller.send("POST", f"{FLOW}/flows", body) for body in (flow, as_text, interval)]
        codes = ["", "", ""] if taken else ["", "CONNECTOR-1317-400", "CONNECTOR-1362-400"]
        assert [reply.code for reply in replies] == codes


def test_intervals_follow_the_schema_or_the_prose(clock: Any, pass_of: PassOf) -> None:
    """§11: the guides contradict the flow spec."""
    for caller, code in zip(both(clock, interval_of_prose=True), ("", "CONNECTOR-1363-400"), strict=True):
        flow = pass_of(caller).upto_flow().flow_body()
        flow["scheduleParams"].update(frequency="hour", interval=14)
        assert caller.send("POST", f"{FLOW}/flows", flow).code == code
        flow["scheduleParams"].update(interval=15)
        assert caller.send("POST", f"{FLOW}/flows", flow).status == 201


@pytest.mark.parametrize(("status", "code"), [(415, "CONNECTOR-1004-415"), (400, "uri"), (0, "")])
def test_a_missing_content_type_is_415_or_400_or_nothing(clock: Any, a_pass: Any, status: int, code: str) -> None:
    """U27."""
    caller = Caller(Emulator(clock=clock, options=Options(flow_content_type_status=status)))

    reply = caller.send("POST", f"{FLOW}/connections", a_pass.paypal_body(), without=["content-type"])

    assert (reply.status, reply.code) == (status or 201, code)


def test_bodies_of_2020_have_no_code(clock: Any, a_pass: Any) -> None:
    """§8.2."""
    new, old = both(clock, old_error_bodies=True)
    asked = [("GET", "connections/absent", None), ("POST", "connections", {**a_pass.paypal_body(), "name": ""})]
    for method, path, body in asked:
        assert {"type", "title", "report"} < set(new.send(method, f"{FLOW}/{path}", body).json)
        reply = old.send(method, f"{FLOW}/{path}", body)
        assert set(reply.json) == {"errorMessage", "errorDetails"}
        assert reply.status == new.send(method, f"{FLOW}/{path}", body).status
    bad_spec = old.send("POST", f"{FLOW}/connections", {"name": "x"})
    assert (bad_spec.status, bad_spec.json) == (400, {"message": "Please provide a valid spec id"})


def test_the_sandbox_id_header_is_refused(prod: Caller) -> None:
    reply = prod.send("GET", f"{FLOW}/flows", headers={"x-sandbox-id": "x"})

    assert (reply.status, reply.code) == (400, "FLOW-2110-400")
    assert reply.json["report"]["request-id"] == reply.headers["x-request-id"]
    assert reply.json["report"]["type"] == "flows"


def test_refusals_before_the_service_follow_the_same_options(clock: Any) -> None:
    other = Caller(Emulator(clock=clock, options=Options(sources_prefix="SOURCES-")))
    old = Caller(Emulator(clock=clock, options=Options(old_error_bodies=True)))

    assert other.send("POST", f"{FLOW}/flows", {}, without=["content-type"]).code == "SOURCES-1004-415"
    assert set(old.send("GET", f"{FLOW}/flows", without=["x-sandbox-name"]).json) == {"errorMessage", "errorDetails"}
    assert old.send("GET", f"{FLOW}/flows", without=["authorization"]).code == "403010"


@pytest.fixture
def flows(prod: Caller, a_pass: Any) -> Caller:
    a_pass.upto_flow()
    for name in "cab":
        a_pass.make(f"{FLOW}/flows", a_pass.flow_body(name))
    return prod


def test_a_search_orders_limits_counts_and_projects(flows: Caller) -> None:
    asked = {"limit": 2, "orderby": "-name", "count": True, "projectionFields": ["name", "state", "nothing"]}

    reply = flows.send("POST", f"{FLOW}/flows/search", asked)

    assert reply.json["items"] == [{"name": "c", "state": "enabled"}, {"name": "b", "state": "enabled"}]
    assert reply.json["count"] == 3
    as_text = {"projectionFields": "name, state", "orderby": "name", "limit": 1}
    assert flows.send("POST", f"{FLOW}/flows/search", as_text).items == [{"name": "a", "state": "enabled"}]
    everything = flows.send("POST", f"{FLOW}/flows/search", {})
    assert everything.items == flows.send("GET", f"{FLOW}/flows").items
    assert "count" not in everything.json
    assert len(flows.send("POST", f"{FLOW}/connections/search", {"queryString": ""}).items) == 1
    assert len(flows.send("POST", f"{FLOW}/flowSpecs/search", {"limit": 1000}).items) == 3


@pytest.mark.parametrize("kind", ["connections", "flows", "flowSpecs"])
def test_a_search_is_read_page_by_page_to_its_last_object(flows: Caller, a_pass: Any, kind: str) -> None:
    for name in "xy":
        a_pass.make(f"{FLOW}/connections", a_pass.sink_body(name))
    path, asked = f"{FLOW}/{kind}/search", {"limit": 2, "orderby": "-name"}
    expected = flows.send("POST", path, {"limit": 1000, "orderby": "-name"}).items

    first = flows.send("POST", path, asked)
    href = urlsplit(first.json["_links"]["next"]["href"])
    second = flows.send("POST", path, asked, query=parse_qsl(href.query))

    assert href.path == f"/{kind}/search"
    assert [*first.items, *second.items] == expected
    assert second.json["_links"] == {}
    wrong = [("continuationToken", "???")], [("limit", "2")]
    assert [flows.send("POST", path, asked, query=query).code for query in wrong] == ["FLOW-1452-400", "FLOW-1451-400"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (None, "FLOW-1405-400"),
        ([], "FLOW-1405-400"),
        ({"queryString": "name=c"}, "FLOW-1452-400"),
        ({"limit": 0}, "FLOW-1452-400"),
        ({"limit": 1001}, "FLOW-1452-400"),
        ({"limit": True}, "FLOW-1452-400"),
        ({"count": "true"}, "FLOW-1452-400"),
        ({"orderby": 7}, "FLOW-1452-400"),
        ({"orderby": ""}, "FLOW-1432-400"),
        ({"orderby": "colour"}, "FLOW-1433-400"),
        ({"projectionFields": 7}, "FLOW-1452-400"),
        ({"groupByProperty": "name"}, "FLOW-1452-400"),
        ({"projectionFields": [7]}, "FLOW-1452-400"),
        ({"colour": "red"}, "FLOW-1452-400"),
    ],
)
@pytest.mark.parametrize("kind", ["connections", "flows", "flowSpecs"])
def test_a_search_that_cannot_be_is_refused(prod: Caller, kind: str, body: Any, code: str) -> None:
    """The query's syntax is not documented: none is invented."""
    reply = prod.send("POST", f"{FLOW}/{kind}/search", body)

    assert (reply.status, reply.code) == (400, code)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"c, d"', ["c, d"]),
        ('"c, d",e', ["c, d", "e"]),
        ('e,"c, d"', ["c, d", "e"]),
        ("e, f", ["e", "f"]),
        ('e"', ["e"]),
    ],
)
def test_quotes_keep_commas_in_a_value(prod: Caller, a_pass: Any, value: str, expected: list[str]) -> None:
    for name in ("c, d", "e", "f"):
        a_pass.make(f"{FLOW}/connections", a_pass.sink_body(name))

    found = prod.send("GET", f"{FLOW}/connections", query=[("property", f"name=={value}"), ("orderby", "name")])

    assert [item["name"] for item in found.items] == expected


def test_the_pages_of_lists_are_as_large_as_the_options_say(clock: Any, a_pass: Any) -> None:
    """U8."""
    for caller, sizes in zip(both(clock, page_size=2, page_maximum=3), ([5, 5], [2, 3]), strict=True):
        for name in "abcde":
            caller.send("POST", f"{FLOW}/connections", a_pass.sink_body(name))
        replies = [caller.send("GET", f"{FLOW}/connections", query=query) for query in ([], [("limit", "50")])]
        assert [len(reply.items) for reply in replies] == sizes


def test_flows_are_found_by_the_short_name_of_a_property(flows: Caller) -> None:
    for text, count in [("isSourceFlow==true", 3), ("isSourceFlow==false", 0)]:
        assert len(flows.send("GET", f"{FLOW}/flows", query=[("property", text)]).items) == count
    assert len(flows.send("GET", f"{FLOW}/flowSpecs", query=[("property", "isSourceFlow==true")]).items) == 3


def test_a_new_flow_tells_its_etag_or_not(clock: Any, pass_of: PassOf) -> None:
    """T16."""
    for caller, keys in zip(both(clock, flow_create_without_etag=True), ({"id", "etag"}, {"id"}), strict=True):
        made = caller.send("POST", f"{FLOW}/flows", pass_of(caller).upto_flow().flow_body()).json
        assert set(made) == keys
        assert "etag" in caller.send("GET", f"{FLOW}/flows/{made['id']}").items[0]


def test_a_flow_says_where_its_runs_are_in_either_form(clock: Any, pass_of: PassOf) -> None:
    for caller, form in zip(
        both(clock, runs_link_nested=True), ("/runs?property=flowId=={}", "/flows/{}/runs"), strict=True
    ):
        flow = pass_of(caller).upto_flow().make_flow()
        link = caller.send("GET", f"{FLOW}/flows/{flow}").items[0]["runs"]
        path, _, query = link.partition("?")
        assert link == form.format(flow)
        filters = [("property", query.removeprefix("property="))] if query else []
        assert caller.send("GET", f"{FLOW}{path}", query=filters).status == 200


def test_one_flow_spec_comes_wrapped_or_bare(clock: Any) -> None:
    wrapped, bare = both(clock, bare_flow_spec=True)
    query = [("property", "name==CRMToAEP")]

    assert (
        bare.send("GET", f"{FLOW}/flowSpecs", query=query).json
        == wrapped.send("GET", f"{FLOW}/flowSpecs", query=query).items[0]
    )
    assert len(bare.send("GET", f"{FLOW}/flowSpecs").items) == 3


def test_a_connection_test_answers_an_object_or_the_bare_truth(clock: Any, a_pass: Any) -> None:
    for caller, answer in zip(both(clock, connection_test_bare=True), ({"result": True}, True), strict=True):
        made = caller.send("POST", f"{FLOW}/connections", a_pass.paypal_body()).json["id"]
        assert caller.send("GET", f"{FLOW}/connections/{made}/test").json == answer


def test_a_deleted_flow_may_take_a_while_to_be_gone(clock: Any, pass_of: PassOf) -> None:
    """§10: `delete-finalizing`. What it uses stays in use until then."""
    caller = Caller(Emulator(clock=clock, options=Options(flow_delete_ms=3000)))
    ready = pass_of(caller).upto_flow()
    path = f"{FLOW}/flows/{ready.make_flow()}"

    assert caller.send("DELETE", path).status == 204
    (during,) = caller.send("GET", path).items
    assert (during["state"], during["lastOperation"]["operation"]) == ("delete-finalizing", "delete")
    assert caller.send("DELETE", path).code == "FLOW-1458-400"
    assert caller.send("DELETE", f"{FLOW}/sourceConnections/{ready.source}").code == "FLOW-1447-400"
    clock.pass_ms(2999)
    assert len(caller.send("GET", f"{FLOW}/flows").items) == 1
    clock.pass_ms(1)
    assert caller.send("GET", f"{FLOW}/flows").items == []
    assert caller.send("GET", path).code == "FLOW-1439-404"
    assert caller.send("DELETE", f"{FLOW}/sourceConnections/{ready.source}").status == 204


def test_the_page_of_the_emulator_names_options_that_there_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()
    section = page[page.index("## Flow Service") :]
    rows = re.findall(r"^\| (`\w+`.*?) \|", section, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}

    assert len(named) > 25
    assert named <= {field.name for field in fields(Options)}
