"""What the OpenAPI of every service is made of: parameters, answers, the shapes of a no (platform-api.md §8.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from flowledger.emulator.options import Options

Json = dict[str, Any]
Operations = dict[tuple[str, str], Json]  # (method, path) -> what OpenAPI calls an operation

TEXT: Final[Json] = {"type": "string"}
FILLED: Final[Json] = {"type": "string", "minLength": 1}
TEXT_OR_NULL: Final[Json] = {"type": ["string", "null"]}
WHOLE: Final[Json] = {"type": "integer"}
COUNT: Final[Json] = {"type": "integer", "minimum": 0}
TRUTH: Final[Json] = {"type": "boolean"}
ANY_OBJECT: Final[Json] = {"type": "object"}
UUID: Final[Json] = {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$"}
ETAG: Final[Json] = {"type": "string", "pattern": '^".+"$'}
CONDITION: Final[Json] = {
    "type": "string",
    "pattern": "^([^!=<>~][^~]*|![^~]+|=[^=~][^~]*|[A-Za-z:]+~[A-Za-z0-9 ]*)$",
    "description": "F==V, !=, <, <=, >, >=, F~regex (any; the pattern here knows plain ones), or bare F and !F.",
}
LINKS: Final[Json] = {
    "type": "object",
    "properties": {"next": {"type": "object", "required": ["href"], "properties": {"href": TEXT}}},
}


def ref(name: str) -> Json:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def shape(required: str, properties: Mapping[str, Any] | None = None, **more: Any) -> Json:
    """An object: the names that it must have, with blanks between them, and what is known of its properties."""
    names = required.split()
    known = {name: {} for name in names} | dict(properties or {})
    return {"type": "object", **({"required": names} if names else {}), "properties": known, **more}


def array(items: Json, **more: Any) -> Json:
    """An array of such items."""
    return {"type": "array", "items": items, **more}


def any_of(*shapes: Json) -> Json:
    """One shape, or any of several."""
    return shapes[0] if len(shapes) == 1 else {"anyOf": list(shapes)}


def in_any_case(*names: str) -> Json:
    """A text that is one of `names`, in any case."""
    spelled = ("".join(f"[{letter.upper()}{letter.lower()}]" for letter in name) for name in names)
    return {"type": "string", "pattern": f"^({'|'.join(spelled)})$"}


def query(name: str, schema: Json, *, required: bool = False, says: str = "") -> Json:
    """A query parameter; one of an array is repeated."""
    written: Json = {"name": name, "in": "query", "required": required, "schema": schema}
    if schema.get("type") == "array":
        written.update(style="form", explode=True)
    return {**written, **({"description": says} if says else {})}


def header(name: str, schema: Json, *, required: bool = False, says: str = "") -> Json:
    """A header parameter."""
    return {
        "name": name,
        "in": "header",
        "required": required,
        "schema": schema,
        **({"description": says} if says else {}),
    }


def path(name: str = "id", says: str = "") -> Json:
    """A parameter in the path: never empty, percent-encoded."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": FILLED,
        **({"description": says} if says else {}),
    }


def body(schema: Json, *media_types: str, required: bool = True) -> Json:
    """A request body, JSON unless told otherwise."""
    return {
        "required": required,
        "content": {media: {"schema": schema} for media in media_types or ("application/json",)},
    }


def answer(says: str, schema: Json | None, headers: Mapping[str, Json] | None = None) -> Json:
    """One answer: its JSON, or none when the body is empty; `x-request-id` comes with every one."""
    named = {"x-request-id": FILLED, **(headers or {})}
    written: Json = {
        "description": says,
        "headers": {name: {"required": True, "schema": kept} for name, kept in named.items()},
    }
    if schema is not None:
        written["content"] = {"application/json": {"schema": schema}}
    return written


def gateway_headers(options: Options, *, sandboxed: bool, sandbox_required: bool = False) -> list[Json]:
    """What the gateway wants with every call beside the token (platform-api.md §1.3)."""
    wanted = [
        header("x-api-key", {"type": "string", "enum": [options.client_id]}, required=True, says="The client id."),
        header("x-gw-ims-org-id", {"type": "string", "enum": [options.org]}, required=True, says="The organisation."),
    ]
    if sandboxed:
        active = [name for name in options.sandboxes if name not in options.inactive_sandboxes]
        says = "The sandbox that the call is about."
        if not sandbox_required:
            says += " Without it, or empty: the default one."
            active.append("")
        wanted.append(
            header("x-sandbox-name", {"type": "string", "enum": active}, required=sandbox_required, says=says)
        )
    return wanted


