"""Flow Service lists: filters, order, pages and counts (platform-api.md §4.1, U8, U9)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from flowledger.emulator.digits import number_of
from flowledger.emulator.options import Options
from flowledger.emulator.problem import flow_problem, refuse
from flowledger.emulator.wire import Request, Response, json_response

CONDITION = re.compile(r"(?P<field>[^=!<>~]+)(?P<operator>==|!=|<=|>=|<|>|~|=)(?P<value>.*)", re.DOTALL)
MILLISECONDS = re.compile(r"createdAt|updatedAt|.+\.(startedAtUTC|completedAtUTC)")  # what a range may ask for
VALUE = re.compile(r'\s*(?:"([^"]*)"|([^,]*))\s*(?:,|$)')
MISSING = object()

COMMON_FIELDS = frozenset(
    {
        *("id", "name", "description", "state", "createdAt", "updatedAt", "createdBy", "updatedBy", "createdClient"),
        *("updatedClient", "sandboxId", "sandboxName", "imsOrgId", "version", "etag"),
    }
)
FIELDS: dict[str, frozenset[str]] = {
    "connections": COMMON_FIELDS | {"connectionSpec"},
    "sourceConnections": COMMON_FIELDS
    | {"connectionSpec", "baseConnectionId", "data", "params", "inheritedAttributes"},
    "targetConnections": COMMON_FIELDS
    | {"connectionSpec", "baseConnectionId", "data", "params", "inheritedAttributes"},
    "flows": COMMON_FIELDS
    | {"flowSpec", "sourceConnectionIds", "targetConnectionIds", "transformations", "scheduleParams", "options"}
    | {"labels", "inheritedAttributes", "lastOperation", "lastRunDetails"},
    "runs": COMMON_FIELDS | {"flowId", "flowSpec", "metrics", "activities", "params", "providerRefId"},
    "connectionSpecs": frozenset(["id", "name", "providerId", "version", "type", "attributes"]),
    "flowSpecs": frozenset(
        ["id", "name", "providerId", "version", "attributes", "sourceConnectionSpecIds", "targetConnectionSpecIds"]
    ),
}
DOCUMENTED_FIELDS = frozenset(  # those that documents show; whether others work is not documented (U9)
    {
        *("id", "name", "state", "flowId", "lastRunDetails.startedAtUTC", "isSourceFlow"),
        *("inheritedAttributes.properties.isSourceFlow", "attributes.isSourceFlow"),
    }
)
ALIASES = {  # short for a path, as documents use them
    ("flows", "isSourceFlow"): "inheritedAttributes.properties.isSourceFlow",
    ("flowSpecs", "isSourceFlow"): "attributes.isSourceFlow",
}
PARAMETERS = frozenset({"property", "limit", "continuationToken", "orderby", "count"})
ORDERS = frozenset({"id", "name", "state", "createdAt", "updatedAt"})
ORDERS_OF_RUNS = ORDERS | {"metrics.durationSummary.startedAtUTC", "metrics.durationSummary.completedAtUTC"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One `property=` filter."""

    path: tuple[str, ...]
    operator: str
    values: tuple[str, ...]

    def holds(self, item: dict[str, Any]) -> bool:
        """Whether the item passes. A field that it does not have equals nothing."""
        if self.operator == "==" and isinstance(plain := item.get(self.path[0]), str):  # most filters, quickly
            return len(self.path) == 1 and plain in self.values
        found = [_text(value) for value in values_at(item, self.path)]
        match self.operator:
            case "==":
                return any(value in self.values for value in found)
            case "!=":
                return all(value not in self.values for value in found)
        wanted = float(self.values[0])
        numbers = [float(value) for value in found if _is_number(value)]
        match self.operator:
            case "<":
                return any(number < wanted for number in numbers)
            case "<=":
                return any(number <= wanted for number in numbers)
            case ">":
                return any(number > wanted for number in numbers)
        return any(number >= wanted for number in numbers)


