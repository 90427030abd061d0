"""The checks that every call meets before a service sees it, in the order of U3 (platform-api.md §1.3, §15)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from flowledger.emulator import ims
from flowledger.emulator.flow_fault import reported
from flowledger.emulator.problem import (
    flow_problem,
    gateway_error,
    refuse,
    registry_content_type_problem,
    service_problem,
)
from flowledger.emulator.routing import Match
from flowledger.emulator.wire import Delivery, Refused, Request, Response
from flowledger.emulator.world import Call, World

FLOW_SERVICE = "/data/foundation/flowservice/"
CONVERSION = "/data/foundation/conversion/"
REGISTRY = "/data/foundation/schemaregistry/"
CATALOG = "/data/foundation/catalog"  # without a slash: `POST /` is a call of its own
EXPORT = "/data/foundation/export/"
SANDBOX_MANAGEMENT = "/data/foundation/sandbox-management"
IMS = "/ims/"

ENCODED_AT_MOST: Final = 12  # characters that one character becomes: four bytes of %XX


@dataclass(frozen=True, slots=True)
class Asked:
    """A call to a route of the platform, before it is admitted."""

    request: Request
    template: str
    world: World


Check = Callable[[Asked], None]


@cache
def checks_of(order: str) -> tuple[Check, ...]:
    """The checks in an order: all names of CHECKS with commas between them, "" for that of U3.

    Raises ValueError when a name is missing, unknown or there twice.
    """
    names = [name.strip() for name in order.split(",")] if order else list(CHECKS)
    if sorted(names) != sorted(CHECKS):
        raise ValueError(f"gateway_order names each of {', '.join(CHECKS)} once, not {order!r}")
    return tuple(CHECKS[name] for name in names)


def bearer_of(request: Request) -> str:
    """The token of the Authorization header, "" when there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def admit(request: Request, match: Match, world: World) -> Call:
    """The call as its service sees it. Raises Refused with the gateway's answer."""
    _check_body(request, world)
    if match.template.startswith(IMS):
        return Call(request=request, sandbox="", org="", client_id="", params=match.params, body=None, world=world)
    _check_url(request, world)
    asked = Asked(request, match.template, world)
    try:
        for check in checks_of(world.options.gateway_order):
            check(asked)
    except Refused as refused:
        if not match.template.startswith(FLOW_SERVICE):
            raise
        raise Refused(reported(refused.response, request, match.params, world.options)) from refused
    return Call(
        request=request,
        sandbox=_sandbox_of(request, match.template, world),
        org=world.options.org,
        client_id=world.options.client_id,
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


def not_routed(request: Request, allowed: frozenset[str], *, bare: bool) -> Response:
    """The answer to a path or a method that nobody serves; `bare`: in nobody's words (U28)."""
    if bare:
        return Response(status=405 if allowed else 404)
    if allowed:
        refused = gateway_error(405, "405000", f"{request.method} is not supported here")
        return Response(
            status=refused.status,
            body=refused.body,
            headers={**refused.headers, "allow": ", ".join(sorted(allowed))},
        )
    return gateway_error(404, "404000", "Resource not found")


def too_much(match: Match, text: str) -> Response:
    """The service's 400 to a query or body whose evaluation costs more than one call may (ours: no document has it)."""
    if match.template.startswith(FLOW_SERVICE):
        return flow_problem(400, "FLOW-1452-400", "Invalid filter", text)
    if match.template.startswith(REGISTRY):
        return registry_content_type_problem(text)
    return service_problem(400, f"{_service_name(match.template)}-400", "BadRequestError", text)


def timed_out(response: Response) -> Response:
    """What the client hears instead when the gateway waits no longer: the call took effect nevertheless (U18)."""
    if response.delivery is not Delivery.WHOLE:
        return response
    return gateway_error(504, "504000", "Gateway Timeout")


def _check_url(request: Request, world: World) -> None:
    """414 for a URL that is too long (§1.3), as it was sent. A call that was not sent is encoded to be counted."""
    most = world.options.url_maximum
    raw = request.raw_query
    if raw is None:
        least = len(request.raw_path) + sum(len(name) + len(value) + 2 for name, value in request.query)
        if least * ENCODED_AT_MOST <= most:
            return
        raw = urlencode(request.query)
    length = len(request.raw_path) + (len(raw) + 1 if raw else 0)
    if length > most:
        refuse(gateway_error(414, "414000", f"The URL has {length} characters, at most {most} are allowed"))


def _check_body(request: Request, world: World) -> None:
    """413 for a body that is too long: every gateway has such a limit, Adobe's is not documented."""
    most = world.options.body_maximum
    if len(request.body) > most:
        refuse(gateway_error(413, "413000", f"The body has more than {most} bytes"))


def _check_key(asked: Asked) -> None:
    if not asked.request.headers.get("x-api-key"):
        refuse(gateway_error(403, "403000", "Api Key is required"))


def _check_token(asked: Asked) -> None:
    if not asked.request.headers.get("authorization", "").strip():
        refuse(gateway_error(403, "403010", "Oauth token is missing."))


def _check_key_known(asked: Asked) -> None:
    if asked.request.headers.get("x-api-key", asked.world.options.client_id) != asked.world.options.client_id:
        refuse(gateway_error(403, "403003", "Api Key is invalid"))


def _check_token_valid(asked: Asked) -> None:
    if (
        asked.request.headers.get("authorization", "").strip()
        and ims.client_of(asked.world, bearer_of(asked.request)) is None
    ):
        refuse(gateway_error(401, "401013", "Oauth token is not valid"))


def _check_org(asked: Asked) -> None:
    if not asked.request.headers.get("x-gw-ims-org-id"):
        refuse(gateway_error(400, "400003", "Missing header"))


def _check_org_allowed(asked: Asked) -> None:
    if asked.request.headers.get("x-gw-ims-org-id", asked.world.options.org) != asked.world.options.org:
        refuse(gateway_error(403, "403025", "Profile is not valid"))


def _check_rate(asked: Asked) -> None:
    """429 when calls come faster than `rate_limit_per_s` (U20); nothing was executed."""
    options = asked.world.options
    if options.rate_limit_per_s <= 0:
        return
    wait_ms = asked.world.bucket.take(
        now_ms=asked.world.now_ms(),
        per_s=options.rate_limit_per_s,
        burst=max(1, options.rate_limit_burst or options.rate_limit_per_s),
    )
    if wait_ms:
        headers = {"retry-after": str(math.ceil(wait_ms / 1000))} if options.rate_limit_retry_after else {}
        refuse(gateway_error(429, "429050", "Too many requests", headers))


def _check_sandbox(asked: Asked) -> None:
    """Whether the sandbox of the call exists, is active and may be used (§1.3, §8.4, U4)."""
    if asked.template.startswith(SANDBOX_MANAGEMENT):
        return
    options = asked.world.options
    in_flow_service = asked.template.startswith(FLOW_SERVICE)
    if in_flow_service and "x-sandbox-id" in asked.request.headers:
        text = "The x-sandbox-id header cannot be used with this kind of token"
        refuse(flow_problem(400, "FLOW-2110-400", "Sandbox id header not allowed", text))
    sandbox = asked.request.headers.get("x-sandbox-name", "")
    if not sandbox:
        lax = options.lax_sandbox if in_flow_service else not options.strict_sandbox
        if not lax:
            text = "The x-sandbox-name header is missing"
            refuse(_sandbox_problem(asked.template, 400, "2105", "Sandbox header missing", text))
        sandbox = options.default_sandbox
    if sandbox not in options.sandboxes:
        refuse(
            _sandbox_problem(
                asked.template, 404, "2100", "Sandbox not found", f"The sandbox {sandbox!r} does not exist"
            )
        )
    if sandbox in options.inactive_sandboxes:
        text = f"The sandbox {sandbox!r} is not active"
        refuse(_sandbox_problem(asked.template, 404, "2101", "Sandbox not active", text))


def _sandbox_problem(template: str, status: int, number: str, title: str, text: str) -> Response:
    if template.startswith(FLOW_SERVICE):
        return flow_problem(status, f"FLOW-{number}-{status}", title, text)
    return service_problem(status, f"{_service_name(template)}-{status}", title, text)


def _sandbox_of(request: Request, template: str, world: World) -> str:
    """The sandbox of a call that was admitted."""
    if template.startswith(SANDBOX_MANAGEMENT):
        return ""
    return request.headers.get("x-sandbox-name") or world.options.default_sandbox


def _check_content_type(asked: Asked) -> None:
    """What a write's body must say that it is (§1.3, §8.2, U27)."""
    if asked.request.method not in ("POST", "PUT", "PATCH"):
        return
    if asked.template.endswith("/action") and not asked.request.body:
        return  # an action says everything in its query
    media_type = asked.request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type == "application/json" or (not media_type and asked.template.startswith(f"{REGISTRY}rpc/")):
        return  # the guides of the registry's rpc endpoints say that these need none
    text = "A valid content-type must be specified"
    status = asked.world.options.flow_content_type_status
    if asked.template.startswith((FLOW_SERVICE, CONVERSION)) and status != 415:  # the other worlds of U27
        if status == 0:
            return
        refuse(registry_content_type_problem(text))
    if asked.template.startswith((FLOW_SERVICE, CONVERSION)):
        refuse(flow_problem(415, "CONNECTOR-1004-415", "Unsupported media type", text))  # U27
    if asked.template.startswith(CATALOG):
        if media_type == "application/json-patch+json" and asked.request.method == "PATCH":
            return
        refuse(service_problem(400, "CATALOG-400", "BadRequestError", text))
    refuse(registry_content_type_problem(text))


def _service_name(template: str) -> str:
    names = {REGISTRY: "XDM", CATALOG: "CATALOG", CONVERSION: "MAPPER", EXPORT: "EXPORT"}
    return next((name for base, name in names.items() if template.startswith(base)), "GATEWAY")


CHECKS: Final[dict[str, Check]] = {  # in the order of U3
    "key": _check_key,
    "token": _check_token,
    "key_known": _check_key_known,
    "token_valid": _check_token_valid,
    "rate": _check_rate,
    "org": _check_org,
    "org_allowed": _check_org_allowed,
    "sandbox": _check_sandbox,
    "content_type": _check_content_type,
}
