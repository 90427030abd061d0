"""What the tests of Flow Service steps say a platform has stored and lists."""

from __future__ import annotations

import copy
from typing import Any

from flowledger.steps.flow_object import FlowObject

PAYPAL = "221c7626-58f6-4eec-8ee2-042b0226f03b"
SINK = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"


def stored(ctx: Any, step: FlowObject, *, at: int = 1, id: str = "id-1") -> Any:
    """What a step has made, as the platform shows it."""
    live = copy.deepcopy(step.request(ctx).body)
    if "auth" in live:
        live["auth"]["params"] = {"clientId": "masked"}
    return {**live, "id": id, "etag": '"e1"', "state": "enabled", "createdAt": at, "version": '"e1"'}


def items(*objects: Any) -> tuple[int, Any]:
    """The answer of a list."""
    return (200, {"items": list(objects), "_links": {}})
