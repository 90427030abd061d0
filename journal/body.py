"""What of an answer's body goes into the journal: an answer is never refused, however broken or large its body is."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any, Final

import orjson

from flowledger.errors import UsageError
from flowledger.journal.record import encode_doc

Json = Any

BODY_CAP: Final = 12 * 1024 * 1024  # bytes as JSON: leaves room in a record of 16 MiB for what stands around it
KEPT: Final = 64 * 1024  # bytes that are kept of a larger body
_LEVELS: Final = 16  # of nesting that an event may put around a body


def body_fields(
    body: bytes, json: Json, fault: str, *, shown: Callable[[], bytes] | None = None, cap: int = BODY_CAP
) -> dict[str, Json]:
    """The fields of an event that hold a body, so that the event can always be written.

    `body`: the bytes as they came; `json`: the value read from them, redacted; `fault`: why they are no JSON, "" if
    they are, or if the body is empty; `shown`: makes of the bytes what may be kept of them, where they are not kept as
    JSON (by default all of them is); `cap`: bytes as JSON that are kept whole. Length and hash are always those of
    `body`.

    Returns one of
    {"body": json};
    {"body_text": text, "body_fault": why it is not kept as JSON};
    {"body_b64": base64, "body_fault": why} for bytes that are not UTF-8;
    {"body_start": text, "body_length": bytes, "body_sha256": hex, "body_fault": why} for one that is over `cap`.
    """
    if not fault:
        try:
            encoded = encode_doc(_nested(json))
        except UsageError as error:
            fault = error.message
        else:
            return {"body": json} if len(encoded) <= cap else _start(body, orjson.dumps(json), cap)
    kept = body if shown is None else shown()
    try:
        text = kept.decode()
    except UnicodeDecodeError:
        if len(kept) * 4 / 3 <= cap:
            return {"body_b64": base64.b64encode(kept).decode(), "body_fault": fault}
        return _start(body, kept, cap)
    if len(kept) <= cap and len(orjson.dumps(text)) <= cap:
        return {"body_text": text, "body_fault": fault}
    return _start(body, kept, cap)


def _nested(json: Json) -> dict[str, Json]:
    for _ in range(_LEVELS):
        json = [json]
    return {"body": json}


def _start(body: bytes, kept_from: bytes, cap: int) -> dict[str, Json]:
    """The beginning of a body that is too large, taken from `kept_from`, which holds no secret."""
    return {
        "body_start": kept_from[:KEPT].decode(errors="replace"),
        "body_length": len(body),
        "body_sha256": hashlib.sha256(body).hexdigest(),
        "body_fault": f"larger than {cap} bytes",
    }
