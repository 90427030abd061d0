"""Lists of the registry: filters, order and pages (platform-api.md §2.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from flowledger.emulator import registry_problem as problem
from flowledger.emulator.conditions import parse_condition, sort_by, sort_key
from flowledger.emulator.digits import number_of
from flowledger.emulator.loopback import origin_of
from flowledger.emulator.registry_problem import refuse_registry
from flowledger.emulator.wire import Response, json_response
from flowledger.emulator.world import Call

Json = dict[str, Any]

BASE: Final = "/data/foundation/schemaregistry"
CONDITIONS: Final = re.compile(r",(?=[A-Za-z@$][A-Za-z0-9@$:._-]*(?:==|!=|<=|>=|<|>|~))")  # a comma before another one
CAP: Final = 300  # a list without paging stops there
LARGEST_LIMIT: Final = 500
ADOBES: Final = "https://platform.adobe.io"  # where links lead of a call that names no host
DEFAULT_ORDER: Final = "updated"
DATES: Final = {"updated": "repo:lastModifiedDate", "created": "repo:createdDate"}
BRIEF: Final = ("$id", "meta:altId", "version", "title")


def listed_page(call: Call, container: str, kind: str, resources: list[Json], form: str) -> Response:
    """One page of `resources`, filtered and sorted as the query says, in the `id` or the `stored` form."""
    found = filtered(call, resources)
    shown, page, after = _paged(call, found)
    results = shown if form == "stored" else [{key: entry[key] for key in BRIEF} for entry in shown]
    here = f"{origin_of(call.request) or ADOBES}{BASE}"
    links: Json = {
        "next": {"href": _next_href(call, f"{here}/{container}/{kind}", after)} if after is not None else None
    }
    if container == "tenant":
        links[f"global_{kind}"] = {"href": f"{here}/global/{kind}"}
    return json_response(200, {"results": results, "_page": page, "_links": links})


def page_of(call: Call, found: list[Json]) -> tuple[list[Json], Json]:
    """The entries of one page and its `_page`, for what is shown in another form (descriptors)."""
    shown, page, _ = _paged(call, found)
    return shown, page


def filtered(call: Call, resources: list[Json]) -> list[Json]:
    """The resources for which every `property` of the query holds."""
    _check_limit(call)
    found = list(resources)
    for text in (one for texts in call.request.every("property") for one in CONDITIONS.split(texts)):
        try:
            condition = parse_condition(text)
            found = [resource for resource in found if condition.holds(_value_of(resource, condition.field))]
        except ValueError as fault:
            refuse_registry(call.world, problem.INVALID, f"property={text}: {fault}")
    return found


def _paged(call: Call, found: list[Json]) -> tuple[list[Json], Json, Any]:
    """Sort, skip to beyond `start`, cut at `limit`; the third value is where the next page starts, None at the end."""
    query = call.request.first
    orderby, start = query("orderby"), query("start")
    limit = _limit(call, orderby)
    fields = [field for field in (orderby or DEFAULT_ORDER).split(",") if field.strip("-")] or [DEFAULT_ORDER]
    found = list(found)
    sort_by(found, _value_of, fields)
    first, descending = fields[0].removeprefix("-"), fields[0].startswith("-")
    if start is not None and orderby is None:
        found = []  # the platform's answer since 2023
    elif start is not None:
        found = [entry for entry in found if _is_beyond(_value_of(entry, first), start, descending)]
    shown = found[: max(1, limit // 2) if call.world.options.short_pages and limit else limit]
    after = _value_of(shown[-1], first) if shown and len(shown) < len(found) else None
    return shown, {"orderby": orderby or DEFAULT_ORDER, "next": after, "count": len(shown)}, after


def _check_limit(call: Call) -> None:
    """A limit that no page can have is refused wherever it stands, also where it would not count."""
    text = call.request.first("limit")
    if text is not None and ((number := number_of(text)) is None or number > LARGEST_LIMIT):
        refuse_registry(call.world, problem.INVALID, f"limit must be 0 to {LARGEST_LIMIT}, not {text}")


def _limit(call: Call, orderby: str | None) -> int:
    text = call.request.first("limit")
    if text is None or orderby is None:
        return CAP  # a limit alone means nothing; the community client sends it nevertheless
    return int(text)


def _is_beyond(value: Any, start: str, descending: bool) -> bool:
    if value is None:
        return False
    bound: Any = start
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            bound = float(start)
        except ValueError:
            return False
    here, there = sort_key(value), sort_key(bound)
    return here < there if descending else here > there


def _value_of(resource: Mapping[str, Any], field: str) -> Any:
    if field in DATES:
        return resource.get("meta:registryMetadata", {}).get(DATES[field])
    return resource.get(field)


def _next_href(call: Call, here: str, after: Any) -> str:
    query = [(key, value) for key, value in call.request.query if key != "start"]
    return f"{here}?{urlencode([*query, ('start', str(after))], quote_via=quote)}"
