"""How a fault turns the right answer into the one that leaves (platform-api.md §8.1, §8.2)."""

from __future__ import annotations

from http import HTTPStatus

import orjson

from flowledger.emulator.faults import Fault, Shape
from flowledger.emulator.flow_fault import TITLES
from flowledger.emulator.problem import flow_problem, gateway_error
from flowledger.emulator.wire import Response

GATEWAY_CODES = {401: "401013", 403: "403027", 429: "429050", 500: "500001"}  # others: the status and "000"
GATEWAY_TEXTS = {401: "Oauth token is not valid", 429: "Too many requests"}
PHRASES = {status.value: status.phrase for status in HTTPStatus}
ID_KEYS = frozenset({"id", "$id", "@id", "meta:altId", "access_token"})


def spoiled(right: Response | None, fault: Fault) -> Response:
    """The answer in the fault's status and shape. `right` is what the service said, None if it was not asked."""
    status = fault.status or (right.status if right is not None else 200)
    response = _shaped(right, fault.shape, status, fault.code)
    if fault.retry_after is None:
        return response
    return Response(
        status=response.status, body=response.body, headers={**response.headers, "retry-after": str(fault.retry_after)}
    )


def _shaped(right: Response | None, shape: Shape, status: int, code: str) -> Response:
    body = right.body if right is not None else b"{}"
    json_headers = {"content-type": "application/json"}
    match shape:
        case Shape.GATEWAY:
            code = GATEWAY_CODES.get(status, f"{status}000")
            return gateway_error(status, code, GATEWAY_TEXTS.get(status, _phrase(status)))
        case Shape.SERVICE:
            title = TITLES.get(code.rpartition("-")[0], _phrase(status))
            return flow_problem(status, code or f"FLOW-1400-{status}", title, "The request could not be served")
        case Shape.HTML:
            page = f"<html><head><title>{status} {_phrase(status)}</title></head><body></body></html>\n"
            return Response(status=status, body=page.encode(), headers={"content-type": "text/html"})
        case Shape.EMPTY:
            return Response(status=status)
        case Shape.MALFORMED:
            return Response(status=status, body=body[: max(1, len(body) - 1)], headers=json_headers)
        case Shape.NO_ID:
            return Response(status=status, body=_without_ids(body), headers=json_headers)


def _without_ids(body: bytes) -> bytes:
    try:
        value = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:  # rows, say: JSON takes their place
        return b"{}"
    if isinstance(value, dict):
        return orjson.dumps({key: kept for key, kept in value.items() if key not in ID_KEYS})
    return b"[]"  # catalog's list of references, empty


def _phrase(status: int) -> str:
    return PHRASES.get(status, "Unknown")
