"""Schema Registry: data types, unions, deprecated fields, and its undocumented choices in both worlds (§2, §15)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.emulator.caller import CATALOG, REGISTRY, Caller, Reply
from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options

PROFILE = "https://ns.adobe.com/xdm/context/profile"
PERSON = f"{PROFILE}-person-details"
PERSONAL = f"{PROFILE}-personal-details"
UNION_TAG = [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}]
FULL = "application/vnd.adobe.xed-full+json; version=1"

Json = dict[str, Any]


def make(caller: Caller, kind: str, body: Json) -> Json:
    reply = caller.send("POST", f"{REGISTRY}/tenant/{kind}", {"type": "object", **body})
    assert reply.status == 201, reply.response
    made: Json = reply.json
    return made


def at(caller: Caller, method: str, kind: str, resource: Json, body: Any = None, accept: str = FULL) -> Reply:
    path = f"{REGISTRY}/tenant/{kind}/{resource['meta:altId']}"
    return caller.send(method, path, body, headers={"accept": accept})


def place(**more: Json) -> Json:
    return {"title": "Place", "properties": {"street": {"type": "string"}, "floor": {"type": "integer"}, **more}}


def group_of(data_type: Json, title: str = "with place") -> Json:
    own = {"_localtenant": {"type": "object", "properties": {"place": {"$ref": data_type["$id"]}}}}
    return {
        "title": title,
        "meta:intendedToExtend": [PROFILE],
        "definitions": {"own": {"properties": own}},
        "allOf": [{"$ref": "#/definitions/own"}],
    }


def schema_with(caller: Caller, *refs: str, title: str = "s") -> Json:
    return make(caller, "schemas", {"title": title, "allOf": [{"$ref": ref} for ref in (PROFILE, *refs)]})


def make_dataset(caller: Caller, schema: Json) -> None:
    body = {"name": "d", "schemaRef": {"id": schema["$id"]}}
    assert caller.send("POST", f"{CATALOG}/dataSets", body, query=[("requestDataSource", "true")]).status == 201


def identity(caller: Caller, schema: Json, *, primary: bool = True) -> None:
    body = {
        "@type": "xdm:descriptorIdentity",
        "xdm:sourceSchema": schema["$id"],
        "xdm:sourceProperty": "/personalEmail/address",
        "xdm:isPrimary": primary,
    }
    assert caller.send("POST", f"{REGISTRY}/tenant/descriptors", body).status == 201


def with_options(**options: Any) -> Caller:
    return Caller(Emulator(options=Options(**options)))


def test_a_data_type_is_made_read_changed_listed_and_deleted(prod: Caller) -> None:
    made = make(prod, "datatypes", place())

    assert made["$id"].startswith("https://ns.adobe.com/localtenant/datatypes/")
    assert (made["meta:resourceType"], made["meta:altId"][:23]) == ("datatypes", "_localtenant.datatypes.")
    assert made["properties"]["floor"]["meta:xdmType"] == "int"
    assert at(prod, "GET", "datatypes", made).json["properties"]["street"]["type"] == "string"
    patched = at(prod, "PATCH", "datatypes", made, [{"op": "replace", "path": "/title", "value": "Where"}])
    assert (patched.status, patched.json["version"], patched.json["title"]) == (200, "1.1", "Where")
    assert at(prod, "PUT", "datatypes", made, {"type": "object", **place()}).json["version"] == "1.2"
    listed = prod.send("GET", f"{REGISTRY}/tenant/datatypes", headers={"accept": "application/vnd.adobe.xed-id+json"})
    assert [found["title"] for found in listed.json["results"]] == ["Place"]
    assert prod.send("GET", f"{REGISTRY}/stats").json["counts"]["datatypes"] == 1
    assert at(prod, "DELETE", "datatypes", made).status == 204
    gone = at(prod, "GET", "datatypes", made)
    assert (gone.status, gone.code) == (404, "XDM-1013-404")


@pytest.mark.parametrize(
    "body",
    [
        {"title": "t"},
        {"title": "t", "properties": []},
        {"title": "t", "properties": {"_hidden": {"type": "string"}}},
        {"title": "t", "properties": {"a": {"type": "object", "properties": {"b c": {"type": "string"}}}}},
        {"title": "t", "properties": {"a": {"type": "spinor"}}},
        {"title": "t", "properties": {"a": {"$ref": "https://ns.adobe.com/localtenant/datatypes/absent"}}},
    ],
)
def test_a_malformed_data_type_is_refused(prod: Caller, emulator: Emulator, body: Json) -> None:
    reply = prod.send("POST", f"{REGISTRY}/tenant/datatypes", {"type": "object", **body})

    assert (reply.status, reply.code) == (400, "XDM-1500-400")
    assert emulator.count("datatypes") == 0


def test_a_data_type_shares_titles_with_the_other_kinds(prod: Caller) -> None:
    schema_with(prod, title="Place")

    reply = prod.send("POST", f"{REGISTRY}/tenant/datatypes", {"type": "object", **place()})

    assert (reply.status, reply.code) == (400, "XDM-1521-400")


def test_a_field_of_a_data_type_is_resolved_in_the_schemas_that_use_it(prod: Caller) -> None:
    group = make(prod, "fieldgroups", group_of(make(prod, "datatypes", place())))
    schema = schema_with(prod, group["$id"])

    full = at(prod, "GET", "schemas", schema).json

    inner = full["properties"]["_localtenant"]["properties"]["place"]["properties"]
    assert inner["street"]["type"] == "string"


def test_a_data_type_in_use_stays_unless_deletes_are_lax(prod: Caller) -> None:
    """U6."""
    for caller, status in ((prod, 400), (with_options(lax_delete=True), 204)):
        used = make(caller, "datatypes", place())
        make(caller, "fieldgroups", group_of(used))
        assert at(caller, "DELETE", "datatypes", used).status == status


def test_a_data_type_below_a_used_schema_only_grows(prod: Caller) -> None:
    data_type = make(prod, "datatypes", place())
    group = make(prod, "fieldgroups", group_of(data_type))
    make_dataset(prod, schema_with(prod, group["$id"]))

    grown = [{"op": "add", "path": "/properties/city", "value": {"type": "string"}}]
    shrunk = [{"op": "remove", "path": "/properties/street"}]
    assert at(prod, "PATCH", "datatypes", data_type, grown).status == 200
    refused = at(prod, "PATCH", "datatypes", data_type, shrunk)
    assert (refused.status, refused.code) == (400, "XDM-1598-400")
    assert "_localtenant.place.street" in refused.json["detail"]


def test_a_change_that_another_used_schema_cannot_merge_is_refused(prod: Caller) -> None:
    def named(title: str, kind: str) -> Json:
        own = {"_localtenant": {"type": "object", "properties": {title: {"type": kind}}}}
        body = {"title": title, "meta:intendedToExtend": [PROFILE], "definitions": {"own": {"properties": own}}}
        return make(prod, "fieldgroups", {**body, "allOf": [{"$ref": "#/definitions/own"}]})

    one, other = named("one", "string"), named("other", "string")
    make_dataset(prod, schema_with(prod, one["$id"], other["$id"]))
    clash = {"op": "add", "path": "/definitions/own/properties/_localtenant/properties/other"}

    reply = at(prod, "PATCH", "fieldgroups", one, [{**clash, "value": {"type": "number"}}])

    assert (reply.status, reply.code) == (400, "XDM-1413-400")


def test_after_a_lax_delete_the_rest_is_still_answered() -> None:
    caller = with_options(lax_delete=True)
    group = make(caller, "fieldgroups", group_of(make(caller, "datatypes", place())))
    schema = schema_with(caller, group["$id"], PERSONAL)
    make_dataset(caller, schema)
    assert at(caller, "DELETE", "fieldgroups", group).status == 204

    descriptor = {"@type": "xdm:descriptorIdentity", "xdm:sourceSchema": schema["$id"], "xdm:sourceProperty": "/_id"}
    answers = [
        at(caller, "GET", "schemas", schema),
        caller.send("POST", f"{REGISTRY}/tenant/descriptors", descriptor),
        at(caller, "PUT", "schemas", schema, {"title": "s", "type": "object", "allOf": [{"$ref": PROFILE}]}),
    ]

    assert [answer.status for answer in answers] == [400, 400, 200]


@pytest.fixture
def tagged(prod: Caller) -> Callable[[str, str], Json]:
    def make_one(title: str, group: str) -> Json:
        schema = schema_with(prod, group, PERSONAL, title=title)
        identity(prod, schema)
        assert at(prod, "PATCH", "schemas", schema, UNION_TAG).status == 200
        return schema

    return make_one


def test_a_union_shows_what_the_tagged_schemas_of_a_class_have_together(prod: Caller, tagged: Any) -> None:
    schema_with(prod, PERSON, title="untagged")
    path = f"{REGISTRY}/tenant/unions"
    ids = {"accept": "application/vnd.adobe.xed-id+json"}
    assert prod.send("GET", path, headers=ids).json["results"] == []

    tagged("one", PERSONAL)
    first = prod.send("GET", path, headers=ids).json["results"]
    look_up = {"accept": FULL}
    before = prod.send("GET", f"{path}/_xdm.context.profile__union", headers=look_up)
    tagged("two", PERSON)
    after = prod.send("GET", f"{path}/https%3A%2F%2Fns.adobe.com%2Fxdm%2Fcontext%2Fprofile__union", headers=look_up)

    assert [found["$id"] for found in first] == [f"{PROFILE}__union"]
    assert "personalEmail" in before.json["properties"]
    assert "person" not in before.json["properties"]
    assert {"personalEmail", "person"} <= after.json["properties"].keys()
    assert prod.send("GET", f"{REGISTRY}/stats").json["counts"]["unions"] == 1
    absent = prod.send("GET", f"{path}/_xdm.context.nothing__union", headers=look_up)
    assert (absent.status, absent.code) == (404, "XDM-1015-404")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_unions_are_read_only(prod: Caller, method: str) -> None:
    end = "" if method == "POST" else "/_xdm.context.profile__union"

    assert prod.send(method, f"{REGISTRY}/tenant/unions{end}", {}).status == 405


def test_the_members_of_a_union_are_found_by_tag_and_class(prod: Caller, tagged: Any) -> None:
    schema_with(prod, title="untagged")
    tagged("one", PERSON)

    reply = prod.send(
        "GET",
        f"{REGISTRY}/tenant/schemas",
        headers={"accept": "application/vnd.adobe.xed-id+json"},
        query=[("property", "meta:immutableTags==union"), ("property", f"meta:class=={PROFILE}")],
    )

    assert [found["title"] for found in reply.json["results"]] == ["one"]


def test_a_schema_of_a_union_stays(prod: Caller, tagged: Any) -> None:
    reply = at(prod, "DELETE", "schemas", tagged("one", PERSON))

    assert (reply.status, reply.code) == (400, "XDM-1599-400")


def test_deprecated_fields_are_flagged_in_the_form_for_them_only(prod: Caller) -> None:
    schema = schema_with(prod, PERSONAL)
    descriptor = {
        "@type": "xdm:descriptorDeprecated",
        "xdm:sourceSchema": schema["$id"],
        "xdm:sourceProperty": "/faxPhone/number",
    }
    assert prod.send("POST", f"{REGISTRY}/tenant/descriptors", descriptor).status == 201

    def fax(form: str) -> Json:
        accept = f"application/vnd.adobe.{form}+json; version=1"
        phone = at(prod, "GET", "schemas", schema, accept=accept).json["properties"]["faxPhone"]
        assert "meta:status" not in phone
        number: Json = phone["properties"]["number"]
        return number

    assert fax("xed-deprecatefield")["meta:status"] == "deprecated"
    assert "meta:status" not in fax("xed-full")


def test_class_usage_is_an_object_or_an_array(prod: Caller) -> None:
    """§2.3: the guide and the OpenAPI file disagree."""
    for caller in (prod, with_options(class_usage_array=True)):
        schema_with(caller, title="s")
    as_object = prod.send("GET", f"{REGISTRY}/stats").json["classUsage"]
    as_array = with_options(class_usage_array=True)
    schema_with(as_array, title="s")
    found = as_array.send("GET", f"{REGISTRY}/stats").json["classUsage"]

    assert [schema["title"] for schema in as_object[PROFILE]] == ["s"]
    assert (found[0]["class"], [schema["title"] for schema in found[0]["schemas"]]) == (PROFILE, ["s"])


@pytest.mark.parametrize(
    ("path", "accept", "now", "then", "title"),
    [
        ("/tenant/schemas", None, 400, 406, "NotAcceptableError"),
        ("/tenant/schemas", "application/json", 400, 406, "NotAcceptableError"),
        ("/tenant/schemas", "application/vnd.adobe.xed+json; version=1", 400, 400, "BadRequestError"),
        ("/tenant/schemas/_x.schemas.1", None, 400, 406, "NotAcceptableError"),
        ("/tenant/schemas/_x.schemas.1", "application/vnd.adobe.xed+json", 400, 400, "BadRequestError"),
        ("/tenant/descriptors", "application/vnd.adobe.xed+json", 400, 406, "NotAcceptableError"),
    ],
)
def test_accept_faults_may_be_told_as_in_2020(
    prod: Caller, path: str, accept: str | None, now: int, then: int, title: str
) -> None:
    headers = {"accept": accept} if accept else {}

    new = prod.send("GET", f"{REGISTRY}{path}", headers=headers)
    old = with_options(registry_2020_errors=True).send("GET", f"{REGISTRY}{path}", headers=headers)

    assert (new.status, new.json["title"]) == (now, "Accept header invalid")
    assert (old.status, old.json["title"]) == (then, title)
    assert old.json.keys() == {"type", "status", "title", "detail"}


def test_malformed_bodies_may_be_told_as_in_2020_while_known_codes_stay() -> None:
    """U5."""
    caller = with_options(registry_2020_errors=True)
    malformed = caller.send("POST", f"{REGISTRY}/tenant/schemas", {"title": "t"})
    schema_with(caller, title="t")
    taken = caller.send(
        "POST", f"{REGISTRY}/tenant/schemas", {"title": "t", "type": "object", "allOf": [{"$ref": PROFILE}]}
    )

    assert (malformed.status, malformed.json["type"]) == (400, "/placeholder/type/uri")
    assert taken.code == "XDM-1521-400"


def test_a_second_descriptor_of_one_place_is_refused_or_accepted(prod: Caller) -> None:
    """U22."""
    for caller, status in ((prod, 400), (with_options(allow_equal_descriptors=True), 201)):
        schema = schema_with(caller, PERSONAL)
        identity(caller, schema, primary=False)
        body = {
            "@type": "xdm:descriptorIdentity",
            "xdm:sourceSchema": schema["$id"],
            "xdm:sourceProperty": "/personalEmail/address",
        }
        assert caller.send("POST", f"{REGISTRY}/tenant/descriptors", body).status == status


def test_a_sandbox_holds_at_most_4000_descriptors(prod: Caller, emulator: Emulator) -> None:
    schema = schema_with(prod, PERSONAL)
    with emulator.world.store.transaction():
        for number in range(4000):
            descriptor = {"@id": str(number), "@type": "xdm:other", "xdm:sourceSchema": "", "xdm:sourceProperty": ""}
            emulator.world.store.put("descriptors", "prod", str(number), descriptor)
    body = {"@type": "xdm:alternateDisplayInfo", "xdm:sourceSchema": schema["$id"], "xdm:sourceProperty": "/_id"}

    assert prod.send("POST", f"{REGISTRY}/tenant/descriptors", body).status == 400
    assert prod.send("DELETE", f"{REGISTRY}/tenant/descriptors/7").status == 204
    assert prod.send("POST", f"{REGISTRY}/tenant/descriptors", body).status == 201


def test_titles_may_hold_anything_and_are_found_again(prod: Caller) -> None:
    for title in ("a==b", "50% & more", "né/ü:*", '"quoted"', "x<y>=z"):
        schema_with(prod, title=title)
        reply = prod.send(
            "GET",
            f"{REGISTRY}/tenant/schemas",
            headers={"accept": "application/vnd.adobe.xed-id+json"},
            query=[("property", f"title=={title}")],
        )
        assert [found["title"] for found in reply.json["results"]] == [title]


def test_a_page_may_be_shorter_than_the_limit_though_more_follow() -> None:
    """§2.2: the limit is a hint; a list ends where `_page.next` is null."""
    caller = with_options(short_pages=True)
    for title in "abcde":
        schema_with(caller, title=title)
    found: list[list[str]] = []
    start: list[tuple[str, str]] = []

    while True:
        reply = caller.send(
            "GET",
            f"{REGISTRY}/tenant/schemas",
            headers={"accept": "application/vnd.adobe.xed-id+json"},
            query=[("orderby", "title"), ("limit", "4"), *start],
        ).json
        found.append([entry["title"] for entry in reply["results"]])
        if reply["_page"]["next"] is None:
            break
        start = [("start", reply["_page"]["next"])]

    assert found == [["a", "b"], ["c", "d"], ["e"]]


@pytest.mark.parametrize(("short", "digits"), [(False, 48), (True, 32)])
def test_the_last_part_of_an_id_is_long_or_short(short: bool, digits: int) -> None:
    caller = with_options(short_registry_ids=short)
    made = schema_with(caller)

    assert len(made["$id"].rpartition("/")[2]) == len(made["meta:altId"].rpartition(".")[2]) == digits
    assert at(caller, "GET", "schemas", made).status == 200
