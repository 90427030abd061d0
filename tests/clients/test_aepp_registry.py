"""The community's client aepp works with the registry of the emulator: each method that people call on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aepp.schema
import pytest
from aepp.classmanager import ClassManager
from aepp.datatypemanager import DataTypeManager
from aepp.fieldgroupmanager import FieldGroupManager
from aepp.schema import Schema
from aepp.schemamanager import SchemaManager
from aepp.synchronizer import Synchronizer

PROFILE = "https://ns.adobe.com/xdm/context/profile"
EVENT = "https://ns.adobe.com/xdm/context/experienceevent"
RECORD = "https://ns.adobe.com/xdm/data/record"
CONTACT = f"{PROFILE}-personal-details"
PERSON = f"{PROFILE}-person-details"
OWN = "/definitions/customFields/properties/_localtenant/properties"

Json = dict[str, Any]
Connect = Callable[[str], Any]


@pytest.fixture
def prod(configured: Connect) -> Any:
    """aepp's class of the registry, on the sandbox prod."""
    return Schema(config=configured("prod"))


@pytest.fixture
def dev(configured: Connect) -> Any:
    return Schema(config=configured("dev"))


@pytest.fixture
def money(prod: Any) -> Json:
    """A data type of one's own."""
    fields = {"amount": {"type": "number"}, "currency": {"type": "string"}}
    made: Json = prod.createDataType({"title": "Money", "type": "object", "properties": fields})
    assert made["$id"].startswith("https://ns.adobe.com/localtenant/datatypes/")
    return made


@pytest.fixture
def payment(prod: Any, money: Json) -> Json:
    """A field group of one's own, with that data type."""
    own = {"money": {"$ref": money["$id"], "type": "object"}, "note": {"type": "string"}}
    properties = {"_localtenant": {"type": "object", "properties": own}}
    made: Json = prod.createFieldGroup(
        {
            "title": "Payment",
            "type": "object",
            "description": "what was paid",
            "meta:intendedToExtend": [PROFILE, EVENT],
            "definitions": {"customFields": {"type": "object", "properties": properties}},
            "allOf": [{"$ref": "#/definitions/customFields"}],
        }
    )
    assert made["$id"].startswith("https://ns.adobe.com/localtenant/mixins/")
    return made


@pytest.fixture
def people(prod: Any, payment: Json) -> Json:
    """A schema of profiles, as aepp makes it: without a type."""
    made: Json = prod.createProfileSchema("People", fieldGroupIds=[PERSON, payment["$id"]])
    assert made["type"] == "object", made
    return made


@pytest.fixture
def events(prod: Any, payment: Json) -> Json:
    """A schema of events, as aepp makes it: without a type."""
    made: Json = prod.createExperienceEventSchema("Events", fieldGroupIds=[CONTACT, payment["$id"]])
    assert made["type"] == "object", made
    return made


def titles(found: list[Json]) -> set[str]:
    return {entry["title"] for entry in found}


def test_aepp_reads_the_tenant_and_the_stats(configured: Connect) -> None:
    schemas = aepp.schema.Schema()

    assert schemas.getTenantId() == "localtenant"
    assert schemas.getStats()["tenantId"] == "localtenant"


def test_aepp_lists_adobes_resources(prod: Any) -> None:
    assert titles(prod.getBehaviors()) >= {"Record Schema", "Time-series Schema"}
    assert prod.getBehavior("https://ns.adobe.com/xdm/data/time-series")["properties"]["timestamp"]
    for form in ("xdm", "xed"):
        classes = prod.getClassesGlobal(format=form, orderBy="title")
        assert titles(classes) == {"XDM Individual Profile", "XDM ExperienceEvent"}
        assert {"Demographic Details", "IdentityMap"} <= titles(prod.getFieldGroupsGlobal(format=form))
    for_events = prod.getFieldGroupsGlobal(prop=f"meta:intendedToExtend=={EVENT}")
    assert titles(for_events) == {"Personal Contact Details"}
    assert prod.getDataTypesGlobal() == prod.getSchemasGlobal() == []


@pytest.mark.parametrize("form", ["xdm", "xed"])
@pytest.mark.parametrize(("id", "title"), [(EVENT, "XDM ExperienceEvent"), (PROFILE, "XDM Individual Profile")])
def test_aepp_reads_adobes_classes_below_tenant(prod: Any, id: str, title: str, form: str) -> None:
    full = prod.getClass(id, type=form)

    assert full["title"] == title
    assert "_id" in full["properties"]
    assert prod.getClass(id, full=False, type=form)["allOf"]
    assert prod.getClass(id, desc=True, type=form)["meta:descriptors"] == []


