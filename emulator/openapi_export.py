"""The OpenAPI of Data Access: files of batches, what failed, previews (platform-api.md §6)."""

from __future__ import annotations

from typing import Any, Final

from flowledger.emulator.data_access import BASE, DEFAULT_LIMIT
from flowledger.emulator.openapi_parts import (
    ANY_OBJECT,
    COUNT,
    FILLED,
    TEXT,
    TRUTH,
    Json,
    Operations,
    answer,
    array,
    gateway_headers,
    header,
    path,
    query,
    ref,
    refusals,
    shape,
)
from flowledger.emulator.options import Options

SELF: Final = shape("self", {"self": shape("href", {"href": FILLED})}, additionalProperties=False)
PAGE: Final = shape("limit count", {"limit": COUNT, "count": COUNT}, additionalProperties=False)

SCHEMAS: dict[str, Json] = {
    "BatchFiles": shape(
        "data _page",
        {
            "data": array(
                shape(
                    "dataSetFileId dataSetViewId version created updated isValid _links",
                    {"dataSetFileId": FILLED, "created": TEXT, "updated": TEXT, "isValid": TRUTH, "_links": SELF},
                    additionalProperties=False,
                )
            ),
            "_page": PAGE,
        },
        additionalProperties=False,
    ),
    "FileParts": shape(
        "data _page",
        {
            "data": array(
                shape(
                    "name length _links",
                    {"name": FILLED, "length": {"type": "string", "pattern": "^[0-9]+$"}, "_links": SELF},
                    additionalProperties=False,
                )
            ),
            "_page": PAGE,
        },
        additionalProperties=False,
    ),
    "Rows": shape("data", {"data": array(ANY_OBJECT)}, additionalProperties=False),
}
BAD: Final = ("The call is wrong.", ["ServiceProblem", "GatewayFault"])
ABSENT: Final = ("There is none of this id or path, or no such sandbox.", ["ServiceProblem"])
BYTES: Final[Json] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


def operations(options: Options) -> Operations:
    """Everything below /data/foundation/export."""
    common = gateway_headers(options, sandboxed=True, sandbox_required=options.strict_sandbox)
    paged = [
        query("start", {**COUNT, "maximum": 10**15 - 1}),
        query("limit", {"type": "integer", "minimum": 1, "maximum": DEFAULT_LIMIT, "default": DEFAULT_LIMIT}),
        *common,
    ]
    found: Operations = {
        ("GET", f"{BASE}/batches/{{id}}/files"): {
            "summary": "The files of a batch",
            "parameters": [path(), *paged],
            "responses": {"200": answer("A page.", ref("BatchFiles")), **refusals({400: BAD, 404: ABSENT})},
        },
        ("GET", f"{BASE}/datasets/{{id}}/preview"): {
            "summary": "Rows of the latest batch that succeeded",
            "parameters": [path(), *common],
            "responses": {"200": answer("The rows.", ref("Rows")), **refusals({400: BAD, 404: ABSENT})},
        },
    }
    for place, summary in (
        ("batches/{id}/failed", "The rows that failed, as files"),
        ("batches/{id}/meta", "What is known of a batch's errors and input"),
        ("files/{id}", "The parts of a file, or the bytes of one"),
    ):
        which = query("path", FILLED, says="The part or file to answer the bytes of.")
        for method in ("GET", "HEAD"):
            found[method, f"{BASE}/{place}"] = {
                "summary": summary,
                "parameters": [path(), which, header("Range", TEXT, says="Like bytes=0-99."), *paged],
                "responses": _answers(method),
            }
    return found


def _answers(method: str) -> dict[str, Json]:
    """A HEAD has the headers of the GET, and no body."""
    spans = {"Accept-Ranges": FILLED}
    listed = answer("A page of parts, or the bytes.", ref("FileParts"))
    listed["content"] |= BYTES
    part = answer("The range.", None, {"Content-Range": FILLED, **spans})
    part["content"] = {**BYTES, "application/json": {"schema": {}}}
    answers: dict[str, Any] = {
        "200": listed,
        "206": part,
        **refusals({400: BAD, 404: ABSENT}),
        "416": answer("The range lies outside.", None, {"Content-Range": FILLED, **spans}),
    }
    if method == "GET":
        return answers
    said = {status: one.get("description", "Refused by the gateway.") for status, one in answers.items()}
    return {status: answer(text, None) for status, text in said.items()}