def conditions_of(
    request: Request, collection: str, options: Options, known: frozenset[str] = PARAMETERS
) -> list[Condition]:
    """The filters of a list call; several mean all of them. Raises Refused with the documented codes.

    `known` are the query parameters that the list has: others are refused.
    """
    check_parameters(request, options, known)
    conditions = [_condition(text, collection) for text in request.every("property")]
    if options.documented_filters_only:
        for condition in conditions:
            if ".".join(condition.path) not in DOCUMENTED_FIELDS:
                _refuse_field(collection, ".".join(condition.path))
    return conditions


def matching(items: Iterable[dict[str, Any]], conditions: list[Condition]) -> list[dict[str, Any]]:
    """The items that pass every filter, in their order."""
    return [item for item in items if all(condition.holds(item) for condition in conditions)]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, and what its answer says beside the items."""

    items: list[dict[str, Any]]
    next_token: str | None
    count: int | None

    def answer(self, path: str) -> Response:
        """The list answer: `_links` is empty on the last page, `count` is there only when asked for."""
        links = {}
        if self.next_token is not None:
            links = {"next": {"href": f"/{path}?continuationToken={self.next_token}"}}
        body: dict[str, Any] = {"items": self.items, "_links": links}
        if self.count is not None:
            body["count"] = self.count
        return json_response(200, body)


def check_parameters(request: Request, options: Options, known: frozenset[str] = PARAMETERS) -> None:
    """Refuse a query parameter that a list does not have (1451), unless the option ignores such."""
    unknown = sorted({name for name, _ in request.query} - known)
    if unknown and not options.unknown_queries_ignored:
        text = f"Invalid params {', '.join(unknown)}; this list has {', '.join(sorted(known))}"
        refuse(flow_problem(400, "FLOW-1451-400", "Invalid parameter", text))


def page_of(
    items: list[dict[str, Any]], request: Request, options: Options, *, orders: frozenset[str] = ORDERS
) -> Page:
    """Order, cut and count what the filters left. Raises Refused with the documented codes."""
    counted = _asks_for_count(request)
    limit = _limit(request, options.page_size, options.page_maximum)
    return cut(ordered(items, request.first("orderby"), orders), request, options, limit=limit, counted=counted)


def cut(items: list[dict[str, Any]], request: Request, options: Options, *, limit: int, counted: bool) -> Page:
    """The page of so many items that the call's continuationToken asks for; without one, the first."""
    start = _start(items, request.first("continuationToken"), padded=options.tokens_with_equals)
    shown = items[start : start + limit]
    more = start + limit < len(items)
    token = _token(shown[-1]["id"], start + limit, padded=options.tokens_with_equals) if more and shown else None
    return Page(items=shown, next_token=token, count=len(items) if counted else None)


def _condition(text: str, collection: str) -> Condition:
    parts = CONDITION.fullmatch(text)
    if parts is None:
        refuse(flow_problem(400, "FLOW-1452-400", "Invalid filter", f"The filter {text!r} has no operator"))
    field, operator, value = parts["field"].strip(), parts["operator"], parts["value"].strip()
    if operator in ("~", "="):
        text = f"The operator {operator} is not implemented"
        refuse(flow_problem(400, "FLOW-1440-400", "Operator not implemented", text))
    field = ALIASES.get((collection, field), field)
    path = tuple(field.split("."))
    if path[0] not in FIELDS[collection]:
        _refuse_field(collection, field)
    values = tuple(_unquoted(value))
    if not values or "" in values:
        refuse(flow_problem(400, "FLOW-1452-400", "Invalid value", f"The filter by {field!r} has no value"))
    if len(values) > 1 and operator != "==":
        refuse(flow_problem(400, "FLOW-1443-400", "Several values", f"{operator} takes one value only"))
    if operator in ("<", "<=", ">", ">="):
        if not MILLISECONDS.fullmatch(field):
            refuse(flow_problem(400, "FLOW-1448-400", "No range", f"{field!r} cannot be asked for by range"))
        if not _is_number(values[0]):
            refuse(flow_problem(400, "FLOW-1453-400", "Invalid value", f"{values[0]!r} is not a number"))
    return Condition(path, operator, values)


def _refuse_field(collection: str, field: str) -> NoReturn:
    refuse(flow_problem(400, "FLOW-1449-400", "Unknown field", f"{collection} cannot be filtered by {field!r}"))