GATEWAY: Final = ref("GatewayFault")
GATEWAY_SAYS: Final = {
    401: "The token is not valid, or has expired.",
    403: "The key or the token is missing, the key is not known, or the organisation is not allowed.",
    413: "The body is too long.",
    414: "Path and query are too long.",
    429: "Too many calls (only with a rate limit set).",
    504: "The gateway waited long enough; the call took effect nevertheless (only with `gateway_timeout_ms`).",
}


def gateway_answers() -> dict[str, Json]:
    """What the gateway may answer to any call of the platform, for the document's own list of answers."""
    answers = {f"Gateway{status}": answer(says, GATEWAY) for status, says in GATEWAY_SAYS.items()}
    answers["Gateway429"]["headers"]["Retry-After"] = {"schema": {"type": "string"}}
    return answers


def refusals(own: Mapping[int, tuple[str, Iterable[str]]]) -> dict[str, Json]:
    """The gateway's answers and the service's own: status -> (what it says, the schemas that its body may have)."""
    answers: dict[str, Json] = {
        str(status): {"$ref": f"#/components/responses/Gateway{status}"} for status in GATEWAY_SAYS
    }
    for status, (says, names) in own.items():
        answers[str(status)] = answer(says, any_of(*(ref(name) for name in names)))
    return answers


def problem_type(scheme: str, codes: str) -> Json:
    """The `type` of a problem: a URI that ends in a code."""
    return {"type": "string", "pattern": f"^{scheme}://ns\\.adobe\\.com/aep/errors/({codes})$"}


FAULTS: Final[dict[str, Json]] = {
    "GatewayFault": shape(
        "error_code message",
        {"error_code": {"type": "string", "pattern": "^[0-9]{6}$"}, "message": FILLED},
        additionalProperties=False,
        description="Said by the gateway; the call was not executed.",
    ),
    "OAuthFault": shape(
        "error error_description",
        {
            "error": {"enum": ["invalid_client", "invalid_scope", "unsupported_grant_type"]},
            "error_description": FILLED,
        },
        additionalProperties=False,
    ),
    "ServiceProblem": shape(
        "type title status detail",
        {
            "type": problem_type("http", "(XDM|CATALOG|MAPPER|EXPORT|SMS|GATEWAY)-[0-9]{3}"),
            "title": FILLED,
            "status": WHOLE,
            "detail": FILLED,
        },
        additionalProperties=False,
        description="Said by Catalog, Conversion or sandbox management, and by the registry of a sandbox.",
    ),
    "RegistryFault": shape(
        "type title status report detail",
        {
            "type": problem_type("http", "XDM-[0-9]{4}-[0-9]{3}"),
            "title": FILLED,
            "status": WHOLE,
            "report": shape(
                "registryRequestId timestamp detailed-message sub-errors",
                {"registryRequestId": UUID, "timestamp": FILLED, "detailed-message": FILLED, "sub-errors": array({})},
                additionalProperties=False,
            ),
            "detail": FILLED,
        },
        additionalProperties=False,
    ),
    "FaultOf2020": shape(
        "type title status detail",
        {"type": {"const": "/placeholder/type/uri"}, "title": FILLED, "status": WHOLE, "detail": FILLED},
        additionalProperties=False,
        description="What is still said as it was in 2020, like a content type that is missing.",
    ),
    "FlowFault": shape(
        "type title status report errorMessage errorDetails",
        {
            "type": problem_type("https", "(FLOW|CONNECTOR)-[0-9]{4}-[0-9]{3}"),
            "title": FILLED,
            "status": WHOLE,
            "report": shape(
                "detailed-message request-id type",
                {"detailed-message": FILLED, "request-id": FILLED, "type": FILLED, "id": FILLED},
                additionalProperties=False,
            ),
            "errorMessage": FILLED,
            "errorDetails": FILLED,
        },
        additionalProperties=False,
    ),
    "PlainFlowFault": shape(
        "type title status report errorMessage errorDetails",
        {
            "type": problem_type("https", "CONNECTOR-1004-415"),
            "title": FILLED,
            "status": WHOLE,
            "report": shape("detailed-message", {"detailed-message": FILLED}, additionalProperties=False),
            "errorMessage": FILLED,
            "errorDetails": FILLED,
        },
        additionalProperties=False,
        description="A content type that Conversion does not take: in Flow Service's shape.",
    ),
}
