"""The OpenAPI of what is neither service nor gateway: tokens (platform-api.md §1.2) and sandboxes (§1.4)."""

from __future__ import annotations

from flowledger.emulator.gateway import SANDBOX_MANAGEMENT
from flowledger.emulator.openapi_parts import (
    COUNT,
    FILLED,
    LINKS,
    TEXT,
    TRUTH,
    UUID,
    Json,
    Operations,
    answer,
    array,
    body,
    gateway_headers,
    path,
    query,
    ref,
    refusals,
    shape,
)
from flowledger.emulator.options import Options
from flowledger.emulator.sandboxes import DEFAULT_LIMIT, FIELDS, LARGEST_LIMIT

SCHEMAS: dict[str, Json] = {
    "Token": shape(
        "access_token token_type expires_in",
        {
            "access_token": FILLED,
            "token_type": {"const": "bearer"},
            "expires_in": {"type": "integer", "minimum": 1, "description": "Seconds."},
        },
        additionalProperties=False,
    ),
    "Sandbox": shape(
        "id name title state type region isDefault",
        {
            "id": UUID,
            "name": FILLED,
            "title": FILLED,
            "state": {"enum": ["active", "creating"]},
            "type": {"enum": ["production", "development"]},
            "region": FILLED,
            "isDefault": TRUTH,
        },
        additionalProperties=False,
    ),
    "SandboxTypes": shape(
        "sandboxTypes",
        {"sandboxTypes": array(shape("id title", {"id": FILLED, "title": FILLED}, additionalProperties=False))},
        additionalProperties=False,
    ),
    "Sandboxes": shape(
        "sandboxes _page _links",
        {"sandboxes": array(ref("Sandbox")), "_page": shape("limit count", {"limit": COUNT, "count": COUNT})}
        | {"_links": LINKS},
        additionalProperties=False,
    ),
}


def operations(options: Options) -> Operations:
    """IMS and sandbox management."""
    fields = {
        "grant_type": {"type": "string", "enum": ["client_credentials"]},
        "client_id": {"type": "string", "enum": [options.client_id]},
        "client_secret": {**FILLED, "format": "password"},
        "scope": {**FILLED, "description": "Names with commas between them, like openid,AdobeID."},
    }
    form = shape(" ".join(fields), fields)
    found: Operations = {}
    for version in ("v3", "v2"):
        found["POST", f"/ims/token/{version}"] = {
            "summary": "A token by OAuth server-to-server",
            "description": "The fields come in the form, or (not advised) in the query.",
            "security": [],
            "parameters": [query(name, TEXT, says="Instead of the form.") for name in fields],
            "requestBody": body(form, "application/x-www-form-urlencoded", required=False),
            "responses": {
                "200": answer("The token.", ref("Token")),
                "400": answer("Wrong credentials, grant type or scope (U1).", ref("OAuthFault")),
            },
        }
    listing = {
        "summary": "The sandboxes that the caller may use",
        "parameters": [
            query("limit", {"type": "integer", "minimum": 1, "maximum": LARGEST_LIMIT, "default": DEFAULT_LIMIT}),
            query("offset", {"type": "integer", "minimum": 0, "maximum": 10**15 - 1, "default": 0}),
            query(
                "property",
                array({"type": "string", "pattern": f"^({'|'.join(FIELDS)})(==|!=|<=?|>=?)[^~]*$"}),
                says="Conditions, like name==prod; all must hold.",
            ),
            query(
                "orderBy",
                array({"type": "string", "pattern": f"^((asc|desc):)?({'|'.join(FIELDS)})$"}),
                says="Like asc:type.",
            ),
            *gateway_headers(options, sandboxed=False),
        ],
        "responses": {
            "200": answer("A page of them.", ref("Sandboxes")),
            **refusals({400: ("A parameter or a header is wrong.", ["ServiceProblem", "GatewayFault"])}),
        },
    }
    found["GET", SANDBOX_MANAGEMENT] = listing
    found["GET", f"{SANDBOX_MANAGEMENT}/sandboxes"] = listing
    found["GET", f"{SANDBOX_MANAGEMENT}/sandboxTypes"] = {
        "summary": "The types of sandboxes that there are",
        "parameters": gateway_headers(options, sandboxed=False),
        "responses": {
            "200": answer("They.", ref("SandboxTypes")),
            **refusals({400: ("A header is missing.", ["GatewayFault"])}),
        },
    }
    found["GET", f"{SANDBOX_MANAGEMENT}/sandboxes/{{name}}"] = {
        "summary": "One sandbox, for administrators",
        "parameters": [path("name", "The name of the sandbox."), *gateway_headers(options, sandboxed=False)],
        "responses": {
            "200": answer("The sandbox.", ref("Sandbox")),
            **refusals(
                {
                    400: ("A header is missing.", ["GatewayFault"]),
                    403: ("Not allowed.", ["ServiceProblem", "GatewayFault"]),
                    404: ("There is no such sandbox.", ["ServiceProblem"]),
                }
            ),
        },
    }
    return found
