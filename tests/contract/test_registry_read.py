"""Schema Registry: look-ups in every spelling and form, and lists (platform-api.md §2.1-§2.3)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from flowledger.emulator.caller import REGISTRY, Caller, Reply
from flowledger.emulator.core import Emulator

PROFILE = "https://ns.adobe.com/xdm/context/profile"
ADHOC = "https://ns.adobe.com/xdm/data/adhoc"
PREFIX = "application/vnd.adobe."

Json = dict[str, Any]


def get(caller: Caller, path: str, accept: str | None, *query: tuple[str, str]) -> Reply:
    headers = {} if accept is None else {"accept": accept}
    return caller.send("GET", f"{REGISTRY}{path}", query=query, headers=headers, without=["content-type"])


def listed(caller: Caller, path: str, *query: tuple[str, str], form: str = "xed-id+json") -> Json:
    reply = get(caller, path, f"{PREFIX}{form}", *query)
    assert reply.status == 200, reply.response
    page: Json = reply.json
    return page


def make(caller: Caller, title: str, kind: str = "schemas", ref: str = PROFILE) -> Json:
    body = {"title": title, "description": f"about {title}", "type": "object", "allOf": [{"$ref": ref}]}
    reply = caller.send("POST", f"{REGISTRY}/tenant/{kind}", body)
    assert reply.status == 201, reply.response
    resource: Json = reply.json
    return resource


def titles(page: Json) -> list[str]:
    return [entry["title"] for entry in page["results"]]


@pytest.mark.parametrize("accept", ["xed+json; version=1", "xed+json;version=1", "xed+json; version=1.0"])
def test_a_resource_is_found_by_encoded_id_and_by_alt_id(prod: Caller, accept: str) -> None:
    made = make(prod, "one")

    by_alt_id = get(prod, f"/tenant/schemas/{made['meta:altId']}", PREFIX + accept)
    by_id = get(prod, f"/tenant/schemas/{quote(made['$id'], safe='')}", PREFIX + accept)

    assert by_alt_id.status == by_id.status == 200
    assert by_alt_id.json == by_id.json == made
    assert by_id.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("classes/_xdm.context.profile", "XDM Individual Profile"),
        ("behaviors/_xdm.data.adhoc", "Ad Hoc Schema"),
        ("fieldgroups/_xdm.context.profile-person-details", "Demographic Details"),
        ("mixins/https%3A%2F%2Fns.adobe.com%2Fxdm%2Fcontext%2Fprofile-personal-details", "Personal Contact Details"),
    ],
)
def test_adobes_resources_are_listed_in_the_global_container_only(prod: Caller, path: str, title: str) -> None:
    assert get(prod, f"/global/{path}", f"{PREFIX}xed+json; version=1").json["title"] == title
    kind = path.partition("/")[0]
    assert title in titles(listed(prod, f"/global/{kind}"))
    assert kind == "behaviors" or listed(prod, f"/tenant/{kind}")["results"] == []


@pytest.mark.parametrize(
    "path",
    [
        "classes/_xdm.context.profile",
        "classes/https%3A%2F%2Fns.adobe.com%2Fxdm%2Fcontext%2Fprofile",
        "fieldgroups/_xdm.context.profile-person-details",
        "mixins/https%3A%2F%2Fns.adobe.com%2Fxdm%2Fcontext%2Fprofile-personal-details",
    ],
)
@pytest.mark.parametrize("form", ["xed", "xdm-full"])
def test_a_read_below_tenant_finds_adobes_resources_too(prod: Caller, path: str, form: str) -> None:
    accept = f"{PREFIX}{form}+json; version=1"

    below_tenant = get(prod, f"/tenant/{path}", accept)

    assert below_tenant.status == 200
    assert below_tenant.json == get(prod, f"/global/{path}", accept).json


@pytest.mark.parametrize(("method", "body"), [("PATCH", []), ("PUT", {"title": "mine"}), ("DELETE", None)])
def test_adobes_resources_cannot_be_changed_below_tenant(prod: Caller, method: str, body: Any) -> None:
    reply = prod.send(method, f"{REGISTRY}/tenant/classes/_xdm.context.profile", body)

    assert (reply.status, reply.code) == (404, "XDM-1010-404")


def test_adobes_classes_are_no_schemas_and_no_unions(prod: Caller) -> None:
    accept = f"{PREFIX}xed+json; version=1"

    assert get(prod, "/tenant/schemas/_xdm.context.profile", accept).code == "XDM-1012-404"
    assert get(prod, "/tenant/unions/_xdm.context.profile", accept).code == "XDM-1015-404"
    assert get(prod, "/tenant/unions/_xdm.context.profile__union", accept).code == "XDM-1015-404"


@pytest.mark.parametrize(
    ("kind", "code"), [("classes", "XDM-1010-404"), ("schemas", "XDM-1012-404"), ("fieldgroups", None)]
)
def test_an_absent_resource_is_404(prod: Caller, kind: str, code: str | None) -> None:
    reply = get(prod, f"/tenant/{kind}/_localtenant.{kind}.0123", f"{PREFIX}xed+json; version=1")

    assert reply.status == 404
    assert reply.code == code or (code is None and reply.code in {f"XDM-{n}-404" for n in range(1010, 1018)})
    assert reply.json["title"] == "Resource not found"


def test_a_resource_is_of_one_kind_and_one_sandbox(prod: Caller, dev: Caller) -> None:
    made = make(prod, "one")
    accept = f"{PREFIX}xed+json; version=1"

    assert get(prod, f"/tenant/classes/{made['meta:altId']}", accept).status == 404
    assert get(dev, f"/tenant/schemas/{made['meta:altId']}", accept).status == 404


def test_the_full_form_has_properties_instead_of_references(prod: Caller) -> None:
    made = make(prod, "one")
    path = f"/tenant/schemas/{made['meta:altId']}"

    full = get(prod, path, f"{PREFIX}xed-full+json; version=1").json

    assert "allOf" not in full
    assert {"_id", "personID", "createdByBatchID", "_repo"} <= full["properties"].keys()
    assert full["properties"]["_repo"]["properties"]["createDate"]["format"] == "date-time"
    assert full["properties"]["personID"]["title"]
    assert full["title"] == "one"
    assert full["$id"] == made["$id"]


def test_an_ad_hoc_schema_in_full_has_the_columns_under_its_namespace(prod: Caller) -> None:
    columns = {"Type": {"type": "string"}, "title": {"type": "string"}}
    body = {
        "title": "raw",
        "type": "object",
        "allOf": [{"$ref": ADHOC}, {"properties": {"_adhoc": {"type": "object", "properties": columns}}}],
    }
    ad_hoc = prod.send("POST", f"{REGISTRY}/tenant/classes", body).json
    schema = make(prod, "raw schema", ref=ad_hoc["$id"])

    full = get(prod, f"/tenant/schemas/{schema['meta:altId']}", f"{PREFIX}xed-full-notext+json; version=1").json

    namespace = ad_hoc["meta:datasetNamespace"]
    assert full["properties"].keys() == {namespace}
    assert full["properties"][namespace]["properties"].keys() == {"Type", "title"}
    assert "title" not in full


@pytest.mark.parametrize("form", ["xed-notext", "xed-full-notext"])
def test_the_notext_forms_have_no_titles_and_descriptions(prod: Caller, form: str) -> None:
    shown = get(prod, "/global/classes/_xdm.context.profile", f"{PREFIX}{form}+json; version=1").json

    assert "title" not in shown
    assert "description" not in shown
    if form == "xed-full-notext":
        assert all("title" not in field for field in shown["properties"].values())
    else:
        assert shown["allOf"]


@pytest.mark.parametrize("form", ["", "-full", "-notext", "-full-notext", "-full-desc", "-deprecatefield"])
@pytest.mark.parametrize("path", ["classes/_xdm.context.profile", "fieldgroups/_xdm.context.profile-person-details"])
def test_xdm_media_types_show_what_the_xed_ones_show(prod: Caller, path: str, form: str) -> None:
    shown = get(prod, f"/global/{path}", f"{PREFIX}xdm{form}+json; version=1")

    assert shown.status == 200
    assert shown.json == get(prod, f"/global/{path}", f"{PREFIX}xed{form}+json; version=1").json


@pytest.mark.parametrize("kind", ["classes", "fieldgroups", "mixins", "schemas", "datatypes"])
@pytest.mark.parametrize("form", ["-id", ""])
def test_lists_take_xdm_media_types_as_the_xed_ones(prod: Caller, kind: str, form: str) -> None:
    make(prod, "one")

    for container in ("global", "tenant"):
        shown = listed(prod, f"/{container}/{kind}", form=f"xdm{form}+json")
        assert shown == listed(prod, f"/{container}/{kind}", form=f"xed{form}+json")


@pytest.mark.parametrize("form", ["xdm-full-flat", "xed-flat"])
def test_the_flat_form_has_paths_instead_of_objects(prod: Caller, form: str) -> None:
    path = "/global/fieldgroups/_xdm.context.profile-person-details"

    flat = get(prod, path, f"{PREFIX}{form}+json; version=1").json["properties"]

    assert {"person/name/firstName", "person/birthDate"} <= flat.keys()
    assert not {"person", "person/name"} & flat.keys()
    assert flat["person/birthDate"]["format"] == "date"


def test_the_deprecated_form_flags_fields_as_the_documented_one_does(prod: Caller) -> None:
    made = make(prod, "one")
    descriptor = {
        "@type": "xdm:descriptorDeprecated",
        "xdm:sourceSchema": made["$id"],
        "xdm:sourceProperty": "/personID",
    }
    prod.send("POST", f"{REGISTRY}/tenant/descriptors", descriptor)
    path = f"/tenant/schemas/{made['meta:altId']}"

    shown = get(prod, path, f"{PREFIX}xdm-full-deprecated+json; version=1").json

    assert shown["properties"]["personID"]["meta:status"] == "deprecated"
    assert shown == get(prod, path, f"{PREFIX}xed-deprecatefield+json; version=1").json


def test_the_desc_form_brings_the_descriptors(prod: Caller) -> None:
    made = make(prod, "one")
    descriptor = {
        "@type": "xdm:descriptorIdentity",
        "xdm:sourceSchema": made["$id"],
        "xdm:sourceProperty": "/personID",
        "xdm:namespace": "Email",
    }
    created = prod.send("POST", f"{REGISTRY}/tenant/descriptors", descriptor).json
    path = f"/tenant/schemas/{made['meta:altId']}"

    shown = get(prod, path, f"{PREFIX}xed-full-desc+json; version=1").json

    assert [found["@id"] for found in shown["meta:descriptors"]] == [created["@id"]]
    assert "meta:descriptors" not in get(prod, path, f"{PREFIX}xed-full+json; version=1").json


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "*/*",
        "application/json",
        f"{PREFIX}xed-id+json",
        f"{PREFIX}xed+json",  # no version
        f"{PREFIX}xed-full+json; version=one",
        f"{PREFIX}xdm+json",  # no version
        f"{PREFIX}xdm-id+json; version=1",  # a form of lists
        f"{PREFIX}xdm-link+json; version=1",  # of descriptors
        f"{PREFIX}xdm-full-text+json; version=1",
        f"{PREFIX}unheard-of+json; version=1",
    ],
)
def test_a_look_up_needs_a_form_and_a_version(prod: Caller, accept: str | None) -> None:
    reply = get(prod, "/global/classes/_xdm.context.profile", accept)

    assert (reply.status, reply.code) == (400, "XDM-1007-400")
    assert reply.json["title"] == "Accept header invalid"


@pytest.mark.parametrize(
    "accept", [None, "*/*", f"{PREFIX}xed-id+json; version=1", f"{PREFIX}xed-full+json", f"{PREFIX}xdm-link+json"]
)
def test_a_list_needs_a_form_of_lists_without_a_version(prod: Caller, accept: str | None) -> None:
    reply = get(prod, "/tenant/schemas", accept)

    assert (reply.status, reply.code) == (400, "XDM-1006-400")
    assert reply.json["title"] == "Accept header invalid"


@pytest.mark.parametrize("version", ["2", "1.7"])
def test_a_version_that_does_not_exist_is_not_acceptable(prod: Caller, version: str) -> None:
    made = make(prod, "one")

    assert get(prod, f"/tenant/schemas/{made['meta:altId']}", f"{PREFIX}xed+json; version={version}").status == 406


def test_the_first_form_that_is_known_is_taken_by_its_quality(prod: Caller) -> None:
    accept = f"{PREFIX}xed+json; version=1; q=0.5, text/html, {PREFIX}xed-full+json; version=1"

    assert "properties" in get(prod, "/global/classes/_xdm.context.profile", accept).json


def test_a_list_of_ids_is_short_and_says_where_the_global_ones_are(prod: Caller) -> None:
    made = make(prod, "one")

    page = listed(prod, "/tenant/schemas")

    assert page["results"] == [{key: made[key] for key in ("$id", "meta:altId", "version", "title")}]
    assert page["_page"] == {"orderby": "updated", "next": None, "count": 1}
    assert page["_links"]["next"] is None
    assert page["_links"]["global_schemas"]["href"].endswith("/data/foundation/schemaregistry/global/schemas")


def test_a_list_of_whole_resources_shows_descriptions(prod: Caller) -> None:
    made = make(prod, "one")

    assert listed(prod, "/tenant/schemas", form="xed+json")["results"] == [made]


@pytest.mark.parametrize(
    "path",
    [
        "/tenant/schemas",
        "/tenant/classes",
        "/tenant/fieldgroups",
        "/tenant/mixins",
        "/tenant/datatypes",
        "/tenant/unions",
        "/global/schemas",
        "/global/datatypes",
    ],
)
def test_an_empty_list_is_a_page_of_none(prod: Caller, path: str) -> None:
    page = listed(prod, path)

    assert page["results"] == []
    assert page["_page"]["count"] == 0
    assert page["_page"]["next"] is None


def test_the_global_lists_show_adobes_resources(prod: Caller) -> None:
    assert set(titles(listed(prod, "/global/classes"))) == {"XDM Individual Profile", "XDM ExperienceEvent"}
    assert set(titles(listed(prod, "/global/behaviors"))) == {"Record Schema", "Time-series Schema", "Ad Hoc Schema"}


def test_pages_follow_each_other_by_the_last_title(prod: Caller) -> None:
    for title in ("d", "b", "a", "c", "e"):
        make(prod, title)

    seen, start = [], None
    for _ in range(3):
        query = [("orderby", "title"), ("limit", "2"), *([("start", start)] if start else [])]
        page = listed(prod, "/tenant/schemas", *query)
        seen.append(titles(page))
        start = page["_page"]["next"]

    assert seen == [["a", "b"], ["c", "d"], ["e"]]
    assert start is None


def test_the_link_to_the_next_page_keeps_filter_and_order(prod: Caller) -> None:
    for title in ("a", "b", "c"):
        make(prod, title)
    query = [("orderby", "title"), ("limit", "1"), ("property", "title!=b")]

    href = listed(prod, "/tenant/schemas", *query)["_links"]["next"]["href"]

    following = urlsplit(href)
    assert following.path == f"{REGISTRY}/tenant/schemas"
    assert titles(listed(prod, "/tenant/schemas", *parse_qsl(following.query))) == ["c"]


def test_a_list_can_be_sorted_downwards_and_by_several_fields(prod: Caller, clock: Any) -> None:
    for title in ("a", "b"):
        make(prod, title)
        clock.pass_ms(1)

    assert titles(listed(prod, "/tenant/schemas", ("orderby", "-title"))) == ["b", "a"]
    assert titles(listed(prod, "/tenant/schemas", ("orderby", "version,-title"))) == ["b", "a"]
    assert titles(listed(prod, "/tenant/schemas", ("orderby", "-updated"))) == ["b", "a"]
    assert titles(listed(prod, "/tenant/schemas", ("orderby", "-title"), ("start", "b"))) == ["a"]


@pytest.mark.parametrize("more", [[], [("limit", "1")], [("property", "title")]])
def test_start_without_orderby_finds_nothing(prod: Caller, clock: Any, more: list[tuple[str, str]]) -> None:
    make(prod, "first")
    updated = listed(prod, "/tenant/schemas", form="xed+json")["results"][0]["meta:registryMetadata"]
    clock.pass_ms(1000)
    make(prod, "second")

    page = listed(prod, "/tenant/schemas", ("start", str(updated["repo:lastModifiedDate"])), *more)

    assert page["results"] == []
    assert page["_page"]["next"] is None
    assert titles(listed(prod, "/tenant/schemas", ("start", ""), ("orderby", "title"), *more)) != []


def test_entries_that_share_the_sorted_value_are_skipped_by_start(prod: Caller) -> None:
    for title in ("a", "b"):
        make(prod, title)  # both at the same millisecond

    page = listed(prod, "/tenant/schemas", ("orderby", "updated"), ("limit", "1"))
    after = listed(prod, "/tenant/schemas", ("orderby", "updated"), ("start", str(page["_page"]["next"])))

    assert titles(page) == ["a"]
    assert titles(after) == []


def test_a_limit_counts_only_with_orderby_and_has_a_maximum(prod: Caller) -> None:
    for title in ("a", "b"):
        make(prod, title)

    assert titles(listed(prod, "/tenant/schemas", ("limit", "1"))) == ["a", "b"]
    assert titles(listed(prod, "/tenant/schemas", ("limit", "0"), ("orderby", "title"))) == []
    for limit in ("501", "-1", "many"):
        reply = get(prod, "/tenant/schemas", f"{PREFIX}xed-id+json", ("orderby", "title"), ("limit", limit))
        assert reply.status == 400


def test_a_list_without_paging_stops_at_300(prod: Caller) -> None:
    for number in range(301):
        make(prod, f"schema {number:03}")

    page = listed(prod, "/tenant/schemas", ("orderby", "title"))

    assert page["_page"]["count"] == len(page["results"]) == 300
    assert titles(listed(prod, "/tenant/schemas", ("orderby", "title"), ("start", page["_page"]["next"]))) == [
        "schema 300"
    ]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("title==b c&d", ["b c&d"]),
        ("title!=b c&d", ["a", "z"]),
        ("title>a", ["b c&d", "z"]),
        ("title<b", ["a"]),
        ("title>=b c&d", ["b c&d", "z"]),
        ("title<=a", ["a"]),
        ("description", ["a", "b c&d", "z"]),
        ("meta:unheard-of", []),
        (f"meta:extends=={PROFILE}", ["a", "b c&d", "z"]),
        (f"meta:class=={PROFILE}", ["a", "b c&d", "z"]),
        (f"meta:extends=={ADHOC}", []),
    ],
)
def test_lists_are_filtered_by_a_property(prod: Caller, condition: str, expected: list[str]) -> None:
    for title in ("a", "b c&d", "z"):
        make(prod, title)

    assert titles(listed(prod, "/tenant/schemas", ("property", condition))) == expected


def test_several_conditions_must_all_hold(prod: Caller) -> None:
    for title in ("a", "b", "c"):
        make(prod, title)

    assert titles(listed(prod, "/tenant/schemas", ("property", "title>a"), ("property", "title<c"))) == ["b"]


def test_lists_may_lag_while_a_look_up_by_id_does_not(prod: Caller, emulator: Emulator, clock: Any) -> None:
    emulator.options.list_lag_ms = {"schemas": 500}
    made = make(prod, "one")

    assert titles(listed(prod, "/tenant/schemas")) == []
    assert get(prod, f"/tenant/schemas/{made['meta:altId']}", f"{PREFIX}xed+json; version=1").status == 200
    clock.pass_ms(500)
    assert titles(listed(prod, "/tenant/schemas")) == ["one"]
