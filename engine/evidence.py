"""Calls and answers as the journal keeps them: whole, but without secrets and with only the headers that matter."""

from __future__ import annotations

import json
from typing import Any

from flowledger.journal.body import body_fields
from flowledger.steps.client.port import Answer, Request
from flowledger.steps.client.redact import Redactor

KEPT_HEADERS = ("etag", "e-tag", "location", "retry-after", "x-request-id", "content-type")


def call_doc(request: Request, redactor: Redactor) -> dict[str, Any]:
    """A request as the journal keeps it."""
    doc: dict[str, Any] = {"method": request.method, "path": redactor.redact_text(request.path)}
    if request.query:
        doc["query"] = [[name, redactor.redact_text(value)] for name, value in request.query]
    if request.body is not None:
        doc["body"] = redactor.redact(request.body)
    return doc


def answer_doc(answer: Answer, redactor: Redactor) -> dict[str, Any]:
    """An answer as the journal keeps it: however broken, it gets its place (docs/events.md)."""
    doc: dict[str, Any] = {"reach": str(answer.reach), "duration_ms": round(answer.duration * 1000, 3)}
    if answer.status is not None:
        doc["status"] = answer.status
    headers = {name: redactor.redact_text(answer.headers[name]) for name in KEPT_HEADERS if name in answer.headers}
    if headers:
        doc["headers"] = headers
    if answer.trouble:
        doc["trouble"] = redactor.redact_text(answer.trouble)
    if answer.body or answer.json is not None:
        value = redactor.redact(answer.json)
        fault = answer.json_fault or ("" if answer.json is not None else "not JSON")
        doc.update(body_fields(answer.body, value, fault, shown=lambda: _shown(answer, value, redactor)))
    return doc


def _shown(answer: Answer, value: Any, redactor: Redactor) -> bytes:
    """A body's bytes without secrets: found by their names too where it is JSON, as with integers beyond 64 bits."""
    if answer.json is not None:
        return json.dumps(value).encode()
    text = answer.body.decode("utf-8", "surrogateescape")
    return redactor.redact_text(text).encode("utf-8", "surrogateescape")
