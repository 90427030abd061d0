"""The shapes in which the platform's layers say no (platform-api.md §8.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import orjson

from flowledger.emulator.identity import sandbox_id
from flowledger.emulator.options import Options
from flowledger.emulator.wire import Delivery, Refused, Response, json_response

ERRORS = "ns.adobe.com/aep/errors"
LONGEST_REASON = 200  # characters
CODED = b'{"error_code":"'
CHAINED = tuple(f'{{"type":"http://{ERRORS}/{name}-'.encode() for name in ("CATALOG", "MAPPER", "EXPORT", "SMS"))


def gateway_error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """The gateway's own body: `error_code` and `message`. Nothing was executed."""
    return json_response(status, {"error_code": code, "message": message}, headers)


def service_problem(status: int, code: str, title: str, detail: str) -> Response:
    """The body of Catalog, Conversion, export and sandbox management (U7). `code` as in `CATALOG-404`."""
    return json_response(
        status, {"type": f"http://{ERRORS}/{code}", "title": title, "status": status, "detail": detail}
    )


def reason_of(response: Response) -> str | None:
    """Code and title of a refusal, for the log of calls; no detail, which may repeat what was sent. None below 400."""
    if response.status < 400 or response.delivery is not Delivery.WHOLE:
        return None
    try:
        body = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(body, dict):
        return None
    code = str(body.get("type", "")).rpartition("/")[2] or body.get("error_code") or body.get("error") or ""
    title = body.get("title") or (body.get("message") if "error_code" in body else "") or ""
    return f"{code} {title}".strip()[:LONGEST_REASON] or None


def with_chain(response: Response, now_ms: int, options: Options, sandbox: str) -> Response:
    """A problem of `service_problem` in the shape that newer services have: report and error-chain (§8.2, U7)."""
    if response.status < 400 or not response.body.startswith(CHAINED):
        return response
    body = orjson.loads(response.body)
    service, _, status = body["type"].rpartition("/")[2].rpartition("-")
    tenant = {"sandboxName": sandbox, "sandboxId": sandbox_id(sandbox), "imsOrgId": options.org}
    link = {
        "serviceId": service,
        "errorCode": f"{service}-{status}",
        "invokingServiceId": service,
        "unixTimeStampMs": now_ms,
    }
    report = {"tenantInfo": tenant, "additionalContext": {}, "detailed-message": body.pop("detail")}
    return Response(
        status=response.status,
        body=orjson.dumps({**body, "report": report, "error-chain": [link]}),
        headers=response.headers,
        delivery=response.delivery,
        delay=response.delay,
    )


def with_integer_code(response: Response) -> Response:
    """A gateway's body whose `error_code` is a number, not text (§1.3)."""
    if not response.body.startswith(CODED):
        return response
    body = orjson.loads(response.body)
    return Response(
        status=response.status,
        body=orjson.dumps({**body, "error_code": int(body["error_code"])}),
        headers=response.headers,
        delivery=response.delivery,
        delay=response.delay,
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
