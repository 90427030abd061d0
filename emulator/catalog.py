"""Catalog: the routes of what it keeps, and `POST /`, several calls in one (platform-api.md §3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from flowledger.emulator import datasets
from flowledger.emulator.catalog_query import bad
from flowledger.emulator.datasets import BASE
from flowledger.emulator.problem import service_problem
from flowledger.emulator.routing import Match, Router
from flowledger.emulator.wire import Refused, Request, Response, json_response
from flowledger.emulator.world import Call, Route

Json = dict[str, Any]

ROUTER: Final = Router(datasets.ROUTES)
READS: Final = "GET"
VALIDATE_ONLY: Final = {"pragma": "validate-only"}
NOT_DONE: Final = service_problem(
    424, "CATALOG-424", "Failed dependency", "Not executed: another call of the batch was refused"
)


def several_calls(call: Call) -> Response:
    """POST /: 200 with one answer a call, in order, each with its own `code`.

    Writes are first only validated; when one is refused, none is executed and the others answer 424.
    A later body or resource may name an earlier create's id as `<<id>>`.
    """
    parts = _checked(call.body)
    rehearsed = [_answer(call, part, {}, rehearse=True) for part in parts]
    refused = any(_is_write(part) and answer.status >= 400 for part, answer in zip(parts, rehearsed, strict=True))
    made: dict[str, str] = {}
    results = []
    for part, rehearsal in zip(parts, rehearsed, strict=True):
        if refused and _is_write(part):
            answer = rehearsal if rehearsal.status >= 400 else NOT_DONE
        else:
            answer = _answer(call, part, made, rehearse=False)
        body: Any = orjson.loads(answer.body) if answer.body else None
        if part["method"].upper() == "POST" and answer.status == 201:
            made[part["id"]] = str(body[0]).rsplit("/", 1)[1]
        results.append({"id": part["id"], "code": answer.status, "body": body})
    return json_response(200, results)


def _checked(body: Any) -> list[Json]:
    if not isinstance(body, list) or not body:
        bad("The body must be an array of calls: id, resource, method and body")
    for number, part in enumerate(body):
        keys = ("id", "resource", "method")
        if not isinstance(part, dict) or not all(isinstance(part.get(key), str) for key in keys):
            bad(f"Call {number} needs id, resource and method as strings")
    if len({part["id"] for part in body}) != len(body):
        bad("The ids of the calls must differ")
    return body


def _is_write(part: Json) -> bool:
    return str(part["method"]).upper() != READS


def _answer(call: Call, part: Json, made: dict[str, str], *, rehearse: bool) -> Response:
    """Make one call of the batch, or only validate it. A delete has nothing to validate."""
    method = part["method"].upper()
    resource, body = _named(part["resource"], made), part.get("body")
    if made and body is not None:
        body = orjson.loads(_named(orjson.dumps(body).decode(), made))
    path, _, query = resource.partition("?")
    found = ROUTER.find(method, f"{BASE}/{path.lstrip('@').strip('/')}")
    if not isinstance(found, Match):
        return service_problem(404, "CATALOG-404", "Not found", f"There is no {method} {path}")
    if rehearse and (method in (READS, "DELETE") or "<<" in resource):
        return Response(status=200)
    request = Request(
        method=method,
        raw_path=path,
        query=tuple(parse_qsl(query, keep_blank_values=True)),
        headers={**call.request.headers, **(part.get("headers") or {}), **(VALIDATE_ONLY if rehearse else {})},
    )
    try:
        return found.handler(replace(call, request=request, params=found.params, body=body))
    except Refused as refused:
        return refused.response


def _named(text: str, made: dict[str, str]) -> str:
    for name, id in made.items():
        text = text.replace(f"<<{name}>>", id)
    return text


ROUTES: list[Route] = [*datasets.ROUTES, ("POST", BASE, several_calls)]