def test_aepp_reads_adobes_field_groups_below_tenant(prod: Any) -> None:
    assert prod.getFieldGroup(PERSON)["properties"]["person"]["properties"]["name"]
    flat = prod.getFieldGroup(PERSON, flat=True, type="xdm")
    assert flat["properties"]["person/name/firstName"]["type"] == "string"


def test_aepp_makes_changes_and_deletes_a_class(prod: Any) -> None:
    made = prod.createClass(title="Shop", class_template=RECORD)
    assert titles(prod.getClasses()) == {"Shop"}

    patched = prod.patchClass(made["$id"], [{"op": "Replace", "path": "/title", "value": "Store"}])
    body = {"title": "Market", "type": "object", "allOf": [{"$ref": RECORD}]}
    replaced = prod.putClass(made["$id"], body)

    assert (patched["title"], replaced["title"]) == ("Store", "Market")
    assert prod.deleteClass(made["$id"]) == 204
    assert prod.getClasses() == []


def test_aepp_makes_changes_and_deletes_a_data_type(prod: Any, money: Json) -> None:
    added = [{"op": "ADD", "path": "/properties/fee", "value": {"type": "number"}}]

    patched = prod.patchDataType(money["meta:altId"], added)

    assert patched["properties"]["fee"]["type"] == "number"
    assert set(prod.getDataType(money["$id"])["properties"]) == {"amount", "currency", "fee"}
    assert prod.getDataType(money["$id"], type="xdm", full=False)["title"] == "Money"
    assert titles(prod.getDataTypes()) == titles(prod.getDataTypes(properties="title,$id")) == {"Money"}
    body = {"title": "Money", "type": "object", "properties": {"cents": {"type": "integer"}}}
    assert set(prod.putDataType(money["meta:altId"], body)["properties"]) == {"cents"}
    assert prod.deleteDataType(money["$id"]) == 204


def test_aepp_makes_changes_copies_and_deletes_a_field_group(prod: Any, payment: Json) -> None:
    extra = [{"op": "Add", "path": f"{OWN}/extra", "value": {"type": "string"}}]
    assert prod.patchFieldGroup(payment["$id"], extra)["version"] == "1.1"
    assert prod.extendFieldGroup(payment["$id"], [EVENT])["meta:intendedToExtend"] == [EVENT]
    assert titles(prod.getFieldGroups()) == titles(prod.getFieldGroups(format="xed")) == {"Payment"}

    for full in (False, True):
        shown = prod.getFieldGroup(payment["$id"], full=full)
        copied = prod.createFieldGroup(prod.copyFieldGroup(shown, title=f"copy, full {full}"))
        own = prod.getFieldGroup(copied["$id"])["properties"]["_localtenant"]["properties"]
        assert own.keys() == {"money", "note", "extra"}
        assert own["money"]["properties"]["amount"]["type"] == "number"

    stored = prod.getFieldGroup(payment["$id"], full=False)
    assert prod.putFieldGroup(payment["$id"], stored)["title"] == "Payment"
    assert prod.deleteFieldGroup(payment["$id"]) == 204


FORMS: list[dict[str, Any]] = [
    {},
    {"full": False},
    {"desc": True},
    {"deprecated": True},
    {"schema_type": "xed"},
    {"full": False, "desc": True, "schema_type": "xed"},
    {"desc": True, "deprecated": True},
]


@pytest.mark.parametrize("form", FORMS)
def test_aepp_reads_a_schema_in_each_form(prod: Any, events: Json, form: dict[str, Any]) -> None:
    shown = prod.getSchema(events["$id"], **form)

    assert shown["title"] == "Events"
    assert ("properties" in shown) == form.get("full", True) or form.get("deprecated", False)


def test_aepp_reads_paths_and_a_sample_of_a_schema(prod: Any, events: Json) -> None:
    paths = prod.getSchemaPaths(events["$id"])
    assert {"timestamp", "_localtenant.money.amount", "personalEmail.address"} <= set(paths)

    sample = prod.getSchemaSample(events["$id"])
    assert {"_id", "timestamp"} <= sample.keys()
    assert sample["_localtenant"]["money"].keys() == {"amount", "currency"}


