"""Exploring a source: filters of rows, folders, files, resources, and every fault (platform-api.md §4.4, §14)."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from flowledger.emulator.caller import FLOW, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options
from flowledger.emulator.row_filters import FilterInvalid, filter_of
from tests.contract.kinds import base_body, source_body, the

Query = list[tuple[str, str]]


def field(name: str) -> dict[str, Any]:
    return {"nodeType": "fieldLookup", "fieldName": name}


def literal(value: Any) -> dict[str, Any]:
    return {"nodeType": "literal", "value": value}


def apply(name: str, *params: Any) -> dict[str, Any]:
    return {"nodeType": "fnApply", "fnName": name, "params": list(params)}


def encoded(value: Any) -> str:
    return b64encode(json.dumps(value).encode()).decode()


@pytest.fixture
def exploring(prod: Caller, a_pass: Any) -> Callable[..., Any]:
    """A call of explore on a fresh base connection of the kind."""

    def explore(label: str, *query: tuple[str, str]) -> Any:
        base = a_pass.make(f"{FLOW}/connections", base_body(the(label)))["id"]
        return prod.send("GET", f"{FLOW}/connections/{base}/explore", query=query)

    return explore


TABLE = [("objectType", "table"), ("object", "shop.payments"), ("preview", "true")]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (apply("=", field("currency"), literal("EUR")), lambda row: row["currency"] == "EUR"),
        (apply("!=", field("currency"), literal("EUR")), lambda row: row["currency"] != "EUR"),
        (apply("<", field("amount"), literal(500)), lambda row: row["amount"] < 500),
        (apply(">=", field("updated_at"), literal("2024-01-10")), lambda row: row["updated_at"] >= "2024-01-10"),
        (apply("like", field("payment_id"), literal("payment%7")), lambda row: row["payment_id"].endswith("7")),
        (apply("in", field("currency"), literal(["EUR", "USD"])), lambda row: row["currency"] != "GBP"),
        (apply("in", field("currency"), literal("EUR"), literal("USD")), lambda row: row["currency"] != "GBP"),
        (
            apply("and", apply("=", field("refunded"), literal(True)), apply("<", field("amount"), literal(900))),
            lambda row: row["refunded"] and row["amount"] < 900,
        ),
        (
            apply("or", apply("=", field("currency"), literal("EUR")), apply(">", field("amount"), literal(900))),
            lambda row: row["currency"] == "EUR" or row["amount"] > 900,
        ),
        (apply("not", apply("=", field("currency"), literal("EUR"))), lambda row: row["currency"] != "EUR"),
        (apply("<", field("currency"), literal(7)), lambda row: False),
        (apply("=", field("nothing"), literal("x")), lambda row: False),
    ],
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_preview_shows_the_rows_that_pass(
    exploring: Any, condition: Any, holds: Callable[[Any], bool], wrapped: bool
) -> None:
    filters = {"type": "PQL", "format": "pql/json", "value": condition} if wrapped else condition

    shown = exploring("Snowflake", *TABLE, ("filters", encoded(filters))).json["data"]

    assert shown == [row for row in the("Snowflake").rows("shop.payments", 1000) if holds(row)][:100]


@pytest.mark.parametrize(
    "text",
    [
        "###",
        encoded([]),
        encoded({"nodeType": "literal", "value": 1}),
        encoded(apply("and")),
        encoded(apply("sounds-like", field("a"), literal("b"))),
        encoded(apply("=", field("a"))),
        encoded(apply("=", field("a"), "b")),
        encoded(apply("=", field("a"), literal(1), literal(2))),
    ],
)
def test_a_filter_that_cannot_be_read_is_refused(exploring: Any, text: str) -> None:
    reply = exploring("Snowflake", *TABLE, ("filters", text))

    assert (reply.status, reply.code) == (400, "CONNECTOR-1000-400")


FILTERING = ["Google BigQuery", "Microsoft Dynamics", "Salesforce", "Snowflake"]


@pytest.mark.parametrize("label", [*FILTERING, "MySQL", "Square"])
def test_row_filters_are_for_four_kinds(prod: Caller, a_pass: Any, label: str) -> None:
    """1353: in the source connection as in explore."""
    kind = the(label)
    base = a_pass.make(f"{FLOW}/connections", base_body(kind))["id"]
    body = source_body(kind, base)
    condition = apply("=", field(body["params"]["columns"][0]["name"]), literal("x"))
    body["params"]["filters"] = {"type": "PQL", "format": "pql/json", "value": condition}
    query = [("objectType", "table"), ("object", body["params"]["tableName"]), ("filters", encoded(condition))]

    made = prod.send("POST", f"{FLOW}/sourceConnections", body)
    looked = prod.send("GET", f"{FLOW}/connections/{base}/explore", query=query)

    if label in FILTERING:
        assert (made.status, looked.status) == (201, 200)
        (spec,) = prod.send("GET", f"{FLOW}/connectionSpecs/{kind.id}").items
        assert spec["attributes"]["filterAtSource"]["enabled"] is True
        body["params"]["filters"] = {"value": "x"}
        assert prod.send("POST", f"{FLOW}/sourceConnections", body).code == "CONNECTOR-1000-400"
    else:
        assert (made.code, looked.code) == ("CONNECTOR-1353-400", "CONNECTOR-1353-400")


def test_a_deep_filter_is_refused_and_not_followed() -> None:
    condition = apply("=", field("a"), literal(1))
    for _ in range(200):
        condition = apply("not", condition)

    with pytest.raises(FilterInvalid):
        filter_of(condition)


def test_folders_hold_files_and_files_hold_columns(exploring: Any) -> None:
    root = exploring("Amazon S3", ("objectType", "ROOT")).json
    folder = exploring("Amazon S3", ("objectType", "FOLDER"), ("object", "/payments")).json
    file = [("objectType", "file"), ("object", "/payments/transactions.csv"), ("fileType", "delimited")]
    plain = exploring("Amazon S3", *file).json
    preview = exploring("Amazon S3", *file, ("preview", "true")).json

    assert [(entry["type"], entry["path"]) for entry in root] == [("folder", "/payments")]
    assert [(entry["type"], entry["path"]) for entry in folder] == [
        ("folder", "/payments/2024"),
        ("file", "/payments/transactions.csv"),
    ]
    assert "data" not in plain
    assert [column["name"] for column in preview["schema"]["columns"]] == list(preview["data"][0])


def test_a_resource_is_explored_as_a_schema(exploring: Any) -> None:
    query = [("objectType", "rest"), ("object", "json"), ("fileType", "json")]
    params = ("sourceParams", encoded({"resourcePath": "charges"}))

    plain = exploring("Stripe", *query, ("preview", "false"), params).json
    preview = exploring("Stripe", *query, ("preview", "true"), params).json

    assert plain["format"] == "hierarchical"
    assert plain["schema"]["properties"]["id"] == {"type": "string"}
    assert "data" not in plain
    assert set(preview["data"][0]) == set(plain["schema"]["properties"])


@pytest.mark.parametrize(
    ("label", "query", "code"),
    [
        ("MySQL", [("objectType", "file"), ("object", "x")], "CONNECTOR-1337-400"),
        ("MySQL", [("objectType", "rest"), ("object", "json")], "CONNECTOR-1337-400"),
        ("MySQL", [("objectType", "")], "CONNECTOR-1358-400"),
        ("MySQL", [("objectType", "table"), ("object", "")], "CONNECTOR-1359-400"),
        ("MySQL", [("objectType", "table"), ("object", "no.such")], "CONNECTOR-1330-400"),
        ("Amazon S3", [("objectType", "table"), ("object", "x")], "CONNECTOR-1337-400"),
        ("Amazon S3", [("objectType", "folder")], "CONNECTOR-1359-400"),
        ("Amazon S3", [("objectType", "folder"), ("object", "/nowhere")], "CONNECTOR-1330-400"),
        ("Amazon S3", [("objectType", "file"), ("object", "/nowhere.csv")], "CONNECTOR-1330-400"),
        ("Amazon S3", [("objectType", "file"), ("object", "/x"), ("fileType", "sheep")], "CONNECTOR-1327-400"),
        ("Stripe", [("objectType", "root")], "CONNECTOR-1337-400"),
        ("Stripe", [("objectType", "rest")], "CONNECTOR-1359-400"),
        ("Stripe", [("objectType", "rest"), ("object", "json")], "CONNECTOR-1359-400"),
        ("Stripe", [("objectType", "rest"), ("object", "json"), ("sourceParams", "###")], "CONNECTOR-1359-400"),
        ("Stripe", [("objectType", "rest"), ("object", "json"), ("sourceParams", encoded([]))], "CONNECTOR-1330-400"),
        ("HTTP API", [("objectType", "root")], "CONNECTOR-1337-400"),
    ],
)
def test_what_a_kind_cannot_show_is_refused_with_its_code(exploring: Any, label: str, query: Query, code: str) -> None:
    reply = exploring(label, *query)

    assert (reply.status, reply.code) == (400, code)


def test_columns_come_with_or_without_their_xdm(a_pass: Any) -> None:
    """§14: the ecommerce guide leaves it out."""
    shown = []
    for without in (False, True):
        caller = Caller(Emulator(options=Options(columns_without_xdm=without)))
        base = caller.send("POST", f"{FLOW}/connections", base_body(the("Shopify"))).json["id"]
        query = [("objectType", "table"), ("object", next(iter(the("Shopify").tables)))]
        answer = caller.send("GET", f"{FLOW}/connections/{base}/explore", query=query).json
        shown.append({name for column in answer["schema"]["columns"] for name in column})

    assert shown == [{"name", "type", "meta:xdmType", "xdm"}, {"name", "type", "meta:xdmType"}]
