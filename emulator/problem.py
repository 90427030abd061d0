"""The shapes in which the platform's layers say no (platform-api.md §8.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from flowledger.emulator.wire import Refused, Response, json_response

ERRORS = "ns.adobe.com/aep/errors"


def gateway_error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """The gateway's own body: `error_code` and `message`. Nothing was executed."""
    return json_response(status, {"error_code": code, "message": message}, headers)


def service_problem(status: int, code: str, title: str, detail: str) -> Response:
    """The body of Catalog, Conversion, export and sandbox management (U7). `code` as in `CATALOG-404`."""
    return json_response(
        status, {"type": f"http://{ERRORS}/{code}", "title": title, "status": status, "detail": detail}
    )


def flow_problem(status: int, code: str, title: str, text: str) -> Response:
    """Flow Service's body: the new keys and the old ones at once. `code` as in `FLOW-1439-404`."""
    return json_response(
        status,
        {
            "type": f"https://{ERRORS}/{code}",
            "title": title,
            "status": status,
            "report": {"detailed-message": text},
            "errorMessage": text,
            "errorDetails": text,
        },
    )


def refuse(response: Response) -> NoReturn:
    """Stop handling the call with this answer."""
    raise Refused(response)


def registry_content_type_problem(text: str) -> Response:
    """The registry's body for a missing content type, still in its 2020 shape (platform-api.md §8.2)."""
    return json_response(
        400, {"type": "/placeholder/type/uri", "status": 400, "title": "BadRequestError", "detail": text}
    )