def test_aepp_finds_changes_and_deletes_schemas(prod: Any, events: Json, people: Json) -> None:
    assert titles(prod.getSchemas()) == {"Events", "People"}
    assert titles(prod.getSchemas(classFilter=EVENT)) == {"Events"}
    assert list(prod.getSchemas(output="df")["title"]) == ["Events", "People"]
    assert titles(prod.getSchemas(format="xed", prop="title==People")) == {"People"}

    patched = prod.patchSchema(events["$id"], [{"op": "replace", "path": "/title", "value": "Payments"}])
    grown = prod.addFieldGroupToSchema(people["$id"], [CONTACT])

    assert patched["title"] == "Payments"
    assert CONTACT in grown["meta:extends"]
    assert prod.deleteSchema(people["$id"]) == 204
    assert titles(prod.getSchemas()) == {"Payments"}


def test_aepp_enables_a_schema_for_profile_and_reads_its_union(prod: Any, events: Json) -> None:
    assert prod.enableSchemaForRealTime(events["$id"])["meta:immutableTags"] == ["union"]

    [union] = prod.getUnions()
    shown = prod.getUnion(f"{EVENT}__union")

    assert union["$id"] == shown["$id"]
    assert {"timestamp", "_localtenant"} <= shown["properties"].keys()
    assert prod.getXDMprofileSchema()["results"] == []


@pytest.mark.parametrize("kind", Schema.DESCRIPTOR_TYPES)
def test_aepp_makes_reads_replaces_and_deletes_a_descriptor(prod: Any, people: Json, events: Json, kind: str) -> None:
    operation = prod.createDescriptorOperation(
        sourceSchema=people["$id"],
        descType=kind,
        completePath="person.name.firstName",
        identityNSCode="Email",
        alternateTitle="First name",
        targetSchema=events["$id"],
        targetCompletePath="_id",
        targetNamespace="Email",
        labels=["core/C12"],
    )

    made = prod.createDescriptor(operation)

    assert made.items() >= operation.items(), made
    assert prod.getDescriptor(made["@id"]) == made
    assert prod.getDescriptors(type_desc=kind, prop=f"xdm:sourceSchema=={people['$id']}") == [made]
    assert prod.getDescriptors(type_desc=kind, prop="xdm:sourceSchema==none") == []
    assert prod.getDescriptors(id_desc=True) == [made["@id"]]
    assert prod.getDescriptors(link_desc=True) == [f"/tenant/descriptors/{made['@id']}"]
    assert prod.putDescriptor(made["@id"], operation) == {"@id": made["@id"]}
    assert prod.deleteDescriptor(made["@id"]) == 204
    assert prod.getDescriptors() == []


def test_aepp_reads_who_changed_a_schema(prod: Any, events: Json, payment: Json) -> None:
    prod.patchSchema(events["$id"], [{"op": "replace", "path": "/title", "value": "Payments"}])

    entries = prod.getAuditLogs(events["$id"])

    changes = [update for entry in entries for update in entry["updates"]]
    assert {"updatedUser", "imsOrg", "updatedTime", "requestId", "clientId"} <= entries[0].keys()
    assert ("replace", "/title", "Payments") in [(one["action"], one["path"], one["value"]) for one in changes]
    assert payment["$id"] in {one["id"] for one in changes}  # a schema is made of it


def test_aepp_exports_a_schema_and_imports_it_into_another_sandbox(prod: Any, dev: Any, events: Json) -> None:
    payload = prod.exportResource(events["$id"])

    made = dev.importResource(payload)

    assert [one["title"] for one in made] == ["Money", "Payment", "Events"]
    shown = dev.getSchema(events["$id"])
    assert shown["properties"] == prod.getSchema(events["$id"])["properties"]
    refused = dev.importResource(payload)
    assert (refused["status"], refused["title"]) == (400, "Import Resource Failed")


def test_titles_are_free_in_another_sandbox_and_taken_in_their_own(prod: Any, dev: Any, people: Json) -> None:
    assert dev.createProfileSchema("People", fieldGroupIds=[PERSON])["title"] == "People"

    refused = prod.createProfileSchema("People", fieldGroupIds=[PERSON])

    assert refused["type"].endswith("XDM-1521-400")
    assert people["$id"] in refused["detail"]


