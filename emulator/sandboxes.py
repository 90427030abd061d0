"""Sandbox management: which sandboxes a caller may use, and their states (platform-api.md §1.4)."""

from __future__ import annotations

from typing import Any, Final

from flowledger.emulator.digits import number_of
from flowledger.emulator.gateway import SANDBOX_MANAGEMENT
from flowledger.emulator.problem import service_problem
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.world import Call, Route

DEFAULT_LIMIT: Final = 50
LARGEST_LIMIT: Final = 200


def list_sandboxes(call: Call) -> Response:
    """GET /sandbox-management/: the sandboxes that the caller may use, `limit` of them from `offset` on."""
    limit, offset = _number(call, "limit", DEFAULT_LIMIT), _number(call, "offset", 0)
    if limit is None or offset is None or not 1 <= limit <= LARGEST_LIMIT:
        text = f"limit is 1 to {LARGEST_LIMIT}, offset a whole number"
        return service_problem(400, "SMS-400", "Bad request", text)
    names = call.world.options.sandboxes
    shown = [_described(call, name) for name in names[offset : offset + limit]]
    links: dict[str, Any] = {}
    if offset + limit < len(names):
        links["next"] = {"href": f"{SANDBOX_MANAGEMENT}/?limit={limit}&offset={offset + limit}"}
    return json_response(200, {"sandboxes": shown, "_page": {"limit": limit, "count": len(shown)}, "_links": links})


def read_sandbox(call: Call) -> Response:
    """GET /sandbox-management/sandboxes/{name}: for administrators."""
    if not call.world.options.sandbox_admin:
        return service_problem(403, "SMS-403", "Forbidden", "Only administrators of sandboxes may read one")
    name = call.params["name"]
    if name not in call.world.options.sandboxes:
        return service_problem(404, "SMS-404", "Sandbox not found", f"The sandbox {name!r} does not exist")
    return json_response(200, _described(call, name))


def _number(call: Call, name: str, default: int) -> int | None:
    text = call.request.first(name)
    return default if text is None else number_of(text)


def _described(call: Call, name: str) -> dict[str, Any]:
    options = call.world.options
    is_default = name == options.default_sandbox
    return {
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
    ("GET", f"{SANDBOX_MANAGEMENT}/sandboxes/{{name}}", read_sandbox),
]
