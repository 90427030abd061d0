"""Sandbox management: which sandboxes a caller may use, and their states (platform-api.md §1.4)."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, urlencode

from flowledger.emulator.conditions import parse_condition, sort_by
from flowledger.emulator.digits import number_of
from flowledger.emulator.gateway import SANDBOX_MANAGEMENT
from flowledger.emulator.identity import sandbox_id
from flowledger.emulator.problem import service_problem
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.world import Call, Route

DEFAULT_LIMIT: Final = 50
LARGEST_LIMIT: Final = 200
FIELDS: Final = ("id", "name", "title", "state", "type", "region", "isDefault")
PARAMETERS: Final = frozenset({"limit", "offset", "property", "orderBy"})
TYPES: Final = ("production", "development")


def list_sandboxes(call: Call) -> Response:
    """GET /sandbox-management/: the sandboxes that the caller may use, `limit` of them from `offset` on.

    `property` is a condition like name==prod, `orderBy` a list like asc:type,desc:name.
    """
    limit, offset = _number(call, "limit", DEFAULT_LIMIT), _number(call, "offset", 0)
    if limit is None or offset is None or not 1 <= limit <= LARGEST_LIMIT:
        text = f"limit is 1 to {LARGEST_LIMIT}, offset a whole number"
        return service_problem(400, "SMS-400", "Bad request", text)
    try:
        found = _asked_for(call, [_described(call, name) for name in call.world.options.sandboxes])
    except ValueError as problem:
        return service_problem(400, "SMS-400", "Bad request", str(problem))
    shown = found[offset : offset + limit]
    links: dict[str, Any] = {}
    if offset + limit < len(found):
        others = [pair for pair in call.request.query if pair[0] not in ("limit", "offset")]
        following = urlencode([("limit", limit), ("offset", offset + limit), *others], quote_via=quote)
        links["next"] = {"href": f"{SANDBOX_MANAGEMENT}/?{following}"}
    return json_response(200, {"sandboxes": shown, "_page": {"limit": limit, "count": len(shown)}, "_links": links})


def read_sandbox(call: Call) -> Response:
    """GET /sandbox-management/sandboxes/{name}: for administrators."""
    if not call.world.options.sandbox_admin:
        return service_problem(403, "SMS-403", "Forbidden", "Only administrators of sandboxes may read one")
    name = call.params["name"]
    if name not in call.world.options.sandboxes:
        return service_problem(404, "SMS-404", "Sandbox not found", f"The sandbox {name!r} does not exist")
    return json_response(200, _described(call, name))


def list_sandbox_types(_call: Call) -> Response:
    """GET /sandbox-management/sandboxTypes."""
    return json_response(200, {"sandboxTypes": [{"id": name, "title": name.capitalize()} for name in TYPES]})


def _asked_for(call: Call, described: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that fit every `property`, in the order of `orderBy`. Raises ValueError for what cannot be honoured."""
    unknown = sorted({name for name, _ in call.request.query} - PARAMETERS)
    if unknown and not call.world.options.unknown_queries_ignored:
        raise ValueError(f"{', '.join(unknown)}: no query parameter here; known are {', '.join(sorted(PARAMETERS))}")
    for text in call.request.every("property"):
        condition = parse_condition(text)
        if condition.field not in FIELDS:
            raise ValueError(f"property={text}: only {', '.join(FIELDS)} can be filtered by")
        described = [one for one in described if condition.holds(one[condition.field])]
    orders = []
    for text in ",".join(call.request.every("orderBy")).split(","):
        direction, colon, field = text.strip().rpartition(":")
        if not text.strip():
            continue
        if field not in FIELDS or (colon and direction not in ("asc", "desc")):
            raise ValueError(f"orderBy={text}: asc:name or desc:name, of {', '.join(FIELDS)}")
        orders.append(f"-{field}" if direction == "desc" else field)
    sort_by(described, lambda one, field: one[field], orders)
    return described


def _number(call: Call, name: str, default: int) -> int | None:
    text = call.request.first(name)
    return default if text is None else number_of(text)


def _described(call: Call, name: str) -> dict[str, Any]:
    options = call.world.options
    is_default = name == options.default_sandbox
    return {
        "id": sandbox_id(name),
        "name": name,
        "title": name.capitalize(),
        "state": "creating" if name in options.inactive_sandboxes else "active",
        "type": "production" if is_default else "development",
        "region": "LOCAL",
        "isDefault": is_default,
    }


ROUTES: list[Route] = [
    ("GET", SANDBOX_MANAGEMENT, list_sandboxes),
    ("GET", f"{SANDBOX_MANAGEMENT}/sandboxes", list_sandboxes),
    ("GET", f"{SANDBOX_MANAGEMENT}/sandboxTypes", list_sandbox_types),
    ("GET", f"{SANDBOX_MANAGEMENT}/sandboxes/{{name}}", read_sandbox),
]