def test_the_schema_manager_reads_searches_changes_and_creates(prod: Any, events: Json, payment: Json) -> None:
    manager = SchemaManager(events["$id"], schemaAPI=prod)

    assert (manager.title, manager.classId) == ("Events", EVENT)
    assert set(manager.fieldGroupTitles) == {"Personal Contact Details", "Payment"}
    assert {"_localtenant.note", "personalEmail.address"} <= set(manager.to_dataframe()["path"])
    identity = manager.createDescriptorOperation("xdm:descriptorIdentity", "_localtenant.note", "Email")
    made = manager.createDescriptor(identity)
    assert manager.getDescriptors() == [made]
    manager.setTitle("Payments")
    assert manager.updateSchema()["title"] == "Payments"

    fresh = SchemaManager(None, title="Fresh", schemaClass=EVENT, schemaAPI=prod)
    fresh.addFieldGroup(payment["$id"])
    created = fresh.createSchema()
    assert created["meta:class"] == EVENT
    assert payment["$id"] in created["meta:extends"]


def test_the_field_group_manager_adds_fields_and_creates(prod: Any, payment: Json) -> None:
    manager = FieldGroupManager(payment["$id"], schemaAPI=prod)
    assert manager.addField("_localtenant.paid", "date-time")

    updated = manager.updateFieldGroup()

    field = updated["definitions"]["customFields"]["properties"]["_localtenant"]["properties"]["paid"]
    assert (field["format"], field["meta:xdmType"]) == ("date-time", "date-time")

    fresh = FieldGroupManager(None, title="Fresh", fg_class=["experienceevent"], schemaAPI=prod)
    fields = {"code": "string", "count": "integer", "large": "long", "ratio": "double", "on": "date"}
    fresh.addField("_localtenant", "object", objectComponents=fields)
    fresh.addField("_localtenant.tags", "string", array=True)
    created = fresh.createFieldGroup()
    assert created["meta:intendedToExtend"] == [EVENT], created
    own = prod.getFieldGroup(created["$id"])["properties"]["_localtenant"]["properties"]
    assert own.keys() == {"code", "count", "large", "ratio", "on", "tags"}
    assert own["tags"]["type"] == "array"


def test_the_data_type_manager_adds_fields_and_creates(prod: Any, money: Json) -> None:
    manager = DataTypeManager(money["$id"], schemaAPI=prod)
    assert {"amount", "currency"} <= set(manager.to_dataframe()["path"])

    fresh = DataTypeManager(None, title="Fresh", schemaAPI=prod)
    fresh.addField("code", "string")
    fresh.addField("count", "long")
    created = fresh.createDataType()

    assert prod.getDataType(created["$id"])["properties"].keys() == {"code", "count"}, created


def test_the_class_manager_reads_and_creates(prod: Any) -> None:
    made = prod.createClass(title="Shop", class_template=RECORD)

    assert list(ClassManager(made["$id"], schemaAPI=prod).to_dataframe()["path"]) == ["_id"]
    assert "timestamp" in set(ClassManager(EVENT, schemaAPI=prod).to_dataframe()["path"])
    created = ClassManager(None, title="Fresh", schemaAPI=prod).createClass()
    assert created["$id"].startswith("https://ns.adobe.com/localtenant/classes/"), created


def test_the_synchronizer_promotes_a_schema_with_what_it_is_made_of(
    prod: Any, dev: Any, configured: Connect, people: Json
) -> None:
    for kind, path in (("xdm:alternateDisplayInfo", "_localtenant.note"), ("xdm:descriptorDeprecated", "person.taxId")):
        operation = prod.createDescriptorOperation(
            sourceSchema=people["$id"], descType=kind, completePath=path, alternateTitle="Note"
        )
        prod.createDescriptor(operation)

    synchronizer = Synchronizer(targets=["dev"], config=configured("prod"), baseSandbox="prod")
    synchronizer.syncComponent("People", componentType="schema")

    assert titles(dev.getSchemas()) == {"People"}
    assert titles(dev.getFieldGroups()) == {"Payment"}
    assert titles(dev.getDataTypes()) == {"Money"}
    [promoted] = dev.getSchemas()
    own = dev.getSchema(promoted["$id"])["properties"]["_localtenant"]["properties"]
    assert own["money"]["properties"].keys() == {"amount", "currency"}
    assert {found["@type"] for found in dev.getDescriptors()} == {
        "xdm:alternateDisplayInfo",
        "xdm:descriptorDeprecated",
    }
