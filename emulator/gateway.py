"""The checks that every call meets before a service sees it, in the order of U3 (platform-api.md §1.3, §15)."""

from __future__ import annotations

import math
from typing import Any

import orjson

from flowledger.emulator import ims
from flowledger.emulator.problem import (
    flow_problem,
    gateway_error,
    refuse,
    registry_content_type_problem,
    service_problem,
)
from flowledger.emulator.routing import Match
from flowledger.emulator.wire import Request, Response, json_response
from flowledger.emulator.world import Call, Route, World

FLOW_SERVICE = "/data/foundation/flowservice/"
CONVERSION = "/data/foundation/conversion/"
REGISTRY = "/data/foundation/schemaregistry/"
CATALOG = "/data/foundation/catalog/"
SANDBOX_MANAGEMENT = "/data/foundation/sandbox-management"
IMS = "/ims/"

SANDBOX_ADMIN = f"{SANDBOX_MANAGEMENT}/sandboxes/{{name}}"


def bearer_of(request: Request) -> str:
    """The token of the Authorization header, "" when there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def admit(request: Request, match: Match, world: World) -> Call:
    """The call as its service sees it. Raises Refused with the gateway's answer."""
    if match.template.startswith(IMS):
        return Call(request=request, sandbox="", org="", client_id="", params=match.params, body=None, world=world)
    client_id = _client(request, world)
    _check_rate(world)
    org = _org(request, world)
    sandbox = "" if match.template.startswith(SANDBOX_MANAGEMENT) else _sandbox(request, match.template, world)
    _check_content_type(request, match.template)
    return Call(
        request=request,
        sandbox=sandbox,
        org=org,
        client_id=client_id,
        params=match.params,
        body=parsed(request.body),
        world=world,
    )


def parsed(body: bytes) -> Any:
    """The JSON of a body; None when there is none, or when it is not JSON."""
    if not body:
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def not_routed(request: Request, allowed: frozenset[str]) -> Response:
    """The answer to a path or a method that nobody serves (U28)."""
    if allowed:
        refused = gateway_error(405, "405000", f"{request.method} is not supported here")
        return Response(
            status=refused.status,
            body=refused.body,
            headers={**refused.headers, "allow": ", ".join(sorted(allowed))},
        )
    return gateway_error(404, "404000", "Resource not found")


def _client(request: Request, world: World) -> str:
    headers = request.headers
    api_key = headers.get("x-api-key", "")
    if not api_key:
        refuse(gateway_error(403, "403000", "Api Key is required"))
    if not headers.get("authorization", "").strip():
        refuse(gateway_error(403, "403010", "Oauth token is missing."))
    if api_key != world.options.client_id:
        refuse(gateway_error(403, "403003", "Api Key is invalid"))
    client_id = ims.client_of(world, bearer_of(request))
    if client_id is None or client_id != api_key:
        refuse(gateway_error(401, "401013", "Oauth token is not valid"))
    return client_id


def _check_rate(world: World) -> None:
    """429 when calls come faster than `rate_limit_per_s` (U20); nothing was executed."""
    options = world.options
    if options.rate_limit_per_s <= 0:
        return
    wait_ms = world.bucket.take(
        now_ms=world.now_ms(),
        per_s=options.rate_limit_per_s,
        burst=max(1, options.rate_limit_burst or options.rate_limit_per_s),
    )
    if wait_ms:
        headers = {"retry-after": str(math.ceil(wait_ms / 1000))} if options.rate_limit_retry_after else {}
        refuse(gateway_error(429, "429050", "Too many requests", headers))


def _org(request: Request, world: World) -> str:
    org = request.headers.get("x-gw-ims-org-id", "")
    if not org:
        refuse(gateway_error(400, "400003", "Missing header"))
    if org != world.options.org:
        refuse(gateway_error(403, "403025", "Profile is not valid"))
    return org


def _sandbox(request: Request, template: str, world: World) -> str:
    options = world.options
    in_flow_service = template.startswith(FLOW_SERVICE)
    if in_flow_service and "x-sandbox-id" in request.headers:
        text = "The x-sandbox-id header cannot be used with this kind of token"
        refuse(flow_problem(400, "FLOW-2110-400", "Sandbox id header not allowed", text))
    sandbox = request.headers.get("x-sandbox-name", "")
    if sandbox in options.sandboxes:
        return sandbox
    if not sandbox:
        if in_flow_service:
            text = "The x-sandbox-name header is missing"
            refuse(flow_problem(400, "FLOW-2105-400", "Sandbox header missing", text))
        if options.strict_sandbox:
            code = f"{_service_name(template)}-400"
            refuse(service_problem(400, code, "Sandbox header missing", "The x-sandbox-name header is missing"))
        return options.default_sandbox
    text = f"The sandbox {sandbox!r} does not exist"
    if in_flow_service:
        return refuse(flow_problem(404, "FLOW-2100-404", "Sandbox not found", text))
    return refuse(service_problem(404, f"{_service_name(template)}-404", "Sandbox not found", text))


def _check_content_type(request: Request, template: str) -> None:
    if request.method not in ("POST", "PUT", "PATCH"):
        return
    if template.endswith("/action") and not request.body:
        return  # an action says everything in its query
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type == "application/json":
        return
    text = "A valid content-type must be specified"
    if template.startswith((FLOW_SERVICE, CONVERSION)):
        refuse(flow_problem(415, "CONNECTOR-1004-415", "Unsupported media type", text))  # U27
    if template.startswith(CATALOG):
        if media_type == "application/json-patch+json" and request.method == "PATCH":
            return
        refuse(service_problem(400, "CATALOG-400", "BadRequestError", text))
    refuse(registry_content_type_problem(text))


def _service_name(template: str) -> str:
    names = {REGISTRY: "XDM", CATALOG: "CATALOG", CONVERSION: "MAPPER"}
    return next((name for base, name in names.items() if template.startswith(base)), "GATEWAY")


def list_sandboxes(call: Call) -> Response:
    """GET /sandbox-management/: the sandboxes that the caller may use (§1.4)."""
    sandboxes = [_described(call, name) for name in call.world.options.sandboxes]
    page = {"limit": max(20, len(sandboxes)), "count": len(sandboxes)}
    return json_response(200, {"sandboxes": sandboxes, "_page": page, "_links": {}})


def read_sandbox(call: Call) -> Response:
    """GET /sandbox-management/sandboxes/{name}."""
    name = call.params["name"]
    if name not in call.world.options.sandboxes:
        text = f"The sandbox {name!r} does not exist"
        return service_problem(404, "SMS-404", "Sandbox not found", text)
    return json_response(200, _described(call, name))


def _described(call: Call, name: str) -> dict[str, Any]:
    is_default = name == call.world.options.default_sandbox
    return {
        "name": name,
        "title": name.capitalize(),
        "state": "active",
        "type": "production" if is_default else "development",
        "region": "LOCAL",
        "isDefault": is_default,
    }


ROUTES: list[Route] = [
    ("GET", SANDBOX_MANAGEMENT, list_sandboxes),
    ("GET", f"{SANDBOX_MANAGEMENT}/sandboxes", list_sandboxes),
    ("GET", SANDBOX_ADMIN, read_sandbox),
]
