"""Catalog: the routes of what it keeps, and `POST /`, several calls in one (platform-api.md §3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from flowledger.emulator import datasets
from flowledger.emulator.catalog_query import bad
from flowledger.emulator.datasets import BASE, BATCHES, FILES, KIND, SOURCES
from flowledger.emulator.depth import too_deep
from flowledger.emulator.problem import service_problem
from flowledger.emulator.routing import Match, Router
from flowledger.emulator.wire import Refused, Request, Response, json_response
from flowledger.emulator.world import Call, Route

Json = dict[str, Any]

ROUTER: Final = Router(datasets.ROUTES)
READS: Final = "GET"
NOT_DONE: Final = service_problem(
    424, "CATALOG-424", "Failed dependency", "Not done: another call of the batch was refused"
)


def several_calls(call: Call) -> Response:
    """POST /: 200 (201 by option) with one answer a call, in order, each with its own `code`.

    When a write is refused, those before it are undone, those after it are not made, and both answer 424.
    A later body or resource may name an earlier create's id as `<<id>>`.
    """
    parts = _checked(call.body)
    before = _kept(call)
    made: dict[str, str] = {}
    answers: list[Response] = []
    refused = -1
    for number, part in enumerate(parts):
        skipped = refused >= 0 and _is_write(part)
        answer = NOT_DONE if skipped else _answer(call, part, made)
        answers.append(answer)
        if part["method"].upper() == "POST" and answer.status == 201:
            made[part["id"]] = str(orjson.loads(answer.body)[0]).rsplit("/", 1)[1]
        if _is_write(part) and answer.status >= 400 and refused < 0:
            refused = number
            _restore(call, before)
    results = []
    for number, (part, answer) in enumerate(zip(parts, answers, strict=True)):
        told = NOT_DONE if number < refused and _is_write(part) else answer
        results.append({"id": part["id"], "code": told.status, "body": orjson.loads(told.body) if told.body else None})
    return json_response(201 if call.world.options.catalog_calls_201 else 200, results)


Kept = dict[tuple[str, str], Json]


def _kept(call: Call) -> Kept:
    """Everything that a write of a batch could touch, by kind and id."""
    store = call.world.store
    return {
        (kind, found["id"]): found
        for kind in (KIND, SOURCES, BATCHES, FILES)
        for found in store.all(kind, call.sandbox)
    }


def _restore(call: Call, before: Kept) -> None:
    store, after = call.world.store, _kept(call)
    for kind, id in after.keys() - before.keys():
        store.delete(kind, call.sandbox, id)
    for (kind, id), found in before.items():
        if after.get((kind, id)) is not found:
            store.put(kind, call.sandbox, id, found)


def _checked(body: Any) -> list[Json]:
    if not isinstance(body, list) or not body:
        bad("The body must be an array of calls: id, resource, method and body")
    for number, part in enumerate(body):
        keys = ("id", "resource", "method")
        if not isinstance(part, dict) or not all(isinstance(part.get(key), str) for key in keys):
            bad(f"Call {number} needs id, resource and method as strings")
        headers = {} if part.get("headers") is None else part["headers"]
        if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
            bad(f"Call {number}: headers must be an object of strings")
        if too_deep(part.get("body")):
            bad(f"Call {number}: the body nests too deeply")
    if len({part["id"] for part in body}) != len(body):
        bad("The ids of the calls must differ")
    return body


def _is_write(part: Json) -> bool:
    return str(part["method"]).upper() != READS


def _answer(call: Call, part: Json, made: dict[str, str]) -> Response:
    method = part["method"].upper()
    resource, body = _named(part["resource"], made), part.get("body")
    if made and body is not None:
        body = orjson.loads(_named(orjson.dumps(body).decode(), made))
    path, _, query = resource.partition("?")
    found = ROUTER.find(method, f"{BASE}/{path.lstrip('@').strip('/')}")
    if not isinstance(found, Match):
        return service_problem(404, "CATALOG-404", "Not found", f"There is no {method} {path}")
    request = Request(
        method=method,
        raw_path=path,
        query=tuple(parse_qsl(query, keep_blank_values=True)),
        headers={**call.request.headers, **{name.lower(): sent for name, sent in (part.get("headers") or {}).items()}},
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
