"""The shape in which the Schema Registry says no (platform-api.md §8.2), and its codes by name (§2.1, §2.5, §8.3)."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from flowledger.emulator.problem import ERRORS
from flowledger.emulator.wire import Refused, json_response
from flowledger.emulator.world import World

NOT_FOUND: Final = {  # 1010 and 1012 are documented; the others fill the documented range
    "classes": "XDM-1010-404",
    "fieldgroups": "XDM-1011-404",
    "schemas": "XDM-1012-404",
    "datatypes": "XDM-1013-404",
    "descriptors": "XDM-1014-404",
    "unions": "XDM-1015-404",
    "behaviors": "XDM-1016-404",
}
LIST_ACCEPT: Final = "XDM-1006-400"
LOOK_UP_ACCEPT: Final = "XDM-1007-400"
DESCRIPTOR_LIST_ACCEPT: Final = "XDM-1008-400"
DESCRIPTOR_LOOK_UP_ACCEPT: Final = "XDM-1009-400"
NOT_AVAILABLE: Final = "XDM-1007-406"  # the status is documented, the code is the emulator's own
NAMESPACE: Final = "XDM-1020-400"
OUTSIDE_DATASET_NAMESPACE: Final = "XDM-1021-400"
MERGE: Final = "XDM-1413-400"
INVALID: Final = "XDM-1500-400"  # U5, own
TITLE: Final = "XDM-1521-400"
UNION_PERMANENT: Final = "XDM-1526-400"
UNION_ONLY_SCHEMAS: Final = "XDM-1527-400"
UNION_IDENTITY: Final = "XDM-1528-400"
IMPORT: Final = "XDM-3005-400"
BREAKING: Final = "XDM-1598-400"  # own: §2.6 says that only additive changes are allowed, not what answers others
IN_USE: Final = "XDM-1599-400"  # U6, own

ACCEPT_FAULTS: Final = (LIST_ACCEPT, LOOK_UP_ACCEPT, DESCRIPTOR_LIST_ACCEPT, DESCRIPTOR_LOOK_UP_ACCEPT)

TITLES: Final = {
    LIST_ACCEPT: "Accept header invalid",
    LOOK_UP_ACCEPT: "Accept header invalid",
    DESCRIPTOR_LIST_ACCEPT: "Accept header invalid",
    DESCRIPTOR_LOOK_UP_ACCEPT: "Accept header invalid",
    NOT_AVAILABLE: "Format or version not available",
    NAMESPACE: "Namespace validation error",
    OUTSIDE_DATASET_NAMESPACE: "Namespace validation error",
    MERGE: "Merge Schema Error",
    INVALID: "Invalid resource",
    TITLE: "Title not unique",
    UNION_PERMANENT: "Union tag validation error",
    UNION_ONLY_SCHEMAS: "Union tag validation error",
    UNION_IDENTITY: "Union tag validation error",
    IMPORT: "Import Resource Failed",
    BREAKING: "Schema evolution error",
    IN_USE: "Resource in use",
}


def refuse_registry(world: World, code: str, detail: str) -> NoReturn:
    """Stop with the registry's own body; the status is the code's last part. `detail` says what and to what."""
    status = int(code.rsplit("-", 1)[1])
    if world.options.registry_2020_errors and (code in ACCEPT_FAULTS or code == INVALID):
        raise Refused(json_response(*_of_2020(code, detail)))
    now = world.now_ms()
    request = hashlib.sha256(f"{now}:{code}:{detail}".encode()).hexdigest()
    body: dict[str, Any] = {
        "type": f"http://{ERRORS}/{code}",
        "title": TITLES.get(code, "Resource not found"),
        "status": status,
        "report": {
            "registryRequestId": f"{request[:8]}-{request[8:12]}-4{request[13:16]}-a{request[17:20]}-{request[20:32]}",
            "timestamp": datetime.fromtimestamp(now / 1000, UTC).strftime("%m-%d-%Y %I:%M:%S"),
            "detailed-message": detail,
            "sub-errors": [],
        },
        "detail": detail,
    }
    raise Refused(json_response(status, body))


def _of_2020(code: str, detail: str) -> tuple[int, dict[str, Any]]:
    """Status and body of the same fault before there were codes (§2.1, §8.2)."""
    not_acceptable = code in ACCEPT_FAULTS and "version" not in detail
    status = 406 if not_acceptable else 400
    title = "NotAcceptableError" if not_acceptable else "BadRequestError"
    return status, {"type": "/placeholder/type/uri", "status": status, "title": title, "detail": detail}
