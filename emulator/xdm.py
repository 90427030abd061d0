"""Adobe's own XDM resources, as far as the tutorial and events need them (platform-api.md §7.1), in stored form.

Paths are in compatibility form: no `xdm:` prefix, and the standard's `@id` appears as `_id`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

NS: Final = "https://ns.adobe.com/xdm/"
ADHOC: Final = f"{NS}data/adhoc"
RECORD: Final = f"{NS}data/record"
TIME_SERIES: Final = f"{NS}data/time-series"
AUDITABLE: Final = f"{NS}common/auditable"
PROFILE: Final = f"{NS}context/profile"
EXPERIENCE_EVENT: Final = f"{NS}context/experienceevent"
IDENTITY_MAP: Final = f"{NS}context/identitymap"
PERSON_DETAILS: Final = f"{NS}context/profile-person-details"
PERSONAL_DETAILS: Final = f"{NS}context/profile-personal-details"
BEHAVIOURS: Final = frozenset({ADHOC, RECORD, TIME_SERIES})

LIBRARY: Final = "1.27.4"  # version of Adobe's resources is the library's
LIBRARY_MS: Final = 1586042956286
ADOBE: Final = "Adobe"  # the owner of the global container has no org of ours

Json = dict[str, Any]


def text(**more: Any) -> Json:
    """A string field."""
    return {"type": "string", "meta:xdmType": "string", **more}


def date() -> Json:
    """A day."""
    return {"type": "string", "format": "date", "meta:xdmType": "date"}


def date_time() -> Json:
    """A moment."""
    return {"type": "string", "format": "date-time", "meta:xdmType": "date-time"}


def truth() -> Json:
    """A boolean field."""
    return {"type": "boolean", "meta:xdmType": "boolean"}


def whole(minimum: int, maximum: int) -> Json:
    """An integer field with its bounds."""
    return {"type": "integer", "minimum": minimum, "maximum": maximum, "meta:xdmType": "int"}


def nest(**fields: Json) -> Json:
    """An object field."""
    return {"type": "object", "meta:xdmType": "object", "properties": _titled(fields)}


@cache
def global_resources() -> dict[str, dict[str, Json]]:
    """Everything in the global container: kind of the API -> `$id` -> resource. To be read, never changed."""
    found = [
        _resource(
            "behaviors",
            RECORD,
            "Record Schema",
            "Used to indicate attributes of an entity.",
            _id=text(format="uri-reference"),
        ),
        _resource(
            "behaviors",
            TIME_SERIES,
            "Time-series Schema",
            "Used to indicate that an entity describes something at a moment.",
            _id=text(format="uri-reference"),
            timestamp=date_time(),
            eventType=text(),
        ),
        _resource("behaviors", ADHOC, "Ad Hoc Schema", "Used for the fields of a single dataset."),
        _resource(
            "fieldgroups",
            AUDITABLE,
            "Audit trail",
            "Who made or changed a record, and when.",
            extends=(RECORD, TIME_SERIES),
            repositoryCreatedBy=text(),
            repositoryLastModifiedBy=text(),
            createdByBatchID=text(format="uri-reference"),
            modifiedByBatchID=text(format="uri-reference"),
            _repo=nest(createDate=date_time(), modifyDate=date_time()),
        ),
        _resource(
            "fieldgroups",
            PERSON_DETAILS,
            "Demographic Details",
            "Who a person is.",
            extends=(PROFILE,),
            person=nest(
                name=nest(
                    firstName=text(),
                    lastName=text(),
                    middleName=text(),
                    courtesyTitle=text(),
                    suffix=text(),
                    fullName=text(),
                ),
                birthDate=date(),
                birthDayAndMonth=text(pattern="[0-1][0-9]-[0-3][0-9]"),
                birthYear=whole(1, 32767),
                gender=text(),
                maritalStatus=text(),
                nationality=text(pattern="^[A-Z]{2}$"),
                taxId=text(),
            ),
        ),
        _resource(
            "fieldgroups",
            PERSONAL_DETAILS,
            "Personal Contact Details",
            "How to reach a person.",
            extends=(PROFILE, EXPERIENCE_EVENT),
            homeAddress=_address(),
            personalEmail=nest(
                primary=truth(), address=text(), label=text(), type=text(), status=text(), statusReason=text()
            ),
            homePhone=_phone(),
            mobilePhone=_phone(),
            faxPhone=_phone(),
        ),
        _resource(
            "fieldgroups",
            IDENTITY_MAP,
            "IdentityMap",  # for any class
            "Identities of a person by namespace.",
            identityMap=_identities(),
        ),
        _class(
            PROFILE,
            "XDM Individual Profile",
            "A singular representation of a person.",
            parents=(RECORD, AUDITABLE),
            personID=text(),
        ),
        _class(
            EXPERIENCE_EVENT,
            "XDM ExperienceEvent",
            "What happened, to whom and when.",
            parents=(TIME_SERIES, IDENTITY_MAP),
            required=("_id", "timestamp"),
            eventMergeId=text(),
            eventType=text(),
        ),
    ]
    kinds: dict[str, dict[str, Json]] = {
        kind: {} for kind in ("behaviors", "classes", "fieldgroups", "schemas", "datatypes", "unions")
    }
    for kind, resource in found:
        kinds[kind][resource["$id"]] = resource
    return kinds


def global_resource(id: str) -> Json | None:
    """A resource of the global container by its `$id`, whatever its kind."""
    return _by_id().get(id)


@cache
def _by_id() -> dict[str, Json]:
    return {id: resource for found in global_resources().values() for id, resource in found.items()}


def _class(
    id: str, title: str, description: str, *, parents: tuple[str, ...], required: tuple[str, ...] = (), **fields: Json
) -> tuple[str, Json]:
    """A class: its own fields and those of `parents`, the first of which is its behaviour."""
    kind, made = _resource("classes", id, title, description, (), **fields)
    made["allOf"] = [
        *({"$ref": parent, "type": "object", "meta:xdmType": "object"} for parent in parents),
        *made["allOf"],
    ]
    made["meta:extends"] = list(parents)
    if required:
        made["required"] = list(required)
    return kind, made


def _resource(
    kind: str, id: str, title: str, description: str, extends: tuple[str, ...] = (), **fields: Json
) -> tuple[str, Json]:
    name = id.rsplit("/", 1)[1]
    resource: Json = {
        "$id": id,
        "meta:altId": "_xdm." + id.removeprefix(NS).replace("/", "."),
        "meta:resourceType": "mixins" if kind == "fieldgroups" else kind,
        "version": LIBRARY,
        "title": title,
        "type": "object",
        "description": description,
        "definitions": {name: {"properties": _titled(fields)}},
        "allOf": [{"$ref": f"#/definitions/{name}", "type": "object", "meta:xdmType": "object"}],
        "imsOrg": ADOBE,
        "meta:extensible": True,
        "meta:abstract": True,
        "meta:xdmType": "object",
        "meta:containerId": "global",
        "meta:registryMetadata": {"repo:createdDate": LIBRARY_MS, "repo:lastModifiedDate": LIBRARY_MS},
    }
    if kind == "fieldgroups":
        resource["meta:intendedToExtend"] = list(extends)
    return kind, resource


def _address() -> Json:
    names = ("street1", "street2", "street3", "street4", "city", "region", "postalCode", "postOfficeBox", "country")
    more = ("countryCode", "stateProvince", "status", "statusReason")
    return nest(primary=truth(), label=text(), **{name: text() for name in names + more}, lastVerifiedDate=date())


def _phone() -> Json:
    return nest(primary=truth(), number=text(), extension=text(), status=text(), statusReason=text(), validity=text())


def _identities() -> Json:
    item = nest(id=text(), authenticatedState=text(), primary=truth())
    values = {"type": "array", "meta:xdmType": "array", "items": item}
    return {"type": "object", "meta:xdmType": "map", "additionalProperties": values}


def _titled(fields: dict[str, Json]) -> dict[str, Json]:
    """Each field with a title for people: `firstName` is "First name"."""
    return {name: {"title": _words(name), **field} for name, field in fields.items()}


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", name.lstrip("_")).capitalize()
