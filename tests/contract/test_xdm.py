"""Adobe's own resources, resolution and paths (platform-api.md §7.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest

from flowledger.emulator.caller import CATALOG, REGISTRY, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.paths import unknown_destinations

NS = "https://ns.adobe.com/xdm/"
PROFILE = f"{NS}context/profile"
FULL = {"accept": "application/vnd.adobe.xed-full+json; version=1"}

Json = dict[str, Any]


def full(caller: Caller, kind: str, name: str) -> Json:
    reply = caller.send("GET", f"{REGISTRY}/global/{kind}/{quote(NS + name, safe='')}", headers=FULL)
    assert reply.status == 200, reply.response
    resource: Json = reply.json
    return resource


def leaves(node: Json, prefix: str = "") -> dict[str, str]:
    found = {}
    for name, field in node.get("properties", {}).items():
        if field["type"] == "object":
            found.update(leaves(field, f"{prefix}{name}."))
        else:
            found[prefix + name] = field["meta:xdmType"]
    return found


def texts(prefix: str, names: str) -> dict[str, str]:
    return {prefix + name: "string" for name in names.split()}


PHONE = "number extension status statusReason validity"

CONTENTS = [
    ("behaviors", "data/record", "Record Schema", {"_id": "string"}),
    (
        "behaviors",
        "data/time-series",
        "Time-series Schema",
        {"_id": "string", "timestamp": "date-time", "eventType": "string"},
    ),
    ("behaviors", "data/adhoc", "Ad Hoc Schema", {}),
    (
        "fieldgroups",
        "common/auditable",
        "Audit trail",
        texts("", "repositoryCreatedBy repositoryLastModifiedBy createdByBatchID modifiedByBatchID")
        | {"_repo.createDate": "date-time", "_repo.modifyDate": "date-time"},
    ),
    (
        "fieldgroups",
        "context/profile-person-details",
        "Demographic Details",
        texts("person.name.", "firstName lastName middleName courtesyTitle suffix fullName")
        | texts("person.", "birthDayAndMonth gender maritalStatus nationality taxId")
        | {"person.birthDate": "date", "person.birthYear": "int"},
    ),
    (
        "fieldgroups",
        "context/profile-personal-details",
        "Personal Contact Details",
        texts(
            "homeAddress.",
            "label street1 street2 street3 street4 city region postalCode postOfficeBox country countryCode "
            "stateProvince status statusReason",
        )
        | {"homeAddress.primary": "boolean", "homeAddress.lastVerifiedDate": "date"}
        | texts("personalEmail.", "address label type status statusReason")
        | {"personalEmail.primary": "boolean"}
        | {f"{phone}.primary": "boolean" for phone in ("homePhone", "mobilePhone", "faxPhone")}
        | texts("homePhone.", PHONE)
        | texts("mobilePhone.", PHONE)
        | texts("faxPhone.", PHONE),
    ),
]


@pytest.mark.parametrize(("kind", "name", "title", "fields"), CONTENTS)
def test_adobes_resources_have_their_fields(
    prod: Caller, kind: str, name: str, title: str, fields: dict[str, str]
) -> None:
    resource = full(prod, kind, name)

    assert resource["title"] == title
    assert resource["meta:altId"] == "_xdm." + name.replace("/", ".")
    assert leaves(resource) == fields


def test_the_profile_class_brings_record_and_audit_trail(prod: Caller) -> None:
    resource = full(prod, "classes", "context/profile")

    assert leaves(resource).keys() == {
        "_id",
        "personID",
        "repositoryCreatedBy",
        "repositoryLastModifiedBy",
        "createdByBatchID",
        "modifiedByBatchID",
        "_repo.createDate",
        "_repo.modifyDate",
    }
    assert resource["meta:containerId"] == "global"


def test_field_groups_say_for_which_class_they_are(prod: Caller) -> None:
    resource = full(prod, "fieldgroups", "context/profile-person-details")

    assert resource["meta:intendedToExtend"] == [PROFILE]
    assert resource["meta:resourceType"] == "mixins"


def test_a_resolved_schema_is_a_json_schema_that_judges_rows(prod: Caller) -> None:
    resource = full(prod, "fieldgroups", "context/profile-person-details")
    validator = jsonschema.Draft7Validator(resource)
    jsonschema.Draft7Validator.check_schema(resource)

    assert validator.is_valid({"person": {"name": {"firstName": "Ada"}, "birthYear": 1815}})
    assert not validator.is_valid({"person": {"birthYear": 0}})
    assert not validator.is_valid({"person": {"name": {"firstName": 1}}})


@pytest.fixture
def schema(prod: Caller) -> str:
    inner = {
        "name": {"type": "string"},
        "prices": {"type": "array", "items": {"type": "object", "properties": {"value": {"type": "number"}}}},
    }
    group = {
        "title": "own",
        "type": "object",
        "meta:intendedToExtend": [PROFILE],
        "definitions": {"own": {"properties": {"_localtenant": {"type": "object", "properties": inner}}}},
        "allOf": [{"$ref": "#/definitions/own"}],
    }
    own = prod.send("POST", f"{REGISTRY}/tenant/fieldgroups", group).json["$id"]
    refs = [PROFILE, f"{PROFILE}-person-details", f"{PROFILE}-personal-details", own]
    body = {"title": "s", "type": "object", "allOf": [{"$ref": ref} for ref in refs]}
    return str(prod.send("POST", f"{REGISTRY}/tenant/schemas", body).json["$id"])


@pytest.fixture
def unknown(emulator: Emulator, schema: str) -> Callable[..., list[str]]:
    def ask(*destinations: str, of: str = schema) -> list[str]:
        mappings = [{"destinationXdmPath": destination} for destination in destinations]
        return unknown_destinations(emulator.world, "prod", {"xdmSchema": of, "mappings": mappings})

    return ask


@pytest.mark.parametrize(
    "path",
    [
        "person.name.firstName",
        "personalEmail.address",
        "mobilePhone.number",
        "_id",
        "createdByBatchID",
        "_localtenant.name",
        "_localtenant.prices",
        "_localtenant.prices[0].value",
        "_localtenant.prices[*].value",
    ],
)
def test_paths_of_the_schema_are_known(unknown: Callable[..., list[str]], path: str) -> None:
    assert unknown(path) == []


@pytest.mark.parametrize(
    "path",
    [
        "product.name",
        "product.description",
        "person.name.first",
        "person.name.firstName.more",
        "person.name[0].firstName",
        "name",
        "_localtenant.price",
        "_othertenant.name",
        "",
    ],
)
def test_other_paths_are_named(unknown: Callable[..., list[str]], path: str) -> None:
    assert unknown("_id", path) == [path]


def test_of_a_schema_that_is_gone_no_path_is_known(unknown: Callable[..., list[str]]) -> None:
    assert unknown("_id", of="https://ns.adobe.com/localtenant/schemas/0123") == ["_id"]


def test_the_reference_dialect_is_understood_too(emulator: Emulator, schema: str) -> None:
    mapping_set = {
        "outputSchema": {"schemaRef": {"id": schema}},
        "mappings": [{"destination": "_id"}, {"destination": "product.name"}],
    }

    assert unknown_destinations(emulator.world, "prod", mapping_set) == ["product.name"]


def test_a_dataset_does_not_take_a_class_for_a_schema(prod: Caller) -> None:
    reply = prod.send(
        "POST",
        f"{CATALOG}/dataSets",
        {"name": "d", "schemaRef": {"id": PROFILE}},
        query=[("requestDataSource", "true")],
    )

    assert reply.status == 400
