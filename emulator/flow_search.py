"""The search endpoints of Flow Service: limit, order, pages, count and projection (platform-api.md §4.1).

The syntax of `queryString` is not documented. Rather than invent one, a search that gives a query is refused; one
that gives none finds everything.
"""

from __future__ import annotations

from typing import Any

from flowledger.emulator.flow_fault import fault
from flowledger.emulator.flow_listing import check_parameters, cut, ordered
from flowledger.emulator.flow_specs import catalogue_of
from flowledger.emulator.flow_state import inherited, presented
from flowledger.emulator.gateway import FLOW_SERVICE
from flowledger.emulator.wire import Response
from flowledger.emulator.world import Call, Handler, Route

SEARCHED = ("connections", "flows", "flowSpecs")
FIELDS = frozenset({"queryString", "limit", "orderby", "count", "projectionFields"})
QUERY = frozenset({"continuationToken"})
MOST = 1000


def search(kind: str) -> Handler:
    """POST /{kind}/search."""

    def handler(call: Call) -> Response:
        check_parameters(call.request, call.world.options, QUERY)
        asked = call.body
        if not isinstance(asked, dict):
            fault(400, "FLOW-1405", "The request body is empty or is no JSON object")
        unknown = sorted(set(asked) - FIELDS)
        if unknown:
            fault(400, "FLOW-1452", f"A search has {', '.join(sorted(FIELDS))}, not {', '.join(unknown)}")
        if asked.get("queryString") not in (None, ""):
            fault(400, "FLOW-1452", "The syntax of queryString is not documented: this emulator knows none")
        limit, orderby, counted, fields = _asked_for(call, asked)
        page = cut(
            ordered(_everything(call, kind), orderby), call.request, call.world.options, limit=limit, counted=counted
        )
        page.items[:] = [_projected(item, fields) for item in page.items]
        return page.answer(f"{kind}/search")

    return handler


def _asked_for(call: Call, asked: dict[str, Any]) -> tuple[int, str | None, bool, list[str] | None]:
    """Limit, order, whether to count, and the fields to show (None: all). Raises Refused with 1452."""
    limit, orderby = asked.get("limit", call.world.options.page_size), asked.get("orderby")
    counted, fields = asked.get("count", False), asked.get("projectionFields")
    limit = int(limit) if isinstance(limit, float) and limit.is_integer() else limit  # 20.0 is whole too, in JSON
    if type(limit) is not int or not 1 <= limit <= MOST:
        fault(400, "FLOW-1452", f"limit is a number from 1 to {MOST}, not {limit!r}")
    if not isinstance(orderby, str | None):
        fault(400, "FLOW-1452", f"orderby is a text, not {orderby!r}")
    if not isinstance(counted, bool):
        fault(400, "FLOW-1452", f"count is true or false, not {counted!r}")
    if isinstance(fields, str):  # as the reference types it
        fields = [field.strip() for field in fields.split(",") if field.strip()]
    if fields is not None and not (isinstance(fields, list) and all(isinstance(field, str) for field in fields)):
        fault(400, "FLOW-1452", "projectionFields is a list of names, or a text of names with commas between them")
    return limit, orderby, counted, fields


def _everything(call: Call, kind: str) -> list[dict[str, Any]]:
    if kind == "flowSpecs":
        return list(catalogue_of(call.world.options).flow_specs.values())
    now_ms = call.world.now_ms()
    objects = call.world.listed(kind, call.sandbox)
    if kind == "flows" and call.world.options.labelled_flows_hidden:
        objects = [obj for obj in objects if not obj.get("labels")]
    return [inherited(call, kind, presented(kind, obj, now_ms)) for obj in objects]


def _projected(item: dict[str, Any], fields: list[str] | None) -> dict[str, Any]:
    return item if fields is None else {name: item[name] for name in fields if name in item}


ROUTES: list[Route] = [("POST", f"{FLOW_SERVICE}{kind}/search", search(kind)) for kind in SEARCHED]
