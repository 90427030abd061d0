"""IMS: tokens by OAuth server-to-server, and whether a token is still good (platform-api.md §1.2)."""

from __future__ import annotations

import hashlib
from urllib.parse import parse_qsl

from flowledger.emulator.problem import refuse
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.world import Call, Route, World

TOKENS = "tokens"
EVERYWHERE = ""  # tokens belong to no sandbox
PRUNED_EVERY = 100  # so many tokens are kept before those that have expired are looked for

SCOPES = frozenset(
    {
        "openid",
        "session",
        "AdobeID",
        "read_organizations",
        "additional_info",
        "additional_info.projectedProductContext",
        "additional_info.roles",
        "additional_info.job_function",
        "adobeio_api",
        "read_client_secret",
        "manage_client_secrets",
        "target_sdk",
        "firefly_api",
        "event_receiver_api",
        "campaign_sdk",
        "campaign_config_server_general",
        "deliverability_service_general",
        "profile",
        "email",
        "address",
    }
)


def issue_token(call: Call) -> Response:
    """POST /ims/token/v2 and v3: the fields come in the form body (advised) or in the query."""
    request, world = call.request, call.world
    fields = dict(request.query)
    if request.headers.get("content-type", "").split(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        fields.update(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    if fields.get("grant_type") != "client_credentials":
        refuse(oauth_error("unsupported_grant_type", "grant_type must be client_credentials"))
    options = world.options
    if fields.get("client_id") != options.client_id or fields.get("client_secret") != options.client_secret:
        status = 401 if options.invalid_client_401 else 400
        refuse(oauth_error("invalid_client", "invalid client_id or client_secret", status))
    scopes = [scope.strip() for scope in fields.get("scope", "").split(",") if scope.strip()]
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if not scopes or unknown:
        refuse(oauth_error("invalid_scope", f"unknown scope: {', '.join(unknown)}" if unknown else "scope is required"))

    now_ms = world.now_ms()
    if world.store.count(TOKENS, EVERYWHERE) % PRUNED_EVERY == 0:  # a token costs the same however many there are
        for old in world.store.all(TOKENS, EVERYWHERE):
            if old["expires_ms"] <= now_ms:
                world.store.delete(TOKENS, EVERYWHERE, old["id"])
    token = f"local.{world.new_hex(96)}"
    key, expires_ms = _fingerprint(token), now_ms + options.token_lifetime_s * 1000
    kept = {"id": key, "client_id": options.client_id, "expires_ms": expires_ms}
    world.store.put(TOKENS, EVERYWHERE, key, kept)
    expires_in = options.token_lifetime_s * (1000 if options.token_lifetime_in_ms else 1)
    return json_response(200, {"access_token": token, "token_type": "bearer", "expires_in": expires_in})


def client_of(world: World, token: str) -> str | None:
    """The client id that the token was issued to, or None when it is unknown, expired or revoked."""
    kept = world.store.peek(TOKENS, EVERYWHERE, _fingerprint(token))
    if kept is None or kept["expires_ms"] <= world.now_ms():
        return None
    return str(kept["client_id"])


def revoke(world: World, token: str) -> None:
    """Make the token invalid from now on."""
    world.store.delete(TOKENS, EVERYWHERE, _fingerprint(token))


def oauth_error(error: str, description: str, status: int = 400) -> Response:
    """OAuth 2's error body (U1)."""
    return json_response(status, {"error": error, "error_description": description})


def _fingerprint(token: str) -> str:
    """What is kept of a token: enough to recognise it, not to use it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


ROUTES: list[Route] = [
    ("POST", "/ims/token/v3", issue_token),
    ("POST", "/ims/token/v2", issue_token),
]
