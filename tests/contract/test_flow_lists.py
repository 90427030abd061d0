"""Flow Service lists: filters, order, pages, counts, lag (platform-api.md §4.1, U8, U9, U21)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest

from flowledger.emulator import flow_service
from flowledger.emulator.caller import FLOW, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.flow_state import presented
from flowledger.emulator.options import Options

PATH = f"{FLOW}/connections"


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["name"] for item in items]


@pytest.fixture
def five(prod: Caller, a_pass: Any, clock: Any) -> Caller:
    """Five base connections, a second apart: e, d, c, b are PayPal's, a is the sink."""
    for name in "edcb":
        a_pass.make(PATH, a_pass.paypal_body(name))
        clock.pass_ms(1000)
    a_pass.make(PATH, a_pass.sink_body("a"))
    return prod


@pytest.mark.parametrize("collection", ["connections", "sourceConnections", "targetConnections", "flows", "runs"])
def test_an_empty_list_has_items_and_no_next(prod: Caller, collection: str) -> None:
    reply = prod.send("GET", f"{FLOW}/{collection}")

    assert (reply.status, reply.json) == (200, {"items": [], "_links": {}})


@pytest.mark.parametrize("value", ["c", '"c"'])
def test_a_filter_by_name_takes_quotes_or_none(five: Caller, value: str) -> None:
    assert names(five.send("GET", PATH, query=[("property", f"name=={value}")]).items) == ["c"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["name!=c"], "edba"),
        (["name==a,b,nobody"], "ba"),
        (["connectionSpec.id==c604ff05-7f1a-43c0-8e18-33bf874cb11c"], "a"),
        (["state==enabled", "name==e"], "e"),
        (["state==disabled"], ""),
        (["createdAt>1700000001000"], "cba"),
        (["createdAt>=1700000001000"], "dcba"),
        (["createdAt<1700000001000"], "e"),
        (["createdAt<=1700000001000", "name!=e"], "d"),
        (["createdAt==1700000001000"], "d"),
        (["description==nothing"], ""),
    ],
)
def test_filters_are_anded_and_compare_what_is_stored(five: Caller, filters: list[str], expected: str) -> None:
    reply = five.send("GET", PATH, query=[("property", text) for text in filters])

    assert "".join(names(reply.items)) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("name~c", "FLOW-1440-400"),
        ("name!=a,b", "FLOW-1443-400"),
        ("name>c", "FLOW-1448-400"),
        ("colour==red", "FLOW-1449-400"),
        ("auth.params.clientSecret==xxxx", "FLOW-1449-400"),
        ("name==", "FLOW-1452-400"),
        ("name", "FLOW-1452-400"),
        ("createdAt>yesterday", "FLOW-1453-400"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(five: Caller, text: str, code: str) -> None:
    reply = five.send("GET", PATH, query=[("property", text)])

    assert (reply.status, reply.code) == (400, code)


def test_flows_can_be_found_by_what_they_refer_to(prod: Caller, a_pass: Any) -> None:
    flow = a_pass.upto_flow().make_flow()
    filters = [
        f"sourceConnectionIds=={a_pass.source}",
        f"targetConnectionIds=={a_pass.target}",
        "flowSpec.id==14518937-270c-4525-bdec-c2ba7cce3860",
        "inheritedAttributes.properties.isSourceFlow==true",
        f"inheritedAttributes.sourceConnections.id=={a_pass.source}",
    ]
    for text in filters:
        found = prod.send("GET", f"{FLOW}/flows", query=[("property", text)]).items
        assert [item["id"] for item in found] == [flow], text
    targets = prod.send("GET", f"{FLOW}/targetConnections", query=[("property", f"params.dataSetId=={a_pass.dataset}")])
    assert [item["id"] for item in targets.items] == [a_pass.target]
    sources = prod.send("GET", f"{FLOW}/sourceConnections", query=[("property", f"baseConnectionId=={a_pass.base}")])
    assert [item["id"] for item in sources.items] == [a_pass.source]


@pytest.mark.parametrize(
    ("orderby", "expected"),
    [
        ("name", "abcde"),
        ("+name", "abcde"),
        (" name", "abcde"),
        ("-name", "edcba"),
        ("createdAt", "edcba"),
        ("-createdAt", "abcde"),
        ("state,-name", "edcba"),
    ],
)
def test_lists_can_be_ordered(five: Caller, orderby: str, expected: str) -> None:
    assert "".join(names(five.send("GET", PATH, query=[("orderby", orderby)]).items)) == expected


@pytest.mark.parametrize(
    ("orderby", "code"), [("", "FLOW-1432-400"), ("-", "FLOW-1432-400"), ("colour", "FLOW-1433-400")]
)
def test_an_order_that_cannot_be_is_refused(five: Caller, orderby: str, code: str) -> None:
    assert five.send("GET", PATH, query=[("orderby", orderby)]).code == code


def test_the_newest_may_come_first() -> None:
    """The default order is not documented: both worlds."""
    caller = Caller(Emulator(options=Options(newest_first=True)))
    for name in "abc":
        body = {"name": name, "connectionSpec": {"id": "c604ff05-7f1a-43c0-8e18-33bf874cb11c", "version": "1.0"}}
        caller.send("POST", PATH, body)

    assert names(caller.send("GET", PATH).items) == ["c", "b", "a"]


def pages(caller: Caller, *query: tuple[str, str]) -> list[list[str]]:
    """Follow `_links.next` as the contract says: take the token, send everything else again."""
    found: list[list[str]] = []
    token = ""
    while True:
        extra = [("continuationToken", token)] if token else []
        reply = caller.send("GET", PATH, query=[*query, *extra])
        assert reply.status == 200
        found.append(names(reply.items))
        href = reply.json["_links"].get("next", {}).get("href")
        if href is None:
            return found
        assert href.startswith("/connections?continuationToken=")
        (token,) = parse_qs(urlsplit(href).query, strict_parsing=True)["continuationToken"]
        assert ("=" in token) == caller.emulator.options.tokens_with_equals


@pytest.mark.parametrize("with_equals", [False, True])
def test_pages_follow_each_other_by_a_token_without_an_equals_sign_or_with_one(five: Caller, with_equals: bool) -> None:
    five.emulator.options.tokens_with_equals = with_equals
    assert pages(five, ("limit", "2")) == [["e", "d"], ["c", "b"], ["a"]]
    assert pages(five, ("limit", "2"), ("orderby", "name")) == [["a", "b"], ["c", "d"], ["e"]]
    assert pages(five, ("limit", "2"), ("property", "name!=d")) == [["e", "c"], ["b", "a"]]
    assert pages(five, ("limit", "5")) == [["e", "d", "c", "b", "a"]]


def test_a_token_that_is_cut_at_its_equals_sign_is_refused(five: Caller) -> None:
    """A client in use cuts there: it must get an error, not a wrong page."""
    five.emulator.options.tokens_with_equals = True
    href = five.send("GET", PATH, query=[("limit", "2")]).json["_links"]["next"]["href"]

    assert five.send("GET", PATH, query=[("continuationToken", href.split("=")[1])]).code == "FLOW-1452-400"


@pytest.mark.parametrize("kind", ["connections", "sourceConnections", "targetConnections", "flows", "runs"])
@pytest.mark.parametrize("name", ["name", "orderBy", "start", "properties"])
def test_a_query_parameter_that_a_list_does_not_have_is_refused(prod: Caller, kind: str, name: str) -> None:
    assert prod.send("GET", f"{FLOW}/{kind}", query=[(name, "x")]).code == "FLOW-1451-400"


@pytest.mark.parametrize("kind", ["connectionSpecs", "flowSpecs"])
@pytest.mark.parametrize("name", ["limit", "name", "continuationToken"])
def test_a_list_of_specs_takes_conditions_only(prod: Caller, kind: str, name: str) -> None:
    assert prod.send("GET", f"{FLOW}/{kind}", query=[(name, "1")]).code == "FLOW-1451-400"


def test_an_option_has_lists_ignore_parameters_that_they_do_not_have(five: Caller) -> None:
    five.emulator.options.unknown_queries_ignored = True

    assert names(five.send("GET", PATH, query=[("orderBy", "name"), ("limit", "1")]).items) == ["e"]


@pytest.mark.parametrize("query", [[], [("property", "name!=n00")], [("orderby", "-name")], [("count", "true")]])
def test_a_page_puts_together_only_what_it_shows(
    prod: Caller, a_pass: Any, monkeypatch: pytest.MonkeyPatch, query: list[tuple[str, str]]
) -> None:
    for number in range(60):
        a_pass.make(PATH, a_pass.sink_body(f"n{number:02d}"))
    shown = []

    def counted(*about: Any) -> dict[str, Any]:
        shown.append(about)
        return presented(*about)

    monkeypatch.setattr(flow_service, "presented", counted)

    assert len(prod.send("GET", PATH, query=query).items) == 20

    assert len(shown) == 20


def test_a_page_begins_after_the_last_item_even_when_that_is_deleted_in_between(five: Caller) -> None:
    first = five.send("GET", PATH, query=[("limit", "2")])
    five.send("DELETE", f"{PATH}/{first.items[0]['id']}")
    (token,) = parse_qs(urlsplit(first.json["_links"]["next"]["href"]).query)["continuationToken"]

    second = five.send("GET", PATH, query=[("limit", "2"), ("continuationToken", token)])

    assert names(second.items) == ["c", "b"]


def test_the_default_page_is_20_and_the_largest_100(prod: Caller, a_pass: Any) -> None:
    """U8."""
    for number in range(101):
        a_pass.make(PATH, a_pass.sink_body(f"n{number:03d}"))

    assert [len(page) for page in pages(prod)] == [20, 20, 20, 20, 20, 1]
    assert [len(page) for page in pages(prod, ("limit", "500"))] == [100, 1]


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1.5", ""])
def test_a_limit_that_is_no_number_is_refused(five: Caller, limit: str) -> None:
    reply = five.send("GET", PATH, query=[("limit", limit)])

    assert (reply.status, reply.code) == (400, "FLOW-1452-400")


@pytest.mark.parametrize("token", ["???", "abc", "MA", "LTMveA", "MC94", "=", "%"])
def test_a_token_that_cannot_be_read_is_refused(five: Caller, token: str) -> None:
    """Those that were never given out, for a place before the first page, too."""
    assert five.send("GET", PATH, query=[("continuationToken", token)]).code == "FLOW-1452-400"


def test_an_empty_token_is_none(five: Caller) -> None:
    """As Adobe's collection of requests sends it for the first page."""
    assert len(five.send("GET", PATH, query=[("continuationToken", "")]).items) == 5


def test_a_count_is_given_when_asked_for_and_not_beside_a_limit(five: Caller) -> None:
    counted = five.send("GET", PATH, query=[("count", "true"), ("property", "name!=a")])
    both = five.send("GET", PATH, query=[("count", "true"), ("limit", "2")])
    absent = [five.send("GET", PATH, query=[("count", text), ("limit", "2")]) for text in ("false", "False")]

    assert counted.json["count"] == 4
    assert (both.status, both.code) == (400, "FLOW-1401-400")
    assert [reply.status for reply in absent] == [200, 200]
    assert "count" not in absent[0].json


def test_lists_lag_and_reads_by_id_do_not(prod: Caller, a_pass: Any, clock: Any, emulator: Emulator) -> None:
    """U21: creates come late and deletes leave late, to the millisecond."""
    emulator.faults.set_list_lag("connections", 2000)
    key = a_pass.make(PATH, a_pass.sink_body("late"))["id"]

    assert prod.send("GET", f"{PATH}/{key}").status == 200
    clock.pass_ms(1999)
    assert prod.send("GET", PATH).items == []
    clock.pass_ms(1)
    assert names(prod.send("GET", PATH).items) == ["late"]

    prod.send("DELETE", f"{PATH}/{key}")
    assert prod.send("GET", f"{PATH}/{key}").status == 404
    clock.pass_ms(1999)
    assert names(prod.send("GET", PATH).items) == ["late"]
    clock.pass_ms(1)
    assert prod.send("GET", PATH).items == []


def test_lag_is_of_one_kind_or_of_all(prod: Caller, a_pass: Any, clock: Any) -> None:
    caller = Caller(Emulator(clock=clock, options=Options(list_lag_ms={"flows": 0, "*": 1000})))
    caller.send("POST", PATH, a_pass.sink_body())
    assert caller.send("GET", PATH).items == []

    caller.emulator.faults.set_list_lag("connections", 0)

    assert len(caller.send("GET", PATH).items) == 1


@pytest.mark.parametrize("filters", [['name=="CRMToAEP"'], ["name==CRMToAEP"], ["name==CRMToAEP,x"]])
def test_the_flow_spec_is_found_by_name_and_whole(prod: Caller, filters: list[str]) -> None:
    """§4.3."""
    reply = prod.send("GET", f"{FLOW}/flowSpecs", query=[("property", text) for text in filters])

    assert set(reply.json) == {"items"}
    (spec,) = reply.items
    assert spec["id"] == "14518937-270c-4525-bdec-c2ba7cce3860"
    assert spec["providerId"] == "0ed90a81-07f4-4586-8190-b40eccef1c5a"
    assert "221c7626-58f6-4eec-8ee2-042b0226f03b" in spec["sourceConnectionSpecIds"]
    assert spec["targetConnectionSpecIds"] == ["c604ff05-7f1a-43c0-8e18-33bf874cb11c"]
    assert "isDraftModeSupported" not in spec["attributes"]
    assert {part["name"] for part in spec["transformationSpecs"]} == {"Copy", "Mapping"}
    assert {"scheduleSpec", "optionSpec", "runSpec"} <= set(spec)
    assert prod.send("GET", f"{FLOW}/flowSpecs/{spec['id']}").items == [spec]


def test_the_schedule_schema_says_what_the_contract_says(prod: Caller) -> None:
    (spec,) = prod.send("GET", f"{FLOW}/flowSpecs", query=[("property", "name==CRMToAEP")]).items
    schema = spec["scheduleSpec"]["spec"]
    good = [
        {"startTime": 1, "frequency": "once"},
        {"startTime": 1, "frequency": "minute", "interval": 15},
        {"startTime": 1, "frequency": "hour", "interval": 1, "backfill": False},
    ]
    bad = [
        {"frequency": "once"},
        {"startTime": 1, "frequency": "once", "interval": 1},
        {"startTime": 1, "frequency": "once", "backfill": True},
        {"startTime": 1, "frequency": "minute", "interval": 14},
        {"startTime": 1, "frequency": "day"},
        {"startTime": 1, "frequency": "day", "interval": 0},
        {"startTime": "1", "frequency": "day", "interval": 1},
        {"startTime": 1, "frequency": "year", "interval": 1},
    ]

    validator = jsonschema.Draft7Validator(schema)
    assert [validator.is_valid(schedule) for schedule in good] == [True] * len(good)
    assert [validator.is_valid(schedule) for schedule in bad] == [False] * len(bad)


def test_connection_specs_are_found_by_id_and_by_filter(prod: Caller) -> None:
    by_id = prod.send("GET", f"{FLOW}/connectionSpecs/c604ff05-7f1a-43c0-8e18-33bf874cb11c")
    by_filter = prod.send(
        "GET", f"{FLOW}/connectionSpecs", query=[("property", 'id=="221c7626-58f6-4eec-8ee2-042b0226f03b"')]
    )

    assert by_id.items[0]["targetSpec"]["spec"]["required"] == ["dataSetId"]
    assert by_filter.items[0]["authSpec"][0]["name"] == "Client-Id-Secret Based Authentication"
    assert {"id", "name", "providerId", "version", "attributes", "exploreSpec"} <= set(by_filter.items[0])
    for kind in ("connectionSpecs", "flowSpecs"):
        absent = prod.send("GET", f"{FLOW}/{kind}/absent")
        assert (absent.status, absent.code) == (404, "FLOW-1439-404")


def test_runs_can_be_asked_for_and_there_are_none(prod: Caller, a_pass: Any) -> None:
    flow = a_pass.upto_flow().make_flow()
    query = [("property", f"flowId=={flow}"), ("orderby", "-createdAt")]

    assert prod.send("GET", f"{FLOW}/runs", query=query).json == {"items": [], "_links": {}}
    assert prod.send("GET", f"{FLOW}/runs", query=[("property", "colour==red")]).code == "FLOW-1449-400"
