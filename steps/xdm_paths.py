"""The XDM resources that come with flowledger, and which dotted paths a class with field groups offers.

Fields are those of platform-api.md §7.1, in compatibility form: no `xdm:` prefix, and the standard's `@id` is `_id`.
What is not bundled is foreign: its paths are only known to the platform.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from flowledger.steps.spec import FieldType, Spec

ResourceKind = Literal["behavior", "class", "field group", "shared"]

NAMESPACE: Final = "https://ns.adobe.com/"
PROFILE: Final = NAMESPACE + "xdm/context/profile"
EXPERIENCE_EVENT: Final = NAMESPACE + "xdm/context/experienceevent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One global XDM resource: its own fields as dotted path to type, and what it pulls in."""

    id: str
    title: str
    kind: ResourceKind
    fields: Mapping[str, FieldType]
    extends: tuple[str, ...] = ()
    extends_classes: tuple[str, ...] = ()  # field groups: the classes they are meant for
    required: tuple[str, ...] = ()  # fields that every row must have


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What a class with field groups offers. `foreign` names the resources whose fields are not known offline."""

    leaves: Mapping[str, FieldType]
    foreign: tuple[str, ...] = ()

    @property
    def tops(self) -> frozenset[str]:
        """First parts of all known paths."""
        return frozenset(path.split(".", 1)[0] for path in self.leaves)

    def under(self, path: str) -> tuple[str, ...]:
        """The known leaves below `path`, which is an object if there are any."""
        return tuple(leaf for leaf in self.leaves if leaf.startswith(path + "."))


def _below(top: str, types: Mapping[str, FieldType]) -> dict[str, FieldType]:
    return {f"{top}.{name}": type_ for name, type_ in types.items()}


def _texts(names: str) -> dict[str, FieldType]:
    return dict.fromkeys(names.split(), "string")


_PHONE: Final[dict[str, FieldType]] = {"primary": "boolean", **_texts("number extension status statusReason validity")}

RESOURCES: Final[Mapping[str, Resource]] = MappingProxyType(
    {
        resource.id: resource
        for resource in (
            Resource(
                id=NAMESPACE + "xdm/data/record", title="Record Schema", kind="behavior", fields={"_id": "string"}
            ),
            Resource(
                id=NAMESPACE + "xdm/data/time-series",
                title="Time-series Schema",
                kind="behavior",
                fields={"_id": "string", "timestamp": "date-time", "eventType": "string"},
            ),
            Resource(
                id=NAMESPACE + "xdm/common/auditable",
                title="Audit trail",
                kind="shared",
                fields={
                    **_texts("repositoryCreatedBy repositoryLastModifiedBy createdByBatchID modifiedByBatchID"),
                    "_repo.createDate": "date-time",
                    "_repo.modifyDate": "date-time",
                },
            ),
            Resource(
                id=PROFILE,
                title="XDM Individual Profile",
                kind="class",
                fields={"personID": "string"},
                extends=(NAMESPACE + "xdm/data/record", NAMESPACE + "xdm/common/auditable"),
            ),
            Resource(
                id=EXPERIENCE_EVENT,
                title="XDM ExperienceEvent",
                kind="class",
                fields=_texts("eventMergeId eventType"),  # and identityMap, a map that no mapping of a column can fill
                extends=(NAMESPACE + "xdm/data/time-series",),
                required=("_id", "timestamp"),
            ),
            Resource(
                id=NAMESPACE + "xdm/context/profile-person-details",
                title="Demographic Details",
                kind="field group",
                extends_classes=(PROFILE,),
                fields=_below(
                    "person",
                    {
                        **_below("name", _texts("firstName lastName middleName courtesyTitle suffix fullName")),
                        "birthDate": "date",
                        "birthDayAndMonth": "string",
                        "birthYear": "integer",
                        **_texts("gender maritalStatus nationality taxId"),
                    },
                ),
            ),
            Resource(
                id=NAMESPACE + "xdm/context/profile-personal-details",
                title="Personal Contact Details",
                kind="field group",
                extends_classes=(PROFILE, EXPERIENCE_EVENT),
                fields={
                    **_below(
                        "homeAddress",
                        {
                            "primary": "boolean",
                            **_texts("label street1 street2 street3 street4 city region postalCode postOfficeBox"),
                            **_texts("country countryCode stateProvince status statusReason"),
                            "lastVerifiedDate": "date",
                        },
                    ),
                    **_below(
                        "personalEmail",
                        {"primary": "boolean", **_texts("address label type status statusReason")},
                    ),
                    **_below("homePhone", _PHONE),
                    **_below("mobilePhone", _PHONE),
                    **_below("faxPhone", _PHONE),
                },
            ),
        )
    }
)


def short_forms(kind: ResourceKind) -> dict[str, str]:
    """What people may write for the bundled resources of one kind, and the `$id` each stands for.

    The last part of the id ("profile-person-details") and the registry's `meta:altId` ("_xdm.context.profile").
    """
    forms: dict[str, str] = {}
    for id_, resource in RESOURCES.items():
        if resource.kind == kind:
            path = id_.removeprefix(NAMESPACE)
            forms[path.rsplit("/", 1)[-1]] = id_
            forms["_" + path.replace("/", ".")] = id_
    return forms


def offered(class_: str, field_groups: Iterable[str]) -> Offered:
    """The paths of a schema made of `class_` and `field_groups`, all full `$id`s."""
    leaves: dict[str, FieldType] = {}
    foreign: list[str] = []
    waiting = [class_, *field_groups]
    while waiting:
        id_ = waiting.pop(0)
        resource = RESOURCES.get(id_)
        if resource is None:
            foreign.append(id_)
            continue
        leaves.update(resource.fields)
        waiting.extend(resource.extends)
    return Offered(leaves=leaves, foreign=tuple(dict.fromkeys(foreign)))


def undecided_paths(spec: Spec) -> tuple[str, ...]:
    """The destinations which only the platform can decide, because a foreign class or field group may have them.

    A step checks them by an `xed-full` read of the target schema before it builds on them (platform-api.md §12, T8).
    """
    known = offered(spec.target.class_, spec.target.field_groups)
    if not known.foreign:
        return ()
    return tuple(
        mapping.to
        for mapping in spec.mappings
        if mapping.to not in spec.target.fields and mapping.to not in known.leaves
    )