def _unquoted(value: str) -> list[str]:
    """`"a, b"` is one value, `a,b` are two, `"a, b",c` are two; quotes go."""
    values, at = [], 0
    while at <= len(value):
        part = VALUE.match(value, at)
        if part is None:  # a quote in the middle of a value
            return [one.strip().strip('"') for one in value.split(",")]
        values.append(part[1] if part[1] is not None else part[2].strip().strip('"'))
        at = part.end() if part[0].endswith(",") else len(value) + 1
    return values


def values_at(item: Any, path: tuple[str, ...]) -> list[Any]:
    """The values at a dotted path; a list on the way stands for each of its members."""
    if isinstance(item, list):
        return [value for member in item for value in values_at(member, path)]
    if not path:
        return [] if item is None else [item]
    if not isinstance(item, dict):
        return []
    if ".".join(path) in item:  # a key with dots in it
        return values_at(item[".".join(path)], ())
    return values_at(item.get(path[0]), path[1:])


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _asks_for_count(request: Request) -> bool:
    asked = request.first("count")
    if asked is None or asked.lower() == "false":
        return False
    if asked.lower() != "true":
        refuse(flow_problem(400, "FLOW-1452-400", "Invalid value", f"count is true or false, not {asked!r}"))
    if request.first("limit") is not None:
        text = "count=true cannot be combined with limit"
        refuse(flow_problem(400, "FLOW-1401-400", "Invalid combination of parameters", text))
    return True


def _limit(request: Request, size: int, maximum: int) -> int:
    asked = request.first("limit")
    if asked is None:
        return size
    number = number_of(asked)
    if not number:
        refuse(flow_problem(400, "FLOW-1452-400", "Invalid value", f"limit is a number above 0, not {asked!r}"))
    return min(number, maximum)


def ordered(items: list[dict[str, Any]], orderby: str | None, orders: frozenset[str] = ORDERS) -> list[dict[str, Any]]:
    """The items in the order asked for. Raises Refused with 1432 or 1433."""
    if orderby is None:
        return items
    for key in reversed(orderby.split(",")):  # sorts are stable: the last key first
        field = key.strip().lstrip("+-")  # a plus that was not encoded arrives as a space
        if not field:
            refuse(flow_problem(400, "FLOW-1432-400", "Invalid orderby", f"{orderby!r} names no field"))
        if field not in orders:
            refuse(flow_problem(400, "FLOW-1433-400", "Invalid orderby", f"Lists cannot be ordered by {field!r}"))
        items = sorted(items, key=_sort_key_at(tuple(field.split("."))), reverse=key.strip().startswith("-"))
    return items


def _sort_key_at(path: tuple[str, ...]) -> Callable[[dict[str, Any]], tuple[bool, float, str]]:
    def key(item: dict[str, Any]) -> tuple[bool, float, str]:
        return _sort_key(next(iter(values_at(item, path)), None))

    return key


def _sort_key(value: Any) -> tuple[bool, float, str]:
    is_number = isinstance(value, int | float)
    return (is_number, float(value) if is_number else 0.0, "" if value is None or is_number else str(value))


def _token(last_id: str, position: int, *, padded: bool) -> str:
    """Opaque. `padded`: always with a `=` in it, as base64 may have; else never, since clients cut it off there."""
    text = f"{position}/{last_id}"
    text += "." * (1 if len(text) % 3 == 0 else 0)
    token = urlsafe_b64encode(text.encode()).decode()
    return token if padded else token.rstrip("=")


def _start(items: list[dict[str, Any]], token: str | None, *, padded: bool) -> int:
    """After the last item of the page before; if that is gone, where it was. An empty token is none."""
    if not token:
        return 0
    try:
        whole = token if padded else token + "=" * (-len(token) % 4)
        position, _, last_id = urlsafe_b64decode(whole.encode()).decode().partition("/")
        start = int(position)
        if start < 1:
            raise ValueError(position)
    except ValueError:
        refuse(flow_problem(400, "FLOW-1452-400", "Invalid value", "The continuationToken cannot be read"))
    last_id = last_id.rstrip(".")
    if start <= len(items) and items[start - 1].get("id") == last_id:
        return start  # nothing has moved
    places = (place + 1 for place, item in enumerate(items) if item.get("id") == last_id)
    return next(places, start)
