"""Conversion: mapping sets in both dialects, versions, validation and preview (platform-api.md §5)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from flowledger.emulator.caller import CONVERSION, REGISTRY, Caller, Reply
from flowledger.emulator.core import Emulator
from flowledger.emulator.functions import FUNCTIONS, NOT_COMPUTED

PROFILE = "https://ns.adobe.com/xdm/context/profile"
PATH = f"{CONVERSION}/mappingSets"
FULL = "application/vnd.adobe.xed-full+json;version=1"

Json = dict[str, Any]


@pytest.fixture
def schema(prod: Caller) -> str:
    body = {
        "title": "s",
        "type": "object",
        "allOf": [{"$ref": PROFILE}, {"$ref": f"{PROFILE}-person-details"}],
    }
    return str(prod.send("POST", f"{REGISTRY}/tenant/schemas", body).json["$id"])


def tutorial_body(schema: str, destination: str = "person.name.firstName", source: str = "Name", **more: Any) -> Json:
    mapping = {
        "destinationXdmPath": destination,
        "sourceAttribute": source,
        "identity": False,
        "identityGroup": None,
        "namespaceCode": None,
        "version": 0,
    }
    return {"version": 0, "xdmSchema": schema, "xdmVersion": "1.0", "id": None, "mappings": [mapping], **more}


def reference_body(schema: str, *mappings: tuple[str, str, str], **more: Any) -> Json:
    wanted = mappings or (("ATTRIBUTE", "Name", "person.name.firstName"),)
    return {
        "outputSchema": {"schemaRef": {"id": schema, "contentType": FULL}},
        "mappings": [{"sourceType": kind, "source": source, "destination": to} for kind, source, to in wanted],
        **more,
    }


def make(caller: Caller, body: Json) -> str:
    reply = caller.send("POST", PATH, body)
    assert reply.status == 200, reply.response
    return str(reply.json["id"])


def listed(caller: Caller, *query: tuple[str, str]) -> Reply:
    reply = caller.send("GET", PATH, query=[("limit", "10"), ("start", "0"), *query])
    assert reply.status == 200, reply.response
    return reply


def test_a_create_answers_200_with_id_version_and_dates(prod: Caller, schema: str) -> None:
    reply = prod.send("POST", PATH, tutorial_body(schema))

    assert reply.status == 200
    assert reply.json.keys() == {"id", "version", "createdDate", "modifiedDate", "createdBy", "modifiedBy"}
    assert re.fullmatch(r"[0-9a-f]{32}", reply.json["id"])
    assert reply.json["version"] == 0
    assert reply.json["createdDate"] == 1_700_000_000_000


@pytest.mark.parametrize("dialect", [tutorial_body, reference_body])
def test_a_set_of_either_dialect_is_read_in_both_spellings(
    prod: Caller, schema: str, dialect: Callable[[str], Json]
) -> None:
    id = make(prod, dialect(schema))

    found = prod.send("GET", f"{PATH}/{id}", query=[("version", "0"), ("expandSchema", "false")]).json

    assert found["id"] == id
    assert found["version"] == 0
    assert found["status"] == "PUBLISHED"
    assert found["xdmSchema"] == found["outputSchema"]["schemaRef"]["id"] == schema
    assert found["xdmVersion"] == "1.0"
    assert found["outputSchema"]["id"]
    (mapping,) = found["mappings"]
    assert mapping["source"] == mapping["sourceAttribute"] == "Name"
    assert mapping["destination"] == mapping["destinationXdmPath"] == "person.name.firstName"
    assert mapping["sourceType"] == "text/x.schema-path"
    assert mapping["id"]


@pytest.mark.parametrize("dialect", [tutorial_body, reference_body])
def test_name_and_tags_are_kept_if_sent(prod: Caller, schema: str, dialect: Callable[..., Json]) -> None:
    tags = [{"name": "t", "values": ["v"]}]
    id = make(prod, dialect(schema, name="fl-7f3a", tags=tags))

    found = prod.send("GET", f"{PATH}/{id}").json

    assert found["name"] == "fl-7f3a"
    assert found["tags"] == tags
    assert "name" not in prod.send("GET", f"{PATH}/{make(prod, dialect(schema))}").json


def test_equal_sets_are_silently_two(prod: Caller, emulator: Emulator, schema: str) -> None:
    assert make(prod, tutorial_body(schema, name="same")) != make(prod, tutorial_body(schema, name="same"))
    assert emulator.count("mappingSets") == 2


def test_an_unknown_destination_is_accepted_unless_validated(prod: Caller, emulator: Emulator, schema: str) -> None:
    body = tutorial_body(schema, "product.name")

    refused = prod.send("POST", PATH, body, query=[("validate", "true")])
    assert emulator.count("mappingSets") == 0
    accepted = prod.send("POST", PATH, body)

    assert (refused.status, refused.code) == (400, "MAPPER-400")
    assert "product.name" in refused.json["detail"]
    assert accepted.status == 200
    assert prod.send("POST", PATH, tutorial_body(schema), query=[("validate", "true")]).status == 200


@pytest.mark.parametrize(
    "change",
    [
        {"mappings": None},
        {"mappings": []},
        {"mappings": ["text"]},
        {"mappings": [{"sourceAttribute": "a"}]},
        {"mappings": [{"destinationXdmPath": "_id"}]},
        {"mappings": [{"source": "a", "destination": "_id", "sourceType": "UNHEARD"}]},
        {"mappings": [{"source": "a" * 4097, "destination": "_id", "sourceType": "EXPRESSION"}]},
        {"xdmSchema": None},
        {"xdmSchema": "https://ns.adobe.com/localtenant/schemas/0123"},
        {"xdmSchema": None, "outputSchema": "text"},
    ],
)
def test_a_malformed_set_is_refused_and_makes_nothing(
    prod: Caller, emulator: Emulator, schema: str, change: Json
) -> None:
    reply = prod.send("POST", PATH, tutorial_body(schema) | change)

    assert (reply.status, reply.code) == (400, "MAPPER-400")
    assert reply.json.keys() == {"type", "title", "status", "detail"}
    assert emulator.count("mappingSets") == 0


@pytest.mark.parametrize("sent", [None, b"{no json", []])
def test_a_body_that_is_no_object_is_refused(prod: Caller, sent: Any) -> None:
    for path in (PATH, f"{PATH}/validate", f"{PATH}/preview", f"{CONVERSION}/languages/el/validate"):
        assert prod.send("POST", path, sent).status == 400


def test_a_body_that_nests_too_deeply_is_refused(prod: Caller, schema: str) -> None:
    deep: Json = {}
    for _ in range(300):
        deep = {"a": deep}

    assert prod.send("POST", PATH, tutorial_body(schema, tags=deep)).status == 400


def test_a_write_without_json_as_content_type_is_refused(prod: Caller, schema: str) -> None:
    reply = prod.send("POST", PATH, tutorial_body(schema), without=["content-type"])

    assert (reply.status, reply.code) == (415, "CONNECTOR-1004-415")


@pytest.mark.parametrize(
    "query",
    [
        [],
        [("start", "0")],
        [("limit", "0"), ("start", "0")],
        [("limit", "x"), ("start", "0")],
        [("limit", "1"), ("start", "x")],
        [("limit", "1"), ("nonsense", "x")],
    ],
)
def test_a_list_needs_a_limit_and_takes_only_what_it_has(prod: Caller, query: list[tuple[str, str]]) -> None:
    assert prod.send("GET", PATH, query=query).code == "MAPPER-400"


def test_a_list_without_a_start_begins_at_the_first(prod: Caller, schema: str) -> None:
    """As a client in use asks."""
    made = [make(prod, tutorial_body(schema)) for _ in range(2)]

    found = prod.send("GET", PATH, query=[("limit", "100")]).json

    assert [entry["id"] for entry in found["data"]] == made


@pytest.mark.parametrize(
    ("order", "newest_first"),
    [
        ("", False),
        ("lastUpdateDate", False),
        ("+lastUpdateDate", False),
        ("-lastUpdateDate", True),
        ("updatedDate", False),
        ("-updatedDate", True),
    ],
)
def test_a_list_is_ordered_by_the_names_of_the_reference(
    prod: Caller, schema: str, clock: Any, order: str, newest_first: bool
) -> None:
    """Without an order by the latest change, which a PUT is."""
    first = make(prod, tutorial_body(schema))
    clock.pass_ms(1)
    second = make(prod, tutorial_body(schema))
    clock.pass_ms(1)
    prod.send("PUT", f"{PATH}/{first}", tutorial_body(schema))

    found = [entry["id"] for entry in listed(prod, *([("orderBy", order)] if order else [])).json["data"]]

    assert found == ([first, second] if newest_first else [second, first])


@pytest.mark.parametrize("latest", [False, True])
def test_a_set_read_without_a_version_is_its_version_0_or_by_option_the_latest(
    prod: Caller, schema: str, latest: bool
) -> None:
    prod.emulator.options.mapping_version_latest = latest
    id = make(prod, tutorial_body(schema))
    prod.send("PUT", f"{PATH}/{id}", tutorial_body(schema))

    assert prod.send("GET", f"{PATH}/{id}").json["version"] == int(latest)
    assert prod.send("GET", f"{PATH}/{id}", query=[("version", "1")]).json["version"] == 1
    assert listed(prod).json["data"][0]["version"] == 1


def test_mappings_come_change_and_go_one_by_one_each_in_a_new_version(prod: Caller, schema: str, clock: Any) -> None:
    id = make(prod, tutorial_body(schema))
    path = f"{PATH}/{id}/mappings"
    (first,) = prod.send("GET", path).json["data"]
    clock.pass_ms(5)
    more = {"source": "Last", "destination": "person.name.lastName", "sourceType": "ATTRIBUTE"}

    made = prod.send("POST", path, more)
    changed = prod.send("PUT", f"{path}/{first['id']}", {"sourceAttribute": "Id", "destinationXdmPath": "_id"})
    gone = prod.send("DELETE", f"{path}/{made.json['id']}")

    assert [made.status, changed.status, gone.status] == [200, 200, 204]
    assert made.json["destinationXdmPath"] == "person.name.lastName"
    assert (changed.json["id"], changed.json["destination"]) == (first["id"], "_id")
    assert changed.json["modifiedDate"] == changed.json["createdDate"] + 5
    versions = [prod.send("GET", f"{PATH}/{id}", query=[("version", str(n))]).json["mappings"] for n in range(4)]
    assert [[one["destination"] for one in mappings] for mappings in versions] == [
        ["person.name.firstName"],
        ["person.name.firstName", "person.name.lastName"],
        ["_id", "person.name.lastName"],
        ["_id"],
    ]


@pytest.mark.parametrize("body", [None, [], {}, {"source": "a"}, {"source": "a", "destination": 1}, {"source": ""}])
def test_a_mapping_that_is_none_is_refused_and_changes_nothing(prod: Caller, schema: str, body: Any) -> None:
    id = make(prod, tutorial_body(schema))
    (only,) = prod.send("GET", f"{PATH}/{id}/mappings").json["data"]

    assert prod.send("POST", f"{PATH}/{id}/mappings", body).code == "MAPPER-400"
    assert prod.send("PUT", f"{PATH}/{id}/mappings/{only['id']}", body).code == "MAPPER-400"
    assert prod.send("DELETE", f"{PATH}/{id}/mappings/{only['id']}").code == "MAPPER-400"  # a set has at least one
    assert listed(prod).json["data"][0]["version"] == 0


def test_every_function_that_validation_accepts_is_listed_and_no_other(prod: Caller) -> None:
    def valid(name: str, count: int) -> bool:
        body = {"expression": {"expression": f"{name}({', '.join(['a'] * count)})"}}
        return bool(prod.send("POST", f"{CONVERSION}/languages/el/validate", body).json)

    for option in (False, True):
        prod.emulator.options.unpublished_functions = option
        entries = prod.send("GET", f"{CONVERSION}/languages/el/functions").json
        shown = {entry["function"]: entry for entry in entries}
        assert len(shown) == len(entries)
        assert set(shown) == {
            name for name in {*FUNCTIONS, *NOT_COMPUTED} if any(valid(name, count) for count in range(9))
        }
        for name, entry in shown.items():
            needed = [one["name"] for one in entry["params"] if one["name"].startswith("argument")]
            assert valid(name, len(needed)), name
            assert entry["category"] != "Other", name


def test_every_operator_that_is_listed_can_be_written(prod: Caller) -> None:
    entries = prod.send("GET", f"{CONVERSION}/languages/el/operators").json

    assert {"operatorSymbol", "methodName", "numberOfOperands", "description", "example"} == set(entries[0])
    assert ("-", "negate", 1) in [
        (one["operatorSymbol"], one["methodName"], one["numberOfOperands"]) for one in entries
    ]
    for entry in entries:
        sign, operands = entry["operatorSymbol"], entry["numberOfOperands"]
        for text in (entry["example"], f"a {sign} b" if operands == 2 else f"{sign}a"):
            body = {"expression": {"expression": text}}
            assert prod.send("POST", f"{CONVERSION}/languages/el/validate", body).json is True, text


def test_a_list_is_filtered_sorted_and_paged(prod: Caller, schema: str, clock: Any) -> None:
    other = {"title": "other", "type": "object", "allOf": [{"$ref": PROFILE}]}
    other_schema = prod.send("POST", f"{REGISTRY}/tenant/schemas", other).json["$id"]
    first = make(prod, tutorial_body(schema, name="a"))
    clock.pass_ms(1)
    second = make(prod, tutorial_body(schema, name="b"))
    clock.pass_ms(1)
    third = make(prod, tutorial_body(other_schema, "_id", name="a"))

    def ids(*query: tuple[str, str]) -> list[str]:
        return [entry["id"] for entry in listed(prod, *query).json["data"]]

    assert ids() == [first, second, third]
    assert ids(("name", "a")) == [first, third]
    assert ids(("property", f"xdmSchema=={schema}")) == [first, second]
    assert ids(("property", "status==PUBLISHED")) == [first, second, third]
    assert ids(("property", "status==DRAFT")) == []
    assert ids(("orderBy", "-updatedDate")) == [third, second, first]
    assert ids(("orderBy", "createdDate")) == [first, second, third]
    page = prod.send("GET", PATH, query=[("limit", "2"), ("start", "0"), ("name", "a")]).json
    assert page["_page"] == {"count": 2, "limit": 2}
    assert page["_links"] == {}
    page = prod.send("GET", PATH, query=[("limit", "1"), ("start", "0"), ("name", "a")]).json
    following = urlsplit(page["_links"]["next"]["href"])
    assert [entry["id"] for entry in prod.send("GET", PATH, query=parse_qsl(following.query)).json["data"]] == [third]
    assert prod.send("GET", PATH, query=[("limit", "1"), ("start", "0"), ("property", "id==x")]).status == 400
    assert prod.send("GET", PATH, query=[("limit", "1"), ("start", "0"), ("orderBy", "unheard-of")]).status == 400


def test_lists_may_lag_while_a_look_up_by_id_does_not(
    prod: Caller, emulator: Emulator, schema: str, clock: Any
) -> None:
    emulator.options.list_lag_ms = {"mappingSets": 500}
    id = make(prod, tutorial_body(schema))

    assert listed(prod).json["data"] == []
    assert prod.send("GET", f"{PATH}/{id}").status == 200
    clock.pass_ms(500)
    assert [entry["id"] for entry in listed(prod).json["data"]] == [id]


def test_an_absent_set_is_404_and_so_is_one_of_another_sandbox(prod: Caller, dev: Caller, schema: str) -> None:
    id = make(prod, tutorial_body(schema))
    absent = "0" * 32

    assert dev.send("GET", f"{PATH}/{id}").status == 404
    for method, path in (("GET", absent), ("PUT", absent), ("DELETE", absent), ("GET", f"{absent}/mappings")):
        reply = prod.send(method, f"{PATH}/{path}", tutorial_body(schema) if method == "PUT" else None)
        assert (reply.status, reply.code) == (404, "MAPPER-404")


def test_a_put_makes_a_new_version_and_earlier_ones_stay_readable(prod: Caller, schema: str, clock: Any) -> None:
    id = make(prod, tutorial_body(schema))
    clock.pass_ms(7)

    reply = prod.send("PUT", f"{PATH}/{id}", tutorial_body(schema, "_id", "Product_Id") | {"id": id})

    assert reply.status == 200
    assert (reply.json["id"], reply.json["version"]) == (id, 1)
    assert reply.json["modifiedDate"] == reply.json["createdDate"] + 7
    newest = prod.send("GET", f"{PATH}/{id}", query=[("version", "1")]).json
    earlier = prod.send("GET", f"{PATH}/{id}", query=[("version", "0")]).json
    assert newest["mappings"][0]["destinationXdmPath"] == "_id"
    assert earlier["mappings"][0]["destinationXdmPath"] == "person.name.firstName"
    assert earlier["version"] == 0
    assert len(listed(prod).json["data"]) == 1
    assert prod.send("GET", f"{PATH}/{id}", query=[("version", "2")]).status == 404
    assert prod.send("GET", f"{PATH}/{id}", query=[("version", "x")]).status == 400


def test_what_was_read_can_be_put_back(prod: Caller, schema: str) -> None:
    kinds = (("EXPRESSION", "upper(Name)", "_id"), ("STATIC", "x", "personID"), ("ATTRIBUTE", "a", "person.gender"))
    id = make(prod, reference_body(schema, *kinds))
    found = prod.send("GET", f"{PATH}/{id}").json

    replaced = prod.send("PUT", f"{PATH}/{id}", found)

    assert replaced.status == 200
    types = [mapping["sourceType"] for mapping in found["mappings"]]
    assert [mapping["sourceType"] for mapping in replaced.json["mappings"]] == types


def test_a_put_under_another_id_is_refused(prod: Caller, schema: str) -> None:
    id = make(prod, tutorial_body(schema))

    assert prod.send("PUT", f"{PATH}/{id}", tutorial_body(schema) | {"id": "0" * 32}).status == 400


def test_a_delete_answers_204_and_takes_every_version(prod: Caller, schema: str) -> None:
    id = make(prod, tutorial_body(schema))
    prod.send("PUT", f"{PATH}/{id}", tutorial_body(schema))

    first = prod.send("DELETE", f"{PATH}/{id}")

    assert (first.status, first.response.body) == (204, b"")
    assert prod.send("GET", f"{PATH}/{id}", query=[("version", "0")]).status == 404
    assert prod.send("DELETE", f"{PATH}/{id}").status == 404


def test_a_set_that_a_flow_names_stays(prod: Caller, emulator: Emulator, a_pass: Any) -> None:
    flow = a_pass.upto_flow().make_flow()

    reply = prod.send("DELETE", f"{PATH}/{a_pass.mapping_set}")

    assert (reply.status, reply.code) == (400, "MAPPER-400")
    assert flow in reply.json["detail"]
    assert emulator.count("mappingSets") == 1


def test_the_mappings_of_a_set_are_read_one_by_one(prod: Caller, schema: str) -> None:
    id = make(prod, tutorial_body(schema))

    reply = prod.send("GET", f"{PATH}/{id}/mappings")

    (mapping,) = reply.json["data"]
    assert prod.send("GET", f"{PATH}/{id}/mappings/{mapping['id']}").json == mapping
    assert prod.send("GET", f"{PATH}/{id}/mappings/{'0' * 32}").status == 404


def test_the_target_schema_comes_along_when_asked_for(prod: Caller, schema: str) -> None:
    id = make(prod, tutorial_body(schema))

    expanded = prod.send("GET", f"{PATH}/{id}", query=[("expandSchema", "true")]).json
    plain = prod.send("GET", f"{PATH}/{id}", query=[("expandSchema", "false")]).json

    assert "person" in expanded["outputSchema"]["jsonSchema"]["properties"]
    assert "jsonSchema" not in plain["outputSchema"]


def test_validation_judges_each_mapping(prod: Caller, schema: str) -> None:
    body = reference_body(
        schema,
        ("ATTRIBUTE", "Name", "person.name.firstName"),
        ("ATTRIBUTE", "Name", "product.name"),
        ("EXPRESSION", "concat(Name, ", "_id"),
        ("EXPRESSION", "concat(Name, '!')", "_id"),
    )

    entries = prod.send("POST", f"{PATH}/validate", body).json["validationResponse"]

    assert [entry["status"] for entry in entries] == ["SUCCESS", "FAILURE", "FAILURE", "SUCCESS"]
    assert entries[0]["errors"] is None
    assert "product.name" in entries[1]["errors"][0]["message"]
    assert prod.send("GET", PATH, query=[("limit", "1"), ("start", "0")]).json["data"] == []


def test_validation_against_an_absent_schema_is_refused(prod: Caller) -> None:
    body = tutorial_body("https://ns.adobe.com/localtenant/schemas/0123")

    assert prod.send("POST", f"{PATH}/validate", body).status == 400


def test_a_preview_nests_by_destination_and_reports_what_became_null(prod: Caller, schema: str) -> None:
    mapping_set = reference_body(
        schema,
        ("ATTRIBUTE", "Name", "person.name.firstName"),
        ("ATTRIBUTE", "absent", "person.name.lastName"),
        ("EXPRESSION", "concat(upper(Name), '-', Id)", "_id"),
        ("STATIC", "fixed", "personID"),
        ("ATTRIBUTE", "address.city", "person.gender"),
        ("ATTRIBUTE", "${odd name}", "person.taxId"),
    )
    row = {"Name": "Ada", "Id": 7, "address": {"city": "Paris"}, "odd name": "x"}

    reply = prod.send("POST", f"{PATH}/preview", {"data": row, "mappingSet": mapping_set})

    assert reply.status == 200
    assert reply.json["data"] == {
        "person": {"name": {"firstName": "Ada", "lastName": None}, "gender": "Paris", "taxId": "x"},
        "_id": "ADA-7",
        "personID": "fixed",
    }
    (error,) = reply.json["errors"]
    assert error.keys() == {"destination", "source", "sourceType", "exception", "columnName"}
    assert (error["source"], error["destination"]) == ("absent", "person.name.lastName")


@pytest.mark.parametrize(
    ("expression", "good"),
    [
        ("concat(first, ' ', last)", True),
        ("first", True),
        ("${odd name}.x", True),
        ("orders[0].items[*].price * 2 + 1", True),
        ("iif(a == 'b' && !c, 1, -2.5)", True),
        ("a > 1 ? 'x' : \"y\"", True),
        ("[1, 2, 3]", True),
        ("now()", True),
        ("", False),
        ("concat(first", False),
        ("concat(first,)", False),
        ("first last", False),
        ("a +", False),
        ("'open", False),
        ("a..b", False),
        ("§", False),
        ("(" * 1000 + "a" + ")" * 1000, False),
        ("a" * 4097, False),
    ],
)
def test_an_expression_is_well_formed_or_not(prod: Caller, expression: str, good: bool) -> None:
    reply = prod.send("POST", f"{CONVERSION}/languages/el/validate", {"expression": {"expression": expression}})

    assert (reply.status, reply.json) == (200, good)


def test_an_expression_may_come_without_its_wrapper(prod: Caller) -> None:
    reply = prod.send("POST", f"{CONVERSION}/languages/el/validate", {"expression": "concat(a"})

    assert (reply.status, reply.json) == (200, False)
    assert prod.send("POST", f"{CONVERSION}/languages/el/validate", {"expression": 1}).status == 400
